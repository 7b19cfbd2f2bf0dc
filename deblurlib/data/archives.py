"""The files in a zip, and the images in an .npz, as items of a data set."""

from __future__ import annotations

import io
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import names
from .contents import Item, file_state

__all__ = ["npz_items", "zip_items"]

BLOCK = 2**20  # bytes that are read at a time
#: What comes of reading a damaged zip, its directory of names included.
DAMAGED = (
    *(zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, struct.error),
    *(zlib.error, lzma.LZMAError, MemoryError),
)
IMAGES = "uint8 or uint16 images (N, H, W), (N, H, W, 1) or (N, H, W, 3), or labels (N,) or (N, 1)"
KERNELS = "kernels (N, h, w)"


def zip_items(path: Path) -> list[Item]:
    """The files in a zip.

    Raises:
        InputError: it is damaged or encrypted, or two files in it have one name.
    """
    state = file_state(path)  # before it is opened: what is read later is of that time
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise InputError(f"{path}: a damaged zip ({error})") from None

    def read(info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
        try:
            with archive.open(info) as file:
                while block := file.read(BLOCK):
                    yield block
        except DAMAGED as error:
            why = str(error) or "it is cut short"  # an EOFError says nothing
            raise InputError(f"{path}: {name} cannot be read ({why})") from None

    items = []
    for info in archive.infolist():
        name = _name(info)
        if info.is_dir() or name.endswith("/") or not names.is_visible(name):
            continue
        if info.flag_bits & 0x1:
            raise InputError(f"{path}: is encrypted; unpack it and name the folder")
        items.append(Item(name, partial(read, info, name), lambda: state, info.file_size))
    return _distinct(items, path)


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a file in a zip, as whoever made the zip meant it."""
    name = info.filename
    if not info.flag_bits & 0x800:  # it is not said to be UTF-8, but may be all the same
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part != ".")


def npz_items(path: Path) -> list[Item]:
    """The images in an .npz, named after their arrays: ``train/000000`` of ``train``, ``x_train``.

    Of pairs, the arrays are ``blur`` and ``sharp``, or ``train/blur`` and so on; beside them there
    may be ``kernel``, with numbers ``(N, h, w)``. Arrays of labels are passed over.

    Raises:
        InputError: it is damaged, or an array holds something else.
    """
    state = file_state(path)  # before it is opened, as of a zip
    items = []
    try:
        archive = zipfile.ZipFile(path)
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                items += _of_array(archive, info, path)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path}: a damaged .npz ({error})") from None
    _check_beside(path, [name for name, *_ in items])
    return _distinct([Item(name, read, lambda: state, *rest) for name, read, *rest in items], path)


def _check_beside(path: Path, entries: list[str]) -> None:
    """Raise if beside pairs there are images that belong to none."""
    sides = {names.side(name): name for name in entries}
    others = sides.keys() - {"blur", "blur_gamma", "sharp", "kernel"}
    if "sharp" in sides and len(sides.keys() - others) > 1 and others:
        other = sides[min(others)].rpartition("/")[0]
        raise InputError(
            f"{path}: holds pairs, and the array {other!r} beside them; expected are blur, sharp "
            f"and kernel"
        )


def _of_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> list[tuple]:
    """The arguments of :class:`Item` but for the state, for each image of an array.

    Only the array's type and shape are read now; the rest is, and is kept, when it is asked for.
    """
    key = info.filename.removesuffix(".npy")
    shape, dtype = _header(archive, info)
    if dtype.hasobject:
        raise _unexpected(path, key, "Python objects", shape)
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise InputError(f"{path}: a damaged .npz ({key} is shorter than it says)")

    @cache
    def load() -> np.ndarray:
        try:
            with archive.open(info) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except DAMAGED as error:
            raise InputError(f"{path}: {key} cannot be read ({error or 'cut short'})") from None
        # the same on every machine
        return array if is_kernel else array.astype(array.dtype.newbyteorder("<"), copy=False)

    folder = key[2:] if key[:2] in ("x_", "X_") else key
    is_kernel = folder.split("/")[-1].lower() == "kernel"
    if is_kernel:
        if len(shape) != 3 or dtype.kind not in "biuf":
            raise _unexpected(path, key, dtype, shape, KERNELS)
        # as files .npy, which what reads kernels reads
        size = len(_stored(np.zeros(shape[1:], dtype)))
        return [
            (f"{folder}/{i:06d}.npy", partial(_read_kernel, load, i), size) for i in range(shape[0])
        ]
    is_labels = len(shape) == 2 and key.lower().startswith("y_")  # one of ten, say, or several
    if len(shape) < 2 or shape[1:] == (1,) or is_labels:
        return []
    are_grey = len(shape) == 3 and shape[-1] != 3  # else it is one picture in colour
    is_image = are_grey or (len(shape) == 4 and shape[-1] in (1, 3))
    if not is_image or 0 in shape[1:] or dtype.kind != "u" or dtype.itemsize > 2:
        raise _unexpected(path, key, dtype, shape)
    sides = shape[1:3] if shape[3:] == (1,) else shape[1:]
    size, kind = math.prod(sides) * dtype.itemsize, dtype.newbyteorder("<").str
    return [
        (f"{folder}/{i:06d}", partial(_read_pixels, load, i), size, sides, kind)
        for i in range(shape[0])
    ]


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0
        header = header if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    return shape, dtype


def _unexpected(
    path: Path, key: str, kind: object, shape: tuple[int, ...], expected: str = IMAGES
) -> InputError:
    return InputError(f"{path}: the array {key!r} holds {kind} {shape}; expected are {expected}")


def _stored(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _read_kernel(load: Callable[[], np.ndarray], i: int) -> Iterator[bytes]:
    yield _stored(np.ascontiguousarray(load()[i]))


def _read_pixels(load: Callable[[], np.ndarray], i: int) -> Iterator[bytes]:
    yield load()[i].tobytes()


def _distinct(items: list[Item], path: Path) -> list[Item]:
    """The items, or an error if two of them have one name."""
    seen = set()
    for item in items:
        if item.name in seen:
            raise InputError(f"{path}: two of its files are called {item.name}")
        seen.add(item.name)
    return items
