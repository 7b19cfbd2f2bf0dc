"""Chapter 06: what classical deconvolution is compared with, and the networks that help it.

That is a denoiser, S5's network that guesses the kernel, and the bridge between the two kinds:
Richardson-Lucy with learned corrections, beside a network that learns everything, trained as long
on the same pairs.
"""

from __future__ import annotations

from ...runs import Recipe

SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 600, "batch": 8, "crop": 48},
    "report": {"steps": 20_000, "batch": 16, "crop": 64, "every": 1_000},
    "full": {"steps": 200_000, "batch": 64, "crop": 96, "every": 5_000},
}
GUESSING = {  # of the network that guesses; a crop of 128 pixels is what it is to see of a patch
    "smoke": {"steps": 2, "batch": 1, "crop": 64},
    "quick": {"steps": 400, "batch": 16, "crop": 128},
    "report": {"steps": 4_000, "batch": 32, "crop": 128, "every": 400},
    "full": {"steps": 60_000, "batch": 64, "crop": 128, "every": 2_500},
}
BRIDGE_SIZES = {
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 60, "batch": 4, "crop": 48},
    "report": {"steps": 6_000, "batch": 16, "crop": 96, "every": 500},
    "full": {"steps": 60_000, "batch": 32, "crop": 128, "every": 2_000},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile."""
    made = (denoiser(profile), kernelnet(profile), unrolled(profile), unet(profile))
    return [Recipe(**fields, data=data, seed=seed) for fields in made]


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


def kernelnet(profile: str) -> dict:
    """S5's network that guesses the kernel, of grey images and Gaussians of all widths."""
    return {
        "name": "06/kernelnet",
        "model": "kernelnet",
        "degradation": "s5-gaussian-uniform",
        "grey": 1,
        "loss": "sigma-of-kernel",
        "optimiser": {"name": "adam", "lr": 2e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "ema": 0.99,
        # what tells the widths apart is finer than what TF32 keeps of a pixel
        "tf32": False,
        **GUESSING[profile],
    }


def unrolled(profile: str) -> dict:
    """Richardson-Lucy with learned corrections, shown kernels that are up to half wrong."""
    own = {"model": "unrolled-rl", "model_args": {"kernel_error": 0.5}}
    return {"name": "06/unrolled", **own, **_bridge(profile)}


def unet(profile: str) -> dict:
    """The other end: a network that is told no kernel and learns everything."""
    own = {"model": "unet", "model_args": {"channels": 1, "residual": True}}
    return {"name": "06/unet", **own, **_bridge(profile)}


def _bridge(profile: str) -> dict:
    """What both are trained on, and how; in full precision, for bfloat16 would hide weak noise."""
    return {
        "degradation": "known-blur",
        "grey": 1,
        "loss": "l1",
        "optimiser": {"name": "adam", "lr": 1e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "clip": {"norm": 1.0},
        "ema": 0.99,
        "channels_last": True,
        **BRIDGE_SIZES[profile],
    }
