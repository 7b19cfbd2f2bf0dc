"""Where a training runs: the processor, a GPU, or several of them."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock, Timeout

from ..errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: name -> what Fabric calls it. The weights are float32 in all of them.
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def start_fabric(precision: str = "32", alone: bool = False) -> Fabric:
    """Start Fabric on a GPU, or on the processor if there is none; or as ``torchrun`` says.

    ``torchrun --nproc-per-node 4 -m deblurlib train ...`` starts four processes, on as many
    GPUs; its other options add machines.

    Args:
        precision: a key of :data:`PRECISIONS`.
        alone: on the processor and by itself, whatever else there is.
    """
    from lightning_fabric import Fabric  # 2 seconds to import
    from lightning_fabric.plugins.environments import LightningEnvironment

    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    if precision == "fp16" and not torch.cuda.is_available():
        raise InputError("precision fp16 needs a GPU; bf16 works on a processor too")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells what was asked for
    world = 1 if alone else int(os.environ.get("WORLD_SIZE", 1))
    here = 1 if alone else int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    gpu = torch.cuda.is_available() and not alone
    if gpu and here > torch.cuda.device_count():
        raise InputError(f"{here} processes for {torch.cuda.device_count()} GPUs: start as many")
    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=[claim_gpu()] if gpu and world == 1 else here,
        num_nodes=world // here,
        strategy="ddp" if world > 1 else "auto",
        precision=PRECISIONS[precision],
        # one process, whatever a scheduler's variables say
        plugins=[LightningEnvironment()] if world == 1 else None,
    )
    fabric.launch()
    return fabric


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
