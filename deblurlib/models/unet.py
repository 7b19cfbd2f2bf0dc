"""A UNet of three encoding and three decoding levels: S5's end-to-end network.

Ronneberger, Fischer, Brox, "U-Net", 2015. S5 gives the number of levels and, for its second phase,
a connection from input to output; widths, upsampling and the lack of normalisation are ours.
Taught in chapter 06.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from ..errors import require

LEVELS = 3
FIRST_WEIGHTS = ("pytorch", "he")


class UNet(nn.Module, PyTorchModelHubMixin):
    """Down by maxima of 2 x 2 pixels, up bilinearly, and what was halved is put beside it again.

    Nothing is normalised over a batch or an image, so an output pixel depends on the input pixels
    near it only. Bilinear upsampling leaves no checkerboard, as transposed convolutions may.

    Args:
        width: channels of the first level; each further one has twice as many.
        channels: of the image, in and out.
        residual: add the input to the output: ``unet-residual``.
        first_weights: a key of :data:`FIRST_WEIGHTS`. Through thirteen layers PyTorch's own nearly
            fade to nothing, and a short training is over before they have grown; ``"he"`` keeps the
            size of what passes through (He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV
            2015), and begins with a small output.
    """

    multiple = 2**LEVELS  # of the sides of an image
    margin = 0  # pixels lost at each side

    def __init__(
        self,
        width: int = 32,
        channels: int = 3,
        residual: bool = False,
        first_weights: str = "pytorch",
    ):
        super().__init__()
        known = first_weights in FIRST_WEIGHTS
        require(
            known, f"UNet: first_weights {first_weights!r} is none of {', '.join(FIRST_WEIGHTS)}"
        )
        sides = [width * 2**level for level in range(LEVELS + 1)]
        inputs = [channels, *sides[:-2]]
        self.encoder = nn.ModuleList(_block(a, b) for a, b in zip(inputs, sides[:-1], strict=True))
        self.bottom = _block(sides[-2], sides[-1])
        self.decoder = nn.ModuleList(_block(below + side, side) for side, below in pairwise(sides))
        self.last = nn.Conv2d(width, channels, 1)
        self.channels, self.residual = channels, residual
        if first_weights == "he":
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.zeros_(layer.bias)
            with torch.no_grad():
                self.last.weight.mul_(0.1)

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels outside of which none changes an output pixel."""
        far = 2  # from the output backwards: a block's two layers
        for _ in range(LEVELS):
            far = (far + 1) // 2 + 1 + 2  # enlarged from, and a block
        for _ in range(LEVELS):
            far = 2 * far + 1 + 2  # the maximum of two, and a block
        return 2 * far + 1

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``; H and W are multiples of 8."""
        z, skips = y, []
        for block in self.encoder:
            skips.append(block(z))
            z = F.max_pool2d(skips[-1], 2)
        z = self.bottom(z)
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            z = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
            z = block(torch.cat([z, skip], 1))
        z = self.last(z)
        return y + z if self.residual else z


def _block(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
    )
