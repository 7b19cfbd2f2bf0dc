"""Chapter 07: every method on the same images, and how far what was learned on one blur reaches.

What is compared, in which unit and beyond which margin was fixed before anything was scored.
"""

from __future__ import annotations

from typing import Any

from .board import PROTOCOLS, names
from .columns import recorded_sets
from .lines import lines
from .measuring import measure
from .recipes import recipes

__all__ = ["SCORING", "lines", "measure", "names", "recipes", "recorded_sets"]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING: dict[str, Any] = {"protocols": PROTOCOLS}
