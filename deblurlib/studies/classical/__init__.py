"""Chapter 06: deconvolution, a network that guesses the kernel, or a network that learns it all.

Two pages: Phase I, a Gaussian all over the image, and Phase II, real blur. What is compared, in
which unit and beyond which margin was fixed before the test images were scored.
"""

from __future__ import annotations

from .recipes import recipes

__all__ = ["SCORING", "recipes"]

#: How the chapter scores, see :func:`deblurlib.studies.score`.
SCORING = {
    "protocols": ("gaussian-rgb",),
    "measures": ("gradient_similarity", "blur_effect", "checkerboard"),
}
