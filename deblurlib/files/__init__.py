"""The only readers and writers of pictures, and files that are whole or not there.

``pictures``: image files as networks see them, upright RGB. ``photos``: the same with all that
belongs to a photograph. ``writing``: bytes. Taught in chapters 01 and 05.
"""

from .photos import FORMATS, Photo, check_suffix, read_photo, with_pixels, write_photo
from .pictures import MAX_PIXELS, SUFFIXES, decode, read_image, write_image
from .writing import read_bytes, reading, unreadable, write_whole

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "check_suffix",
    "decode",
    "read_bytes",
    "read_image",
    "read_photo",
    "reading",
    "unreadable",
    "with_pixels",
    "write_image",
    "write_photo",
    "write_whole",
]
