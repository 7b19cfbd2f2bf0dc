"""Parts of a set: for training and for testing, and what is set aside to validate on."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..errors import InputError
from . import names, sources
from .contents import Item
from .sets import ImageSet, PairSet

#: Sets that come without train/ and test/: how many images are drawn for each, at most.
DRAWN = {"anime-faces": {"train": 1000, "test": 200}}

if TYPE_CHECKING:
    from .mixtures import MixedSet

Set = TypeVar("Set", ImageSet, PairSet, "MixedSet", "ImageSet | PairSet | MixedSet")


def hold_out(items: Set, share: float, seed: int = 0) -> tuple[Set, Set]:
    """Set whole scenes aside, to validate on: the rest, and what was set aside.

    Args:
        items: an :class:`ImageSet` or a :class:`PairSet`, of which both parts are; or a mixture.
        share: of the scenes, rounded, but at least one; drawn from ``seed``.

    Raises:
        InputError: there is only one scene, or nothing would be left.
    """
    if not isinstance(items, ImageSet | PairSet):
        return items.held_out(share, seed)
    scenes = sorted(set(items.scenes))
    count = max(1, round(share * len(scenes))) if 0 < share < 1 else 0
    if not 0 < count < len(scenes):
        raise InputError(
            f"{items.name}: a share of {share:g} of {len(scenes)} scenes cannot be set aside"
        )
    chosen = np.random.default_rng(seed).choice(len(scenes), count, replace=False)
    aside = {scenes[i] for i in chosen}
    rest = [i for i, scene in enumerate(items.scenes) if scene not in aside]
    validation = [i for i, scene in enumerate(items.scenes) if scene in aside]
    return items.take(rest), items.take(validation)


def splits(source: str) -> set[str]:
    """Which of ``train`` and ``test`` a set is split into, or is drawn for; of a whole one, none.

    Raises:
        InputError: it is not here, or what is split are sets deeper in it.
    """
    name, items = sources.open_source(source)
    pictures = [item for item in items if item.is_image]
    if is_drawn(name, pictures):
        return {"train", "test"}
    if there := {names.top(item.name) for item in pictures} & {"train", "test"}:
        return there
    for item in pictures:
        for folder in PurePosixPath(item.name).parents:
            if folder.name.lower() in ("train", "test"):
                inside = folder.parent.as_posix()
                raise InputError(f"{source}: {folder.name}/ lies in {inside}/: name that folder")
    return set()


def is_drawn(name: str, items: list[Item]) -> bool:
    """Whether a set comes without train/ and test/, and is large enough to draw both."""
    parts = {names.top(item.name) for item in items}
    return name in DRAWN and not parts & DRAWN[name].keys() and len(items) >= 6


def drawn(name: str, items: list[Item], split: str) -> tuple[Item, ...]:
    """The images drawn for a split of a set that has no train/ and test/, in the set's order."""
    test = min(DRAWN[name]["test"], len(items) // 6)
    train = min(DRAWN[name]["train"], len(items) - test)
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    places = order[:test] if split == "test" else order[test : test + train]
    return tuple(items[i] for i in sorted(places))
