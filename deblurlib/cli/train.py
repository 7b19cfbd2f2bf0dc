"""``deblur train``: one recipe."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..places import register
from .command import (
    FAILED,
    TRAINING,
    Device,
    Profile,
    Seed,
    app,
    as_chapter,
    check_profile,
    choose_device,
)
from .runs import scores_of

Data = Annotated[str, typer.Option(help="The data set: NAME, PATH or NAME=PATH.")]
Minutes = Annotated[
    float | None,
    typer.Option(min=0, help="Stop after so long, with a checkpoint, and exit code 1."),
]
Stale = Annotated[
    str, typer.Option(help="What to do with a run whose code or data changed: retrain or load.")
]
LESS = "a recipe with a smaller batch or crop needs less"  # of memory
Board = Annotated[Path | None, typer.Option(help="Also write the history there, for TensorBoard.")]


@app.command(rich_help_panel=TRAINING)
def train(
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...", help="NN/SLUG, such as 02/motion; deblur recipes lists them."
        ),
    ],
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = "sample",
    max_minutes: Minutes = None,
    stale: Stale = "retrain",
    tensorboard: Board = None,
    device: Device = "auto",
) -> None:
    """Train recipes, or find the runs they have led to; a killed training goes on where it was."""
    check_profile(profile)
    wanted = [as_chapter(name) for name in wanted]
    for name in wanted:
        if "/" not in name:
            raise InputError(f"{name} is a chapter: deblur study {name} trains all of its recipes")
    source = register(data)
    from .. import runs, studies
    from ..machine import memory_for

    recipes = [studies.find_recipe(name, profile, seed, source) for name in wanted]
    on = choose_device(device)
    ends = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    for recipe in recipes:
        left = None if max_minutes is None else max(ends - time.monotonic(), 0) / 60
        with memory_for(f"{recipe.name} on {on}", LESS):
            run = runs.train_or_load(recipe, stale, left, tensorboard)
        if run.outcome == "stopped":
            which = "" if run.name == recipe.name else f" of {run.recipe.name}, which comes first,"
            done, steps = run.step, run.recipe.steps
            print(f"stopped for time{which} at step {done} of {steps}: the same command goes on")
            raise typer.Exit(FAILED)
        print(scores_of(run))
