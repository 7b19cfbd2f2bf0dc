"""The proof of a chapter without trainings: a tenth of its rows, made anew by executing it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import machine
from ..errors import InputError
from ..runs.signature import differences, of_numbers
from ..studies.rows import from_csv, read_rows, to_csv
from . import execute, sameness

SHARE = 10  # one row of so many is kept
#: the columns that identify a row
SAME_ROW = ("method", "data", "channels", "degradation", "draw", "image")
Show = Callable[[str], object]  # is called with the name of what is replayed next


def some(rows: Sequence[Mapping]) -> list[dict]:
    """A random tenth of the rows, at least one, in order, without seconds, scene, run and seed."""
    count = math.ceil(len(rows) / SHARE)
    places = np.random.default_rng(0).choice(len(rows), count, replace=False)
    left_out = ("seconds", "scene", "run", "seed")
    chosen = [rows[i] for i in sorted(places)]
    return [{k: _finite(v) for k, v in row.items() if k not in left_out} for row in chosen]


def _finite(value: object) -> object:
    """The value, or ``None`` if it is not finite, such as a perfect PSNR: JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replay(notebook: Path, old: Mapping, folder: Path, show: Show) -> list[str]:
    """Execute a chapter as it was published, and name the rows and parts that have changed."""
    execution = execute_again(notebook, old, show)
    other = others(old, execution.rows)
    changed = [f"row: {', '.join(map(str, _key(row)))}" for row in other]
    rows = read_rows(folder / f"{old['chapter']}_rows.csv.gz")
    results = json.loads((folder / f"{old['chapter']}.json").read_text("utf-8"))
    published = {"rows": rows} | {part: results[part] for part in ("summary", "claims")}
    # written and read again, as the published rows were
    recorded = {"rows": from_csv(to_csv(execution.rows))} | execution.recorded
    close = sameness.in_six_digits if machine.is_alike(old["made"]["machine"]) else _elsewhere
    return changed + [
        part
        for part in published
        if not sameness.same_values(published[part], recorded[part], close)
    ]


def others(old: Mapping, rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows of a proof that are not among ``rows``, or have other numbers there."""
    alike = machine.is_alike(old["made"]["machine"])
    new_rows = {_key(row): row for row in rows}
    return [
        row
        for row in old["rows"]
        if _key(row) not in new_rows or _is_other(row, new_rows[_key(row)], alike)
    ]


def _elsewhere(old: float, new: float) -> bool:
    """Whether two numbers differ by no more than rounding does between two kinds of machines."""
    old_parts, new_parts = ({"scores": of_numbers([value])} for value in (old, new))
    return not differences(old_parts, new_parts, alike=False)


def execute_again(notebook: Path, published: Mapping, show: Show) -> execute.Execution:
    """Execute a chapter with the profile, data and seed that it was published with.

    Raises:
        InputError: it fails, or records no rows, so that nothing can be said of its numbers.
    """
    show(notebook.stem)
    parameters = {key: published[key] for key in ("profile", "data")}
    parameters["seed"] = published["seeds"][0]
    with tempfile.TemporaryDirectory() as folder:
        execution = execute.run_chapter(notebook, Path(folder) / notebook.name, parameters)
    if execution.error or not execution.rows:
        reason = (execution.error or "it recorded no rows").split("\n")[0]
        raise InputError(f"{notebook.name}: {reason}")
    return execution


def _is_other(row: Mapping, new: Mapping, alike: bool) -> bool:
    """Whether a row came out with other numbers."""
    values = [(v, new.get(k)) for k, v in row.items() if k not in SAME_ROW]
    old_scores, new_scores = (of_numbers(side) for side in zip(*values, strict=True))
    return bool(differences({"scores": old_scores}, {"scores": new_scores}, alike))


def _key(row: Mapping) -> tuple:
    return tuple(row.get(name) for name in SAME_ROW)
