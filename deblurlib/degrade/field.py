"""Blur that varies over the image: a few kernels, mixed by weights at each pixel.

Nagy and O'Leary, "Restoring images degraded by spatially variant blur", SIAM J. Sci. Comput. 19(4),
1998. Taught in chapter 01.
"""

from __future__ import annotations

from typing import Literal

import torch

from ..errors import InputError
from ..names import Boundary, unknown_name
from .convolution import convolve

Weighted = Literal["source", "result"]
WEIGHTED: tuple[Weighted, ...] = ("source", "result")


def convolve_field(
    x: torch.Tensor,
    kernels: torch.Tensor,
    weights: torch.Tensor,
    weighted: Weighted = "source",
    boundary: Boundary = "reflect",
) -> torch.Tensor:
    """Blur each pixel with its own mixture of kernels.

    Args:
        x: images ``(B, C, H, W)``.
        kernels: ``(N, h, w)``.
        weights: ``(N, H, W)``, 0 or more, summing to 1 at each pixel. With ``boundary="valid"``
            and ``weighted="result"``, of the result's size.
        weighted: what a weight belongs to. ``"source"``: the point that sends light out,
            ``y = sum_n k_n * (w_n x)``; no light is lost, as in a lens. ``"result"``: the pixel
            that receives it, ``y = sum_n w_n (k_n * x)``; a plain area stays plain. They differ
            where the weights change, and a deconvolution must use the one that blurred.
        boundary: as for :func:`convolve`.

    Returns:
        as :func:`convolve`.
    """
    _check(kernels, weights, weighted)
    y = x.new_zeros(())
    for k, w in zip(kernels, weights.to(x), strict=True):
        if weighted == "source":
            y = y + convolve(_times(w, x), k, boundary)
        else:
            y = y + _times(w, convolve(x, k, boundary))
    return y


def grid_weights(height: int, width: int, rows: int, columns: int) -> torch.Tensor:
    """Weights for kernels known at the nodes of a grid, interpolated linearly between them.

    The grid spans the image from corner to corner; beyond the only node of a side of one, the
    weight stays the same.

    Returns:
        ``(rows * columns, height, width)``, row by row, summing to 1 at each pixel.
    """
    if min(height, width, rows, columns) < 1:
        raise InputError(f"sizes must be 1 or more, not {height}, {width}, {rows}, {columns}")
    down, across = _tents(height, rows), _tents(width, columns)
    return (down[:, None, :, None] * across[None, :, None, :]).flatten(0, 1)


def defocus_weights(radius: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """Weights for disks of a few radii, where a map gives the radius wanted at each pixel.

    Each pixel gets the two nearest radii, in linear proportion. Use them with
    ``weighted="source"``: what is out of focus is the point, not the pixel. Near things cover far
    ones, which a sum of blurred layers leaves out: light leaks over their edges.

    Args:
        radius: ``(H, W)``, pixels, for instance a function of depth.
        radii: the disks' radii, ``(N,)``, increasing, spanning the map's.

    Returns:
        ``(N, H, W)``, summing to 1 at each pixel.
    """
    if radii.ndim != 1 or not len(radii) or bool((radii.diff() <= 0).any()):
        raise InputError(f"radii must increase, not {radii.tolist()}")
    least, most = radius.min().item(), radius.max().item()
    if not (radii[0] <= least and most <= radii[-1]):
        raise InputError(f"radii {radii.tolist()} do not span the map's, {least:g} to {most:g}")
    if len(radii) == 1:
        return torch.ones(1, *radius.shape, device=radius.device)
    radii = radii.to(radius)
    above = torch.searchsorted(radii, radius.contiguous()).clamp(1, len(radii) - 1)
    share = (radius - radii[above - 1]) / (radii[above] - radii[above - 1])
    weights = torch.zeros(len(radii), *radius.shape, device=radius.device)
    weights.scatter_(0, above[None], share[None].float())
    return weights.scatter_(0, above[None] - 1, 1 - share[None].float())


def _tents(n: int, nodes: int) -> torch.Tensor:
    """Linear interpolation of ``nodes`` values over ``n`` pixels, as weights (nodes, n)."""
    if nodes == 1:
        return torch.ones(1, n)
    place = torch.linspace(0, nodes - 1, n) if n > 1 else torch.tensor([(nodes - 1) / 2])
    return (1 - (place - torch.arange(nodes)[:, None]).abs()).clamp(min=0)


def _times(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    if w.shape != x.shape[-2:]:
        raise InputError(f"weights of {tuple(w.shape)} pixels for {tuple(x.shape[-2:])}")
    return w * x


def _check(kernels: torch.Tensor, weights: torch.Tensor, weighted: Weighted) -> None:
    if weighted not in WEIGHTED:
        raise unknown_name("weighted", weighted, WEIGHTED)
    if kernels.ndim != 3 or weights.ndim != 3 or len(kernels) != len(weights) or not len(kernels):
        raise InputError(
            f"kernels (N, h, w) and weights (N, H, W) are needed, not {tuple(kernels.shape)} "
            f"and {tuple(weights.shape)}"
        )
