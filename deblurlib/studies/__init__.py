"""The chapters' experiments: which recipes at which profile, and how they are scored.

One file a chapter; it has ``recipes(profile, seed, data)``. A profile sets sizes only, never what
is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .. import evaluation, machine, restoration, runs
from ..data import ImageSet, open_images, open_pairs
from ..errors import InputError
from ..metrics import SSIM_PROTOCOLS
from ..runs import Recipe, Run
from . import classical, srcnn, srn

__all__ = ["CHAPTERS", "PROFILES", "cases", "find_recipe", "recipes", "score", "train"]

PROFILES = ("smoke", "quick", "report", "full")
DRAW = 0  # the seed from which the degradations of test images are drawn
#: chapter -> its module
CHAPTERS = {"02": srcnn, "05": srn, "06": classical}


def recipes(chapter: str, profile: str, seed: int = 0, data: str = "sample") -> list[Recipe]:
    """All recipes of a chapter, for one seed."""
    if chapter not in CHAPTERS:
        raise InputError(f"chapter {chapter!r} trains nothing; these do: {', '.join(CHAPTERS)}")
    if profile not in PROFILES:
        raise InputError(f"profile {profile!r} is none of {', '.join(PROFILES)}")
    return CHAPTERS[chapter].recipes(profile, seed, data)


def find_recipe(name: str, profile: str, seed: int = 0, data: str = "sample") -> Recipe:
    """A recipe by its name, ``NN/slug``."""
    chapter = name.partition("/")[0]
    chapters = [chapter] if chapter in CHAPTERS else list(CHAPTERS)
    known = [recipe for c in chapters for recipe in recipes(c, profile, seed, data)]
    for recipe in known:
        if recipe.name == name:
            return recipe
    raise InputError(f"no recipe {name!r}; there are: {', '.join(r.name for r in known)}")


def train(
    chapter: str, profile: str, seeds: Sequence[int], data: str = "sample", **options
) -> list[Run]:
    """The runs of all recipes of a chapter for some seeds.

    Options are those of :func:`deblurlib.runs.train_or_load`.

    Raises:
        InputError: one was stopped for time, see ``max_minutes``; those before it are complete.
    """
    done = []
    for seed in seeds:
        for recipe in recipes(chapter, profile, seed, data):
            done.append(runs.train_or_load(recipe, **options))
            if done[-1].outcome == "stopped":
                raise InputError(f"{recipe.name} was stopped for time: the same call goes on")
    return done


def score(
    trained: Sequence[Run],
    test: ImageSet | None = None,
    side: int | None = None,
    protocols: Sequence[str] = tuple(SSIM_PROTOCOLS),
    store: Path | None = None,
    device: str | None = None,
    **options,
) -> list[dict]:
    """Rows of a chapter's results: each run, and the identity, on the test images.

    Every run is scored under its own degradation, drawn from seed 0: the same pairs for all. The
    identity has one row a case and no ``seed``, which is that of a training.

    Args:
        test: the sharp test images; by default the ``test`` split of the run's data, all of it.
        side: of the middle of each image that is restored, pixels; by default all of it.
        device: by default a GPU where there is one.
        options: ``measures`` and ``border`` of :func:`deblurlib.evaluation.evaluate`.
    """
    device = machine.best_device() if device is None else device
    alike: dict[tuple, list[Run]] = {}
    for run in trained:
        recipe = run.recipe
        alike.setdefault((recipe.data, recipe.degradation, recipe.grey), []).append(run)
    rows, known = [], set()
    for (name, degradation, grey), some in alike.items():
        by_id = {run.id: run.recipe for run in some}
        methods = [
            replace(restoration.find_method(run_id, device, store), name=run_id) for run_id in by_id
        ]
        common = {"data": name, "channels": "grey" if grey else "rgb"}
        common["degradation"] = degradation or "recorded"
        common |= {"draw": DRAW} if degradation else {}
        pairs = cases(some[0].recipe, test, side)
        for row in evaluation.evaluate(methods, pairs, protocols, device, **options):
            method = row.pop("method")
            if method in by_id:
                recipe = by_id[method]
                own = {"method": recipe.name, "run": method, "seed": recipe.seed}
                rows.append(own | common | row)
            elif (case := evaluation.case_of(common | row)) not in known:
                known.add(case)
                rows.append({"method": method} | common | row)
    return rows


def cases(
    recipe: Recipe, test: ImageSet | None = None, side: int | None = None
) -> Iterator[evaluation.Case]:
    """What a recipe's runs are scored on, see :func:`score`."""
    if recipe.degradation is None:
        return evaluation.cases_of_pairs(open_pairs(recipe.data, "test"), recipe.grey)
    images = open_images(recipe.data, "test") if test is None else test
    options = {"side": side, "grey": recipe.grey}
    return evaluation.cases_of_images(images, recipe.degradation, DRAW, **options)
