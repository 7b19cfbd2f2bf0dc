"""How drawings look: colours for light and dark pages, and how numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..errors import require

#: colour -> on a light page, on a dark one; safe for the colour-blind (Okabe and Ito)
COLOURS = {
    "ink": ("#1f2328", "#e6e6e6"),
    "grey": ("#6e7781", "#9aa4ae"),
    "blue": ("#0072b2", "#56b4e9"),
    "red": ("#d55e00", "#ff8b3d"),
    "green": ("#009e73", "#35c99c"),
    "pink": ("#cc79a7", "#e29cc3"),
    "orange": ("#e69f00", "#f3b73d"),
}
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
LIGHT, DARK = (";".join(f"--dd-{name}:{pair[i]}" for name, pair in COLOURS.items()) for i in (0, 1))
# The reader's system decides, unless the page around the drawing says what it is: the site,
# JupyterLab, VS Code. Two drawings on a page bring the same rules, so they cannot quarrel.
STYLE = (
    f"svg.deblurlib-diagram{{{LIGHT};max-width:100%;height:auto;font-family:{FONT}}}"
    f"@media(prefers-color-scheme:dark){{svg.deblurlib-diagram{{{DARK}}}}}"
    'html[data-theme="light"] svg.deblurlib-diagram,'
    'body[data-jp-theme-light="true"] svg.deblurlib-diagram,'
    f"body.vscode-light svg.deblurlib-diagram{{{LIGHT}}}"
    'html[data-theme="dark"] svg.deblurlib-diagram,'
    'body[data-jp-theme-light="false"] svg.deblurlib-diagram,'
    f"body.vscode-dark svg.deblurlib-diagram{{{DARK}}}"
)


def paint(colour: str) -> str:
    known = ", ".join(COLOURS)
    require(colour in COLOURS, f"there is no colour {colour!r} for diagrams; there are: {known}")
    return f"var(--dd-{colour})"


def tint(colour: str, opacity: float = 0.15) -> str:
    return f"fill:{paint(colour)};fill-opacity:{short(opacity)}"


def stroke(colour: str, thickness: float) -> str:
    return f"stroke:{paint(colour)};stroke-width:{short(thickness)}"


def short(value: float) -> str:
    """A number as short as it can be; two digits are a hundredth of a pixel."""
    return f"{round(float(value), 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def rows_of(values: Sequence | np.ndarray | torch.Tensor) -> list[list]:
    """The rows of a grid; of a list, one."""
    require(len(values) > 0, "a grid needs at least one value")
    first = values[0]
    nested = is_number(first) and (isinstance(first, Sequence) or getattr(first, "ndim", 0) > 0)
    rows = [list(row) for row in values] if nested else [list(values)]
    require(len({len(row) for row in rows}) == 1, "the rows of a grid must be of equal length")
    return rows


def is_number(value: object) -> bool:
    return value is not None and not isinstance(value, str)


def number(value: Any, digits: int | None) -> str:
    """A cell's text: with a true minus, and without digits that say nothing."""
    if not is_number(value):
        return str(value or "")
    text = f"{float(value):.{3 if digits is None else digits}f}"
    if digits is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "\u2212") if float(text) else text.replace("-", "")
