"""The only readers and writers of pictures; and files that are there whole or not at all.

``pictures``: the one reader. ``photos``: writing. ``png`` and ``tiff``: what is special to these.
``matlab``: arrays of numbers, for kernels. ``writing``: bytes. Taught in chapter 05.
"""

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
    "read",
    "read_bytes",
    "read_image",
    "read_photo",
    "reading",
    "unreadable",
    "write_image",
    "write_photo",
    "write_whole",
]
