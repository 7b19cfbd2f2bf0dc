"""``make gpu``: the tests and the speeds of a GPU, and one chapter, within three minutes.

Needs nothing but a Python that has the packages of :data:`NEEDED`; from the project's root:
``python3 -m benchmarks.gpu``. What is missing is told before anything else is imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRY = "--on-processor"
#: what a package is called -> what is imported of it
NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "pillow": "PIL",
    "opencv-python-headless": "cv2",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "tifffile": "tifffile",
    "lightning-fabric": "lightning_fabric",
    "filelock": "filelock",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "pytest": "pytest",
}
LEAST_TORCH = (2, 11)
ALL, TESTS, CHAPTER, ONE = 170, 100, 60, 45  # seconds at most; ONE: for a network that is compiled


def main() -> None:
    """Test, time, execute a chapter, write; exit code 1 if one of these failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(TRY, action="store_true", help="try it without a GPU, on tiny images")
    tiny = parser.parse_args().on_processor
    began = time.monotonic()

    def left() -> float:
        return ALL - (time.monotonic() - began)

    refuse_what_cannot_run(tiny)
    from . import gpu_cases

    device = "cpu" if tiny else "cuda:0"  # another one: CUDA_VISIBLE_DEVICES
    tests = _told("tests", tested(device))
    cases = [_told_case(case) for case in gpu_cases.cases(device, tiny)]
    failed = any("not measured" in case for case in cases)
    chapter = _told("chapter 01", executed(device, min(CHAPTER, left())))
    for width, backend in gpu_cases.compiled(device, tiny):
        cases.append(_told_case(in_time(width, backend, device, tiny, min(ONE, left()))))
    took = round(time.monotonic() - began)
    failed = failed or any("failed" in said for said in (tests, chapter))
    path = ROOT / ("build" if tiny or failed else "benchmarks/results") / "gpu.json"
    results = {"machine": machine(device), "date": date.today().isoformat(), "seconds": took}
    write(path, results | {"tests": tests, "chapter": chapter, "cases": cases})
    print(f"{path.relative_to(ROOT)}, after {took} s")
    sys.exit(1 if failed else 0)


def refuse_what_cannot_run(tiny: bool) -> None:
    """End with one sentence and exit code 2 where Python, a package or a GPU is missing."""
    if not (3, 11) <= sys.version_info < (3, 13):
        _refuse(f"Python 3.11 or 3.12 is needed, and this is {platform.python_version()}")
    if missing := [name for name, of in NEEDED.items() if importlib.util.find_spec(of) is None]:
        _refuse(f"{sys.executable} has no {', '.join(missing)}; another Python: GPU_PYTHON=PATH")
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < LEAST_TORCH:
        _refuse(f"torch {'.'.join(map(str, LEAST_TORCH))} is needed, not {torch.__version__}")
    if not tiny and not torch.cuda.is_available():
        _refuse(f"there is no GPU here; python3 -m benchmarks.gpu {TRY} tries all without one")


def _refuse(why: str) -> None:
    print(f"make gpu: {why}", file=sys.stderr)
    sys.exit(2)


def tested(device: str) -> str:
    """Run the tests of a GPU; what pytest says in its last line."""
    # without conftest.py, whose packages may be missing, and without a trace in the tree
    command = ["pytest", "--noconftest", "-p", "no:cacheprovider", "-q", "-m", "gpu"]
    # of small images, more threads would only wait for each other
    here = {"DEBLURLIB_TEST_DEVICE": device, "OMP_NUM_THREADS": "1"}
    code, out = run(TESTS, "-m", *command, "tests/test_gpu.py", **here)
    last = (out.strip().splitlines() or ["nothing was printed"])[-1]
    if code == 0:
        return last
    print(out)
    return f"failed: {last if code else f'not within {TESTS} s'}"


def executed(device: str, seconds: float) -> str:
    """Execute chapter 01 with papermill into ``build/``, unless papermill is missing."""
    if importlib.util.find_spec("papermill") is None:
        return "skipped: papermill is missing"
    began, (notebook,) = time.monotonic(), (ROOT / "notebooks").glob("01_*.ipynb")
    copy = ROOT / "build" / "gpu" / notebook.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    command = ("papermill", notebook, copy, "-p", "profile", "smoke", "--no-progress-bar")
    here = {"PYTHONPATH": str(ROOT), "DEBLURLIB_DEVICE": device}
    code, out = run(seconds, "-m", *map(str, command), "--cwd", str(copy.parent), **here)
    if code != 0:
        print(out)
        return "failed" if code else f"failed: not within {seconds:.0f} s"
    return f"profile smoke, {time.monotonic() - began:.0f} s"


def in_time(width: int, backend: str, device: str, tiny: bool, seconds: float) -> dict:
    """A case of a compiled network, timed in a process of its own, which may take so long."""
    name = {"case": f"SRN step, width {width}, bf16, compiled: {backend}"}
    if seconds < 5:
        return name | {"not measured": "no time was left"}
    ask = f"from benchmarks import gpu_cases as g; g.tell({width}, {backend!r}, {device!r}, {tiny})"
    code, out = run(seconds, "-c", ask)
    if code == 0:
        return name | json.loads(out.strip().splitlines()[-1])
    last = out.strip().splitlines()[-1:] or [""]
    return name | {"not measured": f"not within {seconds:.0f} s" if code is None else last[0]}


def run(seconds: float, *arguments: str, **variables: str) -> tuple[int | None, str]:
    """Run Python; its exit code, ``None`` where it took too long, and what it printed."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that what it starts, such as compilers, ends with it
    ) as child:
        try:
            out, _ = child.communicate(timeout=seconds)
            return child.returncode, out
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None, child.communicate()[0]
        finally:
            if child.poll() is None:  # of a Ctrl-C
                os.killpg(child.pid, signal.SIGKILL)


def machine(device: str) -> dict:
    """What the times depend on; nothing that names the machine."""
    import torch

    from deblurlib.machine import device_name

    here = {"device": device_name(device), "python": platform.python_version()}
    return here | {"torch": torch.__version__, "cuda": torch.version.cuda}


def write(path: Path, results: dict) -> None:
    """Write the results all at once, or not at all."""
    from deblurlib.files import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(results, indent=2) + "\n")


def _told(what: str, said: str) -> str:
    print(f"{what}: {said}", flush=True)
    return said


def _told_case(case: dict) -> dict:
    numbers = ", ".join(f"{value} {name}" for name, value in case.items() if name != "case")
    print(f"{case['case']}: {numbers}", flush=True)
    return case


if __name__ == "__main__":
    main()
