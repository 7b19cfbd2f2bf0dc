"""The site's page of verdicts: every claim, by chapter, as HTML within Markdown."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import groupby

from . import ledger
from .ledger import Entry
from .state import Page

WHOSE = {"source": "the source's claim", "ours": "our own claim"}


def page(entries: Sequence[Entry], documents: Mapping[str, str]) -> str:
    """All claims with an anchor each (``claims-02a``), in Markdown; a script may filter them.

    Args:
        documents: a page's key -> its document's name in the site, if it is there.
    """
    if not entries:
        return "Nothing is published yet.\n"
    parts = [ledger.sentence(entries), _filters(entries)]
    for published, group in groupby(entries, lambda entry: entry.page):
        parts += [_heading(published, documents.get(published.key)), *map(_claim, group)]
    return "\n\n".join(parts) + "\n"


def _heading(published: Page, document: str | None) -> str:
    title = f"## {published.key} · {published.title}"
    link = f"[The chapter's page]({document}) tells how they were measured. " if document else ""
    profile, data = published.results["profile"], ", ".join(published.data)
    about = f"{link}Profile `{profile}`, data {data}."
    if published.state.word not in ("current", "confirmed"):
        about += f" **Not confirmed with the code of today: {published.state}.**"
    return f"{title}\n\n{about}"


def _claim(entry: Entry) -> str:
    """A claim as HTML, without an empty line, which would end it."""
    anchor = f"claims-{entry.id}"
    mark = "" if entry.stands else " *"
    value = f": <b>{_of(entry.value)}</b>" if entry.measured else ""
    facts = [f"95 % interval {entry.interval}"] if entry.interval else []
    facts += [f"claimed: {entry.claimed}"] if entry.claimed else []
    facts += [] if entry.p_adjusted is None else [f"adjusted p {entry.p_adjusted:.2g}"]
    facts += [entry.counted]
    verdict, origin = entry.word.replace(" ", "-"), entry.origin
    return (
        f'<div class="claim {verdict}" id="{anchor}" data-verdict="{verdict}" '
        f'data-origin="{origin}">\n'
        f'<p class="verdict"><a href="#{anchor}">{entry.id}</a> <b>{_of(entry.word)}{mark}</b> '
        f"<span>{WHOSE[origin]}</span></p>\n"
        f"<p><q>{_of(entry.quote)}</q></p>\n"
        f"<p>{_of(entry.estimand)}{value}</p>\n"
        f'<p class="facts">{_of("; ".join(facts))}</p>\n'
        "</div>"
    )


def _filters(entries: Sequence[Entry]) -> str:
    """Buttons that a script shows; without it, every claim is shown."""
    verdicts = [verdict for verdict in ledger.VERDICTS if any(e.word == verdict for e in entries)]
    choices = {"verdict": verdicts, "origin": list(ledger.ORIGINS)}
    names = {"source": "the sources'", "ours": "our own"}
    fields = []
    for name, values in choices.items():
        options = "".join(f'<option value="{v}">{names.get(v, v)}</option>' for v in values)
        fields.append(
            f'<label>{name} <select name="{name}"><option value="">all</option>{options}'
            "</select></label>"
        )
    shown = '<span class="shown" role="status"></span>'
    return f'<form class="claim-filters" hidden>{" ".join(fields)} {shown}</form>'


def _of(text: str) -> str:
    return html.escape(text, quote=False)
