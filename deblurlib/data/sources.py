"""Files of a data set, wherever they lie: in a folder, a zip, an .npz or an installed package.

How a source is named and looked up is in :mod:`deblurlib.places`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from .. import files
from ..errors import InputError, not_installed
from ..places import locate
from . import celeba, cifar, names
from .archives import BLOCK, npz_items, zip_items
from .contents import CHECKSUMS, Item, file_state, with_checksums
from .scenes import TABLE

__all__ = ["open_source"]

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


def open_source(source: str) -> tuple[str, list[Item]]:
    """The name of a source and all its items, sorted by name.

    Where all lies in one folder (as in a zip of a folder), and in that, or deeper, there are
    ``train/`` or ``test/`` with images, ``scenes.csv`` or ``SHA256SUMS``, names begin there.

    Raises:
        InputError: it is not there; the message says how to get it or where it was looked for.
    """
    if source == "sample":
        return source, _sample_items()
    name, path = locate(source)
    if path.is_file():
        with files.reading(path), open(path, "rb"):
            pass  # of one that may not be read, zipfile says that it is no zip
    if path.is_dir():
        if faces := celeba.find(name, path):
            if name != celeba.NAME and cifar.find(name, path):
                raise InputError(f"{path}: holds two sets: name one of its folders")
            return name, celeba.items_of(faces)
        binary = cifar.find(name, path)
        items = cifar.items_of(*binary) if binary else _folder_items(path)
    elif zipfile.is_zipfile(path):
        items = npz_items(path) if path.suffix.lower() == ".npz" else zip_items(path)
    elif path.suffix.lower() in (".zip", ".npz"):
        raise InputError(f"{path}: damaged, or no {path.suffix} file")
    else:
        raise InputError(f"{path}: a data set must be a folder, a .zip or a .npz")
    return name, with_checksums(sorted(_below_top(items), key=lambda item: item.name))


def _below_top(items: list[Item]) -> list[Item]:
    """The items of the folder that the set lies in, named from there; or all items as they are."""
    prefix, inside = "", items
    while any(item.is_image for item in inside):
        below = {item.name[len(prefix) :]: item for item in inside}
        images = [name for name, item in below.items() if item.is_image]
        listed = any(name.lower() == TABLE or name == CHECKSUMS for name in below)
        if listed or any(names.top(name) in ("train", "test") for name in images):
            return [replace(item, name=name) for name, item in below.items()]
        tops = {name.partition("/")[0] for name in below if "/" in name}
        if len(tops) > 1 or not all("/" in name for name in images):
            break
        prefix += f"{tops.pop()}/"
        inside = [item for item in inside if item.name.startswith(prefix)]  # less a README beside
    return items


def _folder_items(folder: Path) -> list[Item]:
    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})")

    paths, seen = [], set()
    # os.walk, for it can follow links: large sets are often linked in
    for top, folders, here in os.walk(folder, onerror=fail, followlinks=True):
        if (real := os.path.realpath(top)) in seen:  # a link back to where we were
            folders.clear()
            continue
        seen.add(real)
        paths += [(Path(top) / file).relative_to(folder).as_posix() for file in here]
    return [_whole_file(path, folder / path) for path in paths if names.is_visible(path)]


def _whole_file(name: str, path: Path, sha256: str | None = None) -> Item:
    return Item(name, partial(_read_file, path), partial(file_state, path), sha256=sha256)


def _read_file(path: Path) -> Iterator[bytes]:
    with files.reading(path), open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def _sample_items() -> list[Item]:
    return [_whole_file(n, _sample_path(n), SAMPLE[n][1]) for n in sorted(SAMPLE)]


def _sample_path(name: str) -> Path:
    # As files: the packages' own loaders may fetch from the network, and importing them is slow.
    package, _, rest = SAMPLE[name][0].partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise not_installed(f"the data set sample ({name})", package)
    return Path(spec.origin).parent / rest
