"""Deconvolution with some parameters fixed, as the methods use it. Taught in chapter 06."""

from __future__ import annotations

import torch

from .. import classical, machine, models
from ..images import ROUNDING

DENOISER = "denoiser"  # the network of plug-and-play; it is no method of its own


def noise_level(y: torch.Tensor) -> torch.Tensor:
    """The estimated noise of each image ``(B,)``, at least that of rounding to 8 bit."""
    return classical.estimate_noise(y).clamp(min=ROUNDING)


def wiener_by_noise(y: torch.Tensor, k: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """Wiener's filter for ``factor`` times the noise that each image seems to have."""
    return classical.wiener(y, k, sigma=factor * noise_level(y))


def fast_richardson_lucy(
    y: torch.Tensor, k: torch.Tensor, iterations: int, tv: float = 0.0
) -> torch.Tensor:
    """Accelerated Richardson-Lucy that begins with ``y`` and takes its surroundings as unknown."""
    start = y.clamp(min=ROUNDING)
    return classical.richardson_lucy(y, k, iterations, "valid", True, tv=tv, start=start)


def blindly_restored(y: torch.Tensor, start: torch.Tensor, iterations: int) -> torch.Tensor:
    """The image of :func:`deblurlib.classical.blind_richardson_lucy`, without its kernel."""
    return classical.blind_richardson_lucy(y, start, iterations)[0]


def kernel_by_edges(y: torch.Tensor, size: int) -> torch.Tensor:
    """The kernels of :func:`deblurlib.classical.find_kernel`, ``(B, h, h)``.

    An image that ``size`` is too large for is asked for a kernel that it is twice as large as, and
    one of less than 6 pixels for none.
    """
    half = min(y.shape[-2:]) // 2
    side = size if size <= min(y.shape[-2:]) else half - 1 + half % 2
    if side < 3:
        return torch.ones(len(y), 1, 1, dtype=y.dtype, device=y.device)
    return classical.find_kernel(y, side)[0]


def plug_and_play(y: torch.Tensor, k: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """Half-quadratic splitting with the denoiser that ships, for ``factor`` times the noise."""
    denoiser, _ = models.load_shipped(DENOISER, y.device)

    def denoise(z: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), machine.tf32(False):
            return denoiser(z.float(), sigma).to(z)

    return classical.half_quadratic_splitting(y, k, denoise, factor * noise_level(y))
