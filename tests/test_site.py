"""What the site makes of notebooks, before Sphinx: figures, folds, choices, runs, cards."""

import base64
import io
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from deblurlib.report import overview, reading

CHOICES = """**Predict first.** How much?

<details class="choice" name="01-1"><summary>0 dB</summary>

**No.** It gains. **Yes.** is another answer.

</details>
<details class="choice" name="01-1"><summary>6 dB</summary>

**Yes.** Half the error.

</details>
"""
VIEW = "application/vnd.jupyter.widget-view+json"
STAMP = {"data": [{"name": "sample"}], "seeds": [3], "finished": "2026-11-27T01:02:03+00:00"}


def png(width=120, height=40):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def figure(kind="image/png", data=None, **about):
    metadata = {"deblurlib": {"artefact": "figure:seen"}, kind: {"alt": "a <cat>"} | about}
    return new_output(
        "display_data", data={"text/plain": "[figure]"} | (data or {}), metadata=metadata
    )


def cell_of(*outputs, tags=()):
    return new_code_cell("draw()", outputs=list(outputs), metadata={"tags": list(tags)})


@pytest.fixture
def shown(tmp_path):
    """``shown(*cells)``: the cells as the site has them; published pictures are in ``figures``."""
    (tmp_path / "figures").mkdir()

    def prepare(*cells, published=tmp_path / "figures"):
        page = new_notebook(cells=[new_markdown_cell("# 01 · A title\n\nText."), *cells])
        static = tmp_path / "_static"
        return reading.for_site(page, "01b", static, "figures", published)

    return prepare


def html_of(cell):
    (output,) = cell.outputs
    return output.data["text/html"]


@pytest.mark.parametrize("published", [False, True])
def test_a_figure_is_a_file_described_and_of_known_size(shown, tmp_path, published):
    if published:
        (tmp_path / "figures" / "01b_seen.png").write_bytes(png())
        page = shown(cell_of(figure()))
    else:
        data = {"image/png": base64.b64encode(png()).decode()}
        page = shown(cell_of(figure(data=data)), published=None)
    source = "../_static/figures/01b_seen.png"
    size = 'width="120" height="40"'
    image = f'<img src="{source}" alt="a &lt;cat&gt;" {size} loading="lazy">'
    assert html_of(page.cells[1]) == f'<figure class="picture">{image}</figure>'
    assert (tmp_path / "_static" / "figures" / "01b_seen.png").read_bytes() == png()


@pytest.mark.parametrize(("columns", "pieces"), [(2, 0), (3, 3), (5, 5)])
def test_a_row_of_pictures_can_be_cut_up_and_is_still_one_image(shown, tmp_path, columns, pieces):
    (tmp_path / "figures" / "01b_seen.png").write_bytes(png())
    text = html_of(shown(cell_of(figure(columns=columns))).cells[1])
    places = re.findall(r"background-position-x:([\d.]+)%", text)
    assert len(places) == pieces
    assert [float(place) for place in places[:: max(pieces - 1, 1)]] == [0, 100][: len(places)]
    assert text.count("<img ") == text.count("alt=") == 1
    assert text.count('aria-hidden="true"') == (pieces > 0)


def test_a_diagram_is_part_of_the_page_so_that_it_follows_the_theme(shown, tmp_path):
    svg = '<?xml version="1.0"?>\n<svg class="d"><path d="M0 0"/></svg>'
    (tmp_path / "figures" / "01b_seen.svg").write_text(svg)
    text = html_of(shown(cell_of(figure("image/svg+xml"))).cells[1])
    assert re.fullmatch(
        r'<figure [^>]*role="img" aria-label="a &lt;cat&gt;"><svg .*</figure>', text
    )


def test_an_explorer_stays_and_nothing_is_left_for_a_kernel(shown):
    bundle = {"text/html": "<p>flip</p>", VIEW: {}, "text/plain": "[explorer]"}
    bundle["image/png"] = base64.b64encode(png()).decode()
    explorer = new_output(
        "display_data",
        data=bundle,
        metadata={"deblurlib": {"artefact": "explorer"}, "image/png": {"alt": "a strip"}},
    )
    injected = cell_of(tags=["injected-parameters"])
    page = shown(injected, cell_of(explorer))
    assert len(page.cells) == 2
    assert html_of(page.cells[1]).startswith("<p>flip</p><noscript><figure")
    assert [*page.cells[1].outputs[0].data] == ["text/html"]


def test_an_outcome_is_folded_and_its_code_stays(shown):
    told = new_output("stream", name="stdout", text="6 dB")
    _, code, outcome = shown(cell_of(told, tags=["outcome", "hide-input"])).cells
    assert (code.source, code.outputs, code.metadata.tags) == (
        "draw()",
        [],
        ["outcome", "hide-input"],
    )
    assert outcome.outputs == [told]
    assert "hide-output" in outcome.metadata.tags
    assert outcome.metadata.mystnb.remove_code_source
    nbformat.validate(new_notebook(cells=[code, outcome]))


def test_a_choice_says_by_its_class_whether_it_is_right(shown):
    text = shown(new_markdown_cell(CHOICES)).cells[1].source
    assert re.findall(r'class="([a-z ]+)" name="01-1"><summary>(\d)', text) == [
        ("choice no", "0"),
        ("choice yes", "6"),
    ]


def test_a_run_says_what_it_is_and_leaves_out_the_published_study(shown):
    own, study = (new_output("stream", name="stdout", text=text) for text in ("own", "study"))
    page = shown(cell_of(own), cell_of(study, tags=["published"]))
    results = {"profile": "quick", "stamp": STAMP}
    reading.introduce_run(page, results, "../chapters/01b_x")
    title, note = page.cells[0].source.split("\n", 1)
    assert title == "# Your run: 01 · A title"
    for part in ("`quick`", "data sample", "seed 3", "2026-11-27", "(../chapters/01b_x.ipynb)"):
        assert part in note
    assert page.cells[1].outputs == [own]
    assert "(../chapters/01b_x.ipynb)" in page.cells[2].outputs[0].data["text/markdown"]


def test_a_run_that_stands_alone_shows_all_it_has(shown):
    study = new_output("stream", name="stdout", text="study")
    page = shown(cell_of(study, tags=["published"]))
    reading.introduce_run(page, None, None)
    assert page.cells[1].outputs == [study]
    assert "](" not in page.cells[0].source


def test_a_run_lists_the_statements_that_it_does_not_bear_out(shown):
    table = new_output(
        "display_data",
        data={"text/markdown": "| k | gain |\n| :--- | ---: |\n| motion | 1.5 |"},
        metadata={"deblurlib": {"artefact": "table:scores"}},
    )
    text = "It gains. <!-- holds: scores['motion', 'gain'] > 1 -->"
    text += " It gains much. <!-- holds: scores['motion', 'gain'] > 2 -->"
    page = shown(cell_of(table), new_markdown_cell(text))
    reading.introduce_run(page, None, "../chapters/01b_x")
    told = page.cells[0].source
    assert "Of 2 statements on numbers, 1 do not hold" in told
    assert re.findall(r"^- (.*)", told, re.MULTILINE) == ["It gains much."]


def test_there_is_a_card_for_each_page_also_for_chapters_to_come(tmp_path):
    (tmp_path / "README.md").write_text("| 02 | GAN & more | What for? | to come |\n")
    address = {"page": "chapters/01_blur", "picture": "f.png"}
    pages = [
        overview.Chapter("01", "Blur", "Why?", "published", answer="By 1 < 2.", **address),
        overview.Chapter("01b", "Undo", "How?", "changed", page="chapters/01b_undo"),
        overview.Chapter("03", "Edges", "Where?", ""),
    ]
    text = overview.cards(pages, tmp_path)
    assert re.findall(r"Chapter (\w+)", text) == ["01", "01b", "02", "03"]
    links = re.findall(r'href="([^"]*)">([^<]*)<', text)
    assert links == [("chapters/01_blur.html", "Blur"), ("chapters/01b_undo.html", "Undo")]
    assert re.findall(r'"question">([^<]*)<', text) == ["Why?", "How?", "What for?", "Where?"]
    assert re.findall(r'"answer">([^<]*)<', text) == ["By 1 &lt; 2."]
    states = [overview.STATES["changed"], "to come", overview.STATES[""]]
    assert re.findall(r'"state">([^<]*)<', text) == states
    assert "GAN &amp; more" in text


def test_the_picture_of_a_card_is_the_first_row_of_the_result_without_titles(tmp_path):
    figure = Image.new("RGB", (200, 160), "white")
    for box, colour in {
        (80, 5, 110, 12): "black",  # a title
        (10, 20, 90, 60): "red",
        (110, 20, 190, 60): "red",
        (10, 80, 190, 150): "blue",
    }.items():
        figure.paste(colour, box)
    figures = tmp_path / "_static" / "figures"
    figures.mkdir(parents=True)
    figure.save(figures / "01_result.png")
    address = overview.thumbnail("01", ["figure:first"], figures)
    assert Image.open(tmp_path / address).size == (180, 40)
    blank = Image.new("RGB", (50, 40), "white")
    assert overview.first_row(blank).size == blank.size
    assert overview.thumbnail("02", ["figure:first"], figures) is None
