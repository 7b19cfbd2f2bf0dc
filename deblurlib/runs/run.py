"""A run's folder: its files, read and written.

::

    recipe.json         what was asked for
    env.json            what it was made with: code, data, versions, device
    proof.json          of a longer training: what tells whether changed code still leads to it
    proved.json         if the code has changed since: that with which the proof came out the same
    config.json, model.safetensors      the model, as from_pretrained of its class reads it
    state.safetensors   all that fit would need to go on
    history.csv         a row an interval
    metrics.json        how it ended

A checkpoint's folder has neither the model nor ``metrics.json``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from .. import files, fingerprint, models
from ..errors import InputError, NotRegistered
from .recipe import Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A complete run in the store, or the last checkpoint of one that was stopped."""

    folder: Path
    #: how it was obtained: "hit", "trained", "resumed", "stale" (loaded although what it was made
    #: with has changed) or "stopped" (for time: not complete)
    outcome: str = "hit"
    changed: tuple[str, ...] = ()  # "code", "data", parts of its proof; stale if there is anything

    @property
    def id(self) -> str:
        """Its name in the store."""
        return self.folder.parent.name if self.outcome == "stopped" else self.folder.name

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        return self._read("recipe.json", Recipe.from_json)

    @property
    def env(self) -> dict[str, Any]:
        """What it was made with: ``code``, ``data``, ``versions``, ``device``, and its parts."""
        return self._read("env.json", json.loads)

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of the training: ``step``, ``loss``, ``val_loss``, ``val_psnr``, ``seconds``.

        With a rival also ``adversarial`` and ``critic``: the model's loss by its critic, and the
        critic's own. One that had no turn since the last row is NaN.
        """
        return read_history(self.folder)

    @property
    def metrics(self) -> dict[str, Any]:
        """How the training ended."""
        return self._read("metrics.json", json.loads)

    @property
    def proof(self) -> dict[str, Any] | None:
        """What its recipe came to at its start, see :mod:`deblurlib.runs.proof`; if it has one."""
        return self._read("proof.json", json.loads) if self._has("proof.json") else None

    @property
    def proved(self) -> str | None:
        """The code with which the proof was replayed last, and came out the same."""
        return self._read("proved.json", json.loads)["code"] if self._has("proved.json") else None

    @property
    def step(self) -> int:
        """How many steps are done."""
        if self.outcome != "stopped":
            return self.metrics["step"]
        with _state_of(self.folder) as file:
            return int(_numbers(file)["step"])

    @property
    def weights_hash(self) -> str:
        """A hash of the file of its weights."""
        try:
            return fingerprint.of_bytes((self.folder / "model.safetensors").read_bytes())
        except OSError as error:
            raise self.damaged(error) from None

    def model(self) -> nn.Module:
        """The trained model, on the CPU, in evaluation mode."""
        if self.outcome == "stopped":
            raise InputError(f"the run {self.id} is not complete: train it to its end first")
        name = self.recipe.model
        try:
            return models.load(name, self.folder)
        except (OSError, InputError) as error:
            raise self.damaged(error) from None

    @property
    def trouble(self) -> str:
        """``damaged``, ``not readable`` (for us), ``not known here``, or empty.

        The third is said of a run whose model, loss or setting is not registered in this process.
        """
        try:
            for path in self.folder.iterdir():
                if not path.is_dir():
                    path.open("rb").close()
        except FileNotFoundError:
            pass  # of one that is trained now, the files change; what is missing is found below
        except OSError:
            return "not readable"
        try:
            _ = self.recipe, self.env
        except NotRegistered:
            return "not known here"
        except InputError:
            return "damaged"
        return ""

    @property
    def name(self) -> str | None:
        """Its recipe's name; ``None`` if what it is and was made with cannot be read."""
        try:
            recipe, _ = self.recipe, self.env
        except InputError:
            return None
        return recipe.name

    @property
    def title(self) -> str:
        """In a few words, which run this is, or its :attr:`trouble`."""
        if self.name is None:
            return self.trouble
        recipe = self.recipe
        return f"{recipe.name}, {recipe.data}, seed {recipe.seed}, {recipe.steps} steps"

    @property
    def origin(self) -> dict[str, Any]:
        """What the card of a network says of the run that it comes from."""
        return {
            "model": self.recipe.model,
            "run": self.id,
            "recipe": json.loads(self.recipe.to_json()),
            "made_with": {key: self.env[key] for key in ("data", "device", "versions")},
            "training": self.metrics,
        }

    def _has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def _read(self, name: str, parse: Callable[[str], T]) -> T:
        try:
            return parse((self.folder / name).read_text("utf-8"))
        except NotRegistered as error:
            told = f"{self.folder}: {error}; it was registered where the run was made"
            raise NotRegistered(told) from None
        except (OSError, ValueError, TypeError, KeyError) as error:  # InputError is one, too
            raise self.damaged(error) from None

    def damaged(self, error: Exception) -> InputError:
        """The error to raise for this run: it is damaged, or may not be read."""
        if (closed := files.unreadable(self.folder, error)) is not None:
            return closed
        if isinstance(error, TypeError):  # a field that is not known here
            return InputError(
                f"{self.folder}: made by another version of the library, or damaged ({error}); "
                f"deblur runs rm {self.id} removes it"
            )
        cure = f"deblur runs rm {self.id} removes it"
        return InputError(f"{self.folder}: a damaged run; {cure} ({error})")


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's or a checkpoint's history."""
    try:
        with (folder / "history.csv").open(newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return [row | {"step": int(row["step"])} for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        path = folder / "history.csv"
        raise files.unreadable(path, error) or InputError(f"{path}: damaged ({error})") from None


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The checkpoint that :meth:`deblurlib.training.State.checkpoint` gave."""
    with _state_of(folder) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, _numbers(file)  # noqa: SIM118


@contextmanager
def _state_of(folder: Path) -> Iterator[safe_open]:
    """A checkpoint's open file, and one sentence for what goes wrong with it."""
    path = folder / "state.safetensors"
    try:
        # opened before: of one that may not be read, safetensors says that it is missing
        with path.open("rb"), safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        damaged = InputError(f"{folder}: a damaged checkpoint; remove it ({error})")
        raise files.unreadable(path, error) or damaged from None


def _numbers(file: safe_open) -> dict[str, float]:
    return json.loads(file.metadata()["numbers"])


def write_metrics(folder: Path, values: Mapping[str, Any]) -> None:
    """Write ``metrics.json``: how the training ended. A run that has it is complete."""
    (folder / "metrics.json").write_text(json.dumps(values, indent=1), "utf-8")


def write_records(
    folder: Path,
    recipe: Recipe,
    env: Mapping[str, Any],
    proof: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, float]],
    checkpoint: tuple[dict[str, torch.Tensor], dict[str, float]],
) -> None:
    """Write the files that checkpoints and complete runs have in common."""
    (folder / "recipe.json").write_text(recipe.to_json(), "utf-8")
    (folder / "env.json").write_text(json.dumps(env, indent=1), "utf-8")
    if proof is not None:
        (folder / "proof.json").write_text(json.dumps(proof, indent=1), "utf-8")
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["step"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    tensors, numbers = checkpoint
    state = save(tensors, {"numbers": json.dumps(numbers)})
    (folder / "state.safetensors").write_bytes(state)  # save_file writes for its owner alone
