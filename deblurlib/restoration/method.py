"""What a method is, and where the networks are that ship. Taught in chapter 01."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import files, runs
from ..errors import InputError
from ..kernels import as_kernel
from ..values import as_batch, check_restorable

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"  # of the networks that ship


@dataclass(frozen=True)
class Method:
    """A way to restore: ``method(y, kernel)`` with ``y`` ``(B, C, H, W)`` gives ``x_hat``."""

    name: str
    function: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
    describes: str  # one line for a reader
    blind: bool = True  # needs no kernel
    run: runs.Run | None = None  # that it comes from
    #: pixels: nothing further away changes an output pixel; None: everything may
    reach: int | None = None
    device: torch.device | None = None  # where its model is; None: it has none
    multiple: int = 1  # tiles of an image begin at multiples of it
    contaminated: tuple[str, ...] = ()  # sets whose test images it has been trained on
    #: dB between an image restored in tiles and in one piece, where that was measured
    tiled_psnr: float | None = None

    def __call__(
        self, y: torch.Tensor | np.ndarray, kernel: torch.Tensor | np.ndarray | None = None
    ) -> torch.Tensor | np.ndarray:
        """Restore images.

        Args:
            y: ``(B, C, H, W)``: a tensor or an array of floats in [0, 1], or of uint8 or uint16,
                which are scaled to that. Whether a tensor's floats are in that range is not looked
                at, for that waits for a GPU; :func:`deblurlib.restore` looks.
            kernel: ``(h, w)``, or one for each image, ``(B, h, w)``; see
                :func:`deblurlib.kernels.as_kernel`.

        Returns:
            ``x_hat``, not clipped; of an array, an array of float32.

        Raises:
            InputError: the method needs a kernel and gets none; no kernel; no such array.
        """
        if kernel is None and not self.blind:
            raise InputError(f"the method {self.name} needs the kernel, and none is known")
        batch = as_batch(y)
        kernel = as_kernel(kernel) if isinstance(kernel, np.ndarray) else kernel
        if not isinstance(y, np.ndarray):
            return self.function(batch, kernel)
        check_restorable(batch)
        batch = batch.to(self.device or "cpu", torch.float32)
        kernel = None if kernel is None else kernel.to(batch.device)
        return self.function(batch, kernel).detach().float().cpu().numpy()


@contextmanager
def undamaged(folder: Path) -> Iterator[None]:
    """What goes wrong inside, reading a network that ships, is told in one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # an InputError is a ValueError
        damaged = InputError(f"{folder}: damaged; install the library again ({error})")
        raise files.unreadable(folder, error) or damaged from None
