"""``deblur report``: execute chapters, and render them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InputError
from ..places import register
from .command import COURSE, Device, Profile, Seed, app, choose_device, short

if TYPE_CHECKING:
    from ..report.execute import Execution

Chapters = Annotated[
    list[str] | None,
    typer.Argument(help="Two digits each, or a page's key (01b); all if none is named."),
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


@app.command(rich_help_panel=COURSE)
def report(
    chapters: Chapters = None,
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
    device: Device = "auto",
    site: Annotated[bool, typer.Option(help="Render the HTML site as well.")] = True,
) -> None:
    """Execute chapters and render them as a site; exit code 1 if one fails."""
    from ..report import keys
    from ..report import site as rendering

    choose_device(device)
    if site:  # before the minutes that the chapters take
        rendering.check_installed()
    executions = [
        *execute_chapters(chapters or [], profile, seed, data or [], parameter or [], out)
    ]
    console = Console(highlight=False)
    for execution in executions:
        if execution.error:
            console.print(f"\n{execution.notebook.name}: {execution.error}", markup=False)
    console.print(_table(executions, profile))
    if site:
        page = rendering.build(executions, keys.project_root(), out.resolve())
        console.print(f"Open {short(page)} in a browser.", soft_wrap=True)
    else:
        console.print(
            f"What was executed is in {short(out.resolve() / 'chapters')}", soft_wrap=True
        )
    raise typer.Exit(1 if any(o.error for o in executions) else 0)


def execute_chapters(
    chapters: Sequence[str],
    profile: str,
    seed: int,
    data: Sequence[str],
    parameter: Sequence[str],
    out: Path,
) -> Iterator[Execution]:
    """Execute chapters into a build folder, one after the other; write what they recorded there."""
    from .. import runs
    from ..report import execute, keys
    from ..report.results import write_files

    parameters = {"profile": profile, "seed": seed}
    for source in data:
        parameters["data"] = register(source)
    parameters |= dict(_key_value(text) for text in parameter)
    notebooks = execute.find_chapters(chapters, keys.project_root())
    for notebook in notebooks:  # before the first one runs
        execute.check_parameters(notebook, parameters)
    # The kernels run elsewhere: they must find the same store.
    os.environ["DEBLURLIB_RUNS"] = str(runs.root().resolve())
    out = out.resolve()
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    for notebook in notebooks:
        print(f"{notebook.stem}, profile {profile} ...", flush=True)
        execution = execute.run_chapter(notebook, out / "chapters" / notebook.name, parameters)
        if execution.results and not execution.error:
            write_files(results, execution.results, execution.rows, execution.timings)
        yield execution


def _key_value(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"a parameter is given as KEY=VALUE, not {text!r}")
    try:
        return key, json.loads(value)  # numbers, true, false, null, "text", [lists]
    except json.JSONDecodeError:
        return key, value


def _table(executions: Sequence[Execution], profile: str) -> Table:
    table = Table(title=f"Chapters, profile {profile}")
    table.add_column("chapter")
    table.add_column("seconds", justify="right")
    table.add_column("status")
    for execution in executions:
        status = "failed: " + execution.error.split("\n")[0] if execution.error else "ok"
        table.add_row(execution.notebook.stem, f"{execution.seconds:.0f}", status)
    return table
