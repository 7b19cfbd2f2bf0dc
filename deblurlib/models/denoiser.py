"""A small denoiser that is told how strong the noise is.

After FFDNet (Zhang, Zuo, Zhang, IEEE Transactions on Image Processing 27(9), 2018): it works at
half the resolution, four pixels side by side as channels, with the noise level as one more; and
after Mohan et al., "Robust and interpretable blind image denoising via bias-free convolutional
neural networks", 2020: no layer adds a constant. Depth and width are ours. Taught in chapter 06.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn


class Denoiser(nn.Module, PyTorchModelHubMixin):
    """Takes white Gaussian noise off grey images; each channel is an image of its own.

    Without biases, brighter images with more noise are treated alike:
    ``denoise(a * y, a * sigma) = a * denoise(y, sigma)`` for ``a > 0``.

    Args:
        width: channels of the hidden layers.
        depth: layers of 3 x 3 convolutions.
    """

    channels = 2  # a training hands it each image twice, with other noise
    multiple = 2  # of the sides of an image
    margin = 0  # pixels lost at each side

    def __init__(self, width: int = 48, depth: int = 10):
        super().__init__()
        sides = [5, *[width] * (depth - 1), 4]
        self.layers = nn.ModuleList(
            nn.Conv2d(*sides[i : i + 2], 3, padding=1, bias=False) for i in range(depth)
        )
        for layer in self.layers:  # PyTorch's first weights would let ten layers fade to nothing
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        with torch.no_grad():
            self.layers[-1].weight.mul_(0.1)  # it begins by taking little off

    @property
    def receptive_field(self) -> int:
        """Side of a square of input pixels outside of which none changes an output pixel.

        Of :meth:`denoise`; a bound, for a pixel is the left or the right one of its pair.
        """
        return 2 * (2 * len(self.layers) + 1) + 1

    def denoise(self, y: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Take noise of standard deviation ``sigma``, one number or one an image, off ``y``.

        Args:
            y: ``(B, C, H, W)``; H and W are multiples of 2.
        """
        grey = y.flatten(0, 1)[:, None]
        level = torch.as_tensor(sigma).to(y).expand(y.shape[0])
        level = level.repeat_interleave(y.shape[1])[:, None, None, None]
        z = F.pixel_unshuffle(grey, 2)
        z = torch.cat([z, level.expand(-1, 1, *z.shape[-2:])], 1)
        for layer in self.layers[:-1]:
            z = torch.relu(layer(z))
        return y - F.pixel_shuffle(self.layers[-1](z), 2).view(y.shape)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Denoise ``y`` ``(B, 2, H, W)``: two looks at each image, of equal, unknown noise.

        A training hands a model images and nothing of what was done to them; how two looks at one
        image differ tells the noise level, whatever is in the image.
        """
        first, second = y.flatten(2).unbind(1)
        sigma = ((first - second).square().mean(1) / 2).sqrt()
        return self.denoise(y, sigma)
