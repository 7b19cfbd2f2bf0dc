"""A diagram in the making."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from html import escape

import numpy as np
import torch

from ..errors import require
from .places import Box, Point, attributes, facing, pair
from .style import STYLE, is_number, number, paint, rows_of, short, stroke, tint

LETTER = 0.56  # a letter's width by the size of its text, in the mean
HEAD = 9  # length of an arrow's head, px


class Drawing:
    """A diagram in the making, ``width`` x ``height`` px.

    >>> drawing = Drawing(300, 60)
    >>> light = drawing.grid(10, 15, [[0, 1, 0]])
    >>> blurred = drawing.grid(200, 15, [[0.2, 0.5, 0.3]])
    >>> drawing.arrow(light, blurred, "blur")
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def grid(
        self,
        x: float,
        y: float,
        values: Sequence | np.ndarray | torch.Tensor,
        cell: float = 30,
        digits: int | None = None,
        shade: bool = True,
        mark: Collection[int | tuple[int, int]] = (),
        mark_colour: str = "red",
    ) -> Box:
        """A grid of numbers.

        Args:
            x, y: its top left corner.
            values: a list, or rows of equal length; a text is shown as it is, ``None`` as an empty
                cell.
            cell: a cell's side, px.
            digits: after the point; by default as many as a number needs, at most three.
            shade: tint the cells, the more the larger the number: blue, or red if negative.
            mark: cells to frame, (row, column) or, in a list, the column.
            mark_colour: of the frames.
        """
        rows = rows_of(values)
        place = Box(x, y, cell * len(rows[0]), cell * len(rows), len(rows), len(rows[0]))
        texts = [[number(value, digits) for value in row] for row in rows]
        longest = max(len(text) for row in texts for text in row)
        size = min(0.45 * cell, 0.92 * cell / (LETTER * max(longest, 1)))
        top = max((abs(v) for row in rows for v in row if is_number(v)), default=0) or 1
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                one = place.cell(i, j)
                share = float(value) / float(top) if shade and is_number(value) else 0.0
                colour = "blue" if share > 0 else "red"
                self._rect(one, tint(colour, 0.5 * abs(share)), "grey", 1)
                self.text(*one.middle, texts[i][j], size)
        for where in mark:
            i, j = where if isinstance(where, tuple) else (0, where)
            self._rect(place.cell(i, j), "fill:none", mark_colour, 3)
        return place

    def node(
        self,
        x: float,
        y: float,
        text: str,
        width: float | None = None,
        height: float | None = None,
        colour: str = "blue",
        size: float = 14,
    ) -> Box:
        """A rounded box around a text of one or several lines; as large as its text by default."""
        lines = text.split("\n")
        width = width or LETTER * size * max(map(len, lines)) + 24
        place = Box(x, y, width, height or 1.35 * size * len(lines) + 16)
        self._rect(place, tint(colour), colour, 1.5, radius=8)
        self.text(*place.middle, text, size)
        return place

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        text: str = "",
        colour: str = "blue",
        depth: float = 0,
        size: float = 14,
    ) -> Box:
        """A rectangle, such as an image or a layer; with ``depth`` px, a block seen askew."""
        place = Box(x, y, width, height)
        if depth:
            shift, right, below = 0.5 * depth, x + width, y + height
            back = right + shift, y - shift  # the hidden layer's upper right corner
            lid = (x, y), (x + shift, y - shift), back, (right, y)
            side = (right, y), back, (back[0], below - shift), (right, below)
            self._path(f"M{'L'.join(map(pair, lid))}z", colour)
            self._path(f"M{'L'.join(map(pair, side))}z", colour, fill=tint(colour, 0.3))
        self._rect(place, tint(colour), colour, 1.5)
        self.text(*place.middle, text, size)
        return place

    def circle(
        self, x: float, y: float, radius: float, text: str = "", colour: str = "blue"
    ) -> Box:
        """A circle, by its middle, with a short text in it: a sum, a unit of a network."""
        style = f"{tint(colour)};{stroke(colour, 1.5)}"
        self._parts.append(
            f'<circle cx="{short(x)}" cy="{short(y)}" r="{short(radius)}" style="{style}"/>'
        )
        self.text(x, y, text, min(radius, 16))
        return Box(x - radius, y - radius, 2 * radius, 2 * radius)

    def curve(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        values: Sequence[float],
        span: tuple[float, float] = (-1, 1),
        colour: str = "blue",
    ) -> Box:
        """A line through values, evenly spaced; ``span`` is what bottom and top edge stand for.

        A thin line marks 0.
        """
        least, most = span
        place = Box(x, y, width, height)

        def down(value: float) -> float:
            return y + height * (most - float(value)) / (most - least)

        self.line((x, down(0)), (x + width, down(0)), "grey", thickness=0.75)
        step = width / max(len(values) - 1, 1)
        dots = "L".join(f"{short(x + i * step)} {short(down(v))}" for i, v in enumerate(values))
        self._path(f"M{dots}", colour, 2)
        return place

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 14,
        anchor: str = "middle",
        bold: bool = False,
        colour: str = "ink",
    ) -> None:
        """A text of one or several lines; its middle is at height ``y``.

        Args:
            anchor: what of it is at ``x``: its ``middle``, ``start`` or ``end``.
        """
        require(anchor in ("start", "middle", "end"), f"a text has no anchor {anchor!r}")
        lines = text.split("\n")
        for i, line in enumerate(lines):
            if line:
                at = y + size * (0.35 + 1.35 * (i - (len(lines) - 1) / 2))
                look = f'font-size="{short(size)}" text-anchor="{anchor}"'
                look += ' font-weight="bold"' if bold else ""
                self._parts.append(
                    f'<text x="{short(x)}" y="{short(at)}" {look} style="fill:{paint(colour)}">'
                    f"{escape(line)}</text>"
                )

    def line(
        self,
        start: Point,
        end: Point,
        colour: str = "ink",
        dashed: bool = False,
        thickness: float = 1.5,
    ) -> None:
        """A straight line."""
        self._path(f"M{pair(start)}L{pair(end)}", colour, thickness, dashed)

    def arrow(
        self,
        start: Point | Box,
        end: Point | Box,
        text: str = "",
        dashed: bool = False,
        bend: float = 0,
        colour: str = "ink",
        size: float = 13,
        at: float = 0.5,
        below: bool = False,
    ) -> None:
        """An arrow from one place to another, with a text beside it.

        Args:
            start, end: points; or what was drawn, then the arrow joins the edges that face.
            bend: by how much its middle stands off the straight line, px; to the left of its
                direction if positive.
            at: where along it the text stands, from 0 to 1.
            below: put the text below it, and of an upright arrow to the left.
        """
        (x0, y0), (x1, y1) = facing(start, end)
        length = math.hypot(x1 - x0, y1 - y0)
        require(length > 0, "an arrow must have a length")
        across = ((y1 - y0) / length, (x0 - x1) / length)  # to the left of its direction
        knee = ((x0 + x1) / 2 + 2 * bend * across[0], (y0 + y1) / 2 + 2 * bend * across[1])
        reach = math.hypot(x1 - knee[0], y1 - knee[1])
        ux, uy = (x1 - knee[0]) / reach, (y1 - knee[1]) / reach
        neck = (x1 - HEAD * ux, y1 - HEAD * uy)
        self._path(f"M{short(x0)} {short(y0)}Q{pair(knee)} {pair(neck)}", colour, 1.5, dashed)
        wings = [(neck[0] - s * HEAD / 2 * uy, neck[1] + s * HEAD / 2 * ux) for s in (1, -1)]
        head = f"M{short(x1)} {short(y1)}L{pair(wings[0])}L{pair(wings[1])}z"
        self._parts.append(f'<path d="{head}" style="fill:{paint(colour)}"/>')
        if text:
            # on a quadratic curve, the share ``at`` of the way
            a, b, c = (1 - at) ** 2, 2 * at * (1 - at), at**2
            x, y = a * x0 + b * knee[0] + c * x1, a * y0 + b * knee[1] + c * y1
            self._beside(x, y, across, text, size, colour, below)

    def _beside(
        self,
        x: float,
        y: float,
        across: Point,
        text: str,
        size: float,
        colour: str,
        below: bool,
    ) -> None:
        """A text beside a point of a line, above it or below; to an upright line, right or left."""
        flip = across[1] > 0 if abs(across[1]) > 0.05 else across[0] < 0
        nx, ny = (-v if flip != below else v for v in across)
        if abs(nx) < 0.4:
            y += math.copysign(0.45 * size + 0.675 * size * text.count("\n") + 5, ny)
            self.text(x, y, text, size, colour=colour)
        else:
            anchor = "start" if nx > 0 else "end"
            self.text(x + 7 * nx, y + 7 * ny, text, size, anchor, colour=colour)

    def bracket(
        self, start: Point, end: Point, text: str = "", depth: float = 10, colour: str = "ink"
    ) -> None:
        """A brace over a range that lies level or upright, with a text at its tip.

        Args:
            depth: how far its tip stands off, px: above or to the right; if negative, below or to
                the left.
        """
        (x0, y0), (x1, y1) = start, end
        level = abs(x1 - x0) >= abs(y1 - y0)
        a, b = sorted((x0, x1) if level else (y0, y1))
        middle, half, foot = (a + b) / 2, depth / 2, min(abs(depth), (b - a) / 4)

        def at(along: float, off: float) -> str:
            return pair((along, y0 - off) if level else (x0 + off, along))

        self._path(
            f"M{at(a, 0)}Q{at(a, half)} {at(a + foot, half)}L{at(middle - foot, half)}"
            f"Q{at(middle, half)} {at(middle, depth)}Q{at(middle, half)} {at(middle + foot, half)}"
            f"L{at(b - foot, half)}Q{at(b, half)} {at(b, 0)}",
            colour,
        )
        off = math.copysign(abs(depth) + (7 + 7 * (1 + text.count("\n")) if level else 5), depth)
        if level:
            self.text(middle, y0 - off, text, 13, colour=colour)
        else:
            self.text(x0 + off, middle, text, 13, "start" if depth > 0 else "end", colour=colour)

    def svg(self, alt: str = "") -> str:
        """The drawing as the text of an SVG file; equal drawings give equal texts.

        Args:
            alt: what it shows, for a reader who cannot see it.
        """
        width, height, alt = short(self.width), short(self.height), escape(alt)
        label = f' aria-label="{alt}"' if alt else ""
        title = f"<title>{alt}</title>" if alt else ""
        head = (
            '<svg xmlns="http://www.w3.org/2000/svg" class="deblurlib-diagram" role="img"'
            f'{label} viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        )
        return "\n".join([head + title, f"<style>{STYLE}</style>", *self._parts, "</svg>\n"])

    def _rect(
        self, place: Box, fill: str, colour: str, thickness: float, radius: float = 0
    ) -> None:
        round_ = f' rx="{short(radius)}"' if radius else ""
        style = f"{fill};{stroke(colour, thickness)}"
        self._parts.append(f'<rect {attributes(place)}{round_} style="{style}"/>')

    def _path(
        self,
        path: str,
        colour: str,
        thickness: float = 1.5,
        dashed: bool = False,
        fill: str = "fill:none",
    ) -> None:
        dashes = ";stroke-dasharray:5 4" if dashed else ""
        style = f"{fill};{stroke(colour, thickness)};stroke-linejoin:round{dashes}"
        self._parts.append(f'<path d="{path}" style="{style}"/>')
