"""A process that trains in children of its own, and kills them: ``killing.py STORE POINT...``.

Everything is imported once, before the first child is forked. A child that trains to its end prints
the line of ``train_or_load``.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import lightning_fabric  # noqa: F401
import torch

from deblurlib import runs
from deblurlib.runs import store, train

RECIPE = runs.Recipe(
    "02/killed",
    model="srcnn",
    data="sample",
    steps=12,
    batch=2,
    crop=16,
    degradation="s1-box",
    grey=True,
    ema=0.9,
    every=3,
)


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


def child(folder, prepare=lambda: None):
    """Train in a child; return its process number."""
    pid = os.fork()
    if pid:
        return pid
    prepare()
    train.train_or_load(RECIPE, folder=folder)
    sys.stdout.flush()
    os._exit(0)


def wait(pid):
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def kill_at_random(folder, kills):
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    base, *points = sys.argv[1:]
    for point in points:
        if point.isdigit():
            kill_at_random(Path(base), int(point))
        elif point == "never":
            print(point, wait(child(Path(base) / point)), flush=True)
        else:
            print(point, wait(child(Path(base) / point, POINTS[point])), flush=True)
            print(point, wait(child(Path(base) / point)), flush=True)
