"""What a number was computed with: the device, and the versions of what decided it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from . import fingerprint
from .errors import InputError, require

__all__ = [
    "arithmetic",
    "computes_bf16",
    "device",
    "device_name",
    "is_alike",
    "is_out_of_memory",
    "memory_for",
    "tf32",
    "versions",
]

#: The environment variable that says which device "auto" means.
CHOICE = "DEBLURLIB_DEVICE"
DECIDING = (
    *("deblurlib", "torch", "lightning-fabric", "numpy", "scipy", "pillow"),
    *("opencv-python-headless", "opencv-python"),
)
#: Variables by which a library's choice of instructions is limited; ATen's shows in its capability.
LIMITS = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
)
Said = TypeVar("Said")
#: What PyTorch's allocators, and NVIDIA's libraries, say in a RuntimeError where memory lacks.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def device_name(device: torch.device | str) -> str:
    """A device as a reader knows it: the GPU's name, or the processor's and its threads."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"cpu: {_processor()}, {instructions}, {torch.get_num_threads()} threads"


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory, of the processor or of a GPU, was not enough."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # PyTorch has no type for its other allocators: this is the one place that knows their words
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


@contextmanager
def memory_for(what: str, cure: str) -> Iterator[None]:
    """Turn a lack of memory into an :class:`InputError`: ``"what: not enough memory; cure"``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"{what}: not enough memory; {cure}") from None


def device(choice: str | torch.device | None = "auto") -> torch.device:
    """The device that a choice means: the one place where a device is chosen.

    Args:
        choice: ``"cpu"``; ``"cuda"``, a GPU; ``"cuda:1"``, the second one; ``"auto"`` or ``None``:
            what the environment variable ``DEBLURLIB_DEVICE`` says and, where it says nothing, a
            GPU if there is one, else the processor. A ``torch.device`` of another kind is returned
            as it is.

    Returns:
        without an index for ``"cuda"``: PyTorch's current GPU or, for a training, the first that
        is free.

    Raises:
        InputError: another choice, or a GPU that is not here.

    >>> device("cpu")
    device(type='cpu')
    """
    if isinstance(choice, torch.device) and choice.type != "cuda":
        return choice
    asked, told = str("auto" if choice is None else choice), ""
    if asked == "auto":
        asked, told = os.environ.get(CHOICE) or "auto", f"{CHOICE}="
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = asked.partition(":")
    known = kind in ("cpu", "cuda") and (not colon or (kind == "cuda" and number.isdecimal()))
    require(known, f"device {told}{asked} is none of auto, cpu, cuda, cuda:0, cuda:1 ...")
    if kind == "cuda":
        require(
            torch.cuda.is_available(), f"device {told}{asked}: no GPU is to be seen here; cpu works"
        )
        count = torch.cuda.device_count()
        if colon and int(number) >= count:
            gpus = "is 1 GPU, cuda:0" if count == 1 else f"are {count} GPUs, counted from cuda:0"
            raise InputError(f"device {told}{asked}: there {gpus}")
    return torch.device(kind, int(number)) if colon else torch.device(kind)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let a GPU round what float32 convolutions and matrix products multiply to TF32, or not.

    TF32 keeps 10 bits of a number. PyTorch lets convolutions use it. Scores, blur, deconvolution
    and restoration must not; a training says so in its recipe. What was set before, by PyTorch's
    old flags or its new ones, is set again afterwards. It holds for all threads.
    """
    before = _float32_rules()
    on_gpus = ["tf32" if allowed else "ieee"] * 3
    level = "high" if allowed else "highest"
    _set_float32_rules(_Float32(allowed, level, (*on_gpus, "ieee")))
    try:
        yield
    finally:
        _set_float32_rules(before)


def computes_bf16(device: torch.device | str) -> bool:
    """Whether a device has arithmetic for bfloat16; without it, it takes far longer."""
    if torch.device(device).type != "cpu":
        return True
    known = _cpuinfo()
    words = f"{known.get('flags', '')} {known.get('Features', '')}".split()  # x86, Arm
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(words))


def versions() -> dict[str, str]:
    """The versions that decide the numbers; a package that is not there is left out."""
    numbers = {"python": platform.python_version()}
    for name in DECIDING:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            continue
    return numbers


def arithmetic() -> dict[str, str]:
    """What decides the last bits of what a processor computes, whatever the number of threads.

    Where all of this is equal, equal code gives equal bits; a processor's name alone says too
    little. Libraries choose their loops by the instructions and the caches there are, or that an
    environment variable of theirs allows.
    """
    about = _cpuinfo()
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    sizes = [path.read_text("utf-8").strip() for path in caches]
    model = ", ".join(f"{key} {about[key]}" for key in ("cpu family", "model") if key in about)
    facts = {
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "processor": f"{_processor()}, {model}" if model else _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "flags": fingerprint.of_bytes(about.get("flags", about.get("Features", "")).encode()),
        "caches": ", ".join(sizes),
    }
    return facts | {name: os.environ[name] for name in LIMITS if name in os.environ}


def is_alike(recorded: Mapping[str, str]) -> bool:
    """Whether :func:`arithmetic` says the same here as where it was recorded."""
    return recorded == arithmetic()


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _cpuinfo() -> dict[str, str]:
    """What Linux says of its first processor; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text("utf-8", "replace").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


class _Float32(NamedTuple):
    """What PyTorch does to float32 products, in its old flags and in its new ones."""

    convolutions: bool  # torch.backends.cudnn.allow_tf32
    products: str  # torch.get_float32_matmul_precision
    new: tuple[str, ...]  # of the places in _float32_places


def _float32_places() -> tuple[Any, ...]:
    backends: Any = torch.backends  # its types do not know all of these
    cudnn, cuda = backends.cudnn, backends.cuda
    return cudnn.conv, cudnn.rnn, cuda.matmul, backends.mkldnn.matmul


def _float32_rules() -> _Float32:
    new = tuple(place.fp32_precision for place in _float32_places())
    products = torch.backends.cuda.matmul
    # PyTorch raises where an old flag is read that disagrees with the new ones
    convolutions = _first_said(lambda: torch.backends.cudnn.allow_tf32, lambda: new[0] != "tf32")
    level = _first_said(
        torch.get_float32_matmul_precision,
        lambda: "high" if products.allow_tf32 else "highest",
        lambda: "highest" if new[2] == "tf32" else "high",
    )
    return _Float32(convolutions, level, new)


def _first_said(*asked: Callable[[], Said]) -> Said:
    for ask in asked[:-1]:
        with suppress(RuntimeError):
            return ask()
    return asked[-1]()


def _set_float32_rules(rules: _Float32) -> None:
    torch.backends.cudnn.allow_tf32 = rules.convolutions
    torch.set_float32_matmul_precision(rules.products)
    for place, rule in zip(_float32_places(), rules.new, strict=True):  # last: the old set these
        place.fp32_precision = rule
