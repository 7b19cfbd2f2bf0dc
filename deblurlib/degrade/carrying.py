"""Small tensors, brought to a GPU without waiting for it."""

from __future__ import annotations

import torch


def carry(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """A tensor on another device; the processor does not wait until a GPU has it.

    Only from pinned memory can a GPU fetch it by itself, when what it was told before is done.
    """
    device = torch.device(device)
    if tensor.device.type == "cpu" and device.type == "cuda" and not tensor.requires_grad:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
