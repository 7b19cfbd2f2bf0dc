"""Methods by name: functions from a blurred image, and maybe its kernel, to a restored one.

Taught in chapter 01 (what a method may know) and 07.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from . import degrade, psf, runs
from .errors import InputError


@dataclass(frozen=True)
class Method:
    """A way to restore: ``method(y, kernel)`` with ``y`` ``(B, C, H, W)`` gives ``x_hat``."""

    name: str
    function: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
    describes: str  # one line for a reader
    blind: bool = True  # needs no kernel
    run: runs.Run | None = None  # that it comes from

    def __call__(self, y: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
        """Restore ``y``; an error where the method needs a kernel and gets none."""
        if kernel is None and not self.blind:
            raise InputError(f"the method {self.name} needs the kernel, and none is known")
        return self.function(y, kernel)


def unsharp_mask(y: torch.Tensor, sigma: float = 2.0, amount: float = 1.0) -> torch.Tensor:
    """Add to each pixel what blurring would take from it: ``y + amount * (y - k * y)``.

    Args:
        y: ``(B, C, H, W)``.
        sigma: standard deviation in pixels of the Gaussian ``k``; the edge is mirrored.
        amount: 0 changes nothing.
    """
    return y + amount * (y - degrade.convolve(y, psf.gaussian(sigma), "reflect"))


#: name -> method. A run is a method, too: see :func:`find_method`.
METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("identity", lambda y, kernel: y, "do nothing: what every method is compared with"),
        Method("unsharp-mask", lambda y, kernel: unsharp_mask(y), "raise local contrast; no model"),
    )
}


def find_method(name: str, device: torch.device | str = "cpu", store: Path | None = None) -> Method:
    """A method by its name: one of :data:`METHODS`, a run's id (or its beginning) or recipe.

    Args:
        device: where the model of a run is put.
        store: of the runs; see :func:`deblurlib.runs.root`.
    """
    if name in METHODS:
        return METHODS[name]
    try:
        run = runs.find(runs.root() if store is None else store, name)
    except InputError as error:
        if not str(error).startswith("no run"):
            raise
        raise InputError(
            f"no method {name!r}: it is none of {', '.join(METHODS)}; {error}"
        ) from None
    model = run.model().to(device)
    return Method(
        run.recipe.name,
        lambda y, kernel: apply_model(model, y),
        f"run {run.id}",
        run=run,
    )


def apply_model(model: nn.Module, y: torch.Tensor) -> torch.Tensor:
    """Restore images of any size with a model that may want certain sizes, or grey.

    Args:
        model: of :data:`deblurlib.models.MODELS`. One for grey images sees each channel alone.
        y: ``(B, C, H, W)``; padded by the model's ``margin``, and to its ``multiple`` below and to
            the right, by mirroring the image or, where it is too small, by repeating its edge.
    """
    channels = y.shape[1]
    if model.channels not in (1, channels):
        raise InputError(f"the model takes {model.channels} channels, not {channels}")
    height, width = y.shape[-2:]
    down, right = -height % model.multiple, -width % model.multiple
    around = model.margin
    sides = (around, around + right, around, around + down)
    mode = "reflect" if max(sides[2:]) < height and max(sides[:2]) < width else "replicate"
    padded = F.pad(y, sides, mode=mode) if any(sides) else y
    if model.channels == 1:
        padded = padded.flatten(0, 1)[:, None]
    with torch.inference_mode():
        x_hat = model(padded)
    return x_hat.reshape(-1, channels, *x_hat.shape[-2:])[..., :height, :width]
