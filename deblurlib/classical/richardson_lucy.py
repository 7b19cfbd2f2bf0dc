"""Richardson-Lucy deconvolution: plain, accelerated, damped, with total variation.

Richardson, "Bayesian-based iterative method of image restoration", J. Opt. Soc. Am. 62, 1972; Lucy,
"An iterative technique for the rectification of observed distributions", Astron. J. 79, 1974.
Taught in chapter 06.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..degrade.convolution import extend
from ..errors import require
from ..names import Boundary
from ..values import Array, as_batch
from .blur import Blur, checked, image_by_image
from .boundaries import Periodic, extend_smoothly, extended_size, taper
from .stopping import Stop

LEAST = 1e-7  # a prediction is at least this: rounding's remains of 0 must not divide
SEEN = 1e-5  # a pixel of which less than this share reaches ``y`` is not corrected
DAMPING_POWER = 10  # White's N: how suddenly damping sets in


def richardson_lucy(
    y: Array,
    k: Array,
    iterations: int,
    boundary: Boundary | Periodic = "reflect",
    accelerate: bool = False,
    *,
    damping: float = 0.0,
    tv: float = 0.0,
    weights: Array | None = None,
    start: Array | None = None,
    stop: Stop | None = None,
) -> torch.Tensor:
    """Multiply ``x`` by ``A'(y / A x) / A' 1``, again and again: it becomes likelier each time.

    Plain, each iteration raises the likelihood of ``y`` if its light is counted in photons, and
    keeps it, ``sum(A' 1 * x) = sum(y)``; ``x`` stays 0 or more. Noise grows with each iteration:
    their number is what regularises.

    Args:
        y: blurred images ``(B, C, H, W)``; values below 0 count as 0.
        k: a kernel ``(h, w)``, or one for each image, ``(B, h, w)``.
        iterations: at most; 0 gives the start.
        boundary: what lies beyond the image. ``"reflect"``: its mirror image; ``"circular"``: its
            opposite side; ``"zero"``: blackness, which was seen to be black, as in scikit-image;
            ``"valid"``: unknown pixels, restored with the others and then cut off (Bertero and
            Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
            approach to image deconvolution", Astronomy and Astrophysics 437, 2005); ``"taper"``
            and ``"liu-jia"``: see :func:`deblurlib.classical.make_periodic`.
        accelerate: go on from where the last two images point to (Biggs and Andrews, "Acceleration
            of iterative image restoration algorithms", Applied Optics 36, 1997). The likelihood
            may then fall for a moment.
        damping: T, how many times ``sqrt(y)``, which shot noise is proportional to, a prediction
            may be off before its pixel counts in full (White, "Image restoration using the damped
            Richardson-Lucy method", The restoration of HST images and spectra II, 1994).
        tv: less than 0.25, the weight of the total variation (Dey et al., "Richardson-Lucy
            algorithm with total variation regularization for 3D confocal microscope
            deconvolution", Microscopy Research and Technique 69, 2006; theirs is 0.002).
        weights: 0 or more, of the shape of ``y``: how much a pixel counts beside the others; 0
            where it is clipped, see :func:`deblurlib.classical.unsaturated`. Below 1/100,000 of
            the largest, it counts as 0. With ``"taper"`` and ``"liu-jia"``, pixels at the border
            shape what is made up beside them even if they do not count.
        start: the first ``x``, of the shape of ``y``, 0 or more, and 0 where it is to stay so; by
            default 0.5. Plain, flat ones of any height lead to the same.
        stop: a rule, see :mod:`deblurlib.classical.stopping`. Each image stops on its own.

    Returns:
        ``x_hat`` ``(B, C, H, W)``, not clipped at 1.

    Raises:
        InputError: an argument is not as said here; so do all functions of this package.
    """
    y = as_batch(y)
    weights, start = (None if z is None else torch.as_tensor(z) for z in (weights, start))
    full, k = checked(y, k)
    require(iterations >= 0, f"iterations must be 0 or more, not {iterations}")
    require(0 <= damping < math.inf, f"damping must be 0 or more, not {damping}")
    require(0 <= tv < 0.25, f"tv must be 0 or more and less than 0.25, not {tv}")
    for name, given in (("weights", weights), ("start", start)):
        shape = tuple(y.shape)
        fine = given is None or is_like(given, y)
        require(fine, f"{name} must be 0 or more, finite, and of the shape {shape} of the images")

    size = full.shape[-2:]

    def run(
        y: torch.Tensor,
        k: torch.Tensor,
        weights: torch.Tensor | None,
        start: torch.Tensor | None,
    ) -> tuple[torch.Tensor]:
        blur, y, weights, x = _prepare(y, k, boundary, weights, start)
        x = _iterate(blur, y, weights, x, iterations, accelerate, damping, tv, stop, size)
        if boundary == "valid":
            x = x[..., blur.top :, blur.left :]
        return (x[..., : size[0], : size[1]],)

    more = (None if z is None else z.to(full) for z in (weights, start))
    return image_by_image(run, full, k, *more, side_by_side=True)[0].to(y.dtype)


def is_like(given: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether ``given`` holds one finite number, 0 or more, for each value of ``y``."""
    return given.shape == y.shape and bool((given.isfinite() & (given >= 0)).all())


def of_one(weights: torch.Tensor) -> torch.Tensor:
    """Weights whose largest in each image is 1, for only their ratios mean something."""
    return weights / weights.amax((1, 2, 3), keepdim=True).clamp(
        min=torch.finfo(weights.dtype).tiny
    )


def _prepare(
    y: torch.Tensor,
    k: torch.Tensor,
    boundary: Boundary | Periodic,
    weights: torch.Tensor | None,
    start: torch.Tensor | None,
) -> tuple[Blur, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The blur, and ``y``, the weights and the first ``x`` with what the boundary adds to them."""
    y = y.clamp(min=0)
    weights = torch.ones_like(y) if weights is None else of_one(weights)
    start = torch.full_like(y, 0.5) if start is None else start.clone()  # the caller's stays
    if boundary == "taper":
        y, boundary = taper(y, k), "circular"
    elif boundary == "liu-jia":
        size = extended_size(y, k)
        more = (0, size[1] - y.shape[-1], 0, size[0] - y.shape[-2])
        y, start = (extend_smoothly(z, *size) for z in (y, start))
        weights, boundary = torch.nn.functional.pad(weights, more, value=1.0), "circular"
    blur = Blur(k, y.shape[-2:], boundary)
    if boundary == "valid":
        start = extend(start, blur.top, blur.left, "reflect")
    return blur, y, weights, start


def _iterate(
    blur: Blur,
    y: torch.Tensor,
    weights: torch.Tensor,
    x: torch.Tensor,
    iterations: int,
    accelerate: bool,
    damping: float,
    tv: float,
    stop: Stop | None,
    size: Sequence[int],
) -> torch.Tensor:
    shares = sensitivity(blur, weights)
    inner = (..., slice(size[0]), slice(size[1]))  # what the boundary adds to y is no measurement
    total = weights[inner].mean((1, 2, 3), keepdim=True).clamp(min=LEAST)
    relative = (weights[inner] / total).sqrt()  # so that a mean square is that of what counts
    previous = change = before = None
    done = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    for _ in range(iterations):
        point = ahead(x, previous, change, before) if accelerate else x
        predicted = blur(point).clamp_(min=LEAST)
        if stop is not None:
            seen = blur(x) if accelerate else predicted
            done = done | stop((y - seen)[inner] * relative, x, previous)
            if done.all():
                break
        new = point * correction(blur, weighted_ratio(y, predicted, weights, damping), *shares)
        if tv > 0:
            new = new / (1 - tv * curvature(point))
        if done.any():
            new = torch.where(done[:, None, None, None], x, new)
        change, before = (new - point, change) if accelerate else (None, None)
        previous, x = x, new
    return x


def sensitivity(blur: Blur, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``A' weights``: how much of each pixel's light is counted, and 1 where none is, else 0."""
    share = blur.adjoint(weights)
    if blur.boundary == "zero":  # what falls beyond the border is counted there
        share = share + 1 - blur.adjoint(torch.ones_like(weights))
    unseen = share < SEEN
    return share.masked_fill(unseen, math.inf), unseen.to(share)


def correction(
    blur: Blur, ratio: torch.Tensor, share: torch.Tensor, unseen: torch.Tensor
) -> torch.Tensor:
    """What an iteration multiplies ``x`` by: the mean of the ratios that it has a share in."""
    return blur.adjoint(ratio).clamp_(min=0).div_(share).add_(unseen)


def weighted_ratio(
    y: torch.Tensor, predicted: torch.Tensor, weights: torch.Tensor, damping: float
) -> torch.Tensor:
    """``weights * y / predicted``, drawn to ``weights`` where the two are alike, if damped."""
    ratio = y / predicted
    if damping > 0:
        # about (y - predicted)**2 / y
        deviance = 2 * (torch.xlogy(y, ratio) - y + predicted)
        u = (deviance / damping**2).clamp(0, 1)
        n = DAMPING_POWER
        ratio = 1 + u ** (n - 1) * (n - (n - 1) * u) * (ratio - 1)
    return ratio.mul_(weights)


def ahead(
    x: torch.Tensor,
    previous: torch.Tensor | None,
    change: torch.Tensor | None,
    before: torch.Tensor | None,
) -> torch.Tensor:
    """The next point in the direction from ``previous`` to ``x``, after Biggs and Andrews.

    How far is said, for each image, by how alike the last two changes by iterations are.
    """
    if previous is None or change is None or before is None:
        return x
    length = sum_of_each(before.square()).clamp(min=torch.finfo(x.dtype).tiny)
    step = (sum_of_each(change * before) / length).clamp_(0, 1)
    return (x + step * (x - previous)).clamp_(min=0)


def sum_of_each(z: torch.Tensor) -> torch.Tensor:
    """The sum over all axes but the first, which stay: the same bits on any number of threads."""
    axes = tuple(range(1, z.ndim))
    if len(z) > 1:
        return z.sum(axes, keepdim=True)
    # one large sum PyTorch would cut up among its threads; of two, each has a thread
    return z.expand(2, *z.shape[1:]).sum(axes, keepdim=True)[:1]


def curvature(x: torch.Tensor) -> torch.Tensor:
    """The divergence of the gradient's direction: what makes the total variation less."""
    down = torch.diff(x, dim=-2, append=x[..., -1:, :])
    right = torch.diff(x, dim=-1, append=x[..., :, -1:])
    size = (down.square() + right.square()).sqrt().clamp(min=1e-8)
    down, right = down / size, right / size
    down = torch.diff(down, dim=-2, prepend=torch.zeros_like(down[..., :1, :]))
    return down + torch.diff(right, dim=-1, prepend=torch.zeros_like(right[..., :, :1]))
