"""``deblur methods``: list the restoration methods, or show one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import InputError
from .command import DEFAULT, app, show

if TYPE_CHECKING:
    from ..restoration import Method


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="A method: show it and its settings.")] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List your trainings that are methods.")
    ] = False,
) -> None:
    """List the methods, or the runs that are methods, or show one method and its settings."""
    from .. import restoration

    if name is not None and runs:
        raise InputError("give either a method's name or --runs")
    if name is not None:
        _print(restoration.find_method(name))
        return
    table = Table()
    table.add_column("method", no_wrap=True)
    table.add_column("kernel")
    table.add_column("what it does", overflow="fold")
    listed = _of_runs() if runs else _of_library()
    for title, method, describes in listed:
        table.add_row(title, method.about_kernel, describes)
    show(table)
    if runs and not table.row_count:
        print("no run is a method yet: deblur train makes one")
    if not runs:
        print(f"{DEFAULT} is the default; deblur methods NAME shows one, and its settings")


def _print(method: Method) -> None:
    """One method, all that is known of it, and what may be set."""
    print(f"{method.name}: {method.describes}")
    needed = {"needed": "yes", "found": "no, it finds it"}.get(method.about_kernel, "no")
    print(f"needs the kernel: {needed}")
    print(f"receptive field: {_field(method)}" + " pixels" * (method.receptive_field is not None))
    print(f"in tiles, against the whole: {_tiled(method)}")
    if method.contaminated:
        print(f"not to be scored on: {', '.join(method.contaminated)}")
    if not method.settings:
        print("it has no settings")
        return
    table = Table()
    for column in ("--set", "by default", "what it is"):
        table.add_column(column, overflow="fold")
    for name, setting in method.settings.items():
        told = f"; one of {', '.join(setting.choices)}" if setting.choices else ""
        table.add_row(name, str(setting.value), setting.describes + told)
    show(table)


def _of_library() -> Iterable[tuple[str, Method, str]]:
    from .. import restoration

    for name in [*restoration.METHODS, *restoration.shipped()]:
        method = restoration.find_method(name)
        yield name, method, method.describes


def _of_runs() -> Iterable[tuple[str, Method, str]]:
    from .. import restoration, runs
    from ..runs import players

    trained = [r for r in runs.listed(runs.root()) if r.outcome != "stopped" and not r.trouble]
    trained = [run for run in trained if run.recipe.restores]
    standing_of = runs.standings(trained)
    for run in trained:
        r = run.recipe
        notes = [f"{r.name}, {r.model} trained on {r.data}", f"seed {r.seed}, {r.steps} steps"]
        notes += [] if run.metrics["ending"] == "done" else [run.metrics["ending"]]
        notes += [] if standing_of[run.id] == "same code" else [standing_of[run.id]]
        yield run.id, restoration.of_model(r.name, players.build(r), ""), ", ".join(notes)


def _field(method: Method) -> str:
    return "all" if method.receptive_field is None else str(method.receptive_field)


def _tiled(method: Method) -> str:
    """How well restoring in tiles agrees with restoring the whole, as far as it is known."""
    from ..restoration.tiles import fits

    if fits(method):
        return "equal"
    return "not measured" if method.tiled_psnr is None else f"{method.tiled_psnr:.1f} dB"
