"""The images of a recipe, and the batches that it trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import data, images, places
from ..data import AnySet, MixedSet, batches
from ..data.samples import Held
from ..degrade import SETTINGS, Pair, generator
from ..errors import InputError, require
from ..losses import sharp
from ..names import Split
from ..training import Player
from .recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def open_training_images(recipe: Recipe) -> AnySet:
    """The images that a recipe trains and validates on."""
    return _opened(recipe, "train").first(recipe.images)


def open_test_images(recipe: Recipe) -> AnySet:
    """The images that a recipe's runs are scored on."""
    return _opened(recipe, "test")


def _opened(recipe: Recipe, split: Split) -> AnySet:
    if recipe.data in places.MIXTURES:
        mixed = data.open_mixture(recipe.data, split)
        if recipe.reduce is not None or recipe.degradation is None:
            lacks = "are not reduced" if recipe.reduce else "need a degradation"
            raise InputError(f"{recipe.name}: the images of a mixture {lacks}")
        return mixed
    if recipe.degradation is not None:
        return data.open_images(recipe.data, split).reduced(recipe.reduce, recipe.square)
    if recipe.square:
        raise InputError(f"{recipe.name}: recorded pairs are not cut to squares")
    return data.open_pairs(recipe.data, split).reduced(recipe.reduce)


def run_id(
    recipe: Recipe,
    images: AnySet | None = None,
    known: dict[tuple[Any, ...], str] | None = None,
) -> str:
    """The id of a recipe's run with the data that are here.

    Args:
        images: the recipe's, if they are open.
        known: fingerprints that were asked for before; new ones are added.
    """
    known = {} if known is None else known
    source = (recipe.data, recipe.degradation is None, recipe.images)
    if source not in known or images is not None:
        images = open_training_images(recipe) if images is None else images
        known[source] = images.fingerprint
    parts = {name: run_id(part, known=known) for name, part in recipe.parts.items()}
    return recipe.run_id(known[source], parts)


def check(recipe: Recipe, playing: Mapping[str, Player]) -> None:
    """Raise an :class:`InputError` if a recipe and its networks do not fit together."""
    model: Any = playing["model"].model
    if model.channels != (channels := recipe.grey or 3):
        raise InputError(f"{recipe.name}: grey={recipe.grey} needs a model of {channels} channels")
    if recipe.crop % model.multiple:
        raise InputError(f"{recipe.name}: crop must be a multiple of {model.multiple}")
    if recipe.crop < (least := getattr(model, "least", 1)):
        raise InputError(f"{recipe.name}: {recipe.model} needs a crop of {least} or more")
    if recipe.spoil and SETTINGS[recipe.spoil](generator(recipe.seed, 0)).margins != (0, 0):
        raise InputError(f"{recipe.name}: spoil must not blur, as {recipe.spoil} does")
    # one that takes the sharp image is a yardstick, scored where that is known
    takes_more = set(getattr(model, "takes", ())) - {"y", "x"}
    if recipe.restores and takes_more and not hasattr(model, "restore"):
        raise InputError(f"{recipe.name}: {recipe.model} takes more than y, and has no restore")
    if "critic" not in playing:
        require(recipe.loss != "none", f"{recipe.name}: the loss none needs a critic")
        return
    critic: Any = playing["critic"].model
    if recipe.crop < critic.least:
        raise InputError(f"{recipe.name}: the critic needs a crop of {critic.least} or more")
    if recipe.objective.target is sharp and critic.channels != channels:
        raise InputError(
            f"{recipe.name}: the critic takes {critic.channels} channels of {channels}"
        )


def batches_of(recipe: Recipe, sharp: AnySet, fabric: Fabric, margin: int) -> Callable[[int], Pair]:
    """A function from a turn to this process's share of its batch.

    All images are read now, and an error names one that is too small.
    """
    held = batches.hold(sharp, fabric.device, recipe.grey)
    crop = recipe.crop + 2 * margin
    top, left = 0, 0
    if recipe.degradation is not None and recipe.boundary == "valid":
        top, left = SETTINGS[recipe.degradation](generator(recipe.seed, 0)).margins
    for name, image in zip(sharp.names, held, strict=True):
        least = (crop, crop) if image.ndim == 4 else (crop + 2 * top, crop + 2 * left)
        if image.shape[-2] < least[0] or image.shape[-1] < least[1]:
            raise InputError(
                f"{name} has {image.shape[-2]} x {image.shape[-1]} pixels; a crop of {crop} "
                f"and what the blur takes from around it need {least[0]} x {least[1]}"
            )
    part: dict[str, Any] = {"rank": fabric.global_rank, "world": fabric.world_size}
    if isinstance(sharp, MixedSet):
        part["chances"] = sharp.chances
    return make_batches(recipe, held, margin, device=fabric.device, **part)


def make_batches(recipe: Recipe, held: Held, margin: int, **where: Any) -> Callable[[int], Pair]:
    """As :func:`batches_of`, from images as of :func:`deblurlib.data.batches.hold`.

    ``y`` has ``margin`` pixels more than ``x`` at each side: those that the model takes off.

    Args:
        where: device, rank, world and, of a mixture, the chances; see
            :func:`deblurlib.data.batches.training_batches`.
    """
    draw, spoil = (None if s is None else SETTINGS[s] for s in (recipe.degradation, recipe.spoil))
    crop = recipe.crop + 2 * margin
    how = where | {"boundary": recipe.boundary, "spoil": spoil}
    how |= {"turned": recipe.turned, "larger": recipe.larger}
    pair_of = batches.training_batches(held, draw, recipe.batch, crop, recipe.seed, **how)

    def batch_of(turn: int) -> Pair:
        pair = pair_of(turn)
        x = images.centre_crop(pair.x, recipe.crop)
        return replace(pair, y=pair.y.contiguous(), x=x.contiguous())  # not views of larger ones

    return batch_of
