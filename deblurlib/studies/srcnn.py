"""Chapter 02: SRCNN on S1's three blurs. A first part of it: one network, one rate.

The full learning-rate study, the reach of the networks and the claims come with the chapter.
"""

from __future__ import annotations

from ..runs import Recipe

#: profile -> sizes
SIZES = {
    "smoke": {"steps": 6, "batch": 2, "crop": 33, "every": 3},
    "quick": {"steps": 400, "batch": 8, "crop": 48},
    "report": {"steps": 15_000, "batch": 16, "crop": 64},
    "full": {"steps": 150_000, "batch": 16, "crop": 128},
}
BLURS = ("gaussian", "box", "motion")


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """One recipe a blur: 9-1-5 as released, grey, on the difference to the input."""
    return [
        Recipe(
            f"02/{blur}",
            model="srcnn",
            model_args={"layers": "9-1-5", "widths": "released", "residual": True},
            data=data,
            degradation=f"s1-{blur}",
            grey=True,
            optimiser={"name": "adam", "lr": 1e-3},
            seed=seed,
            **SIZES[profile],
        )
        for blur in BLURS
    ]
