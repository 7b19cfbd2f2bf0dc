"""TIFF files: which of their many kinds can be read, and what is written with 16 bits."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import BinaryIO, cast

import numpy as np
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import InputError

ORIENTATION = 0x0112  # of EXIF, too
#: Tags that say something of the picture: description, make, model, software, date, artist,
#: copyright. The others say how its pixels are stored.
TOLD = (270, 271, 272, 305, 306, 315, 33432)
DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, UNIT = 270, 282, 283, 296
STRIP_OFFSETS, ROWS, STRIP_LENGTHS = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, FURTHER, SAMPLE_FORMAT = (
    258, 259, 262, 277, 284, 338, 339,
)  # fmt: skip
DEFLATE, BLOCK = (8, 32946), 2**20  # the compression and its old number; bytes at a time
LARGEST_PIXEL = 16  # bytes of a pixel as stored
WHOLE_NUMBERS, UNDEFINED, FLOATS, COMPLEX = 1, 4, 3, 6
GREY, RGB, YCBCR = 1, 2, 6  # photometric interpretations; 0 would be grey whose 0 is white
BY_IMAGEJ = "ImageJ="  # begins a description
ASSOCIATED = 1  # a further channel: alpha that the colours have been multiplied by


def check(image: Image.Image, name: str, data: bytes) -> int:
    """How many bits a value has, 8 or fewer, 12 or 16; an error where it cannot be read right.

    Args:
        data: the file's content.

    Deeper than 8 bits are read: grey, RGB, and RGB with alpha that is not multiplied in, of 16
    bits, their colours together; and grey of 12.
    """
    tags = cast(TiffImageFile, image).tag_v2
    bits, kinds = set(tags.get(BITS, (1,))), set(tags.get(SAMPLE_FORMAT, (WHOLE_NUMBERS,)))
    deepest = max(bits)
    if deepest > 16 or kinds & {FLOATS, COMPLEX}:
        raise InputError(f"{name}: only images of 8 or 16 bits a value can be read")
    if not kinds <= {WHOLE_NUMBERS, UNDEFINED}:
        raise InputError(f"{name}: a kind of TIFF that cannot be read; save it as PNG")
    count = pictures_said(str(tags.get(DESCRIPTION, "")))
    if count > 1:
        raise InputError(f"{name}: holds {count} pictures; save those you want one by one")
    width, height = image.size
    if tags.get(ORIENTATION, 1) > 4:  # the size is that of the turned image
        width, height = height, width
    check_parts(tags, (width, height), name, data)
    colour, samples = tags.get(PHOTOMETRIC), tags.get(SAMPLES, 1)
    if samples == 2 and tags.get(PLANES, 1) == 2:  # whose alpha Pillow finds elsewhere
        raise InputError(f"{name}: a kind of TIFF that cannot be read; save it as PNG")
    together = tags.get(PLANES, 1) == 1 and ASSOCIATED not in tags.get(FURTHER, ())
    packed = tags.get(COMPRESSION, 1) == 1
    is_16 = bits == {16} and (colour, samples) in ((GREY, 1), (RGB, 3), (RGB, 4)) and together
    is_12 = bits == {12} and (colour, samples) == (GREY, 1) and packed
    if colour == YCBCR and packed:  # which Pillow would take for RGB
        raise InputError(f"{name}: a kind of TIFF that cannot be read; save it as PNG")
    if deepest > 8 and not (is_16 or is_12):
        raise InputError(f"{name}: a kind of 16-bit TIFF that cannot be read; save it as PNG")
    return deepest


def pictures_said(description: str) -> int:
    """How many pictures a description of ImageJ's says there are; 1 if it says nothing."""
    said = re.search(r"(?m)^images=(\d{1,9})\b", description)
    return int(said[1]) if said and description.startswith(BY_IMAGEJ) else 1


def check_parts(tags: Mapping, size: tuple[int, int], name: str, data: bytes) -> None:
    """An error unless all strips, or tiles, are in the file and, of zip's kind, not damaged.

    Pillow and OpenCV take an offset of 0, as programs write it for a part that is not there, for
    the beginning of the file; and they do not look at checksums.

    Args:
        tags: of the picture: a number, or those of the parts.
        size: width and height as stored.
        data: the file's content.
    """
    width, height = size
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    lengths = tags.get(TILE_LENGTHS if tiled else STRIP_LENGTHS, ())
    if tiled:
        expected = -(-width // tags[TILE_WIDTH]) * -(-height // tags[TILE_HEIGHT])
    else:
        expected = -(-height // min(tags.get(ROWS, height), height))
    expected *= tags.get(SAMPLES, 1) if tags.get(PLANES, 1) == 2 else 1
    inside = all(
        start > 0 and 0 < length <= len(data) - start
        for start, length in zip(offsets, lengths, strict=False)
    )
    if min(len(offsets), len(lengths)) < expected or not inside:
        raise InputError(f"{name}: damaged image file (a part of it is not there)")
    left = LARGEST_PIXEL * width * height + 2**20 + 2**16 * expected  # parts may be the same bytes
    for start, length in zip(offsets, lengths, strict=False):
        if tags.get(COMPRESSION) in DEFLATE:
            unpacking, rest = zlib.decompressobj(), data[start : start + length]
            while rest and not unpacking.eof:
                # it raises if the checksum is wrong
                left -= len(unpacking.decompress(rest, BLOCK))
                rest = unpacking.unconsumed_tail
                if left < 0:
                    raise InputError(f"{name}: damaged image file (its parts are too large)")


def resolution(image: Image.Image) -> tuple | None:
    """The stored resolution: pixels per unit across and down, and the unit (1: none is named)."""
    tags = cast(TiffImageFile, image).tag_v2
    if X_RESOLUTION not in tags or Y_RESOLUTION not in tags:
        return None
    x, y = tags[X_RESOLUTION], tags[Y_RESOLUTION]
    if not all(math.isfinite(float(n)) for n in (x, y)):  # 0/0, as some programs write it
        return None
    return x, y, int(tags.get(UNIT, 2))


def with_resolution(exif: Image.Exif, resolution: tuple | None) -> Image.Exif:
    """What Pillow writes beside the pixels: what is told of the picture, and the resolution."""
    for tag in [tag for tag in exif if tag not in (*TOLD, ORIENTATION)]:
        del exif[tag]
    if resolution is not None:
        exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[UNIT] = resolution
    return exif


def write_deep(
    file: BinaryIO, pixels: np.ndarray, profile: bytes, exif: Image.Exif, resolution: tuple | None
) -> None:
    """Write uint16 or float32 pixels ``(H, W, C)``, for Pillow cannot."""
    with tifffile.TiffWriter(file) as writer:
        write_page(writer, pixels, profile, exif, resolution)


def write_page(
    writer: tifffile.TiffWriter,
    pixels: np.ndarray,
    profile: bytes,
    exif: Image.Exif,
    resolution: tuple | None,
    further: Iterable[tuple] = (),
) -> None:
    """Write pixels ``(H, W, C)`` of uint8, uint16 or float32 as the next page of a file.

    Args:
        further: tags as tifffile takes them, for what the EXIF does not hold.
    """
    if pixels.shape[-1] == 2:  # grey with alpha, which Pillow cannot read
        pixels = pixels[..., [0, 0, 0, 1]]
    colour = pixels.shape[-1] > 2
    words = [(tag, "s", 0, str(exif[tag]).encode(), True) for tag in TOLD if tag in exif]
    x, y, unit = resolution or (1, 1, 1)
    writer.write(
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        photometric="rgb" if colour else "minisblack",
        planarconfig=None if pixels.shape[-1] == 1 else "contig",
        extrasamples=["unassalpha"] if pixels.shape[-1] == 4 else None,
        compression="zlib",
        iccprofile=profile or None,
        resolution=(_ratio(x), _ratio(y)),
        resolutionunit=unit,
        software=False,
        extratags=[*words, *further, (ORIENTATION, "H", 1, exif.get(ORIENTATION, 1), True)],
        metadata=None,
    )


def _ratio(value: float) -> tuple[int, int]:
    numerator, denominator = getattr(value, "numerator", None), getattr(value, "denominator", None)
    if numerator is None or denominator is None:
        return round(float(value) * 10_000), 10_000
    return int(numerator), int(denominator)
