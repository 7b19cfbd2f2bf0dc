"""Convolutional recurrent cells: what a network remembers from one scale to the next.

Each takes features ``z`` ``(B, C, H, W)`` and the state, ``None`` at first, already resized to
``z``; it returns what goes on through the network, and the new state. Taught in chapter 05.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["ConvGRU", "ConvLSTM", "ConvRNN"]


class NoRecurrence(nn.Module):
    """Passes everything on and remembers nothing."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = 1

    def forward(self, z: torch.Tensor, state: None) -> tuple[torch.Tensor, None]:
        return z, None


class ConvRNN(nn.Module):
    """The plain cell: ``h = tanh(W [z, h])``."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        self.conv = nn.Conv2d(2 * channels, channels, kernel, padding=kernel // 2)

    def forward(
        self, z: torch.Tensor, state: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        state = torch.zeros_like(z) if state is None else state
        h = torch.tanh(self.conv(torch.cat([z, state], 1)))
        return h, h


class ConvGRU(nn.Module):
    """Cho et al., 2014, with convolutions: an update and a reset gate."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        self.gates = nn.Conv2d(2 * channels, 2 * channels, kernel, padding=kernel // 2)
        self.candidate = nn.Conv2d(2 * channels, channels, kernel, padding=kernel // 2)

    def forward(
        self, z: torch.Tensor, state: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        state = torch.zeros_like(z) if state is None else state
        update, reset = torch.sigmoid(self.gates(torch.cat([z, state], 1))).chunk(2, 1)
        new = torch.tanh(self.candidate(torch.cat([z, reset * state], 1)))
        h = update * state + (1 - update) * new
        return h, h


class ConvLSTM(nn.Module):
    """Shi et al., 2015, as the scale-recurrent network's code has it.

    One convolution makes the input gate, the candidate, the forget gate and the output gate, in
    this order; 1 is added to the forget gate before its sigmoid, so a fresh cell remembers.
    """

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        self.conv = nn.Conv2d(2 * channels, 4 * channels, kernel, padding=kernel // 2)

    def forward(
        self, z: torch.Tensor, state: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The state is ``[c, h]``, one after the other in the channels."""
        c, h = (torch.zeros_like(z),) * 2 if state is None else state.chunk(2, 1)
        i, j, f, o = self.conv(torch.cat([z, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(j)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, torch.cat([c, h], 1)


#: name -> class
RECURRENCES: dict[str, type[NoRecurrence | ConvRNN | ConvGRU | ConvLSTM]] = {
    "none": NoRecurrence,
    "rnn": ConvRNN,
    "gru": ConvGRU,
    "lstm": ConvLSTM,
}
#: name -> how many times as many channels as its features the state has
STATES = {"none": 0, "rnn": 1, "gru": 1, "lstm": 2}
