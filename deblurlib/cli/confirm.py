"""``deblur confirm``: check whether the code still leads to what is published."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import InputError
from ..places import register
from .command import COURSE, Device, Seed, app, choose_device, show
from .report import Chapters

if TYPE_CHECKING:
    from ..report.state import Page


@app.command(rich_help_panel=COURSE)
def confirm(
    chapters: Chapters = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Where a data set lies: NAME=PATH.")
    ] = None,
    again: Annotated[
        bool, typer.Option(help="Replay also where the code is the same as before.")
    ] = False,
    anew: Annotated[
        bool, typer.Option(help="Record the proofs anew, if the old ones come out the same.")
    ] = False,
    whole: Annotated[
        int | None, typer.Option(min=1, help="Instead: train so many runs from the beginning.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Replay the proofs of published chapters: has any published number moved?

    Exit code 1 if one has. Only the entry "confirmed" of a results file is written; with --anew,
    the proof, too.
    """
    from ..report import execute, keys
    from ..report.state import published

    choose_device(device)  # for --whole and for chapters without trainings; proofs: the processor
    for source in data or []:
        register(source)
    root = keys.project_root()
    notebooks = execute.find_chapters(chapters or [], root)
    pages = [page for n in notebooks if (page := published(n, root)) is not None]
    if not pages:
        raise InputError("nothing is published of what was named")
    if whole is not None:
        _retrain(pages, whole, seed)
        return
    replayed = [_confirm(page, again or anew, anew) for page in pages]
    raise typer.Exit(1 if any(page.state.word == "changed" for page in replayed) else 0)


def _confirm(page: Page, again: bool, anew: bool) -> Page:
    from ..report import confirm as confirming

    began = time.monotonic()
    if again or page.state.missing or page.state.word in ("changed", "not replayed"):
        with _line() as tell:
            page = confirming.confirm(page, tell)
    took, state = time.monotonic() - began, page.state
    said = state.word if state.changed else state
    print(f"{page.notebook.stem}, {page.results['profile']}: {said} ({took:.0f} s)")
    for change in state.changed:
        print(f"  {change}")
    if anew:
        with _line() as tell:
            confirming.record_anew(page, tell)
        print("  its proof was recorded anew")
    return page


def _retrain(pages: list[Page], count: int, seed: int) -> None:
    from ..report.retrain import retrain

    if len(pages) != 1:
        raise InputError("--whole needs one published chapter")
    table = Table(title="Mean PSNR of the test images, dB")
    columns = ("recipe", "seed", "published", "now", "difference", "its seeds", "one more, 95 %")
    for column in columns:
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for line in retrain(pages[0], count, seed):
        scores = (line["published"], line["now"], line["now"] - line["published"])
        seeds = f"{line['least']:.3f} to {line['greatest']:.3f}"
        texts = [f"{score:.3f}" for score in scores]
        interval = "-" if line["lo"] is None else f"{line['lo']:.3f} to {line['hi']:.3f}"
        table.add_row(line["recipe"], str(line["seed"]), *texts, seeds, interval)
    show(table)


@contextmanager
def _line() -> Iterator:
    """Give a function that shows, in one line on a terminal, what is replayed now."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update
