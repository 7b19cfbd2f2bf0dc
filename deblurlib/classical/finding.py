"""The kernel of a blurred image, found from its edges, from coarse to fine.

What tells a blur from its image is that images have few, steep edges. So in turn, an image of few
edges is made that explains the blurred one, and the kernel is found that leads from its edges to
the blurred ones. Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError, require
from ..psf import transfer_function
from ..values import Array, as_batch
from .blur import Blur, checked, image_by_image
from .boundaries import extend_smoothly, extended_size
from .linear import roughness
from .richardson_lucy import richardson_lucy

LEAST_EDGES = 1e-4  # what an edge costs at last
RELAX = 1.1  # by what the cost and the threshold are divided in each round
#: how much edges are held to be real, in the splitting: by what it grows, and up to what
STEEPER, STEEPEST = 2, 1e5
ISLAND = 0.1  # of its light: a part of a kernel that holds less is left out
JUDGED, JUDGED_TV = 30, 5e-4  # iterations and total variation of the restorations that judge it
DARKEST = 1e-3  # of a restoration's start
CLIPPED, MOSTLY = 0.99, 0.5  # what is clipped; the share of an image that may be near it
LEAST_GAIN = 0.02  # what gains less is no blur; some sharp photographs gain up to 0.05
TINY = 1e-12
Pair = tuple[torch.Tensor, torch.Tensor]
Way = tuple[int, float, int, float]


@dataclass(frozen=True)
class Search:
    """How :func:`find_kernel` looks, found by trial on training photographs.

    What the ways are worth, together and alone, is measured by
    :mod:`deblurlib.studies.classical.choose_search`.
    """

    #: from coarse to fine: the side of the first kernel, pixels, the factor from one scale to the
    #: next, the rounds of image and kernel at each, and the largest side as a share of ``size``:
    #: a short blur is lost in too large a kernel. What one way misses, another may find.
    ways: tuple[Way, ...] = ((3, 2**0.5, 5, 1.0), (5, 1.3, 4, 1.0), (3, 2**0.5, 5, 0.5))
    edges: float = 8e-3  # what an edge costs, at first; more means fewer edges
    ridge: float = 10.0  # how much a large kernel costs
    cut: float = 0.1  # of a kernel's largest value: what is less is no part of it
    last_cut: float = 0.015  # the same in the last rounds, for faint tails
    last_rounds: int = 4  # further ones, at the full size

    def __post_init__(self) -> None:
        positive = 0 < self.edges < math.inf and 0 < self.ridge < math.inf
        require(positive, "edges and large kernels must cost more than 0")
        require(0 <= self.last_cut <= self.cut < 1, "cuts are in [0, 1), the last no larger")
        fits = [
            first >= 3 and first % 2 == 1 and finer > 1 and rounds >= 1 and 0 < share <= 1
            for first, finer, rounds, share in self.ways
        ]
        fits += [self.last_rounds >= 0]
        require(len(fits) > 1 and all(fits), f"there are no such ways as {self.ways}")


SEARCH = Search()


def find_kernel(y: Array, size: int = 31, search: Search = SEARCH) -> Pair:
    """The kernels that blurred images, and how much better than no blur they explain them.

    After Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR
    2013, for the image, and Cho and Lee, "Fast motion deblurring", ACM Transactions on Graphics 28,
    2009, for the kernel: by least squares from the steepest edges alone. The scales, the factors by
    which costs and thresholds fall, and what is cut off a kernel are as in the code of Pan, Hu, Su
    and Yang ("Deblurring text images via L0-regularized intensity and gradient prior", CVPR 2014);
    what differs from it in :class:`Search` is ours, chosen on training photographs.

    Args:
        y: blurred images ``(B, C, H, W)``, of values in [0, 1]; the channels share a kernel.
        size: odd, 3 or more: the side of the kernels. It must hold the blur, and should not be much
            larger.
        search: how to look.

    Returns:
        the kernels ``(B, size, size)``, each with its centre of mass in the middle (an image and
        its kernel can both be moved, and nobody sees it), and for each its gain ``(B,)``: by what
        share the restored image's slopes are sparser than without it, see :func:`judge`.
        Where that is less than 0.02, no blur was found: the kernel is a delta, and its gain 0.

    Raises:
        InputError: an argument is not as said here; the image is smaller than the kernel.
    """
    y = as_batch(y)
    full, _ = checked(y, torch.ones(1, 1))
    fits = isinstance(size, int) and size >= 3 and size % 2 == 1
    require(fits, f"size must be an odd whole number, 3 or more, not {size}")
    if min(y.shape[-2:]) < size:
        have = f"{y.shape[-1]} x {y.shape[-2]}"
        raise InputError(f"a kernel of {size} pixels needs a larger image than {have}")

    def run(y: torch.Tensor) -> Pair:
        clipped = (y >= CLIPPED).any(1, keepdim=True).to(y)
        both = zip(y.mean(1, keepdim=True).split(1), clipped.split(1), strict=True)
        found = [_best(*one, size, search) for one in both]
        k, gain = (torch.cat(parts) for parts in zip(*found, strict=True))
        return k, gain

    k, gain = image_by_image(run, full)
    return k.to(y.dtype), gain.to(y.dtype)


def scales(size: int, coarsest: int, finer: float) -> list[int]:
    """The sides of the kernels, odd, from ``coarsest`` or less to ``size``."""
    sides = [size]
    while sides[-1] > coarsest:
        side = math.ceil(size / finer ** len(sides)) // 2 * 2 + 1
        sides.append(max(min(side, sides[-1] - 2), coarsest))
    return sides[::-1]


def _best(y: torch.Tensor, clipped: torch.Tensor, size: int, search: Search) -> Pair:
    """The kernel of a grey image ``(1, 1, H, W)``, and its gain; ``clipped`` is 1 where it is.

    Of those that several ways lead to, it is the one with which a restored image explains ``y``
    best: a wrong kernel leaves much unexplained. No blur would leave nothing, but gains nothing.
    """
    none = torch.zeros(1, size, size, dtype=y.dtype, device=y.device)
    none[:, size // 2, size // 2] = 1
    kernels = [none] + [_coarse_to_fine(y, clipped, size, search, way) for way in search.ways]
    judged = [judge(y, k, 1 - clipped) for k in kernels]
    without = judged[0][0].clamp(min=TINY)
    found = [(rest, sparsity, k) for k, (sparsity, rest) in zip(kernels, judged, strict=True)][1:]
    _, sparsity, k = min(found, key=lambda one: one[0].item())
    gain = 1 - sparsity / without if judged[0][0] > TINY else torch.zeros_like(without)
    return (k, gain[None]) if gain >= LEAST_GAIN else (none, torch.zeros_like(gain)[None])


def _coarse_to_fine(
    y: torch.Tensor, clipped: torch.Tensor, size: int, search: Search, way: Way
) -> torch.Tensor:
    """The kernel ``(1, size, size)`` to which one of the ways leads."""
    coarsest, finer, rounds, share = way
    whole, size = size, max(int(share * size) // 2 * 2 + 1, 3) if share < 1 else size
    k, threshold, cost = y.new_zeros(1, 3, 3), None, search.edges
    k[0, 1, :2] = 0.5  # not a delta, which explains everything
    for side in scales(size, coarsest, finer):
        shrunk = [max(side, round(n * side / size)) for n in y.shape[-2:]]
        small = F.interpolate(y, shrunk, mode="bilinear", antialias=True) if side < size else y
        k = centred(_resized(k, side) if k.shape[-1] < side else k)
        wide = extend_smoothly(small, *extended_size(small, k))
        seen = _unclipped(clipped, side, small.shape[-2:], wide.shape[-2:])
        for i in range(rounds + (search.last_rounds if side == size else 0)):
            g = slopes(sharpen(wide, k, cost))
            if threshold is None:
                threshold = steep(g, 2 * side)
            g = torch.where(_length(g) > threshold, g, 0.0)
            k = fit_kernel(seen * g, seen * slopes(wide), k, search.ridge)
            k = cleaned(k, search.cut if i < rounds else search.last_cut)
            cost, threshold = max(cost / RELAX, LEAST_EDGES), threshold / RELAX
    return F.pad(centred(k), [(whole - size) // 2] * 4)


def _unclipped(
    clipped: torch.Tensor, side: int, size: Sequence[int], wide: Sequence[int]
) -> torch.Tensor:
    """1 where light that was clipped cannot have gone, ``(1, 1, *wide)``, else 0.

    Where that leaves less than half of an image, all of it is looked at: there is nothing better.

    Args:
        clipped: 1 where light was clipped, at full size.
        side: of the kernel at the scale of ``size``.
        wide: the size with what makes it periodic, which is kept.
    """
    clipped = F.adaptive_max_pool2d(clipped, tuple(size))
    near = F.max_pool2d(clipped, side, 1, side // 2)
    near = F.pad(near, (0, wide[1] - size[1], 0, wide[0] - size[0]))
    return 1 - near if near.mean() < MOSTLY else torch.ones_like(near)


def sharpen(y: torch.Tensor, k: torch.Tensor, cost: float) -> torch.Tensor:
    """An image of few edges that explains ``y``: ``|k * x - y|^2 + cost * (how many edges)``.

    By splitting: in turn, edges that do not pay are dropped, and an image is found that has the
    others and explains ``y``, see :func:`fit_image`; ``beta`` grows each time.

    Args:
        y: ``(B, 1, H, W)``, periodic.
        k: ``(B, h, w)``.
    """
    problem, x, beta = _image_problem(y, k), y, 2 * cost
    while beta < STEEPEST:
        g = slopes(x)
        g = torch.where(_length(g).square() >= cost / beta, g, 0.0)
        x, beta = fit_image(problem, g, beta), STEEPER * beta
    return x


def _image_problem(y: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Transforms that :func:`fit_image` takes: of what is seen, of the blur and of slopes."""
    size = y.shape[-2:]
    h = transfer_function(k, *size)[:, None, :, : size[1] // 2 + 1]
    return h.conj() * torch.fft.rfft2(y), h.abs().square(), roughness(*size).to(y)


def fit_image(problem: tuple[torch.Tensor, ...], g: torch.Tensor, beta: float) -> torch.Tensor:
    """The image by least squares: ``|k * x - y|^2 + beta * |slopes(x) - g|^2``, in closed form."""
    seen, power, rough = problem
    waves = seen + beta * torch.fft.rfft2(_slopes_adjoint(g))
    return torch.fft.irfft2(waves / (power + beta * rough), s=g.shape[-2:])


def slopes(x: torch.Tensor) -> torch.Tensor:
    """Differences to the right and down, ``(B, 2, H, W)``, of ``x`` ``(B, 1, H, W)``, periodic."""
    return torch.cat([x.roll(-1, -1) - x, x.roll(-1, -2) - x], 1)


def _slopes_adjoint(g: torch.Tensor) -> torch.Tensor:
    right, down = g[:, :1], g[:, 1:]
    return right.roll(1, -1) - right + down.roll(1, -2) - down


def _length(g: torch.Tensor) -> torch.Tensor:
    return g.square().sum(1, keepdim=True).sqrt()


def steep(g: torch.Tensor, count: int) -> float:
    """The slope that ``count`` pixels reach in each of four directions, so that all are seen."""
    length = _length(g)[:, 0]
    direction = (
        torch.atan2(g[:, 1], g[:, 0]).remainder(math.pi).mul(4 / math.pi).long().clamp(max=3)
    )
    of_each = [length[direction == d].sort(descending=True).values for d in range(4)]
    return min(z[min(count, len(z)) - 1].item() if len(z) else 0.0 for z in of_each)


def fit_kernel(
    g: torch.Tensor, blurred: torch.Tensor, k: torch.Tensor, ridge: float
) -> torch.Tensor:
    """The kernel by least squares: ``|k * g - blurred|^2 + ridge * |k|^2``, any sign.

    By conjugate gradients on the normal equations, which need the slopes' correlations alone.

    Args:
        g, blurred: slopes ``(B, 2, H, W)`` of the sharp and of the blurred image, periodic.
        k: where to begin, and how large it is, ``(B, h, w)``.
    """
    (h, w), size = k.shape[-2:], g.shape[-2:]
    waves, wanted = torch.fft.rfft2(g.double()), torch.fft.rfft2(blurred.double())
    own = torch.fft.irfft2(waves.abs().square().sum(1), s=size)
    cross = torch.fft.irfft2((waves.conj() * wanted).sum(1), s=size)
    right_side = cross.roll((h // 2, w // 2), (-2, -1))[..., :h, :w]
    # the correlation at all distances inside a kernel, on a grid that does not wrap them
    grid = (2 * h, 2 * w)
    near = own.roll((h - 1, w - 1), (-2, -1))[..., : 2 * h - 1, : 2 * w - 1]
    near = F.pad(near, (0, 1, 0, 1)).roll((1 - h, 1 - w), (-2, -1))
    system = torch.fft.rfft2(near)

    def normal(k: torch.Tensor) -> torch.Tensor:
        product = torch.fft.irfft2(system * torch.fft.rfft2(k, s=grid), s=grid)
        return product[..., :h, :w] + ridge * k

    return conjugate_gradients(normal, right_side, k.double()).to(k)


def conjugate_gradients(
    normal: Callable[[torch.Tensor], torch.Tensor],
    right_side: torch.Tensor,
    x: torch.Tensor,
    steps: int = 60,
    tolerance: float = 1e-6,
) -> torch.Tensor:
    """Solve ``normal(x) = right_side`` for a symmetric, positive ``normal``, from ``x`` on.

    Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
    """
    residual = right_side - normal(x)
    direction, power = residual, residual.square().sum()
    least = tolerance**2 * right_side.square().sum()
    for _ in range(steps):
        if power <= least:
            break
        change = normal(direction)
        share = power / (direction * change).sum()
        x, residual = x + share * direction, residual - share * change
        last, power = power, residual.square().sum()
        direction = residual + power / last * direction
    return x


def cleaned(k: torch.Tensor, cut: float) -> torch.Tensor:
    """A kernel ``(1, h, w)`` without what is weak, negative or apart from the rest; sum 1.

    One of which nothing is left, as of an image without edges, becomes a delta.
    """
    values = k[0].double().cpu().numpy()
    if not values.max() > 0:
        values = np.zeros_like(values)
        values[values.shape[0] // 2, values.shape[1] // 2] = 1
    values = np.where(values >= cut * values.max(), values, 0)
    values /= values.sum()
    count, parts = cv2.connectedComponents((values > 0).astype(np.uint8), connectivity=8)
    light = np.bincount(parts.ravel(), values.ravel(), count)
    kept = light >= min(ISLAND, light[1:].max())
    values = np.where(kept[parts], values, 0)
    return torch.from_numpy(values / values.sum())[None].to(k)


def centred(k: torch.Tensor) -> torch.Tensor:
    """A kernel ``(1, h, w)`` moved by whole pixels until its centre of mass is in the middle.

    What leaves it at the border is lost.
    """
    side = k.shape[-2:]
    away = []
    for axis, n in ((-1, side[0]), (-2, side[1])):  # sums over the other axis
        profile = k[0].sum(axis)
        away.append(round(n // 2 - (profile * torch.arange(n).to(k)).sum().item()))
    padded = F.pad(k, (side[1], side[1], side[0], side[0]))
    moved = padded.roll(away, (-2, -1))[..., side[0] : -side[0], side[1] : -side[1]]
    return moved / moved.sum()


def _resized(k: torch.Tensor, side: int) -> torch.Tensor:
    wide = F.interpolate(k[None], (side, side), mode="bicubic")[0].clamp(min=0)
    return wide / wide.sum()


def judge(y: torch.Tensor, k: torch.Tensor, weights: torch.Tensor) -> Pair:
    """How sparse the slopes are of ``y`` restored with ``k``, and how much of ``y`` is left.

    The first is the sum of the absolute slopes by the root of the sum of their squares (Krishnan,
    Tay and Fergus, "Blind deconvolution using a normalized sparsity measure", CVPR 2011), which
    contrast does not change: it is small for few, steep slopes, larger for blurred ones, and for
    the ripples of a wrong kernel. The second is the mean squared residual. Both restorations keep
    the total variation small.

    Args:
        y: ``(1, 1, H, W)``.
        k: ``(1, h, w)``.
        weights: of the shape of ``y``, 0 where it is clipped.
    """
    start = y.clamp(min=DARKEST)
    x = richardson_lucy(y, k, JUDGED, "valid", True, tv=JUDGED_TV, weights=weights, start=start)
    border = min(max(k.shape[-2:]), (min(y.shape[-2:]) - 2) // 3)  # there it guesses
    inner = (..., slice(border, y.shape[-2] - border), slice(border, y.shape[-1] - border))
    left = (weights * (Blur(k, y.shape[-2:], "reflect")(x) - y))[inner]
    steep = slopes(x[inner])[..., :-1, :-1]
    sparsity = steep.abs().sum() / steep.square().sum().sqrt().clamp(min=TINY)
    return sparsity, left.square().sum() / weights[inner].sum().clamp(min=1)
