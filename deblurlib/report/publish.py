"""Publish a page: write it, its results and its figures into the repository.

Only this module writes ``reports/KEY_name.ipynb`` and ``KEY_name.md`` (:mod:`.pages`),
``reports/results/KEY.json``, ``KEY_rows.csv.gz``, ``KEY_timings.json``, ``KEY_proof.json``, what an
archive keeps (:mod:`deblurlib.studies.archive`) and ``figures/KEY_*``. Everything is made in a
scratch folder first. Then the files that are new, or say something else than the published ones
(:mod:`deblurlib.report.sameness`), are moved to their places. So a failure changes nothing, and a
publication that comes to the same only notes in ``KEY.json``, as ``confirmed``, which code came to
it, and when. A page whose study was loaded, not measured, is published without results.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat

from ..errors import InputError
from ..runs import Recipe
from . import pages, proofs, sameness, stamp
from .execute import Execution, missing_artefacts
from .keys import key_of
from .results import write_archive, write_files
from .statements import statements

PUBLISHABLE = ("report", "full")  # profiles
#: endings of the files that hold what a page measured
MEASURED = (".json", "_rows.csv.gz", "_history.csv.gz", "_pictures.npz")


def check_profile(profile: str) -> None:
    """Raise an :class:`InputError` if a profile's results are too small to be published."""
    if profile not in PUBLISHABLE:
        raise InputError(
            f"profile {profile!r} is not for publishing; use {' or '.join(PUBLISHABLE)}"
        )


def publish(execution: Execution, root: Path) -> list[Path]:
    """Publish an executed page, its results and figures; return the files that were written.

    Raises:
        InputError: the run failed or recorded no results, or was made with another profile; a
            statement of the text does not hold; what was loaded, not measured, is not published.
    """
    key = execution.chapter
    if execution.error or execution.results is None:
        reason = (execution.error or "it recorded no results").split("\n")[0]
        raise InputError(f"page {key} is not published: {reason}")
    check_profile(execution.results["profile"])
    executed = nbformat.read(execution.copy, as_version=4)
    if not execution.measured:
        earlier = _published_results(execution, root)
        stamp.say_what_was_loaded(executed, execution.results, earlier)
    with _scratch(root) as new_root:
        page = pages.to_store(executed, key, new_root / "figures")
        _write_page(page, execution.notebook, new_root)
        folder = new_root / "reports" / "results"
        write_archive(folder.parent, key, execution.archive)
        if execution.measured:
            write_files(folder, execution.results, execution.rows, execution.timings, strict=True)
            _prove(execution, root, folder)
        stale = _no_longer_made(new_root, root, execution)
        _drop_what_is_the_same(new_root, root, execution, _lines(page))
        written = _move(new_root, root, last=f"{key}.json")  # it says what the others belong to
        for path in stale:
            path.unlink()
    return written


def replace_text(notebook: Path, root: Path) -> list[Path]:
    """Put the text of today's notebook into its published page; return the files that were written.

    Raises:
        InputError: nothing is published, the notebook's code is another one, or a statement of the
            text does not hold.
    """
    key = key_of(notebook)
    page = pages.published_page(notebook, root)
    if page is None:
        raise InputError(f"no executed page {key} is published; deblur publish {key} executes it")
    page = pages.with_text_of(page, notebook)
    if missing := missing_artefacts(page):
        raise InputError(f"page {key} is not published: {missing}")
    with _scratch(root) as new_root:
        _write_page(page, notebook, new_root)
        for new in (new_root / "reports").glob("*_*"):
            if _is_same(root / new.relative_to(new_root), new, _lines(page)):
                new.unlink()
        return _move(new_root, root)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder beside what is published, to be filled first."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        for folder in ("reports/results", "figures"):
            (Path(scratch) / folder).mkdir(parents=True)
        yield Path(scratch)


def _write_page(page: nbformat.NotebookNode, notebook: Path, new_root: Path) -> None:
    """Write a page as notebook and as Markdown, unless its text says what its tables do not."""
    key, path = key_of(notebook), new_root / "reports" / notebook.name
    for statement in statements(page):
        if not statement.holds:
            fault = f"{statement.text!r} does not hold ({statement.expression}: {statement.why})"
            raise InputError(f"page {key} is not published: {fault}")
    nbformat.write(page, path)
    path.with_suffix(".md").write_text(pages.to_markdown(page, key), "utf-8")


def _lines(page: nbformat.NotebookNode) -> set[str]:
    """The lines that an author wrote."""
    return {line for cell in page.cells for line in cell.source.split("\n")}


def _move(new_root: Path, root: Path, last: str = "") -> list[Path]:
    """Move the files of a scratch folder to their places; return these."""
    written = []
    files = [path for path in new_root.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.name == last, path)):
        target = root / path.relative_to(new_root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        written.append(target)
    return written


def _published_results(execution: Execution, root: Path) -> dict:
    """The results that an execution has loaded and shown."""
    key, profile = execution.chapter, execution.recorded["profile"]
    path = root / "reports" / "results" / f"{key}.json"
    if not path.exists():
        raise InputError(f"page {key} is not published: it loads results, and there are none")
    published = json.loads(path.read_text("utf-8"))
    if published["profile"] != profile:
        fault = f"profile {profile!r}, but its results are of {published['profile']!r}"
        raise InputError(f"page {key} is not published: it was executed with {fault}")
    return published


def _prove(execution: Execution, root: Path, folder: Path) -> None:
    """Write the proof of the new results, unless the old one comes out the same with them."""
    path = folder / f"{execution.chapter}_proof.json"
    old = root / path.relative_to(folder.parents[1])
    recipes = [Recipe.from_json(text) for text in execution.archive.get("recipes", ())]
    new = {"results": execution.results, "rows": execution.rows, "recipes": recipes}
    if old.exists() and _holds(execution.notebook, old, new):
        return
    contents = proofs.make(execution.notebook, execution.recorded, execution.rows, recipes)
    path.write_text(proofs.to_text(contents), "utf-8")


def _holds(notebook: Path, old: Path, new: Mapping) -> bool:
    try:
        old_proof = json.loads(old.read_text("utf-8"))
        return proofs.still_holds(notebook, old_proof, new, old.parent)
    except (ValueError, KeyError, TypeError):  # damaged, or of an older form: made anew
        return False


def _no_longer_made(new_root: Path, root: Path, execution: Execution) -> list[Path]:
    """The page's published files, such as figures, that this publication no longer makes."""
    key, reports = execution.chapter, root / "reports"
    published = [*(root / "figures").glob(f"{key}_*")]
    published += (p for end in (".md", ".ipynb") for p in reports.glob(f"{key}_*{end}"))
    endings = (("_timings.json",) if execution.measured else ()) + MEASURED[2:]
    published += (reports / "results" / f"{key}{end}" for end in endings)
    published += (p for p in (reports / "weights" / key).rglob("*") if p.is_file())
    return [p for p in published if p.exists() and not (new_root / p.relative_to(root)).exists()]


def _drop_what_is_the_same(
    new_root: Path, root: Path, execution: Execution, sources: Collection[str]
) -> None:
    """Delete those of the new files that say the same as the published ones."""
    page = {Path("reports", execution.notebook.stem + end) for end in (".ipynb", ".md")}
    names = {path.relative_to(new_root) for path in new_root.rglob("*") if path.is_file()}
    same = {name for name in names if _is_same(root / name, new_root / name, sources)}
    measured = [Path("reports", "results", execution.chapter + ending) for ending in MEASURED]
    results, timings = measured[0], Path("reports", "results", f"{execution.chapter}_timings.json")
    if all(name in same for name in measured if name in names):
        if (root / timings).exists():
            same |= {timings} & names  # times alone differ between any two executions
    else:
        same -= {results, *page, timings}  # the stamp on them is that of what was measured now
    if not page <= same:
        same -= page  # both carry one stamp
    for name in same:
        (new_root / name).unlink()
    if results in same:
        made = execution.recorded["stamp"]
        entry = {"code": made["code"], "commit": made["commit"], "date": made["finished"][:10]}
        old = (root / results).read_bytes()
        new = sameness.with_entry(old.decode("utf-8"), "confirmed", entry).encode("utf-8")
        if new != old:
            (new_root / results).write_bytes(new)


def _is_same(old: Path, new: Path, sources: Collection[str]) -> bool:
    if not old.is_file():
        return False
    pair = old.read_bytes(), new.read_bytes()
    if new.suffix == ".npz":
        return sameness.same_pictures(*pair)
    if pair[0] == pair[1] or new.suffix == ".safetensors":
        return pair[0] == pair[1]
    if new.suffix == ".png":
        return sameness.same_figure(*pair)
    if new.suffix == ".gz":
        return sameness.same_rows(*pair)
    if new.suffix == ".ipynb":
        return sameness.same_notebook(*(data.decode("utf-8", "replace") for data in pair))
    before, after = (data.decode("utf-8", "replace") for data in pair)
    if new.suffix == ".md":
        return sameness.same_page(before, after, exactly=sources)
    if new.suffix == ".svg":
        return sameness.same_text(before, after)
    return sameness.same_results(before, after)
