"""Set the bridge between classical and learned deconvolution beside both its ends.

::

    python -m deblurlib.studies.classical.bridge RUN... bsds500=PATH

prints the mean PSNR of the runs, such as those of ``06/unrolled`` and ``06/unet``, and of the
classical methods, on the pairs that :mod:`deblurlib.studies.classical.choose` uses: photographs
that the trainings keep back, none of a test part. All are scored with the kernel that blurred, with
one that is slightly wrong, see :func:`misjudged`, and with the one that is found in the blurred
image; after the best shift, for the last is known up to a shift.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from ... import classical, degrade, psf, restoration
from ...degrade import Pair
from ...errors import require
from ...restoration import Method
from . import choose

CLASSICAL = ("accelerated-richardson-lucy", "richardson-lucy-tv", "plug-and-play")
WIDER = 0.7  # standard deviation in pixels of what a misjudged kernel is blurred by
SHIFT, FOUND = 8, 31  # pixels: the best shift's bound, and the side of a kernel that is found
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


#: what a method is told, of a pair
KERNELS: dict[str, Callable[[Pair], torch.Tensor]] = {
    "true kernel": lambda pair: pair.kernels[0],
    "wrong kernel": lambda pair: misjudged(pair.kernels[0]),
    "found kernel": lambda pair: classical.find_kernel(pair.y, FOUND)[0][0],
}


def means(
    method: Method, pairs: Sequence[Pair], kernels: Mapping[str, Sequence[torch.Tensor]]
) -> dict[str, tuple[float, ...]]:
    """Mean PSNR in dB over all pairs, those by camera shake and those by a Gaussian.

    By the names of the kernels; of a method that knows no kernel the same by each name. NaN where
    there is no such pair. Each result is scored where it fits best, up to 8 pixels away, without 8
    pixels at each side.

    Args:
        kernels: one for each pair, by any names.
    """
    shaken = [not choose.symmetric(pair.kernels[0]) for pair in pairs]
    found: dict[str, tuple[float, ...]] = {}
    for name, given in kernels.items():
        if method.blind and found:
            found[name] = next(iter(found.values()))
            continue
        scores = [score(method(p.y, k), p) for p, k in zip(pairs, given, strict=True)]
        parts = [[s for s, kind in zip(scores, shaken, strict=True) if kind == w] for w in (1, 0)]
        found[name] = tuple(torch.tensor(part).mean().item() for part in (scores, *parts))
    return found


def score(x_hat: torch.Tensor, pair: Pair) -> float:
    """The PSNR of a restoration, in dB, after the best shift."""
    return choose.aligned_psnr(x_hat, pair.x, SHIFT)


def ordered(runs: Sequence[Method]) -> list[Method]:
    """The identity, runs that know no kernel, the classical methods, runs that know it."""
    known = [restoration.find_method(name) for name in ("identity", *CLASSICAL)]
    blind, told = ([m for m in runs if m.blind == is_blind] for is_blind in (True, False))
    return [known[0], *blind, *known[1:], *told]


def table(methods: Sequence[Method], pairs: Sequence[Pair]) -> Iterator[str]:
    """The lines of the table, each as soon as it is measured."""
    kinds = ("all", "camera shake", "Gaussian")
    kernels = {name: [of(pair) for pair in pairs] for name, of in KERNELS.items()}
    columns = [f"{name}, {kind}" for name in KERNELS for kind in kinds]
    yield f"| method | {' | '.join(columns)} |"
    yield f"| :--- |{' ---: |' * len(columns)}"
    for method in methods:
        cells = [
            f"{mean:.2f}" for values in means(method, pairs, kernels).values() for mean in values
        ]
        yield f"| {method.name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    require(len(arguments) >= 2, "give the runs, then the photographs: RUN... bsds500=PATH")
    *names, source = arguments
    methods = ordered([restoration.find_method(name) for name in names])
    pairs = choose.pairs(source)
    shaken = sum(not choose.symmetric(pair.kernels[0]) for pair in pairs)
    print(
        f"Mean PSNR, dB, over {len(pairs)} pairs; {shaken} of them by camera shake.\n", flush=True
    )
    for line in table(methods, pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
