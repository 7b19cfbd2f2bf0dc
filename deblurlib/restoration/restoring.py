"""Any image, of any size and kind, restored in tiles; what comes back is of its kind.

Taught in chapter 05.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

import numpy as np
import torch
from PIL import Image

from .. import images, machine, values
from ..errors import InputError, InputWarning
from ..names import MethodName
from ..psf import as_kernel
from ..values import Array
from .lookup import find_method
from .method import Method
from .methods import WITH_KERNEL
from .telling import PIXELS, find_part
from .tiles import Progress, in_tiles

KINDS = (np.uint8, np.uint16)
FLOATS = (np.float16, np.float32, np.float64)
Take = Callable[[slice, slice], torch.Tensor]  # a part of an image, ``(B, C, h, w)`` in [0, 1]


@overload
def restore(
    image: torch.Tensor,
    method: MethodName | str | Method | None = None,
    kernel: Array | None = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
    clip: bool = True,
) -> torch.Tensor: ...


@overload
def restore(
    image: np.ndarray,
    method: MethodName | str | Method | None = None,
    kernel: Array | None = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
    clip: bool = True,
) -> np.ndarray: ...


@overload
def restore(
    image: Image.Image,
    method: MethodName | str | Method | None = None,
    kernel: Array | None = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
    clip: bool = True,
) -> Image.Image: ...


def restore(
    image: Array | Image.Image,
    method: MethodName | str | Method | None = None,
    kernel: Array | None = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
    clip: bool = True,
) -> Array | Image.Image:
    """Restore one image of any size; what comes back is of its size and kind.

    A method that finds the kernel, such as ``blind-edges``, finds it once, in the whole image or
    its most telling megapixel; and then restores in tiles with it. :func:`with_found_kernel` gives
    the kernel.

    Args:
        image: a tensor ``(C, H, W)`` or ``(B, C, H, W)`` of 1 or 3 channels; an array ``(H, W)`` or
            ``(H, W, C)`` of 1 to 4 channels, the second or fourth being alpha, which is kept; or a
            Pillow image of mode L, LA, RGB or RGBA, whose pixels come back alone, without its EXIF:
            turn it upright before. Tensors and arrays are uint8 (0..255), uint16 (0..65535) or
            floats in [0, 1], which noise may leave: see :func:`deblurlib.values.check_restorable`.
        method: a name, see :func:`deblurlib.restoration.find_method`, or a method; by default
            ``srn`` or, with a kernel, ``richardson-lucy-tv``.
        kernel: for a method that needs it, ``(h, w)``, see :func:`deblurlib.psf.as_kernel`.
        device: see :func:`deblurlib.machine.device`; by default that of the method's model; for a
            name, that of a tensor, and for other images what ``"auto"`` means.
        tile: side of a tile, pixels: less needs less memory.
        progress: is told the share of the work that is done.
        clip: ``False`` leaves floats above 1, for a point is brighter than its blur, and 1 need not
            be the brightest that a picture of another unit can hold.

    Returns:
        values within [0, 1], or rounded half up to those of its kind.

    Raises:
        InputError: not such an image, empty, with values that are not numbers, or of 0..255 or
            another range in floats; no kernel.
    """
    if method is None:
        method = "srn" if kernel is None else WITH_KERNEL
    options = (kernel, tile, progress, clip)
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            raise InputError(f"a Pillow image must be L, LA, RGB or RGBA, not {image.mode}")
        return Image.fromarray(_restore_array(np.asarray(image), method, device, *options))
    if isinstance(image, np.ndarray):
        return _restore_array(image, method, device, *options)
    if isinstance(image, torch.Tensor):
        return _restore_tensor(image, method, device, *options)
    raise InputError(f"an image is a tensor, an array or a Pillow image, not {type(image)}")


def with_found_kernel(
    image: np.ndarray, method: MethodName | str | Method, device: torch.device | str | None = None
) -> tuple[Method, torch.Tensor | None]:
    """The method that restores one image with the kernel that was found in it, and that kernel.

    ``restore(image, *with_found_kernel(image, method))`` is ``restore(image, method)`` of a method
    that finds the kernel. Taught in chapter 06.

    Args:
        image: an array as :func:`restore` takes it.
        method, device: see :func:`restore`.

    Returns:
        as :meth:`deblurlib.restoration.Method.for_image` gives them; the kernel ``(h, w)``, or
        ``None`` if the method finds none.

    Raises:
        InputError: the image is no array, or not such a one.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image to find a kernel in is an array, not {type(image)}")
    seen = _seen(image)
    found, device, _ = _ready(method, device or machine.device(), device, None)
    found, kernels = _found(found, _taker(seen, device), seen.shape[:2])
    return found, None if kernels is None else kernels[0]


def telling_pixels(
    pixels: np.ndarray, device: torch.device | str = "cpu", most: int = PIXELS
) -> torch.Tensor:
    """The part ``(1, C, h, w)`` of a photograph's pixels ``(H, W, C)`` that tells most of its blur.

    Of ``most`` pixels at most; see :func:`deblurlib.restoration.telling.find_part`. Alpha is left
    out.
    """
    take = _taker(_seen(pixels), device)
    return take(*find_part(take, pixels.shape[:2], most))


def tile_difference(
    image: torch.Tensor,
    method: Method,
    tile: int,
    kernel: Array | None = None,
) -> float:
    """PSNR in dB, of 8-bit values, between an image ``(C, H, W)`` restored in tiles and whole.

    Image and kernel are those of :func:`restore`. Infinite where they are equal.
    """
    image = values.as_floats(image)
    kernel = None if kernel is None else as_kernel(kernel)  # warns once of what it mends
    whole = images.quantise(method(image[None], kernel)[0])
    tiled = images.quantise(restore(image, method, kernel, tile=tile))
    return -10 * (whole - tiled).double().square().mean().log10().item()


def _ready(
    method: str | Method,
    best: torch.device | str,
    asked: torch.device | str | None,
    kernel: Array | None,
) -> tuple[Method, torch.device | str, torch.Tensor | None]:
    """The method, the device it works on, and the kernel there."""
    if isinstance(method, str):
        method = find_method(method, best)
    device = best if method.device is None else method.device
    device = device if asked is None else machine.device(asked)
    if kernel is not None and method.blind:
        why = f"the method {method.name} has no use for the kernel, and restores without it"
        warnings.warn(why, InputWarning, stacklevel=4)
    return method, device, None if kernel is None else as_kernel(kernel).to(device)


def _found(
    method: Method, take: Take, size: Sequence[int], kernel: torch.Tensor | None = None
) -> tuple[Method, torch.Tensor | None]:
    """The method and the kernel that restore any tile of an image; see ``Method.for_image``."""
    if method.find_kernel is None:
        return method, kernel
    return method.for_image(take(*find_part(take, size)))


def _restore_tensor(
    image: torch.Tensor,
    named: str | Method,
    asked: torch.device | str | None,
    known: Array | None,
    tile: int | None,
    progress: Progress,
    clip: bool,
) -> torch.Tensor:
    floats = image.is_floating_point()
    supported = floats or image.dtype in values.LEVELS
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or not supported:
        raise InputError(
            "an image tensor is of floats, uint8 or uint16, (C, H, W) or (B, C, H, W) with 1 or 3 "
            f"channels, not {tuple(image.shape)} of {image.dtype}"
        )
    if image.numel() == 0:
        raise InputError("the image is empty")
    if floats:
        values.check_restorable(image)
    method, device, kernel = _ready(named, asked or image.device, asked, known)
    batch = image if image.ndim == 4 else image[None]
    x_hat = torch.empty(batch.shape)

    def take(rows: slice, columns: slice, some: slice = slice(None)) -> torch.Tensor:
        return values.as_floats(batch[some, :, rows, columns]).to(device, torch.float32)

    def put(rows: slice, band: torch.Tensor) -> None:
        x_hat[..., rows, :] = band.clamp(0, 1 if clip or not floats else None)

    if method.find_kernel is not None:
        # each in its own part, so that never all images are floats at once
        takers = [partial(take, some=slice(i, i + 1)) for i in range(len(batch))]
        found = [_found(method, one, batch.shape[-2:]) for one in takers]
        method, kernel = (
            found[0][0],
            torch.cat([kernels for _, kernels in found if kernels is not None]),
        )
    in_tiles(method, take, put, batch.shape[-2:], kernel, tile, progress)
    x_hat = x_hat.view(image.shape)
    return (x_hat if floats else values.as_levels(x_hat, image.dtype)).to(image)


def _restore_array(
    image: np.ndarray,
    named: str | Method,
    asked: torch.device | str | None,
    known: Array | None,
    tile: int | None,
    progress: Progress,
    clip: bool,
) -> np.ndarray:
    channels = image.shape[-1] if image.ndim > 2 else 1
    if not image.dtype.isnative:  # of another machine's byte order
        native = image.astype(image.dtype.newbyteorder("="))
        restored = _restore_array(native, named, asked, known, tile, progress, clip)
        return restored.astype(image.dtype)
    seen = _seen(image)
    method, device, kernel = _ready(named, asked or machine.device(), asked, known)
    x_hat = image.copy()  # alpha stays
    target = x_hat.reshape(*image.shape[:2], channels)[..., : seen.shape[-1]]

    def put(rows: slice, band: torch.Tensor) -> None:
        floats = image.dtype in FLOATS
        pixels = band[0].clamp(0, 1 if clip or not floats else None).permute(1, 2, 0)
        levels = pixels if floats else values.as_levels(pixels, getattr(torch, image.dtype.name))
        target[rows] = levels.numpy()

    take = _taker(seen, device)
    method, kernel = _found(method, take, image.shape[:2], kernel)
    in_tiles(method, take, put, image.shape[:2], kernel, tile, progress)
    return x_hat


def _seen(image: np.ndarray) -> np.ndarray:
    """The values of an array that are restored, ``(H, W, C)``, without alpha, if it is an image."""
    channels = image.shape[-1] if image.ndim > 2 else 1
    if not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    if image.dtype not in (*KINDS, *FLOATS) or image.ndim not in (2, 3) or channels > 4:
        raise InputError(
            "an image array is of floats, uint8 or uint16, (H, W) or (H, W, C) with 1 to 4 "
            f"channels, not {image.shape} of {image.dtype}"
        )
    if image.size == 0:
        raise InputError("the image is empty")
    seen = (image[..., None] if image.ndim == 2 else image)[..., : channels - (channels in (2, 4))]
    if image.dtype in FLOATS:
        values.check_restorable(torch.from_numpy(np.array(seen, order="C")))
    return seen


def _taker(seen: np.ndarray, device: torch.device | str) -> Take:
    """What gives parts of an array ``(H, W, C)`` as tensors."""

    def take(rows: slice, columns: slice) -> torch.Tensor:
        part = seen[rows, columns]
        if seen.dtype in FLOATS:
            return torch.from_numpy(part.transpose(2, 0, 1).astype(np.float32))[None].to(device)
        return images.to_tensor(part)[None].to(device)

    return take
