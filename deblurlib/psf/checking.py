"""What a kernel is: kernels of other makers are mended or refused, our own are checked."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError, InputWarning, require
from ..values import Array

ROUNDING = 1e-4  # how far from 1 the sum of a kernel may be
LIBRARY = str(Path(__file__).parents[1])


def as_kernel(k: Array, name: str = "the kernel") -> torch.Tensor:
    """A kernel ``(h, w)``, or a batch ``(B, h, w)``, from what people have.

    Numbers of any real type are taken. A kernel that sums to something else than 1 is divided by
    its sum; of an even side, a row or column of zeros is added below or on the right, so that the
    middle is where Fourier transforms have it, at ``side // 2``. Either is said in an
    :class:`deblurlib.errors.InputWarning`. Of an array ``(h, w, 1)`` the last axis is left out.

    Args:
        k: a tensor, which stays on its device, or a NumPy array of any byte order.
        name: what to call it in an error.

    Returns:
        float32, or float64 for a tensor of that type.

    Raises:
        InputError: no numbers, complex ones, not two or three axes, nothing in it, NaN or infinite
            or negative values, or zeros only.
    """
    if isinstance(k, np.ndarray):
        require(k.dtype.kind in "biuf", f"{name}: must hold real numbers, not {k.dtype}")
        wide, kind = torch.from_numpy(k.astype(np.float64)), torch.float32
    else:
        is_tensor = isinstance(k, torch.Tensor)
        require(is_tensor, f"{name}: must be a tensor or an array, not {type(k).__name__}")
        require(not k.is_complex(), f"{name}: must hold real numbers, not {k.dtype}")
        wide, kind = k.double(), torch.float64 if k.dtype == torch.float64 else torch.float32
    require(
        wide.ndim in (2, 3) and wide.numel() > 0,
        f"{name}: must be (h, w) or (B, h, w), not {tuple(wide.shape)}",
    )
    sums = wide.sum((-2, -1), keepdim=True)
    # asked once, for each time a GPU is waited for
    facts = torch.stack([wide.amin(), wide.amax(), sums.amin(), sums.amax()]).tolist()
    low, high, least, most = facts
    require(math.isfinite(low) and math.isfinite(high), f"{name}: holds NaN or infinite values")
    require(low >= 0, f"{name}: holds negative values; set those to 0 if they are noise")
    off = max(1 - least, most - 1)
    if off >= ROUNDING and wide.ndim == 3 and wide.shape[0] == 1 and wide.shape[-1] == 1:
        raise InputError(f"{name}: may be a row or a column, being {tuple(wide.shape)}")
    if off >= ROUNDING and wide.ndim == 3 and wide.shape[-1] == 1:
        return as_kernel(wide[..., 0].to(kind), name)
    require(least > 0, f"{name}: holds nothing but zeros")
    if off >= ROUNDING:
        worst = least if 1 - least > most - 1 else most
        several = wide.ndim == 3 and wide.shape[0] > 1
        were = f"the sums of its kernels were {least:.6g} to {most:.6g}, so each was divided by its"
        was = f"its sum was {worst:.6g}, so it was divided by it"
        warn(f"{name}: {were} own" if several else f"{name}: {was}")
        wide = wide / wide.amax((-2, -1), keepdim=True)  # of large numbers, the sum is infinite
        wide = wide / wide.sum((-2, -1), keepdim=True)
    down, right = (1 - side % 2 for side in wide.shape[-2:])
    if down or right:
        was = f"{wide.shape[-2]} x {wide.shape[-1]}"
        wide = F.pad(wide, (0, right, 0, down))
        warn(f"{name}: zeros were added, for {wide.shape[-2]} x {wide.shape[-1]} from {was}")
    return wide.to(kind)


def check(k: torch.Tensor) -> torch.Tensor:
    """``k``, if it is a kernel ``(h, w)`` or a batch ``(B, h, w)``.

    Raises:
        InputError: it is none, and why.
    """
    require(k.ndim in (2, 3), f"a kernel must be (h, w) or (B, h, w), not {tuple(k.shape)}")
    require(
        k.shape[-1] % 2 == 1 and k.shape[-2] % 2 == 1,
        f"a kernel's sides must be odd, not {k.shape[-2]} x {k.shape[-1]}",
    )
    values = k.detach().cpu().double().numpy()  # faster than PyTorch for the little that it is
    require(bool(np.isfinite(values).all()), "the kernel holds NaN or infinite values")
    require(bool((values >= 0).all()), "the kernel holds negative values")
    worst = max(np.atleast_1d(values.sum((-2, -1))), key=lambda s: abs(s - 1), default=1)
    require(abs(worst - 1) < ROUNDING, f"a kernel must sum to 1, not {worst:.6g}")
    return k


def warn(message: str) -> None:
    """Warn as from the line that called the library."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame, level = frame.f_back, level + 1
    warnings.warn(InputWarning(message), stacklevel=level + 1)
