"""How much memory a program needs, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

#: kB: the most so far (VmHWM, for ru_maxrss begins with what the process had that started this
#: one), and what is held now
REPORT = (
    "\nimport json, re; from pathlib import Path\n"
    "status = Path('/proc/self/status').read_text()\n"
    "print(json.dumps([int(re.search(rf'{name}:\\s+(\\d+)', status)[1])"
    " for name in ('VmHWM', 'VmRSS')]))\n"
)
#: the most so far is forgotten
RESET = "\nfrom pathlib import Path; Path('/proc/self/clear_refs').write_text('5')"


def peak(program: str) -> int:
    """The most memory, MB, that a Python program holds, what it imports included."""
    return _reports(program + REPORT, 1)[0][0] // 1024


def added(prepare: str, steps: list[str]) -> list[float]:
    """The most memory, MB, that a Python program holds in each step beyond what it held before.

    Args:
        prepare: what comes before, not counted: imports, weights, the picture.
        steps: one after the other, which print nothing. The one that needs most comes last: none
            counts as less than those before it.
    """
    program = prepare + RESET + REPORT + REPORT.join(steps) + REPORT
    (_, held), *reports = _reports(program, 1 + len(steps))
    return [max(0, most - held) / 1024 for most, _ in reports]


def _reports(program: str, count: int) -> list[list[int]]:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()[-count:]]
