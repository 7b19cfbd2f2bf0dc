"""A photograph made smaller, with what its file says of its size. Taught in chapter 05."""

from __future__ import annotations

import struct
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from ..errors import require
from .decoding import Photo

#: EXIF's tags: pixels across and down in its own part and in the main one; pixels a unit
EXIF_IFD, OWN, MAIN, DENSITIES = 0x8769, (0xA002, 0xA003), (0x100, 0x101), (0x11A, 0x11B)


def reduce(photo: Photo, side: int) -> Photo:
    """The photograph with ``side`` pixels on its longer side, by averaging areas.

    What its file says of its size in pixels, and of pixels an inch or a centimetre, is made to
    fit. A pixel counts as much as it is opaque. A photograph that is no larger is returned as it
    is.

    Args:
        side: pixels, 1 or more.

    Raises:
        InputError: no such side.
    """
    whole = isinstance(side, int) and side >= 1
    require(whole, f"the longer side must be a whole number of pixels, 1 or more, not {side}")
    height, width = photo.pixels.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return photo
    new = max(1, round(width * share)), max(1, round(height * share))
    across, down = new[0] / width, new[1] / height
    words = dict(photo.words)
    word = words.pop(b"pHYs", b"")
    if len(word) == 9:  # a damaged one says nothing
        x, y, unit = struct.unpack(">IIB", word)
        densities = max(1, round(x * across)), max(1, round(y * down))
        words[b"pHYs"] = struct.pack(">IIB", *densities, unit)
    resolution = photo.resolution
    if resolution is not None:
        x, y, unit = resolution
        resolution = float(x) * across, float(y) * down, unit
    return replace(
        photo,
        pixels=_means(photo.pixels, new),
        exif=_of_size(photo.exif, new, (across, down)),
        words=words,
        resolution=resolution,
    )


def _means(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The means of areas; of colours, weighted by their alpha."""

    def smaller(values: np.ndarray) -> np.ndarray:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)

    if pixels.shape[-1] in (1, 3):
        return smaller(pixels)
    alpha = pixels[..., -1:].astype(np.float32)
    means = smaller(alpha)
    colours = smaller(pixels[..., :-1] * alpha) / np.maximum(means, 1e-6)
    both = np.concatenate([np.where(means > 0, colours, 0), means], -1)
    return np.floor(both + 0.5).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def _of_size(exif: bytes, size: tuple[int, int], shares: tuple[float, float]) -> bytes:
    """EXIF that says this size, if it says any, and pixels a unit that fit it."""
    tags = Image.Exif()
    tags.load(exif)
    own = tags.get_ifd(EXIF_IFD)
    if not any(tag in own for tag in OWN) and not any(tag in tags for tag in (*MAIN, *DENSITIES)):
        return exif
    for there, names in ((own, OWN), (tags, MAIN)):
        there.update({tag: value for tag, value in zip(names, size, strict=True) if tag in there})
    for tag, share in zip(DENSITIES, shares, strict=True):
        if tag in tags:
            tags[tag] = float(tags[tag]) * share
    return tags.tobytes()
