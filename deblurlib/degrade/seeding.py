"""The random numbers that every degradation is drawn from. Taught in chapter 01."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import InputError
from ..names import unknown_name

#: What the random numbers of an image are for: no two of these share theirs.
STREAMS = ("blur", "noise", "shot noise", "crop", "image")


def generator(
    seed: int, index: int, stream: str = "blur", device: torch.device | str = "cpu"
) -> torch.Generator:
    """The random numbers of image ``index`` under ``seed``.

    They depend neither on the batch an image is in nor on what was drawn before. Drawn on the CPU
    they are equal on every device. Images of different sets or splits need different indices, else
    they get the same noise: see :attr:`deblurlib.data.sets.ImageSet.keys`.

    Args:
        stream: one of :data:`STREAMS`; what is drawn for one does not depend on another.
    """
    if stream not in STREAMS:
        raise unknown_name("stream", stream, STREAMS)
    if not (0 <= seed < 2**64 and 0 <= index < 2**64):
        raise InputError(f"seed and index must lie in 0 ... 2^64 - 1, not {seed} and {index}")
    # two words each, for SeedSequence would run numbers of different lengths together
    words = [part for n in (seed, index) for part in (n % 2**32, n >> 32)]
    entropy = [*words, STREAMS.index(stream)]
    mixed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(mixed >> 1))


def between(generator: torch.Generator, low: float, high: float) -> float:
    """The next number of a generator, uniform in ``[low, high)``."""
    return low + (high - low) * torch.rand((), generator=generator).item()
