"""What a training makes small: functions of a model's output and the sharp image.

Each takes ``x_hat`` and ``x`` ``(B, C, H, W)`` and returns one number, the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

#: name -> function. ``mse`` is the sources' (S1, S2, S4); ``l1`` what later networks use.
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}
