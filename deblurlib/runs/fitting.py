"""Train a recipe's model on its images; runs and proofs both use this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from .. import data, training
from ..data import AnySet
from . import inputs, players, validation
from .players import Weights
from .recipe import Recipe
from .validation import Score

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit(
    recipe: Recipe,
    images: AnySet,
    fabric: Fabric,
    rows: list[dict[str, Any]],
    trained: Mapping[str, Weights] | None = None,
    **options: Any,
) -> Iterator[tuple[training.State, Score | None]]:
    """Call :func:`deblurlib.training.fit` with all that a recipe says; nothing is written.

    Args:
        images: the recipe's images, of which a part is held out.
        rows: the history, which grows by a row at each end of an interval.
        trained: the weights of the recipe's parts, see :func:`deblurlib.runs.players.build`.
        options: of :func:`deblurlib.training.fit`: how the training begins, saves and stops.

    Yields:
        the training's state and the function that scores models, ``None`` but in the first process.
    """
    first = fabric.global_rank == 0
    rest, held_out = data.hold_out(images, recipe.holdout)
    playing = players.players_of(recipe, players.build(recipe, trained))
    inputs.check(recipe, playing)
    model: Any = playing["model"].model
    margin: int = model.margin
    score: Score | None = None
    if first:
        score = validation.scorer(recipe, held_out, fabric.device, margin)
    if recipe.rival:
        options["turns"] = recipe.rival.turns
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # what others draw afterwards stays as it was
        _seed(recipe.seed, fabric.device)
        for state in training.fit(
            playing,
            inputs.batches_of(recipe, rest, fabric, margin),
            recipe.steps,
            **{k: getattr(recipe, k) for k in ("channels_last", "compile", "tf32")},
            every=recipe.interval,
            fabric=fabric,
            **options,
        ):
            if score is not None and state.row:
                rows.append({"step": state.step, **state.losses, **score(state.best)})
                rows[-1]["seconds"] = round(state.seconds, 3)
            yield state, score


def _seed(seed: int, device: torch.device) -> None:
    """Seed the random numbers of the processor and of one GPU, and of no other."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
