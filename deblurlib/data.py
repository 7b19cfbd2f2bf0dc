"""Open sets of sharp images, and of blurred and sharp pairs.

How a source is named and found is told in :mod:`deblurlib.storage`, what is opened in
:mod:`deblurlib.sets`. Taught in chapter 01.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import numpy as np

from . import contents, files, names, pairing, storage
from .contents import Item
from .errors import InputError
from .sets import ImageSet, PairSet, hold_out

__all__ = [
    "DRAWN",
    "ImageSet",
    "PairSet",
    "hold_out",
    "holds_pairs",
    "open_images",
    "open_pairs",
    "register",
    "splits",
]

#: Sets that come without train/ and test/: how many images are drawn for each, at most.
DRAWN = {"anime-faces": {"train": 1000, "test": 200}}


def open_images(source: str, split: str | None = None) -> ImageSet:
    """Open a set of sharp images.

    Args:
        source: ``sample``, a name, a path, or ``NAME=PATH``: a folder, a .zip or a .npz.
        split: ``"train"`` or ``"test"`` for that part of it; ``None`` for all there is. Of
            ``anime-faces`` without these two folders, 1,000 and 200 images are drawn, with seed 0;
            of fewer than 1,200, a sixth is for testing.

    Raises:
        InputError: the set is not there (the message says how to get it), holds no image, has no
            such split, or holds pairs.

    >>> open_images("sample", "test").names
    ['test/chelsea.png', 'test/flower.jpg', 'test/rocket.jpg']
    """
    name, items = storage.open_source(source)
    found = [item for item in items if item.is_image]
    if not found:
        raise InputError(
            f"{source}: no image in it, which may be {', '.join(files.SUFFIXES)}, in train/ and "
            f"test/ or not; found {contents.described(items)}"
        )
    if pairing.holds_pairs(name, items):
        raise InputError(
            f"{source}: holds pairs, {pairing.blur_of(name)}/ and sharp/ side by side, which "
            f"open_pairs (or --pairs) reads; for images, name a set of the sharp ones alone"
        )
    if split is not None:
        parts = {names.top(item.name) for item in found}
        if split in DRAWN.get(name, {}) and _is_drawn(name, parts, found):
            return ImageSet(name, split, _drawn(found, split, **DRAWN[name]))
        inside = [item for item in found if names.top(item.name) == split.lower()]
        if not inside:
            raise InputError(
                f"{source}: no {split}/ folder with images; the images of a set that is used for "
                f"training and for testing must lie in train/ and test/; found "
                f"{contents.described(found)}"
            )
        found = inside
    return ImageSet(name, split, tuple(found))


def open_pairs(source: str, split: str | None = None) -> PairSet:
    """Open a set of pairs: a tree in which ``blur/`` and ``sharp/`` lie side by side.

    Partners are files of the same stem, sorted. A pair's scene is the folder that holds both sides,
    unless ``scenes.csv`` at the top of the set says otherwise, see :mod:`deblurlib.scenes`. Of
    ``gopro-gamma``, ``blur_gamma/`` is read.

    Args and errors: as of :func:`open_images`; also a file without a partner, or with two, a
    kernel without a pair, and a table of scenes that does not match all pairs of the set.
    """
    name, items = storage.open_source(source)
    pairs = pairing.find(source, name, items, split)
    return PairSet(name, split, *zip(*pairs, strict=True))


def holds_pairs(source: str) -> bool:
    """Whether a set holds pairs: ``blur/`` and ``sharp/`` side by side, with images in both.

    Of a set that is not here, whether it is known to: see :data:`deblurlib.storage.KNOWN`.

    Raises:
        InputError: it is here, but cannot be opened.
    """
    if not storage.is_here(source):
        return storage.KNOWN.get(source) == "pairs"
    return pairing.holds_pairs(*storage.open_source(source))


def splits(source: str) -> set[str]:
    """Which of ``train`` and ``test`` a set is split into, or is drawn for; of a whole one, none.

    Raises:
        InputError: it is not here, or what is split are sets deeper in it.
    """
    name, items = storage.open_source(source)
    found = [item for item in items if item.is_image]
    parts = {names.top(item.name) for item in found}
    if _is_drawn(name, parts, found):
        return {"train", "test"}
    if there := parts & {"train", "test"}:
        return there
    for item in found:
        for folder in PurePosixPath(item.name).parents:
            if folder.name.lower() in ("train", "test"):
                inside = folder.parent.as_posix()
                raise InputError(f"{source}: {folder.name}/ lies in {inside}/: name that folder")
    return set()


def register(given: str) -> str:
    """Make a set known by its name, here and to processes started from here; return the name.

    So no page or recipe holds a path.

    Args:
        given: ``sample``, a name, a path, or ``NAME=PATH``.
    """
    if given == "sample":
        return given
    name, path = storage.locate(given)
    if name == "sample":
        raise InputError(f"{given}: only the bundled photographs are called sample: NAME={path}")
    known = os.environ.get("DEBLURLIB_DATA")
    entries = filter(None, [f"{name}={path.resolve()}", known])
    os.environ["DEBLURLIB_DATA"] = os.pathsep.join(entries)
    return name


def _is_drawn(name: str, parts: set[str], items: list[Item]) -> bool:
    """Whether a set comes without train/ and test/, and is large enough to draw both."""
    return name in DRAWN and not parts & DRAWN[name].keys() and len(items) >= 6


def _drawn(items: list[Item], split: str, train: int, test: int) -> tuple[Item, ...]:
    test = min(test, len(items) // 6)
    train = min(train, len(items) - test)
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    places = order[:test] if split == "test" else order[test : test + train]
    return tuple(items[i] for i in sorted(places))
