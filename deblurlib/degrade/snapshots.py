"""Photographs as people take them: shaken, out of focus, with things that move; and as files.

What the method ``srn`` is trained on, see :mod:`deblurlib.studies.srn`. The numbers are ours; they
are those that its weights were made with. Taught in chapter 05.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import psf
from .jpeg import BLOCK, Jpeg
from .objects import Mover
from .sampling import Degradation

MARGIN = 28  # pixels; enough for images of up to LARGEST pixels a side
LARGEST = 900  # of larger ones, a training validates on the middle
LONGEST = 30.0  # of a path, pixels
REACH = 20.0  # pixels from its middle that a path goes at most
STEPS = 25  # of a path
ROLL = 0.006  # radians, to each side, at most
AWAY = 450.0  # pixels from the image's centre, down and right, that a camera turns about, at most
NEAR = 90.0  # the same of an object
RADIUS = 8  # of a kernel, pixels
#: The uniform numbers that a file takes, and those that a snapshot does, in the order of drawing.
OF_FILE = ("noise", "noisy", "compressed", "phase", "quality")
OF_SNAPSHOT = (
    *("kind", "moves", "camera", "object", "light", *OF_FILE, "bright", "highlights"),
    *("length or radius", "own length or disk", "level", "spare"),
)


def snapshot(generator: torch.Generator) -> Degradation:
    """A camera's path or, of 1 in 9, defocus; 1 in 18 is neither. Then noise, 8 bit, JPEG.

    Paths are up to 30 pixels long, 45 in 100 those of a shaking hand, the others nearly straight;
    with half of them, an object moves on its own. Half are averaged as stored, half as light; of
    these, 3 in 10 had highlights up to 3.5 times as bright as white. Half of all get noise of up to
    0.02, and a third JPEG of quality 50 to 98.
    """
    return snapshots([generator])[0]


def snapshots(generators: Sequence[torch.Generator]) -> list[Degradation]:
    """Many of :func:`snapshot`, to the bit."""
    drawn = [_Drawn.draw(g) for g in generators]
    wanted = [(g, d) for g, d in zip(generators, drawn, strict=True) for _ in range(sum(d.walking))]
    walks: Iterator[torch.Tensor] = iter(())
    if wanted:
        paths = psf.trajectories([g for g, _ in wanted], [1.0] * len(wanted))
        at = torch.linspace(0, paths.shape[1] - 1, STEPS).round().long()
        walks = iter(paths[:, at])
    return [_degradation(d, g, walks) for g, d in zip(generators, drawn, strict=True)]


def stored(generator: torch.Generator) -> Degradation:
    """The noise and the JPEG of a snapshot, of 3 images in 10; the others stay as they are.

    For recorded pairs, which are blurred already.
    """
    u = _uniform(generator, ("touched", *OF_FILE))
    fields = _file(u) if u["touched"] < 0.3 else {}
    return Degradation(torch.ones(1, 1), **fields)


def _uniform(generator: torch.Generator, names: Sequence[str]) -> dict[str, float]:
    """A uniform number for each name."""
    return dict(zip(names, torch.rand(len(names), generator=generator).tolist(), strict=True))


@dataclass(frozen=True)
class _Drawn:
    """What is drawn first: the kinds of things, before their paths."""

    u: dict[str, float]  # of OF_SNAPSHOT
    kind: str  # "moving", "defocus" or "still"
    has_object: bool  # that moves on its own

    @classmethod
    def draw(cls, generator: torch.Generator) -> _Drawn:
        u = _uniform(generator, OF_SNAPSHOT)
        kind = "defocus" if u["kind"] < 2 / 18 else "still" if u["kind"] < 3 / 18 else "moving"
        return cls(u, kind, kind == "moving" and u["moves"] < 0.5)

    @property
    def walking(self) -> tuple[bool, bool]:
        """Whether the camera goes a random walk, and whether the object does."""
        return (
            self.kind == "moving" and self.u["camera"] < 0.45,
            self.has_object and self.u["object"] < 0.45,
        )


def _degradation(
    drawn: _Drawn, generator: torch.Generator, walks: Iterator[torch.Tensor]
) -> Degradation:
    """The degradation of what was drawn first.

    Args:
        walks: the random walks that it takes, and those of the next ones.
    """
    u, side = drawn.u, 2 * RADIUS + 1
    light = u["light"] < 0.5
    how: dict[str, Any] = {"average": "light" if light else "encoded", "margin": MARGIN, **_file(u)}
    if light and u["bright"] < 0.3:
        how["highlights"] = 1 + 2.5 * u["highlights"]
    if drawn.kind == "still":
        return Degradation(psf.gaussian(0.0, side), {"still": 1}, **how)
    if drawn.kind == "defocus":
        radius = 0.4 + 5 * u["length or radius"]
        if u["own length or disk"] < 0.5:
            return Degradation(psf.disk(radius, side), {"radius": radius}, **how)
        return Degradation(psf.gaussian(0.55 * radius, side), {"sigma": 0.55 * radius}, **how)
    camera, thing = drawn.walking
    about = {"length": LONGEST * u["length or radius"] ** 1.3}
    path = _path(about["length"], AWAY, next(walks) if camera else None, generator)
    if drawn.has_object:
        about["own_length"] = LONGEST * u["own length or disk"] ** 1.3
        own = _path(about["own_length"], NEAR, next(walks) if thing else None, generator)
        outline = torch.randn(6, 6, generator=generator) - (u["level"] - 0.3)
        how["mover"] = Mover(outline, own)
    return Degradation(path, about, **how)


def _path(
    length: float, away: float, walk: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """Homographies ``(T, 3, 3)`` of a path, and for one half of the paths a turn.

    Args:
        length: pixels.
        away: of the point that it turns about, from the image's centre, at most.
        walk: of length 1, ``(T, 2)``, down and right; by default a line that bends a little, along
            which the speed changes.
    """
    u = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
    t = torch.linspace(-0.5, 0.5, STEPS, dtype=torch.float64)
    if walk is None:
        angle, bend, faster = 2 * math.pi * u[0], 1.2 * (u[1] - 0.5), u[2] - 0.5
        along, across = t * (1 + faster * t), bend * (t**2 - 1 / 12)
        cosine, sine = math.cos(angle), math.sin(angle)
        walk = torch.stack([along * sine + across * cosine, along * cosine - across * sine], 1)
    path = length * (walk - walk.mean(0))
    path = path * min(1.0, REACH / max(path.abs().max().item(), 1e-9))
    turn = 2 * ROLL * (u[3] - 0.5) * (t / 0.5) * (torch.rand((), generator=generator).item() < 0.5)
    down, right = (2 * away * (n - 0.5) for n in u[4:])
    return _rigid(path, turn, down, right)


def _rigid(path: torch.Tensor, turn: torch.Tensor, down: float, right: float) -> torch.Tensor:
    """Homographies that move by a path and turn, clockwise, about a point; see ``homographies``."""
    cosine, sine = torch.cos(turn), torch.sin(turn)
    h = torch.eye(3, dtype=torch.float64).repeat(len(path), 1, 1)
    h[:, 0, 0] = h[:, 1, 1] = cosine
    h[:, 0, 1], h[:, 1, 0] = -sine, sine
    h[:, 0, 2] = path[:, 1] + right - cosine * right + sine * down
    h[:, 1, 2] = path[:, 0] + down - sine * right - cosine * down
    return h


def _file(u: Mapping[str, float]) -> dict[str, Any]:
    """Noise for one half, JPEG for a third: the fields of a degradation, of :data:`OF_FILE`."""
    fields: dict[str, Any] = {"noise": 0.02 * u["noise"] ** 2 * (u["noisy"] < 0.5)}
    if u["compressed"] < 0.33:
        down, right = divmod(int(u["phase"] * (2 * BLOCK) ** 2), 2 * BLOCK)
        fields["jpeg"] = Jpeg(50 + 48 * u["quality"], down, right)
    return fields
