"""How tests run side by side, and the fixtures that several test files share."""

import os
import sys

# Before torch is loaded, here, in the workers, and in the processes that tests start: one thread in
# each. Those of a process that asks for more must not keep a core busy while they wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Bits are compared on a processor, whatever else there is; test_gpu.py names its device itself.
os.environ["DEBLURLIB_DEVICE"] = "cpu"

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings

from deblurlib import cli

settings.register_profile("course", deadline=None)  # tests slow each other down
settings.load_profile("course")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """``-n auto``: a worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A free worker gets the next file, so that what a file makes once is made once.

    Of the notebooks' file it gets what is about one notebook.
    """
    from xdist.scheduler import LoadScopeScheduling

    class FileByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path, _, test = nodeid.partition("::")
            return path + test.partition("[")[2] if "test_notebooks" in path else path

    config.option.loadscopereorder = False  # it begins with the files of many tests, however short
    return FileByFile(config, log)


@pytest.fixture(scope="session")
def rand():
    """``rand(2, 3, 8, 8)``: values even in [0, 1], the same in every run; ``seed`` for others."""

    def draw(*shape, seed=0):
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed))

    return draw


@pytest.fixture(scope="session")
def save_picture():
    """``save_picture(path, seed)``: write a small random RGB image, folders and all."""

    def save(path, seed=0, height=5, width=7):
        array = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), array[..., ::-1])
        return array

    return save


@pytest.fixture
def command(monkeypatch, capfd):
    """``command("runs", "list")``: run ``deblur``; returns exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setenv("DEBLURLIB_DEVICE", "cpu")  # --device sets it, for this process, too
        monkeypatch.setattr(sys, "argv", ["deblur", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run
