"""Arrays of numbers in MATLAB's files, levels 5 to 7.2.

After "MAT-File Format", The MathWorks. SciPy has a reader, too; but on some damaged files it ends
the whole process.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from ..errors import InputError

HEADER = 128  # bytes, of which the last two say the byte order
MATRIX, COMPRESSED = 14, 15  # types of elements
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
TYPES |= {12: "i8", 13: "u8"}
NUMERIC = range(6, 16)  # classes of arrays: double, single, and whole numbers
COMPLEX = 0x800
LARGEST = 2**28  # bytes


def numbers(data: bytes, name: str, most: int = LARGEST) -> dict[str, np.ndarray]:
    """The real arrays in a file, by their names; what is no array of numbers is passed over.

    Args:
        most: bytes that an element is unpacked to, and all together; :data:`LARGEST` at most.

    Raises:
        InputError: a file of another level, a damaged or too large one, or complex numbers.
    """
    if data[:10].startswith(b"MATLAB 7.3"):
        raise InputError(f"{name}: a MATLAB file of version 7.3; save it with the option -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER])
    try:
        if order is None:
            raise ValueError("no byte order")
        return dict(_arrays(data[HEADER:], order, name, min(most, LARGEST)))
    except InputError:
        raise
    except (ValueError, struct.error, zlib.error, KeyError, IndexError):
        raise InputError(f"{name}: a damaged MATLAB file") from None


def _arrays(data: bytes, order: str, name: str, most: int) -> Iterator[tuple[str, np.ndarray]]:
    for kind, element in _elements(data, order):
        if kind == COMPRESSED:
            unpacking = zlib.decompressobj()
            inner = unpacking.decompress(element, max(most, 1))
            most -= len(inner)
            if unpacking.unconsumed_tail or most < 0:
                raise InputError(f"{name}: holds more numbers than a kernel may have")
            yield from _arrays(inner, order, name, most)
        elif kind == MATRIX:
            (_, flags), (_, shape), (_, title), *parts = _elements(element, order)
            (flag,) = struct.unpack_from(f"{order}I", flags)
            if flag & 0xFF not in NUMERIC:
                continue
            if flag & COMPLEX:
                raise InputError(f"{name}: holds complex numbers")
            kind, values = parts[0]
            array = np.frombuffer(values, order + TYPES[kind])
            sides = struct.unpack(f"{order}{len(shape) // 4}i", shape)
            yield title.decode("latin-1"), array.reshape(sides, order="F")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The type and the content of each of the elements that follow one another."""
    start = 0
    while start + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, start)
        if kind >> 16:  # a small one, with its content in the second word
            length, kind = kind >> 16, kind & 0xFFFF
            first, after = start + 4, start + 8
        else:
            first = start + 8
            after = first + length + (0 if kind == COMPRESSED else -length % 8)
        if length > (4 if first == start + 4 else len(data) - first):
            raise ValueError("an element beyond the end")
        yield kind, data[first : first + length]
        start = after
