"""EdgeNet draws the edges of the sharp image, DeblurNet restores with them; after S2's text.

It gives their parts in words: a holistically nested EdgeNet whose map is DeblurNet's fourth
channel; DeblurNet has one connection from its input to its output, residual blocks and upsampling
blocks. Widths, depths and all else are ours. The networks in S2's notebook are some forty times as
large, and otherwise built: four scales, features concatenated, the input not added to the output.
S2 took the design from Fu and others, "Edge-aware deep image deblurring", 2019, of which we know
no more than S2 tells. Taught in chapter 03.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from ..edges import CANNY, canny, check
from ..errors import InputError, require
from ..names import unknown_name

#: what DeblurNet's fourth channel may hold
FOURTH = ("none", "zero", "blurred", "sharp", "predicted")


class EdgeNet(nn.Module, PyTorchModelHubMixin):
    """The edges of the sharp image, from the blurred one, in logits.

    After Xie and Tu, "Holistically-nested edge detection", ICCV 2015: stages of convolutions, each
    at half the resolution of the one before; a side output from each, enlarged to the full size;
    and a learned weight for each side output, for their sum. Its five stages are for photographs;
    at 32 x 32 pixels the last would be 2 x 2.

    Args:
        width: channels of the first stage; each further one has twice as many.
        stages: how many; the last works at ``1 / 2 ** (stages - 1)`` of the resolution.
        channels: of the image.
    """

    margin = 0  # pixels lost at each side

    def __init__(self, width: int = 16, stages: int = 3, channels: int = 3):
        super().__init__()
        wrong = f"an EdgeNet's width and stages are 1 or more, not {width} and {stages}"
        require(width >= 1 and stages >= 1, wrong)
        sides = [channels, *(width * 2**i for i in range(stages))]
        self.stages = nn.ModuleList(_two(*sides[i : i + 2]) for i in range(stages))
        self.sides = nn.ModuleList(nn.Conv2d(side, 1, 1) for side in sides[1:])
        self.fuse = nn.Conv2d(stages, 1, 1)
        nn.init.constant_(self.fuse.weight, 1 / stages)  # as in the paper's code
        if self.fuse.bias is not None:
            nn.init.zeros_(self.fuse.bias)
        self.channels = channels
        self.multiple = 2 ** (stages - 1)  # of the sides of an image

    @property
    def receptive_field(self) -> int:
        """Side of a square of input pixels outside of which none changes an output pixel."""
        # of the last side output, if it is enlarged: a neighbour of the nearest pixel
        far = int(len(self.stages) > 1)
        for _ in self.stages[1:]:
            far = 2 * (far + 2) + 1  # two layers, and the maximum of two pixels
        return 2 * (far + 2) + 1

    def forward(self, y: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """The map ``(B, 1, H, W)`` of ``y`` ``(B, C, H, W)``; sides are multiples of ``multiple``.

        In training mode a list: the map, and the side outputs, the finest first.
        """
        maps = self.maps(y)
        return maps if self.training else maps[0]

    def maps(self, y: torch.Tensor) -> list[torch.Tensor]:
        """The fused map and the side outputs of ``y`` ``(B, C, H, W)``, the finest first.

        Each is ``(B, 1, H, W)``.
        """
        z, drawn = y, []
        for i, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            z = stage(F.max_pool2d(z, 2) if i else z)
            map_ = side(z)
            if i:
                map_ = F.interpolate(map_, y.shape[-2:], mode="bilinear", align_corners=False)
            drawn.append(map_)
        return [self.fuse(torch.cat(drawn, 1)), *drawn]


class DeblurNet(nn.Module, PyTorchModelHubMixin):
    """Adds to a blurred image what it lacks; it may be shown an edge map beside it.

    A layer at full resolution, one that halves it, residual blocks, and an upsampling block: each
    pixel repeated four times, and a convolution. What comes out is added to the image.

    Args:
        width: channels at full resolution; twice as many at half of it.
        blocks: residual blocks.
        channels: of the image.
        fourth: the channel beside them, one of :data:`FOURTH`: none; zeros; Canny's edges of the
            blurred image; those of the sharp one, which is then taken, too; those that ``edges``
            predicts.
        canny: the arguments of :func:`deblurlib.edges.canny`, for the two that need it.
        edges: the arguments of an :class:`EdgeNet`: a part of this network, trained before or with
            it.
        supervised: return the EdgeNet's maps, too, in training mode, for a loss of theirs.
    """

    multiple = 4  # of the sides of an image; 2, and what EdgeNet wants
    margin = 0  # pixels lost at each side

    def __init__(
        self,
        width: int = 16,
        blocks: int = 4,
        channels: int = 3,
        fourth: str = "none",
        canny: Mapping[str, Any] | None = None,
        edges: Mapping[str, Any] | None = None,
        supervised: bool = False,
    ):
        super().__init__()
        require(width >= 1, f"DeblurNet's width is 1 or more, not {width}")
        if fourth not in FOURTH:
            raise unknown_name("fourth", fourth, FOURTH)
        predicts = fourth == "predicted"
        require(predicts == (edges is not None), "edges are given for fourth='predicted' alone")
        require(predicts or not supervised, "only predicted edges can be supervised")
        self.edges = EdgeNet(**edges) if edges is not None else None
        taken = channels + (fourth != "none")
        self.first = nn.Conv2d(taken, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(_Residual(2 * width) for _ in range(blocks))
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        self.channels, self.fourth, self.supervised = channels, fourth, supervised
        check(**(canny or {}))
        self.canny = {**CANNY, **(canny or {})}
        self.takes = ("y", "x") if fourth == "sharp" else ("y",)
        if self.edges:
            self.multiple = max(self.multiple, self.edges.multiple)

    @property
    def receptive_field(self) -> int:
        """Side of a square of input pixels outside of which none changes an output pixel.

        Of Canny's edges, which may go on through the whole image, it takes no account.
        """
        far = (2 + 1) // 2 + 2 * len(self.blocks)  # last and up; the blocks, at half the resolution
        far = 2 * far + 1 + 1
        seen = 2 * (far + 1) + 1
        return seen + (self.edges.receptive_field - 1 if self.edges else 0)

    def forward(
        self, y: torch.Tensor, x: torch.Tensor | None = None
    ) -> torch.Tensor | list[torch.Tensor]:
        """Restore ``y`` ``(B, C, H, W)``; H and W are multiples of ``multiple``.

        ``x`` is the sharp image, which only ``fourth="sharp"`` takes. If ``supervised``, in
        training mode a list: the image, and the EdgeNet's maps.
        """
        maps = self.edges.maps(y) if self.edges else []
        beside = self.beside(y, x, maps)
        z = F.relu(self.first(y if beside is None else torch.cat([y, beside], 1)))
        z = F.relu(self.down(z))
        for block in self.blocks:
            z = block(z)
        z = F.relu(self.up(F.interpolate(z, scale_factor=2, mode="nearest")))
        x_hat = y + self.last(z)
        return [x_hat, *maps] if self.supervised and self.training else x_hat

    def beside(
        self, y: torch.Tensor, x: torch.Tensor | None, maps: list[torch.Tensor]
    ) -> torch.Tensor | None:
        """The fourth channel ``(B, 1, H, W)``, in [0, 1], of ``y`` and ``x`` ``(B, C, H, W)``."""
        if self.fourth == "zero":
            return torch.zeros_like(y[:, :1])
        if self.fourth == "predicted":
            return torch.sigmoid(maps[0])
        if self.fourth == "sharp":
            if x is None:
                raise InputError("this network is shown the edges of the sharp image: give it, too")
            return canny(x, **self.canny).to(y)
        return canny(y, **self.canny).to(y) if self.fourth == "blurred" else None


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z + self.second(F.relu(self.first(z)))


def _two(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
    )
