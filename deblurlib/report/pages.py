"""A page as it is published: the executed notebook without its pictures, and that as Markdown.

Pictures lie beside it, as ``figures/KEY_NAME.png`` or ``.svg``. Of an executed notebook everything
is left out that differs between two equal executions: counts, times, live views.
"""

from __future__ import annotations

import base64
import copy
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from .. import fingerprint
from ..errors import InputError
from .keys import key_of
from .results import MIME
from .stamp import TAG

#: what a picture is stored as, the first one that an output has
PICTURES = {"image/svg+xml": ".svg", "image/png": ".png"}
NOT_STORED = (*PICTURES, MIME, "application/vnd.jupyter.widget-view+json")
#: tags of the cells that papermill adds; the stamp says the same
ADDED = {"injected-parameters", "papermill-error-cell-tag"}


def published_page(notebook: Path, root: Path) -> nbformat.NotebookNode | None:
    """The published page of a notebook, executed and without its pictures; ``None``: there is none.

    Where its pictures are, :func:`figure_of` says.

    Raises:
        InputError: it cannot be read.
    """
    path = root / "reports" / notebook.name
    if not path.is_file():
        return None
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def artefact_of(output: nbformat.NotebookNode) -> str:
    """The name under which a cell's output was put on the page, such as ``table:scores``."""
    return output.get("metadata", {}).get("deblurlib", {}).get("artefact", "")


def figure_of(output: nbformat.NotebookNode, key: str) -> tuple[str, str] | None:
    """The file in ``figures/`` of an output's picture, and its description; ``None`` without one.

    Args:
        output: of an executed notebook, or of a published page.
    """
    about, artefact = output.get("metadata", {}), artefact_of(output)
    for kind, ending in PICTURES.items():
        if artefact and "alt" in about.get(kind, {}):
            return f"{key}_{artefact.removeprefix('figure:')}{ending}", about[kind]["alt"]
    return None


def to_store(executed: nbformat.NotebookNode, key: str, figures: Path) -> nbformat.NotebookNode:
    """An executed notebook as it is published; its pictures are written to the folder ``figures``.

    Raises:
        InputError: a picture has no name or no description.
    """
    page = copy.deepcopy(executed)
    page.cells = [cell for cell in page.cells if not ADDED & set(cell.metadata.get("tags", []))]
    for cell in page.cells:
        _without_counts(cell)
        for output in cell.get("outputs", []):
            if "data" in output:
                _move_picture(output, key, figures)
                output.data = {k: v for k, v in output.data.items() if k not in NOT_STORED}
    about = page.metadata.get("deblurlib", {})
    page.metadata = {
        **{k: page.metadata[k] for k in ("kernelspec",) if k in page.metadata},
        "language_info": {"name": "python"},
        "deblurlib": {k: v for k, v in about.items() if k != "stamp"},  # it is in the results
    }
    return nbformat.from_dict(page)


def _without_counts(cell: nbformat.NotebookNode) -> None:
    for name in ("papermill", "execution"):
        cell.metadata.pop(name, None)
    if not cell.metadata.get("tags", True):
        del cell.metadata["tags"]
    if cell.cell_type == "code":
        cell.execution_count = None
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = None


def _move_picture(output: nbformat.NotebookNode, key: str, figures: Path) -> None:
    kind = next((kind for kind in PICTURES if kind in output.data), None)
    if kind is None:
        return
    file = figure_of(output, key)
    if file is None or not file[0].endswith(PICTURES[kind]):
        raise InputError(f"page {key} shows a picture without name and alt; plots.emit gives both")
    content = output.data[kind]
    is_text = kind == "image/svg+xml"
    data = content.encode("utf-8") if is_text else base64.b64decode(content)
    (figures / file[0]).write_bytes(data)


def with_text_of(page: nbformat.NotebookNode, notebook: Path) -> nbformat.NotebookNode:
    """A published page with the text of today's notebook, and the outputs and stamp that it has.

    Raises:
        InputError: the notebook's code is another one.
    """
    today, key = nbformat.read(notebook, as_version=4), key_of(notebook)
    is_stamp = [TAG in cell.metadata.get("tags", []) for cell in page.cells]
    old, new = (
        [cell for cell in node.cells if cell.cell_type != "markdown"] for node in (page, today)
    )
    if [_meaning(cell) for cell in old] != [_meaning(cell) for cell in new]:
        raise InputError(
            f"page {key}: its code is not that of the published page; deblur publish {key} "
            "executes it"
        )
    for one, other in zip(old, new, strict=True):
        if other.cell_type == "code":
            other.outputs = one.outputs
        _without_counts(other)
    stamps = [cell for cell, stamp in zip(page.cells, is_stamp, strict=True) if stamp]
    today.cells[1:1] = stamps
    today.metadata["language_info"] = page.metadata["language_info"]
    return today


def _meaning(cell: nbformat.NotebookNode) -> tuple[str, str]:
    is_code = cell.cell_type == "code"
    return cell.cell_type, fingerprint.of_source(cell.source) if is_code else cell.source


def to_markdown(page: nbformat.NotebookNode, key: str) -> str:
    """A published page as Markdown for a file in ``reports/``."""
    page = copy.deepcopy(page)
    page.cells = [c for c in page.cells if "remove-cell" not in c.metadata.get("tags", [])]
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = [_as_markdown(output, key) for output in cell.outputs]
    page.cells = [part for cell in page.cells for part in _folded(cell)]
    body, _ = MarkdownExporter().from_notebook_node(page)
    return body.strip() + "\n"


def _as_markdown(output: nbformat.NotebookNode, key: str) -> nbformat.NotebookNode:
    figure = figure_of(output, key)
    if figure is None:
        return output
    name, alt = figure
    text = f"![{alt}](../figures/{name})"
    if artefact_of(output) == "explorer":
        text += "\n\n*Some of the explorer's positions; in JupyterLab it is live.*"
    return nbformat.v4.new_output("display_data", data={"text/markdown": text})


def _folded(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cell in parts: code that is tagged ``hide-input`` and outputs of one that is tagged
    ``outcome`` are folded up.
    """
    tags = cell.metadata.get("tags", [])
    if cell.cell_type != "code" or not {"hide-input", "outcome"} & set(tags):
        return [cell]
    code, outputs = nbformat.v4.new_code_cell(cell.source, metadata=dict(cell.metadata)), cell
    outputs.metadata["transient"] = {"remove_source": True}  # nbconvert's templates read it
    parts = [code, outputs] if cell.outputs else [code]
    if "hide-input" in tags:
        parts[0] = _fold("Code", f"```python\n{cell.source}\n```\n\n</details>")
    if "outcome" in tags and cell.outputs:
        end = nbformat.v4.new_markdown_cell("</details>")
        parts = [parts[0], _fold("Show the outcome"), outputs, end]
    return parts


def _fold(title: str, text: str = "") -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(f"<details><summary>{title}</summary>\n\n{text}".strip())
