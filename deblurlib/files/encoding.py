"""Pictures written: photographs with all that belongs to them, and plain images."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from .. import images
from ..errors import InputError, require
from ..values import Array, check_restorable
from . import png, tiff
from .decoding import FORMATS, Photo
from .whole import write_whole

FLOATS = "holds no floating-point values; .tif does"
DEEP = ("PNG", "TIFF")  # formats of 16 bits a value
OPAQUE = ("JPEG", "BMP")  # formats without alpha
#: how each format is written: as much as it can hold, at no visible loss
QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
}


def check_suffix(path: Path) -> None:
    """Raise unless the suffix names a format that can be written."""
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: cannot be written; the suffix must be one of {known}")


def write_photo(path: str | os.PathLike[str], photo: Photo) -> tuple[str, ...]:
    """Write an image file whose suffix says the format, with its EXIF and profile.

    It appears whole or not at all. PNG and TIFF hold 16 bits; for the others, values are rounded to
    8. Only TIFF holds float32. JPEG and BMP hold no alpha: it is left out. BMP holds no EXIF: the
    picture is turned. Of the EXIF, a TIFF keeps what is in plain words, and the orientation. What a
    PNG says of its colours goes to PNG only, a TIFF's resolution to TIFF only.

    Returns:
        what the format cannot hold of what tells how the picture looks or how large it is.
    """
    path = Path(path)
    check_suffix(path)
    kind = FORMATS[path.suffix.lower()]
    floats = photo.pixels.dtype == np.float32
    require(not floats or kind == "TIFF", f"{path}: {FLOATS}")
    try:
        # in memory first: Pillow does not notice that a full disk took less than it was given
        file = io.BytesIO()
        if not floats and (photo.pixels.dtype != np.uint16 or kind not in DEEP):
            _write(file, kind, photo)
        elif kind == "PNG":
            png.write_deep(file, photo.pixels, photo.profile, photo.exif)
        else:
            exif = _exif(photo)
            tiff.write_deep(file, photo.pixels, photo.profile, exif, photo.resolution)
        data: bytes | memoryview = file.getbuffer()
        if kind == "PNG" and photo.words:
            data = png.insert(file.getvalue(), photo.words)
    except Exception as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    write_whole(path, data)
    return _lost(kind, photo)


def write_image(path: str | os.PathLike[str], x: Array) -> None:
    """Write an image; the suffix says the format. The file appears whole or not at all.

    Args:
        x: a tensor ``(C, H, W)`` of uint8, or of floats about in [0, 1], see
            :func:`deblurlib.values.check_restorable`, which are rounded to 8 bit. Or an array
            ``(H, W)`` or ``(H, W, C)``: of uint8 or uint16, which keep their bits as far as the
            format can; or of floats, in any unit as float32 into a TIFF, else as a tensor's.
    """
    if isinstance(x, np.ndarray):
        pixels = x if x.ndim == 3 else x[..., None]
        if x.dtype.kind == "f" and FORMATS.get(Path(path).suffix.lower()) != "TIFF":
            write_image(path, torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1))
            return
        native = pixels.astype(np.float32 if x.dtype.kind == "f" else x.dtype.newbyteorder("="))
        write_photo(path, Photo(native))
        return
    if x.is_floating_point():
        check_restorable(x)
    write_photo(path, Photo(images.to_array(x)))


def _lost(kind: str, photo: Photo) -> tuple[str, ...]:
    words = () if kind == "PNG" else png.meaning(photo.words, bool(photo.profile))
    lost = {
        "16 bits": photo.pixels.dtype == np.uint16 and kind not in DEEP,
        "alpha": photo.pixels.shape[-1] in (2, 4) and kind in OPAQUE,
        "the colour profile": bool(photo.profile) and kind == "BMP",
        "the resolution": photo.resolution is not None and kind != "TIFF",
    }
    return (*(what for what, is_lost in lost.items() if is_lost), *words)


def _exif(photo: Photo) -> Image.Exif:
    exif = Image.Exif()
    exif.load(photo.exif)
    return exif


def _write(file: io.BytesIO, kind: str, photo: Photo) -> None:
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if kind in OPAQUE and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    more: dict[str, Any] = {}
    if kind == "BMP":
        image.getexif().load(photo.exif)
        image = ImageOps.exif_transpose(image)
    elif kind == "TIFF":
        more["exif"] = tiff.with_resolution(_exif(photo), photo.resolution)
    elif photo.exif:
        more["exif"] = photo.exif
    if photo.profile and kind != "BMP":
        more["icc_profile"] = photo.profile
    image.save(file, kind, **QUALITY.get(kind, {}), **more)
