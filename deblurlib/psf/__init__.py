"""Point-spread functions: where the light of one point ends up.

A kernel is a float32 tensor ``(h, w)`` with odd sides, non-negative, summing to 1, in convolution
orientation: ``k[centre + d]`` is the share of a point's light that lands ``d`` pixels away from it,
rows counted downwards. Kernels of other makers go through :func:`as_kernel`. Taught in chapter 01.
"""

from .checking import as_kernel, check
from .kernels import box, disk, from_path, gaussian, motion, shake, stack, transfer_function
from .measuring import HARDLY, deviation, distance, doubts, extent
from .paths import trajectories, trajectory
from .streaks import from_streak

__all__ = [
    "HARDLY",
    "as_kernel",
    "box",
    "check",
    "deviation",
    "disk",
    "distance",
    "doubts",
    "extent",
    "from_path",
    "from_streak",
    "gaussian",
    "motion",
    "shake",
    "stack",
    "trajectories",
    "trajectory",
    "transfer_function",
]
