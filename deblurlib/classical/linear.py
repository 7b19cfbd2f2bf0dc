"""Deconvolution by dividing Fourier transforms: in one step, and linear in the image.

Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .. import psf
from ..errors import require
from ..names import unknown_name
from ..values import Array, as_batch
from .blur import checked, image_by_image
from .boundaries import Periodic, make_periodic

#: What :func:`tikhonov` keeps small: the power of differences between neighbours that it counts.
PENALTIES = {"values": 0, "gradient": 1, "laplacian": 2}
#: Mean power of photographs at frequency f (cycles a pixel), times f**2, of values in [0, 1]:
#: measured on the 100 training images of BSDS500, between 0.02 and 0.3 cycles a pixel.
POWER = 7e-4
TINY = 1e-30  # a transfer function of 0 divides to 0

Filter = Callable[..., torch.Tensor]


def inverse(
    y: Array,
    k: Array,
    least: float = 1e-2,
    boundary: Periodic = "liu-jia",
) -> torch.Tensor:
    """Divide by the kernel's transfer function, and drop the frequencies that it has lost.

    Args:
        y: blurred images ``(B, C, H, W)``; of an array, uint8 and uint16 are scaled to [0, 1].
        k: a kernel ``(h, w)``, or one for each image, ``(B, h, w)``.
        least: a frequency of which less than this is left is set to 0.
        boundary: see :func:`deblurlib.classical.make_periodic`.

    Returns:
        ``x_hat`` ``(B, C, H, W)``, not clipped.

    Raises:
        InputError: an argument is not as said here; so do all functions of this package.
    """
    require(0 < least <= 1, f"least must be in (0, 1], not {least}")

    def keep(h: torch.Tensor, rough: torch.Tensor) -> torch.Tensor:
        return torch.where(h.abs() >= least, _divide(h, 0.0), 0.0)

    return _filtered(y, k, keep, boundary)


def tikhonov(
    y: Array,
    k: Array,
    weight: float,
    penalty: str = "laplacian",
    boundary: Periodic = "liu-jia",
) -> torch.Tensor:
    """The ``x`` that makes ``|k * x - y|^2 + weight * |r * x|^2`` least.

    Tikhonov, "Solution of incorrectly formulated problems and the regularization method", 1963.
    With the Laplacian and the boundary ``"circular"``, it is what scikit-image calls ``wiener``.

    Args:
        weight: more than 0.
        penalty: what ``r`` gives: ``"values"``, the ``"gradient"``, or the ``"laplacian"``.
        y, k, boundary: as of :func:`inverse`, and so is what is returned, ``(B, C, H, W)``.
    """
    require(0 < weight < math.inf, f"weight must be more than 0, not {weight}")
    if penalty not in PENALTIES:
        raise unknown_name("penalty", penalty, PENALTIES)

    def keep(h: torch.Tensor, rough: torch.Tensor) -> torch.Tensor:
        return _divide(h, weight * rough ** PENALTIES[penalty])

    return _filtered(y, k, keep, boundary)


def wiener(
    y: Array,
    k: Array,
    noise_to_signal: float | torch.Tensor | None = None,
    sigma: float | torch.Tensor | None = None,
    boundary: Periodic = "liu-jia",
) -> torch.Tensor:
    """The linear filter of least mean squared error: ``conj(H) / (|H|^2 + N / S)``.

    Wiener, "Extrapolation, interpolation, and smoothing of stationary time series", 1949. Either
    ``noise_to_signal`` or ``sigma`` is given, one number for all images or ``(B,)``.

    Args:
        noise_to_signal: ``N / S``, the same at all frequencies.
        sigma: standard deviation of white noise, of values in [0, 1]; ``S`` is then the mean power
            of photographs, which falls as the square of the frequency (Field, "Relations between
            the statistics of natural images and the response properties of cortical cells", J.
            Opt. Soc. Am. A 4, 1987).
        y, k, boundary: as of :func:`inverse`, and so is what is returned.
    """
    require(
        (noise_to_signal is None) != (sigma is None), "wiener needs either noise_to_signal or sigma"
    )
    y = as_batch(y)
    name = "sigma" if noise_to_signal is None else "noise_to_signal"
    given = sigma if noise_to_signal is None else noise_to_signal
    given = torch.as_tensor(given, dtype=torch.float64, device=y.device)
    usable = given.shape in ((), y.shape[:1]) and bool((given >= 0).all() & given.isfinite().all())
    require(usable, f"{name} must be 0 or more, one number or one an image, not {given.tolist()}")

    def keep(h: torch.Tensor, rough: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        given = given[:, None, None].to(rough)
        if sigma is None:
            return _divide(h, given)
        # for low frequencies, rough is (2 pi f)**2
        return _divide(h, given**2 * rough / ((2 * math.pi) ** 2 * POWER))

    return _filtered(y, k, keep, boundary, given.expand(len(y)))


def _divide(h: torch.Tensor, extra: float | torch.Tensor) -> torch.Tensor:
    return h.conj() / (h.abs().square() + extra).clamp(min=TINY)


def _filtered(
    y: Array,
    k: Array,
    keep: Filter,
    boundary: Periodic,
    *numbers: torch.Tensor,
) -> torch.Tensor:
    """Multiply the transform of ``y`` by ``keep(h, rough, *numbers)``.

    ``h`` is the kernels' transfer function ``(B, H', W')``, ``rough`` what differences between
    neighbours, squared, do to each frequency, and of ``numbers``, each image has its own.
    """
    y = as_batch(y)
    full, k = checked(y, k)

    def run(y: torch.Tensor, k: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor]:
        wide = make_periodic(y, k, boundary)
        size = wide.shape[-2:]
        half = size[1] // 2 + 1  # the other frequencies are the conjugates of these
        h = psf.transfer_function(k, *size)[..., :half]
        multiplier = keep(h, roughness(*size).to(y), *numbers)[:, None]
        x_hat = torch.fft.irfft2(torch.fft.rfft2(wide) * multiplier, s=size)
        return (x_hat[..., : y.shape[-2], : y.shape[-1]],)

    return image_by_image(run, full, k, *numbers)[0].to(y.dtype)


def roughness(height: int, width: int) -> torch.Tensor:
    """The squared gain of differences to the right and down, at each frequency of ``rfft2``."""
    down = torch.fft.fftfreq(height, dtype=torch.float64)
    right = torch.fft.rfftfreq(width, dtype=torch.float64)
    return 4 * ((math.pi * down).sin().square()[:, None] + (math.pi * right).sin().square())
