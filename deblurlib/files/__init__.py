"""The only readers and writers of pictures and kernels; files that are there whole or not at all.

``decoding``: pictures are read. ``encoding``: pictures are written. ``reducing``: pictures are made
smaller. ``png`` and ``tiff``: what is special to these formats. ``directories``: the pictures of a
TIFF, one by one. ``stacks``: TIFFs of several planes or of floats, read and written. ``kernels``:
kernels are read and written. ``matlab``: arrays in MATLAB's files. ``whole``: bytes, with errors
that name the file, written whole or not at all. Taught in chapter 05.
"""

from .decoding import FORMATS, MAX_PIXELS, SUFFIXES, Photo, decode, read, read_image, read_photo
from .encoding import check_suffix, write_image, write_photo
from .kernels import decode_kernel, read_kernel, read_kernels, write_kernel
from .reducing import reduce
from .stacks import Stack, check_tiff, examine_stack, plane_count, read_planes, write_planes
from .whole import read_bytes, reading, unreadable, write_whole, writing

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "Stack",
    "check_suffix",
    "check_tiff",
    "decode",
    "decode_kernel",
    "examine_stack",
    "plane_count",
    "read",
    "read_bytes",
    "read_image",
    "read_kernel",
    "read_kernels",
    "read_photo",
    "read_planes",
    "reading",
    "reduce",
    "unreadable",
    "write_image",
    "write_kernel",
    "write_photo",
    "write_planes",
    "write_whole",
    "writing",
]
