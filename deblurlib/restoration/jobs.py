"""What is to be done to a picture or a video, how far it is, and what came of it.

Taught in chapter 05.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import machine
from ..errors import InputError, require
from ..files import MAX_PIXELS
from .comparison import comparison_paths
from .finding import kernel_paths
from .method import Method
from .trust_map import TrustMap, trust_path


@dataclass(frozen=True)
class Request:
    """How pictures are to be restored, and what is to be written."""

    method: Method
    device: torch.device | str = "cpu"
    tile: int | None = None  # side, pixels
    kernel: torch.Tensor | None = None  # that of all pictures; (P, h, w): one for each plane
    side: int | None = None  # pixels: pictures with a longer side are reduced to it before
    compare: bool = False  # write what :func:`deblurlib.restoration.write_comparison` does, too
    trust: bool = False  # write what :func:`deblurlib.restoration.write_trust` does, too
    existing: str = "refuse"  # what is done about a result that is there; or "overwrite", "skip"
    dry_run: bool = False  # read and check everything, write nothing
    leave_sharp: bool = False  # leave pictures alone that are sharp already; not frames, videos
    max_pixels: int = MAX_PIXELS  # pictures with more are refused before they are decoded

    def __post_init__(self) -> None:
        allowed = ("refuse", "overwrite", "skip")
        require(
            self.existing in allowed, f"existing {self.existing!r} is none of {', '.join(allowed)}"
        )


@dataclass(frozen=True)
class Outcome:
    """How the restoration of one picture, or one video, ended."""

    source: str
    target: Path | None  # the result, if it was written, or was there
    error: str | None = None  # one sentence, if not all was written
    size: tuple[int, int] = (0, 0)  # width, height of the result
    full_size: tuple[int, int] = (0, 0)  # of the picture before it was reduced
    seconds: float = 0.0  # reading, restoring and writing
    lost: tuple[str, ...] = ()  # what its format cannot hold, see write_photo and write_video
    skipped: bool = False  # its result was there
    passed_over: str | None = None  # what it is, see Candidate
    compared: tuple[Path, ...] = ()  # the comparison's picture and page
    kernels: tuple[Path, ...] = ()  # the kernel that was found, as numbers and as a picture
    mapped: Path | None = None  # where the map of trust goes
    trust: TrustMap | None = None  # what it shows
    frames: int | None = None  # of a video, or planes of a stack
    called: str = "frames"  # or "planes"
    sharp: bool = False  # it was sharp already and left alone


@dataclass(frozen=True)
class Step:
    """How far the restoration of one picture, or one video, has come."""

    picture: str
    number: int  # of it, from 1
    count: int  # of all pictures
    size: tuple[int, int]  # width, height
    share: float  # of this picture's work that is done
    seconds: float  # that it took
    frames: int | None = None  # of a video, or planes of a stack; the size is that of one
    called: str = "frames"  # or "planes"


#: What is told of each step of a restoration.
Watch = Callable[[Step], None]


@dataclass(frozen=True)
class Job:
    """One picture or video: its name for the reader, its result, its number, and that of all."""

    name: str
    target: Path
    number: int
    count: int


def check_kernels(name: str, request: Request, planes: int | None = None) -> None:
    """Raise an :class:`InputError` unless the kernels are one for all, or as many as planes.

    Args:
        planes: of a stack; ``None``: it is a picture or a video, for which there is one kernel.
    """
    kernels = request.kernel
    if kernels is None or kernels.ndim == 2 or len(kernels) in (1, planes):
        return
    what = "is one picture" if planes in (None, 1) else f"has {planes} planes"
    raise InputError(f"{name}: {what}, and there are {len(kernels)} kernels; give one, or as many")


def attempt(job: Job, work: Callable[[], Outcome]) -> Outcome:
    """What comes of the work; an error is part of the outcome, and not raised."""
    try:
        return work()
    except InputError as error:
        return Outcome(job.name, None, str(error))
    except OSError as error:
        return Outcome(job.name, None, f"{job.target}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not machine.is_out_of_memory(error):
            raise
        why = "not enough memory; a smaller --tile needs less"
        return Outcome(job.name, None, f"{job.name}: {why}")


def check_place(target: Path) -> None:
    """Raise an :class:`InputError`, before the work, unless a file can be written there."""
    place = next(p for p in target.absolute().parents if os.path.lexists(p))
    if not place.is_dir():
        raise InputError(f"{target}: cannot be written ({place} is no folder)")
    if not os.access(place, os.W_OK):
        raise InputError(f"{target}: cannot be written (Permission denied)")


def places_of(job: Job, request: Request) -> list[Path]:
    """All files that a picture's restoration writes, the result first."""
    compared = comparison_paths(job.target) if request.compare else ()
    mapped = (trust_path(job.target),) if request.trust else ()
    found = kernel_paths(job.target) if request.method.find_kernel else ()
    return [job.target, *compared, *mapped, *found]


def check_targets(
    source: Path, targets: Sequence[Path], taken: dict[str, Path], sources: dict[object, Path]
) -> None:
    """Raise an :class:`InputError` if a picture would be written over another, or cannot be."""
    for target in targets:
        place, what = os.path.realpath(target), identity(target)
        title = f"{source}:" if target == targets[0] else f"{source}: {target.name}"
        if place in taken:
            raise InputError(f"{title} would be written over what {taken[place]} was restored to")
        if what in sources:
            over = "over" if sources[what] == source else f"over {sources[what]}"
            raise InputError(f"{title} would be written {over}; choose another folder with -o")
        if target.is_dir():
            raise InputError(f"{target}: is a folder; {source} cannot be written there")


def identity(path: Path) -> object:
    """What tells a file from others, also where a disk takes ``A.jpg`` for ``a.jpg``."""
    try:
        status = path.stat()
    except OSError:  # it is not there
        return os.path.realpath(path)  # not Path.resolve, which raises where links go in a circle
    return status.st_dev, status.st_ino


def is_there(job: Job, request: Request) -> bool:
    """Whether the result is there and is to stay; raise if nobody said whether it is."""
    there = [target for target in places_of(job, request) if os.path.lexists(target)]
    if not there or request.existing == "overwrite":
        return False
    if request.existing == "skip" and job.target in there:
        return True
    leaves = ", --skip-existing leaves it" if job.target in there else ""
    raise InputError(f"{there[0]}: exists; --overwrite replaces it{leaves}")
