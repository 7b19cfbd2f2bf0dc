"""The chapters' experiments: which recipes at which profile, and how they are scored.

Each chapter has a module with a function ``recipes(profile, seed, data)``. A profile sets sizes
only, never what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import runs
from ..errors import InputError
from ..names import closest, unknown_name
from ..parameters import PROFILES
from ..runs import Recipe, Run
from . import classical, edge, gan, srcnn, srn, which
from .archive import Archive
from .scoring import cases, score
from .study import Study, open_study

__all__ = [
    "CHAPTERS",
    "PROFILES",
    "Archive",
    "Study",
    "cases",
    "find_recipe",
    "open_study",
    "recipes",
    "score",
    "train",
]

#: chapter -> its module
CHAPTERS = {"02": srcnn, "03": edge, "04": gan, "05": srn, "06": classical, "07": which}


def recipes(chapter: str, profile: str, seed: int = 0, data: str = "sample") -> list[Recipe]:
    """All recipes of a chapter, for one seed."""
    if chapter not in CHAPTERS:
        raise InputError(f"chapter {chapter!r} trains nothing; these do: {', '.join(CHAPTERS)}")
    if profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)
    return CHAPTERS[chapter].recipes(profile, seed, data)


def find_recipe(name: str, profile: str, seed: int = 0, data: str = "sample") -> Recipe:
    """A recipe by its name, ``NN/slug``."""
    chapter = name.partition("/")[0]
    chapters = [chapter] if chapter in CHAPTERS else list(CHAPTERS)
    candidates = [recipe for c in chapters for recipe in recipes(c, profile, seed, data)]
    for recipe in candidates:
        if recipe.name == name:
            return recipe
    like = closest(name, [recipe.name for recipe in candidates])
    listed = f"deblur recipes {chapters[0]}" if len(chapters) == 1 else "deblur recipes"
    raise InputError(f"no recipe {name!r}{like}; {listed} lists all {len(candidates)}")


def scoring_of(chapter: str) -> Mapping[str, Any]:
    """The options of :func:`score` that a chapter uses; empty if it uses the defaults."""
    return getattr(CHAPTERS[chapter], "SCORING", {})


def train(
    chapter: str,
    profile: str,
    seeds: Sequence[int],
    data: str = "sample",
    get: Callable[..., Run] = runs.train_or_load,
    **options: Any,
) -> list[Run]:
    """The runs of all recipes of a chapter for some seeds.

    Args:
        get: returns the run of a recipe, such as an archive's :meth:`Archive.run`.
        options: of :func:`deblurlib.runs.train_or_load`.

    Raises:
        InputError: a run was stopped for time, see ``max_minutes``; those before it are complete.
    """
    done = []
    for seed in seeds:
        for recipe in recipes(chapter, profile, seed, data):
            done.append(get(recipe, **options))
            if done[-1].outcome == "stopped":
                raise InputError(f"{recipe.name} was stopped for time: the same call goes on")
    return done
