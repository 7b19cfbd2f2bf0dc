"""A blur that varies, made with kernels that are known, to tell three errors apart.

What stitching loses has three causes: the guessed kernels are not the true ones; the blur is not
constant in a patch, or of another kind than stitching undoes; patches do not fit together.
Photographs are blurred by Gaussians whose sigma is drawn at the nodes of a grid, and mixed between
them. Taught in chapter 06.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch

from ... import degrade, images, models, psf, restoration
from ...data import ImageSet, PairSet
from ...degrade.field import Weighted
from ...evaluation import Case
from ...restoration import Method
from ...restoration.patches import OVERLAP, PATCH, grid_for, grid_spans
from ..scoring import DRAW

__all__ = ["blurred", "cases", "local_kernels", "methods", "sigmas", "weights_of"]

NODES, NARROW, WIDE, SIZE = (3, 4), 0.5, 4.0, 25  # of the grid; sigmas' range and window, pixels
LARGEST = (320, 448)  # pixels of an image that is blurred
#: see :func:`deblurlib.degrade.convolve_field`
WEIGHTED: tuple[Weighted, ...] = ("result", "source")
CHANGES = ("gradual", "abrupt")  # between the nodes: in proportion, or half-way, as at an edge


def sigmas(key: int) -> torch.Tensor:
    """The sigmas at the nodes of an image's grid, pixels, drawn by its key."""
    drawn = torch.rand(NODES, generator=degrade.generator(DRAW, key))
    return NARROW + (WIDE - NARROW) * drawn


def weights_of(size: Sequence[int], nodes: torch.Tensor, change: str) -> torch.Tensor:
    """Each node's weight at each pixel, ``(N, H, W)``; see :data:`CHANGES`."""
    weights = degrade.grid_weights(*size, *nodes.shape)
    if change == "gradual":
        return weights
    return torch.nn.functional.one_hot(weights.argmax(0), len(weights)).permute(2, 0, 1).float()


def blurred(
    x: torch.Tensor, nodes: torch.Tensor, weighted: Weighted, change: str = "gradual"
) -> tuple[torch.Tensor, ...]:
    """An image ``(1, C, H, W)`` blurred by a field of Gaussians, and what is left of it sharp.

    Both without the pixels that depend on what lies beyond the border; ``y`` is rounded to 8 bit.

    Args:
        nodes: the sigmas, ``(R, S)``.
        weighted: one of :data:`WEIGHTED`.
        change: one of :data:`CHANGES`.
    """
    half = SIZE // 2
    height, width = x.shape[-2:]
    kernels = torch.stack([psf.gaussian(sigma, SIZE) for sigma in nodes.flatten().tolist()])
    inner = height - 2 * half, width - 2 * half
    weights = weights_of(inner, nodes, change)
    if weighted == "source":  # the light that comes from beyond the border has the border's kernel
        weights = torch.nn.functional.pad(weights[None], [half] * 4, mode="replicate")[0]
    y = degrade.convolve_field(x, kernels, weights, weighted, "valid")
    return images.quantise(y), images.centre_crop(x, *inner)


def cases(
    sharp: ImageSet | PairSet, weighted: Weighted, change: str
) -> Iterator[tuple[Case, torch.Tensor]]:
    """The middles of a set's sharp images, blurred so, and the sigmas at the nodes of each."""
    for i, key in enumerate(sharp.keys):
        x = sharp[i][1] if isinstance(sharp, PairSet) else sharp[i]
        x = images.centre_crop(x, *map(min, x.shape[-2:], LARGEST))
        y, x = blurred(x[None], sigmas(key), weighted, change)
        yield Case(sharp.names[i], sharp.scenes[i], y, x, None), sigmas(key)


def local_kernels(
    nodes: torch.Tensor, size: Sequence[int], overlap: int, change: str
) -> torch.Tensor:
    """The kernel at the middle of each patch of a grid that covers ``size``: ``(R, S, h, w)``."""
    grid = grid_for(size, PATCH, OVERLAP)
    weights = weights_of(size, nodes, change)
    kernels = torch.stack([psf.gaussian(sigma, SIZE) for sigma in nodes.flatten().tolist()])
    rows, columns = grid_spans(size, grid, overlap)
    middles = product(*([(s.start + s.stop) // 2 for s in spans] for spans in (rows, columns)))
    found = [torch.einsum("n,nhw->hw", weights[:, down, right], kernels) for down, right in middles]
    return torch.stack(found).unflatten(0, grid)


def methods(model: models.KernelNet, nodes: torch.Tensor, change: str) -> Sequence[Method]:
    """What is compared on one image whose field has these nodes; all deconvolve alike.

    With the true kernel at each patch's middle, put together with and without an overlap; with the
    kernels that a network guesses; with one that it guesses for the whole image.
    """

    def with_true(overlap: int, name: str) -> Method:
        def restore(y: torch.Tensor, kernel: torch.Tensor | None) -> torch.Tensor:
            kernels = local_kernels(nodes, y.shape[-2:], overlap, change)
            return restoration.restore_patches(y, kernels, model.deconvolve, overlap)

        return Method(name, restore, "patches with the kernels that blurred")

    return (
        with_true(OVERLAP, "true kernels, stitched"),
        with_true(0, "true kernels, side by side"),
        restoration.stitched(model, "guessed kernels, stitched"),
        restoration.of_model("one guessed kernel", model, ""),
    )
