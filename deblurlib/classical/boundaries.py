"""Images made periodic, so that dividing Fourier transforms leaves no waves at their borders.

A discrete Fourier transform takes an image for a tile of an endless wall. Where the right edge does
not fit the left one, there is a step that no blur made, and deconvolution rings. Taught in chapter
06.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy.fft
import torch

from ..degrade import convolve
from ..errors import InputError
from ..names import known, unknown_name

#: how :func:`make_periodic` can make an image periodic
#: What is done about the edge where transforms make the image one of a torus.
Periodic = Literal["circular", "reflect", "taper", "liu-jia"]
PERIODIC = known(Periodic)


def make_periodic(y: torch.Tensor, k: torch.Tensor, boundary: Periodic = "liu-jia") -> torch.Tensor:
    """An image whose tiles fit together: ``y`` in its upper left corner, or a version of it.

    Args:
        y: ``(B, C, H, W)``.
        k: kernels ``(B, h, w)``, which say how far the border matters.
        boundary: ``"circular"``: as it is; ``"reflect"``: beside it its mirror image, the edge
            pixel not repeated, as for :func:`deblurlib.degrade.convolve`: exact where that blurred
            with a symmetric kernel; ``"taper"``: see :func:`taper`; ``"liu-jia"``:
            beside it a strip that leads smoothly from each edge to the opposite one, see
            :func:`extend_smoothly`.

    Returns:
        ``(B, C, H', W')``, as large as the kernels at least.
    """
    h, w = k.shape[-2:]
    if boundary == "liu-jia":
        return extend_smoothly(y, *extended_size(y, k))
    if boundary == "reflect":
        y = torch.cat([y, y[..., 1:-1].flip(-1)], -1)
        y = torch.cat([y, y[..., 1:-1, :].flip(-2)], -2)
    elif boundary == "taper":
        y = taper(y, k)
    elif boundary != "circular":
        raise unknown_name("boundary", boundary, PERIODIC)
    return y.repeat(1, 1, math.ceil(h / y.shape[-2]), math.ceil(w / y.shape[-1]))


def taper(y: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Blend an image near its border into itself blurred over the border, as on a torus.

    What MATLAB's ``edgetaper`` does: the weight of ``y`` is 0 at the border and rises to 1 as the
    autocorrelation of the kernel, summed along rows or columns, falls.

    Args:
        y: ``(B, C, H, W)``.
        k: ``(B, h, w)``.

    Returns:
        ``(B, C, H, W)``.
    """
    weight = y.new_ones(())
    for axis, n in ((-2, y.shape[-2]), (-1, y.shape[-1])):
        if n == 1:
            continue
        profile = k.sum(-3 - axis)  # over the other axis: (B, h) or (B, w)
        folded = profile.new_zeros(len(k), n - 1)
        places = torch.arange(profile.shape[-1], device=k.device) % (n - 1)
        folded.index_add_(-1, places, profile)
        spectrum = torch.fft.rfft(folded).abs().square()
        correlation = torch.fft.irfft(spectrum, n=n - 1)
        correlation = torch.cat([correlation, correlation[:, :1]], -1)[:, :n]
        share = 1 - correlation / correlation.amax(-1, keepdim=True)
        weight = weight * (share[:, None, :, None] if axis == -2 else share[:, None, None, :])
    return weight * y + (1 - weight) * convolve(y, k, "circular")


def extended_size(y: torch.Tensor, k: torch.Tensor) -> tuple[int, int]:
    """Height and width of ``y`` extended by the kernel's size, rounded up to transform fast."""
    height, width = (n + m - 1 for n, m in zip(y.shape[-2:], k.shape[-2:], strict=True))
    return scipy.fft.next_fast_len(height), scipy.fft.next_fast_len(width, real=True)


def extend_smoothly(y: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Continue an image below and to the right so that it is periodic, without a step or a spike.

    Liu and Jia, "Reducing boundary artifacts in image deconvolution", ICIP 2008: the strip below
    lies between the last row and the first, the one to the right between the last column and the
    first, the corner between the strips; in each, every pixel is the mean of its four neighbours.
    Done by NumPy on the processor, without derivatives.

    Args:
        y: ``(B, C, H, W)``.
        height, width: of the result, not less than those of ``y``.
    """
    size = y.shape[-2:]
    if height < size[0] or width < size[1]:
        raise InputError(f"{size[0]} x {size[1]} pixels cannot be extended to {height} x {width}")
    image = y.detach().cpu().double().numpy()
    rows, columns = height - size[0], width - size[1]
    below = _strip(image, rows)
    beside = _strip(image.swapaxes(-1, -2), columns).swapaxes(-1, -2)
    corner = _harmonic(beside[..., -1, :], beside[..., 0, :], below[..., -1], below[..., 0])
    wide = np.block([[image, beside], [below, corner]])
    return torch.from_numpy(wide).to(y)


def _strip(image: np.ndarray, rows: int) -> np.ndarray:
    """``rows`` rows that lead from an image's last row to its first; straight at both ends."""
    share = (np.arange(rows) + 1) / (rows + 1)
    top, bottom = image[..., -1, :], image[..., 0, :]
    straight = (1 - share)[:, None] * top[..., None, :] + share[:, None] * bottom[..., None, :]
    if image.shape[-1] > 2:
        inner = (top[..., 1:-1], bottom[..., 1:-1], straight[..., 0], straight[..., -1])
        straight[..., 1:-1] = _harmonic(*inner)
    return straight


def _harmonic(
    top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """The inside of a frame, each pixel the mean of its four neighbours.

    Args:
        top, bottom: ``(..., n)``.
        left, right: ``(..., m)``.

    Returns:
        ``(..., m, n)``: the discrete Laplace equation, solved by sine transforms.
    """
    m, n = left.shape[-1], top.shape[-1]
    if min(m, n) == 0:
        return np.zeros((*top.shape[:-1], m, n))
    frame = np.zeros((*top.shape[:-1], m, n))  # the sum of a pixel's neighbours on the frame
    frame[..., 0, :] += top
    frame[..., -1, :] += bottom
    frame[..., :, 0] += left
    frame[..., :, -1] += right
    waves = [2 - 2 * np.cos(np.pi * (np.arange(s) + 1) / (s + 1)) for s in (m, n)]
    transform = scipy.fft.dstn(frame, type=1, axes=(-2, -1)) / (waves[0][:, None] + waves[1])
    return scipy.fft.idstn(transform, type=1, axes=(-2, -1))
