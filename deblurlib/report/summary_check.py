"""A published summary, computed again from the published rows."""

from __future__ import annotations

import json
from pathlib import Path

from .. import evaluation
from ..studies.rows import read_rows
from .sameness import same_values

#: entries of a summary that follow from the rows alone
KEYS = ("n", "psnr", "ssim", "identity_psnr", "identity_ssim", "psnr_gain", "win_rate", "perfect")


def other_summary(folder: Path, chapter: str) -> list[str]:
    """Name the published summary if the published rows no longer lead to it; else nothing."""
    path = folder / f"{chapter}.json"
    if not path.exists():
        return []
    published = json.loads(path.read_text("utf-8"))["summary"]
    wanted = {line["method"] for line in published}
    rows = [r for r in read_rows(folder / f"{chapter}_rows.csv.gz") if r["method"] in wanted]
    cases = {evaluation.case_of(row) for row in rows if row["method"] != "identity"}
    rows = [r for r in rows if r["method"] != "identity" or evaluation.case_of(r) in cases]
    computed = {line["method"]: line for line in evaluation.summary(rows)}
    same = (
        key in computed.get(line["method"], {})
        and same_values(value, computed[line["method"]][key], _of_rows)
        for line in published
        for key, value in line.items()
        if key in KEYS
    )
    return [] if all(same) else ["the summary of the published rows"]


def _of_rows(published: float, computed: float) -> bool:
    """Whether two means agree as closely as those of rows rounded to six digits can."""
    return abs(published - computed) <= 2e-5 * max(1.0, abs(published))
