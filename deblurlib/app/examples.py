"""Blurred pictures to try the app with, made of the photographs that come with the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from .. import degrade, files, psf
from ..data import open_images

NOISE, SEED = 0.005, 3
MOVED = ("motion", 3.0, 15.0, 30.0)


@dataclass(frozen=True)
class Example:
    """A picture, and what blurred it."""

    path: Path
    title: str
    describes: str
    blur: tuple = ()  # kind, radius, length, angle, as the page's parts say it


def make_examples(folder: Path) -> list[Example]:
    """Write three pictures into a new folder: shaken, out of focus, and moved in a line."""
    folder.mkdir()
    shaken = psf.shake(torch.Generator().manual_seed(SEED), 15.0)
    blurs = [
        ("shaken", "a shaken hand", "try it by itself, or find the blur", shaken, ()),
        (
            "unfocused",
            "out of focus",
            "a radius of 4 pixels",
            psf.disk(4.0),
            ("focus", 4.0),
        ),
        ("moved", "moved in a line", "15 pixels at 30 degrees", psf.motion(15.0, 30.0), MOVED),
    ]
    made: list[Example] = []
    for x, (name, title, describes, k, blur) in zip(
        open_images("sample", "test"), blurs, strict=True
    ):
        y = degrade.convolve(x[None], k, "reflect")
        y = degrade.add_noise(y, NOISE, seed=SEED, index=[len(made)])
        path = folder / f"{name}.jpg"
        files.write_image(path, y[0].clamp(0, 1))
        made.append(Example(path, title, describes, blur))
    return made
