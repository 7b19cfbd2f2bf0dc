"""What a chapter puts on its page: figures, tables, explorers."""

import base64
import io
import json
import re
import subprocess
import sys

import ipywidgets
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


def pixels(fig):
    return np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGB"))


def test_a_figure_carries_its_name_and_description(shown):
    plots.emit(plots.show({"a": torch.zeros(3, 4, 4)}), "result", "a black square")
    ((bundle, metadata),) = shown
    assert metadata["deblurlib"]["artefact"] == "figure:result"
    assert metadata["image/png"]["alt"] == "a black square"
    Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).verify()
    assert "a black square" in bundle["text/plain"]


def test_images_share_one_scale_from_black_to_white():
    # grey 0.5 must look the same whether or not brighter pixels are beside it
    alone = pixels(plots.show({"": torch.full((8, 8), 0.5)}))
    beside = torch.full((8, 8), 0.5)
    beside[0, 0], beside[0, 1] = 3.0, -1.0
    both = pixels(plots.show({"": beside}))
    centre = tuple(side // 2 for side in alone.shape[:2])
    assert tuple(alone[centre]) == tuple(both[centre])
    assert abs(int(alone[centre][0]) - 128) <= 1


def test_a_zoom_shows_the_framed_square():
    x = torch.zeros(3, 40, 40)
    x[:, 10:20, 10:20] = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    fig = plots.show({"red": x}, zoom=(10, 10, 10))
    red = (pixels(fig) == [255, 0, 0]).all(-1)
    lower, upper = red[red.shape[0] // 2 :], red[: red.shape[0] // 2]
    assert lower.mean() > 0.5
    assert 0 < upper.mean() < 0.1


def test_drawing_leaves_pyplot_alone():
    program = "import sys; from deblurlib import plots; plots.figure(1, 1); "
    program += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


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


def draw(level=1, colour="grey"):
    return {"picture": torch.full((3, 300, 300), level / 10)}, f"level {level} & {colour}"


def open_explorer(shown):
    controls = {"level": ipywidgets.IntSlider(1, 0, 10), "colour": ipywidgets.Text("red")}
    positions = [{"level": n} for n in (0, 5)]
    widgets.explorer(draw, controls, positions, "How <bright>?", "Two greys.")
    ((bundle, metadata),) = shown
    assert metadata["deblurlib"]["artefact"] == "explorer"
    return controls, bundle


def live_parts(bundle):
    view = bundle["application/vnd.jupyter.widget-view+json"]
    question, *_, line, row = _instances[view["model_id"]].children
    return question, row.children[0].children[1], line


def test_moving_a_control_changes_picture_and_line(shown):
    controls, bundle = open_explorer(shown)
    question, picture, line = live_parts(bundle)
    assert question.value == "<strong>How &lt;bright&gt;?</strong>"
    before = picture.value
    controls["level"].value = 7
    assert picture.value != before
    assert line.value == "level 7 &amp; red"
    array = np.asarray(Image.open(io.BytesIO(picture.value)))
    assert array.shape == (300, 300, 3)
    assert (array == 179).all()  # 0.7 * 255, rounded half up


def test_the_flip_book_holds_every_position(shown):
    _, bundle = open_explorer(shown)
    page = bundle["text/html"]
    frames = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert [frame["label"] for frame in frames] == ["level 0", "level 5"]
    assert [frame["text"] for frame in frames] == ["level 0 & grey", "level 5 & grey"]
    data = frames[1]["sources"][0].partition("base64,")[2]
    array = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert abs(int(array[150, 150, 0]) - 128) <= 2
    assert 'max="1"' in page
    assert "How &lt;bright&gt;?" in page
    assert "level 0 &amp; grey" in page
    assert not re.search(r"https?://", page)


def test_the_strip_shows_the_positions_side_by_side(shown):
    _, bundle = open_explorer(shown)
    strip = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).convert("L")
    array = np.asarray(strip)
    left, right = array[:, : array.shape[1] // 2], array[:, array.shape[1] // 2 :]
    assert (left == 0).mean() > 0.5  # level 0 is black
    assert (abs(right.astype(int) - 128) <= 1).mean() > 0.5  # level 5 is grey


def test_small_panels_are_enlarged_by_whole_numbers():
    x = torch.rand(1, 17, 17)
    data = np.frombuffer(widgets._encode(x, ".png"), np.uint8).tobytes()
    assert Image.open(io.BytesIO(data)).size == (255, 255)


def test_the_strip_shows_the_text_of_each_position():
    x = torch.zeros(1, 8, 8)
    strips = [plots.png(widgets._strip([("a", {"x": x}, text)])) for text in ("one, two", "other")]
    assert strips[0] != strips[1]
