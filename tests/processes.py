"""Trainings in processes that share a store, are killed, or find the disk full.

``processes.py FOLDER ACT...``; the tests start it. Everything is imported once, before the first
child is forked; each act has a store of its own below ``FOLDER``, and prints a line with its name.
"""

import os
import random
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import lightning_fabric  # noqa: F401
import torch
from standing import Standing

from deblurlib import models, runs
from deblurlib.errors import InputError
from deblurlib.runs import store

train = sys.modules[runs.train_or_load.__module__]

RECIPE = runs.Recipe(
    "02/shared",
    model="srcnn",
    data="sample",
    steps=12,
    batch=4,
    crop=16,
    degradation="s2-gaussian",
    optimiser={"name": "adam", "lr": 1e-3, "rates": {"layers.2": 0.1}},
    clip={"norm": 0.05, "of": "layers.2"},
    model_args={"channels": 3},
    ema=0.9,
    every=3,
)
GAME = replace(
    RECIPE,
    name="04/game",
    steps=9,
    rival=runs.Rival(
        "patch",
        {"width": 4, "halvings": 1},
        loss="hinge",
        optimiser={"name": "adam", "lr": 1e-3},
        turns=("model", "model", "model", "critic"),
    ),
)
JUDGED = replace(
    GAME,
    name="04/judged",
    rival=replace(GAME.rival, model="flat", model_args={"width": 2, "side": 16}, accuracy=True),
)
with mock.patch.dict(models.MODELS, standing=Standing):
    STANDING = replace(
        RECIPE,
        name="03/standing",
        model="standing",
        model_args={},
        optimiser={"name": "adam", "lr": 1e-3},
        clip=None,
        parts={"first": replace(RECIPE, name="03/first", steps=3)},
    )
#: of eleven turns, those after which one is killed
TURNS = {2: JUDGED, 4: GAME, 5: JUDGED, 8: JUDGED, 9: GAME}


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def nth(n, function, before=None, after=None):
    """``function``, with something done before or after its ``n``-th call."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        if len(calls) == n and before:
            before(*args, **kwargs)
        result = function(*args, **kwargs)
        if len(calls) == n and after:
            after(*args, **kwargs)
        return result

    return counted


def half_written(path, content):
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    die()


#: name -> how to make the library die there
POINTS = {
    "before-the-first-checkpoint": lambda: setattr(store, "put", nth(1, store.put, before=die)),
    "in-a-checkpoint": lambda: setattr(
        Path, "write_bytes", nth(2, Path.write_bytes, before=half_written)
    ),
    "checkpoint-not-renamed": lambda: setattr(store.os, "replace", nth(2, os.replace, before=die)),
    "earlier-checkpoint-not-removed": lambda: setattr(store, "put", nth(2, store.put, after=die)),
    "in-the-complete-run": lambda: setattr(train, "write_metrics", die),
    "complete-run-not-renamed": lambda: setattr(
        store, "put", nth(4, store.put, before=lambda *a: setattr(store.os, "replace", die))
    ),
    "checkpoints-not-removed": lambda: setattr(store, "put", nth(4, store.put, after=die)),
}


def child(folder, prepare=lambda: None, recipe=RECIPE):
    """Train in a child; return its process number."""
    pid = os.fork()
    if pid:
        return pid
    prepare()
    runs.train_or_load(recipe, folder=folder)
    sys.stdout.flush()
    os._exit(0)


def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(folder, point):
    """The statuses of the one that is killed and of the next."""
    print(wait(child(folder, POINTS[point])), flush=True)
    print(wait(child(folder)))


def killed_in_a_cycle(folder, turn):
    """As :func:`killed`, of a model and its critic, with a checkpoint after every turn."""

    def save_all_and_die():
        train.SAVE_MINUTES = 0
        store.put = nth(turn, store.put, before=die)

    print(wait(child(folder, save_all_and_die, TURNS[turn])), flush=True)
    print(wait(child(folder, recipe=TURNS[turn])))


def alone(folder):
    print(wait(child(folder)))


def game(folder):
    print(wait(child(folder, recipe=GAME)))


def judged(folder):
    print(wait(child(folder, recipe=JUDGED)))


def race(folder):
    """Two want the same run; then the one that trains is killed while the other waits."""
    pids = [child(folder) for _ in range(2)]
    print(*map(wait, pids), flush=True)
    longer = replace(RECIPE, steps=20_000)
    train.PROVED_STEPS = longer.steps + 1  # a proof takes a while
    pids = [child(folder, recipe=longer)]
    while not list(folder.glob(".partial/*/0*")):
        time.sleep(0.05)
    pids.append(child(folder, recipe=longer))
    try:
        runs.remove(folder, next((folder / ".partial").iterdir()).name)
    except InputError as error:
        print(error, flush=True)
    time.sleep(0.5)
    os.kill(pids[0], signal.SIGKILL)
    wait(pids[0])
    seen = set(folder.glob(".partial/*/0*"))
    while set(folder.glob(".partial/*/0*")) <= seen:  # the other one goes on
        time.sleep(0.05)
    print("goes on")
    os.kill(pids[1], signal.SIGKILL)
    wait(pids[1])


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


def together(folder):
    """Under torchrun: stop for time as soon as may be, then go on to the end."""
    runs.train_or_load(RECIPE, folder=folder, max_minutes=0)
    runs.train_or_load(RECIPE, folder=folder)


def game_together(folder):
    """As :func:`together`, of a model and its critic."""
    runs.train_or_load(GAME, folder=folder, max_minutes=0)
    runs.train_or_load(GAME, folder=folder)


def standing_together(folder):
    """Under torchrun: what stands on another, as it is made and when that other is gone."""
    for _ in range(2):
        runs.train_or_load(STANDING, folder=folder)
        if os.environ["RANK"] == "0":
            part = [run for run in store.listed(folder) if run.name == "03/first"]
            for run in part:
                runs.remove(folder, run.id)


def kills_at_random(folder, kills=20):
    """Kill that many children, anew from nothing whenever the run is complete."""
    rng, done, round_ = random.Random(0), 0, 0
    while done < kills:
        started = time.monotonic()
        wait(child(folder / "timed" / str(round_)))
        whole = time.monotonic() - started
        target = folder / f"round-{round_}"
        while done < kills:
            pid = child(target)
            time.sleep(rng.uniform(0, whole))
            os.kill(pid, signal.SIGKILL)
            if wait(pid) == 0:
                break
            done += 1
        wait(child(target))
        round_ += 1
    print(f"{done} kills in {round_} runs")


ACTS = {
    f.__name__: f
    for f in (
        *(alone, game, judged, full, race, together, game_together, standing_together),
        kills_at_random,
    )
}
ACTS |= {f"turn-{n}": lambda folder, n=n: killed_in_a_cycle(folder, n) for n in TURNS}
ACTS |= {point: lambda folder, point=point: killed(folder, point) for point in POINTS}

if __name__ == "__main__":
    torch.set_num_threads(1)
    models.MODELS["standing"] = Standing
    for act in sys.argv[2:]:
        if "RANK" not in os.environ:
            print(f"# {act}", flush=True)
        ACTS[act](Path(sys.argv[1]) / act)
        sys.stdout.flush()
