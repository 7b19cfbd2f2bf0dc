"""Chapter 03's recipes: S2's setting and its controls, other noise and windows, larger images.

All arms of a setting have the same images, number of updates, optimiser and schedule. S2 has
CIFAR-10 and its blur; its networks are much larger, and trained for longer. The rates were chosen
by validation, once, from those of :func:`sweep`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...edges import CANNY
from ...runs import Recipe

__all__ = ["larger", "recipes", "sweep"]

#: EdgeNet's arguments
EDGES = {"width": 16, "stages": 3}
#: the UNets' width, by what has as many parameters: DeblurNet, or DeblurNet and EdgeNet together
UNETS = {"unet": 7, "unet-wide": 9}
WIDER = 22  # DeblurNet's width with the parameters of both networks
#: name of a setting -> its degradation; the first is S2's
BLURS = {
    "": "s2-gaussian",
    "quiet-": "s2-gaussian-quiet",
    "noisy-": "s2-gaussian-noisy",
    "whole-": "s2-gaussian-whole",
}
#: name of a setting -> the side of its images and its degradation: the blur is as wide as at 32
#: pixels, or as wide for the image
SIZES_OF_IMAGES = {
    "32-": (32, "s2-gaussian"),
    "64-": (64, "s2-gaussian"),
    "128-": (128, "s2-gaussian"),
    "64-scaled-": (64, "s2-gaussian-2"),
    "128-scaled-": (128, "s2-gaussian-4"),
}
SMALL = ("cifar10", "cifar100")  # sets whose images have 32 pixels
LARGER = "imagenet"  # the source of larger ones beside them; of other sets it is the set itself
RATES = {"3e-4": 3e-4, "1e-3": 1e-3, "3e-3": 3e-3, "1e-2": 1e-2}
#: chosen on the validation images, see :func:`sweep`. EdgeNet alone learns a little better at 1e-2,
#: DeblurNet much worse; trained jointly they share a rate, so they have the same apart, too.
CHOSEN = {"deblurnet": 3e-3, "edgenet": 3e-3, "unet": 1e-3}
#: sizes by profile; a batch has as many pixels on images of any side
SIZES = {
    "smoke": {"steps": 2, "batch": 2},
    "quick": {"steps": 400, "batch": 8},
    "report": {"steps": 1_500, "batch": 8},
    "full": {"steps": 100_000, "batch": 64},
}
#: EdgeNets with a critic: the weight of its verdict, and whether its singular values are held at 1
CRITICS = {
    "adversarial-edges": (0.1, True),
    "weak-edges": (0.01, True),
    "strong-edges": (1.0, True),
    "unbounded-edges": (0.1, False),
}
CRITIC_RATE = 1e-3


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """All recipes of the chapter, in the order of its sections."""
    parts = (sweep, main, settings, larger)
    return [Recipe(**values, seed=seed) for part in parts for values in part(profile, data)]


def sweep(profile: str, data: str) -> list[dict]:
    """Three networks at four rates, for the choice of :data:`CHOSEN`; one seed is enough."""
    listed = []
    for slug, rate in RATES.items():
        adam = {"optimiser": {"name": "adam", "lr": rate}}
        listed += [
            _deblurnet(f"rate-{slug}-deblurnet", profile, data) | adam,
            _unet(f"rate-{slug}-unet-wide", "unet-wide", profile, data) | adam,
            _edges(f"rate-{slug}-edges", profile, data) | adam,
        ]
    return listed


def main(profile: str, data: str) -> list[dict]:
    """S2's setting: its models, and what tells whether it is edges that help."""
    listed = compared(profile, data)
    joint: dict[str, Any] = {"fourth": "predicted", "edges": EDGES}
    listed += [
        _unet("unet-wide", "unet-wide", profile, data),
        _unet("unet-residual", "unet-wide", profile, data, residual=True),
        _deblurnet("zero", profile, data, fourth="zero"),
        _deblurnet("blurred", profile, data, fourth="blurred", canny=CANNY),
        _deblurnet("wider", profile, data, width=WIDER),
        _deblurnet("joint", profile, data, supervised=True, **joint)
        | {"loss": "mse-and-edges", "loss_args": CANNY},
        _deblurnet("unsupervised", profile, data, **joint),
    ]
    for name, (weight, spectral) in CRITICS.items():
        critic = {"channels": 1, "width": 16, "halvings": 2, "spectral": spectral}
        rival = {"model": "patch", "model_args": critic, "weight": weight}
        rival |= {"optimiser": {"name": "adam", "lr": CRITIC_RATE}}
        rival |= {"schedule": {"name": "cosine"}}
        listed.append(_edges(name, profile, data) | {"rival": rival})
    return [*listed, _standing(_named("adversarial-edges", listed), "adversarial", profile, data)]


def settings(profile: str, data: str) -> list[dict]:
    """Other noise, and a window that does not cut the Gaussian off."""
    others = list(BLURS.items())[1:]
    return [r for prefix, blur in others for r in compared(profile, data, prefix, blur)]


def larger(profile: str, data: str) -> list[dict]:
    """Images of 32, 64 and 128 pixels, from a set of photographs."""
    photographs = LARGER if data in SMALL else data
    listed = []
    for prefix, (side, degradation) in SIZES_OF_IMAGES.items():
        listed += compared(profile, photographs, prefix, degradation, side, ("unet",))
    return listed


def compared(
    profile: str,
    data: str,
    prefix: str = "",
    degradation: str = BLURS[""],
    side: int | None = None,
    leave: tuple[str, ...] = (),
) -> list[dict]:
    """The arms that every setting has: a UNet, DeblurNet, predicted edges, those of the sharp."""
    edges = _edges("edges", profile, data)
    listed = [
        _unet("unet", "unet", profile, data),
        _deblurnet("deblurnet", profile, data),
        edges,
        _standing(edges, "predicted", profile, data),
        _deblurnet("sharp", profile, data, fourth="sharp", canny=CANNY),
    ]
    return [
        _in_setting(recipe, prefix, degradation, side)
        for recipe in listed
        if recipe["name"].partition("/")[2] not in leave
    ]


def _in_setting(recipe: dict, prefix: str, degradation: str, side: int | None) -> dict:
    """A recipe with another blur, on images of another side, under a name that says so."""
    name = "03/" + prefix + recipe["name"].partition("/")[2]
    changed = {"name": name, "degradation": degradation}
    if side:
        crop = min(side, 64)
        batch = max(1, recipe["batch"] * 32**2 // crop**2)
        changed |= {"reduce": side, "crop": crop, "batch": batch}
        changed["steps"] = max(2, recipe["steps"] * 2 // 3)  # they are fewer
    if "parts" in recipe:
        parts = recipe["parts"].items()
        changed["parts"] = {k: _in_setting(p, prefix, degradation, side) for k, p in parts}
    return recipe | changed


def _named(name: str, listed: list[dict]) -> dict:
    return next(recipe for recipe in listed if recipe["name"] == f"03/{name}")


def _standing(edges: dict, name: str, profile: str, data: str) -> dict:
    """A DeblurNet that is shown the edges of a network that was trained before."""
    return _deblurnet(name, profile, data, fourth="predicted") | {"parts": {"edges": edges}}


def _deblurnet(name: str, profile: str, data: str, width: int = 16, **arguments: Any) -> dict:
    return _recipe(name, "deblurnet", {"width": width, **arguments}, profile, data)


def _unet(name: str, size: str, profile: str, data: str, residual: bool = False) -> dict:
    arguments = {"width": UNETS[size], "residual": residual}
    return _recipe(name, "unet", arguments, profile, data)


def _edges(name: str, profile: str, data: str) -> dict:
    recipe = _recipe(name, "edgenet", EDGES, profile, data)
    return recipe | {
        "loss": "edges",
        "loss_args": CANNY,
        "norms": True,
        "every": max(1, recipe["steps"] // 30),  # to see how it wavers
    }


def _recipe(name: str, model: str, arguments: Mapping[str, Any], profile: str, data: str) -> dict:
    return {
        "name": f"03/{name}",
        "model": model,
        "model_args": dict(arguments),
        "data": data,
        "degradation": BLURS[""],
        "boundary": "reflect",  # as OpenCV, and so S2, blurs
        "optimiser": {"name": "adam", "lr": CHOSEN[model]},
        "schedule": {"name": "cosine"},
        "crop": 32,
        **SIZES[profile],
    }
