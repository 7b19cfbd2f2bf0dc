"""Whether what is published still is what the code leads to.

A page is *current* (the code that published it is that of today), *confirmed* (its proof was
replayed with the code of today, and came out the same), *changed* (it did not), or *not replayed
since*. Confirming writes the entry ``confirmed`` of ``reports/results/NN.json``, and nothing else;
a proof is replaced only on request, and where it holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from ..runs import Recipe
from . import proofs, sameness, stamp


@dataclass(frozen=True)
class State:
    """What is known of a page; as text, in words."""

    word: str  # "current", "confirmed", "changed" or "not replayed"
    changed: tuple[str, ...] = ()  # what has, if anything
    missing: tuple[str, ...] = ()  # data sets that were not here
    since: str = ""  # a date, where it was not replayed since

    def __str__(self) -> str:
        if self.word == "changed":
            return f"changed: {'; '.join(self.changed)}"
        if self.word == "not replayed":
            return f"not replayed since {self.since}"
        are = "is" if len(self.missing) == 1 else "are"
        but = f" but for the data: {', '.join(self.missing)} {are} not here" if self.missing else ""
        return self.word + but


WHOLE = State("confirmed")  # with all its data


@dataclass(frozen=True)
class Page:
    """What is published of a chapter."""

    notebook: Path
    results: dict
    path: Path  # of the results

    @cached_property
    def code(self) -> str:
        """A hash of the code of today, as the stamp would have it."""
        return stamp.code_hash(self.notebook, self.results["stamp"]["data"])

    @property
    def proof_path(self) -> Path:
        """Where its proof lies, see :mod:`deblurlib.report.proofs`."""
        return self.path.with_name(f"{self.path.stem}_proof.json")

    @property
    def state(self) -> State:
        """Whether it still is what the code leads to, as far as that is known."""
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


def published(notebook: Path, root: Path) -> Page | None:
    """What is published of a notebook, if anything is."""
    path = root / "reports" / "results" / f"{notebook.name[:2]}.json"
    if not path.exists():
        return None
    return Page(notebook, _read(path), path)


def confirm(page: Page, show: proofs.Show = str) -> Page:
    """Replay a page's proof, and note how that came out; return the page as it then is.

    Raises:
        InputError: it has no proof, or a damaged one; or the code was changed meanwhile.
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
    noted = note(code) | {"missing": missing, "changed": changed}
    noted = {key: value for key, value in noted.items() if value != []}
    text = sameness.with_entry(page.path.read_text("utf-8"), "confirmed", noted)
    write_whole(page.path, text)
    return Page(page.notebook, page.results | {"confirmed": noted}, page.path)


def record_anew(page: Page, show: proofs.Show = str) -> None:
    """Replace the proof of a page by one made with the code of today, with which the old one holds.

    Raises:
        InputError: it does not, or nobody has looked.
    """
    if page.state not in (State("current"), WHOLE):
        raise InputError(f"chapter {page.path.stem}: {page.state}; its proof stays as it is")
    old = _read(page.proof_path)
    more = [Recipe(**one["recipe"]) for one in old.get("recipes", {}).values() if "recipe" in one]
    text = proofs.to_text(proofs.make(page.notebook, page.results, more=more, show=show))
    write_whole(page.proof_path, text)


def note(code: str) -> dict:
    """The entry of something that was found to hold now."""
    date = datetime.now(UTC).date().isoformat()
    return {"code": code, "commit": stamp.commit(), "date": date}


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
