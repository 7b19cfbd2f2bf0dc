"""Chapter 03: does a predicted edge map, as a fourth channel, help a deblurring network?

What is compared, in which unit and beyond which margin was fixed before the runs of the report were
scored, but for the critic of weight 0.01. UNets and critics had three seeds at first, and two more
when these had left their claims open; the chapter says so.
"""

from __future__ import annotations

from typing import Any

from .claims import claims, f_scores, lost, unsteadiness
from .measuring import measure, seeds_of
from .recipes import BLURS, CRITICS, SIZES_OF_IMAGES, recipes

__all__ = [
    "BLURS",
    "CRITICS",
    "SCORING",
    "SIZES_OF_IMAGES",
    "claims",
    "f_scores",
    "lost",
    "measure",
    "recipes",
    "seeds_of",
    "unsteadiness",
]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING: dict[str, Any] = {"protocols": ("gaussian-rgb",)}
