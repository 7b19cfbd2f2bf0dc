"""Steps of ``training.fit`` against the shortest loop in PyTorch that ends with equal weights."""

from __future__ import annotations

import copy
import subprocess
import sys

import torch

from deblurlib import degrade, models, training
from deblurlib.losses import mse_over_scales, objective
from deblurlib.studies.srn.recipes import shipped

from . import timing

TITLE = "Training steps"
ABOUT = (
    "{steps} steps of `training.fit` with Adam on a batch made beforehand, on {where}: SRCNN 9-1-5 "
    "on 16 grey patches of 33 pixels, a UNet of {parameters} parameters on 4 colour patches of 64; "
    "and a single step of the SRN of `05/shipped-small` on 16 colour crops of {crop}, with its "
    "loss over scales. A process that does nothing but train the UNet takes {ours} MB of memory at "
    "its peak with `fit`, {bare} MB with the bare loop."
)
PACKAGES = ("lightning-fabric",)
UNET = (4, 3, 64, 64)  # the shape of its batch


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time all cases; ``quick``: few steps.

    Returns:
        what is compared, in words, and the cases' results.
    """
    steps, seconds = (2, 0) if quick else (30, timing.SECONDS)
    fabric = training.start_fabric("bf16" if torch.cuda.is_available() else "32")
    unet = models.build("unet", {"width": 24}, 0)
    srn = models.build("srn", shipped("shipped-small", "report")["model_args"], 0)
    crop = 32 if quick else 256
    networks = {
        "SRCNN": (models.build("srcnn", {}, 0), (16, 1, 33, 33), steps),
        "UNet": (unet, UNET, steps),
        "SRN": (srn, (16, 3, crop, crop), 1),
    }
    cases = []
    for name, (model, shape, count) in networks.items():
        contenders = {
            timing.OURS: lambda m=model, s=shape, n=count: fitted(m, ready(s, fabric), n, fabric),
            "bare loop": lambda m=model, s=shape, n=count: looped(m, ready(s, fabric), n, fabric),
        }
        cases.append(timing.run_case(name, contenders, parameters, rounds, seconds))
    about = ABOUT.format(
        steps=steps,
        parameters=f"{models.parameter_count(unet):,}",
        crop=crop,
        ours=peak("fitted", steps),
        bare=peak("looped", steps),
        where="a GPU in bf16" if fabric.device.type == "cuda" else "the processor in float32",
    )
    return about, cases


def peak(loop: str, steps: int) -> int:
    """The most main memory, MB, that a process of its own needs, which imports the same."""
    program = (
        "import re, lightning_fabric; from pathlib import Path;"
        "from benchmarks import training as t;"
        "from deblurlib import models; fabric = t.training.start_fabric();"
        f"t.{loop}(models.UNet(24), t.ready({UNET}, fabric), {steps}, fabric);"
        # not ru_maxrss, which begins with what the process had that started this one
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout.split()[-1]) // 1024


def ready(shape: tuple[int, ...], fabric) -> degrade.Pair:
    """A blurred and a sharp batch, the same for every step."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(fabric.device)
    y = degrade.convolve(x, torch.full((5, 5), 1 / 25, device=x.device), "reflect")
    return degrade.Pair(y, x, ())


def parameters(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().cpu() for p in model.parameters()])


def fitted(model, pair, steps: int, fabric) -> torch.nn.Module:
    model = copy.deepcopy(model).to(fabric.device)
    adam = {"name": "adam", "lr": 1e-4}
    minimised = training.supervised(objective("mse-over-scales", {}))
    players = {"model": training.Player(model, minimised, adam)}
    list(training.fit(players, lambda _: pair, steps, fabric=fabric))
    return model


def looped(model, pair, steps: int, fabric) -> torch.nn.Module:
    model = copy.deepcopy(model).to(fabric.device)
    adam = torch.optim.Adam(model.parameters(), 1e-4)
    half = fabric.device.type == "cuda"
    for _ in range(steps):
        with torch.autocast(fabric.device.type, torch.bfloat16, enabled=half):
            x_hat = model(pair.y)
        x_hats = [z.float() for z in (x_hat if isinstance(x_hat, list) else [x_hat])]
        loss = mse_over_scales(x_hats, pair.x)
        loss.backward()
        adam.step()
        adam.zero_grad()
    loss.item()  # waits for a GPU
    return model
