"""The columns of chapter 07's leaderboard: sets of pairs that every method is scored on.

Twenty photographs, one blur each of six kinds whose kernel is known to us, the same with noise, a
camera's path, which is no single kernel, and recorded pairs. Taught in chapter 07.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ... import images
from ...data import PairSet, batches, open_images, open_pairs
from ...degrade import SETTINGS, Degradation
from ...evaluation import Case
from ..scoring import DRAW

__all__ = ["Column", "columns", "recorded_sets"]

COUNT = 20  # photographs
SIDE = 256  # pixels: a recorded pair is cut to that in its middle, where it is larger
#: kinds of blur that are one kernel all over the image, and one that is not
KERNELS = ("gaussian-narrow", "gaussian-wide", "box", "motion", "shake", "defocus")
CAMERA = "s4-camera"
NOISY, NOISES = ("gaussian-wide", "motion", "shake", "defocus"), (0.01,)
#: sets of recorded pairs; ``gopro_pairs`` shows a scene that ``srn`` was trained on
RECORDED = ("gopro_scenes", "reds_small", "gopro_pairs", "levin09")
MEASURED, SHIFT = "levin09", 8  # kernels are measured; the best shift's bound, pixels


@dataclass(frozen=True)
class Column:
    """One set of pairs; ``name`` is the ``degradation`` of its rows."""

    data: str  # a source's name
    kind: str  # a key of degrade.SETTINGS, or "recorded"
    noise: float = 0.0  # standard deviation, added to a kind

    @property
    def name(self) -> str:
        return f"{self.kind}, noise {self.noise:g}" if self.noise else self.kind

    @property
    def has_kernel(self) -> bool:
        """Whether the kernel is known."""
        return self.kind in KERNELS or self.data == MEASURED

    @property
    def common(self) -> Mapping[str, Any]:
        """What all of its rows say."""
        channels = "grey" if self.data == MEASURED else "rgb"
        common = {"data": self.data, "channels": channels, "degradation": self.name}
        return common if self.kind == "recorded" else common | {"draw": DRAW}

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of :func:`deblurlib.evaluation.evaluate`: measured kernels are shifted."""
        return {"align": SHIFT} if self.data == MEASURED else {}

    def cases(self, count: int | None = COUNT) -> Iterator[Case]:
        """Its pairs; of photographs the first so many of the test part."""
        if self.kind == "recorded":
            return _recorded(open_pairs(self.data, "test"), 1 if self.data == MEASURED else 0)
        test = open_images(self.data, "test").first(count)

        def draw(generator: torch.Generator) -> Degradation:
            return replace(SETTINGS[self.kind](generator), noise=self.noise)

        pairs = batches.evaluation_pairs(test, draw, DRAW)
        return (
            Case(name, scene, p.y, p.x, p.kernels[0] if self.has_kernel else None)
            for name, scene, p in zip(test.names, test.scenes, pairs, strict=True)
        )


def columns(photographs: str, recorded: bool = True) -> list[Column]:
    """All columns.

    Args:
        photographs: the source of sharp images.
        recorded: whether those of recorded pairs are among them; their sets must be here.
    """
    listed = [Column(photographs, kind) for kind in (*KERNELS, CAMERA)]
    listed += [Column(photographs, kind, noise) for kind in NOISY for noise in NOISES]
    return listed + [Column(name, "recorded") for name in RECORDED] * recorded


def _recorded(pairs: PairSet, grey: int) -> Iterator[Case]:
    for i, name in enumerate(pairs.names):
        size = [min(side, SIDE) for side in pairs[i][1].shape[-2:]]
        y, x = (images.centre_crop(z, *size) for z in pairs[i])
        y, x = (images.quantise(images.grey(z, grey)) if grey else z for z in (y, x))
        yield Case(name, pairs.scenes[i], y[None], x[None], pairs.kernel(i))


def recorded_sets(rows: Sequence[Mapping]) -> list[PairSet]:
    """The sets of recorded pairs that rows are of."""
    there = {row["data"] for row in rows}
    return [open_pairs(name, "test") for name in RECORDED if name in there]
