"""Build the HTML site with Sphinx and MyST-NB: start page, chapters, guides, API reference.

A chapter's page is its published page, whether or not the chapter was executed now. What was
executed is a page of its own, ``your-run/KEY_name``; of a chapter that is not published, the run is
the chapter's page. Nothing on a page is fetched from a network: the formulas' MathJax is copied
into the site, and explorers are self-contained.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import nbformat

from ..errors import InputError, not_installed
from . import answers, gallery, leaderboard, ledger, overview, pages, reading, state, verdicts
from .execute import Execution, find_chapters
from .keys import key_of

PICTURES = "pictures"  # the folder of a page's pictures, beside it
CHAPTERS, RUNS = "chapters", "your-run"  # the folders of pages
STATIC = "_static"
#: what builds it: packages of the extra ``site``, as they are imported
PACKAGES = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_gallery", "sphinx-mathjax-offline")


def build(executions: Sequence[Execution], root: Path, out: Path, examples: bool = True) -> Path:
    """Render all published chapters and the executed ones with ``docs/``; return the start page.

    Args:
        root: the checkout.
        out: the build folder; the site goes to ``out/site`` and replaces an earlier one.
        examples: execute those of ``docs/examples`` that have changed, or whose library has; else
            they are shown without what they print and draw.

    Raises:
        InputError: Sphinx is not installed or failed, or an example did; the message holds what
            was said.
    """
    check_installed()
    source, kept = out / "site-source", out / "site-examples"
    gallery.keep(source, kept)
    shutil.rmtree(source, ignore_errors=True)
    copy_pages(root, source)
    if examples:
        gallery.bring_back(kept, source)
    for folder in (CHAPTERS, RUNS):
        (source / folder).mkdir()
    by_notebook = {e.notebook.name: e for e in executions if e.copy.exists()}
    notebooks = {path.name: path for path in find_chapters([], root)}
    notebooks |= {name: execution.notebook for name, execution in by_notebook.items()}
    told = answers.of_pages(root)
    chapters = [
        write_chapter(notebooks[name], by_notebook.get(name), root, source, told)
        for name in sorted(notebooks)
    ]
    (source / "cards.md").write_text(overview.cards(chapters, root), "utf-8")
    (source / "published.md").write_text(overview.published(chapters), "utf-8")
    documents = {chapter.key: chapter.page for chapter in chapters if chapter.page}
    (source / "claims.md").write_text(verdicts.page(ledger.read(root), documents), "utf-8")
    withdrawn = any(page.key == "07" and page.state == "changed" for page in chapters)
    lines = None if withdrawn else leaderboard.read_lines(root)
    (source / "leaderboard.md").write_text(leaderboard.page(lines, root), "utf-8")
    site = out / "site"
    shutil.rmtree(site, ignore_errors=True)
    run_sphinx(source, site, examples)
    return site / "index.html"


def run_sphinx(source: Path, site: Path, examples: bool) -> None:
    """Make HTML of a folder of pages; arguments and errors as of :func:`build`."""
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(source), str(site)]
    command += [] if examples else ["-D", "plot_gallery=0"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        failed = re.findall(r"(plot_\w+\.py)\S* failed leaving traceback", said)
        what = f"the example {failed[0]} failed" if failed else "it could not be built"
        raise InputError(f"the site: {what}:\n{said}")
    if done.stderr.strip():
        print(done.stderr.strip(), file=sys.stderr)


def check_installed() -> None:
    """Raise an :class:`InputError` unless all that builds a site is installed."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise not_installed("the site (--no-site does without)", package, "site")


def copy_pages(root: Path, source: Path) -> None:
    """Copy the project's pages that are no chapters, and their pictures, into one new folder."""
    shutil.copytree(root / "docs", source)
    for name in ("SOURCES.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(root / name, source / name)
    weights = root / "deblurlib" / "weights"
    pages = {"data.md": root / "data" / "README.md"}
    pages |= {"speed.md": root / "benchmarks" / "results" / "README.md"}
    pages |= {"model-card.md": weights / "srn" / "README.md"}
    others = [path.parent for path in weights.glob("*/card.json") if path.parent.name != "srn"]
    pages |= {f"{folder.name}-card.md": folder / "README.md" for folder in others}
    # in the repository, pages link to these where they lie
    places = {f"../{path.relative_to(root).as_posix()}": page for page, path in pages.items()}
    for page in source.glob("*.md"):
        text = page.read_text("utf-8")
        for link, title in places.items():
            text = text.replace(f"]({link})", f"]({title})")
        page.write_text(text, "utf-8")
    for named, path in pages.items():
        shutil.copy(path, source / named)
        if (path.parent / PICTURES).exists():  # a page names them from where it lies
            shutil.copytree(path.parent / PICTURES, source / PICTURES, dirs_exist_ok=True)
    shutil.copy(root / "CITATION.cff", source / STATIC / "CITATION.cff")


def write_chapter(
    notebook: Path,
    execution: Execution | None,
    root: Path,
    source: Path,
    told: Mapping[str, str],
) -> overview.Chapter:
    """Write a notebook's pages, as many as there are, and the files that they hand out.

    Args:
        told: page's key -> what it answers to its question, see :func:`answers.of_pages`.

    Returns:
        What the start page and the page of results say of it.
    """
    about = nbformat.read(notebook, as_version=4).metadata["deblurlib"]
    key, name = key_of(notebook), notebook.stem
    static = source / STATIC
    page, stored = state.published(notebook, root), pages.published_page(notebook, root)
    published = page is not None and stored is not None
    changed = page is not None and stored is not None and page.state.word == "changed"
    fields = {
        "page": f"{CHAPTERS}/{name}" if published or execution else None,
        "run": f"{RUNS}/{name}" if published and execution else None,
    }
    files = overview.copy_files(notebook, root, static)
    if page is not None and changed:
        text = overview.withdrawn(about["title"], key, page.state, fields["run"])
        (source / CHAPTERS / f"{name}.md").write_text(text, "utf-8")
    elif page is not None and stored is not None:
        shown = reading.for_site(stored, key, static, "figures", root / "figures")
        own = f" Another page shows [your run](../{RUNS}/{name}.ipynb)." if execution else ""
        reading.below_stamp(shown, page.sentence + own)
        reading.below_stamp(shown, overview.links_of(files))
        nbformat.write(shown, source / CHAPTERS / notebook.name)
    if execution:
        executed = nbformat.read(execution.copy, as_version=4)
        shown = reading.for_site(executed, key, static, f"figures/{RUNS}", None)
        chapter = f"../{CHAPTERS}/{name}" if published and not changed else None
        reading.introduce_run(shown, execution.results, chapter)
        if not published:
            reading.below_stamp(shown, overview.links_of(files))
        nbformat.write(shown, source / (RUNS if published else CHAPTERS) / notebook.name)
    word = "changed" if changed else "published" if published else "run" if execution else ""
    fields["picture"] = overview.thumbnail(key, about["artefacts"], static / "figures")
    fields["answer"] = told.get(key) if word == "published" else None
    return overview.Chapter(key, about["title"], about["question"], word, files=files, **fields)
