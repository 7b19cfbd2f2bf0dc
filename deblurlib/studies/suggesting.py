"""How often ``deblur suggest`` is right, and which method gains most on each kind of blur.

::

    python -m deblurlib.studies.suggesting verdicts SET 24   # a table of verdicts; 20 minutes
    python -m deblurlib.studies.suggesting gains SET 8       # mean and least gain, dB; half an hour

Each of so many photographs, evenly spaced, of the test part of a set is blurred in each of six
ways. The limits in :mod:`deblurlib.restoration.suggesting` were chosen on ``bsds500``, train, and
with an eye on real photographs of ``levin09``, Koehler's and ``gopro_scenes``.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterator

import torch

from .. import degrade, images, psf, restoration
from ..data import open_images
from ..degrade import Degradation, Pair, between
from ..errors import require
from ..restoration import suggesting
from .classical.choose import aligned_psnr

__all__ = ["gains", "pairs", "verdicts"]

SEED, SHIFT = 1, 10  # a result may be moved by so many pixels, as its kernel may
METHODS = ("srn", "blind-edges", "kernelnet-rl")


def line(generator: torch.Generator) -> Degradation:
    """A line of 10 to 20 pixels, in any direction."""
    return Degradation(psf.motion(between(generator, 10, 20), between(generator, 0, 180)))


def disk(generator: torch.Generator) -> Degradation:
    """A lens out of focus: a disk with a radius of 3 to 6 pixels."""
    return Degradation(psf.disk(between(generator, 3, 6)))


def gaussian(generator: torch.Generator) -> Degradation:
    """A Gaussian with a sigma of 1.5 to 4 pixels."""
    return Degradation(psf.gaussian(between(generator, 1.5, 4)))


KINDS = {
    "untouched": lambda generator: Degradation(torch.ones(1, 1)),
    "noise": lambda generator: Degradation(torch.ones(1, 1), noise=0.02),
    "line": line,
    "camera": degrade.SETTINGS["s4-camera"],
    "disk": disk,
    "gaussian": gaussian,
}


def pairs(source: str, count: int) -> Iterator[tuple[str, Pair]]:
    """The kind of blur and the pair, of each photograph under each kind."""
    found = open_images(source, "test")
    for i in range(0, len(found), max(len(found) // count, 1))[:count]:
        for kind, draw in KINDS.items():
            yield kind, degrade.sample(images.quantise(found[i])[None], draw, SEED, [i])


def verdicts(source: str, count: int) -> dict[str, Counter[str]]:
    """How often each verdict was given, by the kind of blur."""
    told: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind, pair in pairs(source, count):
        told[kind][suggesting.judge(suggesting.look_at(images.to_array(pair.y[0])))] += 1
    return told


def gains(source: str, count: int) -> dict[str, list[tuple[float, ...]]]:
    """The gains of :data:`METHODS`, dB, on each photograph, by the kind of blur."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for kind, pair in pairs(source, count):
        if kind == "untouched":  # nothing can be gained
            continue
        before = aligned_psnr(pair.y, pair.x, SHIFT)
        after = [aligned_psnr(restoration.restore(pair.y, m), pair.x, SHIFT) for m in METHODS]
        found.setdefault(kind, []).append(tuple(psnr - before for psnr in after))
    return found


def main() -> None:
    """Print a table."""
    require(len(sys.argv) == 4 and sys.argv[1] in ("verdicts", "gains"), "verdicts or gains SET N")
    what, source, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    columns = suggesting.VERDICTS if what == "verdicts" else METHODS
    print(f"| blurred by | n | {' | '.join(columns)} |\n| :--- |{' ---: |' * (len(columns) + 1)}")
    if what == "verdicts":
        for kind, told in verdicts(source, count).items():
            print(f"| {kind} | {told.total()} | {' | '.join(str(told[v]) for v in columns)} |")
        return
    for kind, rows in gains(source, count).items():
        both = [(statistics.mean(g), min(g)) for g in zip(*rows, strict=True)]
        cells = " | ".join(f"{mean:+.2f} ({least:+.2f})" for mean, least in both)
        print(f"| {kind} | {len(rows)} | {cells} |")


if __name__ == "__main__":
    main()
