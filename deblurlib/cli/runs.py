"""``deblur runs``: look at the runs in the store, and remove them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import InputError
from .command import STDOUT, TRAINING, App, JsonLines, app, check_json, show, write_json

if TYPE_CHECKING:
    from ..runs import Run

store_app = App(help="Look at the runs in the store.", no_args_is_help=True)
app.add_typer(store_app, name="runs", rich_help_panel=TRAINING)


@store_app.command("list")
def list_runs(json_file: JsonLines = None) -> None:
    """List all runs: their state, and their validation scores.

    "same code" as now; "proved": the code is another, and the run's proof came out the same with
    it; "other code": the next deblur train will see; "other data"; "other parts": what it stands on
    was trained anew. Nothing is computed here.
    """
    check_json(json_file)
    from .. import runs

    if json_file is not None:
        write_json(json_file, _records())
    if json_file == STDOUT:
        return
    table = Table(title=f"Runs in {runs.root()}")
    for column in ("id", "recipe", "seed", "data", "steps", "state", "validation, dB", "identity"):
        table.add_column(column, justify="right" if column in ("seed", "steps") else "left")
    listed = runs.listed(runs.root())
    standing_of = runs.standings([run for run in listed if not run.trouble])
    for run in listed:
        try:
            table.add_row(*_line(run, standing_of.get(run.id, "")))
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

    chosen = runs.find(runs.root(), run)
    print(f"{chosen.folder}: {_state(chosen, runs.standing(chosen))}")
    print(chosen.recipe.to_json())
    env = chosen.env
    for part in [*env["before"], env]:
        print(f"made on {part['device']}; processes: {part['processes']}")
        print(", ".join(f"{name} {number}" for name, number in part["versions"].items()))
    print(f"data {env['data']['name']}, fingerprint {env['data']['fingerprint']}")
    for name, part in env.get("parts", {}).items():
        print(f"stands on the run {part['run']}: {name}")
    if chosen.outcome != "stopped":
        print(scores_of(chosen))
    for row in chosen.history:
        print("  ".join(f"{key} {value:g}" for key, value in row.items()))


@store_app.command("rm")
def remove_runs(
    wanted: Annotated[list[str], typer.Argument(metavar="ID...", help="An id, or its beginning.")],
) -> None:
    """Remove runs, with their checkpoints."""
    from .. import runs

    for name in wanted:
        if "/" in name:
            raise InputError(f"{name}: runs are removed by their ids; deblur runs list shows them")
    # all are found before the first one goes
    for run in [runs.find(runs.root(), name, by_name=False) for name in wanted]:
        removed = f"removed {run.id} ({run.title})"
        runs.remove(runs.root(), run.id)
        print(removed)


def _records() -> Iterator[dict[str, object]]:
    """All runs, each for a program."""
    from .. import runs

    listed = runs.listed(runs.root())
    standing_of = runs.standings([run for run in listed if not run.trouble])
    for run in listed:
        told: dict[str, object] = {"id": run.id, "folder": str(run.folder), "trouble": run.trouble}
        try:
            state = _state(run, standing_of.get(run.id, ""))
            scores = {} if run.outcome == "stopped" else run.metrics
            told |= {"recipe": asdict(run.recipe), "state": state, "metrics": dict(scores)}
        except (InputError, KeyError):  # of one that is trained now, the files change meanwhile
            told |= {"recipe": None, "state": "training", "metrics": {}}
        yield told


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
        return f"{'training, after' if is_training else 'stopped at'} step {run.step}"
    ending = "complete" if run.metrics["ending"] == "done" else run.metrics["ending"]
    return f"{ending}, {standing}"


def scores_of(run: Run) -> str:
    """How a training ended, in a line."""
    m = run.metrics
    if m["ending"] != "done":
        return f"{m['ending']} at step {m['step']}"
    if m["val_psnr"] is None:  # its network makes no image
        return f"{m['step']} steps, {m['parameters']} parameters; validation loss {m['val_loss']:g}"
    return (
        f"{m['step']} steps, {m['parameters']} parameters; validation {m['val_psnr']:.2f} dB, "
        f"identity {m['val_psnr_identity']:.2f} dB"
    )
