"""A value that a method's result depends on, such as a number of iterations, and what it may be.

Taught in chapter 06.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..errors import InputError, require
from ..names import unknown_name


@dataclass(frozen=True)
class Setting:
    """A method's setting: its value, what it is, and what else it may be."""

    value: int | float | str
    describes: str  # a few words for a reader
    least: float = 0
    most: float = math.inf
    choices: tuple[str, ...] = ()  # of a word
    reaches: bool = True  # whether the method's receptive field depends on it
    odd: bool = False  # of a whole number: whether it must be, as a kernel's side

    def with_value(self, name: str, given: float | str) -> Setting:
        """The setting with another value: a number, or text that says it.

        Args:
            name: what to call it in an error.

        Raises:
            InputError: not a value of its kind, or none that it may have.
        """
        if isinstance(self.value, str):
            if given not in self.choices:
                raise unknown_name(name, given, self.choices)
            return replace(self, value=given)
        whole = isinstance(self.value, int)
        upper = "or more" if self.most == math.inf else f"to {self.most:g}"
        form = "an odd " if self.odd else "a whole " if whole else "a "
        wanted = f"{form}number, {self.least:g} {upper}"
        try:
            value = int(given) if whole else float(given)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{name} must be {wanted}, not {str(given)[:40]!r}") from None
        fits = self.least <= value <= self.most and math.isfinite(value)
        fits = fits and (value % 2 == 1 or not self.odd)
        require(fits and value == float(given), f"{name} must be {wanted}, not {given}")
        return replace(self, value=value)
