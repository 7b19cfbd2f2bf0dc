"""Several processes: on one training, on one run, and on a disk that fills up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deblurlib.runs import store

SCRIPT = Path(__file__).with_name("sharing.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(mode, folder, launcher=()):
    command = [sys.executable, *launcher, str(SCRIPT), mode, str(folder)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    start("alone", folder)
    return store.listed(folder)[0]


def test_two_processes_end_with_the_weights_of_one_also_after_a_stop(alone, tmp_path):
    printed = start("together", tmp_path, TORCHRUN).stdout.splitlines()
    (run,) = store.listed(tmp_path)
    assert printed == [f"02/shared, seed 0: {how} ({run.id})" for how in ("stopped", "resumed")]
    assert (run.env["processes"], alone.env["processes"]) == (2, 1)
    assert run.id == alone.id
    weights, expected = run.model().state_dict(), alone.model().state_dict()
    for key in expected:
        assert (weights[key] - expected[key]).abs().max() < 1e-5
    for row, other in zip(run.history, alone.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_two_processes_that_want_one_run_train_it_once(alone, tmp_path):
    done = start("race", tmp_path)
    statuses, refusal, last = done.stdout.splitlines()
    assert statuses == "0 0"
    outcomes = sorted(line.split()[-2] for line in done.stderr.splitlines() if "seed 0: " in line)
    assert outcomes == ["hit", "trained"]
    assert "waiting for it" in done.stderr
    assert "is being trained by another process" in refusal  # of deblur runs rm
    assert last == "goes on"  # the one that waited, when the other was killed
    (run,) = (r for r in store.listed(tmp_path) if r.outcome == "hit")
    name = "model.safetensors"
    assert (run.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_a_full_disk_is_one_sentence_and_loses_no_checkpoint(alone, tmp_path):
    stopped, error, same, resumed = start("full", tmp_path).stdout.splitlines()
    assert "stopped" in stopped
    assert "cannot be written" in error
    assert "too large" in error
    assert same == "True"
    assert "resumed" in resumed
    (run,) = store.listed(tmp_path)
    name = "model.safetensors"
    assert (run.folder / name).read_bytes() == (alone.folder / name).read_bytes()
