"""Publish a chapter: write its page, results and figures into the repository.

Only this module writes ``reports/NN_name.md``, ``reports/results/NN.json``, ``NN_rows.csv.gz``,
``NN_timings.json``, ``NN_proof.json``, what an archive keeps (:mod:`deblurlib.studies.archive`) and
``figures/NN_*.png``. Everything is made in a scratch folder first. Then the files that are new, or
say something else than the published ones (:mod:`deblurlib.report.sameness`), are moved to their
places. So a failure changes nothing, and a publication that comes to the same only notes in
``NN.json``, as ``confirmed``, which code came to it, and when.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from ..errors import InputError
from ..runs import Recipe
from . import proofs, sameness
from .execute import Execution
from .results import write_archive, write_files
from .site import for_reading

PUBLISHABLE = ("report", "full")  # profiles
#: endings of the files that hold what a chapter measured
MEASURED = (".json", "_rows.csv.gz", "_history.csv.gz", "_pictures.npz")


def check_profile(profile: str) -> None:
    """Raise an :class:`InputError` if a profile's results are too small to be published."""
    if profile not in PUBLISHABLE:
        raise InputError(
            f"profile {profile!r} is not for publishing; use {' or '.join(PUBLISHABLE)}"
        )


def publish(execution: Execution, root: Path) -> list[Path]:
    """Publish an executed chapter's page, results and figures; return the files that were written.

    Raises:
        InputError: the run failed or recorded no results, or was made with another profile.
    """
    if execution.error or execution.results is None:
        reason = (execution.error or "it recorded no results").split("\n")[0]
        raise InputError(f"chapter {execution.chapter} is not published: {reason}")
    check_profile(execution.results["profile"])
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        new_root = Path(scratch)
        for folder in ("reports/results", "figures"):
            (new_root / folder).mkdir(parents=True)
        executed = nbformat.read(execution.copy, as_version=4)
        sources = {line for cell in executed.cells for line in cell.source.split("\n")}
        page = render(executed, execution.chapter, new_root / "figures")
        (new_root / "reports" / f"{execution.notebook.stem}.md").write_text(page, "utf-8")
        folder = new_root / "reports" / "results"
        write_files(folder, execution.results, execution.rows, execution.timings, strict=True)
        write_archive(folder.parent, execution.chapter, execution.archive)
        _prove(execution, root, folder)
        stale = _no_longer_made(new_root, root, execution.chapter)
        _drop_what_is_the_same(new_root, root, execution, sources)
        written = []
        files = [path for path in new_root.rglob("*") if path.is_file()]
        last = f"{execution.chapter}.json"  # moved last, for it says what the others belong to
        for path in sorted(files, key=lambda path: (path.name == last, path)):
            target = root / path.relative_to(new_root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
            written.append(target)
        for path in stale:
            path.unlink()
    return written


def _prove(execution: Execution, root: Path, folder: Path) -> None:
    """Write the proof of the new results, unless the old one comes out the same with them."""
    path = folder / f"{execution.chapter}_proof.json"
    old = root / path.relative_to(folder.parents[1])
    recipes = [Recipe.from_json(text) for text in execution.archive.get("recipes", ())]
    new = {"results": execution.results, "rows": execution.rows, "recipes": recipes}
    if old.exists() and _holds(execution.notebook, old, new):
        return
    contents = proofs.make(execution.notebook, execution.results, execution.rows, recipes)
    path.write_text(proofs.to_text(contents), "utf-8")


def _holds(notebook: Path, old: Path, new: Mapping) -> bool:
    try:
        old_proof = json.loads(old.read_text("utf-8"))
        return proofs.still_holds(notebook, old_proof, new, old.parent)
    except (ValueError, KeyError, TypeError):  # damaged, or of an older form: made anew
        return False


def _no_longer_made(new_root: Path, root: Path, chapter: str) -> list[Path]:
    """The chapter's published files, such as figures, that this publication no longer makes."""
    published = [*(root / "figures").glob(f"{chapter}_*")]
    results = root / "reports" / "results"
    published += (results / f"{chapter}{end}" for end in ("_timings.json", *MEASURED[2:]))
    published += (p for p in (root / "reports" / "weights" / chapter).rglob("*") if p.is_file())
    return [p for p in published if p.exists() and not (new_root / p.relative_to(root)).exists()]


def _drop_what_is_the_same(
    new_root: Path, root: Path, execution: Execution, sources: Collection[str]
) -> None:
    """Delete those of the new files that say the same as the published ones."""
    page = Path("reports", f"{execution.notebook.stem}.md")
    names = {path.relative_to(new_root) for path in new_root.rglob("*") if path.is_file()}
    same = {name for name in names if _is_same(root / name, new_root / name, sources)}
    measured = [Path("reports", "results", execution.chapter + ending) for ending in MEASURED]
    results, timings = measured[0], Path("reports", "results", f"{execution.chapter}_timings.json")
    if all(name in same for name in measured if name in names):
        if (root / timings).exists():
            same |= {timings} & names  # times alone differ between any two executions
    else:
        same -= {results, page, timings}  # the stamp on them is that of what was measured now
    for name in same:
        (new_root / name).unlink()
    if results in same:
        stamp = execution.results["stamp"]
        entry = {"code": stamp["code"], "commit": stamp["commit"], "date": stamp["finished"][:10]}
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
    texts = [data.decode("utf-8", "replace") for data in pair]
    if new.suffix == ".md":
        return sameness.same_page(*texts, exactly=sources)
    return sameness.same_results(*texts)


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
    """The cell; if it is tagged ``hide-input``, its code folded up, and then its outputs."""
    if cell.cell_type != "code" or "hide-input" not in cell.metadata.get("tags", []):
        return [cell]
    code = f"<details><summary>Code</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
    cell.metadata["transient"] = {"remove_source": True}  # nbconvert's templates read it
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
