"""Chapter 04's recipes: S3's network, loss and schedule, narrow, and each of its parts alone.

All arms have the same images, and the same number of the generator's updates but where its length
is what is studied. S3 does not say how its networks are trained: Adam at a constant rate is ours,
so that a longer training is like a shorter one that went on. The rates were chosen by validation,
once, from those of :func:`sweep`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...models.autoencoder import SKIPS
from ...runs import Recipe

SIDE = 64  # of S3's images, pixels
WIDTH = 16  # of the networks: a quarter of S3's
RATES = {"3e-4": 3e-4, "1e-3": 1e-3, "3e-3": 3e-3}
CRITIC_RATES = {"1e-5": 1e-5, "3e-5": 3e-5, "1e-4": 1e-4, "3e-4": 3e-4, "1e-3": 1e-3}
RATE, CRITIC_RATE = 3e-3, 3e-5  # chosen on the validation images, see :func:`sweep`
#: name -> weights of 1 - SSIM and of the mean absolute error
LOSSES = {
    "ssim": {},
    "l1": {"ssim": 0.0, "l1": 1.0},
    "l1-ssim": {"l1": 1.0},
}
#: name -> the generator's updates for one of the critic
SCHEDULES = {"one-to-one": 1, "source": 3, "five-to-one": 5}
#: name -> the share of the usual number of updates: from the first, the length doubles three times
LENGTHS = {"half": 0.5, "source": 1, "double": 2, "fourfold": 4}
SIZES = {
    "smoke": {"steps": 8, "batch": 2},
    "quick": {"steps": 200, "batch": 8},
    "report": {"steps": 2_000, "batch": 16},
    "full": {"steps": 100_000, "batch": 64},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """All recipes of the chapter, in the order of its sections."""
    parts = (sweep, losses, game, skips, enlarging, values, lengths, full_width)
    return [Recipe(**fields, seed=seed) for part in parts for fields in part(profile, data)]


def sweep(profile: str, data: str) -> list[dict]:
    """The narrow network at three rates, for two losses; then S3's setting, its critic at five."""
    listed = []
    for slug, rate in RATES.items():
        for loss in ("ssim", "l1"):
            recipe = _recipe(f"rate-{slug}-{loss}", profile, data, loss)
            listed.append(recipe | {"optimiser": {"name": "adam", "lr": rate}})
    for slug, rate in CRITIC_RATES.items():
        listed.append(_against(_recipe(f"critic-{slug}", profile, data), rate=rate))
    return listed


def losses(profile: str, data: str) -> list[dict]:
    """S3's loss, its parts, and L1 in the place of SSIM or beside it; with and without a critic."""
    listed = [_recipe(name, profile, data, name) for name in LOSSES]
    for name in ("l1", "l1-ssim"):
        listed.append(_against(_recipe(f"{name}-adversarial", profile, data, name)))
    return [*listed, source(profile, data)]


def source(
    profile: str, data: str, name: str = "source", width: int = WIDTH, **arguments: Any
) -> dict:
    """S3: its table, 1 - SSIM and a critic with equal weights, three updates to one."""
    recipe = _recipe(name, profile, data, width=width, **arguments)
    return _against(recipe, width=width)


def game(profile: str, data: str) -> list[dict]:
    """One update, or five, of the generator for each of its critic."""
    return [
        _against(_recipe(name, profile, data), updates)
        for name, updates in SCHEDULES.items()
        if name != "source"
    ]


def skips(profile: str, data: str) -> list[dict]:
    """No skip connection, only the first, and none but more weights; without a critic, too."""
    listed = [
        source(profile, data, "no-skips", skips=[]),
        source(profile, data, "first-skip", skips=list(SKIPS[:1])),
        _against(_recipe("no-skips-wider", profile, data, width=20, skips=[])),
    ]
    return [
        *listed,
        _recipe("ssim-no-skips", profile, data, skips=[]),
        _recipe("ssim-first-skip", profile, data, skips=list(SKIPS[:1])),
    ]


def enlarging(profile: str, data: str) -> list[dict]:
    """The padded variant, with four ways to enlarge, and with two of them without a critic."""
    ways = ("deconvolution", "deconvolution-3", "resize", "sub-pixel")
    return [
        *(source(profile, data, way, upsampling=way) for way in ways),
        *(_recipe(f"ssim-{way}", profile, data, upsampling=way) for way in (ways[0], ways[2])),
    ]


def values(profile: str, data: str) -> list[dict]:
    """S3's values, less ImageNet's mean by its deviation, in and out: bounded, and not."""
    listed = []
    for name, output in (("imagenet-bounded", "sigmoid"), ("imagenet", "linear")):
        recipe = source(profile, data, name, values="imagenet", output=output)
        listed.append(recipe | {"loss_args": {"values": "imagenet"}})
    return [*listed, source(profile, data, "unbounded", output="linear")]


def lengths(profile: str, data: str) -> list[dict]:
    """S3's setting for shorter and for longer."""
    listed = []
    for name, share in LENGTHS.items():
        if name == "source":
            continue
        recipe = source(profile, data, name)
        share = 1 if profile == "smoke" else share
        listed.append(recipe | {"steps": round(share * recipe["steps"])})
    return listed


def full_width(profile: str, data: str) -> list[dict]:
    """S3's own width, with and without its critic: larger batches, and for longer."""
    listed = [source(profile, data, "wide", 64), _recipe("wide-ssim", profile, data, width=64)]
    if profile == "report":  # on a GPU; on a processor a step takes seconds
        sizes = {"steps": 4 * SIZES[profile]["steps"], "batch": 32}
        listed = [recipe | sizes for recipe in listed]
    return listed


def _against(recipe: dict, updates: int = 3, rate: float | None = None, width: int = WIDTH) -> dict:
    """The recipe with a critic, which moves after so many updates of the generator."""
    rival = {
        "model": "flat",
        "model_args": {"width": width, "side": SIDE},
        "optimiser": {"name": "adam", "lr": rate or CRITIC_RATE},
        "turns": ("model",) * updates + ("critic",),
        "accuracy": True,
    }
    return recipe | {"rival": rival}


def _recipe(
    name: str,
    profile: str,
    data: str,
    loss: str = "ssim",
    width: int = WIDTH,
    **arguments: Mapping | Sequence | str,
) -> dict:
    return {
        "name": f"04/{name}",
        "model": "autoencoder",
        "model_args": {"width": width, **arguments},
        "data": data,
        "degradation": "s3-mixture",
        "boundary": "reflect",
        "reduce": SIDE,
        "square": True,
        "crop": SIDE,
        "loss": "ssim-and-l1",
        "loss_args": LOSSES[loss],
        "optimiser": {"name": "adam", "lr": RATE},
        **SIZES[profile],
    }
