"""Chapter 05: the scale-recurrent network, as published, and one for photographs of any kind."""

from __future__ import annotations

from ...data import holds_pairs
from ...runs import Recipe

SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 40, "batch": 2, "crop": 64},
    "report": {"steps": 20_000, "batch": 16, "crop": 128},
    # 2,000 epochs of 2,103 pairs, as the paper says; its code's default is 4,000
    "full": {"steps": 262_000, "batch": 16, "crop": 256, "every": 2_620},
}
SHIPPED_SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 100, "batch": 4, "crop": 64},
    "report": {"steps": 9_000, "batch": 8, "crop": 128, "every": 300},
    "full": {"steps": 200_000, "batch": 32, "crop": 160, "every": 2_000},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile.

    Recorded pairs are taken as they are; sharp images are blurred by a camera's path.
    """
    setting = None if holds_pairs(data) else "s4-camera"
    variants = (published(profile), shipped(profile))
    return [Recipe(**fields, data=data, degradation=setting, seed=seed) for fields in variants]


def published(profile: str) -> dict:
    """The paper's network and training; its clip of the recurrent layer is really applied."""
    return {
        "name": "05/srn",
        "model": "srn",
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": 1e-4},
        "schedule": {"name": "polynomial", "power": 0.3},
        "clip": {"norm": 3.0, "of": "recurrence."},
        **SIZES[profile],
    }


def shipped(profile: str) -> dict:
    """A training for photographs of any kind: half the width, and it learns the difference.

    It is meant for the set that :mod:`deblurlib.studies.srn.mixture` gathers. The first weights of
    the method ``srn`` came from it. Those of today do not: they are of twice the width, and no
    recipe of the project made them, see their model card.
    """
    return {
        "name": "05/shipped",
        "model": "srn",
        "model_args": {"width": 16, "residual": True},
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": 5e-4},
        "schedule": {"name": "cosine", "warmup": 200},
        "clip": {"norm": 3.0, "of": "recurrence."},
        "ema": 0.999,
        "precision": "bf16",
        "channels_last": True,
        "holdout": 0.15,
        **SHIPPED_SIZES[profile],
    }
