"""Chapter 04: what skip connections, SSIM with a critic, and three turns to one are worth.

What is compared, in which unit and beyond which margin was fixed before the test images were
scored. The trainings' histories were known by then, so which trainings are lost was, too.
"""

from __future__ import annotations

from typing import Any

from .claims import accuracies, claims, is_lost
from .measuring import measure, seeds_of
from .recipes import LENGTHS, SCHEDULES, recipes

__all__ = [
    "LENGTHS",
    "SCHEDULES",
    "SCORING",
    "accuracies",
    "claims",
    "is_lost",
    "measure",
    "recipes",
    "seeds_of",
]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING: dict[str, Any] = {
    "protocols": ("gaussian-rgb",),
    "measures": ("gradient_similarity", "spectrum_distance", "checkerboard", "colour_drift"),
}
