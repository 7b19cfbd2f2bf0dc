"""NAFNet: a U of blocks without activation functions, what came four years after SRN.

Chen, Chu, Zhang, Sun, "Simple Baselines for Image Restoration", ECCV 2022, sections 3 and 4; local
averages at test time are of Chu, Chen, Chen, Lu, "Improving Image Restoration by Revisiting Global
Information Aggregation", ECCV 2022. Taught in chapter 07.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from ..errors import require

EPS = 1e-6  # of the layer norm, as released


class NAFNet(nn.Module, PyTorchModelHubMixin):
    """Halves the image level by level, and adds to each level on the way up what it was before.

    It learns the difference to ``y``. The channel attention looks at the mean of the whole image,
    so an output pixel depends on all of it, and an image larger than the training's crops has
    other means than they had; ``local`` averages around each pixel instead.

    Args:
        channels: of the image, in and out.
        width: channels of the first level; twice as many a level below.
        encoder: blocks of each level on the way down. For GoPro the paper has 1, 1, 1 and 28 at a
            width of 32 or 64, and one block in the ``middle`` and on each level on the way up.
        middle: blocks of the lowest level.
        decoder: blocks of each level on the way up, the lowest first.
        local: side, in pixels of ``y``, of the square around each pixel that the channel attention
            averages over, in evaluation mode; by default all of the image. The released code has
            1.5 times the side of its training crops.
    """

    margin = 0  # pixels lost at each side
    receptive_field = None  # all of the image

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        encoder: Sequence[int] = (1, 1, 1, 28),
        middle: int = 1,
        decoder: Sequence[int] = (1, 1, 1, 1),
        local: int | None = None,
    ):
        super().__init__()
        levels = len(encoder)
        require(levels == len(decoder), f"NAFNet needs as many decoders as encoders, not {decoder}")
        require(width >= 1 and levels >= 1, "NAFNet needs a width and levels of 1 or more")
        require(local is None or local >= 1, f"NAFNet averages over 1 pixel or more, not {local}")
        sides = [width * 2**level for level in range(levels + 1)]
        windows = [local and max(1, local // 2**level) for level in range(levels + 1)]
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.encoder = nn.ModuleList(map(_blocks, encoder, sides, windows))
        self.down = nn.ModuleList(nn.Conv2d(n, 2 * n, 2, stride=2) for n in sides[:-1])
        self.middle = _blocks(middle, sides[-1], windows[-1])
        upwards = list(zip(sides, windows, strict=True))[-2::-1]
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * n, 4 * n, 1, bias=False), nn.PixelShuffle(2))
            for n, _ in upwards
        )
        self.decoder = nn.ModuleList(
            _blocks(count, *where) for count, where in zip(decoder, upwards, strict=True)
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        self.channels = channels
        self.multiple = 2**levels  # of the sides of an image

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``; H and W are multiples of :attr:`multiple`."""
        z, skips = self.first(y), []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            skips.append(blocks(z))
            z = down(skips[-1])
        z = self.middle(z)
        for up, blocks, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            z = blocks(up(z) + skip)
        return y + self.last(z)


class NAFBlock(nn.Module):
    """Two residual steps: one mixes neighbours and looks at all of the image, one mixes channels.

    Each begins with a layer norm over the channels of each pixel, and its result is scaled by a
    factor a channel that begins at 0. Where others have an activation function, half of the
    channels is multiplied by the other half (:func:`gate`).

    Args:
        width: channels.
        local: as of :class:`NAFNet`, in pixels of this level.
    """

    def __init__(self, width: int, local: int | None = None):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.widen1, self.widen2 = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(width, 2 * width, 1)
        self.neighbours = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.mix1, self.mix2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.scale1 = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.scale2 = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.local = local

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """``(B, width, h, w)`` to the same shape."""
        a = gate(self.neighbours(self.widen1(_normed(self.norm1, z))))
        local = None if self.training else self.local
        a = self.mix1(a * self.attention(means(a, local)))
        z = z + self.scale1 * a
        return z + self.scale2 * self.mix2(gate(self.widen2(_normed(self.norm2, z))))


def gate(z: torch.Tensor) -> torch.Tensor:
    """The first half of the channels times the second: ``(B, 2 C, h, w)`` to ``(B, C, h, w)``."""
    first, second = z.chunk(2, 1)
    return first * second


def means(z: torch.Tensor, side: int | None = None) -> torch.Tensor:
    """The mean of each channel of ``z`` ``(B, C, h, w)``.

    Args:
        side: of the square around each pixel, moved inside where it would reach beyond the edge;
            by default all of the image.

    Returns:
        ``(B, C, 1, 1)`` or, with a side below that of the image, ``(B, C, h, w)``.
    """
    height, width = z.shape[-2:]
    if side is None or (side >= height and side >= width):
        return z.mean((-2, -1), keepdim=True)
    return _means_along(_means_along(z, side, -2), side, -1)


def _means_along(z: torch.Tensor, side: int, axis: int) -> torch.Tensor:
    """Means over ``side`` neighbours along an axis, as differences of sums up to each place."""
    length = z.shape[axis]
    side = min(side, length)
    sums = F.pad(z.double().cumsum(axis), (0, 0, 1, 0) if axis == -2 else (1, 0))
    begin = (torch.arange(length, device=z.device) - side // 2).clamp(0, length - side)
    whole = sums.index_select(axis, begin + side) - sums.index_select(axis, begin)
    return (whole / side).to(z.dtype)


def _blocks(count: int, width: int, local: int | None) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(width, local) for _ in range(count)))


def _normed(norm: nn.LayerNorm, z: torch.Tensor) -> torch.Tensor:
    """A layer norm over the channels; its statistics are computed in float32."""
    return norm(z.movedim(1, -1)).movedim(-1, 1)
