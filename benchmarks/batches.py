"""``batches.training_batches`` against a Dataset and a DataLoader that make the same batches."""

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
    "{count} steps of `batches.training_batches` on the processor, each of 16 colour crops of "
    "{crop} pixels of the sample photographs, blurred by one kernel (`s1-motion`), each by its own "
    "(`shake`), or by the 31 views of a moving camera (`s4-camera`). The others draw one by one, "
    "cut with Pillow, blur or warp with OpenCV and are collated by PyTorch's DataLoader, in the "
    "process or in two workers that are already there."
)
PACKAGES = ("opencv-python-headless", "pillow", "numpy")
CROP, BATCH = 64, 16
SETTINGS = ("s1-motion", "shake", "s4-camera")


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time all cases; ``quick``: few batches.

    Returns:
        what is compared, in words, and the cases' results.
    """
    count, seconds = (2, 0) if quick else (8, timing.SECONDS)
    cases = [
        timing.run_case(setting, pipelines(setting, count), torch.cat, rounds, seconds)
        for setting in SETTINGS
    ]
    return ABOUT.format(count=count, crop=CROP), cases


class Crops(Dataset):
    """The same crops and blurs as ``training_batches`` makes; the places are known beforehand."""

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
        drawn = self.draw(degrade.generator(0, n))
        picture, (top, left) = self.pictures[which], drawn.margins
        width, height = CROP + 2 * left, CROP + 2 * top
        x0 = int(across * (picture.width - width + 1))
        y0 = int(down * (picture.height - height + 1))
        cut = picture.crop((x0, y0, x0 + width, y0 + height))
        if mirror < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = np.asarray(cut, np.float32) / 255
        inner = (slice(top, top + CROP), slice(left, left + CROP))
        blur = drawn.blur.numpy()
        if blur.ndim == 3:
            y = swept(x, blur)
        else:
            y = cv2.filter2D(x, -1, np.ascontiguousarray(blur[::-1, ::-1]))[inner]
        y = np.floor(y.clip(0, 1) * 255 + 0.5) / 255
        return tuple(torch.from_numpy(z.transpose(2, 0, 1).copy()) for z in (y, x[inner]))


def swept(x: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The mean of OpenCV's views along a path of homographies, in the middle of the image."""
    centres = []  # homographies count from the centre, OpenCV from the first pixel
    for side in (x.shape[0], CROP):
        centres.append(np.array([[1, 0, (side - 1) / 2], [0, 1, (side - 1) / 2], [0, 0, 1]]))
    total = np.zeros((CROP, CROP, 3), np.float32)
    for back in centres[0] @ np.linalg.inv(path) @ np.linalg.inv(centres[1]):
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total += cv2.warpPerspective(x, back, (CROP, CROP), flags=how)
    return total / len(path)


def pipelines(setting: str, count: int) -> dict[str, Callable]:
    """The contenders; each returns the mean of every ``y``, as a rounding may differ in places."""
    held = batches.hold(open_images("sample", "train"))
    dataset = Crops(held, setting, range(count * BATCH))
    workers = DataLoader(dataset, BATCH, num_workers=2, persistent_workers=True)
    shape = {"batch": BATCH, "crop": CROP, "seed": 0}

    def ours() -> list[torch.Tensor]:
        pair_of = batches.training_batches(held, degrade.SETTINGS[setting], **shape)
        return [pair_of(step).y.mean((1, 2, 3)) for step in range(count)]

    def loaded(loader: DataLoader) -> list[torch.Tensor]:
        return [y.mean((1, 2, 3)) for y, _ in islice(loader, count)]

    return {
        timing.OURS: ours,
        "DataLoader": lambda: loaded(DataLoader(dataset, BATCH)),
        "DataLoader, 2 workers": lambda: loaded(workers),
    }
