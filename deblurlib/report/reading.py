"""Prepare executed notebooks for their readers: figures as files, folds, choices, no scaffolding.

A figure's picture comes from its output, or, of a published page, from the folder ``figures/``.
"""

from __future__ import annotations

import base64
import html
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat

from . import pages, stamp
from .statements import statements

STACKED = 3  # columns from which on a figure is cut up and stacked on a telephone
CHOICE = re.compile(r'<details class="choice"(?=[^>]*>.*?</summary>\s*\*\*(Yes|No|Nearly)\.)', re.S)


def for_site(
    executed: nbformat.NotebookNode, key: str, static: Path, folder: str, published: Path | None
) -> nbformat.NotebookNode:
    """Prepare a notebook for a page of the site, one folder below its root.

    Args:
        executed: a published page, or an executed copy.
        key: of the page, as ``"01b"``.
        static: the site's folder of files that are copied as they are.
        folder: below ``static``: where the page's pictures go.
        published: the folder of pictures whose outputs are not in the notebook; ``None`` of a run.

    Returns:
        The notebook: each figure a file that its output shows by HTML of its own, an explorer
        without its strip; cells tagged ``outcome`` fold their outputs; choices say by a class
        (``yes``, ``no``, ``nearly``) what they are.
    """
    (static / folder).mkdir(parents=True, exist_ok=True)

    def place(output: nbformat.NotebookNode) -> str | None:
        figure = pages.figure_of(output, key)
        if not figure:
            return None
        name, alt = figure
        data = _picture(output, published and published / name)
        if not data:
            return None
        if name.endswith(".svg"):
            return _diagram(data.decode("utf-8"), html.escape(alt))
        (static / folder / name).write_bytes(data)
        columns = output.metadata.get("image/png", {}).get("columns", 1)
        return _image(f"../{static.name}/{folder}/{name}", data, html.escape(alt), columns)

    executed.cells = [cell for cell in executed.cells if not pages.ADDED & _tags(cell)]
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            cell.source = CHOICE.sub(lambda m: f'{m[0][:-1]} {m[1].lower()}"', cell.source)
        else:
            cell["outputs"] = [_shown(output, place) for output in cell.get("outputs", [])]
    executed.cells = [part for cell in executed.cells for part in _outcome_apart(cell)]
    executed.metadata.pop("widgets", None)
    return executed


def introduce_run(page: nbformat.NotebookNode, results: Mapping | None, link: str | None) -> None:
    """Say on the page of a reader's own run what it is; the published study stays out of it.

    Args:
        page: prepared by :func:`for_site`.
        results: what the run recorded; ``None`` if it failed before.
        link: to the chapter's published page; ``None`` if there is none.
    """
    line = "This is what your machine computed"
    if results:
        made = results["stamp"]
        data = " and ".join(sorted({d["name"] for d in made["data"]}))
        seeds = ", ".join(str(seed) for seed in made["seeds"])
        line += f": profile `{results['profile']}`, data {data}, seed {seeds}, "
        line += made["finished"][:10]
    line += ". Its numbers differ from those that the text was written for"
    line += f", which are on [the chapter's page]({link}.ipynb)." if link else "."
    title, _, text = page.cells[0].source.partition("\n")
    title = re.sub("^# ", "# Your run: ", title)
    note = f":::{{admonition}} Your run\n:class: note\n{line}\n:::"
    page.cells[0].source = f"{title}\n\n{note}\n{text}"
    page.cells[0].source += _do_not_hold(page)
    shown = f"*The published study is on [the chapter's page]({link}.ipynb).*"
    for cell in page.cells:
        if link and "published" in _tags(cell) and cell.get("outputs"):
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": shown})]


def _do_not_hold(page: nbformat.NotebookNode) -> str:
    """The sentences that a run's tables do not bear out, in Markdown."""
    found = statements(page)
    failing = [" ".join(statement.text.split()) for statement in found if not statement.holds]
    if not failing:
        return ""
    title = f"Of {len(found)} statements on numbers, {len(failing)} do not hold in this run"
    items = "\n".join(f"- {text}" for text in failing)
    return f"\n\n<details><summary>{title}</summary>\n\n{items}\n\n</details>"


def below_stamp(page: nbformat.NotebookNode, text: str) -> None:
    """Put a paragraph in Markdown below a page's stamp, or, where it has none, below its title."""
    if not any(stamp.TAG in _tags(cell) for cell in page.cells):
        tags = {"tags": [stamp.TAG]}
        page.cells.insert(1, nbformat.v4.new_markdown_cell("", id="stamp", metadata=tags))
    stamp.add(page, text)


def _tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _shown(
    output: nbformat.NotebookNode, place: Callable[[nbformat.NotebookNode], str | None]
) -> nbformat.NotebookNode:
    """The output; of one that is a picture or an explorer, the HTML that shows it."""
    shown = place(output)
    if "text/html" in output.get("data", {}) and pages.artefact_of(output) == "explorer":
        shown = output.data["text/html"] + (f"<noscript>{shown}</noscript>" if shown else "")
    return nbformat.v4.new_output("display_data", {"text/html": shown}) if shown else output


def _picture(output: nbformat.NotebookNode, file: Path | None) -> bytes | None:
    """The picture of an output that has one, else of a file that is there."""
    if "image/svg+xml" in output.data:
        return output.data["image/svg+xml"].encode("utf-8")
    if "image/png" in output.data:
        return base64.b64decode(output.data["image/png"])
    return file.read_bytes() if file and file.exists() else None


def _diagram(svg: str, alt: str) -> str:
    """An SVG as part of the page, so that it takes on the page's colours."""
    svg = svg[max(svg.find("<svg"), 0) :]
    return f'<figure class="diagram" role="img" aria-label="{alt}">{svg}</figure>'


def _image(source: str, data: bytes, alt: str, columns: int) -> str:
    """A PNG; one of several columns is there a second time, cut up, for a narrow screen."""
    width, height = struct.unpack(">II", data[16:24])  # a PNG's header
    size = f'width="{width}" height="{height}"'
    image = f'<img src="{source}" alt="{alt}" {size} loading="lazy">'
    if columns < STACKED:
        return f'<figure class="picture">{image}</figure>'
    side = f"aspect-ratio:{width / columns:.0f}/{height};background-size:{columns}00% 100%"
    pieces = "".join(
        f"<span style=\"background-image:url('{source}');{side};"
        f'background-position-x:{100 * i / (columns - 1):.2f}%"></span>'
        for i in range(columns)
    )
    # a screen reader is told of one image: the pieces are hidden from it
    row = "pieces pairs" if columns > STACKED else "pieces"
    return (
        f'<figure class="picture stacks">{image}'
        f'<span class="{row}" aria-hidden="true">{pieces}</span></figure>'
    )


def _outcome_apart(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cell; if it is tagged ``outcome``, its code, and then its outputs, folded."""
    if cell.cell_type != "code" or "outcome" not in _tags(cell) or not cell.outputs:
        return [cell]
    # with its source, which is not shown: MyST-NB leaves out cells that have none
    outcome = nbformat.v4.new_code_cell(cell.source, outputs=cell.outputs, id=f"{cell.id[:56]}-out")
    outcome.metadata = nbformat.from_dict(
        {
            "tags": ["outcome", "hide-output"],
            "mystnb": {
                "remove_code_source": True,
                "code_prompt_show": "Show the outcome",
                "code_prompt_hide": "Hide the outcome",
            },
        }
    )
    cell.outputs = []
    return [cell, outcome]
