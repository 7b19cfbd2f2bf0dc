"""A photograph made smaller, with what its file says of its size. Taught in chapter 05."""

from __future__ import annotations

import struct
from dataclasses import replace

import cv2
from PIL import Image

from ..errors import require
from .decoding import Photo

EXIF_IFD, PIXELS_ACROSS, PIXELS_DOWN = 0x8769, 0xA002, 0xA003


def reduce(photo: Photo, side: int) -> Photo:
    """The photograph with ``side`` pixels on its longer side, by averaging areas.

    What its file says of its size in pixels, and of pixels an inch or a centimetre, is made to
    fit. A photograph that is no larger is returned as it is.

    Args:
        side: pixels, 1 or more.

    Raises:
        InputError: no such side.
    """
    require(side >= 1, f"the longer side must be 1 pixel or more, not {side}")
    height, width = photo.pixels.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return photo
    new = max(1, round(width * share)), max(1, round(height * share))
    pixels = cv2.resize(photo.pixels, new, interpolation=cv2.INTER_AREA)
    across, down = new[0] / width, new[1] / height
    words = dict(photo.words)
    if b"pHYs" in words:
        x, y, unit = struct.unpack(">IIB", words[b"pHYs"])
        words[b"pHYs"] = struct.pack(">IIB", round(x * across), round(y * down), unit)
    resolution = photo.resolution
    if resolution is not None:
        x, y, unit = resolution
        resolution = float(x) * across, float(y) * down, unit
    return replace(
        photo,
        pixels=pixels.reshape(*pixels.shape[:2], -1),
        exif=_of_size(photo.exif, new),
        words=words,
        resolution=resolution,
    )


def _of_size(exif: bytes, size: tuple[int, int]) -> bytes:
    """EXIF that says this size, if it says any."""
    tags = Image.Exif()
    tags.load(exif or None)
    about = tags.get_ifd(EXIF_IFD)
    if PIXELS_ACROSS not in about and PIXELS_DOWN not in about:
        return exif
    about[PIXELS_ACROSS], about[PIXELS_DOWN] = size
    return tags.tobytes()
