"""What the players of a training minimise: losses by name, from all networks and a pair.

Taught in chapter 04.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from ..degrade import Pair
from ..losses import Adversarial, Objective

Networks = Mapping[str, nn.Module]  # the players' networks, by the players' names
Losses = dict[str, torch.Tensor]


def predict(network: nn.Module, pair: Pair) -> torch.Tensor | Sequence[torch.Tensor]:
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
        fake = networks["critic"](_first(output))
        return {"loss": objective(output, pair), "adversarial": game.fool(fake)}

    return losses


def telling(objective: Objective, game: Adversarial) -> Callable[[Networks, Pair], Losses]:
    """The loss of the critic, shown targets and the model's outputs: ``"critic"``."""

    def losses(networks: Networks, pair: Pair) -> Losses:
        with torch.no_grad():
            output = _first(predict(networks["model"], pair))
        critic = networks["critic"]
        # apart, for a critic that normalises over its batch
        return {"critic": game.tell(critic(objective.target(pair)), critic(output))}

    return losses


def _first(output: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """Of the outputs at several scales, the finest."""
    return output if isinstance(output, torch.Tensor) else output[0]
