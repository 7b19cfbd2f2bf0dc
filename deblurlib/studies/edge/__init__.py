"""Chapter 03: does a predicted edge map, as a fourth channel, help a deblurring network?

What is compared, over which runs, in which unit and beyond which margin was fixed before the runs
of the report were scored.
"""

from __future__ import annotations

from .recipes import recipes

__all__ = ["SCORING", "recipes"]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING = {"protocols": ("gaussian-rgb",)}
