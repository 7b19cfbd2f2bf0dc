"""Where things stand in a drawing, px: points, boxes, and the edges that face each other."""

from __future__ import annotations

from typing import NamedTuple

from .style import short

Point = tuple[float, float]


class Box(NamedTuple):
    """Where something was drawn, px; of a grid, also how many cells it has."""

    x: float
    y: float
    width: float
    height: float
    rows: int = 1
    columns: int = 1

    @property
    def middle(self) -> Point:
        return (self.x + self.width / 2, self.y + self.height / 2)

    @property
    def left(self) -> Point:
        return (self.x, self.y + self.height / 2)

    @property
    def right(self) -> Point:
        return (self.x + self.width, self.y + self.height / 2)

    @property
    def top(self) -> Point:
        return (self.x + self.width / 2, self.y)

    @property
    def bottom(self) -> Point:
        return (self.x + self.width / 2, self.y + self.height)

    def cell(self, row: int, column: int) -> Box:
        """One cell of a grid; of a list, its row is 0."""
        width, height = self.width / self.columns, self.height / self.rows
        return Box(self.x + column * width, self.y + row * height, width, height)


def facing(start: Point | Box, end: Point | Box) -> tuple[Point, Point]:
    """The two points that an arrow joins: the middles of the edges that face each other."""
    (x0, y0), (x1, y1) = (p.middle if isinstance(p, Box) else p for p in (start, end))
    level = abs(x1 - x0) >= abs(y1 - y0)
    edges = ("right", "left") if level else ("bottom", "top")
    first, last = edges if (x1 >= x0 if level else y1 >= y0) else edges[::-1]
    gap = 3  # px, so that lines do not touch

    def beside(place: Point | Box, edge: str) -> Point:
        if not isinstance(place, Box):
            return place
        x, y = getattr(place, edge)
        dx, dy = {"right": (1, 0), "left": (-1, 0), "top": (0, -1), "bottom": (0, 1)}[edge]
        return (x + gap * dx, y + gap * dy)

    return beside(start, first), beside(end, last)


def attributes(place: Box) -> str:
    x, y, width, height = map(short, place[:4])
    return f'x="{x}" y="{y}" width="{width}" height="{height}"'


def pair(point: Point) -> str:
    return f"{short(point[0])} {short(point[1])}"
