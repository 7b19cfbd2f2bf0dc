"""The scale-recurrent network: one encoder-decoder used at each scale, coarse to fine.

Tao, Gao, Shen, Wang, Jia, "Scale-recurrent Network for Deep Image Deblurring", CVPR 2018: the
network of S4. Where the paper's text and its released code disagree, :data:`FLAVOURS` has both.
Taught in chapter 05.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from ..errors import InputError
from .recurrence import RECURRENCES, STATES

#: What the paper's text and its released code say of kernel sizes and of the recurrent layer's
#: first weights (Xavier's, or a normal distribution cut off at two deviations of 0.001).
FLAVOURS: dict[str, dict[str, Any]] = {
    "released": {"upsampling": 4, "recurrence": 3, "deviation": 1e-3},
    "paper": {"upsampling": 5, "recurrence": 5, "deviation": None},
}
UPSAMPLINGS = ("deconvolution", "sub-pixel", "bilinear")
BLOCKS = 3  # residual blocks beside each change of size


class SRN(nn.Module, PyTorchModelHubMixin):
    """Restores a quarter of the size first, then half, then all of it, with the same weights.

    At each scale the network sees the blurred image and the restored one of the scale below,
    enlarged; at the coarsest, the blurred image twice. An image is halved by averaging 2 x 2 pixels
    (the released code's resizing, of another framework, takes every second pixel instead).

    Args:
        channels: of the image, in and out. The released ``lstm`` and ``gray`` models have 1 and
            restore red, green and blue apart; its ``color`` model has 3 and no recurrence.
        width: channels after the first layer; twice and four times as many below.
        scales: the number of scales.
        recurrence: what carries a state from scale to scale: a key of :data:`RECURRENCES`.
        residual: add the blurred image to the output; the original does not. The last layer then
            begins with weights of 0, so that the untrained network changes nothing.
        upsampling: how the decoder doubles the size: ``"deconvolution"`` as the original,
            ``"sub-pixel"`` or ``"bilinear"``.
        flavour: a key of :data:`FLAVOURS`.
        kernel: side, pixels, of all other convolutions: odd; 5 in the original.
        shortcuts: whether each residual block adds its input; without, the network is a plain
            encoder-decoder with as many weights.
        between: how the restored image and the state are enlarged from scale to scale: the original
            interpolates (``"bilinear"``); the others are learned.
    """

    margin = 0  # pixels lost at each side

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        scales: int = 3,
        recurrence: str = "lstm",
        residual: bool = False,
        upsampling: str = "deconvolution",
        flavour: str = "released",
        kernel: int = 5,
        shortcuts: bool = True,
        between: str = "bilinear",
    ):
        super().__init__()
        named = {"recurrence": (recurrence, RECURRENCES), "upsampling": (upsampling, UPSAMPLINGS)}
        named["between"] = between, UPSAMPLINGS
        for what, (value, choices) in (named | {"flavour": (flavour, FLAVOURS)}).items():
            if value not in choices:
                raise InputError(f"SRN {what} {value!r} is none of {', '.join(map(str, choices))}")
        if min(width, scales) < 1:
            raise InputError(f"SRN needs a width and scales of 1 or more, not {width} and {scales}")
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"SRN needs a kernel of odd side, not {kernel}")
        sides = FLAVOURS[flavour]
        build = _Builder(kernel, shortcuts)
        self.inblock = build.encoder(2 * channels, width, stride=1)
        self.eblock1 = build.encoder(width, 2 * width, stride=2)
        self.eblock2 = build.encoder(2 * width, 4 * width, stride=2)
        self.recurrence = RECURRENCES[recurrence](4 * width, sides["recurrence"])
        self.dblock2 = build.decoder(4 * width, upsampling, sides["upsampling"])
        self.dblock1 = build.decoder(2 * width, upsampling, sides["upsampling"])
        self.outblock = nn.Sequential(*build.blocks(width), build.conv(width, channels))
        self.channels, self.scales, self.residual = channels, scales, residual
        self.kernel = kernel
        self.enlarge_image = _enlarger(channels, between)
        remembered = 4 * width * STATES[recurrence]
        self.enlarge_state = _enlarger(remembered, between if remembered else "bilinear")
        self.multiple = 4 * 2 ** (scales - 1)  # of an image's sides: two strides, and the scales
        _initialise(self, sides["deviation"])

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels outside of which none changes an output pixel.

        A bound: the true one is a few pixels less, and what is far away counts for little.
        """
        around = self.kernel // 2  # of a layer
        apart = 2 * BLOCKS * around  # of residual blocks
        at_one_scale = around + apart  # from the output backwards
        at_one_scale = _halved(at_one_scale, around) + apart
        at_one_scale = _halved(at_one_scale, around) + 2 * apart + self.recurrence.kernel // 2
        # of two pixels that share one of half the size, the second is a pixel further from the left
        at_one_scale = 2 * at_one_scale + 1 + around + apart
        at_one_scale = 2 * at_one_scale + 1 + around + apart + around
        far = at_one_scale
        for _ in range(self.scales - 1):
            far = _halved(far) + at_one_scale
        return 2 * (far + 1) * 2 ** (self.scales - 1) - 1

    def forward(self, y: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Restore ``y`` ``(B, C, H, W)``; H and W are multiples of :attr:`multiple`.

        Returns:
            ``x_hat``; in training mode a list of one a scale, the finest first, for a loss over
            scales such as :func:`deblurlib.losses.mse_over_scales`.
        """
        blurred = [y]
        for _ in range(self.scales - 1):
            blurred.append(F.avg_pool2d(blurred[-1], 2))
        x_hats: list[torch.Tensor] = []
        state: torch.Tensor | None = None
        for b in reversed(blurred):
            # no gradient flows back through the image, but it does through the state
            before = self.enlarge_image(x_hats[-1].detach()) if x_hats else b
            state = None if state is None else self.enlarge_state(state)
            x_hat, state = self._at_one_scale(b, before, state)
            x_hats.append(x_hat)
        return x_hats[::-1] if self.training else x_hats[-1]

    def _at_one_scale(
        self, b: torch.Tensor, before: torch.Tensor, state: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        full = self.inblock(torch.cat([b, before], 1))
        half = self.eblock1(full)
        hidden, state = self.recurrence(self.eblock2(half), state)
        z = self.dblock2(hidden) + half
        z = self.dblock1(z) + full
        z = self.outblock(z)
        return (b + z if self.residual else z), state


class ResBlock(nn.Module):
    """Two convolutions with a ReLU between them, and the input added; no ReLU after that."""

    def __init__(self, width: int, kernel: int = 5):
        super().__init__()
        self.first = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z + self.second(torch.relu(self.first(z)))


@dataclass(frozen=True)
class _Builder:
    """Makes a network's parts, all with the same kernels and blocks."""

    kernel: int
    shortcuts: bool

    def conv(self, channels: int, width: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(channels, width, self.kernel, stride, self.kernel // 2)

    def blocks(self, width: int) -> list[nn.Module]:
        if self.shortcuts:
            return [ResBlock(width, self.kernel) for _ in range(BLOCKS)]
        plain = [(self.conv(width, width), nn.ReLU()) for _ in range(2 * BLOCKS)]
        return [layer for pair in plain for layer in pair]

    def encoder(self, channels: int, width: int, stride: int) -> nn.Sequential:
        """InBlock or EBlock: a convolution, then residual blocks."""
        return nn.Sequential(self.conv(channels, width, stride), nn.ReLU(), *self.blocks(width))

    def decoder(self, channels: int, upsampling: str, kernel: int) -> nn.Sequential:
        """DBlock: residual blocks, then twice the size and half the channels."""
        half = channels // 2
        up: list[nn.Module]
        if upsampling == "deconvolution":
            extra = kernel % 2  # an odd kernel needs a pixel more on one side
            up = [nn.ConvTranspose2d(channels, half, kernel, 2, (kernel - 1) // 2, extra)]
        elif upsampling == "sub-pixel":
            up = [self.conv(channels, 4 * half), nn.PixelShuffle(2)]
        else:
            enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            up = [enlarge, self.conv(channels, half)]
        return nn.Sequential(*self.blocks(channels), *up, nn.ReLU())


def _halved(far: int, around: int = 0) -> int:
    """How many pixels of half the size ``far`` pixels depend on, in any way of enlarging.

    Args:
        around: of the convolution that enlarges, or that follows.
    """
    return (far + 1) // 2 + max(2, around)


def _enlarger(channels: int, how: str) -> nn.Module:
    """Twice the size and as many channels, one of :data:`UPSAMPLINGS`."""
    if how == "deconvolution":
        return nn.ConvTranspose2d(channels, channels, 4, 2, 1)
    if how == "sub-pixel":
        return nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)


def _initialise(model: SRN, deviation: float | None) -> None:
    """Xavier's uniform distribution for the weights, 0 for the biases, as the original."""
    recurrent = set(model.recurrence.modules())
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if layer in recurrent and deviation is not None:
                nn.init.trunc_normal_(layer.weight, 0, deviation, -2 * deviation, 2 * deviation)
            else:
                nn.init.xavier_uniform_(layer.weight)
    if model.residual:
        nn.init.zeros_(cast(nn.Conv2d, model.outblock[-1]).weight)
