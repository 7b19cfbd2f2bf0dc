"""Execute chapters with papermill, in process, and check that they keep their promises."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from ..errors import InputError
from ..parameters import check_given, of_notebook
from . import keys, stamp
from .results import MIME, validate

APART = ("rows", "timings", "archive", "measured")  # travel with the results, not among them
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # a terminal's colour codes


@dataclass(frozen=True)
class Execution:
    """How the execution of one page ended."""

    notebook: Path  # the source
    copy: Path  # the executed copy
    seconds: float
    error: str | None = None  # what went wrong, with cell and traceback; None: all well
    results: dict[str, Any] | None = None
    rows: list[dict] = field(default_factory=list)
    timings: dict = field(default_factory=dict)
    archive: dict = field(default_factory=dict)
    measured: bool = True  # False: the study that it shows was loaded from what is published

    @property
    def chapter(self) -> str:
        """The page's key, such as ``01`` or ``01b``, see :mod:`deblurlib.report.keys`."""
        return keys.key_of(self.notebook)

    @property
    def recorded(self) -> dict[str, Any]:
        """The results; an :class:`InputError` if the page recorded none."""
        if self.results is None:
            raise InputError(f"page {self.chapter} recorded no results")
        return self.results


def find_chapters(chapters: Sequence[str], root: Path) -> list[Path]:
    """The notebooks of the named chapters, in order; if none is named, of all.

    Args:
        chapters: of each, its two digits, which name all its pages; or one page's key (``"01b"``).
    """
    return keys.choose(chapters, keys.find_pages(root / "notebooks"))


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse, before a kernel starts, what the notebook itself would refuse."""
    check_given(notebook.name, of_notebook(notebook), parameters)


def run_chapter(notebook: Path, copy: Path, parameters: Mapping[str, Any]) -> Execution:
    """Execute a chapter into ``copy``, check what it produced, and stamp the copy.

    A failing chapter is an :class:`Execution` with ``error`` set, never an exception; what it had
    produced until then is in the copy.
    """
    check_parameters(notebook, parameters)
    copy.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    error = None
    # An empty folder of its own: a chapter that leans on the working directory fails at once.
    with tempfile.TemporaryDirectory() as folder:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(copy),
                parameters=dict(parameters),
                cwd=folder,
                progress_bar=False,
                request_save_on_cell_execute=False,  # it costs a fifth of a short chapter
                extra_arguments=["--log-level=ERROR"],  # the kernel talks over loopback; it warns
            )
        except PapermillExecutionError as failure:
            number = failure.cell_index + 1 - bool(parameters)  # papermill put a cell of its own in
            error = f"cell {number} raised {failure.ename}: {failure.evalue}"
            if failure.ename != InputError.__name__:  # its one sentence is all there is to say
                error += "\n" + COLOUR.sub("", "\n".join(failure.traceback))
        except Exception as failure:  # a kernel that dies or does not start
            error = f"the kernel failed: {type(failure).__name__}: {failure}"
    seconds = time.monotonic() - started
    if not copy.exists():
        return Execution(notebook, copy, seconds, error or "papermill wrote no copy")
    executed = nbformat.read(copy, as_version=4)
    executed.metadata.pop("papermill", None)  # it holds this machine's paths
    join_streams(executed)
    results, apart = find_results(executed)
    rows = apart.get("rows", [])
    error = error or missing_artefacts(executed)
    if results is not None:
        results["stamp"] |= stamp.of_run(notebook, results["stamp"]["data"], seconds)
        error = error or _fault(notebook, results, rows)
    stamp.write_on(executed, results, parameters, error)
    nbformat.write(executed, copy)
    return Execution(notebook, copy, seconds, error, results, **apart)


def join_streams(executed: nbformat.NotebookNode) -> None:
    """Join what a cell printed in a row into one output; how it was split up is chance."""
    for cell in executed.cells:
        joined: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", []):
            before: Any = joined[-1] if joined else {}
            if output.output_type == "stream" and before.get("name") == output.name:
                before.text += output.text
            else:
                joined.append(output)
        if cell.cell_type == "code":
            cell.outputs = joined


def find_results(executed: nbformat.NotebookNode) -> tuple[dict | None, dict]:
    """The results that a chapter recorded and, apart from them, its rows, timings, archive, and
    whether it measured them all; ``(None, {})`` if it recorded nothing.
    """
    for output in _outputs(executed):
        if MIME in output.get("data", {}):
            results = dict(output["data"][MIME])
            apart = {key: results.pop(key) for key in APART}
            for row in apart["rows"]:  # JSON has no infinity: a kernel writes a word for it
                row |= {k: float(v) for k, v in row.items() if v in ("inf", "-inf", "nan")}
            return results, apart
    return None, {}


def missing_artefacts(executed: nbformat.NotebookNode) -> str | None:
    """A message that names the artefacts which the metadata promise and the outputs lack.

    ``None`` if nothing is missing.
    """
    promised = executed.metadata.get("deblurlib", {}).get("artefacts", [])
    produced = {
        o.get("metadata", {}).get("deblurlib", {}).get("artefact") for o in _outputs(executed)
    }
    missing = [name for name in promised if name not in produced]
    return f"promised, but not produced: {', '.join(missing)}" if missing else None


def _fault(notebook: Path, results: dict, rows: list[dict]) -> str | None:
    try:
        validate(results, rows)
    except InputError as error:
        return f"the recorded results are not valid: {error}"
    if results["chapter"] != keys.key_of(notebook):
        return f"the recorded results are of chapter {results['chapter']}"
    return None


def _outputs(executed: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in executed.cells if cell.cell_type == "code" for o in cell.outputs]
