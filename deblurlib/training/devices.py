"""Where a training runs: the processor, a GPU, or several of them."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from filelock import FileLock, Timeout

from .. import machine
from ..errors import InputError
from ..names import unknown_name

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import Precision

#: Of a training's convolutions: fp16 needs a GPU.
FabricPrecision = Literal["32", "bf16", "fp16"]
#: name -> what Fabric calls it. The weights are float32 in all of them.
PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def start_fabric(
    precision: FabricPrecision = "32", alone: bool = False, device: str | torch.device = "auto"
) -> Fabric:
    """Start Fabric on a GPU, or on the processor if there is none; or as ``torchrun`` says.

    ``torchrun --nproc-per-node 4 -m deblurlib train ...`` starts four processes, on as many
    GPUs; its other options add machines.

    Args:
        precision: a key of :data:`PRECISIONS`. In ``"bf16"`` and ``"fp16"`` convolutions compute in
            half precision; a model's input and its weights stay float32, and so does what a
            network adds to its input.
        alone: on the processor and by itself, whatever else there is.
        device: see :func:`deblurlib.machine.device`. ``"cuda:1"`` is that GPU, ``"cuda"`` the first
            that no other training of this user has.

    Raises:
        InputError: no such precision or device; more processes than GPUs.
    """
    from lightning_fabric import Fabric  # 2 seconds to import
    from lightning_fabric.plugins.environments import LightningEnvironment

    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    chosen = machine.device("cpu" if alone else device)
    if precision == "fp16" and chosen.type == "cpu":
        raise InputError("precision fp16 needs a GPU; bf16 works on a processor too")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells what was asked for
    world = 1 if alone else int(os.environ.get("WORLD_SIZE", 1))
    here = 1 if alone else int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # of one process, whatever a scheduler's variables say
    plugins: list[Any] = [LightningEnvironment()] if world == 1 else []
    if precision != "32":
        plugins.append(_mixed(precision, chosen.type))
    fabric = Fabric(
        accelerator=chosen.type,
        devices=here if chosen.type == "cpu" else _gpus(chosen, world, here),
        num_nodes=world // here,
        strategy="ddp" if world > 1 else "auto",
        precision=PRECISIONS[precision] if precision == "32" else None,  # or the plugin says it
        plugins=plugins or None,
    )
    fabric.launch()
    return fabric


def _gpus(chosen: torch.device, world: int, here: int) -> list[int] | int:
    """The GPUs of this machine's processes as Fabric wants them: which or, of several, how many."""
    count = torch.cuda.device_count()
    if chosen.index is not None:
        if here > 1:
            raise InputError(f"{here} processes for one GPU, {chosen}: --device cuda takes as many")
        return [chosen.index]
    if here > count:
        raise InputError(f"{here} processes for {count} GPUs: start as many")
    return [claim_gpu()] if world == 1 else here


def _mixed(precision: str, kind: str) -> Precision:
    """Fabric's mixed precision, but for what a model is given: that stays as it is.

    Fabric rounds it to half precision before the model sees it, so that a network which adds to its
    input would add to a rounded copy. Autocast rounds what enters a convolution all the same.
    """
    from lightning_fabric.plugins.precision import MixedPrecision

    class InFullPrecision(MixedPrecision):
        def convert_input(self, data: Any) -> Any:
            return data

    return InFullPrecision(PRECISIONS[precision], kind)


@cache  # held until the process ends
def claim_gpu() -> int:
    """The number of the first GPU that no other training of this user has; else 0."""
    for i in range(torch.cuda.device_count()):
        name = f"deblurlib-{os.getuid()}-{torch.cuda.get_device_properties(i).uuid}.lock"
        lock = FileLock(Path(tempfile.gettempdir()) / name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        return i
    return 0


_held: list[FileLock] = []
