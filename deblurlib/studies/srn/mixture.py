"""The pairs of the recipe ``05/shipped``: real blur of several sets, and a camera's path.

One folder of tiles, so that one training sees all of it, and each kind as often as it has tiles::

    DEBLURLIB_DATA=... python -m deblurlib.studies.srn.mixture FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ... import data, degrade, files, images
from ...data import scenes
from ...degrade import Degradation, Pair
from ...errors import InputError

SEED = 0
TILE = 256  # side, pixels; of smaller images, what there is
#: pairs: source -> pixels from one tile to the next
PAIRS = {"gopro_scenes": 100, "gopro_patches": TILE, "gopro_pairs": TILE, "reds_small": 20}
#: sharp photographs: source -> how many of the train split
PHOTOGRAPHS = {"bsds500": 100, "imagenet_sample": 80}
FOLDS = 5  # scenes that the photographs are shared out to, so that some are validated on
#: tiles cut from other pictures of a scene go with it
SAME_SCENE = {"gopro_patches": "gopro_scenes-square"}


def gather(folder: Path) -> int:
    """Write the mixture into ``folder/train``; return how many pairs.

    Only the sources' train splits are used; tiles lie on a grid, the last one flush with the edge.

    Raises:
        InputError: there is such a folder; what is left in it would be read, too.
    """
    if (folder / "train").exists():
        raise InputError(f"{folder / 'train'}: exists already; remove it or choose another folder")
    tiles = [*_recorded(), *_made()]  # before anything is written: a set may not be there
    for side in ("blur", "sharp"):
        (folder / "train" / side).mkdir(parents=True)
    rows = []
    for stem, scene, y, x in tiles:
        files.write_image(folder / "train" / "blur" / f"{stem}.png", y)
        files.write_image(folder / "train" / "sharp" / f"{stem}.png", x)
        rows.append(("train", stem, scene))
    scenes.write(folder, rows)
    return len(rows)


def camera(generator: torch.Generator) -> Degradation:
    """Draw a hand-held camera's path of 3 to 20 pixels, up to half a degree of roll, and noise."""
    length, roll, noise = (
        low + (high - low) * torch.rand((), generator=generator).item()
        for low, high in ((3.0, 20.0), (0.0, 0.5), (0.0, 0.01))
    )
    path = degrade.homographies(degrade.camera_shake(generator, length, roll), 1000.0)
    return Degradation(path, {"length": length, "roll": roll}, noise=noise, margin=16)


def _recorded() -> Iterator[tuple[str, str, torch.Tensor, torch.Tensor]]:
    for source, stride in PAIRS.items():
        pairs = data.open_pairs(source, "train")
        for i, scene in enumerate(pairs.scenes):
            scene = SAME_SCENE.get(source, f"{source}-{Path(scene).name}")
            pair = torch.stack(pairs[i])
            name = f"{source}-{i:03d}"
            for top in _starts(pair.shape[-2], stride):
                for left in _starts(pair.shape[-1], stride):
                    y, x = pair[..., top : top + TILE, left : left + TILE]
                    yield f"{name}-{top:04d}-{left:04d}", scene, y, x


def _made() -> Iterator[tuple[str, str, torch.Tensor, torch.Tensor]]:
    for source, count in PHOTOGRAPHS.items():
        sharp = data.open_images(source, "train").first(count)
        for i, key in enumerate(sharp.keys):
            pair = _blurred(sharp[i], key)
            yield f"{source}-{i:03d}", f"photographs-{i % FOLDS}", pair.y[0], pair.x[0]


def _blurred(x: torch.Tensor, key: int) -> Pair:
    height, width = (min(side, TILE + 32) for side in x.shape[-2:])
    cut = images.centre_crop(x, height, width)[None]
    return degrade.sample(cut, camera, SEED, [key])


def _starts(side: int, stride: int) -> list[int]:
    last = max(side - TILE, 0)
    return sorted({*range(0, last, stride), last})


if __name__ == "__main__":
    print(gather(Path(sys.argv[1])), "pairs")
