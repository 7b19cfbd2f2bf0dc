"""The kernel that a photograph shows itself: what a far lamp, one point of light, became in it.

Taught in chapter 06.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from ..errors import InputError, require
from .checking import warn
from .kernels import odd

NEAR = 3  # pixels from the given place within which the streak must come
FAINT, NOISES = 0.02, 4.0  # what counts as light: shares of the brightest, deviations of the noise
LEAST = 0.04  # how much brighter than its surroundings the streak must be, of [0, 1]
FULL = 0.99  # values from here on are taken to be clipped
MOVES = 8  # of the window, until the streak is in its middle
NORMAL_MEDIAN = 0.6745  # of the absolute value, standard deviations


def from_streak(
    y: torch.Tensor, row: int, column: int, size: int = 31, encoded: bool = True
) -> torch.Tensor:
    """The kernel that a point of light shows by its streak, as a lamp far away in a photograph.

    A point blurred by ``k`` is ``k`` on the background. A window of ``size`` is moved to where the
    streak is in its middle; the background, the median of the window's border, is subtracted; what
    is not connected with the streak is left out; what is left is divided by its sum. The kernel's
    centre of mass is on the middle pixel, to half a pixel. A wide lamp gives a kernel that is too
    wide.

    Args:
        y: ``(C, H, W)``, floats in [0, 1]; the mean of the channels is taken.
        row, column: a pixel of the streak, or near it, counted from 0.
        size: odd side of the kernel, pixels.
        encoded: whether ``y`` holds values of sRGB, as files do, which are made light before (IEC
            61966-2-1); else they are taken for light. Values of sRGB show the faint parts of a
            streak too bright.

    Returns:
        ``(size, size)``, float32.

    Raises:
        InputError: integers; a place outside the image, or too near to its edge for the window;
            nothing bright there; a streak that leaves the window, or is in the middle of none.
            Of one that is clipped, it warns: where the sensor was full, the kernel is too weak.
    """
    size = odd(size, size)
    require(y.ndim == 3, f"an image is (C, H, W), not {tuple(y.shape)}")
    require(y.is_floating_point(), f"an image's values are floats in [0, 1], not {y.dtype}")
    (height, width), place = y.shape[-2:], f"the point {column},{row}"

    def cut(top: int, left: int, high: int, wide: int) -> tuple[np.ndarray, np.ndarray]:
        """The values ``(C, h, w)`` of a window, and its light; a photograph is much in float64."""
        window = y[:, top : top + high, left : left + wide].detach().cpu()
        part = window.double().clamp(0, 1).numpy()
        return part, (_light(part) if encoded else part).mean(0)

    if not (0 <= row < height and 0 <= column < width):
        raise InputError(f"{place} is outside of the picture of {width} x {height} pixels")
    corner = max(row - NEAR, 0), max(column - NEAR, 0)
    _, light = cut(*corner, row + NEAR + 1 - corner[0], column + NEAR + 1 - corner[1])
    brightest = np.unravel_index(light.argmax(), light.shape)
    start = [int(near) + first for near, first in zip(brightest, corner, strict=True)]
    middle = row, column
    for _ in range(MOVES):
        top, left = (centre - size // 2 for centre in middle)
        inside = 0 <= top <= height - size and 0 <= left <= width - size
        require(inside, f"{place}: a window of {size} pixels around its streak leaves the picture")
        values, window = cut(top, left, size, size)
        streak, lit = _streak(window, start[0] - top, start[1] - left, place)
        mass = streak / streak.sum()
        down, right = (
            origin + int(np.floor((mass.sum(1 - axis) * np.arange(size)).sum() + 0.5))
            for axis, origin in enumerate((top, left))
        )
        if (down, right) == middle:
            break
        middle = down, right
    else:
        raise InputError(f"{place}: no window has its streak in the middle; take another lamp")
    border = np.concatenate([lit[0], lit[-1], lit[:, 0], lit[:, -1]])
    if border.any():
        raise InputError(f"{place}: its streak leaves the window of {size} pixels; take a larger")
    full = values.max(0) >= FULL
    if (full & lit).any():
        warn(f"{place}: its streak is clipped, so the kernel is wrong; take a fainter one")
    return torch.from_numpy(mass).float()


def _light(values: np.ndarray) -> np.ndarray:
    """Light, of values of sRGB, both in [0, 1]."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _streak(window: np.ndarray, row: int, column: int, place: str) -> tuple[np.ndarray, np.ndarray]:
    """The light of a streak that a pixel of the window belongs to, 0 around; and where it is lit.

    Args:
        place: what to call it in an error.
    """
    if not (0 <= row < len(window) and 0 <= column < len(window)):
        raise InputError(f"{place}: its streak leaves the window; take a larger")
    border = np.concatenate([window[0], window[-1], window[1:-1, 0], window[1:-1, -1]])
    ground = np.median(border)
    noise = np.median(np.abs(border - ground)) / NORMAL_MEDIAN
    above = window - ground
    bright = above[row, column] >= max(NOISES * noise, LEAST)
    require(bright, f"{place}: nothing there is brighter than what is around it")

    def connected(least: float) -> np.ndarray:
        _, labels = cv2.connectedComponents((above > least).astype(np.uint8), connectivity=8)
        return labels == labels[row, column]

    rough = connected(NOISES * noise)
    lit = connected(max(NOISES * noise, FAINT * above[rough].max()))
    # the pixels next to it are fainter than what counts, but not dark
    around = cv2.dilate(lit.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(around, above.clip(0), 0), lit
