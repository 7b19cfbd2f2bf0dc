"""Which files are meant by paths, folders and patterns, and where their results go.

Taught in chapter 05.
"""

from __future__ import annotations

import glob
import mimetypes
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, require
from ..files import FORMATS
from ..video import CONTAINERS

RESULT = "_deblurred"  # what is added to the name of a file or folder, if no output is named
EARLIER = "from an earlier run"
COMPARED = "_compare"  # what is added to the name of a result, for its comparison with what it was
MAPPED = "_trust"  # the same, for the map of where it contradicts what it was
#: the same, for the kernel that was found; also added to the name of a photograph itself
FOUND = "_kernel"
KERNEL_SUFFIXES = (".npy", ".png")


@dataclass(frozen=True)
class Candidate:
    """An image file or video to restore or, without a path, what there is not to restore."""

    source: str
    path: Path | None = None
    target: Path | None = None  # where its result goes
    error: str | None = None  # one sentence: an argument that names no image
    passed_over: str | None = None  # what it is: a file that nobody asked for by its name


def find_photos(
    given: Sequence[str | os.PathLike[str]], out: Path | None = None
) -> Iterator[Candidate]:
    """The files meant by paths, folders and patterns, each with the place of its result.

    A folder stands for all image files below it, hidden ones and those in ``out`` left out, and its
    tree is kept; a pattern such as ``*.jpg`` for what it matches. Without ``out``, ``a.jpg``
    becomes ``a_deblurred.jpg`` beside it; of a folder, ``scans/a.jpg`` ``scans_deblurred/a.jpg``.
    A video is meant by its name, or by a pattern for videos such as ``*.mp4``.

    What does not exist, or is no image, comes as a :class:`Candidate` with an ``error``. What lies
    in a folder and cannot be read, is a link to a folder, or the result of an earlier run, comes
    as one that is ``passed_over``; results are passed over among several files, too.
    """
    for text in [os.fspath(one) for one in given]:
        path = Path(text)
        try:
            path.exists()
        except OSError as error:  # a name too long, a folder that may not be looked into
            yield Candidate(text, error=f"{text}: {error.strerror}")
            continue
        if not text.strip():
            yield Candidate(text, error="an empty name names no image file")
        elif path.is_dir():
            yield from _in_folder(text, path, out)
        elif path.exists():
            yield _one(path, out, len(given) > 1)
        elif glob.has_magic(text):
            matched = sorted(Path(p) for p in glob.glob(_any_case(text), recursive=True))
            videos = kind(path) == "video"  # only a pattern such as *.mp4 means them
            found = [
                _one(p, out, True) if videos and kind(p) == "video" else _matched(p, out)
                for p in matched
                if p.is_file()
            ]
            yield from found
            if not any(one.path for one in found):
                yield Candidate(text, error=f"{text}: no image file matches")
        else:
            yield Candidate(text, error=f"{text}: no such file or folder")


def _any_case(pattern: str) -> str:
    """A pattern whose last part matches names in any case: ``*.jpg`` is ``IMG_1.JPG``, too."""
    place, last = os.path.split(pattern)
    if "[" in last:
        return pattern
    signs = (f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else c for c in last)
    return os.path.join(place, "".join(signs))


def kind(path: Path) -> str:
    """A file's kind by its name: ``image``, ``video`` or another; empty if it is not known."""
    if path.suffix.lower() in FORMATS:  # not every system's list of types knows them all
        return "image"
    if path.suffix.lower() in CONTAINERS:
        return "video"
    return (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]


def beside(path: Path) -> Path:
    """Where the result goes, if nobody says where: beside the file or the folder."""
    if not path.is_dir():
        # "cells.ome.tif" is named by two suffixes
        of_ome = ".ome" if path.stem.lower().endswith(".ome") else ""
        stem = path.stem[: len(path.stem) - len(of_ome)]
        return path.with_name(f"{stem}{RESULT}{of_ome}{result_suffix(path)}")
    folder = path.resolve() if path.name in ("", "..") else path
    require(bool(folder.name), f"{path}: name a folder for the results, with -o")
    return folder.with_name(folder.name + RESULT)


def kernel_paths(path: Path) -> tuple[Path, ...]:
    """Where the kernel found of a photograph goes, as numbers and as a picture.

    ``a.jpg`` gives ``a_kernel.npy`` and ``a_kernel.png``.
    """
    return tuple(path.with_name(f"{path.stem}{FOUND}{suffix}") for suffix in KERNEL_SUFFIXES)


def result_suffix(path: Path) -> str:
    """That of the file; of a video of a kind that cannot be written, ``.mp4``."""
    writable = kind(path) != "video" or path.suffix.lower() in CONTAINERS
    return path.suffix if writable else ".mp4"


def _one(path: Path, out: Path | None, among_others: bool) -> Candidate:
    if among_others and _is_result(path):
        return Candidate(str(path), passed_over=EARLIER)
    name = path.stem + result_suffix(path)
    return Candidate(str(path), path, beside(path) if out is None else out / name)


def _matched(path: Path, out: Path | None) -> Candidate:
    """What a pattern, or a folder, holds."""
    if path.suffix.lower() in FORMATS or _is_result(path):
        return _one(path, out, True)
    return Candidate(str(path), passed_over=path.suffix.lower() or "without a suffix")


def _in_folder(text: str, folder: Path, out: Path | None) -> Iterator[Candidate]:
    try:
        output = beside(folder) if out is None else out
    except InputError as error:
        yield Candidate(text, error=str(error))
        return
    empty, real_output, real_folder = True, *(Path(os.path.realpath(p)) for p in (output, folder))
    # results that lie inside the folder; where they lie in it itself, its files are inputs, too
    own = real_output if real_folder in real_output.parents else None
    for path in _walk(folder):
        if isinstance(path, OSError):
            yield Candidate(text, error=f"{path.filename}: {path.strerror}")
            continue
        name = path.relative_to(folder)
        if own is not None and own in (real := Path(os.path.realpath(path)), *real.parents):
            continue
        if path.is_dir():
            yield Candidate(str(path), passed_over="linked folder")
        elif any(_is_result(folder / part) for part in (name, *name.parents[:-1])):
            yield Candidate(str(path), passed_over=EARLIER)
        else:
            one = _matched(path, None)
            empty = empty and one.path is None
            yield one if one.path is None else Candidate(str(path), path, output / name)
    if empty:
        yield Candidate(text, error=f"{text}: no image file in this folder")


def _walk(folder: Path) -> list[Path | OSError]:
    """Files below a folder, and links to folders, in order, hidden ones left out; what hinders."""
    found: list[Path | OSError] = []
    for place, folders, names in os.walk(folder, onerror=found.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        names = [name for name in names if not name.startswith(".")]
        found += [Path(place, name) for name in (*names, *links)]
    return sorted(found, key=lambda one: one if isinstance(one, Path) else Path(one.filename))


def _is_result(path: Path) -> bool:
    """Whether the name is what a run gave to what it made of a file or folder beside it."""
    stem = path.name if path.is_dir() else path.stem
    if stem.endswith(COMPARED) and path.suffix in (".jpg", ".html"):
        return all(path.with_suffix(suffix).exists() for suffix in (".jpg", ".html"))
    if stem.endswith(FOUND) and path.suffix in KERNEL_SUFFIXES:
        return all(path.with_suffix(suffix).exists() for suffix in KERNEL_SUFFIXES)
    if stem.endswith(MAPPED) and path.suffix == ".png":
        there = path.parent.glob(f"{glob.escape(stem.removesuffix(MAPPED))}.*")
        return any(one.suffix.lower() in FORMATS for one in there)
    before = stem.removesuffix(RESULT)
    if before == stem:  # the method's name may follow, as deblur suggest proposes
        before = re.sub(rf"{RESULT}_[a-z-]+$", "", stem)
    if before in ("", stem):
        return False
    if path.is_dir():
        return path.with_name(before).is_dir()
    if kind(path) == "video":  # of one of any kind
        there = path.parent.glob(f"{glob.escape(before)}.*")
        return any(kind(one) == "video" for one in there)
    return any(path.with_name(before + suffix).exists() for suffix in (path.suffix, *FORMATS))
