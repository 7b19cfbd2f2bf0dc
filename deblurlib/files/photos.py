"""Image files as photographers have them: 8 or 16 bit, grey, colour, alpha, profile, orientation.

:mod:`deblurlib.images` reads what a network wants; here bits, alpha, EXIF and profile stay.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageOps

from ..errors import InputError
from . import pictures
from .writing import read_bytes, write_whole

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
FORMATS |= {".tif": "TIFF", ".tiff": "TIFF", ".jfif": "JPEG"}
DEEP = ("PNG", "TIFF")  # formats of 16 bits a value
ORIENTATION = 0x0112  # of EXIF
#: EXIF that says something of the picture: description, make, model, software, date, artist,
#: copyright. A TIFF's other tags say how its pixels are stored.
TOLD = (270, 271, 272, 305, 306, 315, 33432)
#: of a TIFF: its colours lie apart; white is 0; the first further channel
PLANES, PHOTOMETRIC, FURTHER = 284, 262, 338
#: how each format is written: as much as it can hold, at no visible loss
QUALITY = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
}


@dataclass(frozen=True, eq=False)
class Photo:
    """An image file's pixels as stored, not turned, and what else belongs to them."""

    pixels: np.ndarray  # (H, W, C), uint8 or uint16; grey, grey + alpha, RGB or RGBA
    exif: bytes = b""  # with the orientation
    profile: bytes = b""  # ICC


def read_photo(path: str | os.PathLike, max_pixels: int = pictures.MAX_PIXELS) -> Photo:
    """Read an image file.

    A palette is looked up; CMYK and other colour spaces become RGB, and lose their profile.

    Raises:
        InputError: as of :func:`deblurlib.pictures.decode`; also a file of several pictures.
    """
    data = read_bytes(path)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it says, we say
    try:
        with warnings.catch_warnings(action="ignore"):
            # what is wrong with the file is said here; the pixels come below, as they are stored
            deep = pictures.decode(data, str(path), max_pixels).dtype == np.uint16
            with Image.open(io.BytesIO(data)) as image:
                return _read(image, data, deep, path)
    except InputError:
        raise
    except Exception as error:  # Pillow's readers of damaged metadata raise all kinds
        raise InputError(f"{path}: damaged image file ({error})") from None


def _read(image: Image.Image, data: bytes, deep: bool, path: str | os.PathLike) -> Photo:
    # phones put a second picture behind a JPEG, for depth or motion; it is not the photograph
    count = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    if count > 1:
        raise InputError(f"{path}: holds {count} pictures; save those you want one by one")
    profile = image.info.get("icc_profile") or b""
    if deep:
        if image.format == "TIFF" and _is_rare(image):
            raise InputError(f"{path}: a kind of 16-bit TIFF that cannot be read; save it as PNG")
        grey_and_alpha = image.format == "PNG" and data[25] == 4  # the colour type in its IHDR
        return Photo(_deep_pixels(data, grey_and_alpha), _exif(image), profile)
    image.load()
    see_through = image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if see_through else "L") if grey else ("RGBA" if see_through else "RGB")
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        profile = b""
    pixels = np.asarray(image.convert(mode))
    return Photo(pixels.reshape(*pixels.shape[:2], -1), _exif(image), profile)


def _is_rare(image: Image.Image) -> bool:
    """OpenCV reads these as if colours lay together, black were 0, alpha were not multiplied in."""
    tags = image.tag_v2
    premultiplied = 1 in tags.get(FURTHER, ())
    return tags.get(PLANES, 1) == 2 or tags.get(PHOTOMETRIC) == 0 or premultiplied


def _exif(image: Image.Image) -> bytes:
    exif = image.getexif()
    if image.format == "TIFF":  # whose pixels have been turned upright by whoever read them
        for tag in [tag for tag in exif if tag not in TOLD]:
            del exif[tag]
    return exif.tobytes() if len(exif) else b""


def _deep_pixels(data: bytes, grey_and_alpha: bool) -> np.ndarray:
    # Pillow reads 16-bit colour as 8-bit
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array.ndim == 2:
        return array[..., None]
    array = array[..., [2, 1, 0, *range(3, array.shape[-1])]]  # BGR(A) -> RGB(A)
    return array[..., [0, 3]] if grey_and_alpha else array


def write_photo(path: str | os.PathLike, photo: Photo) -> None:
    """Write an image file whose suffix says the format, with its EXIF and profile.

    It appears whole or not at all. PNG and TIFF hold 16 bits; for the others, values are rounded to
    8. JPEG and BMP hold no alpha: it is left out. BMP holds no EXIF: the picture is turned. Of the
    EXIF, a TIFF keeps what is in plain words, and the orientation; one of 16 bits, only this.
    """
    path = Path(path)
    check_suffix(path)
    suffix = path.suffix.lower()
    kind = FORMATS[suffix]
    try:
        file = io.BytesIO()
        if photo.pixels.dtype == np.uint16 and kind in DEEP:
            (_write_deep_png if kind == "PNG" else _write_deep_tiff)(file, photo)
        else:
            _write(file, kind, photo)
    except Exception as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    write_whole(path, file.getbuffer())


def check_suffix(path: Path) -> None:
    """Raise unless the suffix names a format that can be written."""
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: cannot be written; the suffix must be one of {known}")


def _write(file: io.BytesIO, kind: str, photo: Photo) -> None:
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if kind in ("JPEG", "BMP") and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    exif = image.getexif()
    exif.load(photo.exif or None)
    more = {}
    if kind == "BMP":
        image = ImageOps.exif_transpose(image)
    elif photo.exif:
        more["exif"] = photo.exif
        if kind == "TIFF":
            for tag in [tag for tag in exif if tag not in (*TOLD, ORIENTATION)]:
                del exif[tag]
            more["exif"] = exif
    if photo.profile and kind != "BMP":
        more["icc_profile"] = photo.profile
    image.save(file, kind, **QUALITY.get(kind, {}), **more)


def _write_deep_png(file: io.BytesIO, photo: Photo) -> None:
    # OpenCV has no grey with alpha, and keeps no profile
    height, width, channels = photo.pixels.shape
    values = np.ascontiguousarray(photo.pixels, ">u2").view(np.uint8).reshape(height, -1)
    rows = np.ones((height, 1 + values.shape[1]), np.uint8)  # each begins with its filter:
    rows[:, 1:] = values  # 1, the difference to the pixel on the left
    rows[:, 1 + 2 * channels :] -= values[:, : -2 * channels]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    file.write(b"\x89PNG\r\n\x1a\n")
    file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)))
    if photo.profile:
        file.write(_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(photo.profile)))
    if photo.exif:
        file.write(_chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0")))
    file.write(_chunk(b"IDAT", zlib.compress(rows.tobytes())) + _chunk(b"IEND", b""))


def _chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk: length, name, content, checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _write_deep_tiff(file: io.BytesIO, photo: Photo) -> None:
    pixels, exif = photo.pixels, Image.Exif()
    exif.load(photo.exif or None)
    if pixels.shape[-1] == 2:  # grey with alpha, which Pillow cannot read
        pixels = pixels[..., [0, 0, 0, 1]]
    colour = pixels.shape[-1] > 2
    tifffile.imwrite(
        file,
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        photometric="rgb" if colour else "minisblack",
        planarconfig=None if pixels.shape[-1] == 1 else "contig",
        extrasamples=["unassalpha"] if pixels.shape[-1] == 4 else None,
        compression="zlib",
        iccprofile=photo.profile or None,
        extratags=[(ORIENTATION, "H", 1, exif.get(ORIENTATION, 1), True)],
        metadata=None,
    )


def with_pixels(photo: Photo, pixels: np.ndarray) -> Photo:
    """The same photograph with other pixels."""
    return replace(photo, pixels=pixels)
