"""Chapter 04: what skip connections, SSIM with a critic, and three turns to one are worth."""

from __future__ import annotations

from .recipes import recipes

__all__ = ["recipes"]
