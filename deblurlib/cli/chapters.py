"""``deblur report`` and ``deblur publish``: execute chapters."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InputError
from .command import Profile, Seed, app, short

if TYPE_CHECKING:
    from ..report.execute import Outcome

Chapters = Annotated[
    list[str] | None, typer.Argument(help="Two digits each; all if none is named.")
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", help="The data set: NAME, PATH or NAME=PATH; the last is used."),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", help="Another of the notebook's parameters: KEY=VALUE."),
]
Out = Annotated[Path, typer.Option(help="The build folder; everything is written below it.")]


@app.command()
def report(
    chapters: Chapters = None,
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
    site: Annotated[bool, typer.Option(help="Render the HTML site as well.")] = True,
) -> None:
    """Execute chapters and render them as a site; exit code 1 if one fails."""
    from ..report import execute
    from ..report import site as rendering

    outcomes = _run(chapters or [], profile, seed, data or [], parameter or [], out)
    console = Console(highlight=False)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"\n{outcome.notebook.name}: {outcome.error}", markup=False)
    console.print(_table(outcomes, profile))
    if site:
        page = rendering.build(outcomes, execute.project_root(), out.resolve())
        console.print(f"Open {short(page)} in a browser.", soft_wrap=True)
    raise typer.Exit(1 if any(o.error for o in outcomes) else 0)


@app.command()
def publish(
    chapter: Annotated[str, typer.Argument(help="The chapter's two digits.")],
    profile: Profile = "report",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
) -> None:
    """Execute a chapter and write its page, results and figures into the repository."""
    from ..report import execute
    from ..report import publish as publishing

    publishing.check_profile(profile)
    (outcome,) = _run([chapter], profile, seed, data or [], parameter or [], out)
    for path in publishing.publish(outcome, execute.project_root()):
        print(short(path))


def _run(
    chapters: Sequence[str],
    profile: str,
    seed: int,
    data: Sequence[str],
    parameter: Sequence[str],
    out: Path,
) -> list[Outcome]:
    from .. import runs
    from ..data import register
    from ..report import execute
    from ..report.results import write_files

    parameters = {"profile": profile, "seed": seed}
    for given in data:
        parameters["data"] = register(given)
    parameters |= dict(_key_value(text) for text in parameter)
    notebooks = execute.find_chapters(chapters, execute.project_root())
    for notebook in notebooks:  # before the first one runs
        execute.check_parameters(notebook, parameters)
    # The kernels run elsewhere: they must find the same store.
    os.environ["DEBLURLIB_RUNS"] = str(runs.root().resolve())
    out = out.resolve()
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for notebook in notebooks:
        print(f"{notebook.stem}, profile {profile} ...", flush=True)
        outcome = execute.run_chapter(notebook, out / "chapters" / notebook.name, parameters)
        outcomes.append(outcome)
        if outcome.results and not outcome.error:
            write_files(results, outcome.results, outcome.rows, outcome.timings)
    return outcomes


def _key_value(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"a parameter is given as KEY=VALUE, not {text!r}")
    try:
        return key, json.loads(value)  # numbers, true, false, null, "text", [lists]
    except json.JSONDecodeError:
        return key, value


def _table(outcomes: Sequence[Outcome], profile: str) -> Table:
    table = Table(title=f"Chapters, profile {profile}")
    table.add_column("chapter")
    table.add_column("seconds", justify="right")
    table.add_column("status")
    for outcome in outcomes:
        status = "failed: " + outcome.error.split("\n")[0] if outcome.error else "ok"
        table.add_row(outcome.notebook.stem, f"{outcome.seconds:.0f}", status)
    return table
