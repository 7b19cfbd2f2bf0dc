"""Kinds of blur, each of many sizes: what chapter 07 sets side by side.

Sizes are ours: kernels from about 3 to about 24 pixels wide, in one window of 25, without noise.
"""

from __future__ import annotations

import torch

from .. import psf
from .sampling import Degradation
from .seeding import between

WINDOW = 25  # pixels


def gaussian_narrow(generator: torch.Generator) -> Degradation:
    """A Gaussian with a sigma uniform in [0.8, 1.6] pixels."""
    return _gaussian(generator, 0.8, 1.6)


def gaussian_wide(generator: torch.Generator) -> Degradation:
    """A Gaussian with a sigma uniform in [2.4, 4] pixels."""
    return _gaussian(generator, 2.4, 4.0)


def box(generator: torch.Generator) -> Degradation:
    """A square of equal values, 3 to 13 pixels wide, odd."""
    size = 2 * int(between(generator, 1, 7)) + 1
    return Degradation(_padded(psf.box(size)), {"size": size})


def motion(generator: torch.Generator) -> Degradation:
    """A straight line, 5 to 24 pixels long, at any angle."""
    length, angle = between(generator, 5.0, 24.0), between(generator, 0.0, 180.0)
    return Degradation(psf.motion(length, angle, WINDOW), {"length": length, "angle": angle})


def defocus(generator: torch.Generator) -> Degradation:
    """A disk with a radius uniform in [1.5, 6] pixels: a lens that is out of focus."""
    radius = between(generator, 1.5, 6.0)
    return Degradation(psf.disk(radius, WINDOW), {"radius": radius})


def defocus_4(generator: torch.Generator) -> Degradation:
    """A disk with a radius of 4 pixels, always."""
    return Degradation(psf.disk(4.0), {"radius": 4.0})


def _gaussian(generator: torch.Generator, low: float, high: float) -> Degradation:
    sigma = between(generator, low, high)
    return Degradation(psf.gaussian(sigma, WINDOW), {"sigma": sigma})


def _padded(k: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(k, [(WINDOW - k.shape[-1]) // 2] * 4)
