"""Rows of pictures, and how they are laid out: in columns of equal width, their pixels crisp."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from .style import ORANGE, STYLE, WIDTH, figure

GAP = 0.1  # between two columns, inches; half of it stands before the first and after the last
LEAST_DPI, MOST_DPI = 120, 240
LINE = 1.25  # a caption's line by its size


def show(
    pictures: Mapping[str, torch.Tensor],
    columns: int | None = None,
    zoom: tuple[int, int, int] | None = None,
) -> Figure:
    """Images ``(3 or 1, H, W)`` or ``(H, W)`` side by side, all with black at 0 and white at 1.

    Args:
        pictures: caption -> image.
        columns: pictures in a row; all by default.
        zoom: (top, left, side) of a square to show enlarged in a second row, its place framed.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    fig, axes = figure(rows * (2 if zoom else 1), columns)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (caption, x) in enumerate(pictures.items()):
        row, column = divmod(i, columns)
        ax = axes[row * (2 if zoom else 1), column]
        picture(ax, x, caption)
        if zoom:
            top, left, side = zoom
            picture(axes[row * 2 + 1, column], x[..., top : top + side, left : left + side])
            frame = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, color=ORANGE, lw=2)
            ax.add_patch(frame)
    return fig


def picture(ax: Axes, x: torch.Tensor, caption: str = "", top: float = 1.0) -> None:
    """Draw one image, black at 0 and white at ``top``; values beyond are clipped."""
    array = x.detach().cpu().numpy()
    array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    with mpl.rc_context(STYLE):
        if array.ndim == 3 and array.shape[-1] == 3:
            ax.imshow((array / top).clip(0, 1))
        else:
            ax.imshow(array.squeeze(), vmin=0, vmax=top)
        ax.set_title(caption)
        ax.set_axis_off()


def centred_log(power: torch.Tensor) -> torch.Tensor:
    """A spectrum ``(H, W)`` for the eye: frequency 0 in the middle, decades below the maximum.

    Returns values in [0, 1]: 1 at the maximum, 0 at a millionth of it and below.
    """
    decades = torch.log10((power / power.max()).clamp(min=1e-6))
    return torch.fft.fftshift(1 + decades / 6)


def columns(fig: Figure) -> int:
    """The number of equal columns of a figure that holds nothing but pictures; 0 of another.

    A page may cut such a figure into its columns, and stack them where it is narrow.
    """
    grids = {id(ax.get_gridspec()) for ax in fig.axes}
    if len(grids) != 1 or fig.texts or not all(map(_is_picture, fig.axes)):
        return 0
    grid: Any = fig.axes[0].get_gridspec()  # of axes in a grid there is one
    whole = len(fig.axes) == grid.nrows * grid.ncols and any(ax.images for ax in fig.axes)
    return grid.ncols if whole else 0


def _is_picture(ax: Axes) -> bool:
    """Whether it shows an image, or nothing, and no text beside it."""
    beside = [t for t in ax.texts if t.get_transform() == ax.transAxes]
    outside = any(not 0 <= v <= 1 for text in beside for v in text.get_position())
    return not ax.axison and not outside


def arrange(fig: Figure) -> float:
    """Lay out a figure of pictures; returns the dots an inch at which to save it.

    The widest picture's pixels become squares of equally many dots, and captions are wrapped to
    their column.
    """
    n = columns(fig)
    shapes = [_shape(ax.images[0]) if ax.images else None for ax in fig.axes]
    width = max(shape[1] for shape in shapes if shape)
    room = WIDTH / n - GAP
    dots = math.ceil(LEAST_DPI * room / width) * width  # of one picture
    if dots > MOST_DPI * room:  # it is shown smaller than it is
        dots = round(LEAST_DPI * room)
    gap = 2 * round(GAP * dots / room / 2)
    dpi = (dots + gap) * n / WIDTH
    fig.set_layout_engine("none")
    fig.set_dpi(dpi)
    heads, heights = [], []
    for first in range(0, len(fig.axes), n):
        axes = fig.axes[first : first + n]
        lines = max(_wrap(ax, dots, {1: 11, 2: 11, 3: 11, 4: 10}.get(n, 9)) for ax in axes)
        size = max(float(ax.title.get_fontsize()) for ax in axes)
        heads.append(round(lines * size * LINE * dpi / 72) + (gap if lines else gap // 2))
        ratios = (shape[0] / shape[1] for shape in shapes[first : first + n] if shape)
        heights.append(round(dots * max(ratios, default=0)))
    wide, high = (dots + gap) * n, sum(heads) + sum(heights) + gap // 2
    # a hundredth of a dot more, so that no rounding takes one away
    fig.set_size_inches((wide + 0.01) / dpi, (high + 0.01) / dpi)
    for i, ax in enumerate(fig.axes):
        row, column = divmod(i, n)
        below = high - sum(heads[: row + 1]) - sum(heights[: row + 1])
        left = column * (dots + gap) + gap // 2
        ax.set_position((left / wide, below / high, dots / wide, heights[row] / high))
        ax.set_anchor("N")
        for image in ax.images:
            if _shape(image)[1] > dots:
                image.set_interpolation("antialiased")
    return dpi


def _shape(image: AxesImage) -> tuple[int, int]:
    """Height and width of what is drawn, pixels."""
    array: Any = image.get_array()
    return array.shape[:2]


def _wrap(ax: Axes, room: int, largest: int) -> int:
    """Break a picture's caption into lines of at most ``room`` dots; returns their number."""
    caption = ax.get_title()
    if not caption:
        return 0
    size = max(min(float(ax.title.get_fontsize()), largest), 9)
    ax.set_title(caption, size=size, pad=0.25 * size)
    renderer = FigureCanvasAgg(cast(Figure, ax.figure)).get_renderer()
    font = ax.title.get_fontproperties()
    lines: list[str] = []
    for paragraph in caption.split("\n"):
        lines.append("")
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and renderer.get_text_width_height_descent(longer, font, False)[0] > room:
                lines.append(word)
            else:
                lines[-1] = longer
    ax.title.set_text("\n".join(lines))
    ax.title.set_linespacing(LINE)
    return len(lines)
