"""SSIM ``gaussian-rgb`` of a batch: ``metrics.ssim`` against four other libraries.

The quantity is the same for all: an 11 x 11 Gaussian window of sigma 1.5, data range 1, variances
divided by N, and for each image the mean over channels and over the pixels whose whole window lies
in the image.
"""

from __future__ import annotations

from collections.abc import Callable

import kornia.metrics
import pytorch_msssim
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from deblurlib import metrics

from . import timing

TITLE = "SSIM"
ABOUT = (
    "`metrics.ssim`, protocol `gaussian-rgb`, of {shape} float32 images: scores of a batch alone,"
    " and with their gradient for the first batch. scikit-image takes one image after the other,"
    " laid out beforehand, on one core, and has no gradient."
)
PACKAGES = ("torchmetrics", "pytorch-msssim", "kornia", "scikit-image", "numpy")
REACH = 5  # pixels from the window's centre to its edge


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time both cases; ``quick``: on two small images.

    Returns:
        what is compared, in words, and the cases' results.
    """
    shape = (2, 3, 32, 32) if quick else (16, 3, 256, 256)
    seconds = 0 if quick else timing.SECONDS
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator)
    x_hat = (x + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)
    forward = {name: bind(score, x_hat, x) for name, score in SCORES.items()}
    forward["scikit-image"] = scikit_image(x_hat, x)
    both = {name: with_gradient(score, x_hat, x) for name, score in SCORES.items()}
    cases = [
        timing.run_case("forward", forward, collect, rounds, seconds),
        timing.run_case("forward and backward", both, collect_gradient, rounds, seconds),
    ]
    return ABOUT.format(shape=" x ".join(map(str, shape))), cases


def torchmetrics_score(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """SSIM by torchmetrics, whose own mean includes the border with its reflected pixels.

    The full map less ``REACH`` pixels a side holds no such window. For a Gaussian the window's side
    follows from sigma: 11, the same.
    """
    _, full = structural_similarity_index_measure(
        x_hat, x, sigma=1.5, data_range=1.0, reduction="none", return_full_image=True
    )
    return full[..., REACH:-REACH, REACH:-REACH].mean((1, 2, 3))


def kornia_score(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """SSIM by kornia, a map; ``padding="valid"`` leaves out the same border. Its sigma is 1.5."""
    return kornia.metrics.ssim(x_hat, x, window_size=11, padding="valid").mean((1, 2, 3))


def msssim_score(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """SSIM by pytorch-msssim, which scores the valid region without any option."""
    return pytorch_msssim.ssim(
        x_hat, x, data_range=1.0, size_average=False, win_size=11, win_sigma=1.5
    )


SCORES = {
    timing.OURS: lambda x_hat, x: metrics.ssim(x_hat, x, "gaussian-rgb"),
    "torchmetrics": torchmetrics_score,
    "pytorch-msssim": msssim_score,
    "kornia": kornia_score,
}


def bind(score: Callable, x_hat: torch.Tensor, x: torch.Tensor) -> Callable:
    """A call without arguments, for the timing."""
    return lambda: score(x_hat, x)


def with_gradient(score: Callable, x_hat: torch.Tensor, x: torch.Tensor) -> Callable:
    """A call that returns the scores and their gradient for ``x_hat``, as in a training."""

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x_hat.detach().requires_grad_()
        scores = score(leaf, x)
        (gradient,) = torch.autograd.grad(scores.sum(), leaf)
        return scores, gradient

    return call


def scikit_image(x_hat: torch.Tensor, x: torch.Tensor) -> Callable:
    """SSIM by scikit-image, of a reflected image, without the border in the mean."""
    pairs = list(zip(x_hat.numpy(), x.numpy(), strict=True))
    return lambda: [
        structural_similarity(
            a,
            b,
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in pairs
    ]


def collect(scores: torch.Tensor | list[float]) -> torch.Tensor:
    """Whatever a contender returns, as ``(B,)``."""
    return torch.as_tensor(scores, dtype=torch.float32)


def collect_gradient(result: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Scores, then the gradient of the sum, not the mean, over a pixel's image: of order 1."""
    scores, gradient = result
    return torch.cat([scores.detach(), gradient.flatten() * gradient[0].numel()])
