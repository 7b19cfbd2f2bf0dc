"""A small network that guesses how wide the Gaussian was that blurred an image.

S5's "CNN + RL" (Kendall and Rios, "Convolutional Neural Networks in Gaussian Blur Deconvolution"):
three convolutions, three dense layers, and Richardson-Lucy with the kernel that they guess. S5
gives no sizes, strides or activations; they are ours, and so is that the network is blind to
brightness and contrast and takes images of any size. Taught in chapter 06.
"""

from __future__ import annotations

from typing import cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from .. import classical, psf
from ..errors import InputError, require
from ..images import ROUNDING

WIDEST = 12.0  # pixels: the largest guess
LEAST_BLUR = 0.3  # pixels: what is guessed to be blurred less is left as it is
FLAT = 1e-8  # variance of an image that is as good as flat
SILENT = 1e-4  # mean response that is as good as none


class KernelNet(nn.Module, PyTorchModelHubMixin):
    """From a blurred grey image to the standard deviation of the Gaussian that blurred it.

    The convolutions have no biases, are rectified, and halve the resolution each; of all their
    responses, the mean over the image is taken, and its logarithm: how much there is of each kind
    of detail, and a ratio of two kinds, which is what blur changes, is a difference. Three dense
    layers make one number of them.

    Args:
        width: responses of the first convolution; the second has twice as many, the third three
            times.
        hidden: outputs of the first two dense layers.
        window: odd side of the kernels, pixels.
        iterations: of Richardson-Lucy.
    """

    channels = 1  # of the image; see :meth:`guess` for more
    takes = ("y",)
    multiple = 1  # of the sides of an image
    margin = 0  # pixels lost at each side

    def __init__(self, width: int = 24, hidden: int = 64, window: int = 61, iterations: int = 20):
        super().__init__()
        require(min(width, hidden) >= 1, "KernelNet's width and hidden are 1 or more")
        require(window >= 1 and window % 2 == 1, f"the window must be odd, not {window}")
        require(iterations >= 0, f"iterations must be 0 or more, not {iterations}")
        self.window, self.iterations = window, iterations
        taken = (1, width, 2 * width, 3 * width)
        layers = [
            nn.Conv2d(taken[i], taken[i + 1], side, stride=2, bias=False)
            for i, side in enumerate((7, 5, 5))
        ]
        self.convolutions = nn.ModuleList(layers)
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        with torch.no_grad():  # detail tells of blur: the first responses are to that alone
            layers[0].weight.sub_(layers[0].weight.mean((-2, -1), keepdim=True))
        sides = (sum(taken[1:]), hidden, hidden, 1)
        self.dense = nn.ModuleList(nn.Linear(sides[i], sides[i + 1]) for i in range(3))

    @property
    def receptive_field(self) -> int:
        """Side of the square of pixels that one response of the last convolution depends on."""
        side = 1
        for layer in reversed(cast(list[nn.Conv2d], list(self.convolutions))):
            side = layer.stride[0] * (side - 1) + layer.kernel_size[0]
        return side

    @property
    def least(self) -> int:
        """Pixels of a side that it takes: one response."""
        return self.receptive_field

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """The standard deviation ``(B,)``, pixels, in (0, 12), of what blurred ``y``.

        Args:
            y: grey images ``(B, 1, H, W)``; brightness and contrast do not matter.

        Raises:
            InputError: not grey, or smaller than ``least``.
        """
        if y.shape[1] != 1 or min(y.shape[-2:]) < self.least:
            raise InputError(
                f"KernelNet takes grey images of {self.least} x {self.least} pixels or more, "
                f"not {tuple(y.shape)}"
            )
        z = y - y.mean((1, 2, 3), keepdim=True)
        z = z / (z.square().mean((1, 2, 3), keepdim=True) + FLAT).sqrt()
        found = []
        for layer in self.convolutions:
            z = torch.relu(layer(z))
            found.append(z.mean((-2, -1)))
        z = (torch.cat(found, 1) + SILENT).log()
        for layer in self.dense[:-1]:
            z = torch.relu(layer(z))
        return WIDEST * torch.sigmoid(self.dense[-1](z)[:, 0])

    def guess(self, y: torch.Tensor) -> torch.Tensor:
        """The deviations ``(B,)``, pixels, of what blurred images ``(B, C, H, W)`` of any size.

        All channels are taken to be blurred alike: their mean is looked at, in float32, for what
        tells wide blurs apart is finer than bfloat16 keeps. An image that is smaller than ``least``
        says nothing, and gets 0.
        """
        if min(y.shape[-2:]) < self.least:
            return torch.zeros(len(y), device=y.device)
        with torch.autocast(y.device.type, enabled=False):
            return self(y.float().mean(1, keepdim=True))

    @torch.no_grad()
    def kernel(self, y: torch.Tensor) -> torch.Tensor:
        """The guessed kernels ``(B, window, window)`` of images ``(B, C, H, W)``.

        Gaussians, as :func:`deblurlib.psf.gaussian` samples them, whose light deviates by as much
        as was guessed.
        """
        return gaussians(self.guess(y), self.window)

    def deconvolve(self, y: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """Accelerated Richardson-Lucy from ``y`` on; what is hardly blurred stays as it is.

        It assumes what the network is trained on: that the blur went over the borders of the image,
        whose surroundings are unknown (``"valid"``), and rounding came after it.

        Args:
            y: ``(B, C, H, W)``.
            kernels: one for each image, ``(B, h, w)``, or one for all, ``(h, w)`` or ``(1, h, w)``.
        """
        kernels = kernels[0] if kernels.ndim == 3 and len(kernels) == 1 else kernels
        blurred = psf.deviation(kernels).expand(len(y)) >= LEAST_BLUR
        x_hat = y.clone()
        if blurred.any():
            seen, k = y[blurred], kernels if kernels.ndim == 2 else kernels[blurred]
            start = seen.clamp(min=ROUNDING)  # Richardson-Lucy cannot leave an exact 0
            x_hat[blurred] = classical.richardson_lucy(
                seen, k, self.iterations, "valid", True, start=start
            )
        return x_hat

    def restore(self, y: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
        """Guess what blurred ``y`` ``(B, C, H, W)``, of any size, and undo it.

        One kernel for all channels of an image. That which is known, ``kernel``, is of no use here.
        """
        return self.deconvolve(y, self.kernel(y))


def gaussians(deviation: torch.Tensor, size: int) -> torch.Tensor:
    """Gaussian kernels ``(B, size, size)`` whose light has the deviations ``(B,)``, pixels.

    Their sigma is found by halving an interval, for sampling makes narrow Gaussians narrower, and a
    window wide ones; ``size`` bounds what can be reached.
    """
    place = torch.arange(size, device=deviation.device, dtype=torch.float64) - size // 2
    wanted = deviation.double()[:, None].square()
    low, high = torch.full_like(wanted, 1e-3), torch.full_like(wanted, 2.0 * size)
    for _ in range(40):
        sigma = (low + high) / 2
        profile = torch.softmax(-0.5 * (place / sigma).square(), -1)
        narrow = (profile * place.square()).sum(-1, keepdim=True) < wanted
        low, high = torch.where(narrow, sigma, low), torch.where(narrow, high, sigma)
    return (profile[:, :, None] * profile[:, None, :]).float()
