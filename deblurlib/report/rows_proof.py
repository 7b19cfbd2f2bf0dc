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
from ..studies.rows import pack, to_csv
from . import execute, sameness

SHARE = 10  # one row of so many is kept
SAME_ROW = ("method", "data", "channels", "degradation", "draw", "image")  # what a row is of
Show = Callable[[str], None]  # told what is replayed now


def some(rows: Sequence[Mapping]) -> list[dict]:
    """A tenth of the rows, at least one, in their order; without what they took."""
    count = math.ceil(len(rows) / SHARE)
    places = np.random.default_rng(0).choice(len(rows), count, replace=False)
    left_out = ("seconds", "scene", "run", "seed")
    return [{k: v for k, v in rows[i].items() if k not in left_out} for i in sorted(places)]


def replay(notebook: Path, old: Mapping, folder: Path, show: Show) -> list[str]:
    """Execute the chapter as it was published, and look at all that it records."""
    outcome = execute_again(notebook, old, show)
    if outcome.error or not outcome.rows:
        reason = (outcome.error or "it recorded no rows").split("\n")[0]
        if reason.startswith("the kernel failed"):
            raise InputError(f"{notebook.name}: {reason}")
        return [f"{notebook.stem}: {reason}"]
    other = others(old, outcome.rows)
    changed = [f"row: {', '.join(map(str, _key(row)))}" for row in other]
    rows = (folder / f"{old['chapter']}_rows.csv.gz").read_bytes()
    if not sameness.same_rows(rows, pack(to_csv(outcome.rows))):
        changed.append("rows")
    published = json.loads((folder / f"{old['chapter']}.json").read_text("utf-8"))
    for part in ("summary", "claims"):
        if not sameness.same_values(published[part], outcome.results[part]):
            changed.append(part)
    return changed


def others(old: Mapping, rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows of a proof that are not among some others, or came out with other numbers."""
    alike = old["made"]["machine"] == machine.arithmetic()
    made = {_key(row): row for row in rows}
    return [row for row in old["rows"] if _is_other(row, made.get(_key(row), {}), alike)]


def execute_again(notebook: Path, published: Mapping, show: Show) -> execute.Outcome:
    show(notebook.stem)
    given = {key: published[key] for key in ("profile", "data")}
    given["seed"] = published["seeds"][0]
    with tempfile.TemporaryDirectory() as folder:
        return execute.run_chapter(notebook, Path(folder) / notebook.name, given)


def _is_other(row: Mapping, new: Mapping, alike: bool) -> bool:
    """Whether a row came out with other numbers."""
    values = [(v, new.get(k)) for k, v in row.items() if k not in SAME_ROW]
    one, two = (of_numbers(side) for side in zip(*values, strict=True))
    return bool(differences({"scores": one}, {"scores": two}, alike))


def _key(row: Mapping) -> tuple:
    return tuple(row.get(name) for name in SAME_ROW)
