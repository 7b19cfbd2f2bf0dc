"""The batch: a job a recipe and seed, then the chapters; killed and resumed; on a cluster."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from deblurlib import studies
from deblurlib.runs import store

pytest.importorskip("snakemake", reason="Snakemake is not installed")
ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--nolock"]


def snakemake(folder, *options, targets=(), **config):
    """Start a batch, of the trainings of chapter 02 unless ``targets`` or ``config`` say more."""
    config = {"profile": "smoke", "seeds": "0", "chapters": "02"} | config
    command = [*SNAKEMAKE, *targets, "--directory", str(folder / "batch")]
    command += ["--resources", "gpu=1", *options]
    command += ["--config", *(f"{k}={v}" for k, v in config.items())]
    (folder / "batch").mkdir(exist_ok=True)
    env = os.environ | {"DEBLURLIB_RUNS": str(folder / "runs"), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, **pipes)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def planned(output):
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_a_cluster_is_planned_a_job_for_each_recipe_and_seed_and_chapter(tmp_path):
    slurm = ("--executor", "slurm", "--jobs", "4", "--default-resources", "slurm_partition=gpu")
    options = {"seeds": "0,1", "chapters": "1,2", "profile": "report"}
    output = finish(snakemake(tmp_path, "-n", *slurm, **options))
    count = 2 * len(studies.recipes("02", "report"))
    assert planned(output) == {"train": count, "chapter": 2, "all": 1, "total": count + 3}
    assert re.search(r"rule train:.*?resources:[^\n]*slurm_partition=gpu[^\n]*gpu=1", output, re.S)


def test_a_killed_batch_goes_on_and_a_whole_one_has_nothing_to_do(tmp_path):
    """At ``smoke`` the trainings of a chapter are one job."""
    targets, options = ["runs/07-seed-0.txt"], {"chapters": "07"}
    process = snakemake(tmp_path, targets=targets, **options)
    while not any(run.outcome == "hit" for run in store.listed(tmp_path / "runs")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = [run for run in store.listed(tmp_path / "runs") if run.outcome == "hit"]
    output = finish(snakemake(tmp_path, "--rerun-incomplete", targets=targets, **options))
    assert planned(output)["train"] == 1
    runs = {run.id: run for run in store.listed(tmp_path / "runs")}
    assert [run.outcome for run in runs.values()] == ["hit"] * len(studies.recipes("07", "smoke"))
    assert all(runs[run.id].metrics == run.metrics for run in done)  # not trained twice
    assert "Nothing to be done" in finish(snakemake(tmp_path, targets=targets, **options))


def test_ctrl_c_stops_a_batch_in_one_sentence_and_leaves_no_process(tmp_path):
    command = [sys.executable, "-m", "deblurlib", "batch", "--profile", "smoke"]
    command += ["--chapters", "07", "--out", str(tmp_path / "batch")]
    env = os.environ | {"DEBLURLIB_RUNS": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # as from a terminal; the tests' own processes may ignore Ctrl-C
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=heed, **pipes)
    while not list((tmp_path / "runs").glob("*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err.splitlines()[-1]) == (
        130,
        "deblur: stopped; the same command goes on",
    )
    assert not re.search("Traceback|Exception|Error", out + err)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # of a process that has just ended
            assert str(tmp_path).encode() not in path.read_bytes()
