"""SRCNN: three to five convolutions from a degraded image to a restored one.

Dong, Loy, He, Tang, "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016; here
as S1 uses it, on blurred instead of enlarged images. Taught in chapter 02.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from ..errors import InputError
from ..images import centre_crop

#: The networks by their kernels' sides, first layer to last.
KERNELS = {
    "9-1-5": (9, 1, 5),
    "9-3-1-5": (9, 3, 1, 5),
    "9-5-1-5": (9, 5, 1, 5),
    "9-1-1-1-5": (9, 1, 1, 1, 5),
}
#: Filters of all layers but the last. ``paper``: 64 and 32 for 9-1-5; those of the deeper networks
#: are second-hand, from re-implementations. ``released``: S1's code.
WIDTHS = {
    "paper": {
        "9-1-5": (64, 32),
        "9-3-1-5": (64, 32, 16),
        "9-5-1-5": (64, 32, 16),
        "9-1-1-1-5": (64, 32, 32, 16),
    },
    "released": {
        "9-1-5": (128, 64),
        "9-3-1-5": (128, 64, 32),
        "9-5-1-5": (128, 64, 32),
        "9-1-1-1-5": (128, 64, 32, 16),
    },
}


class SRCNN(nn.Module, PyTorchModelHubMixin):
    """Convolutions with ReLU between them.

    Args:
        layers: a key of :data:`KERNELS`.
        widths: a key of :data:`WIDTHS`.
        channels: of the image, in and out; 1 for grey.
        dilation: of each layer; by default 1 throughout. S1's 9-3-1-5 with ``(1, 2, 1, 1)`` reaches
            as far as 9-5-1-5 and has no parameter more.
        residual: add the input to the output, so that the network learns the difference.
        padding: keep the size by padding each layer with zeros, as S1 does; else each output pixel
            has seen real ones only and a :attr:`margin` is lost, as in the paper's training.
        deviation: of the normal distribution that the first weights are drawn from, the biases
            being 0: 0.001 in the paper. By default they are PyTorch's.
    """

    multiple = 1  # images may have any size

    def __init__(
        self,
        layers: str = "9-1-5",
        widths: str = "paper",
        channels: int = 1,
        dilation: Sequence[int] | None = None,
        residual: bool = False,
        padding: bool = True,
        deviation: float | None = None,
    ):
        super().__init__()
        if layers not in KERNELS or widths not in WIDTHS:
            raise InputError(
                f"SRCNN {layers!r} with widths {widths!r}: layers are {', '.join(KERNELS)}, widths "
                f"are {', '.join(WIDTHS)}"
            )
        kernels = KERNELS[layers]
        dilation = (1,) * len(kernels) if dilation is None else tuple(dilation)
        if len(dilation) != len(kernels) or min(dilation) < 1:
            raise InputError(f"SRCNN {layers} needs {len(kernels)} dilations of 1 or more")
        sides = (channels, *WIDTHS[widths][layers], channels)
        convolutions = [
            nn.Conv2d(sides[i], sides[i + 1], k, padding="same" if padding else 0, dilation=d)
            for i, (k, d) in enumerate(zip(kernels, dilation, strict=True))
        ]
        self.layers = nn.ModuleList(convolutions)
        self.channels, self.residual = channels, residual
        self.receptive_field = 1 + sum(
            (k - 1) * d for k, d in zip(kernels, dilation, strict=True)
        )  # side of the square of input pixels that one output pixel depends on
        self.margin = 0 if padding else self.receptive_field // 2
        if deviation is not None:
            for layer in convolutions:
                nn.init.normal_(layer.weight, std=deviation)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``; without padding, less the margin at each side."""
        z = y
        for layer in self.layers[:-1]:
            z = torch.relu(layer(z))
        z = self.layers[-1](z)
        return centre_crop(y, *z.shape[-2:]) + z if self.residual else z
