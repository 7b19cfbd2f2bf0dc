"""Whether a photograph is sharp already, wherever it has texture. Taught in chapter 05."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from . import images
from .classical import estimate_noise
from .errors import InputError

__all__ = ["blur_width", "is_sharp"]

AGAIN = 1.0  # pixels: sigma of the Gaussian by which a picture is blurred again
BLOCK = 32  # pixels: side of a place
ENOUGH = 6  # edge pixels of one direction that a place needs to count
PLACES, ALONG = 6, 4  # that a picture needs, in all and of one direction, for anything to be said
SLOPE = 0.02  # a pixel, of the picture blurred again: what rises less is no edge
CLEAR = 2.0  # times the noise: what rises less than that is none either
SHARE = 0.9  # of the places of each direction, which are to be sharp
WIDTH = 0.95  # pixels: wider edges are blurred; see deblurlib.studies.srn.sharp
DIRECTIONS = 4  # across an edge: along rows, columns and both diagonals
BAND = 32 * BLOCK  # rows that are looked at together, for memory
REACH = 8  # rows that filters need above and below
SCALE = 20_000  # to the 16 bits in which OpenCV takes slopes
MOST = 25.0  # square pixels: wider edges count as so wide


def blur_width(pixels: np.ndarray) -> float | None:
    """How wide the edges of a photograph are, pixels, where they are widest.

    An edge of the width (standard deviation) ``s`` becomes flatter by ``sqrt(1 + a^2 / s^2)`` when
    it is blurred again by a Gaussian of ``a``; so the ratio of the slopes tells ``s`` (Zhuo and
    Sim, "Defocus map estimation from a single image", Pattern Recognition 44, 2011, equation 5).
    It is measured at Canny's edges. A place is a block of 32 x 32 pixels and one of four
    directions, and its width the lower median of its edges'. Of each direction the width counts
    that nine in ten of its places stay below, and of the directions the widest, for motion blurs
    one of them. So where one block in eight shows a moved car, it is seen, and a photograph with a
    blurred background is not sharp.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C)``, uint8 or uint16, of 1 to 4 channels; the second or
            fourth is alpha and not looked at.

    Returns:
        0.8 for perfect steps, for slopes are taken across two pixels; less for thin lines;
        ``None`` where there are too few edges for an answer.

    Raises:
        InputError: no such array.
    """
    grey = _grey(pixels)
    if min(grey.shape) < 2 * REACH:
        return None
    noise = float(estimate_noise(torch.from_numpy(grey)[None, None])[0])
    least = max(SLOPE, CLEAR * noise)
    found = [_places(*edges) for edges in _edges(grey, least)]
    directions, widths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if len(widths) < PLACES:
        return None
    of_each = [widths[directions == i] for i in range(DIRECTIONS)]
    return max((float(np.quantile(w, SHARE)) for w in of_each if len(w) >= ALONG), default=None)


def is_sharp(pixels: np.ndarray) -> bool:
    """Whether a photograph is sharp wherever it has texture: its :func:`blur_width` is small.

    The limit of 0.95 pixels was chosen such that fewer than 1 in 100 blurred photographs pass;
    :mod:`deblurlib.studies.srn.sharp` has the numbers. What is not known is not sharp. ``pixels``
    are ``(H, W)`` or ``(H, W, C)``.
    """
    width = blur_width(pixels)
    return width is not None and width <= WIDTH


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Float32 ``(H, W)`` in [0, 1]."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.ndim not in (2, 3) or pixels.dtype not in (np.uint8, np.uint16) or channels > 4:
        raise InputError(
            "a photograph is uint8 or uint16, (H, W) or (H, W, C) with 1 to 4 channels, not "
            f"{pixels.shape} of {pixels.dtype}"
        )
    colours = pixels if pixels.ndim == 2 else pixels[..., : channels - (channels in (2, 4))]
    x = images.to_tensor(colours)
    return np.ascontiguousarray((images.grey(x) if len(x) == 3 else x)[0].numpy())


def _edges(
    grey: np.ndarray, least: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Row, column, direction and width of the edges' pixels, band by band, each of whole blocks."""
    height, width = grey.shape
    across = np.array([[-0.5, 0, 0.5]], np.float32)
    kernels = (across, across.T)
    for top in range(0, height, BAND):
        first, last = max(top - REACH, 0), min(top + BAND + REACH, height)
        once = grey[first:last]
        twice = cv2.GaussianBlur(once, (0, 0), AGAIN)
        slopes = [cv2.filter2D(once, -1, k, borderType=cv2.BORDER_REFLECT) for k in kernels]
        flatter = [cv2.filter2D(twice, -1, k, borderType=cv2.BORDER_REFLECT) for k in kernels]
        rounded = [(SCALE * slope).astype(np.int16) for slope in flatter]
        there = cv2.Canny(rounded[0], rounded[1], SCALE * least, SCALE * least, L2gradient=True)
        rows, columns = np.nonzero(there)
        inside = (columns >= REACH // 2) & (columns < width - REACH // 2)
        inside &= (rows + first >= max(top, REACH // 2)) & (rows + first < top + BAND)
        inside &= rows + first < height - REACH // 2
        rows, columns = rows[inside], columns[inside]
        x, y = (slope[rows, columns] for slope in flatter)
        steep = np.hypot(x, y)
        before = (slopes[0][rows, columns] * x + slopes[1][rows, columns] * y) / steep
        ratio = (before / steep) ** 2
        widths = np.sqrt((AGAIN**2 / np.maximum(ratio - 1, 1e-3)).clip(0, MOST))
        direction = np.round(np.arctan2(y, x) * DIRECTIONS / np.pi).astype(np.int64) % DIRECTIONS
        yield rows + first, columns, direction, widths


def _places(
    rows: np.ndarray, columns: np.ndarray, direction: np.ndarray, widths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The direction and the median width of each place that has enough edges."""
    block = rows // BLOCK * (columns.max(initial=0) // BLOCK + 1) + columns // BLOCK
    place = block * DIRECTIONS + direction
    order = np.lexsort((widths, place))  # by place, then by width
    place, widths = place[order], widths[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    count = np.diff(first, append=len(place))
    first, count = first[count >= ENOUGH], count[count >= ENOUGH]
    return place[first] % DIRECTIONS, widths[first + (count - 1) // 2]
