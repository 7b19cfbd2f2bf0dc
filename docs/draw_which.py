"""Draw the pictures of the page "Which method for my photo".

::

    python docs/draw_which.py

Details of the bundled photographs, blurred here as the page says, and one that is not.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image

from deblurlib import degrade, images, plots, psf
from deblurlib.data import open_images

PAGE = Path(__file__).parent / "which"
SIDE, NOISE = 150, 0.08  # pixels of a detail; noise that can be seen in print
PLACES = {"coffee": (130, 260), "astronaut": (10, 150)}  # top and left of the details


def main() -> None:
    found = open_images("sample", "train")
    x = {Path(name).stem: found[i][None] for i, name in enumerate(found.names)}["astronaut"]
    half = degrade.convolve(x, psf.motion(15, 20))
    half[..., : x.shape[-1] // 2 - 30] = x[..., : x.shape[-1] // 2 - 30]
    shown = {
        "1 sharp": x,
        "2 moved": degrade.convolve(x, psf.motion(15, 20)),
        "3 out of focus": degrade.convolve(x, psf.disk(5)),
        "4 a part has moved": half,
        "5 long blur": degrade.convolve(x, psf.motion(45, 20)),
        "6 noise": degrade.add_noise(x, NOISE, 0, [0]),
    }
    fig = plots.show({name: detail(z) for name, z in shown.items()}, columns=3)
    PAGE.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(plots.png(fig, dpi=120))).convert("RGB")
    picture.save(PAGE / "kinds.jpg", quality=85, optimize=True)


def detail(z: torch.Tensor) -> torch.Tensor:
    top, left = PLACES["astronaut"]
    return images.quantise(z)[0, :, top : top + SIDE, left : left + SIDE]


if __name__ == "__main__":
    main()
