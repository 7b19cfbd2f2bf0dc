"""What ``write_comparison`` shows of a restoration: one picture, and one page in a browser."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import expect, sync_playwright

from deblurlib.errors import InputError
from deblurlib.files import Photo
from deblurlib.restoration import comparison, write_comparison
from deblurlib.restoration.comparison import find_detail

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]
RED, BLUE = np.uint8([200, 40, 40]), np.uint8([40, 40, 200])
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
WIDE, NARROW = 1280, 400  # pixels: a laptop, a telephone


def smooth(height, width, channels=3, seed=0):
    """A picture that a JPEG changes little, different everywhere."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), np.uint8)
    return cv2.resize(small, (width, height)).reshape(height, width, channels)


def plain(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


class Page(HTMLParser):
    """The start tags of a page, and its text, as a browser reads them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.source = [], "", path.read_bytes().decode("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def pictures(self):
        """Both pictures: before, after."""
        before, after = sorted(
            (attributes for tag, attributes in self.tags if tag == "img"),
            key=lambda attributes: attributes.get("id") != "before",
        )
        return [opened(base64.b64decode(a["src"].partition(",")[2])) for a in (before, after)]


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def near(image, pixels):
    return np.abs(np.asarray(image).astype(int) - pixels).mean() < 4


# ---- the detail


@pytest.mark.parametrize(
    ("size", "spot"),
    [((400, 600), (120, 430)), ((600, 400), (520, 60)), ((40, 1500), (20, 1100))],
)
def test_the_detail_holds_what_differs_most(size, spot):
    before = smooth(*size)
    after = before.copy()
    after[:2] ^= 3  # a little, everywhere at the top
    y, x = spot
    after[y - 8 : y + 8, x - 8 : x + 8] ^= 128
    place = find_detail(before, after)
    side = max(min(size) // 3, 32)
    assert (place.height, place.width) == (side, side)
    assert (place.of(after) != place.of(before)).any(-1).sum() >= 16 * 16


def test_the_detail_keeps_away_from_the_border_and_of_equals_is_in_the_middle():
    before = smooth(400, 600)
    after = before.copy()
    after[:30], after[:, -30:] = 255 - after[:30], 255 - after[:, -30:]
    place = find_detail(before, after)
    assert 20 <= place.top <= 400 - place.height - 20
    assert 20 <= place.left <= 600 - place.width - 20
    middle = find_detail(before, before)
    assert abs(middle.top - (400 - middle.height) / 2) <= 16
    assert abs(middle.left - (600 - middle.width) / 2) <= 16


# ---- every photograph


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (33, 20), (70, 90)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_size_and_kind_is_shown(tmp_path, size, dtype, channels):
    pixels = [smooth(*size, channels, seed) for seed in (0, 1)]
    photos = [Photo(p.astype(dtype) * (257 if dtype == np.uint16 else 1)) for p in pixels]
    picture, page = write_comparison(tmp_path / "a.b.tif", *photos, "srn")
    assert sorted(tmp_path.iterdir()) == [page, picture]
    assert (picture.name, page.name) == ("a.b_compare.jpg", "a.b_compare.html")
    drawn = opened(picture.read_bytes())
    assert max(drawn.size) <= 2100
    for image, shown in zip(Page(page).pictures(), pixels, strict=True):
        assert image.size == size[::-1]
        seen = shown[..., -1:] / 255 if channels in (2, 4) else 1.0  # the rest is white
        colours = shown[..., : 1 if channels < 3 else 3] * seen + 255 * (1 - seen)
        colours = colours[..., 0] if channels < 3 else colours
        assert max(size) > 100 or near(image, colours)
        assert image.mode == drawn.mode == ("L" if channels < 3 else "RGB")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_both_are_upright_and_nothing_of_the_exif_is_told(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    photos = [Photo(smooth(60, 90, seed=seed), exif.tobytes()) for seed in (0, 1)]
    picture, page = write_comparison(tmp_path / "a.png", *photos, "srn")
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]  # by 90 degrees, against the clock
    for image, photo in zip(Page(page).pictures(), photos, strict=True):
        assert near(image, np.rot90(photo.pixels, turns))
        assert not image.getexif()
    assert not opened(picture.read_bytes()).getexif()


@pytest.mark.parametrize(
    ("channels", "profile", "kept"),
    [
        (3, RGB_PROFILE, True),
        (4, RGB_PROFILE, True),
        (3, GREY_PROFILE, False),
        (1, GREY_PROFILE, True),
        (2, RGB_PROFILE, False),
        (3, b"no profile", False),
    ],
)
def test_a_profile_of_these_colours_is_kept(tmp_path, channels, profile, kept):
    photo = Photo(smooth(50, 50, channels), profile=profile)
    picture, page = write_comparison(tmp_path / "a.png", photo, photo, "srn")
    for image in (opened(picture.read_bytes()), *Page(page).pictures()):
        assert image.info.get("icc_profile") == (profile if kept else None)


# ---- the picture


@pytest.mark.parametrize("size", [(3000, 4000), (4000, 3000), (800, 800), (150, 100)])
def test_before_is_on_the_left_after_on_the_right_with_a_frame_and_the_details(tmp_path, size):
    photos = [Photo(plain(*size, colour)) for colour in (RED, BLUE)]
    picture, _ = write_comparison(tmp_path / "a.png", *photos, "srn")
    drawn = np.asarray(opened(picture.read_bytes())).astype(int)
    assert drawn.shape[1] <= 2000
    assert drawn.shape[1] > 1600 or max(size) < 800
    tall = size == (4000, 3000)
    found = []
    for colour in (RED, BLUE):
        seen = (np.abs(drawn - colour).max(-1) < 30).astype(np.uint8)
        boxes = cv2.connectedComponentsWithStats(seen)[2][1:, :4].tolist()
        assert len(boxes) == 3, "the photograph around its frame, what is within, the detail"
        found.append(sorted(boxes, key=lambda box: box[0 if tall else 1]))
    (photograph, framed, detail), (right, *_, other) = found
    assert photograph[1:] == pytest.approx(right[1:], abs=2)
    assert right[0] >= photograph[0] + photograph[2] + 20
    assert photograph[3] / photograph[2] == pytest.approx(size[0] / size[1], rel=0.02)
    if tall:
        assert detail[0] == other[0] >= right[0] + right[2] + 20
        assert other[1] >= detail[1] + detail[3] + 20
    else:
        assert detail[1] == other[1] >= right[1] + right[3] + 20
        assert (detail[0], other[0]) == (photograph[0], right[0])
    x, y, width, height = framed
    frame = drawn[y - 6 : y + height + 6, x - 6 : x + width + 6].mean(-1)
    assert frame.min() < 60, "seen on what is bright"
    assert frame.max() > 220, "and on what is dark"


def test_words_are_written_and_long_ones_are_cut(tmp_path):
    photo = Photo(plain(300, 400, RED))
    sums = []
    for method in ("srn", "x", "\n\udcff\0", "l" * 999):
        picture, _ = write_comparison(tmp_path / "a.png", photo, photo, method)
        drawn = np.asarray(opened(picture.read_bytes()))
        top = drawn[: np.argmax(np.abs(drawn.astype(int) - RED).max(-1).min(1) < 30)]
        sums.append((drawn.shape, int((top < 100).sum())))
    assert len({shape for shape, _ in sums}) == 1
    assert len({ink for _, ink in sums}) == 4
    end = top[: len(top) * 2 // 3, -36:-20]  # of the long one, where a sign's upper part would be
    assert end.min() > 200, "three dots"


# ---- the page


def test_names_are_escaped(tmp_path):
    name, method = (
        "<script>alert('1')</script>&amp;\"$name\u202e\udcff.png".replace("/", "|"),
        "<b>'\"&",
    )
    photo = Photo(smooth(20, 30))
    _, page = write_comparison(tmp_path / name, photo, photo, method)
    read = Page(page)
    said = name.replace("\udcff", r"\udcff").replace(
        "\u202e", r"\u202e"
    )  # which turns what follows
    assert said in read.text
    assert f"after: {method}" in read.text
    tags = [tag for tag, _ in read.tags]
    assert tags.count("script") == 1
    assert "b" not in tags
    alts = [a["alt"] for tag, a in read.tags if tag == "img"]
    assert alts == [f"{said}, after: restored by {method}", f"{said}, before"]


def test_the_page_asks_for_nothing_and_says_what_it_reduced(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "PAGE_SIDE", 300)
    photo = Photo(smooth(200, 600))
    _, page = write_comparison(tmp_path / "a.png", photo, photo, "srn")
    read = Page(page)
    assert "600 x 200 pixels, reduced to 300 x 100 on this page" in read.text
    assert [image.size for image in read.pictures()] == [(300, 100)] * 2
    assert not re.search(
        r"https?:|//\w|@import|\bfetch\b", re.sub(r'"data:[^"]*"', "", read.source)
    )
    (policy,) = [a["content"] for tag, a in read.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    assert ("html", {"lang": "en"}) in read.tags


# ---- what cannot be


def test_unlike_sizes_and_a_missing_folder_are_one_sentence(tmp_path):
    photo, exif = Photo(smooth(20, 30)), Image.Exif()
    exif[0x0112] = 6
    for other in (Photo(smooth(20, 31)), Photo(smooth(20, 30), exif.tobytes())):
        with pytest.raises(InputError, match=r"a\.png: [^\n]* cannot be compared$"):
            write_comparison(tmp_path / "a.png", photo, other, "srn")
    with pytest.raises(InputError, match=r"a_compare\.jpg: cannot be written"):
        write_comparison(tmp_path / "none" / "a.png", photo, photo, "srn")
    assert list(tmp_path.iterdir()) == []


# ---- in a browser


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason=f"no browser: none of {', '.join(BROWSERS)} on PATH")
def test_the_slider_moves_by_keys_and_mouse_without_a_network_at_any_width(tmp_path, chromium):
    photos = [Photo(plain(1500, 2000, colour)) for colour in (RED, BLUE)]
    _, path = write_comparison(tmp_path / ("x" * 60 + ".png"), *photos, "srn")
    page = chromium.new_page(viewport={"width": WIDE, "height": 900})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text))
    page.context.set_offline(True)
    page.goto(path.as_uri(), wait_until="networkidle")
    view, slider = page.locator("#view"), page.get_by_role("slider")

    def share():
        """How much of the width shows the picture before."""
        image = np.asarray(opened(view.screenshot()).convert("RGB")).astype(int)[10]
        return (np.abs(image - RED).max(-1) < 30).mean()

    def assert_fits():
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]

    def colour_of_paper():
        return opened(page.screenshot()).convert("L").getpixel((2, 2))

    assert share() == pytest.approx(0.5, abs=0.01)
    slider.focus()
    for key, wanted in (("ArrowRight", 0.51), ("Home", 0), ("ArrowUp", 0.01), ("End", 1)):
        slider.press(key)
        expect(slider).to_have_value(f"{100 * wanted:g}")
        assert share() == pytest.approx(wanted, abs=0.006), key
    box = view.bounding_box()
    middle = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] - 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], middle)
    page.mouse.up()
    assert share() == pytest.approx(0.25, abs=0.01)
    assert_fits()

    page.get_by_role("button", name="100 %").click()
    assert page.evaluate("before.clientWidth") == 2000
    assert_fits()
    scrolled = page.evaluate("view.scrollLeft")
    page.mouse.move(box["x"] + 600, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, middle)
    page.mouse.up()
    assert page.evaluate("view.scrollLeft") == scrolled + 100
    assert share() == pytest.approx(0.25, abs=0.01), "the line stays while the picture moves"
    page.get_by_role("button", name="fit").click()
    expect(page.get_by_role("button", name="fit")).to_have_attribute("aria-pressed", "true")

    assert colour_of_paper() > 200
    page.emulate_media(color_scheme="dark")
    assert colour_of_paper() < 60
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert_fits()
    assert view.bounding_box()["width"] >= 360
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert errors == []
    page.close()
