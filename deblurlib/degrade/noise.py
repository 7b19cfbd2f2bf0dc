"""Noise, and highlights that were clipped. Taught in chapter 01."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from ..errors import InputError
from .seeding import generator


def add_noise(
    x: torch.Tensor,
    sigma: float | Sequence[float],
    seed: int,
    index: Sequence[int],
    drawn_on: torch.device | str = "cpu",
) -> torch.Tensor:
    """Add Gaussian noise, drawn for each image from (``seed``, its index); nothing is clipped.

    Args:
        x: images ``(B, C, H, W)``.
        sigma: the noise's standard deviation in units of the [0, 1] range: one, or one an image.
        index: B integers, one an image, such as its set's ``keys``.
        drawn_on: the device that draws. The CPU's noise is the same everywhere; a GPU draws its
            own, and much faster.
    """
    sigmas = _one_each(sigma, "sigma", x, index)
    for s in sigmas:
        if not 0 <= s < math.inf:  # NaN is neither
            raise InputError(f"sigma must be 0 or more, not {s}")
    if not any(sigmas):
        return x
    noise = [
        s
        * torch.randn(x.shape[1:], generator=generator(seed, i, "noise", drawn_on), device=drawn_on)
        for i, s in zip(index, sigmas, strict=True)
    ]
    return x + torch.stack(noise).to(x)


def add_shot_noise(
    x: torch.Tensor,
    photons: float | Sequence[float],
    seed: int,
    index: Sequence[int],
    drawn_on: torch.device | str = "cpu",
) -> torch.Tensor:
    """Count photons: a Poisson number with the mean ``photons * x``, divided by ``photons``.

    Its variance is ``x / photons``: bright pixels have more noise than dark ones, though less for
    their brightness. Light that is less than 0 counts as 0; nothing is clipped at 1.

    Args:
        x: light ``(B, C, H, W)``, that is, values decoded from gamma, where it is to be physical.
        photons: how many a white pixel (1.0) catches: one number, or one an image; ``math.inf``
            for no noise.
        index, drawn_on: as for :func:`add_noise`.
    """
    counts = _one_each(photons, "photons", x, index)
    for n in counts:
        if not n > 0:
            raise InputError(f"photons must be more than 0, not {n}")
    if all(n == math.inf for n in counts):
        return x

    def count(light: torch.Tensor, n: float, i: int) -> torch.Tensor:
        if n == math.inf:
            return light
        return torch.poisson(n * light.clamp(min=0), generator(seed, i, "shot noise", drawn_on)) / n

    each = zip(x.to(drawn_on), counts, index, strict=True)
    return torch.stack([count(*one) for one in each]).to(x)


def boost_highlights(x: torch.Tensor, gain: float, threshold: float = 0.9) -> torch.Tensor:
    """Give back, by guess, the light that the brightest pixels lost when they were clipped.

    A stored image ends at 1, but a lamp may have been many times brighter, and blur spreads all of
    its light before the sensor clips. Values up to ``threshold`` are kept; from there to 1 the
    factor rises evenly from 1 to ``gain``. Blur the result, which has the shape of ``x``, then clip
    it.
    """
    if not (gain >= 1 and 0 <= threshold < 1):
        raise InputError(f"gain must be 1 or more, threshold in [0, 1), not {gain}, {threshold}")
    share = ((x - threshold) / (1 - threshold)).clamp(0, 1)
    return x * (1 + (gain - 1) * share)


def _one_each(
    value: float | Sequence[float] | torch.Tensor, name: str, x: torch.Tensor, index: Sequence[int]
) -> list[float]:
    if len(index) != x.shape[0]:
        raise InputError(f"{len(index)} indices were given for {x.shape[0]} images")
    given = value.tolist() if isinstance(value, torch.Tensor) else value
    values = list(given) if isinstance(given, Iterable) else [given] * len(index)
    if len(values) != x.shape[0]:
        raise InputError(f"{len(values)} {name} were given for {x.shape[0]} images")
    return values
