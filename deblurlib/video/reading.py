"""The frames of a video file, or of a folder of images; what a video file says of itself."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .. import files, images
from ..data import names, pairing
from ..errors import InputError
from . import mp4

#: How pictures begin: PNG, GIF, JPEG 2000, TIFF. (Of JPEG and WebP there are films, too.)
PICTURES = (b"\x89PNG\r\n", b"GIF8", b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51", b"II*\0", b"MM\0*")
MOST_A_SECOND = 100_000  # frames: what claims more says nothing of its rate
BEGINNING = 4096  # bytes of a file, among which a video has a zero, and a text has none


@dataclass(frozen=True)
class Clip:
    """What a video file is, as :func:`read_frames` reads it."""

    size: tuple[int, int]  # width, height of a frame, upright
    count: int  # of its frames
    rate: float  # frames a second; of a video whose frames are unevenly spaced, their mean
    square: bool  # whether its pixels are


def examine(path: str | Path) -> Clip:
    """What a video file is; all its frames are decoded for it, a few milliseconds each.

    Frames come upright: a file may say by how many quarter turns it was filmed turned.

    Raises:
        InputError: as of :func:`read_frames`; the file says no rate.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    with _opened(path) as (capture, promised):
        there, frame = capture.read()
        count = int(there)
        while capture.grab():
            count += 1
        _check_count(path, count, promised)
        if not count:
            raise InputError(f"{path}: no frame in it that can be read")
        rate = capture.get(cv2.CAP_PROP_FPS)
        if not (math.isfinite(rate) and 0 < rate <= MOST_A_SECOND):
            raise InputError(f"{path}: does not say how many frames a second it shows")
        shape = (capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN))
        square = shape[0] == shape[1] or 0 in shape
        return Clip(frame.shape[1::-1], count, rate, square)


def read_frames(source: str | Path) -> Iterator[np.ndarray]:
    """The frames of a video file or of a folder of images, by name and number, uint8 ``(H, W, 3)``.

    Raises:
        InputError: not there, not a video, no frame in it, frames of different sizes, a folder in
            which two images have one stem.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    frames = _folder_frames(source) if source.is_dir() else _file_frames(source)
    shape = None
    for number, frame in enumerate(frames):
        if shape is not None and frame.shape != shape:
            raise InputError(
                f"{source}: frame {number} has {frame.shape[1]} x {frame.shape[0]} pixels, the "
                f"ones before it {shape[1]} x {shape[0]}"
            )
        shape = frame.shape
        yield frame
    if shape is None:
        raise InputError(f"{source}: no frame in it that can be read")


def promised_frames(source: str | Path) -> int | None:
    """About how many frames :func:`read_frames` gives, without reading them; ``None``: unknown.

    Raises:
        InputError: as of :func:`read_frames`, where that shows at once.
    """
    source = Path(source)
    if source.is_dir():
        return len(_in_order(source))
    with _opened(source) as (_, promised):
        return promised if promised > 0 else None


def _folder_frames(folder: Path) -> Iterator[np.ndarray]:
    for path in _in_order(folder):
        frame = files.decode(files.read_bytes(path), str(path))
        yield images.to_array(images.to_tensor(frame))


def _in_order(folder: Path) -> list[Path]:
    """The images of a folder, frame_2 before frame_10; an error where two have one stem."""

    def place(path: Path) -> tuple:
        parts = re.split(r"(\d+)", path.stem)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name

    with files.reading(folder):
        inside = [p for p in folder.iterdir() if p.suffix.lower() in files.SUFFIXES]
    inside = [p for p in sorted(inside, key=place) if names.is_visible(p.name) and p.is_file()]
    pairing.one_per_stem(str(path) for path in inside)
    return inside


def _file_frames(path: Path) -> Iterator[np.ndarray]:
    with _opened(path) as (capture, promised):
        count = 0
        while True:
            there, frame = capture.read()
            if not there:
                break
            count += 1
            yield np.ascontiguousarray(frame[..., ::-1])  # BGR -> RGB
        _check_count(path, count, promised)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[cv2.VideoCapture, int]]:
    """A video file that is being read, and how many frames it says it has."""
    if _is_picture(path):  # which FFmpeg would read as a video of one frame
        raise InputError(f"{path}: a picture, not a video that can be read")
    if _is_text(path):  # of which FFmpeg would make a film, or follow the names in it
        raise InputError(f"{path}: not a video that can be read")
    capture = _open(path)
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: not a video that can be read")
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if (shown := mp4.shown_frames(path)) is not None:
            promised = min(promised, shown)
        yield capture, promised
    finally:
        capture.release()


def _check_count(path: Path, count: int, promised: int) -> None:
    if count < 0.9 * promised:  # some containers only estimate their number
        raise InputError(f"{path}: damaged or cut short: {count} of {promised} frames are there")


def _is_picture(path: Path) -> bool:
    with files.reading(path), path.open("rb") as file:
        head = file.read(len(max(PICTURES, key=len)))
    return path.suffix.lower() in files.FORMATS or head.startswith(PICTURES)


def _is_text(path: Path) -> bool:
    with files.reading(path), path.open("rb") as file:
        head = file.read(BEGINNING)
    return b"\0" not in head and not head.startswith(b"YUV4MPEG2")


def be_silent() -> None:
    """Keep OpenCV's FFmpeg from printing: what it would say, we say ourselves."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _open(path: Path) -> cv2.VideoCapture:
    be_silent()
    whole = os.path.abspath(path)  # of a relative one, FFmpeg takes what is before a colon as http
    try:
        whole.encode("utf-8")
    except UnicodeEncodeError:  # OpenCV takes no other name
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, "video")
            link.symlink_to(whole)
            return cv2.VideoCapture(str(link), cv2.CAP_FFMPEG)
    # named, or what FFmpeg refuses is tried by others, as one of numbered pictures for instance
    return cv2.VideoCapture(whole, cv2.CAP_FFMPEG)
