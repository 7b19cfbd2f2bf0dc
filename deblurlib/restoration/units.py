"""Pictures whose values are in a unit of their own, as methods see them and as they were.

Taught in chapter 05.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..files import Photo, Stack

DIM = 65536 / 4  # of whole numbers of 16 bits
DARK = 1 / 255  # values in [0, 1] that are less are black with 8 bits


@dataclass(frozen=True)
class Unit:
    """What 0 and 1 stand for."""

    zero: float = 0.0
    one: float = 1.0

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values of a picture, in the unit, for methods: float32."""
        if (self.zero, self.one) == (0, 1):
            return values.astype(np.float32)
        scaled = (values.astype(np.float64) - self.zero) / (self.one - self.zero)
        return scaled.astype(np.float32)

    def unscaled(self, values: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`scaled`: float32, and as large as that can be."""
        if (self.zero, self.one) == (0, 1):
            return values
        most = np.finfo(np.float32).max
        wide = values.astype(np.float64) * (self.one - self.zero) + self.zero
        return wide.clip(-most, most).astype(np.float32)


def unit_of(stack: Stack | None) -> Unit | None:
    """The unit that suits methods, one for all planes, so that they stay comparable.

    ``None`` of whole numbers, whose unit is known.

    Values in [0, 1] are taken as they are, so that they are restored as their copy of 16 bits would
    be. Of all others, and where 8 bits would hold nothing but black, the lowest value, or 0 if none
    is below, becomes 0, and the highest 1.
    """
    if stack is None or not stack.floats:
        return None
    if stack.low >= 0 and DARK <= stack.high <= 1:
        return Unit()
    zero = min(stack.low, 0.0)
    return Unit(zero, stack.high if stack.high > zero else zero + 1)


def unit_of_planes(stack: Stack) -> Unit | None:
    """As :func:`unit_of`, of a stack; whole numbers of 16 bits may be dim there, too.

    A camera of 12 bits, or few photons, fill little of their range, and to a method that knows
    photographs, or noise, nearly black is black. So of a stack that fills less than a quarter, the
    highest value becomes 1.
    """
    dim = stack.dtype == np.uint16 and stack.channels in (1, 3) and stack.high < DIM
    return Unit(0.0, max(stack.high, 1.0)) if dim else unit_of(stack)


def as_levels(unit: Unit | None, *photos: Photo) -> list[Photo]:
    """Photos of floats, in the unit, as uint16 to look at; the brightest of them all fits in.

    Without a unit they come back as they are.
    """
    if unit is None:
        return list(photos)
    scaled = [unit.scaled(photo.pixels).clip(0) for photo in photos]
    unit_of_all = 65535 / max(1.0, *(float(values.max()) for values in scaled))
    levels = [np.floor(values * unit_of_all + 0.5).astype(np.uint16) for values in scaled]
    return [replace(photo, pixels=one) for photo, one in zip(photos, levels, strict=True)]
