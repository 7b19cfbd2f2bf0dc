"""``deblur train``, ``deblur study`` and ``deblur runs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import InputError
from .command import Profile, Seed, app, parse_seeds, show

if TYPE_CHECKING:
    from ..runs import Run

Data = Annotated[str, typer.Option(help="The data set: NAME, PATH or NAME=PATH.")]
Minutes = Annotated[
    float | None,
    typer.Option(min=0, help="Stop after so long, with a checkpoint, and exit code 1."),
]
Stale = Annotated[
    str, typer.Option(help="What to do with a run whose code or data changed: retrain or load.")
]
Board = Annotated[Path | None, typer.Option(help="Also write the history there, for TensorBoard.")]

store_app = typer.Typer(help="Look at the runs in the store.", no_args_is_help=True)
app.add_typer(store_app, name="runs")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="NN/slug, such as 02/motion.")],
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = "sample",
    max_minutes: Minutes = None,
    stale: Stale = "retrain",
    tensorboard: Board = None,
) -> None:
    """Train a recipe, or find the run it has led to; a killed training goes on where it was."""
    from .. import runs, studies
    from ..data import register

    wanted = studies.find_recipe(recipe, profile, seed, register(data))
    run = runs.train_or_load(wanted, stale, max_minutes, tensorboard)
    if run.outcome == "stopped":
        done = int(run.folder.name)
        print(f"stopped for time at step {done} of {wanted.steps}: the same command goes on")
        raise typer.Exit(1)
    print(_score(run))


@app.command()
def study(
    chapter: Annotated[str, typer.Argument(help="The chapter's two digits.")],
    profile: Profile = "quick",
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "0",
    data: Data = "sample",
    side: Annotated[
        int | None, typer.Option(help="Score the middle of each image; by default all of it.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a row an image and method there; .gz: packed.")
    ] = None,
    max_minutes: Minutes = None,
    stale: Stale = "retrain",
) -> None:
    """Train all recipes of a chapter, or find their runs, and score them on the test images."""
    from .. import evaluation, studies
    from ..data import register
    from ..files import write_whole
    from ..studies.rows import pack, to_csv, without_seconds

    numbers, data = parse_seeds(seeds), register(data)
    for recipe in studies.recipes(chapter, profile, numbers[0], data):
        next(studies.cases(recipe, side=side))  # what is wrong with them is known before
    trained = studies.train(chapter, profile, numbers, data, max_minutes=max_minutes, stale=stale)
    table = Table(title=f"Chapter {chapter}, profile {profile}, test images of {data}")
    for column in (
        "recipe",
        "seed",
        "n",
        "identity",
        "PSNR",
        "gain",
        "SSIM gaussian-rgb",
        "win rate",
    ):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    rows = []
    for run in trained:
        own = studies.score([run], side=side, protocols=("gaussian-rgb",))
        known = {evaluation.case_of(row) for row in rows}  # the identity has one row a case
        rows += [r for r in own if "run" in r or evaluation.case_of(r) not in known]
        line = evaluation.summary(own)[-1]
        values = (line["identity_psnr"], line["psnr"], line["psnr_gain"], line["ssim"])
        texts = ["-" if v is None else f"{v:.3f}" for v in values]
        name = run.recipe.name + (" (stale)" if run.changed else "")
        share = f"{line['win_rate']:.0%}"
        table.add_row(name, str(run.recipe.seed), str(line["n"]), *texts, share)
    if csv is not None:
        text = to_csv(without_seconds(rows)[0])
        write_whole(csv, pack(text) if csv.suffix == ".gz" else text)
    show(table)


@store_app.command("list")
def list_runs() -> None:
    """List all runs: their state, and their validation scores.

    "same code" as now; "proved": the code is another, and the run's proof came out the same with
    it; "other code": the next deblur train will see. Nothing is computed here.
    """
    from .. import runs

    table = Table(title=f"Runs in {runs.root()}")
    for column in ("id", "recipe", "seed", "data", "steps", "state", "validation, dB", "identity"):
        table.add_column(column, justify="right" if column in ("seed", "steps") else "left")
    found = runs.listed(runs.root())
    known = runs.standings([run for run in found if not run.trouble])
    for run in found:
        try:
            table.add_row(*_line(run, known.get(run.id, "")))
        except (InputError, KeyError):  # of one that is trained now, the files change meanwhile
            training = runs.is_training(runs.root(), run.id)
            state = "training" if training else run.trouble or "damaged"
            table.add_row(run.id, *[""] * 4, state, "", "")
    show(table)


@store_app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="An id or its beginning, or a recipe's name.")],
) -> None:
    """Show a run: its recipe, what it was made with, its history."""
    from .. import runs

    found = runs.find(runs.root(), run)
    print(f"{found.folder}: {_state(found, runs.standing(found))}")
    print(found.recipe.to_json())
    env = found.env
    for part in [*env["before"], env]:
        print(f"made on {part['device']}; processes: {part['processes']}")
        print(", ".join(f"{name} {number}" for name, number in part["versions"].items()))
    print(f"data {env['data']['name']}, fingerprint {env['data']['fingerprint']}")
    if found.outcome != "stopped":
        print(_score(found))
    for row in found.history:
        print("  ".join(f"{key} {value:g}" for key, value in row.items()))


@store_app.command("rm")
def remove_runs(
    wanted: Annotated[list[str], typer.Argument(metavar="ID...", help="An id, or its beginning.")],
) -> None:
    """Remove runs, with their checkpoints."""
    from .. import runs

    # all are found before the first one goes
    for run in [runs.find(runs.root(), name, by_name=False) for name in wanted]:
        removed = f"removed {run.id} ({run.title})"
        runs.remove(runs.root(), run.id)
        print(removed)


def _line(run: Run, standing: str) -> list[str]:
    r, scores = run.recipe, ["", ""]
    if run.outcome != "stopped":
        values = (run.metrics["val_psnr"], run.metrics["val_psnr_identity"])
        scores = ["-" if v is None else f"{v:.2f}" for v in values]
    return [run.id, r.name, str(r.seed), r.data, str(r.steps), _state(run, standing), *scores]


def _state(run: Run, standing: str) -> str:
    from .. import runs

    if run.trouble:
        return run.trouble
    if run.outcome == "stopped":
        is_training = runs.is_training(runs.root(), run.id)
        return f"{'training, after' if is_training else 'stopped at'} step {int(run.folder.name)}"
    ending = "complete" if run.metrics["ending"] == "done" else run.metrics["ending"]
    return f"{ending}, {standing}"


def _score(run: Run) -> str:
    m = run.metrics
    if m["val_psnr"] is None:
        return f"{m['ending']} at step {m['step']}"
    return (
        f"{m['step']} steps, {m['parameters']} parameters; validation {m['val_psnr']:.2f} dB, "
        f"identity {m['val_psnr_identity']:.2f} dB"
    )
