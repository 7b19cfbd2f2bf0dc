"""Chapter 06: what classical deconvolution is compared with, and the denoiser that helps it."""

from __future__ import annotations

from ...runs import Recipe

SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 600, "batch": 8, "crop": 48},
    "report": {"steps": 20_000, "batch": 16, "crop": 64, "every": 1_000},
    "full": {"steps": 200_000, "batch": 64, "crop": 96, "every": 5_000},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile."""
    return [Recipe(**denoiser(profile), data=data, seed=seed)]


def denoiser(profile: str) -> dict:
    """The denoiser of half-quadratic splitting, on grey images, told their noise."""
    return {
        "name": "06/denoiser",
        "model": "denoiser",
        "degradation": "noise",
        "grey": 1,
        "loss": "l1",
        "optimiser": {"name": "adam", "lr": 2e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "ema": 0.99,
        "precision": "bf16",
        "channels_last": True,
        **SIZES[profile],
    }
