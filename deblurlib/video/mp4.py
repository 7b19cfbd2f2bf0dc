"""What an MP4 or MOV file says of itself: how many frames its edit list shows, and of its sound.

A phone, or a tool that trims without encoding anew, leaves the frames in the file and notes which
part of the time is to be shown. The boxes are those of ISO/IEC 14496-12.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = ["has_sound", "shown_frames"]

MOST_BOXES = 1_000  # looked at in one box
MOST_FRAMES = 10_000_000  # a day and more at 100 a second; also the longest table that is read
EMPTY = -1  # as an edit's first time: nothing is shown

#: what reading a file raises that is no MP4, is damaged or cannot be understood
UNKNOWN = (LookupError, OSError, ValueError, OverflowError, struct.error)

Span = tuple[int, int]  # of the bytes of a box's content: the first, and the one after the last


def shown_frames(path: str | os.PathLike[str]) -> int | None:
    """How many frames of the first video track its edit list shows.

    What several edits show is counted several times.

    Returns:
        ``None`` where there is no edit list, where it cannot be understood (also in a file that is
        no MP4, or that is damaged) and for a fragmented file, whose table of frames is empty.
    """
    try:
        with Path(path).open("rb") as file:
            moov = _find(file, (0, file.seek(0, os.SEEK_END)), "moov")
            track = next(_tracks(file, moov, b"vide"), None)
            return None if track is None else _count(file, moov, track)
    except UNKNOWN:
        return None


def has_sound(path: str | os.PathLike[str]) -> bool:
    """Whether a track of the file holds sound; not, where that cannot be told (see above)."""
    try:
        with Path(path).open("rb") as file:
            moov = _find(file, (0, file.seek(0, os.SEEK_END)), "moov")
            return next(_tracks(file, moov, b"soun"), None) is not None
    except UNKNOWN:
        return False


def _tracks(file: BinaryIO, moov: Span, handler: bytes) -> Iterator[Span]:
    """The tracks of a kind: ``vide`` or ``soun``."""
    for kind, track in _boxes(file, moov):
        if kind == "trak" and _read(file, _find(file, track, "mdia", "hdlr"))[8:12] == handler:
            yield track


def _count(file: BinaryIO, moov: Span, track: Span) -> int:
    """The frames whose times lie in one of a track's edits."""
    movie_scale = _timescale(_read(file, _find(file, moov, "mvhd")))
    scale = _timescale(_read(file, _find(file, track, "mdia", "mdhd")))
    times = np.sort(_times(file, _find(file, track, "mdia", "minf", "stbl")))
    if not len(times):
        raise LookupError("the frames are in fragments")
    count = 0
    for duration, first in _edits(_read(file, _find(file, track, "edts", "elst"))):
        if first != EMPTY:
            last = first + round(duration * scale / movie_scale)
            begin, end = np.searchsorted(times, np.array([first, last], np.int64))
            count += max(int(end - begin), 0)
    return count


def _times(file: BinaryIO, table: Span) -> np.ndarray:
    """When each frame is shown, in units of its track, in the order of decoding."""
    counts, lasting = _runs(_read(file, _find(file, table, "stts")), ">u4")
    frames = int(counts.sum())
    if frames > MOST_FRAMES:
        raise ValueError("more frames than any video")
    times = np.repeat(lasting, counts).cumsum() - np.repeat(lasting, counts)
    if any(kind == "ctts" for kind, _ in _boxes(file, table)):
        counts, later = _runs(_read(file, _find(file, table, "ctts")), ">i4")
        ends = counts.cumsum().clip(max=frames)
        moved = np.repeat(later, np.diff(ends, prepend=0))
        times[: len(moved)] += moved
    return times


def _runs(content: bytes, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A table of counts and the values that hold for so many frames, both int64."""
    (length,) = struct.unpack_from(">I", content, 4)
    if len(content) < 8 + 8 * length:
        raise ValueError("a table that is cut short")
    counts = np.frombuffer(content, ">u4", 2 * length, 8)[::2].astype(np.int64)
    return counts, np.frombuffer(content, kind, 2 * length, 8)[1::2].astype(np.int64)


def _edits(content: bytes) -> Iterator[tuple[int, int]]:
    """Each edit's duration, in units of the movie, and its first time, in units of the track."""
    layout = ">qqi" if content[0] == 1 else ">Iii"
    (length,) = struct.unpack_from(">I", content, 4)
    for i in range(min(length, MOST_BOXES)):
        duration, first, _ = struct.unpack_from(layout, content, 8 + i * struct.calcsize(layout))
        yield duration, first


def _timescale(content: bytes) -> int:
    """Units a second, of a movie's or a track's header."""
    (scale,) = struct.unpack_from(">I", content, 20 if content[0] == 1 else 12)
    if scale == 0:
        raise ValueError("a timescale of 0")
    return scale


def _find(file: BinaryIO, span: Span, *kinds: str) -> Span:
    """The content of the first box of a kind and, inside, of the next kind; LookupError."""
    for kind in kinds:
        found = next((content for name, content in _boxes(file, span) if name == kind), None)
        if found is None:
            raise LookupError(kind)
        span = found
    return span


def _boxes(file: BinaryIO, span: Span) -> Iterator[tuple[str, Span]]:
    """The kinds and contents of the boxes that fill a span, until one does not fit into it."""
    place, end = span
    for _ in range(MOST_BOXES):
        file.seek(place)
        header = file.read(8)
        if len(header) < 8 or place + 8 > end:
            return
        size, kind = struct.unpack(">I4s", header)
        begin = place + 8
        if size == 1:  # it is too long for 32 bits
            (size,) = struct.unpack(">Q", file.read(8))
            begin += 8
        after = end if size == 0 else place + size
        if after < begin or after > end:
            return
        yield kind.decode("latin-1"), (begin, after)
        place = after


def _read(file: BinaryIO, span: Span) -> bytes:
    begin, end = span
    if end - begin > 8 * MOST_FRAMES:
        raise ValueError("longer than any table")
    file.seek(begin)
    return file.read(end - begin)
