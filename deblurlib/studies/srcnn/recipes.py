"""Chapter 02: SRCNN's learning rates, depth and receptive field, on S1's three blurs.

S1 trains on one image at a time, for 20 epochs of 750, with a new optimiser each epoch. Here a
sample is a patch, and no layer is padded: the paper's way, and less than a hundredth of the work.
What is to be compared with the way there, and not with the end, has half as many steps in `report`.
"""

from __future__ import annotations

from dataclasses import replace

from ...runs import Recipe

BLURS = ("gaussian", "box", "motion")
#: S1's Models 1, 2 and 3
MODELS = ("9-1-5", "9-3-1-5", "9-1-1-1-5")
RATES = {"1e-4": 1e-4, "5e-5": 5e-5}
#: by slug: the last layer's rate as a part of the others'
LAST = {"half": 0.5, "tenth": 0.1}
SGD_RATES = {"1e-5": 1e-5, "1e-4": 1e-4, "1e-3": 1e-3, "1e-2": 1e-2}
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
#: of what is compared with it
VARIED = SIZES | {"report": SIZES["report"] | {"steps": 7_500}}
#: of the chapter's own training, which `quick` can afford
OWN_SIZES = VARIED | {
    "smoke": {"steps": 6, "every": 3, "batch": 2, "crop": 15},
    "quick": {"steps": 300, "batch": 8, "crop": 32},
    "report": {"steps": 7_500, "every": 750, "batch": 4, "crop": 21},
}
FIELD_SIZES = {
    "smoke": {"steps": 2, "every": 1, "batch": 1, "crop": 5},
    "quick": {"steps": 40, "every": 10, "batch": 1, "crop": 33},
    "report": {"steps": 4_000, "every": 500, "batch": 1, "crop": 33},
    "full": {"steps": 40_000, "every": 2_000, "batch": 4, "crop": 65},
}


def recipes(profile: str, seed: int, data: str) -> list[Recipe]:
    """All of the chapter, in the order of its sections."""
    every = [*own(profile), *released(profile), *last_layers(profile), *receptive_fields(profile)]
    return [Recipe(**values, data=data, seed=seed) for values in every]


def ended(recipe: Recipe, profile: str, epochs: int) -> Recipe:
    """The training of a recipe, ended after some epochs.

    At a constant rate it is a beginning of the whole one, step by step the same.
    """
    return replace(recipe, steps=min(epochs * EPOCH[profile], recipe.steps))


def own(profile: str) -> list[dict]:
    """What the course recommends: a receptive field that suffices for all three blurs; the
    difference to the input is learned, at a higher, falling rate."""
    sizes = OWN_SIZES[profile]
    found = [_own(f"02/{blur}", f"s1-{blur}", sizes) for blur in BLURS]
    for one in found:
        one["model_args"] |= RECEPTIVE_FIELDS["17"]
    return found


def released(profile: str) -> list[dict]:
    """S1 as its code has it; with the optimiser kept; in colour; on blurs that cost as much."""
    found, forgets = [], {"grey": 3, "reset": EPOCH[profile]}
    for way, sizes, also in (
        ("reset", SIZES, forgets),
        ("kept", VARIED, {"grey": 3}),
    ):
        for blur in BLURS:
            for layers in MODELS:
                for slug, rate in RATES.items():
                    name = f"02/{way}-{blur}-{layers}-{slug}"
                    found.append(_s1(name, f"s1-{blur}", sizes[profile], layers, rate) | also)
    for blur in BLURS:
        one = _s1(f"02/colour-{blur}", f"s1-{blur}", SIZES[profile])
        found.append(one | forgets | {"grey": 0})
    for blur in BLURS[:2]:
        name = f"02/reset-{blur}-matched"
        found.append(_s1(name, f"s1-{blur}-matched", SIZES[profile]) | forgets)
    return found


def last_layers(profile: str) -> list[dict]:
    """A smaller rate in the last layer: with Adam, and with the paper's loss and first weights."""
    sizes, found = VARIED[profile], []
    for blur in BLURS:
        for slug, factor in LAST.items():
            one = _s1(f"02/last-{blur}-{slug}", f"s1-{blur}", sizes)
            one["optimiser"]["rates"] = {"layers.2": factor}
            found.append(one | {"grey": 3})
    for slug, rate in SGD_RATES.items():
        for which, factor in {"same": 1.0, "tenth": 0.1}.items():
            one = _srcnn(f"02/sgd-motion-{slug}-{which}", "s1-motion", sizes, widths="paper")
            one["model_args"]["deviation"] = 1e-3
            rates = {"layers.2": factor}
            one["optimiser"] = {"name": "sgd", "lr": rate, "momentum": 0.9, "rates": rates}
            found.append(one | {"loss": "euclidean"})
    return found


def receptive_fields(profile: str) -> list[dict]:
    """Motion of growing length against networks of growing receptive field."""
    found = []
    for length in LENGTHS:
        degradation = "s1-motion" if length == 15 else f"s1-motion-{length}"
        for slug, arguments in RECEPTIVE_FIELDS.items():
            sizes = FIELD_SIZES[profile]
            name = f"02/reach-{length}-{slug}"
            one = _own(name, degradation, sizes)
            one["model_args"] |= arguments
            found.append(one)
    shallow = _own("02/reach-15-shallow", "s1-motion", FIELD_SIZES[profile])
    shallow["model_args"] |= SHALLOW
    return [*found, shallow]


def _own(name: str, degradation: str, sizes: dict) -> dict:
    one = _srcnn(name, degradation, sizes, rate=1e-3, widths="paper")
    one["model_args"]["residual"] = True
    return one | {"schedule": {"name": "cosine"}}


def _s1(
    name: str, degradation: str, sizes: dict, layers: str = "9-1-5", rate: float = 1e-4
) -> dict:
    """S1's network, of three channels whether the images are grey or not."""
    one = _srcnn(name, degradation, sizes, layers, rate)
    one["model_args"]["channels"] = 3
    return one


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
