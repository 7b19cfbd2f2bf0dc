"""Sets of sharp images, and of blurred and sharp pairs, and parts of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from .. import files, fingerprint, images
from ..errors import InputError
from . import contents, names
from .contents import Item

__all__ = ["ImageSet", "PairSet", "reduced_name"]


def reduced_name(name: str, side: int | None, square: bool = False) -> str:
    """What a set is called whose images are reduced: ``celeba-64``, or ``celeba-64x64`` of squares.

    Args:
        side: of the shorter side, in pixels; ``None`` leaves images, and the name, as they are.
    """
    if not side:
        return name
    return f"{name}-{side}x{side}" if square else f"{name}-{side}"


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order; ``set[i]`` is a float32 tensor ``(3, H, W)`` in [0, 1]."""

    name: str
    split: str | None
    items: tuple[Item, ...]
    side: int | None = None  # of the shorter side, in pixels, to which images are reduced
    square: bool = False  # whether the middle square of each is cut out before that

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> torch.Tensor:
        image = images.to_tensor(self.items[i].array())
        if self.side is None:
            return image
        if self.square:
            image = images.centre_crop(image, min(image.shape[-2:]))
        try:
            return images.reduce(image[None], self.side)[0]
        except InputError as error:
            raise InputError(f"{self.names[i]}: {error}") from None

    def reduced(self, side: int | None, square: bool = False) -> ImageSet:
        """The same images, each reduced until its shorter side has ``side`` pixels.

        The set's name then says so, see :func:`reduced_name`; names of images, and so what is drawn
        for them, and the fingerprint stay. ``None`` leaves them as they are.

        Args:
            square: cut out the middle square of each before that.
        """
        name = reduced_name(self.name, side, square)
        return replace(self, name=name, side=side, square=square) if side else self

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
        return _keys(self.names)

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
    side: int | None = None  # of the shorter side, in pixels, to which both images are reduced

    def __len__(self) -> int:
        return len(self.sharp)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = images.to_tensor(self.blurred[i].array())
        x = images.to_tensor(self.sharp[i].array())
        if y.shape != x.shape:
            raise InputError(
                f"{self.blurred[i].name} has {y.shape[1]} x {y.shape[2]} pixels, "
                f"but {self.sharp[i].name} has {x.shape[1]} x {x.shape[2]}"
            )
        if self.side is None:
            return y, x
        try:
            return images.reduce(y[None], self.side)[0], images.reduce(x[None], self.side)[0]
        except InputError as error:
            raise InputError(f"{self.names[i]}: {error}") from None

    def reduced(self, side: int | None) -> PairSet:
        """The same pairs, both images reduced; see :meth:`ImageSet.reduced`.

        A known kernel is that of the images as they were: of reduced ones none is known.
        """
        name = reduced_name(self.name, side)
        return replace(self, name=name, side=side) if side else self

    def first(self, n: int | None) -> PairSet:
        """The first ``n`` pairs as a set of their own; all of them for ``None``."""
        return self.take(range(len(self))[:n])

    def take(self, places: Sequence[int]) -> PairSet:
        """Some of the pairs, by their places, as a set of their own."""
        fields = ("blurred", "sharp", "kernels", "scenes")
        taken: dict[str, Any] = {f: tuple(getattr(self, f)[i] for i in places) for f in fields}
        return replace(self, **taken)

    def kernel(self, i: int) -> torch.Tensor | None:
        """The known kernel ``(h, w)`` of pair ``i`` (``kernel/STEM.npy``), or ``None``.

        Errors and what else it may be: as of :func:`deblurlib.files.decode_kernel`.
        """
        item = None if self.side else self.kernels[i]
        return None if item is None else files.decode_kernel(item.raw(), item.name)

    @property
    def names(self) -> list[str]:
        """Each sharp image's path within the set."""
        return [item.name for item in self.sharp]

    @property
    def keys(self) -> list[int]:
        """One integer a pair, from its sharp image's name; see :attr:`ImageSet.keys`."""
        return _keys(self.names)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all names, contents and scenes, in order."""
        kernels = [k for k in self.kernels if k is not None]
        content = contents.hash_items([*self.blurred, *self.sharp, *kernels])
        return fingerprint.of_bytes(content.encode(), *map(names.as_bytes, self.scenes))


def _keys(paths: list[str]) -> list[int]:
    return [int(fingerprint.of_bytes(names.as_bytes(path)), 16) for path in paths]
