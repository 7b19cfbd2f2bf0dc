"""Where a restored picture contradicts the photograph that it was made from.

A restoration that is right, blurred again as the camera blurred, is the photograph. So for each
patch the kernel is looked for that makes the photograph of the restored picture, and where no
kernel does, the picture contradicts the photograph. Agreement proves nothing: the photograph itself
agrees with itself, and what a blur has wiped out may be invented at will. Taught in chapter 05.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .. import degrade, images, psf
from ..classical.stopping import estimate_noise
from ..errors import require
from ..values import LEVELS, Array, as_batch, check_restorable

__all__ = ["Trust", "nonnegative_least_squares", "trust"]

SIDE = 31  # of a kernel, pixels
PATCH = 96  # side of a patch, pixels
LEAST = 48  # of a patch: it must hold clearly more equations than a kernel has values
GUESSES, TRIES = 300, 3  # of the least squares: at most; without progress, before it is careful
RIDGE = 1e-4  # of the mean square of the values: what keeps the least squares definite
#: standard deviation of the Gaussian beyond which values count as shading, pixels
SHADING = 4.0
#: sides of the squares over which a residual and the detail around it are averaged, pixels
NEAR, AROUND = 9, 25
OF_NOISE, OF_DETAIL = 3.0, 0.7  # the limit of a residual, see :func:`trust`
FLAT = 3.0  # times the noise: where there is less detail than that, nothing can be said
ROUNDING = math.sqrt(1 / 12) / 255  # standard deviation of what rounding to 8 bits does


@dataclass(frozen=True, eq=False)
class Trust:
    """What :func:`trust` finds. Shares are of each image, ``(B,)``."""

    #: ``(B, 1, H, W)``: the residual by its limit; NaN where there is no answer
    disagreement: torch.Tensor
    #: of each patch, ``(B, R, S, side, side)``; NaN of a flat one
    kernels: torch.Tensor

    @property
    def flagged(self) -> torch.Tensor:
        """Where the restored picture contradicts the photograph: ``(B, 1, H, W)``, bool."""
        return self.disagreement > 1  # NaN is not

    @property
    def answered_share(self) -> torch.Tensor:
        """The share of the picture in which there is an answer."""
        return (~self.disagreement.isnan()).flatten(1).float().mean(1)

    @property
    def flagged_share(self) -> torch.Tensor:
        """What is flagged, as a share of what has an answer; 0 if nothing has."""
        answered = (~self.disagreement.isnan()).flatten(1).sum(1)
        return self.flagged.flatten(1).sum(1) / answered.clamp(min=1)


@torch.no_grad()
def trust(
    y: Array,
    x_hat: Array,
    side: int = SIDE,
) -> Trust:
    """Where ``x_hat`` contradicts ``y``: where no blur of the one is the other.

    For each patch of 96 x 96 pixels of the luma, the kernel, 0 or more everywhere, is found that
    brings ``k * x_hat`` nearest to ``y`` (:func:`nonnegative_least_squares`). An exposure cannot
    subtract, so ringing is found, where ``y`` still has its frequencies; what an unsharp mask
    does, a blur undoes, and it is not. Shading, what a Gaussian of 4 pixels leaves, is taken off
    both before. The residual of a pixel is the root mean square of ``y - k * x_hat`` over 9 x 9
    pixels, for the best of the kernels of its patch and of those around it. Its limit is the root
    of the sum of the squares of

    - 3 times the noise of ``y`` (:func:`deblurlib.classical.stopping.estimate_noise`), which is
      that of rounding to 8 bits at least,
    - 0.7 times the detail, the root mean square of ``y`` over 25 x 25 pixels: one kernel a patch
      is nearly right at best, where the blur varies or things move.

    That a residual beyond the noise contradicts is the discrepancy principle (Morozov 1966, see
    :func:`deblurlib.classical.discrepancy`); the kernel a patch is our own, and so are the two
    numbers. They were chosen on the training parts of ``gopro_scenes``, ``reds_small`` and
    ``bsds500`` (7 and 5 recorded pairs; 2 photographs that were blurred as ``s4-camera`` and
    ``s4-camera-light`` do), among 2 to 4 times the noise and 0.3 to 0.8 times the detail: the
    lowest at which of the *true sharp pictures* no more than about 1 % is flagged in the mean of
    each set. That was 1.0 % (of the worst 7.0 %), 0.2 % and nothing. Of texture that was pasted
    into them 82 % was flagged, of what an object changed that was moved by 6 pixels 63 %.

    Args:
        y: the blurred photographs, ``(B, C, H, W)``, C is 1 or 3: floats in about [0, 1], or
            uint8 or uint16, which are scaled to that.
        x_hat: the restored ones, of the same shape.
        side: of a kernel, odd: blur that is longer than that contradicts.

    Returns:
        the disagreement, 1 at its limit, on the processor. There is no answer (NaN) in a border of
        half a kernel, where neither picture has detail of more than 3 times the noise, and in
        images that are less than 47 pixels larger than a kernel.

    Raises:
        InputError: no such shape, unlike shapes, values not within [0, 1].
    """
    _check(y, x_hat, side)
    found = [_of_one(y[i : i + 1], x_hat[i : i + 1], side) for i in range(len(y))]
    disagreement, kernels = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Trust(disagreement, kernels)


def nonnegative_least_squares(gram: torch.Tensor, moment: torch.Tensor) -> torch.Tensor:
    """The ``k >= 0`` that minimises ``|A k - b|^2``, from ``A' A`` and ``A' b``; exact.

    By block principal pivoting: which values are 0 is guessed, the others are solved for, and all
    that then have a wrong sign change sides (Kim and Park, "Fast nonnegative matrix factorization:
    an active-set-like method and comparisons", SIAM J. Sci. Comput. 33, 2011). About ten guesses
    do for a kernel, where gradients need a thousand steps, for photographs have little detail in
    high frequencies.

    Args:
        gram: ``(n, n)``, positive definite, float64.
        moment: ``(n,)``.

    Returns:
        ``(n,)``.
    """
    free = torch.zeros(len(moment), dtype=torch.bool)
    fewest, tries = len(moment) + 1, TRIES
    zero = 1e-9 * moment.abs().max()
    for _ in range(GUESSES):
        k, places = torch.zeros_like(moment), free.nonzero()[:, 0]
        factor = torch.linalg.cholesky(gram[places][:, places])
        k[places] = torch.cholesky_solve(moment[places, None], factor)[:, 0]
        wrong = torch.where(free, k < 0, gram @ k - moment < -zero)
        count = int(wrong.sum())
        if count == 0:
            break
        if count < fewest:
            fewest, tries = count, TRIES
        elif tries > 0:
            tries -= 1
        else:  # it may go in circles, which it cannot one by one
            wrong[wrong.nonzero()[:-1, 0]] = False
        free ^= wrong
    return k.clamp(min=0)


def _definite(gram: torch.Tensor) -> torch.Tensor:
    """With as much on the diagonal as makes it positive definite also after rounding to float32."""
    ridge = RIDGE * gram.diagonal().mean()
    while torch.linalg.cholesky_ex(gram + ridge * torch.eye(len(gram)).to(gram)).info:
        ridge *= 10
    return gram + ridge * torch.eye(len(gram)).to(gram)


def _check(y: Array, x_hat: Array, side: int) -> None:
    shapes = tuple(y.shape), tuple(x_hat.shape)
    fits = all(len(shape) == 4 and shape[1] in (1, 3) and all(shape) for shape in shapes)
    require(fits, f"images must be (B, 1 or 3, H, W), not {shapes[0]} and {shapes[1]}")
    require(
        shapes[0] == shapes[1], f"y is {shapes[0]}, and x_hat {shapes[1]}: shapes must be equal"
    )
    odd = isinstance(side, int) and side % 2 == 1 and side >= 1
    require(odd, f"the side of a kernel must be odd, not {side}")
    for z in (y, x_hat):
        if isinstance(z, np.ndarray) or z.dtype not in LEVELS:
            check_restorable(as_batch(z))


class _Bands:
    """Photograph and restored picture, luma without shading, a band of rows at a time."""

    def __init__(self, y: Array, x_hat: Array):
        self.pair = y, x_hat
        self.height: int = y.shape[-2]
        self.width: int = y.shape[-1]
        self.noise = max(estimate_noise(_luma(y)).item(), ROUNDING)

    def take(self, top: int, bottom: int) -> list[torch.Tensor]:
        """Rows ``top`` to ``bottom`` of both, ``(1, 1, h, W)``."""
        gaussian = psf.gaussian(SHADING)
        reach = len(gaussian) // 2
        first, last = max(top - reach, 0), min(bottom + reach, self.height)
        band = []
        for z in self.pair:
            z = _luma(z[..., first:last, :])
            z = z - degrade.convolve(z, gaussian, "reflect")
            band.append(z[..., top - first : bottom - first, :])
        return band

    def detail(self, top: int, bottom: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The detail of ``y`` around each pixel of these rows, ``(1, 1, h, W)``.

        And whether there is an answer: not where neither picture has any.
        """
        first, last = max(top - AROUND // 2, 0), min(bottom + AROUND // 2, self.height)
        rows = (..., slice(top - first, bottom - first), slice(None))
        y, x_hat = (_mean(z.square(), AROUND).sqrt()[rows] for z in self.take(first, last))
        return y, torch.maximum(y, x_hat) > FLAT * self.noise


def _luma(z: Array) -> torch.Tensor:
    z = as_batch(z).float().cpu()
    return images.grey(z) if z.shape[1] == 3 else z


def _mean(z: torch.Tensor, side: int) -> torch.Tensor:
    """Means over squares, the edge mirrored."""
    return degrade.convolve(z, psf.box(side), "reflect")


def _of_one(y: Array, x_hat: Array, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The disagreement ``(1, 1, H, W)`` and the kernels ``(1, R, S, side, side)`` of one image."""
    bands, half = _Bands(y, x_hat), side // 2
    inner = bands.height - 2 * half, bands.width - 2 * half
    disagreement = torch.full((1, 1, bands.height, bands.width), math.nan)
    if min(inner) < LEAST:
        return disagreement, torch.full((1, 0, 0, side, side), math.nan)
    size = tuple(min(PATCH, n) for n in inner)
    tops, lefts = (_starts(*axis) for axis in zip(inner, size, strict=True))
    kernels = torch.stack([_fit_row(bands, top, lefts, size, side) for top in tops])
    for i, top in enumerate(tops):
        rows = slice(half + top, half + top + size[0])
        limited = _limited(bands, top, lefts, size, kernels[max(i - 1, 0) : i + 2])
        disagreement[..., rows, :] = torch.fmin(disagreement[..., rows, :], limited)
    return disagreement, kernels[None]


def _starts(length: int, side: int) -> list[int]:
    """Where patches begin that cover an axis, spread evenly."""
    count = -(-length // side)
    return [round(i * (length - side) / max(count - 1, 1)) for i in range(count)]


def _fit_row(
    bands: _Bands, top: int, lefts: list[int], size: Sequence[int], side: int
) -> torch.Tensor:
    """The kernels of a row of patches, ``(S, side, side)``; NaN where all is flat."""
    half, (height, width) = side // 2, size
    y, x_hat = bands.take(top, top + height + 2 * half)
    _, answered = bands.detail(top + half, top + half + height)
    kernels = torch.full((len(lefts), side * side), math.nan)
    for k, left in zip(kernels, lefts, strict=True):
        if not answered[..., half + left : half + left + width].any():
            continue
        # every second column is an equation: with fewer, kernels begin to explain the noise
        near = F.unfold(x_hat[..., left : left + width + 2 * half], side, stride=(1, 2))[0]
        seen = y[..., half : half + height, half + left : half + left + width : 2].flatten()
        gram, moment = (near @ near.mT).double(), (near @ seen).double()
        # one more equation: a blur keeps the light; without shading, little else says so
        weight = gram.diagonal().mean() + len(seen) * ROUNDING**2
        k[:] = nonnegative_least_squares(_definite(gram + weight), moment + weight)
    # an unfolded image is correlated with what it is multiplied by
    return kernels.unflatten(-1, (side, side)).flip(-2, -1)


def _limited(
    bands: _Bands,
    top: int,
    lefts: list[int],
    size: Sequence[int],
    kernels: torch.Tensor,
) -> torch.Tensor:
    """The residuals of a row of patches by their limits, ``(1, 1, height, W)``; NaN outside.

    Args:
        kernels: of the rows of patches above, here and below, ``(1 to 3, S, side, side)``.
    """
    half, (height, width) = kernels.shape[-1] // 2, size
    y, x_hat = bands.take(top, top + height + 2 * half)
    detail, answered = bands.detail(top + half, top + half + height)
    result = torch.full((1, 1, height, bands.width), math.nan)
    for i, left in enumerate(lefts):
        columns = slice(half + left, half + left + width)
        known = answered[..., columns]
        if not known.any():
            continue
        near = kernels[:, max(i - 1, 0) : i + 2].flatten(0, 1)
        near = near[~near.isnan().any(-1).any(-1)]
        part = x_hat[..., left : left + width + 2 * half].expand(len(near), -1, -1, -1)
        blurred = degrade.convolve(part, near, "valid")
        residual = y[..., half : half + height, columns] - blurred
        residual = _mean(residual.square(), NEAR).amin(0, keepdim=True)
        limit = (OF_NOISE * bands.noise) ** 2 + (OF_DETAIL * detail[..., columns]).square()
        part = torch.where(known, (residual / limit).sqrt(), math.nan)
        # patches overlap by what the image lacks: the better one counts, and NaN is none
        result[..., columns] = torch.fmin(result[..., columns], part)
    return result
