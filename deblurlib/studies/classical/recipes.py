"""Chapter 06's recipes: S5's networks in both of its phases, and the networks that ship.

Phase I is a Gaussian all over the image, of which S5's own sigmas are drawn: ``guess`` finds the
kernel, ``blind-unet`` and ``blind-unet-residual`` learn everything. Phase II is real blur, of
recorded pairs that are reduced as S5 reduced them, or of a camera's path where sharp images are
given: UNets and S5's adversarial training. S5 gives no width, rate, batch or crop; they are ours,
chosen in a pilot by the validation images: rates of 1e-3 and 4e-4, or 3e-4 of real pairs, crops of
64 and 96 pixels, 2e-4 for the adversarial trainings as usual.

The networks that ship are a denoiser, the network that guesses the kernel, trained on all widths
alike, and the bridge between the two kinds: Richardson-Lucy with learned corrections, beside a
network that learns everything, trained as long on the same pairs.
"""

from __future__ import annotations

from ...data import holds_pairs
from ...runs import Recipe

__all__ = ["real", "recipes", "uniform"]

IMAGES = "imagenet"  # what Phase I's networks see, whatever pairs Phase II's are trained on
WIDTH = 16  # of the first level of the study's UNets
SIDE = 142  # pixels: of the shorter side of Phase II's images, a third of gopro_scenes'
PIXEL = 100.0  # weight of the mean absolute error beside a critic, as pix2pix has it
GUESS_SIZES = {  # of Phase I's network that guesses
    "smoke": {"steps": 2, "batch": 1, "crop": 64},
    "quick": {"steps": 60, "batch": 8, "crop": 128},
    "report": {"steps": 2_000, "batch": 16, "crop": 128, "every": 500},
    "full": {"steps": 20_000, "batch": 64, "crop": 128, "every": 2_000},
}
BLIND_SIZES = {  # of Phase I's UNets
    "smoke": {"steps": 2, "batch": 1, "crop": 16},
    "quick": {"steps": 60, "batch": 4, "crop": 48},
    "report": {"steps": 2_000, "batch": 8, "crop": 64, "every": 500},
    "full": {"steps": 50_000, "batch": 32, "crop": 128, "every": 5_000},
}
REAL_SIZES = {  # of Phase II's; a row of the history stands for an epoch of S5's
    "smoke": {"steps": 2, "batch": 2, "crop": 48},
    "quick": {"steps": 40, "batch": 4, "crop": 64},
    "report": {"steps": 1_200, "batch": 8, "crop": 64, "every": 150},
    "full": {"steps": 40_000, "batch": 32, "crop": 96, "every": 5_000},
}
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
    "report": {"steps": 4_000, "batch": 8, "crop": 64, "every": 400},
    "full": {"steps": 60_000, "batch": 32, "crop": 128, "every": 2_000},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """The chapter's recipes for a profile.

    Of sharp images all; of recorded pairs Phase II's, and the network that guesses, which is
    trained on images all the same.
    """
    listed = [Recipe(**fields, data=data, seed=seed) for fields in real(profile, holds_pairs(data))]
    if holds_pairs(data):
        return [Recipe(**uniform(profile)[0], data=IMAGES, seed=seed), *listed]
    shipped = (denoiser(profile), kernelnet(profile), unrolled(profile), unet(profile))
    made = [Recipe(**fields, data=data, seed=seed) for fields in (*uniform(profile), *shipped)]
    return [*made, *listed]


def uniform(profile: str) -> list[dict]:
    """Phase I: the network that guesses the kernel, and UNets without and with a skip."""
    setting = {"degradation": "s5-gaussian"}
    guess = {"name": "06/guess", **setting, **GUESS_SIZES[profile]}
    made = [{k: v for k, v in kernelnet(profile).items() if k != "every"} | guess]
    for suffix, residual in (("", False), ("-residual", True)):
        names = {"name": f"06/blind-unet{suffix}"} | setting
        made.append(names | _unet(residual) | BLIND_SIZES[profile])
    return made


def real(profile: str, recorded: bool) -> list[dict]:
    """Phase II: UNets and adversarial trainings, each without and with S5's skip to the output.

    S5's critic has six convolutions with leaky ReLUs and batch normalisation, and is all that its
    generator learns from: "The discriminator's success was then used as the basis of the loss for
    both networks". ``real-gan-pixel`` learns from the pixels, too.
    """
    setting = {"reduce": SIDE, "degradation": None if recorded else "s4-camera", "holdout": 0.25}
    critic = {"width": 16, "halvings": 4, "spectral": False, "batch_norm": True}
    rival = {
        "model": "patch",
        "model_args": critic,
        "optimiser": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "accuracy": True,
    }
    alone = {"loss": "none", "optimiser": rival["optimiser"], "rival": rival}
    alone["schedule"] = {"name": "constant"}  # so that a longer training is a shorter one gone on
    beside = alone | {"loss": "ssim-and-l1", "loss_args": {"ssim": 0.0, "l1": PIXEL}}
    arms = {
        "unet": _unet(False),
        "unet-residual": _unet(True),
        "gan": _unet(True) | alone,
        "gan-plain": _unet(False) | alone,
        "gan-pixel": _unet(True) | beside,
    }
    sizes = REAL_SIZES[profile]
    return [{"name": f"06/real-{slug}", **setting, **arm, **sizes} for slug, arm in arms.items()]


def _unet(residual: bool) -> dict:
    """A narrow UNet, trained for the mean absolute error."""
    return {
        "model": "unet",
        "model_args": {"width": WIDTH, "residual": residual},
        "loss": "l1",
        "optimiser": {"name": "adam", "lr": 1e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "precision": "bf16",
        "channels_last": True,
    }


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
    own = {"model": "unrolled-rl", "model_args": {"kernel_error": 0.5, "shared": True}}
    return {"name": "06/unrolled", **own, **_bridge(profile)}


def unet(profile: str) -> dict:
    """The other end: a network that is told no kernel and learns everything."""
    own = {"model": "unet", "model_args": {"channels": 1, "residual": True}}
    return {"name": "06/unet", **own, **_bridge(profile)}


def _bridge(profile: str) -> dict:
    """What both are trained on, and how."""
    return {
        "degradation": "known-blur",
        "grey": 1,
        "loss": "l1",
        "optimiser": {"name": "adam", "lr": 1e-3},
        "schedule": {"name": "cosine", "warmup": 50},
        "clip": {"norm": 1.0},
        "ema": 0.99,
        "precision": "bf16",
        "channels_last": True,
        **BRIDGE_SIZES[profile],
    }
