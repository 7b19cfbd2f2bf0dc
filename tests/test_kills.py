"""A training that is killed, wherever that happens, ends with the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from killing import POINTS

from deblurlib.runs import run, store

SCRIPT = Path(__file__).with_name("killing.py")


def run_script(folder, *points, limit=300):
    command = [sys.executable, str(SCRIPT), str(folder), *points]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def the_run(folder):
    """The one complete run, with nothing beside it but the lock."""
    (found,) = store.listed(folder)
    assert found.outcome == "hit"
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {name.split("/")[0] for name in left} <= {found.id, ".locks"}
    return found


def same_end(first, second):
    for name in ("model.safetensors", "config.json", "recipe.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    tensors, numbers = run.read_state(first.folder)
    others, other_numbers = run.read_state(second.folder)
    assert tensors.keys() == others.keys()
    assert all(tensors[k].equal(others[k]) for k in tensors)
    assert numbers["step"] == other_numbers["step"]
    rows = [[r | {"seconds": 0} for r in which.history] for which in (first, second)]
    assert rows[0] == rows[1]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a store for each point, and what the processes printed."""
    folder = tmp_path_factory.mktemp("killed")
    return folder, run_script(folder, "never", *POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_a_write_point_ends_with_the_same_bits(killed, point):
    folder, printed = killed
    assert f"{point} -9" in printed
    assert f"{point} 0" in printed
    same_end(the_run(folder / "never"), the_run(folder / point))


def test_what_a_kill_leaves_is_used(killed):
    _, printed = killed
    for point in POINTS:
        line = printed[printed.index(f"{point} 0") - 1]
        expected = {
            "before-the-first-checkpoint": "trained",
            "checkpoints-not-removed": "hit",
        }.get(point, "resumed")
        assert f": {expected} (" in line, (point, line)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_end_with_the_same_bits(tmp_path):
    printed = run_script(tmp_path, "never", "20", limit=1200)
    assert printed[-1].startswith("20 kills")
    rounds = sorted(tmp_path.glob("round-*"))
    assert rounds
    for folder in rounds:
        same_end(the_run(tmp_path / "never"), the_run(folder))
