"""Results as dots with intervals: what claims came to, and how methods compare."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import require
from .style import BLUE, GREEN, INK, ORANGE, RED, STYLE, figure

#: verdict -> heading, colour
GROUPS = {
    "confirmed": ("stands", GREEN),
    "refuted": ("falls", RED),
    "undecided": ("open", BLUE),
    None: ("not judged here", INK),
}
NARROW = 6.4  # inches: narrower than the page, so that it is legible on a phone, too
TICKS = (0, 1, 5, 20, 100)  # margins
LETTERS = 33  # of a claim's name in a line


def forest(claims: Sequence[Mapping], names: Mapping[str, str] | None = None) -> Figure:
    """What became of claims: estimates with their 95 % intervals, in three groups.

    Claims have several units, so each is measured in its own margin, the difference that counts.
    Within the margin the axis is linear, beyond it logarithmic: else the margins themselves, which
    decide, could not be seen beside the largest effect. Sources' claims are round dots and stand
    before our own, which are diamonds.

    Args:
        claims: as in a results file, see :func:`deblurlib.studies.claims.judge`. If one says its
            ``sign``, a pale bar shows where it is claimed that the interval lies.
        names: id -> a short name of the claim; by default, its estimand.

    Raises:
        InputError: there are no claims, or one has no margin.
    """
    require(len(claims) > 0, "there are no claims to draw")
    for claim in claims:
        require(claim["margin"] > 0, f"claim {claim['id']} has no margin to be measured in")
    lines: list[tuple[float, Mapping | None, str]] = []  # height, claim, text
    y = 0.0
    for verdict, (heading, _) in GROUPS.items():
        group = [c for c in claims if _group(c) == verdict]
        if group:
            y += 1.3
            lines.append((y, None, heading))
        for claim in sorted(group, key=lambda c: c["origin"] != "source"):
            text = (names or {}).get(claim["id"], claim["estimand"])
            text = "\n".join(textwrap.wrap(text, LETTERS, max_lines=2, placeholder=" ..."))
            half = 0.5 + 0.35 * text.count("\n")
            lines.append((y + half + 0.5, claim, text))
            y += 2 * half
    with mpl.rc_context(STYLE | {"font.size": 9.5, "axes.grid": False}):
        height = 0.23 * (y + 1) + 0.5
        fig = Figure(figsize=(NARROW, height))
        ax = fig.add_axes((0.385, 0.5 / height, 0.385, 1 - 0.5 / height))
        ax.set(ylim=(y + 0.8, -0.2), yticks=[])
        ax.spines["left"].set_visible(False)
        _margins(ax, claims)
        for at, text in ((1.15, "estimate"), (1.58, "adj. p")):
            _write(ax, at, 0.4, text, ha="right" if at > 1.5 else "center", color=INK)
        if len({c["origin"] for c in claims}) > 1:
            _write(ax, -0.99, 0.4, "\u25cf a source's claim   \u25c6 ours", color=INK)
        colours = {heading: colour for heading, colour in GROUPS.values()}
        for y, shown, text in lines:
            if shown is None:
                _write(ax, -0.99, y, text, weight="bold", color=colours[text])
            else:
                _row(ax, y, shown, text)
    return fig


def _group(claim: Mapping) -> str | None:
    """A claim's verdict, without what it waits for."""
    return claim["verdict"] and claim["verdict"].partition(":")[0]


def _margins(ax: Axes, claims: Sequence[Mapping]) -> None:
    """The axis of margins, the band within one of them shaded."""
    ends = [v / c["margin"] for c in claims for v in _ends(c)]
    reach = 1.15 * max(1.5, *map(abs, ends))
    ax.set_xscale("symlog", linthresh=1, linscale=0.7)
    ax.set_xlim(-reach if min(ends) < -1 else -1.5, reach if max(ends) > 1 else 1.5)
    ticks = [sign * t for t in TICKS for sign in ((1, -1) if t else (1,))]
    least, most = ax.get_xlim()
    ticks = sorted(t for t in ticks if least <= t <= most)
    ax.set_xticks(ticks, [f"{t}".replace("-", "\u2212") for t in ticks])
    ax.minorticks_off()
    ax.axvspan(-1, 1, color=INK, alpha=0.2, lw=0)
    ax.axvline(0, color=INK, lw=0.8)
    bars = "; pale bar: what is claimed" if any("sign" in claim for claim in claims) else ""
    ax.set_xlabel(f"margins (band: too small to count{bars})", loc="right")


def _ends(claim: Mapping) -> tuple[float, ...]:
    ends = (claim["lo"], claim["estimate"], claim["hi"])
    return tuple(v for v in ends if v is not None)


def _row(ax: Axes, y: float, claim: Mapping, text: str) -> None:
    colour = GROUPS[_group(claim)][1]
    if "sign" in claim:
        least, most = ax.get_xlim()
        claimed = {1: (1, most), 0: (-1, 1), -1: (least, -1)}[claim["sign"]]
        ax.plot(claimed, [y, y], color=ORANGE, lw=9, alpha=0.3, solid_capstyle="butt")
    ends = [v / claim["margin"] for v in _ends(claim)]
    if ends:  # of one that could not be measured there is nothing to draw
        ax.plot([ends[0], ends[-1]], [y, y], color=colour, lw=1.8, solid_capstyle="butt")
    if claim["estimate"] is not None:
        marker, size = ("o", 7) if claim["origin"] == "source" else ("D", 6)
        place = claim["estimate"] / claim["margin"]
        ax.plot([place], [y], color=colour, marker=marker, ms=size)
        unit = f" {claim['unit']}" if claim["unit"] == "dB" else ""
        value = f"{claim['estimate']:.{2 if unit else 3}f}{unit}".replace("-", "\u2212")
        _write(ax, 1.30, y, value, ha="right", color=INK)
    _write(ax, -0.99, y, text, color=INK, linespacing=1.0)
    p = claim.get("p_adjusted")
    if p is not None:
        _write(ax, 1.58, y, "< 0.001" if p < 0.001 else f"{p:.3f}", ha="right", color=INK)


def _write(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """A text at a share ``x`` of the axes' width, in the line ``y``."""
    place = ax.get_yaxis_transform()
    ax.text(x, y, text, transform=place, va="center", clip_on=False, **look)


def dots(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    identity: Mapping[str, float] | None = None,
    label: str = "PSNR, dB",
) -> Figure:
    """Methods as rows, with a dot for each value; panels side by side share the rows.

    Args:
        panels: title -> row -> its values, such as one for each seed: each is a dot, their mean a
            bar. A panel may lack rows of the others.
        identity: title -> what doing nothing scores: a dashed line.
        label: what the axes show, with its unit.
    """
    rows = list(dict.fromkeys(row for panel in panels.values() for row in panel))
    require(len(rows) > 0, "there are no values to draw")
    fig, axes = figure(1, len(panels), 0.27 * len(rows) + 1.0, sharey=True)
    for ax, (title, panel) in zip(axes[0], panels.items(), strict=True):
        ax.set_title(title)
        for y, row in enumerate(rows):
            if row not in panel:
                continue
            values = list(panel[row])
            ax.plot(values, [y] * len(values), "o", color=BLUE, ms=6, alpha=0.6, mew=0)
            mean = sum(values) / len(values)
            ax.plot([mean], [y], color=BLUE, marker="|", ms=13, mew=2)
        if identity and title in identity:
            ax.axvline(identity[title], color=INK, ls="--", lw=1.2)
        ax.margins(x=0.1)
        ax.locator_params(axis="x", nbins=3 if len(panels) > 3 else 5)
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(rows)), rows)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    fig.supxlabel(label + (" (dashed: doing nothing)" if identity else ""), fontsize=11, color=INK)
    return fig
