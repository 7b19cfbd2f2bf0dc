"""Choose the classical methods' parameters on photographs that nothing else learns from.

::

    python -m deblurlib.studies.classical.choose bsds500=PATH > docs/deconvolution/choose.md

prints the mean PSNR of each candidate. They are tried on the photographs that the denoiser's
training keeps back.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from ... import alignment, classical, degrade, images, metrics, psf
from ...data import hold_out, open_images
from ...degrade import Pair
from ...restoration import deconvolution

SHARE = 0.1  # of the train split: what the recipe 06/denoiser keeps back
SIDE = 224  # pixels
SEEDS = (0, 1, 2)  # each draws other blurs and noise
Restore = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def pairs(source: str) -> list[Pair]:
    """The pairs that candidates are tried on."""
    _, sharp = hold_out(open_images(source, "train"), SHARE)
    blurred = []
    for seed in SEEDS:
        for i, key in enumerate(sharp.keys):
            x = images.centre_crop(sharp[i], SIDE + 24)[None]
            blurred.append(degrade.sample(x, degrade.SETTINGS["known-blur"], seed, [key]))
    return blurred


def candidates() -> Iterator[tuple[str, Restore]]:
    """The candidates' names and functions, method by method."""
    grids: dict[str, tuple[Callable[..., torch.Tensor], tuple[Sequence, ...]]] = {
        "inverse": (classical.inverse, ((0.05, 0.1, 0.15, 0.2),)),
        "tikhonov": (classical.tikhonov, ((1e-3, 3e-3, 1e-2, 3e-2), ("gradient", "laplacian"))),
        "wiener": (deconvolution.wiener_by_noise, ((1.0, 1.5, 2.0),)),
        "richardson-lucy": (
            classical.richardson_lucy,
            ((10, 20, 30, 50, 80), ("reflect", "valid", "liu-jia", "taper")),
        ),
        "richardson-lucy, stopped": (stopped_richardson_lucy, ((0.8, 0.9, 1.0, 1.1),)),
        "accelerated-richardson-lucy": (
            deconvolution.fast_richardson_lucy,
            ((8, 10, 12, 15, 20),),
        ),
        "richardson-lucy-tv": (
            deconvolution.fast_richardson_lucy,
            ((40, 80, 160), (0.0005, 0.001, 0.002, 0.004)),
        ),
        "plug-and-play": (deconvolution.plug_and_play, ((0.5, 1.0, 1.5, 2.0),)),
        "blind-richardson-lucy": (blind_from_ones, ((3, 5, 9, 15), (1, 2, 3, 5, 10))),
        "blind-richardson-lucy-gaussian": (blind_from_gaussian, ((2, 3, 5, 10),)),
    }
    for name, (function, values) in grids.items():
        for arguments in itertools.product(*values):
            yield f"{name} {arguments}", partial(_given, function, arguments)


def _given(
    function: Callable[..., torch.Tensor], more: tuple, y: torch.Tensor, k: torch.Tensor
) -> torch.Tensor:
    return function(y, k, *more)


def stopped_richardson_lucy(y: torch.Tensor, k: torch.Tensor, factor: float) -> torch.Tensor:
    """Plain Richardson-Lucy until the residual is as small as ``factor`` times the noise."""
    rule = classical.discrepancy(factor * deconvolution.noise_level(y).item())
    return classical.richardson_lucy(y, k, 200, "valid", stop=rule)


def blind_from_ones(y: torch.Tensor, k: torch.Tensor, size: int, iterations: int) -> torch.Tensor:
    return deconvolution.blindly_restored(y, torch.ones(size, size), iterations)


def blind_from_gaussian(y: torch.Tensor, k: torch.Tensor, iterations: int) -> torch.Tensor:
    return deconvolution.blindly_restored(y, psf.gaussian(1.0), iterations)


def main() -> None:
    tried = pairs(sys.argv[1])
    shaken = [not symmetric(pair.kernels[0]) for pair in tried]
    print(f"Mean PSNR, dB, over {len(tried)} pairs; {sum(shaken)} of them by camera shake.\n")
    print("| candidate | all | camera shake | Gaussian |\n| :--- | ---: | ---: | ---: |")
    for name, restore in [("identity", lambda y, k: y), *candidates()]:
        scores = [score(restore, pair) for pair in tried]
        parts = [[s for s, kind in zip(scores, shaken, strict=True) if kind == k] for k in (1, 0)]
        means = (sum(part) / len(part) for part in (scores, *parts))
        print(f"| {name} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


def symmetric(k: torch.Tensor) -> bool:
    return torch.allclose(k, k.T)


def aligned_psnr(x_hat: torch.Tensor, x: torch.Tensor, most: int) -> float:
    """The PSNR of an image in dB, 8-bit values, moved to where it fits ``x`` best.

    Args:
        x_hat, x: ``(1, C, H, W)``.
        most: how far it may be moved, pixels; as many along each side are not scored.
    """
    x_hat = images.quantise(alignment.align(images.quantise(x_hat), x, most))
    inner = (..., slice(most, x.shape[-2] - most), slice(most, x.shape[-1] - most))
    return metrics.psnr(x_hat[inner], x[inner]).item()


def score(restore: Restore, pair: Pair) -> float:
    x_hat = images.quantise(restore(pair.y, pair.kernels[0]))
    return metrics.psnr(x_hat, pair.x).item()


if __name__ == "__main__":
    main()
