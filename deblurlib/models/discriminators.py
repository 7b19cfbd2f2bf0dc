"""Discriminators: the critics that tell restored images from real ones, in logits.

Taught in chapter 04.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ..errors import InputError, require


class PatchDiscriminator(nn.Module):
    """A logit for each patch of an image, from convolutions of 4 x 4 pixels.

    Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks",
    CVPR 2017, whose patches of 70 x 70 pixels come from three halvings. By default without its
    batch normalisation: instead, each layer's weights are divided by their largest singular value
    (Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018). With
    four halvings and batch normalisation it has S5's six convolutions.

    Args:
        channels: of the image.
        width: filters of the first layer; each further one has twice as many, up to eight times.
        halvings: layers that halve the size, before the two that do not.
        spectral: whether the weights are normalised.
        batch_norm: whether the layers between the first and the last are normalised over the batch.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        halvings: int = 3,
        spectral: bool = True,
        batch_norm: bool = False,
    ):
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(halvings + 1)]
        sides, strides = [channels, *widths, 1], [2] * halvings + [1, 1]
        layers = [
            nn.Conv2d(sides[i], sides[i + 1], 4, stride, padding=1)
            for i, stride in enumerate(strides)
        ]
        self.layers = nn.ModuleList(map(spectral_norm, layers) if spectral else layers)
        between = [nn.BatchNorm2d(side) if batch_norm else nn.Identity() for side in widths[1:]]
        self.norms = nn.ModuleList([nn.Identity(), *between])
        self.channels = channels
        self.least = 3 * 2**halvings  # pixels of a side; the last two layers take one each

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits ``(B, 1, h, w)`` of images ``(B, C, H, W)``: high for what is real."""
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.2)
        return self.layers[-1](x)


class FlatDiscriminator(nn.Module):
    """One logit for a whole image, as S3 has it: four convolutions, and one weight for each value.

    Each of the first three convolutions is followed by a ReLU and then by batch normalisation, the
    fourth by a ReLU. None pads, so the sides of 64 x 64 pixels go through 62, 30, 28 and 13, and
    S3's last layer takes 512 x 13 x 13 = 86,528 values. S3 ends with a sigmoid; it is left to the
    loss, where it does not overflow.

    Args:
        channels: of the image.
        width: filters of the first layer, 64 in S3; the next ones have two, four, eight times as
            many.
        side: of the images, all of them, in pixels.
    """

    def __init__(self, channels: int = 3, width: int = 64, side: int = 64):
        super().__init__()
        widths = [channels, *(width * 2**i for i in range(4))]
        layers: list[nn.Module] = []
        left = side
        for i, stride in enumerate((1, 2, 1, 2)):
            layers += [nn.Conv2d(widths[i], widths[i + 1], 3, stride), nn.ReLU()]
            layers += [nn.BatchNorm2d(widths[i + 1])] if i < 3 else []
            left = (left - 3) // stride + 1
            require(left > 0, f"images of {side} x {side} pixels are too small for this critic")
        self.features = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1] * left**2, 1)
        self.channels, self.least = channels, side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits ``(B, 1)`` of images ``(B, C, side, side)``: high for what is real."""
        if x.shape[-2:] != (self.least, self.least):
            height, width = x.shape[-2:]
            raise InputError(
                f"this critic judges {self.least} x {self.least} pixels, not {height} x {width}"
            )
        return self.last(self.features(x).flatten(1))
