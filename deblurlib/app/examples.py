"""Blurred pictures to try the app with, made of the photographs that come with the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from .. import degrade, files, psf
from ..data import open_images

NOISE, SEED = 0.005, 3


@dataclass(frozen=True)
class Example:
    """A picture, and what blurred it."""

    path: Path
    title: str
    describes: str


def make_examples(folder: Path) -> list[Example]:
    """Write three pictures: of a shaken hand, out of focus, and moved in a line."""
    shaken = psf.shake(torch.Generator().manual_seed(SEED), 15.0)
    blurs = [
        ("shaken", "a shaken hand", "try it by itself, or find the blur", shaken),
        ("unfocused", "out of focus", "you know the blur: a radius of 4 pixels", psf.disk(4.0)),
        ("moved", "moved in a line", "15 pixels at 30 degrees", psf.motion(15.0, 30.0)),
    ]
    made = []
    for x, (name, title, describes, k) in zip(open_images("sample", "test"), blurs, strict=True):
        y = degrade.convolve(x[None], k, "reflect")
        y = degrade.add_noise(y, NOISE, seed=SEED, index=[len(made)])
        path = folder / f"{name}.jpg"
        files.write_image(path, y[0].clamp(0, 1))
        made.append(Example(path, title, describes))
    return made
