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
SAME_ROW = ("method", "data", "channels", "degradation", "draw", "image")  # what a row is of
Show = Callable[[str], None]  # told what is replayed now


def some(rows: Sequence[Mapping]) -> list[dict]:
    """A tenth of the rows, at least one, in their order; without what they took."""
    count = math.ceil(len(rows) / SHARE)
    places = np.random.default_rng(0).choice(len(rows), count, replace=False)
    left_out = ("seconds", "scene", "run", "seed")
    chosen = [rows[i] for i in sorted(places)]
    return [{k: _finite(v) for k, v in row.items() if k not in left_out} for row in chosen]


def _finite(value: object) -> object:
    """JSON has no infinity; a perfect restoration's PSNR is ``None``."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replay(notebook: Path, old: Mapping, folder: Path, show: Show) -> list[str]:
    """Execute the chapter as it was published, and look at all that it records."""
    execution = execute_again(notebook, old, show)
    other = others(old, execution.rows)
    changed = [f"row: {', '.join(map(str, _key(row)))}" for row in other]
    rows = read_rows(folder / f"{old['chapter']}_rows.csv.gz")
    results = json.loads((folder / f"{old['chapter']}.json").read_text("utf-8"))
    published = {"rows": rows} | {part: results[part] for part in ("summary", "claims")}
    # once written and read again, as those published
    made = {"rows": from_csv(to_csv(execution.rows))} | execution.results
    close = sameness.in_six_digits if machine.is_alike(old["made"]["machine"]) else _elsewhere
    return changed + [
        part for part in published if not sameness.same_values(published[part], made[part], close)
    ]


def others(old: Mapping, rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows of a proof that are not among some others, or came out with other numbers."""
    alike = machine.is_alike(old["made"]["machine"])
    made = {_key(row): row for row in rows}
    return [
        row
        for row in old["rows"]
        if _key(row) not in made or _is_other(row, made[_key(row)], alike)
    ]


def _elsewhere(old: float, new: float) -> bool:
    """Whether two numbers are the same but for what rounding does on another kind of machine."""
    one, two = ({"scores": of_numbers([value])} for value in (old, new))
    return not differences(one, two, alike=False)


def execute_again(notebook: Path, published: Mapping, show: Show) -> execute.Execution:
    """A chapter executed as it was published.

    Raises:
        InputError: it fails, or its kernel does: nothing is said of its numbers.
    """
    show(notebook.stem)
    given = {key: published[key] for key in ("profile", "data")}
    given["seed"] = published["seeds"][0]
    with tempfile.TemporaryDirectory() as folder:
        execution = execute.run_chapter(notebook, Path(folder) / notebook.name, given)
    if execution.error or not execution.rows:
        reason = (execution.error or "it recorded no rows").split("\n")[0]
        raise InputError(f"{notebook.name}: {reason}")
    return execution


def _is_other(row: Mapping, new: Mapping, alike: bool) -> bool:
    """Whether a row came out with other numbers."""
    values = [(v, new.get(k)) for k, v in row.items() if k not in SAME_ROW]
    one, two = (of_numbers(side) for side in zip(*values, strict=True))
    return bool(differences({"scores": one}, {"scores": two}, alike))


def _key(row: Mapping) -> tuple:
    return tuple(row.get(name) for name in SAME_ROW)
