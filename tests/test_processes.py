"""Trainings that are killed, several processes on one run, and a disk that fills up."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import JUDGED, POINTS, TURNS

from deblurlib.runs import run, store

SCRIPT = Path(__file__).with_name("processes.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(folder, *acts, launcher=(), limit=300):
    """What the acts printed."""
    command = [sys.executable, *launcher, str(SCRIPT), str(folder), *acts]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def acted(tmp_path_factory):
    """The folder of the stores, and for each act the lines that it printed."""
    folder = tmp_path_factory.mktemp("acted")
    turns = [f"turn-{n}" for n in TURNS]
    parts = start(folder, "alone", "full", *POINTS, "race", "game", "judged", *turns).split("# ")[
        1:
    ]
    return folder, {act: lines for act, *lines in map(str.splitlines, parts)}


@pytest.fixture(scope="module")
def alone(acted):
    return the_run(acted[0] / "alone")


def the_run(folder):
    """The one complete run, with nothing beside it but the lock."""
    (found,) = store.listed(folder)
    assert found.outcome == "hit"
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {name.split("/")[0] for name in left} <= {found.id, ".locks"}
    return found


def assert_same_end(first, second):
    for name in ("model.safetensors", "config.json", "recipe.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    tensors, numbers = run.read_state(first.folder)
    others, other_numbers = run.read_state(second.folder)
    assert tensors.keys() == others.keys()
    assert all(tensors[k].equal(others[k]) for k in tensors)
    assert numbers["step"] == other_numbers["step"]
    rows = [[r | {"seconds": 0} for r in which.history] for which in (first, second)]
    assert repr(rows[0]) == repr(rows[1])  # some of a critic's losses are NaN


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_a_write_point_ends_with_the_same_bits(acted, alone, point):
    folder, printed = acted
    found = the_run(folder / point)
    others = {"before-the-first-checkpoint": "trained", "checkpoints-not-removed": "hit"}
    outcome = others.get(point, "resumed")
    assert printed[point] == ["-9", f"02/shared, seed 0: {outcome} ({found.id})", "0"]
    assert_same_end(alone, found)


@pytest.mark.parametrize("turn", TURNS)
def test_a_game_killed_inside_a_cycle_ends_with_the_same_bits(acted, turn):
    folder, printed = acted
    found = the_run(folder / f"turn-{turn}")
    outcome = f"{TURNS[turn].name}, seed 0: resumed ({found.id})"
    assert printed[f"turn-{turn}"] == ["-9", outcome, "0"]
    whole = the_run(folder / TURNS[turn].name.removeprefix("04/"))
    assert_same_end(whole, found)
    assert math.isfinite(whole.history[-1]["critic"])
    of_critic = [key for key in run.read_state(found.folder)[0] if key.startswith("critic.model.")]
    if TURNS[turn] is JUDGED:  # it normalises over its batches, and notes its accuracy
        assert any(key.endswith("running_mean") for key in of_critic)
        assert 0 <= found.history[-1]["critic_accuracy"] <= 1


def test_a_full_disk_is_one_sentence_and_loses_no_checkpoint(acted, alone):
    folder, printed = acted
    stopped, error, same, resumed = printed["full"]
    assert "stopped" in stopped
    assert "cannot be written" in error
    assert "too large" in error
    assert same == "True"
    assert "resumed" in resumed
    assert_same_end(alone, the_run(folder / "full"))


def test_two_processes_that_want_one_run_train_it_once(acted, alone):
    folder, printed = acted
    lines = printed["race"]
    both = lines.index("0 0")  # their statuses
    ends = [line.split()[-2] for line in lines[:both] if "seed 0: " in line]
    assert sorted(ends) == ["hit", "trained"]
    assert any("waiting for it" in line for line in lines[:both])
    assert lines[both + 1].endswith("is being trained by another process")  # of deblur runs rm
    assert lines[-1] == "goes on"  # the one that waited, when the other was killed
    (found,) = (r for r in store.listed(folder / "race") if r.outcome == "hit")
    assert_same_end(alone, found)


@pytest.mark.parametrize(("act", "by_one"), [("together", "alone"), ("game_together", "game")])
def test_two_processes_end_with_the_weights_of_one_also_after_a_stop(acted, tmp_path, act, by_one):
    alone = the_run(acted[0] / by_one)
    printed = start(tmp_path, act, launcher=TORCHRUN).splitlines()
    found = the_run(tmp_path / act)
    title = f"{alone.name}, seed 0"
    assert printed == [f"{title}: {how} ({found.id})" for how in ("stopped", "resumed")]
    assert (found.env["processes"], alone.env["processes"]) == (2, 1)
    assert found.id == alone.id
    tensors, _ = run.read_state(found.folder)
    expected, _ = run.read_state(alone.folder)
    weights = [key for key in expected if "model." in key or key.startswith("average.")]
    assert len(weights) == len([key for key in tensors if "model." in key or "average." in key])
    for key in weights:
        assert (tensors[key] - expected[key]).abs().max() < 1e-5, key
    for row, other in zip(found.history, alone.history, strict=True):
        for name in {"loss", "adversarial", "critic"} & row.keys():
            assert row[name] == pytest.approx(other[name], rel=1e-5, nan_ok=True)


def test_two_processes_agree_on_what_a_run_stands_on(tmp_path):
    printed = start(tmp_path, "standing_together", launcher=TORCHRUN).splitlines()
    said = [line.split(" (")[0] for line in printed]
    assert said == [
        "03/first, seed 0: trained",
        "03/standing, seed 0: trained",
        "03/standing, seed 0: hit",  # it holds the weights of what is gone
    ]


@pytest.mark.slow
def test_twenty_kills_at_random_moments_end_with_the_same_bits(alone, tmp_path):
    printed = start(tmp_path, "kills_at_random", limit=1200)
    assert "20 kills" in printed
    rounds = sorted((tmp_path / "kills_at_random").glob("round-*"))
    assert rounds
    for folder in rounds:
        assert_same_end(alone, the_run(folder))
