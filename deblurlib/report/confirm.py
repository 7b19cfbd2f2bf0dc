"""Check whether the current code still leads to the published chapters.

:mod:`deblurlib.report.state` says what is known of a page already. Confirming writes only the entry
``confirmed`` of ``reports/results/KEY.json``. A proof is replaced only on request, and only if it
still holds.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..errors import InputError
from ..files import write_whole
from ..runs import Recipe
from . import proofs, sameness, stamp
from .state import WHOLE, Page, State, read

__all__ = ["confirm", "record_anew"]


def confirm(page: Page, show: proofs.Show = str) -> Page:
    """Replay a page's proof, write the outcome into its results file, and return the new page.

    Raises:
        InputError: the page has no proof or a damaged one, or the code was changed meanwhile.
    """
    if not page.proof_path.exists():
        raise InputError(f"{page.path}: published without a proof; publish it anew")
    code, old = page.code, read(page.proof_path)
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
    old = read(page.proof_path)
    own_recipes = [
        Recipe(**entry["recipe"]) for entry in old.get("recipes", {}).values() if "recipe" in entry
    ]
    text = proofs.to_text(proofs.make(page.notebook, page.results, more=own_recipes, show=show))
    write_whole(page.proof_path, text)


def note(code: str) -> dict:
    """An entry that says with which code and commit, and on which day, something was confirmed."""
    date = datetime.now(UTC).date().isoformat()
    return {"code": code, "commit": stamp.commit(), "date": date}
