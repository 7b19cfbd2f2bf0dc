"""What a chapter puts on its page: figures, tables, explorers."""

import base64
import importlib
import io
import json
import re
import sys

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from matplotlib.colors import to_rgb
from PIL import Image

from deblurlib import plots, widgets
from deblurlib.errors import InputError


@pytest.fixture
def shown(monkeypatch):
    """Catch what is displayed: a list of (bundle, metadata)."""
    caught = []

    def display(bundle, raw, metadata):
        assert raw
        caught.append((bundle, metadata))

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(widgets, "display", display)
    return caught


def opened(file):
    """A picture's pixels, of its bytes or of their text in a bundle."""
    data = base64.b64decode(file) if isinstance(file, str) else file
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(page, picture).convert("RGB")).astype(int)


def test_a_figure_carries_its_name_and_description(shown):
    plots.emit(plots.show({"a": torch.zeros(3, 4, 4)}), "result", "a black square")
    ((bundle, metadata),) = shown
    assert metadata["deblurlib"]["artefact"] == "figure:result"
    assert metadata["image/png"]["alt"] == "a black square"
    assert opened(bundle["image/png"]).min() == 0
    assert "a black square" in bundle["text/plain"]


def test_images_share_one_scale_from_black_to_white():
    # grey 0.5 must look the same whether or not brighter pixels are beside it
    beside = torch.full((8, 8), 0.5)
    beside[0, 0], beside[0, 1] = 3.0, -1.0
    for x in (torch.full((8, 8), 0.5), beside, beside.expand(3, -1, -1)):
        array = opened(plots.png(plots.show({"": x})))
        assert abs(array[array.shape[0] // 2, array.shape[1] // 2] - 128).max() <= 1


def test_a_zoom_shows_the_framed_square_below_each_picture():
    x = torch.zeros(3, 40, 40)
    x[0, 10:20, 10:20] = 1  # red
    fig = plots.show({"left": x, "right": x}, columns=1, zoom=(10, 10, 10))
    red = (opened(plots.png(fig)) == [255, 0, 0]).all(-1)
    shares = [rows.mean() for rows in np.array_split(red, 4)]
    assert min(shares[1::2]) > 4 * max(shares[::2]) > 0
    assert len(plots.show(dict.fromkeys("abc", x), columns=2).axes) == 4  # in two rows


def test_drawing_leaves_pyplot_alone(monkeypatch):
    # it is read anew, and drawn with, where pyplot cannot be imported
    monkeypatch.delattr(matplotlib, "pyplot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    importlib.reload(plots.style)
    fig, axes = importlib.reload(plots).figure(1, 1)
    axes[0, 0].plot([0, 1])
    assert opened(plots.png(fig)).min() < 255  # something was drawn
    with pytest.raises(ImportError):
        importlib.import_module("matplotlib.pyplot")


def test_a_spectrum_is_centred_and_spans_six_decades():
    power = torch.full((8, 8), 1e-9)
    power[0, 0], power[0, 1] = 100.0, 0.1
    shown = plots.centred_log(power)
    assert shown[4, 4] == 1
    assert shown[4, 5] == pytest.approx(0.5, abs=1e-6)
    assert shown[0, 0] == pytest.approx(0, abs=1e-6)


def test_a_table_is_markdown_and_text(shown):
    rows = [
        {"method": "identity", "PSNR": 20.0, "n": 3},
        {"method": "a|b", "PSNR": 3.14159, "n": 12},
    ]
    plots.table(rows, "scores", digits=1)
    ((bundle, metadata),) = shown
    assert metadata["deblurlib"]["artefact"] == "table:scores"
    assert bundle["text/markdown"].splitlines() == [
        "| method | PSNR | n |",
        "| :--- | ---: | ---: |",
        "| identity | 20.0 | 3 |",
        "| a\\|b | 3.1 | 12 |",
    ]
    assert bundle["text/plain"].splitlines()[1] == "identity  20.0   3"


def test_pictures_stand_in_columns_of_equal_width_with_crisp_pixels(shown):
    captions = ("x", "a caption of many words that is wider than its picture", "last")
    plots.emit(plots.show(dict.fromkeys(captions, torch.zeros(60, 40))), "row", "three")
    ((bundle, metadata),) = shown
    assert metadata["image/png"] == {"alt": "three", "columns": 3}
    array = opened(bundle["image/png"])
    assert array.shape[1] % 3 == 0
    for column in np.split(array, 3, axis=1):
        black = (column == 0).all(-1)
        across, down = (np.flatnonzero(black.any(axis)) for axis in (0, 1))
        assert len(across) % 40 == 0  # each pixel has equally many dots
        assert across[0] == column.shape[1] - 1 - across[-1]  # it stands in the middle
        assert len(down) == len(across) * 60 // 40
        assert (column[:, : across[0]] == 255).all()  # its caption ends where it does
        assert (column[:, across[-1] + 1 :] == 255).all()


def test_only_rows_of_pictures_are_cut_into_columns():
    fig, axes = plots.figure(1, 2)
    plots.picture(axes[0, 0], torch.zeros(4, 4))
    assert plots.columns(fig) == 0
    plots.picture(axes[0, 1], torch.zeros(4, 4))
    assert plots.columns(fig) == 2
    axes[0, 0].text(-0.1, 0.5, "beside it", transform=axes[0, 0].transAxes)
    assert plots.columns(fig) == 0


def contrast(colour, page):
    light, dark = (
        np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        for v in (np.array(to_rgb(c)) for c in (colour, page))
    )
    return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)


def test_figures_read_on_white_and_on_dark_pages():
    for page in ("#ffffff", "#121212", "#1b1b1b"):
        assert contrast(plots.INK, page) > 3.7
    fig, axes = plots.figure(1, 1)
    axes[0, 0].plot([0, 1], color="black", label="a curve")
    axes[0, 0].set(title="a title", xlabel="x", ylabel="y")
    axes[0, 0].legend()
    pixels = np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGBA")).reshape(-1, 4)
    assert (pixels[:, 3] == 0).mean() > 0.8  # the page shines through
    assert (pixels[pixels[:, 3] > 200][:, :3] >= 0x70).all()  # and nothing is black


def claim(name, origin="source", **fields):
    fields = {"estimate": 0.3, "lo": 0.2, "hi": 0.4, "margin": 0.1, "unit": "dB"} | fields
    fields = {"verdict": "confirmed", "p_adjusted": 0.01, "quote": "It is.", **fields}
    return {"id": name, "origin": origin, "estimand": f"what {name} is", **fields}


def test_a_forest_groups_claims_by_verdict_and_measures_them_in_margins():
    claims = [
        claim("02a", verdict="undecided", lo=-0.1),
        claim("02b", "ours", p_adjusted=0.0001),
        claim("02c"),
        claim("02d", verdict="refuted", unit="similarity", margin=0.01, estimate=-0.02, lo=-0.03),
        claim("02e", verdict=None, lo=None, hi=None, p_adjusted=None),
    ]
    ax = plots.forest(claims, {"02c": "the third"}).axes[0]
    texts = sorted(ax.texts, key=lambda text: text.get_position()[1])
    left = [text.get_text() for text in texts if text.get_position()[0] < 0][1:]
    stand, fall = ["stands", "the third", "what 02b is"], ["falls", "what 02d is"]
    rest = ["open", "what 02a is", "not judged here", "what 02e is"]
    assert left == stand + fall + rest  # sources' claims before ours
    told = {text.get_text() for text in texts}
    assert {"0.30 dB", "\u22120.020", "0.010", "< 0.001"} <= told
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("o", "D")]
    assert dots == pytest.approx([3, 3, -2, 3, 3])
    with pytest.raises(InputError, match="02a has no margin"):
        plots.forest([claim("02a", margin=0)])


def test_dots_share_their_rows_and_show_mean_values_and_identity():
    panels = {"box": {"ours": [1.0, 2.0, 6.0], "theirs": [4.0]}, "line": {"theirs": [5.0]}}
    left, right = plots.dots(panels, {"line": 2.5}).axes
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in left.lines]
    assert drawn == [([1, 2, 6], [0, 0, 0]), ([3], [0]), ([4], [1]), ([4], [1])]
    assert [label.get_text() for label in left.get_yticklabels()] == ["ours", "theirs"]
    assert [list(line.get_ydata()) for line in right.lines[:2]] == [[1], [1]]
    assert right.lines[-1].get_xdata()[0] == 2.5


def test_rows_beyond_those_shown_are_folded(shown):
    rows = [{"n": n, "PSNR": float(n)} for n in range(12)]
    plots.table(rows, "scores", shown=4)
    plots.table(rows[:5], "few", shown=4)  # one more row is no longer than its fold
    text = shown[0][0]["text/markdown"]
    top, folded = text.split("<details><summary>8 more rows</summary>\n\n")
    header = "| n | PSNR |\n| ---: | ---: |\n"
    assert top.startswith(header)
    assert top.count("\n| ") == 5
    assert folded.startswith(header + "| 4 | 4.00 |")
    assert folded.endswith("| 11 | 11.00 |\n\n</details>")
    assert len(shown[0][0]["text/plain"].splitlines()) == 13
    assert "details" not in shown[1][0]["text/markdown"]


@pytest.fixture
def explorer(shown):
    """An explorer's controls, and what was displayed of it."""

    def draw(level=1, colour="grey"):
        return {"picture": torch.full((3, 300, 300), level / 10)}, f"level {level} & {colour}"

    controls = {"level": ipywidgets.IntSlider(1, 0, 10), "colour": ipywidgets.Text("red")}
    positions = [{"level": n} for n in (0, 5)]
    widgets.explorer(draw, controls, positions, "How <bright>?", "Two greys.")
    ((bundle, metadata),) = shown
    assert metadata["deblurlib"] == {"artefact": "explorer"}
    assert metadata["image/png"] == {"alt": "Two greys.", "columns": 2}
    return controls, bundle


def test_moving_a_control_changes_picture_and_line(explorer):
    controls, bundle = explorer
    view = bundle["application/vnd.jupyter.widget-view+json"]
    question, *shown, line, row = _instances[view["model_id"]].children
    assert [control.description for control in shown] == ["level", "colour"]
    assert question.value == "<strong>How &lt;bright&gt;?</strong>"
    picture = row.children[0].children[1]
    before = picture.value
    controls["level"].value = 7
    assert picture.value != before
    assert line.value == "level 7 &amp; red"
    array = opened(picture.value)
    assert array.shape == (300, 300, 3)
    assert (array == 179).all()  # 0.7 * 255, rounded half up


def book(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])


def test_the_flip_book_holds_every_position(explorer):
    page = explorer[1]["text/html"]
    frames = book(page)["frames"]
    assert [frame["said"] for frame in frames] == ["level: 0", "level: 5"]
    assert [frame["text"] for frame in frames] == ["level 0 & grey", "level 5 & grey"]
    array = opened(book(page)["pictures"][frames[1]["pictures"][0]])
    assert abs(array - 128).max() <= 2
    assert 'level <input type="range" min="0" max="1"' in page
    assert "How &lt;bright&gt;?" in page
    assert "level 0 &amp; grey" in page
    assert not re.search(r"https?://", page)


def test_named_positions_are_buttons_and_a_picture_that_stays_is_kept_once(shown):
    def draw(level, noise):
        return {"x": torch.zeros(3, 300, 300), "y": torch.full((3, 300, 300), level + noise)}, ""

    positions = {"as it is": {"level": 0.2, "noise": 0.0}, "<b>": {"level": 0.4, "noise": 0.1}}
    controls = {"level": ipywidgets.FloatSlider(0.0), "noise": ipywidgets.FloatSlider(0.0)}
    widgets.explorer(draw, controls, positions, "What?", "Grey.", label="the photograph")
    page = shown[0][0]["text/html"]
    assert re.findall(r"<button[^>]*>(.*?)</button>", page) == ["as it is", "&lt;b&gt;"]
    assert 'aria-label="the photograph"' in page
    assert "<input" not in page
    assert [frame["pictures"] for frame in book(page)["frames"]] == [[0, 1], [0, 2]]
    assert [text is None for text in book(page)["pictures"]] == [True, True, False]
    widgets.explorer(draw, controls, list(positions.values()), "What?", "Grey.")
    frames = book(shown[1][0]["text/html"])["frames"]
    assert [frame["name"] for frame in frames] == ["level 0.2, noise 0.0", "level 0.4, noise 0.1"]


def test_the_strip_shows_the_positions_side_by_side(explorer):
    left, right = np.split(opened(explorer[1]["image/png"]), 2, axis=1)
    assert (left == 0).mean() > 0.5  # level 0 is black
    assert (abs(right - 128) <= 1).mean() > 0.5  # level 5 is grey


def test_small_panels_are_enlarged_by_whole_numbers(rand):
    x = rand(17, 17)
    array = opened(widgets._encode(x, ".png"))
    assert array.shape == (255, 255, 3)
    assert np.array_equal(array[7::15, 7::15, 0], np.floor(x.numpy() * 255 + 0.5))


def test_the_strip_shows_some_of_many_positions_with_the_text_of_each():
    panels = {"x": torch.zeros(1, 8, 8)}
    frames = [widgets.Frame(f"{i}", panels, f"one, {i}") for i in range(20)]
    titles = [ax.get_title() for ax in widgets._strip(frames, "a").axes]
    assert titles == [f"a: {i}\none, {i}\nx" for i in (0, 6, 12, 19)]
