"""The losses that trainings minimise: functions of a model's output and the sharp image.

Each takes ``x_hat`` and ``x`` ``(B, C, H, W)`` and returns one number, the mean over the batch.
A loss over scales also takes a list of ``x_hat``, one a scale, the finest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F


def euclidean(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Half the sum of squared differences over an image: Caffe's, and so SRCNN's own, loss."""
    return F.mse_loss(x_hat, x, reduction="sum") / (2 * len(x))


def mse_over_scales(x_hat: torch.Tensor | Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The sum of each scale's mean squared error, ``x`` halved by averaging 2 x 2 pixels.

    SRN's loss, with all its weights 1. A single ``x_hat`` is the finest scale alone.
    """
    x_hats = [x_hat] if isinstance(x_hat, torch.Tensor) else x_hat
    total = 0.0
    for at_scale in x_hats:
        total = total + F.mse_loss(at_scale, x)
        x = F.avg_pool2d(x, 2)
    return total


#: name -> function. ``mse`` is the sources' (S1, S2, S4); ``l1`` what later networks use.
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "euclidean": euclidean,
    "mse-over-scales": mse_over_scales,
}
