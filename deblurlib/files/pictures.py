"""One reader for every picture."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .. import images
from ..errors import InputError
from .writing import read_bytes, write_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MAX_PIXELS = 100_000_000  # more than any photograph; less than a decompression bomb


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image file's bytes to an upright RGB array.

    Grey becomes RGB, transparency is dropped, a palette is looked up, the EXIF orientation is
    applied. 16-bit PNG and TIFF stay 16-bit.

    Args:
        data: the file's content.
        name: what to call the image in an error.
        max_pixels: refuse larger images before their pixels are decoded.

    Returns:
        uint8 or uint16 array ``(H, W, 3)``.

    Raises:
        InputError: not an image, cut short, or larger than ``max_pixels``.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns below our own limit
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
        with image:
            width, height = image.size
            if width * height > max_pixels:
                raise InputError(
                    f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}"
                )
            deep = _bits_per_sample(image, data) == 16
            if image.mode == "F" or (image.mode == "I" and not deep):
                raise InputError(f"{name}: only images of 8 or 16 bits a value can be read")
            image.load()
            orientation = image.getexif().get(0x0112, 1)
            upright = None if deep else ImageOps.exif_transpose(image).convert("RGB")
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: not an image file that can be read") from None
    except Image.DecompressionBombError:
        raise InputError(f"{name}: more pixels than the limit of {max_pixels:,}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{name}: damaged image file ({error})") from None
    return _decode_16_bit(data, name, orientation) if deep else np.asarray(upright)


def _bits_per_sample(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]  # IHDR: bit depth
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (8,)))
    return 8


def _decode_16_bit(data: bytes, name: str, orientation: int) -> np.ndarray:
    # Pillow reads 16-bit colour as 8-bit, so OpenCV reads these; it ignores EXIF when unchanged.
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise InputError(f"{name}: damaged image file (16-bit data cannot be decoded)")
    if array.dtype != np.uint16:
        raise InputError(f"{name}: only images of 8 or 16 bits a value can be read")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    array = array[..., :3][..., ::-1]  # BGR(A) -> RGB
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def read_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Read an image file as a float32 RGB tensor ``(3, H, W)`` in [0, 1]; see :func:`decode`."""
    return images.to_tensor(decode(read_bytes(path), str(path), max_pixels))


def write_image(path: str | os.PathLike, x: torch.Tensor) -> None:
    """Write an image ``(C, H, W)`` in [0, 1], rounded to 8 bit; the suffix says the format.

    The file appears whole or not at all.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: cannot be written; the suffix must be one of {', '.join(SUFFIXES)}"
        )
    array = images.to_array(x)
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    # in memory first: Pillow does not notice that a full disk took less than it was given
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[path.suffix.lower()])
    write_whole(path, file.getbuffer())
