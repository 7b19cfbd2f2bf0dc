"""The encoder and decoder with skip connections of S3, layer by layer, and a plainer variant.

S3's table gives channels, kernels, strides, sides and skip connections; the paper that it rebuilds
is known to us only by what S3 says of it ("Research of image deblurring based on the deep neural
network", 2018). Activations, the last layer's and all else are ours. Taught in chapter 04.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from .. import images
from ..errors import InputError, require

#: ways to make an image larger: how a decoder's two layers of stride 2 do it
UPSAMPLINGS = ("source", "deconvolution", "deconvolution-3", "resize", "sub-pixel")
OUTPUTS = ("sigmoid", "linear")
VALUES = ("unit", "imagenet")


@dataclass(frozen=True)
class Layer:
    """One row of S3's table."""

    made: int  # channels; what it takes is what the layers before made
    kernel: int
    stride: int
    joined: str | None = None  # the layer whose output is concatenated to this one's


#: S3's encoder; "E1" is the output of its first layer, and so on
ENCODER = (
    Layer(64, 3, 1),
    Layer(128, 3, 2),
    Layer(256, 3, 1),
    Layer(512, 3, 2),
    Layer(512, 3, 1),
)
#: S3's decoder, of transposed convolutions
DECODER = (
    Layer(128, 3, 1, "E4"),
    Layer(128, 4, 2, "E3"),
    Layer(64, 3, 1, "E2"),
    Layer(32, 3, 2),
    Layer(16, 2, 1, "E1"),
    Layer(3, 3, 1),
)
SKIPS = ("E1", "E2", "E3", "E4")
Module = nn.Conv2d | nn.ConvTranspose2d | nn.Upsample | nn.PixelShuffle  # of what it is made


class Autoencoder(nn.Module, PyTorchModelHubMixin):
    """S3's generator: five convolutions, six transposed ones, four skip connections.

    With ``upsampling="source"`` no layer pads, as in S3's table, and the sides of a 64 x 64 image
    go through 62, 30, 28, 13, 11 and 13, 28, 30, 61, 62, 64. The other variants keep a side, halve
    it or double it: 64, 32, 32, 16, 16 and 16, 32, 32, 64, 64, 64. All take any multiple of 4.

    Args:
        width: channels of the first layer, 64 in S3; a multiple of 4. All others are in proportion.
        upsampling: one of :data:`UPSAMPLINGS`: S3's; or, in the two layers that enlarge, transposed
            convolutions of 4 x 4 or of 3 x 3 pixels, each pixel repeated four times before a
            convolution, or four times as many channels laid out as pixels after it.
        skips: the layers of the encoder whose outputs the decoder sees, of :data:`SKIPS`.
        output: what the last layer's values go through: a sigmoid, so that they are in (0, 1), or
            nothing.
        values: in which values the network works: those of an image, or S3's, see
            :func:`deblurlib.images.standardise`. It takes and returns an image's in any case.
        channels: of the image.
    """

    multiple = 4  # of the sides of an image
    margin = 0  # pixels lost at each side

    def __init__(
        self,
        width: int = 64,
        upsampling: str = "source",
        skips: Sequence[str] = SKIPS,
        output: str = "sigmoid",
        values: str = "unit",
        channels: int = 3,
    ):
        super().__init__()
        require(width >= 4 and width % 4 == 0, f"width must be a multiple of 4, not {width}")
        for name, value, allowed in (
            ("upsampling", upsampling, UPSAMPLINGS),
            ("output", output, OUTPUTS),
            ("values", values, VALUES),
        ):
            if value not in allowed:
                raise InputError(f"{name} {value!r} is none of {', '.join(allowed)}")
        if unknown := sorted(set(skips) - set(SKIPS)):
            raise InputError(f"there is no skip {unknown[0]!r}; there are {', '.join(SKIPS)}")
        require(values == "unit" or channels == 3, "ImageNet's mean is that of three channels")
        self.channels, self.skips = channels, tuple(skips)
        self.output, self.values = output, values
        #: the least side of an image, so that every layer has a pixel to work on
        self.least = 24 if upsampling == "source" else 4
        made = [layer.made * width // 64 for layer in ENCODER]
        sides = [channels, *made]
        padding = int(upsampling != "source")
        self.encoder = nn.ModuleList(
            nn.Conv2d(sides[i], sides[i + 1], layer.kernel, layer.stride, padding)
            for i, layer in enumerate(ENCODER)
        )
        self.decoder, taken = nn.ModuleList(), made[-1]
        for layer in DECODER:
            out = channels if layer is DECODER[-1] else layer.made * width // 64
            self.decoder.append(_back(taken, out, layer, upsampling))
            taken = out + (made[SKIPS.index(layer.joined)] if layer.joined in self.skips else 0)

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels outside of which none changes an output pixel."""
        blocks = cast(list[nn.Sequential], list(self.decoder))
        path = cast(list[Module], [*self.encoder, *(m for block in blocks for m in block)])
        far = 0
        for place in range(400, 404):  # as far from the borders as need be, in all four phases
            low = high = place
            for module in reversed(path):
                low, high = _seen(module, low, high)
            far = max(far, place - low, high - place)
        return 2 * far + 1

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``; H and W are multiples of 4, and ``least`` or more."""
        if min(y.shape[-2:]) < self.least or any(side % self.multiple for side in y.shape[-2:]):
            raise InputError(
                f"the sides of an image must be multiples of {self.multiple}, {self.least} or "
                f"more, not {y.shape[-2]} x {y.shape[-1]}"
            )
        z = images.standardise(y) if self.values == "imagenet" else y
        seen: dict[str | None, torch.Tensor] = {}
        for name, convolution in zip((*SKIPS, None), self.encoder, strict=True):
            seen[name] = z = F.relu(convolution(z))
        for layer, block in zip(DECODER, self.decoder, strict=True):
            z = block(z)
            if layer is not DECODER[-1]:
                z = F.relu(z)
            if layer.joined in self.skips:
                z = torch.cat([z, seen[layer.joined]], 1)
        z = torch.sigmoid(z) if self.output == "sigmoid" else z
        return images.from_standardised(z) if self.values == "imagenet" else z


def _back(taken: int, made: int, layer: Layer, upsampling: str) -> nn.Sequential:
    """A layer of the decoder."""
    if upsampling == "source":
        return nn.Sequential(nn.ConvTranspose2d(taken, made, layer.kernel, layer.stride))
    if layer.stride == 1:
        return nn.Sequential(nn.Conv2d(taken, made, 3, padding=1))
    if upsampling == "deconvolution":
        return nn.Sequential(nn.ConvTranspose2d(taken, made, 4, 2, padding=1))
    if upsampling == "deconvolution-3":
        return nn.Sequential(nn.ConvTranspose2d(taken, made, 3, 2, padding=1, output_padding=1))
    if upsampling == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(taken, made, 3, padding=1))
    return nn.Sequential(nn.Conv2d(taken, 4 * made, 3, padding=1), nn.PixelShuffle(2))


def _seen(module: Module, low: int, high: int) -> tuple[int, int]:
    """The first and the last place of a module's input that its outputs ``low`` to ``high`` see."""
    if isinstance(module, (nn.Upsample, nn.PixelShuffle)):
        return low // 2, high // 2
    kernel, stride, padding = module.kernel_size[0], module.stride[0], int(module.padding[0])
    if isinstance(module, nn.ConvTranspose2d):  # place j spreads to j * stride - padding and on
        return -((kernel - 1 - padding - low) // stride), (high + padding) // stride
    return low * stride - padding, high * stride - padding + kernel - 1
