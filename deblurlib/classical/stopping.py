"""Rules that end an iteration, and the noise level that the best of them needs.

A rule is a function ``rule(residual, x, previous)`` that returns, for each image of a batch,
whether to stop. Its arguments are ``(B, C, H, W)``:

- ``residual``: ``y - A x``. Pixels that do not count are 0 in it, and the others are scaled, so
  that its mean square is that of the pixels that count.
- ``x``: the image, with the pixels that the boundary adds around it.
- ``previous``: the same, one iteration before; ``None`` in the first iteration.

On a processor, a rule sees each image alone, from its first iteration, and several images may ask
it at once, so it must not remember anything. Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..errors import InputError
from ..values import Array, as_batch

Stop = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
NORMAL_MEDIAN = 0.6744897501960817  # of the absolute value, standard deviations


def discrepancy(sigma: float, factor: float = 1.0) -> Stop:
    """Stop when the residual is no larger than the noise: what is left may be noise alone.

    Morozov, "On the solution of functional equations by the method of regularization", 1966.

    Args:
        sigma: standard deviation of the noise, of values in [0, 1]; see :func:`estimate_noise`.
        factor: times ``sigma``; above 1, it stops earlier.
    """
    for name, value in (("sigma", sigma), ("factor", factor)):
        if torch.is_tensor(value) and value.numel() != 1:
            raise InputError(f"{name} must be one number; give each image a call of its own")
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be 0 or more, not {value}")

    def rule(
        residual: torch.Tensor, x: torch.Tensor, previous: torch.Tensor | None
    ) -> torch.Tensor:
        return residual.square().mean((1, 2, 3)) <= (factor * sigma) ** 2

    return rule


def settled(tolerance: float) -> Stop:
    """Stop when an iteration changes the image by no more than ``tolerance`` times its norm."""
    if not 0 < tolerance < math.inf:
        raise InputError(f"tolerance must be more than 0, not {tolerance}")

    def rule(
        residual: torch.Tensor, x: torch.Tensor, previous: torch.Tensor | None
    ) -> torch.Tensor:
        if previous is None:
            return torch.zeros(len(x), dtype=torch.bool, device=x.device)
        change = (x - previous).flatten(1).norm(dim=1)
        return change <= tolerance * previous.flatten(1).norm(dim=1)

    return rule


def estimate_noise(y: Array) -> torch.Tensor:
    """The standard deviation of white noise in each image ``(B, C, H, W)``: ``(B,)``.

    From the median of the finest diagonal differences, which a blur leaves little else in (Donoho
    and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994, with the
    Haar wavelet). It is 0 for an image less than 2 pixels wide or high.
    """
    y = as_batch(y)
    even = y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2]
    if even.numel() == 0:
        return y.new_zeros(len(y))
    a, b = even[..., ::2, ::2], even[..., ::2, 1::2]
    c, d = even[..., 1::2, ::2], even[..., 1::2, 1::2]
    detail = (a - b - c + d) / 2
    return detail.abs().flatten(1).median(1).values / NORMAL_MEDIAN


def unsaturated(y: Array, threshold: float = 0.99) -> torch.Tensor:
    """Weights ``(B, C, H, W)`` for a deconvolution: 0 where ``y`` is clipped, else 1.

    Where a sensor was full, ``y`` is not ``k * x``, and what rests on that rings around every lamp.

    Args:
        threshold: values from here on are taken to be clipped.
    """
    y = as_batch(y)
    return (y < threshold).to(y)
