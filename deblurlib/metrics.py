"""Scores of a restoration against its sharp original: PSNR, and SSIM under five named protocols.

Every score is per image: two batches ``(B, C, H, W)`` give a tensor ``(B,)``. Averaging is the
caller's business. Values are uint8, uint16, or floats in [0, 1] or in [0, ``data_range``]: see
:func:`deblurlib.values.scorable`. Taught in chapter 01, where one output gets all five SSIMs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from . import machine, names
from .degrade import convolve
from .degrade.convolution import SEPARABLE_TAPS
from .errors import InputError, require
from .images import luma
from .images import quantise as to_8_bit
from .names import unknown_name
from .values import scorable

__all__ = ["SSIM_PROTOCOLS", "Protocol", "psnr", "ssim", "ssim_unchecked"]


def psnr(
    x_hat: torch.Tensor,
    x: torch.Tensor,
    data_range: float = 1.0,
    border: int = 0,
    quantise: bool = False,
) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB: ``10 log10(data_range**2 / mean((x_hat - x)**2))``.

    Args:
        x_hat, x: ``(B, C, H, W)``; the mean is over channels and pixels together.
        data_range: the largest possible difference; 1 for images in [0, 1]. The score of uint8 and
            uint16 does not depend on it.
        border: pixels to leave out along each side.
        quantise: clamp and round ``x_hat`` to 8 bit first, as if it had been saved
            (``data_range`` must be 1).

    Returns:
        ``(B,)`` in dB; infinite where the two are equal, NaN where ``x_hat`` holds NaN.

    Raises:
        InputError: shapes that differ, values that are not in the range, a wrong option.

    >>> psnr(torch.full((1, 1, 2, 2), 0.6), torch.full((1, 1, 2, 2), 0.5)).round(decimals=3)
    tensor([20.])
    """
    _check(x_hat, x, data_range)
    if quantise and data_range != 1:
        raise InputError("quantise=True rounds [0, 1] to 8 bit, so data_range must be 1")
    if border:
        if border < 0 or 2 * border >= min(x.shape[-2:]):
            raise InputError(f"a border of {border} leaves nothing of {tuple(x.shape[-2:])} pixels")
        inner = (..., slice(border, -border), slice(border, -border))
        x_hat, x = x_hat[inner], x[inner]
    x_hat, x = scorable(x_hat, x, data_range)
    if quantise:
        x_hat = to_8_bit(x_hat)
    error = (x_hat.double() - x.double()).square().mean((1, 2, 3))
    return (10 * torch.log10(data_range**2 / error)).float()


@dataclass(frozen=True)
class Protocol:
    """One way to compute SSIM. What the field calls "SSIM" is at least these five."""

    window: int  # side of the local window, pixels
    sigma: float | None  # its Gaussian's standard deviation, pixels; None: all weights equal
    colour: str  # "rgb": per channel, then mean; "3d": one window over channels too; "luma"
    region: str = "valid"  # "valid": whole windows only; "replicate": edge values are repeated
    sample_covariance: bool = False  # divide by N - 1 instead of N
    scales: tuple[float, ...] = (1.0,)  # the exponent of each scale; one: plain SSIM
    k1: float = 0.01
    k2: float = 0.03

    @property
    def least_size(self) -> int:
        """The smallest side in pixels of an image that can be scored."""
        if self.region == "replicate":
            return 1
        return (self.window - 1) * 2 ** (len(self.scales) - 1) + 1


#: The protocols by name. ``gaussian-rgb``: Wang et al. 2004 on each of R, G, B, never shrunk before
#: (as the authors' later code does with large images). ``uniform-rgb``: scikit-image's default.
#: ``gaussian-3d``: a volume's window laid over (channel, row, column), as MATLAB and toolkits made
#: after it score colour unless told otherwise. ``gaussian-y``: luma only, as super-resolution
#: papers do (they also cut a border). ``multiscale``: Wang, Simoncelli and Bovik 2003, five scales.
SSIM_PROTOCOLS: dict[names.Protocol, Protocol] = {
    "gaussian-rgb": Protocol(11, 1.5, "rgb"),
    "uniform-rgb": Protocol(7, None, "rgb", sample_covariance=True),
    "gaussian-3d": Protocol(11, 1.5, "3d", region="replicate"),
    "gaussian-y": Protocol(11, 1.5, "luma"),
    "multiscale": Protocol(11, 1.5, "rgb", scales=(0.0448, 0.2856, 0.3001, 0.2363, 0.1333)),
}


def ssim(
    x_hat: torch.Tensor,
    x: torch.Tensor,
    protocol: names.Protocol = "gaussian-rgb",
    data_range: float = 1.0,
) -> torch.Tensor:
    """Structural similarity under a named protocol; 1 for equal images.

    Scores under different protocols are different quantities, never to be compared.

    Args:
        x_hat, x: ``(B, C, H, W)``; C is 3 for ``gaussian-y``.
        protocol: a key of :data:`SSIM_PROTOCOLS`.
        data_range: the largest possible difference; 1 for images in [0, 1]. The score of uint8 and
            uint16 does not depend on it.

    Returns:
        ``(B,)``.

    Raises:
        InputError: an unknown protocol, shapes that differ, values that are not in the range, an
            image too small for the protocol.
    """
    _check(x_hat, x, data_range)
    return ssim_unchecked(*scorable(x_hat, x, data_range), protocol, data_range)


def ssim_unchecked(
    x_hat: torch.Tensor,
    x: torch.Tensor,
    protocol: names.Protocol = "gaussian-rgb",
    data_range: float = 1.0,
) -> torch.Tensor:
    """As :func:`ssim`, of floats whose values are taken on trust: for a loss, on a GPU.

    Looking at values makes the processor wait for the GPU. Shapes are checked here, too: ``x_hat``
    and ``x`` are ``(B, C, H, W)``, and there is a score for each image, ``(B,)``.
    """
    _check(x_hat, x, data_range)
    require(
        x_hat.is_floating_point() and x.is_floating_point(),
        f"ssim_unchecked needs floats, not {x_hat.dtype} and {x.dtype}",
    )
    if protocol not in SSIM_PROTOCOLS:
        raise unknown_name("SSIM protocol", protocol, SSIM_PROTOCOLS)
    p = SSIM_PROTOCOLS[protocol]
    if min(x.shape[-2:]) < p.least_size:
        raise InputError(
            f"SSIM {protocol} needs {p.least_size} pixels a side, not {tuple(x.shape[-2:])}"
        )
    if x.dtype != torch.float64:
        x_hat, x = x_hat.float(), x.float()
    if p.colour == "luma":
        if x.shape[1] != 3:
            raise InputError(f"SSIM {protocol} needs RGB images, not {x.shape[1]} channels")
        x_hat, x = luma(x_hat / data_range), luma(x / data_range)
        data_range = 1.0
    # On the processor a few images at a time: the maps of a batch would not stay in its cache.
    chunk = 4 if x.device.type == "cpu" else len(x)
    parts = zip(x_hat.split(chunk), x.split(chunk), strict=True)
    with machine.tf32(False):
        return torch.cat([_ssim(a, b, p, data_range) for a, b in parts])


def _ssim(x_hat: torch.Tensor, x: torch.Tensor, p: Protocol, data_range: float) -> torch.Tensor:
    score = x.new_ones(())
    for scale, exponent in enumerate(p.scales):
        if scale > 0:
            # an odd last row or column stands for itself
            x_hat, x = (F.avg_pool2d(z, 2, ceil_mode=True) for z in (x_hat, x))
        luminance, contrast = _ssim_terms(x_hat, x, p, data_range)
        last = scale == len(p.scales) - 1
        value = (luminance * contrast if last else contrast).mean((2, 3))
        # contrast can be negative, and a fractional power of that is undefined: 0, by convention
        score = score * (value if exponent == 1 else value.clamp(min=0) ** exponent)
    return score.mean(1)


def _ssim_terms(
    x_hat: torch.Tensor, x: torch.Tensor, p: Protocol, data_range: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The luminance term and the contrast-structure term at every window."""
    c1, c2 = (p.k1 * data_range) ** 2, (p.k2 * data_range) ** 2
    # Four maps suffice: only the sum of the two variances enters, never each.
    maps = torch.cat([x_hat, x, x_hat * x_hat + x * x, x_hat * x])
    mean_hat, mean, squares, product = _local_mean(maps, p).chunk(4)
    windows = p.window ** (3 if p.colour == "3d" else 2)
    bias = windows / (windows - 1) if p.sample_covariance else 1.0
    means_product = mean_hat * mean
    means_squares = mean_hat * mean_hat + mean * mean
    variances = bias * (squares - means_squares)
    covariance = bias * (product - means_product)
    luminance = (2 * means_product + c1) / (means_squares + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _local_mean(maps: torch.Tensor, p: Protocol) -> torch.Tensor:
    """Weighted mean in a sliding window."""
    offsets = torch.arange(p.window, device=maps.device, dtype=maps.dtype) - p.window // 2
    weights = (
        torch.ones_like(offsets) if p.sigma is None else (-0.5 * (offsets / p.sigma) ** 2).exp()
    )
    weights = weights / weights.sum()
    if p.region == "replicate":
        maps = F.pad(maps, [p.window // 2] * 4, mode="replicate")
    if p.colour == "3d":
        maps = _channel_mean(maps, weights)
    k = torch.outer(weights, weights)
    if k.numel() < SEPARABLE_TAPS:
        return convolve(maps, k, "valid")
    # as convolve does it once it has looked at the kernel, for which it waits for a GPU
    rows, columns = k.sum(-1, keepdim=True), k.sum(-2, keepdim=True)
    return convolve(convolve(maps, rows / rows.sum(), "valid"), columns, "valid")


def _channel_mean(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The window's third axis: over channels, the first and the last one repeated beyond."""
    channels, half = maps.shape[1], len(weights) // 2
    places = torch.arange(channels, device=maps.device)
    source = (places[:, None] + torch.arange(-half, half + 1, device=maps.device)).clamp(
        0, channels - 1
    )
    mixing = torch.zeros(channels, channels, device=maps.device, dtype=maps.dtype)
    mixing.scatter_add_(1, source, weights.expand(channels, -1))
    return torch.einsum("dc,bchw->bdhw", mixing, maps)


def _check(x_hat: torch.Tensor, x: torch.Tensor, data_range: float = 1.0) -> None:
    for z in (x_hat, x):
        require(isinstance(z, torch.Tensor), f"scores are of tensors, not {type(z).__name__}")
    require(0 < data_range < math.inf, f"data_range must be a number above 0, not {data_range}")
    if x_hat.shape != x.shape or x.ndim != 4 or x.numel() == 0:
        raise InputError(
            "a score needs two batches (B, C, H, W) of one shape, "
            f"not {tuple(x_hat.shape)} and {tuple(x.shape)}"
        )
