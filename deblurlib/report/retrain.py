"""Whole trainings made anew: where their scores lie, beside those published and their seeds'."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from .. import runs, studies
from ..errors import InputError
from ..studies.rows import read_rows
from .confirm import Page


def retrain(page: Page, count: int, seed: int = 0) -> list[dict]:
    """Train some published runs from the beginning, and score them as the chapter does.

    Args:
        count: how many, drawn with ``seed`` from those that were scored.

    Returns:
        a line a run: ``recipe``, ``seed``, mean PSNR over the test images as ``published`` and
        ``now``, and the ``least`` and ``greatest`` of the recipe's published seeds.
    """
    chapter, profile = page.results["chapter"], page.results["profile"]
    rows = read_rows(page.path.with_name(f"{chapter}_rows.csv.gz"))
    known: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row.get("run"):
            known.setdefault((row["method"], row["seed"]), []).append(row["psnr"])
    if not known:
        raise InputError(f"chapter {chapter} publishes no runs")
    chosen = np.random.default_rng(seed).permutation(len(known))[:count]
    scoring = getattr(studies.CHAPTERS[chapter], "SCORING", {})
    source = page.results["stamp"]["data"][0]["name"]
    lines = []
    for name, number in (sorted(known)[i] for i in chosen):
        recipe = studies.find_recipe(name, profile, number, source)
        with tempfile.TemporaryDirectory() as folder:
            run = runs.train_or_load(recipe, folder=Path(folder))
            made = studies.score([run], store=Path(folder), **scoring)
        line = {"recipe": name, "seed": number, "published": _mean(known[name, number])}
        line["now"] = _mean([row["psnr"] for row in made if row["method"] == name])
        seeds = [_mean(values) for (one, _), values in known.items() if one == name]
        lines.append(line | {"least": min(seeds), "greatest": max(seeds)})
    return lines


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
