"""The proofs of what is published: ``reports/results/NN_proof.json``, made and replayed.

Of a chapter that trains, each recipe's proof (:mod:`deblurlib.runs.proof`), with the batches of all
seeds and the scores of an untrained network; of another one, a tenth of its rows with all digits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from .. import data, machine, studies
from ..data import ImageSet, PairSet, sources
from ..runs import Recipe, inputs, proof, signature
from ..runs.signature import Signature
from ..studies.scoring import scores_at_start
from . import rows_proof, stamp
from .summaries import other_summary

SCHEMA_VERSION = 1
Show = rows_proof.Show


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
        rows = rows_proof.execute_again(notebook, found, show).rows if rows is None else rows
        return found | {"rows": rows_proof.some(rows)}
    scoring = json.loads(json.dumps(studies.scoring_of(chapter)))  # as it is read again
    found |= {"scoring": scoring, "sets": {}, "tests": {}, "recipes": {}}
    for recipe in studies.recipes(chapter, results["profile"], about["seeds"][0], source):
        show(recipe.name)
        found["recipes"][recipe.name] = _of_recipe(recipe, about["seeds"])
        found["sets"][recipe.data] = inputs.open_training_images(recipe).fingerprint
        found["tests"][recipe.data] = inputs.open_test_images(recipe).fingerprint
    for recipe in more:
        if recipe.name not in found["recipes"]:
            steps, parts = proof.of_recipe(recipe)
            one = {"steps": steps, "recipe": asdict(recipe), "parts": parts}
            found["recipes"][recipe.name] = one
    return found


def replay(
    notebook: Path, old: Mapping, folder: Path, show: Show = str
) -> tuple[list[str], list[str]]:
    """Make a proof anew: what has changed, and the names of data sets that are not here.

    The published summary is compared, too: with what the published rows come to today or, of a
    chapter without trainings, with what it records today.

    Args:
        folder: of the published results.

    Returns:
        ``["batches 0, weights: 02/motion, 02/motion-5", ...]``, and ``["anime-faces"]``: then what
        needs these has not been looked at.
    """
    if "rows" in old:
        if not sources.is_here(old["data"]):
            return [], [old["data"]]
        return rows_proof.replay(notebook, old, folder, show), []
    alike = machine.is_alike(old["made"]["machine"])
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
            is_here = sources.is_here(source)
            missing |= set() if is_here else {source}
            known = {part: old.get(part, {}).get(source) for part in ("sets", "tests")}
            parts = _changes(one, recipes, known, is_here, alike)
        if parts:
            changed[name] = ", ".join(parts)
    sentences = _by_part(changed, len(old["recipes"]))
    return sentences + other_summary(folder, old["chapter"]), sorted(missing)


def _changes(
    one: Mapping, recipes: Sequence[Recipe], known: Mapping, is_here: bool, alike: bool
) -> list[str]:
    """What of a published recipe has changed.

    Args:
        recipes: as they are today, one for each seed.
        known: the fingerprints of the data that it was published with.
    """
    if known["sets"] is None:
        return ["recipe"]  # of other data
    ids = {str(r.seed): r.run_id(known["sets"]) for r in recipes}
    parts = [] if ids == one["runs"] else ["recipe"]
    parts += proof.replay(one["parts"], recipes[0], one["steps"], alike)
    if not is_here:
        return parts
    images = inputs.open_training_images(recipes[0])
    if images.fingerprint != known["sets"]:
        return [*parts, "data"]
    if known["tests"] not in (None, inputs.open_test_images(recipes[0]).fingerprint):
        return [*parts, "test data"]
    return parts + signature.differences(one["parts"], _of_data(recipes, images), alike)


def is_whole(old: object) -> bool:
    """Whether this is a proof, and not what is left of a damaged file."""
    if not isinstance(old, Mapping) or not {"made", "seeds", "profile", "data"} <= old.keys():
        return False
    if "rows" in old:
        return isinstance(old["rows"], list) and "machine" in old["made"]
    found = old.get("recipes")
    return isinstance(found, Mapping) and all(
        isinstance(one, Mapping) and "steps" in one and signature.is_whole(one.get("parts"))
        for one in found.values()
    )


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
    images = inputs.open_training_images(recipe)
    recipes = [recipe.with_seed(seed) for seed in seeds]
    ids = {str(r.seed): r.run_id(images.fingerprint) for r in recipes}
    return {"steps": steps, "runs": ids, "parts": parts | _of_data(recipes, images)}


def _of_data(recipes: Sequence[Recipe], images: ImageSet | PairSet) -> dict[str, Signature]:
    """The parts that need the recipe's real data: its scores, and each seed's batches."""
    first = recipes[0]
    rest, _ = data.hold_out(images, first.holdout)
    chapter = first.name.partition("/")[0]
    with proof.one_thread():
        parts = {"scores": scores_at_start(first, studies.scoring_of(chapter))}
        return parts | {f"batches {r.seed}": proof.of_batches(r, rest) for r in recipes}


def still_holds(notebook: Path, old: Mapping, new: Mapping, folder: Path, show: Show = str) -> bool:
    """Whether a proof is of what is published now, as ``new`` is, and comes out the same.

    Args:
        new: ``results``, ``rows`` and ``recipes``, as recorded.
        folder: of the results that were published before.
    """
    results, about = new["results"], new["results"]["stamp"]
    header = (results["profile"], about["seeds"], about["data"][0]["name"])
    if header != (old["profile"], old["seeds"], old["data"]):
        return False
    if ("rows" in old) != (results["chapter"] not in studies.CHAPTERS) or not is_whole(old):
        return False
    if "rows" in old:
        return not rows_proof.others(old, new["rows"])
    own = {name: one["recipe"] for name, one in old["recipes"].items() if "recipe" in one}
    for recipe in new["recipes"]:
        values = json.loads(recipe.with_seed(own.get(recipe.name, {}).get("seed", 0)).to_json())
        if recipe.name not in old["recipes"] or values != own.get(recipe.name, values):
            return False
    return replay(notebook, old, folder, show) == ([], [])
