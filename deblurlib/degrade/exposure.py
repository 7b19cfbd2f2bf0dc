"""A long exposure: what a moving camera saw, or the frames of a video, one by one, averaged.

What is averaged makes two different blurs: ``average="encoded"`` the stored, gamma-encoded values,
as in the ``blur`` folders of the GoPro set; ``average="light"`` the light they stand for, as in its
``blur_gamma`` folders (Nah, Kim and Lee, CVPR 2017). Taught in chapter 01.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import torch
import torch.nn.functional as F

from .. import psf
from ..errors import InputError

GAMMA = 2.2  # of the GoPro set; sRGB's curve is close to it
AVERAGES = ("encoded", "light")


def decode_gamma(x: torch.Tensor) -> torch.Tensor:
    """Stored values in [0, 1] -> the light they stand for: ``x ** 2.2``; below 0 counts as 0."""
    return x.clamp(min=0) ** GAMMA


def encode_gamma(light: torch.Tensor) -> torch.Tensor:
    """Light -> the value a camera stores for it: ``light ** (1 / 2.2)``; below 0 counts as 0."""
    return light.clamp(min=0) ** (1 / GAMMA)


def expose(views: Iterable[torch.Tensor], average: str) -> torch.Tensor:
    """The mean of views of one size, of the stored values (``"encoded"``) or of ``"light"``.

    One view is held at a time, so ``views`` may be a generator over a long video.
    """
    check_average(average)
    total, count = None, 0
    for view in views:
        if total is not None and view.shape != total.shape:
            raise InputError(f"views of {tuple(view.shape)} and {tuple(total.shape)}")
        if not view.is_floating_point():
            raise InputError(f"views must be floating-point values in [0, 1], not {view.dtype}")
        light = decode_gamma(view) if average == "light" else view
        total = light.clone() if total is None else total + light
        count += 1
    if total is None:
        raise InputError("there is no view to average")
    mean = total / count
    return encode_gamma(mean) if average == "light" else mean


def camera_shake(
    generator: torch.Generator, length: float, roll: float, steps: int = 31
) -> torch.Tensor:
    """A hand-held camera's path during one exposure.

    Args:
        length: of the way that the image's centre goes, pixels; see :func:`deblurlib.psf.shake`.
        roll: the largest turn about the optical axis, degrees; the turn wanders likewise.
        steps: points on the path. Neighbours should lie about a pixel apart.

    Returns:
        ``(steps, 3)``: down and right in pixels, their means 0, and the roll in degrees,
        counter-clockwise as seen on the screen.
    """
    if steps < 2:
        raise InputError(f"a path needs 2 steps or more, not {steps}")
    if not 0 <= roll < math.inf:
        raise InputError(f"roll must be 0 degrees or more, not {roll}")
    place = psf.trajectory(generator, length)
    turn = psf.trajectory(generator, 1.0)[:, 0]
    turn = turn / turn.abs().max().clamp(min=1e-12) * roll
    chosen = torch.linspace(0, len(place) - 1, steps).round().long()
    path = torch.cat([place, turn[:, None]], 1)[chosen]
    path[:, :2] -= path[:, :2].mean(0)
    return path


def homographies(path: torch.Tensor, focal: float) -> torch.Tensor:
    """How a rotating camera moves the image: ``H = K R K^-1``, with ``K = diag(f, f, 1)``.

    A camera that only turns sees no parallax, so one matrix moves every pixel, whatever its
    distance (Whyte, Sivic, Zisserman and Ponce, "Non-uniform deblurring for shaken images",
    CVPR 2010).

    Args:
        path: ``(T, 3)`` as of :func:`camera_shake`.
        focal: the focal length in pixels; a moderate wide angle has about the image's width.

    Returns:
        ``(T, 3, 3)``, float64, for points (right, down, 1) in pixels from the image's centre.
    """
    if path.ndim != 2 or path.shape[1] != 3:
        raise InputError(f"a camera's path is (T, 3), not {tuple(path.shape)}")
    if not focal > 0:
        raise InputError(f"the focal length must be more than 0 pixels, not {focal}")
    down, right, roll = path.double().cpu().unbind(-1)
    pitch = torch.atan(down / focal)
    yaw = torch.atan(right * torch.cos(pitch) / focal)  # so that the centre lands exactly there
    turned = _rotation(0, -pitch) @ _rotation(1, yaw) @ _rotation(2, -torch.deg2rad(roll))
    intrinsic = torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float64))
    h = intrinsic @ turned @ torch.linalg.inv(intrinsic)
    return (h / h[..., 2:, 2:]).to(path.device)


def _rotation(axis: int, angle: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (T, 3, 3) about axis 0 (right), 1 (down) or 2 (ahead)."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    i, j = [a for a in range(3) if a != axis]
    matrix = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    sign = -1 if axis == 1 else 1
    matrix[:, i, i] = matrix[:, j, j] = cosine
    matrix[:, i, j], matrix[:, j, i] = -sign * sine, sign * sine
    return matrix


def warp(x: torch.Tensor, h: torch.Tensor, boundary: str = "reflect") -> torch.Tensor:
    """Move images by homographies, interpolating linearly between pixels.

    Args:
        x: ``(B, C, H, W)``.
        h: ``(3, 3)``, or ``(B, 3, 3)``, one for each; as :func:`homographies` makes them.
        boundary: what lies beyond the image: ``"reflect"``, as for :func:`convolve`, or ``"zero"``.
    """
    if boundary not in ("reflect", "zero"):
        raise InputError(f"boundary {boundary!r} is neither reflect nor zero")
    height, width = x.shape[-2:]
    if x.ndim != 4 or not x.is_floating_point():
        raise InputError(f"images must be floating-point (B, C, H, W), not {tuple(x.shape)}")
    full = x if x.dtype == torch.float64 else x.float()
    with torch.autocast(x.device.type, enabled=False):
        moved = _moved(torch.linalg.inv(h.double()).to(full), _points(height, width).to(full))
    right, down = (z.unflatten(-1, (height, width)) for z in moved)
    # grid_sample wants -1 and 1 at the centres of the first pixel and the last where it reflects
    # about them; else at the image's edges, which differ even where a side is one pixel
    inner = boundary == "reflect"
    sides = [max(n - inner, 1) for n in (width, height)]
    grid = torch.stack([2 * right / sides[0], 2 * down / sides[1]], -1)
    mode = "reflection" if boundary == "reflect" else "zeros"
    grid = grid.expand(x.shape[0], height, width, 2)
    return F.grid_sample(full, grid, padding_mode=mode, align_corners=inner).to(x.dtype)


def max_displacement(h: torch.Tensor, height: int, width: int) -> int:
    """By how many pixels, rounded up, homographies move any point of an image at most.

    A margin of that width is what ``boundary="valid"`` cuts off, for only there can light from
    beyond the image have arrived. Looked for at the corners, which a turning camera moves furthest.
    """
    inverse = torch.linalg.inv(h.double()).view(-1, 3, 3)
    edge = torch.tensor([[(width - 1) / 2], [(height - 1) / 2]], dtype=torch.float64)
    still = edge * torch.tensor([[-1, -1, 1, 1], [-1, 1, -1, 1]])
    moved = torch.stack(_moved(inverse.cpu(), still))
    far = (moved - still[:, None]).abs().max().item()
    return math.ceil(far - 1e-9)  # rounding errors move nothing


@lru_cache(maxsize=4)
def _points(height: int, width: int) -> torch.Tensor:
    """How far right and down of the image's centre each pixel lies, (2, H * W), float64."""
    down = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    right = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    down, right = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()])


def _moved(h: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where homographies (..., 3, 3) put points (2, N), right and down: two of (..., N)."""
    x, y, z = (h @ torch.cat([points, torch.ones_like(points[:1])])).unbind(-2)
    return x / z, y / z


def check_average(average: str) -> None:
    """Raise unless ``average`` is ``"encoded"`` or ``"light"``."""
    if average not in AVERAGES:
        raise InputError(f"average {average!r} is neither encoded nor light")
