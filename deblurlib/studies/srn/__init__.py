"""Chapter 05: what scale recurrence buys; the network as published, and one for any photograph.

What is compared, in which unit and beyond which margin was fixed before the trainings.
"""

from __future__ import annotations

from .claims import claims
from .measuring import SCORING, measure, seeds_of
from .recipes import recipes

__all__ = ["SCORING", "claims", "measure", "recipes", "seeds_of"]
