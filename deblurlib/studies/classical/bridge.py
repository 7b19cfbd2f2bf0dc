"""Set the bridge between classical and learned deconvolution beside both its ends.

::

    python -m deblurlib.studies.classical.bridge RUN... bsds500=PATH

prints the mean PSNR of the runs, such as those of ``06/unrolled`` and ``06/unet``, and of the
classical methods, on the pairs that :mod:`deblurlib.studies.classical.choose` uses: photographs
that the trainings keep back, none of a test part. All are scored with the kernel that blurred, and
with one that is slightly wrong: see :func:`misjudged`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import torch

from ... import degrade, psf, restoration
from ...degrade import Pair
from ...errors import require
from ...restoration import Method
from . import choose

CLASSICAL = ("accelerated-richardson-lucy", "richardson-lucy-tv", "plug-and-play")
WIDER = 0.7  # standard deviation in pixels of what a misjudged kernel is blurred by
LOST = 0.05  # of the largest value: what is less is not in a misjudged kernel


def misjudged(k: torch.Tensor) -> torch.Tensor:
    """The kernel ``(h, w)`` as an estimate may have it: too wide, its faint parts missing.

    It is blurred by a Gaussian of 0.7 pixels; what then is less than a twentieth of its largest
    value is set to 0, as many blind methods do, and the rest divided by its sum. Trainings with
    ``kernel_error`` make other errors, see :func:`deblurlib.models.unrolled.disturbed`.
    """
    wide = degrade.convolve(k[None, None], psf.gaussian(WIDER), "zero")[0, 0]
    wide = torch.where(wide < LOST * wide.amax(), 0, wide)
    return wide / wide.sum()


KERNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "true kernel": lambda k: k,
    "wrong kernel": misjudged,
}


def means(method: Method, pairs: Sequence[Pair]) -> dict[str, tuple[float, ...]]:
    """Mean PSNR in dB over all pairs, those by camera shake and those by a Gaussian.

    By the names of :data:`KERNELS`; of a method that knows no kernel the same by each name. NaN
    where there is no such pair.
    """
    shaken = [not choose.symmetric(pair.kernels[0]) for pair in pairs]
    found: dict[str, tuple[float, ...]] = {}
    for name, change in KERNELS.items():
        if method.blind and found:
            found[name] = next(iter(found.values()))
            continue
        scores = [choose.score(lambda y, k, of=change: method(y, of(k)), pair) for pair in pairs]
        parts = [[s for s, kind in zip(scores, shaken, strict=True) if kind == w] for w in (1, 0)]
        found[name] = tuple(torch.tensor(part).mean().item() for part in (scores, *parts))
    return found


def ordered(runs: Sequence[Method]) -> list[Method]:
    """The identity, runs that know no kernel, the classical methods, runs that know it."""
    known = [restoration.find_method(name) for name in ("identity", *CLASSICAL)]
    blind, told = ([m for m in runs if m.blind == is_blind] for is_blind in (True, False))
    return [known[0], *blind, *known[1:], *told]


def table(methods: Sequence[Method], pairs: Sequence[Pair]) -> Iterator[str]:
    """The lines of the table, each as soon as it is measured."""
    kinds = ("all", "camera shake", "Gaussian")
    columns = [f"{name}, {kind}" for name in KERNELS for kind in kinds]
    yield f"| method | {' | '.join(columns)} |"
    yield f"| :--- |{' ---: |' * len(columns)}"
    for method in methods:
        cells = [f"{mean:.2f}" for values in means(method, pairs).values() for mean in values]
        yield f"| {method.name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    require(len(arguments) >= 2, "give the runs, then the photographs: RUN... bsds500=PATH")
    *names, source = arguments
    methods = ordered([restoration.find_method(name) for name in names])
    pairs = choose.pairs(source)
    shaken = sum(not choose.symmetric(pair.kernels[0]) for pair in pairs)
    print(f"Mean PSNR, dB, over {len(pairs)} pairs; {shaken} of them by camera shake.\n")
    for line in table(methods, pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
