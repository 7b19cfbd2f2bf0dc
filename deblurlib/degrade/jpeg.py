"""What JPEG leaves of images, computed where they are: on a GPU without going through a file.

Taught in chapter 05.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .. import images
from ..errors import InputError, require
from .carrying import carry

BLOCK = 8  # pixels of a side; colours are kept at half the size, so their blocks cover 16

#: The steps at quality 50, of brightness and of colours: ITU-T T.81, tables K.1 and K.2.
LUMA = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
72 92 95 98 112 100 103 99
"""
CHROMA = """
17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99
"""
#: Red, green, blue -> brightness, blueness, redness (JFIF 1.02).
COLOURS = [
    [0.299, 0.587, 0.114],
    [-0.168735892, -0.331264108, 0.5],
    [0.5, -0.418687589, -0.081312411],
]


@dataclass(frozen=True)
class Jpeg:
    """How strongly an image is compressed, and where its blocks lie."""

    quality: float  # 1 to 100, as libjpeg counts
    down: int = 0  # pixels of the first block that lie above the image, 0 to 15
    right: int = 0  # and to the left of it

    def __post_init__(self) -> None:
        require(1 <= self.quality <= 100, f"JPEG's quality is 1 to 100, not {self.quality}")
        fits = all(0 <= place < 2 * BLOCK for place in (self.down, self.right))
        require(fits, f"blocks begin 0 to 15 pixels before the image, not {self.down, self.right}")


def compress(y: torch.Tensor, each: Sequence[Jpeg]) -> torch.Tensor:
    """Images as JPEG would give them back: colours at half the size, 8 x 8 cosines, rounded.

    Up to rounding this is what libjpeg does by default (4:2:0, quality scale of its own). Waits for
    no GPU.

    Args:
        y: ``(B, C, H, W)`` with 1 or 3 channels, in [0, 1]; rounded to 8 bit first.
        each: B settings.

    Returns:
        values of 8 bit.
    """
    count, channels, height, width = y.shape
    if channels not in (1, 3) or len(each) != count:
        raise InputError(f"JPEG takes 1 or 3 channels and {count} settings, not {tuple(y.shape)}")
    y = images.quantise(y)
    side = 2 * BLOCK
    wanted = [-(-(n + side - 1) // side) * side for n in (height, width)]
    padded = torch.cat(
        [_padded(image, one, wanted) for image, one in zip(y.split(1), each, strict=True)]
    )
    tables = torch.stack([_table(one.quality) for one in each]).to(y.dtype)  # (B, 2, 8, 8)
    tables = carry(tables, y.device)
    z = 255 * padded
    if channels == 1:
        z = _rounded(z - 128, tables[:, :1]) + 128
    else:
        matrix = torch.tensor(COLOURS, dtype=torch.float64)
        both = matrix, torch.linalg.inv(matrix)
        there, back = (carry(m.to(y.dtype), y.device) for m in both)
        z = torch.einsum("ij,njhw->nihw", there, z).round()
        luma = _rounded(z[:, :1] - 128, tables[:, :1]) + 128
        chroma = _rounded(F.avg_pool2d(z[:, 1:], 2).round(), tables[:, 1:])
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
        z = torch.einsum("ij,njhw->nihw", back, torch.cat([luma, chroma], 1))
    z = images.quantise(z / 255)
    cut = [
        image[..., one.down : one.down + height, one.right : one.right + width]
        for image, one in zip(z.split(1), each, strict=True)
    ]
    return torch.cat(cut)


def _padded(image: torch.Tensor, one: Jpeg, wanted: Sequence[int]) -> torch.Tensor:
    height, width = image.shape[-2:]
    below, after = wanted[0] - height - one.down, wanted[1] - width - one.right
    return F.pad(image, (one.right, after, one.down, below), mode="replicate")


def _table(quality: float) -> torch.Tensor:
    """The steps of brightness and colours ``(2, 8, 8)``, as libjpeg scales them."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = torch.tensor([[float(n) for n in table.split()] for table in (LUMA, CHROMA)])
    return (steps * percent / 100 + 0.5).floor().clamp(1, 255).view(2, BLOCK, BLOCK)


def _rounded(z: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Planes ``(B, C, H, W)`` whose blocks' cosines are rounded to steps ``(B, 1, 8, 8)``."""
    at = torch.arange(BLOCK, dtype=torch.float64)
    cosines = torch.cos((2 * at + 1) * at[:, None] * math.pi / (2 * BLOCK)) / 2
    cosines[0] /= math.sqrt(2)
    cosines = carry(cosines.to(z.dtype), z.device)
    blocks = z.unflatten(-1, (-1, BLOCK)).unflatten(-3, (-1, BLOCK))  # (B, C, rows, 8, columns, 8)
    waves = torch.einsum("ik,bcrkql,jl->bcrqij", cosines, blocks, cosines)
    steps = table[:, :, None, None]
    waves = (waves / steps).round() * steps
    blocks = torch.einsum("ik,bcrqij,jl->bcrkql", cosines, waves, cosines)
    return blocks.reshape(z.shape)
