"""Methods by name, and what they do to any image: a tensor, an array, a file, a folder.

``methods``: functions from a blurred image to a restored one. ``restoring``: images of any kind.
``tiles``: a large image piece by piece. ``patches``: the same, each piece with its own kernel.
``batch``: many files. ``comparison``: before and after, side by side.
Taught in chapters 01 (what a method may know), 05 (tiles), 06 (patches) and 07.
"""

from .batch import Candidate, Outcome, find_photos, restore_files, restore_frames
from .comparison import write_comparison
from .methods import (
    METHODS,
    Method,
    apply_model,
    find_method,
    of_model,
    of_run,
    shipped,
    unsharp_mask,
)
from .patches import restore_patches, seam_energy, seams
from .restoring import restore, tile_difference
from .tiles import TILE

__all__ = [
    "METHODS",
    "TILE",
    "Candidate",
    "Method",
    "Outcome",
    "apply_model",
    "find_method",
    "find_photos",
    "of_model",
    "of_run",
    "restore",
    "restore_files",
    "restore_frames",
    "restore_patches",
    "seam_energy",
    "seams",
    "shipped",
    "tile_difference",
    "unsharp_mask",
    "write_comparison",
]
