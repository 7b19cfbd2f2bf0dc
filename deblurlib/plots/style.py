"""One style for all figures: transparent, in colours that read on white and on dark pages."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from matplotlib.text import Text

INK = "#7c7c7c"  # of texts, axes and plain curves: 4 to 1 on white as on #1b1b1b
BLUE, RED, GREEN, PINK, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
#: Matplotlib's settings for all figures.
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "image.cmap": "gray",
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    # safe for the colour-blind (Okabe and Ito)
    "axes.prop_cycle": cycler(color=[BLUE, RED, GREEN, PINK, ORANGE]),
}
WIDTH = 8.0  # inches: the text column of the site


def figure(
    rows: int, columns: int, height: float = 2.6, **options: Any
) -> tuple[Figure, np.ndarray]:
    """An empty figure of the text's width and its axes ``(rows, columns)``; height per row."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDTH, height * rows), layout="constrained")
        return fig, fig.subplots(rows, columns, squeeze=False, **options)


def ink(fig: Figure) -> None:
    """Draw in :data:`INK` what was left black, for on a dark page black is nothing."""
    for thing in fig.findobj():
        if isinstance(thing, Text | Line2D) and same_color(thing.get_color(), "black"):
            thing.set_color(INK)
    for ax in fig.axes:
        legend = ax.get_legend()
        if legend is not None:
            legend.set_frame_on(False)
