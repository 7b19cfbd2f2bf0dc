"""Figures and tables of the chapters, in one style.

A function here returns a matplotlib ``Figure`` (made without pyplot, so nothing is shown twice);
:func:`emit` puts it on the page under a name, with a description for those who cannot see it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

INK = "#7c7c7c"  # of texts, axes and plain curves: 4:1 on a white page and on a dark one
STYLE = {
    "font.size": 11,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "image.cmap": "gray",
    # safe for the colour-blind (Okabe and Ito)
    "axes.prop_cycle": mpl.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]),
}
WIDTH = 8.0  # inches: the text column of the site


def figure(rows: int, columns: int, height: float = 2.6, **options) -> tuple[Figure, np.ndarray]:
    """An empty figure of the text's width and its axes ``(rows, columns)``; height per row."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDTH, height * rows), layout="constrained")
        return fig, fig.subplots(rows, columns, squeeze=False, **options)


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
    tallest = max(x.shape[-2] / x.shape[-1] for x in pictures.values())
    row_height = WIDTH / columns * tallest + 0.3
    fig, axes = figure(rows * (2 if zoom else 1), columns, row_height)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (caption, x) in enumerate(pictures.items()):
        row, column = divmod(i, columns)
        ax = axes[row * (2 if zoom else 1), column]
        picture(ax, x, caption)
        if zoom:
            top, left, side = zoom
            picture(axes[row * 2 + 1, column], x[..., top : top + side, left : left + side])
            frame = Rectangle(
                (left - 0.5, top - 0.5), side, side, fill=False, color="#E69F00", lw=2
            )
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


def png(fig: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def emit(fig: Figure, name: str, alt: str) -> None:
    """Put a figure on the page.

    Args:
        name: of the artefact: ``figures/NN_name.png`` when the chapter is published.
        alt: what the figure shows, for a reader who cannot see it.
    """
    _display(
        {"image/png": base64.b64encode(png(fig)).decode(), "text/plain": f"[figure: {alt}]"},
        f"figure:{name}",
        {"image/png": {"alt": alt}},
    )


def table(rows: Sequence[Mapping[str, object]], name: str, digits: int = 2) -> None:
    """Put a table on the page: one row a mapping, its keys the header; floats are rounded."""
    header = list(rows[0])
    cells = [[_cell(row[key], digits) for key in header] for row in rows]
    numeric = [all(isinstance(row[key], int | float) for row in rows) for key in header]
    rule = ["---:" if number else ":---" for number in numeric]
    lines = [
        "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |"
        for line in [header, rule, *cells]
    ]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]
    plain = [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [header, *cells]
    ]
    _display(
        {"text/markdown": "\n".join(lines), "text/plain": "\n".join(plain)}, f"table:{name}", {}
    )


def _cell(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _display(bundle: dict, artefact: str, metadata: dict) -> None:
    from IPython.display import display  # only a notebook needs it

    display(bundle, raw=True, metadata={**metadata, "deblurlib": {"artefact": artefact}})
