"""The crops that a recipe's networks are validated on, and their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn

from .. import images, machine
from ..data import AnySet, ImageSet, MixedSet, batches
from ..degrade import SETTINGS, Pair, generator
from ..degrade.snapshots import LARGEST
from ..errors import InputError
from ..losses import first, sharp
from ..training import predict
from .recipe import Recipe

Score = Callable[[nn.Module], dict[str, float]]
SCORED_AT_ONCE = 16  # validation images
WIDEST_MARGIN = 16  # pixels; a validation crop keeps as far from the border, where there is room


def validation_pairs(recipe: Recipe, held_out: AnySet, margin: int) -> Iterator[Pair]:
    """A crop of each validation image; the same for all seeds of a recipe.

    Its place is drawn from the image's key, for the middle of a photograph is no fair sample.
    """
    pairs = _validation_images(recipe, held_out)
    for name, key, pair in zip(held_out.names, held_out.keys, pairs, strict=True):
        x, y = pair.x, pair.y
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
        inner = x[..., top : top + recipe.crop, left : left + recipe.crop]
        top, left, side = top - margin, left - margin, recipe.crop + 2 * margin
        yield Pair(y[..., top : top + side, left : left + side], inner, pair.degradations)


def _validation_images(recipe: Recipe, held_out: AnySet, most: int | None = None) -> Iterator[Pair]:
    """The validation images, blurred and sharp; of sharp ones the middle of ``most`` pixels."""
    grey = recipe.grey
    if isinstance(held_out, MixedSet):
        for part in held_out.parts:
            yield from _validation_images(recipe, part, LARGEST)
        return
    if isinstance(held_out, ImageSet):
        if recipe.degradation is None:
            raise InputError(f"{recipe.name}: sharp images need a degradation")
        yield from batches.evaluation_pairs(
            *(held_out, SETTINGS[recipe.degradation], 0),
            boundary=recipe.boundary,
            grey=grey,
            most=most,
        )
        return
    for i in range(len(held_out)):
        y, x = (images.quantise(images.grey(z, grey)) if grey else z for z in held_out[i])
        yield Pair(y[None], x[None], ())


def scorer(recipe: Recipe, held_out: AnySet, device: torch.device, margin: int) -> Score:
    """A function that scores a model on a crop of each image that was set aside.

    ``val_psnr`` is that of the mean squared error over all crops, for a mean of PSNRs would be
    infinite as soon as one crop is flat. It is NaN for a model that makes no image, and so is the
    loss of the identity where the target is no image. The objective's own measures follow, each
    the mean over the images.
    """
    objective = recipe.objective
    restores = objective.target is sharp
    pairs = [*validation_pairs(recipe, held_out, margin)]
    parts = [_joined(pairs[i : i + SCORED_AT_ONCE]) for i in range(0, len(pairs), SCORED_AT_ONCE)]

    def score(model: nn.Module) -> dict[str, float]:
        model.eval()
        losses: list[torch.Tensor] = []
        errors: list[torch.Tensor] = []
        measured: dict[str, list[float]] = {name: [] for name in objective.measures}
        with torch.no_grad(), machine.tf32(False):
            for part in parts:
                pair = replace(part, y=part.y.to(device), x=part.x.to(device))
                output = predict(model, pair)
                x_hat = first(output) if restores else _restored(model, pair)
                if x_hat is not None:  # the identity gives back as much as it is given
                    x_hat = images.centre_crop(x_hat, recipe.crop)
                if restores and isinstance(output, torch.Tensor) and x_hat is not None:
                    output = x_hat
                if restores or not isinstance(model, nn.Identity):
                    losses.append(objective(output, pair) * len(pair.x))
                    for name, measure in objective.measures.items():
                        value = measure(output, objective.target(pair))
                        measured[name].append(value * len(pair.x))
                if x_hat is not None:
                    errors.append((images.quantise(x_hat) - pair.x).square().mean((1, 2, 3)))
        count = len(pairs)
        further = {name: sum(v) / count if v else math.nan for name, v in measured.items()}
        return {
            "val_loss": (sum(losses[1:], losses[0]) / count).item() if losses else math.nan,
            "val_psnr": -10 * torch.cat(errors).mean().log10().item() if errors else math.nan,
            **further,
        }

    return score


def _joined(pairs: Sequence[Pair]) -> Pair:
    known = tuple(d for pair in pairs for d in pair.degradations)
    known = known if len(known) == len(pairs) else ()  # of some, recorded ones, it is not known
    return Pair(torch.cat([pair.y for pair in pairs]), torch.cat([pair.x for pair in pairs]), known)


def _restored(model: nn.Module, pair: Pair) -> torch.Tensor | None:
    """The image that a model makes whose output is none; ``None`` if it makes no image."""
    if isinstance(model, nn.Identity):
        return pair.y
    restore = getattr(model, "restore", None)
    if restore is None:
        return None
    return restore(pair.y, None if getattr(model, "blind", True) else pair.kernels)
