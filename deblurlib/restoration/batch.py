"""Many files, or frames of a video, restored into files. Taught in chapter 05."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import machine, psf, video
from ..errors import InputError, InputWarning
from ..files import (
    FORMATS,
    Photo,
    Stack,
    check_suffix,
    check_tiff,
    examine_stack,
    plane_count,
    read_photo,
    read_planes,
    reduce,
    write_kernel,
    write_photo,
    write_planes,
)
from ..sharpness import is_sharp
from .comparison import comparison_paths, write_comparison
from .finding import beside, find_photos, kernel_paths, kind
from .jobs import (
    Job,
    Outcome,
    Request,
    Step,
    Watch,
    attempt,
    check_kernels,
    check_place,
    check_targets,
    identity,
    is_there,
    places_of,
)
from .restoring import restore, with_found_kernel
from .stacks import described, restore_stack
from .trust_map import TrustMap, trust_path, write_trust
from .units import Unit, as_levels, unit_of
from .videos import restore_video


def restore_files(
    given: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    request: Request,
    out: Path | None = None,
    watch: Watch = lambda step: None,
) -> Iterator[Outcome]:
    """Restore image files and videos, one after the other; a bad file does not stop the others.

    A TIFF of several pages is restored page by page; one of floating-point values, in their unit.

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
    sources = {identity(p.path): p.path for p in photos if p.path is not None}
    taken: dict[str, Path] = {}
    number = 0
    for photo in photos:
        if photo.path is None or photo.target is None:
            yield Outcome(photo.source, None, photo.error, passed_over=photo.passed_over)
            continue
        number += 1
        source, target = photo.path, photo.target if out is None or not single else out

        job = Job(str(source), target, number, count)
        targets = places_of(job, request)

        def check(source: Path = source, targets: list[Path] = targets) -> None:
            check_targets(source, targets, taken, sources)  # before the work is done

        outcome = attempt(job, partial(_of_its_kind, source, job, request, watch, check))
        if outcome.target is not None:
            taken.update((os.path.realpath(target), source) for target in targets)
        yield outcome


def _of_its_kind(
    source: Path, job: Job, request: Request, watch: Watch, check: Callable[[], None]
) -> Outcome:
    """Restore what a file holds: a video, the planes of a TIFF, or a picture."""
    if kind(source) == "video":
        return restore_video(job, request, watch, check)
    planes = plane_count(source)
    if planes > 1:
        return restore_stack(job, request, watch, check)
    read = partial(_read_single if planes else _read_plain, source, request.max_pixels)
    return _restored(job, request, read, watch, check)


def _read_plain(path: Path, max_pixels: int) -> tuple[Photo, None]:
    return read_photo(path, max_pixels), None


def _read_single(path: Path, max_pixels: int) -> tuple[Photo, Stack]:
    stack = examine_stack(path, max_pixels)
    return next(read_planes(path, max_pixels)), stack


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
    request = replace(request, leave_sharp=False)
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
            job = Job(f"{source}, frame {number}", target, wanted[number], len(wanted))
            yield _restored(job, request, partial(_in_memory, photo), watch)


def _in_memory(photo: Photo) -> tuple[Photo, None]:
    return photo, None


def _restored(
    job: Job,
    request: Request,
    load: Callable[[], tuple[Photo, Stack | None]],
    watch: Watch,
    check: Callable[[], None] = lambda: None,
) -> Outcome:
    """Restore one picture into a file; an error is part of the outcome, and not raised.

    Args:
        load: gives the picture and, if it is a plane of a TIFF, what that says of it.
    """

    def work() -> Outcome:
        began = time.perf_counter()
        check()
        if is_there(job, request):
            return Outcome(job.name, job.target, skipped=True)
        check_kernels(job.name, request)
        whole, stack = load()
        named = Path(job.name)  # a reader knows it better
        check_suffix(named if named.suffix == job.target.suffix else job.target)
        unit = unit_of(stack)
        if unit is not None and stack is not None:
            check_tiff(job.target, stack)
        photo = whole if request.side is None else reduce(whole, request.side)
        sizes = (photo.pixels.shape[1::-1], whole.pixels.shape[1::-1])
        check_place(job.target)
        if request.leave_sharp and is_sharp(as_levels(unit, photo)[0].pixels):
            return Outcome(job.name, None, None, *sizes, time.perf_counter() - began, sharp=True)
        beside: dict[str, Any] = {
            "compared": comparison_paths(job.target) if request.compare else (),
            "mapped": trust_path(job.target) if request.trust else None,
            "kernels": kernel_paths(job.target) if request.method.find_kernel else (),
        }
        if request.dry_run:
            return Outcome(job.name, job.target, None, *sizes, **beside)
        pixels, kernel = _pixels(photo, unit, job, request, watch)
        restored = replace(photo, pixels=pixels)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        if is_there(job, request):  # made by another meanwhile
            return Outcome(job.name, job.target, skipped=True)
        lost = _write(job.target, restored, stack, sizes[0] != sizes[1])
        before, after = as_levels(unit, photo, restored)
        trust, error = _written_beside(job.target, before, after, request, kernel)
        seconds = time.perf_counter() - began
        return Outcome(job.name, job.target, error, *sizes, seconds, lost, trust=trust, **beside)

    return attempt(job, work)


def _write(target: Path, photo: Photo, stack: Stack | None, is_reduced: bool) -> tuple[str, ...]:
    """Write a result, of a plane with what its TIFF says of it; what is lost."""
    if stack is None or FORMATS[target.suffix.lower()] != "TIFF":
        return write_photo(target, photo)
    kept, lost = described(stack, is_reduced)
    write_planes(target, [photo], kept)
    return lost


def _written_beside(
    target: Path, before: Photo, after: Photo, request: Request, kernel: torch.Tensor | None
) -> tuple[TrustMap | None, str | None]:
    """Write what is to lie beside a result; what the map shows, and why not all was written."""
    try:
        if request.method.find_kernel and kernel is not None:
            write_kernel(kernel_paths(target)[0], kernel)
        if request.compare:
            write_comparison(target, before, after, request.method.title)
        return write_trust(target, before, after) if request.trust else None, None
    except (InputError, OSError) as error:
        return None, f"{target} is there, but {error}"
    except (MemoryError, RuntimeError) as error:
        if not machine.is_out_of_memory(error):
            raise
        why = "there was not enough memory for what lies beside it; --size needs less"
        return None, f"{target} is there, but {why}"


def _pixels(
    photo: Photo, unit: Unit | None, job: Job, request: Request, watch: Watch
) -> tuple[np.ndarray, torch.Tensor | None]:
    """The restored pixels, and the kernel that they were restored with."""
    began, size = time.perf_counter(), photo.pixels.shape[1::-1]
    name = Path(job.name).name

    def tell(share: float) -> None:
        seconds = time.perf_counter() - began
        watch(Step(name, job.number, job.count, size, share, seconds))

    tell(0.0)
    method, kernel = request.method, request.kernel
    seen = photo.pixels if unit is None else unit.scaled(photo.pixels)
    if method.find_kernel is not None:
        # it is found before there are tiles, so a smaller --tile would not help
        with machine.memory_for(job.name, "--size needs less"):
            method, kernel = with_found_kernel(seen, method, request.device)
        if kernel is not None and psf.deviation(kernel) < psf.HARDLY:
            why = f"{job.name}: hardly a blur was found in it, or none: it may be sharp already"
            warnings.warn(why, InputWarning, stacklevel=2)
    options = (method, kernel, request.device, request.tile, tell)
    if unit is None:
        return restore(seen, *options), kernel
    return unit.unscaled(restore(seen, *options, clip=False)), kernel
