"""A network that stands on another, for tests: ``models.MODELS["standing"]`` where it is set."""

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from deblurlib import models


class Standing(nn.Module, PyTorchModelHubMixin):
    """A convolution that sees the image, and what a trained SRCNN makes of it."""

    multiple, margin, receptive_field = 1, 0, 15

    def __init__(self, first: dict, channels: int = 3):
        super().__init__()
        self.first = models.SRCNN(**first)
        self.last = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.channels = channels

    def forward(self, y):
        return self.last(torch.cat([y, self.first(y)], 1))
