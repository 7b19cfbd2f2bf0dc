"""The page on deconvolution: its code runs, and its numbers are those that were measured."""

import json
import re
from pathlib import Path

import pytest
from test_deconvolution import CHOSEN

from deblurlib.restoration import METHODS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "deconvolution.md").read_text("utf-8")
MEASURED = json.loads((DOCS / "deconvolution" / "levin.json").read_text("utf-8"))
CANDIDATES = (DOCS / "deconvolution" / "choose.md").read_text("utf-8").splitlines()


def cells(line):
    return [cell.strip().strip("`") for cell in line.split("|")[1:-1]]


def candidates():
    """The mean PSNR of each candidate, by its name."""
    rows = [cells(line) for line in CANDIDATES if line.startswith("| ")]
    return {row[0]: float(row[1]) for row in rows[2:]}  # less the heading


def test_its_code_runs():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    made = {}
    exec(compile(block, "docs/deconvolution.md", "exec"), made)
    assert made["x_hat"].shape == made["y"].shape
    assert made["k_hat"].shape == (1, 9, 9)
    assert made["k_hat"].sum().item() == pytest.approx(1, abs=1e-5)


def test_its_table_holds_what_was_measured_the_identity_first():
    table = PAGE.partition("written by draw_deconvolution.py -->")[2].partition("<!--")[0]
    rows = [cells(line) for line in table.strip().splitlines()[2:]]
    assert [row[0] for row in rows] == [line["method"] for line in MEASURED["summary"]]
    assert rows[0][0] == "identity"
    for row, line in zip(rows, MEASURED["summary"], strict=True):
        assert row[2] == f"{line['psnr']:.2f}"
        assert row[4] == f"{line['ssim']:.4f}"
        if row[0] != "identity":
            assert row[3] == f"{line['psnr_gain']:+.2f}"
            assert row[5] == f"{line['win_rate']:.0%}"


def test_it_names_every_method_that_is_measured_and_no_other():
    named = {cells(line)[0] for line in PAGE.splitlines() if line.startswith("| `")}
    assert set(METHODS) <= named
    assert named <= {*METHODS, "srn"}


@pytest.mark.parametrize("number", re.findall(r"\b\d\d\.\d dB\b", PAGE))
def test_scores_in_its_text_are_among_the_candidates(number):
    assert any(f"{score:.1f} dB" == number for score in candidates().values())


def test_what_was_chosen_is_best_or_nearly_so():
    scores = candidates()
    assert next(iter(scores)) == "identity"
    for name, candidate in CHOSEN.items():
        best = max(score for key, score in scores.items() if key.partition(" (")[0] == name)
        assert scores[candidate] >= best - 0.2
