"""The kernel of a photograph, by its edges or by a lamp's streak, and what to think of it in words.

Taught in chapter 06.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import classical, images, psf
from ..errors import InputError
from ..files import Photo
from ..files.decoding import orientation
from .restoring import telling_pixels


@dataclass(frozen=True, eq=False)
class FoundKernel:
    """A kernel, and two sentences about it."""

    kernel: torch.Tensor  # (h, w), of the pixels as stored
    spread: str  # how large it is, and which way it goes
    certainty: str  # how sure it is


def kernel_by_edges(
    photo: Photo, name: str, size: int, device: torch.device | str = "cpu"
) -> FoundKernel:
    """The one kernel of a photograph, found by its edges: :func:`deblurlib.classical.find_kernel`.

    Args:
        name: what to call the photograph in an error.
        size: odd side of the kernel, pixels.
        device: where it is looked for.

    Raises:
        InputError: as of that function.
    """
    try:
        kernels, gains = classical.find_kernel(telling_pixels(photo.pixels, device), size)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    k = kernels[0].cpu()
    return FoundKernel(k, _spread(k, photo), _certainty(gains[0].item(), k))


def kernel_by_streak(photo: Photo, x: int, y: int, size: int) -> FoundKernel:
    """The kernel that a lamp shows at a place of the upright picture.

    See :func:`deblurlib.psf.from_streak`.
    """
    k = psf.from_streak(images.to_tensor(photo.upright()), y, x, size)
    k = torch.from_numpy(photo.as_stored(k.numpy()))
    return FoundKernel(k, _spread(k, photo), f"the streak at {x},{y}")


def _spread(k: torch.Tensor, photo: Photo) -> str:
    along, across, angle = psf.extent(k)
    degrees = round(angle)  # a whole number is neither -0 nor, as an axis has two ends, -90
    degrees = 90 if degrees == -90 else degrees
    text = f"{k.shape[1]} x {k.shape[0]} pixels; its light spreads by {along:.1f} pixels"
    # a round one has no direction
    way = f", at {degrees} degrees, and by {across:.1f} across" if along > 1.1 * across else ""
    turned = ", before a viewer turns the picture" if orientation(photo.exif) != 1 else ""
    return f"{text}{way} (standard deviations{turned})"


def _certainty(gain: float, k: torch.Tensor) -> str:
    if gain == 0:
        return (
            "no blur was found: no kernel makes the edges fewer and steeper; there may be none, or "
            "it is not the same everywhere"
        )
    text = f"with it, the edges become fewer and steeper by {gain:.0%}"
    if psf.deviation(k) < psf.HARDLY:
        text += "; but that is hardly a blur: sharp photographs look so, too"
    return text
