"""The players that a recipe trains: its networks at their start, and what each one minimises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from .. import models
from ..errors import InputError
from ..losses import ADVERSARIAL
from ..training import ACCURACY, Player, fooling, supervised, telling
from .recipe import Recipe

__all__ = ["build", "players_of"]

Weights = Mapping[str, torch.Tensor]  # what state_dict() of a model returns


def build(recipe: Recipe, trained: Mapping[str, Weights] | None = None) -> nn.Module:
    """A recipe's model before its training.

    Args:
        trained: the weights of its parts, by their names; by default those of untrained ones, as
            a proof wants them.
    """
    model = models.build(recipe.model, recipe.arguments, recipe.seed)
    _check(model, recipe.model, ("channels", "multiple", "margin", "receptive_field"))
    if not hasattr(model, "save_pretrained"):
        raise InputError(f"the model {recipe.model} must be a PyTorchModelHubMixin, to be saved")
    for name, part in recipe.parts.items():
        module = getattr(model, name, None)
        if type(module) is not models.MODELS[part.model]:
            raise InputError(f"{recipe.name}: {recipe.model} has no {part.model} named {name!r}")
        weights = build(part).state_dict() if trained is None else trained[name]
        module.load_state_dict(weights)
        module.requires_grad_(False)
    return model


def _check(network: nn.Module, name: str, says: Sequence[str]) -> None:
    for attribute in says:
        if not hasattr(network, attribute):
            raise InputError(f"the network {name} does not say its {attribute}")


def players_of(recipe: Recipe, model: nn.Module) -> dict[str, Player]:
    """The recipe's model and, if it has a rival, the critic."""
    objective, rival = recipe.objective, recipe.rival
    own = ("optimiser", "schedule", "clip", "ema", "reset", "norms")
    how = {k: getattr(recipe, k) for k in own}
    if rival is None:
        return {"model": Player(model, supervised(objective), **how)}
    game = ADVERSARIAL[rival.loss]
    how |= {"losses": ("loss", "adversarial"), "weights": {"adversarial": rival.weight}}
    critic = models.build_discriminator(rival.model, rival.model_args, recipe.seed)
    _check(critic, rival.model, ("channels", "least"))
    return {
        "model": Player(model, fooling(objective, game), **how),
        "critic": Player(
            critic,
            telling(objective, game, rival.accuracy),
            optimiser=rival.optimiser,
            schedule=rival.schedule,
            losses=("critic",),
            measures=(ACCURACY,) if rival.accuracy else (),
            norms=recipe.norms,
        ),
    }
