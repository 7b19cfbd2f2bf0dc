"""Build the HTML site with Sphinx and MyST-NB: start page, executed chapters, API reference.

Nothing on a page is fetched from a network: the formulas' MathJax is copied into the site, and
explorers are self-contained.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

from ..errors import InputError
from . import confirm, stamp
from .execute import Execution

PICTURES = "pictures"  # the folder of a page's pictures, beside it
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def build(executions: Sequence[Execution], root: Path, out: Path) -> Path:
    """Render the executed chapters with the project's ``docs/``; return the start page.

    Args:
        root: the checkout.
        out: the build folder; the site goes to ``out/site`` and replaces an earlier one.

    Raises:
        InputError: Sphinx is not installed or failed; the message holds what it said.
    """
    source = out / "site-source"
    shutil.rmtree(source, ignore_errors=True)
    copy_pages(root, source)
    chapters = source / "chapters"
    chapters.mkdir()
    for execution in executions:
        if execution.copy.exists():
            page = for_reading(nbformat.read(execution.copy, as_version=4))
            stamp.add(page, f"The published page: {published_state(execution.notebook, root)}.")
            nbformat.write(page, chapters / execution.notebook.name)
    (source / "chapter-table.md").write_text(chapter_table(executions, root), "utf-8")
    site = out / "site"
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(site)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
    )
    if done.returncode:
        raise InputError(f"the site could not be built:\n{(done.stderr or done.stdout).strip()}")
    if done.stderr.strip():
        print(done.stderr.strip(), file=sys.stderr)
    return site / "index.html"


def copy_pages(root: Path, source: Path) -> None:
    """Copy the project's pages that are no chapters, and their pictures, into one new folder."""
    shutil.copytree(root / "docs", source)
    for name in ("SOURCES.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(root / name, source / name)
    weights = root / "deblurlib" / "weights"
    pages = {"data.md": root / "data" / "README.md"}
    pages |= {"model-card.md": weights / "srn" / "README.md"}
    pages |= {"denoiser-card.md": weights / "denoiser" / "README.md"}
    # in the repository, pages link to the cards where they lie
    cards = {f"../{path.relative_to(root).as_posix()}": page for page, path in pages.items()}
    for page in source.glob("*.md"):
        text = page.read_text("utf-8")
        for link, title in cards.items():
            text = text.replace(f"]({link})", f"]({title})")
        page.write_text(text, "utf-8")
    for page, path in pages.items():
        shutil.copy(path, source / page)
        if (path.parent / PICTURES).exists():  # a page names them from where it lies
            shutil.copytree(path.parent / PICTURES, source / PICTURES, dirs_exist_ok=True)


def for_reading(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Prepare an executed chapter for the site: figures described, explorers static."""
    executed.cells = [c for c in executed.cells if not _is_scaffolding(c)]
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
    executed.metadata.pop("widgets", None)
    return executed


def _is_scaffolding(cell: nbformat.NotebookNode) -> bool:
    """Whether papermill added the cell; the stamp says the same."""
    return bool(
        {"injected-parameters", "papermill-error-cell-tag"} & set(cell.metadata.get("tags", []))
    )


def chapter_table(executions: Sequence[Execution], root: Path) -> str:
    """The start page's table in Markdown: chapter, question, time here, published state."""
    lines = [
        "| chapter | the question it answers | time here | published |",
        "| :--- | :--- | ---: | :--- |",
    ]
    for execution in executions:
        notebook = nbformat.read(execution.notebook, as_version=4)
        about = notebook.metadata["deblurlib"]
        link = f"[{execution.chapter} {about['title']}](chapters/{execution.notebook.stem})"
        took = "failed" if execution.error else f"{execution.seconds:.0f} s"
        state = published_state(execution.notebook, root)
        lines.append(f"| {link} | {about['question']} | {took} | {state} |")
    return "\n".join(lines) + "\n"


def published_state(notebook: Path, root: Path) -> str:
    """With which profile a chapter is published, and whether that still holds; or "not yet"."""
    page = confirm.published(notebook, root)
    return "not yet" if page is None else f"{page.results['profile']}, {page.state}"
