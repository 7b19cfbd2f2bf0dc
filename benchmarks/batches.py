"""``batches.training_batch`` against a Dataset and a DataLoader that make the same batches."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from deblurlib import degrade
from deblurlib.data import batches, open_images

from . import timing

TITLE = "Training batches"
ABOUT = (
    "{count} of `batches.training_batch` on the processor, each of 16 colour crops of 64 pixels of "
    "the sample photographs, blurred by one kernel (`s1-motion`) or each by its own (`shake`). The "
    "others cut with Pillow, blur with OpenCV and are collated by PyTorch's DataLoader, in the "
    "process or in two workers that are already there."
)
PACKAGES = ("opencv-python-headless", "pillow", "numpy")
CROP, BATCH = 64, 16


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time all cases; ``quick``: few batches.

    Returns:
        what is compared, in words, and the cases' results.
    """
    count, seconds = (2, 0) if quick else (8, timing.SECONDS)
    cases = [
        timing.run_case(setting, pipelines(setting, count), torch.cat, rounds, seconds)
        for setting in ("s1-motion", "shake")
    ]
    return ABOUT.format(count=count), cases


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
    """The contenders; each returns the mean of every ``y``, as a rounding may differ in places."""
    held = batches.hold(open_images("sample", "train"))
    dataset = Crops(held, setting, range(count * BATCH))
    workers = DataLoader(dataset, BATCH, num_workers=2, persistent_workers=True)
    shape = {"batch": BATCH, "crop": CROP, "seed": 0}

    def ours() -> list[torch.Tensor]:
        draw = degrade.SETTINGS[setting]
        pairs = (batches.training_batch(held, draw, step, **shape) for step in range(count))
        return [pair.y.mean((1, 2, 3)) for pair in pairs]

    def loaded(loader: DataLoader) -> list[torch.Tensor]:
        return [y.mean((1, 2, 3)) for y, _ in islice(loader, count)]

    return {
        timing.OURS: ours,
        "DataLoader": lambda: loaded(DataLoader(dataset, BATCH)),
        "DataLoader, 2 workers": lambda: loaded(workers),
    }
