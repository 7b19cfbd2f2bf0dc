"""Figures and tables of the chapters, in one style.

A function here returns a matplotlib ``Figure`` (made without pyplot, so nothing is shown twice);
:func:`emit` puts it on the page under a name, with a description for those who cannot see it.
Figures are transparent, and what is grey or coloured in them reads on a white page and on a dark
one: for a black curve, use :data:`INK`.
"""

from .page import described, emit, png, table
from .pictures import centred_log, columns, picture, show
from .results import dots, forest
from .style import INK, STYLE, WIDTH, figure

__all__ = [
    "INK",
    "STYLE",
    "WIDTH",
    "centred_log",
    "columns",
    "described",
    "dots",
    "emit",
    "figure",
    "forest",
    "picture",
    "png",
    "show",
    "table",
]
