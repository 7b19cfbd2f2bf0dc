"""What a blurry photograph looks like to a few measurements, and which commands to try on it.

A guess: :mod:`deblurlib.studies.suggesting` says how often it is right, and measures which method
gains most on each kind of blur. Taught in chapter 07.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch

from .. import classical, images, models, psf
from ..classical import finding
from ..files import Photo
from ..sharpness import WIDTH, blur_width
from .finding import RESULT, result_suffix
from .lookup import KERNELNET
from .restoring import telling_pixels

__all__ = ["is_line", "judge", "look_at", "noise_of", "smaller_side"]

VERDICTS = ("sharp", "hardly blurred", "noisy", "moved", "out of focus", "unclear")
SIDE, KERNEL = 256, 31  # pixels: of the part that a kernel is looked for in, and of the kernel
ONE_WAY = replace(finding.SEARCH, ways=finding.SEARCH.ways[:1])  # a third of the time
LARGE = 1024  # pixels: the longer side of the smallest copy
HARDLY, NARROW = 0.5, 1.3  # pixels: mean blur and widest edges of what is hardly blurred
LONG, ROUND = 0.45, 0.6  # a kernel's width by its length, of a line and of a spot
FILLED = 0.45  # the least share of its circle that a spot fills; a path bent in all ways does not
UNEQUAL = 1.75  # the widest edges by the mean blur, of what moved
NOISY = 0.0175  # standard deviation of values in [0, 1]: noise alone that is worth a word
HIDING = 0.01  # noise in which the mean blur looks too small
FLAT, PLACE = 0.1, 16  # the share of the quietest squares whose noise counts, and their side
REACH = 15  # pixels: longer motion is undone in part only, see the model card of srn
LINE = 12**0.5  # a line is so many times as long as its standard deviation
LEAST = 400  # pixels: to less no picture is reduced


@dataclass(frozen=True)
class Look:
    """What was measured. Lengths in pixels of the copy that was looked at."""

    size: tuple[int, int]  # width and height of the photograph, pixels
    times: int  # how many times smaller the copy is
    widest: float | None  # width of the edges where they are widest, see sharpness.blur_width
    mean: float  # deviation of the Gaussian that would blur as much, see models.KernelNet
    along: float  # spread of the kernel that was found, standard deviations; 0: none was found
    across: float
    angle: float  # degrees, counter-clockwise from the right
    filled: float  # the kernel's area, 1 / sum(k^2), by that of a Gaussian as wide as it is long
    noise: float  # standard deviation, of values in [0, 1]


@dataclass(frozen=True)
class Suggestion:
    """A verdict, which is a guess, what it rests on, and what to try in this order."""

    verdict: str  # one of VERDICTS
    look: Look
    measured: tuple[str, ...]  # sentences
    commands: tuple[tuple[str, str], ...]  # a command, and why; none: leave the photograph alone


def suggest(photo: Photo, name: str) -> Suggestion:
    """Which commands to try on one photograph. Taught in chapter 07.

    Args:
        name: its path, for the commands.
    """
    look = look_at(photo.upright())
    verdict = judge(look)
    return Suggestion(verdict, look, tuple(_words(look)), tuple(_commands(verdict, look, name)))


def look_at(pixels: np.ndarray) -> Look:
    """Measure a photograph, ``(H, W)`` or ``(H, W, C)``, uint8 or uint16, as a viewer shows it.

    Of a large one that is not sharp, the smallest copy in which blur is seen is looked at, for
    there a long one is short; of that, the kernel in the 256 x 256 pixels with most edges.

    Raises:
        InputError: no such array.
    """
    size, widest = pixels.shape[1::-1], blur_width(pixels)
    if pixels.ndim == 3:
        pixels = pixels[..., : 3 if pixels.shape[-1] > 2 else 1]  # without alpha
    times = 1
    while widest is not None and widest > WIDTH and max(size) > LARGE * times:
        times *= 2
    while True:
        small = [max(side // times, 1) for side in size]
        copy = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA) if times > 1 else pixels
        seen = blur_width(copy) if times > 1 else widest
        part = telling_pixels(copy, most=SIDE**2)
        with torch.inference_mode():
            network = cast(models.KernelNet, models.load_shipped(KERNELNET, "cpu")[0])
            mean = float(network.guess(part)[0])
        look = Look(size, times, seen, mean, 0.0, 0.0, 0.0, 0.0, noise_of(copy))
        if times == 1 or not (seen is None or _as_good_as_sharp(look)):
            break
        times //= 2
    if _as_good_as_sharp(look):
        return look
    with torch.inference_mode():
        return replace(look, **_kernel(part))


def _kernel(part: torch.Tensor) -> dict[str, Any]:
    """Of the kernel that is found of an image: what :class:`Look` says of it."""
    if min(part.shape[-2:]) <= KERNEL:
        return {}
    kernels, gains = classical.find_kernel(part, KERNEL, ONE_WAY)
    if gains[0] == 0:
        return {}
    along, across, angle = psf.extent(kernels[0])
    area = 1 / float(kernels[0].double().square().sum())
    filled = area / (4 * math.pi * max(along, 1e-9) ** 2)
    return {"along": along, "across": across, "angle": angle, "filled": filled}


def _as_good_as_sharp(look: Look) -> bool:
    """Also what :func:`deblurlib.sharpness.is_sharp` says is sharp, for it is not restored."""
    if look.widest is None or not look.widest <= NARROW:
        return False
    return look.widest <= WIDTH or look.mean <= HARDLY


def judge(look: Look) -> str:
    """One of :data:`VERDICTS`.

    Two clues tell ``moved`` from ``out of focus``. The kernel that was found is long, or a filled
    spot. And motion leaves edges along its way sharp, so that the widest edges are far wider than
    the blur in the mean; noise hides that. Where the clues contradict each other, or there are
    none, it is ``unclear``.
    """
    if _as_good_as_sharp(look):
        is_sharp = look.widest is not None and look.widest <= WIDTH
        named = "sharp" if is_sharp else "hardly blurred"
        return "noisy" if look.noise >= NOISY else named
    if is_line(look):
        return "moved"
    spot = look.across > ROUND * look.along and look.filled > FILLED
    wide = look.widest is not None and look.widest > UNEQUAL * look.mean
    unequal = wide and look.noise < HIDING
    if spot:
        return "unclear" if unequal else "out of focus"
    return "moved" if unequal else "unclear"


def is_line(look: Look) -> bool:
    """Whether the kernel that was found is long and thin."""
    return look.along > 0 and look.across < LONG * look.along


def noise_of(pixels: np.ndarray) -> float:
    """The noise of a photograph's quietest places, a standard deviation of values in [0, 1].

    That of squares of 16 x 16 pixels which one in ten stays below, by the differences that
    :func:`deblurlib.classical.estimate_noise` takes, for fine texture in all of a picture looks
    like noise to that. In the middle megapixel; clipped squares do not count.
    """
    top, left = (max(side - LARGE, 0) // 2 for side in pixels.shape[:2])
    z = images.to_tensor(np.ascontiguousarray(pixels[top : top + LARGE, left : left + LARGE]))
    high, wide = (side // PLACE * PLACE for side in z.shape[-2:])
    if high == 0 or wide == 0:
        return 0.0
    z = z[:, :high, :wide]
    open_ = ((z > 0.02) & (z < 0.98)).all(0)
    detail = (z[:, ::2, ::2] - z[:, ::2, 1::2] - z[:, 1::2, ::2] + z[:, 1::2, 1::2]) / 2
    places = torch.nn.functional.avg_pool2d(detail.square().mean(0)[None], PLACE // 2)[0]
    seen = torch.nn.functional.avg_pool2d(open_[None].float(), PLACE)[0] > 0.9
    return float(places[seen].quantile(FLAT).sqrt()) if seen.any() else 0.0


def _words(look: Look) -> list[str]:
    """What was measured, in sentences."""
    width, height = look.size
    copy = "" if look.times == 1 else f" in a copy {look.times} times smaller"
    text = "too few edges to measure" if look.widest is None else f"{look.widest:.1f} pixels wide"
    words = [f"{width} x {height} pixels; its blurriest edges{copy}: {text}"]
    if look.mean > 0:
        words.append(f"blurred in the mean as by a Gaussian of {look.mean:.1f} pixels{copy}")
    if look.along > 0:
        way = f", at {look.angle:.0f} degrees" if look.across < ROUND * look.along else ""
        spread = f"{look.along:.1f} pixels along and {look.across:.1f} across"
        words.append(f"its kernel spreads by {spread}{way}{copy}")
    elif look.mean > 0:
        words.append("no single kernel was found that explains the blur")
    if look.noise >= HIDING:
        words.append(f"noise of about {look.noise:.3f}, of values from 0 to 1")
    return words


def smaller_side(look: Look) -> int | None:
    """The longer side to reduce a photograph to, so that its blur is short enough; or ``None``."""
    length, longer = LINE * (look.along or look.widest or 0.0) * look.times, max(look.size)
    if length <= REACH:
        return None
    side = max(int(longer * REACH / length) // 100 * 100, LEAST)
    return side if side < longer else None


def _commands(verdict: str, look: Look, name: str) -> list[tuple[str, str]]:
    """What to try, the most promising first, by the gains that the study measures."""
    if verdict in ("sharp", "noisy"):
        return []
    path, side = Path(name), smaller_side(look)

    def restore(method: str | None, why: str, size: int | None = None) -> tuple[str, str]:
        words = ["deblur", "restore", name]
        if method is not None or size is not None:
            ending = "small" if method is None else method
            out = path.with_name(f"{path.stem}{RESULT}_{ending}{result_suffix(path)}")
            words += ["-o", str(out)] + ([] if method is None else ["--method", method])
        words += [] if size is None else ["--size", str(size)]
        return shlex.join(words), why

    network = restore(None, "the network for motion blur, also where it differs over the picture")
    smaller = [restore(None, f"the blur is long: in a copy of {side} pixels it is shorter", side)]
    smaller = smaller if side is not None else []
    if verdict == "hardly blurred":
        return [restore(None, "only if you see blur: look at the result before you keep it")]
    edges = restore("blind-edges", "one kernel for the whole picture, found by its edges", side)
    if is_line(look):
        return [edges, *smaller, network]
    return [*smaller, network, edges]
