"""What the players of a training minimise: losses by name, from all networks and a pair.

Taught in chapter 04.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from ..degrade import Pair
from ..losses import Adversarial, Objective, Output, first

Networks = Mapping[str, nn.Module]  # the players' networks, by the players' names
Losses = dict[str, torch.Tensor]
#: The name, in a row, of the share of images that a critic tells rightly.
ACCURACY = "critic_accuracy"


def predict(network: nn.Module, pair: Pair) -> Output:
    """What a network makes of a pair: it is called with the fields of the pair that it takes."""
    return network(*(getattr(pair, name) for name in getattr(network, "takes", ("y",))))


def supervised(objective: Objective) -> Callable[[Networks, Pair], Losses]:
    """The loss of a model that has a target and no rival: ``"loss"``."""

    def losses(networks: Networks, pair: Pair) -> Losses:
        return {"loss": objective(predict(networks["model"], pair), pair)}

    return losses


def fooling(objective: Objective, game: Adversarial) -> Callable[[Networks, Pair], Losses]:
    """The losses of a model that has a critic: ``"loss"``, and ``"adversarial"``."""

    def losses(networks: Networks, pair: Pair) -> Losses:
        output = predict(networks["model"], pair)
        fake = networks["critic"](objective.shown(output))
        return {"loss": objective(output, pair), "adversarial": game.fool(fake)}

    return losses


def telling(
    objective: Objective, game: Adversarial, accuracy: bool = False
) -> Callable[[Networks, Pair], Losses]:
    """The loss of the critic, shown targets and the model's outputs: ``"critic"``.

    Args:
        accuracy: return also how often it is right before it moves, :data:`ACCURACY`: the share of
            its logits that are above 0 for a target or below 0 for an output; a coin gets a half.
    """

    def losses(networks: Networks, pair: Pair) -> Losses:
        with torch.no_grad():
            shown = objective.shown(predict(networks["model"], pair))
        critic = networks["critic"]
        # apart, for a critic that normalises over its batch
        real, fake = critic(first(objective.target(pair))), critic(shown)
        told = {"critic": game.tell(real, fake)}
        if accuracy:
            right = (real > 0).double().mean() + (fake < 0).double().mean()
            told[ACCURACY] = right / 2
        return told

    return losses
