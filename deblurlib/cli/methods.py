"""``deblur methods``: list the restoration methods, or show one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import InputError
from .command import (
    DEFAULT,
    PHOTOS,
    STDOUT,
    JsonLines,
    app,
    check_json,
    check_method,
    propose_methods,
    show,
    write_json,
)
from .watching import about

if TYPE_CHECKING:
    from ..restoration import Method


SIDE = 256  # pixels: of the picture that a method is timed on


@app.command(rich_help_panel=PHOTOS)
def methods(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A method: show it, its settings and what it costs.",
            autocompletion=propose_methods,
        ),
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List your trainings that are methods.")
    ] = False,
    json_file: JsonLines = None,
) -> None:
    """List the methods, or the runs that are methods, or show one method and its settings."""
    if name is not None and runs:
        raise InputError("give either a method's name or --runs")
    if name is not None:
        check_method(name)
    check_json(json_file)
    from .. import restoration

    if name is not None:
        method = restoration.find_method(name)
        seconds = seconds_per_megapixel(method)
        if json_file is not None:
            write_json(json_file, [_record(name, method, method.describes, seconds)])
        if json_file != STDOUT:
            _print(method, seconds)
        return
    listed = list(_of_runs() if runs else _of_library())
    if json_file is not None:
        write_json(json_file, (_record(*one) for one in listed))
    if json_file == STDOUT:
        return
    table = Table()
    table.add_column("method", no_wrap=True)
    table.add_column("kernel")
    table.add_column("what it does", overflow="fold")
    for title, method, describes in listed:
        table.add_row(title, method.about_kernel, describes)
    show(table)
    if runs and not table.row_count:
        print("no run is a method yet: deblur train makes one")
    if not runs:
        print(f"{DEFAULT} is the default; deblur methods NAME shows one, and its settings")


def _record(
    name: str, method: Method, describes: str, seconds: float | None = None
) -> dict[str, object]:
    """A method for a program; with its time only where one method is asked for."""
    from ..restoration import tiles

    record: dict[str, object] = {
        "name": name,
        "describes": describes,
        "kernel": method.about_kernel or "not used",
        "receptive_field": method.receptive_field,
        "tiles_equal": tiles.fits(method),
        "tiled_psnr": method.tiled_psnr,
        "contaminated": list(method.contaminated),
        "settings": {
            key: {
                "value": setting.value,
                "describes": setting.describes,
                "least": setting.least,
                "most": None if math.isinf(setting.most) else setting.most,
                "choices": list(setting.choices),
            }
            for key, setting in method.settings.items()
        },
    }
    return record if seconds is None else record | {"seconds_per_megapixel": round(seconds, 3)}


def seconds_per_megapixel(method: Method) -> float:
    """How long a colour picture takes on this machine, measured now on a small one."""
    import torch

    from .. import degrade, psf

    k = psf.motion(9, 30)
    y = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    y = degrade.convolve(y, k)
    kernel = None if method.blind else k
    method(y[..., :64, :64], kernel)  # the first call prepares
    began = time.perf_counter()
    method(y, kernel)
    return (time.perf_counter() - began) / SIDE**2 * 1e6


def _print(method: Method, seconds: float) -> None:
    """One method, all that is known of it, and what may be set."""
    print(f"{method.name}: {method.describes}")
    needed = {"needed": "yes", "found": "no, it finds it"}.get(method.about_kernel, "no")
    print(f"needs the kernel: {needed}")
    print(f"receptive field: {_field(method)}" + " pixels" * (method.receptive_field is not None))
    print(f"in tiles, against the whole: {_tiled(method)}")
    took = about(seconds) if seconds >= 1 else f"{seconds:.1g} s"
    print(f"time: {took} a megapixel, measured now on {SIDE} x {SIDE} pixels")
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
    from ..restoration import tiles

    if tiles.fits(method):
        return "equal"
    return "not measured" if method.tiled_psnr is None else f"{method.tiled_psnr:.1f} dB"
