"""Files of a data set, wherever they lie: in a folder, a zip, an .npz or an installed package.

A source is given as ``NAME`` or ``PATH`` or ``NAME=PATH``. A name is looked up in the environment
variable ``DEBLURLIB_DATA``: entries separated like those of ``PATH``, each either ``NAME=PATH`` or
a folder that holds ``NAME/``, ``NAME.zip`` or ``NAME.npz``. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import files
from .contents import Item, file_state, with_checksums
from .errors import InputError

#: The photographs inside the scikit-image and scikit-learn wheels: name -> (path, sha256).
SAMPLE = {
    "train/astronaut.png": (
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "train/china.jpg": (
        "sklearn/datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    "train/coffee.png": (
        "skimage/data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    "train/motorcycle_left.png": (
        "skimage/data/motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    ),
    "test/chelsea.png": (
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    "test/flower.jpg": (
        "sklearn/datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
    "test/rocket.jpg": (
        "skimage/data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
}

#: The sets that the chapters name; ``data/README.md`` says how to get and lay out each.
KNOWN = (
    "anime-faces",
    "cifar10",
    "cifar100",
    "celeba",
    "gopro",
    "gopro-gamma",
    "imagenet",
    "bsds500",
    "levin09",
)

BLOCK = 2**20  # bytes that are read at a time


def open_source(source: str) -> tuple[str, list[Item]]:
    """The name of a source and all its items, sorted by name.

    Raises:
        InputError: it is not there; the message says how to get it or where it was looked for.
    """
    if source == "sample":
        return source, _sample_items()
    name, path = locate(source)
    if path.is_dir():
        items = _folder_items(path)
    elif zipfile.is_zipfile(path):
        items = _npz_items(path) if path.suffix == ".npz" else _zip_items(path)
    elif path.suffix in (".zip", ".npz"):
        raise InputError(f"{path}: damaged, or no {path.suffix} file")
    else:
        raise InputError(f"{path}: a data set must be a folder, a .zip or a .npz")
    return name, with_checksums(sorted(items, key=lambda item: item.name))


def locate(source: str) -> tuple[str, Path]:
    """The name of a source other than ``sample``, and where it lies.

    Raises: as :func:`open_source`.
    """
    name, equals, given = source.partition("=")
    if equals and given:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise InputError(f"{name!r}: a data set's name is lower-case letters, digits, - and _")
        return name, _existing(Path(given))
    for entry in filter(None, os.environ.get("DEBLURLIB_DATA", "").split(os.pathsep)):
        known, equals, path = entry.partition("=")
        if equals and known == source:
            return source, _existing(Path(path))
        if not equals:
            for suffix in ("", ".zip", ".npz"):
                if (Path(entry) / (source + suffix)).exists() and source == Path(source).name:
                    return source, Path(entry) / (source + suffix)
    if source.strip() and source not in KNOWN and Path(source).exists():
        return Path(source).resolve().stem, Path(source)
    if source in KNOWN:
        raise InputError(
            f"the data set {source!r} is not here: data/README.md says how to get it; then name it "
            f"with --data {source}=PATH or put its folder into DEBLURLIB_DATA"
        )
    raise InputError(
        f"{source!r} is no data set: it is neither sample, nor {', '.join(KNOWN)}, nor a path"
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return path


def _visible(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _folder_items(folder: Path) -> list[Item]:
    names, seen = [], set()
    # os.walk, for it can follow links: large sets are often linked in
    for top, folders, found in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(top)) in seen:  # a link back to where we were
            folders.clear()
            continue
        seen.add(real)
        names += [(Path(top) / file).relative_to(folder).as_posix() for file in found]
    return [_whole_file(n, folder / n) for n in names if _visible(n)]


def _whole_file(name: str, path: Path, sha256: str | None = None) -> Item:
    return Item(name, partial(_read_file, path), partial(file_state, path), sha256=sha256)


def _read_file(path: Path) -> Iterator[bytes]:
    with files.reading(path), open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def _zip_items(path: Path) -> list[Item]:
    state = file_state(path)  # before it is opened: what is read later is of that time
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: a damaged zip ({error})") from None

    def read(name: str) -> Iterator[bytes]:
        try:
            with archive.open(name) as file:
                while block := file.read(BLOCK):
                    yield block
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error) as error:
            why = str(error) or "it is cut short"  # an EOFError says nothing
            raise InputError(f"{path}: {name} cannot be read ({why})") from None

    names = (info.filename for info in archive.infolist() if not info.is_dir())
    return [
        Item(n, partial(read, n), lambda: state, archive.getinfo(n).file_size)
        for n in names
        if _visible(n)
    ]


def _npz_items(path: Path) -> list[Item]:
    """Arrays of images, uint8 (N, H, W) or (N, H, W, 3), named ``train``, ``x_train`` and so on."""
    state = file_state(path)  # before it is read, as of a zip
    try:
        arrays = dict(np.load(path, allow_pickle=False))
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: a damaged .npz ({error})") from None
    items = []
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            continue
        if array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3):
            folder = key.removeprefix("x_")
            items += [
                Item(
                    f"{folder}/{i:06d}",
                    partial(_read_array, picture),
                    lambda: state,
                    picture.nbytes,
                    picture.shape,
                )
                for i, picture in enumerate(array)
            ]
    return items


def _read_array(array: np.ndarray) -> Iterator[bytes]:
    yield array.tobytes()


def _sample_items() -> list[Item]:
    return [_whole_file(n, _sample_path(n), SAMPLE[n][1]) for n in sorted(SAMPLE)]


def _sample_path(name: str) -> Path:
    # As files: the packages' own loaders may fetch from the network, and importing them is slow.
    package, _, rest = SAMPLE[name][0].partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{name}: the package {package}, which holds it, is not installed")
    return Path(spec.origin).parent / rest
