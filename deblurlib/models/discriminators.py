"""Discriminators: the critics that tell restored images from real ones, in logits.

Taught in chapter 04.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """A logit for each patch of an image, from convolutions of 4 x 4 pixels.

    Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks",
    CVPR 2017, whose patches of 70 x 70 pixels come from three halvings; without its batch
    normalisation. Instead, each layer's weights are divided by their largest singular value (Miyato
    et al., "Spectral normalization for generative adversarial networks", ICLR 2018).

    Args:
        channels: of the image.
        width: filters of the first layer; each further one has twice as many, up to eight times.
        halvings: layers that halve the size, before the two that do not.
        spectral: whether the weights are normalised.
    """

    def __init__(
        self, channels: int = 3, width: int = 64, halvings: int = 3, spectral: bool = True
    ):
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(halvings + 1)]
        sides, strides = [channels, *widths, 1], [2] * halvings + [1, 1]
        layers = [
            nn.Conv2d(*sides[i : i + 2], 4, stride, padding=1) for i, stride in enumerate(strides)
        ]
        self.layers = nn.ModuleList(map(spectral_norm, layers) if spectral else layers)
        self.channels = channels
        self.least = 3 * 2**halvings  # pixels of a side; the last two layers take one each

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits ``(B, 1, h, w)`` of images ``(B, C, H, W)``: high for what is real."""
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)
