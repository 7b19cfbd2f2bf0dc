"""Convolution with a kernel, one for all images or one each, and its exact adjoint.

Taught in chapter 01.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import scipy.fft
import torch
import torch.nn.functional as F

from .. import machine
from ..errors import InputError
from ..names import Boundary, unknown_name
from .carrying import carry

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: What may be taken to lie beyond an image, see :func:`convolve`.
BOUNDARIES = ("reflect", "circular", "zero", "valid")

# On the processor, summing taps is faster up to about this many (benchmarks/convolution.py); above
# it, multiplying Fourier transforms is.
DIRECT_TAPS = 21 * 21
SEPARABLE_TAPS = 9 * 9  # from here on, two one-dimensional sums pay where the kernel allows it


def convolve(x: torch.Tensor, k: torch.Tensor, boundary: Boundary = "reflect") -> torch.Tensor:
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
        ``(B, C, H, W)``; for ``"valid"`` ``(B, C, H - h + 1, W - w + 1)``; of the type of ``x``.
        Half precision, and what autocast or TF32 would make less than float32, is computed in
        float32. ``k`` is brought to the type and device of ``x``; one that is on the processor lets
        no GPU be waited for. Derivatives are those of ``torch.autograd``.

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

    def slide(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return _slide(extend(x, k.shape[-2] // 2, k.shape[-1] // 2, boundary), k)

    return _in_full_precision(slide, x, k)


def convolve_adjoint(
    y: torch.Tensor, k: torch.Tensor, boundary: Boundary = "reflect"
) -> torch.Tensor:
    """The adjoint ``A'`` of :func:`convolve` with the same arguments: ``<A x, y> = <x, A' y>``.

    Deconvolution needs exactly this. It is correlation with ``k`` inside the image; near the
    border, what ``convolve`` took from beyond is given back to the pixel it stood for.

    Args:
        y: ``(B, C, H, W)``, of the size that ``convolve`` returns.

    Returns:
        a tensor of the size of ``convolve``'s input.
    """
    _check(y, k, boundary)

    def slide_back(y: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        h, w = k.shape[-2:]
        return fold(_slide_adjoint(y, k), h // 2, w // 2, boundary)

    return _in_full_precision(slide_back, y, k)


def _check(x: torch.Tensor, k: torch.Tensor, boundary: Boundary) -> None:
    if x.ndim != 4 or x.numel() == 0:
        raise InputError(f"images must be (B, C, H, W) and not empty, not {tuple(x.shape)}")
    if not x.is_floating_point():
        raise InputError(f"images must be floating-point values in [0, 1], not {x.dtype}")
    if boundary not in BOUNDARIES:
        raise unknown_name("boundary", boundary, BOUNDARIES)
    if k.ndim not in (2, 3) or k.shape[-1] % 2 == 0 or k.shape[-2] % 2 == 0:
        raise InputError(f"a kernel must be (h, w) or (B, h, w), sides odd, not {tuple(k.shape)}")
    if k.ndim == 3 and k.shape[0] != x.shape[0]:
        raise InputError(f"{k.shape[0]} kernels were given for {x.shape[0]} images")


def _in_full_precision(operation: Operation, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    full = x if x.dtype == torch.float64 else x.float()
    with torch.autocast(x.device.type, enabled=False), machine.tf32(False):
        return _in_factors(operation, full, k.to(full.dtype)).to(x.dtype)


def _in_factors(operation: Operation, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Apply a convolution with ``k``, as one with its column and one with its row where it can be.

    That is decided image by image: a result must not depend on the batch it is in. And where ``k``
    is: for one on the processor, no GPU is waited for.
    """
    k = k.expand(x.shape[0], *k.shape[-2:])
    # not where k is learned: on this way its gradient would miss all that is not separable
    if k[0].numel() < SEPARABLE_TAPS or min(k.shape[-2:]) == 1 or k.requires_grad:
        return operation(x, carry(k, x.device))
    rows, columns = k.sum(-1, keepdim=True), k.sum(-2, keepdim=True)  # (B, h, 1), (B, 1, w)
    total = rows.sum(-2, keepdim=True)
    error = (k * total - rows * columns).abs().amax((-2, -1))
    scale = (k * total).abs().amax((-2, -1))
    separable = (scale > 0) & (error <= 8 * torch.finfo(k.dtype).eps * scale)
    if bool(separable.all()):
        return operation(operation(x, carry(rows / total, x.device)), carry(columns, x.device))
    if bool(separable.any()):
        groups = [separable.nonzero()[:, 0], (~separable).nonzero()[:, 0]]
        parts = [(x.index_select(0, carry(g, x.device)), k.index_select(0, g)) for g in groups]
        results = torch.cat([_in_factors(operation, *part) for part in parts])
        return results.index_select(0, carry(torch.cat(groups).argsort(), x.device))
    return operation(x, carry(k, x.device))


def _slide(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Convolution where the whole kernel fits: ``(B, C, H - h + 1, W - w + 1)``."""
    return _slide_by_size(x, k) if k.requires_grad else _Slide.apply(x, k)


def _slide_adjoint(y: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    h, w = k.shape[-2:]
    return _slide(F.pad(y, (w - 1, w - 1, h - 1, h - 1)), k.flip(-2, -1))


class _Slide(torch.autograd.Function):
    """Its derivative is its adjoint, which is several times faster than that of ``conv2d``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(k)
        return _slide_by_size(x, k)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        with torch.autocast(gradient.device.type, enabled=False), machine.tf32(False):
            return _slide_adjoint(gradient, *ctx.saved_tensors), None


def _slide_by_size(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return _slide_fourier(x, k) if k[0].numel() > DIRECT_TAPS else _slide_direct(x, k)


def _slide_direct(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    # (B, C, H, W) as one image of B * C channels, each with its own kernel
    batch, channels = x.shape[:2]
    if batch * channels == 1:  # else PyTorch takes another algorithm, with other last bits
        return _slide_direct(x.expand(2, -1, -1, -1), k.expand(2, -1, -1))[:1]
    weights = k.flip(-2, -1).repeat_interleave(channels, 0).unsqueeze(1)
    flat = F.conv2d(x.flatten(0, 1).unsqueeze(0), weights, groups=batch * channels)
    return flat.squeeze(0).unflatten(0, (batch, channels))


def _slide_fourier(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    h, w = k.shape[-2:]
    grid = fast_grid(*x.shape[-2:])
    window = (slice(h - 1, x.shape[-2]), slice(w - 1, x.shape[-1]))

    def slide(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return filtered(x, torch.fft.rfft2(k, s=grid)[:, None], grid, window)

    if x.device.type != "cpu":
        return slide(x, k)
    # one image at a time: the transforms of a batch may differ from it in the last bit
    return torch.cat([slide(*each) for each in zip(x.split(1), k.split(1), strict=True)])


def fast_grid(height: int, width: int) -> tuple[int, int]:
    """The least size of an image that holds so many pixels and is transformed fast."""
    return scipy.fft.next_fast_len(height), scipy.fft.next_fast_len(width, real=True)


def filtered(
    x: torch.Tensor,
    transform: torch.Tensor,
    grid: Sequence[int],
    window: tuple[slice, slice],
) -> torch.Tensor:
    """Filter images: multiply their Fourier transforms by a transfer function, transform back.

    Args:
        x: ``(B, C, H, W)``, taken for the upper left corner of a grid that is black elsewhere.
        transform: the transfer function on that grid, ``(B, 1, height, width // 2 + 1)``.
        grid: its height and width.
        window: the rows and the columns to return.
    """
    product = torch.fft.rfft2(x, s=grid)
    # in place, for it is large; but not where the transform is to be learned
    product = product * transform if transform.requires_grad else product.mul_(transform)
    return torch.fft.irfft2(product, s=grid)[(..., *window)]


def _source_index(n: int, around: int, boundary: Boundary, device: torch.device) -> torch.Tensor:
    """For the pixels -around ... n - 1 + around of an extended line: the pixel each one copies."""
    index = torch.arange(-around, n + around, device=device)
    if boundary == "circular":
        return index % n
    period = max(2 * (n - 1), 1)  # reflect: 0 1 2 3 2 1 | 0 1 2 3 ...
    index = index % period
    return torch.minimum(index, period - index) if n > 1 else index * 0


def extend(x: torch.Tensor, top: int, left: int, boundary: Boundary) -> torch.Tensor:
    """An image with ``top`` rows more above and below it, and ``left`` columns more at its sides.

    They hold what :func:`convolve` says of the boundary; of ``"valid"`` there are none.
    """
    if boundary == "valid":
        return x
    if boundary == "zero":
        return F.pad(x, (left, left, top, top))
    if boundary == "reflect" and top < x.shape[-2] and left < x.shape[-1]:
        return F.pad(x, (left, left, top, top), mode="reflect")  # the same, and faster
    rows = _source_index(x.shape[-2], top, boundary, x.device)
    columns = _source_index(x.shape[-1], left, boundary, x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def fold(z: torch.Tensor, top: int, left: int, boundary: Boundary) -> torch.Tensor:
    """The adjoint of :func:`extend`: every extended pixel is added to the one it copied."""
    if boundary == "valid":
        return z
    height, width = z.shape[-2] - 2 * top, z.shape[-1] - 2 * left
    if boundary == "zero":
        return z[..., top : top + height, left : left + width]
    rows = _source_index(height, top, boundary, z.device)
    columns = _source_index(width, left, boundary, z.device)
    z = z.new_zeros(*z.shape[:-2], height, z.shape[-1]).index_add_(-2, rows, z)
    return z.new_zeros(*z.shape[:-1], width).index_add_(-1, columns, z)
