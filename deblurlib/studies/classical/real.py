"""Phase II measured: real blur, a known field of blurs, and a shaken camera's measured kernels.

The pairs are reduced as S5 reduced them, to a shorter side of about 142 pixels, and stand at full
size apart. Networks are trained on gopro_scenes alone: gopro_pairs is a scene that none has seen,
and so are the four of reds_small, another camera's, of which both parts are scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, cast

import torch

from ... import evaluation, machine, models, places, restoration
from ...data import ImageSet, PairSet, holds_pairs, open_images, open_pairs
from ...degrade.field import Weighted
from ...errors import InputError
from ...restoration import Method
from ...runs import Recipe, Run
from ..archive import Archive
from ..claims import judge
from ..rows import in_order, once, read_rows, rounded
from ..scoring import DRAW, cases, label_of, rows_of
from ..study import FINAL
from . import SCORING, field
from .claims import BLIND, MEASURED, REAL, real_claims
from .recipes import recipes

__all__ = ["measure", "score_beyond", "score_field", "score_reduced"]

FEWER = ("real-gan-plain", "real-gan-pixel")
ENOUGH = 3  # seeds, of the arms above
#: pairs that no network is trained on: those that are scored at full size, too; others, with the
#: parts that are scored; and the side to which both are reduced
ELSEWHERE, OTHERS, REDUCED = "gopro_pairs", {"reds_small": ("train", "test")}, 144
LEVIN, SHIFT = "levin09", 8  # measured kernels; the best shift's bound, pixels
IN_FIELD = 6  # images that a known field blurs
FULL_SIZE = "recorded, full size"
#: what rows call the kinds of :mod:`.field` -> how it is weighted, and how it changes
FIELDS: dict[str, tuple[Weighted, str]] = {
    f"{c} field, by {w}": (w, c) for w, c in product(field.WEIGHTED, field.CHANGES)
}
#: the methods on Levin's pairs that nothing is trained for, and the network that ships
ON_LEVIN = ("blind-richardson-lucy", BLIND, "blind-edges", "srn")


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet | PairSet]:
    """Rows, judged claims and the test pairs, as :func:`deblurlib.studies.open_study` wants them.

    Pairs elsewhere, at full size, and Levin's are scored at `report` and `full`, where the networks
    are trained on pairs.

    Raises:
        InputError: such pairs are to be scored, and are not here.
    """
    whole = profile in FINAL and holds_pairs(data)
    if whole and (missing := [s for s in (ELSEWHERE, *OTHERS, LEVIN) if not places.is_here(s)]):
        raise InputError(f"chapter 06 scores the pairs of {missing[0]}: data/README.md")
    runs = [archive.run(recipe) for recipe in wanted(profile, seeds, data)]
    guesses = [run for run in runs if run.recipe.name == "06/guess"]
    networks = [run for run in runs if run not in guesses]
    rows = archive.score(networks, **SCORING)
    rows += archive.score([run for run in guesses if not isinstance(run, Run)], **SCORING)
    new, guessing = ([run for run in some if isinstance(run, Run)] for some in (networks, guesses))
    rows += rounded(score_reduced(new, guessing, networks[0].recipe))
    test = _test(data)
    if guessing:
        rows += rounded(score_field(guessing[0], test))
    elif guesses:  # those rows say no run
        rows += [row for row in read_rows(archive.rows) if row["degradation"] in FIELDS]
    if whole:
        rows += rounded(score_beyond(new, guessing, data))
    rows = in_order(once(rows))
    final = whole and data == "gopro_scenes" and len(seeds) >= ENOUGH
    return rows, judge(real_claims(runs, rows), final), test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of Phase II's study, most with all seeds, and Phase I's network that guesses."""
    listed = [r for seed in seeds for r in recipes(profile, seed, data)]
    slugs = {r.name: r.name.removeprefix("06/") for r in listed}
    chosen = [r for r in listed if slugs[r.name].startswith("real-") or slugs[r.name] == "guess"]
    return [r for r in chosen if r.seed in seeds_of(slugs[r.name], seeds)]


def seeds_of(slug: str, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that a recipe of the study has, of all of them, by its name without the chapter."""
    return seeds[:ENOUGH] if slug in FEWER else seeds


def stitched(run: Run, device: torch.device | str) -> tuple[Method, dict]:
    """A run of ``06/guess`` as the method that guesses patch by patch, and its rows' labels.

    Its patches of 128 pixels were the best of those that :mod:`.choose_uniform` tries, and did harm
    all the same.
    """
    model = cast(models.KernelNet, run.model().eval().to(device))
    return restoration.stitched(model), label_of(run, ", stitched")


def score_reduced(networks: Sequence[Run], guesses: Sequence[Run], recipe: Recipe) -> list[dict]:
    """Rows of a guess for each patch, of one for the image, and of ``srn``, on the reduced pairs.

    The networks' own rows on the same pairs are those of :func:`deblurlib.studies.score`.

    Args:
        recipe: of one of the networks: it says what they are tried on.
    """
    device = machine.device("auto")
    listed = [stitched(run, device) for run in guesses]
    listed += [(restoration.of_run(r, device), label_of(r, ", whole")) for r in guesses[:1]]
    listed += [(restoration.find_method("srn", device), {"method": "srn"})]
    listed += [(restoration.METHODS["unsharp-mask"], {"method": "unsharp-mask"})]
    common: dict[str, Any] = {"data": recipe.label, "channels": "rgb"}
    common |= {"degradation": recipe.degradation or REAL}
    common |= {"draw": DRAW} if recipe.degradation else {}
    return rows_of(listed, cases(recipe), common, device, **SCORING)


def score_field(guess: Run, test: ImageSet | PairSet) -> list[dict]:
    """Rows of the blur that varies and is known, see :mod:`.field`."""
    device = torch.device("cpu")  # its kernels are there
    model = cast(models.KernelNet, guess.model().eval())
    rows = []
    for setting, (weighted, change) in FIELDS.items():
        common = {"data": test.name, "channels": "rgb", "degradation": setting, "draw": DRAW}
        for case, nodes in field.cases(test.first(IN_FIELD), weighted, change):
            listed = [(m, {"method": m.name}) for m in field.methods(model, nodes, change)]
            rows += rows_of(listed, [case], common, device, **SCORING)
    return rows


def score_beyond(networks: Sequence[Run], guesses: Sequence[Run], data: str) -> list[dict]:
    """Rows on scenes that no network has seen, at full size, and on Levin's pairs.

    Also of what is not trained here, whose rows say no run, if all networks' are published.
    """
    device = machine.device("auto")
    by_patch = [stitched(run, device) for run in guesses]
    srn = restoration.find_method("srn", device)
    nets = [(restoration.of_run(run, device), label_of(run)) for run in networks]
    once_each = [pair for pair in nets if pair[1]["seed"] == networks[0].recipe.seed]
    unseen = [(ELSEWHERE, "test"), *((name, part) for name in OTHERS for part in OTHERS[name])]
    rows = []
    for name, part in unseen:
        rows += _on_pairs([*nets, *by_patch], open_pairs(name, part).reduced(REDUCED), REAL)
    for name in (data, ELSEWHERE):
        fair = [] if srn.has_seen(name) else [(srn, {"method": "srn"})]  # it is trained on some
        rows += _on_pairs([*once_each, *by_patch[:1], *fair], open_pairs(name, "test"), FULL_SIZE)
    by_name = [(restoration.find_method(name, device), {"method": name}) for name in ON_LEVIN]
    return rows + _on_pairs(by_name, open_pairs(LEVIN, "test"), MEASURED, grey=1, align=SHIFT)


def _on_pairs(
    listed: Sequence[tuple[Method, Mapping]],
    pairs: PairSet,
    degradation: str,
    grey: int = 0,
    **options: Any,
) -> list[dict]:
    channels = "grey" if grey else "rgb"
    common = {"data": pairs.name, "channels": channels, "degradation": degradation}
    found = evaluation.cases_of_pairs(pairs, grey)
    return rows_of(listed, found, common, "auto", **SCORING | options)


def _test(data: str) -> ImageSet | PairSet:
    return open_pairs(data, "test") if holds_pairs(data) else open_images(data, "test")
