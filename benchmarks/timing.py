"""Compare values, then times: the part that the benchmarks share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

OURS = "deblurlib"
TOLERANCE = 1e-4  # largest allowed difference between values
SECONDS = 4.0  # a case has more than the asked number of rounds until these are over


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def settle() -> None:
    """Bring the process into the state of one that has run for a while.

    torch and OpenCV get as many threads as there are cores. And glibc, which hands blocks of a few
    MB back to the system each time they are freed, until it has seen a larger one freed, is shown
    one: without this the first case takes three times as long as the same case later.
    """
    torch.set_num_threads(cores())
    cv2.setNumThreads(cores())
    torch.ones(31 * 2**18)  # 31 MB; 32 MB is the most that it learns from


def clocks() -> np.ndarray:
    """Seconds: passed, used by all processes on all cores, used by this one."""
    # user, nice, system, idle, iowait, irq, softirq, steal
    ticks = [int(n) for n in Path("/proc/stat").read_text("utf-8").split()[1:9]]
    used = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return np.array([time.perf_counter(), used, time.process_time()])


def others_since(begin: np.ndarray) -> float:
    """Cores that other processes have used on average since ``begin``, from :func:`clocks`.

    More than about 0.1 spoils the ratios: torch's threads wait for each other, so one that shares
    its core slows all of them down, much more than a loop on one core.
    """
    passed, everyone, this_process = clocks() - begin
    return max(0.0, float((everyone - this_process) / passed))


def run_case(
    name: str,
    calls: dict[str, Callable],
    collect: Callable[..., torch.Tensor],
    rounds: int,
    seconds: float = SECONDS,
    tolerance: float = TOLERANCE,
) -> dict:
    """Check that all contenders agree, which also warms them up, then time them.

    Args:
        name: of the case.
        calls: what to time, by contender; :data:`OURS` is among them.
        collect: turns what a call returns into a tensor that can be compared; not timed.
        rounds: how often each is timed at least.
        seconds: if the rounds take less, there are more of them.
        tolerance: largest allowed difference between values.

    Returns:
        the case's entry in the results: medians (``ms``) and minima in milliseconds, ``ratio``
        the median over the rounds of the contender's time by ours in the same round.

    Raises:
        ValueError: a contender's values are not ours.
    """
    expected = collect(calls[OURS]())
    differences = {c: _difference(collect(calls[c]()), expected) for c in calls if c != OURS}
    for contender, difference in differences.items():
        if not difference <= tolerance:
            raise ValueError(f"{name}: {contender} differs from {OURS} by {difference:.2g}")
    times = dict(zip(calls, interleave(list(calls.values()), rounds, seconds).T, strict=True))
    ours = times.pop(OURS)
    return {
        "case": name,
        "rounds": len(ours),
        "ours_ms": _round(np.median(ours)),
        "ours_min_ms": _round(ours.min()),
        "contenders": {
            contender: {
                "ms": _round(np.median(theirs)),
                "min_ms": _round(theirs.min()),
                "ratio": _round(np.median(theirs / ours)),
            }
            for contender, theirs in times.items()
        },
        "max_difference": float(f"{max(differences.values()):.2g}"),
    }


def interleave(calls: list[Callable], rounds: int, seconds: float) -> np.ndarray:
    """Time the calls in turn, so that a slow spell of the machine hits them all.

    Each round has an order of its own, and each call runs twice, the second time timed: so it finds
    the caches and the allocator as it left them itself, not as its predecessor did.

    Returns:
        ``(rounds or more, len(calls))``, milliseconds.
    """
    random = np.random.default_rng(0)
    times = []
    begin = time.perf_counter()
    while len(times) < rounds or time.perf_counter() - begin < seconds:
        taken = np.zeros(len(calls))
        for i in random.permutation(len(calls)):
            calls[i]()
            start = time.perf_counter()
            calls[i]()
            taken[i] = 1000 * (time.perf_counter() - start)
        times.append(taken)
    return np.array(times)


def finished(values: torch.Tensor) -> torch.Tensor:
    """The same values, once a GPU has computed them."""
    if values.is_cuda:
        torch.cuda.synchronize()
    return values


def _difference(values: torch.Tensor, expected: torch.Tensor) -> float:
    if values.shape != expected.shape:
        return float("inf")
    return (values - expected).abs().max().item()


def _round(value: float) -> float:
    return round(float(value), 3)
