"""The crops that a recipe's networks are validated on, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from .. import images
from ..data import ImageSet, PairSet, batches
from ..degrade import SETTINGS, generator
from ..errors import InputError
from ..losses import LOSSES
from .recipe import Recipe

Score = Callable[[nn.Module], dict[str, float]]
SCORED_AT_ONCE = 16  # validation images
WIDEST_MARGIN = 16  # pixels; a validation crop keeps as far from the border, where there is room


def validation_pairs(
    recipe: Recipe, held_out: ImageSet | PairSet, margin: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A crop of each validation image; the same for all seeds of a recipe.

    Its place is drawn from the image's key, for the middle of a photograph is no fair sample.
    """
    for name, (key, y, x) in zip(held_out.names, _validation_images(recipe, held_out), strict=True):
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
    recipe: Recipe, held_out: ImageSet | PairSet
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """The keys of the validation images, and the images, blurred and sharp."""
    if recipe.degradation is not None:
        pairs = batches.evaluation_pairs(
            held_out, SETTINGS[recipe.degradation], 0, grey=recipe.grey
        )
        yield from ((key, pair.y, pair.x) for key, pair in zip(held_out.keys, pairs, strict=True))
        return
    for i, key in enumerate(held_out.keys):
        grey = recipe.grey
        y, x = (images.quantise(images.grey(z, grey)) if grey else z for z in held_out[i])
        yield key, y[None], x[None]


def scorer(
    recipe: Recipe, held_out: ImageSet | PairSet, device: torch.device, margin: int
) -> Score:
    """A function that scores a model on a crop of each image that was set aside.

    ``val_psnr`` is that of the mean squared error over all crops, for a mean of PSNRs would be
    infinite as soon as one crop is flat.
    """
    y, x = (torch.cat(z) for z in zip(*validation_pairs(recipe, held_out, margin), strict=True))
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
