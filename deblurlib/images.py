"""Reading, writing and converting images.

Inside the library an image is a float32 tensor ``(C, H, W)`` or a batch ``(B, C, H, W)`` in [0, 1];
files and data sets hold it as a uint8 or uint16 array ``(H, W, 3)``. Taught in chapter 01.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InputError

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


@contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the operating system says of a file into an :class:`InputError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a file; an :class:`InputError` names the file if it cannot be read."""
    with reading(path):
        return Path(path).read_bytes()


def read(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Read an image file as a float32 RGB tensor ``(3, H, W)`` in [0, 1]; see :func:`decode`."""
    return to_tensor(decode(read_bytes(path), str(path), max_pixels))


def write(path: str | os.PathLike, x: torch.Tensor) -> None:
    """Write an image ``(C, H, W)`` in [0, 1], rounded to 8 bit; the suffix says the format.

    The file appears whole or not at all: it is written beside its place and renamed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: cannot be written; the suffix must be one of {', '.join(SUFFIXES)}"
        )
    array = to_array(x)
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        # in memory first: Pillow does not notice that a full disk took less than it was given
        file = io.BytesIO()
        image.save(file, Image.registered_extensions()[path.suffix.lower()])
        partial.write_bytes(file.getbuffer())
        os.replace(partial, path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)


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
    """Clamp to [0, 1] and round, half up, to the 256 levels of an 8-bit file.

    >>> quantise(torch.tensor([-0.1, 0.5 / 255, 1.2]))
    tensor([0.0000, 0.0039, 1.0000])
    """
    return (x.clamp(0, 1) * 255 + 0.5).floor() / 255


def to_array(x: torch.Tensor) -> np.ndarray:
    """Image ``(C, H, W)`` in [0, 1] -> uint8 array ``(H, W, C)``, clamped and rounded half up."""
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        raise InputError(f"an image must be (1 or 3, H, W), not {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        raise InputError("the image holds NaN or infinite values")
    array = quantise(x.detach()).mul(255).round().to(torch.uint8)
    return array.permute(1, 2, 0).cpu().numpy()


def luma(x: torch.Tensor) -> torch.Tensor:
    """The luma ``(..., 1, H, W)`` of RGB ``(..., 3, H, W)``, as MATLAB's ``rgb2ycbcr`` gives it.

    ITU-R BT.601 in its studio range: black is 16/255, white is 235/255. It is what the
    super-resolution papers score on. See :func:`grey` for a picture to look at.
    """
    red, green, blue = x.unbind(-3)
    return ((65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255).unsqueeze(-3)


def grey(x: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """Grey of RGB ``(..., 3, H, W)``: BT.601 weights, full range [0, 1], in equal ``channels``."""
    red, green, blue = x.unbind(-3)
    weighted = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([weighted] * channels, -3)


def centre_crop(x: torch.Tensor, height: int, width: int | None = None) -> torch.Tensor:
    """The middle ``height`` x ``width`` (default: square) of ``(..., H, W)``."""
    width = height if width is None else width
    if height > x.shape[-2] or width > x.shape[-1]:
        raise InputError(
            f"cannot cut {height} x {width} out of {x.shape[-2]} x {x.shape[-1]} pixels"
        )
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
