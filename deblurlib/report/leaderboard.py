"""The site's page that ranks all methods, from what chapter 07 and the benchmark of costs measured.

Without JavaScript the page is one plain table of everything; ``_static/leaderboard.js`` makes a
choice of it, from the same entries, which the page holds as JSON.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputError, require

RESULTS = "reports/results/07.json"
TIMINGS = "reports/results/07_timings.json"
COST = "benchmarks/results/cost.json"
NUMBERS = ("n", "psnr", "ssim", "psnr_gain", "lo", "hi", "win_rate", "group")
WORDS = ("method", "data", "degradation", "kernel")
KERNELS = ("", "found", "needed")
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


def page(root: Path, withdrawn: bool = False) -> str:
    """The page in Markdown; one that says so while chapter 07 is not published.

    Args:
        root: the checkout.
        withdrawn: the code of today does not lead to chapter 07's numbers.

    Raises:
        InputError: the file of results, timings or costs is none.
    """
    lines = None if withdrawn else read_lines(root)
    if lines is None:
        return TO_COME
    costs, where = read_costs(root)
    data = {"lines": lines, "costs": costs}
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
    """The lines of chapter 07's summary that stand for a method on pictures of one kind.

    Returns:
        what the page needs of each; ``None`` if the chapter has no published results.

    Raises:
        InputError: an entry is missing or none, or the identity is not beside a method.
    """
    stored = _read(root / RESULTS)
    if stored is None:
        return None
    lines = stored.get("summary")
    require(isinstance(lines, list) and lines, f"{RESULTS} has no summary")
    seen = {}
    for line in lines:
        _check_line(line)
        case = (line["data"], line["degradation"], line["noise"])
        methods = seen.setdefault(case, set())
        if line["method"] in methods:
            raise InputError(f"{RESULTS} has {line['method']} twice on {_told(case)}")
        methods.add(line["method"])
    for case, methods in seen.items():
        require("identity" in methods, f"{RESULTS} has no identity on {_told(case)}")
    kept = (*WORDS, *NUMBERS, "noise", "contaminated")
    return [{key: line[key] for key in kept} for line in lines]


def _check_line(line: object) -> None:
    require(isinstance(line, dict), f"{RESULTS}: a line of the summary is {line!r}")
    name = line.get("method")
    for key in WORDS:
        require(isinstance(line.get(key), str), f"{RESULTS}: {name} has no {key}")
    for key in NUMBERS:
        require(_finite(line.get(key)), f"{RESULTS}: {name} has no number {key}")
    noise = line.get("noise", "")
    require(noise is None or _finite(noise), f"{RESULTS}: {name} has no noise")
    known = line["kernel"] in KERNELS
    require(known, f"{RESULTS}: the kernel of {name} is {line['kernel']!r}")
    require(type(line.get("contaminated")) is bool, f"{RESULTS}: is {name} contaminated or not?")
    inside = line["lo"] <= line["psnr_gain"] <= line["hi"]
    require(inside, f"{RESULTS}: the gain of {name} is outside its interval")


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
        right = isinstance(seconds, Mapping) and all(map(_finite, seconds.values()))
        require(right, f"{TIMINGS} has no seconds by method")
        costs = {name: {"seconds_per_picture": taken} for name, taken in seconds.items()}
        told.append(f"Times of a picture: {html.escape(str(timings.get('machine')))}.")
    stored = _read(root / COST)
    if stored is not None:
        cases = stored.get("cases")
        require(isinstance(cases, list) and cases, f"{COST} has no cases")
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
    return type(value) in (int, float) and math.isfinite(value)


def _told(case: tuple) -> str:
    data, degradation, noise = case
    return f"{data}, {degradation}" + ("" if noise is None else f", noise {noise:g}")


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
        f"{line['psnr_gain']:+.2f} ({line['lo']:+.2f} to {line['hi']:+.2f})",
        f"{line['ssim']:.3f}",
        f"{line['win_rate']:.0%}",
        str(line["group"]),
        *(f"{cost[key]:,.3g}" if key in cost else "" for key in COSTS[:2]),
        f"{cost['parameters']:,}" if "parameters" in cost else "",
    ]
    return "".join(f"<td>{cell}</td>" for cell in cells)
