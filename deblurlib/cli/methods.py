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
    from .. import models, restoration, runs

    table = Table()
    for column in ("method", "needs the kernel", "receptive field, px", "tiled against whole"):
        table.add_column(column)
    table.add_column("what it does", overflow="fold")
    for name in [*restoration.METHODS, *restoration.shipped()]:
        method = restoration.find_method(name)
        table.add_row(
            name,
            "no" if method.blind else "yes",
            "all" if method.receptive_field is None else str(method.receptive_field),
            _tiled(method),
            method.describes,
        )
    trained = [r for r in runs.listed(runs.root()) if r.outcome != "stopped" and not r.trouble]
    standing_of = runs.standings(trained)
    for run in trained:
        r = run.recipe
        notes = [f"{r.name}, {r.model} trained on {r.data}", f"seed {r.seed}, {r.steps} steps"]
        notes += [] if standing_of[run.id] == "same code" else [standing_of[run.id]]
        method = restoration.of_model(r.name, models.build(r.model, r.model_args, 0), "")
        table.add_row(run.id, "no", str(method.receptive_field), _tiled(method), ", ".join(notes))
    show(table)


def _tiled(method: Method) -> str:
    """How well restoring in tiles agrees with restoring the whole, as far as it is known."""
    from ..restoration.tiles import fits

    if fits(method):
        return "equal"
    return "not measured" if method.tiled_psnr is None else f"{method.tiled_psnr:.1f} dB"
