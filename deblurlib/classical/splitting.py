"""Half-quadratic splitting: deconvolution with a denoiser for all that is known of images.

Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .. import psf
from ..errors import InputError
from ..values import Array, as_batch
from .blur import checked, image_by_image
from .boundaries import Periodic, make_periodic

#: ``denoise(z, sigma)``: takes noise of ``sigma`` ``(B,)`` off ``z`` ``(B, C, H, W)``, H and W even
Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def half_quadratic_splitting(
    y: Array,
    k: Array,
    denoise: Denoise,
    sigma: float | torch.Tensor,
    iterations: int = 8,
    strongest: float = 49 / 255,
    trust: float = 0.23,
    boundary: Periodic = "liu-jia",
) -> torch.Tensor:
    """In turn, make ``x`` explain ``y`` and look like an image: invert the blur, then denoise.

    Each inversion is exact, ``(conj(H) Y + rho Z) / (|H|^2 + rho)`` with the last denoised image
    ``z``, and each denoising weaker: from ``strongest`` down to ``sigma``, in equal factors, with
    ``rho = trust * (sigma / that)^2`` (Zhang et al., "Plug-and-play image restoration with deep
    denoiser prior", IEEE Transactions on Pattern Analysis and Machine Intelligence 44, 2022; the
    defaults are those of its code for deblurring).

    Args:
        y: blurred images ``(B, C, H, W)``.
        k: a kernel ``(h, w)``, or one for each image, ``(B, h, w)``.
        denoise: such as a :class:`deblurlib.models.Denoiser`.
        sigma: standard deviation of the noise in ``y``, of values in [0, 1], one number or one an
            image: more than 0; see :func:`deblurlib.classical.estimate_noise`.
        iterations: 1 or more.
        strongest: the noise level, of values in [0, 1], that the first denoising is told.
        trust: the paper's lambda: how much an inversion holds on to the last denoised image.
        boundary: see :func:`deblurlib.classical.make_periodic`.

    Returns:
        ``x_hat`` ``(B, C, H, W)``, not clipped.

    Raises:
        InputError: an argument is not as said here; so do all functions of this package.
    """
    y = as_batch(y)
    full, k = checked(y, k)
    noise = torch.as_tensor(sigma, dtype=full.dtype, device=y.device)
    usable = noise.shape in ((), y.shape[:1]) and bool(((noise > 0) & noise.isfinite()).all())
    if not usable:
        raise InputError(f"sigma must be more than 0, one or one an image, not {noise.tolist()}")
    if iterations < 1 or not 0 < strongest < math.inf or not 0 < trust < math.inf:
        raise InputError(
            f"iterations must be 1 or more, strongest and trust more than 0, not {iterations}, "
            f"{strongest}, {trust}"
        )

    def run(y: torch.Tensor, k: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor]:
        wide = make_periodic(y, k, boundary)
        size = wide.shape[-2:]
        h = psf.transfer_function(k, *size)[:, None, :, : size[1] // 2 + 1]
        power, seen = h.abs().square(), h.conj() * torch.fft.rfft2(wide)
        z = wide
        for i in range(iterations):
            share = i / (iterations - 1) if iterations > 1 else 1.0
            level = strongest ** (1 - share) * sigma**share
            rho = (trust * (sigma / level) ** 2)[:, None, None, None]
            x = torch.fft.irfft2((seen + rho * torch.fft.rfft2(z)) / (power + rho), s=size)
            even = F.pad(x, (0, size[1] % 2, 0, size[0] % 2), mode="replicate")
            z = denoise(even, level)[..., : size[0], : size[1]]
        return (z[..., : y.shape[-2], : y.shape[-1]],)

    return image_by_image(run, full, k, noise.expand(len(y)))[0].to(y.dtype)
