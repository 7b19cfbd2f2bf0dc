"""What the numbers of an image stand for: [0, 1], or what 8 or 16 bits hold.

What comes from outside is looked at here, so that 0..255 is never taken for [0, 1] unsaid.
Taught in chapter 01.
"""

from __future__ import annotations

import numpy as np
import torch

from .errors import InputError, require

__all__ = ["as_batch", "as_floats", "as_levels", "check_restorable", "scorable"]

ROUNDING = 1e-5  # of the range: how far beyond it a sharp image's floats may lie
#: how far beyond [0, 1] the values of an image to restore may lie on average, and half of those of
#: a restoration; and how far any value of the former
STRAY, FARTHEST = 0.05, 0.75
#: numbers of a user's
Array = torch.Tensor | np.ndarray
LEVELS = (torch.uint8, torch.uint16)
CURE = "clamp or scale them; 0..255 is to be divided by 255"


def as_floats(
    z: torch.Tensor, data_range: float = 1.0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """uint8 read as 0..255, uint16 as 0..65535, in [0, ``data_range``]; floats stay as they are.

    Any shape, which is kept.
    """
    if z.is_floating_point():
        return z
    require(z.dtype in LEVELS, f"image values are floats, uint8 or uint16, not {z.dtype}")
    # by a tensor, for by a number a GPU divides only nearly: equal images must stay equal
    unit = torch.full((), torch.iinfo(z.dtype).max / data_range, dtype=dtype, device=z.device)
    return z.to(dtype) / unit


def as_levels(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The inverse of :func:`as_floats`, of values in [0, 1]: rounded half up to uint8 or uint16.

    Any shape, which is kept.
    """
    return (x * torch.iinfo(dtype).max + 0.5).floor().to(dtype)


def as_batch(y: Array) -> torch.Tensor:
    """A batch as a tensor of floats; no value is looked at, for that waits for a GPU.

    Args:
        y: ``(B, C, H, W)``; uint8 and uint16 are scaled to [0, 1]. A tensor of floats is returned
            as it is, an array's become float32, or float64 if they are of that type.
    """
    if not isinstance(y, np.ndarray):
        return as_floats(y) if y.dtype in LEVELS else y
    known = y.dtype.kind == "f" or y.dtype in (np.uint8, np.uint16)
    require(
        known and y.ndim == 4,
        f"images are (B, C, H, W), of floats, uint8 or uint16, not {y.shape} of {y.dtype}",
    )
    if y.dtype.kind == "f":
        return torch.from_numpy(y.astype(np.float64 if y.dtype.itemsize >= 8 else np.float32))
    return as_floats(torch.from_numpy(y.copy()))


def check_restorable(y: torch.Tensor) -> None:
    """An error unless these floats are those of an image to restore: about in [0, 1].

    Noise is not clipped, and so may lie outside; 0.05 on average is what noise of a standard
    deviation of 0.12 comes to on a black image, and less on any other; and none of it is further
    than 0.75. Images of another unit, 0..255 or -1..1, are further off. Any shape.
    """
    require(y.numel() > 0, "the image is empty")
    low, high = (limit.item() for limit in y.aminmax())
    if low >= 0 and high <= 1:
        return
    require(bool(torch.isfinite(y).all()), "the image holds NaN or infinite values")
    stray = (y - y.clamp(0, 1)).abs().mean(dtype=torch.float64).item()
    require(
        stray <= STRAY and low >= -FARTHEST and high <= 1 + FARTHEST,
        f"the image's values, {low:.4g} to {high:.4g}, are not within [0, 1]: {CURE}",
    )


def scorable(
    x_hat: torch.Tensor, x: torch.Tensor, data_range: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """A restoration and the sharp image as floats of one unit, if they can be.

    uint8 is read as 0..255, uint16 as 0..65535, and scaled to [0, ``data_range``]. Floats stay as
    they are: those of ``x`` must lie in [0, ``data_range``]. A restoration may hold NaN, and it may
    leave the range, for it may ring; but if more than half of its values do, by a twentieth of the
    range, or all do by more than half the range on average, it is of another unit, or no image:
    clamp it if it is to be scored all the same, as a file would. Any shapes, which are kept.

    Raises:
        InputError: values that are not in the range, or of another type.
    """
    mixed = {z.is_floating_point() for z in (x_hat, x)} == {True, False}
    double = torch.float64 in (x_hat.dtype, x.dtype)
    dtype = torch.float64 if double else torch.float32
    x_hat, x = (as_floats(z, data_range, dtype) for z in (x_hat, x))
    cure = f"not within [0, {data_range:g}]: {CURE}, and psnr and ssim also take data_range=255"
    slack = ROUNDING * data_range
    low, high = (limit.item() for limit in x.detach().aminmax())
    if not (low >= -slack and high <= data_range + slack):  # NaN is not
        raise InputError(f"the sharp image's values, {low:.4g} to {high:.4g}, are {cure}")
    if mixed and data_range >= 2 and 0 < high <= 1:
        raise InputError(f"the sharp image's values, {low:.4g} to {high:.4g}, are {cure}")
    low, high = (limit.item() for limit in x_hat.detach().aminmax())
    if low < 0 or high > data_range:
        excess = (x_hat - x_hat.clamp(0, data_range)).detach().abs() / data_range
        if (excess > STRAY).double().mean() > 0.5 or excess.double().mean() > 0.5:
            raise InputError(
                f"most of the restoration's values, {low:.4g} to {high:.4g}, are {cure}"
            )
    return x_hat, x
