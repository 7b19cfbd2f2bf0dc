"""Prepare executed notebooks for their readers: figures as files, folds, choices, no scaffolding.

A figure is an output that names itself (``figure:NAME``). Its picture comes from the output, or,
of a published page, from ``figures/KEY_NAME.png`` or ``.svg``.
"""

from __future__ import annotations

import base64
import html
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat

from . import stamp

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SCAFFOLDING = {"injected-parameters", "papermill-error-cell-tag"}  # papermill's tags
PICTURES = {"image/svg+xml": ".svg", "image/png": ".png"}
STACKED = 3  # columns from which on a figure is cut up and stacked on a telephone
CHOICE = re.compile(r'<details class="choice"(?=[^>]*>.*?</summary>\s*\*\*(Yes|No|Nearly)\.)', re.S)


def for_reading(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out of an executed notebook what only a kernel or papermill needs."""
    executed.cells = [c for c in executed.cells if not SCAFFOLDING & _tags(c)]
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    executed.metadata.pop("widgets", None)
    return executed


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

    def place(name: str, output: nbformat.NotebookNode) -> str | None:
        found = _picture(output, published / f"{key}_{name}" if published else None)
        if found is None:
            return None
        suffix, data = found
        if suffix == ".svg":
            return _diagram(data.decode("utf-8"), _alt(output))
        (static / folder / f"{key}_{name}.png").write_bytes(data)
        source = f"../{static.name}/{folder}/{key}_{name}.png"
        columns = output.metadata.get("image/png", {}).get("columns", 1)
        return _image(source, data, _alt(output), columns)

    page = for_reading(executed)
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = CHOICE.sub(lambda m: f'{m[0][:-1]} {m[1].lower()}"', cell.source)
        else:
            cell["outputs"] = [_shown(output, place) for output in cell.get("outputs", [])]
    page.cells = [part for cell in page.cells for part in _outcome_apart(cell)]
    return page


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
    shown = f"*The published study is on [the chapter's page]({link}.ipynb).*"
    for cell in page.cells:
        if link and "published" in _tags(cell) and cell.get("outputs"):
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": shown})]


def key_of(notebook: Path) -> str:
    """The key of a page, from its notebook's name: ``01`` or ``01b``."""
    return notebook.name.partition("_")[0]


def below_stamp(page: nbformat.NotebookNode, text: str) -> None:
    """Put a paragraph in Markdown below a page's stamp, or, where it has none, below its title."""
    if not any(stamp.TAG in _tags(cell) for cell in page.cells):
        tags = {"tags": [stamp.TAG]}
        page.cells.insert(1, nbformat.v4.new_markdown_cell("", id="stamp", metadata=tags))
    stamp.add(page, text)


def _tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _shown(
    output: nbformat.NotebookNode, place: Callable[[str, nbformat.NotebookNode], str | None]
) -> nbformat.NotebookNode:
    """The output; of one that is a figure, the HTML that shows it."""
    artefact = output.get("metadata", {}).get("deblurlib", {}).get("artefact", "")
    if artefact.startswith("figure:"):
        shown = place(artefact.removeprefix("figure:"), output)
        if shown:
            return nbformat.v4.new_output("display_data", data={"text/html": shown})
    if artefact == "explorer" and "text/html" in output.data:
        strip = place(artefact, output)
        shown = output.data["text/html"] + (f"<noscript>{strip}</noscript>" if strip else "")
        return nbformat.v4.new_output("display_data", data={"text/html": shown})
    return output


def _picture(output: nbformat.NotebookNode, beside: Path | None) -> tuple[str, bytes] | None:
    """The suffix and the bytes of an output's picture; ``beside``: its file, without a suffix."""
    for mime, suffix in PICTURES.items():
        if mime in output.data:
            data = output.data[mime]
            return suffix, data.encode() if suffix == ".svg" else base64.b64decode(data)
    for suffix in PICTURES.values():
        file = beside and beside.with_name(beside.name + suffix)
        if file and file.exists():
            return suffix, file.read_bytes()
    return None


def _alt(output: nbformat.NotebookNode) -> str:
    found = (output.metadata.get(mime, {}).get("alt") for mime in PICTURES)
    return html.escape(next(filter(None, found), ""))


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
