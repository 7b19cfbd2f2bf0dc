"""Train published runs anew, and compare their scores with the published ones."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.stats

from .. import runs, studies
from ..runs import Recipe
from ..studies.rows import read_rows
from .confirm import Page
from .keys import chapter_of

__all__ = ["retrain"]


def retrain(page: Page, count: int, seed: int = 0) -> list[dict]:
    """Train some published runs from the beginning, and score them as the chapter does.

    Args:
        count: how many, drawn with ``seed`` from those that were scored.

    Returns:
        a line for each run: ``recipe``, ``seed``, the mean PSNR over the test images as
        ``published`` and ``now``, the ``least`` and ``greatest`` among the recipe's published
        seeds, and from ``lo`` to ``hi`` the interval in which one more seed lies 95 times of 100
        (Student's t; ``None`` if the recipe has a single seed).
    """
    chapter, profile = chapter_of(page.results["chapter"]), page.results["profile"]
    source = page.results["stamp"]["data"][0]["name"]
    seeds = page.results["stamp"]["seeds"]
    recipes = {(r.name, s): r for s in seeds for r in studies.recipes(chapter, profile, s, source)}
    scores_of_run: dict[tuple[str, int], dict[str, float]] = {}
    for row in read_rows(page.path.with_name(f"{page.path.stem}_rows.csv.gz")):
        key = row["method"], row.get("seed")
        if key in recipes and _is_own(row, recipes[key]):
            scores_of_run.setdefault(key, {})[row["image"]] = row["psnr"]
    means = {key: sum(scores.values()) / len(scores) for key, scores in scores_of_run.items()}
    chosen = np.random.default_rng(seed).permutation(len(means))[:count]
    lines = []
    for name, number in (sorted(means)[i] for i in chosen):
        seed_means = [mean for (other, _), mean in means.items() if other == name]
        with tempfile.TemporaryDirectory() as folder:
            run = runs.train_or_load(recipes[name, number], folder=Path(folder))
            scoring = studies.scoring_of(chapter)
            rows = studies.score([run], **scoring)
        images = scores_of_run[name, number]
        now = [r["psnr"] for r in rows if r["method"] == name and r["image"] in images]
        line = {"recipe": name, "seed": number, "published": means[name, number]}
        line |= {"now": sum(now) / len(now), "least": min(seed_means), "greatest": max(seed_means)}
        lines.append(line | dict(zip(("lo", "hi"), _one_more(seed_means), strict=True)))
    return lines


def _is_own(row: Mapping, recipe: Recipe) -> bool:
    """Whether a row is of the images and the blur that the recipe's runs are trained for."""
    own = (recipe.label, recipe.degradation or "recorded", "grey" if recipe.grey else "rgb")
    return (row["data"], row["degradation"], row["channels"]) == own


def _one_more(values: list[float]) -> tuple[float, float] | tuple[None, None]:
    """Where one more value lies with a confidence of 95 %; ``None`` twice if only one is known."""
    n = len(values)
    if n < 2:
        return None, None
    half_width = scipy.stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
    return float(np.mean(values) - half_width), float(np.mean(values) + half_width)
