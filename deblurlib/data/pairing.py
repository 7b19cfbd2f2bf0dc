"""Which files of a set are partners, and which scene they show. See :mod:`deblurlib.data`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from ..errors import InputError
from ..files.kernels import SUFFIXES
from . import names, scenes
from .contents import Item, described

__all__ = ["holds_pairs", "one_per_stem"]

#: Sets whose blurred images lie in another folder than ``blur/``, beside ``sharp/`` all the same.
BLURRED_IN = {"gopro-gamma": "blur_gamma"}


class Pair(NamedTuple):
    """Partners, their kernel where it is known, and the scene that they show."""

    blurred: Item
    sharp: Item
    kernel: Item | None
    scene: str


@dataclass
class _View:
    """A folder that holds ``blur/``, ``sharp/`` or ``kernel/``, and what lies in these."""

    folder: str
    blurred: list[Item] = field(default_factory=list)
    sharp: list[Item] = field(default_factory=list)
    kernels: list[Item] = field(default_factory=list)

    @property
    def top(self) -> str:
        """The first folder, in lower case, or nothing."""
        return "" if self.folder == "." else names.composed(names.top(f"{self.folder}/"))


def blur_of(name: str) -> str:
    """The folder that holds the blurred images of the set ``name``."""
    return BLURRED_IN.get(name, "blur")


def one_per_stem(paths: Iterable[str]) -> dict[str, str]:
    """The files of a folder by their stems, in order; names that look alike are one stem.

    Raises:
        InputError: two have one stem.
    """
    by_stem: dict[str, str] = {}
    for path in paths:
        other = by_stem.setdefault(names.stem(path), path)
        if other != path:
            raise InputError(f"{other} and {path}: two files of one stem")
    return by_stem


def holds_pairs(name: str, items: list[Item]) -> bool:
    """Whether somewhere in the set ``name`` blurred and sharp images lie side by side."""
    return any(view.blurred and view.sharp for view in _views(name, items))


def find(source: str, name: str, items: list[Item], split: str | None) -> list[Pair]:
    """The pairs of a set, or of one split, sorted by their folders and stems.

    Args:
        source: what to call the set in an error.
        name: the set's own.

    Raises: as :func:`deblurlib.data.open_pairs`.
    """
    blur, pairs = blur_of(name), []
    views = _views(name, items)
    table = scenes.read(items, _nameable(views))
    for view in views:
        if split is None or view.top == split.lower():
            pairs += _pairs(source, blur, view, table)
    if not pairs:
        part = f" under {split}/" if split else ""
        raise InputError(
            f"{source}: no folder{part} with images in {blur}/ and sharp/ side by side; "
            f"found {described([item for item in items if _in(item.name, split)])}"
        )
    return pairs


def _in(name: str, split: str | None) -> bool:
    return split is None or names.top(name) == split.lower()


def _views(name: str, items: list[Item]) -> list[_View]:
    """All views of a set, by the names of their folders; each item is looked at once."""
    blur = blur_of(name)
    views: dict[str, _View] = {}
    for item in items:
        side = names.side(item.name)
        if side in (blur, "sharp"):
            wanted = item.is_image
        else:
            wanted = side == "kernel" and _is_kernel(item.name)
        if wanted:
            folder = names.view(item.name)
            view = views.setdefault(names.composed(folder), _View(folder))
            kinds = {blur: view.blurred, "sharp": view.sharp, "kernel": view.kernels}
            kinds[side].append(item)
    return sorted(views.values(), key=lambda view: view.folder)


def _is_kernel(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not names.is_note(name)


def _nameable(views: list[_View]) -> dict[scenes.Key, str]:
    """What a row of ``scenes.csv`` can name -> the name of an image, of all images of pairs."""
    sides = ((view.top, item.name) for view in views for item in (*view.blurred, *view.sharp))
    return {(top, names.stem(name)): name for top, name in sides}


def _pairs(source: str, blur: str, view: _View, table: dict[scenes.Key, str]) -> list[Pair]:
    by_name = {item.name: item for item in (*view.blurred, *view.sharp, *view.kernels)}
    blurred, sharp, kernels = (
        {stem: by_name[name] for stem, name in one_per_stem(item.name for item in side).items()}
        for side in (view.blurred, view.sharp, view.kernels)
    )
    for here, there, missing in ((sharp, blurred, blur), (blurred, sharp, "sharp")):
        for stem, item in here.items():
            if stem not in there:
                raise InputError(f"{source}: {item.name} has no partner in {missing}/ beside it")
    for stem, item in kernels.items():
        if stem not in sharp:
            raise InputError(f"{source}: {item.name} is the kernel of no pair beside it")
    return [
        Pair(
            blurred[stem],
            item,
            kernels.get(stem),
            table.get((view.top, stem)) or names.view(item.name),
        )
        for stem, item in sorted(sharp.items(), key=lambda p: PurePosixPath(p[1].name).stem)
    ]
