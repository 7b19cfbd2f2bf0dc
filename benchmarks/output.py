"""Results as JSON files and as one page of tables."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

from . import timing

HEAD = """# Speed

Written by `make bench`. Each cell: the median time in ms, and in brackets the **ratio**: the \
median over the rounds of that time by deblurlib's in the same round. Above 1 means the other is \
slower than deblurlib, below 1 that it is faster. All ran in one process, in turn, after their \
values were found equal within {tolerance:g} (where a section does not say \
otherwise); the files beside this page hold minima and versions.
"""


def machine(packages: tuple[str, ...], others: float) -> dict:
    """What the times depend on; nothing that names the machine.

    Args:
        packages: whose versions are stored.
        others: cores that other processes used meanwhile, on average.
    """
    return {
        "cpu": _cpu(),
        "cores": timing.cores(),
        "threads": torch.get_num_threads(),
        "others": round(others, 2),
        "platform": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "versions": {package: version(package) for package in packages},
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def results(packages: tuple[str, ...], cases: list[dict], others: float) -> dict:
    """A benchmark's results as they are stored."""
    return {"machine": machine(packages, others), "date": date.today().isoformat(), "cases": cases}


def section(
    title: str, about: str, stored: dict, table: Callable[[list[dict]], str] | None = None
) -> str:
    """A benchmark's part of the page: what was compared, on what, and the table.

    Args:
        table: of the cases, if they are others than those of :func:`times`.
    """
    m = stored["machine"]
    where = (
        f"{m['cpu']}, {m['cores']} cores (other processes used {m['others']} of them), "
        f"torch {m['torch']}, {stored['date']}."
    )
    return f"## {title}\n\n{about}\n\n{where}\n\n{(table or times)(stored['cases'])}\n"


def times(cases: list[dict]) -> str:
    """The cases as a Markdown table, a column for each contender."""
    columns = sorted((case["contenders"] for case in cases), key=len, reverse=True)
    names = list(dict.fromkeys(name for case in columns for name in case))  # the fullest first
    rows = [["case", timing.OURS, *names]]
    for case in cases:
        cells = [case["contenders"].get(name) for name in names]
        theirs = [f"{c['ms']:.1f} ({c['ratio']:.2f})" if c else "" for c in cells]
        rows.append([case["case"], f"{case['ours_ms']:.1f}", *theirs])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    # text to the left, numbers to the right
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {row[0]:<{widths[0]}} | "
        + " | ".join(f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))
        + " |"
        for row in rows
    )


def write(folder: Path, stored: dict[str, dict], sections: dict[str, str]) -> None:
    """Write each benchmark's JSON file and the page.

    Args:
        sections: by their titles, in the order of the page. One that is empty stays what it was.
    """
    old = folder / "README.md"
    before = old.read_text("utf-8").split("\n## ")[1:] if old.exists() else []
    known = {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in before}
    texts = [text or known.get(title, "") for title, text in sections.items()]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in stored.items():
        text = json.dumps(content, indent=2) + "\n"
        (folder / f"{name}.json").write_text(text, "utf-8")
    page = "\n".join([HEAD.format(tolerance=timing.TOLERANCE), *filter(None, texts)])
    old.write_text(page, "utf-8")
