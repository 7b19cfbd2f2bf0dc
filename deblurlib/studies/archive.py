"""A chapter's runs and what its pictures show: from the store or, without it, as published.

So a page's text and figures can be made anew without training. Published are, under
``reports/results/``, the histories (``NN_history.csv.gz``), the images that the figures show
(``NN_pictures.npz``) and the scores (``NN_rows.csv.gz``); of a few small networks also the weights,
in half precision, under ``reports/weights/NN/``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from .. import data, files, images, machine, models, runs
from ..data import AnySet, ImageSet
from ..errors import InputError
from ..evaluation import case_of
from ..runs import Recipe, Run, inputs, proof, signature, store
from .rows import in_order, read_rows, rounded
from .scoring import score, scores_at_start

ROOT = Path(__file__).resolve().parents[2]
#: the metrics of a run that are published
KEPT = ("ending", "parameters", "val_loss_identity", "val_psnr_identity")


@dataclass(frozen=True)
class PublishedRun:
    """What is published of a run that is not in the store; it is read like a :class:`Run`."""

    id: str
    recipe: Recipe
    history: Sequence[Mapping[str, float]]
    metrics: Mapping[str, Any]
    weights: Path  # their folder; it exists if they are published
    outcome: str = "published"
    changed: tuple[str, ...] = ()

    def model(self) -> nn.Module:
        """The trained model, its weights rounded to half precision, on the CPU.

        Raises:
            InputError: its weights are not published, or they are damaged.
        """
        if not (self.weights / "model.safetensors").exists():
            r = self.recipe
            again = f"deblur train {r.name} --seed {r.seed} with the profile of the page trains it"
            raise InputError(f"the weights of {self.id} are not published; {again}")
        try:
            return models.load(self.recipe.model, self.weights)
        except OSError as error:
            damaged = InputError(f"{self.weights}: damaged ({error})")
            raise files.unreadable(self.weights, error) or damaged from None


AnyRun = Run | PublishedRun


class Archive:
    """Hands a chapter its runs and pictures, and remembers which it has handed out."""

    def __init__(self, chapter: str, root: Path | None = None):
        """Read what is published of a chapter, if anything is.

        Args:
            chapter: the key of its page, such as ``"02"``.
            root: the checkout; by default the one that this library lies in.
        """
        root = ROOT if root is None else root
        self.chapter = chapter
        self.given: dict[str, AnyRun] = {}
        self.shown: dict[str, np.ndarray] = {}
        self.with_weights: set[str] = set()
        self._replayed: dict[str, bool] = {}  # recipe -> whether its proof came out otherwise
        results = root / "reports" / "results"
        self._weights = root / "reports" / "weights" / chapter
        self.results = results / f"{chapter}.json"
        self.rows = results / f"{chapter}_rows.csv.gz"
        self.timings = results / f"{chapter}_timings.json"
        path = results / f"{chapter}_proof.json"
        try:
            self._histories = _read_histories(results / f"{chapter}_history.csv.gz")
            self._ids = {(m["recipe"], m["seed"]): i for i, (_, m) in self._histories.items()}
            self._pictures = _read_pictures(results / f"{chapter}_pictures.npz")
            published_proof = json.loads(path.read_text("utf-8")) if path.exists() else {}
        except (OSError, EOFError, ValueError, KeyError, zlib.error, BadZipFile) as error:
            damaged = InputError(f"{results}: a damaged file of chapter {chapter} ({error})")
            raise files.unreadable(results, error) or damaged from None
        self._proof = {"recipes": {}, "tests": {}, "scoring": {}} | published_proof

    def run(self, recipe: Recipe) -> AnyRun:
        """The run of a recipe: the store's; without it, the published one; else it is trained.

        A published run is taken if its recipe's proof comes out the same with the code of today.
        Which of the three it was is not printed: a page must not depend on it.
        """
        sharp = inputs.open_training_images(recipe)
        run_id = inputs.run_id(recipe, sharp)
        run: AnyRun | None = None
        if run_id in self._histories and store.complete(runs.root(), run_id) is None:
            run = self._published(recipe, run_id, sharp)
        if run is None:
            run = runs.train_or_load(recipe, quiet=True)
        self.given[run.id] = run
        return run

    def knows(self, recipe: Recipe) -> bool:
        """Whether the run of a recipe is published, or in the store: :meth:`run` need not train it.

        A published one whose proof comes out otherwise today is trained all the same.
        """
        run_id = inputs.run_id(recipe)
        return run_id in self._histories or store.complete(runs.root(), run_id) is not None

    def published(self, recipe: Recipe) -> PublishedRun | None:
        """What is published of a recipe's run, if its history is, whether it still holds or not.

        It is found by name and seed, without the data. For pages that show what is published, and
        say so: whether the code of today still leads to it is what ``deblur confirm`` tells.
        """
        run_id = self._ids.get((recipe.name, recipe.seed))
        if run_id is None:
            return None
        run = self.given[run_id] = self._as_published(recipe, run_id)
        return run

    def picture(
        self, run: AnyRun, key: str, make: Callable[[], Iterable[torch.Tensor]]
    ) -> list[torch.Tensor]:
        """The images ``(1, C, H, W)`` that a figure shows of a run, rounded to 8 bit.

        Args:
            key: names what the images show; they are found again by it.
            make: returns the images; not called where the published ones are used.
        """
        name = f"{run.id}-{key}"
        if isinstance(run, PublishedRun) and name in self._pictures:
            self.shown[name] = self._pictures[name]
        else:
            self.shown[name] = _eight_bit(make())
        return list((torch.from_numpy(self.shown[name]).float() / 255).split(1))

    def score(
        self, trained: Sequence[AnyRun], test: ImageSet | None = None, **options: Any
    ) -> list[dict]:
        """The rows of :func:`deblurlib.studies.score`, sorted, to six digits; published runs have
        their published rows.

        Raises:
            InputError: a run of the chapter's study was published with other options.
        """
        local = [run for run in trained if isinstance(run, Run)]
        rows = rounded(score(local, test, **options)) if local else []
        wanted = {run.id for run in trained} - {run.id for run in local}
        if not wanted:
            return in_order(rows)
        asked = json.loads(json.dumps({key: options.get(key) for key in self._proof["scoring"]}))
        recipes = self._proof["recipes"]
        study = [r for r in trained if r.id in wanted and "runs" in recipes[r.recipe.name]]
        if study and asked != self._proof["scoring"]:
            raise InputError(f"{study[0].recipe.name} was published with {self._proof['scoring']}")
        published = read_rows(self.rows)
        images = None if test is None else set(test.names)
        published = [row for row in published if images is None or row["image"] in images]
        own_rows = [row for row in published if row.get("run") in wanted]
        cases = {case_of(row) for row in own_rows} - {case_of(row) for row in rows}
        identities = [r for r in published if r["method"] == "identity" and case_of(r) in cases]
        return in_order(rows + identities + own_rows)

    def keep_weights(self, run: AnyRun) -> None:
        """Note that a small network's weights are to be published, in half precision."""
        self.with_weights.add(run.id)

    def histories(self) -> list[dict]:
        """The rows of the histories of all runs that were handed out, without their times."""
        rows = []
        for run in sorted(self.given.values(), key=lambda run: (run.recipe.name, run.recipe.seed)):
            which = {"run": run.id, "recipe": run.recipe.name, "seed": run.recipe.seed}
            last = {key: run.metrics[key] for key in KEPT}
            for row in run.history:
                rows.append(which | {k: v for k, v in row.items() if k != "seconds"} | last)
        return rows

    def weights(self) -> dict[tuple[str, str], bytes]:
        """The files of the models that are to be published, by the runs' ids and their names."""
        blobs = {}
        for run_id in sorted(self.with_weights):
            run = self.given[run_id]
            whole = run.model().state_dict().items()
            half = {k: v.half() if v.is_floating_point() else v for k, v in whole}
            arguments = json.dumps(run.recipe.arguments, indent=1, sort_keys=True) + "\n"
            blobs[run_id, "config.json"] = arguments.encode()
            blobs[run_id, "model.safetensors"] = save({k: v.contiguous() for k, v in half.items()})
        return blobs

    def _published(self, recipe: Recipe, run_id: str, sharp: AnySet) -> PublishedRun | None:
        if self._has_changed(recipe, run_id, sharp):
            return None
        return self._as_published(recipe, run_id)

    def _as_published(self, recipe: Recipe, run_id: str) -> PublishedRun:
        history, metrics = self._histories[run_id]
        return PublishedRun(run_id, recipe, history, metrics, self._weights / run_id)

    def _has_changed(self, recipe: Recipe, run_id: str, sharp: AnySet) -> bool:
        """Whether a run's published proof is missing, or comes out otherwise today."""
        published = self._proof["recipes"].get(recipe.name)
        if published is None:
            return True
        alike = machine.is_alike(self._proof["made"]["machine"])
        key = recipe.with_seed(0).to_json()
        if key not in self._replayed:
            own_recipe = published.get("recipe")  # trained by the chapter itself, not by its study
            seed = own_recipe["seed"] if own_recipe else self._proof["seeds"][0]
            first = recipe.with_seed(seed)
            parts = proof.replay(published["parts"], first, published["steps"], alike)
            if own_recipe is None:
                test = inputs.open_test_images(recipe).fingerprint
                parts += [] if test == self._proof["tests"].get(recipe.data) else ["test data"]
                now = {"scores": scores_at_start(first, self._proof["scoring"])}
                parts += signature.differences(published["parts"], now, alike)
            self._replayed[key] = bool(parts)
        changed = self._replayed[key] or any(
            self._has_changed(part, inputs.run_id(part), inputs.open_training_images(part))
            for part in recipe.parts.values()
        )
        if run_id in published.get("runs", {}).values():  # else it was ended early
            rest, _ = data.hold_out(sharp, recipe.holdout)
            with proof.one_thread():
                now = {f"batches {recipe.seed}": proof.of_batches(recipe, rest)}
            changed = changed or bool(signature.differences(published["parts"], now, alike))
        return changed


def history_text(rows: Sequence[Mapping]) -> str:
    """Rows of :meth:`Archive.histories` as CSV; floats to 9 digits, as many as float32 has."""
    if not rows:
        return ""
    buffer = io.StringIO()
    # trainings with a rival have columns of their own; they are empty for the others
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.9g}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()


def _read_histories(path: Path) -> dict[str, tuple[list[dict], dict]]:
    """Each published run's history and metrics, by its id."""
    if not path.exists():
        return {}
    histories: dict[str, tuple[list[dict], dict]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())):
        which = {key: row.pop(key) for key in ("run", "recipe", "seed", *KEPT)}
        values = {k: float(v) for k, v in row.items() if v} | {"step": int(row["step"])}
        history, metrics = histories.setdefault(which["run"], ([], {}))
        history.append(values)
        metrics |= {k: None if not np.isfinite(v) else v for k, v in values.items()}
        metrics |= {"ending": which["ending"], "parameters": int(which["parameters"])}
        metrics |= {"recipe": which["recipe"], "seed": int(which["seed"])}
        # of a network that makes no image the identity has no loss
        base = {k: which[k] for k in KEPT if k.endswith("_identity")}
        metrics |= {k: float(v) if v else None for k, v in base.items()}
    return histories


def _read_pictures(path: Path) -> dict[str, np.ndarray]:
    return dict(np.load(path, allow_pickle=False)) if path.exists() else {}


def _eight_bit(panels: Iterable[torch.Tensor]) -> np.ndarray:
    whole = torch.cat([z.detach().cpu() for z in panels])
    return images.quantise(whole).mul(255).round().to(torch.uint8).numpy()
