"""Chapter 06: deconvolution, a network that guesses the kernel, or a network that learns it all.

Two pages: Phase I (:mod:`.uniform`), a Gaussian all over the image, and Phase II (:mod:`.real`),
real blur. What is compared, in which unit and beyond which margin was fixed before the test images
were scored; the four scenes of reds_small were added when three scenes had decided next to nothing.
"""

from __future__ import annotations

from typing import Any

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING: dict[str, Any] = {
    "protocols": ("gaussian-rgb",),
    "measures": ("gradient_similarity", "blur_effect", "checkerboard"),
}

from . import real, uniform  # noqa: E402  they score as is said above
from .recipes import recipes  # noqa: E402

__all__ = ["SCORING", "real", "recipes", "uniform"]
