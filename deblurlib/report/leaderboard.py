"""The site's page that ranks all methods, from what chapter 07 and the benchmark of costs measured.

Without JavaScript the page is one plain table of everything; ``_static/leaderboard.js`` makes a
choice of it, from the same entries, which the page holds as JSON.
"""

from __future__ import annotations

import html
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from ..errors import InputError, require
from ..studies import which
from ..studies.rows import read_rows

ROWS = "reports/results/07_rows.csv.gz"
TIMINGS = "reports/results/07_timings.json"
COST = "benchmarks/results/cost.json"
COSTS = ("seconds_per_megapixel", "memory_mb_per_megapixel", "parameters")
TITLE = "# Leaderboard"
TO_COME = f"""{TITLE}

This page ranks every method by what chapter 07 measured. Chapter 07 is not published yet.
"""
INTRODUCTION = f"""{TITLE}

Every method of the library on the same pictures, as chapter 07 measured it. A gain is a method's \
PSNR minus that of the blurred picture, which the row *identity* stands for: a method below it \
makes pictures worse.
"""
LEGEND = """\
- **PSNR** in dB and **SSIM**: means over the pictures. More is better.
- **Gain**: dB over the blurred picture, with its interval.
- **Better**: the share of the pictures that came closer to the sharp one.
- **Group**: methods of one group cannot be told apart from the group's best. 1 is best.
- **s/Mpx**: seconds for a megapixel. **MB/Mpx**: the most memory for a megapixel, in MB, beyond \
what picture and network take. **Parameters**: trained numbers.
"""
COLUMNS = ("method", "PSNR", "gain", "SSIM", "better", "group", "s/Mpx", "MB/Mpx", "parameters")


def page(lines: Sequence[Mapping] | None, root: Path) -> str:
    """The page in Markdown; one that says so while chapter 07 is not published.

    Args:
        lines: as of :func:`deblurlib.studies.which.lines`; ``None`` if there are none.
        root: the checkout, whose costs are shown.

    Raises:
        InputError: the file of timings or costs is none.
    """
    if lines is None:
        return TO_COME
    costs, where = read_costs(root)
    data = {"lines": list(lines), "costs": costs}
    # no </script> in a method's name ends it
    text = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    parts = [
        INTRODUCTION,
        '<link rel="stylesheet" href="_static/leaderboard.css">',
        f'<div id="board">{_table(lines, costs)}</div>',
        f'<script type="application/json" id="board-data">{text}</script>',
        '<script src="_static/leaderboard.js" defer></script>',
        LEGEND + where,
    ]
    return "\n\n".join(parts) + "\n"


def read_lines(root: Path) -> list[dict] | None:
    """The lines of chapter 07's published rows; ``None`` if there are none.

    Raises:
        InputError: the file is damaged.
    """
    path = root / ROWS
    if not path.exists():
        return None
    try:
        return which.lines(read_rows(path))
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None


def read_costs(root: Path) -> tuple[dict[str, dict], str]:
    """What each method costs on the largest picture measured, and a sentence on the machine.

    A method that the benchmark does not know has what a picture of the study took. Either file may
    be absent.

    Returns:
        by method :data:`COSTS`, or ``{"seconds_per_picture": ...}``.

    Raises:
        InputError: a file is none of its kind.
    """
    costs, told = {}, [""]
    timings = _read(root / TIMINGS)
    if timings is not None:
        seconds = timings.get("seconds")
        if not isinstance(seconds, Mapping) or not all(map(_finite, seconds.values())):
            raise InputError(f"{TIMINGS} has no seconds by method")
        costs = {name: {"seconds_per_picture": taken} for name, taken in seconds.items()}
        told.append(f"Times of a picture: {html.escape(str(timings.get('machine')))}.")
    stored = _read(root / COST)
    if stored is not None:
        cases = stored.get("cases")
        if not isinstance(cases, list) or not cases:
            raise InputError(f"{COST} has no cases")
        for case in cases:
            right = isinstance(case, dict) and isinstance(case.get("method"), str)
            right = right and all(_finite(case.get(key)) for key in ("side", *COSTS))
            require(right, f"{COST}: a case has no method, or not all its numbers")
        for case in sorted(cases, key=lambda case: case["side"]):
            costs[case["method"]] = {key: case[key] for key in COSTS}
        machine = stored.get("machine", {})
        side = max(case["side"] for case in cases)
        told.append(
            f"Times and memory: a picture of {side} x {side} pixels, "
            f"{html.escape(str(machine.get('cpu')))}, {machine.get('threads')} threads, "
            f"{stored.get('date')}; see [Speed](speed.md)."
        )
    return costs, "\n".join(told)


def _read(path: Path) -> dict | None:
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None
    require(isinstance(stored, dict), f"{path.name} is no JSON object")
    return stored


def _finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(cast(float, value))


def _table(lines: Sequence[Mapping], costs: Mapping[str, Mapping]) -> str:
    """All lines as one HTML table, for a browser without JavaScript."""
    titles = ["pictures", "blur", "noise", *COLUMNS]
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = "\n".join(f"<tr>{_cells(line, costs.get(line['method'], {}))}</tr>" for line in lines)
    box = '<div class="board-box board-all" role="region" aria-label="All methods" tabindex="0">'
    return f"{box}<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"


def _cells(line: Mapping, cost: Mapping) -> str:
    name = html.escape(line["method"]) + " (trained on such pictures)" * line["contaminated"]
    noise = "as recorded" if line["noise"] is None else f"{line['noise']:g}"
    cells = [
        html.escape(line["data"]),
        html.escape(line["degradation"]),
        noise,
        name,
        f"{line['psnr']:.2f}",
        f"{line['psnr_gain']:+.2f}" + _interval(line),
        f"{line['ssim']:.3f}",
        f"{line['win_rate']:.0%}",
        str(line["group"]),
        *(f"{cost[key]:,.3g}" if key in cost else "" for key in COSTS[:2]),
        f"{cost['parameters']:,}" if "parameters" in cost else "",
    ]
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _interval(line: Mapping) -> str:
    """In parentheses; nothing of the pictures of one scene, which have none."""
    return "" if line["lo"] is None else f" ({line['lo']:+.2f} to {line['hi']:+.2f})"
