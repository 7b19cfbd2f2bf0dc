"""Scores that follow what the eye looks at more closely than PSNR does, without any download.

Each of :data:`MEASURES` takes two batches of grey or colour images ``(B, C, H, W)`` and gives
``(B,)``. Their values are uint8, uint16, or floats in [0, 1]: see
:func:`deblurlib.values.scorable`. None of the scores is a human rater: a claim about looks that is
judged on them says on which. Taught in chapter 02.

:func:`grid_peaks` and :func:`grid_strength` look for the grid that a network's upsampling may
leave. Taught in chapter 05; what it does to S3's network, and its colours, in chapter 04:
:data:`PROBES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from . import machine
from .errors import InputError
from .images import grey
from .values import scorable

__all__ = [
    "MEASURES",
    "PROBES",
    "Measure",
    "blur_effect",
    "channel_drift",
    "checkerboard",
    "colour_drift",
    "gradient_similarity",
    "grid_peaks",
    "grid_strength",
    "spectrum_distance",
]

BLOCK = 64  # side, pixels, of the blocks of which a spectrum is averaged
NEAR = (-4, -3, -2, 2, 3, 4)  # steps to the frequencies that one is compared with


def blur_effect(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """How blurred ``x_hat`` looks, from 0, not at all, to 1 (Crete et al. 2007), by scikit-image.

    It blurs the image again and asks how much that changes. ``x`` is not looked at. Of images
    ``(B, C, H, W)``, ``(B,)``.
    """
    from skimage.measure import blur_effect as of_image

    array = _as_grey(x_hat, x)[0].detach().squeeze(1).cpu().numpy()
    # of what holds NaN it would score the rest
    return torch.tensor([float(of_image(image) + 0 * image.sum()) for image in array])


def gradient_similarity(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean similarity of the gradients' magnitudes; 1 for equal images (Xue et al. 2014).

    Both images are averaged over 2 x 2 pixels and halved first, and the constant is 170 for values
    to 255, as in the authors' code. ``x_hat`` and ``x`` are ``(B, C, H, W)``; ``(B,)``.
    """
    both = F.avg_pool2d(torch.cat(_as_grey(x_hat, x)), 2)
    prewitt = both.new_tensor([[1.0, 0.0, -1.0]] * 3) / 3
    kernels = torch.stack([prewitt, prewitt.T])[:, None]
    with machine.tf32(False):
        gradients = F.conv2d(both, kernels)
    m_hat, m = gradients.square().sum(1).sqrt().chunk(2)
    c = 170 / 255**2
    return ((2 * m_hat * m + c) / (m_hat**2 + m**2 + c)).mean((1, 2))


def spectrum_distance(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Log-spectral distance in dB: the root mean square, over frequencies, of how far apart the
    two power spectra are; 0 for equal images.

    Under a Hann window, for the edges' sake; with the power of 8-bit rounding as the floor.
    ``x_hat`` and ``x`` are ``(B, C, H, W)``; ``(B,)``.
    """
    pair = _as_grey(x_hat, x)
    height, width = x.shape[-2:]
    sides = (torch.hann_window(n, periodic=False).to(pair[1]) for n in (height, width))
    window = torch.outer(*sides)
    floor = window.square().sum() / (12 * 255**2)
    levels = []
    for z in pair:
        z = (z - z.mean((-2, -1), keepdim=True)) * window
        levels.append(10 * (torch.fft.rfft2(z).abs().square() + floor).log10())
    return (levels[0] - levels[1]).square().mean((1, 2, 3)).sqrt()


def grid_peaks(difference: torch.Tensor, period: int) -> torch.Tensor:
    """How far a grid of a period stands out of a spectrum: about 1 without one, to any height.

    Layers that enlarge by spreading pixels out and filling in between can weight the places
    unevenly; what they add to an image then repeats every 2, 4, 8 pixels (Odena, Dumoulin, Olah,
    "Deconvolution and Checkerboard Artifacts", Distill 2016). Such a pattern has power at the
    frequencies ``(i, j) / period`` alone, wherever it begins.

    The power spectrum is the mean over overlapping blocks of about 64 x 64 pixels, less their mean,
    under a Hann window, and over the channels. At each of these frequencies but for those of
    shorter periods, it is divided by the geometric mean of the six nearest on the same line that
    the window keeps apart (2 to 4 steps away, on both sides). Of the two lines, along rows and
    along columns, the one with more power counts, for edges of a picture make a ridge along one.
    The greatest of these quotients is returned. The fewer blocks, the more it scatters: in white
    noise of 256 x 256 pixels it lies between 0.8 and 1.7.

    Args:
        difference: ``(B, C, H, W)``, output less input, in any unit; both sides 64 pixels or more.
        period: pixels, 2 to 8.

    Returns:
        ``(B,)``; 0 where nothing differs.

    Raises:
        InputError: no such batch or period.
    """
    power, near, _ = _grid(difference, period)
    return (power / near).amax(-1).float()


def grid_strength(difference: torch.Tensor, period: int) -> torch.Tensor:
    """The root mean square of the grid that :func:`grid_peaks` looks for, in the difference's unit.

    It is what the power at the grid's frequencies exceeds that beside them by. Arguments and errors
    as there.

    Returns:
        ``(B,)``.
    """
    power, near, scale = _grid(difference, period)
    return ((power - near).clamp(min=0).sum(-1).sqrt() / scale).float()


def _grid(difference: torch.Tensor, period: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """The power at a grid's frequencies, that beside them, ``(B, n)`` each, and the root of the
    power that an amplitude of 1 has."""
    if difference.ndim != 4 or difference.shape[1] < 1 or min(difference.shape[-2:]) < BLOCK:
        raise InputError(
            f"this needs a batch (B, C, H, W) of at least {BLOCK} x {BLOCK} pixels, "
            f"not {tuple(difference.shape)}"
        )
    if not isinstance(period, int) or period not in range(2, 9):
        raise InputError(f"the period of a grid must be 2 to 8 pixels, not {period}")
    side = BLOCK // period * period
    window = torch.hann_window(side, dtype=torch.float64, device=difference.device)
    power = _block_spectrum(difference.double(), torch.outer(window, window))
    # where one frequency is all there is, others hold its roundings
    power = power + 1e-12 * power.amax((-2, -1), keepdim=True)
    lines = []
    for axis in (-2, -1):
        near = torch.stack([power.roll(step, axis) for step in NEAR])
        lines.append(near.clamp(min=torch.finfo(power.dtype).tiny).log().mean(0).exp())
    both = torch.stack([power, torch.maximum(*lines)])
    orders = [(i, j) for i in range(period) for j in range(period) if math.gcd(i, j, period) == 1]
    step = side // period  # from one of the grid's frequencies to the next
    power, near = torch.stack([both[..., i * step, j * step] for i, j in orders], -1)
    return power, near, window.sum().item() ** 2


def _block_spectrum(z: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Mean power spectrum ``(B, side, side)`` of half-overlapping blocks and of the channels."""
    side = len(window)
    blocks = z.unfold(-2, side, side // 2).unfold(-2, side, side // 2)
    total = z.new_zeros(())
    for row in blocks.unbind(2):  # one after the other, for memory
        row = (row - row.mean((-2, -1), keepdim=True)) * window
        total = total + torch.fft.fft2(row).abs().square().mean((1, 2))
    return total / blocks.shape[2]


@dataclass(frozen=True)
class Measure:
    """One of the scores, which way is better, and what difference counts."""

    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    better: int  # 1: higher, -1: lower
    margin: float
    unit: str


#: name -> measure; the margins were set before any run was scored.
MEASURES = {
    "gradient_similarity": Measure(gradient_similarity, 1, 0.005, "similarity"),
    "blur_effect": Measure(blur_effect, -1, 0.01, "blur effect"),
    "spectrum_distance": Measure(spectrum_distance, -1, 0.1, "dB"),
}


def checkerboard(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a restoration adds at the three finest frequencies, rows, columns and both, where a
    pattern of two pixels has its power: :func:`grid_strength`, in levels of 8 bits.

    ``x_hat`` and ``x`` are ``(B, C, H, W)``; ``(B,)``.
    """
    return 255 * grid_strength(x_hat - x, 2)


def channel_drift(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """By how much each channel's mean has moved, ``(B, C)``, in levels of 8 bits.

    ``x_hat`` and ``x`` are ``(B, C, H, W)``.
    """
    return 255 * (x_hat.double() - x.double()).mean((2, 3)).float()


def colour_drift(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The greatest of :func:`channel_drift` of each image, ``(B,)``, whichever way it moved."""
    return channel_drift(x_hat, x).abs().amax(1)


#: name -> measure: traces that a network may leave, floats in [0, 1] to ``(B,)``.
PROBES = {
    "checkerboard": Measure(checkerboard, -1, 0.1, "levels"),
    "colour_drift": Measure(colour_drift, -1, 1.0, "levels"),
}


def _as_grey(x_hat: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    wrong = x_hat.shape != x.shape or x.ndim != 4 or x.numel() == 0
    if wrong or min(x.shape[-2:]) < 8:
        raise InputError(
            "this needs two batches (B, C, H, W) of one shape and at least 8 x 8 pixels, "
            f"not {tuple(x_hat.shape)} and {tuple(x.shape)}"
        )
    if x.shape[1] not in (1, 3):
        raise InputError(f"this needs grey or RGB images, not {x.shape[1]} channels")
    x_hat, x = scorable(x_hat, x)
    if x.shape[1] == 3:
        x_hat, x = grey(x_hat), grey(x)
    return x_hat.float(), x.float()
