"""Sets of sharp images, and of blurred and sharp pairs.

How a source is named and found is told in :mod:`deblurlib.storage`. Taught in chapter 01.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

from . import contents, fingerprint, images, pairing, psf, storage
from .contents import Item
from .errors import InputError


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order; ``set[i]`` is a float32 tensor ``(3, H, W)`` in [0, 1]."""

    name: str
    split: str | None
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> torch.Tensor:
        return images.to_tensor(self.items[i].array())

    @property
    def names(self) -> list[str]:
        """Each image's path within the set."""
        return [item.name for item in self.items]

    def first(self, n: int | None) -> ImageSet:
        """The first ``n`` images as a set of their own; all of them for ``None``."""
        return self.take(range(len(self))[:n])

    def take(self, places: Sequence[int]) -> ImageSet:
        """Some of the images, by their places, as a set of their own."""
        return replace(self, items=tuple(self.items[i] for i in places))

    @property
    def keys(self) -> list[int]:
        """One integer an image, from its name: the ``index`` that seeds its degradation.

        Unlike a place in a list, it differs between train and test images, and stays the same
        when other images are added.
        """
        return [int(fingerprint.of_bytes(name.encode()), 16) for name in self.names]

    @property
    def scenes(self) -> list[str]:
        """Each image is its own scene: unrelated images are independent."""
        return self.names

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all names and contents, in order."""
        return contents.hash_items(self.items)


@dataclass(frozen=True)
class PairSet:
    """Blurred and sharp images of the same views; ``set[i]`` is ``(y, x)``, ``(3, H, W)`` each."""

    name: str
    split: str | None
    blurred: tuple[Item, ...]
    sharp: tuple[Item, ...]
    kernels: tuple[Item | None, ...]
    scenes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sharp)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = images.to_tensor(self.blurred[i].array())
        x = images.to_tensor(self.sharp[i].array())
        if y.shape != x.shape:
            raise InputError(
                f"{self.blurred[i].name} has {y.shape[1]} x {y.shape[2]} pixels, "
                f"but {self.sharp[i].name} has {x.shape[1]} x {x.shape[2]}"
            )
        return y, x

    def first(self, n: int | None) -> PairSet:
        """The first ``n`` pairs as a set of their own; all of them for ``None``."""
        return self.take(range(len(self))[:n])

    def take(self, places: Sequence[int]) -> PairSet:
        """Some of the pairs, by their places, as a set of their own."""
        fields = ("blurred", "sharp", "kernels", "scenes")
        return replace(self, **{f: tuple(getattr(self, f)[i] for i in places) for f in fields})

    def kernel(self, i: int) -> torch.Tensor | None:
        """The known kernel ``(h, w)`` of pair ``i`` (``kernel/STEM.npy``), or ``None``."""
        item = self.kernels[i]
        if item is None:
            return None
        try:
            array = np.load(io.BytesIO(item.raw()), allow_pickle=False)
            return psf.check(torch.from_numpy(array).float())
        except (ValueError, EOFError, TypeError) as error:  # InputError is a ValueError
            raise InputError(f"{item.name}: not a kernel ({error})") from None

    @property
    def names(self) -> list[str]:
        """Each sharp image's path within the set."""
        return [item.name for item in self.sharp]

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all names, contents and scenes, in order."""
        kernels = [k for k in self.kernels if k is not None]
        files = contents.hash_items([*self.blurred, *self.sharp, *kernels])
        return fingerprint.of_bytes(files.encode(), *(s.encode() for s in self.scenes))


Set = TypeVar("Set", ImageSet, PairSet)

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
        InputError: the set is not there (the message says how to get it), holds no image, or has
            no such split.

    >>> open_images("sample", "test").names
    ['test/chelsea.png', 'test/flower.jpg', 'test/rocket.jpg']
    """
    name, items = storage.open_source(source)
    found = [item for item in items if item.is_image]
    if not found:
        raise InputError(f"{source}: no image in it")
    if split is not None:
        parts = {item.name.split("/")[0] for item in found}
        drawn = DRAWN.get(name, {})
        if split in drawn and not parts & drawn.keys() and len(found) >= 6:
            return ImageSet(name, split, _drawn(found, split, **drawn))
        found = [item for item in found if item.name.startswith(f"{split}/")]
        if not found:
            raise InputError(
                f"{source}: no {split}/ folder with images; the images of a set that is used for "
                f"training and for testing must lie in train/ and test/"
            )
    return ImageSet(name, split, tuple(found))


def open_pairs(source: str, split: str | None = None) -> PairSet:
    """Open a set of pairs: a tree in which ``blur/`` and ``sharp/`` lie side by side.

    Partners are files of the same stem, sorted. A pair's scene is the folder that holds both sides,
    unless ``scenes.csv`` at the top of the set (columns ``stem``, ``scene`` and, where stems
    repeat, ``split``) says otherwise. Of ``gopro-gamma``, ``blur_gamma/`` is read.

    Args and errors: as of :func:`open_images`; also a file without a partner, or with two.
    """
    name, items = storage.open_source(source)
    table, blur = pairing.read_scenes(items), pairing.BLURRED_IN.get(name, "blur")
    views = sorted(
        {pairing.view(i) for i in items if i.is_image and pairing.side(i) in (blur, "sharp")}
    )
    blurred, sharp, kernels, scenes = [], [], [], []
    for view in views:
        top = view.split("/")[0]
        if split is not None and top != split:
            continue
        sides = {side: pairing.by_stem(items, view, side) for side in (blur, "sharp", "kernel")}
        for stem in sorted(sides[blur].keys() | sides["sharp"].keys()):
            for side, other in ((blur, "sharp"), ("sharp", blur)):
                if stem not in sides[side]:
                    alone = sides[other][stem].name
                    raise InputError(f"{source}: {alone} has no partner in {side}/ beside it")
            blurred.append(sides[blur][stem])
            sharp.append(sides["sharp"][stem])
            kernels.append(sides["kernel"].get(stem))
            scenes.append(table.get((top, stem)) or table.get(("", stem)) or view)
    if not sharp:
        part = f" under {split}/" if split else ""
        raise InputError(
            f"{source}: no folder{part} with images in {blur}/ and sharp/ side by side"
        )
    return PairSet(name, split, tuple(blurred), tuple(sharp), tuple(kernels), tuple(scenes))


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


def hold_out(items: Set, share: float, seed: int = 0) -> tuple[Set, Set]:
    """Set whole scenes aside, to validate on: the rest, and what was set aside.

    Args:
        items: an :class:`ImageSet` or a :class:`PairSet`, of which both parts are.
        share: of the scenes, rounded, but at least one; drawn from ``seed``.

    Raises:
        InputError: there is only one scene, or nothing would be left.
    """
    scenes = sorted(set(items.scenes))
    count = max(1, round(share * len(scenes))) if 0 < share < 1 else 0
    if not 0 < count < len(scenes):
        raise InputError(
            f"{items.name}: a share of {share:g} of {len(scenes)} scenes cannot be set aside"
        )
    drawn = np.random.default_rng(seed).choice(len(scenes), count, replace=False)
    aside = {scenes[i] for i in drawn}
    places = [[i for i, s in enumerate(items.scenes) if (s in aside) == held] for held in (0, 1)]
    return items.take(places[0]), items.take(places[1])


def _drawn(items: list[Item], split: str, train: int, test: int) -> tuple[Item, ...]:
    test = min(test, len(items) // 6)
    train = min(train, len(items) - test)
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    places = order[:test] if split == "test" else order[test : test + train]
    return tuple(items[i] for i in sorted(places))
