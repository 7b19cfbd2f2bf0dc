"""The images, the batches and the validation pairs of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from .. import batches, data, images, metrics
from ..data import ImageSet, PairSet
from ..degrade import SETTINGS, generator
from ..errors import InputError
from ..losses import LOSSES
from .recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Score = Callable[[nn.Module], dict[str, float]]
SCORED_AT_ONCE = 16  # validation images


def open_training_images(recipe: Recipe) -> ImageSet | PairSet:
    """The images that a recipe trains and validates on."""
    opened = data.open_images if recipe.degradation else data.open_pairs
    return opened(recipe.data, "train").first(recipe.images)


def check(recipe: Recipe, model: nn.Module) -> None:
    """Refuse what would fail in the first step."""
    if model.channels != (channels := 1 if recipe.grey else 3):
        raise InputError(f"{recipe.name}: grey={recipe.grey} needs a model of {channels} channels")
    if recipe.crop % model.multiple:
        raise InputError(f"{recipe.name}: crop must be a multiple of {model.multiple}")


def batches_of(
    recipe: Recipe, images: ImageSet | PairSet, fabric: Fabric
) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """A function from a step to this process's share of its batch."""
    held = batches.hold(images, fabric.device, recipe.grey)
    top, left = 0, 0
    if recipe.degradation is not None:
        top, left = SETTINGS[recipe.degradation](generator(recipe.seed, 0)).margins
    least = (recipe.crop + 2 * top, recipe.crop + 2 * left)
    for name, image in zip(images.names, held, strict=True):
        if image.shape[-2] < least[0] or image.shape[-1] < least[1]:
            raise InputError(
                f"{name} has {image.shape[-2]} x {image.shape[-1]} pixels; a crop of {recipe.crop} "
                f"and what the blur takes from around it need {least[0]} x {least[1]}"
            )
    shape = {"batch": recipe.batch, "crop": recipe.crop, "seed": recipe.seed}
    shape |= {"device": fabric.device, "rank": fabric.global_rank, "world": fabric.world_size}

    def batch_of(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if recipe.degradation is None:
            pair = batches.training_pairs(held, step, **shape)
        else:
            pair = batches.training_batch(held, SETTINGS[recipe.degradation], step, **shape)
        return pair.y, pair.x

    return batch_of


def validation_pairs(
    recipe: Recipe, held: ImageSet | PairSet
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The middle of each validation image; the same for all seeds of a recipe."""
    if recipe.degradation is not None:
        draw = SETTINGS[recipe.degradation]
        for pair in batches.evaluation_pairs(held, draw, 0, recipe.crop, grey=recipe.grey):
            yield pair.y, pair.x
    else:
        for i in range(len(held)):
            y, x = (images.quantise(images.grey(z)) if recipe.grey else z for z in held[i])
            yield tuple(images.centre_crop(z[None], recipe.crop) for z in (y, x))


def scorer(recipe: Recipe, held: ImageSet | PairSet, device: torch.device) -> Score:
    """A function that scores a model on the middle of each image that was set aside."""
    y, x = (torch.cat(z) for z in zip(*validation_pairs(recipe, held), strict=True))
    parts = list(zip(y.split(SCORED_AT_ONCE), x.split(SCORED_AT_ONCE), strict=True))

    def score(model: nn.Module) -> dict[str, float]:
        model.eval()
        losses, psnrs = [], []
        with torch.no_grad():
            for y, x in parts:
                x_hat = model(y.to(device))
                x = x.to(device)
                losses.append(LOSSES[recipe.loss](x_hat, x) * len(x))
                psnrs.append(metrics.psnr(x_hat, x, quantise=True))
        count = sum(len(x) for _, x in parts)
        return {
            "val_loss": (sum(losses) / count).item(),
            "val_psnr": torch.cat(psnrs).mean().item(),
        }

    return score
