"""A TIFF stack restored into one, plane by plane. Taught in chapter 05."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, InputWarning, require
from ..files import Photo, Stack, check_tiff, examine_stack, read_planes, reduce, write_planes
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
from .units import unit_of_planes

MOST = 65535  # of 16 bits
LONELY = 5.0  # times as bright as all around it: no lens makes such a pixel, and a sensor may


def restore_stack(
    job: Job, request: Request, watch: Watch, check: Callable[[], None] = lambda: None
) -> Outcome:
    """Restore each plane of a TIFF file by itself, into another of as many planes of its kind.

    One plane at a time is held. All are decoded before, so that damage is found before the work,
    and all are scaled alike: see :func:`deblurlib.restoration.units.unit_of_planes`. An error is
    part of the outcome, and not raised.

    Args:
        job: the stack's path is its name.
        check: raises an :class:`InputError` if the result may not go where it would.
    """

    def work() -> Outcome:
        began = time.perf_counter()
        check()
        for option, given in (("--compare", request.compare), ("--trust", request.trust)):
            why = "is for pictures; save one plane to try it"
            require(not given, f"{job.name}: {option} {why}")
        # kernels are found up to a shift, so that planes would no longer lie on each other
        why = f"{request.method.name} finds the blur of one picture, and planes would shift"
        cure = "find it in one plane with deblur kernel, and give it by --kernel"
        require(request.method.find_kernel is None, f"{job.name}: {why}; {cure}")
        if is_there(job, request):
            return Outcome(job.name, job.target, skipped=True)
        stack = examine_stack(job.name, request.max_pixels)
        check_kernels(job.name, request, stack.count)
        check_tiff(job.target, stack)
        check_place(job.target)
        size = _reduced(stack, request)
        sizes = (size, stack.size)
        kind: dict[str, Any] = {"frames": stack.count, "called": "planes"}
        kept, lost = described(stack, size != stack.size)
        if stack.stands_out >= LONELY:
            why = f"its brightest pixel stands {stack.stands_out:.0f} times as high as those around"
            what = "it, and all is scaled by it: replace a hot pixel before"
            warnings.warn(f"{job.name}: {why} {what}", InputWarning, stacklevel=2)
        if request.dry_run:
            return Outcome(job.name, job.target, None, *sizes, lost=lost, **kind)
        write_planes(job.target, _planes(job, request, stack, size, watch), kept)
        seconds = time.perf_counter() - began
        return Outcome(job.name, job.target, None, *sizes, seconds, lost, **kind)

    return attempt(job, work)


def described(stack: Stack, is_reduced: bool) -> tuple[Stack, tuple[str, ...]]:
    """The stack with what fits its result of what is said of it, and what does not."""
    if is_reduced and stack.says_size:
        lost = ("the words of OME",) if stack.is_ome else ()
        return replace(stack, description=b""), lost
    return stack, ()


def _reduced(stack: Stack, request: Request) -> tuple[int, int]:
    """Width and height of the planes that are written."""
    if request.side is None:
        return stack.size
    first = next(read_planes(stack.path, request.max_pixels))
    return reduce(first, request.side).pixels.shape[1::-1]


def _planes(
    job: Job, request: Request, stack: Stack, size: tuple[int, int], watch: Watch
) -> Iterator[Photo]:
    """The restored planes, as they are asked for."""
    began, name = time.perf_counter(), Path(job.name).name
    unit, kernels = unit_of_planes(stack), request.kernel

    def tell(done: float) -> None:
        share, seconds = min(done / stack.count, 1.0), time.perf_counter() - began
        watch(Step(name, job.number, job.count, size, share, seconds, stack.count, "planes"))

    tell(0)
    for number, plane in enumerate(read_planes(job.name, request.max_pixels)):
        photo = plane if request.side is None else reduce(plane, request.side)
        kernel = kernels
        if kernels is not None and kernels.ndim > 2 and len(kernels) != 1:
            kernel = kernels[number]

        def told(share: float, number: int = number) -> None:
            tell(number + share)

        options = (request.method, kernel, request.device, request.tile, told)
        if unit is not None:
            x_hat = unit.unscaled(restore(unit.scaled(photo.pixels), *options, clip=False))
            if not stack.floats:
                x_hat = np.floor(x_hat + 0.5).clip(0, MOST).astype(np.uint16)
        else:
            x_hat = restore(photo.pixels, *options)
        yield replace(photo, pixels=x_hat)
    if is_there(job, request):  # made by another meanwhile
        raise InputError(f"{job.target}: exists, though it did not when the work began")
