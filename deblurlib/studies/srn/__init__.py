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
    # half an hour of two cores at the small width
    "report": {"steps": 2_000, "batch": 4, "crop": 96},
    # nine and a half minutes of an NVIDIA H200 at the width of ``srn``
    "full": {"steps": 10_400, "batch": 32, "crop": 176, "every": 400},
}
#: slug -> width: the method ``srn``, and one that costs a quarter
WIDTHS = {"shipped": 32, "shipped-small": 16}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile.

    Recorded pairs are taken as they are; sharp images are blurred by a camera's path.
    """
    setting = None if holds_pairs(data) else "s4-camera"
    srn = Recipe(**published(profile), data=data, degradation=setting, seed=seed)
    setting = None if holds_pairs(data) else "snapshot"
    return [srn] + [
        Recipe(**shipped(slug, profile), data=data, degradation=setting, seed=seed)
        for slug in WIDTHS
    ]


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


def shipped(slug: str, profile: str) -> dict:
    """A training for photographs of any kind; it learns the difference.

    It is meant for the mixture ``srn-mixture`` of :data:`deblurlib.places.MIXTURES`, as the weights
    of the method ``srn`` were made: see their model card for what was different.
    """
    return {
        "name": f"05/{slug}",
        "model": "srn",
        "model_args": {"width": WIDTHS[slug], "residual": True},
        "loss": "charbonnier-over-scales",
        "optimiser": {"name": "adamw", "lr": 6e-4, "weight_decay": 1e-4, "betas": [0.9, 0.99]},
        "schedule": {"name": "cosine", "warmup": 400, "end": 2e-3},
        "clip": {"norm": 0.5},
        "ema": 0.9993,
        "precision": "bf16",
        "channels_last": True,
        "holdout": 0.05,
        "spoil": "stored",
        "turned": True,
        "larger": 2.0,
        **SHIPPED_SIZES[profile],
    }
