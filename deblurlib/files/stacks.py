"""TIFF files of several planes, or of floating-point values, as microscopes and scanners make them.

They are read plane by plane, and written so: no more than one is in memory. Taught in chapter 05.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import tifffile
from PIL import Image

from ..errors import InputError, require
from . import decoding, directories, tiff
from .decoding import FORMATS, MAX_PIXELS, Photo
from .directories import IMAGEJ, SHOWN, Directory
from .whole import reading, writing

PLAIN = 2**32 - 2**25  # bytes of values that a plain TIFF takes for sure
#: of a description in OME's XML: a type of values that is not kept
DOUBLE, FLOAT = rb'(<Pixels[^>]* Type=)"double"', rb'\1"float"'
UNREADABLE = "damaged, or a kind of floating-point TIFF that cannot be read"
#: what can be read of floating-point values: their bits, and their colours with the number of these
DEPTHS, COLOURS = (32, 64), ((tiff.GREY, 1), (tiff.RGB, 3))


@dataclass(frozen=True)
class Stack:
    """What a TIFF file holds: planes of one size and kind, and what its first says of them all."""

    path: str
    count: int  # planes
    size: tuple[int, int]  # width, height of each, upright
    channels: int
    dtype: np.dtype  # uint8, uint16 or float32
    low: float  # of all values
    high: float
    stands_out: float = 1.0  # how many times as bright the brightest pixel is as those around it
    description: bytes = b""  # as stored: ImageJ's, OME's XML, or any words
    labels: tuple[tuple, ...] = ()  # ImageJ's names of planes and colours, as tifffile takes tags
    order: directories.Order = "<"  # of its bytes, which these are in, too

    @property
    def floats(self) -> bool:
        """Whether its values are floating-point numbers, in a unit of their own."""
        return self.dtype.kind == "f"

    @property
    def is_ome(self) -> bool:
        """Whether its description is OME's XML."""
        return self.description.rstrip().endswith(b"OME>")

    @property
    def says_size(self) -> bool:
        """Whether its description says how many pixels there are: OME's, and tifffile's does."""
        return self.is_ome or self.description.startswith(b'{"shape"')


def plane_count(path: str | os.PathLike[str]) -> int:
    """How many planes :func:`read_planes` reads of a file; 0 if it is for :func:`read_photo`.

    That reads all but TIFFs of several pictures, or of floating-point values.

    Raises:
        InputError: it cannot be read, or a TIFF's directories are damaged or too many.
    """
    with reading(path), open(path, "rb") as file:
        return count_planes(file, str(path))


def count_planes(file: BinaryIO, name: str) -> int:
    """:func:`plane_count` of an open file."""
    file.seek(0)
    if not directories.is_tiff(file.read(4)):
        return 0
    found = directories.read_all(file, name)
    pages = directories.pictures(file, name, found)
    plain = len(pages) == len(found) == 1 and not _holds_floats(file, pages[0], name)
    return 0 if plain else len(pages)


def _stands_out(pixels: np.ndarray) -> float:
    """How many times as bright the brightest pixel is as the brightest of its neighbours.

    Above the picture's median: an offset of the camera does not count.
    """
    y, x, channel = map(int, np.unravel_index(int(pixels.argmax()), pixels.shape))
    one = pixels[..., channel].astype(np.float64)
    around = one[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].copy()
    around[min(y, 1), min(x, 1)] = -np.inf
    dark = np.median(one)
    least = max(np.finfo(np.float32).tiny, 1e-6 * (one.max() - dark))
    return float((one.max() - dark) / max(around.max() - dark, least))


def examine_stack(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Stack:
    """What a TIFF file of planes holds. All of them are decoded, so that damage is found here.

    Raises:
        InputError: see :func:`read_planes`.
    """
    low, high, lonely, count = np.inf, -np.inf, 1.0, 0
    for photo in read_planes(path, max_pixels):
        if photo.pixels.max() > high:
            high, lonely = photo.pixels.max(), _stands_out(photo.pixels)
        low = min(low, photo.pixels.min())
        count += 1
    shape, dtype = photo.pixels.shape, photo.pixels.dtype
    with reading(path), open(path, "rb") as file:
        first = directories.pictures(file, str(path))[0]
        words = first.words(file, tiff.DESCRIPTION, str(path))
        labels = _labels(file, first, str(path))
    words = re.sub(DOUBLE, FLOAT, words, count=1)
    size, values = shape[1::-1], (float(low), float(high), lonely)
    stack = Stack(str(path), count, size, shape[-1], dtype, *values, words, labels, first.order)
    places = set(re.findall(rb'FileName="([^"]*)"', words)) if stack.is_ome else set()
    why = f"a part of an OME-TIFF of {len(places)} files; join them first"
    require(len(places) < 2, f"{path}: {why}")
    return stack


def read_planes(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Iterator[Photo]:
    """The planes of a TIFF file, one after the other, each decoded when it is asked for.

    Those of 16 bits or fewer are read as :func:`read` does single files. Of floating-point values,
    grey or RGB, of 32 bits or of 64, the pixels are float32 in their own unit, not turned. Copies
    of reduced size, such as a scanner's thumbnail, are left out. ImageJ's stacks are read with
    several directories, or with one.

    Args:
        max_pixels: of a plane; see :func:`read`.

    Raises:
        InputError: no TIFF, damaged, of more than 50,000 planes, of planes that differ in size or
            kind, with values that are not finite, or as of :func:`read`; it names the page.
    """
    with reading(path), open(path, "rb") as file:
        yield from decode_planes(file, str(path), max_pixels)


def decode_planes(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Photo]:
    """:func:`read_planes` of an open file."""
    file.seek(0)
    require(directories.is_tiff(file.read(4)), f"{name}: not a TIFF file")
    pages, kind = directories.pictures(file, name), None
    for number, page in enumerate(pages, 1):
        called = f"{name}: page {number}" if len(pages) > 1 else name
        if _holds_floats(file, page, called):
            photo = _read_floats(file, page, called, max_pixels)
        else:
            data = directories.alone(file, page, called, max_pixels)
            photo = decoding.read(data, called, max_pixels)
        found = photo.pixels.shape, photo.pixels.dtype
        kind = kind or found
        if found != kind:
            what = f"{_words(*found)}, and the first of {_words(*kind)}"
            raise InputError(f"{called}: is of {what}; planes of a stack are of one kind")
        yield photo


def _words(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{shape[1]} x {shape[0]} pixels, {shape[2]} x {dtype.name}"


def _holds_floats(file: BinaryIO, page: Directory, name: str) -> bool:
    return tiff.FLOATS in page.numbers(file, tiff.SAMPLE_FORMAT, name)


def _labels(file: BinaryIO, page: Directory, name: str) -> tuple[tuple, ...]:
    """What ImageJ says in tags of its own, and of how values are shown, as tifffile takes tags."""
    if not page.words(file, tiff.DESCRIPTION, name).startswith(tiff.BY_IMAGEJ.encode()):
        return ()
    small = [tag for tag in (*IMAGEJ, SHOWN) if page.words(file, tag, name)]
    shown = page.numbers(file, SHOWN, name) if SHOWN in small else ()
    labels: list[tuple[Any, ...]]
    labels = [(SHOWN, "H", len(shown), shown, True)] if shown else []
    if {*IMAGEJ} <= {*small}:
        counts, words = page.numbers(file, IMAGEJ[0], name), page.raw(file, IMAGEJ[1], name)
        labels.append((IMAGEJ[0], "I", len(counts), counts, True))
        labels.append((IMAGEJ[1], "B", len(words), words, True))
    return tuple(labels)


def _read_floats(file: BinaryIO, page: Directory, name: str, max_pixels: int) -> Photo:
    turn = page.number(file, tiff.ORIENTATION, name, 1)
    tags = {tag: value for tag, value in page.tags.items() if tag != tiff.ORIENTATION}
    data = directories.alone(file, replace(page, tags=tags), name, max_pixels)
    try:
        with warnings.catch_warnings(action="ignore"):  # of damaged metadata
            pixels = _floats(data, name)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{name}: not enough memory to read it") from None
    except Exception:  # the readers of damaged files raise all kinds
        raise InputError(f"{name}: {UNREADABLE}") from None
    said = decoding.read(directories.said_alone(file, page, name), name)
    exif = Image.Exif()
    exif.load(said.exif)
    if turn in range(2, 9):
        exif[tiff.ORIENTATION] = turn
    return replace(said, pixels=pixels, exif=exif.tobytes() if len(exif) else b"")


def _floats(data: bytes, name: str) -> np.ndarray:
    """The values ``(H, W, C)``, float32, of a TIFF of one picture, as two readers see them."""
    file = io.BytesIO(data)
    (page,) = directories.read_all(file, name)
    lists = (tiff.STRIP_OFFSETS, tiff.STRIP_LENGTHS, tiff.TILE_OFFSETS, tiff.TILE_LENGTHS)
    held = {tag: page.numbers(file, tag, name) for tag in page.tags}
    tags: dict[int, Any] = {tag: n if tag in lists else n[0] for tag, n in held.items() if n}
    depths, formats = (set(page.numbers(file, t, name)) for t in (tiff.BITS, tiff.SAMPLE_FORMAT))
    colours = tags.get(tiff.PHOTOMETRIC), tags.get(tiff.SAMPLES, 1)
    known = colours in COLOURS and depths in [{n} for n in DEPTHS] and formats == {tiff.FLOATS}
    if not known or (colours[1] > 1 and tags.get(tiff.PLANES, 1) != 1):
        raise InputError(f"{name}: floating-point values are read of 32 or 64 bits, grey or RGB")
    tiff.check_parts(tags, (tags[directories.WIDTH], tags[directories.HEIGHT]), name, data)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it says, we say
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    array = array if array is None or array.ndim == 2 else array[..., ::-1]  # BGR -> RGB
    other = _by_another(data)
    if array is None or array.dtype != other.dtype or not np.array_equal(array, other, True):
        raise InputError(f"{name}: {UNREADABLE}")
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(array, np.float32)
    require(bool(np.isfinite(pixels).all()), f"{name}: holds NaN or infinite values")
    return pixels.reshape(*pixels.shape[:2], -1)


def _by_another(data: bytes) -> np.ndarray:
    """The values by tifffile; by Pillow, which reads grey ones of 32 bits, if they are packed."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return file.pages[0].asarray()
    except Exception:  # of a compression that it does not know, it raises several kinds
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            return np.asarray(image)


def write_planes(path: str | os.PathLike[str], planes: Iterable[Photo], stack: Stack) -> None:
    """Write planes into a TIFF file, one after the other, with what was said of those of a stack.

    The file appears whole or not at all, whatever ends the planes; its folder is made if need be.
    Each plane keeps its profile, resolution and words; the first has the stack's description, and
    ImageJ's labels and colours. Large stacks are written as BigTIFF.

    Args:
        planes: as many as the stack has, of its size and kind, or of a smaller size.
        stack: what they were made of.

    Raises:
        InputError: the suffix is not that of a TIFF, or the file cannot be written.
    """
    path = Path(path)
    check_tiff(path, stack)
    width, height = stack.size
    large = stack.count * width * height * stack.channels * stack.dtype.itemsize > PLAIN
    further = list(stack.labels)
    if stack.description:
        further.append((tiff.DESCRIPTION, "s", 0, stack.description, True))
    with (
        _folder_of(path),
        writing(path) as file,
        tifffile.TiffWriter(file, bigtiff=large, byteorder=stack.order) as writer,
    ):
        for photo in planes:
            exif = Image.Exif()
            exif.load(photo.exif)
            exif.pop(tiff.DESCRIPTION, None)
            facts = photo.profile, exif, photo.resolution
            try:
                tiff.write_page(writer, photo.pixels, *facts, further)
            except OSError:  # which says why
                raise
            except Exception as error:
                raise InputError(f"{path}: cannot be written ({error})") from None
            further = []


def check_tiff(path: Path, stack: Stack) -> None:
    """Raise an :class:`InputError` unless the suffix names a format that holds such a stack."""
    if FORMATS.get(path.suffix.lower()) != "TIFF":
        what = f"{stack.count} planes" if stack.count > 1 else "floating-point values"
        raise InputError(f"{path}: cannot hold the {what} of {stack.path}; .tif does")


@contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Make a file's folder if need be; those that were made are removed if the work fails."""
    new = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            why = error.strerror or error
            raise InputError(f"{path}: cannot be written ({why})") from None
        raise
