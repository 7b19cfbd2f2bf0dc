"""``scenes.csv``: which scene each pair of a set shows."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .. import files
from ..errors import InputError
from . import names
from .contents import Item

__all__ = ["read", "write"]

TABLE = "scenes.csv"
DELIMITERS = ",;\t"

#: The first folder of a pair (or "": whichever it is), in lower case, and its stem
Key = tuple[str, str]


class Row(NamedTuple):
    """A row of the table, and the line on which it ends."""

    line: int
    split: str
    stem: str
    scene: str

    @property
    def key(self) -> Key:
        """What pairs it names."""
        return names.composed(self.split.lower()), names.composed(self.stem)


def read(items: list[Item], pairs: dict[Key, str]) -> dict[Key, str]:
    """The scene of each pair, as a set's ``scenes.csv`` says; nothing where there is none.

    Its columns are ``stem``, ``scene`` and, where stems repeat, ``split``; it is separated by
    commas, semicolons or tabs, and is UTF-8, or UTF-16 with a byte order mark. A row names all
    pairs of its stem, or those of its split, and then overrules one without a split.

    Args:
        pairs: what a row can name -> a name, of all pairs of the set.

    Raises:
        InputError: a row that matches no pair or says nothing, a pair that no row names, or two
            rows that differ in the scene alone; the message names it.
    """
    tables = [item for item in items if item.name.lower() == TABLE]
    if not tables:
        return {}
    if len(tables) > 1:
        raise InputError(f"{tables[0].name} and {tables[1].name}: a set has one {TABLE}")
    stems: dict[str, dict[str, str]] = {"": {}}
    for top, stem in pairs:
        for part in ("", top):
            stems.setdefault(part, {})[stem.strip()] = stem
    rows: dict[Key, Row] = {}
    for row in _rows(_decoded(tables[0].raw())):
        _check(row, stems)
        other = rows.setdefault(row.key, row)
        if other.scene != row.scene:
            raise InputError(
                f"{TABLE}: lines {other.line} and {row.line} give {row.stem} two scenes, "
                f"{other.scene} and {row.scene}"
            )
    scenes = {}
    for (top, stem), name in pairs.items():
        told = rows.get((top, stem.strip())) or rows.get(("", stem.strip()))
        if told is None:
            raise InputError(f"{TABLE}: no row names {name}; a table of scenes names every pair")
        scenes[top, stem] = told.scene
    return scenes


def write(folder: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write the table of a set: split, stem and scene of each of its pairs."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("split", "stem", "scene"), *rows])
    files.write_whole(folder / TABLE, text.getvalue().encode("utf-8", "surrogateescape"))


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError(f"{TABLE}: damaged UTF-16 ({error.reason})") from None
    # another encoding may be that of the files' names, too: its bytes are kept as theirs are
    return data.decode("utf-8-sig", "surrogateescape")


def _rows(text: str) -> list[Row]:
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
        except csv.Error as error:
            raise InputError(f"{TABLE}: line {reader.line_num} cannot be read ({error})") from None
        lines = [(line, cells) for line, cells in lines if any(cells)]
        columns = [cell.lower() for cell in lines[0][1]] if lines else []
        if columns.count("stem") == columns.count("scene") == 1 >= columns.count("split"):
            return [_row(line, cells, columns) for line, cells in lines[1:]]
    raise InputError(f"{TABLE}: needs the columns stem and scene, each once")


def _row(line: int, cells: list[str], columns: list[str]) -> Row:
    if any(cells[len(columns) :]):
        raise InputError(f"{TABLE}: line {line} has {len(cells)} values for {len(columns)} columns")
    values = dict(zip(columns, cells, strict=False))
    for column in ("stem", "scene"):
        if not values.get(column):
            raise InputError(f"{TABLE}: line {line} has no {column}")
    # two scenes that look alike are one
    scene = names.composed(values["scene"])
    return Row(line, values.get("split", ""), values["stem"], scene)


def _check(row: Row, stems: dict[str, dict[str, str]]) -> None:
    split, stem = row.key
    if split not in stems:
        examples = ", ".join(f"{top}/" for top in [*filter(None, stems)][:3])
        there = f"pairs are in {examples}" if examples else "the set is not split"
        raise InputError(f"{TABLE}: line {row.line} names the split {row.split}, but {there}")
    if stem not in stems[split]:
        where = f" in {row.split}/" if split else ""
        examples = " and ".join([*stems[split].values()][:2])
        raise InputError(
            f"{TABLE}: line {row.line} names {row.stem}, but no pair{where} has that stem; stems "
            f"are the files' names without suffix, here {examples}"
        )
