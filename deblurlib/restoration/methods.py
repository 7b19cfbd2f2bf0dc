"""Methods by name: functions from a blurred image, and maybe its kernel, to a restored one.

Taught in chapter 01 (what a method may know) and 07.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from .. import degrade, models, psf, runs
from ..errors import InputError
from .deconvolution import DECONVOLUTIONS, DENOISER
from .method import WEIGHTS, Method, undamaged


def unsharp_mask(y: torch.Tensor, sigma: float = 2.0, amount: float = 1.0) -> torch.Tensor:
    """Add to each pixel what blurring would take from it: ``y + amount * (y - k * y)``.

    Args:
        y: ``(B, C, H, W)``.
        sigma: standard deviation in pixels of the Gaussian ``k``; the edge is mirrored.
        amount: 0 changes nothing.
    """
    return y + amount * (y - degrade.convolve(y, psf.gaussian(sigma), "reflect"))


#: name -> method. The networks that ship and the runs are methods, too: see :func:`find_method`.
METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            "identity",
            lambda y, kernel: y,
            "do nothing: what every method is compared with",
            reach=0,
        ),
        Method(
            "unsharp-mask",
            lambda y, kernel: unsharp_mask(y),
            "raise local contrast; no model",
            reach=psf.gaussian(2.0).shape[-1] // 2,
        ),
        *DECONVOLUTIONS,
    )
}


def shipped() -> list[str]:
    """The names of the trained networks that come with the library, but for the denoiser."""
    return sorted(p.parent.name for p in WEIGHTS.glob("*/card.json") if p.parent.name != DENOISER)


def find_method(name: str, device: torch.device | str = "cpu", store: Path | None = None) -> Method:
    """A method by its name: of :data:`METHODS`, of :func:`shipped`, a run's id or its recipe.

    Args:
        name: an id may be cut short.
        device: where the model of a run is put.
        store: of the runs; see :func:`deblurlib.runs.root`.
    """
    if name in METHODS:
        return METHODS[name]
    if name in shipped():
        return _shipped(name, device)
    try:
        run = runs.find(runs.root() if store is None else store, name)
    except InputError as error:
        if not str(error).startswith("no run"):
            raise
        raise InputError(
            f"no method {name!r}: it is none of {', '.join([*METHODS, *shipped()])}; {error}"
        ) from None
    return of_model(run.recipe.name, run.model().to(device), f"run {run.id}", run=run)


def _shipped(name: str, device: torch.device | str) -> Method:
    folder = WEIGHTS / name
    with undamaged(folder):
        card = json.loads((folder / "card.json").read_text("utf-8"))
        # the layout in which its convolutions are faster, on a processor, too
        model = models.load(card["model"], folder).to(device, memory_format=torch.channels_last)
        more = {"contaminated": tuple(card["contaminated"]), "tiled_psnr": card["tiled_psnr"]}
        return of_model(name, model, card["describes"], **more)


def of_model(name: str, model: nn.Module, describes: str, **more) -> Method:
    """The method that applies a model of :data:`deblurlib.models.MODELS`."""
    first = next(model.parameters(), None)
    return Method(
        name,
        lambda y, kernel: apply_model(model, y.float()).to(y.dtype),
        describes,
        reach=model.receptive_field // 2,
        device=None if first is None else first.device,
        multiple=model.multiple,
        **more,
    )


def apply_model(model: nn.Module, y: torch.Tensor) -> torch.Tensor:
    """Restore images of any size with a model that may want certain sizes, or grey, or colour.

    Args:
        model: of :data:`deblurlib.models.MODELS`. One for grey images sees each channel alone; one
            for colour sees a grey image in three channels, whose mean is the answer.
        y: ``(B, C, H, W)``; padded by the model's ``margin``, and to its ``multiple`` below and to
            the right, by mirroring the image or, where it is too small, by repeating its edge.
    """
    channels = y.shape[1]
    if channels == 1 and model.channels == 3:
        return apply_model(model, y.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
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
