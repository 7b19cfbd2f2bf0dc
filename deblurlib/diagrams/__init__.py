"""Drawn diagrams: grids of numbers, boxes, arrows, braces, as one small SVG in the project's style.

A chapter draws one in about ten lines, and :func:`deblurlib.plots.emit` puts it on the page. Places
and sizes are pixels, ``x`` to the right and ``y`` down. Grids, nodes, boxes, pictures and curves
are placed by their top left corner, text and circles by their middle. What is drawn returns its
:class:`Box`, whose edges arrows start and end at.

A drawing is right on a white page and on a dark one, alone as a file and inside a page.
"""

from .drawing import Drawing
from .places import Box
from .style import COLOURS

__all__ = ["COLOURS", "Box", "Drawing"]
