"""A long exposure: what a moving camera saw, or the frames of a video, one by one, averaged.

What is averaged makes two different blurs: ``average="encoded"`` the stored, gamma-encoded values,
as in the ``blur`` folders of the GoPro set; ``average="light"`` the light they stand for, as in its
``blur_gamma`` folders (Nah, Kim and Lee, CVPR 2017). Taught in chapter 01.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F

from .. import psf
from ..errors import InputError
from ..names import Average, Boundary, known, unknown_name
from .carrying import carry

GAMMA = 2.2  # of the GoPro set; sRGB's curve is close to it
AVERAGES = known(Average)
# grid_sample's names; within a margin nothing from beyond is asked for, so the fastest will do
MODES = {"reflect": "reflection", "zero": "zeros", "valid": "border"}
CACHED_PIXELS = 2**17  # of a few images, whose views are made one after the other


def decode_gamma(x: torch.Tensor) -> torch.Tensor:
    """Stored values in [0, 1] -> the light they stand for: ``x ** 2.2``; below 0 counts as 0.

    Any shape, which is kept.
    """
    return x.clamp(min=0) ** GAMMA


def encode_gamma(light: torch.Tensor) -> torch.Tensor:
    """Light -> the value a camera stores for it: ``light ** (1 / 2.2)``; below 0 counts as 0.

    Any shape, which is kept.
    """
    return light.clamp(min=0) ** (1 / GAMMA)


def expose(views: Iterable[torch.Tensor], average: Average) -> torch.Tensor:
    """The mean of views of one size, of the stored values (``"encoded"``) or of ``"light"``.

    One view is held at a time, so ``views`` may be a generator over a long video. They are of any
    shape, which is that of the mean.
    """
    check_average(average)
    total, count = None, 0
    for view in views:
        if total is not None and view.shape != total.shape:
            raise InputError(f"views of {tuple(view.shape)} and {tuple(total.shape)}")
        if not view.is_floating_point():
            raise InputError(f"views must be floating-point values in [0, 1], not {view.dtype}")
        light = decode_gamma(view) if average == "light" else view
        total = light.clone() if total is None else total.add_(light)
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
    return camera_shakes([generator], [length], [roll], steps)[0]


def camera_shakes(
    generators: Sequence[torch.Generator],
    lengths: Sequence[float],
    rolls: Sequence[float],
    steps: int = 31,
) -> torch.Tensor:
    """Many of :func:`camera_shake`, to the bit, ``(N, steps, 3)``; one generator for each."""
    if steps < 2:
        raise InputError(f"a path needs 2 steps or more, not {steps}")
    for roll in rolls:
        if not 0 <= roll < math.inf:
            raise InputError(f"roll must be 0 degrees or more, not {roll}")
    twice = [g for g in generators for _ in range(2)]  # the place is drawn, then the turn
    walks = psf.trajectories(twice, [n for length in lengths for n in (length, 1.0)])
    chosen = torch.linspace(0, walks.shape[1] - 1, steps).round().long()
    paths = []
    for place, turn, roll in zip(walks[::2], walks[1::2, :, :1], rolls, strict=True):
        turn = turn / turn.abs().max().clamp(min=1e-12) * roll
        place = place[chosen]
        paths.append(torch.cat([place - place.mean(0), turn[chosen]], 1))
    return torch.stack(paths)


def homographies(path: torch.Tensor, focal: float) -> torch.Tensor:
    """How a rotating camera moves the image: ``H = K R K^-1``, with ``K = diag(f, f, 1)``.

    A camera that only turns sees no parallax, so one matrix moves every pixel, whatever its
    distance (Whyte, Sivic, Zisserman and Ponce, "Non-uniform deblurring for shaken images",
    CVPR 2010).

    Args:
        path: ``(T, 3)`` as of :func:`camera_shake`, or ``(B, T, 3)``.
        focal: the focal length in pixels; a moderate wide angle has about the image's width.

    Returns:
        ``(T, 3, 3)`` or ``(B, T, 3, 3)``, float64, for points (right, down, 1) in pixels from the
        image's centre.
    """
    if path.ndim not in (2, 3) or path.shape[-1] != 3:
        raise InputError(f"a camera's path is (T, 3), not {tuple(path.shape)}")
    if not focal > 0:
        raise InputError(f"the focal length must be more than 0 pixels, not {focal}")
    down, right, roll = path.double().cpu().flatten(0, -2).unbind(-1)
    pitch = torch.atan(down / focal)
    yaw = torch.atan(right * torch.cos(pitch) / focal)  # so that the centre lands exactly there
    turned = _rotation(0, -pitch) @ _rotation(1, yaw) @ _rotation(2, -torch.deg2rad(roll))
    intrinsic = torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float64))
    h = intrinsic @ turned @ torch.linalg.inv(intrinsic)
    return (h / h[..., 2:, 2:]).unflatten(0, path.shape[:-1]).to(path.device)


def _rotation(axis: int, angle: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (T, 3, 3) about axis 0 (right), 1 (down) or 2 (ahead)."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    i, j = [a for a in range(3) if a != axis]
    matrix = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    sign = -1 if axis == 1 else 1
    matrix[:, i, i] = matrix[:, j, j] = cosine
    matrix[:, i, j], matrix[:, j, i] = -sign * sine, sign * sine
    return matrix


def warp(x: torch.Tensor, h: torch.Tensor, boundary: Boundary = "reflect") -> torch.Tensor:
    """Move images by homographies, interpolating linearly between pixels.

    Args:
        x: ``(B, C, H, W)``.
        h: ``(3, 3)``, or ``(B, 3, 3)``, one for each; as :func:`homographies` makes them.
        boundary: what lies beyond the image: ``"reflect"``, as for :func:`convolve`, or ``"zero"``.
    """
    if boundary not in ("reflect", "zero"):
        raise InputError(f"boundary {boundary!r} is neither reflect nor zero")
    full = _full(x)
    with torch.autocast(x.device.type, enabled=False):
        back = carry(torch.linalg.inv(h.double()).to(full.dtype), x.device)
        return view(full, back, MODES[boundary], 0).to(x.dtype)


def sweep(x: torch.Tensor, h: torch.Tensor, boundary: Boundary, margin: int = 0) -> torch.Tensor:
    """What cameras see that move during the exposure: the mean of :func:`warp` over their paths.

    To the bit what :func:`expose` makes of all views, ``"encoded"``, in less time and memory. Where
    ``h`` is on the processor, nothing waits for a GPU.

    Args:
        x: ``(B, C, H, W)``.
        h: ``(B, T, 3, 3)``, a path for each image.
        boundary: ``"reflect"`` or ``"zero"``, as for :func:`warp`; or ``"valid"``: the result
            shrinks by a margin, from which on no light from beyond the image arrives.
        margin: of ``"valid"``, pixels at each side.

    Raises:
        InputError: a path reaches further than its margin, or that leaves nothing.
    """
    full = _full(x)
    height, width = x.shape[-2:]
    inverse = torch.linalg.inv(h.double())
    margin = check_margin(inverse, height, width, boundary, margin)
    mode = MODES[boundary]
    group = len(x)
    if x.device.type == "cpu":  # so few that a view stays in the cache, but one for each thread
        pixels = (height - 2 * margin) * (width - 2 * margin)
        group = max(torch.get_num_threads(), CACHED_PIXELS // pixels)
    with torch.autocast(x.device.type, enabled=False):
        back, means = carry(inverse.to(full.dtype), x.device), []
        for some, paths in zip(full.split(group), back.split(group), strict=True):
            first, *others = paths.unbind(1)
            total = view(some, first, mode, margin)
            for step in others:
                total += view(some, step, mode, margin)
            means.append(total.div_(paths.shape[1]))
        return torch.cat(means).to(x.dtype)


def check_margin(
    inverse: torch.Tensor, height: int, width: int, boundary: Boundary, margin: int
) -> int:
    """The margin that :func:`sweep` takes off each side; 0 where a boundary needs none.

    Args:
        inverse: of all homographies.

    Raises:
        InputError: no such boundary; a path reaches further than its margin; it leaves nothing.
    """
    if boundary not in MODES:
        raise unknown_name("boundary", boundary, MODES)
    if boundary != "valid":
        return 0
    reach = _reach(inverse, height, width)
    if margin < reach:
        raise InputError(f"the path reaches {reach} pixels, more than its margin of {margin}")
    if min(height, width) <= 2 * margin:
        raise InputError(f"a margin of {margin} leaves nothing of {(height, width)}")
    return margin


def _full(x: torch.Tensor) -> torch.Tensor:
    if x.ndim != 4 or not x.is_floating_point():
        raise InputError(f"images must be floating-point (B, C, H, W), not {tuple(x.shape)}")
    return x if x.dtype == torch.float64 else x.float()


def view(x: torch.Tensor, back: torch.Tensor, mode: str, margin: int) -> torch.Tensor:
    """One view of each image, less a margin, where ``back`` says from where its pixels come.

    Args:
        x: ``(B, C, H, W)``, float32 or float64.
        back: ``(3, 3)`` or ``(B, 3, 3)``, inverse homographies, of its type and on its device.
        mode: of :data:`MODES`.
    """
    height, width = x.shape[-2:]
    places = back.expand(len(x), 3, 3) @ _points(height, width, margin, x.dtype, x.device)
    right_down = places[:, :2].div_(places[:, 2:])
    # grid_sample wants -1 and 1 at the centres of the first pixel and the last where it reflects
    # about them; else at the image's edges, which differ even where a side is one pixel
    inner = mode != "zeros"
    for axis, side in enumerate((width, height)):
        right_down[:, axis].div_(max(side - inner, 1) / 2)
    grid = right_down.unflatten(-1, (height - 2 * margin, width - 2 * margin)).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, padding_mode=mode, align_corners=inner)


def max_displacement(h: torch.Tensor, height: int, width: int) -> int:
    """By how many pixels, rounded up, homographies move any point of an image at most.

    A margin of that width is what ``boundary="valid"`` cuts off, for only there can light from
    beyond the image have arrived. Looked for at the corners, which a turning camera moves furthest.
    ``h`` is ``(..., 3, 3)``.
    """
    return _reach(torch.linalg.inv(h.double()), height, width)


def _reach(inverse: torch.Tensor, height: int, width: int) -> int:
    edge = torch.tensor([[(width - 1) / 2], [(height - 1) / 2]], dtype=torch.float64)
    still = edge * torch.tensor([[-1, -1, 1, 1], [-1, 1, -1, 1]])
    moved = inverse.view(-1, 3, 3).cpu() @ torch.cat([still, torch.ones(1, 4)])
    far = (moved[:, :2] / moved[:, 2:] - still).abs().max().item()
    return math.ceil(far - 1e-9)  # rounding errors move nothing


@lru_cache(maxsize=4)
def _points(
    height: int, width: int, margin: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """The pixels of an image, less a margin, as points (right, down, 1) from its centre: (3, N)."""
    down = torch.arange(margin, height - margin, dtype=torch.float64) - (height - 1) / 2
    right = torch.arange(margin, width - margin, dtype=torch.float64) - (width - 1) / 2
    down, right = torch.meshgrid(down, right, indexing="ij")
    points = torch.stack([right.flatten(), down.flatten(), torch.ones(down.numel())])
    return carry(points.to(dtype), device)


def check_average(average: Average) -> None:
    """Raise unless ``average`` is ``"encoded"`` or ``"light"``."""
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
