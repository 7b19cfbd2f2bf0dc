"""What a chapter measured: how it leaves the notebook, and the form it must have.

Results travel inside the executed notebook, as an output of a type of their own, so that no
folder has to be agreed on and no result can be separated from the run that made it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import machine
from ..errors import InputError
from ..evaluation import case_of
from ..studies.archive import Archive, history_text
from ..studies.rows import CHANNELS, REQUIRED_IN_ROW, ROW_COLUMNS, pack, to_csv, without_seconds
from .state import check_form

MIME = "application/vnd.deblurlib.results+json"
SCHEMA_VERSION = 2
LARGEST_WEIGHTS = 2_000_000  # bytes that a chapter may publish


class DataSet(Protocol):
    """What results need to know of their data; image sets and pair sets offer it."""

    name: str
    fingerprint: str

    def __len__(self) -> int: ...


def record(
    *,
    chapter: str,
    profile: str,
    seeds: Sequence[int],
    data: Iterable[DataSet],
    summary: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]] = (),
    archive: Archive | None = None,
    device: str = "auto",
    measured: bool = True,
) -> None:
    """Put a chapter's results into its own output, where ``deblur report`` finds them.

    Args:
        chapter: the page's key: the chapter's two digits, on a further page with its letter.
        summary: one row a method: ``method``, ``n``, ``psnr`` and whatever else the table shows;
            ``identity`` must be among them.
        rows: one row an image and method, with the columns of ``KEY_rows.csv.gz``. The ``seconds``
            of rows and summary are not among the results: each method's median is kept apart.
        claims: measured claims, see the schema.
        archive: what gave the chapter its runs and pictures; it is published, too.
        device: what the measurements ran on, see :func:`deblurlib.machine.device`.
        measured: ``False`` if the study on the page was loaded from what is published, so that only
            ``rows`` were measured by this execution. Its publication replaces page and figures, but
            no results.
    """
    used = machine.device(device)
    rows, seconds = without_seconds(rows)
    results = {
        "schema": SCHEMA_VERSION,
        "chapter": chapter,
        "profile": profile,
        "stamp": {
            "device": machine.device_name(used),
            "versions": machine.versions(),
            "seeds": list(seeds),
            "data": [{"name": d.name, "n": len(d), "fingerprint": d.fingerprint} for d in data],
        },
        "summary": [_published(line) for line in without_seconds(summary)[0]],
        "claims": [dict(claim) for claim in claims],
        "rows": rows,
        "timings": {"machine": machine.device_name(used), "seconds": seconds},
        "archive": {} if archive is None else _as_text(archive),
        "measured": measured,
    }
    from IPython.display import display  # only a notebook needs it

    text = f"[results: {len(rows)} rows, {len(summary)} summaries, {len(claims)} claims]"
    display(
        {MIME: results, "text/plain": text},
        raw=True,
        metadata={"deblurlib": {"artefact": "results"}},
    )


def _published(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the summary without what the identity's own line and the rows say already."""
    return {key: value for key, value in line.items() if key != "identity_perfect"}


def validate(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Check a results file and its rows; raise an :class:`InputError` that names the first fault.

    Beyond the schema: the identity stands in every summary and, once for every case, in the rows;
    no verdict comes from ``sample``, from ``smoke`` or from ``quick``.
    """
    check_form(results)
    if "identity" not in {row["method"] for row in results["summary"]}:
        raise InputError("summary: the identity (doing nothing) is missing")
    _check_rows(rows)
    sample_only = {d["name"] for d in results["stamp"]["data"]} == {"sample"}
    for claim in results["claims"]:
        if claim.get("verdict") and claim["n_seeds"] == 2:
            raise InputError(f"claim {claim['id']}: two seeds are too few for a verdict")
        if claim.get("verdict") and (sample_only or results["profile"] in ("smoke", "quick")):
            raise InputError(f"claim {claim['id']}: no verdict on sample data or a quick profile")


def _check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    cases: dict[tuple, list[str]] = {}
    for number, row in enumerate(rows, 1):
        unknown = set(row) - set(ROW_COLUMNS)
        missing = [c for c in REQUIRED_IN_ROW if row.get(c) in (None, "")]
        if unknown or missing:
            fault = f"unknown column {min(unknown)!r}" if unknown else f"no {missing[0]!r}"
            raise InputError(f"rows, line {number}: {fault}")
        if row["channels"] not in CHANNELS:
            raise InputError(f"rows, line {number}: channels {row['channels']!r} are none we know")
        cases.setdefault(case_of(row), []).append(row["method"])
    for (*_, image), methods in cases.items():
        if methods.count("identity") != 1:
            fault = "twice there" if "identity" in methods else "missing"
            raise InputError(f"rows: the identity is {fault} for {image}")


def _as_text(archive: Archive) -> dict[str, Any]:
    """What an archive has handed out, as text that can be written into a notebook."""

    def text(content: bytes) -> str:
        return base64.b64encode(content).decode()

    pictures = {}
    for name, array in archive.shown.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        pictures[name] = text(buffer.getvalue())
    files = {f"{run}/{name}": text(c) for (run, name), c in archive.weights().items()}
    recipes = [run.recipe.to_json() for run in archive.given.values()]
    return {
        "history": history_text(archive.histories()),
        "pictures": pictures,
        "weights": files,
        "recipes": sorted(set(recipes)),
    }


def write_archive(reports: Path, chapter: str, archive: Mapping) -> None:
    """Write what a chapter's archive handed out, as :class:`deblurlib.studies.Archive` reads it.

    Raises:
        InputError: the weights are too large to be published.
    """
    results = reports / "results"
    size = sum(len(content) * 3 // 4 for content in archive.get("weights", {}).values())
    if size > LARGEST_WEIGHTS:
        raise InputError(f"chapter {chapter}: {size} bytes of weights; {LARGEST_WEIGHTS} at most")
    if archive.get("history"):
        (results / f"{chapter}_history.csv.gz").write_bytes(pack(archive["history"]))
    if archive.get("pictures"):
        contents = {name: base64.b64decode(p) for name, p in archive["pictures"].items()}
        arrays = {name: np.load(io.BytesIO(content)) for name, content in contents.items()}
        np.savez_compressed(results / f"{chapter}_pictures.npz", **arrays)
    for name, content in archive.get("weights", {}).items():
        path = reports / "weights" / chapter / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))


def write_files(
    folder: Path, results: Mapping, rows: Sequence[Mapping], timings: Mapping, strict: bool = False
) -> None:
    """Write ``KEY.json``, ``KEY_rows.csv.gz`` and, if anything was timed, ``KEY_timings.json``.

    Raises:
        ValueError: ``strict`` is set, and ``KEY.json`` would hold NaN or infinity.
    """

    def as_json(value: Mapping) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=not strict) + "\n"

    chapter = results["chapter"]
    (folder / f"{chapter}.json").write_text(as_json(results), "utf-8")
    (folder / f"{chapter}_rows.csv.gz").write_bytes(pack(to_csv(rows)))
    if timings.get("seconds"):
        (folder / f"{chapter}_timings.json").write_text(as_json(timings), "utf-8")
