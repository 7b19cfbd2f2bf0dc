"""Chapter 07's recipes: one network for each kind of blur, and two architectures on equal terms.

``on-KIND`` are UNets that differ in the kind of blur they are shown, and in nothing else: which of
them can be used for which other kind? They are as chapter 06's, with a connection from input to
output, but for their first weights and their rate: in a trial of 300 steps, on validation images of
``s1-motion``, chapter 06's gained 0.01 dB, these 1.8. ``nafnet`` and ``small-srn`` cost as many
multiplications an image, see :func:`deblurlib.models.multiplications`, are trained with the same
loss on the same samples, and for the same time. Rates and optimisers are each its own: of NAFNet
those of its paper, of SRN those of the method ``srn``.
"""

from __future__ import annotations

from ...data import holds_pairs
from ...runs import Recipe

__all__ = ["architecture", "on", "recipes"]

#: what the UNets are trained and tested on, one each: keys of degrade.SETTINGS
KINDS = ("s1-gaussian", "s1-box", "s1-motion", "defocus-4", "shake", "s4-camera")
WIDTH = 16  # of the UNets' first level
KIND_SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 500, "batch": 8, "crop": 48},
    "report": {"steps": 600, "batch": 8, "crop": 64, "every": 150},
    "full": {"steps": 50_000, "batch": 32, "crop": 96, "every": 5_000},
}
#: slug -> model, arguments, optimiser; 5.7 thousand million multiplications for 256 x 256 pixels
ARCHITECTURES = {
    "nafnet": {
        "model": "nafnet",
        "model_args": {"width": 24, "encoder": [2, 3, 8], "middle": 4, "decoder": [2, 2, 1]},
        "optimiser": {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-3, "betas": [0.9, 0.9]},
    },
    "small-srn": {
        "model": "srn",
        "model_args": {"width": 8, "residual": True},
        "optimiser": {"name": "adamw", "lr": 6e-4, "weight_decay": 1e-4, "betas": [0.9, 0.99]},
    },
}
#: steps of equal time on one thread of a processor, by a trial of both in turn before the training
IN_TIME = {"nafnet": 480, "small-srn": 1_200}
CAMERA = "s4-camera"  # what both are shown, if images are sharp
SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 40, "batch": 2, "crop": 48},
    "report": {"batch": 4, "crop": 64},
    "full": {"steps": 100_000, "batch": 32, "crop": 176, "every": 5_000},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile; of recorded pairs the two architectures alone."""
    recorded = holds_pairs(data)
    setting = {"degradation": None if recorded else CAMERA}
    listed = [architecture(slug, profile) | setting for slug in ARCHITECTURES]
    if not recorded:
        listed = [*(on(kind, profile) for kind in KINDS), *listed]
    return [Recipe(**fields, data=data, seed=seed) for fields in listed]


def on(kind: str, profile: str) -> dict:
    """A UNet that is shown one kind of blur."""
    return {
        "name": f"07/on-{kind}",
        "model": "unet",
        "model_args": {"width": WIDTH, "residual": True, "first_weights": "he"},
        "degradation": kind,
        "loss": "l1",
        "optimiser": {"name": "adam", "lr": 3e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "clip": {"norm": 0.5},
        "precision": "bf16",
        "channels_last": True,
        **KIND_SIZES[profile],
    }


def architecture(slug: str, profile: str) -> dict:
    """One of :data:`ARCHITECTURES`, trained as chapter 05's study is, for a short time."""
    steps = {"steps": IN_TIME[slug], "every": IN_TIME[slug] // 4}
    return {
        "name": f"07/{slug}",
        **ARCHITECTURES[slug],
        "loss": "charbonnier-over-scales",
        "schedule": {"name": "cosine", "warmup": 50, "end": 2e-3},
        "clip": {"norm": 0.5},
        "precision": "bf16",
        "channels_last": True,
        **(steps if profile == "report" else {}),
        **SIZES[profile],
    }
