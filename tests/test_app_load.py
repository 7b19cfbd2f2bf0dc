"""The web app under a crowd, as a process of its own: minutes, so ``make test-slow`` runs it."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from benchmarks import serving

pytestmark = pytest.mark.slow
CROWDS = [(64, "unsharp-mask", 1000, 50), (128, "srn", 20, 20)]
MOST = 1.1  # of the memory before


def test_a_crowd_is_served_or_told_to_come_again_and_leaves_nothing_behind():
    with serving.served() as (port, process):
        requests = [
            serving.form(serving.picture(side), method=method, even_if_sharp="1")
            for side, method, *_ in CROWDS
        ]
        for request in requests:  # what a server has that has worked once
            asyncio.run(serving.crowd(port, request, 20, 4))
        before = memory(process)
        for request, (_, _, count, together) in zip(requests, CROWDS, strict=True):
            came = asyncio.run(serving.crowd(port, request, count, together))
            assert set(came.answers) <= {200, 503}
            assert came.answers[200] == count
            assert came.content.startswith(b"\x89PNG")
        time.sleep(5)
        after = memory(process)
        print(f"{before:.0f} MB before, {after:.0f} MB after")
        assert after < MOST * before


def memory(process):
    """MB that a process and all that it has started hold alone or share evenly (Linux)."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    mine = {process.pid}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    total = 0
    for pid in mine:
        rollup = Path(f"/proc/{pid}/smaps_rollup")
        total += int(re.search(r"(?m)^Pss:\s+(\d+)", rollup.read_text())[1])
    return total / 1024
