"""The classical methods by name. What they leave open was chosen on other photographs than those
they are scored on, see :mod:`deblurlib.studies.classical.choose`. Taught in chapter 06.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import nn

from .. import classical, models, psf
from .method import WEIGHTS, Method, undamaged

DENOISER = "denoiser"  # the network of plug-and-play; it is no method of its own
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of what rounding to 8 bit adds


def noise_level(y: torch.Tensor) -> torch.Tensor:
    """The noise in each image ``(B,)`` as it looks, but at least that of rounding to 8 bit."""
    return classical.estimate_noise(y).clamp(min=ROUNDING)


def wiener_by_noise(y: torch.Tensor, k: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """Wiener's filter for ``factor`` times the noise that each image seems to have."""
    return classical.wiener(y, k, sigma=factor * noise_level(y))


def fast_richardson_lucy(
    y: torch.Tensor, k: torch.Tensor, iterations: int, tv: float = 0.0
) -> torch.Tensor:
    """Accelerated Richardson-Lucy from the image itself, what surrounds it being unknown."""
    start = y.clamp(min=ROUNDING)
    return classical.richardson_lucy(y, k, iterations, "valid", True, tv=tv, start=start)


def blindly_restored(y: torch.Tensor, start: torch.Tensor, iterations: int) -> torch.Tensor:
    """The image of :func:`deblurlib.classical.blind_richardson_lucy`, without its kernel."""
    return classical.blind_richardson_lucy(y, start, iterations)[0]


def plug_and_play(y: torch.Tensor, k: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """Half-quadratic splitting with the denoiser that ships, for ``factor`` times the noise."""
    denoiser = _denoiser(y.device)

    @torch.no_grad()
    def denoise(z: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return denoiser.denoise(z.float(), sigma).to(z)

    return classical.half_quadratic_splitting(y, k, denoise, factor * noise_level(y))


@lru_cache(maxsize=2)
def _denoiser(device: torch.device) -> nn.Module:
    with undamaged(WEIGHTS / DENOISER):
        model = models.load("denoiser", WEIGHTS / DENOISER)
    return model.to(device, memory_format=torch.channels_last)


#: ``tiled_psnr`` is the least of four photographs of 800 x 800 pixels (Koehler and others, ECCV
#: 2012) with a kernel of 25 x 25: :mod:`deblurlib.studies.classical.tiled`.
DECONVOLUTIONS = (
    Method(
        "inverse",
        lambda y, kernel: classical.inverse(y, kernel, 0.1),
        "divide by the blur, where a tenth is left",
        blind=False,
        tiled_psnr=45.8,
    ),
    Method(
        "tikhonov",
        lambda y, kernel: classical.tikhonov(y, kernel, 0.003, "gradient"),
        "divide by the blur, keep slopes small",
        blind=False,
        tiled_psnr=56.4,
    ),
    Method(
        "wiener",
        wiener_by_noise,
        "divide by the blur, as noise and the spectrum of photographs allow",
        blind=False,
        tiled_psnr=47.6,
    ),
    Method(
        "richardson-lucy",
        lambda y, kernel: classical.richardson_lucy(y, kernel, 80, "valid"),
        "80 iterations, surroundings unknown",
        blind=False,
        tiled_psnr=83.2,
    ),
    Method(
        "accelerated-richardson-lucy",
        lambda y, kernel: fast_richardson_lucy(y, kernel, 20),
        "20 iterations after Biggs and Andrews",
        blind=False,
        tiled_psnr=63.0,
    ),
    Method(
        "richardson-lucy-tv",
        lambda y, kernel: fast_richardson_lucy(y, kernel, 80, tv=0.0005),
        "80 accelerated iterations with total variation",
        blind=False,
        tiled_psnr=58.7,
    ),
    Method(
        "plug-and-play",
        plug_and_play,
        "half-quadratic splitting with a small denoiser",
        blind=False,
        tiled_psnr=54.9,
    ),
    Method(
        "blind-richardson-lucy",
        lambda y, kernel: blindly_restored(y, torch.ones(5, 5), 3),
        "image and kernel in turn, from 5 x 5 ones",
        tiled_psnr=77.2,
    ),
    Method(
        "blind-richardson-lucy-gaussian",
        lambda y, kernel: blindly_restored(y, psf.gaussian(1.0), 3),
        "image and kernel in turn, from a Gaussian of sigma 1",
        tiled_psnr=79.5,
    ),
)
