"""Whether what is published still is what the code leads to.

A page is *current* (the code that published it is that of today), *confirmed* (its proof was
replayed with the code of today, and came out the same), *changed* (it did not), or *not replayed
since*. Confirming writes the entry ``confirmed`` of ``reports/results/NN.json``, and nothing else.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import InputError
from ..runs import Recipe
from . import proofs, sameness, stamp


@dataclass(frozen=True)
class Page:
    """What is published of a chapter."""

    notebook: Path
    results: dict
    path: Path  # of the results

    @property
    def code(self) -> str:
        """A hash of the code of today, as the stamp would have it."""
        return stamp.code_hash(self.notebook, self.results["stamp"]["data"])

    @property
    def proof_path(self) -> Path:
        """Where its proof lies, see :mod:`deblurlib.report.proofs`."""
        return self.path.with_name(f"{self.path.stem}_proof.json")

    @property
    def state(self) -> str:
        """In words: ``current``, ``confirmed``, ``changed: ...`` or ``not replayed since DATE``."""
        code, last = self.code, self.results.get("confirmed")
        if self.results["stamp"]["code"] == code:
            return "current"
        if last is None or last["code"] != code:
            date = last["date"] if last else self.results["stamp"]["finished"][:10]
            return f"not replayed since {date}"
        if last.get("changed"):
            return f"changed: {'; '.join(last['changed'])}"
        return "confirmed" + _but_for(last.get("missing", []))


def published(notebook: Path, root: Path) -> Page | None:
    """What is published of a notebook, if anything is."""
    path = root / "reports" / "results" / f"{notebook.name[:2]}.json"
    if not path.exists():
        return None
    return Page(notebook, json.loads(path.read_text("utf-8")), path)


def confirm(page: Page, show: proofs.Show = str) -> Page:
    """Replay a page's proof, and note how that came out; return the page as it then is.

    Raises:
        InputError: it has no proof.
    """
    if not page.proof_path.exists():
        raise InputError(f"{page.path}: published without a proof; publish it anew")
    old = json.loads(page.proof_path.read_text("utf-8"))
    changed, missing = proofs.replay(page.notebook, old, show)
    if missing and not changed and page.state in ("current", "confirmed"):
        return page  # more is known already
    noted = note(page.code) | {"missing": missing, "changed": changed}
    noted = {key: value for key, value in noted.items() if value != []}
    text = sameness.with_entry(page.path.read_text("utf-8"), "confirmed", noted)
    _write(page.path, text)
    return Page(page.notebook, page.results | {"confirmed": noted}, page.path)


def record_anew(page: Page, show: proofs.Show = str) -> None:
    """Replace the proof of a page by one made with the code of today, with which the old one holds.

    Raises:
        InputError: it does not, or nobody has looked.
    """
    if page.state not in ("current", "confirmed"):
        raise InputError(f"{page.path.stem}: {page.state}: its proof stays as it is")
    old = json.loads(page.proof_path.read_text("utf-8"))
    more = [Recipe(**one["recipe"]) for one in old.get("recipes", {}).values() if "recipe" in one]
    text = proofs.to_text(proofs.make(page.notebook, page.results, more=more, show=show))
    _write(page.proof_path, text)


def note(code: str) -> dict:
    """The entry of something that was found to hold now."""
    date = datetime.now(UTC).date().isoformat()
    return {"code": code, "commit": stamp.commit(), "date": date}


def _write(path: Path, text: str) -> None:
    """Write a text such that it is there whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _but_for(missing: list[str]) -> str:
    if not missing:
        return ""
    return (
        f" but for the data: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not here"
    )
