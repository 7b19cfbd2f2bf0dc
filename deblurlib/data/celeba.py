"""CelebA as its page and torchvision lay it out: a folder of faces, and a list of their parts.

Z. Liu and others, "Deep learning face attributes in the wild", ICCV 2015. The folder ``celeba/``
holds ``img_align_celeba/000001.jpg`` and so on, and ``list_eval_partition.txt``, each line of which
names an image and its part: ``000001.jpg 0``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from .. import files
from ..errors import InputError
from ..places import KNOWN
from . import names
from .contents import FileState, Item, file_state

__all__ = ["find", "items_of"]

NAME = "celeba"
IMAGES = "img_align_celeba"
ARCHIVE = f"{IMAGES}.zip"
#: The list of the parts; a copy of the set on Kaggle has it with commas and a header.
PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv")
#: as the list writes a part -> its name here
PARTS = {"0": "train", "1": "valid", "2": "test"}


def find(name: str, path: Path) -> Path | None:
    """The folder of a source that is CelebA as it is unpacked: ``path``, or ``celeba/`` in it.

    It is known by the folder of images and the list in it; of a source that is named ``celeba``,
    one of these or the archive is enough, and :func:`items_of` says what is missing. A folder with
    ``train/`` or ``test/`` is one that somebody has sorted, and is none, nor is a source with the
    name of another known set.

    Raises:
        InputError: the folder may not be read.
    """
    if name in KNOWN and name != NAME:
        return None
    for folder in (path, path / NAME):
        images, listed = os.path.isdir(folder / IMAGES), _partition(folder) is not None
        some = images or listed or os.path.isfile(folder / ARCHIVE)
        if (images and listed) or (name == NAME and some):
            return None if _is_sorted(path) or _is_sorted(folder) else folder
    return None


def items_of(folder: Path) -> list[Item]:
    """The images, sorted, by their parts: ``train/000001.jpg``, ``valid/...`` and ``test/...``.

    Only names are read here; a file is looked at and read when it is asked for.

    Raises:
        InputError: the images are not there, or not unpacked; there is no list, or a line of it
            says no image and part, or an image twice; an image is listed and missing, or there and
            not listed. The message names the file, and says what to do.
    """
    images, partition = folder / IMAGES, _partition(folder)
    if not os.path.isdir(images):
        if os.path.isfile(folder / ARCHIVE):
            raise InputError(f"{folder / ARCHIVE}: unpack it here, into the folder {IMAGES}/")
        raise InputError(f"{images}: no such folder; {ARCHIVE}, from the set's page, unpacks to it")
    if partition is None:
        raise InputError(
            f"{folder / PARTITIONS[0]}: no such file; it says which images are for training and "
            f"for testing, and comes from the same page as the images"
        )
    if os.path.isdir(images / IMAGES):  # as the copy on Kaggle unpacks
        images = images / IMAGES
    parts = _read_partition(partition)
    _compare(images, partition, parts)
    return [
        Item(f"{part}/{file}", partial(_read, images, file), partial(_state, images, file))
        for part, file in sorted((part, file) for file, part in parts.items())
    ]


def _partition(folder: Path) -> Path | None:
    return next((folder / file for file in PARTITIONS if os.path.isfile(folder / file)), None)


def _is_sorted(folder: Path) -> bool:
    with files.reading(folder):
        here = os.listdir(folder)
    return any(os.path.isdir(folder / name) for name in here if name.lower() in ("train", "test"))


def _read_partition(path: Path) -> dict[str, str]:
    """Each image of the list, and its part."""
    text = files.read_bytes(path).decode("utf-8-sig", "replace")
    parts: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.replace(",", " ").split()
        if not fields or (number == 1 and _is_header(fields)):
            continue
        if len(fields) != 2 or not _is_image(fields[0]):
            raise InputError(
                f"{path}: line {number} is {line.strip()[:60]!r}; expected is an image and its "
                f"part, as in '000001.jpg 0'"
            )
        file, part = fields
        if part not in PARTS:
            raise InputError(
                f"{path}: line {number} gives {file} the part {part[:20]!r}; expected is 0 (train),"
                f" 1 (valid) or 2 (test)"
            )
        if file in lines:
            raise InputError(
                f"{path}: lines {lines[file]} and {number} both list {file}; take one of them out"
            )
        parts[file], lines[file] = PARTS[part], number
    if not parts:
        raise InputError(f"{path}: lists no image; get it anew from the set's page")
    return parts


def _is_header(fields: list[str]) -> bool:
    """Whether these are words for columns: a first image that is written wrongly is none."""
    return len(fields) == 2 and not _is_image(fields[0]) and fields[1].isalpha()


def _is_image(file: str) -> bool:
    return file.lower().endswith(files.SUFFIXES)


def _compare(images: Path, partition: Path, parts: dict[str, str]) -> None:
    """Refuse a folder that holds other images than the list names."""
    with files.reading(images), os.scandir(images) as entries:
        here = {entry.name for entry in entries}
    if missing := parts.keys() - here:
        raise InputError(
            f"{_first(images, missing)} listed in {partition.name}, but not there: unpack "
            f"{ARCHIVE} anew, or list only what is there"
        )
    # Not passed over: of a list that was cut short, a smaller set would come without a word.
    if others := {f for f in here - parts.keys() if _is_image(f) and names.is_visible(f)}:
        raise InputError(
            f"{_first(images, others)} there, but not listed in {partition.name}: get the whole "
            f"list, or take out of the folder what it does not list"
        )


def _first(images: Path, several: Iterable[str]) -> str:
    """The first of several images, and how many more there are, up to the verb."""
    first, *more = sorted(several)
    return f"{images / first}: it and {len(more):,} more are" if more else f"{images / first}: is"


def _read(images: Path, file: str) -> Iterator[bytes]:
    yield files.read_bytes(images / file)  # at once, for they are small


def _state(images: Path, file: str) -> FileState:
    return file_state(images / file)
