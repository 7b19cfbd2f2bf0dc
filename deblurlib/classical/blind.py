"""Blind Richardson-Lucy: the image and the kernel restored in turn.

Taught in chapter 06.
"""

from __future__ import annotations

import math
from typing import Literal

import torch

from ..errors import InputError
from ..values import Array, as_batch
from .blur import Blur, checked, image_by_image
from .richardson_lucy import LEAST, ahead, correction, is_like, of_one, sensitivity, weighted_ratio


def blind_richardson_lucy(
    y: Array,
    start: Array,
    iterations: int = 10,
    boundary: Literal["reflect", "circular"] = "reflect",
    accelerate: bool = True,
    *,
    inner: int = 1,
    damping: float = 0.0,
    weights: Array | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Restore images whose kernels are not known, and the kernels.

    The likelihood of ``y`` is raised by steps on the kernel, then by steps on the image (Fish et
    al., "Blind deconvolution by means of the Richardson-Lucy algorithm", J. Opt. Soc. Am. A 12,
    1995), both accelerated and damped: the maximum-likelihood method of MATLAB's ``deconvblind``,
    whose default are 10 iterations, too, but which takes both steps from one prediction. A larger
    likelihood is not always a better image: no kernel and ``y`` itself explain ``y`` best.

    Args:
        y: blurred images ``(B, C, H, W)``, whose channels share a kernel. They are the first
            ``x``; values below 0 count as 0.
        start: the first kernel ``(h, w)``, or one for each image, ``(B, h, w)``; 0 or more, scaled
            to sum to 1. Its size says how far light may go, and where it is 0, it stays so. Ones
            are the usual choice. An even side gets a row or column of zeros, with a warning.
        iterations: of both; 0 gives the start.
        boundary: ``"reflect"`` or ``"circular"``.
        accelerate, damping, weights: as of :func:`deblurlib.classical.richardson_lucy`.
        inner: steps on the kernel in each iteration, and steps on the image.

    Returns:
        ``x_hat`` ``(B, C, H, W)``, not clipped at 1, and the kernels ``(B, h, w)``.
    """
    y, start = as_batch(y), torch.as_tensor(start)
    weights = None if weights is None else torch.as_tensor(weights)
    start = start if start.dtype == torch.float64 else start.float()
    total = start.sum((-2, -1), keepdim=True) if start.ndim in (2, 3) else torch.ones(())
    if not (torch.isfinite(total).all() and (total > 0).all()):
        raise InputError("the first kernel must have positive, finite sums")
    full, k = checked(y, start / total)
    if iterations < 0 or inner < 1:
        raise InputError(f"iterations are 0 or more, inner 1 or more, not {iterations}, {inner}")
    if not 0 <= damping < math.inf:
        raise InputError(f"damping must be 0 or more, not {damping}")
    if boundary not in ("reflect", "circular"):
        raise InputError(f"boundary {boundary!r} is neither reflect nor circular")
    if weights is not None and not is_like(weights, y):
        raise InputError(f"weights must be 0 or more, finite, and of the shape {tuple(y.shape)}")

    def run(
        y: torch.Tensor, k: torch.Tensor, weights: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        y = y.clamp(min=0)
        weights = torch.ones_like(y) if weights is None else of_one(weights)
        return _alternate(y, k, weights, iterations, boundary, accelerate, inner, damping)

    given = None if weights is None else weights.to(full)
    x_hat, k = image_by_image(run, full, k, given, side_by_side=True)
    return x_hat.to(y.dtype), k.to(start.dtype)


def _alternate(
    y: torch.Tensor,
    k: torch.Tensor,
    weights: torch.Tensor,
    iterations: int,
    boundary: Literal["reflect", "circular"],
    accelerate: bool,
    inner: int,
    damping: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    blur, x = Blur(k, y.shape[-2:], boundary), y
    previous_x = change_x = before_x = previous_k = change_k = before_k = None
    for _ in range(iterations):
        x_point = ahead(x, previous_x, change_x, before_x) if accelerate else x
        k_point = normalised(ahead(k, previous_k, change_k, before_k), k) if accelerate else k

        k_new, light = k_point, blur.adjoint_in_kernel(x_point, weights).clamp(min=LEAST)
        for _ in range(inner):
            blur.change_kernel(k_new)
            ratio = weighted_ratio(y, blur(x_point).clamp_(min=LEAST), weights, damping)
            gain = blur.adjoint_in_kernel(x_point, ratio).clamp(min=0) / light
            k_new = normalised(k_new * gain, k_new)

        blur.change_kernel(k_new)
        x_new, shares = x_point, sensitivity(blur, weights)
        for _ in range(inner):
            ratio = weighted_ratio(y, blur(x_new).clamp_(min=LEAST), weights, damping)
            x_new = x_new * correction(blur, ratio, *shares)

        previous_x, change_x, before_x = x, x_new - x_point, change_x
        previous_k, change_k, before_k = k, k_new - k_point, change_k
        x, k = x_new, k_new
    return x, k


def normalised(k: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    """Scale kernels to sum to 1; a kernel of zeros, as of a black image, becomes ``otherwise``."""
    total = k.sum((-2, -1), keepdim=True)
    return torch.where(total > 0, k / total.clamp(min=LEAST), otherwise)
