"""Whole trainings made anew: where their scores lie, beside those published and their seeds'."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import scipy.stats

from .. import runs, studies
from ..studies.rows import read_rows
from .confirm import Page


def retrain(page: Page, count: int, seed: int = 0) -> list[dict]:
    """Train some published runs from the beginning, and score them as the chapter does.

    Args:
        count: how many, drawn with ``seed`` from those that were scored.

    Returns:
        a line a run: ``recipe``, ``seed``, mean PSNR over the test images as ``published`` and
        ``now``; of the recipe's published seeds the ``least`` and ``greatest``, and from ``lo`` to
        ``hi`` the interval in which one more seed lies, 95 times of 100 (Student's t; ``None`` of
        one seed).
    """
    chapter, profile = page.results["chapter"], page.results["profile"]
    source = page.results["stamp"]["data"][0]["name"]
    seeds = page.results["stamp"]["seeds"]
    recipes = {(r.name, s): r for s in seeds for r in studies.recipes(chapter, profile, s, source)}
    known: dict[tuple[str, int], dict[str, float]] = {}
    for row in read_rows(page.path.with_name(f"{chapter}_rows.csv.gz")):
        if (row["method"], row.get("seed")) in recipes:
            known.setdefault((row["method"], row["seed"]), {})[row["image"]] = row["psnr"]
    means = {which: sum(found.values()) / len(found) for which, found in known.items()}
    chosen = np.random.default_rng(seed).permutation(len(means))[:count]
    lines = []
    for name, number in (sorted(means)[i] for i in chosen):
        others = [mean for (one, _), mean in means.items() if one == name]
        with tempfile.TemporaryDirectory() as folder:
            run = runs.train_or_load(recipes[name, number], folder=Path(folder))
            scoring = studies.scoring_of(chapter)
            rows = studies.score([run], **scoring)
        images = known[name, number]
        now = [r["psnr"] for r in rows if r["method"] == name and r["image"] in images]
        line = {"recipe": name, "seed": number, "published": means[name, number]}
        line |= {"now": sum(now) / len(now), "least": min(others), "greatest": max(others)}
        lines.append(line | dict(zip(("lo", "hi"), _one_more(others), strict=True)))
    return lines


def _one_more(values: list[float]) -> tuple[float, float] | tuple[None, None]:
    """Where the next of some values lies, with a confidence of 95 %."""
    n = len(values)
    if n < 2:
        return None, None
    half_width = scipy.stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
    return float(np.mean(values) - half_width), float(np.mean(values) + half_width)
