"""Check whether the current code still leads to the published chapters.

A page is *current* (it was published with the code of today), *confirmed* (its proof was replayed
with the code of today and came out the same), *changed* (the proof came out otherwise), or *not
replayed* since the code changed. Confirming writes only the entry ``confirmed`` of
``reports/results/KEY.json``. A proof is replaced only on request, and only if it still holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from ..runs import Recipe
from . import keys, proofs, sameness, stamp


@dataclass(frozen=True)
class State:
    """The state of a published page; ``str()`` puts it into words."""

    word: str  # "current", "confirmed", "changed" or "not replayed"
    changed: tuple[str, ...] = ()  # the parts that have changed
    missing: tuple[str, ...] = ()  # data sets that are not on this machine
    since: str = ""  # the last replay's date, if it is "not replayed"

    def __str__(self) -> str:
        if self.word == "changed":
            return f"changed: {'; '.join(self.changed)}"
        if self.word == "not replayed":
            return f"not replayed since {self.since}"
        are = "is" if len(self.missing) == 1 else "are"
        but = f" but for the data: {', '.join(self.missing)} {are} not here" if self.missing else ""
        return self.word + but


WHOLE = State("confirmed")  # with all of its data at hand


@dataclass(frozen=True)
class Page:
    """A published page: its notebook, and its results."""

    notebook: Path
    results: dict
    path: Path  # of the results file

    @cached_property
    def code(self) -> str:
        """The hash of the code of today, computed like the one in the stamp."""
        return stamp.code_hash(self.notebook, self.results["stamp"]["data"])

    @property
    def proof_path(self) -> Path:
        """The file of the chapter's proof, see :mod:`deblurlib.report.proofs`."""
        return self.path.with_name(f"{self.path.stem}_proof.json")

    @property
    def state(self) -> State:
        """Whether the code of today still leads to this page, as far as it is known already."""
        code, last = self.code, self.results.get("confirmed", {})
        changed, missing = (tuple(last.get(key, ())) for key in ("changed", "missing"))
        if last.get("code") == code and changed:
            return State("changed", changed)
        if self.results["stamp"]["code"] == code:
            return State("current")
        if last.get("code") == code:
            return State("confirmed", missing=missing)
        since = last.get("date") or self.results["stamp"]["finished"][:10]
        return State("not replayed", since=since)

    @property
    def sentence(self) -> str:
        """When and with which code the page was published and confirmed, in words."""
        made, last = self.results["stamp"], self.results.get("confirmed", {})
        text = f"Published on {made['finished'][:10]} under {stamp.origin(made)}"
        if last.get("changed"):
            text += f". Replayed on {last['date']} under code {last['code']}, other numbers came "
            text += f"out: {'; '.join(last['changed'])}"
        elif last:
            confirmed = State(f"confirmed on {last['date']} under code {last['code']}")
            text += f"; {replace(confirmed, missing=tuple(last.get('missing', ())))}"
        if self.state.word == "not replayed":
            text += ". The code has changed since; `make confirm` replays it"
        return f"{text}."


def published(notebook: Path, root: Path) -> Page | None:
    """The published page of a notebook, or ``None`` if there is none."""
    path = root / "reports" / "results" / f"{keys.key_of(notebook)}.json"
    if not path.exists():
        return None
    return Page(notebook, _read(path), path)


def confirm(page: Page, show: proofs.Show = str) -> Page:
    """Replay a page's proof, write the outcome into its results file, and return the new page.

    Raises:
        InputError: the page has no proof or a damaged one, or the code was changed meanwhile.
    """
    if not page.proof_path.exists():
        raise InputError(f"{page.path}: published without a proof; publish it anew")
    code, old = page.code, _read(page.proof_path)
    if not proofs.is_whole(old):
        raise InputError(f"{page.proof_path}: a damaged proof")
    changed, missing = proofs.replay(page.notebook, old, page.path.parent, show)
    if stamp.code_hash(page.notebook, page.results["stamp"]["data"]) != code:
        raise InputError(f"chapter {page.path.stem}: the code was changed meanwhile; once more")
    more_is_known = page.state.word in ("current", "changed") or page.state == WHOLE
    if missing and not changed and more_is_known:
        return page
    entry = note(code) | {"missing": missing, "changed": changed}
    entry = {key: value for key, value in entry.items() if value != []}
    text = sameness.with_entry(page.path.read_text("utf-8"), "confirmed", entry)
    write_whole(page.path, text)
    return Page(page.notebook, page.results | {"confirmed": entry}, page.path)


def record_anew(page: Page, show: proofs.Show = str) -> None:
    """Replace a page's proof by one made with the code of today, if the old one still holds.

    Raises:
        InputError: the old proof does not hold, or was not replayed with the code of today.
    """
    if page.state not in (State("current"), WHOLE):
        raise InputError(f"chapter {page.path.stem}: {page.state}; its proof stays as it is")
    old = _read(page.proof_path)
    own_recipes = [
        Recipe(**entry["recipe"]) for entry in old.get("recipes", {}).values() if "recipe" in entry
    ]
    text = proofs.to_text(proofs.make(page.notebook, page.results, more=own_recipes, show=show))
    write_whole(page.proof_path, text)


def note(code: str) -> dict:
    """An entry that says with which code and commit, and on which day, something was confirmed."""
    date = datetime.now(UTC).date().isoformat()
    return {"code": code, "commit": stamp.commit(), "date": date}


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
