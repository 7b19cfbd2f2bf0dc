"""Where a number comes from: the stamp that every executed page and results file carries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import fingerprint

if TYPE_CHECKING:
    import nbformat

PACKAGE = Path(__file__).resolve().parents[1]
TAG = "stamp"


def of_run(notebook: Path, data: Sequence[Mapping[str, Any]], seconds: float) -> dict:
    """The part of the stamp that the notebook's own kernel cannot know.

    ``code`` hashes what decides the numbers: the meaning of the library's code and of the
    notebook's, and the data. ``commit`` is for orientation only.
    """
    return {
        "code": code_hash(notebook, data),
        "commit": commit(),
        "dirty": None if (changes := _git("status", "--porcelain")) is None else bool(changes),
        "wall_seconds": round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit() -> str | None:
    """The commit that is checked out; ``None`` where there is no git."""
    return _git("rev-parse", "--short=12", "HEAD")


def code_hash(notebook: Path, data: Sequence[Mapping[str, Any]]) -> str:
    """A hash of the library's code, the notebook's code, the data, and the weights it uses.

    Text and layout do not count. Of the networks that ship, those count whose names the notebook's
    metadata list under ``weights``.
    """
    parsed = json.loads(notebook.read_text("utf-8"))
    source = "\n".join("".join(c["source"]) for c in parsed["cells"] if c["cell_type"] == "code")
    used = parsed["metadata"].get("deblurlib", {}).get("weights", [])
    return fingerprint.of_bytes(
        fingerprint.of_package(PACKAGE).encode(),
        fingerprint.of_source(source).encode(),
        *(str(d["fingerprint"]).encode() for d in data),
        *((PACKAGE / "weights" / name / "model.safetensors").read_bytes() for name in used),
    )


def write_on(
    executed: nbformat.NotebookNode,
    results: Mapping | None,
    parameters: Mapping[str, Any],
    error: str | None,
) -> None:
    """Put the stamp on an executed copy: into its metadata, and as text below the title."""
    parts = [f"> **This run failed**: {error.splitlines()[0]}"] if error else []
    if results:
        executed.metadata.setdefault("deblurlib", {})["stamp"] = dict(results["stamp"])
        parts.append(_folded(results, sentence(results)))
    elif not error:
        settings = ", ".join(f"{k} = {v}" for k, v in parameters.items()) or "its defaults"
        parts.append(f"Executed with {settings}; it records no results.")
    text = "\n\n".join(parts)
    import nbformat  # here, for it takes two seconds, and who only looks needs none of it

    cell = nbformat.v4.new_markdown_cell(text, id="stamp", metadata={"tags": [TAG]})
    executed.cells.insert(1, cell)


def _folded(results: Mapping, text: str) -> str:
    names = ", ".join(sorted({d["name"] for d in results["stamp"]["data"]}))
    title = f"How this page was made: profile {results['profile']}, data {names}"
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def say_what_was_loaded(
    executed: nbformat.NotebookNode, results: Mapping, published: Mapping
) -> None:
    """Let a page's stamp say that its study is the published one, and when the page was drawn."""
    made, drawn = published["stamp"], results["stamp"]["finished"]
    text = (
        f"The study on this page was published on {made['finished'][:10]} under {origin(made)}. "
        f"The page was drawn on {drawn[:10]}, and what it runs itself was measured then: "
    )
    for cell in executed.cells:
        if TAG in cell.metadata.get("tags", []):
            cell.source = _folded(results, text + sentence(results))


def origin(entry: Mapping) -> str:
    """With which code something was made, in words; of a stamp, or of an entry ``confirmed``."""
    commit = "no commit" if entry["commit"] is None else f"commit {entry['commit']}"
    changed = " with uncommitted changes" if entry.get("dirty") else ""
    return f"code {entry['code']}, {commit}{changed}"


def add(executed: nbformat.NotebookNode, text: str) -> None:
    """Put a paragraph below the stamp of an executed copy."""
    for cell in executed.cells:
        if TAG in cell.metadata.get("tags", []):
            cell.source += f"\n\n{text}"


def sentence(results: Mapping) -> str:
    """The stamp in words."""
    s = results["stamp"]
    data = "; ".join(f"{d['name']}, {d['n']} images ({d['fingerprint']})" for d in s["data"])
    made_with = origin(s)
    versions = ", ".join(f"{name} {v}" for name, v in s["versions"].items())
    return (
        f"Profile `{results['profile']}`, seeds {s['seeds']}, data {data}. {s['device']}; "
        f"{s['wall_seconds']:.0f} s; finished {s['finished']}. "
        f"{made_with[0].upper()}{made_with[1:]}; {versions}. "
        "On a machine like this one the same recipe gives the same bits, on another a score where "
        f"that of another seed would lie; `deblur confirm {results['chapter']}` says whether the "
        "code of today still leads to what is published."
    )


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
