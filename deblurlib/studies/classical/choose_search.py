"""Choose how ``find_kernel`` looks on photographs that nothing else learns from.

::

    python -m deblurlib.studies.classical.choose_search bsds500=PATH \
        > docs/deconvolution/choose_search.md

prints what the found kernels are worth, of the search as it is and of each of its ways alone. They
are tried on the photographs that the denoiser's training keeps back, each blurred twice
by a shaken camera: once steadily, once by a hand that stays at first and then moves, whose kernel
has a faint tail.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from ... import degrade, images, psf
from ...classical import Search, find_kernel
from ...data import ImageSet, hold_out, open_images
from ...degrade import Degradation, Pair
from ...restoration import deconvolution
from .choose import SHARE, aligned_psnr

SIDE, SIZE = 255, 31  # of the photographs and of the kernels that are looked for, pixels
WINDOW = 33  # of the true ones
SHIFT = 10  # pixels: a kernel is known up to a shift
ITERATIONS, TV = 30, 5e-4


def shaken(generator: torch.Generator, waiting: bool) -> Degradation:
    """A kernel 12 to 26 pixels long, and noise of 0.001 to 0.006."""
    length, strength = torch.rand(2, generator=generator).tolist()
    path = psf.trajectory(generator, 12 + 14 * length)
    if waiting:
        time = torch.linspace(0, 1, len(path)) ** 2.5
        path = path[(time * (len(path) - 1)).round().long()]
        path = path - path.mean(0)
    noise = 0.001 * math.exp(math.log(6) * strength)
    return Degradation(psf.from_path(path, WINDOW), noise=noise)


def pairs(sharp: ImageSet) -> Iterator[Pair]:
    """Each photograph's middle, grey, blurred both ways."""
    for i, key in enumerate(sharp.keys):
        x = images.quantise(images.grey(images.centre_crop(sharp[i], SIDE + WINDOW - 1)))[None]
        for seed, waiting in enumerate((False, True)):
            yield degrade.sample(x, partial(shaken, waiting=waiting), seed, [key])


def searches() -> Iterator[tuple[str, Search]]:
    """What is tried, by its difference from what is used."""
    used = Search()
    yield "as it is", used
    for i, way in enumerate(used.ways):
        yield f"way {i + 1} alone", replace(used, ways=(way,))


def score(pair: Pair, k: torch.Tensor) -> tuple[float, float]:
    """The gain over doing nothing, dB, after the best shift, and the distance of the kernel."""
    x_hat = deconvolution.fast_richardson_lucy(pair.y, k, ITERATIONS, TV)
    restored, before = (aligned_psnr(z, pair.x, SHIFT) for z in (x_hat, pair.y))
    return restored - before, psf.distance(k, pair.kernels[0]).item()


def main() -> None:
    """Print the table."""
    _, sharp = hold_out(open_images(sys.argv[1], "train"), SHARE)
    tried = list(pairs(sharp))
    print(f"Means over {len(tried)} pairs; {ITERATIONS} iterations restore with each kernel.\n")
    print("| search | gain, dB | least gain, dB | kernel error |\n| :--- | ---: | ---: | ---: |")
    show("the true kernel", [score(pair, pair.kernels[0]) for pair in tried])
    for name, search in searches():
        found = [find_kernel(pair.y, SIZE, search)[0][0] for pair in tried]
        show(name, [score(pair, k) for pair, k in zip(tried, found, strict=True)])


def show(name: str, scores: list[tuple[float, float]]) -> None:
    gains, distances = zip(*scores, strict=True)
    mean, error = (sum(column) / len(column) for column in (gains, distances))
    print(f"| {name} | {mean:.2f} | {min(gains):.2f} | {error:.3f} |", flush=True)


if __name__ == "__main__":
    main()
