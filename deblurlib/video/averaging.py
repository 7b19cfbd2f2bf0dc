"""Windows of frames, averaged, and written as a set of pairs."""

from __future__ import annotations

import csv
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from .. import degrade, files, images
from ..errors import InputError
from ..names import Average
from .reading import read_frames

GHOSTS = 2.0  # pixels between neighbouring frames, above which their mean shows copies
LONG_SIDE = 480  # pixels, to which frames are reduced before their motion is measured
SHORT_SIDE = 32  # pixels; on lower frames OpenCV's optical flow crashes


@dataclass(frozen=True, eq=False)
class VideoPair:
    """A blurred and a sharp frame, ``(3, H, W)`` in [0, 1]."""

    y: torch.Tensor
    x: torch.Tensor
    frames: range  # those that were averaged, counted from 0; the sharp one is in the middle
    motion: float  # pixels from frame to frame, see :func:`motion`


def motion(before: np.ndarray, after: np.ndarray) -> float:
    """How far things move from one frame to the next: pixels, exceeded by one in twenty.

    The 95th percentile of dense optical flow (OpenCV's DIS), measured on frames reduced to at most
    480 pixels a side. Frames are ``(H, W, 3)``, uint8.
    """
    full = before.shape[1::-1]  # width, height
    scale = min(LONG_SIDE / max(full), 1.0)
    size = [max(round(side * scale), SHORT_SIDE) for side in full]
    one, other = (
        cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for f in (before, after)
    )
    measure: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = measure.calc(one, other, None)  # OpenCV's types know no None
    flow = flow * (np.array(full) / np.array(size))  # back to pixels of the frame
    return float(np.percentile(np.linalg.norm(flow, axis=-1), 95))


def pairs(
    frames: Iterator[np.ndarray], window: int, average: Average, stride: int | None = None
) -> Iterator[VideoPair]:
    """Average windows of frames; see :func:`deblurlib.degrade.expose`.

    Only one window of frames is held in memory.

    Args:
        frames: ``(H, W, 3)`` each, uint8.
        window: frames to average; odd, so that one is in the middle.
        stride: from one window to the next; by default ``window``, so that none overlap.

    Raises:
        InputError: a window that is even, a stride below 1, fewer frames than one window.
    """
    stride = window if stride is None else stride
    if window < 1 or window % 2 == 0:
        raise InputError(f"the window must be an odd number of frames, not {window}")
    if stride < 1:
        raise InputError(f"the stride must be 1 frame or more, not {stride}")
    window_frames: list[np.ndarray] = []
    first = 0
    count = 0
    for number, frame in enumerate(frames):
        count = number + 1
        if number < first:  # between two windows
            continue
        window_frames.append(frame)
        if len(window_frames) == window:
            y = degrade.expose((images.to_tensor(f) for f in window_frames), average)
            steps = [motion(a, b) for a, b in pairwise(window_frames)]
            x = images.to_tensor(window_frames[window // 2])
            yield VideoPair(y, x, range(first, first + window), max(steps, default=0.0))
            first += stride
            window_frames = window_frames[stride:]
    if count < window:
        raise InputError(f"a window of {window} frames does not fit into {count}")


def write_pairs(
    source: str | Path,
    out: str | Path,
    window: int = 7,
    average: Average = "light",
    stride: int | None = None,
    progress: Callable[[VideoPair], None] = lambda pair: None,
) -> Path:
    """Make the pairs of a video and write them as a set of pairs that the library reads.

    Into a folder in ``out``, named after the video: ``blur/`` and ``sharp/`` with PNG files of the
    same names, and ``frames.csv``, which tells what each was made of. The folder appears whole or
    not at all.

    Args:
        source: a video file, or a folder of frames.
        out: the set's folder, or its ``train/`` or ``test/``; made if need be.
        window: frames to average, odd.
        average: ``"light"`` or ``"encoded"``; see :func:`deblurlib.degrade.expose`.
        stride: frames from one window to the next; by default ``window``.
        progress: called with each pair as it is written.

    Returns:
        the folder written.
    """
    source, out = Path(source), Path(out)
    target = out / (source.resolve().name if source.is_dir() else source.stem)
    if target.exists():
        raise InputError(f"{target}: exists already; remove it or choose another folder")
    degrade.exposure.check_average(average)
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".deblur.{secrets.token_hex(8)}"  # not mkdtemp's, which ours alone could read
    try:
        partial.mkdir()
        for side in ("blur", "sharp"):
            (partial / side).mkdir()
        rows = []
        for pair in pairs(read_frames(source), window, average, stride):
            name = f"{pair.frames[window // 2]:06d}"
            files.write_image(partial / "blur" / f"{name}.png", pair.y)
            files.write_image(partial / "sharp" / f"{name}.png", pair.x)
            rows.append((name, pair.frames[0], pair.frames[-1], average, f"{pair.motion:.2f}"))
            progress(pair)
        with (partial / "frames.csv").open("w", newline="") as file:
            header = ("stem", "first", "last", "average", "motion_px")
            csv.writer(file).writerows([header, *rows])
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in new:
            if not any(folder.iterdir()):
                folder.rmdir()
        raise
    return target
