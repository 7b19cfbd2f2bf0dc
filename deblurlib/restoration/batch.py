"""Many image files, or frames of a video, restored into a folder. Taught in chapter 05."""

from __future__ import annotations

import glob
import mimetypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import machine, video
from ..errors import InputError
from ..files import FORMATS, Photo, check_suffix, read_photo, write_photo
from .methods import Method
from .restoring import restore
from .tiles import Progress


@dataclass(frozen=True)
class Outcome:
    """How the restoration of one picture ended."""

    source: str
    target: Path | None  # what was written
    error: str | None = None  # one sentence, if nothing was written
    size: tuple[int, int] = (0, 0)  # width, height
    seconds: float = 0.0  # reading, restoring and writing
    lost: tuple[str, ...] = ()  # what its format cannot hold, see write_photo


@dataclass(frozen=True)
class Candidate:
    """An image file to restore or, with an ``error``, an argument that names none."""

    source: str
    path: Path | None = None
    name: Path | None = None  # below the output
    error: str | None = None  # one sentence, if there is nothing to restore


def find_photos(given: Sequence[str], out: Path | None = None) -> Iterator[Candidate]:
    """The image files meant by paths, folders and patterns, each with its name below the output.

    A folder stands for all image files below it, hidden ones and those in ``out`` left out, and its
    tree is kept; a pattern such as ``*.jpg`` for what it matches. What does not exist, or is no
    image, comes as a :class:`Candidate` with an ``error``.
    """
    output = None if out is None else Path(os.path.realpath(out))
    for text in given:
        path = Path(text)
        try:
            path.exists()
        except OSError as error:  # a name too long, a folder that may not be looked into
            yield Candidate(text, error=f"{text}: {error.strerror}")
            continue
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _is_photo(p, path, output))
            yield from (Candidate(str(p), p, p.relative_to(path)) for p in inside)
            if not inside:
                yield Candidate(text, error=f"{text}: no image file in this folder")
        elif path.exists() and _kind(path) == "video":
            why = f"{text}: a video; --frames says which of its frames to restore"
            yield Candidate(text, error=why)
        elif path.exists():
            yield Candidate(text, path, Path(path.name))
        elif glob.has_magic(text):
            matched = sorted(Path(p) for p in glob.glob(text, recursive=True))
            matched = [p for p in matched if p.is_file()]
            yield from (Candidate(str(p), p, Path(p.name)) for p in matched)
            if not matched:
                yield Candidate(text, error=f"{text}: no file matches")
        else:
            yield Candidate(text, error=f"{text}: no such file or folder")


def _kind(path: Path) -> str:
    """A file's kind by its name: ``image``, ``video`` or another; empty if it is not known."""
    if path.suffix.lower() in FORMATS:  # not every system's list of types knows them all
        return "image"
    return (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]


def _is_photo(path: Path, folder: Path, output: Path | None) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    if hidden or path.suffix.lower() not in FORMATS or path.is_dir():
        return False
    real = Path(os.path.realpath(path))
    # where the folder itself is the output, its files are inputs all the same
    return output is None or Path(os.path.realpath(folder)) == output or output not in real.parents


def restore_files(
    given: Sequence[str],
    out: Path,
    method: Method,
    device: torch.device | str = "cpu",
    tile: int | None = None,
    progress: Progress = lambda share: None,
    kernel: torch.Tensor | None = None,
) -> Iterator[Outcome]:
    """Restore image files, one after the other; a bad file does not stop the others.

    Args:
        given: see :func:`find_photos`.
        out: a folder, made if need be; or, for a single file, a file, whose suffix says the format.
        method, device, tile, progress, kernel: see :func:`deblurlib.restoration.restore`; the
            progress is of one file, the kernel that of all.

    Raises:
        InputError: ``out`` is a file's name, but several files are to be restored.
    """
    photos = list(find_photos(given, out))
    single = bool(_kind(out)) and not out.is_dir()
    if single and (len(photos) != 1 or Path(given[0]).is_dir()):
        raise InputError(f"{out}: several images need a folder to go to, not a file")
    # not Path.resolve, which raises where links go in a circle
    sources = {os.path.realpath(f.path): f.path for f in photos if f.error is None}
    taken: dict[str, Path] = {}
    for photo in photos:
        if photo.error is not None:
            yield Outcome(photo.source, None, photo.error)
            continue
        source, target = photo.path, out if single else out / photo.name

        def load(source: Path = source, target: Path = target) -> Photo:
            _check_target(source, target, taken, sources)
            return read_photo(source)

        outcome = _restored(str(source), target, load, method, device, tile, progress, kernel)
        if outcome.target is not None:
            taken[os.path.realpath(target)] = source
        yield outcome


def _restored(
    name: str,
    target: Path,
    load: Callable[[], Photo],
    method: Method,
    device: torch.device | str,
    tile: int | None,
    progress: Progress,
    kernel: torch.Tensor | None,
) -> Outcome:
    """Restore one picture into a file; an error is part of the outcome, and not raised."""
    began = time.perf_counter()
    try:
        photo = load()
        pixels = restore(photo.pixels, method, kernel, device, tile, progress)
        target.parent.mkdir(parents=True, exist_ok=True)
        lost = write_photo(target, replace(photo, pixels=pixels))
    except InputError as error:
        return Outcome(name, None, str(error))
    except OSError as error:
        return Outcome(name, None, f"{target}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not machine.is_out_of_memory(error):
            raise
        return Outcome(name, None, f"{name}: not enough memory; a smaller --tile needs less")
    seconds = time.perf_counter() - began
    return Outcome(name, target, None, photo.pixels.shape[1::-1], seconds, lost)


def _check_target(
    source: Path, target: Path, taken: dict[str, Path], sources: dict[str, Path]
) -> None:
    """Raise an :class:`InputError` if a picture would be written over another, or cannot be."""
    place = os.path.realpath(target)
    if place in taken:
        raise InputError(f"{source}: would be written over what {taken[place]} was restored to")
    if place in sources:
        over = "over" if sources[place] == source else f"over {sources[place]}"
        raise InputError(f"{source}: would be written {over}; choose another folder with -o")
    if target.is_dir():
        raise InputError(f"{target}: is a folder; {source} cannot be written there")
    check_suffix(source if target.suffix == source.suffix else target)  # before the work is done


def restore_frames(
    source: Path,
    numbers: Sequence[int],
    out: Path,
    method: Method,
    device: torch.device | str = "cpu",
    tile: int | None = None,
    progress: Progress = lambda share: None,
    kernel: torch.Tensor | None = None,
) -> Iterator[Outcome]:
    """Restore some frames of a video, or of a folder of frames, into PNG files of a folder.

    Args:
        numbers: of the frames, counted from 0; frame 3 of ``clip.mp4`` becomes ``clip-000003.png``,
            of 8 bits.
        method, device, tile, progress, kernel: as of :func:`restore_files`.

    Raises:
        InputError: not a video, ``out`` is the name of a file, or the folder of frames itself.
    """
    if (_kind(out) and not out.is_dir()) or os.path.realpath(out) == os.path.realpath(source):
        raise InputError(f"{out}: the frames need a folder of their own to go to")
    title = Path(source).resolve().name if source.is_dir() else source.stem
    wanted = set(numbers)
    frames = video.read_frames(source)
    for number in range(max(wanted) + 1 if wanted else 0):
        frame = next(frames, None)
        if frame is None:
            missing = min(n for n in wanted if n >= number)
            why = f"{source}: no frame {missing}; its last one is {number - 1}"
            yield Outcome(str(source), None, why)
            return
        if number in wanted:
            photo = Photo(np.ascontiguousarray(frame))
            target = out / f"{title}-{number:06d}.png"
            name = f"{source}, frame {number}"
            yield _restored(name, target, lambda p=photo: p, method, device, tile, progress, kernel)
