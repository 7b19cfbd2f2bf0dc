"""The only readers and writers of pictures and kernels; files that are there whole or not at all.

``pictures``: their one reader. ``photos``: writing them. ``png`` and ``tiff``: what is special to
these. ``kernels``: their one reader. ``matlab``: arrays of numbers, for it. ``writing``: bytes.
Taught in chapter 05.
"""

from .kernels import decode_kernel, read_kernel
from .photos import check_suffix, write_image, write_photo
from .pictures import FORMATS, MAX_PIXELS, SUFFIXES, Photo, decode, read, read_image, read_photo
from .writing import read_bytes, reading, unreadable, write_whole

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "check_suffix",
    "decode",
    "decode_kernel",
    "read",
    "read_bytes",
    "read_image",
    "read_kernel",
    "read_photo",
    "reading",
    "unreadable",
    "write_image",
    "write_photo",
    "write_whole",
]
