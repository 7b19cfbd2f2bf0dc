"""Chapter 04 measured: every recipe trained and scored, every claim judged."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...data import ImageSet, open_images
from ...runs import Recipe
from ..archive import Archive
from ..claims import judge
from ..study import FINAL
from .claims import claims
from .recipes import recipes

#: test images by profile; the others score all
COUNT = {"smoke": 2, "quick": 3}
ENOUGH = 3  # seeds, of the arms below
FEWER = (
    "l1-ssim",
    "l1-ssim-adversarial",
    "no-skips-wider",
    "deconvolution-3",
    "sub-pixel",
    "imagenet",
    "imagenet-bounded",
    "unbounded",
    "ssim-no-skips",
    "ssim-first-skip",
    "ssim-deconvolution",
    "ssim-resize",
)
ONCE = ("rate-", "critic-", "wide")  # names of those with one seed begin so


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    S3's full width takes a GPU: without one it is left out, unless it was trained or published.
    """
    from . import SCORING  # of this package, which imports this module

    test = open_images(data, "test").first(COUNT.get(profile))
    chosen = [r for r in wanted(profile, seeds, data) if not _is_too_wide(archive, r, profile)]
    trained = [archive.run(recipe) for recipe in chosen]
    scored = [run for run in trained if not run.recipe.name.startswith(("04/rate-", "04/critic-"))]
    rows = archive.score(scored, test, **SCORING)
    final = profile in FINAL and data == "celeba" and len(seeds) >= ENOUGH
    return rows, judge(claims(trained, rows), final), test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of the study, most with all seeds, some with fewer."""
    listed = [recipe for seed in seeds for recipe in recipes(profile, seed, data)]
    return [r for r in listed if r.seed in seeds_of(r.name.partition("/")[2], seeds)]


def seeds_of(slug: str, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that a recipe of the study has, of all of them, by its name without the chapter."""
    if slug.startswith(ONCE):
        return seeds[:1]
    return seeds[:ENOUGH] if slug in FEWER else seeds


def _is_too_wide(archive: Archive, recipe: Recipe, profile: str) -> bool:
    wide = recipe.name.startswith("04/wide") and profile in FINAL
    return wide and not torch.cuda.is_available() and not archive.knows(recipe)
