"""Image files as photographers have them: 8 or 16 bit, grey, colour, alpha, profile, orientation.

:mod:`deblurlib.images` reads what a network wants; here nothing is lost. Taught in chapter 05.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from .. import images
from ..errors import InputError

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
FORMATS |= {".tif": "TIFF", ".tiff": "TIFF"}
DEEP = ("PNG", "TIFF")  # formats of 16 bits a value
ORIENTATION = 0x0112  # of EXIF
#: EXIF that says something of the picture: description, make, model, software, date, artist,
#: copyright, exposure, place. A TIFF's other tags say how its pixels are stored.
TOLD = (270, 271, 272, 305, 306, 315, 33432, 34665, 34853)
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


def read_photo(path: str | os.PathLike, max_pixels: int = images.MAX_PIXELS) -> Photo:
    """Read an image file.

    A palette is looked up; CMYK and other colour spaces become RGB, and lose their profile.

    Raises:
        InputError: as of :func:`deblurlib.images.decode`; also a file of several pictures.
    """
    data = images.read_bytes(path)
    images.decode(data, str(path), max_pixels)  # says what is wrong with it
    with Image.open(io.BytesIO(data)) as image:
        # phones put a second picture behind a JPEG, for depth or motion; it is not the photograph
        count = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        if count > 1:
            raise InputError(f"{path}: holds {count} pictures; save those you want one by one")
        profile = image.info.get("icc_profile") or b""
        if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            profile = b""
        if image.format in DEEP and _is_deep(data):
            return Photo(_deep_pixels(data, image.mode), _exif(image), profile)
        image.load()  # a TIFF is turned upright, and its orientation forgotten
        see_through = "A" in image.getbands() or "transparency" in image.info
        grey = image.mode in ("1", "L", "LA")
        mode = ("LA" if see_through else "L") if grey else ("RGBA" if see_through else "RGB")
        pixels = np.asarray(image.convert(mode))
        exif = _exif(image)
    return Photo(pixels.reshape(*pixels.shape[:2], -1), exif, profile)


def _exif(image: Image.Image) -> bytes:
    exif = image.getexif()
    if image.format == "TIFF":
        for tag in [tag for tag in exif if tag not in (*TOLD, ORIENTATION)]:
            del exif[tag]
    return exif.tobytes() if len(exif) else b""


def _is_deep(data: bytes) -> bool:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def _deep_pixels(data: bytes, mode: str) -> np.ndarray:
    # Pillow reads 16-bit colour as 8-bit
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array.ndim == 2:
        return array[..., None]
    array = array[..., [2, 1, 0, *range(3, array.shape[-1])]]  # BGR(A) -> RGB(A)
    return array[..., [0, 3]] if mode == "LA" else array


def write_photo(path: str | os.PathLike, photo: Photo) -> None:
    """Write an image file whose suffix says the format, with its EXIF and profile.

    It appears whole or not at all. PNG and TIFF hold 16 bits; for the others, values are rounded to
    8. JPEG and BMP hold no alpha: it is left out. Of the EXIF, a 16-bit TIFF keeps the orientation.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: cannot be written; the suffix must be one of {known}")
    kind = FORMATS[suffix]
    partial = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        if photo.pixels.dtype == np.uint16 and kind in DEEP:
            (_write_deep_png if kind == "PNG" else _write_deep_tiff)(partial, photo)
        else:
            _write(partial, kind, photo)
        os.replace(partial, path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written ({why})") from None
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, kind: str, photo: Photo) -> None:
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if kind in ("JPEG", "BMP") and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    more = {"exif": photo.exif} if photo.exif and kind != "BMP" else {}
    more |= {"icc_profile": photo.profile} if photo.profile and kind != "BMP" else {}
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(path, kind, **QUALITY.get(kind, {}), **more)


def _write_deep_png(path: Path, photo: Photo) -> None:
    pixels = photo.pixels
    if pixels.shape[-1] == 2:  # OpenCV has no grey with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    if pixels.shape[-1] > 1:
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[-1])]]
    there, encoded = cv2.imencode(".png", pixels)
    if not there:
        raise ValueError("OpenCV could not encode it")
    head, rest = encoded.tobytes()[:33], encoded.tobytes()[33:]  # signature and IHDR; the rest
    if photo.profile:
        head += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(photo.profile))
    if photo.exif:
        head += _chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0"))
    path.write_bytes(head + rest)


def _chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk: length, name, content, checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _write_deep_tiff(path: Path, photo: Photo) -> None:
    pixels, exif = photo.pixels, Image.Exif()
    exif.load(photo.exif or None)
    colour = pixels.shape[-1] > 2
    tifffile.imwrite(
        path,
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        photometric="rgb" if colour else "minisblack",
        planarconfig=None if pixels.shape[-1] == 1 else "contig",
        extrasamples=["unassalpha"] if pixels.shape[-1] in (2, 4) else None,
        compression="zlib",
        iccprofile=photo.profile or None,
        extratags=[(ORIENTATION, "H", 1, exif.get(ORIENTATION, 1), True)],
        metadata=None,
    )


def with_pixels(photo: Photo, pixels: np.ndarray) -> Photo:
    """The same photograph with other pixels."""
    return replace(photo, pixels=pixels)
