"""Measure how often a photograph is taken for sharp that is blurred, and the other way round.

::

    DEBLURLIB_DATA=... python -m deblurlib.studies.srn.sharp validation   # the limit is chosen on
    DEBLURLIB_DATA=... python -m deblurlib.studies.srn.sharp test         # and is tried on

prints a table for each, in 10 to 20 minutes; it needs the sets ``bsds500``, ``gopro_scenes``,
``reds_small`` and, for the validation, ``photos_mixed``.

The limit of :func:`deblurlib.sharpness.is_sharp` was chosen on the former: the largest of
:data:`LIMITS` for which clearly fewer than 1 in 100 blurred photographs pass, each kind of blur
counting the same. It was compared there with scikit-image's blur effect of the whole picture. When
the measure was chosen, two others were tried on the same photographs: each with the limit that lets
1 in 100 blurred ones pass, the widths left 63 % of the sharp ones alone, the share of high
frequencies less the noise's, in blocks, 45 %, the blur effect in blocks 29 % and of the whole 16 %.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ... import degrade, images, perception, psf
from ...data import open_images, open_pairs
from ...errors import require
from ...names import Boundary
from ...sharpness import WIDTH, blur_width

__all__ = ["photographs", "table", "widths"]

PARTS = {"validation": "train", "test": "test"}
PAIRS = ("gopro_scenes", "reds_small")
SIDE = 512  # pixels: of larger photographs the middle is taken
NOISE, QUALITY = 0.01, 60
CONDITIONS = ("as it is", f"noise of {NOISE}", f"JPEG of quality {QUALITY}")
LIMITS = (0.9, WIDTH, 1.0)  # pixels
ALLOWED = 0.01  # of the blurred photographs
SHARP = "sharp"


@dataclass(frozen=True)
class Looked:
    """A photograph that was measured."""

    data: str
    kind: str  # "sharp", or how it is blurred
    condition: str
    width: float  # see blur_width; NaN where it is not known
    effect: float  # see perception.blur_effect


def photographs(part: str) -> Iterator[tuple[str, str, int, torch.Tensor]]:
    """Set, kind, number in its set, and image ``(3, H, W)``, sharp and blurred, of a part."""
    split = PARTS[part]
    for name in PAIRS:
        pairs = open_pairs(name, split)
        for i in range(len(pairs)):
            y, x = pairs[i]
            yield name, SHARP, i, x
            yield name, "recorded", i, y
    for name in ("bsds500", "photos_mixed") if part == "validation" else ("bsds500",):
        found = open_images(name, split if name == "bsds500" else None)
        for i in range(0, len(found), 1 if name == "bsds500" else 2):
            height, width = found[i].shape[-2:]
            x = images.centre_crop(found[i], min(height, SIDE), min(width, SIDE))
            yield name, SHARP, i, x
            for kind, y in _blurred(x, i):
                yield name, kind, i, y


def _blurred(x: torch.Tensor, number: int) -> Iterator[tuple[str, torch.Tensor]]:
    """A photograph under each blur; angles, paths and widths are drawn from its number."""
    rng = np.random.default_rng(number)
    kernels = {f"Gaussian, sigma {sigma:g}": psf.gaussian(sigma) for sigma in (1.0, 1.5, 3.0)}
    kernels |= {f"defocus, radius {radius:g}": psf.disk(radius) for radius in (1.5, 3.0)}
    kernels |= {
        f"motion of {length} pixels": psf.motion(length, rng.uniform(0, 180))
        for length in (3, 5, 11)
    }
    for kind, k in kernels.items():
        yield kind, images.quantise(degrade.convolve(x[None], k)[0])
    moved = images.quantise(degrade.convolve(x[None], psf.motion(9, rng.uniform(0, 180)))[0])
    height, width = x.shape[-2:]
    part = x.clone()
    part[:, height // 2 :, : width // 2] = moved[:, height // 2 :, : width // 2]
    yield "motion of 9 pixels in a quarter of it", part
    if number % 3 == 0:  # they take long
        for name in ("s4-camera", "s5-gaussian"):
            drawn = degrade.SETTINGS[name](torch.Generator().manual_seed(number))
            if drawn.parameters.get("sigma", 1) >= 1:
                boundary: Boundary = "valid" if drawn.blur.ndim == 3 else "reflect"
                yield name, degrade.apply(x[None], [drawn], 0, [number], boundary).y[0]


def _conditions(x: torch.Tensor, number: int) -> Iterator[tuple[str, np.ndarray]]:
    """As it is, with noise, and as JPEG keeps it: uint8 ``(H, W, 3)``."""
    yield CONDITIONS[0], images.to_array(x)
    yield CONDITIONS[1], images.to_array(degrade.add_noise(x[None], NOISE, 0, [number])[0])
    kept = io.BytesIO()
    Image.fromarray(images.to_array(x)).save(kept, "JPEG", quality=QUALITY)
    yield CONDITIONS[2], np.array(Image.open(kept))


def widths(part: str) -> list[Looked]:
    """All photographs of a part, in all conditions, measured."""
    rows = []
    for data, kind, number, x in photographs(part):
        for condition, pixels in _conditions(x, number):
            z = images.to_tensor(pixels)[None]
            width = blur_width(pixels)
            effect = perception.blur_effect(z, z).item()
            rows.append(Looked(data, kind, condition, np.nan if width is None else width, effect))
    return rows


def table(rows: Sequence[Looked], limit: float) -> list[str]:
    """In Markdown: the share of each kind that is left alone, in each condition."""
    lines = [f"| | n | {' | '.join(CONDITIONS)} |", "| :--- | ---: | ---: | ---: | ---: |"]
    groups: dict[str, list[Looked]] = {f"sharp: `{r.data}`": [] for r in rows if r.kind == SHARP}
    groups |= {f"blurred: {r.kind}": [] for r in rows if r.kind != SHARP}
    for row in rows:
        name = f"sharp: `{row.data}`" if row.kind == SHARP else f"blurred: {row.kind}"
        groups[name].append(row)
    for name, group in groups.items():
        shares = []
        for condition in CONDITIONS:
            seen = [row.width <= limit for row in group if row.condition == condition]
            shares.append(f"{np.mean(seen):.1%}")
        lines.append(f"| {name} | {len(group) // len(CONDITIONS)} | {' | '.join(shares)} |")
    return lines


def left_alone(rows: Sequence[Looked], values: Sequence[float], limit: float) -> tuple:
    """The shares of sharp and of blurred photographs of a value up to the limit.

    Of the blurred ones, each kind of blur counts the same.
    """
    kinds: dict[str, list[bool]] = {}
    for row, value in zip(rows, values, strict=True):
        kinds.setdefault(row.kind, []).append(value <= limit)
    blurred = [np.mean(seen) for kind, seen in kinds.items() if kind != SHARP]
    return float(np.mean(kinds[SHARP])), float(np.mean(blurred))


def main(part: str) -> None:
    require(part in PARTS, f"{part!r} is none of {', '.join(PARTS)}")
    rows = widths(part)
    print("\n".join(table(rows, WIDTH)))
    for limit in LIMITS:
        sharp, blurred = left_alone(rows, [row.width for row in rows], limit)
        print(f"width up to {limit:g}: left alone {sharp:.1%} of sharp, {blurred:.2%} of blurred")
    effects = [row.effect for row in rows]
    limits = sorted(row.effect for row in rows if row.kind == SHARP)
    fit = [e for e in limits if left_alone(rows, effects, e)[1] < ALLOWED] or [-1.0]
    sharp, blurred = left_alone(rows, effects, fit[-1])
    print(f"blur effect up to {fit[-1]:.3f}: {sharp:.1%} of sharp, {blurred:.2%} of blurred")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["validation"])
