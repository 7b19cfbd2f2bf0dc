"""Chapter 02: SRCNN's learning rates, depth and receptive field, on S1's three blurs.

S1 trains on one image at a time, for 20 epochs of 750, with a new optimiser each epoch. Here a
sample is a patch, and no layer is padded: the paper's way, and less than a hundredth of the work.
Trainings that are compared by the course of their losses have half as many steps in `report`.
"""

from __future__ import annotations

from ...runs import Recipe

__all__ = ["recipes"]

#: The blurs that networks are trained on, each of ``degrade.SETTINGS``, after ``s1-``.
BLURS = ("gaussian", "box", "motion")
#: S1's Models 1, 2 and 3
MODELS = ("9-1-5", "9-3-1-5", "9-1-1-1-5")
#: How a name says a learning rate -> the rate.
RATES = {"1e-4": 1e-4, "5e-5": 5e-5}
#: by slug: the last layer's rate as a fraction of the others'
LAST = {"half": 0.5, "tenth": 0.1}
SGD_RATES = {"1e-5": 1e-5, "1e-4": 1e-4, "1e-3": 1e-3, "1e-2": 1e-2}
#: Lengths of the motion, pixels.
LENGTHS = (5, 11, 15, 21, 31)
#: by slug: networks of growing receptive field; the last three have equally many parameters
RECEPTIVE_FIELDS = {
    "13": {"layers": "9-1-5"},
    "15": {"layers": "9-3-1-5"},
    "17": {"layers": "9-3-1-5", "dilation": [1, 2, 1, 1]},
    "19": {"layers": "9-3-1-5", "dilation": [1, 3, 1, 1]},
}
#: a receptive field of 17 with Model 1's depth and parameters
SHALLOW = {"layers": "9-1-5", "dilation": [1, 1, 2]}

#: profile -> steps of an epoch; the optimiser of S1's code begins anew after each
EPOCH = {"smoke": 2, "quick": 6, "report": 750, "full": 750}
#: profile -> sizes of S1's training; its stored script says 10 epochs, its figures show 20
SIZES = {
    "smoke": {"steps": 4, "every": 2, "batch": 1, "crop": 5},
    "quick": {"steps": 60, "every": 6, "batch": 1, "crop": 21},
    "report": {"steps": 15_000, "every": 750, "batch": 1, "crop": 21},
    "full": {"steps": 15_000, "every": 750, "batch": 1, "crop": 216},
}
#: sizes of the variants that are compared with it
VARIED = SIZES | {"report": SIZES["report"] | {"steps": 7_500}}
#: sizes of the chapter's own training, which `quick` can afford
OWN_SIZES = VARIED | {
    "smoke": {"steps": 6, "every": 3, "batch": 2, "crop": 15},
    "quick": {"steps": 300, "batch": 8, "crop": 32},
    "report": {"steps": 7_500, "every": 750, "batch": 4, "crop": 21},
}
#: sizes of the trainings that compare receptive fields
FIELD_SIZES = {
    "smoke": {"steps": 2, "every": 1, "batch": 1, "crop": 5},
    "quick": {"steps": 40, "every": 10, "batch": 1, "crop": 33},
    "report": {"steps": 4_000, "every": 500, "batch": 1, "crop": 33},
    "full": {"steps": 40_000, "every": 2_000, "batch": 4, "crop": 65},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """All recipes of the chapter, in the order of its sections."""
    every = [*own(profile), *released(profile), *last_layers(profile), *receptive_fields(profile)]
    return [Recipe(**values, data=data, seed=seed) for values in every]


def own(profile: str) -> list[dict]:
    """The trainings that the course recommends.

    Their receptive field suffices for all three blurs; they learn the difference to the input, at
    a higher, falling rate.
    """
    sizes = OWN_SIZES[profile]
    listed = [_own(f"02/{blur}", f"s1-{blur}", sizes) for blur in BLURS]
    for recipe in listed:
        recipe["model_args"] |= RECEPTIVE_FIELDS["17"]
    return listed


def released(profile: str) -> list[dict]:
    """S1's trainings as its code has them, and three variants.

    The variants keep the optimiser, see colour, or have blurs that cost as much as motion.
    """
    listed, resetting = [], {"grey": 3, "reset": EPOCH[profile]}
    for optimiser, sizes, options in (
        ("reset", SIZES, resetting),
        ("kept", VARIED, {"grey": 3}),
    ):
        for blur in BLURS:
            for layers in MODELS:
                for slug, rate in RATES.items():
                    name = f"02/{optimiser}-{blur}-{layers}-{slug}"
                    listed.append(_s1(name, f"s1-{blur}", sizes[profile], layers, rate) | options)
    for blur in BLURS:
        recipe = _s1(f"02/colour-{blur}", f"s1-{blur}", SIZES[profile])
        listed.append(recipe | resetting | {"grey": 0})
    for blur in BLURS[:2]:
        name = f"02/reset-{blur}-matched"
        listed.append(_s1(name, f"s1-{blur}-matched", SIZES[profile]) | resetting)
    return listed


def last_layers(profile: str) -> list[dict]:
    """Smaller rates in the last layer: with Adam, and with SGD as in the SRCNN paper."""
    sizes, listed = VARIED[profile], []
    for blur in BLURS:
        for slug, factor in LAST.items():
            recipe = _s1(f"02/last-{blur}-{slug}", f"s1-{blur}", sizes)
            recipe["optimiser"]["rates"] = {"layers.2": factor}
            listed.append(recipe | {"grey": 3})
    for slug, rate in SGD_RATES.items():
        for which, factor in {"same": 1.0, "tenth": 0.1}.items():
            recipe = _srcnn(f"02/sgd-motion-{slug}-{which}", "s1-motion", sizes, widths="paper")
            recipe["model_args"]["deviation"] = 1e-3
            rates = {"layers.2": factor}
            recipe["optimiser"] = {"name": "sgd", "lr": rate, "momentum": 0.9, "rates": rates}
            listed.append(recipe | {"loss": "euclidean"})
    return listed


def receptive_fields(profile: str) -> list[dict]:
    """Networks of growing receptive field, trained on motion of growing length."""
    listed = []
    for length in LENGTHS:
        degradation = "s1-motion" if length == 15 else f"s1-motion-{length}"
        for slug, arguments in RECEPTIVE_FIELDS.items():
            sizes = FIELD_SIZES[profile]
            name = f"02/reach-{length}-{slug}"
            recipe = _own(name, degradation, sizes)
            recipe["model_args"] |= arguments
            listed.append(recipe)
    shallow = _own("02/reach-15-shallow", "s1-motion", FIELD_SIZES[profile])
    shallow["model_args"] |= SHALLOW
    return [*listed, shallow]


def _own(name: str, degradation: str, sizes: dict) -> dict:
    recipe = _srcnn(name, degradation, sizes, rate=1e-3, widths="paper")
    recipe["model_args"]["residual"] = True
    return recipe | {"schedule": {"name": "cosine"}}


def _s1(
    name: str, degradation: str, sizes: dict, layers: str = "9-1-5", rate: float = 1e-4
) -> dict:
    """S1's network, of three channels whether the images are grey or not."""
    recipe = _srcnn(name, degradation, sizes, layers, rate)
    recipe["model_args"]["channels"] = 3
    return recipe


def _srcnn(
    name: str,
    degradation: str,
    sizes: dict,
    layers: str = "9-1-5",
    rate: float = 1e-4,
    widths: str = "released",
) -> dict:
    return {
        "name": name,
        "model": "srcnn",
        "model_args": {"layers": layers, "widths": widths, "padding": False},
        "degradation": degradation,
        "optimiser": {"name": "adam", "lr": rate},
        "grey": 1,
        "holdout": 0.25,
        **sizes,
    }
