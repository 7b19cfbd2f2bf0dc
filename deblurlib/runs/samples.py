"""The images, the batches and the validation pairs of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from .. import batches, data, images
from ..data import ImageSet, PairSet
from ..degrade import SETTINGS, generator
from ..errors import InputError
from ..losses import LOSSES
from .recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Score = Callable[[nn.Module], dict[str, float]]
SCORED_AT_ONCE = 16  # validation images
WIDEST_MARGIN = 16  # pixels; a validation crop keeps as far from the border, where there is room


def open_training_images(recipe: Recipe) -> ImageSet | PairSet:
    """The images that a recipe trains and validates on."""
    return _opened(recipe, "train").first(recipe.images)


def open_test_images(recipe: Recipe) -> ImageSet | PairSet:
    """The images that a recipe's runs are scored on."""
    return _opened(recipe, "test")


def _opened(recipe: Recipe, split: str) -> ImageSet | PairSet:
    return (data.open_images if recipe.degradation else data.open_pairs)(recipe.data, split)


def check(recipe: Recipe, model: nn.Module) -> None:
    """Refuse what would fail in the first step."""
    if model.channels != (channels := recipe.grey or 3):
        raise InputError(f"{recipe.name}: grey={recipe.grey} needs a model of {channels} channels")
    if recipe.crop % model.multiple:
        raise InputError(f"{recipe.name}: crop must be a multiple of {model.multiple}")


def batches_of(
    recipe: Recipe, sharp: ImageSet | PairSet, fabric: Fabric, margin: int
) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """A function from a step to this process's share of its batch, ``(y, x)``.

    All images are read now, and an error names one that is too small.
    """
    held = batches.hold(sharp, fabric.device, recipe.grey)
    crop = recipe.crop + 2 * margin
    top, left = 0, 0
    if recipe.degradation is not None:
        top, left = SETTINGS[recipe.degradation](generator(recipe.seed, 0)).margins
    least = (crop + 2 * top, crop + 2 * left)
    for name, image in zip(sharp.names, held, strict=True):
        if image.shape[-2] < least[0] or image.shape[-1] < least[1]:
            raise InputError(
                f"{name} has {image.shape[-2]} x {image.shape[-1]} pixels; a crop of {crop} "
                f"and what the blur takes from around it need {least[0]} x {least[1]}"
            )
    part = {"rank": fabric.global_rank, "world": fabric.world_size}
    return make_batches(recipe, held, margin, device=fabric.device, **part)


def make_batches(
    recipe: Recipe, held: Sequence[torch.Tensor], margin: int, **where
) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """As :func:`batches_of`, from images as of :func:`deblurlib.batches.hold`.

    ``y`` has ``margin`` pixels more than ``x`` at each side: those that the model takes off.

    Args:
        where: device, rank and world of :func:`deblurlib.batches.training_batch`.
    """
    crop = recipe.crop + 2 * margin
    shape = {"batch": recipe.batch, "crop": crop, "seed": recipe.seed, **where}

    def batch_of(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if recipe.degradation is None:
            pair = batches.training_pairs(held, step, **shape)
        else:
            pair = batches.training_batch(held, SETTINGS[recipe.degradation], step, **shape)
        return pair.y, images.centre_crop(pair.x, recipe.crop)

    return batch_of


def validation_pairs(
    recipe: Recipe, held: ImageSet | PairSet, margin: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A crop of each validation image; the same for all seeds of a recipe.

    Its place is drawn from the image's key, for the middle of a photograph is no fair sample.
    """
    for name, (key, y, x) in zip(held.names, _validation_images(recipe, held), strict=True):
        down, across = torch.rand(2, generator=generator(0, key, "crop")).tolist()
        height, width = (side - recipe.crop for side in x.shape[-2:])
        if min(height, width) < 2 * margin:
            raise InputError(
                f"{name}, to validate on, has {x.shape[-2]} x {x.shape[-1]} pixels without what "
                f"the blur takes; a crop of {recipe.crop + 2 * margin} needs more"
            )
        # the same for networks of any smaller margin, so that their losses can be compared
        border = min(max(margin, WIDEST_MARGIN), height // 2, width // 2)
        top = border + int(down * (height - 2 * border + 1))
        left = border + int(across * (width - 2 * border + 1))
        sharp = x[..., top : top + recipe.crop, left : left + recipe.crop]
        top, left, side = top - margin, left - margin, recipe.crop + 2 * margin
        yield y[..., top : top + side, left : left + side], sharp


def _validation_images(
    recipe: Recipe, held: ImageSet | PairSet
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """The keys of the validation images, and the images, blurred and sharp."""
    if recipe.degradation is not None:
        pairs = batches.evaluation_pairs(held, SETTINGS[recipe.degradation], 0, grey=recipe.grey)
        yield from ((key, pair.y, pair.x) for key, pair in zip(held.keys, pairs, strict=True))
        return
    for i, key in enumerate(held.keys):
        grey = recipe.grey
        y, x = (images.quantise(images.grey(z, grey)) if grey else z for z in held[i])
        yield key, y[None], x[None]


def scorer(recipe: Recipe, held: ImageSet | PairSet, device: torch.device, margin: int) -> Score:
    """A function that scores a model on a crop of each image that was set aside.

    ``val_psnr`` is that of the mean squared error over all crops, for a mean of PSNRs would be
    infinite as soon as one crop is flat.
    """
    y, x = (torch.cat(z) for z in zip(*validation_pairs(recipe, held, margin), strict=True))
    parts = list(zip(y.split(SCORED_AT_ONCE), x.split(SCORED_AT_ONCE), strict=True))

    def score(model: nn.Module) -> dict[str, float]:
        model.eval()
        losses, errors = [], []
        with torch.no_grad():
            for y, x in parts:
                x_hat = images.centre_crop(model(y.to(device)), recipe.crop)
                x = x.to(device)
                losses.append(LOSSES[recipe.loss](x_hat, x) * len(x))
                errors.append((images.quantise(x_hat) - x).square().mean((1, 2, 3)))
        count = sum(len(x) for _, x in parts)
        return {
            "val_loss": (sum(losses) / count).item(),
            "val_psnr": -10 * torch.cat(errors).mean().log10().item(),
        }

    return score
