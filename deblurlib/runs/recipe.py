"""A recipe: all that decides a training, as plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from .. import fingerprint, losses
from ..data import reduced_name
from ..degrade import BOUNDARIES, SETTINGS
from ..errors import InputError, NotRegistered, require
from ..losses import ADVERSARIAL, OBJECTIVES, Objective, sharp
from ..models import DISCRIMINATORS, MODELS
from ..names import Boundary, SettingName, unknown_name
from ..training.devices import FabricPrecision

PLAYERS = ("model", "critic")


@dataclass(frozen=True)
class Rival:
    """A critic that a recipe's model is trained against, and how.

    As of a recipe, a new field needs a default that means what was done before.
    """

    model: str  # a key of models.DISCRIMINATORS
    model_args: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "non-saturating"  # a key of losses.ADVERSARIAL
    weight: float = 1.0  # of the model's adversarial loss, beside the recipe's own loss
    optimiser: Mapping[str, Any] = field(default_factory=lambda: {"name": "adam", "lr": 1e-4})
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})
    turns: tuple[str, ...] = ("model", "critic")  # who moves, in order, again and again
    accuracy: bool = False  # whether the history holds how often the critic is right

    def __post_init__(self) -> None:
        tables: dict[str, Mapping[str, Any]] = {"model": DISCRIMINATORS, "loss": ADVERSARIAL}
        for key, table in tables.items():
            if (value := getattr(self, key)) not in table:
                raise NotRegistered(str(unknown_name(f"rival: {key}", value, table)))
        object.__setattr__(self, "turns", tuple(self.turns))
        if set(self.turns) != set(PLAYERS):
            raise InputError(f"rival: turns are of model and critic, not {', '.join(self.turns)}")


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how.

    A new field needs a default that means what was done before, and a default never changes: runs
    are found by the fields that differ from theirs.
    """

    name: str  # NN/slug: the chapter that uses it, and its own name there
    model: str  # a key of models.MODELS
    data: str  # a source's name, see data.open_images, or a mixture's; its train split is used
    steps: int  # updates of the model
    batch: int  # samples a step, of all processes together
    crop: int  # side of a sample, pixels
    #: a key of degrade.SETTINGS; None: the data are pairs
    degradation: SettingName | str | None = None
    spoil: str | None = None  # a key of degrade.SETTINGS, of the blurred images of recorded pairs
    #: the network's own arguments, by name
    model_args: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "mse"  # a key of losses.OBJECTIVES
    #: the loss's own arguments, where it is made of some
    loss_args: Mapping[str, Any] = field(default_factory=dict)
    #: see training.rates; "rates" gives parts of the network others
    optimiser: Mapping[str, Any] = field(default_factory=lambda: {"name": "adam", "lr": 1e-4})
    #: of the rate: constant, steps, polynomial or cosine, with a warmup
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})
    clip: Mapping[str, Any] | None = None  # this and the two above: see training.Player
    ema: float | None = None  # a moving average's decay, of the weights that are kept
    reset: int | None = None  # steps after which the optimiser forgets, see training.Player
    #: of convolutions; "bf16" is float32 on a processor that lacks it
    precision: FabricPrecision = "32"
    channels_last: bool = False  # how a GPU's memory is laid out
    compile: str | None = None  # a mode of torch.compile
    grey: int = 0  # channels of the grey images to make first; 0: colour
    images: int | None = None  # the first so many of the train split; None: all
    holdout: float = 0.1  # share of the scenes that is set aside to validate on
    every: int | None = None  # steps from one row of the history to the next; None: a tenth
    seed: int = 0  # of the first weights, and of every sample
    tf32: bool = True  # whether a GPU's convolutions in "32" may round to TF32
    boundary: Boundary = "valid"  # of the blur, see degrade.convolve
    reduce: int | None = None  # pixels to which the shorter side of each image is reduced
    turned: bool = False  # whether crops are turned by quarters, not only mirrored
    larger: float = 1.0  # how many times larger a crop of recorded pairs may be cut, and reduced
    square: bool = False  # whether the middle square of each image is cut out before that
    norms: bool = False  # whether the history holds the norms of the gradients
    rival: Rival | None = None  # a critic to train against
    #: what the model stands on: recipes that are trained first, by the names of the model's modules
    #: that get their weights and stay as they are; with this recipe's seed
    parts: Mapping[str, Recipe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{2}/[a-z0-9][a-z0-9-]*", self.name):
            raise InputError(f"a recipe's name is NN/slug, such as 02/motion, not {self.name!r}")
        tables: dict[str, Mapping[str, Any]] = {"model": MODELS, "loss": OBJECTIVES}
        tables |= {"degradation": SETTINGS, "spoil": SETTINGS}
        for key, table in tables.items():
            value = getattr(self, key)
            if value not in table and not (table is SETTINGS and value is None):
                raise NotRegistered(str(unknown_name(f"{self.name}: {key}", value, table)))
        if self.boundary not in BOUNDARIES:
            raise unknown_name(f"{self.name}: boundary", self.boundary, BOUNDARIES)
        for key in ("steps", "batch", "crop", "every", "images", "reset", "reduce"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"{self.name}: {key} must be 1 or more, not {value}")
        require(not self.square or bool(self.reduce), f"{self.name}: square needs reduce")
        require(self.larger >= 1, f"{self.name}: larger must be 1 or more, not {self.larger}")
        if isinstance(self.rival, Mapping):
            object.__setattr__(self, "rival", Rival(**self.rival))
        if self.norms and self.precision == "fp16":
            raise InputError(
                f"{self.name}: in fp16 gradients are scaled; take bf16 for their norms"
            )
        _ = self.objective  # an error of its arguments is raised now
        if self.rival and self.precision == "fp16":
            raise InputError(f"{self.name}: two players cannot share the scale of fp16; take bf16")
        recipes = {
            name: part if isinstance(part, Recipe) else Recipe(**part)
            for name, part in self.parts.items()
        }
        parts = {name: replace(part, seed=self.seed) for name, part in recipes.items()}
        object.__setattr__(self, "parts", parts)

    @property
    def interval(self) -> int:
        """Steps from one row of the history, and one checkpoint, to the next."""
        return self.every or max(1, self.steps // 10)

    @property
    def objective(self) -> Objective:
        """What the model is trained for."""
        return losses.objective(self.loss, self.loss_args)

    @property
    def label(self) -> str:
        """What its images are called: the source, and the side to which they are reduced."""
        return reduced_name(self.data, self.reduce, self.square)

    @property
    def restores(self) -> bool:
        """Whether its runs make images: by what the model returns, or as it says itself."""
        by_itself = hasattr(MODELS[self.model], "restore")
        return by_itself or self.objective.target is sharp

    @property
    def turns(self) -> int:
        """Updates of all players until the last of the model's steps."""
        if self.rival is None:
            return self.steps
        places = [i for i, name in enumerate(self.rival.turns) if name == "model"]
        cycles, rest = divmod(self.steps - 1, len(places))
        return cycles * len(self.rival.turns) + places[rest] + 1

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the model: its own and, by their names, those of its parts."""
        return {**self.model_args, **{name: p.arguments for name, p in self.parts.items()}}

    def with_seed(self, seed: int) -> Recipe:
        """The same recipe with another seed, and its parts, too."""
        return replace(self, seed=seed)

    def to_json(self) -> str:
        """The recipe as text; :meth:`from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that :meth:`to_json` wrote."""
        return cls(**json.loads(text))

    def run_id(self, data: str, parts: Mapping[str, str] | None = None) -> str:
        """The name of the run: a short hash of the recipe and what it is trained on.

        Args:
            data: the fingerprint of its images.
            parts: the ids of the runs of its parts, by their names.
        """
        parts = dict(parts or {})
        require(parts.keys() == self.parts.keys(), f"{self.name}: the run of each part is needed")
        changed = _changed(self, json.loads(self.to_json()) | {"parts": parts})
        if self.rival:
            changed["rival"] = _changed(self.rival, changed["rival"])
        return fingerprint.of_bytes(json.dumps(changed, sort_keys=True).encode(), data.encode())


def _changed(recipe: Recipe | Rival, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, as of JSON, that differ from their field's default."""
    changed = {}
    for f in fields(recipe):
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        default = list(default) if isinstance(default, tuple) else default  # as in JSON
        if values[f.name] != default:
            changed[f.name] = values[f.name]
    return changed
