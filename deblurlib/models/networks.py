"""The networks by name: built, written and read. See :mod:`deblurlib.models`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..errors import InputError
from ..names import unknown_name
from .autoencoder import Autoencoder
from .denoiser import Denoiser
from .discriminators import FlatDiscriminator, PatchDiscriminator
from .edge import DeblurNet, EdgeNet
from .kernelnet import KernelNet
from .nafnet import NAFNet
from .srcnn import SRCNN
from .srn import SRN
from .unet import UNet
from .unrolled import UnrolledRichardsonLucy

#: name -> class
MODELS: dict[str, type[nn.Module]] = {
    "autoencoder": Autoencoder,
    "deblurnet": DeblurNet,
    "denoiser": Denoiser,
    "edgenet": EdgeNet,
    "kernelnet": KernelNet,
    "nafnet": NAFNet,
    "srcnn": SRCNN,
    "srn": SRN,
    "unet": UNet,
    "unrolled-rl": UnrolledRichardsonLucy,
}
#: name -> class
DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "flat": FlatDiscriminator,
    "patch": PatchDiscriminator,
}


def build(name: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """A model of :data:`MODELS` with its arguments, its first weights drawn from ``seed``."""
    return _build(MODELS, name, arguments, seed)


def build_discriminator(name: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """As :func:`build`, of :data:`DISCRIMINATORS`."""
    return _build(DISCRIMINATORS, name, arguments, seed)


def _build(
    table: Mapping[str, type[nn.Module]], name: str, arguments: Mapping[str, Any], seed: int
) -> nn.Module:
    if name not in table:
        raise unknown_name("model", name, table)
    names = list(inspect.signature(table[name]).parameters)
    if unknown := sorted(set(arguments) - set(names)):
        raise InputError(f"model {name} has no argument {unknown[0]!r}; it has {', '.join(names)}")
    with torch.random.fork_rng(devices=[]):  # what others draw afterwards stays as it was
        torch.default_generator.manual_seed(seed)  # torch.manual_seed reseeds every GPU, too
        return table[name](**arguments)


def save(model: nn.Module, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``, as ``from_pretrained`` of its class reads.

    They go straight into ``folder``: a caller who needs all or nothing renames it afterwards.
    """
    cast(PyTorchModelHubMixin, model).save_pretrained(folder)
    if not (folder / "config.json").exists():  # of a class without arguments
        (folder / "config.json").write_text("{}\n", "utf-8")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()  # safetensors writes for its owner alone
    weights.write_bytes(content)
    (folder / "README.md").unlink(missing_ok=True)  # a form for a model card, not filled in


def load(name: str, folder: Path) -> nn.Module:
    """The model ``name`` with the weights that :func:`save` wrote, on the CPU, in evaluation mode.

    Raises:
        InputError: the files are damaged, or of another model.
        OSError: the files are missing, or may not be read.
    """
    # not from_pretrained: it prints, and turns a damaged file into an error of its own
    weights = folder / "model.safetensors"
    try:
        model = MODELS[name](**json.loads((folder / "config.json").read_text("utf-8")))
        with weights.open("rb"):  # of one that may not be read, safetensors says it is missing
            model.load_state_dict(load_file(weights))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__  # one line of many
        raise InputError(
            f"{folder}: a network of another version of the library, or damaged ({why})"
        ) from None
    return model.eval()


def parameter_count(model: nn.Module) -> int:
    """How many numbers a training adjusts."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def multiplications(model: nn.Module, height: int, width: int) -> int:
    """How many multiplications and additions, in pairs, one image of a size costs a model.

    Counted are those of convolutions and of matrices, by PyTorch's own counter.

    Args:
        height, width: multiples of the model's.
    """
    weights = next(model.parameters())
    y = weights.new_zeros(1, cast(int, model.channels), height, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(y)
    return counter.get_total_flops() // 2
