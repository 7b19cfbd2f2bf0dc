"""Drawn diagrams: valid, the same each time, and right in whatever page they stand."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from deblurlib import plots
from deblurlib.diagrams import COLOURS, Drawing
from deblurlib.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing, alt=""):
    return ElementTree.fromstring(drawing.svg(alt))


def texts(drawing):
    return [element.text for element in parsed(drawing).iter(f"{SVG}text")]


def everything():
    drawing = Drawing(400, 300)
    grid = drawing.grid(10, 10, torch.tensor([[1.0, -0.5], [0.25, 0.0]]), mark=[(0, 1)])
    node = drawing.node(200, 10, "two\nlines <&>")
    drawing.arrow(grid, node, "a & b", dashed=True, bend=12)
    drawing.box(10, 100, 50, 60, "layer", depth=10)
    drawing.circle(200, 120, 12, "+")
    drawing.curve(10, 200, 100, 40, [0, 1, -1])
    drawing.bracket((10, 180), (110, 180), "three")
    drawing.line((0, 0), (5, 5), "grey")
    return drawing


def test_a_drawing_is_valid_and_the_same_each_time():
    svg = everything().svg('He said "<no>" & left')
    root = ElementTree.fromstring(svg)
    assert root.attrib["viewBox"] == "0 0 400 300"
    assert root.attrib["aria-label"] == root.find(f"{SVG}title").text == 'He said "<no>" & left'
    assert svg == everything().svg('He said "<no>" & left')
    assert {"two", "lines <&>", "a & b"} <= set(texts(everything()))
    assert "nan" not in svg
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", svg)  # nothing is fetched


def test_two_drawings_on_a_page_do_not_touch_each_other():
    svg = everything().svg("one")
    assert not re.search(r"\bid=|url\(|href=\"#", svg)
    selectors = re.findall(r"[^{}]+(?={--dd)", re.search(r"<style>(.*?)</style>", svg)[1])
    assert len(selectors) == 4
    for selector in ",".join(selectors).split(","):
        assert selector.split()[-1].endswith("svg.deblurlib-diagram")


def test_every_colour_is_said_for_light_and_dark_pages():
    svg = everything().svg()
    used = set(re.findall(r"var\(--dd-(\w+)\)", svg))
    assert {"ink", "grey", "blue", "red"} <= used <= set(COLOURS)
    assert not re.search(r'="(?:fill|stroke):(?!var|none)', svg)
    for name, pair in COLOURS.items():
        assert [svg.count(f"--dd-{name}:{colour}") for colour in pair] == [2, 2]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1, None, "1"),
        (0.30000001, None, "0.3"),
        (10.0, None, "10"),
        (-0.5, None, "\u22120.5"),
        (-0.0001, None, "0"),
        (1 / 3, 2, "0.33"),
        (np.float32(0.2), None, "0.2"),
        ("?", 2, "?"),
    ],
)
def test_numbers_are_short_and_true(value, digits, text):
    drawing = Drawing(50, 50)
    drawing.grid(0, 0, [value], digits=digits)
    assert texts(drawing) == [text]


def test_cells_are_tinted_by_their_value_and_marked_ones_framed():
    drawing = Drawing(200, 50)
    place = drawing.grid(10, 5, [2, -1, 0, None], cell=20, mark=[1])
    *cells, frame = parsed(drawing).iter(f"{SVG}rect")
    tints = [
        re.findall(r"fill:var\(--dd-(\w+)\);fill-opacity:([\d.]+)", c.get("style"))[0]
        for c in cells
    ]
    assert [float(opacity) for _, opacity in tints] == [0.5, 0.25, 0, 0]
    assert [colour for colour, _ in tints[:2]] == ["blue", "red"]
    assert (frame.get("x"), frame.get("width")) == ("30", "20")
    assert place.cell(0, 3).middle == (80, 15)
    drawing = Drawing(200, 50)
    drawing.grid(10, 5, [2, -1], shade=False)
    assert all("opacity:0;" in rect.get("style") for rect in parsed(drawing).iter(f"{SVG}rect"))


def ends(drawing):
    """Where an arrow's shaft begins, and where its head points."""
    shaft, head = (path.get("d") for path in parsed(drawing).iter(f"{SVG}path"))
    return [tuple(map(float, re.search(r"M(\S+) ([^LQ]+)", d).groups())) for d in (shaft, head)]


def test_an_arrow_joins_the_edges_that_face_each_other():
    for start, end, first, last in [
        ((0, 0), (100, 0), (43, 20), (97, 20)),
        ((100, 0), (0, 0), (97, 20), (43, 20)),
        ((0, 0), (0, 100), (20, 43), (20, 97)),
        ((0, 100), (0, 0), (20, 97), (20, 43)),
    ]:
        drawing, other = Drawing(200, 200), Drawing(200, 200)
        drawing.arrow(*(other.box(*corner, 40, 40) for corner in (start, end)))
        assert ends(drawing) == [first, last]
    drawing = Drawing(200, 200)
    drawing.arrow((10, 10), (60, 40))
    assert ends(drawing) == [(10, 10), (60, 40)]


def test_what_cannot_be_drawn_is_said_in_a_sentence():
    drawing = Drawing(100, 100)
    with pytest.raises(InputError, match="rows of a grid must be of equal length"):
        drawing.grid(0, 0, [[1, 2], [3]])
    with pytest.raises(InputError, match="no colour 'mauve' for diagrams; there are: ink,"):
        drawing.node(0, 0, "a", colour="mauve")
    with pytest.raises(InputError, match="no anchor 'left'"):
        drawing.text(0, 0, "a", anchor="left")


def test_a_drawing_goes_on_the_page_as_a_file_and_as_part_of_it(monkeypatch):
    caught = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: caught.append((*a, k)))
    plots.emit(everything(), "cone", "a <cone>")
    ((bundle, about),) = caught
    svg = everything().svg("a <cone>")
    assert bundle == {
        "image/svg+xml": svg,
        "text/html": svg,
        "text/plain": "[figure: a <cone>]",
    }
    assert about["raw"]
    assert about["metadata"] == {
        "image/svg+xml": {"alt": "a <cone>"},
        "deblurlib": {"artefact": "figure:cone"},
    }
