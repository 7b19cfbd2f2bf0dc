"""Which image a sample shows, which crop of it, and how that is turned. Taught in chapter 01."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from .. import degrade
from ..errors import InputError, require

REDUCED = 0.4  # of the crops that may be cut larger


@dataclass(frozen=True)
class Cuts:
    """How crops are cut, see :func:`deblurlib.data.batches.training_batches`."""

    seed: int
    flip: bool = True
    turned: bool = False
    larger: float = 1.0
    chances: Sequence[float] | None = None

    def __post_init__(self) -> None:
        require(self.larger >= 1, f"larger must be 1 or more, not {self.larger}")

    def choose(self, n: int, count: int) -> int:
        """The place of the image that sample ``n`` shows, of ``count``."""
        if not count:
            raise InputError("there is no image to train on")
        if self.chances is None:
            epoch, place = divmod(n, count)
            return int(_order(self.seed, epoch, count)[place])
        drawn = torch.rand(
            (), generator=degrade.generator(self.seed, n, "image"), dtype=torch.float64
        )
        return int(np.searchsorted(self._bounds, drawn.item(), "right"))

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Where one image's share of [0, 1] ends, and the next one's begins."""
        sums: np.ndarray = np.cumsum(() if self.chances is None else self.chances)
        return sums[:-1] / sums[-1]

    def cut(self, image: torch.Tensor, n: int, size: tuple[int, int], which: int) -> torch.Tensor:
        """The crop of sample ``n``: a part of ``image`` ``(..., H, W)``, mirrored or turned.

        Of recorded pairs, ``(2, C, H, W)``, it may be larger than ``size``; see :func:`fitted`.

        Args:
            which: the image's place, for an error.
        """
        generator = degrade.generator(self.seed, n, "crop")
        across, down, mirror = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        over, across_too, apart, share = torch.rand(
            4, generator=generator, dtype=torch.float64
        ).tolist()
        height, width = size
        if image.ndim == 4 and apart < REDUCED:
            room = [have / need for have, need in zip(image.shape[-2:], size, strict=True)]
            times = max(1.0, min(1 + (self.larger - 1) * share, *room))
            height, width = (int(times * side) for side in size)
        rows, columns = image.shape[-2] - height, image.shape[-1] - width
        if min(rows, columns) < 0:
            raise InputError(
                f"image {which} has {image.shape[-2]} x {image.shape[-1]} pixels; a crop needs "
                f"{height} x {width} with what the blur takes from around it: take a smaller crop, "
                f'or a boundary other than "valid"'
            )
        top, left = int(down * (rows + 1)), int(across * (columns + 1))
        view = image[..., top : top + height, left : left + width]
        view = view.flip(-1) if self.flip and mirror < 0.5 else view
        if self.turned:
            require(size[0] == size[1], "crops that are turned must be square")
            view = view.flip(-2) if over < 0.5 else view
            view = view.transpose(-1, -2) if across_too < 0.5 else view
        return view


def fitted(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Floats ``(B, C, H, W)`` reduced to a size by averaging; as they are if they have it."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)
