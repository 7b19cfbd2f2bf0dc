"""Many image files, or frames of a video, restored into files. Taught in chapter 05."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import machine, video
from ..errors import InputError, require
from ..files import Photo, check_suffix, read_photo, reduce, write_photo
from .comparison import comparison_paths, write_comparison
from .finding import beside, find_photos, kind
from .methods import Method
from .restoring import restore


@dataclass(frozen=True)
class Request:
    """How pictures are to be restored, and what is to be written."""

    method: Method
    device: torch.device | str = "cpu"
    tile: int | None = None  # side, pixels
    kernel: torch.Tensor | None = None  # that of all pictures
    side: int | None = None  # pixels: pictures with a longer side are reduced to it before
    compare: bool = False  # write what :func:`deblurlib.restoration.write_comparison` does, too
    existing: str = "refuse"  # what is done about a result that is there; or "overwrite", "skip"
    dry_run: bool = False  # read and check everything, write nothing

    def __post_init__(self) -> None:
        allowed = ("refuse", "overwrite", "skip")
        require(
            self.existing in allowed, f"existing {self.existing!r} is none of {', '.join(allowed)}"
        )


@dataclass(frozen=True)
class Outcome:
    """How the restoration of one picture ended."""

    source: str
    target: Path | None  # the result, if it was written, or was there
    error: str | None = None  # one sentence, if not all was written
    size: tuple[int, int] = (0, 0)  # width, height of the result
    full_size: tuple[int, int] = (0, 0)  # of the picture before it was reduced
    seconds: float = 0.0  # reading, restoring and writing
    lost: tuple[str, ...] = ()  # what its format cannot hold, see write_photo
    skipped: bool = False  # its result was there
    passed_over: str | None = None  # what it is, see Candidate
    compared: tuple[Path, ...] = ()  # the comparison's picture and page


@dataclass(frozen=True)
class Step:
    """How far the restoration of one picture has come."""

    picture: str
    number: int  # of it, from 1
    count: int  # of all pictures
    size: tuple[int, int]  # width, height
    share: float  # of this picture's work that is done
    seconds: float  # that it took


Watch = Callable[[Step], None]


@dataclass(frozen=True)
class _Job:
    """One picture: its name for the reader, its result, its number, and the number of all."""

    name: str
    target: Path
    number: int
    count: int


def restore_files(
    given: Sequence[str | os.PathLike] | str | os.PathLike,
    request: Request,
    out: Path | None = None,
    watch: Watch = lambda step: None,
) -> Iterator[Outcome]:
    """Restore image files, one after the other; a bad file does not stop the others.

    Args:
        given: see :func:`find_photos`, which says where the results go, too.
        out: a folder, made if need be; or, for a single file, a file, whose suffix says the format.
        watch: is told of each part of a picture that is done.

    Raises:
        InputError: ``out`` is a file's name, but several files are to be restored.
    """
    given = [given] if isinstance(given, str | os.PathLike) else given
    out = None if out is None else Path(out)
    photos = list(dict.fromkeys(find_photos(given, out)))  # what is named twice is done once
    count = sum(photo.path is not None for photo in photos)
    single = out is not None and bool(kind(out)) and not out.is_dir()
    several = count > 1 or any(p.error is not None for p in photos[1:])
    if single and (several or len(given) > 1 or Path(given[0]).is_dir()):
        raise InputError(f"{out}: several images need a folder to go to, not a file")
    sources = {_identity(p.path): p.path for p in photos if p.path is not None}
    taken: dict[str, Path] = {}
    number = 0
    for photo in photos:
        if photo.path is None:
            yield Outcome(photo.source, None, photo.error, passed_over=photo.passed_over)
            continue
        number += 1
        source, target = photo.path, out if single else photo.target

        job = _Job(str(source), target, number, count)
        targets = _targets(job, request)

        def check(source: Path = source, targets: list[Path] = targets) -> None:
            _check_targets(source, targets, taken, sources)  # before the work is done

        outcome = _restored(job, request, lambda p=source: read_photo(p), watch, check)
        if outcome.target is not None:
            taken.update((os.path.realpath(target), source) for target in targets)
        yield outcome


def restore_frames(
    source: Path,
    numbers: Sequence[int],
    request: Request,
    out: Path | None = None,
    watch: Watch = lambda step: None,
) -> Iterator[Outcome]:
    """Restore some frames of a video, or of a folder of frames, into PNG files of a folder.

    Args:
        numbers: of the frames, counted from 0; frame 3 of ``clip.mp4`` becomes ``clip-000003.png``,
            of 8 bits.
        out: the folder; by default ``clip_deblurred``, beside the video.
        watch: as of :func:`restore_files`.

    Raises:
        InputError: not a video, ``out`` is the name of a file, or the folder of frames itself.
    """
    source = Path(source)
    if out is None:
        out = beside(source) if source.is_dir() else beside(source).with_suffix("")
    if (kind(out) and not out.is_dir()) or os.path.realpath(out) == os.path.realpath(source):
        raise InputError(f"{out}: the frames need a folder of their own to go to")
    title = Path(source).resolve().name if source.is_dir() else source.stem
    wanted = {number: place for place, number in enumerate(sorted(set(numbers)), 1)}
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
            job = _Job(f"{source}, frame {number}", target, wanted[number], len(wanted))
            yield _restored(job, request, lambda p=photo: p, watch)


def _restored(
    job: _Job,
    request: Request,
    load: Callable[[], Photo],
    watch: Watch,
    check: Callable[[], None] = lambda: None,
) -> Outcome:
    """Restore one picture into a file; an error is part of the outcome, and not raised."""
    began = time.perf_counter()
    try:
        check()
        if _is_there(job, request):
            return Outcome(job.name, job.target, skipped=True)
        whole = load()
        named = Path(job.name)  # a reader knows it better
        check_suffix(named if named.suffix == job.target.suffix else job.target)
        photo = whole if request.side is None else reduce(whole, request.side)
        sizes = (photo.pixels.shape[1::-1], whole.pixels.shape[1::-1])
        _check_place(job.target)
        compared = tuple(_targets(job, request)[1:])
        if request.dry_run:
            return Outcome(job.name, job.target, None, *sizes, compared=compared)
        restored = replace(photo, pixels=_pixels(photo, job, request, watch))
        job.target.parent.mkdir(parents=True, exist_ok=True)
        if _is_there(job, request):  # made by another meanwhile
            return Outcome(job.name, job.target, skipped=True)
        lost = write_photo(job.target, restored)
        if request.compare and (why := _compared(job.target, photo, restored, request.method)):
            return Outcome(job.name, job.target, f"{job.target} is there, but {why}", *sizes)
    except InputError as error:
        return Outcome(job.name, None, str(error))
    except OSError as error:
        return Outcome(job.name, None, f"{job.target}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not machine.is_out_of_memory(error):
            raise
        return Outcome(
            job.name, None, f"{job.name}: not enough memory; a smaller --tile needs less"
        )
    seconds = time.perf_counter() - began
    return Outcome(job.name, job.target, None, *sizes, seconds, lost, compared=compared)


def _compared(target: Path, before: Photo, after: Photo, method: Method) -> str | None:
    """Write the comparison; return why it could not be."""
    try:
        write_comparison(target, before, after, method.title)
    except (InputError, OSError) as error:
        return str(error)
    return None


def _check_place(target: Path) -> None:
    """Raise an :class:`InputError`, before the work, unless a file can be written there."""
    place = next(p for p in target.absolute().parents if os.path.lexists(p))
    if not place.is_dir():
        raise InputError(f"{target}: cannot be written ({place} is no folder)")
    if not os.access(place, os.W_OK):
        raise InputError(f"{target}: cannot be written (Permission denied)")


def _pixels(photo: Photo, job: _Job, request: Request, watch: Watch) -> np.ndarray:
    began, size = time.perf_counter(), photo.pixels.shape[1::-1]
    name = Path(job.name).name

    def tell(share: float) -> None:
        seconds = time.perf_counter() - began
        watch(Step(name, job.number, job.count, size, share, seconds))

    tell(0.0)
    return restore(photo.pixels, request.method, request.kernel, request.device, request.tile, tell)


def _targets(job: _Job, request: Request) -> list[Path]:
    """All files that a picture's restoration writes, the result first."""
    return [job.target, *(comparison_paths(job.target) if request.compare else ())]


def _check_targets(
    source: Path, targets: Sequence[Path], taken: dict[str, Path], sources: dict[object, Path]
) -> None:
    """Raise an :class:`InputError` if a picture would be written over another, or cannot be."""
    for target in targets:
        place, what = os.path.realpath(target), _identity(target)
        title = f"{source}:" if target == targets[0] else f"{source}: {target.name}"
        if place in taken:
            raise InputError(f"{title} would be written over what {taken[place]} was restored to")
        if what in sources:
            over = "over" if sources[what] == source else f"over {sources[what]}"
            raise InputError(f"{title} would be written {over}; choose another folder with -o")
        if target.is_dir():
            raise InputError(f"{target}: is a folder; {source} cannot be written there")


def _identity(path: Path) -> object:
    """What tells a file from others, also where a disk takes ``A.jpg`` for ``a.jpg``."""
    try:
        status = path.stat()
    except OSError:  # it is not there
        return os.path.realpath(path)  # not Path.resolve, which raises where links go in a circle
    return status.st_dev, status.st_ino


def _is_there(job: _Job, request: Request) -> bool:
    """Whether the result is there and is to stay; raise if nobody said whether it is."""
    there = [target for target in _targets(job, request) if os.path.lexists(target)]
    if not there or request.existing == "overwrite":
        return False
    if request.existing == "skip" and job.target in there:
        return True
    leaves = ", --skip-existing leaves it" if job.target in there else ""
    raise InputError(f"{there[0]}: exists; --overwrite replaces it{leaves}")
