"""Which pages are published, and whether the code of today still leads to them.

A page is *current* (it was published with the code of today), *confirmed* (its proof was replayed
with the code of today and came out the same), *changed* (the proof came out otherwise), or *not
replayed* since the code changed. Nothing is replayed here, and nothing needs PyTorch.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

from ..errors import InputError
from . import keys, stamp

__all__ = ["Page", "State", "check_form", "published"]

SCHEMA = Path(__file__).with_name("results.schema.json")


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
    def key(self) -> str:
        """``"06b"``, see :mod:`deblurlib.report.keys`."""
        return keys.key_of(self.notebook)

    @cached_property
    def title(self) -> str:
        """The page's title, as its notebook says it."""
        return read(self.notebook)["metadata"]["deblurlib"]["title"]

    @property
    def data(self) -> list[str]:
        """The names of the data sets that it was measured on."""
        return list(dict.fromkeys(data["name"] for data in self.results["stamp"]["data"]))

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
    return Page(notebook, read(path), path)


def check_form(results: object) -> None:
    """Check the form of a results file; raise an :class:`InputError` that names a fault."""
    jsonschema = _jsonschema()
    validator = jsonschema.Draft202012Validator(read(SCHEMA))
    error = jsonschema.exceptions.best_match(validator.iter_errors(results))
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path) or "results"
        raise InputError(f"{where}: {error.message}")


def _jsonschema() -> ModuleType:
    """The package, without the grammar of web addresses, which takes it two seconds to load.

    It does without where that is not installed, and the schema has no addresses.
    """
    unneeded = "rfc3987_syntax"
    hidden = unneeded not in sys.modules
    if hidden:
        sys.modules[unneeded] = None  # type: ignore[assignment]
    try:
        import jsonschema
    finally:
        if hidden:
            del sys.modules[unneeded]
    return jsonschema


def read(path: Path) -> dict:
    """The content of a JSON file; of one that cannot be read, an :class:`InputError`."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
