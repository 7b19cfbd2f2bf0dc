"""Chapter 03: does a predicted edge map, as a fourth channel, help a deblurring network?

What is compared, over which runs, in which unit and beyond which margin was fixed before the runs
of the report were scored.
"""

from __future__ import annotations

from .claims import claims, f_scores, lost, unsteadiness
from .measuring import ENOUGH, measure
from .recipes import BLURS, CHOSEN, CRITICS, EDGES, RATES, SIZES_OF_IMAGES, WIDER, recipes

__all__ = [
    "BLURS",
    "CHOSEN",
    "CRITICS",
    "EDGES",
    "ENOUGH",
    "RATES",
    "SCORING",
    "SIZES_OF_IMAGES",
    "WIDER",
    "claims",
    "f_scores",
    "lost",
    "measure",
    "recipes",
    "unsteadiness",
]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING = {"protocols": ("gaussian-rgb",)}
