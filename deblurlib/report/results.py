"""What a chapter measured: how it leaves the notebook, and the form it must have.

Results travel inside the executed notebook, as an output of a type of their own, so that no
folder has to be agreed on and no result can be separated from the run that made it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jsonschema

from .. import machine
from ..errors import InputError
from ..evaluation import CASE, case_of
from ..metrics import SSIM_PROTOCOLS
from ..perception import MEASURES

MIME = "application/vnd.deblurlib.results+json"
SCHEMA_VERSION = 2
PROFILES = ("smoke", "quick", "report", "full")
SCHEMA = json.loads(Path(__file__).with_name("results.schema.json").read_text("utf-8"))
NUMBERS = ("psnr", *(f"ssim_{protocol}" for protocol in SSIM_PROTOCOLS), *MEASURES)
#: ``seed`` is that of a training, ``draw`` that of the degradation
ROW_COLUMNS = ("method", "run", "seed", *CASE[:-1], "scene", "image", *NUMBERS)
REQUIRED_IN_ROW = ("method", "data", "channels", "degradation", "image", "psnr")
CHANNELS = ("rgb", "grey")


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
        rows: one row an image and method, with the columns of ``NN_rows.csv.gz``. The ``seconds``
            of rows and summary are not among the results: each method's median is kept apart.
        claims: measured claims, see the schema.
        device: what the measurements ran on, ``"cpu"`` or ``"cuda"``.
    """
    rows, seconds = without_seconds(rows)
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
        "summary": without_seconds(summary)[0],
        "claims": [dict(claim) for claim in claims],
        "rows": rows,
        "timings": {"machine": machine.device_name(device), "seconds": seconds},
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

    Beyond the schema: the identity stands in every summary and, once for every case, in the rows;
    no verdict comes from ``sample``, from ``smoke`` or from ``quick``.
    """
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(results)
    )
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path) or "results"
        raise InputError(f"{where}: {error.message}")
    if "identity" not in {row["method"] for row in results["summary"]}:
        raise InputError("summary: the identity (doing nothing) is missing")
    _check_rows(rows)
    sample_only = {d["name"] for d in results["stamp"]["data"]} == {"sample"}
    for claim in results["claims"]:
        if claim.get("verdict") and claim["n_seeds"] == 2:
            raise InputError(f"claim {claim['id']}: two seeds are too few for a verdict")
        if claim.get("verdict") and (sample_only or results["profile"] in ("smoke", "quick")):
            raise InputError(f"claim {claim['id']}: no verdict on sample data or a quick profile")


def _check_rows(rows: Sequence[Mapping[str, object]]) -> None:
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


def published_verdicts(chapter: str) -> dict[str, str]:
    """Claim -> verdict, as the checkout's ``reports/results/`` has it; empty if it has none."""
    path = Path(__file__).parents[2] / "reports" / "results" / f"{chapter}.json"
    if not path.is_file():
        return {}
    claims = json.loads(path.read_text("utf-8"))["claims"]
    return {claim["id"]: claim["verdict"] for claim in claims if claim["verdict"]}


def without_seconds(rows: Sequence[Mapping[str, object]]) -> tuple[list[dict], dict[str, float]]:
    """Rows without their ``seconds``; and each method's median of these, to three digits."""
    by_method: dict[str, list[float]] = {}
    for row in rows:
        if row.get("seconds") is not None:
            by_method.setdefault(row["method"], []).append(row["seconds"])
    medians = {name: float(f"{statistics.median(s):.3g}") for name, s in by_method.items()}
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows], medians


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as CSV text with those of :data:`ROW_COLUMNS` that are not empty; floats to 6 digits.

    ``scene`` is empty where it is the ``image``.
    """
    lines = []
    for row in rows:
        line = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        if line.get("scene") == line["image"]:
            line["scene"] = None
        lines.append({k: v for k, v in line.items() if v is not None and v != ""})
    used = set(REQUIRED_IN_ROW).union(*lines)
    buffer = io.StringIO()
    columns = [c for c in ROW_COLUMNS if c in used]
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def from_csv(text: str) -> list[dict]:
    """The rows of :func:`to_csv`: numbers as numbers, every ``scene``, and nothing empty."""
    rows = []
    for line in csv.DictReader(io.StringIO(text, newline="")):
        row = {"scene": line["image"]} | {k: v for k, v in line.items() if v != ""}
        row |= {k: int(row[k]) for k in ("seed", "draw") if k in row}
        rows.append(row | {k: float(row[k]) for k in NUMBERS if k in row})
    return rows


def read_rows(path: Path) -> list[dict]:
    """The rows of a ``NN_rows.csv.gz``, see :func:`from_csv`."""
    return from_csv(gzip.decompress(path.read_bytes()).decode("utf-8"))


def pack(text: str) -> bytes:
    """A text compressed by gzip; equal texts give equal bytes, whenever."""
    return gzip.compress(text.encode("utf-8"), 9, mtime=0)


def write_files(
    folder: Path, results: Mapping, rows: Sequence[Mapping], timings: Mapping, strict: bool = False
) -> None:
    """Write ``NN.json``, ``NN_rows.csv.gz`` and, if anything was timed, ``NN_timings.json``.

    Raises:
        ValueError: ``strict``, and there are numbers that are none, or infinite, in ``NN.json``.
    """

    def as_json(value: Mapping) -> str:
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=not strict) + "\n"

    chapter = results["chapter"]
    (folder / f"{chapter}.json").write_text(as_json(results), "utf-8")
    (folder / f"{chapter}_rows.csv.gz").write_bytes(pack(to_csv(rows)))
    if timings.get("seconds"):
        (folder / f"{chapter}_timings.json").write_text(as_json(timings), "utf-8")
