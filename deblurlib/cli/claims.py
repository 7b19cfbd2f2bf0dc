"""``deblur claims``: what became of every claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import InputError
from ..names import unknown_name
from .command import COURSE, STDOUT, JsonLines, app, check_json, show, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..report.ledger import Entry

COLOURS = {"confirmed": "green", "refuted": "red", "undecided": "cyan"}


@app.command(rich_help_panel=COURSE)
def claims(
    name: Annotated[
        str | None, typer.Argument(help="A claim (02a), some (02e), a chapter (02) or page (06b).")
    ] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only those confirmed, refuted or undecided.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Only the claims of the sources: source; or only ours.")
    ] = None,
    json_file: JsonLines = None,
) -> None:
    """List the claims of the published chapters and what became of them, or show one.

    The numbers come from reports/results. An asterisk marks a result of which it is not known
    whether the code of today still leads to it: deblur confirm finds out.
    """
    check_json(json_file)
    from ..report import keys, ledger

    tables = (("verdict", verdict, ledger.VERDICTS), ("origin", origin, ledger.ORIGINS))
    for what, given, known in tables:
        if given is not None and given not in known:
            raise unknown_name(what, given, known)
    entries = ledger.read(keys.project_root())
    if not entries:
        raise InputError("no claims are published: there are none in reports/results")
    chosen = entries if name is None else ledger.choose(entries, name)
    chosen = [e for e in chosen if verdict in (None, e.word) and origin in (None, e.origin)]
    if json_file is not None:
        write_json(json_file, (e.to_json() for e in chosen))
    if json_file == STDOUT:
        return
    if len(chosen) == 1 and chosen[0].id == name:
        _print(chosen[0])
    else:
        _list(chosen)
        print(ledger.sentence(chosen) or "no such claims")


def _list(entries: Sequence[Entry]) -> None:
    """A table of claims, with a line between pages; below it, what the asterisks mean."""
    if not entries:
        return
    table = Table()
    table.add_column("", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim, and what was measured", overflow="fold", max_width=100)
    table.add_column("estimate, 95 %", min_width=17)
    for place, e in enumerate(entries):
        if place and entries[place - 1].page is not e.page:
            table.add_section()
        mark = "" if e.stands else " *"
        word = Text.assemble((e.word, COLOURS.get(e.word, "")), f"{mark}\n{_whose(e)}")
        text = Text.assemble(f"“{e.quote}”\n", (e.estimand, "dim"))
        table.add_row(
            e.id, word, text, f"{e.value}\n{e.interval}".strip() if e.measured else e.counted
        )
    show(table)
    for page in dict.fromkeys(e.page.key for e in entries if not e.stands):
        state = next(e.page.state for e in entries if e.page.key == page)
        print(f"* {page}: {state}")


def _print(e: Entry) -> None:
    """One claim, and all that is known of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=90)
    told = {
        "claim": Text(e.id, "bold"),
        "of": f"page {e.page.key}, {e.page.title}; {_whose(e)}",
        "quote": f"“{e.quote}”",
        "measured": e.estimand,
        "claimed": e.claimed,
        "margin": f"{e.margin:g} {e.unit}".strip(),
        "estimate": e.value if e.measured else "",
        "95 % interval": e.interval,
        "verdict": Text(e.verdict or e.word, COLOURS.get(e.word, "")),
        "tests": "; ".join(f"{name}, p = {p:.2g}" for name, p in e.tests.items()),
        "p, by Holm": "" if e.p_adjusted is None else f"{e.p_adjusted:.2g}",
        "over": e.counted,
        "data of the page": ", ".join(e.page.data),
        "profile": e.page.results["profile"],
        "the page": e.page.sentence,
    }
    for key, value in told.items():
        if value:
            table.add_row(key, value)
    show(table)


def _whose(e: Entry) -> str:
    return "of the source" if e.origin == "source" else "ours"
