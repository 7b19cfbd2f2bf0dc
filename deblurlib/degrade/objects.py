"""A long exposure in which something moves on its own before the camera. Taught in chapter 05."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import InputError
from ..names import Boundary
from .carrying import carry
from .exposure import MODES, check_margin, view

SOFTNESS = 12  # how fast an object ends at its outline: its share rises by a quarter of it per unit


@dataclass(frozen=True, eq=False)
class Mover:
    """A part of an image that goes its own way during the exposure."""

    outline: torch.Tensor  # (h, w), stretched over the image: the object is where it is above 0
    path: torch.Tensor  # (T, 3, 3), its homographies, as many as the camera's

    def __post_init__(self) -> None:
        shapes = self.outline.ndim, tuple(self.path.shape[1:])
        if shapes != (2, (3, 3)):
            raise InputError(
                f"an outline is (h, w) and a path (T, 3, 3), not {tuple(self.outline.shape)} "
                f"and {tuple(self.path.shape)}"
            )


def masks(
    movers: Sequence[Mover], height: int, width: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """How much of each pixel the objects cover before they move: ``(B, 1, H, W)`` in [0, 1]."""
    outlines = carry(torch.stack([m.outline for m in movers])[:, None].float(), device)
    smooth = F.interpolate(outlines, (height, width), mode="bicubic", align_corners=False)
    return torch.sigmoid(SOFTNESS * smooth)


def sweep_objects(
    x: torch.Tensor, h: torch.Tensor, movers: Sequence[Mover], boundary: Boundary, margin: int = 0
) -> torch.Tensor:
    """As :func:`deblurlib.degrade.sweep`, with an object in each image that moves on its own.

    At each moment the object covers what the camera sees behind it. What it hides is not known, so
    where it moves away, its own surroundings stand in, as the camera sees them.

    Args:
        x: ``(B, C, H, W)``.
        h: the cameras' paths ``(B, T, 3, 3)``.
        movers: one for each image, their paths of the same length.
        boundary, margin: of :func:`deblurlib.degrade.sweep`; the objects' paths count, too.
    """
    own = torch.stack([m.path for m in movers])
    if own.shape != h.shape:
        raise InputError(f"paths of {tuple(h.shape)} and of objects {tuple(own.shape)}")
    height, width = x.shape[-2:]
    inverse, own_inverse = torch.linalg.inv(h.double()), torch.linalg.inv(own.double())
    both = torch.cat([inverse, own_inverse])
    margin, mode = check_margin(both, height, width, boundary, margin), MODES[boundary]
    full = x if x.dtype == torch.float64 else x.float()
    with torch.autocast(x.device.type, enabled=False):
        covered = masks(movers, height, width, x.device).to(full)
        front = torch.cat([full, covered], 1)
        back, own_back = (carry(m.to(full.dtype), x.device) for m in (inverse, own_inverse))
        total = full.new_zeros(())
        for camera, thing in zip(back.unbind(1), own_back.unbind(1), strict=True):
            behind = view(full, camera, mode, margin)
            moved = view(front, thing, mode, margin)
            total = total + torch.lerp(behind, moved[:, :-1], moved[:, -1:])
        return (total / h.shape[1]).to(x.dtype)
