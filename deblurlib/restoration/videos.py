"""A whole video restored into a video, frame by frame. Taught in chapter 05."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from .. import video
from ..errors import InputError, require
from .jobs import (
    Job,
    Outcome,
    Request,
    Step,
    Watch,
    attempt,
    check_kernels,
    check_place,
    is_there,
)
from .restoring import restore


def restore_video(
    job: Job, request: Request, watch: Watch, check: Callable[[], None] = lambda: None
) -> Outcome:
    """Restore every frame of a video file into another of the same rate and number of frames.

    One frame at a time is held. The source is decoded once before, so that damage is found before
    the work. An error is part of the outcome, and not raised.

    Args:
        job: the video's path is its name.
        check: raises an :class:`InputError` if the result may not go where it would.
    """

    def work() -> Outcome:
        began = time.perf_counter()
        check()
        for option, given in (("--compare", request.compare), ("--trust", request.trust)):
            cure = f"--frames 0 {option} does it for its first frame"
            require(not given, f"{job.name}: {option} is for pictures; {cure}")
        check_kernels(job.name, request)
        # a hand shakes otherwise from frame to frame, and each kernel is found up to a shift: the
        # result would jitter, and one kernel for all would be wrong for most
        why = f"{request.method.name} finds the blur of one picture, which no other frame has"
        cure = "--frames 3,10-20 restores single frames"
        require(request.method.find_kernel is None, f"{job.name}: {why}; {cure}")
        if is_there(job, request):
            return Outcome(job.name, job.target, skipped=True)
        clip = video.examine(job.name)
        size = _reduced(clip.size, request.side)
        odd = size[0] % 2 or size[1] % 2
        require(not odd, f"{job.name}: {_cure(clip.size)}")
        video.check_video(job.target, size)
        check_place(job.target)
        lost = () if clip.square else ("the shape of its pixels",)
        sizes = (size, clip.size)
        if request.dry_run:
            return Outcome(job.name, job.target, None, *sizes, lost=lost, frames=clip.count)
        frames = _frames(job, request, clip, size, watch)
        lost = (*video.write_video(job.target, frames, size, clip.rate, job.name), *lost)
        seconds = time.perf_counter() - began
        return Outcome(job.name, job.target, None, *sizes, seconds, lost, frames=clip.count)

    return attempt(job, work)


def _reduced(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    """Width and height with at most ``side`` pixels on the longer one; even, if they change."""
    if side is None or max(size) <= side:
        return size
    width, height = (max(2, 2 * round(n * side / max(size) / 2)) for n in size)
    return min(width, max(side // 2 * 2, 2)), min(height, max(side // 2 * 2, 2))


def _cure(size: tuple[int, int]) -> str:
    """What is said of frames whose width or height is odd."""
    text = f"frames of {size[0]} x {size[1]} pixels, and a video needs even sides"
    smaller = (max(size) - 1) // 2 * 2
    return f"{text}; --size {smaller} makes them even" if smaller >= 2 else text


def _frames(
    job: Job, request: Request, clip: video.Clip, size: tuple[int, int], watch: Watch
) -> Iterator[np.ndarray]:
    """The restored frames, uint8 ``(H, W, 3)``, as they are asked for."""
    began, name = time.perf_counter(), Path(job.name).name

    def tell(done: float) -> None:
        share, seconds = min(done / clip.count, 1.0), time.perf_counter() - began
        watch(Step(name, job.number, job.count, size, share, seconds, clip.count))

    tell(0)
    for number, frame in enumerate(video.read_frames(job.name)):
        if frame.shape[1::-1] != size:
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

        def told(share: float, number: int = number) -> None:
            tell(number + share)

        options = (request.kernel, request.device, request.tile, told)
        yield restore(frame, request.method, *options)
    if is_there(job, request):  # made by another meanwhile
        raise InputError(f"{job.target}: exists, though it did not when the work began")
