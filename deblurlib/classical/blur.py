"""Blur with known kernels and its adjoint, prepared once and applied many times.

:func:`deblurlib.degrade.convolve` computes the same for one time. Taught in chapter 06.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from ..degrade import BOUNDARIES
from ..degrade.convolution import extend, fast_grid, filtered, fold
from ..errors import InputError
from ..names import Boundary, unknown_name
from ..psf import as_kernel
from ..values import Array

__all__ = ["Blur"]

SIDE_BY_SIDE = 2**20  # values of an image: of larger ones, several at once take much memory
MEETING = 60.0  # seconds in which all threads must have begun


class Blur:
    """The operator ``A`` of ``y = A x`` and its adjoint ``A'``, by Fourier transforms.

    Args:
        k: kernels ``(B, h, w)``.
        size: height and width of ``y``.
        boundary: what lies beyond the image, as for :func:`deblurlib.degrade.convolve`; for
            ``"valid"``, ``x`` has ``h - 1`` and ``w - 1`` pixels more than ``y``.
    """

    def __init__(self, k: torch.Tensor, size: Sequence[int], boundary: Boundary):
        if boundary not in BOUNDARIES:
            raise unknown_name("boundary", boundary, BOUNDARIES)
        self.boundary, self.size, self.kernel_size = boundary, size, k.shape[-2:]
        h, w = self.kernel_size
        if boundary == "circular" and h <= size[0] and w <= size[1]:  # so the transforms are
            self.top = self.left = 0
            self.wide = self.grid = size
        else:
            self.top, self.left = h // 2, w // 2
            self.wide = size[0] + 2 * self.top, size[1] + 2 * self.left
            self.grid = fast_grid(*self.wide)
        # the first window of wide pixels, or the one around the first pixel, gives y's first
        self.first = (h // 2 + self.top, w // 2 + self.left)
        self.change_kernel(k)

    def change_kernel(self, k: torch.Tensor) -> None:
        """Put other kernels of the same size in the place of these."""
        down, right = (
            (torch.arange(side, device=k.device) - first) % n
            for side, first, n in zip(self.kernel_size, self.first, self.grid, strict=True)
        )
        placed = k.new_zeros(len(k), *self.grid)
        placed[:, down[:, None], right] = k
        self.transform = torch.fft.rfft2(placed)[:, None]
        self.conjugate = self.transform.conj().resolve_conj()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``A x`` of ``x`` ``(B, C, H, W)``."""
        window = slice(self.size[0]), slice(self.size[1])
        return filtered(self.extend(x), self.transform, self.grid, window)

    def adjoint(self, z: torch.Tensor) -> torch.Tensor:
        """``A' z`` of ``z`` of the size of ``y``."""
        window = slice(self.wide[0]), slice(self.wide[1])
        wide = filtered(z, self.conjugate, self.grid, window)
        small = self.top < self.size[0] and self.left < self.size[1]
        if self.boundary == "reflect" and small:  # the same, and faster
            return _fold_mirrored(_fold_mirrored(wide, -2, self.top), -1, self.left)
        return wide if self.wide == self.size else fold(wide, self.top, self.left, self.boundary)

    def adjoint_in_kernel(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The adjoint of ``k -> A x``, which is linear, too: ``(B, h, w)``; channels are summed."""
        h, w = self.kernel_size
        product = torch.fft.rfft2(self.extend(x), s=self.grid).conj()
        product = (product * torch.fft.rfft2(z, s=self.grid)).sum(1)
        return torch.fft.irfft2(product, s=self.grid).roll(self.first, (-2, -1))[..., :h, :w]

    def extend(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` with what the boundary says lies around it, where that is not done by wrapping."""
        if self.wide == self.size:
            return x
        return extend(x, self.top, self.left, self.boundary)


def _fold_mirrored(z: torch.Tensor, axis: int, around: int) -> torch.Tensor:
    """Add the lines around an image to those that they mirror, in place; edges have no image."""
    if around == 0:
        return z
    last = z.shape[axis] - around
    inner = z.narrow(axis, around, last - around)
    inner.narrow(axis, 1, around).add_(z.narrow(axis, 0, around).flip(axis))
    mirrored = inner.narrow(axis, last - 2 * around - 1, around)
    mirrored.add_(z.narrow(axis, last, around).flip(axis))
    return inner


def checked(y: torch.Tensor, k: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """``y`` in float32 (or 64) and a kernel for each image, or an error that says what is wrong."""
    if y.ndim != 4 or y.numel() == 0 or not y.is_floating_point():
        raise InputError(
            f"images must be floating-point (B, C, H, W) and not empty, not {tuple(y.shape)} of "
            f"{y.dtype}"
        )
    if not torch.isfinite(y).all():
        raise InputError("the image holds NaN or infinite values")
    k = as_kernel(k)
    if k.ndim == 3 and len(k) != len(y):
        raise InputError(f"{len(k)} kernels were given for {len(y)} images")
    full = y if y.dtype == torch.float64 else y.float()
    return full, k.to(full).expand(len(y), *k.shape[-2:])


def image_by_image(
    function: Callable[..., tuple[torch.Tensor, ...]],
    images: torch.Tensor,
    *more: torch.Tensor | None,
    side_by_side: bool = False,
) -> tuple[torch.Tensor, ...]:
    """Apply ``function`` to each image of a batch on a processor, to the batch on a GPU.

    One image's transforms and sums stay in a processor's cache, and nothing depends on the batch.

    Args:
        function: takes one image's part of each of the batches, ``(1, ...)``; its results are put
            together again, and its error is raised as it is.
        images, more: ``(B, ...)`` each; of ``more``, each may be ``None``.
        side_by_side: work on as many images at once as PyTorch has threads, if they are small:
            each on one thread, which so never waits for another. ``function`` must then keep
            nothing from one image to the next, and call nothing that brings threads of its own.

    Returns:
        what ``function`` returns of each image, put together: the same to the bit, however many
        threads there are, if ``function`` says the same of one image on one thread and on several.
    """
    batched = (images, *more)
    if images.device.type != "cpu" or len(images) == 1:
        return function(*batched)
    singles = [[None if z is None else z[i : i + 1] for z in batched] for i in range(len(images))]
    workers = min(torch.get_num_threads(), len(images))
    if side_by_side and workers > 1 and images[0].numel() <= SIDE_BY_SIDE:
        results = _side_by_side(function, singles, workers)
    else:
        results = [function(*single) for single in singles]
    return tuple(torch.cat(parts) for parts in zip(*results, strict=True))


def _side_by_side(function: Callable, singles: list[list], workers: int) -> list:
    """``function`` of each of ``singles``, several at once, in threads of their own."""
    threads, met = torch.get_num_threads(), threading.Barrier(workers, timeout=MEETING)
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def begin(_: int) -> None:
        torch.get_num_threads()  # else its first operation gives this thread the usual number
        torch.set_num_threads(1)
        met.wait()  # so that each thread begins once

    def apply(single: list) -> tuple[torch.Tensor, ...]:
        # what a thread does not inherit
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return function(*single)

    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(begin, range(workers)))
        finally:
            torch.set_num_threads(threads)  # what threads that begin elsewhere will have, too
        return list(pool.map(apply, singles))
