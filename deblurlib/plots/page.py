"""What goes on the page: figures and drawings under a name, with a description, and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ..diagrams import Drawing
from .pictures import arrange, columns
from .style import STYLE, ink

DPI = 150  # of figures that are no rows of pictures


def png(fig: Figure, dpi: float | None = None) -> bytes:
    """The figure as a PNG file; rows of pictures are laid out first, at a fitting ``dpi``."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        ink(fig)
        fitting = arrange(fig) if columns(fig) else DPI
        about: dict[str, Any] = {"metadata": {"Software": None}}
        fig.savefig(buffer, dpi=dpi or fitting, pil_kwargs={"optimize": True}, **about)
    return buffer.getvalue()


def emit(figure: Figure | Drawing, name: str, alt: str) -> None:
    """Put a figure or a drawing on the page.

    Args:
        name: of the artefact: ``figures/KEY_name.png``, or ``.svg``, when the chapter is published.
        alt: what it shows, for a reader who cannot see it.
    """
    about: dict[str, object]
    if isinstance(figure, Drawing):
        kind, svg, about = "image/svg+xml", figure.svg(alt), {"alt": alt}
        # the page's own copy follows the page's colours
        bundle = {kind: svg, "text/html": svg}
    else:
        kind, about = "image/png", described(figure, alt)
        bundle = {kind: base64.b64encode(png(figure)).decode()}
    bundle["text/plain"] = f"[figure: {alt}]"
    _display(bundle, f"figure:{name}", {kind: about})


def described(fig: Figure, alt: str) -> dict[str, object]:
    """What a page must know of a figure: ``alt``, and of a row of pictures its ``columns``."""
    n = columns(fig)
    return {"alt": alt, "columns": n} if n > 1 else {"alt": alt}


def table(rows: Sequence[Mapping[str, object]], name: str, digits: int = 2, shown: int = 8) -> None:
    """Put a table on the page: one row a mapping, its keys the header; floats are rounded.

    Args:
        shown: rows in view; those beyond are folded, if there are at least two. 0 folds all.
    """
    header = list(rows[0])
    cells = [[_cell(row[key], digits) for key in header] for row in rows]
    numeric = [all(isinstance(row[key], int | float) for row in rows) for key in header]
    rule = ["---:" if number else ":---" for number in numeric]
    top, *lines = (
        "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |"
        for line in [header, *cells]
    )
    top += "\n| " + " | ".join(rule) + " |"
    shown = shown if len(rows) > shown + 1 else len(rows)
    markdown = "\n".join([top, *lines[:shown]]) if shown else ""
    if lines[shown:]:
        more = "more rows" if shown else "rows of the table"
        summary = f"<summary>{len(lines) - shown} {more}</summary>"
        folded = "\n".join([top, *lines[shown:]])
        markdown += f"\n\n<details>{summary}\n\n{folded}\n\n</details>"
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]
    plain = [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [header, *cells]
    ]
    _display({"text/markdown": markdown, "text/plain": "\n".join(plain)}, f"table:{name}", {})


def _cell(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _display(bundle: dict, artefact: str, metadata: dict) -> None:
    from IPython.display import display  # only a notebook needs it

    display(bundle, raw=True, metadata={**metadata, "deblurlib": {"artefact": artefact}})
