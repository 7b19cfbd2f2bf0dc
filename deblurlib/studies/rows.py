"""Rows of results, one for each image and method, as text and as ``NN_rows.csv.gz``."""

from __future__ import annotations

import csv
import gzip
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..evaluation import CASE, case_of
from ..metrics import SSIM_PROTOCOLS
from ..perception import MEASURES, PROBES

__all__ = ["from_csv", "read_rows", "to_csv"]

#: of a blur by a Gaussian: its standard deviation, pixels; of a method that guesses a kernel: its
#: error, see :func:`deblurlib.psf.distance`
OF_KERNELS = ("sigma", "kernel_error")
#: of a restored image that is blurred again: the share that contradicts the blurred one, and of how
#: much that can be said, see :mod:`deblurlib.restoration.trusting`; with the kernel that blurred,
#: the root mean square of the difference, in levels of 255
OF_TRUST = ("flagged", "answered", "reblurred")
NUMBERS = (
    *("psnr", *(f"ssim_{protocol}" for protocol in SSIM_PROTOCOLS)),
    *(*MEASURES, *PROBES, *OF_KERNELS, *OF_TRUST),
)
#: ``seed`` is that of a training, ``draw`` that of the degradation; ``contaminated`` is "yes" where
#: the method has been trained on such images
ROW_COLUMNS = (
    *("method", "run", "seed", *CASE[:-1], "scene", "class", "image", "contaminated"),
    *NUMBERS,
)
REQUIRED_IN_ROW = ("method", "data", "channels", "degradation", "image", "psnr")
CHANNELS = ("rgb", "grey")

Row = TypeVar("Row", bound=Mapping[str, Any])


def without_seconds(rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict], dict[str, float]]:
    """Rows without their ``seconds``; and each method's median of these, to three digits."""
    by_method: dict[str, list[float]] = {}
    for row in rows:
        if row.get("seconds") is not None:
            by_method.setdefault(row["method"], []).append(row["seconds"])
    medians = {name: float(f"{statistics.median(s):.3g}") for name, s in by_method.items()}
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows], medians


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV text with those of :data:`ROW_COLUMNS` that are not empty; floats to 6 digits.

    ``scene`` is empty where it is the ``image``. Rows are written :func:`in_order`.
    """
    lines = []
    for row in in_order(rows):
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


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The rows in one order, wherever they come from: by their cases, the identity first."""
    return sorted(rows, key=_place)


def _place(row: Mapping) -> tuple:
    case = [str(part) for part in case_of(row)]
    return (*case, row["method"] != "identity", row["method"], row.get("seed") or 0)


def from_csv(text: str) -> list[dict]:
    """The rows of :func:`to_csv`: numbers as numbers, every ``scene``, and nothing empty."""
    rows = []
    for line in csv.DictReader(io.StringIO(text, newline="")):
        row = {"scene": line["image"]} | {k: v for k, v in line.items() if v != ""}
        row |= {k: int(row[k]) for k in ("seed", "draw") if k in row}
        rows.append(row | {k: float(row[k]) for k in NUMBERS if k in row})
    return rows


def rounded(rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    """The rows with their numbers to six digits, as they are written."""
    return [
        {k: float(f"{v:.6g}") if k in NUMBERS and v is not None else v for k, v in row.items()}
        for row in rows
    ]


def once(rows: Iterable[Row]) -> list[Row]:
    """The rows, of those of one method, or run, on one case only the first."""
    kept: dict[tuple, Row] = {}
    for row in rows:
        kept.setdefault((row["method"], row.get("run"), case_of(row)), row)
    return list(kept.values())


def read_rows(path: Path) -> list[dict]:
    """The rows of a ``NN_rows.csv.gz``, see :func:`from_csv`."""
    return from_csv(gzip.decompress(path.read_bytes()).decode("utf-8"))


def pack(text: str) -> bytes:
    """A text compressed by gzip; equal texts give equal bytes, whenever."""
    return gzip.compress(text.encode("utf-8", "backslashreplace"), 9, mtime=0)
