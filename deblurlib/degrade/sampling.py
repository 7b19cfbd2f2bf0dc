"""A degradation drawn for each image, and the pair it makes of it.

Taught in chapter 01.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from .. import images, psf
from ..errors import InputError
from ..names import Average, Boundary
from .carrying import carry
from .convolution import convolve
from .exposure import check_average, decode_gamma, encode_gamma, sweep
from .jpeg import Jpeg, compress
from .noise import add_noise, add_shot_noise, boost_highlights
from .objects import Mover, sweep_objects
from .seeding import generator


@dataclass(frozen=True, eq=False)
class Degradation:
    """What happens to one image, in this order: highlights, blur, photons, noise, rounding, JPEG.

    ``average`` says in what the first three count: stored values, or light.
    """

    blur: torch.Tensor  # a kernel (h, w), or a camera's path of homographies (T, 3, 3)
    parameters: dict[str, float] = field(default_factory=dict)  # what it was made from
    average: Average = "encoded"  # or "light"
    highlights: float = 1.0  # how many times brighter a clipped pixel may have been
    photons: float = math.inf  # caught by a white pixel; inf: no shot noise
    noise: float = 0.0  # standard deviation of the Gaussian noise, stored values
    quantise: bool = True  # clip to [0, 1] and round to 8 bit, as a file does
    #: pixels that "valid" takes off each side; of a kernel, by default half its sides
    margin: int | None = None
    mover: Mover | None = None  # what moves on its own while the camera goes its path
    jpeg: Jpeg | None = None  # how it is compressed, after all else

    def __post_init__(self) -> None:
        if self.blur.ndim == 2:
            psf.check(self.blur)
        elif self.blur.ndim != 3 or self.blur.shape[1:] != (3, 3) or self.blur.shape[0] == 0:
            shape = tuple(self.blur.shape)
            raise InputError(f"blur must be a kernel (h, w) or a path (T, 3, 3), not {shape}")
        check_average(self.average)
        half = max(self.blur.shape) // 2
        if self.blur.ndim == 2 and self.margin is not None and self.margin < half:
            raise InputError(f"a margin of {self.margin} is less than the kernel reaches, {half}")
        if self.mover is not None and self.mover.path.shape != self.blur.shape:
            raise InputError("what moves on its own needs a path of as many steps as the camera's")
        if self.jpeg is not None and not self.quantise:
            raise InputError("JPEG holds 8 bit: it needs quantise")

    @property
    def margins(self) -> tuple[int, int]:
        """Pixels that the boundary ``"valid"`` takes off above and below, and off each side."""
        if self.margin is not None:
            return self.margin, self.margin
        if self.blur.ndim == 3:
            raise InputError('the boundary "valid" needs the margin of a camera path')
        return self.blur.shape[0] // 2, self.blur.shape[1] // 2


@dataclass(frozen=True, eq=False)
class Pair:
    """Blurred and sharp images of the same pixels, and what was done to each."""

    y: torch.Tensor  # (B, C, H, W)
    x: torch.Tensor  # (B, C, H, W)
    degradations: tuple[Degradation, ...]

    @property
    def kernels(self) -> torch.Tensor:
        """The kernels ``(B, h, w)``; an error where a camera path blurred, or nobody knows."""
        if not self.degradations:
            raise InputError("of recorded pairs the kernels are not known")
        if any(d.blur.ndim != 2 for d in self.degradations):
            raise InputError("a camera path has no one kernel")
        if len({d.blur.shape for d in self.degradations}) > 1:
            raise InputError("the kernels are of different sizes")
        return carry(torch.stack([d.blur for d in self.degradations]), self.y.device)

    @property
    def noise(self) -> torch.Tensor:
        """The standard deviation of the Gaussian noise of each image ``(B,)``, float32."""
        if not self.degradations:
            raise InputError("of recorded pairs it is not known how strong their noise is")
        return carry(torch.tensor([d.noise for d in self.degradations]), self.y.device)

    @property
    def parameters(self) -> list[dict[str, float]]:
        """Each image's drawn numbers."""
        return [d.parameters for d in self.degradations]


#: A setting: from a random generator to how an image is degraded.
Draw = Callable[[torch.Generator], Degradation]


def draw_each(draw: Draw, generators: Sequence[torch.Generator]) -> list[Degradation]:
    """``[draw(g) for g in generators]``, to the bit; at once where a draw says how.

    That is its attribute ``many``: a function of the generators, as ``SETTINGS["shake"].many``.
    """
    many = getattr(draw, "many", None)
    return many(generators) if many else [draw(g) for g in generators]


def sample(
    x: torch.Tensor,
    draw: Draw,
    seed: int,
    index: Sequence[int],
    boundary: Boundary = "valid",
    drawn_on: torch.device | str = "cpu",
) -> Pair:
    """Degrade each image in a way drawn for it.

    Pair ``i`` is a function of ``seed`` and ``index[i]`` alone, to the bit on the CPU. On a GPU the
    blur's last bits may depend on the batch, and noise drawn there is its own.

    Args:
        x: sharp images ``(B, C, H, W)``.
        draw: a function of a random generator that returns a :class:`Degradation`, such as those
            in :data:`SETTINGS`. For ``"valid"``, all it returns must have equal margins.
        index: B integers, one an image, such as its set's ``keys``.
        boundary: ``"valid"`` blurs all of ``x`` and keeps, of both images, the pixels that depend
            on nothing outside it. The others are those of :func:`convolve`.
        drawn_on: the device that draws the noise; see :func:`add_noise`.
    """
    drawn = draw_each(draw, [generator(seed, i) for i in index])
    return apply(x, drawn, seed, index, boundary, drawn_on)


def apply(
    x: torch.Tensor,
    degradations: Sequence[Degradation],
    seed: int,
    index: Sequence[int],
    boundary: Boundary = "valid",
    drawn_on: torch.device | str = "cpu",
) -> Pair:
    """As :func:`sample`, with degradations drawn before.

    Where their blurs are on the processor, nothing waits for a GPU that ``x``, ``(B, C, H, W)``, is
    on.
    """
    if not degradations or len(degradations) != x.shape[0]:
        raise InputError(f"{len(degradations)} degradations for {x.shape[0]} images")
    if boundary == "valid" and len({d.margins for d in degradations}) > 1:
        raise InputError(
            "degradations drawn together must have equal margins; give the psf functions a size, "
            "or the degradations a margin"
        )
    in_light = [d.average == "light" for d in degradations]
    y = _where(in_light, x, decode_gamma)
    if any(d.highlights != 1 for d in degradations):
        boosted = zip(y.split(1), degradations, strict=True)
        y = torch.cat([boost_highlights(image, d.highlights) for image, d in boosted])
    y = _blur(y, degradations, boundary)
    y = add_shot_noise(y, [d.photons for d in degradations], seed, index, drawn_on)
    y = _where(in_light, y, encode_gamma)
    y = add_noise(y, [d.noise for d in degradations], seed, index, drawn_on)
    y = _where([d.quantise for d in degradations], y, images.quantise)
    y = _where(
        [d.jpeg is not None for d in degradations],
        y,
        lambda some: compress(some, [d.jpeg for d in degradations if d.jpeg is not None]),
    )
    top, left = degradations[0].margins if boundary == "valid" else (0, 0)
    return Pair(y, _crop(x, top, left), tuple(degradations))


def _where(
    chosen: Sequence[bool], x: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """A function of some of the images, taken together; the others stay as they are."""
    if all(chosen):
        return function(x)
    if not any(chosen):
        return x
    places = [i for i, c in enumerate(chosen) if c]
    made = iter(function(torch.cat([x[i : i + 1] for i in places])).split(1))
    return torch.cat([next(made) if c else x[i : i + 1] for i, c in enumerate(chosen)])


def _blur(x: torch.Tensor, degradations: Sequence[Degradation], boundary: Boundary) -> torch.Tensor:
    """All blurs, those of one kind together."""
    kinds: dict[tuple, list[int]] = {}
    for i, d in enumerate(degradations):
        kinds.setdefault((d.blur.shape, d.mover is not None), []).append(i)
    if len(kinds) == 1:
        return _blur_alike(x, degradations, boundary)
    images_of: dict[int, torch.Tensor] = {}
    for places in kinds.values():
        some = torch.cat([x[i : i + 1] for i in places])
        blurred = _blur_alike(some, [degradations[i] for i in places], boundary)
        images_of |= dict(zip(places, blurred.split(1), strict=True))
    return torch.cat([images_of[i] for i in range(len(x))])


def _blur_alike(
    x: torch.Tensor, degradations: Sequence[Degradation], boundary: Boundary
) -> torch.Tensor:
    blurs, first = torch.stack([d.blur for d in degradations]), degradations[0]
    margin = first.margins[0] if boundary == "valid" else 0
    if blurs.ndim == 4:
        movers = [d.mover for d in degradations if d.mover is not None]
        if not movers:
            return sweep(x, blurs, boundary, margin)
        return sweep_objects(x, blurs, movers, boundary, margin)
    y = convolve(x, blurs, boundary)
    if boundary == "valid" and first.margin is not None:
        taken = [n // 2 for n in first.blur.shape]
        y = _crop(y, *(margin - n for n in taken))
    return y


def _crop(x: torch.Tensor, top: int, left: int) -> torch.Tensor:
    height, width = x.shape[-2] - 2 * top, x.shape[-1] - 2 * left
    if min(height, width) < 1:
        raise InputError(f"a margin of {max(top, left)} leaves nothing of {tuple(x.shape[-2:])}")
    return x[..., top : top + height, left : left + width]
