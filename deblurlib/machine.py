"""What a number was computed with: the device, and the versions of what decided it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from . import fingerprint

DECIDING = (
    *("deblurlib", "torch", "lightning-fabric", "numpy", "scipy", "pillow"),
    *("opencv-python-headless", "opencv-python"),
)
#: Variables by which a library's choice of instructions is limited; ATen's shows in its capability.
LIMITS = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
)
#: What PyTorch's allocators say in a RuntimeError when there is no memory left.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


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


def best_device() -> str:
    """``"cuda"`` where there is a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let a GPU's float32 convolutions round what they multiply to TF32 (10 bits), or not.

    PyTorch lets them. Scores, blur and deconvolution must not; a training says so in its recipe.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


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
