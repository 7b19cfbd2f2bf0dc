"""What each method costs: time, memory, parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from deblurlib import degrade, machine, models, psf, restoration
from deblurlib.data import open_images
from deblurlib.restoration.deconvolution import DENOISER
from deblurlib.restoration.lookup import KERNELNET, STITCHED

from . import memory, timing

TITLE = "What each method costs"
ABOUT = (
    "Every method of `deblur methods` on {where}: `restore` of a colour picture of two sizes, "
    "blurred by a kernel of {kernel} x {kernel} pixels, which those methods are given that need "
    "it. Times are medians of runs in turn; of a method that takes more than {slow:g} s there is "
    "one run, after one on a picture of {small} x {small}. In brackets: how many times as long as "
    "`srn` on the same picture. Memory: the most that a process of its own holds while it "
    "restores, beyond what it held with libraries, weights and picture before; the smallest that "
    "can be told apart is about 1 MB. Per megapixel, so that what grows faster or slower than the "
    "picture shows. A picture above {tile} pixels is restored in tiles of that side, whose memory "
    "does not grow with it."
)
PACKAGES = ()
BESIDE = "srn"
SIDES, SMALL, KERNEL = (256, 768), 64, 15  # pixels
SLOW = 2.0  # seconds
QUICK = ("identity", "wiener", BESIDE)  # methods
#: a method's network has another name
NETWORK = {"plug-and-play": DENOISER, STITCHED: KERNELNET}
PREPARE = """
from benchmarks import cost, timing
timing.settle()
cost.call({name!r}, {small})()
calls = [cost.call({name!r}, side) for side in {sides}]
"""


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Measure all methods; ``quick``: some, on small pictures.

    Returns:
        what is measured, in words, and a case for each method and size.
    """
    sides = tuple(side // 8 for side in SIDES) if quick else SIDES
    names = QUICK if quick else methods()
    held = {name: memory_of(name, sides) for name in names}
    cases = []
    for i, side in enumerate(sides):
        seconds = seconds_of(names, side, rounds, 0 if quick else timing.SECONDS)
        megapixels = side**2 / 1e6
        cases += [
            {
                "method": name,
                "side": side,
                "rounds": len(taken),
                "seconds": significant(np.median(taken)),
                "seconds_per_megapixel": significant(np.median(taken) / megapixels),
                "ratio": significant(np.median(taken) / np.median(seconds[BESIDE])),
                "memory_mb": significant(held[name][i]),
                "memory_mb_per_megapixel": significant(held[name][i] / megapixels),
                "parameters": parameters_of(name),
            }
            for name, taken in seconds.items()
        ]
    about = ABOUT.format(
        where=machine.device_name(torch.device("cpu")),
        kernel=KERNEL,
        slow=SLOW,
        small=SMALL,
        tile=restoration.TILE,
    )
    return about, cases


def methods() -> list[str]:
    """The names of all that a user may choose, without oracles."""
    names = [*restoration.METHODS, *restoration.shipped()]
    return [name for name in names if not restoration.find_method(name).oracle]


def call(name: str, side: int) -> Callable[[], torch.Tensor]:
    """What restores a square of a photograph by a method, on the processor."""
    method = restoration.find_method(name, "cpu")
    x = F.interpolate(open_images("sample", "test")[2][None], (side, side), mode="bilinear")
    kernel = psf.shake(torch.Generator().manual_seed(0), KERNEL - 5, KERNEL)
    y = degrade.convolve(x, kernel, "reflect")[0]
    known = None if method.blind else kernel
    return lambda: restoration.restore(y, method, known)


def seconds_of(
    names: Sequence[str], side: int, rounds: int, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds of each round, by method: the slow ones, once; then the quick ones in turn."""
    taken = {}
    for name in names:
        call(name, min(side, SMALL))()  # its weights are there, its code has run
        restore = call(name, side)
        began = time.perf_counter()
        restore()
        taken[name] = np.array([time.perf_counter() - began])
    fast = [name for name in names if taken[name][0] <= SLOW]
    times = timing.interleave([call(name, side) for name in fast], rounds, seconds) / 1000
    return taken | dict(zip(fast, times.T, strict=True))


def memory_of(name: str, sides: Sequence[int]) -> list[float]:
    """The most memory, MB, that restoring takes beyond what is there before, by size."""
    prepare = PREPARE.format(name=name, small=min(SMALL, *sides), sides=tuple(sides))
    return memory.added(prepare, [f"\ncalls[{i}]()" for i in range(len(sides))])


def parameters_of(name: str) -> int:
    """How many trained numbers a method has; 0 without a network."""
    network = NETWORK.get(name, name)
    if network not in models.shipped_networks():
        return 0
    return models.parameter_count(models.load_shipped(network)[0])


def significant(value: float) -> float:
    """To three digits."""
    return float(f"{value:.3g}")


def table(cases: list[dict]) -> str:
    """The cases as a Markdown table, a line for each method."""
    sides = sorted({case["side"] for case in cases})
    titles = [f"{what}, {side} x {side}" for what in ("s/Mpx", "MB/Mpx") for side in sides]
    lines = [f"| method | {' | '.join(titles)} | parameters |"]
    lines.append("| :--- |" + " ---: |" * (len(titles) + 1))
    for name in dict.fromkeys(case["method"] for case in cases):
        own = sorted((c for c in cases if c["method"] == name), key=lambda case: case["side"])
        cells = [f"{c['seconds_per_megapixel']:.3g} ({c['ratio']:.3g})" for c in own]
        cells += [f"{c['memory_mb_per_megapixel']:.0f}" for c in own]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {own[0]['parameters']:,} |")
    return "\n".join(lines)
