"""The part of a photograph that tells most of its blur, for what cannot look at all of it.

Taught in chapter 06.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F

from ..classical import unsaturated

__all__ = ["find_part", "telling_part"]

PIXELS = 2**20  # of the part, at most
CELL = 32  # side of the squares that the part is put together from, pixels
BAND = 16  # rows of cells that are looked at at once


def find_part(
    take: Callable[[slice, slice], torch.Tensor], size: Sequence[int], pixels: int = PIXELS
) -> tuple[slice, slice]:
    """The window of an image, of ``pixels`` at most, in which most light changes.

    What counts is the sum of the squared differences of neighbours, for blur can be seen where
    there are edges only; neighbours of which one is clipped do not count, for there the image is
    not a convolution. The window is as square as the image allows. All images of a batch count
    together.

    Args:
        take: gives a part of the image, ``(B, C, h, w)``, floats about in [0, 1], as that of
            :func:`deblurlib.restoration.tiles.in_tiles`; so an image need not fit into memory as
            floats.
        size: height and width of the image.

    Returns:
        its rows and columns; the whole image, if that has no more than ``pixels``.
    """
    height, width = size
    if height * width <= pixels:
        return slice(0, height), slice(0, width)
    high = min(height, int(pixels**0.5))
    wide = min(width, pixels // high)
    high = min(height, pixels // wide)
    bands = []
    for top in range(0, height, BAND * CELL):
        rows = slice(top, min(top + BAND * CELL + 1, height))  # one more, for its differences
        bands.append(_energy(take(rows, slice(0, width)), rows.start + BAND * CELL >= height))
    energy = torch.cat(bands)
    # sums over all windows that begin with a cell, of as many whole cells as fit into one
    down, across = (max(side // CELL, 1) for side in (high, wide))
    sums = F.avg_pool2d(energy[None, None], (down, across), 1)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    top, left = min(row * CELL, height - high), min(column * CELL, width - wide)
    return slice(top, top + high), slice(left, left + wide)


def telling_part(y: torch.Tensor, pixels: int = PIXELS) -> torch.Tensor:
    """That window of each image ``(B, C, H, W)``: ``(B, C, h, w)``; see :func:`find_part`."""
    if y.shape[-2] * y.shape[-1] <= pixels:
        return y
    parts = []
    for one in y.split(1):
        rows, columns = find_part(partial(_window, one), one.shape[-2:], pixels)
        parts.append(_window(one, rows, columns))
    return torch.cat(parts)


def _window(y: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    return y[..., rows, columns]


def _energy(y: torch.Tensor, last: bool) -> torch.Tensor:
    """Of each cell of a band, the sum of the squared differences: ``(rows, columns)``.

    Args:
        last: the band ends the image; else its last row belongs to the next one.
    """
    open_ = unsaturated(y).amin(1, keepdim=True)
    total = y.new_zeros(1, 1, *y.shape[-2:], dtype=torch.float64)
    for axis in (-2, -1):
        count = y.shape[axis] - 1
        seen = open_.narrow(axis, 0, count) * open_.narrow(axis, 1, count)
        steps = y.diff(dim=axis).double().square() * seen
        total.narrow(axis, 0, count).add_(steps.sum((0, 1), keepdim=True))
    total = total if last else total[..., :-1, :]
    down, right = (-side % CELL for side in total.shape[-2:])
    return F.avg_pool2d(F.pad(total, (0, right, 0, down)), CELL)[0, 0] * CELL**2
