"""The chunks of PNG files: what Pillow does not keep of them, and what it cannot write.

After "Portable Network Graphics (PNG) Specification (Third Edition)", W3C.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import InputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: They say what light the values stand for, and how large a pixel is: copied from PNG to PNG.
KEPT = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pHYs")
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
TURNING = (b"XML:com.adobe.xmp", b"Raw profile type")  # texts that may say the orientation
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # of the colour types of IHDR
LARGEST_PROFILE = 2**25  # bytes
BLOCK = 2**20  # bytes that are unpacked at a time
GAMMA = struct.pack(">I", 45455)  # that of sRGB, in hundred-thousandths, and its primaries
PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def split(data: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The chunks of a file, ``(name, whole bytes)`` each, and whether the file is complete."""
    chunks, start = [], len(SIGNATURE)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        stop = start + 12 + length
        if stop > len(data):
            break
        name = data[start + 4 : start + 8]
        chunks.append((name, data[start:stop]))
        if name == b"IEND":
            return chunks, True
        start = stop
    return chunks, False


def content(chunk: bytes) -> bytes:
    """What is in a chunk, without its length, name and checksum."""
    return chunk[8:-4]


def join(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of the file that consists of these chunks."""
    return SIGNATURE + b"".join(chunk for _, chunk in chunks)


def for_pixels(chunks: list[tuple[bytes, bytes]], colour_type: int) -> list[tuple[bytes, bytes]]:
    """The chunks that a decoder of pixels needs, without those that make it fail.

    Those are profiles and texts larger than Pillow's limits; and a transparent colour, which it
    compares with values that it has scaled.
    """
    left_out = {b"iCCP"} | ({b"tRNS"} if colour_type in (GREY, RGB) else set())
    return [
        (name, chunk)
        for name, chunk in chunks
        if name not in left_out and (name not in TEXTS or content(chunk).startswith(TURNING))
    ]


def profile(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The colour profile; empty where there is none, or none that can be read."""
    for name, chunk in chunks:
        if name == b"iCCP":
            packed = content(chunk).partition(b"\0")[2][1:]
            try:
                unpacking = zlib.decompressobj()
                unpacked = unpacking.decompress(packed, LARGEST_PROFILE)
            except zlib.error:
                return b""
            return unpacked if unpacking.eof else b""
    return b""


def with_alpha(
    pixels: np.ndarray, chunks: list[tuple[bytes, bytes]], depth: int, colour_type: int
) -> np.ndarray:
    """Add an alpha channel to grey or RGB ``(H, W, C)`` where the file names a transparent colour.

    Args:
        depth: bits a value in the file; those of ``pixels`` have been scaled to 8 or 16.
    """
    key = dict(chunks).get(b"tRNS")
    if key is None or colour_type not in (GREY, RGB):
        return pixels
    values = np.frombuffer(content(key), ">u2").astype(np.int64) & (2**depth - 1)
    most = np.iinfo(pixels.dtype).max
    values = values * (most // (2**depth - 1))
    seen = (pixels != values[: pixels.shape[-1]]).any(-1, keepdims=True)
    return np.concatenate([pixels, (seen * most).astype(pixels.dtype)], -1)


def check(chunks: list[tuple[bytes, bytes]], name: str) -> None:
    """Raise unless all pixels, and the colours that they stand for, are in the file.

    Pillow makes them black, or transparent, and says nothing.
    """
    contents = {key: content(chunk) for key, chunk in chunks}
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(
        ">IIBBBBB", contents[b"IHDR"]
    )
    values = {RGB: 3, GREY_ALPHA: 2, RGBA: 4}.get(colour_type, 1)
    expected = sum(
        rows * (1 + -(-columns * values * depth // 8))
        for columns, rows in _passes(width, height, bool(interlaced))
    )
    unpacking, unpacked = zlib.decompressobj(), 0
    for key, chunk in chunks:
        data = content(chunk) if key == b"IDAT" else b""
        while data and unpacked < expected:
            unpacked += len(unpacking.decompress(data, BLOCK))
            data = unpacking.unconsumed_tail
    if unpacked < expected:
        raise InputError(f"{name}: damaged image file (rows of pixels are missing)")
    colour = contents.get(b"tRNS")
    if colour is not None and len(colour) != {GREY: 2, RGB: 6}.get(colour_type, len(colour)):
        raise InputError(f"{name}: damaged image file (its transparent colour is none)")
    names = [key for key, _ in chunks]
    if colour_type == PALETTE and b"PLTE" not in names[: names.index(b"IDAT")]:
        raise InputError(f"{name}: damaged image file (its palette is missing)")


def _passes(width: int, height: int, interlaced: bool) -> list[tuple[int, int]]:
    """Columns and rows of what is stored one after the other; empty parts are left out."""
    if not interlaced:
        return [(width, height)]
    # Adam7: the first column and row, and the steps
    starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
    starts += [(1, 0, 2, 2), (0, 1, 1, 2)]
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in starts]
    return [(columns, rows) for columns, rows in sizes if columns > 0 and rows > 0]


def kept(chunks: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The contents of the chunks that are copied, by name."""
    return {name: content(chunk) for name, chunk in chunks if name in KEPT}


def meaning(words: Mapping[bytes, bytes], with_profile: bool) -> tuple[str, ...]:
    """The names of those chunks that make a viewer show other colours than sRGB, or the profile."""
    plain = {b"gAMA": GAMMA, b"cHRM": PRIMARIES}
    telling = [n for n, word in words.items() if n not in (b"sRGB", b"pHYs")]
    if b"sRGB" in words or with_profile:  # which overrule these two
        telling = [n for n in telling if n not in plain]
    return tuple(n.decode() for n in telling if words[n] != plain.get(n))


def insert(data: bytes, words: Mapping[bytes, bytes]) -> bytes:
    """A file with these chunks right behind its first one."""
    chunks, _ = split(data)
    new = [(name, chunk(name, word)) for name, word in words.items()]
    return join([chunks[0], *new, *chunks[1:]])


def chunk(name: bytes, word: bytes) -> bytes:
    """A chunk: length, name, content, checksum."""
    return struct.pack(">I", len(word)) + name + word + struct.pack(">I", zlib.crc32(name + word))


def write_deep(file: io.BytesIO, pixels: np.ndarray, profile: bytes, exif: bytes) -> None:
    """Write uint16 pixels ``(H, W, C)``, for Pillow cannot, and OpenCV keeps no profile."""
    height, width, channels = pixels.shape
    values = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    rows = np.ones((height, 1 + values.shape[1]), np.uint8)  # each begins with its filter:
    rows[:, 1:] = values  # 1, the difference to the pixel on the left
    rows[:, 1 + 2 * channels :] -= values[:, : -2 * channels]
    colour_type = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels]
    file.write(SIGNATURE)
    file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)))
    if profile:
        file.write(chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile)))
    if exif:
        file.write(chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    file.write(chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b""))
