"""CIFAR's binary versions, as their page has them, and the classes of CIFAR's images.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Of each image a file
holds its label (CIFAR-100: the coarse one, then the fine one), and then 32 x 32 values of red, of
green and of blue, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from .. import files
from ..errors import InputError
from ..names import Split
from ..places import locate
from .archives import DAMAGED
from .contents import FileState, Item, file_state

__all__ = ["classes", "find", "items_of"]

SHAPE = (32, 32, 3)
PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class Layout:
    """How one of the two lies in its folder."""

    folder: str  # as unpacked
    files: Mapping[str, tuple[str, ...]]  # split -> its files, in order
    meta: str  # the file that names the classes
    count: int  # of classes
    labels: int  # bytes before an image's pixels; the last is its class

    @property
    def record(self) -> int:
        """Bytes of an image and its labels."""
        return self.labels + PIXELS


#: source -> its layout
LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-batches-bin",
        {
            "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
            "test": ("test_batch.bin",),
        },
        "batches.meta.txt",
        10,
        1,
    ),
    "cifar100": Layout(
        "cifar-100-binary",
        {"train": ("train.bin",), "test": ("test.bin",)},
        "fine_label_names.txt",
        100,
        2,
    ),
}


def find(name: str, path: Path) -> tuple[Layout, Path] | None:
    """The layout of a source that lies in its binary version in ``path``, and the folder itself.

    That folder is ``path`` or lies in it; it is known by its name, or by the source's.

    Raises:
        InputError: both sets lie in ``path``, and the source's name does not say which is meant.
    """
    found = []
    for layout in [LAYOUTS[name]] if name in LAYOUTS else LAYOUTS.values():
        for folder in (path, path / layout.folder):
            known = name in LAYOUTS or folder.resolve().name == layout.folder
            listed = [file for split in layout.files.values() for file in split]
            if known and any((folder / file).exists() for file in listed):
                found.append((layout, folder))
    if len(found) > 1 and name not in LAYOUTS:
        raise InputError(f"{path}: holds two sets: name one of its folders")
    return found[0] if found else None


def items_of(layout: Layout, folder: Path) -> list[Item]:
    """The images, named as those of an ``.npz`` are: ``train/000000`` is the first batch's first.

    So a set has one fingerprint in both forms. A file is read, and kept, when it is asked for.

    Raises:
        InputError: a file is missing or cut short; when it is read: a label is none of a class.
    """
    items = []
    for split, listed in layout.files.items():
        before = 0
        for file in listed:
            path = folder / file
            state = file_state(path)
            count, rest = divmod(state.size, layout.record)
            if rest or not count:
                raise InputError(
                    f"{path}: {state.size} bytes are not whole images of {layout.record} bytes each"
                )
            load = _loader(layout, path, count)
            items += [
                Item(
                    f"{split}/{before + i:06d}",
                    partial(_read, load, i),
                    partial(_already, state),
                    PIXELS,
                    SHAPE,
                )
                for i in range(count)
            ]
            before += count
    return items


def classes(source: str, split: Split | str | None = None) -> dict[str, str]:
    """The class of each image of CIFAR: the image's name within the set -> the class, in words.

    Args:
        source: a name, a path, or ``NAME=PATH``, of a binary version or of an ``.npz`` that holds
            ``y_train`` and ``y_test`` and, for the words, ``class_names``.
        split: ``"train"`` or ``"test"``; ``None`` for both.

    Raises:
        InputError: it is not here, or does not say the classes.
    """
    name, path = locate(source)
    binary = find(name, path) if path.is_dir() else None
    if binary is not None:
        labels, words = _labels_of_folder(*binary)
    elif path.suffix.lower() == ".npz":
        labels, words = _labels_of_npz(path)
    else:
        raise InputError(f"{source}: neither an .npz with labels nor a binary version of CIFAR")
    wanted = labels if split is None else {split: labels.get(split, [])}
    if not all(len(part) for part in wanted.values()):
        raise InputError(f"{source}: says no classes of {split or 'its'} images")
    named = {}
    for part, numbers in sorted(wanted.items()):
        for i, number in enumerate(numbers):
            image = f"{part}/{i:06d}"
            if not 0 <= number < len(words):
                raise InputError(f"{source}: {image} has the label {number}, which is no class")
            named[image] = words[number]
    return named


def _labels_of_folder(layout: Layout, folder: Path) -> tuple[dict[str, list[int]], list[str]]:
    text = files.read_bytes(folder / layout.meta).decode("utf-8", "replace")
    words = text.split()
    if len(words) != layout.count:
        raise InputError(
            f"{folder / layout.meta}: names {len(words)} classes instead of {layout.count}"
        )
    labels = {}
    for split, listed in layout.files.items():
        parts = [_records(layout, folder / file)[:, layout.labels - 1] for file in listed]
        labels[split] = np.concatenate(parts).tolist()
    return labels, words


def _labels_of_npz(path: Path) -> tuple[dict[str, list[int]], list[str]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[f"y_{key}"] for key in ("train", "test") if f"y_{key}" in arrays}
            words = arrays["class_names"].tolist() if "class_names" in arrays else None
    except DAMAGED as error:
        raise InputError(f"{path}: a damaged .npz ({error})") from None
    for key, array in found.items():
        if array.dtype.kind not in "ui" or array.ndim < 1 or array.size != len(array):
            raise InputError(
                f"{path}: the array 'y_{key}' holds {array.dtype} {array.shape}; expected is a "
                f"label (N,) for each image"
            )
    labels = {key: array.reshape(-1).tolist() for key, array in found.items()}
    if not labels:
        raise InputError(f"{path}: holds neither y_train nor y_test, the labels of its images")
    if words is None:
        words = [str(i) for i in range(max(map(max, labels.values())) + 1)]
    return labels, [str(word) for word in words]


def _loader(layout: Layout, path: Path, count: int) -> Callable[[], np.ndarray]:
    @cache
    def load() -> np.ndarray:
        records = _records(layout, path)
        if len(records) != count:
            raise InputError(f"{path}: was changed while it was read")
        planes = records[:, layout.labels :].reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    return load


def _records(layout: Layout, path: Path) -> np.ndarray:
    """The images of a file, labels and all: uint8 ``(N, record)``."""
    content = files.read_bytes(path)
    if len(content) % layout.record:
        raise InputError(
            f"{path}: {len(content)} bytes are not whole images of {layout.record} bytes each"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, layout.record)
    labels = records[:, layout.labels - 1]
    if (wrong := np.flatnonzero(labels >= layout.count)).size:
        raise InputError(
            f"{path}: image {wrong[0]} has the label {labels[wrong[0]]}, which is none of "
            f"{layout.count} classes"
        )
    return records


def _already(state: FileState) -> FileState:
    return state


def _read(load: Callable[[], np.ndarray], i: int) -> Iterator[bytes]:
    yield load()[i].tobytes()
