"""Kernels as people have them: arrays of any type, files of any kind, one reader for all.

What the library makes itself is in :mod:`deblurlib.psf`. Taught in chapter 06.
"""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from . import psf
from .errors import InputError, InputWarning, require
from .files import read_bytes


def read(path: str | os.PathLike) -> torch.Tensor:
    """The kernel ``(h, w)`` in a file; see :func:`decode`."""
    return decode(read_bytes(path), str(path))


def decode(data: bytes, name: str) -> torch.Tensor:
    """The kernel ``(h, w)``, float32, that a file's bytes hold.

    Args:
        name: what to call it in an error.
    """
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        raise InputError(f"{name}: not a kernel ({error})") from None
    return as_kernel(array, name)


def as_kernel(k: torch.Tensor | np.ndarray, name: str = "the kernel") -> torch.Tensor:
    """A kernel ``(h, w)``, or a batch ``(B, h, w)``, from what people have.

    Numbers of any real type are taken. A kernel that sums to something else than 1 is divided by
    its sum; of an even side, a row or column of zeros is added below or on the right, so that the
    middle is where Fourier transforms have it, at ``side // 2``. Either is said in an
    :class:`deblurlib.errors.InputWarning`. Of an array ``(h, w, 1)`` the last axis is left out.

    Args:
        k: a tensor, which stays on its device, or a NumPy array of any byte order.
        name: what to call it in an error.

    Raises:
        InputError: no numbers, complex ones, not two or three axes, nothing in it, NaN or infinite
            or negative values, or zeros only.
    """
    if isinstance(k, np.ndarray):
        require(k.dtype.kind in "biuf", f"{name}: a kernel is of real numbers, not {k.dtype}")
        k = torch.from_numpy(k.astype(np.float64))  # in this machine's byte order
        k = k.float() if bool(torch.isfinite(k.float()).all()) else k
    require(isinstance(k, torch.Tensor), f"{name}: a kernel is a tensor or array, not {type(k)}")
    require(not k.is_complex(), f"{name}: a kernel is of real numbers, not {k.dtype}")
    k = k if k.dtype in (torch.float32, torch.float64) else k.float()
    require(
        k.ndim in (2, 3) and k.numel() > 0,
        f"{name}: a kernel must be (h, w) or (B, h, w), not {tuple(k.shape)}",
    )
    require(bool(torch.isfinite(k).all()), f"{name}: the kernel holds NaN or infinite values")
    require(bool((k >= 0).all()), f"{name}: the kernel holds negative values")
    if k.ndim == 3 and k.shape[-1] == 1 and not psf.sums_to_1(k):
        k = k[..., 0]
    sums = k.double().sum((-2, -1), keepdim=True)
    require(bool((sums > 0).all()), f"{name}: the kernel holds nothing but zeros")
    if not psf.sums_to_1(k):
        worst = sums.flatten()[(sums - 1).abs().argmax()].item()
        _warn(f"{name}: its sum was {worst:.6g}, so it was divided by it")
        k = (k / sums).to(k.dtype)
    down, right = (1 - side % 2 for side in k.shape[-2:])
    if down or right:
        was = f"{k.shape[-2]} x {k.shape[-1]}"
        k = F.pad(k, (0, right, 0, down))
        _warn(f"{name}: zeros were added, for {k.shape[-2]} x {k.shape[-1]} from {was}")
    return k


def _warn(message: str) -> None:
    warnings.warn(InputWarning(message), stacklevel=3)
