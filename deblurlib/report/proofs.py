"""Make and replay the proofs of published pages, ``reports/results/KEY_proof.json``.

For a chapter that trains, a proof holds each recipe's proof (:mod:`deblurlib.runs.proof`) with the
batches of all seeds and the scores of the untrained network. For any other chapter, it holds a
tenth of the rows, with all digits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import data, machine, places, studies
from ..data import AnySet
from ..runs import Recipe, inputs, proof, signature
from ..runs.signature import Signature
from ..studies.scoring import scores_at_start
from . import rows_proof, stamp
from .keys import chapter_of
from .summary_check import other_summary

__all__ = ["make", "replay"]

SCHEMA_VERSION = 1
Show = rows_proof.Show


def make(
    notebook: Path,
    results: Mapping,
    rows: Sequence[Mapping] | None = None,
    more: Sequence[Recipe] = (),
    show: Show = str,
) -> dict:
    """Make the proof of what a chapter has recorded, with the current code.

    Args:
        results: the chapter's results as recorded, with their stamp.
        rows: its rows as recorded, with all digits; by default the chapter is executed for them.
        more: recipes that the chapter has trained besides those of its study, on data that may be
            gone by now.
        show: is called with the name of each recipe before its proof is made.
    """
    chapter, about = results["chapter"], results["stamp"]
    source = about["data"][0]["name"]
    origin: dict[str, Any] = {
        "code": stamp.code_hash(notebook, about["data"]),
        "commit": stamp.commit(),
    }
    origin |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine.arithmetic()}
    contents: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "chapter": chapter,
        "profile": results["profile"],
    }
    contents |= {"seeds": about["seeds"], "data": source, "made": origin}
    if chapter_of(chapter) not in studies.CHAPTERS:
        rows = rows_proof.execute_again(notebook, contents, show).rows if rows is None else rows
        return contents | {"rows": rows_proof.some(rows)}
    # as in the file: tuples become lists
    scoring = json.loads(json.dumps(studies.scoring_of(chapter_of(chapter))))
    contents |= {"scoring": scoring, "sets": {}, "tests": {}, "recipes": {}}
    own = studies.recipes(chapter_of(chapter), results["profile"], about["seeds"][0], source)
    for recipe in own:
        show(recipe.name)
        contents["recipes"][recipe.name] = _of_recipe(recipe, about["seeds"])
        contents["sets"][_set_of(recipe)] = inputs.open_training_images(recipe).fingerprint
        contents["tests"][recipe.data] = inputs.open_test_images(recipe).fingerprint
    for recipe in [*more, *(part for whole in more for part in _parts_of(whole))]:
        if recipe.name not in contents["recipes"]:
            steps, parts = proof.of_recipe(recipe)
            entry = {"steps": steps, "recipe": asdict(recipe), "parts": parts}
            contents["recipes"][recipe.name] = entry
    return contents


def replay(
    notebook: Path, old: Mapping, folder: Path, show: Show = str
) -> tuple[list[str], list[str]]:
    """Replay a proof: say what has changed, and which data sets are not on this machine.

    The published summary is checked, too: against the published rows or, for a chapter without
    trainings, against what the chapter records today.

    Args:
        folder: the folder of the published results.

    Returns:
        the changes, such as ``["batches 0, weights: 02/motion, 02/motion-5", ...]``, and the names
        of missing data sets, such as ``["anime-faces"]``; what needs these was not checked.
    """
    if "rows" in old:
        if not places.is_here(old["data"]):
            return [], [old["data"]]
        return rows_proof.replay(notebook, old, folder, show), []
    alike = machine.is_alike(old["made"]["machine"])
    chapter = chapter_of(old["chapter"])
    by_seed = [
        {r.name: r for r in studies.recipes(chapter, old["profile"], seed, old["data"])}
        for seed in old["seeds"]
    ]
    changed = {n: "not published" for n in sorted(by_seed[0].keys() - old["recipes"].keys())}
    missing = set()
    for name, entry in old["recipes"].items():
        show(name)
        if "recipe" in entry:  # trained by the chapter itself, not by its study
            parts = proof.replay(entry["parts"], Recipe(**entry["recipe"]), entry["steps"], alike)
        elif name not in by_seed[0]:
            parts = ["gone"]
        else:
            recipes = [recipes[name] for recipes in by_seed]
            is_here = places.is_here(recipes[0].data)
            missing |= set() if is_here else {recipes[0].data}
            parts = _changes(entry, recipes, old, is_here, alike)
        if parts:
            changed[name] = ", ".join(parts)
    sentences = _by_part(changed, len(old["recipes"]))
    return sentences + other_summary(folder, old["chapter"]), sorted(missing)


def _changes(
    entry: Mapping, recipes: Sequence[Recipe], old: Mapping, is_here: bool, alike: bool
) -> list[str]:
    """The parts of a published recipe and its proof that have changed.

    Args:
        recipes: as they are today, one for each seed.
        old: the whole proof, which holds the fingerprints of the data.
    """
    sets, test = old.get("sets", {}), old.get("tests", {}).get(recipes[0].data)
    if _set_of(recipes[0]) not in sets:
        return ["recipe"]  # it was published with other data
    ids = {str(r.seed): _run_id(r, sets) for r in recipes}
    parts = [] if ids == entry["runs"] else ["recipe"]
    parts += proof.replay(entry["parts"], recipes[0], entry["steps"], alike)
    if not is_here:
        return parts
    images = inputs.open_training_images(recipes[0])
    if images.fingerprint != sets[_set_of(recipes[0])]:
        return [*parts, "data"]
    if test not in (None, inputs.open_test_images(recipes[0]).fingerprint):
        return [*parts, "test data"]
    return parts + signature.differences(entry["parts"], _of_data(recipes, images), alike)


def _run_id(recipe: Recipe, sets: Mapping[str, str]) -> str:
    """The id of the run on published data, which may not be here."""
    parts = {name: _run_id(part, sets) for name, part in recipe.parts.items()}
    return recipe.run_id(sets.get(_set_of(recipe), ""), parts)


def _set_of(recipe: Recipe) -> str:
    """Under which name the fingerprint of a recipe's training images is kept."""
    return recipe.data if recipe.images is None else f"{recipe.data}, first {recipe.images}"


def _parts_of(recipe: Recipe) -> list[Recipe]:
    """All that a recipe stands on."""
    below = [_parts_of(part) for part in recipe.parts.values()]
    return [*recipe.parts.values(), *(part for parts in below for part in parts)]


def is_whole(old: object) -> bool:
    """Whether ``old`` has the form of a proof; the content of a damaged file has not."""
    if not isinstance(old, Mapping) or not {"made", "seeds", "profile", "data"} <= old.keys():
        return False
    if "rows" in old:
        return isinstance(old["rows"], list) and "machine" in old["made"]
    recipes = old.get("recipes")
    return isinstance(recipes, Mapping) and all(
        isinstance(entry, Mapping) and "steps" in entry and signature.is_whole(entry.get("parts"))
        for entry in recipes.values()
    )


def to_text(contents: Mapping) -> str:
    """A proof as JSON text, a line for each part or row, so that a diff shows what changed."""

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    entries = [
        f' "{key}": {line(contents[key])}' for key in contents if key not in ("recipes", "rows")
    ]
    if "rows" in contents:
        entries.append(' "rows": [\n  ' + ",\n  ".join(map(line, contents["rows"])) + "\n ]")
    if "recipes" in contents:
        blocks = []
        for name, entry in contents["recipes"].items():
            parts = ",\n    ".join(f"{line(k)}: {line(v)}" for k, v in entry["parts"].items())
            rest = ", ".join(f"{line(k)}: {line(v)}" for k, v in entry.items() if k != "parts")
            blocks.append(f'  {line(name)}: {{{rest}, "parts": {{\n    {parts}}}}}')
        entries.append(' "recipes": {\n' + ",\n".join(blocks) + "\n }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _by_part(changed: Mapping[str, str], count: int) -> list[str]:
    """A line for each set of changed parts, with the recipes in which they have changed."""
    names_by_parts: dict[str, list[str]] = {}
    for name, parts in changed.items():
        names_by_parts.setdefault(parts, []).append(name)
    return [
        f"{parts}: {f'all {count} recipes' if len(names) == count else ', '.join(names)}"
        for parts, names in names_by_parts.items()
    ]


def _of_recipe(recipe: Recipe, seeds: Sequence[int]) -> dict:
    steps, parts = proof.of_recipe(recipe)
    images = inputs.open_training_images(recipe)
    recipes = [recipe.with_seed(seed) for seed in seeds]
    ids = {str(r.seed): inputs.run_id(r, images) for r in recipes}
    return {"steps": steps, "runs": ids, "parts": parts | _of_data(recipes, images)}


def _of_data(recipes: Sequence[Recipe], images: AnySet) -> dict[str, Signature]:
    """The parts that need the recipe's real data: its scores, and each seed's batches."""
    first = recipes[0]
    rest, _ = data.hold_out(images, first.holdout)
    chapter = first.name.partition("/")[0]
    with proof.one_thread():
        parts = {"scores": scores_at_start(first, studies.scoring_of(chapter))}
        return parts | {f"batches {r.seed}": proof.of_batches(r, rest) for r in recipes}


def still_holds(notebook: Path, old: Mapping, new: Mapping, folder: Path, show: Show = str) -> bool:
    """Whether an old proof belongs to new results, too, and comes out the same when replayed.

    Args:
        new: the entries ``results``, ``rows`` and ``recipes``, as recorded.
        folder: the folder of the results that were published before.
    """
    results, about = new["results"], new["results"]["stamp"]
    header = (results["profile"], about["seeds"], about["data"][0]["name"])
    if header != (old["profile"], old["seeds"], old["data"]):
        return False
    if ("rows" in old) != (chapter_of(results["chapter"]) not in studies.CHAPTERS) or not is_whole(
        old
    ):
        return False
    if "rows" in old:
        return not rows_proof.others(old, new["rows"])
    # not their texts: fields that a recipe has got since have the default that means the same
    entries = old["recipes"].items()
    extra = {name: Recipe(**entry["recipe"]) for name, entry in entries if "recipe" in entry}
    for recipe in new["recipes"]:
        before = extra.get(recipe.name)
        if recipe.name not in old["recipes"]:
            return False
        if before and recipe.with_seed(before.seed).to_json() != before.to_json():
            return False
    return replay(notebook, old, folder, show) == ([], [])
