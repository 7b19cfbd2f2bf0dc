"""Publishing a chapter: its page, results and figures, into the repository.

This alone writes ``reports/NN_name.md``, ``reports/results/NN.json``, ``NN_rows.csv`` and
``figures/NN_*.png``. Everything is made in a scratch folder and then moved, so a failure leaves
what was there before.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from ..errors import InputError
from .execute import Outcome
from .results import to_csv
from .site import for_reading

PROFILES = ("report", "full")


def check_profile(profile: str) -> None:
    """Only results of a size that means something are published."""
    if profile not in PROFILES:
        raise InputError(f"profile {profile!r} is not for publishing; use {' or '.join(PROFILES)}")


def publish(outcome: Outcome, root: Path) -> list[Path]:
    """Write an executed chapter's page, results and figures; return the files.

    Raises:
        InputError: the run failed or recorded no results, or was made with another profile.
    """
    if outcome.error or outcome.results is None:
        reason = (outcome.error or "it recorded no results").split("\n")[0]
        raise InputError(f"chapter {outcome.chapter} is not published: {reason}")
    check_profile(outcome.results["profile"])
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        made = Path(scratch)
        for folder in ("reports/results", "figures"):
            (made / folder).mkdir(parents=True)
        page = render(nbformat.read(outcome.copy, as_version=4), outcome.chapter, made / "figures")
        (made / "reports" / f"{outcome.notebook.stem}.md").write_text(page, "utf-8")
        text = json.dumps(outcome.results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        results = made / "reports" / "results"
        (results / f"{outcome.chapter}.json").write_text(text, "utf-8")
        (results / f"{outcome.chapter}_rows.csv").write_text(to_csv(outcome.rows), "utf-8")
        for stale in (root / "figures").glob(f"{outcome.chapter}_*"):
            stale.unlink()
        written = []
        for path in sorted(p for p in made.rglob("*") if p.is_file()):
            target = root / path.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
            written.append(target)
    return written


def render(executed: nbformat.NotebookNode, chapter: str, figures: Path) -> str:
    """An executed chapter as Markdown; its named figures are written to the folder ``figures``."""
    page = for_reading(executed)
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = [_as_markdown(o, chapter, figures) for o in cell.outputs]
    page.cells = [part for cell in page.cells for part in _folded(cell)]
    body, _ = MarkdownExporter().from_notebook_node(page)
    return body.strip() + "\n"


def _folded(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code of a cell tagged ``hide-input``, to be unfolded by the reader; then its outputs."""
    if cell.cell_type != "code" or "hide-input" not in cell.metadata.get("tags", []):
        return [cell]
    code = f"<details><summary>Code</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
    cell.metadata["transient"] = {"remove_source": True}  # a word of nbconvert's templates
    return [nbformat.v4.new_markdown_cell(code), cell]


def _as_markdown(
    output: nbformat.NotebookNode, chapter: str, figures: Path
) -> nbformat.NotebookNode:
    artefact = output.get("metadata", {}).get("deblurlib", {}).get("artefact", "")
    if "image/png" not in output.get("data", {}):
        return output
    name = f"{chapter}_{artefact.removeprefix('figure:')}.png"
    (figures / name).write_bytes(base64.b64decode(output.data["image/png"]))
    text = f"![{output.metadata['image/png']['alt']}](../figures/{name})"
    if artefact == "explorer":
        text += "\n\n*Some of the explorer's positions; in JupyterLab it is live.*"
    return nbformat.v4.new_output("display_data", data={"text/markdown": text})
