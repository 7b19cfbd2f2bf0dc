"""The proofs of what is published: ``reports/results/NN_proof.json``, made and replayed.

Of a chapter that trains, each recipe's proof (:mod:`deblurlib.runs.proof`), with the batches of all
seeds and the scores of an untrained network; of another one, a tenth of its rows with all digits.
"""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from .. import data, evaluation, machine, models, restoration, storage, studies
from ..data import ImageSet, PairSet
from ..errors import InputError
from ..runs import Recipe, proof, samples, signature
from ..runs.signature import Signature
from . import execute, stamp

SCHEMA_VERSION = 1
SHARE = 10  # one row of so many is kept
SAME_ROW = ("method", "data", "channels", "degradation", "draw", "image")  # what a row is of
Show = Callable[[str], None]  # told what is replayed now


def make(
    notebook: Path,
    results: Mapping,
    rows: Sequence[Mapping] | None = None,
    more: Sequence[Recipe] = (),
    show: Show = str,
) -> dict:
    """The proof of what a chapter has recorded, made with the code as it is.

    Args:
        results: as recorded, with its stamp.
        rows: as recorded, with all digits; by default the chapter is executed for them.
        more: recipes that the chapter has trained besides those of its study, on data that may be
            gone by now.
    """
    chapter, about = results["chapter"], results["stamp"]
    source = about["data"][0]["name"]
    made = {"code": stamp.code_hash(notebook, about["data"]), "commit": stamp.commit()}
    made |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine.arithmetic()}
    found = {"schema": SCHEMA_VERSION, "chapter": chapter, "profile": results["profile"]}
    found |= {"seeds": about["seeds"], "data": source, "made": made}
    if chapter not in studies.CHAPTERS:
        rows = _execute(notebook, found, show).rows if rows is None else rows
        return found | {"rows": _some(rows)}
    found |= {"sets": {}, "recipes": {}}
    for recipe in studies.recipes(chapter, results["profile"], about["seeds"][0], source):
        show(recipe.name)
        found["recipes"][recipe.name] = _of_recipe(recipe, about["seeds"])
        found["sets"][recipe.data] = samples.open_training_images(recipe).fingerprint
    for recipe in more:
        if recipe.name not in found["recipes"]:
            steps, parts = proof.of_recipe(recipe)
            one = {"steps": steps, "recipe": asdict(recipe), "parts": parts}
            found["recipes"][recipe.name] = one
    return found


def replay(notebook: Path, old: Mapping, show: Show = str) -> tuple[list[str], list[str]]:
    """Make a proof anew: what has changed, and the names of data sets that are not here.

    Returns:
        ``["batches 0, weights: 02/motion, 02/motion-5", ...]``, and ``["anime-faces"]``: then what
        needs these has not been looked at.
    """
    if "rows" in old:
        return _replay_rows(notebook, old, show)
    alike = old["made"]["machine"] == machine.arithmetic()
    by_seed = [
        {r.name: r for r in studies.recipes(old["chapter"], old["profile"], seed, old["data"])}
        for seed in old["seeds"]
    ]
    changed = {n: "not published" for n in sorted(by_seed[0].keys() - old["recipes"].keys())}
    missing = set()
    for name, one in old["recipes"].items():
        show(name)
        if "recipe" in one:  # the chapter's own
            parts = proof.replay(one["parts"], Recipe(**one["recipe"]), one["steps"], alike)
        elif name not in by_seed[0]:
            parts = ["gone"]
        else:
            recipes = [recipes[name] for recipes in by_seed]
            source = recipes[0].data
            is_here = _is_here(source)
            missing |= set() if is_here else {source}
            parts = _changes(one, recipes, old["sets"][source], is_here, alike)
        if parts:
            changed[name] = ", ".join(parts)
    return _by_part(changed, len(old["recipes"])), sorted(missing)


def _changes(
    one: Mapping, recipes: Sequence[Recipe], known: str, is_here: bool, alike: bool
) -> list[str]:
    """What of a published recipe has changed.

    Args:
        recipes: as they are today, one for each seed.
        known: the fingerprint of the data that it was published with.
    """
    ids = {str(r.seed): r.run_id(known) for r in recipes}
    parts = [] if ids == one["runs"] else ["recipe"]
    parts += proof.replay(one["parts"], recipes[0], one["steps"], alike)
    if not is_here:
        return parts
    images = samples.open_training_images(recipes[0])
    if images.fingerprint != known:
        return [*parts, "data"]
    return parts + signature.differences(one["parts"], _of_data(recipes, images), alike)


def _is_here(source: str) -> bool:
    """Whether a data set is there; a damaged one is."""
    try:
        return source == "sample" or bool(storage.locate(source))
    except InputError:
        return False


def to_text(made: Mapping) -> str:
    """A proof as JSON, a line for each part or row, so that a difference shows where it is."""

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    entries = [f' "{key}": {line(made[key])}' for key in made if key not in ("recipes", "rows")]
    if "rows" in made:
        entries.append(' "rows": [\n  ' + ",\n  ".join(map(line, made["rows"])) + "\n ]")
    if "recipes" in made:
        blocks = []
        for name, one in made["recipes"].items():
            parts = ",\n    ".join(f"{line(k)}: {line(v)}" for k, v in one["parts"].items())
            rest = ", ".join(f"{line(k)}: {line(v)}" for k, v in one.items() if k != "parts")
            blocks.append(f'  {line(name)}: {{{rest}, "parts": {{\n    {parts}}}}}')
        entries.append(' "recipes": {\n' + ",\n".join(blocks) + "\n }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _by_part(changed: Mapping[str, str], count: int) -> list[str]:
    """A sentence for all recipes in which the same has changed."""
    names: dict[str, list[str]] = {}
    for name, parts in changed.items():
        names.setdefault(parts, []).append(name)
    return [
        f"{parts}: {f'all {count} recipes' if len(some) == count else ', '.join(some)}"
        for parts, some in names.items()
    ]


def _of_recipe(recipe: Recipe, seeds: Sequence[int]) -> dict:
    steps, parts = proof.of_recipe(recipe)
    images = samples.open_training_images(recipe)
    recipes = [recipe.with_seed(seed) for seed in seeds]
    ids = {str(r.seed): r.run_id(images.fingerprint) for r in recipes}
    return {"steps": steps, "runs": ids, "parts": parts | _of_data(recipes, images)}


def _of_data(recipes: Sequence[Recipe], images: ImageSet | PairSet) -> dict[str, Signature]:
    """The parts that need the recipe's real data: its scores, and each seed's batches."""
    first = recipes[0]
    rest, _ = data.hold_out(images, first.holdout)
    with proof.one_thread():
        parts = {"scores": _scores(first)}
        return parts | {f"batches {r.seed}": proof.of_batches(r, rest) for r in recipes}


def _scores(recipe: Recipe) -> Signature:
    """The identity and the untrained network on two test cases, as the chapter scores."""
    chapter = recipe.name.partition("/")[0]
    scoring = dict(getattr(studies.CHAPTERS[chapter], "SCORING", {}))
    side = scoring.pop("side", None)
    test = None
    if recipe.degradation is not None:
        test = data.open_images(recipe.data, "test")
        test = test.take(range(min(2, len(test))))
    model = models.build(recipe.model, recipe.model_args, recipe.seed).eval()
    method = restoration.of_model("untrained", model, "")
    two = itertools.islice(studies.cases(recipe, test, side), 2)
    rows = evaluation.evaluate([method], two, **scoring)
    left_out = ("method", "image", "scene", "seconds")
    return signature.of_numbers([v for row in rows for k, v in row.items() if k not in left_out])


def _some(rows: Sequence[Mapping]) -> list[dict]:
    """A tenth of the rows, at least one, in their order; without what they took."""
    count = math.ceil(len(rows) / SHARE)
    places = np.random.default_rng(0).choice(len(rows), count, replace=False)
    left_out = ("seconds", "scene", "run", "seed")
    return [{k: v for k, v in rows[i].items() if k not in left_out} for i in sorted(places)]


def still_holds(notebook: Path, old: Mapping, rows: Sequence[Mapping], show: Show = str) -> bool:
    """Whether a proof comes out the same now that a chapter has recorded these rows."""
    if "rows" in old:
        return not _other_rows(old, rows)
    return replay(notebook, old, show) == ([], [])


def _replay_rows(notebook: Path, old: Mapping, show: Show) -> tuple[list[str], list[str]]:
    """Execute the chapter as it was published, and look at the rows that its proof holds."""
    if not _is_here(old["data"]):
        return [], [old["data"]]
    outcome = _execute(notebook, old, show)
    if not outcome.rows:
        reason = (outcome.error or "it recorded no rows").split("\n")[0]
        return [f"{notebook.stem}: {reason}"], []
    other = _other_rows(old, outcome.rows)
    return [f"row: {', '.join(map(str, _key(row)))}" for row in other], []


def _other_rows(old: Mapping, rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows of a proof that are not among some others, or came out with other numbers."""
    alike = old["made"]["machine"] == machine.arithmetic()
    made = {_key(row): row for row in rows}
    return [row for row in old["rows"] if _is_other(row, made.get(_key(row), {}), alike)]


def _execute(notebook: Path, published: Mapping, show: Show) -> execute.Outcome:
    show(notebook.stem)
    given = {key: published[key] for key in ("profile", "data")}
    given["seed"] = published["seeds"][0]
    with tempfile.TemporaryDirectory() as folder:
        return execute.run_chapter(notebook, Path(folder) / notebook.name, given)


def _is_other(row: Mapping, new: Mapping, alike: bool) -> bool:
    """Whether a row came out with other numbers."""
    values = [(v, new.get(k)) for k, v in row.items() if k not in SAME_ROW]
    one, two = (signature.of_numbers(side) for side in zip(*values, strict=True))
    return bool(signature.differences({"scores": one}, {"scores": two}, alike))


def _key(row: Mapping) -> tuple:
    return tuple(row.get(name) for name in SAME_ROW)
