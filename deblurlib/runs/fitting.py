"""Train a recipe's model on its images; runs and proofs both use this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from .. import data, models, training
from ..data import ImageSet, PairSet
from ..losses import LOSSES
from . import inputs, validation
from .recipe import Recipe
from .validation import Score

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit(
    recipe: Recipe,
    images: ImageSet | PairSet,
    fabric: Fabric,
    rows: list[dict],
    **options,
) -> Iterator[tuple[training.State, Score | None]]:
    """Call :func:`deblurlib.training.fit` with all that a recipe says; nothing is written.

    Args:
        images: the recipe's images, of which a part is held out.
        rows: the history, which grows by a row at each end of an interval.
        options: of :func:`deblurlib.training.fit`: how the training begins, saves and stops.

    Yields:
        the training's state and the function that scores models, ``None`` but in the first process.
    """
    first = fabric.global_rank == 0
    rest, held_out = data.hold_out(images, recipe.holdout)
    model = models.build(recipe.model, recipe.model_args, recipe.seed)
    inputs.check(recipe, model)
    score = None
    if first:
        score = validation.scorer(recipe, held_out, fabric.device, model.margin)
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # what others draw afterwards stays as it was
        torch.manual_seed(recipe.seed)
        for state in training.fit(
            model,
            inputs.batches_of(recipe, rest, fabric, model.margin),
            LOSSES[recipe.loss],
            recipe.steps,
            **{k: getattr(recipe, k) for k in ("optimiser", "schedule", "clip", "ema", "reset")},
            **{k: getattr(recipe, k) for k in ("channels_last", "compile")},
            every=recipe.interval,
            fabric=fabric,
            **options,
        ):
            if first and state.row:
                rows.append({"step": state.step, "loss": state.loss, **score(state.best)})
                rows[-1]["seconds"] = round(state.seconds, 3)
            yield state, score
