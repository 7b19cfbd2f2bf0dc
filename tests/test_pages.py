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
from PIL import Image

from deblurlib import plots, widgets


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
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


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


@pytest.fixture
def explorer(shown):
    """An explorer's controls, and what was displayed of it."""

    def draw(level=1, colour="grey"):
        return {"picture": torch.full((3, 300, 300), level / 10)}, f"level {level} & {colour}"

    controls = {"level": ipywidgets.IntSlider(1, 0, 10), "colour": ipywidgets.Text("red")}
    positions = [{"level": n} for n in (0, 5)]
    widgets.explorer(draw, controls, positions, "How <bright>?", "Two greys.")
    ((bundle, metadata),) = shown
    assert metadata == {"deblurlib": {"artefact": "explorer"}, "image/png": {"alt": "Two greys."}}
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


def test_the_flip_book_holds_every_position(explorer):
    page = explorer[1]["text/html"]
    frames = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert [frame["label"] for frame in frames] == ["level 0", "level 5"]
    assert [frame["text"] for frame in frames] == ["level 0 & grey", "level 5 & grey"]
    array = opened(frames[1]["sources"][0].partition("base64,")[2])
    assert abs(array - 128).max() <= 2
    assert 'max="1"' in page
    assert "How &lt;bright&gt;?" in page
    assert "level 0 &amp; grey" in page
    assert not re.search(r"https?://", page)


def test_the_strip_shows_the_positions_side_by_side(explorer):
    left, right = np.array_split(opened(explorer[1]["image/png"]), 2, axis=1)
    assert (left == 0).mean() > 0.5  # level 0 is black
    assert (abs(right - 128) <= 1).mean() > 0.5  # level 5 is grey


def test_small_panels_are_enlarged_by_whole_numbers(rand):
    x = rand(17, 17)
    array = opened(widgets._encode(x, ".png"))
    assert array.shape == (255, 255, 3)
    assert np.array_equal(array[7::15, 7::15, 0], np.floor(x.numpy() * 255 + 0.5))


def test_the_strip_shows_some_of_many_positions_with_the_text_of_each():
    panels = {"x": torch.zeros(1, 8, 8)}
    drawn = [(f"a {i}, b 0", panels, f"one, {i}") for i in range(20)]
    figure = widgets._strip(drawn)
    assert [ax.get_title() for ax in figure.axes] == [f"a {i}\nb 0" for i in range(0, 20, 3)]
    assert [ax.texts[-1].get_text() for ax in figure.axes[1:]] == [
        f"one\n{i}" for i in range(3, 20, 3)
    ]
