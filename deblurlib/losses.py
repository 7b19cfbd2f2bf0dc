"""What a training makes small: functions of a model's output and the sharp image.

Each takes ``x_hat`` and ``x`` ``(B, C, H, W)`` and returns one number, the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F


def euclidean(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Half the sum of squared differences over an image: Caffe's, and so SRCNN's own, loss."""
    return F.mse_loss(x_hat, x, reduction="sum") / (2 * len(x))


#: name -> function. ``mse`` is the sources' (S1, S2, S4); ``l1`` what later networks use.
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "euclidean": euclidean,
}
