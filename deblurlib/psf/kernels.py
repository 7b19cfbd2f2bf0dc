"""Kernels of lenses and of motion, one from each function, and what is done with several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError, require
from .paths import trajectory


def gaussian(sigma: float, size: int | None = None) -> torch.Tensor:
    """Gaussian kernel ``(size, size)``, sampled at the pixel centres.

    Args:
        sigma: standard deviation in pixels; 0 gives the delta kernel.
        size: odd side; by default the kernel reaches three standard deviations. A smaller size
            cuts the Gaussian off, as OpenCV's ``GaussianBlur(x, (size, size), sigma)`` does.
    """
    require(0 <= sigma < math.inf, f"sigma must be 0 or more, not {sigma}")
    size = odd(size, 2 * math.ceil(3 * sigma) + 1)
    if sigma == 0:
        profile = (_coordinates(size) == 0).double()
    else:
        profile = torch.exp(-0.5 * (_coordinates(size) / sigma) ** 2)
    return _normalised(torch.outer(profile, profile))


def box(size: int) -> torch.Tensor:
    """Mean over a square, ``(size, size)``, odd. PIL's ``BoxBlur(r)`` is ``box(2 * r + 1)``."""
    size = odd(size, size)
    return _normalised(torch.ones(size, size, dtype=torch.float64))


def motion(length: float, angle: float = 0.0, size: int | None = None) -> torch.Tensor:
    """Straight, even motion: an anti-aliased line in a kernel ``(size, size)``.

    A strip ``length`` pixels long: a pixel gets the part of it that the strip covers along the
    motion, times a tent across it that falls to 0 one pixel away. So the kernel changes smoothly
    with both arguments, and an odd length at angle 0 is exactly ``length`` equal taps.

    Args:
        length: pixels, 1 or more.
        angle: degrees, counter-clockwise from the x axis as seen on the screen.
        size: odd side; by default the smallest that holds the line.

    Raises:
        InputError: the line does not fit into ``size``.
    """
    require(math.isfinite(length) and length >= 1, f"length must be 1 or more, not {length}")
    require(math.isfinite(angle), f"angle must be a number of degrees, not {angle}")
    grid = _coordinates(2 * math.ceil(length / 2 + 1) + 1)
    down, right = torch.meshgrid(grid, grid, indexing="ij")
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = cosine * right - sine * down
    across = sine * right + cosine * down
    covered = (length / 2 + 0.5 - along.abs()).clamp(0, 1)
    return _fit(covered * (1 - across.abs()).clamp(min=0), size, f"a line of {length} pixels")


def disk(radius: float, size: int | None = None) -> torch.Tensor:
    """Defocus of an ideal round lens, ``(size, size)``: the share of each pixel that a disk covers.

    Args:
        radius: pixels, more than 0; up to 0.5 the disk lies in one pixel (the delta kernel).
        size: odd side; by default the smallest that holds the disk.

    Raises:
        InputError: the disk does not fit into ``size``.
    """
    require(math.isfinite(radius) and radius > 0, f"radius must be more than 0, not {radius}")
    fine = 16  # sub-pixels along each side of a pixel
    half = math.ceil(radius + 0.5)
    offsets = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine - 0.5
    grid = (_coordinates(2 * half + 1)[:, None] + offsets).flatten()
    inside = (grid[:, None] ** 2 + grid**2 <= radius**2).double()
    covered = torch.nn.functional.avg_pool2d(inside[None, None], fine)[0, 0]
    return _fit(covered, size, f"a disk of radius {radius}")


def from_path(path: torch.Tensor, size: int | None = None) -> torch.Tensor:
    """The kernel of an image that moves along a path, resting equally long at each of its points.

    A point between pixels is shared out linearly among the four around it (bilinear splatting).

    Args:
        path: ``(T, 2)``: down and right in pixels from the kernel's centre.
        size: odd side; by default the smallest that holds the path; too small a one is an error.
    """
    whole = path.ndim == 2 and path.shape[1] == 2 and len(path) > 0
    require(whole, f"a path is (T, 2), not {tuple(path.shape)}")
    places = np.ascontiguousarray(path.detach().cpu().double().numpy().T)
    require(bool(np.isfinite(places).all()), "the path holds NaN or infinite values")
    centre = math.ceil(np.abs(places).max()) + 1
    side = 2 * centre + 1
    corner = np.floor(places)
    after = places - corner
    row, column = corner.astype(np.int64) + centre
    # to the pixels above and to the left, then to those on the right, below, and below on the right
    parts = [a * b for a in (1 - after[0], after[0]) for b in (1 - after[1], after[1])]
    pixels = row * side + column
    pixels = [pixels + offset for offset in (0, 1, side, side + 1)]
    k = np.bincount(np.concatenate(pixels), np.concatenate(parts), side * side)
    return _fit(torch.from_numpy(k).view(side, side), size, "the path")


def shake(generator: torch.Generator, length: float, size: int | None = None) -> torch.Tensor:
    """Camera shake: the kernel of a :func:`trajectory`, its light centred on the middle pixel.

    ``length`` is the path's, in pixels; ``size`` is odd, by default enough for any such path. What
    comes is ``(size, size)``.
    """
    path = trajectory(generator, length)
    # no point of a path at constant speed is further than half its length from its mean
    size = 2 * math.ceil(length / 2) + 1 if size is None else size
    return from_path(path, size)


def stack(kernels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Kernels ``(h, w)`` of several sizes as one batch ``(B, h, w)``, each centred among zeros.

    >>> stack([box(1), box(3)]).shape
    torch.Size([2, 3, 3])
    """
    height = max(k.shape[0] for k in kernels)
    width = max(k.shape[1] for k in kernels)
    batch = torch.zeros(len(kernels), height, width)
    for place, k in zip(batch, kernels, strict=True):
        top, left = (height - k.shape[0]) // 2, (width - k.shape[1]) // 2
        place[top : top + k.shape[0], left : left + k.shape[1]] = k
    return batch


def transfer_function(k: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What a kernel does to each frequency: its 2-D Fourier transform on an image's grid.

    The kernel's centre is put at pixel (0, 0), wrapped round the edges, so that circular
    convolution is ``ifft2(fft2(x) * transfer_function(k, H, W))``.

    Args:
        k: kernel ``(h, w)`` or ``(B, h, w)``, not larger than the image.
        height, width: the image's size in pixels.

    Returns:
        complex tensor ``(height, width)`` or ``(B, height, width)``; its value at frequency 0
        is the kernel's sum, 1.
    """
    h, w = k.shape[-2:]
    if h > height or w > width:
        raise InputError(f"a {h} x {w} kernel is larger than the {height} x {width} image")
    padded = F.pad(k, (0, width - w, 0, height - h))
    return torch.fft.fft2(padded.roll((-(h // 2), -(w // 2)), dims=(-2, -1)))


def odd(size: int | None, default: int) -> int:
    """A kernel's side, or the default; an error unless it is odd."""
    size = default if size is None else size
    odd = isinstance(size, Integral) and size > 0 and size % 2 == 1
    require(odd, f"size must be odd, not {size}")
    return int(size)


def _coordinates(size: int) -> torch.Tensor:
    return torch.arange(size, dtype=torch.float64) - size // 2


def _normalised(k: torch.Tensor) -> torch.Tensor:
    return (k / k.sum()).float()


def _fit(k: torch.Tensor, size: int | None, what: str) -> torch.Tensor:
    """Trim the empty border of a square kernel, or bring it to the side asked for."""
    centre = k.shape[0] // 2
    lit = np.flatnonzero((k.numpy() > 1e-12).any(0) | (k.numpy() > 1e-12).any(1))
    half = int(np.abs(lit - centre).max())
    size = odd(size, 2 * half + 1)
    require(size >= 2 * half + 1, f"{what} needs a kernel of {2 * half + 1}, not {size}, pixels")
    trimmed = k[centre - half : centre + half + 1, centre - half : centre + half + 1]
    return F.pad(_normalised(trimmed), [(size - 2 * half - 1) // 2] * 4)
