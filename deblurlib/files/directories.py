"""The directories of a TIFF file: which pictures it holds, and each of them as a file of its own.

After "TIFF, Revision 6.0" (Aldus, 1992), and the design of BigTIFF by the makers of libtiff. Taught
in chapter 05.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

from ..errors import InputError, require
from . import tiff

Order = Literal["<", ">"]  # the low byte first, or the high one
MOST = 50_000  # pictures of one file
MOST_TAGS = 65_535  # of a picture: as many as a plain TIFF can have
NEW_KIND, OLD_KIND, WIDTH, HEIGHT, PROFILE = 254, 255, 256, 257, 34675
REDUCED, MASK = 1, 4  # bits of a picture's kind: a smaller copy of another, its transparency
OLD_REDUCED = 2
PALETTE, SHOWN = 3, 320  # a kind of colours, and the tag of how values are shown then
#: further tags of ImageJ's: what names its planes, and how their colours are shown
IMAGEJ = (50838, 50839)
MOST_WORDS = 50_000_000  # bytes of a description, or of what ImageJ adds
#: what else is said of a picture, in words and numbers
SAID = (*tiff.TOLD[1:], tiff.X_RESOLUTION, tiff.Y_RESOLUTION, tiff.UNIT, PROFILE)
#: what is needed to decode a picture, and what is kept of the words on it, but for its description
KEPT = (
    *(WIDTH, HEIGHT, tiff.BITS, tiff.COMPRESSION, tiff.PHOTOMETRIC, 263, 266, tiff.ORIENTATION),
    *(tiff.SAMPLES, tiff.ROWS, tiff.PLANES, 292, 293, 317, 320, tiff.TILE_WIDTH, tiff.TILE_HEIGHT),
    *(332, tiff.FURTHER, tiff.SAMPLE_FORMAT, 347, 529, 530, 531, 532, *SAID),
)
#: bytes of a value, by its type; 4, 9 and 13 are whole numbers of 4 bytes, 16 to 18 of 8
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # types of whole numbers
SHORT, LONG, LONG8 = 3, 4, 16


@dataclass(frozen=True)
class Directory:
    """What a TIFF says of one of its pictures: tag -> type, count, and the value or its place."""

    order: Order  # of its bytes
    tags: Mapping[int, tuple[int, int, bytes | int]]

    def raw(self, file: BinaryIO, tag: int, name: str) -> bytes:
        """A tag's value as it is stored; nothing if there is no such tag."""
        kind, count, value = self.tags.get(tag, (1, 0, b""))
        return value if isinstance(value, bytes) else _at(file, value, SIZES[kind] * count, name)

    def numbers(self, file: BinaryIO, tag: int, name: str) -> tuple[int, ...]:
        """A tag's whole numbers; none if there is no such tag, or it holds others."""
        kind, count, _ = self.tags.get(tag, (1, 0, b""))
        if kind not in WHOLE:
            return ()
        return struct.unpack(f"{self.order}{count}{WHOLE[kind]}", self.raw(file, tag, name))

    def number(self, file: BinaryIO, tag: int, name: str, default: int) -> int:
        """The first of a tag's whole numbers."""
        return next(iter(self.numbers(file, tag, name)), default)

    def words(self, file: BinaryIO, tag: int, name: str) -> bytes:
        """A tag's bytes, without zeros at their end; nothing if they are too many."""
        kind, count, _ = self.tags.get(tag, (1, 0, b""))
        return b"" if SIZES[kind] * count > MOST_WORDS else self.raw(file, tag, name).rstrip(b"\0")


def _at(file: BinaryIO, start: int, length: int, name: str) -> bytes:
    """So many bytes from a place of the file on; an error unless they are there."""
    there = start + length <= file.seek(0, 2)
    require(there, f"{name}: damaged image file (it is cut short)")
    file.seek(start)
    return file.read(length)


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins like this is a TIFF, plain or Big."""
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_all(file: BinaryIO, name: str) -> list[Directory]:
    """All directories of a TIFF, one after the other; those inside of others are left out.

    Raises:
        InputError: they are damaged, lead back to one before, or are more than 50,000.
    """
    file.seek(0)
    head = file.read(16)
    order: Order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    place, count, entry, end = ("Q", "Q", "HHQ", 8) if big else ("I", "H", "HHI", 4)
    require(len(head) >= 2 * end, f"{name}: damaged image file (it is cut short)")
    offset = struct.unpack_from(order + place, head, end)[0]
    found: list[Directory] = []
    seen: set[int] = set()
    left = file.seek(0, 2)
    while offset:
        require(offset not in seen, f"{name}: damaged image file (its pages go in a circle)")
        require(len(found) < MOST, f"{name}: holds more than {MOST:,} pictures")
        seen.add(offset)
        begin = struct.calcsize(order + count)
        many = struct.unpack(order + count, _at(file, offset, begin, name))[0]
        require(0 < many <= MOST_TAGS, f"{name}: damaged image file (a page of no tags)")
        length = many * (struct.calcsize(order + entry) + end)
        left -= length
        # directories that lie over each other could be more than memory holds
        require(left > 0, f"{name}: damaged image file (its pages overlap)")
        block = _at(file, offset + begin, length, name)
        after = file.read(end)
        tags = list(_entries(block, order, entry, place, end))
        found.append(Directory(order, dict(reversed(tags))))  # of two equal ones, the first counts
        offset = struct.unpack(order + place, after)[0] if len(after) == end else 0
    return found


def _entries(
    block: bytes, order: Order, entry: str, place: str, end: int
) -> Iterator[tuple[int, tuple[int, int, bytes | int]]]:
    """The tags of a directory, whose values are there if they fit, else where they are."""
    head = struct.calcsize(order + entry)
    for start in range(0, len(block), head + end):
        tag, kind, count = struct.unpack_from(order + entry, block, start)
        value = block[start + head : start + head + end]
        length = SIZES.get(kind, 0) * count
        if kind in SIZES and length <= end:
            yield tag, (kind, count, value[:length])
        elif kind in SIZES:
            yield tag, (kind, count, struct.unpack(order + place, value)[0])


def pictures(
    file: BinaryIO, name: str, found: Sequence[Directory] | None = None
) -> list[Directory]:
    """The directories of a TIFF's pictures, without smaller copies and masks of others.

    ImageJ stores large stacks behind one directory, whose description says how many there are. Its
    palettes only say how values are shown, so they are left out.

    Args:
        found: those that :func:`read_all` gave, if that has been done.
    """
    found = read_all(file, name) if found is None else found
    require(bool(found), f"{name}: damaged image file (it holds no picture)")
    whole = [
        one
        for one in found
        if not one.number(file, NEW_KIND, name, 0) & (REDUCED | MASK)
        and one.number(file, OLD_KIND, name, 0) != OLD_REDUCED
    ]
    whole = whole or list(found[:1])
    words = whole[0].words(file, tiff.DESCRIPTION, name).decode("latin-1")
    if words.startswith(tiff.BY_IMAGEJ):
        whole = [_as_grey(file, one, name) for one in whole]
    said = tiff.pictures_said(words)
    several = said > 1 and len(whole) == 1
    return _behind_one(file, whole[0], said, name) if several else whole


def _as_grey(file: BinaryIO, page: Directory, name: str) -> Directory:
    """The directory of a picture with a palette, as that of a grey one."""
    if page.number(file, tiff.PHOTOMETRIC, name, tiff.GREY) != PALETTE:
        return page
    grey = SHORT, 1, struct.pack(f"{page.order}H", tiff.GREY)
    return Directory(page.order, {**page.tags, tiff.PHOTOMETRIC: grey})


def _behind_one(file: BinaryIO, first: Directory, count: int, name: str) -> list[Directory]:
    """The directories of ``count`` pictures that follow each other as they are, of one kind."""
    require(count <= MOST, f"{name}: holds more than {MOST:,} pictures")
    width, height = (first.number(file, tag, name, 0) for tag in (WIDTH, HEIGHT))
    bits = first.numbers(file, tiff.BITS, name) or (1,)
    samples = first.number(file, tiff.SAMPLES, name, 1)
    offsets, lengths = _parts(file, first, name)
    size = width * height * samples * bits[0] // 8
    together = all(
        a + length == b for a, length, b in zip(offsets, lengths, offsets[1:], strict=False)
    )
    packed = first.number(file, tiff.COMPRESSION, name, 1) == 1 and bits[0] % 8 == 0
    if not packed or not together or not offsets or tiff.TILE_OFFSETS in first.tags:
        raise InputError(f"{name}: damaged image file (of {count} pages, 1 is there)")

    def number(value: int) -> tuple[int, int, bytes]:
        return LONG8, 1, struct.pack(f"{first.order}Q", value)

    return [
        Directory(
            first.order,
            {
                **first.tags,
                tiff.STRIP_OFFSETS: number(offsets[0] + i * size),
                tiff.STRIP_LENGTHS: number(size),
                tiff.ROWS: number(height),
            },
        )
        for i in range(count)
    ]


def _parts(file: BinaryIO, page: Directory, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where a picture's strips or tiles begin, and how long they are, bytes."""
    tiled = tiff.TILE_OFFSETS in page.tags
    places = tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS
    lengths = tiff.TILE_LENGTHS if tiled else tiff.STRIP_LENGTHS
    return page.numbers(file, places, name), page.numbers(file, lengths, name)


def alone(file: BinaryIO, page: Directory, name: str, max_pixels: int) -> bytes:
    """A TIFF file of one picture alone, without its description, such as any program reads it.

    Raises:
        InputError: more pixels than ``max_pixels``, or a part is not there.
    """
    width, height = (page.number(file, tag, name, 0) for tag in (WIDTH, HEIGHT))
    if width * height > max_pixels:
        raise InputError(
            f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}"
        )
    offsets, lengths = _parts(file, page, name)
    size = file.seek(0, 2)
    there = len(offsets) == len(lengths) > 0 and all(
        start > 0 and 0 < length <= size - start
        for start, length in zip(offsets, lengths, strict=True)
    )
    require(there, f"{name}: damaged image file (a part of it is not there)")
    most = tiff.LARGEST_PIXEL * width * height + 2**20 + 2**10 * len(offsets)
    require(sum(lengths) <= most, f"{name}: damaged image file (its parts are too large)")
    parts, places = [], []
    end = 8
    for start, length in zip(offsets, lengths, strict=True):
        file.seek(start)
        parts.append(file.read(length))
        places.append(end)
        end += length
    tiled = tiff.TILE_OFFSETS in page.tags
    values = {tag: _plain(file, page, tag, name) for tag in KEPT if tag in page.tags}
    for tag, numbers in (
        (tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS, places),
        (tiff.TILE_LENGTHS if tiled else tiff.STRIP_LENGTHS, lengths),
    ):
        packed = struct.pack(f"{page.order}{len(numbers)}I", *numbers)
        values[tag] = LONG, len(numbers), packed
    return _joined(page.order, parts, end, values)


def said_alone(file: BinaryIO, page: Directory, name: str) -> bytes:
    """A TIFF file of one black pixel, and of all else that is said of a picture."""
    said = {tag: _plain(file, page, tag, name) for tag in SAID if tag in page.tags}
    numbers = {WIDTH: 1, HEIGHT: 1, tiff.BITS: 8, tiff.COMPRESSION: 1, tiff.PHOTOMETRIC: tiff.GREY}
    numbers |= {tiff.STRIP_OFFSETS: 8, tiff.SAMPLES: 1, tiff.ROWS: 1, tiff.STRIP_LENGTHS: 1}
    plain = {tag: (LONG, 1, struct.pack(f"{page.order}I", n)) for tag, n in numbers.items()}
    return _joined(page.order, [bytes(2)], 10, said | plain)


def _plain(file: BinaryIO, page: Directory, tag: int, name: str) -> tuple[int, int, bytes]:
    """A tag's type, count and bytes, as a plain TIFF can hold them."""
    kind, count, _ = page.tags[tag]
    require(SIZES[kind] * count <= MOST_WORDS, f"{name}: damaged image file (a tag is too large)")
    if kind not in (16, 18):
        return kind, count, page.raw(file, tag, name)
    numbers = page.numbers(file, tag, name)
    require(max(numbers, default=0) < 2**32, f"{name}: damaged image file (a number is too large)")
    return LONG, count, struct.pack(f"{page.order}{count}I", *numbers)


def _joined(
    order: Order, parts: list[bytes], end: int, values: dict[int, tuple[int, int, bytes]]
) -> bytes:
    """A plain TIFF: the header, the parts, which end at ``end``, what is long, and a directory."""
    long, entries = [], []
    for tag in sorted(values):
        kind, count, value = values[tag]
        entry = struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) > 4:
            value += bytes(len(value) % 2)
            long.append(value)
            entry += struct.pack(f"{order}I", end)
            end += len(value)
        else:
            entry += value.ljust(4, b"\0")
        entries.append(entry)
    require(end < 2**32, "a picture of 4 GB or more cannot be read")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    return b"".join([mark, struct.pack(f"{order}I", end), *parts, *long, directory])
