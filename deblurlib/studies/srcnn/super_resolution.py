"""Chapter 02's external anchor: SRCNN on its own paper's task, whose score is published.

Only the pairs are made in another way than elsewhere: the image is shrunk, and enlarged again to
its old size, both with a bicubic kernel. Recipe, training and scores are the chapter's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from ... import data, files, images
from ...data import ImageSet, scenes
from ...errors import InputError
from ...runs import Recipe

__all__ = ["make_pairs", "recipe", "shrink_and_enlarge"]

SCALE = 3
#: PSNR of luma, which papers give, less that of grey: luma is grey times 219/255, and a shift.
LUMA_DB = 1.322
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 2, "batch": 2, "crop": 9},
    "quick": {"steps": 100, "batch": 4, "crop": 21},
    "report": {"steps": 15_000, "batch": 16, "crop": 21, "every": 1_500},
    "full": {"steps": 1_000_000, "batch": 16, "crop": 21},
}


def shrink_and_enlarge(x: torch.Tensor, scale: int = SCALE) -> torch.Tensor:
    """``x`` ``(B, C, H, W)`` made ``scale`` times smaller and of its size again, 8-bit values.

    Bicubic with a = -0.5, and with a kernel ``scale`` times wider for the shrinking: the rule of
    MATLAB's imresize, with which the paper made its images. Sides must be multiples of ``scale``.
    """
    height, width = x.shape[-2:]
    options: dict[str, Any] = {"mode": "bicubic", "antialias": True}
    small = F.interpolate(x, (height // scale, width // scale), **options)
    return images.quantise(F.interpolate(images.quantise(small), (height, width), **options))


def make_pairs(train: ImageSet, test: ImageSet, folder: Path) -> str:
    """Write the pairs of both sets into ``folder``; return the name they are now known by.

    Each image is a scene of its own.

    Raises:
        InputError: two images of a set have the same stem.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = data.register(f"{train.name}-x{SCALE}={folder}")
    rows = []
    for split, sharp in (("train", train), ("test", test)):
        stems = [Path(name).stem for name in sharp.names]
        if len(set(stems)) < len(stems):
            raise InputError(f"{sharp.name}: two images of one stem")
        for side in ("blur", "sharp"):
            (folder / split / side).mkdir(parents=True, exist_ok=True)
        for i, stem in enumerate(stems):
            height, width = (n // SCALE * SCALE for n in sharp[i].shape[-2:])
            x = sharp[i][:, :height, :width]
            files.write_image(folder / split / "sharp" / f"{stem}.png", x)
            y = shrink_and_enlarge(x[None])[0]
            files.write_image(folder / split / "blur" / f"{stem}.png", y)
            rows.append((split, stem, f"{split}/{sharp.names[i]}"))
    scenes.write(folder, rows)
    return source


def recipe(profile: str, seed: int, pairs: str) -> Recipe:
    """SRCNN 9-1-5 as in the paper, which trained it on luma: no difference to the input."""
    return Recipe(
        "02/super-resolution",
        model="srcnn",
        model_args={"layers": "9-1-5", "widths": "paper", "padding": False},
        data=pairs,
        degradation=None,
        optimiser={"name": "adam", "lr": 1e-3},
        schedule={"name": "cosine"},
        grey=1,
        seed=seed,
        **SIZES[profile],
    )
