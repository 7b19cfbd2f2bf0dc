"""Sets of sharp images, and of blurred and sharp pairs, opened by the names of their sources."""

from __future__ import annotations

from .. import files, places
from ..errors import InputError
from ..names import Split
from . import contents, names, pairing, sources
from .sets import ImageSet, PairSet
from .splitting import DRAWN, drawn, is_drawn


def open_images(source: str, split: Split | str | None = None) -> ImageSet:
    """Open a set of sharp images.

    Args:
        source: ``sample``, a name, a path, or ``NAME=PATH``: a folder, a .zip or a .npz.
        split: ``"train"`` or ``"test"``, of ``celeba`` also ``"valid"``, for that part of it;
            ``None`` for all there is. Of ``anime-faces`` without these two folders, 1,000 and 200
            images are drawn, with seed 0; of fewer than 1,200, a sixth is for testing.

    Raises:
        InputError: the set is not there (the message says how to get it), holds no image, has no
            such split, or holds pairs.

    >>> open_images("sample", "test").names
    ['test/chelsea.png', 'test/flower.jpg', 'test/rocket.jpg']
    """
    name, items = sources.open_source(source)
    pictures = [item for item in items if item.is_image]
    if not pictures:
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
        if split in DRAWN.get(name, {}) and is_drawn(name, pictures):
            return ImageSet(name, split, drawn(name, pictures, split))
        inside = [item for item in pictures if names.top(item.name) == split.lower()]
        if not inside:
            raise InputError(
                f"{source}: no {split}/ folder with images; the images of a set that is used for "
                f"training and for testing must lie in train/ and test/; found "
                f"{contents.described(pictures)}"
            )
        pictures = inside
    return ImageSet(name, split, tuple(pictures))


def open_pairs(source: str, split: Split | str | None = None) -> PairSet:
    """Open a set of pairs: a tree in which ``blur/`` and ``sharp/`` lie side by side.

    Partners are files of the same stem, sorted. A pair's scene is the folder that holds both sides,
    unless ``scenes.csv`` at the top of the set says otherwise, see :mod:`deblurlib.data.scenes`. Of
    ``gopro-gamma``, ``blur_gamma/`` is read.

    Args and errors: as of :func:`open_images`; also a file without a partner, or with two, a
    kernel without a pair, and a table of scenes that does not match all pairs of the set.
    """
    name, items = sources.open_source(source)
    pairs = pairing.find(source, name, items, split)
    blurred, sharp, kernels, scenes = zip(*pairs, strict=True)
    return PairSet(name, split, blurred, sharp, kernels, scenes)


def holds_pairs(source: str) -> bool:
    """Whether a set holds pairs: ``blur/`` and ``sharp/`` side by side, with images in both.

    Of a set that is not here, whether it is known to: see :data:`deblurlib.places.KNOWN`. A mixture
    holds sharp images as well, so it does not.

    Raises:
        InputError: it is here, but cannot be opened.
    """
    if source in places.MIXTURES:
        return False
    if not places.is_here(source):
        return places.KNOWN.get(source) == "pairs"
    return pairing.holds_pairs(*sources.open_source(source))
