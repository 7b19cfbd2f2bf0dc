"""Scores that follow what the eye looks at more closely than PSNR does, without any download.

Each takes two batches of grey or colour images ``(B, C, H, W)`` and gives ``(B,)``. Their values
are uint8, uint16, or floats in [0, 1]: see :func:`deblurlib.values.scorable`. None of the scores is
a human rater: a claim about looks that is judged on them says on which. Taught in chapter 02.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from . import machine
from .errors import InputError
from .images import grey
from .values import scorable


def blur_effect(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """How blurred ``x_hat`` looks, from 0, not at all, to 1 (Crete et al. 2007), by scikit-image.

    It blurs the image again and asks how much that changes. ``x`` is not looked at.
    """
    from skimage.measure import blur_effect as of_image

    array = _as_grey(x_hat, x)[0].detach().squeeze(1).cpu().numpy()
    # of what holds NaN it would score the rest
    return torch.tensor([float(of_image(image) + 0 * image.sum()) for image in array])


def gradient_similarity(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean similarity of the gradients' magnitudes; 1 for equal images (Xue et al. 2014).

    Both images are averaged over 2 x 2 pixels and halved first, and the constant is 170 for values
    to 255, as in the authors' code.
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
