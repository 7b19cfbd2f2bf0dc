"""Files of a data set, wherever they lie: in a folder, a zip, an .npz or an installed package.

A source is given as ``NAME`` or ``PATH`` or ``NAME=PATH``. A name is looked up in the environment
variable ``DEBLURLIB_DATA``: entries separated like those of ``PATH``, each either ``NAME=PATH`` or
a folder that holds ``NAME/``, ``NAME.zip`` or ``NAME.npz``. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import fingerprint, images
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

CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Item:
    """One file of a set, or one image of an array: its path within the set, and its bytes."""

    name: str
    raw: Callable[[], bytes]
    shape: tuple[int, ...] | None = None  # of an image stored as bare uint8 pixels

    @property
    def is_image(self) -> bool:
        """Judged by the name; a disguised file is found out when it is read."""
        return self.shape is not None or self.name.lower().endswith(images.SUFFIXES)

    def array(self) -> np.ndarray:
        """The image, uint8 or uint16 ``(H, W, 3)``."""
        data = self.raw()
        if self.shape is None:
            return images.decode(data, self.name)
        array = np.frombuffer(data, np.uint8).reshape(self.shape)
        return (
            np.repeat(array.reshape(*self.shape[:2], 1), 3, -1) if len(self.shape) == 2 else array
        )


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
    return name, sorted(items, key=lambda item: item.name)


def hash_items(items: list[Item] | tuple[Item, ...]) -> str:
    """A short hash of all names and contents, in order."""
    parts = ((i.name.encode(), str(i.shape).encode(), i.raw()) for i in items)
    return fingerprint.of_bytes(*(part for triple in parts for part in triple))


def verify(items: list[Item]) -> int:
    """Compare items with the set's own ``SHA256SUMS``, if it has one; return how many it lists.

    Raises:
        InputError: a listed file is missing or its content differs; the message names it.
    """
    present = {item.name: item for item in items}
    if CHECKSUMS not in present:
        return 0
    lines = present[CHECKSUMS].raw().decode("utf-8", "replace").split("\n")
    listed = [line for line in lines if line.strip()]
    for line in listed:
        if len(line.split(maxsplit=1)) < 2:
            raise InputError(f"{CHECKSUMS}: not a checksum and a name: {line!r}")
        digest, name = line.split(maxsplit=1)
        name = name.strip().removeprefix("*").removeprefix("./")
        if name not in present:
            raise InputError(f"{name}: listed in {CHECKSUMS}, but not there")
        _check_digest(name, present[name].raw(), digest)
    return len(listed)


def _check_digest(name: str, data: bytes, digest: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest.lower():
        raise InputError(f"{name}: its checksum is wrong, so the file is damaged or another one")


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
    for top, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(top)) in seen:  # a link back to where we were
            folders.clear()
            continue
        seen.add(real)
        names += [(Path(top) / file).relative_to(folder).as_posix() for file in files]
    return [Item(n, partial(images.read_bytes, folder / n)) for n in names if _visible(n)]


def _zip_items(path: Path) -> list[Item]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: a damaged zip ({error})") from None

    def member(name: str) -> bytes:
        try:
            return archive.read(name)
        except (zipfile.BadZipFile, OSError, RuntimeError, zlib.error) as error:
            raise InputError(f"{path}: {name} cannot be read ({error})") from None

    names = (info.filename for info in archive.infolist() if not info.is_dir())
    return [Item(n, partial(member, n)) for n in names if _visible(n)]


def _npz_items(path: Path) -> list[Item]:
    """Arrays of images, uint8 (N, H, W) or (N, H, W, 3), named ``train``, ``x_train`` and so on."""
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
                Item(f"{folder}/{i:06d}", picture.tobytes, picture.shape)
                for i, picture in enumerate(array)
            ]
    return items


def _sample_items() -> list[Item]:
    return [Item(n, partial(_read_sample, n, *SAMPLE[n])) for n in sorted(SAMPLE)]


def _read_sample(name: str, path: str, digest: str) -> bytes:
    # As files: the packages' own loaders may fetch from the network, and importing them is slow.
    package, _, rest = path.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{name}: the package {package}, which holds it, is not installed")
    data = images.read_bytes(Path(spec.origin).parent / rest)
    _check_digest(name, data, digest)
    return data
