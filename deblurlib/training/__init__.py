"""Training: one loop that runs on a processor, on a GPU, and on several, started by ``torchrun``.

It trains *players*, each a network and what moves it: a model alone, or a model and its critic in
turns. Taught in chapters 02 and 04.
"""

from .devices import PRECISIONS, start_fabric
from .loop import State, fit
from .objectives import ACCURACY, fooling, predict, supervised, telling
from .players import Player
from .rates import OPTIMISERS, SCHEDULES, make_optimiser, rate_factor, set_rates

__all__ = [
    "ACCURACY",
    "OPTIMISERS",
    "PRECISIONS",
    "SCHEDULES",
    "Player",
    "State",
    "fit",
    "fooling",
    "make_optimiser",
    "predict",
    "rate_factor",
    "set_rates",
    "start_fabric",
    "supervised",
    "telling",
]
