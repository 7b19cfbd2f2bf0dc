"""A network applied to images of any size, whatever size and colours it wants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import machine
from ..errors import InputError
from ..losses import first


@torch.inference_mode()
@machine.tf32(False)
def apply_model(
    model: nn.Module,
    y: torch.Tensor,
    kernel: torch.Tensor | None = None,
    sharp: torch.Tensor | None = None,
) -> torch.Tensor:
    """Restore images of any size with a model that may want certain sizes, or grey, or colour.

    Args:
        model: of :data:`deblurlib.models.MODELS`. One for grey images sees each channel alone; one
            for colour sees a grey image in three channels, whose mean is the answer. One that says
            how it restores does that instead.
        y: ``(B, C, H, W)``; padded by the model's ``margin``, and to its ``multiple``, or the
            ``least`` side that it takes, below and to the right, by mirroring the image or, where
            it is too small, by repeating its edge.
        kernel: handed to a model that says how it restores.
        sharp: the sharp images, for a model that takes ``x``; padded as ``y``.
    """
    network: Any = model  # it says its channels, its multiple and its margin
    if hasattr(model, "restore"):
        return network.restore(y, kernel)
    channels = y.shape[1]
    if channels == 1 and network.channels == 3:
        beside = None if sharp is None else sharp.expand(-1, 3, -1, -1)
        return apply_model(model, y.expand(-1, 3, -1, -1), None, beside).mean(1, keepdim=True)
    if network.channels not in (1, channels):
        raise InputError(f"the model takes {network.channels} channels, not {channels}")
    height, width = y.shape[-2:]
    least = getattr(model, "least", 1)
    down, right = (max(-side % network.multiple, least - side) for side in (height, width))
    around: int = network.margin
    sides = (around, around + right, around, around + down)
    mode = "reflect" if max(sides[2:]) < height and max(sides[:2]) < width else "replicate"

    def pad(z: torch.Tensor) -> torch.Tensor:
        z = F.pad(z, sides, mode=mode) if any(sides) else z
        return z.flatten(0, 1)[:, None] if network.channels == 1 else z

    padded = pad(y)
    x_hat = first(model(padded) if sharp is None else model(padded, pad(sharp)))
    wanted = (*padded.shape[:2], *(side - 2 * around for side in padded.shape[2:]))
    if x_hat.shape != wanted:
        raise InputError("the network's output is no image of the size of the one it is given")
    return x_hat.reshape(-1, channels, *x_hat.shape[-2:])[..., :height, :width]
