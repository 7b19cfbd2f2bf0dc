"""The leaderboard's lines: of each column a method's mean, its gain with an interval, its group.

Taught in chapter 07.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ... import evaluation, restoration, stats
from ...errors import require

LEVEL = 0.05  # of Holm's adjusted p-values: what is above is one group with the best
IN_NAME = re.compile(r"(.+), noise (.+)")


def lines(rows: Sequence[Mapping]) -> list[dict]:
    """The lines of all columns, the identity's first in each.

    A column is the rows of one set and degradation; the chapter's own networks are left out, and
    images that not every method is scored on. ``lo`` and ``hi`` are the 95 % interval of the gain
    over scenes, ``None`` of one scene; ``group`` is 1 for the best and for all that cannot be told
    from it, 2 for the best of the others and what cannot be told from that, and so on.

    Args:
        rows: of chapter 07, as published.

    Returns:
        lines with ``method``, ``data``, ``degradation`` and ``noise`` (standard deviation; ``None``
        of recorded pairs), ``n``, the entries of :func:`deblurlib.evaluation.summary`, ``lo``,
        ``hi``, ``group``, ``kernel`` (``"needed"``, ``"found"`` or ``""``), ``contaminated``.
    """
    found: dict[tuple[str, str], list[Mapping]] = {}
    for row in rows:
        if not row["method"].startswith("07/"):
            found.setdefault((row["data"], row["degradation"]), []).append(row)
    # the networks alone are tried on some blurs
    wide = {where: some for where, some in found.items() if len({r["method"] for r in some}) > 2}
    return [line for where, some in wide.items() for line in _column(*where, some)]


def _column(data: str, degradation: str, rows: Sequence[Mapping]) -> list[dict]:
    images: dict[str, set[str]] = {}
    for row in rows:
        images.setdefault(row["method"], set()).add(row["image"])
    require("identity" in images, f"{data}, {degradation}: the identity is missing")
    common = set.intersection(*images.values())
    rows = [row for row in rows if row["image"] in common]
    gains = _gains(rows)
    scene_of = {row["image"]: row["scene"] for row in rows}
    groups = groups_of({method: found for method, (found, _) in gains.items()}, scene_of)
    contaminated = {row["method"] for row in rows if row.get("contaminated")}
    named = IN_NAME.fullmatch(degradation)
    noise = None if degradation == "recorded" else float(named[2]) if named else 0.0
    place = {"data": data, "degradation": named[1] if named else degradation, "noise": noise}
    table = []
    for line in evaluation.summary(rows):
        method = line.pop("method")
        by_image, scenes = gains[method]
        ends: dict[str, float | None] = {"lo": None, "hi": None}
        if method == "identity":
            ends = {"lo": 0.0, "hi": 0.0}
        elif len(set(scenes)) > 1:
            interval = stats.bootstrap(list(by_image.values()), [None] * len(scenes), scenes)
            ends = {"lo": interval.lo, "hi": interval.hi}
        own = {
            "kernel": restoration.find_method(method).about_kernel,
            "contaminated": method in contaminated,
        }
        table.append({"method": method} | place | line | ends | {"group": groups[method]} | own)
    return table


def _gains(rows: Sequence[Mapping]) -> dict[str, tuple[dict[str, float], list[str]]]:
    """Each method's gain in dB by image, and the scenes of these."""
    nothing = {row["image"]: row["psnr"] for row in rows if row["method"] == "identity"}
    found: dict[str, tuple[dict[str, float], list[str]]] = {}
    for row in sorted(rows, key=lambda row: row["image"]):
        by_image, scenes = found.setdefault(row["method"], ({}, []))
        by_image[row["image"]] = row["psnr"] - nothing[row["image"]]
        scenes.append(row["scene"])
    return found


def groups_of(
    gains: Mapping[str, Mapping[str, float]], scene_of: Mapping[str, str]
) -> dict[str, int]:
    """The group of each method, 1 the best, by t-tests over scenes with Holm's adjustment.

    Args:
        gains: of each method, by image.
        scene_of: each image's; of fewer than three scenes there is one group.
    """
    means = {method: float(np.mean(list(v.values()))) for method, v in gains.items()}
    left = sorted(means, key=lambda method: means[method], reverse=True)
    groups: dict[str, int] = {}
    while left:
        best, *others = left
        p = [_p_value(gains[best], gains[other], scene_of) for other in others]
        adjusted = stats.holm(p) if p else []
        alike = [o for o, value in zip(others, adjusted, strict=True) if value >= LEVEL]
        number = max(groups.values(), default=0) + 1
        groups |= dict.fromkeys([best, *alike], number)
        left = [other for other in others if other not in groups]
    return groups


def _p_value(
    first: Mapping[str, float], second: Mapping[str, float], scene_of: Mapping[str, str]
) -> float:
    scenes = [scene_of[image] for image in first]
    if len(set(scenes)) < 3:
        return 1.0
    differences = [first[image] - second[image] for image in first]
    return stats.bootstrap(differences, [None] * len(scenes), scenes).p_value(0.0)
