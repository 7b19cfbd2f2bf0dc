"""Kernels from files of any kind, and written as numbers and as a picture. Taught in chapter 06."""

from __future__ import annotations

import codecs
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import tifffile
import torch

from ..errors import InputError, require
from ..psf import as_kernel, check
from . import decoding, matlab, png, stacks
from .whole import read_bytes, write_whole

#: The suffixes of files that may hold a kernel; what is in one is judged by its content.
SUFFIXES = (".npy", ".npz", ".png", ".tif", ".tiff", ".csv", ".txt", ".mat")
EXPECTED = "a .npy, an .npz or a .mat of one array, a grey PNG or TIFF, or numbers as text"
ZIPPED, NUMPY = b"PK\x03\x04", b"\x93NUMPY"
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LONGEST_TEXT = 10_000_000  # bytes
LARGEST_VALUE, HEADER = 8, 10_000  # bytes: of a number, of what stands before numbers
PICTURE = 400  # side of a kernel's picture at most, pixels
ENLARGED = b"Enlarged\0"  # begins the text in which the picture says by how much it is


def read_kernel(
    path: str | os.PathLike[str], max_values: int = decoding.MAX_PIXELS
) -> torch.Tensor:
    """The kernel ``(h, w)`` in a file; see :func:`decode_kernel`."""
    return decode_kernel(read_bytes(path), str(path), max_values)


def read_kernels(
    path: str | os.PathLike[str], max_values: int = decoding.MAX_PIXELS
) -> torch.Tensor:
    """The kernel ``(h, w)`` in a file, or one for each plane of a stack, ``(P, h, w)``.

    The latter are a TIFF of P grey pages, or an array ``(P, h, w)``; as of :func:`decode_kernel`
    else. Each is divided by its own sum.

    Args:
        max_values: of all together, too.

    Raises:
        InputError: see :func:`decode_kernel`; pages that differ, or are not grey.
    """
    data, name = read_bytes(path), str(path)
    array = _of_pages(data, name, max_values) if data.startswith(TIFFS) else None
    if array is None and data.startswith((NUMPY, ZIPPED)):
        array = _array(data, name, max_values)
    if array is None or array.ndim != 3 or 1 in array.shape or _in_colour(array.shape):
        return decode_kernel(data, name, max_values)
    return as_kernel(array, name)


def _in_colour(shape: tuple[int, ...]) -> bool:
    """Whether this is the shape of a picture in colour, rather than of several kernels."""
    return shape[-1] in (3, 4) and min(shape[:2]) > shape[-1]


def _of_pages(data: bytes, name: str, max_values: int) -> np.ndarray | None:
    """The kernels in a TIFF's pages; ``None`` if it has one."""
    file, pages = io.BytesIO(data), []
    if stacks.count_planes(file, name) < 2:
        return None
    for photo in stacks.decode_planes(file, name, max_values):
        pages.append(photo.pixels[..., 0])
        grey = photo.pixels.shape[-1] == 1
        require(grey, f"{name}: a picture of a kernel is grey, without transparency")
        few = len(pages) * photo.pixels.size <= max_values
        require(few, f"{name}: kernels of more than {max_values:,} values")
    return np.stack(pages)


def decode_kernel(data: bytes, name: str, max_values: int = decoding.MAX_PIXELS) -> torch.Tensor:
    """The kernel ``(h, w)``, float32, that a file's bytes hold.

    Read are a NumPy file of one array, of any real type and byte order; a grey PNG or TIFF, the
    latter also of floating-point numbers; numbers as text, a row a line, separated by commas,
    semicolons, tabs or spaces; and a MATLAB file (up to version 7.2) of one array.

    Args:
        name: what to call it in an error.
        max_values: refuse a file of more numbers than that before they are unpacked; of MATLAB's,
            of those that are packed, once they are.

    Raises:
        InputError: none of these; or as of :func:`deblurlib.psf.as_kernel`.
    """
    try:
        array = _array(data, name, max_values)
    except InputError:
        raise
    except Exception:  # what NumPy says of some of them is no advice to follow
        raise InputError(f"{name}: not a kernel that can be read; it may be {EXPECTED}") from None
    shape = array.shape
    if array.ndim > 2 and np.squeeze(array).ndim == 2:
        array = np.squeeze(array)
    while array.ndim > 2 and array.shape[0] == 1 and array.shape[-1] != 1:
        array = array[0]
    if array.ndim != 2:
        raise InputError(f"{name}: not one kernel (h, w), but an array {shape}")
    return as_kernel(array, name)


def write_kernel(path: str | os.PathLike[str], k: torch.Tensor) -> tuple[Path, Path]:
    """Write a kernel ``(h, w)`` as ``NAME.npy``, and beside it ``NAME.png``, to look at.

    The picture has 16 bits, the brightest pixel white, and is enlarged by repeating pixels, to 400
    at most; a text in it says by how much, so :func:`read_kernel` reads the same kernel of both,
    but for rounding. Files that are there are replaced, each whole or not at all.

    Args:
        path: its suffix does not count.

    Raises:
        InputError: a kernel is not (h, w), or a file cannot be written.
    """
    require(k.ndim == 2, f"a kernel to write is (h, w), not {tuple(k.shape)}")
    numbers, picture = (Path(path).with_suffix(suffix) for suffix in (".npy", ".png"))
    array = check(k).detach().cpu().float().numpy()
    file = io.BytesIO()
    np.save(file, array)
    write_whole(numbers, file.getvalue())
    factor = max(PICTURE // max(array.shape), 1)
    pixels = np.rint(array.astype(np.float64) / array.max() * 65535).astype(np.uint16)
    file = io.BytesIO()
    png.write_deep(file, pixels.repeat(factor, 0).repeat(factor, 1)[..., None], b"", b"")
    write_whole(picture, png.insert(file.getvalue(), {b"tEXt": ENLARGED + b"%d" % factor}))
    return numbers, picture


def _array(data: bytes, name: str, max_values: int) -> np.ndarray:
    too_many = f"{name}: a kernel of more than {max_values:,} values"
    if data.startswith(NUMPY):
        return np.load(io.BytesIO(data), allow_pickle=False)
    if data.startswith(ZIPPED):
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
        require(unpacked <= LARGEST_VALUE * max_values + HEADER, too_many)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            array = arrays[_only(arrays.files, name)]
        require(isinstance(array, np.ndarray), f"{name}: a zip, not an .npz of one array")
        return array
    if data.startswith(TIFFS):
        return _of_tiff(data, name, max_values)
    if data.startswith(png.SIGNATURE):
        return _of_picture(data, name, max_values)
    if data.startswith(b"MATLAB"):
        return _of_matlab(data, name, max_values)
    return _of_text(data, name)


def _only(names: list[str], name: str) -> str:
    if len(names) != 1:
        content = f"holds {', '.join(names)}" if names else "holds no array"
        raise InputError(f"{name}: {content}; a kernel is the only array of its file")
    return names[0]


def _of_picture(data: bytes, name: str, max_pixels: int) -> np.ndarray:
    pixels = decoding.read(data, name, max_pixels).pixels.astype(np.float64)
    channels = pixels.shape[-1]
    colours = pixels[..., : channels - (channels in (2, 4))]
    opaque = channels in (1, 3) or np.ptp(pixels[..., -1]) == 0
    if not opaque or (colours != colours[..., :1]).any():
        raise InputError(f"{name}: a picture of a kernel is grey, without transparency")
    return _reduced(colours[..., 0], data)


def _reduced(array: np.ndarray, data: bytes) -> np.ndarray:
    """A kernel as it was before :func:`write_kernel` enlarged it; any other stays as it is."""
    chunks, _ = png.split(data) if data.startswith(png.SIGNATURE) else ([], True)
    texts = [png.content(chunk) for name, chunk in chunks if name == b"tEXt"]
    said = next((t.removeprefix(ENLARGED) for t in texts if t.startswith(ENLARGED)), b"")
    factor = max(int(said), 1) if said.isdigit() else 1
    if not said.isdigit() or any(side % factor for side in array.shape):
        return array
    small = array[::factor, ::factor]
    if not np.array_equal(small.repeat(factor, 0).repeat(factor, 1), array):  # edited since
        return array
    return small / max(small.sum(), 1)


def _of_tiff(data: bytes, name: str, max_pixels: int) -> np.ndarray:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        floats = page.dtype is not None and page.dtype.kind == "f"
        if floats and len(file.pages) == 1 and page.size <= max_pixels:
            return page.asarray()
    return _of_picture(data, name, max_pixels)


def _of_matlab(data: bytes, name: str, max_values: int) -> np.ndarray:
    arrays = matlab.numbers(data, name, LARGEST_VALUE * max_values + HEADER)
    titles = [key for key, array in arrays.items() if array.size > 1] or list(arrays)
    return arrays[_only(titles, name)]


def _of_text(data: bytes, name: str) -> np.ndarray:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if (b"\0" in data and not wide) or len(data) > LONGEST_TEXT:
        raise InputError(f"{name}: not a kernel that can be read; it may be {EXPECTED}")
    whole = data.decode("utf-16" if wide else "utf-8-sig").replace('"', "")
    told = [line.partition("#")[0].strip() for line in whole.splitlines()]
    lines = [(number, line) for number, line in enumerate(told, 1) if line]
    require(bool(lines), f"{name}: holds no numbers")
    text = "\n".join(line for _, line in lines)
    mark = next((m for m in ";\t," if m in text), None)
    if mark == "," and "." not in text and all(line.count(",") == 1 for _, line in lines):
        raise InputError(
            f"{name}: its commas may separate numbers or be decimal; separate by semicolons"
        )
    rows = []
    for number, line in lines:
        parts = line.split(mark)
        parts = parts[:-1] if not parts[-1].strip() else parts  # a separator ends the line
        parts = ["" if "_" in part else part for part in parts]  # which Python takes for a digit's
        try:  # a comma that separates nothing is a decimal one
            rows.append([float(p if mark == "," else p.replace(",", ".")) for p in parts])
        except ValueError:
            raise InputError(f"{name}: line {number} is not a row of numbers") from None
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{name}: line {number} has {len(rows[-1])} numbers, those above {len(rows[0])}"
            )
    array = np.array(rows)
    for edge, rest in ((array[0], array[1:]), (array[:, 0], array[:, 1:])):
        counted = len(edge) > 1 and np.array_equal(edge, np.arange(len(edge)))
        if counted and (rest != rest.round()).any():
            raise InputError(f"{name}: its first row or column only counts; save numbers alone")
    return array
