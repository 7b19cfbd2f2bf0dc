"""Methods by name: also the networks that ship, and those of runs. Taught in chapter 07."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from .. import machine, models, runs
from ..errors import InputError, NoSuchRun
from ..names import MethodName, no_such_method
from . import deconvolution
from .applying import apply_model
from .methods import METHODS, Method
from .patches import OVERLAP, PATCH, guess_and_restore

KERNELNET = "kernelnet-rl"  # the network that guesses a kernel, and Richardson-Lucy
STITCHED = f"{KERNELNET}-stitched"  # the same patch by patch


def shipped() -> list[str]:
    """The names of the methods that are trained networks which come with the library.

    The denoiser is none; that which guesses a kernel is two.
    """
    names = [name for name in models.shipped_networks() if name != deconvolution.DENOISER]
    return sorted([*names, STITCHED]) if KERNELNET in names else names


def find_method(
    name: MethodName | str, device: torch.device | str = "cpu", store: Path | None = None
) -> Method:
    """A method by its name: of :data:`METHODS`, of :func:`shipped`, a run's id or its recipe.

    Args:
        name: an id may be cut short.
        device: where the model is put, see :func:`deblurlib.machine.device`; a network that ships
            is shared by all who ask for it.
        store: of the runs; see :func:`deblurlib.runs.root`.
    """
    if name in METHODS:
        return METHODS[name]
    if name in shipped():
        folder = KERNELNET if name == STITCHED else name
        model, card = models.load_shipped(folder, device)
        with models.shipping.undamaged(models.shipping.WEIGHTS / folder):
            options: dict[str, Any] = {
                key: card[key] for key in ("describes", "contaminated", "tiled_psnr")
            }
        options["contaminated"] = tuple(options["contaminated"])
        if name == STITCHED:
            return stitched(cast(models.KernelNet, model), contaminated=options["contaminated"])
        return of_model(name, model, ready=_quickest, **options)
    try:
        run = runs.find(runs.root() if store is None else store, name)
    except NoSuchRun as error:
        raise no_such_method(name, [*METHODS, *shipped()], str(error)) from None
    return of_run(run, device)


def of_run(run: runs.Run, device: torch.device | str = "cpu") -> Method:
    """The method that applies a run's model; errors as of :meth:`deblurlib.runs.Run.model`.

    Raises:
        InputError: its network makes no image, also.
    """
    if not run.recipe.restores:
        raise InputError(f"the network of the run {run.id} ({run.recipe.name}) makes no image")
    return of_model(
        run.recipe.name, run.model().to(machine.device(device)), f"run {run.id}", run=run
    )


def stitched(
    model: models.KernelNet,
    name: str = STITCHED,
    patch: int = PATCH,
    overlap: int = OVERLAP,
    **options: Any,
) -> Method:
    """The method that guesses a kernel for each patch, for a blur that varies.

    See :func:`deblurlib.restoration.guess_and_restore`, also for which such blur it can undo.

    Args:
        patch, overlap: of that function.
        options: further fields of the :class:`Method`.
    """

    @torch.inference_mode()
    def restore(y: torch.Tensor, kernel: torch.Tensor | None) -> torch.Tensor:
        found = guess_and_restore(y.float(), model.kernel, model.deconvolve, patch, overlap)
        return found.to(y.dtype)

    describes = f"{KERNELNET} patch by patch, for a blur that varies"
    device = next(model.parameters()).device
    return Method(name, restore, describes, device=device, float32=True, **options)


def _quickest(model: nn.Module, y: torch.Tensor) -> nn.Module:
    """The model, or what restores the same in less time, for images of this size."""
    large = y.shape[-2] * y.shape[-1] >= models.winograd.LARGE
    exact = not torch.is_autocast_enabled(y.device.type)
    return models.lighten(model) if large and exact else model


def of_model(
    name: str,
    model: nn.Module,
    describes: str,
    ready: Callable[[nn.Module, torch.Tensor], nn.Module] = lambda model, y: model,
    **options: Any,
) -> Method:
    """The method that applies a model of :data:`deblurlib.models.MODELS`, or its ``restore``.

    Args:
        name: of the method.
        model: it may be on any device.
        describes: one line for a reader.
        ready: of the model and ``y``: the model that is applied in its place. It is asked each
            time, and not before, for many a method is asked for and restores nothing.
        options: further fields of the :class:`Method`.
    """
    first = next(model.parameters(), None)
    network: Any = model  # what it says of itself
    if hasattr(model, "deconvolve"):  # it finds one kernel for the whole image
        # guessing takes float32, and deconvolution has no convolutions that autocast rounds
        options |= {"find_kernel": lambda y: network.kernel(y.float()), "float32": True}

    def restore(
        y: torch.Tensor, kernel: torch.Tensor | None, sharp: torch.Tensor | None = None
    ) -> torch.Tensor:
        if hasattr(model, "deconvolve"):
            return network.deconvolve(y.float(), kernel).to(y.dtype)
        return apply_model(ready(model, y), y.float(), kernel, sharp).to(y.dtype)

    return Method(
        name,
        restore,
        describes,
        # what a model does of its own may look at the whole image, for its noise or its kernel
        receptive_field=None if hasattr(model, "restore") else network.receptive_field,
        blind=getattr(model, "blind", True),
        oracle="x" in getattr(model, "takes", ()) and not hasattr(model, "restore"),
        device=None if first is None else first.device,
        multiple=network.multiple,
        **options,
    )
