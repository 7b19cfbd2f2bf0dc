"""The samples of a training's batches: those cut from sharp images, and those of recorded pairs.

Taught in chapters 01 and, of mixtures, 05.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Protocol

import torch

from .. import degrade
from ..degrade import Pair
from ..errors import InputError
from ..names import Boundary
from .crops import Cuts, fitted

TOGETHER = 64  # samples that are drawn together at most; more are hardly faster


class Held(Protocol):
    """Images, asked for by their places: what :func:`deblurlib.data.batches.hold` returns."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> torch.Tensor: ...


@dataclass(frozen=True)
class Prepared:
    """Samples of one kind in a step, before the work on a device."""

    numbers: list[int]
    degradations: list[degrade.Degradation]
    views: torch.Tensor | list[torch.Tensor]  # uint8; stacked where they are of one size


class Samples:
    """The samples of one kind: sharp images that are blurred here, or recorded pairs.

    Args:
        recorded: the kind.
        held: all images, as of :func:`deblurlib.data.batches.hold`.
        draw: a degradation, of the sharp images or of the pairs' blurred ones, or ``None``.
        numbers: of all samples in a step, of both kinds.
        alone: whether all images are of this kind, if that is known; else each is looked at.
        crop: side, pixels.
    """

    def __init__(
        self,
        recorded: bool,
        held: Held,
        draw: degrade.Draw | None,
        numbers: Callable[[int], range],
        cuts: Cuts,
        crop: int,
        boundary: Boundary,
        device: torch.device,
        alone: bool | None,
    ):
        self.recorded, self.held, self.numbers, self.cuts = recorded, held, numbers, cuts
        self.crop, self.boundary, self.device, self.alone = crop, boundary, device, alone
        self.chosen = lru_cache(maxsize=TOGETHER)(self._chosen)  # of this step and of those ahead
        self.drawn: Callable[[int], list[degrade.Degradation]] = lambda step: []
        if draw:
            self.drawn = _Draws(draw, cuts.seed, lambda step: [n for n, _ in self.chosen(step)])

    def _chosen(self, step: int) -> list[tuple[int, int]]:
        """The numbers of the samples of this kind, and the places of their images."""
        if self.alone is False:
            return []
        chosen = [(n, self.cuts.choose(n, len(self.held))) for n in self.numbers(step)]
        if self.alone:
            return chosen
        return [(n, i) for n, i in chosen if (self.held[i].ndim == 4) == self.recorded]

    def prepare(self, step: int) -> Prepared:
        """All that is done on a processor; of what a GPU holds, only views are taken."""
        samples = self.chosen(step)
        if not samples:
            return Prepared([], [], [])
        degradations = self.drawn(step)
        inner = self.recorded or self.boundary != "valid"
        top, left = (0, 0) if inner else degradations[0].margins
        size = (self.crop + 2 * top, self.crop + 2 * left)
        views: torch.Tensor | list[torch.Tensor]
        views = [self.cuts.cut(self.held[i], n, size, i) for n, i in samples]
        if any(view.ndim != (4 if self.recorded else 3) for view in views):
            raise InputError(
                "these are sharp images, not pairs: a degradation is needed to blur them"
                if self.recorded
                else "these are pairs, which are blurred already: draw must be None"
            )
        # what a GPU holds is for this process's main thread to work on
        if views[0].device.type == "cpu" and len({view.shape for view in views}) == 1:
            views = _stacked(views, self.device)
        return Prepared([n for n, _ in samples], degradations, views)

    def finish(self, prepared: Prepared) -> Pair:
        """The pairs, made on the device."""
        x = self._on_device(prepared.views)
        how = (prepared.degradations, self.cuts.seed, prepared.numbers, self.boundary, self.device)
        if not self.recorded:
            return degrade.apply(x, *how)
        y = degrade.apply(x[:, 0], *how).y if prepared.degradations else x[:, 0]
        return Pair(y, x[:, 1], ())

    def _on_device(self, views: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        """The crops as one batch of floats, those that were cut larger reduced."""
        if not isinstance(views, torch.Tensor):
            if len({view.shape for view in views}) > 1:
                size = (self.crop, self.crop)
                return torch.stack([fitted(_floats(view, self.device), size) for view in views])
            views = _stacked(views, self.device)
        x = _floats(views, self.device)
        if not self.recorded:
            return x
        return fitted(x.flatten(0, 1), (self.crop, self.crop)).unflatten(0, x.shape[:2])


def numbers_of(step: int, batch: int, rank: int, world: int) -> range:
    """The numbers of a process's samples in a step."""
    if min(batch, world) < 1 or batch % world or not 0 <= rank < world:
        raise InputError(f"a batch of {batch} cannot be shared by rank {rank} of {world} processes")
    part = batch // world
    return range(step * batch + rank * part, step * batch + (rank + 1) * part)


def joined(parts: Sequence[tuple[Prepared, Pair]]) -> Pair:
    """Samples of several kinds as one batch, in the order of their numbers."""
    each: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for prepared, pair in parts:
        pairs = zip(pair.y.split(1), pair.x.split(1), strict=True)
        each |= dict(zip(prepared.numbers, pairs, strict=True))
    y, x = zip(*(each[n] for n in sorted(each)), strict=True)
    return Pair(torch.cat(y), torch.cat(x), ())


def _floats(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    return x.to(device, non_blocking=device.type == "cuda").float().div_(255)


def _stacked(views: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """The crops as one batch, uint8; where a GPU is to fetch them, in memory that it can read."""
    pinned = device.type == "cuda" and views[0].device.type == "cpu"
    shape = (len(views), *views[0].shape)
    return torch.stack(list(views), out=views[0].new_empty(shape, pin_memory=pinned))


class _Draws:
    """The degradations of a step, drawn together with those of the next where that is faster."""

    def __init__(self, draw: degrade.Draw, seed: int, numbers: Callable[[int], Sequence[int]]):
        self.draw, self.seed, self.numbers = draw, seed, numbers
        self.known: dict[int, list[degrade.Degradation]] = {}

    def __call__(self, step: int) -> list[degrade.Degradation]:
        if step not in self.known:
            numbers = {s: self.numbers(s) for s in range(step, step + self._count(step))}
            generators = [degrade.generator(self.seed, n) for s in numbers for n in numbers[s]]
            drawn = iter(degrade.draw_each(self.draw, generators))
            self.known = {s: list(islice(drawn, len(numbers[s]))) for s in numbers}
        return self.known[step]

    def _count(self, step: int) -> int:
        """How many steps to draw: twice as many each time, as long as they are asked in order."""
        if step - 1 not in self.known or not hasattr(self.draw, "many"):
            return 1
        return max(1, min(2 * len(self.known), TOGETHER // len(self.numbers(step))))
