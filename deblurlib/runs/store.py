"""The run store: a folder of runs, each complete or absent.

``<store>/<id>/`` holds a complete run::

    recipe.json         what was asked for
    env.json            what it was made with: code, data, versions, device
    config.json, model.safetensors      the model, as from_pretrained of its class reads it
    state.safetensors   all that fit would need to go on
    history.csv         a row an interval
    metrics.json        how it ended

``<store>/.partial/<id>/<step>/`` is a checkpoint of a run that is not complete. Whatever is
written is written beside its place and renamed, so a kill leaves the old or the new.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from .. import models
from ..errors import InputError
from .recipe import Recipe


@dataclass(frozen=True)
class Run:
    """A complete run in the store, or the last checkpoint of one that was stopped."""

    folder: Path
    #: how it was come by: "hit", "trained", "resumed", "stale" (loaded although what it was made
    #: with has changed) or "stopped" (for time: not complete)
    outcome: str = "hit"
    changed: tuple[str, ...] = ()  # what has changed since; the run is stale if there is anything

    @property
    def id(self) -> str:
        """Its name in the store."""
        return self.folder.parent.name if self.outcome == "stopped" else self.folder.name

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        return Recipe.from_json((self.folder / "recipe.json").read_text("utf-8"))

    @property
    def env(self) -> dict:
        """What it was made with: ``code``, ``data``, ``versions``, ``device``."""
        return json.loads((self.folder / "env.json").read_text("utf-8"))

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of the training: ``step``, ``loss``, ``val_loss``, ``val_psnr``, ``seconds``."""
        return read_history(self.folder)

    @property
    def metrics(self) -> dict:
        """How the training ended."""
        return json.loads((self.folder / "metrics.json").read_text("utf-8"))

    def model(self) -> nn.Module:
        """The trained model, on the CPU, in evaluation mode."""
        if self.outcome == "stopped":
            raise InputError(f"the run {self.id} is not complete: train it to its end first")
        try:
            return models.load(self.recipe.model, self.folder)
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.folder}: a damaged run; deblur runs rm {self.id} removes it ({error})"
            ) from None


def root() -> Path:
    """The store: ``DEBLURLIB_RUNS``, else ``runs/`` of the checkout, or where there is none, here.

    A notebook's kernel runs in the notebook's folder, so "here" would be one store a folder.
    """
    if given := os.environ.get("DEBLURLIB_RUNS"):
        return Path(given)
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "notebooks").is_dir() else Path.cwd()) / "runs"


def listed(store: Path) -> list[Run]:
    """All runs: the complete ones, then those that were stopped."""
    runs = [Run(p.parent) for p in sorted(store.glob("[0-9a-f]*/metrics.json"))]
    folders = [p for p in sorted((store / ".partial").glob("*")) if not (store / p.name).exists()]
    stopped = [Run(c, "stopped") for p in folders if (c := last_checkpoint(store, p.name))]
    return runs + stopped


def find(store: Path, wanted: str) -> Run:
    """The run whose id begins with ``wanted``, or whose recipe has that name.

    Raises:
        InputError: there is none, or there are several; the message lists them.
    """
    runs = listed(store)
    found = [r for r in runs if r.id.startswith(wanted) or r.recipe.name == wanted]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"no run {wanted!r} in {store}; deblur runs list shows what there is")
    ids = ", ".join(f"{r.id} (seed {r.recipe.seed}, {r.recipe.steps} steps)" for r in found)
    raise InputError(f"{wanted!r} can be any of these runs: {ids}; name one by its id")


def complete(store: Path, run_id: str) -> Run | None:
    """The complete run of that id, if there is one."""
    folder = store / run_id
    return Run(folder) if (folder / "metrics.json").exists() else None


def last_checkpoint(store: Path, run_id: str) -> Path | None:
    """The folder of the newest checkpoint, if there is one."""
    return max((store / ".partial" / run_id).glob("[0-9]*"), default=None)


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's or a checkpoint's history."""
    with (folder / "history.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return [row | {"step": int(row["step"])} for row in rows]


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The checkpoint that :meth:`deblurlib.training.State.checkpoint` gave."""
    try:
        with safe_open(folder / "state.safetensors", "pt") as file:
            numbers = json.loads(file.metadata()["numbers"])
            return {key: file.get_tensor(key) for key in file.keys()}, numbers  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{folder}: a damaged checkpoint; remove it ({error})") from None


def checkpoint_folder(store: Path, run_id: str, step: int) -> Path:
    """Where the checkpoint after some steps belongs."""
    return store / ".partial" / run_id / f"{step:09d}"


def write_metrics(folder: Path, values: Mapping[str, object]) -> None:
    """How the training ended; the file by which a complete run is known."""
    (folder / "metrics.json").write_text(json.dumps(values, indent=1), "utf-8")


def write_records(
    folder: Path,
    recipe: Recipe,
    env: Mapping,
    rows: Sequence[Mapping[str, float]],
    checkpoint: tuple[dict[str, torch.Tensor], dict[str, float]],
) -> None:
    """What a checkpoint and a complete run have in common."""
    (folder / "recipe.json").write_text(recipe.to_json(), "utf-8")
    (folder / "env.json").write_text(json.dumps(env, indent=1), "utf-8")
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["step"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    tensors, numbers = checkpoint
    save_file(tensors, folder / "state.safetensors", {"numbers": json.dumps(numbers)})


def put(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder, and make it ``target`` when it is whole.

    Raises:
        InputError: it cannot be written; what ``target`` held before is still there.
    """
    partial = target.with_name(f".{target.name}.new")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        _remove(target)
        os.replace(partial, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{target}: cannot be written ({error})") from None


def remove(store: Path, run_id: str) -> None:
    """Take a run and its checkpoints out of the store; refused while it is being trained."""
    with lock(store, run_id, wait=False):
        _remove(store / run_id)
        forget(store, run_id)


def forget(store: Path, run_id: str, but: Path | None = None) -> None:
    """Remove the checkpoints of a run, all or all but one, and what a kill left half written."""
    for folder in (store / ".partial" / run_id).glob("*"):
        if folder != but:
            _remove(folder)
    for left in store.glob(f".{run_id}.*"):
        shutil.rmtree(left, ignore_errors=True)
    if but is None:
        shutil.rmtree(store / ".partial" / run_id, ignore_errors=True)


@contextmanager
def lock(store: Path, run_id: str, wait: bool = True) -> Iterator[None]:
    """Hold a run for this process alone; the system lets go of it when the process dies."""
    try:
        (store / ".locks").mkdir(parents=True, exist_ok=True)
        held = FileLock(store / ".locks" / f"{run_id}.lock")
        try:
            held.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise InputError(f"the run {run_id} is being trained by another process") from None
            print(f"the run {run_id} is being trained by another process: waiting for it")
            held.acquire()
    except OSError as error:
        raise InputError(f"{store}: cannot be written ({error.strerror or error})") from None
    try:
        yield
    finally:
        held.release()


def _remove(folder: Path) -> None:
    """Remove a folder such that it is there or not, never in part."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def as_outcome(run: Run, outcome: str, changed: Sequence[str] = ()) -> Run:
    """The run, told how it was come by."""
    return replace(run, outcome=outcome, changed=tuple(changed))
