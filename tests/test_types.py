"""Types as a type checker sees them: of the library, and of code that uses it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What others write, as in the README. The comments say what the checker must see.
USER = """
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import deblurlib
from deblurlib import degrade, evaluation, files, losses, metrics, psf, restoration, training
from deblurlib.data import batches, open_images

x = open_images("sample", "test")[0][None]
k = psf.motion(length=15, angle=30)
y = degrade.convolve(x, k, boundary="reflect")
pair = degrade.sample(x, degrade.SETTINGS["s2-gaussian"], seed=0, index=[0])
reveal_type(psf.gaussian(2.0))  # Tensor
reveal_type(metrics.psnr(y, x))  # Tensor
print(metrics.ssim(y, x, protocol="gaussian-rgb"), pair.y.shape, pair.parameters)
files.write_image(Path("blurred.png"), y[0])

reveal_type(deblurlib.restore(y))  # Tensor
reveal_type(deblurlib.restore(np.zeros((8, 8)), "wiener", k))  # ndarray
reveal_type(deblurlib.restore(Image.open("street.jpg")))  # Image
reveal_type(deblurlib.restore(files.read_image("street.jpg")))  # Tensor
mild = restoration.find_method("richardson-lucy").with_settings(iterations=20).with_strength(0.5)
reveal_type(mild(np.zeros((1, 3, 8, 8)), k))  # ndarray
reveal_type(mild(y, k))  # Tensor
for outcome in restoration.restore_files(Path("scans"), restoration.Request(mild)):
    print(outcome.target, outcome.error)

held = batches.hold(open_images("sample", "train"))
fabric = training.start_fabric()
model = nn.Conv2d(3, 3, 5, padding="same")


def batch_of(turn: int) -> degrade.Pair:
    return batches.training_batch(held, degrade.SETTINGS["shake"], turn, batch=4, crop=64, seed=0)


objective = training.supervised(losses.OBJECTIVES["mse"])
player = training.Player(model, objective, {"name": "adam", "lr": 1e-3})
for state in training.fit({"model": player}, batch_of, steps=20, every=5, fabric=fabric):
    print(state.step, state.losses)
cases = evaluation.cases_of_images(open_images("sample", "test"), "shake", seed=0)
rows = evaluation.evaluate([mild], cases)
print(evaluation.summary(rows)[0]["psnr"] + 1.0)

mine: torch.Tensor = deblurlib.restore(np.zeros((8, 8)))  # wrong: assignment
degrade.convolve(x, k, boundary="mirror")  # wrong: arg-type
metrics.ssim(y, x, protocol="gaussian")  # wrong: arg-type
mild.with_precision("fp16")  # wrong: arg-type
deblurlib.restore("street.jpg")  # wrong: call-overload
"""


def checked(folder, *arguments):
    """What the checker says; what it keeps for the next time is below ``build/``."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_library_agrees_with_its_types():
    assert not checked(ROOT)


def test_code_that_uses_the_library_is_checked_by_its_types(tmp_path):
    (tmp_path / "user.py").write_text(USER, "utf-8")
    strictly = ("--strict", "--config-file=", "--follow-imports=silent", "--hide-error-context")
    kept = ("--cache-dir", ROOT / "build" / "mypy-strict")
    found = checked(ROOT, *strictly, *kept, tmp_path / "user.py")
    said = [match for line in found if (match := re.search(r"user\.py:(\d+): (.*)", line))]
    revealed, wrong = {}, {}
    for number, text in (match.groups() for match in said):
        if match := re.fullmatch(r'note: Revealed type is "([\w.]+).*"', text):
            revealed[int(number)] = match[1].rpartition(".")[2]
        elif match := re.fullmatch(r"error: .*\[([\w-]+)\]", text):
            wrong[int(number)] = match[1]
    lines = list(enumerate(USER.split("\n"), 1))
    marked = [(n, line, line.partition("  # ")[2]) for n, line in lines]
    assert revealed == {n: mark for n, line, mark in marked if line.startswith("reveal_type")}
    assert wrong == {n: mark[7:] for n, _, mark in marked if mark.startswith("wrong: ")}
