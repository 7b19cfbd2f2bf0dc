"""What the files of a data set hold: read a block at a time, checked, and hashed once."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import files, fingerprint
from ..errors import InputError
from . import names

__all__ = ["hash_items", "verify"]

CHECKSUMS = "SHA256SUMS"
#: Two changes of a file within one step of its file system's clock leave the same times. The
#: coarsest steps, FAT's, are of two seconds.
CLOCK_STEP = 2.0

#: Fingerprints that this process has computed, by the names of the items and the files' states.
_known: dict[str, str] = {}


class FileState(NamedTuple):
    """What tells a file from another one, and from what it holds after a change."""

    path: str
    size: int
    written: int  # nanoseconds
    changed: int  # nanoseconds; unlike ``written``, no program can set it
    device: int
    inode: int
    settled: bool  # its last change is so old that a further one would show in the times


def file_state(path: Path) -> FileState:
    """The state of a file now; take it *before* reading, so that no later change is missed."""
    now = time.time()
    with files.reading(path):
        s = os.stat(path)
    settled = max(s.st_mtime, s.st_ctime) < now - CLOCK_STEP
    return FileState(
        str(path), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_dev, s.st_ino, settled
    )


@dataclass(frozen=True)
class Item:
    """One file of a set, or one image of an array: its path within the set, and its content."""

    name: str
    read: Callable[[], Iterable[bytes]]  # the content, a block at a time
    state: Callable[[], FileState]  # of the file it lies in: itself, a zip or an .npz
    size: int | None = None  # in bytes; None: it is its whole file
    shape: tuple[int, ...] | None = None  # of an image stored as bare pixels
    dtype: str = "|u1"  # of these, in NumPy's words
    sha256: str | None = None  # what the content's must be, where that is known

    @property
    def is_image(self) -> bool:
        """Judged by the name; a disguised file is found out when it is read."""
        return self.shape is not None or self.name.lower().endswith(files.SUFFIXES)

    def blocks(self, size: int | None = None) -> Iterator[bytes]:
        """The content, a block at a time.

        Raises:
            InputError: it cannot be read; at its end: its checksum or its size (where one is
                given) is wrong. The message names it.
        """
        count, digest = 0, hashlib.sha256()
        for block in self.read():
            count += len(block)
            if self.sha256 is not None:
                digest.update(block)
            yield block
        if size not in (None, count):
            raise InputError(
                f"{self.name}: of {size} bytes, {count} were read, so it is damaged or was changed"
            )
        if self.sha256 not in (None, digest.hexdigest()):
            raise InputError(
                f"{self.name}: its checksum is wrong, so the file is damaged or another one"
            )

    def raw(self) -> bytes:
        """The whole content; errors as of :meth:`blocks`."""
        return b"".join(self.blocks(self.size))

    def array(self) -> np.ndarray:
        """The image, uint8 or uint16 ``(H, W, 3)``."""
        data = self.raw()
        if self.shape is None:
            return files.decode(data, self.name)
        array = np.frombuffer(data, self.dtype).reshape(self.shape)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return (
            np.repeat(array.reshape(*self.shape[:2], 1), 3, -1) if len(self.shape) == 2 else array
        )


def hash_items(items: list[Item] | tuple[Item, ...]) -> str:
    """A short hash of all names and contents, in order.

    Each file is read once, a block at a time, and no more by this process as long as its path,
    size and times stay the same; but again if it had just been written.

    Raises:
        InputError: a file cannot be read, or is not what the set's checksums say; see
            :meth:`Item.blocks`.
    """
    states = [item.state() for item in items]
    pairs = list(zip(items, states, strict=True))
    texts = (repr((i.name, i.shape, i.sha256, state)).encode() for i, state in pairs)
    key = fingerprint.of_blocks((len(part), (part,)) for part in texts)
    value = _known.get(key) or fingerprint.of_blocks(_parts(pairs))
    if all(state.settled for state in states):
        _known[key] = value
    return value


def _parts(pairs: list[tuple[Item, FileState]]) -> Iterator[tuple[int, Iterable[bytes]]]:
    for item, state in pairs:
        for text in (names.as_bytes(item.name), str(item.shape).encode()):
            yield len(text), (text,)
        size = state.size if item.size is None else item.size
        yield size, item.blocks(size)


def described(items: list[Item]) -> str:
    """What was found, in words, for an error: how many files, and the name of one of them."""
    if not items:
        return "nothing"
    example = min(items, key=lambda item: names.is_note(item.name)).name
    return f"the file {example}" if len(items) == 1 else f"{len(items)} files, such as {example}"


def with_checksums(items: list[Item]) -> list[Item]:
    """The items of a whole set, each with what the set's own ``SHA256SUMS`` says of it."""
    listed = _listed(items)
    return [replace(i, sha256=listed.get(names.composed(i.name), i.sha256)) for i in items]


def verify(items: list[Item]) -> int:
    """Compare a whole set with its own ``SHA256SUMS``, if it has one; return how many it lists.

    Raises:
        InputError: a listed file is missing or its content differs; the message names it.
    """
    present, listed = {names.composed(item.name): item for item in items}, _listed(items)
    for name, digest in listed.items():
        if name not in present:
            raise InputError(f"{name}: listed in {CHECKSUMS}, but not there")
        for _ in replace(present[name], sha256=digest).blocks():
            pass  # the check is at the end
    return len(listed)


def _listed(items: list[Item]) -> dict[str, str]:
    """The names in a set's ``SHA256SUMS``, and their checksums."""
    listed: dict[str, str] = {}
    text = b"".join(item.raw() for item in items if item.name == CHECKSUMS)
    for line in filter(str.strip, text.decode("utf-8", "surrogateescape").split("\n")):
        escaped = line.startswith("\\")  # as sha256sum writes a name with such a sign in it
        parts = re.fullmatch(r"([0-9a-fA-F]{64})\s+\*?(.+)", line.removeprefix("\\").strip())
        if parts is None:
            raise InputError(f"{CHECKSUMS}: not a checksum and a name: {line!r}")
        digest, name = parts[1].lower(), parts[2]
        name = name.replace("\\n", "\n").replace("\\\\", "\\") if escaped else name
        name = names.composed(name.removeprefix("./"))
        if listed.setdefault(name, digest) != digest:
            raise InputError(f"{CHECKSUMS}: two checksums for {name}")
    return listed
