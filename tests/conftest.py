"""Fixtures that several test files share."""

import sys

import cv2
import numpy as np
import pytest
import torch

from deblurlib import cli


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
        monkeypatch.setattr(sys, "argv", ["deblur", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run
