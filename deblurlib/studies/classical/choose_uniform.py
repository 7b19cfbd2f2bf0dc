"""Choose what chapter 06's study leaves open, on images that its trainings kept back.

::

    python -m deblurlib.studies.classical.choose_uniform imagenet=PATH
    python -m deblurlib.studies.classical.choose_uniform gopro_scenes=PATH RUN

Of images, the first prints the mean PSNR of blind Richardson-Lucy's starts and lengths, and of the
accelerated one's iterations with the true kernel, in S5's setting. Of pairs, the second prints that
of the patches whose kernels a run of ``06/guess``, which has seen none of them, guesses: on their
train part, reduced.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import cast

from ... import evaluation, models, psf, restoration, runs
from ...data import hold_out, open_images, open_pairs
from ...errors import require
from ...evaluation import Case
from ...restoration import METHODS, Method, deconvolution
from ..scoring import DRAW
from .claims import BLIND, PLAIN, S5
from .recipes import SIDE
from .uniform import always

SHARE, MOST = 0.1, 20  # of the train part that is kept back; images of it
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    BLIND: {"sigma": (0.5, 1.0, 2.0, 3.0), "iterations": (3, 10)},
    "blind-richardson-lucy": {"size": (5, 9, 15), "iterations": (3, 10)},
    PLAIN: {"iterations": (10, 20, 40)},
}
WINDOWS, ROUNDS = (15, 31), (3, 10)  # of blind Richardson-Lucy from S5's Gaussian, besides 7 pixels
SIGMAS = (1.0, 1.5, 2.0, 3.0, 5.0)  # of one kernel for all images
PATCHES = ((32, 8), (48, 24), (64, 32), (96, 48), (128, 64))  # side, overlap; S5 has 5 x 5


def candidates() -> Iterator[Method]:
    """The methods with each combination of settings."""
    for name, grid in GRIDS.items():
        for values in product(*grid.values()):
            yield METHODS[name].with_settings(**dict(zip(grid, values, strict=True)))
    yield from map(always, SIGMAS)
    for size, rounds in product(WINDOWS, ROUNDS):
        start = psf.gaussian(1.0, size)
        restore = partial(deconvolution.blindly_restored, start=start, iterations=rounds)
        name = f"{BLIND}, window {size}, iterations={rounds}"
        yield Method(name, lambda y, kernel, restore=restore: restore(y), "")


def means(methods: Sequence[Method], cases: Iterable[Case]) -> dict[str, float]:
    """Mean PSNR, dB, by method, of the images whose PSNRs are all finite."""
    named = {str(i): method.title for i, method in enumerate(methods)}
    listed = [replace(method, name=key) for key, method in zip(named, methods, strict=True)]
    by_image: dict[str, dict[str, float]] = {}
    for row in evaluation.evaluate(listed, cases):
        by_image.setdefault(row["image"], {})[row["method"]] = row["psnr"]
    finite = [found for found in by_image.values() if all(map(math.isfinite, found.values()))]
    require(bool(finite), "no image has finite scores only")
    return {
        named.get(key, key): sum(found[key] for found in finite) / len(finite) for key in finite[0]
    }


def main(arguments: Sequence[str]) -> None:
    require(len(arguments) in (1, 2), "give images, or pairs and a run: imagenet=PATH")
    source, *run = arguments
    if run:
        model = cast(models.KernelNet, runs.find(runs.root(), run[0]).model().eval())
        cases = evaluation.cases_of_pairs(open_pairs(source, "train").reduced(SIDE))
        methods = [
            restoration.stitched(model, f"patches of {patch}, {overlap} shared", patch, overlap)
            for patch, overlap in PATCHES
        ]
    else:
        _, kept = hold_out(open_images(source, "train"), SHARE)
        cases = evaluation.cases_of_images(kept.first(MOST), S5, DRAW)
        methods = list(candidates())
    print("| method | PSNR, dB |\n| :--- | ---: |")
    for name, mean in means(methods, cases).items():
        print(f"| {name} | {mean:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
