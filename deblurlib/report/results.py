"""What a chapter measured: how it leaves the notebook, and the form it must have.

Results travel inside the executed notebook, as an output of a type of their own, so that no
folder has to be agreed on and no result can be separated from the run that made it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jsonschema

from .. import machine
from ..errors import InputError
from ..metrics import SSIM_PROTOCOLS
from ..perception import MEASURES

MIME = "application/vnd.deblurlib.results+json"
SCHEMA_VERSION = 1
PROFILES = ("smoke", "quick", "report", "full")
SCHEMA = json.loads(Path(__file__).with_name("results.schema.json").read_text("utf-8"))
ROW_COLUMNS = (
    *("method", "recipe", "run", "seed", "data", "degradation", "scene", "image", "psnr"),
    *(f"ssim_{protocol}" for protocol in SSIM_PROTOCOLS),
    *MEASURES,
    "seconds",
)
REQUIRED_IN_ROW = ("method", "seed", "data", "degradation", "scene", "image", "psnr")


class DataSet(Protocol):
    """What a result says of its data; image sets and pair sets have it."""

    name: str
    fingerprint: str

    def __len__(self) -> int: ...


def record(
    *,
    chapter: str,
    profile: str,
    seeds: Sequence[int],
    data: Iterable[DataSet],
    summary: Sequence[Mapping[str, object]],
    rows: Sequence[Mapping[str, object]],
    claims: Sequence[Mapping[str, object]] = (),
    device: str = "cpu",
) -> None:
    """Put a chapter's results into its own output, where ``deblur report`` finds them.

    Args:
        chapter: its two digits.
        summary: one row a method: ``method``, ``n``, ``psnr`` and whatever else the table shows;
            ``identity`` must be among them.
        rows: one row an image, with the columns of ``NN_rows.csv``.
        claims: measured claims, see the schema.
        device: what the measurements ran on, ``"cpu"`` or ``"cuda"``.
    """
    results = {
        "schema": SCHEMA_VERSION,
        "chapter": chapter,
        "profile": profile,
        "stamp": {
            "device": machine.device_name(device),
            "versions": machine.versions(),
            "seeds": list(seeds),
            "data": [{"name": d.name, "n": len(d), "fingerprint": d.fingerprint} for d in data],
        },
        "summary": [dict(row) for row in summary],
        "claims": [dict(claim) for claim in claims],
        "rows": [dict(row) for row in rows],
    }
    from IPython.display import display  # only a notebook needs it

    text = f"[results: {len(rows)} rows, {len(summary)} summaries, {len(claims)} claims]"
    display(
        {MIME: results, "text/plain": text},
        raw=True,
        metadata={"deblurlib": {"artefact": "results"}},
    )


def validate(results: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> None:
    """Check a results file and its rows; raise an :class:`InputError` that names the first fault.

    Beyond the schema: the identity stands in every summary and, for every data set and
    degradation, in the rows; no verdict comes from ``sample``, from ``smoke`` or from ``quick``.
    """
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(results)
    )
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path) or "results"
        raise InputError(f"{where}: {error.message}")
    if "identity" not in {row["method"] for row in results["summary"]}:
        raise InputError("summary: the identity (doing nothing) is missing")
    settings: dict[tuple, set[str]] = {}
    for number, row in enumerate(rows, 1):
        unknown = set(row) - set(ROW_COLUMNS)
        missing = [c for c in REQUIRED_IN_ROW if row.get(c) in (None, "")]
        if unknown or missing:
            fault = f"unknown column {min(unknown)!r}" if unknown else f"no {missing[0]!r}"
            raise InputError(f"rows, line {number}: {fault}")
        key = (row["data"], row["degradation"], row["image"])
        settings.setdefault(key, set()).add(row["method"])
    for (*_, image), methods in settings.items():
        if "identity" not in methods:
            raise InputError(f"rows: the identity is missing for {image}")
    sample_only = {d["name"] for d in results["stamp"]["data"]} == {"sample"}
    for claim in results["claims"]:
        if claim.get("verdict") and claim["n_seeds"] == 2:
            raise InputError(f"claim {claim['id']}: two seeds are too few for a verdict")
        if claim.get("verdict") and (sample_only or results["profile"] in ("smoke", "quick")):
            raise InputError(f"claim {claim['id']}: no verdict on sample data or a quick profile")


def published_verdicts(chapter: str) -> dict[str, str]:
    """Claim -> verdict, as the checkout's ``reports/results/`` has it; empty if it has none."""
    path = Path(__file__).parents[2] / "reports" / "results" / f"{chapter}.json"
    if not path.is_file():
        return {}
    claims = json.loads(path.read_text("utf-8"))["claims"]
    return {claim["id"]: claim["verdict"] for claim in claims if claim["verdict"]}


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Per-image rows as CSV text with the columns of :data:`ROW_COLUMNS`; floats to 6 digits."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ROW_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()
