"""Train a recipe, or load the run it has already led to."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from .. import data, fingerprint, machine, models, training
from ..data import ImageSet, PairSet
from ..degrade import SETTINGS
from ..errors import InputError
from ..losses import LOSSES
from . import display, samples, store
from .recipe import Recipe
from .samples import Score
from .run import Run, read_history, read_state, write_metrics, write_records

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train_or_load(
    recipe: Recipe,
    stale: str = "retrain",
    max_minutes: float | None = None,
    tensorboard: Path | None = None,
    folder: Path | None = None,
) -> Run:
    """The complete run of a recipe: from the store, or trained, or trained to its end.

    What was done is printed in one line: ``hit``, ``trained``, ``resumed``, ``stale`` (loaded, on
    request, although it is) or ``stopped`` (for time: the next call goes on). Two processes that
    want the same run train it once: the second waits.

    Args:
        stale: what to do with a run whose code or data have changed since: ``"retrain"`` or
            ``"load"`` it.
        max_minutes: stop training after that time, with a checkpoint.
        tensorboard: write the history there as well, for TensorBoard.
        folder: the store; see :func:`deblurlib.runs.root`.
    """
    if stale not in ("retrain", "load"):
        raise InputError(f'stale is "retrain" or "load", not {stale!r}')
    folder = store.root() if folder is None else folder
    images = samples.open_training_images(recipe)
    run_id = recipe.run_id(images.fingerprint)
    code = code_of(recipe)
    run = _usable(folder, recipe, run_id, code, stale)
    if run is not None:
        store.tidy(folder, run.id)
    else:
        fabric = training.start_fabric(recipe.precision)
        with _alone(folder, run_id, fabric):
            run = store.complete(folder, run_id)  # another process may just have trained it
            if run is not None and changes(run, code):
                run = None
            if run is None:
                env = {
                    "code": code,
                    "data": {k: getattr(images, k) for k in ("name", "fingerprint")},
                    "versions": machine.versions(),
                    "device": machine.device_name(fabric.device),
                    "processes": fabric.world_size,
                }
                run = _train(recipe, images, env, folder / run_id, max_minutes, tensorboard, fabric)
    if int(os.environ.get("RANK", 0)) == 0:
        print(f"{recipe.name}, seed {recipe.seed}: {run.outcome} ({run.id})")
    return run


def code_of(recipe: Recipe) -> dict[str, str]:
    """The definitions that decide what a recipe leads to, with a hash of each one's meaning."""
    roots = [training.fit, data.hold_out, samples.batches_of, samples.scorer]
    chosen = [models.MODELS[recipe.model], LOSSES[recipe.loss]]
    chosen += [SETTINGS[recipe.degradation]] if recipe.degradation else []
    ours = [c for c in chosen if c.__module__.startswith("deblurlib.")]
    others = {f"{c.__module__}:{c.__qualname__}": "" for c in chosen if c not in ours}
    # What is taken out of a table counts, the rest of the table does not.
    tables = ("MODELS", "LOSSES", "SETTINGS", "Recipe")
    return others | fingerprint.of_definitions(*roots, *ours, without=tables)


def changes(run: Run, code: dict[str, str] | None = None) -> tuple[str, ...]:
    """What has changed since a run was made: definitions by name, and ``data``."""
    recorded = run.env
    current = code_of(run.recipe) if code is None else code
    names = sorted(recorded["code"].keys() | current.keys())
    changed = [n for n in names if recorded["code"].get(n) != current.get(n)]
    if code is None:
        try:
            images = samples.open_training_images(run.recipe)
            same = images.fingerprint == recorded["data"]["fingerprint"]
        except InputError:
            same = True  # the data are not here: nothing can be said of them
        changed += [] if same else ["data"]
    return tuple(changed)


def _usable(folder: Path, recipe: Recipe, run_id: str, code: dict, stale: str) -> Run | None:
    """The run to load: one that nothing has changed since or, on request, a stale one."""
    run = store.complete(folder, run_id)
    if run is not None:
        changed = changes(run, code)
        if not changed:
            return run
        if stale == "load":
            return replace(run, outcome="stale", changed=changed)
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        why = ", ".join(changed[:3]) + more
    else:
        others = [r for r in store.listed(folder) if r.outcome == "hit" and r.title != "damaged"]
        same = (r for r in others if r.recipe.to_json() == recipe.to_json())
        old = next(same, None)  # with other data, or its id would be the same
        if old is None:
            return None
        if stale == "load":
            return replace(old, outcome="stale", changed=("data",))
        why = f"the data of {old.id}"
    print(f"{recipe.name}, seed {recipe.seed}: stale, {why} changed")
    return None


def _train(
    recipe: Recipe,
    images: ImageSet | PairSet,
    env: dict,
    target: Path,
    max_minutes: float | None,
    tensorboard: Path | None,
    fabric: Fabric,
) -> Run:
    rest, held = data.hold_out(images, recipe.holdout)
    model = models.build(recipe.model, recipe.model_args, recipe.seed)
    torch.manual_seed(recipe.seed)
    rows, start = _resume(target, env)
    score = samples.scorer(recipe, held, fabric.device)
    done = start[1]["step"] if start else 0
    with display.progress(recipe, done) as show, display.tensorboard(tensorboard, recipe) as note:
        for state in training.fit(
            model,
            samples.batches_of(recipe, rest, fabric),
            LOSSES[recipe.loss],
            recipe.steps,
            **{k: getattr(recipe, k) for k in ("optimiser", "schedule", "clip", "ema")},
            **{k: getattr(recipe, k) for k in ("channels_last", "compile")},
            every=recipe.interval,
            max_minutes=max_minutes,
            start=start,
            fabric=fabric,
        ):
            if fabric.global_rank == 0:
                if state.row:
                    rows.append({"step": state.step, "loss": state.loss, **score(state.best)})
                    rows[-1]["seconds"] = round(state.seconds, 3)
                    note(rows[-1])
                _write(recipe, env, target, state, rows, score)
                show(state.step)
    fabric.barrier()  # until the first process has written
    if state.ending == "time":
        last = store.last_checkpoint(target.parent, target.name)
        return Run(last, "stopped")
    return Run(target, "trained" if start is None else "resumed")


def _resume(target: Path, env: dict) -> tuple[list[dict], tuple | None]:
    """The history and the checkpoint to go on from: none, if the code is another since."""
    last = store.last_checkpoint(target.parent, target.name)
    if last is None:
        return [], None
    if Run(last).env["code"] != env["code"]:
        print(f"the code has changed since {target.name} was stopped: it begins again")
        return [], None
    return read_history(last), read_state(last)


def _write(
    recipe: Recipe, env: dict, target: Path, state: training.State, rows: list[dict], score: Score
) -> None:
    """Put a checkpoint or, at the end, the complete run into the store."""
    checkpoint = state.checkpoint()

    def records(folder: Path) -> None:
        write_records(folder, recipe, env, rows, checkpoint)

    def everything(folder: Path) -> None:
        records(folder)
        models.save(state.best, folder)
        last = {k: v if math.isfinite(v) else None for k, v in rows[-1].items()}
        identity = {f"{k}_identity": v for k, v in score(nn.Identity()).items()}
        size = {"parameters": models.parameter_count(state.model)}
        write_metrics(folder, {"ending": state.ending, **last, **identity, **size})

    if state.ending in ("done", "diverged"):
        store.put(target, everything)
        store.forget(target.parent, target.name)
    else:
        newest = store.checkpoint_folder(target.parent, target.name, state.step)
        store.put(newest, records)
        store.forget(target.parent, target.name, but=newest)


@contextmanager
def _alone(folder: Path, run_id: str, fabric: Fabric) -> Iterator[None]:
    """The first process holds the run for all."""
    first = fabric.global_rank == 0
    with store.lock(folder, run_id, wait=fabric.world_size == 1) if first else nullcontext():
        fabric.barrier()
        yield


