"""Train a recipe, or load the run it has already led to."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from .. import machine, models, training
from ..data import AnySet
from ..errors import InputError
from ..progress import progress_bar
from . import fitting, inputs, players, proof, signals, store
from . import tensorboard as board
from .provenance import code_of, replay
from .recipe import Recipe
from .run import Run, read_history, read_state, write_metrics, write_records
from .validation import Score

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
SAVE_MINUTES = 5  # a checkpoint at least so often
PROVED_STEPS = 1000  # a shorter training keeps no proof: training it anew takes no longer


def train_or_load(
    recipe: Recipe,
    stale: str = "retrain",
    max_minutes: float | None = None,
    tensorboard: Path | None = None,
    folder: Path | None = None,
    quiet: bool = False,
    device: str | torch.device = "auto",
) -> Run:
    """The complete run of a recipe: from the store, or trained, or trained to its end.

    What was done is printed in one line: ``hit``, ``hit, proved`` (the code is another since, and
    the run's proof came out the same), ``trained``, ``resumed``, ``stale`` (loaded, on request,
    although it is) or ``stopped`` (for time: the next call goes on). Two processes that
    want the same run train it once: the second waits. Ctrl-C and SIGTERM end the training after
    the step it is in, with a checkpoint. Under ``torchrun``, all processes must see one store.

    The parts of a recipe are trained or found first; one that is stopped is what is returned.

    Args:
        stale: what to do with a run whose data have changed since, or whose proof comes out
            otherwise: ``"retrain"`` or ``"load"`` it.
        max_minutes: stop training after that time, with a checkpoint.
        tensorboard: write the history there as well, for TensorBoard.
        folder: the store; see :func:`deblurlib.runs.root`.
        quiet: leave that line out; what asks for attention is printed all the same.
        device: to train on, see :func:`deblurlib.machine.device`.
    """
    if stale not in ("retrain", "load"):
        raise InputError(f'stale is "retrain" or "load", not {stale!r}')
    folder = store.root() if folder is None else folder
    images = inputs.open_training_images(recipe)
    run_id = inputs.run_id(recipe, images)
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    fabric = None if alone else _start_fabric(recipe, device)
    how = {"stale": stale, "folder": folder, "quiet": quiet, "device": device}
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    # of a complete run, parts may be gone: it holds their weights
    is_complete = _agreed(fabric, store.complete(folder, run_id) is not None)
    if recipe.parts:  # what is wrong with the whole is said before they are trained
        inputs.check(recipe, players.players_of(recipe, players.build(recipe)))
    parts = _get_parts(recipe, how, deadline, only_found=is_complete)
    first = fabric is None or fabric.global_rank == 0
    run = _agreed(fabric, _usable(folder, recipe, run_id, images, stale) if first else None)
    if run is None:
        parts = _get_parts(recipe, how, deadline, parts)
    if stopped := [part for part in parts.values() if part.outcome == "stopped"]:
        return stopped[0]
    if run is None:
        _check_parts(recipe, parts)
        fabric = fabric or _start_fabric(recipe, device)
        with _alone(folder, run_id, fabric):
            # another one may just have trained the run
            again = first and store.complete(folder, run_id) is not None
            arguments = (folder, recipe, run_id, images, stale)
            run = fabric.broadcast(_usable(*arguments, say=False) if again else None)
            if run is None:
                where = (folder / run_id, _minutes_to(deadline), tensorboard)
                run = _train(recipe, images, parts, *where, fabric)
    if int(os.environ.get("RANK", 0)) == 0:
        if run.outcome in ("hit", "stale"):
            with board.writer(tensorboard, recipe, run_id) as note:
                for row in run.history:
                    note(row)
        if run.outcome == "hit":
            store.tidy(folder, run.id)
        is_proved = run.outcome == "hit" and run.env["code"] != code_of(recipe)
        outcome = "hit, proved" if is_proved else run.outcome
        if not quiet:
            print(f"{recipe.name}, seed {recipe.seed}: {outcome} ({run.id})")
    return run


def _start_fabric(recipe: Recipe, device: str | torch.device) -> Fabric:
    """Fabric in the recipe's precision; in float32 on a processor without bf16's arithmetic."""
    precision = recipe.precision
    if precision == "bf16" and not machine.computes_bf16(machine.device(device)):
        precision = "32"
    return training.start_fabric(precision, device=device)


def _agreed(fabric: Fabric | None, answer: T) -> T:
    """The first process's answer, for all."""
    return answer if fabric is None else fabric.broadcast(answer)


def _minutes_to(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic()) / 60


def _get_parts(
    recipe: Recipe,
    how: dict[str, Any],
    deadline: float | None,
    known: Mapping[str, Run] | None = None,
    only_found: bool = False,
) -> dict[str, Run]:
    """The runs of a recipe's parts, by name: found or trained, up to one that is stopped.

    Args:
        how: of :func:`train_or_load`.
        known: those that were got before.
        only_found: leave out those that are not in the store.
    """
    parts = dict(known or {})
    for name, part in recipe.parts.items():
        if name in parts:
            continue
        if only_found and store.complete(how["folder"], inputs.run_id(part)) is None:
            continue
        parts[name] = train_or_load(part, max_minutes=_minutes_to(deadline), **how)
        if parts[name].outcome == "stopped":
            break
    return parts


def _check_parts(recipe: Recipe, parts: Mapping[str, Run]) -> None:
    """Raise an :class:`InputError` if there is a part that nothing can stand on."""
    for part in parts.values():
        which = f"{recipe.name} stands on {part.recipe.name} ({part.id})"
        if part.metrics["ending"] != "done":
            raise InputError(f"{which}, whose training {part.metrics['ending']}")
        if part.outcome == "stale":
            raise InputError(f"{which}, which is stale; without --stale load it is trained anew")


def _usable(
    folder: Path,
    recipe: Recipe,
    run_id: str,
    images: AnySet,
    stale: str,
    say: bool = True,
) -> Run | None:
    """The run to load: one that still stands or, on request, a stale one."""
    run = store.complete(folder, run_id)
    if run is not None:
        changed = replay(run, images)
        if not changed:
            return run
        if stale == "load":
            return replace(run, outcome="stale", changed=changed)
        rest = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        why = ", ".join(changed[:3]) + rest
    else:
        others = [r for r in store.listed(folder) if r.outcome == "hit" and not r.trouble]
        same = (r for r in others if r.recipe.to_json() == recipe.to_json())
        old = next(same, None)  # with other data, or its id would be the same
        if old is None:
            return None
        if stale == "load":
            return replace(old, outcome="stale", changed=("data",))
        why = f"the data of {old.id}"
    if say:
        print(f"{recipe.name}, seed {recipe.seed}: stale, {why} changed")
    return None


def _train(
    recipe: Recipe,
    images: AnySet,
    parts: Mapping[str, Run],
    target: Path,
    max_minutes: float | None,
    tensorboard: Path | None,
    fabric: Fabric,
) -> Run:
    first = fabric.global_rank == 0
    env = {
        "code": code_of(recipe),
        "data": {"name": images.name, "fingerprint": images.fingerprint},
        "versions": machine.versions(),
        "device": machine.device_name(fabric.device),
        "precision": fabric.strategy.precision.precision,
        "processes": fabric.world_size,
        "before": [],  # the same, of what was trained elsewhere
    }
    if parts:
        env["parts"] = {
            n: {"run": part.id, "weights": part.weights_hash} for n, part in parts.items()
        }
    rows, start = _resume(target, env, images, fabric)
    kept = proof.of_run(recipe, images) if first and recipe.steps >= PROVED_STEPS else None
    done, title = start[1]["step"] if start else 0, f"{recipe.name}, seed {recipe.seed}"
    bar = progress_bar(title, recipe.steps, done) if first else nullcontext(lambda step: None)
    with (
        bar as show,
        board.writer(tensorboard if first else None, recipe, target.name) as note,
        signals.noted() as asked,
    ):
        watched: dict[str, Any] = {"save_minutes": SAVE_MINUTES, "max_minutes": max_minutes}
        watched |= {"stop": lambda: bool(asked), "start": start}
        watched |= {"trained": {name: part.model().state_dict() for name, part in parts.items()}}
        for state, score in fitting.fit(recipe, images, fabric, rows, **watched):
            if first and score is not None:
                if state.row:
                    note(rows[-1])
                _write(recipe, env, kept, target, state, rows, score)
                show(state.step)
    fabric.barrier()  # until the first process has written
    if asked:
        print(f"stopped at step {state.step} of {recipe.steps}, and saved: the same call goes on")
        signals.pass_on(asked)
    if state.ending == "time":
        return Run(store.checkpoint_folder(target.parent, target.name, state.turn), "stopped")
    return Run(target, "trained" if start is None else "resumed")


def _resume(
    target: Path, env: dict[str, Any], images: AnySet, fabric: Fabric
) -> tuple[list[dict[str, Any]], tuple | None]:
    """The history and the checkpoint to go on from; empty and ``None`` if none still stands.

    The first process looks for it. Where it was made is added to ``env``.
    """
    last = None
    if fabric.global_rank == 0:
        last = store.last_checkpoint(target.parent, target.name)
        changed = () if last is None else replay(Run(last, "stopped"), images)
        if changed:
            why = ", ".join(changed[:3])
            print(f"{target.name} was stopped, and begins again: {why} changed")
            last = None
    last = fabric.broadcast(last)
    if last is None:
        return [], None
    old_env = Run(last, "stopped").env
    now = {k: env[k] for k in ("code", "versions", "device", "precision", "processes")}
    earlier = {k: old_env.get(k) for k in now}  # older ones do not say their precision
    env["before"] = old_env["before"] + ([earlier] if earlier != now else [])
    return read_history(last), read_state(last)


def _write(
    recipe: Recipe,
    env: dict[str, Any],
    kept: dict[str, Any] | None,
    target: Path,
    state: training.State,
    rows: list[dict[str, Any]],
    score: Score,
) -> None:
    """Put a checkpoint or, at the end, the complete run into the store."""
    checkpoint = state.checkpoint()

    def records(folder: Path) -> None:
        write_records(folder, recipe, env, kept, rows, checkpoint)

    def everything(folder: Path) -> None:
        records(folder)
        models.save(state.best, folder)
        identity = {f"{k}_identity": v for k, v in score(nn.Identity()).items()}
        last = {k: v if math.isfinite(v) else None for k, v in (rows[-1] | identity).items()}
        size = {"parameters": models.parameter_count(state.model)}
        write_metrics(folder, {"ending": state.ending, **last, **size})

    if state.ending in ("done", "diverged"):
        store.put(target, everything)
        store.forget(target.parent, target.name)
    else:
        newest = store.checkpoint_folder(target.parent, target.name, state.turn)
        store.put(newest, records)
        store.forget(target.parent, target.name, but=newest)


@contextmanager
def _alone(folder: Path, run_id: str, fabric: Fabric) -> Iterator[None]:
    """Lock the run: the first process holds it for all."""
    first = fabric.global_rank == 0
    with store.lock(folder, run_id, wait=fabric.world_size == 1) if first else nullcontext():
        fabric.barrier()
        yield
