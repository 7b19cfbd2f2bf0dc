"""Chapter 05 measured: every recipe trained and scored, every claim judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from ... import evaluation, machine, places, restoration
from ...data import ImageSet, open_images, open_pairs
from ...errors import InputError
from ...evaluation import Case
from ...runs import Recipe, Run
from ..archive import Archive
from ..claims import judge
from ..rows import in_order, once, rounded
from ..scoring import DRAW, cases, label_of, rows_of
from ..study import FINAL
from .claims import claims, not_run
from .recipes import ENCODED, LIGHT, WIDTHS, recipes

__all__ = ["score_beyond", "seeds_of"]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING: dict[str, Any] = {
    "protocols": ("gaussian-rgb",),
    "measures": ("gradient_similarity", "checkerboard"),
}
#: test images by profile; the others score all
COUNT = {"smoke": 1, "quick": 3}
ENOUGH = 3  # seeds
#: the arms that were trained once, for want of a GPU's time (of the wide ones, one scale takes
#: least of it and has all seeds); and those that were not trained
ONCE = ("two-scales", "wide", "wide-no-recurrence")
LEFT_OUT = (
    *("kernel-3", "decoder-sub-pixel", "decoder-bilinear", "paper", "direct", "wide-plain"),
    *("between-deconvolution", "between-sub-pixel", "srn", *WIDTHS),
)
PAIRS = ("gopro_scenes", "reds_small")  # recorded, of real cameras
#: the arms that are also scored on other blur than their own
BEYOND = ("whole", "one-scale", "no-recurrence", "plain", "light")
OTHER = {ENCODED: LIGHT, LIGHT: ENCODED}


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    At `report` that is a GPU's work of eight minutes, and a processor's of days. Recorded pairs are
    scored at `report` and `full` only. Claims that no study has measured are added, undecided.

    Raises:
        InputError: the recorded pairs are to be scored, and are not here.
    """
    count = COUNT.get(profile)
    test = open_images(data, "test").first(count)
    runs = [archive.run(recipe) for recipe in wanted(profile, seeds, data)]
    pairs = PAIRS if profile in FINAL else ()
    new = [run for run in runs if isinstance(run, Run)]
    if new and (missing := [name for name in pairs if not places.is_here(name)]):
        raise InputError(f"chapter 05 scores the recorded pairs of {missing[0]}: data/README.md")
    # all images: of published runs also the rows of recorded pairs
    rows = archive.score(runs, test if count else None, **SCORING)
    for run in new:
        if run.recipe.name.partition("/")[2] in BEYOND:
            rows += rounded(score_beyond(run, test, pairs))
    rows = in_order(once(rows))
    final = profile in FINAL and data == "bsds500" and len(seeds) >= ENOUGH
    judged = judge(claims(rows, runs[0].recipe.label), final)
    verdict = "undecided" if final else None
    return rows, [*judged, *({**claim, "verdict": verdict} for claim in not_run())], test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of the study that are trained, most with all seeds."""
    listed = [recipe for seed in seeds for recipe in recipes(profile, seed, data)]
    return [r for r in listed if r.seed in seeds_of(r.name.partition("/")[2], seeds)]


def seeds_of(slug: str, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that a recipe of the study has, of all of them, by its name without the chapter."""
    if slug in LEFT_OUT:
        return []
    return seeds[:1] if slug in ONCE else seeds


def score_beyond(
    run: Run,
    test: ImageSet,
    pairs: Sequence[str] = PAIRS,
    device: torch.device | str = "auto",
) -> list[dict]:
    """A run's rows, and the identity's, on other blur than its own, and on recorded pairs.

    Args:
        test: sharp test images; they are blurred by the other of the two settings. For the whole
            network, also by its own, with sides cut to multiples of :attr:`SRN.multiple`.
        pairs: names of sets of recorded pairs, of which the test split is scored.
        device: see :func:`deblurlib.machine.device`.
    """
    recipe, rows = run.recipe, []
    if recipe.degradation in OTHER:
        setting = OTHER[recipe.degradation]
        other = replace(recipe, degradation=setting)
        rows += _rows(run, cases(other, test), recipe.label, setting, device)
    if recipe.name == "05/whole":
        label = f"{recipe.label}-cut"
        cut = _cut(cases(recipe, test), cast(int, run.model().multiple))
        rows += _rows(run, cut, label, recipe.degradation, device)
    for name in pairs:
        found = evaluation.cases_of_pairs(open_pairs(name, "test"))
        rows += _rows(run, found, name, "recorded", device)
    return rows


def _rows(
    run: Run, found: Iterable[Case], data: str, degradation: str | None, device: torch.device | str
) -> list[dict]:
    device = machine.device(device)
    common: dict[str, Any] = {"data": data, "channels": "rgb", "degradation": degradation}
    common |= {} if degradation == "recorded" else {"draw": DRAW}
    methods = [(restoration.of_run(run, device), label_of(run))]
    return rows_of(methods, found, common, device, **SCORING)


def _cut(found: Iterable[Case], multiple: int) -> Iterator[Case]:
    for case in found:
        height, width = (side // multiple * multiple for side in case.y.shape[-2:])
        yield replace(case, y=case.y[..., :height, :width], x=case.x[..., :height, :width])
