"""What trainings minimise: functions of a model's output and of the pair that it was made from.

An :class:`Objective` compares the output with its *target*: the sharp image, in most cases. An
:class:`Adversarial` loss plays a network against a critic, which tells restorations from images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .degrade import Pair

Output = torch.Tensor | Sequence[torch.Tensor]  # of a model: one tensor, or several


def sharp(pair: Pair) -> torch.Tensor:
    """The target of a network that restores."""
    return pair.x


def first(output: Output) -> torch.Tensor:
    """Of several outputs the first: of those at several scales, the finest."""
    return output if isinstance(output, torch.Tensor) else output[0]


@dataclass(frozen=True)
class Objective:
    """A loss of a model's output: ``objective(output, pair)``, the mean over the batch."""

    loss: Callable[..., torch.Tensor]  # (output, target) -> one number
    target: Callable[[Pair], Output] = sharp  # what the output should be
    shown: Callable[[Output], torch.Tensor] = first  # what a critic is shown of the output
    least: int = 1  # pixels of a side that it takes

    def __call__(self, output: Output, pair: Pair) -> torch.Tensor:
        return self.loss(output, self.target(pair))


@dataclass(frozen=True)
class Adversarial:
    """A loss for each of two players, from what a critic says: logits, high for what is real."""

    #: the critic's: (its logits of targets, of outputs) -> one number
    tell: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    #: the other network's: (the critic's logits of its outputs) -> one number
    fool: Callable[[torch.Tensor], torch.Tensor]


def euclidean(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Half the sum of squared differences over an image: Caffe's, and so SRCNN's own, loss."""
    return F.mse_loss(x_hat, x, reduction="sum") / (2 * len(x))


def mse_over_scales(x_hat: Output, x: torch.Tensor) -> torch.Tensor:
    """The sum of each scale's mean squared error, ``x`` halved by averaging 2 x 2 pixels.

    SRN's loss, with all its weights 1. It takes a list of ``x_hat``, one a scale, the finest first;
    a single ``x_hat`` is the finest scale alone.
    """
    x_hats = [x_hat] if isinstance(x_hat, torch.Tensor) else x_hat
    total = 0.0
    for at_scale in x_hats:
        total = total + F.mse_loss(at_scale, x)
        x = F.avg_pool2d(x, 2)
    return total


def _tell_by_logistic(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _fool_by_logistic(fake: torch.Tensor) -> torch.Tensor:
    return F.softplus(-fake).mean()


def _tell_by_hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _fool_by_hinge(fake: torch.Tensor) -> torch.Tensor:
    return -fake.mean()


def _tell_by_squares(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _fool_by_squares(fake: torch.Tensor) -> torch.Tensor:
    return (fake - 1).square().mean() / 2


#: name -> objective. ``mse`` is the sources' (S1, S2, S4); ``l1`` what later networks use.
OBJECTIVES: dict[str, Objective] = {
    "mse": Objective(F.mse_loss),
    "l1": Objective(F.l1_loss),
    "euclidean": Objective(euclidean),
    "mse-over-scales": Objective(mse_over_scales),
}

#: name -> adversarial loss. ``non-saturating``: Goodfellow et al., "Generative adversarial nets",
#: 2014, section 3: binary cross-entropy, and the generator maximises log D(G(z)). ``hinge``: Miyato
#: et al., "Spectral normalization for generative adversarial networks", 2018, equations 16 and 17.
#: ``least-squares``: Mao et al., "Least squares generative adversarial networks", 2017, equation 9.
ADVERSARIAL: dict[str, Adversarial] = {
    "non-saturating": Adversarial(_tell_by_logistic, _fool_by_logistic),
    "hinge": Adversarial(_tell_by_hinge, _fool_by_hinge),
    "least-squares": Adversarial(_tell_by_squares, _fool_by_squares),
}
