"""A chapter's runs and what its pictures show: from the store or, without it, as published.

So a page's text and figures are made anew without a training. Published are, under
``reports/results/``, the histories (``NN_history.csv.gz``), the images that the figures show
(``NN_pictures.npz``) and the scores (``NN_rows.csv.gz``); of a few small networks also the weights,
in half precision, under ``reports/weights/NN/``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from .. import data, images, models, runs
from ..errors import InputError
from ..runs import Recipe, Run, proof, samples, store

ROOT = Path(__file__).resolve().parents[2]  # of the checkout
KEPT = ("ending", "parameters", "val_loss_identity", "val_psnr_identity")  # of a run's metrics


@dataclass(frozen=True)
class PublishedRun:
    """A run that is not in the store, as far as it is published; read it as a :class:`Run`."""

    id: str
    recipe: Recipe
    history: Sequence[Mapping[str, float]]
    metrics: Mapping[str, object]
    weights: Path  # where they lie, if they are published
    outcome: str = "published"
    changed: tuple[str, ...] = ()

    def model(self) -> nn.Module:
        """The trained model, its weights rounded to half precision, on the CPU.

        Raises:
            InputError: its weights are not published.
        """
        if not (self.weights / "model.safetensors").exists():
            r = self.recipe
            again = f"deblur train {r.name} --seed {r.seed} with the profile of the page trains it"
            raise InputError(f"the weights of {self.id} are not published; {again}")
        return models.load(self.recipe.model, self.weights)


class Archive:
    """The one place a chapter asks for its runs and pictures; it remembers what it gave."""

    def __init__(self, chapter: str, root: Path = ROOT):
        """Read what is published of a chapter, given by its two digits, if anything is."""
        self.given: dict[str, Run | PublishedRun] = {}
        self.shown: dict[str, np.ndarray] = {}
        self.with_weights: set[str] = set()
        results = root / "reports" / "results"
        self._weights = root / "reports" / "weights" / chapter
        self._histories = _read_histories(results / f"{chapter}_history.csv.gz")
        self._pictures = _read_pictures(results / f"{chapter}_pictures.npz")
        path = results / f"{chapter}_proof.json"
        self._proof = json.loads(path.read_text("utf-8")) if path.exists() else {"recipes": {}}

    def run(self, recipe: Recipe, **options) -> Run | PublishedRun:
        """The run of a recipe: the store's; without it, the published one; else it is trained.

        A published run is taken if its recipe's proof comes out the same with the code of today.

        Args:
            options: of :func:`deblurlib.runs.train_or_load`.
        """
        sharp = samples.open_training_images(recipe)
        run_id = recipe.run_id(sharp.fingerprint)
        run = None
        if run_id in self._histories and store.complete(runs.root(), run_id) is None:
            run = self._published(recipe, run_id, sharp)
        if run is None:
            run = runs.train_or_load(recipe, **options)
        self.given[run.id] = run
        return run

    def picture(
        self, run: Run | PublishedRun, key: str, make: Callable[[], Iterable[torch.Tensor]]
    ) -> list[torch.Tensor]:
        """Images ``(1, C, H, W)`` that a figure shows of a run, rounded to 8 bit.

        Args:
            key: what they show of it, to find them again.
            make: gives them; called if the run is at hand.
        """
        name = f"{run.id}-{key}"
        if isinstance(run, PublishedRun) and name in self._pictures:
            self.shown[name] = self._pictures[name]
        else:
            self.shown[name] = _eight_bit(make())
        return list((torch.from_numpy(self.shown[name]).float() / 255).split(1))

    def keep_weights(self, run: Run | PublishedRun) -> None:
        """Have a small network's weights published, in half precision."""
        self.with_weights.add(run.id)

    def histories(self) -> list[dict]:
        """A row for each row of the histories of all runs that were given, without their times."""
        rows = []
        for run in sorted(self.given.values(), key=lambda run: (run.recipe.name, run.recipe.seed)):
            which = {"run": run.id, "recipe": run.recipe.name, "seed": run.recipe.seed}
            last = {key: run.metrics[key] for key in KEPT}
            for row in run.history:
                rows.append(which | {k: v for k, v in row.items() if k != "seconds"} | last)
        return rows

    def weights(self) -> dict[str, dict[str, bytes]]:
        """Of each run that is to be published with them: the two files of its model."""
        found = {}
        for run_id in sorted(self.with_weights):
            model = self.given[run_id].model()
            half = {k: v.half().contiguous() for k, v in model.state_dict().items()}
            config = json.dumps(dict(self.given[run_id].recipe.model_args), indent=1) + "\n"
            found[run_id] = {"config.json": config.encode(), "model.safetensors": save(half)}
        return found

    def _published(self, recipe: Recipe, run_id: str, sharp) -> PublishedRun | None:
        changed = self._changes(recipe, sharp)
        which = f"{recipe.name}, seed {recipe.seed}"
        if changed:
            print(f"{which}: published, but {', '.join(changed)} changed")
            return None
        print(f"{which}: published ({run_id})")
        history, metrics = self._histories[run_id]
        return PublishedRun(run_id, recipe, history, metrics, self._weights / run_id)

    def _changes(self, recipe: Recipe, sharp) -> list[str]:
        """The parts of a recipe's published proof that come out otherwise today."""
        known = self._proof["recipes"].get(recipe.name)
        if known is None:
            return ["its proof is missing: everything may have"]
        alike = self._proof["made"]["machine"] == proof.machine.arithmetic()
        first = replace(recipe, seed=self._proof["seeds"][0])
        found = proof.replay(known["parts"], first, known["steps"], alike)
        rest, _ = data.hold_out(sharp, recipe.holdout)
        with proof.one_thread():
            now = {f"batches {recipe.seed}": proof.of_batches(recipe, rest)}
        return found + proof.differences(known["parts"], now, alike)


def history_text(rows: Sequence[Mapping]) -> str:
    """Rows of :meth:`Archive.histories` as CSV; floats to 9 digits, as many as float32 has."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.9g}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()


def _read_histories(path: Path) -> dict[str, tuple[list[dict], dict]]:
    """By the run's id: the rows of its history, and its metrics."""
    if not path.exists():
        return {}
    found: dict[str, tuple[list[dict], dict]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())):
        which = {key: row.pop(key) for key in ("run", "recipe", "seed", *KEPT)}
        known = {k: float(v) for k, v in row.items()} | {"step": int(row["step"])}
        history, metrics = found.setdefault(which["run"], ([], {}))
        history.append(known)
        metrics |= {k: None if not np.isfinite(v) else v for k, v in known.items()}
        metrics |= {"ending": which["ending"], "parameters": int(which["parameters"])}
        metrics |= {k: float(which[k]) for k in KEPT if k.endswith("_identity")}
    return found


def _read_pictures(path: Path) -> dict[str, np.ndarray]:
    return dict(np.load(path, allow_pickle=False)) if path.exists() else {}


def _eight_bit(panels: Iterable[torch.Tensor]) -> np.ndarray:
    whole = torch.cat([z.detach().cpu() for z in panels])
    return images.quantise(whole).mul(255).round().to(torch.uint8).numpy()
