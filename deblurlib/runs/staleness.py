"""Whether a run is still what its recipe leads to: the code and the data it was made with."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence

from .. import data, fingerprint, models, training
from ..degrade import SETTINGS
from ..errors import InputError
from ..losses import LOSSES
from ..training.rates import OPTIMISERS, SCHEDULES
from . import samples
from .recipe import Recipe
from .run import Run

#: What a recipe takes out of these counts, the rest of them does not.
TABLES = ("MODELS", "LOSSES", "SETTINGS", "OPTIMISERS", "SCHEDULES", "Recipe")


def code_of(recipe: Recipe) -> dict[str, str]:
    """The definitions that decide what a recipe leads to, with a hash of each one's meaning.

    Of PyTorch, only the names of what is used; its version is in the run's ``env``.
    """
    roots = [training.fit, models.build, data.hold_out, samples.batches_of, samples.scorer]
    chosen = [models.MODELS[recipe.model], LOSSES[recipe.loss]]
    chosen += [t[n] for t, n in ((SETTINGS, recipe.degradation),) if n is not None]
    for table, settings in ((OPTIMISERS, recipe.optimiser), (SCHEDULES, recipe.schedule)):
        chosen += [table[settings["name"]]] if settings.get("name") in table else []
    ours = [c for c in chosen if c.__module__.startswith("deblurlib.")]
    others = {f"{c.__module__}:{c.__qualname__}": _source(c) for c in chosen if c not in ours}
    return others | fingerprint.of_definitions(*roots, *ours, without=TABLES)


def _source(definition: object) -> str:
    """A hash of what neither we nor PyTorch defined."""
    if definition.__module__.startswith("torch"):
        return ""
    return fingerprint.of_source(textwrap.dedent(inspect.getsource(definition)))


def differences(recorded: dict[str, str], current: dict[str, str]) -> tuple[str, ...]:
    """The names of the definitions whose hashes differ."""
    names = sorted(recorded.keys() | current.keys())
    return tuple(n for n in names if recorded.get(n) != current.get(n))


def changes(run: Run) -> tuple[str, ...]:
    """What has changed since a run was made: definitions by name, and ``data``.

    Nothing is said of data that are not here.
    """
    return all_changes([run])[run.id]


def all_changes(found: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """:func:`changes` of several runs, by their ids; each data set is read once."""
    codes, prints, changed = {}, {}, {}
    for run in found:
        recipe, env = run.recipe, run.env
        key = (recipe.model, recipe.loss, recipe.degradation)
        key += (recipe.optimiser.get("name"), recipe.schedule.get("name"))
        codes[key] = codes.get(key) or code_of(recipe)
        source = (recipe.data, recipe.degradation is None, recipe.images)
        if source not in prints:
            try:
                prints[source] = samples.open_training_images(recipe).fingerprint
            except InputError:
                prints[source] = None
        is_other = prints[source] not in (None, env["data"]["fingerprint"])
        changed[run.id] = (*differences(env["code"], codes[key]), *["data"] * is_other)
    return changed
