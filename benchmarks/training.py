"""Steps of ``training.fit`` against a bare loop, and seeded batches against a DataLoader's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import islice

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from deblurlib import batches, degrade, models, training
from deblurlib.data import open_images

from . import timing

TITLE = "Training"
ABOUT = (
    "Steps: {steps} of `training.fit` with Adam on a tensor made beforehand, against the shortest "
    "loop in PyTorch, both on {where}; SRCNN 9-1-5 on 16 grey patches of 33 pixels, UNet of "
    "{parameters} parameters on 4 colour patches of 64. Their weights are equal afterwards. "
    "Batches: {count} of `batches.training_batch`, each 16 colour crops of 64 pixels of the sample "
    "photographs, blurred, against a Dataset that cuts with Pillow, blurs with OpenCV and is "
    "collated by a DataLoader, in the process and in two workers that are already there."
)
PACKAGES = ("lightning-fabric", "opencv-python-headless", "pillow", "numpy")
CROP, BATCH = 64, 16


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time all cases; ``quick``: few steps. What is compared, in words, and the results."""
    steps, count, seconds = (2, 2, 0) if quick else (30, 8, timing.SECONDS)
    fabric = training.start_fabric("bf16" if torch.cuda.is_available() else "32")
    unet = models.build("unet", {"width": 24}, 0)
    networks = {
        "steps, SRCNN": (models.build("srcnn", {}, 0), (16, 1, 33, 33)),
        "steps, UNet": (unet, (4, 3, 64, 64)),
    }
    cases = []
    for name, (model, shape) in networks.items():
        contenders = {
            timing.OURS: lambda m=model, s=shape: fitted(m, ready(s, fabric), steps, fabric),
            "bare loop": lambda m=model, s=shape: looped(m, ready(s, fabric), steps, fabric),
        }
        cases.append(timing.run_case(name, contenders, parameters, rounds, seconds))
    for setting in ("s1-motion", "shake"):
        contenders = pipelines(setting, count)
        cases.append(timing.run_case(f"batches, {setting}", contenders, torch.cat, rounds, seconds))
    about = ABOUT.format(
        steps=steps,
        count=count,
        parameters=f"{models.parameter_count(unet):,}",
        where="a GPU in bf16" if fabric.device.type == "cuda" else "the processor in float32",
    )
    return about, cases


def ready(shape: tuple[int, ...], fabric) -> tuple[torch.Tensor, torch.Tensor]:
    """A blurred and a sharp batch, the same for every step."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(fabric.device)
    return degrade.convolve(x, torch.full((5, 5), 1 / 25, device=x.device), "reflect"), x


def parameters(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().cpu() for p in model.parameters()])


def fitted(model, pair, steps: int, fabric) -> torch.nn.Module:
    model = copy.deepcopy(model).to(fabric.device)
    optimiser = {"name": "adam", "lr": 1e-4}
    list(training.fit(model, lambda _: pair, F.mse_loss, steps, optimiser=optimiser, fabric=fabric))
    return model


def looped(model, pair, steps: int, fabric) -> torch.nn.Module:
    model = copy.deepcopy(model).to(fabric.device)
    adam = torch.optim.Adam(model.parameters(), 1e-4)
    half = fabric.device.type == "cuda"
    y, x = pair
    for _ in range(steps):
        with torch.autocast(fabric.device.type, torch.bfloat16, enabled=half):
            x_hat = model(y)
        loss = F.mse_loss(x_hat.float(), x)
        loss.backward()
        adam.step()
        adam.zero_grad()
    loss.item()  # waits for a GPU
    return model


class Crops(Dataset):
    """The same crops and blurs as ``training_batch`` makes; the places are known beforehand."""

    def __init__(self, held: list[torch.Tensor], setting: str, numbers: range):
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in held]
        self.plans = []
        for n in numbers:
            epoch, place = divmod(n, len(held))
            which = int(np.random.default_rng([0, epoch]).permutation(len(held))[place])
            draws = torch.rand(3, generator=degrade.generator(0, n, "crop"), dtype=torch.float64)
            self.plans.append((n, which, *draws.tolist()))
        self.draw = degrade.SETTINGS[setting]

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        n, which, across, down, mirror = self.plans[i]
        kernel = self.draw(degrade.generator(0, n)).blur.numpy()
        picture, (top, left) = self.pictures[which], (side // 2 for side in kernel.shape)
        width, height = CROP + 2 * left, CROP + 2 * top
        x0 = int(across * (picture.width - width + 1))
        y0 = int(down * (picture.height - height + 1))
        cut = picture.crop((x0, y0, x0 + width, y0 + height))
        if mirror < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = np.asarray(cut, np.float32) / 255
        y = cv2.filter2D(x, -1, np.ascontiguousarray(kernel[::-1, ::-1]))
        inner = (slice(top, top + CROP), slice(left, left + CROP))
        y = np.floor(y[inner].clip(0, 1) * 255 + 0.5) / 255
        return tuple(torch.from_numpy(z.transpose(2, 0, 1).copy()) for z in (y, x[inner]))


def pipelines(setting: str, count: int) -> dict[str, Callable]:
    """The contenders; each returns the mean of every ``y``, for a rounding may differ in places."""
    held = batches.hold(open_images("sample", "train"))
    dataset = Crops(held, setting, range(count * BATCH))
    workers = DataLoader(dataset, BATCH, num_workers=2, persistent_workers=True)
    shape = {"batch": BATCH, "crop": CROP, "seed": 0}

    def ours() -> list[torch.Tensor]:
        draw = degrade.SETTINGS[setting]
        made = (batches.training_batch(held, draw, step, **shape) for step in range(count))
        return [pair.y.mean((1, 2, 3)) for pair in made]

    def loaded(loader: DataLoader) -> list[torch.Tensor]:
        return [y.mean((1, 2, 3)) for y, _ in islice(loader, count)]

    return {
        timing.OURS: ours,
        "DataLoader": lambda: loaded(DataLoader(dataset, BATCH)),
        "DataLoader, 2 workers": lambda: loaded(workers),
    }
