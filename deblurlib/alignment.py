"""A restoration moved to where it fits the sharp image best, to be scored there.

A kernel that is found, and not known, is known up to a shift, and the restored image is off by the
same shift; so papers on blind methods score after the best one: Levin, Weiss, Durand, Freeman,
"Understanding and evaluating blind deconvolution algorithms", CVPR 2009. Taught in chapter 06.
"""

from __future__ import annotations

import torch

from .errors import InputError

__all__ = ["align", "move"]

STEPS = (0.5, 0.25)  # by which a shift is refined, one after the other, pixels


def align(x_hat: torch.Tensor, x: torch.Tensor, most: int) -> torch.Tensor:
    """``x_hat`` moved by up to ``most`` pixels, down and right, to where it is nearest to ``x``.

    Nearest in the sum of squared differences, of the mean of the channels, without ``most`` pixels
    along each side: first over all whole shifts, then half and quarter pixels further. A whole
    shift changes no value; by a part of a pixel, a Fourier transform of the image and its mirror
    images interpolates. Every image of a batch is moved on its own.

    Args:
        x_hat, x: ``(B, C, H, W)``.
        most: pixels, 0 or more; 0 changes nothing.

    Returns:
        an image of the same size. Along each side ``most`` pixels do not count: they hold what the
        shift brought in.

    Raises:
        InputError: less than a pixel is left in the middle.
    """
    if not 0 <= 2 * most < min(x.shape[-2:]):
        raise InputError(
            f"shifts of up to {most} pixels leave nothing of {tuple(x.shape[-2:])} pixels"
        )
    if most == 0:
        return x_hat
    return torch.cat(
        [_aligned(*pair, most) for pair in zip(x_hat.split(1), x.split(1), strict=True)]
    )


def _aligned(x_hat: torch.Tensor, x: torch.Tensor, most: int) -> torch.Tensor:
    grey, sharp = (z.double().mean(1, keepdim=True) for z in (x_hat, x))
    inner = (..., slice(most, x.shape[-2] - most), slice(most, x.shape[-1] - most))

    def miss(shift: tuple[float, float]) -> float:
        return (move(grey, *shift)[inner] - sharp[inner]).square().sum().item()

    best: tuple[float, float] = _whole_shift(grey, sharp[inner], most)
    for step in STEPS:
        near = [(best[0] + i * step, best[1] + j * step) for i in (0, -1, 1) for j in (0, -1, 1)]
        best = min((one for one in near if max(map(abs, one)) <= most), key=miss)
    return move(x_hat, *best)


def _whole_shift(grey: torch.Tensor, inner: torch.Tensor, most: int) -> tuple[int, int]:
    """The best of all shifts by whole pixels: how far down and right the image is to be moved."""
    energy = torch.nn.functional.avg_pool2d(grey.square(), inner.shape[-2:], 1) * inner.numel()
    # sums of products for all places of the inner part in the image; places that leave it are cut
    size = grey.shape[-2:]
    product = torch.fft.rfft2(grey) * torch.fft.rfft2(inner, s=size).conj()
    products = torch.fft.irfft2(product, s=size)[..., : 2 * most + 1, : 2 * most + 1]
    row, column = divmod(int((energy - 2 * products).argmin()), 2 * most + 1)
    return most - row, most - column


def move(x: torch.Tensor, down: float, right: float) -> torch.Tensor:
    """Images ``(B, C, H, W)`` moved down and right, pixels; what leaves comes in opposite.

    A part of a pixel is interpolated by a Fourier transform, of the image and its mirror image, so
    that there is no step at the edge.
    """
    for axis, shift in ((-2, down), (-1, right)):
        whole = round(shift)
        if shift != whole:
            side = x.shape[axis]
            both = torch.cat([x, x.flip(axis)], axis)
            waves = torch.fft.rfft(both, dim=axis)
            turns = torch.fft.rfftfreq(2 * side, dtype=x.dtype, device=x.device) * (shift - whole)
            phase = torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)
            waves = waves * (phase[:, None] if axis == -2 else phase)
            x = torch.fft.irfft(waves, 2 * side, dim=axis).narrow(axis, 0, side)
        x = x.roll(whole, axis)
    return x
