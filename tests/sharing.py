"""Processes that share a store: ``sharing.py MODE STORE``; the tests start it."""

import contextlib
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from deblurlib import runs
from deblurlib.errors import InputError

RECIPE = runs.Recipe(
    "02/shared",
    model="srcnn",
    data="sample",
    steps=30,
    batch=4,
    crop=16,
    degradation="s2-gaussian",
    optimiser={"name": "adam", "lr": 1e-3, "rates": {"layers.2": 0.1}},
    clip={"norm": 0.05, "of": "layers.2"},
    model_args={"channels": 3},
    every=12,
)


def together(folder):
    """Under torchrun: stop for time as soon as may be, then go on to the end."""
    runs.train_or_load(RECIPE, folder=folder, max_minutes=0)
    runs.train_or_load(RECIPE, folder=folder)


def alone(folder):
    runs.train_or_load(RECIPE, folder=folder)


def forked(folder, recipe):
    pid = os.fork()
    if pid:
        return pid
    with contextlib.redirect_stdout(sys.stderr):
        runs.train_or_load(recipe, folder=folder)
    os._exit(0)


def race(folder):
    """Two want the same run; then the one that trains is killed while the other waits."""
    import lightning_fabric  # noqa: F401

    pids = [forked(folder, RECIPE) for _ in range(2)]
    print(*(os.waitpid(pid, 0)[1] for pid in pids))
    longer = replace(RECIPE, steps=20_000)
    pids = [forked(folder, longer)]
    while not list(folder.glob(".partial/*/0*")):
        time.sleep(0.05)
    pids.append(forked(folder, longer))
    try:
        runs.remove(folder, next((folder / ".partial").iterdir()).name)
    except InputError as error:
        print(error)
    time.sleep(0.5)
    os.kill(pids[0], signal.SIGKILL)
    os.waitpid(pids[0], 0)
    seen = set(folder.glob(".partial/*/0*"))
    while set(folder.glob(".partial/*/0*")) <= seen:  # the other one goes on
        time.sleep(0.05)
    print("goes on")
    os.kill(pids[1], signal.SIGKILL)


def full(folder):
    """No file may grow beyond what a checkpoint needs, as on a full disk."""
    runs.train_or_load(RECIPE, folder=folder, max_minutes=0)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    try:
        runs.train_or_load(RECIPE, folder=folder)
    except InputError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    print(before == after)
    runs.train_or_load(RECIPE, folder=folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {f.__name__: f for f in (together, alone, race, full)}[sys.argv[1]](Path(sys.argv[2]))
