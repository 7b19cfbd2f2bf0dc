"""Training: one loop that runs on a processor, on a GPU, and on several, started by ``torchrun``.

Taught in chapter 02.
"""

from .devices import PRECISIONS, start_fabric
from .loop import State, fit
from .rates import OPTIMISERS, SCHEDULES, make_optimiser, rate_factor, set_rates

__all__ = [
    "OPTIMISERS",
    "PRECISIONS",
    "SCHEDULES",
    "State",
    "fit",
    "make_optimiser",
    "rate_factor",
    "set_rates",
    "start_fabric",
]
