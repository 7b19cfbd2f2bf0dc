"""The web app in a real Chromium: each door, by mouse and by keyboard, wide and narrow."""

import io

import numpy as np
import pytest
from browsing import NEEDS_BROWSER, chromium  # noqa: F401
from PIL import Image
from playwright.sync_api import expect
from serving import serving

from deblurlib import files, images, psf

WIDE, NARROW = 1280, 390
AFTER = "#preview figure:nth-child(2) img"
expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def app():
    with serving(bytes=2_000_000) as served:
        yield served


@pytest.fixture(params=[WIDE])
def page(request, chromium, app):
    """A visitor's page, which asks no other machine for anything and reports no error."""
    narrow = request.param < 600
    context = chromium.new_context(
        viewport={"width": request.param, "height": 844}, has_touch=narrow, is_mobile=narrow
    )
    page, wrong = context.new_page(), []
    page.on("request", lambda r: wrong.append(r.url) if is_foreign(r.url, app.url) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    with page.expect_response("**/run/predict"):  # the first door is chosen as the page is drawn
        page.goto(app.url)
    page.wait_for_function("document.querySelector('.examples button')")
    yield page
    context.close()
    assert wrong == []


def is_foreign(url, own):
    return not url.startswith((own, "data:", "blob:"))


def try_example(page, number):
    page.locator(".examples button").nth(number).click()
    expect(page.locator(".picker img")).to_be_visible()


def open_door(page, name):
    page.get_by_role("tab", name=name).click()


def restored(page):
    """The file that is downloaded, and its pixels."""
    expect(page.locator("#results iframe")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#results a.act").click()
    return download.value.suggested_filename, files.read_photo(download.value.path()).pixels


def test_by_itself(page, app, tmp_path):
    photo = tmp_path / "my photo.png"
    y = np.asarray(Image.open(app.desk.visits.root / "examples" / "shaken.jpg"))[:200, :240]
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    Image.fromarray(y).save(photo, exif=exif)
    page.get_by_label("Choose a photo").set_input_files(photo)
    expect(page.get_by_text("240 x 200 pixels. By itself: about")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    name, pixels = restored(page)
    assert name == "my photo_deblurred.png"
    assert pixels.shape == y.shape
    assert np.abs(pixels.astype(int) - y).mean() > 1
    inner = page.frame_locator("#results iframe")
    slider = inner.get_by_role("slider")
    slider.press("Home")
    expect(inner.locator("#share")).to_have_text("0 %")
    inner.get_by_role("button", name="100 %").press("Enter")
    expect(inner.get_by_role("button", name="100 %")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Where does it contradict").click()
    expect(page.locator("#trust img")).to_be_visible()
    expect(page.locator("#trust")).to_contain_text("contradict the photo")


def test_i_know_the_blur(page, app):
    open_door(page, "I know the blur")
    try_example(page, 1)
    radius = page.get_by_label("number input for Radius")
    expect(page.locator(AFTER)).to_be_visible()
    seen = [page.get_attribute(AFTER, "src")]
    for press in ("ArrowUp", "ArrowUp"):  # the keyboard does
        radius.press(press)
        page.wait_for_function(CHANGED, arg=[AFTER, seen[-1]])
        seen.append(page.get_attribute(AFTER, "src"))
    page.locator(".picker .view").press("ArrowLeft")
    page.wait_for_function(CHANGED, arg=[AFTER, seen[-1]])
    page.get_by_label("wiener").check()
    expect(page.locator("#preview")).to_contain_text("after: wiener, factor=1")
    page.get_by_role("button", name="Restore").click()
    assert restored(page)[0] == "unfocused_deblurred.jpg"
    expect(page.locator("#results")).to_contain_text("by wiener")


CHANGED = "([place, old]) => document.querySelector(place)?.src !== old"


def test_a_kernel_from_a_file_and_one_that_is_none(page, app, tmp_path):
    open_door(page, "I know the blur")
    try_example(page, 2)
    page.get_by_label("a kernel from a file").check()
    expect(page.locator("#preview")).to_contain_text("Choose the kernel's file first.")
    expect(page.get_by_text("Kernel: .npy")).to_be_visible()
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    page.locator("input[type=file]").last.set_input_files(tmp_path / "bad.npy")
    expect(page.locator("#preview")).to_contain_text("bad.npy: line 1 is not a row of numbers.")
    np.save(tmp_path / "k.npy", psf.motion(15, 30).numpy())
    page.get_by_label("Clear").or_(page.get_by_label("Remove this file")).first.click()
    page.locator("input[type=file]").last.set_input_files(tmp_path / "k.npy")
    expect(page.locator(AFTER)).to_be_visible()


def test_a_box_round_a_lamp_is_a_kernel(page, app, tmp_path):
    k = psf.motion(9, 45)
    pixels = np.full((300, 400), 25, np.uint8)
    pixels[100 : 100 + k.shape[0], 200 : 200 + k.shape[1]] += (k / k.max() * 190).byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "lamp.png")
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "lamp.png")
    open_door(page, "I know the blur")
    page.get_by_label("a point of light shows it").check()
    view = page.locator(".picker .view")
    expect(view).to_be_visible()
    view.scroll_into_view_if_needed()
    place = view.bounding_box()
    scale = place["width"] / 400
    for move, x, y in ((page.mouse.move, 190, 90), (page.mouse.move, 222, 122)):
        move(place["x"] + x * scale, place["y"] + y * scale)
        page.mouse.down() if x == 190 else page.mouse.up()
    expect(page.locator("#progress")).to_contain_text("The streak at")
    expect(page.locator("#preview .kernel img")).to_be_visible()


@pytest.mark.parametrize("page", [NARROW], indirect=True)
def test_find_the_blur_on_a_phone(page, app):
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    try_example(page, 0)
    open_door(page, "Find the blur")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("#progress")).to_contain_text("Find the blur first.")
    page.get_by_label("number input for Side").fill("21")
    page.locator("#find").click()
    expect(page.locator("#kernel img")).to_be_visible()
    expect(page.locator("#kernel")).to_contain_text("the edges become fewer and steeper")
    expect(page.locator(AFTER)).to_be_in_viewport()  # it stays in sight below the sliders
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("#results iframe")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_what_is_no_picture_or_too_large_is_said(page, app, tmp_path):
    (tmp_path / "text.png").write_bytes(b"not a picture")
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "text.png")
    said = page.get_by_role("alert").filter(has_text="text.png: not an image file")
    expect(said).to_be_visible()
    (tmp_path / "large.png").write_bytes(bytes(3_000_000))
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "large.png")
    expect(page.get_by_text("a file may have 2 MB at most")).to_be_visible()


def test_stop_and_a_pasted_photo(page, app, rand):
    data = io.BytesIO()
    Image.fromarray(images.to_array(rand(3, 20, 24))).resize((1200, 1000)).save(data, "JPEG")
    page.evaluate(PASTE, list(data.getvalue()))
    expect(page.get_by_text("1200 x 1000 pixels")).to_be_visible()
    page.get_by_label("even if it is sharp").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("#progress progress")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#progress")).to_contain_text("Stopped.")
    assert app.desk.restoring.waiting == 0


PASTE = """(bytes) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "pasted.jpg", {type: "image/jpeg"}));
  document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
}"""


def test_every_part_has_a_name_for_who_cannot_see_it(page, app):
    try_example(page, 0)
    open_door(page, "I know the blur")
    nameless = page.evaluate("""() => [...document.querySelectorAll(
      "input:not([type=hidden]), button, select, textarea, img, iframe, [tabindex='0']")]
      .filter((e) => e.checkVisibility() && !e.getAttribute("aria-label") && !e.title
        && !e.labels?.length && !e.closest("label") && !e.innerText?.trim()
        && e.getAttribute("alt") === null && !e.getAttribute("aria-labelledby"))
      .map((e) => e.outerHTML.slice(0, 150))""")
    assert nameless == []
