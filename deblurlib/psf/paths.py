"""The paths of shaking hands: random walks, one or many at once."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..errors import require

TOGETHER = 10  # walks from which on one loop for all is faster than one for each


def trajectory(
    generator: torch.Generator, length: float, anxiety: float = 0.005, steps: int = 2000
) -> torch.Tensor:
    """The path of a shaking hand: a random walk at constant speed.

    The velocity is pushed about by Gaussian impulses, pulled back to where it began, and now and
    then nearly reversed (Boracchi and Foi, "Modeling the performance of image restoration from
    motion blur", IEEE Transactions on Image Processing 21(8), 2012; the constants are those of its
    public re-implementations, such as DeblurGAN's ``generate_trajectory.py``).

    Args:
        length: of the way that is gone, pixels; where it ends up is less far away.
        anxiety: how hard it is pushed at each step: 0: a straight line, 0.005: a gentle curve,
            0.1: a scribble.
        steps: points on the path, evenly spaced along it.

    Returns:
        ``(steps, 2)``, float64: down and right in pixels, their mean 0.
    """
    return trajectories([generator], [length], anxiety, steps)[0]


def trajectories(
    generators: Sequence[torch.Generator],
    lengths: Sequence[float],
    anxiety: float = 0.005,
    steps: int = 2000,
) -> torch.Tensor:
    """Many of :func:`trajectory`, to the bit, in one loop over the steps.

    Args:
        generators: one for each path; one that is there twice draws one path after the other.
        lengths: one for each path.

    Returns:
        ``(N, steps, 2)``.
    """
    whole = len(generators) == len(lengths) > 0
    require(whole, f"{len(generators)} generators were given for {len(lengths)} lengths")
    for length in lengths:
        require(math.isfinite(length) and length > 0, f"length must be more than 0, not {length}")
    require(steps >= 2, f"a path needs 2 steps or more, not {steps}")
    require(math.isfinite(anxiety) and anxiety >= 0, f"anxiety must be 0 or more, not {anxiety}")
    numbers = [_Numbers.draw(g, anxiety, steps) for g in generators]
    speeds = [length / (steps - 1) for length in lengths]
    if len(numbers) < TOGETHER:
        walks = np.stack([_walk(n, s, anxiety) for n, s in zip(numbers, speeds, strict=True)])
    else:
        walks = _walk_together(numbers, speeds, anxiety)
    points = torch.from_numpy(np.ascontiguousarray(walks[..., ::-1]))
    for path in points:  # by itself: a mean's last bit may depend on how many are taken together
        path -= path.mean(0)
    return points


class _Numbers(NamedTuple):
    """The random numbers of one walk."""

    pull: float
    impulse: float
    angle: float  # of the first step, radians
    turns: dict[int, complex]  # step -> what twice the velocity is multiplied by, where it reverses
    pushes: np.ndarray  # (steps,), complex: to the right, and i times down

    @classmethod
    def draw(cls, generator: torch.Generator, anxiety: float, steps: int) -> _Numbers:
        uniform = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        pull, reversal, impulse = 0.7 * uniform[0], 0.2 * uniform[1], 10 * uniform[2]
        reverses = torch.rand(steps, generator=generator) < reversal * anxiety
        turn = torch.rand(steps, generator=generator, dtype=torch.float64) - 0.5  # radians
        drawn = torch.randn(steps, 2, generator=generator, dtype=torch.float64)
        at = np.flatnonzero(reverses.numpy()).tolist()
        turns = {t: cmath.exp(1j * (math.pi + turn[t].item())) for t in at}
        pushes = drawn.numpy().view(complex)[:, 0]
        return cls(pull, impulse, 2 * math.pi * uniform[3], turns, pushes)


def _walk(numbers: _Numbers, step: float, anxiety: float) -> np.ndarray:
    """The places ``(steps, 2)`` of one walk, to the right and down; the first is 0."""
    pull, impulse, angle, turns, pushes = numbers
    velocity = cmath.rect(step, angle)
    place, path = 0j, [0j]
    for t, push in enumerate(pushes[1:].tolist(), 1):
        push = anxiety * (impulse * push - pull * place) * step
        if t in turns:
            push += 2 * velocity * turns[t]
        velocity += push
        velocity *= step / abs(velocity)
        place += velocity
        path.append(place)
    return np.array(path).view(float).reshape(-1, 2)


def _walk_together(
    walks: Sequence[_Numbers], speeds: Sequence[float], anxiety: float
) -> np.ndarray:
    """As :func:`_walk` for each, ``(N, steps, 2)``, in one loop over the steps.

    Of complex numbers the parts are kept apart, ``(2, N)``, so that each line here rounds as one of
    :func:`_walk` does; all arrays are as large as what they meet, for NumPy is fastest so.
    """
    count, both = len(walks[0].pushes), (2, len(walks))
    pull, impulse, step = (
        np.broadcast_to(values, both).copy()
        for values in ([w.pull for w in walks], [w.impulse for w in walks], speeds)
    )
    drawn = np.stack([w.pushes for w in walks], 1)
    pushes = np.stack([drawn.real, drawn.imag], 1) * impulse
    begun = [cmath.rect(s, w.angle) for s, w in zip(speeds, walks, strict=True)]
    velocity = np.array([[v.real for v in begun], [v.imag for v in begun]])
    turns: dict[int, list[tuple[int, complex]]] = {}
    for i, walk in enumerate(walks):
        for t, turn in walk.turns.items():
            turns.setdefault(t, []).append((i, turn))
    path = np.zeros((count, *both))
    place, anxieties, pulled = path[0], np.full(both, anxiety), np.empty(both)
    right, down, each, speed = *velocity, step[0], np.empty(len(walks))
    for t, (push, following) in enumerate(zip(pushes[1:], path[1:], strict=True), 1):
        np.multiply(pull, place, pulled)
        np.subtract(push, pulled, push)
        np.multiply(anxieties, push, push)
        np.multiply(push, step, push)
        for i, turn in turns.get(t, ()):
            back = 2 * complex(*velocity[:, i]) * turn
            push[:, i] += back.real, back.imag
        np.add(velocity, push, velocity)
        np.hypot(right, down, speed)  # as abs() of a complex number
        np.divide(each, speed, speed)
        np.multiply(velocity, speed, velocity)
        place = np.add(place, velocity, following)
    return path.transpose(2, 0, 1)
