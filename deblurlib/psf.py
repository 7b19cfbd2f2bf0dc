"""Point-spread functions: where the light of one point ends up.

A kernel is a float32 tensor ``(h, w)`` with odd sides, non-negative, summing to 1, in convolution
orientation: ``k[centre + d]`` is the share of a point's light that lands ``d`` pixels away from it,
rows counted downwards. Kernels of other makers go through :func:`as_kernel`. Taught in chapter 01.
"""

from __future__ import annotations

import cmath
import math
import sys
import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from .errors import InputError, InputWarning, require

ROUNDING = 1e-4  # how far from 1 the sum of a kernel may be
TOGETHER = 10  # walks from which on one loop for all is faster than one for each
LIBRARY = str(Path(__file__).parent)


def gaussian(sigma: float, size: int | None = None) -> torch.Tensor:
    """Gaussian kernel, sampled at the pixel centres.

    Args:
        sigma: standard deviation in pixels; 0 gives the delta kernel.
        size: odd side; by default the kernel reaches three standard deviations. A smaller size
            cuts the Gaussian off, as OpenCV's ``GaussianBlur(x, (size, size), sigma)`` does.
    """
    require(0 <= sigma < math.inf, f"sigma must be 0 or more, not {sigma}")
    size = _odd(size, 2 * math.ceil(3 * sigma) + 1)
    if sigma == 0:
        profile = (_coordinates(size) == 0).double()
    else:
        profile = torch.exp(-0.5 * (_coordinates(size) / sigma) ** 2)
    return _normalised(torch.outer(profile, profile))


def box(size: int) -> torch.Tensor:
    """Mean over a ``size`` x ``size`` square (odd). PIL's ``BoxBlur(r)`` is ``box(2 * r + 1)``."""
    size = _odd(size, size)
    return _normalised(torch.ones(size, size, dtype=torch.float64))


def motion(length: float, angle: float = 0.0, size: int | None = None) -> torch.Tensor:
    """Straight, even motion: an anti-aliased line.

    A strip ``length`` pixels long: a pixel gets the part of it that the strip covers along the
    motion, times a tent across it that falls to 0 one pixel away. So the kernel changes smoothly
    with both arguments, and an odd length at angle 0 is exactly ``length`` equal taps.

    Args:
        length: pixels, 1 or more.
        angle: degrees, counter-clockwise from the x axis as seen on the screen.
        size: odd side; by default the smallest that holds the line.

    Raises:
        InputError: the line does not fit into ``size``.
    """
    require(math.isfinite(length) and length >= 1, f"length must be 1 or more, not {length}")
    require(math.isfinite(angle), f"angle must be a number of degrees, not {angle}")
    grid = _coordinates(2 * math.ceil(length / 2 + 1) + 1)
    down, right = torch.meshgrid(grid, grid, indexing="ij")
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = cosine * right - sine * down
    across = sine * right + cosine * down
    covered = (length / 2 + 0.5 - along.abs()).clamp(0, 1)
    return _fit(covered * (1 - across.abs()).clamp(min=0), size, f"a line of {length} pixels")


def disk(radius: float, size: int | None = None) -> torch.Tensor:
    """Defocus of an ideal round lens: the share of each pixel that a disk covers.

    Args:
        radius: pixels, more than 0; up to 0.5 the disk lies in one pixel (the delta kernel).
        size: odd side; by default the smallest that holds the disk.

    Raises:
        InputError: the disk does not fit into ``size``.
    """
    require(math.isfinite(radius) and radius > 0, f"radius must be more than 0, not {radius}")
    fine = 16  # sub-pixels along each side of a pixel
    half = math.ceil(radius + 0.5)
    offsets = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine - 0.5
    grid = (_coordinates(2 * half + 1)[:, None] + offsets).flatten()
    inside = (grid[:, None] ** 2 + grid**2 <= radius**2).double()
    covered = torch.nn.functional.avg_pool2d(inside[None, None], fine)[0, 0]
    return _fit(covered, size, f"a disk of radius {radius}")


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
        pushes = torch.randn(steps, 2, generator=generator, dtype=torch.float64)
        at = np.flatnonzero(reverses.numpy()).tolist()
        turns = {t: cmath.exp(1j * (math.pi + turn[t].item())) for t in at}
        pushes = pushes.numpy().view(complex)[:, 0]
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
    place, anxiety, pulled = path[0], np.full(both, anxiety), np.empty(both)
    right, down, each, speed = *velocity, step[0], np.empty(len(walks))
    for t, (push, following) in enumerate(zip(pushes[1:], path[1:], strict=True), 1):
        np.multiply(pull, place, pulled)
        np.subtract(push, pulled, push)
        np.multiply(anxiety, push, push)
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


def from_path(path: torch.Tensor, size: int | None = None) -> torch.Tensor:
    """The kernel of an image that moves along a path, resting equally long at each of its points.

    A point between pixels is shared out linearly among the four around it (bilinear splatting).

    Args:
        path: ``(T, 2)``: down and right in pixels from the kernel's centre.
        size: odd side; by default the smallest that holds the path; too small a one is an error.
    """
    whole = path.ndim == 2 and path.shape[1] == 2 and len(path) > 0
    require(whole, f"a path is (T, 2), not {tuple(path.shape)}")
    places = np.ascontiguousarray(path.detach().cpu().double().numpy().T)
    require(bool(np.isfinite(places).all()), "the path holds NaN or infinite values")
    centre = math.ceil(np.abs(places).max()) + 1
    side = 2 * centre + 1
    corner = np.floor(places)
    after = places - corner
    row, column = corner.astype(np.int64) + centre
    # to the pixels above and to the left, then to those on the right, below, and below on the right
    parts = [a * b for a in (1 - after[0], after[0]) for b in (1 - after[1], after[1])]
    pixels = row * side + column
    pixels = [pixels + offset for offset in (0, 1, side, side + 1)]
    k = np.bincount(np.concatenate(pixels), np.concatenate(parts), side * side)
    return _fit(torch.from_numpy(k).view(side, side), size, "the path")


def shake(generator: torch.Generator, length: float, size: int | None = None) -> torch.Tensor:
    """Camera shake: the kernel of a :func:`trajectory`, its light centred on the middle pixel.

    ``length`` is the path's, in pixels; ``size`` is odd, by default enough for any such path.
    """
    path = trajectory(generator, length)
    # no point of a path at constant speed is further than half its length from its mean
    size = 2 * math.ceil(length / 2) + 1 if size is None else size
    return from_path(path, size)


def stack(kernels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Kernels of several sizes as one batch ``(B, h, w)``, each centred among zeros.

    >>> stack([box(1), box(3)]).shape
    torch.Size([2, 3, 3])
    """
    height = max(k.shape[0] for k in kernels)
    width = max(k.shape[1] for k in kernels)
    batch = torch.zeros(len(kernels), height, width)
    for place, k in zip(batch, kernels, strict=True):
        top, left = (height - k.shape[0]) // 2, (width - k.shape[1]) // 2
        place[top : top + k.shape[0], left : left + k.shape[1]] = k
    return batch


def transfer_function(k: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What a kernel does to each frequency: its 2-D Fourier transform on an image's grid.

    The kernel's centre is put at pixel (0, 0), wrapped round the edges, so that circular
    convolution is ``ifft2(fft2(x) * transfer_function(k, H, W))``.

    Args:
        k: kernel ``(h, w)`` or ``(B, h, w)``, not larger than the image.
        height, width: the image's size in pixels.

    Returns:
        complex tensor ``(height, width)`` or ``(B, height, width)``; its value at frequency 0
        is the kernel's sum, 1.
    """
    h, w = k.shape[-2:]
    if h > height or w > width:
        raise InputError(f"a {h} x {w} kernel is larger than the {height} x {width} image")
    padded = F.pad(k, (0, width - w, 0, height - h))
    return torch.fft.fft2(padded.roll((-(h // 2), -(w // 2)), dims=(-2, -1)))


def as_kernel(k: torch.Tensor | np.ndarray, name: str = "the kernel") -> torch.Tensor:
    """A kernel ``(h, w)``, or a batch ``(B, h, w)``, from what people have.

    Numbers of any real type are taken. A kernel that sums to something else than 1 is divided by
    its sum; of an even side, a row or column of zeros is added below or on the right, so that the
    middle is where Fourier transforms have it, at ``side // 2``. Either is said in an
    :class:`deblurlib.errors.InputWarning`. Of an array ``(h, w, 1)`` the last axis is left out.

    Args:
        k: a tensor, which stays on its device, or a NumPy array of any byte order.
        name: what to call it in an error.

    Returns:
        float32, or float64 for a tensor of that type.

    Raises:
        InputError: no numbers, complex ones, not two or three axes, nothing in it, NaN or infinite
            or negative values, or zeros only.
    """
    if isinstance(k, np.ndarray):
        require(k.dtype.kind in "biuf", f"{name}: must hold real numbers, not {k.dtype}")
        wide, kind = torch.from_numpy(k.astype(np.float64)), torch.float32
    else:
        is_tensor = isinstance(k, torch.Tensor)
        require(is_tensor, f"{name}: must be a tensor or an array, not {type(k).__name__}")
        require(not k.is_complex(), f"{name}: must hold real numbers, not {k.dtype}")
        wide, kind = k.double(), torch.float64 if k.dtype == torch.float64 else torch.float32
    require(
        wide.ndim in (2, 3) and wide.numel() > 0,
        f"{name}: must be (h, w) or (B, h, w), not {tuple(wide.shape)}",
    )
    sums = wide.sum((-2, -1), keepdim=True)
    # asked once, for each time a GPU is waited for
    facts = torch.stack([wide.amin(), wide.amax(), sums.amin(), sums.amax()]).tolist()
    low, high, least, most = facts
    require(math.isfinite(low) and math.isfinite(high), f"{name}: holds NaN or infinite values")
    require(low >= 0, f"{name}: holds negative values")
    off = max(1 - least, most - 1)
    if off >= ROUNDING and wide.ndim == 3 and wide.shape[0] == 1 and wide.shape[-1] == 1:
        raise InputError(f"{name}: may be a row or a column, being {tuple(wide.shape)}")
    if off >= ROUNDING and wide.ndim == 3 and wide.shape[-1] == 1:
        return as_kernel(wide[..., 0].to(kind), name)
    require(least > 0, f"{name}: holds nothing but zeros")
    if off >= ROUNDING:
        worst = least if 1 - least > most - 1 else most
        _warn(f"{name}: its sum was {worst:.6g}, so it was divided by it")
        wide = wide / wide.amax((-2, -1), keepdim=True)  # of large numbers, the sum is infinite
        wide = wide / wide.sum((-2, -1), keepdim=True)
    down, right = (1 - side % 2 for side in wide.shape[-2:])
    if down or right:
        was = f"{wide.shape[-2]} x {wide.shape[-1]}"
        wide = F.pad(wide, (0, right, 0, down))
        _warn(f"{name}: zeros were added, for {wide.shape[-2]} x {wide.shape[-1]} from {was}")
    return wide.to(kind)


def check(k: torch.Tensor) -> torch.Tensor:
    """Return ``k`` if it is a kernel (or a batch of them); else raise, saying what is wrong."""
    require(k.ndim in (2, 3), f"a kernel must be (h, w) or (B, h, w), not {tuple(k.shape)}")
    require(
        k.shape[-1] % 2 == 1 and k.shape[-2] % 2 == 1,
        f"a kernel's sides must be odd, not {k.shape[-2]} x {k.shape[-1]}",
    )
    values = k.detach().cpu().double().numpy()  # faster than PyTorch for the little that it is
    require(bool(np.isfinite(values).all()), "the kernel holds NaN or infinite values")
    require(bool((values >= 0).all()), "the kernel holds negative values")
    worst = max(np.atleast_1d(values.sum((-2, -1))), key=lambda s: abs(s - 1), default=1)
    require(abs(worst - 1) < ROUNDING, f"a kernel must sum to 1, not {worst:.6g}")
    return k


def _odd(size: int | None, default: int) -> int:
    size = default if size is None else size
    odd = isinstance(size, Integral) and size > 0 and size % 2 == 1
    require(odd, f"size must be odd, not {size}")
    return int(size)


def _coordinates(size: int) -> torch.Tensor:
    return torch.arange(size, dtype=torch.float64) - size // 2


def _normalised(k: torch.Tensor) -> torch.Tensor:
    return (k / k.sum()).float()


def _fit(k: torch.Tensor, size: int | None, what: str) -> torch.Tensor:
    """Trim the empty border of a square kernel, or bring it to the side asked for."""
    centre = k.shape[0] // 2
    lit = np.flatnonzero((k.numpy() > 1e-12).any(0) | (k.numpy() > 1e-12).any(1))
    half = int(np.abs(lit - centre).max())
    size = _odd(size, 2 * half + 1)
    require(size >= 2 * half + 1, f"{what} needs a kernel of {2 * half + 1}, not {size}, pixels")
    trimmed = k[centre - half : centre + half + 1, centre - half : centre + half + 1]
    return F.pad(_normalised(trimmed), [(size - 2 * half - 1) // 2] * 4)


def _warn(message: str) -> None:
    """Warn as from the line that called the library."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame, level = frame.f_back, level + 1
    warnings.warn(InputWarning(message), stacklevel=level + 1)
