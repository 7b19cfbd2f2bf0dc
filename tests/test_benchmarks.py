"""The benchmarks run and their contenders agree; how fast they are is no test's business."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLURS = {"kornia filter2d", "albumentations", "OpenCV"}
GAUSSIANS = BLURS | {"kornia gaussian_blur2d"}
SCORES = {"torchmetrics", "pytorch-msssim", "kornia"}
LOADERS = {"DataLoader", "DataLoader, 2 workers"}
EXPECTED = {
    "convolution": {
        **{f"random {size} x {size}": BLURS for size in (7, 15, 31, 63)},
        **{f"Gaussian, sigma {sigma}": GAUSSIANS for sigma in (1, 2, 5)},
    },
    "batches": {blur: LOADERS for blur in ("s1-motion", "shake")},
    "training": {network: {"bare loop"} for network in ("SRCNN", "UNet", "SRN")},
    "restoration": {"176 x 320": {"whole"}},
    "deconvolution": {
        **{name: {"scikit-image"} for name in ("zero", "reflect", "accelerated")},
        **{name: {"deepinv"} for name in ("circular", "blind")},
    },
    "ssim": {"forward": SCORES | {"scikit-image"}, "forward and backward": SCORES},
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder that a miniature run wrote, and what it printed."""
    out = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.mark.parametrize("name", EXPECTED)
def test_every_contender_runs_and_agrees(quick, name):
    stored = json.loads((quick[0] / f"{name}.json").read_text("utf-8"))
    contenders = {case["case"]: set(case["contenders"]) for case in stored["cases"]}
    assert contenders == EXPECTED[name]
    # tiles are not the whole, and scikit-image's border is its own; see the page
    tolerances = {"restoration": 0.1, "reflect": 0.02}
    for case in stored["cases"]:
        tolerance = tolerances.get(name, tolerances.get(case["case"], 1e-4))
        assert 0 <= case["max_difference"] <= tolerance


def test_every_contender_of_a_section_has_its_column(quick):
    page = (quick[0] / "README.md").read_text("utf-8")
    section = page.partition("## Deconvolution")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    rows = [row for row in rows if row]
    assert set(rows[0]) == {"case", "deblurlib", "scikit-image", "deepinv"}
    filled = {row[0]: [bool(cell) for cell in row[2:]] for row in rows[2:]}
    assert set(map(tuple, filled.values())) == {(True, False), (False, True)}


def test_the_page_holds_what_was_printed(quick):
    out, printed = quick
    page = (out / "README.md").read_text("utf-8")
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len(tables) == sum(2 + len(cases) for cases in EXPECTED.values())
    assert tables == [line for line in printed.splitlines() if line.startswith("|")]


def test_results_do_not_name_the_machine(quick):
    keys = {"cpu", "cores", "threads", "others", "platform", "python", "torch", "versions"}
    for path in quick[0].iterdir():
        text = path.read_text("utf-8")
        assert "://" not in text
        assert str(ROOT) not in text
        assert str(quick[0]) not in text
        if path.suffix == ".json":
            assert set(json.loads(text)["machine"]) == keys


def test_a_contender_that_computes_something_else_is_not_timed():
    program = (
        "import torch; from benchmarks import timing;"
        "timing.run_case('c', {timing.OURS: lambda: torch.zeros(2), 'other': lambda: torch.tensor("
        "[0, %s])}, torch.Tensor.float, 1, 0)"
    )
    for value, message in (("2e-4", "other differs"), ("torch.nan", "other differs"), ("5e-5", "")):
        command = [sys.executable, "-c", program % value]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert message in done.stderr
        assert bool(done.returncode) == bool(message), done.stderr


def test_the_scripts_are_short():
    for path in (ROOT / "benchmarks").glob("*.py"):
        text = path.read_text("utf-8")
        assert text.count("\n") < 150, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"
