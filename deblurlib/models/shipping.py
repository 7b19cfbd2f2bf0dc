"""The trained networks that ship: ``weights/NAME/``, read once. Taught in chapter 05."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import files, machine
from ..errors import InputError
from .networks import load, save

#: The folder of the networks that ship.
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def shipped_networks() -> list[str]:
    """The names of the networks that ship."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/card.json"))


def load_shipped(name: str, device: torch.device | str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """A network and its card, which are shared by all that ask for them: change neither.

    Args:
        device: see :func:`deblurlib.machine.device`.

    Raises:
        InputError: its files are damaged, or may not be read; there is no such device.
    """
    return _load(WEIGHTS / name, machine.device(device))


@lru_cache(maxsize=8)
def _load(folder: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    with undamaged(folder):
        card = json.loads((folder / "card.json").read_text("utf-8"))
        model = load(card["model"], folder)
    # the layout in which its convolutions are faster, on a processor, too; PyTorch's types lack it
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model, card


@contextmanager
def undamaged(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while a shipped network is read into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # an InputError is a ValueError
        damaged = InputError(f"{folder}: damaged; install the library again ({error})")
        raise files.unreadable(folder, error) or damaged from None


def write_shipped(model: nn.Module, card: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write ``config.json``, ``model.safetensors`` and ``card.json``; return the card.

    To the card it adds the SHA-256 of the weights' file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _load.cache_clear()
    save(model, folder)
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    card = {**card, "weights": {"sha256": sha256}}
    files.write_whole(folder / "card.json", json.dumps(card, indent=1) + "\n")
    return card
