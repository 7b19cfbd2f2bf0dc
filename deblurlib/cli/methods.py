"""``deblur methods``: list the restoration methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from .command import app, show

if TYPE_CHECKING:
    from ..restoration import Method


@app.command()
def methods() -> None:
    """List the methods, and the runs that are methods, too."""
    from .. import restoration, runs
    from ..runs import players

    table = Table()
    for column in ("method", "needs the kernel", "receptive field, px", "tiled against whole"):
        table.add_column(column)
    table.add_column("what it does", overflow="fold")
    for name in [*restoration.METHODS, *restoration.shipped()]:
        method = restoration.find_method(name)
        table.add_row(
            name,
            "no" if method.blind else "yes",
            _field(method),
            _tiled(method),
            method.describes,
        )
    trained = [r for r in runs.listed(runs.root()) if r.outcome != "stopped" and not r.trouble]
    trained = [run for run in trained if run.recipe.restores]
    standing_of = runs.standings(trained)
    for run in trained:
        r = run.recipe
        notes = [f"{r.name}, {r.model} trained on {r.data}", f"seed {r.seed}, {r.steps} steps"]
        notes += [] if run.metrics["ending"] == "done" else [run.metrics["ending"]]
        notes += [] if standing_of[run.id] == "same code" else [standing_of[run.id]]
        method = restoration.of_model(r.name, players.build(r), "")
        known = "no" if method.blind else "yes"
        table.add_row(run.id, known, _field(method), _tiled(method), ", ".join(notes))
    show(table)


def _field(method: Method) -> str:
    return "all" if method.receptive_field is None else str(method.receptive_field)


def _tiled(method: Method) -> str:
    """How well restoring in tiles agrees with restoring the whole, as far as it is known."""
    from ..restoration.tiles import fits

    if fits(method):
        return "equal"
    return "not measured" if method.tiled_psnr is None else f"{method.tiled_psnr:.1f} dB"
