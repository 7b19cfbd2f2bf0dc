"""What the name of a file in a data set says, whichever system wrote it.

A name is a path within its set, with ``/``. Names themselves are never changed, for fingerprints
and seeds depend on them; they are compared as people read them.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

__all__ = ["as_bytes", "composed", "is_note", "is_visible", "side", "stem", "top", "view"]

#: Files that systems leave behind.
LITTER = ("thumbs.db", "desktop.ini")
#: Files, of any suffix, that tell of others.
NOTES = ("readme", "license", "sha256sums")


def as_bytes(name: str) -> bytes:
    """A name as the bytes that its file system holds, be they UTF-8 or not."""
    return name.encode("utf-8", "surrogateescape")


def composed(name: str) -> str:
    """A name in a form (NFC) in which two that look alike, accents composed or not, are equal."""
    return unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    """A file's name without folders and its last suffix, :func:`composed`."""
    return composed(PurePosixPath(name).stem)


def top(name: str) -> str:
    """The first folder, in lower case: ``train`` or ``test``; of a file in no folder, nothing."""
    folder, slash, _ = name.partition("/")
    return folder.lower() if slash else ""


def side(name: str) -> str:
    """The folder that a file lies in, in lower case: ``blur``, ``sharp`` or ``kernel``."""
    return PurePosixPath(name).parent.name.lower()


def view(name: str) -> str:
    """The folder that holds a file's ``blur/`` or ``sharp/``, as it is written."""
    return PurePosixPath(name).parent.parent.as_posix()


def is_visible(name: str) -> bool:
    """Whether a file belongs to a set: hidden files, and what systems leave behind, do not."""
    *_, last = parts = name.split("/")
    return last.lower() not in LITTER and not any(p.startswith((".", "__MACOSX")) for p in parts)


def is_note(name: str) -> bool:
    """Whether a file only tells of others, as a README does."""
    return stem(name).lower() in NOTES
