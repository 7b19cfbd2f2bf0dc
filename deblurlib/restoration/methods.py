"""Methods by name: functions from a blurred image, and maybe its kernel, to a restored one.

The deconvolutions' parameters were chosen on other photographs than those they are scored on, see
:mod:`deblurlib.studies.classical.choose`. Taught in chapter 01 (what a method may know) and 07.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .. import classical, degrade, psf
from ..classical.linear import PENALTIES
from . import deconvolution
from .method import Method
from .settings import Setting


def unsharp_mask(y: torch.Tensor, sigma: float = 2.0, amount: float = 1.0) -> torch.Tensor:
    """Add to each pixel what blurring would take from it: ``y + amount * (y - k * y)``.

    Args:
        y: ``(B, C, H, W)``.
        sigma: standard deviation in pixels of the Gaussian ``k``; the edge is mirrored.
        amount: 0 changes nothing.
    """
    return y + amount * (y - degrade.convolve(y, psf.gaussian(sigma), "reflect"))


#: Settings that several methods have.
STEPS = Setting(1, "steps: each sharpens, and raises noise", 1, 10_000)
NOISE = Setting(1.0, "how many times the noise that the image seems to have", 1e-3, 1e3)
TV = Setting(0.0005, "weight of the total variation: more is smoother", 0, 0.24)
#: The method for a kernel that is known: the best on measured blur (docs/deconvolution.md).
WITH_KERNEL = "richardson-lucy-tv"
#: name -> method. The networks that ship and the runs are methods, too: see
#: :mod:`deblurlib.restoration.lookup`. Of a deconvolution, ``tiled_psnr`` is the least of four
#: photographs of 800 x 800 pixels (Koehler and others, ECCV 2012) with a kernel of 25 x 25, or of
#: six with the kernel that was found: :mod:`deblurlib.studies.classical.tiled`.
METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            "identity",
            lambda y, kernel: y,
            "do nothing: what every method is compared with",
            receptive_field=1,
        ),
        Method(
            "unsharp-mask",
            lambda y, kernel, sigma, amount: unsharp_mask(y, sigma, amount),
            "raise local contrast; no model",
            receptive_field=psf.gaussian(2.0).shape[-1],
            settings={
                "sigma": Setting(2.0, "width of what counts as local, pixels", 0.1, 50),
                "amount": Setting(1.0, "how much local contrast is added", reaches=False),
            },
        ),
        Method(
            "inverse",
            classical.inverse,
            "divide by the blur, where enough is left",
            blind=False,
            tiled_psnr=45.8,
            settings={"least": Setting(0.1, "of a wave: if less is left, it is dropped", 1e-4, 1)},
        ),
        Method(
            "tikhonov",
            classical.tikhonov,
            "divide by the blur, keep slopes small",
            blind=False,
            tiled_psnr=56.4,
            settings={
                "weight": Setting(0.003, "of small slopes: more is smoother", 1e-9),
                "penalty": Setting("gradient", "what is kept small", choices=tuple(PENALTIES)),
            },
        ),
        Method(
            "wiener",
            deconvolution.wiener_by_noise,
            "divide by the blur, as noise and the spectrum of photographs allow",
            blind=False,
            tiled_psnr=47.6,
            settings={"factor": NOISE},
        ),
        Method(
            "richardson-lucy",
            lambda y, kernel, iterations: classical.richardson_lucy(y, kernel, iterations, "valid"),
            "the likeliest image, step by step, from a flat grey; surroundings unknown",
            blind=False,
            tiled_psnr=83.2,
            settings={"iterations": replace(STEPS, value=80)},
        ),
        Method(
            "accelerated-richardson-lucy",
            deconvolution.fast_richardson_lucy,
            "the same in fewer steps, after Biggs and Andrews",
            blind=False,
            tiled_psnr=63.0,
            settings={"iterations": replace(STEPS, value=20)},
        ),
        Method(
            "richardson-lucy-tv",
            deconvolution.fast_richardson_lucy,
            "accelerated steps that keep the total variation small",
            blind=False,
            tiled_psnr=58.7,
            settings={
                "iterations": replace(STEPS, value=80),
                "tv": TV,
            },
        ),
        Method(
            "plug-and-play",
            deconvolution.plug_and_play,
            "half-quadratic splitting with a small denoiser",
            blind=False,
            tiled_psnr=54.9,
            settings={"factor": NOISE},
        ),
        Method(
            "blind-richardson-lucy",
            lambda y, kernel, size, iterations: deconvolution.blindly_restored(
                y, torch.ones(size, size), iterations
            ),
            "image and kernel in turn, from a square of ones",
            tiled_psnr=77.2,
            settings={
                "size": Setting(5, "side of the kernel, pixels", 3, 99),
                "iterations": replace(STEPS, value=3),
            },
        ),
        Method(
            "blind-edges",
            lambda y, kernel, size, **settings: deconvolution.fast_richardson_lucy(
                y, kernel, **settings
            ),
            f"find one kernel for the whole image by its edges, then {WITH_KERNEL}",
            find_kernel=lambda y, size, **settings: deconvolution.kernel_by_edges(y, size),
            tiled_psnr=50.2,
            settings={
                "size": Setting(31, "side of the kernel, pixels", 3, 99, odd=True),
                "iterations": replace(STEPS, value=80),
                "tv": TV,
            },
        ),
        Method(
            "blind-richardson-lucy-gaussian",
            lambda y, kernel, sigma, iterations: deconvolution.blindly_restored(
                y, psf.gaussian(sigma), iterations
            ),
            "image and kernel in turn, from a Gaussian",
            tiled_psnr=79.5,
            settings={
                "sigma": Setting(1.0, "width of the first kernel, pixels", 0.1, 16),
                "iterations": replace(STEPS, value=3),
            },
        ),
    )
}
