"""What is measured of kernels: how wide one is, and how far a guess is from the true one."""

from __future__ import annotations

import math

import torch

from ..errors import InputError, require
from .checking import check

#: Pixels: a kernel found in a photograph whose :func:`deviation` is below is hardly a blur, for
#: sharp photographs get such kernels, too.
HARDLY = 1.0
#: Of a measured kernel: the share of its light that may lie evenly under it, and how many pixels
#: its centre may be off, before either is worth a word.
EVEN, OFF = 0.05, 1.0


def deviation(k: torch.Tensor) -> torch.Tensor:
    """The standard deviation, in pixels, of a kernel's light along an axis.

    About its centroid, wherever that is; the mean of both axes' variances. That of a sampled
    Gaussian is its sigma, but for narrow ones, below 0.8 pixels, and for those that a window cuts
    off.

    Args:
        k: a kernel ``(h, w)``, or a batch ``(B, h, w)``.

    Returns:
        one number ``()``, or ``(B,)``; float32 or as ``k``.
    """
    variance = torch.zeros((), dtype=torch.float64, device=k.device)
    for axis in (-1, -2):  # summed over, which leaves the other
        light = k.double().sum(axis)
        place = torch.arange(light.shape[-1], dtype=torch.float64, device=k.device)
        centre = (light * place).sum(-1, keepdim=True)
        variance = variance + (light * (place - centre).square()).sum(-1) / 2
    return variance.clamp(min=0).sqrt().to(k.dtype)


def doubts(k: torch.Tensor) -> list[str]:
    """What looks wrong of a measured kernel ``(h, w)``, in words; nothing where all looks right.

    Light that lies evenly under all of it, as an offset or a background that was not taken away
    does, and a centre of light that is off the middle, which shifts what is restored.

    >>> from deblurlib.psf import gaussian
    >>> doubts(gaussian(2.0)), doubts((gaussian(2.0) + 0.01) / (1 + 0.01 * 169))
    ([], ['63% of its light lies evenly under it: is that a background, to be taken away before?'])
    """
    require(k.ndim == 2, f"doubts are about one kernel (h, w), not {tuple(k.shape)}")
    light = check(k).detach().cpu().double()
    found = []
    even = float(light.flatten().quantile(0.05)) * light.numel()
    if EVEN <= even <= 1 - EVEN:  # more is a box
        why = "is that a background, to be taken away before?"
        found.append(f"{even:.0%} of its light lies evenly under it: {why}")
    middle = [(side - 1) / 2 for side in light.shape]
    places = [torch.arange(side, dtype=torch.float64) for side in light.shape]
    down = float((light.sum(1) * places[0]).sum()) - middle[0]
    right = float((light.sum(0) * places[1]).sum()) - middle[1]
    if max(abs(down), abs(right)) > OFF:
        found.append(
            f"its light is centred {right:+.1f} pixels to the right of its middle and {down:+.1f} "
            f"below, and the result is shifted by as much"
        )
    return found


def extent(k: torch.Tensor) -> tuple[float, float, float]:
    """How far a kernel ``(h, w)`` spreads: its light's standard deviations, and a direction.

    They are along the axis of the widest spread and across it, pixels; the axis is in degrees,
    counter-clockwise from the x axis as seen on the screen, above -90 and up to 90, as the angle of
    :func:`motion`. A line of length L has a deviation of about L / 3.5 along it.

    >>> from deblurlib.psf import motion
    >>> [round(value, 1) for value in extent(motion(21, 30))]
    [6.1, 0.4, 30.0]

    Raises:
        InputError: a batch; no kernel, see :func:`check`.
    """
    require(k.ndim == 2, f"the extent is that of one kernel (h, w), not of {tuple(k.shape)}")
    check(k)
    mass = k.detach().cpu().double()
    down, right = (torch.arange(side, dtype=torch.float64) for side in mass.shape)
    down = down - (mass.sum(1) * down).sum()
    right = right - (mass.sum(0) * right).sum()
    of_rows, of_columns = (mass.sum(1) * down**2).sum(), (mass.sum(0) * right**2).sum()
    both = (mass * down[:, None] * right).sum()
    half, mean = (of_columns - of_rows) / 2, (of_columns + of_rows) / 2
    apart = torch.hypot(half, both)
    # screens count rows downwards
    angle = math.degrees(math.atan2(-both, half)) / 2
    along, across = ((mean + sign * apart).clamp(min=0).sqrt().item() for sign in (1, -1))
    return along, across, angle if angle > -90 else 90.0


def distance(k_hat: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Relative squared error of a guessed kernel, after the best shift by whole pixels.

    ``min_d |k_hat(. - d) - k|^2 / |k|^2``: a kernel that is shifted shifts the image, which no one
    minds. 0 for the kernel itself; beyond 1, the guess is worse than no light at all. All shifts
    are tried at once, for only the correlation depends on them.

    Args:
        k_hat, k: kernels ``(h, w)``, or as many of each, ``(B, h, w)``; their sizes may differ.

    Returns:
        one number ``()``, or ``(B,)``; float32.

    Raises:
        InputError: other shapes, or a kernel ``k`` of zeros.
    """
    if k_hat.ndim != k.ndim or k.ndim not in (2, 3) or k_hat.shape[:-2] != k.shape[:-2]:
        shapes = f"{tuple(k_hat.shape)} and {tuple(k.shape)}"
        raise InputError(f"kernels to compare are (h, w), or as many (B, h, w), not {shapes}")
    size = [a + b - 1 for a, b in zip(k_hat.shape[-2:], k.shape[-2:], strict=True)]
    guess, true = (torch.fft.rfft2(z.double(), size) for z in (k_hat, k))
    alike = torch.fft.irfft2(guess.conj() * true, size).amax((-2, -1))
    energy_hat, energy = (z.double().square().sum((-2, -1)) for z in (k_hat, k))
    if bool((energy == 0).any()):
        raise InputError("a kernel of zeros is none to compare with")
    return ((energy_hat + energy - 2 * alike).clamp(min=0) / energy).float()
