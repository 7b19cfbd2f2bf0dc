"""``deblur train``: one recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..places import register
from .command import (
    FAILED,
    TRAINING,
    Device,
    Profile,
    Seed,
    app,
    check_chapter,
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
    recipe: Annotated[str, typer.Argument(help="NN/slug, such as 02/motion.")],
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = "sample",
    max_minutes: Minutes = None,
    stale: Stale = "retrain",
    tensorboard: Board = None,
    device: Device = "auto",
) -> None:
    """Train a recipe, or find the run it has led to; a killed training goes on where it was."""
    check_profile(profile)
    check_chapter(recipe)
    source = register(data)
    from .. import runs, studies
    from ..machine import memory_for

    on = choose_device(device)
    wanted = studies.find_recipe(recipe, profile, seed, source)
    with memory_for(f"{recipe} on {on}", LESS):
        run = runs.train_or_load(wanted, stale, max_minutes, tensorboard)
    if run.outcome == "stopped":
        which = "" if run.name == wanted.name else f" of {run.recipe.name}, which comes first,"
        done, steps = run.step, run.recipe.steps
        print(f"stopped for time{which} at step {done} of {steps}: the same command goes on")
        raise typer.Exit(FAILED)
    print(scores_of(run))
