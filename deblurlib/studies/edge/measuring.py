"""Chapter 03 measured: every recipe trained and scored, every claim judged."""

from __future__ import annotations

from collections.abc import Sequence

from ...data import ImageSet, classes, open_images
from ...runs import Recipe
from ..archive import Archive
from ..claims import judge
from ..study import FINAL
from .claims import CIFAR_100, claims
from .recipes import BLURS, SIZES_OF_IMAGES, SMALL, recipes

#: test images by profile; the others score all
COUNT = {"smoke": 2, "quick": 3}
ENOUGH = 3  # seeds: for other settings, larger images, and the arms below
#: of S2's setting, the arms that no claim needs with more
FEWER = ("deblurnet", "unbounded-edges", "adversarial")


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    The rows of ``data`` also say each image's class, where that is known.
    """
    from . import SCORING  # of this package, which imports this module

    test = open_images(data, "test")
    chosen = wanted(profile, seeds, data)
    trained = [archive.run(recipe) for recipe in chosen]
    rows = []
    for source in sorted({recipe.data for recipe in chosen}):
        scored = [
            run
            for run in trained
            if run.recipe.data == source and not run.recipe.name.startswith("03/rate-")
        ]
        images = open_images(source, "test").first(COUNT.get(profile))
        rows += archive.score(scored, images, **SCORING)
    class_of = classes(data, "test") if data in SMALL else {}
    named = [row for row in rows if row["data"] == data and row["image"] in class_of]
    for row in named:
        row["class"] = class_of[row["image"]]
    final = profile in FINAL and data in SMALL and len(seeds) >= ENOUGH
    judged = judge(claims(trained, rows), final)
    verdict = "undecided" if final else None
    return rows, [*judged, CIFAR_100 | {"verdict": verdict}], test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of the study: S2's setting with all seeds, others with fewer."""
    listed = [recipe for seed in seeds for recipe in recipes(profile, seed, data)]
    return [r for r in listed if r.seed in seeds_of(r.name.partition("/")[2], seeds)]


def seeds_of(slug: str, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that a recipe of the study has, of all of them, by its name without the chapter."""
    if slug.startswith("rate-"):  # of the sweep
        return seeds[:1]
    prefixes = (*filter(None, BLURS), *SIZES_OF_IMAGES)
    return seeds[:ENOUGH] if slug in FEWER or slug.startswith(prefixes) else seeds
