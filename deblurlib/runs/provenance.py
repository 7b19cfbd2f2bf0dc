"""Whether a run is still what its recipe leads to, judged by its code, its proof and its data."""

from __future__ import annotations

import inspect
import json
import marshal
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from .. import fingerprint, models
from ..data import AnySet
from ..degrade import SETTINGS
from ..errors import InputError
from ..files import write_whole
from ..losses import ADVERSARIAL
from . import inputs, proof, signature, store
from .recipe import Recipe
from .run import Run

PACKAGE = Path(__file__).resolve().parents[1]
# Read now, for the files may change under a long process; hashed when it is asked for, for that
# takes half a second of every import.
_LOADED = fingerprint.texts(PACKAGE)


@cache
def package_code() -> str:
    """A hash of the library's code, as it was loaded."""
    return fingerprint.of_texts(_LOADED)


def code_of(recipe: Recipe) -> str:
    """A hash of the library's code, and of what a recipe names that is defined elsewhere.

    Of PyTorch, only the names of what is used; its version is in the run's ``env``.
    """
    objective = recipe.objective
    chosen = [models.MODELS[recipe.model], objective.loss, objective.target, objective.shown]
    chosen += [SETTINGS[name] for name in (recipe.degradation, recipe.spoil) if name is not None]
    if rival := recipe.rival:
        game = ADVERSARIAL[rival.loss]
        chosen += [models.DISCRIMINATORS[rival.model], game.tell, game.fool]
    named = [_described(c) for c in chosen]
    named += [code_of(part) for part in recipe.parts.values()]
    return fingerprint.of_bytes(package_code().encode(), *(n.encode() for n in named))


def _described(definition: Any) -> str:
    """A callable's name, a hash of its source, and what was put into it."""
    if isinstance(definition, partial):
        given = f"{definition.args!r} {sorted(definition.keywords.items())!r}"
        return f"{_described(definition.func)} with {given}"
    if not hasattr(definition, "__qualname__"):  # an object that is called, such as a module
        definition = type(definition)
    held = [cell.cell_contents for cell in getattr(definition, "__closure__", None) or ()]
    texts = [_described(value) if callable(value) else repr(value) for value in held]
    name = f"{definition.__module__}:{definition.__qualname__}"
    return " ".join([name, _source(definition), *texts])


def _source(definition: Any) -> str:
    """A hash of a definition; empty for those of PyTorch and of this library."""
    if definition.__module__.split(".")[0] in ("torch", "deblurlib"):
        return ""
    try:
        return fingerprint.of_source(textwrap.dedent(inspect.getsource(definition)))
    except (OSError, SyntaxError):  # a class in a notebook's cell has no file
        functions = vars(definition).values() if isinstance(definition, type) else [definition]
        codes = [f.__code__ for f in functions if hasattr(f, "__code__")]
        return fingerprint.of_bytes(*(marshal.dumps(code) for code in codes))


def standing(run: Run) -> str:
    """Whether a run still stands, as far as that is known without computing anything.

    ``"same code"``; ``"proved"``: the code is another, and the run's proof came out the same with
    it; ``"other code"``: nobody has looked yet; ``"other data"``; ``"other parts"``: what it stands
    on was trained anew. Nothing is said of data that are not here.
    """
    return standings([run])[run.id]


def standings(runs: Sequence[Run]) -> dict[str, str]:
    """:func:`standing` of several runs, by their ids."""
    known: dict[tuple[Any, ...], str] = {}
    standing_of = {}
    for run in runs:
        recipe, env, run_id = run.recipe, run.env, run.id
        with suppress(InputError):  # data that are not here
            run_id = inputs.run_id(recipe, known=known)
        if run_id != run.id:
            standing_of[run.id] = "other data"
        elif other_parts(run):
            standing_of[run.id] = "other parts"
        elif env["code"] == code_of(recipe):
            standing_of[run.id] = "same code"
        else:
            standing_of[run.id] = "proved" if is_proved(run) else "other code"
    return standing_of


def is_proved(run: Run) -> bool:
    """Whether the code is another since, but the run's proof came out the same with it."""
    code = code_of(run.recipe)
    return run.env["code"] != code and run.proved == code


def replay(run: Run, images: AnySet) -> tuple[str, ...]:
    """What has changed since a run or checkpoint was made: parts of its proof, or ``code``.

    With equal code nothing is computed; a run without a proof stands and falls with its code. A
    proof that comes out the same is noted beside the run.

    Args:
        images: the recipe's.
    """
    other = other_parts(run)
    code = code_of(run.recipe)
    if code in (run.env["code"], run.proved):
        return other
    if run.proof is None:
        return ("code", *other)
    changed = (*_replayed(run, images), *other)
    if not changed:
        with suppress(InputError):  # a store that cannot be written: proved again the next time
            write_whole(run.folder / "proved.json", json.dumps({"code": code}))
    return changed


def other_parts(run: Run) -> tuple[str, ...]:
    """The parts that have other weights since, and those that stand on such parts themselves.

    Nothing is said of a part whose run is not in the store, or is damaged there: the run holds its
    weights.
    """
    folder, others = run.folder.parents[2 if run.outcome == "stopped" else 0], []
    for name, made_with in run.env.get("parts", {}).items():
        with suppress(InputError):
            part = store.complete(folder, made_with["run"])
            if part is None:
                continue
            if part.weights_hash != made_with["weights"] or other_parts(part):
                others.append(f"the part {name}")
    return tuple(others)


def _replayed(run: Run, images: AnySet) -> tuple[str, ...]:
    kept = run.proof
    if not isinstance(kept, dict) or not {"steps", "machine"} <= kept.keys():
        raise run.damaged(KeyError("proof.json"))
    if not signature.is_whole(kept.get("parts")):
        raise run.damaged(KeyError("proof.json"))
    return proof.replay_run(kept, run.recipe, images)
