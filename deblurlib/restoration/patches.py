"""A blur that varies over the image, undone in overlapping patches, each with its own kernel.

Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import torch

from ..errors import InputError, require
from ..psf import as_kernel
from ..values import Array
from .tiles import Span, spans

PATCH, OVERLAP = 128, 64  # pixels: of patches whose kernels are guessed
NEAR = 8  # pixels: how far from a seam the differences lie that it is compared with


def restore_patches(
    y: torch.Tensor,
    kernels: Array,
    restore: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    overlap: int | None = None,
) -> torch.Tensor:
    """Cut an image into a grid of patches, restore each with its kernel, and blend them.

    That undoes ``y = sum_i w_i (k_i * x)``, where a *pixel of the result* has its kernel, which is
    ``weighted="result"`` of :func:`deblurlib.degrade.convolve_field`: then a patch in which the
    kernel is one is what this kernel makes of ``x``. So a turning camera blurs, whose pixels gather
    light along paths of their own. A lens does not: out of focus by its depth is the *point that
    sends*, ``y = sum_i k_i * (w_i x)``. The two differ where the blur changes, as far as the
    kernels reach; there, stitching makes errors that no better kernel mends.

    Args:
        y: ``(B, C, H, W)``.
        kernels: ``(R, S, h, w)``: one for each of R rows of S equally large patches; each is made
            one as :func:`deblurlib.psf.as_kernel` does.
        restore: a method, or another function of a patch ``(B, C, h', w')`` and its kernel.
        overlap: of neighbours, pixels. By default twice the kernels' side: a quarter of it, at
            the patch's border, counts for nothing, for there a deconvolution has to guess; in
            the middle half, a cosine leads from one patch to the other. 0: patches are put side
            by side.

    Returns:
        ``x_hat`` ``(B, C, H, W)``.
    """
    if kernels.ndim != 4 or 0 in kernels.shape:
        raise InputError(f"kernels must be (R, S, h, w), not {tuple(kernels.shape)}")
    grid = tuple(kernels.shape[:2])
    kernels = as_kernel(kernels.reshape(-1, *kernels.shape[2:]), "the kernels")
    require(kernels.ndim == 3, "kernels that are one pixel wide must sum to 1")
    kernels = kernels.unflatten(0, grid)
    overlap = 2 * max(kernels.shape[-2:]) if overlap is None else overlap
    rows, columns = grid_spans(y.shape[-2:], grid, overlap)
    x_hat = torch.zeros_like(y)
    for row, of_row in zip(rows, kernels, strict=True):
        for column, k in zip(columns, of_row, strict=True):
            place = (..., slice(row.start, row.stop), slice(column.start, column.stop))
            weight = (row.weight[:, None] * column.weight).to(y)
            x_hat[place] += restore(y[place], k) * weight
    return x_hat


def guess_and_restore(
    y: torch.Tensor,
    find: Callable[[torch.Tensor], torch.Tensor],
    restore: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    patch: int = PATCH,
    overlap: int = OVERLAP,
) -> torch.Tensor:
    """Find a kernel for each patch of a grid, and :func:`restore_patches` with them.

    S5's way with a blur that varies ("for a small enough local patch, the blur is constant"), which
    it names and gives no sizes of; ours are a compromise: a larger patch tells more of its blur,
    and holds more than one. A patch without any detail tells nothing; its kernel is a guess, which
    hardly matters, for nothing in it changes. One patch is looked at after the other.

    Args:
        y: ``(B, C, H, W)``, of any size; a smaller one than ``patch`` is one patch.
        find: of patches ``(B, C, h', w')``, one of each image, the kernels ``(B, h, w)``.
        restore: of a patch ``(1, C, h', w')`` and the kernels of one patch, ``(h, w)``.
        patch: side of a patch, pixels, at most.
        overlap: of neighbours, less than half of ``patch`` or equal to it.

    Returns:
        ``x_hat`` ``(B, C, H, W)``.
    """
    size = y.shape[-2:]
    grid = grid_for(size, patch, overlap)
    places = product(*grid_spans(size, grid, overlap))
    found = [find(y[..., row.start : row.stop, col.start : col.stop]) for row, col in places]
    kernels = torch.stack(found, 1).unflatten(1, grid)
    parts = zip(y.split(1), kernels, strict=True)
    return torch.cat([restore_patches(one, of_one, restore, overlap) for one, of_one in parts])


def grid_for(size: Sequence[int], patch: int, overlap: int) -> tuple[int, int]:
    """Rows and columns of patches of so many pixels, at most, that cover an image."""
    require(0 <= 2 * overlap <= patch, f"patches of {patch} pixels cannot overlap by {overlap}")
    require(patch >= 1, f"patches have 1 pixel or more, not {patch}")
    rows, columns = (max(1, math.ceil((n - overlap) / (patch - overlap))) for n in size)
    return rows, columns


def grid_spans(
    size: Sequence[int], grid: tuple[int, int], overlap: int
) -> tuple[list[Span], list[Span]]:
    """The rows and the columns of a grid of patches; see :func:`restore_patches`."""
    axes = []
    for length, count in zip(size, grid, strict=True):
        side = -(-(length + (count - 1) * overlap) // count)
        fits = overlap >= 0 and (side > overlap or count == 1)
        cut = spans(length, side, overlap, overlap // 4) if fits else []
        if len(cut) != count:
            raise InputError(
                f"{length} pixels cannot be cut into {count} patches that overlap by {overlap}"
            )
        axes.append(cut)
    return axes[0], axes[1]


def seams(size: Sequence[int], grid: tuple[int, int], overlap: int) -> tuple[list[int], ...]:
    """The rows and the columns of pixels that begin a new patch, in the middle of its overlap."""
    rows, columns = grid_spans(size, grid, overlap)
    return tuple([span.start + overlap // 2 for span in cut[1:]] for cut in (rows, columns))


def seam_energy(
    x_hat: torch.Tensor, rows: list[int], columns: list[int], near: int = NEAR
) -> torch.Tensor:
    """How much more neighbours differ across seams than beside them: ``(B,)``.

    The mean squared difference of pixels across the seams, divided by that of neighbours, in the
    same direction, up to ``near`` pixels away. Near 1, or less, there is no seam to be seen.

    Args:
        x_hat: ``(B, C, H, W)``.
        rows, columns: that begin a new patch; see :func:`seams`.
    """
    across, beside = [], []
    for axis, lines in ((-2, rows), (-1, columns)):
        steps = torch.diff(x_hat, dim=axis).square()  # step i is between pixels i and i + 1
        count = steps.shape[axis]
        for line in lines:
            if not 1 <= line <= count:
                raise InputError(f"a seam at {line} is not inside the image")
            close = [i for i in range(line - 1 - near, line + near) if 0 <= i < count]
            others = [i for i in close if i + 1 not in lines]
            across.append(steps.select(axis, line - 1).flatten(1))
            beside += [steps.select(axis, i).flatten(1) for i in others]
    if not across or not beside:
        raise InputError("there is no seam to measure, or nothing beside it")
    mean = [torch.cat(parts, 1).mean(1) for parts in (across, beside)]
    return mean[0] / mean[1].clamp(min=torch.finfo(x_hat.dtype).tiny)
