"""Frames written as a video file, that is there whole or not at all.

The program ``ffmpeg`` writes it where it is installed, with the sound of the source; else OpenCV
does, without sound. Taught in chapter 05.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, cast

import cv2
import numpy as np

from ..errors import InputError, require
from . import mp4
from .reading import be_silent

#: suffix -> what ffmpeg calls the container. OpenCV finds it by the suffix.
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}
FASTSTART = ("mp4", "mov")  # containers with a table, which a player in a browser wants first
SOUND = "1:a"  # in a command: that of the second of its inputs
PROGRAM, PROBE = "ffmpeg", "ffprobe"
#: how a file says that colours became luma and chroma -> what ffmpeg's scaler calls it
MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020"}
#: of x264: at 18 few see a difference; what is restored is to lose less than that
QUALITY = 16


def check_video(path: str | os.PathLike[str], size: tuple[int, int]) -> None:
    """Raise an :class:`InputError` unless a video of this size can be written there.

    Args:
        size: width, height: even numbers, for colours are kept for blocks of 2 x 2 pixels.
    """
    if Path(path).suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise InputError(
            f"{path}: no video can be written there; the suffix must be one of {known}"
        )
    width, height = size
    even = width % 2 == height % 2 == 0 and min(size) > 0
    require(even, f"{path}: a video needs even sides, not {width} x {height} pixels")


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    rate: float,
    source: str | os.PathLike[str] | None = None,
) -> tuple[str, ...]:
    """Write a video file, one frame after the other; its suffix says the container.

    It appears whole or not at all, whatever ends the frames: it is written beside its place, then
    renamed. With the program ``ffmpeg`` on the path, it is H.264 (``libx264``, else MPEG-4), and
    all sound of ``source`` is copied, or made AAC where the container cannot hold it. Without
    it, OpenCV writes MPEG-4, without sound.

    Args:
        frames: uint8 RGB ``(H, W, 3)``, all of the size.
        size: width, height; see :func:`check_video`.
        rate: frames a second, evenly spaced.
        source: the video file that they come from: its sound, and how it says colours are meant,
            are kept.

    Returns:
        what was lost: ``("sound",)``, if an MP4 or MOV file has it, and there is no ``ffmpeg`` or
        it cannot read it.

    Raises:
        InputError: it cannot be written, as on a full disk; what was there before still is.
    """
    path = Path(path)
    check_video(path, size)
    program = shutil.which(PROGRAM)
    partial = path.with_name(f".deblur.{secrets.token_hex(8)}{path.suffix.lower()}")
    new = [folder for folder in path.parents if not folder.exists()]
    command = [] if program is None else ffmpeg_command(program, partial, size, rate, source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if command:
            _pipe(command, frames)
        else:
            _by_opencv(partial, frames, size, rate)
        os.replace(partial, path)
        new = []
    except (OSError, _Failed) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written ({why})") from None
    finally:
        with suppress(OSError):
            partial.unlink()
        for folder in new:  # those that were made for it
            with suppress(OSError):
                folder.rmdir()
    lost = SOUND not in command and source is not None and mp4.has_sound(source)
    return ("sound",) if lost else ()


class _Failed(Exception):
    """A writer has not written all; its message says why."""


def ffmpeg_command(
    program: str,
    path: Path,
    size: tuple[int, int],
    rate: float,
    source: str | os.PathLike[str] | None = None,
) -> list[str]:
    """The command that makes a video file of the RGB frames that it reads, and of a sound.

    Which encoder it has, and whether the container takes the sound as it is, is tried out.
    """
    container = CONTAINERS[path.suffix.lower()]
    width, height = size
    exact = Fraction(rate).limit_denominator(1001)  # 29.97... is 30000/1001
    command = [program, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-framerate", str(exact), "-i", "pipe:0"]
    codec = None if source is None else _sound_codec(program, source, container)
    if source is not None and codec is not None:
        command += ["-i", _as_file(source), "-map", "0:v", "-map", SOUND, "-c:a", codec]
    # nothing else of the source: not its place, its date, or how it was turned
    command += ["-map_metadata", "-1", "-map_chapters", "-1"]
    command += [] if source is None else _colours(program, source)
    told = subprocess.run([program, "-v", "quiet", "-encoders"], **_QUIETLY, stdout=-1).stdout
    if b" libx264 " in told:
        command += ["-c:v", "libx264", "-crf", str(QUALITY), "-pix_fmt", "yuv420p"]
    else:
        command += ["-c:v", "mpeg4", "-q:v", "2"]
    command += ["-movflags", "+faststart"] if container in FASTSTART else []
    return [*command, "-f", container, _as_file(path)]


_QUIETLY: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stderr": subprocess.DEVNULL,
    "check": False,
}


def _sound_codec(program: str, source: str | os.PathLike[str], container: str) -> str | None:
    """``copy``, or ``aac`` where the container does not take the sound; ``None``: there is none."""
    for codec, kind in (("copy", container), ("aac", "null")):
        command = [program, "-v", "quiet", "-i", _as_file(source), "-map", "0:a", "-c", "copy"]
        command += ["-t", "1", "-f", kind, "-y", os.devnull]
        if subprocess.run(command, **_QUIETLY).returncode == 0:
            return codec
    return None


def _colours(program: str, source: str | os.PathLike[str]) -> list[str]:
    """Options that give the frames the source's meaning of colours, where it says one.

    OpenCV reads by what the file says, and as BT.601 where it says nothing. So does ffmpeg write.
    """
    names = ("color_space", "color_primaries", "color_transfer")
    probe = str(Path(program).with_name(PROBE + Path(program).suffix))
    command = [probe, "-v", "quiet", "-select_streams", "v:0", "-of", "default=nw=1"]
    command += ["-show_entries", f"stream={','.join(names)}", _as_file(source)]
    try:
        told = subprocess.run(command, **_QUIETLY, stdout=-1).stdout.decode("utf-8", "replace")
    except OSError:  # it is not there
        return []
    said = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    space, primaries, transfer = (said.get(name, "unknown").strip() for name in names)
    if space not in MATRICES:
        return []
    options = ["-vf", f"scale=out_color_matrix={MATRICES[space]}:out_range=tv"]
    options += ["-colorspace", space, "-color_range", "tv"]
    for option, value in (("-color_primaries", primaries), ("-color_trc", transfer)):
        options += [option, value] if value not in ("unknown", "reserved") else []
    return options


def _as_file(path: str | os.PathLike[str]) -> str:
    return f"file:{os.path.abspath(path)}"  # or it takes what is before a colon as a protocol


def _pipe(command: Sequence[str], frames: Iterable[np.ndarray]) -> None:
    """Feed frames to a program; it is ended if they end with an error."""
    with tempfile.TemporaryFile() as told:
        # a session of its own: what interrupts us is not for it to deal with
        process = subprocess.Popen(
            command, stdin=-1, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True
        )
        pipe = cast(IO[bytes], process.stdin)  # -1 has made it
        try:
            with suppress(BrokenPipeError):  # it has ended, and said why
                for frame in frames:
                    pipe.write(np.ascontiguousarray(frame).data)
                pipe.close()
            failed = process.wait() != 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with suppress(OSError):
                pipe.close()
        if failed:
            told.seek(0)
            lines = told.read().decode("utf-8", "replace").strip().splitlines()
            raise _Failed(f"{PROGRAM}: {_reason(lines) or 'it ended without a word'}")


def _reason(lines: Sequence[str]) -> str:
    """The one of a program's lines that says most: the system's word, else the last."""
    system = ("No space left", "File too large", "Permission denied", "quota")
    return next(
        (line for line in lines if any(word in line for word in system)), "".join(lines[-1:])
    )


def _by_opencv(
    path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], rate: float
) -> None:
    be_silent()
    code = cv2.VideoWriter.fourcc(*"mp4v")
    try:
        writer = cv2.VideoWriter(os.path.abspath(path), cv2.CAP_FFMPEG, code, rate, size)
    except UnicodeEncodeError:
        raise _Failed(f"OpenCV takes no such name; {PROGRAM} would") from None
    count = 0
    try:
        if not writer.isOpened():
            raise _Failed("OpenCV cannot write it")
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))  # RGB -> BGR
            count += 1
    finally:
        writer.release()
    written = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)  # it tells no failure
    there = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
    written.release()
    if there < count:
        raise _Failed("not all frames were written; the disk may be full")
