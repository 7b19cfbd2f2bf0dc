"""Which files of a set are partners, and which scene they show. See :mod:`deblurlib.data`."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from .contents import Item
from .errors import InputError

#: Sets whose blurred images lie in another folder than ``blur/``, beside ``sharp/`` all the same.
BLURRED_IN = {"gopro-gamma": "blur_gamma"}


def side(item: Item) -> str:
    """The name of the folder that holds an item: ``blur``, ``sharp`` or ``kernel``."""
    return PurePosixPath(item.name).parent.name


def view(item: Item) -> str:
    """The folder that holds an item's ``blur/`` or ``sharp/``."""
    return PurePosixPath(item.name).parent.parent.as_posix()


def by_stem(items: list[Item], folder: str, name: str) -> dict[str, Item]:
    """The items of ``folder/name/`` by their stems; an error where two have one stem."""
    found: dict[str, Item] = {}
    for item in items:
        wanted = item.name.endswith(".npy") if name == "kernel" else item.is_image
        if wanted and side(item) == name and view(item) == folder:
            stem = PurePosixPath(item.name).stem
            if stem in found:
                raise InputError(f"{item.name} and {found[stem].name}: two files of one stem")
            found[stem] = item
    return found


def read_scenes(items: list[Item]) -> dict[tuple[str, str], str]:
    """``(split or "", stem)`` -> scene, as the set's ``scenes.csv`` says."""
    for item in items:
        if item.name == "scenes.csv":
            rows = list(csv.DictReader(io.StringIO(item.raw().decode("utf-8-sig", "replace"))))
            if rows and not {"stem", "scene"} <= rows[0].keys():
                raise InputError("scenes.csv: needs the columns stem and scene")
            return {(row.get("split") or "", row["stem"]): row["scene"] for row in rows}
    return {}
