"""Proofs: the beginning of a recipe's training, which tells whether changed code changes numbers.

A training is chaotic: on another processor its last bits differ in the first step, and its score by
tenths of a decibel in the end. Its beginning is not chaotic. So a proof holds the results of a
*miniature* of the recipe (a dozen steps on ``sample``, through all that a training goes through),
its *rates*, and from its real data some *batches* and two *scores*. On one kind of machine they
must be equal to the bit; between two kinds, within the tolerances of
:mod:`deblurlib.runs.signature`. What lies between a training's beginning and its end is sampled,
not proved.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import data, files, images, machine, training
from ..data import AnySet, MixedSet, batches
from . import fitting, inputs, players, validation
from .recipe import Recipe
from .signature import Signature, differences, of_numbers, of_tensors, of_weights, shortened

__all__ = [
    "miniature",
    "of_batches",
    "of_miniature",
    "of_rates",
    "of_recipe",
    "of_run",
    "replay",
    "replay_run",
]

STEPS, FEWER_STEPS = 12, 4  # of a miniature; fewer where that takes over SLOW seconds
SLOW = 5.0
SIDE = 8  # pixels of a miniature's crop, or the least that its networks and its loss take
RATES = 16  # steps whose rates are kept
OTHER = 1000  # added to a seed for the second miniature


def of_run(recipe: Recipe, sharp: AnySet) -> dict[str, Any]:
    """The proof that a run keeps.

    Args:
        sharp: the recipe's images.
    """
    steps, parts = of_recipe(recipe)
    parts |= _of_images(recipe, sharp)
    return {"steps": steps, "machine": machine.arithmetic(), "parts": parts}


def replay_run(old: Mapping[str, Any], recipe: Recipe, sharp: AnySet) -> tuple[str, ...]:
    """The names of the parts in which :func:`of_run` comes out otherwise than it did."""
    alike = machine.is_alike(old["machine"])
    changed = replay(old["parts"], recipe, old["steps"], alike)
    return (*changed, *differences(old["parts"], _of_images(recipe, sharp), alike))


def of_recipe(recipe: Recipe) -> tuple[int, dict[str, Signature]]:
    """The miniature's steps, and the parts that need no data but ``sample``."""
    training.start_fabric("32", alone=True)  # what it imports is not timed
    steps, began = STEPS, time.process_time()  # others may use the processor, too
    if recipe.rival:  # two whole cycles, and a step after whoever is last
        steps = 2 * recipe.rival.turns.count("model") + 1
    parts = of_miniature(recipe, steps)
    if time.process_time() - began > SLOW and not recipe.rival:
        steps = FEWER_STEPS
        parts = of_miniature(recipe, steps)
    other = of_miniature(recipe.with_seed(recipe.seed + OTHER), steps)
    parts |= {f"{name} of another seed": part for name, part in other.items()}
    return steps, parts | {"rates": of_rates(recipe)}


def replay(old: Mapping[str, Signature], recipe: Recipe, steps: int, alike: bool) -> list[str]:
    """The names of the parts in which :func:`of_recipe` comes out otherwise than it did.

    On another kind of machine, rounding now and then lets a unit of a network fire that did not,
    and Adam takes a whole step for each of its weights, however small their gradients. That hardly
    happens to two miniatures, so there either of two seeds is enough.
    """
    changed = differences(old, of_miniature(recipe, steps), alike)
    if changed and not alike:
        other = of_miniature(recipe.with_seed(recipe.seed + OTHER), steps)
        kept = {name: old.get(f"{name} of another seed") for name in other}
        another = {name: part for name, part in kept.items() if part is not None}
        misses = len(another) < len(other)
        changed = changed if misses or differences(another, other, alike) else []
    return changed + differences(old, {"rates": of_rates(recipe)}, alike)


def of_miniature(recipe: Recipe, steps: int) -> dict[str, Signature]:
    """``weights``, ``losses`` and ``validation`` of the training of :func:`miniature`.

    With a rival, the weights of each player, and all losses.
    """
    small = miniature(recipe, steps)
    rows: list[dict[str, Any]] = []
    started = players.players_of(small, players.build(small))
    before = {name: _weights(player.model) for name, player in started.items()}
    with one_thread(), _images_of(small) as sharp:
        fabric = training.start_fabric("32", alone=True)
        for state, scorer in fitting.fit(small, sharp, fabric, rows):
            after = {name: _weights(player.best) for name, player in state.players.items()}
            if scorer is not None:  # the first process's
                score = scorer
        identity = score(nn.Identity())
    kept = [row[key] for key in (*state.losses, "val_loss") for row in rows]
    scored = [row["val_psnr"] for row in rows] + [identity["val_psnr"]]
    weights = {
        "weights" if name == "model" else f"weights of the {name}": of_weights(first, after[name])
        for name, first in before.items()
    }
    return weights | {"losses": of_numbers(kept), "validation": of_numbers(scored)}


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """What an optimiser moves: beside the way of some buffers, that of the weights is short."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _of_images(recipe: Recipe, sharp: AnySet) -> dict[str, Signature]:
    """``batches``, and ``scores`` of the untrained network and the identity on two images."""
    rest, held_out = data.hold_out(sharp, recipe.holdout)
    with one_thread():
        model: Any = players.build(recipe)
        score = validation.scorer(recipe, held_out.first(2), torch.device("cpu"), model.margin)
        scores = [*score(model).values(), *score(nn.Identity()).values()]
        return {"batches": of_batches(recipe, rest), "scores": of_numbers(scores)}


def miniature(recipe: Recipe, steps: int = STEPS) -> Recipe:
    """The same recipe made small: on ``sample``, in full precision, to its end.

    What happens after some steps, a new beginning of the optimiser or the end of a warm-up, happens
    in these few, too. Precision, layout and compilation are compared as values of the recipe.
    """
    playing = players.players_of(recipe, players.build(recipe))
    networks: dict[str, Any] = {name: player.model for name, player in playing.items()}
    multiple: int = networks["model"].multiple
    least = max(SIDE, recipe.objective.least, getattr(networks["model"], "least", 1))
    least = max(least, networks["critic"].least) if recipe.rival else least
    rival = recipe.rival
    if rival:
        rival = replace(rival, schedule=_shortened(rival.schedule, steps))
    return replace(
        recipe,
        data="sample",
        steps=steps,
        every=max(1, steps // 3),
        batch=2,
        crop=-(-least // multiple) * multiple,
        reset=recipe.reset and min(recipe.reset, steps // 2),
        images=recipe.images and 3,
        reduce=None,
        square=False,
        schedule=_shortened(recipe.schedule, steps),
        rival=rival,
        precision="32",
        channels_last=False,
        compile=None,
    )


def _shortened(schedule: Mapping[str, Any], steps: int) -> dict[str, Any]:
    warmup = {"warmup": min(schedule["warmup"], steps // 3)} if schedule.get("warmup") else {}
    return {**schedule, **warmup}


def of_rates(recipe: Recipe) -> Signature:
    """The rates of all groups of parameters of all players, at steps spread over the training."""
    rates = []
    for player in players.players_of(recipe, players.build(recipe)).values():
        optimiser = training.make_optimiser(player.model, player.optimiser)
        for step in np.linspace(0, recipe.steps - 1, RATES).round().astype(int).tolist():
            training.set_rates(optimiser, player.schedule, step, recipe.steps)
            rates += [group["lr"] for group in optimiser.param_groups]
    return of_numbers(rates)


def of_batches(recipe: Recipe, sharp: AnySet) -> Signature:
    """The recipe's batches at its first turn, around the end of an epoch, and at its last.

    Args:
        sharp: what it trains on: its data, less what is held out.
    """
    model: Any = players.build(recipe)
    part: dict[str, Any] = {"chances": sharp.chances} if isinstance(sharp, MixedSet) else {}
    batch_of = inputs.make_batches(recipe, _OnDemand(sharp, recipe.grey), model.margin, **part)
    epoch = len(sharp) // recipe.batch  # the turn in which, or before which, one ends
    wanted = {0, epoch - 1, epoch, recipe.turns - 1}
    pairs = [batch_of(turn) for turn in sorted(wanted) if 0 <= turn < recipe.turns]
    values = []
    for side in ([pair.y for pair in pairs], [pair.x for pair in pairs]):
        whole = torch.cat([z.double().flatten() for z in side])
        ramp = torch.linspace(-1, 1, len(whole), dtype=torch.float64)
        values += [whole.mean(), whole.square().mean().sqrt(), (whole * ramp).mean()]
    return {
        "hash": of_tensors(z for pair in pairs for z in (pair.y, pair.x)),
        "values": [shortened(v.item()) for v in values],
    }


@dataclass(frozen=True)
class _OnDemand:
    """As :func:`deblurlib.data.batches.hold`, but an image is read when it is asked for."""

    items: AnySet
    grey: int

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> torch.Tensor:
        return batches.hold(self.items.take([i]), grey=self.grey)[0]


@contextmanager
def _images_of(small: Recipe) -> Iterator[AnySet]:
    """The miniature's images or, where pairs are wanted, some made from them."""
    sharp = data.open_images("sample", "train")
    if small.degradation is not None:
        yield sharp.first(small.images)
        return
    with tempfile.TemporaryDirectory() as folder:
        for item in sharp.items:
            array = item.array()[:128, :130].astype(np.uint16)
            # the mean of three neighbours, in whole numbers: no code of ours has a part in it
            blurred = (array[:, :-2] + array[:, 1:-1] + array[:, 2:] + 1) // 3
            for side, picture in (("blur", blurred), ("sharp", array[:, 1:-1])):
                path = Path(folder, "train", Path(item.name).stem, side, "0.png")
                path.parent.mkdir(parents=True)
                files.write_image(path, images.to_tensor(picture.astype(np.uint8)))
        yield data.open_pairs(f"sample-pairs={folder}", "train").first(small.images)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, whatever the number of cores; such small work is no slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
