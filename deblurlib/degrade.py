"""Blur and noise: the forward model ``y = k * x + n``, its adjoint, and seeded draws of it.

Taught in chapter 01.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from . import psf
from .errors import InputError

BOUNDARIES = ("reflect", "circular", "zero", "valid")


def convolve(x: torch.Tensor, k: torch.Tensor, boundary: str = "reflect") -> torch.Tensor:
    """Convolve each image with a kernel: ``y[p] = sum_d k[centre + d] x[p - d]``.

    Args:
        x: images ``(B, C, H, W)``, of any size from 1x1 on.
        k: one kernel ``(h, w)`` for all images or ``(B, h, w)``, one for each; every channel of an
            image gets the same.
        boundary: what lies beyond the image. ``"reflect"``: its mirror image, the edge pixel not
            repeated (OpenCV's ``BORDER_REFLECT_101``); ``"circular"``: the opposite side;
            ``"zero"``: black; ``"valid"``: nothing, and the result shrinks by ``h - 1`` and
            ``w - 1`` pixels, so that no pixel of it was made up.

    Returns:
        ``(B, C, H, W)``; for ``"valid"`` ``(B, C, H - h + 1, W - w + 1)``.

    >>> x = torch.zeros(1, 1, 1, 5); x[..., 2] = 1
    >>> convolve(x, torch.tensor([[0.5, 0.3, 0.2]]))
    tensor([[[[0.0000, 0.5000, 0.3000, 0.2000, 0.0000]]]])
    """
    _check(x, k, boundary)
    h, w = k.shape[-2:]
    if boundary == "valid" and (h > x.shape[-2] or w > x.shape[-1]):
        raise InputError(
            f"a {h} x {w} kernel leaves nothing valid of {x.shape[-2]} x {x.shape[-1]} pixels"
        )
    return _correlate(_extend(x, h // 2, w // 2, boundary), k.flip(-2, -1))


def convolve_adjoint(y: torch.Tensor, k: torch.Tensor, boundary: str = "reflect") -> torch.Tensor:
    """The adjoint ``A'`` of :func:`convolve` with the same arguments: ``<A x, y> = <x, A' y>``.

    Deconvolution needs exactly this. It is correlation with ``k`` inside the image; near the
    border, what ``convolve`` took from beyond is given back to the pixel it stood for.

    Args:
        y: ``(B, C, H, W)``, of the size that ``convolve`` returns.

    Returns:
        a tensor of the size of ``convolve``'s input.
    """
    _check(y, k, boundary)
    h, w = k.shape[-2:]
    spread = _correlate(F.pad(y, (w - 1, w - 1, h - 1, h - 1)), k)
    return _fold(spread, h // 2, w // 2, boundary)


def _check(x: torch.Tensor, k: torch.Tensor, boundary: str) -> None:
    if x.ndim != 4 or x.numel() == 0:
        raise InputError(f"images must be (B, C, H, W) and not empty, not {tuple(x.shape)}")
    if boundary not in BOUNDARIES:
        raise InputError(f"boundary {boundary!r} is none of {', '.join(BOUNDARIES)}")
    if k.ndim not in (2, 3) or k.shape[-1] % 2 == 0 or k.shape[-2] % 2 == 0:
        raise InputError(f"a kernel must be (h, w) or (B, h, w), sides odd, not {tuple(k.shape)}")
    if k.ndim == 3 and k.shape[0] != x.shape[0]:
        raise InputError(f"{k.shape[0]} kernels were given for {x.shape[0]} images")


def _correlate(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    # (B, C, H, W) as one image of B * C channels, each with its own kernel
    batch, channels = x.shape[:2]
    weights = k.expand(batch, *k.shape[-2:]).repeat_interleave(channels, 0).unsqueeze(1)
    flat = F.conv2d(x.flatten(0, 1).unsqueeze(0), weights.to(x), groups=batch * channels)
    return flat.squeeze(0).unflatten(0, (batch, channels))


def _source_index(n: int, reach: int, boundary: str, device: torch.device) -> torch.Tensor:
    """For the pixels -reach ... n - 1 + reach of an extended line: the pixel each one copies."""
    index = torch.arange(-reach, n + reach, device=device)
    if boundary == "circular":
        return index % n
    period = max(2 * (n - 1), 1)  # reflect: 0 1 2 3 2 1 | 0 1 2 3 ...
    index = index % period
    return torch.minimum(index, period - index) if n > 1 else index * 0


def _extend(x: torch.Tensor, top: int, left: int, boundary: str) -> torch.Tensor:
    if boundary == "valid":
        return x
    if boundary == "zero":
        return F.pad(x, (left, left, top, top))
    rows = _source_index(x.shape[-2], top, boundary, x.device)
    columns = _source_index(x.shape[-1], left, boundary, x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def _fold(z: torch.Tensor, top: int, left: int, boundary: str) -> torch.Tensor:
    """The adjoint of :func:`_extend`: every extended pixel is added to the one it copied."""
    if boundary == "valid":
        return z
    height, width = z.shape[-2] - 2 * top, z.shape[-1] - 2 * left
    if boundary == "zero":
        return z[..., top : top + height, left : left + width]
    rows = _source_index(height, top, boundary, z.device)
    columns = _source_index(width, left, boundary, z.device)
    z = z.new_zeros(*z.shape[:-2], height, z.shape[-1]).index_add_(-2, rows, z)
    return z.new_zeros(*z.shape[:-1], width).index_add_(-1, columns, z)


def generator(seed: int, index: int) -> torch.Generator:
    """The random numbers of image ``index`` under ``seed``.

    They are drawn on the CPU, so they are equal on every device, and depend neither on the batch
    an image is in nor on what was drawn before. Images of different sets or splits need different
    indices, else they get the same noise: see :attr:`deblurlib.data.ImageSet.keys`.
    """
    mixed = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> 1))


def add_noise(
    x: torch.Tensor, sigma: float | Sequence[float], seed: int, index: Sequence[int]
) -> torch.Tensor:
    """Add Gaussian noise, drawn for each image from (``seed``, its index); nothing is clipped.

    Args:
        x: images ``(B, C, H, W)``.
        sigma: the noise's standard deviation in units of the [0, 1] range: one, or one an image.
        index: B integers, one an image, such as its set's ``keys``.
    """
    if len(index) != x.shape[0]:
        raise InputError(f"{len(index)} indices were given for {x.shape[0]} images")
    sigmas = [sigma] * len(index) if isinstance(sigma, int | float) else list(sigma)
    if len(sigmas) != x.shape[0]:
        raise InputError(f"{len(sigmas)} sigmas were given for {x.shape[0]} images")
    for s in sigmas:
        if not 0 <= s < math.inf:  # NaN is neither
            raise InputError(f"sigma must be 0 or more, not {s}")
    # stream 1: stream 0 of the same image is its blur's
    noise = [
        s * torch.randn(x.shape[1:], generator=generator(seed, 2 * i + 1))
        for i, s in zip(index, sigmas, strict=True)
    ]
    return x + torch.stack(noise).to(x)


def sample(
    x: torch.Tensor,
    draw: Callable[[torch.Generator], tuple[torch.Tensor, float]],
    seed: int,
    index: Sequence[int],
    boundary: str = "reflect",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Degrade each image by a kernel and a noise level drawn for it.

    Pair ``i`` is a function of ``seed`` and ``index[i]`` alone.

    Args:
        x: sharp images ``(B, C, H, W)``.
        draw: a function of a random generator that returns a kernel and the noise's sigma.
            For the boundary ``"valid"`` its kernels must be of one size, as ``y``'s depends on it.
        index: B integers, one an image, such as its set's ``keys``.

    Returns:
        ``y`` as :func:`convolve` shapes it, and the kernels ``(B, h, w)``.
    """
    drawn = [draw(generator(seed, 2 * i)) for i in index]
    if boundary == "valid" and len({kernel.shape for kernel, _ in drawn}) > 1:
        raise InputError(
            'the boundary "valid" needs kernels of one size; give psf functions a size'
        )
    k = psf.check(psf.stack([kernel for kernel, _ in drawn])).to(x.device)
    blurred = convolve(x, k, boundary)
    return add_noise(blurred, [sigma for _, sigma in drawn], seed, index), k
