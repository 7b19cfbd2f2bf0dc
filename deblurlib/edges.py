"""Edge maps: Canny's, which networks are trained on, and how well two maps agree.

Taught in chapter 03.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .errors import InputError, require
from .names import unknown_name

__all__ = ["best_f_score", "canny", "check", "f_score"]

#: name -> weights of red, green and blue; ``luma`` is what OpenCV's conversion to grey takes
GREYS = {"luma": (0.299, 0.587, 0.114), "mean": (1 / 3, 1 / 3, 1 / 3)}
#: what the chapter calls an edge: S2's thresholds; smoothing and grey are ours, for S2 finds the
#: edges of the colour image as it is
CANNY: dict[str, Any] = {"low": 100.0, "high": 200.0, "smoothing": 1.0, "grey": "luma"}


def check(**arguments: Any) -> None:
    """Raise an :class:`InputError` if these can be no arguments of :func:`canny`."""
    if unknown := sorted(arguments.keys() - CANNY.keys()):
        raise InputError(f"Canny has no argument {unknown[0]!r}; it has {', '.join(CANNY)}")
    low, high, smoothing, grey = {**CANNY, **arguments}.values()
    require(0 <= low <= high, f"Canny's thresholds are 0 <= low <= high, not {low} and {high}")
    require(smoothing >= 0, f"smoothing must be 0 or more, not {smoothing}")
    if grey not in GREYS:
        raise unknown_name("grey", grey, GREYS)


def canny(
    x: torch.Tensor,
    low: float = 100.0,
    high: float = 200.0,
    smoothing: float = 1.0,
    grey: str = "luma",
) -> torch.Tensor:
    """The edges that Canny's detector finds in each image: 1 on an edge, 0 elsewhere.

    J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 8(6), 1986, as OpenCV computes it: Sobel's gradients, their size the
    sum of two absolute values, thinning, and hysteresis. It works on 8-bit values, on the
    processor.

    Args:
        x: ``(B, C, H, W)`` in [0, 1], of 1 or 3 channels; what lies outside is clipped.
        low, high: thresholds of the gradient's size, in 8-bit values: an edge begins above
            ``high`` and goes on above ``low``.
        smoothing: sigma, in pixels, of the Gaussian that comes first; 0: none.
        grey: a key of :data:`GREYS`.

    Returns:
        ``(B, 1, H, W)``, float32, on the device of ``x``.

    Raises:
        InputError: no images; also as of :func:`check`.
    """
    check(low=low, high=high, smoothing=smoothing, grey=grey)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise InputError(f"images (B, 1 or 3, H, W) have edges, not {tuple(x.shape)}")
    weights = x.new_tensor(GREYS[grey])[None, :, None, None]
    z = (x.detach() * weights).sum(1) if x.shape[1] == 3 else x.detach()[:, 0]
    pictures = z.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    maps = [_canny(picture, low, high, smoothing) for picture in pictures]
    return torch.from_numpy(np.stack(maps)[:, None]).to(x.device)


def _canny(picture: np.ndarray, low: float, high: float, smoothing: float) -> np.ndarray:
    if smoothing:
        picture = cv2.GaussianBlur(picture, (0, 0), smoothing)
    return cv2.Canny(picture, low, high).astype(np.float32) / 255


def f_score(
    found: torch.Tensor, edges: torch.Tensor, threshold: float = 0.5, tolerance: int = 0
) -> float:
    """How well edges are found: the harmonic mean of precision and recall, in [0, 1].

    A pixel that was found counts as right if there is an edge at most ``tolerance`` pixels away (in
    each direction), and an edge's pixel counts as found in the same way. The pixels of all images
    are counted together. After Martin, Fowlkes and Malik, "Learning to detect natural image
    boundaries", 2004, but without its matching of one pixel with one.

    Args:
        found: how likely each pixel is an edge ``(B, 1, H, W)``.
        edges: 1 on an edge, 0 elsewhere, of the same shape.
        threshold: what is above it counts as found.
    """
    if found.shape != edges.shape:
        raise InputError(f"maps of {tuple(found.shape)} and {tuple(edges.shape)} do not compare")
    found, edges = (found > threshold).float(), (edges > 0.5).float()
    side = 2 * tolerance + 1
    near_found, near_edges = (F.max_pool2d(z, side, 1, tolerance) for z in (found, edges))
    precision = (found * near_edges).sum() / found.sum().clamp(min=1)
    recall = (edges * near_found).sum() / edges.sum().clamp(min=1)
    return (2 * precision * recall / (precision + recall).clamp(min=1e-12)).item()


#: those that :func:`best_f_score` tries
THRESHOLDS = tuple(i / 20 for i in range(1, 20))


def best_f_score(found: torch.Tensor, edges: torch.Tensor) -> float:
    """The highest of :func:`f_score` over thresholds: one for all images, as benchmarks give it.

    Args:
        found, edges: ``(B, 1, H, W)``, as of :func:`f_score`.
    """
    return max(f_score(found, edges, threshold) for threshold in THRESHOLDS)
