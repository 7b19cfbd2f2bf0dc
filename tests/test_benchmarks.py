"""The benchmarks run and their contenders agree; how fast they are is no test's business."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import cost, memory, restoration
from deblurlib import degrade
from deblurlib import restoration as restoring

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
    "batches": {blur: LOADERS for blur in ("s1-motion", "shake", "s4-camera")},
    "training": {network: {"bare loop"} for network in ("SRCNN", "UNet", "SRN")},
    "restoration": {
        "176 x 320": {"whole"},
        **{f"{side} x {side}": {"plain"} for side in (32, 96)},
    },
    "edges": {
        case: {"Canny", "EdgeNet", "EdgeNet, trained"} for case in ("training", "restoration")
    },
    "serving": {case: {"bare"} for case in ("64 x 64, unsharp-mask", "128 x 128, srn")},
    "deconvolution": {
        **{name: {"scikit-image"} for name in ("zero", "reflect", "accelerated")},
        **{name: {"deepinv"} for name in ("circular", "blind")},
    },
    "ssim": {"forward": SCORES | {"scikit-image"}, "forward and backward": SCORES},
}
# tiles are not the whole, and scikit-image's border is its own; see the page
TOLERANCES = {"176 x 320": 0.1, "reflect": 0.02, "128 x 128, srn": 0.004}
MACHINE = {"cpu", "cores", "threads", "others", "platform", "python", "torch", "versions"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder that a miniature run wrote, and what it printed."""
    out = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.mark.parametrize("name", EXPECTED)
def test_every_contender_runs_and_agrees_and_the_machine_is_not_named(quick, name):
    text = (quick[0] / f"{name}.json").read_text("utf-8")
    stored = json.loads(text)
    assert {c["case"]: set(c["contenders"]) for c in stored["cases"]} == EXPECTED[name]
    for case in stored["cases"]:
        assert 0 <= case["max_difference"] <= TOLERANCES.get(case["case"], 1e-4)
    assert set(stored["machine"]) == MACHINE
    assert [word for word in ("://", str(ROOT), str(quick[0])) if word in text] == []


def test_the_cost_of_each_method_is_measured_at_both_sizes_and_related_to_srn(quick):
    text = (quick[0] / "cost.json").read_text("utf-8")
    stored = json.loads(text)
    assert set(stored["machine"]) == MACHINE
    assert str(ROOT) not in text
    sides = {case["side"] for case in stored["cases"]}
    assert len(sides) == len(cost.SIDES)
    for side in sides:
        cases = {c["method"]: c for c in stored["cases"] if c["side"] == side}
        assert set(cases) == set(cost.QUICK)
        assert cases[cost.BESIDE]["ratio"] == 1
        assert cases["identity"]["ratio"] < 1
        assert cases[cost.BESIDE]["parameters"] > cases["identity"]["parameters"] == 0
        for case in cases.values():
            share = case["seconds"] / (side**2 / 1e6)
            assert case["seconds_per_megapixel"] == pytest.approx(share, rel=0.02)


def test_every_method_that_is_no_oracle_has_its_cost_and_those_with_a_network_parameters():
    names = cost.methods()
    assert set(names) == {*restoring.METHODS, *restoring.shipped()}
    assert {name for name in names if cost.parameters_of(name)} == {
        *restoring.shipped(),
        "plug-and-play",
    }


def test_memory_is_what_a_step_adds_to_what_was_held():
    # numpy writes into all it takes; 40 MB are held before, 80 and 160 more in the steps
    before = "import numpy as np\nheld = np.ones(5 * 2**20)\n"
    steps = [f"np.ones({many} * 2**20)\n" for many in (10, 20)]
    assert memory.added(before, steps) == pytest.approx([80, 160], abs=8)


def test_the_page_holds_what_was_printed_a_column_for_each_contender(quick):
    out, printed = quick
    page = (out / "README.md").read_text("utf-8")
    assert [word for word in ("://", str(ROOT), str(out)) if word in page] == []
    tables = [line for line in page.splitlines() if line.startswith("|")]
    times = 2 + len(restoration.METHODS)  # of processes that restore photographs
    crowds = 2 + len(EXPECTED["serving"])
    rows = sum(2 + len(cases) for cases in EXPECTED.values())
    costs = 2 + len(cost.QUICK)
    assert len(tables) == rows + times + crowds + costs
    assert tables == [line for line in printed.splitlines() if line.startswith("|")]
    section = page.partition("## Deconvolution")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    header, _, *rows = filter(None, rows)
    assert set(header) == {"case", "deblurlib", "scikit-image", "deepinv"}
    for case, _, *others in rows:
        filled = {name for name, cell in zip(header[2:], others, strict=True) if cell}
        assert filled == EXPECTED["deconvolution"][case]


@pytest.mark.parametrize("off", [2e-4, float("nan"), 5e-5])
def test_a_contender_that_computes_something_else_is_not_timed(monkeypatch, off):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import timing

    calls = {timing.OURS: lambda: torch.zeros(2), "other": lambda: torch.tensor([0, off])}
    if off == 5e-5:
        case = timing.run_case("c", calls, torch.Tensor.float, 1, 0)
        assert case["max_difference"] == off
    else:
        with pytest.raises(ValueError, match="other differs"):
            timing.run_case("c", calls, torch.Tensor.float, 1, 0)


# ---- make gpu


def gpu(*arguments, flags=(), **variables):
    return subprocess.run(
        [sys.executable, *flags, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "", **variables},
    )


def test_make_gpu_names_the_packages_that_are_missing_in_one_sentence():
    done = gpu(flags=("-S",))  # a Python without any
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"make gpu: \S+ has no torch, numpy, .*, pytest; .*GPU_PYTHON=PATH\n", done.stderr
    )


def test_make_gpu_says_that_there_is_no_gpu():
    done = gpu(CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("make gpu: there is no GPU here; ")
    assert len(done.stderr.splitlines()) == 1


def test_what_takes_too_long_is_ended_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import gpu as driver

    beat = tmp_path / "beat"
    child = f"import time\nwhile True: open({str(beat)!r}, 'a').write('x'); time.sleep(0.05)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    said = "print('begun', flush=True); "
    assert driver.run(3, "-c", said + parent) == (None, "begun\n")
    size = beat.stat().st_size
    time.sleep(0.5)
    assert beat.stat().st_size == size > 0
    assert driver.in_time(4, "inductor", "cpu", True, 1)["not measured"] == "no time was left"


def test_every_case_of_make_gpu_is_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import gpu_cases

    monkeypatch.setattr(gpu_cases, "SECONDS", 0)
    found = {case["case"]: case["ms"] for case in gpu_cases.cases("cpu", tiny=True)}
    assert all(ms > 0 for ms in found.values())
    batches = [name for name in found if name.startswith("batch of")]
    assert len(batches) == len(degrade.SETTINGS)
    for part in ("blur", "SSIM", "its gradient", "Richardson-Lucy", "accelerated", "SRN step"):
        assert any(part in name for name in found)

    def short_of_memory():
        raise torch.OutOfMemoryError("CUDA out of memory")

    case = gpu_cases.timed("large", short_of_memory)  # the others go on
    assert case == {"case": "large", "not measured": "CUDA out of memory"}
