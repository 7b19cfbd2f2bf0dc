"""Images as numbers: converted, rounded, made grey, reduced, cropped.

Inside the library an image is a float32 tensor ``(C, H, W)`` or a batch ``(B, C, H, W)`` in [0, 1];
files and data sets hold it as a uint8 or uint16 array ``(H, W, 3)``. Taught in chapter 01.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from .errors import InputError, require

__all__ = [
    "centre_crop",
    "from_standardised",
    "grey",
    "luma",
    "quantise",
    "reduce",
    "standardise",
    "to_array",
    "to_tensor",
]

#: mean and standard deviation of ImageNet's images in [0, 1]: red, green, blue; as torchvision's
#: documentation gives them
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

ROUNDING = 1 / 255 / 12**0.5  # standard deviation of what rounding to 8 bit adds, :func:`quantise`


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Array ``(H, W)`` or ``(H, W, C)``, uint8 or uint16 -> float32 tensor ``(C, H, W)`` in [0, 1].

    >>> to_tensor(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f"an image array must be uint8 or uint16, not {array.dtype}")
    if array.ndim == 2:
        array = array[..., None]
    scale = np.float32(np.iinfo(array.dtype).max)
    return torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32) / scale)


def quantise(x: torch.Tensor) -> torch.Tensor:
    """Clamp floats to [0, 1] and round them, half up, to the 256 levels of an 8-bit file.

    Any shape, which is kept.

    >>> quantise(torch.tensor([-0.1, 0.5 / 255, 1.2]))
    tensor([0.0000, 0.0039, 1.0000])
    """
    require(x.is_floating_point(), f"what is rounded are floats in [0, 1], not {x.dtype}")
    x = x if x.dtype in (torch.float32, torch.float64) else x.float()
    return (x.clamp(0, 1) * 255 + 0.5).floor() / 255


def to_array(x: torch.Tensor) -> np.ndarray:
    """Image ``(C, H, W)`` -> uint8 array ``(H, W, C)``.

    Args:
        x: floats in [0, 1], clamped and rounded half up; or uint8, which is taken as it is.
    """
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        raise InputError(f"an image must be (1 or 3, H, W), not {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        raise InputError("the image holds NaN or infinite values")
    array = x if x.dtype == torch.uint8 else quantise(x.detach()).mul(255).round().to(torch.uint8)
    return array.permute(1, 2, 0).cpu().numpy()


def luma(x: torch.Tensor) -> torch.Tensor:
    """The luma ``(..., 1, H, W)`` of RGB ``(..., 3, H, W)``, as MATLAB's ``rgb2ycbcr`` gives it.

    ITU-R BT.601 in its studio range: black is 16/255, white is 235/255. It is what the
    super-resolution papers score on. See :func:`grey` for a picture to look at.
    """
    red, green, blue = x.unbind(-3)
    return ((65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255).unsqueeze(-3)


def grey(x: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """Grey of RGB ``(..., 3, H, W)``: BT.601 weights, full range [0, 1], in equal ``channels``.

    Returns:
        ``(..., channels, H, W)``.
    """
    red, green, blue = x.unbind(-3)
    weighted = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([weighted] * channels, -3)


def standardise(x: torch.Tensor) -> torch.Tensor:
    """RGB ``(..., 3, H, W)`` less :data:`IMAGENET`'s mean, by its deviation: about -2.1 to 2.6.

    It suits networks that were trained on such values; the shape stays. Taught in chapter 04.
    """
    mean, deviation = (x.new_tensor(values)[:, None, None] for values in IMAGENET)
    return (x - mean) / deviation


def from_standardised(x: torch.Tensor) -> torch.Tensor:
    """The image whose :func:`standardise` is ``x``, ``(..., 3, H, W)``."""
    mean, deviation = (x.new_tensor(values)[:, None, None] for values in IMAGENET)
    return x * deviation + mean


def reduce(x: torch.Tensor, side: int) -> torch.Tensor:
    """``x`` ``(B, C, H, W)`` made smaller, 8-bit values: its shorter side gets ``side`` pixels.

    Each new pixel is the mean of those that it covers.

    Raises:
        InputError: the image is smaller than that.
    """
    height, width = x.shape[-2:]
    shorter = min(height, width)
    if shorter < side:
        raise InputError(f"an image of {height} x {width} pixels cannot be reduced to {side}")
    size = (round(height * side / shorter), round(width * side / shorter))
    return quantise(F.interpolate(x, size, mode="area"))


def centre_crop(x: torch.Tensor, height: int, width: int | None = None) -> torch.Tensor:
    """The middle ``height`` x ``width`` (default: square) of ``(..., H, W)``."""
    width = height if width is None else width
    if height > x.shape[-2] or width > x.shape[-1]:
        raise InputError(
            f"cannot cut {height} x {width} out of {x.shape[-2]} x {x.shape[-1]} pixels"
        )
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
