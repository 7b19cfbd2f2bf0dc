"""The batch: a job a recipe and seed, then the chapters; killed and resumed; on a cluster."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deblurlib import studies
from deblurlib.runs import store

pytest.importorskip("snakemake", reason="Snakemake is not installed")
ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--nolock"]


def snakemake(folder, *options, targets=(), **config):
    """Start a batch of the training alone, unless ``chapters`` says otherwise."""
    config = {"profile": "smoke", "seeds": "0", "chapters": "02"} | config
    command = [*SNAKEMAKE, *targets, "--directory", str(folder / "batch")]
    command += ["--resources", "gpu=1", *options]
    command += ["--config", *(f"{k}={v}" for k, v in config.items())]
    (folder / "batch").mkdir(exist_ok=True)
    env = os.environ | {"DEBLURLIB_RUNS": str(folder / "runs"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def planned(output):
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_the_batch_has_a_job_for_each_recipe_and_seed_and_chapter(tmp_path):
    output = finish(snakemake(tmp_path, "-n", seeds="0,1", chapters="1,2"))
    count = 2 * len(studies.recipes("02", "smoke"))
    assert planned(output) == {"train": count, "chapter": 2, "all": 1, "total": count + 3}
    assert "gpu=1" in output


def test_the_batch_can_be_planned_for_a_cluster(tmp_path):
    slurm = ("--executor", "slurm", "--jobs", "4", "--default-resources", "slurm_partition=gpu")
    output = finish(snakemake(tmp_path, "-n", *slurm))
    assert planned(output)["train"] == len(studies.recipes("02", "smoke"))
    assert re.search(r"rule train:.*?resources:[^\n]*slurm_partition=gpu[^\n]*gpu=1", output, re.S)


def test_a_killed_batch_goes_on_and_a_whole_one_has_nothing_to_do(tmp_path):
    targets = [f"runs/02-{blur}-seed-0.txt" for blur in ("gaussian", "box", "motion")]
    process = snakemake(tmp_path, targets=targets)
    while not list((tmp_path / "batch" / "runs").glob("*.txt")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {r.id: r.metrics for r in store.listed(tmp_path / "runs") if r.outcome == "hit"}
    assert 1 <= len(done) < 3
    output = finish(snakemake(tmp_path, "--rerun-incomplete", targets=targets))
    assert planned(output)["train"] < 3
    runs = {r.id: r for r in store.listed(tmp_path / "runs")}
    assert [r.outcome for r in runs.values()] == ["hit"] * 3
    assert all(runs[i].metrics == metrics for i, metrics in done.items())  # none trained twice
    assert "Nothing to be done" in finish(snakemake(tmp_path, targets=targets))
