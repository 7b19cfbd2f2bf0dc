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

from .. import classical


class Denoiser(nn.Module, PyTorchModelHubMixin):
    """Takes white Gaussian noise off grey images; each channel is an image of its own.

    Without biases, brighter images with more noise are treated alike:
    ``denoise(a * y, a * sigma) = a * denoise(y, sigma)`` for ``a > 0``.

    Args:
        width: channels of the hidden layers.
        depth: layers of 3 x 3 convolutions.
    """

    channels = 1  # of the image; see :meth:`forward` for more
    takes = ("y", "noise")  # what a training and a validation hand it, of a pair
    multiple = 2  # of the sides of an image
    margin = 0  # pixels lost at each side

    def __init__(self, width: int = 48, depth: int = 10):
        super().__init__()
        sides = [5, *[width] * (depth - 1), 4]
        layers = [nn.Conv2d(sides[i], sides[i + 1], 3, padding=1, bias=False) for i in range(depth)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:  # PyTorch's first weights would let ten layers fade to nothing
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        with torch.no_grad():
            layers[-1].weight.mul_(0.1)  # it begins by taking little off

    @property
    def receptive_field(self) -> int:
        """Side of a square of input pixels outside of which none changes an output pixel.

        A bound, for a pixel is the left or the right one of its pair.
        """
        return 2 * (2 * len(self.layers) + 1) + 1

    def forward(self, y: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
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

    def restore(self, y: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
        """Take off ``y`` ``(B, C, H, W)``, of any size, the noise that each image seems to have.

        What blurred it, a kernel, is of no use here.
        """
        sigma = classical.estimate_noise(y)
        height, width = y.shape[-2:]
        padded = F.pad(y, (0, width % 2, 0, height % 2), mode="replicate")
        return self(padded, sigma)[..., :height, :width]
