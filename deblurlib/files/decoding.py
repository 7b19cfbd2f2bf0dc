"""One reader for every picture: JPEG, PNG, TIFF, WebP and BMP, by content and not by name.

Restoring, data sets, pairs, evaluation and frames all read through :func:`read`. What it gives is
right, or it is refused in one sentence; nothing else comes out of it, whatever the bytes.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from .. import images
from ..errors import InputError
from . import png, tiff
from .whole import read_bytes

#: suffix -> format, of what is read and written; others are not even tried
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP"}
FORMATS |= {".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
#: The suffixes of :data:`FORMATS`.
SUFFIXES = tuple(FORMATS)
MAX_PIXELS = 100_000_000  # more than any photograph; less than a decompression bomb
PHONE = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")  # brands
GREYS = ("1", "L", "LA", "La")  # Pillow's modes; of the third, colours that are converted
SEE_THROUGH = ("LA", "PA", "La", "RGBA", "RGBa")
CONVERTED = ("CMYK", "YCbCr", "LAB", "HSV")
PLAIN = ("P", "RGB", "RGBX")


@dataclass(frozen=True, eq=False)
class Photo:
    """An image file's pixels as stored, not turned, and what else belongs to them."""

    #: (H, W, C), uint8 or uint16; grey, grey + alpha, RGB or RGBA. Of read_planes, float32, too
    pixels: np.ndarray
    exif: bytes = b""  # with the orientation
    profile: bytes = b""  # ICC
    #: what a PNG's own chunks say of colours and resolution: name -> content
    words: Mapping[bytes, bytes] = field(default_factory=dict)
    resolution: tuple | None = None  # of a TIFF: pixels a unit across, down; the unit's number

    def upright(self) -> np.ndarray:
        """The pixels as networks see them: RGB ``(H, W, 3)``, without alpha, turned upright."""
        array = self.pixels
        array = array[..., :3] if array.shape[-1] > 2 else np.repeat(array[..., :1], 3, -1)
        turn = orientation(self.exif)
        if turn in (5, 6, 7, 8):
            array = array.swapaxes(0, 1)
        if turn in (2, 3, 6, 7):
            array = array[:, ::-1]
        if turn in (3, 4, 7, 8):
            array = array[::-1]
        return np.ascontiguousarray(array)

    def as_stored(self, array: np.ndarray) -> np.ndarray:
        """An upright array ``(h, w)``, such as a kernel of :meth:`upright`, turned back."""
        turn = orientation(self.exif)
        array = array[::-1] if turn in (3, 4, 7, 8) else array
        array = array[:, ::-1] if turn in (2, 3, 6, 7) else array
        return np.ascontiguousarray(array.T if turn in (5, 6, 7, 8) else array)


def orientation(exif: bytes) -> int:
    """EXIF's code, 1 to 8, of how a picture is to be turned; 1 is not at all, and the default."""
    tags = Image.Exif()
    tags.load(exif)
    return tags.get(tiff.ORIENTATION, 1)


def read(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read an image file's bytes.

    A palette is looked up; CMYK and other colour spaces become RGB and lose their profile. 16 bits
    of PNG and TIFF stay 16, 12 are spread over 16, fewer than 8 become 8. A TIFF is turned upright.

    Args:
        data: the file's content.
        name: what to call the image in an error.
        max_pixels: refuse larger images before their pixels are decoded.

    Raises:
        InputError: not an image of these formats, damaged, several pictures, larger than
            ``max_pixels``, or of a kind that cannot be read right.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it says, we say
    try:
        # Pillow warns below our own limit, and of damaged metadata
        with warnings.catch_warnings(action="ignore"):
            return _read(data, name, max_pixels)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: {_what(data)}") from None
    except Image.DecompressionBombError:
        raise InputError(f"{name}: more pixels than the limit of {max_pixels:,}") from None
    except MemoryError:
        raise InputError(f"{name}: not enough memory to read it") from None
    except Exception as error:  # the readers of damaged files raise all kinds
        raise InputError(f"{name}: damaged image file ({error})") from None


def _what(data: bytes) -> str:
    """What a file is that is none of the formats, in words."""
    others = {
        "HEIC or AVIF": data[4:8] == b"ftyp" and data[8:12] in PHONE,
        "GIF": data[:4] == b"GIF8",
    }
    for kind, found in others.items():
        if found:
            return f"{kind} cannot be read; save it as JPEG or PNG first"
    return "not an image file that can be read"


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image file's pixels, upright RGB ``(H, W, 3)``, uint8 or uint16; see :func:`read`."""
    return read(data, name, max_pixels).upright()


def read_photo(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Photo:
    """Read an image file with all that belongs to it; see :func:`read`."""
    return read(read_bytes(path), str(path), max_pixels)


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Read an image file as a float32 RGB tensor ``(3, H, W)`` in [0, 1]; see :func:`read`."""
    return images.to_tensor(read_photo(path, max_pixels).upright())


def _read(data: bytes, name: str, max_pixels: int) -> Photo:
    chunks, whole = png.split(data) if data.startswith(png.SIGNATURE) else ([], True)
    depth, colour_type = (data[24], data[25]) if chunks else (8, png.RGB)  # in its IHDR
    wanted = png.for_pixels(chunks, colour_type)
    seen = png.join(wanted) if whole and len(wanted) < len(chunks) else data
    with Image.open(io.BytesIO(seen), formats=sorted(set(FORMATS.values()))) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise InputError(
                f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}"
            )
        # phones put a second picture behind a JPEG, for depth or motion; it is not the photograph
        count = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        if count > 1:
            raise InputError(f"{name}: holds {count} pictures; save those you want one by one")
        is_tiff = image.format == "TIFF"
        if is_tiff:
            depth = tiff.check(image, name, data)
        resolution = tiff.resolution(image) if is_tiff else None
        profile = png.profile(chunks) or image.info.get("icc_profile") or b""
        image.load()
        if not whole:
            raise InputError(f"{name}: damaged image file (it is cut short)")
        if chunks:
            png.check(chunks, name)
        if depth > 8:
            pixels = _deep(image, seen, name, depth, colour_type)
        else:
            pixels, converted = _shallow(image, name)
            profile = b"" if converted else profile
        pixels = png.with_alpha(pixels, chunks, depth, colour_type)
        return Photo(pixels, _exif(image, is_tiff), profile, png.kept(chunks), resolution)


def _shallow(image: Image.Image, name: str) -> tuple[np.ndarray, bool]:
    """Pixels of 8 bits, and whether their colours were converted."""
    if image.mode not in (*GREYS, *SEE_THROUGH, *CONVERTED, *PLAIN):
        raise InputError(f"{name}: only images of 8 or 16 bits a value can be read")
    colours: Any = image.palette
    if image.mode == "P" and cast(Any, image.getextrema())[1] >= len(colours.palette) // 3:
        raise InputError(f"{name}: damaged image file (colours of its palette are missing)")
    see_through = image.mode in SEE_THROUGH or "transparency" in image.info
    colour = "L" if image.mode in GREYS else "RGB"
    pixels = np.asarray(image.convert(colour + "A" if see_through else colour))
    return pixels.reshape(*pixels.shape[:2], -1), image.mode in CONVERTED


def _deep(image: Image.Image, data: bytes, name: str, depth: int, colour_type: int) -> np.ndarray:
    """Pixels of more than 8 bits, spread over 16."""
    if depth == 12:
        values = np.asarray(image).astype(np.uint32)
        return ((values * 65535 + 2047) // 4095).astype(np.uint16)[..., None]
    # Pillow reads 16-bit colour as 8-bit
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise InputError(f"{name}: damaged, or a kind of 16-bit image that cannot be read")
    pixels: np.ndarray = array.reshape(*array.shape[:2], -1)
    if pixels.shape[-1] > 2:
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[-1])]]  # BGR(A) -> RGB(A)
    by_pillow = np.asarray(image)
    by_pillow = by_pillow.reshape(*by_pillow.shape[:2], -1)
    if image.format == "PNG" and colour_type == png.GREY_ALPHA:  # both know no such mode
        pixels, by_pillow = pixels[..., [0, 3]], by_pillow[..., [0, -1]]
    # two readers that see the same see what is there
    by_opencv = (
        pixels if by_pillow.dtype.itemsize > 1 else (pixels >> 8)[..., : by_pillow.shape[-1]]
    )
    if not np.array_equal(by_opencv, by_pillow):
        raise InputError(f"{name}: damaged, or a kind of 16-bit image that cannot be read")
    return pixels[..., : by_pillow.shape[-1]]


def _exif(image: Image.Image, is_tiff: bool) -> bytes:
    exif = image.getexif()
    if exif.get(tiff.ORIENTATION, 1) not in range(1, 9):  # as some programs write it
        del exif[tiff.ORIENTATION]
    if is_tiff:  # whose pixels have been turned upright by whoever read them
        stored, exif = exif, Image.Exif()
        exif.update({tag: stored[tag] for tag in tiff.TOLD if tag in stored})
    data = exif.tobytes() if len(exif) else b""
    orientation(data)  # what cannot be read again fails here
    return data
