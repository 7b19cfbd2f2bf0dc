"""Score a chapter's runs, and the identity beside them, on the test images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import torch

from .. import evaluation, machine, restoration
from ..data import ImageSet, PairSet
from ..metrics import SSIM_PROTOCOLS
from ..names import Protocol
from ..restoration import Method
from ..runs import Recipe, Run, players
from ..runs.inputs import open_test_images
from ..runs.proof import one_thread
from ..runs.signature import Signature, of_numbers

DRAW = 0  # the seed from which the degradations of test images are drawn


def score(
    trained: Sequence[Run],
    test: ImageSet | None = None,
    side: int | None = None,
    protocols: Sequence[Protocol] = tuple(SSIM_PROTOCOLS),
    device: torch.device | str = "auto",
    **options: Any,
) -> list[dict]:
    """Rows of a chapter's results: each run, and the identity, on the test images.

    Every run is scored under its own degradation, drawn from seed 0: the same pairs for all. The
    identity has one row a case and no ``seed``, which is that of a training. A run whose network
    makes no image, as a part of another may, is left out.

    Args:
        test: the sharp test images, before a recipe reduces them; by default the ``test`` split of
            the run's data, all of it.
        side: pixels of the middle square of each image that is restored; by default all of it.
        device: see :func:`deblurlib.machine.device`.
        options: ``measures`` and ``border`` of :func:`deblurlib.evaluation.evaluate`.
    """
    device = machine.device(device)
    groups: dict[tuple, list[Run]] = {}
    for run in trained:
        recipe = run.recipe
        if not recipe.restores:
            continue
        key = (recipe.label, recipe.degradation, recipe.grey, recipe.boundary)
        groups.setdefault(key, []).append(run)
    rows, seen_cases = [], set()
    for (name, degradation, grey, _), group in groups.items():
        by_id = {run.id: run for run in group}
        methods = [replace(restoration.of_run(by_id[i], device), name=i) for i in by_id]
        common = {"data": name, "channels": "grey" if grey else "rgb"}
        common["degradation"] = degradation or "recorded"
        common |= {"draw": DRAW} if degradation else {}
        pairs = cases(group[0].recipe, test, side)
        for row in evaluation.evaluate(methods, pairs, protocols, device, **options):
            method = row.pop("method")
            if method in by_id:
                recipe = by_id[method].recipe
                labels = {"method": recipe.name, "run": method, "seed": recipe.seed}
                rows.append(labels | common | row)
            elif (case := evaluation.case_of(common | row)) not in seen_cases:
                seen_cases.add(case)
                rows.append({"method": method} | common | row)
    return rows


def rows_of(
    methods: Sequence[tuple[Method, Mapping[str, Any]]],
    found: Iterable[evaluation.Case],
    common: Mapping[str, Any],
    device: torch.device | str = "auto",
    **options: Any,
) -> list[dict]:
    """Rows of methods, and of the identity, on cases.

    Args:
        methods: each with what its rows say of it: ``method`` and, of a run, ``run`` and ``seed``.
        common: what all rows say: ``data``, ``channels``, ``degradation`` and, where one was
            drawn, ``draw``.
        device: where the methods' models are, see :func:`deblurlib.machine.device`.
        options: of :func:`deblurlib.evaluation.evaluate`.
    """
    labels = {f"{i}": label for i, (_, label) in enumerate(methods)}
    named = [replace(method, name=f"{i}") for i, (method, _) in enumerate(methods)]
    rows = []
    for row in evaluation.evaluate(named, found, device=machine.device(device), **options):
        name = row.pop("method")
        rows.append({**labels.get(name, {"method": name}), **common, **row})
    return rows


def label_of(run: Run, suffix: str = "") -> dict[str, Any]:
    """What the rows of a run say of it; with a suffix, of a method that is made with it."""
    return {"method": run.recipe.name + suffix, "run": run.id, "seed": run.recipe.seed}


def cases(
    recipe: Recipe, test: ImageSet | None = None, side: int | None = None
) -> Iterator[evaluation.Case]:
    """The cases that a recipe's runs are scored on, see :func:`score`."""
    if recipe.degradation is None:
        return evaluation.cases_of_pairs(cast(PairSet, open_test_images(recipe)), recipe.grey)
    reduced = recipe.reduce, recipe.square
    images = cast(ImageSet, open_test_images(recipe)) if test is None else test.reduced(*reduced)
    options = {"side": side, "grey": recipe.grey, "boundary": recipe.boundary}
    return evaluation.cases_of_images(images, recipe.degradation, DRAW, **options)


def scores_at_start(recipe: Recipe, scoring: Mapping[str, Any]) -> Signature:
    """The identity and the untrained network on two test cases, scored as a chapter does.

    Args:
        scoring: the chapter's options of :func:`score`.
    """
    options = dict(scoring)
    side = options.pop("side", None)
    methods = []
    if recipe.restores:
        methods = [restoration.of_model("untrained", players.build(recipe).eval(), "")]
    with one_thread():
        rows = evaluation.evaluate(methods, islice(cases(recipe, side=side), 2), **options)
    left_out = ("method", "image", "scene", "seconds")
    return of_numbers([v for row in rows for k, v in row.items() if k not in left_out])
