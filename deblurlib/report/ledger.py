"""The ledger of claims: what became of every claim of the published pages.

It reads ``reports/results/KEY.json`` alone. ``python -m deblurlib.report.ledger`` writes the brief
of the ledger into the project's README.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from . import keys, state
from .state import Page

__all__ = ["Entry", "brief", "choose", "count", "fill_in", "read"]

VERDICTS = ("confirmed", "refuted", "undecided")
ORIGINS = ("source", "ours")
BEGIN, END = "<!-- claims -->\n", "<!-- /claims -->"  # around the brief, in the README


@dataclass(frozen=True)
class Entry:
    """A published claim, with the fields of a results file, and the page that it stands on."""

    id: str
    origin: str  # one of ORIGINS
    quote: str
    estimand: str  # what was measured, in words
    unit: str
    margin: float  # the difference that counts, in that unit
    estimate: float | None
    lo: float | None  # of the 95 % interval
    hi: float | None
    n_seeds: int
    n_images: int
    n_scenes: int
    verdict: str | None  # one of VERDICTS; None: not judged
    page: Page
    sign: int | None = None  # claimed: 1 more than the margin, -1 less than its negative, 0 within
    p_adjusted: float | None = None
    tests: Mapping[str, float] = field(default_factory=dict)  # name -> p-value

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return (self.verdict or "not judged").partition(":")[0]

    @property
    def stands(self) -> bool:
        """Whether the code of today is known to lead to this result."""
        return self.page.state.word in ("current", "confirmed")

    @property
    def claimed(self) -> str:
        """What the claim says of the estimand; empty where the file does not tell."""
        margin = f"{self.margin:g}"
        ranges = {1: f"more than {margin}", -1: f"less than -{margin}"}
        ranges[0] = f"between -{margin} and {margin}"
        return f"{ranges[self.sign]} {self.unit}" if self.sign is not None else ""

    @property
    def value(self) -> str:
        """The estimate in words."""
        if self.estimate is None:
            return "-"
        return f"{self.number(self.estimate)} {self.unit}".rstrip()

    @property
    def measured(self) -> bool:
        """Whether there is an estimate; a claim may be published as one that nobody measured."""
        return self.estimate is not None

    def number(self, value: float) -> str:
        """A value of the estimand with one digit more than the margin has."""
        digits = 1 - math.floor(math.log10(self.margin)) if self.margin > 0 else 3
        return f"{value:.{max(digits, 0)}f}"

    @property
    def interval(self) -> str:
        """The 95 % interval in words; empty if there is none."""
        if self.lo is None or self.hi is None:
            return ""
        return f"{self.number(self.lo)} to {self.number(self.hi)}"

    @property
    def counted(self) -> str:
        """How much was measured, in words."""
        if not self.measured:
            return "not measured"
        trained = f"{self.n_seeds} seeds" if self.n_seeds else "nothing trained"
        return f"{trained}, {self.n_scenes} scene{'s' * (self.n_scenes != 1)}"

    def to_json(self) -> dict:
        """All that is known of the claim, as plain values."""
        own = {key: value for key, value in vars(self).items() if key != "page"}
        made, page = self.page.results, self.page
        about = {"page": page.key, "profile": made["profile"], "data": page.data}
        about |= {"published": made["stamp"]["finished"], "code": made["stamp"]["code"]}
        return own | about | {"state": str(page.state)}


def read(root: Path) -> list[Entry]:
    """All claims of the published pages, in the order of pages and files.

    Args:
        root: the checkout.

    Raises:
        InputError: a results file is damaged; the message names it.
    """
    entries = []
    for notebook in keys.find_pages(root / "notebooks"):
        page = state.published(notebook, root)
        if page is None:
            continue
        try:
            state.check_form(page.results)
        except InputError as error:
            raise InputError(f"{page.path}: {error}") from None
        entries += [Entry(**claim, page=page) for claim in page.results["claims"]]
    return entries


def choose(entries: Sequence[Entry], name: str) -> list[Entry]:
    """The claims of a chapter (``"06"``) or page (``"06b"``), or by an id or its beginning.

    Raises:
        InputError: there are none of that name.
    """
    of_page = [e for e in entries if name in (e.page.key, keys.chapter_of(e.page.key))]
    chosen = of_page or [e for e in entries if e.id == name]
    chosen = chosen or [e for e in entries if e.id.startswith(name)]
    if not name or not chosen:
        pages = ", ".join(dict.fromkeys(e.page.key for e in entries))
        raise InputError(f"there is no claim or chapter {name!r}; there are claims of {pages}")
    return chosen


def count(entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
    """How many claims of each origin have each verdict: origin -> verdict -> number."""
    found = Counter((e.origin, e.word) for e in entries)
    return {o: {v: found[o, v] for v in VERDICTS} for o in ORIGINS}


def sentence(entries: Sequence[Entry]) -> str:
    """The counts in words."""
    told = []
    for origin, verdicts in count(entries).items():
        n = sum(e.origin == origin for e in entries)
        whose = "of the sources" if origin == "source" else "of our own"
        parts = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
        told += [f"{n} claim{'s' * (n != 1)} {whose}: {parts}."] if n else []
    return " ".join(told)


def brief(entries: Sequence[Entry]) -> str:
    """The README's table: how many claims each page has, by origin and verdict, in Markdown."""
    pages = {e.page.key: e.page for e in entries}
    heads = [f"{whose} {verdict}" for whose in ("sources'", "our own") for verdict in VERDICTS]
    lines = [f"| claims | {' | '.join(heads)} |", "| :--- |" + " ---: |" * len(heads)]
    for key, page in pages.items():
        link = f"[{key}](reports/{page.notebook.stem}.md)"
        lines.append(_line(link, [e for e in entries if e.page.key == key]))
    return "\n".join([*lines, _line("all", entries)]) + "\n"


def _line(name: str, entries: Sequence[Entry]) -> str:
    numbers = [str(n) for verdicts in count(entries).values() for n in verdicts.values()]
    return f"| {' | '.join([name, *numbers])} |"


def fill_in(text: str, entries: Sequence[Entry]) -> str:
    """The README's text with the brief of today.

    Raises:
        InputError: the text has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"there is no {BEGIN.strip()} ... {END} to write the claims between")
    told = "What became of every claim; `deblur claims` lists them one by one:"
    return f"{before}{BEGIN}{told}\n\n{brief(entries)}{END}{after}"


def main() -> None:
    """Renew the brief in the project's README."""
    from ..files import write_whole  # here, for it needs PyTorch

    root = keys.project_root()
    readme = root / "README.md"
    write_whole(readme, fill_in(readme.read_text("utf-8"), read(root)))


if __name__ == "__main__":
    main()
