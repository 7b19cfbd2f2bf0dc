"""The files in a zip, and the images in an .npz, as items of a data set."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from . import names
from .contents import Item, file_state
from .errors import InputError

BLOCK = 2**20  # bytes that are read at a time
DAMAGED = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)
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
    except (zipfile.BadZipFile, OSError) as error:
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
    return name.replace("\\", "/").removeprefix("./")


def npz_items(path: Path) -> list[Item]:
    """The images in an .npz, named after their arrays: ``train/000000`` of ``train``, ``x_train``.

    Of pairs, the arrays are ``blur`` and ``sharp``, or ``train/blur`` and so on; beside them there
    may be ``kernel``, with numbers ``(N, h, w)``. Arrays of labels are passed over.

    Raises:
        InputError: it is damaged, or an array holds something else.
    """
    state = file_state(path)  # before it is read, as of a zip
    items = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    key = member.removesuffix(".npy")
                    items += _images(key, _array(archive, member, path), path)
    except InputError:
        raise
    except (*DAMAGED, ValueError) as error:
        raise InputError(f"{path}: a damaged .npz ({error})") from None
    return _distinct([Item(name, read, lambda: state, *rest) for name, read, *rest in items], path)


def _array(archive: zipfile.ZipFile, member: str, path: Path) -> np.ndarray:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0
        header = header if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject:
            raise _unexpected(path, member.removesuffix(".npy"), "Python objects", shape)
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def _unexpected(path: Path, key: str, kind: object, shape: tuple[int, ...]) -> InputError:
    expected = KERNELS if _folder(key).split("/")[-1].lower() == "kernel" else IMAGES
    return InputError(f"{path}: the array {key!r} holds {kind} {shape}; expected are {expected}")


def _folder(key: str) -> str:
    return key[2:] if key[:2] in ("x_", "X_") else key


def _images(key: str, array: np.ndarray, path: Path) -> list[tuple]:
    """Of each image of an array: what :class:`Item` takes, without the state."""
    folder = _folder(key)
    if folder.split("/")[-1].lower() == "kernel":
        if array.ndim != 3 or array.dtype.kind not in "biuf":
            raise _unexpected(path, key, array.dtype, array.shape)
        # as files .npy, which what reads kernels reads
        stored = [_stored(kernel) for kernel in array]
        return [
            (f"{folder}/{i:06d}.npy", partial(_content, data), len(data))
            for i, data in enumerate(stored)
        ]
    if array.ndim == 1 or array.shape[1:] == (1,):
        return []
    is_image = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3))
    if not is_image or array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise _unexpected(path, key, array.dtype, array.shape)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)  # the same on every machine
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    return [
        (f"{folder}/{i:06d}", partial(_pixels, one), one.nbytes, one.shape, one.dtype.str)
        for i, one in enumerate(array)
    ]


def _stored(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _content(data: bytes) -> Iterator[bytes]:
    yield data


def _pixels(array: np.ndarray) -> Iterator[bytes]:
    yield array.tobytes()


def _distinct(items: list[Item], path: Path) -> list[Item]:
    """The items, of which no two have one name."""
    found = set()
    for item in items:
        if item.name in found:
            raise InputError(f"{path}: two of its files are called {item.name}")
        found.add(item.name)
    return items
