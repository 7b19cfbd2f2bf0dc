"""Chapter 05's recipes: the network as published, its parts varied one at a time, and ``srn``.

The study's networks are half as wide as the published one and learn the difference from the blurred
image; a training of theirs is as short as a course can afford. All arms of it have the same images,
the same paths and as many steps. The rate and its course were chosen on the validation images, in
a pilot of 400 steps: of 1e-4, 3e-4, 5e-4, 1e-3 and 2e-3, and of 3e-4 alone at the published width.
There the network that makes the image itself, as S4's does, was a decibel below doing nothing.
"""

from __future__ import annotations

from typing import Any

from ...data import holds_pairs
from ...runs import Recipe

__all__ = ["published", "recipes", "shipped", "study", "wide"]

PUBLISHED_SIZES = {
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

SIZES = {
    "smoke": {"steps": 4, "batch": 1, "crop": 16},
    "quick": {"steps": 60, "batch": 2, "crop": 64},
    "report": {"steps": 1_800, "batch": 8, "crop": 128},
    "full": {"steps": 20_000, "batch": 16, "crop": 128},
}
WIDTH = 16  # of the study's networks: half of the published one's
RATE, WIDE_RATE = 5e-4, 3e-4
#: slug -> arguments of the network that differ from the whole one's
PARTS: dict[str, dict[str, Any]] = {
    "one-scale": {"scales": 1},
    "two-scales": {"scales": 2},
    "no-recurrence": {"recurrence": "none"},
    "rnn": {"recurrence": "rnn"},
    "gru": {"recurrence": "gru"},
    "plain": {"shortcuts": False},
    "kernel-3": {"kernel": 3},
    "between-deconvolution": {"between": "deconvolution"},
    "between-sub-pixel": {"between": "sub-pixel"},
    "decoder-sub-pixel": {"upsampling": "sub-pixel"},
    "decoder-bilinear": {"upsampling": "bilinear"},
    "paper": {"flavour": "paper"},
    "direct": {"residual": False},
}
VARIATION = 1e-3  # weight of the total variation; S4 gives none
ADVERSARIAL = 1e-3  # of what the critic says; S4 gives none
#: the settings: stored values are averaged, as in the pairs that S4 trains on, or light
ENCODED, LIGHT = "s4-camera", "s4-camera-light"
#: the parts that are also varied at the published width
WIDE = ("one-scale", "no-recurrence", "plain")


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile.

    Recorded pairs are taken as they are; sharp images are blurred by a camera's path.
    """
    setting = None if holds_pairs(data) else ENCODED
    common: dict[str, Any] = {"data": data, "degradation": setting, "seed": seed}
    listed = [Recipe(**fields, **common) for fields in study(profile)]
    if setting:
        listed.append(Recipe(**arm("light", profile), **common | {"degradation": LIGHT}))
    listed.append(Recipe(**published(profile), **common))
    setting = setting and "snapshot"
    return listed + [
        Recipe(**shipped(slug, profile), **common | {"degradation": setting}) for slug in WIDTHS
    ]


def study(profile: str) -> list[dict]:
    """The whole network, and each of its parts, and of its loss, alone."""
    whole = arm("whole", profile)
    listed = [whole, *(arm(slug, profile, **changed) for slug, changed in PARTS.items())]
    listed.append(whole | {"name": "05/l1", "loss": "l1-over-scales"})
    variation = {"loss_args": {"variation": VARIATION}}
    listed.append(whole | {"name": "05/total-variation"} | variation)
    critic = {"model": "patch", "model_args": {"width": WIDTH, "halvings": 2}}
    rival = critic | {"weight": ADVERSARIAL, "optimiser": {"name": "adam", "lr": 1e-4}}
    listed.append(whole | {"name": "05/adversarial", "rival": rival})
    return [*listed, *wide(profile)]


def wide(profile: str) -> list[dict]:
    """Some of the parts, varied at the published width."""
    rate = {"optimiser": {"name": "adam", "lr": WIDE_RATE}}
    changes: dict[str, dict[str, Any]] = {"wide": {}}
    changes |= {f"wide-{slug}": PARTS[slug] for slug in WIDE}
    return [arm(slug, profile, **{"width": 2 * WIDTH} | c) | rate for slug, c in changes.items()]


def arm(slug: str, profile: str, **changed: Any) -> dict:
    """The study's training of a network that differs from the whole one in some arguments.

    Adam and the loss are S4's; the rate's course, the clip of all gradients and the precision are
    ours, for a training that is a hundred times shorter.
    """
    return {
        "name": f"05/{slug}",
        "model": "srn",
        "model_args": {"width": WIDTH, "residual": True} | changed,
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": RATE},
        "schedule": {"name": "cosine", "warmup": 100, "end": 2e-3},
        "clip": {"norm": 0.1},
        "precision": "bf16",
        "channels_last": True,
        **SIZES[profile],
    }


def published(profile: str) -> dict:
    """The paper's network and training; its clip of the recurrent layer is really applied."""
    return {
        "name": "05/srn",
        "model": "srn",
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": 1e-4},
        "schedule": {"name": "polynomial", "power": 0.3},
        "clip": {"norm": 3.0, "of": "recurrence."},
        **PUBLISHED_SIZES[profile],
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
