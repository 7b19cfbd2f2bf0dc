"""Methods by name, and what they do to any image: a tensor, an array, a file, a folder.

``method``: a function from a blurred image to a restored one; ``methods``: those that need no
training; ``settings``: what may be set of them; ``lookup``: which one a name means, networks and
runs, too. ``applying``: a network on images of any size. ``restoring``: images of any kind.
``telling``: the part of a photograph that its kernel is found in. ``tiles``: a large image piece by
piece. ``patches``: the same, each piece with its own kernel. ``finding``: which files are meant,
and where results go. ``jobs``: what is to be done, and what came of it. ``units``: values that are
not in [0, 1]. ``kernel_of``: the kernel of a photograph. ``suggesting``: which commands to try on
one. ``batch``: many files. ``stacks``: TIFFs of several planes. ``videos``: a whole video.
``comparison``: before and after. ``trusting``: where a result contradicts what it was made from;
``trust_map``: the same as a picture. Taught in chapters 01 (what a method may know), 05 (tiles,
files, trust), 06 (patches, settings, kernels that are found) and 07.
"""

from .applying import apply_model
from .batch import restore_files, restore_frames
from .comparison import write_comparison
from .finding import Candidate, find_photos
from .jobs import Outcome, Request, Step, Watch
from .kernel_of import FoundKernel, kernel_by_edges, kernel_by_streak
from .lookup import find_method, of_model, of_run, shipped, stitched
from .methods import METHODS, WITH_KERNEL, Method, unsharp_mask
from .patches import guess_and_restore, restore_patches, seam_energy, seams
from .restoring import restore, telling_pixels, tile_difference, with_found_kernel
from .settings import Setting
from .suggesting import Look, Suggestion, suggest
from .tiles import TILE
from .trust_map import TrustMap, write_trust
from .trusting import Trust, trust

__all__ = [
    "METHODS",
    "TILE",
    "WITH_KERNEL",
    "Candidate",
    "FoundKernel",
    "Look",
    "Method",
    "Outcome",
    "Request",
    "Setting",
    "Step",
    "Suggestion",
    "Trust",
    "TrustMap",
    "Watch",
    "apply_model",
    "find_method",
    "find_photos",
    "guess_and_restore",
    "kernel_by_edges",
    "kernel_by_streak",
    "of_model",
    "of_run",
    "restore",
    "restore_files",
    "restore_frames",
    "restore_patches",
    "seam_energy",
    "seams",
    "shipped",
    "stitched",
    "suggest",
    "telling_pixels",
    "tile_difference",
    "trust",
    "unsharp_mask",
    "with_found_kernel",
    "write_comparison",
    "write_trust",
]
