"""Blurring a batch: ``degrade.convolve`` against kornia, albumentations and OpenCV.

The two that work on one image at a time get a Python loop and NumPy arrays ``(H, W, C)``. Layout,
and for those that correlate the kernel's flip, are prepared before the timing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import albumentations.augmentations.blur.functional as fblur
import albumentations.augmentations.pixel.functional as fpixel
import cv2
import kornia.filters
import numpy as np
import torch

from deblurlib import degrade, psf

from . import timing

SIZES = (7, 15, 31, 63)  # taps a side
SIGMAS = (1, 2, 5)  # pixels
BORDER = cv2.BORDER_REFLECT_101

TITLE = "Blur"
ABOUT = (
    "`degrade.convolve` of {shape} float32 images, boundary `reflect`: with random (not separable)"
    " kernels, another one for each image, and with Gaussians of side 2 ceil(3 sigma) + 1. kornia:"
    " `filter2d` with a kernel for each image, and `gaussian_blur2d` with a sigma for each. One"
    " image after the other, on arrays laid out beforehand: albumentations"
    " (`pixel.functional.convolve`, for Gaussians `separable_convolve`) and OpenCV (`filter2D`, for"
    " Gaussians `GaussianBlur`)."
)
PACKAGES = ("kornia", "albumentations", "opencv-python-headless", "numpy")


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time every case; ``quick``: on a few small images.

    Returns:
        what is compared, in words, and the cases' results.
    """
    shape = (2, 3, 40, 40) if quick else (64, 3, 128, 128)
    seconds = 0 if quick else timing.SECONDS
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator)
    cases = []
    for size in SIZES:
        k = torch.rand(shape[0], size, size, generator=generator)
        k = k / k.sum((-2, -1), keepdim=True)
        name = f"random {size} x {size}"
        cases.append(timing.run_case(name, random_calls(x, k), collect, rounds, seconds))
    for sigma in SIGMAS:
        name = f"Gaussian, sigma {sigma}"
        cases.append(timing.run_case(name, gaussian_calls(x, sigma), collect, rounds, seconds))
    return ABOUT.format(shape=" x ".join(map(str, shape))), cases


def random_calls(x: torch.Tensor, k: torch.Tensor) -> dict[str, Callable]:
    """What to time for kernels ``(B, h, w)`` of any form."""
    flipped = k.flip(-2, -1).contiguous()  # the three others correlate
    pairs = list(zip(as_arrays(x), flipped.numpy(), strict=True))
    return {
        timing.OURS: lambda: degrade.convolve(x, k),
        "kornia filter2d": lambda: kornia.filters.filter2d(x, flipped, border_type="reflect"),
        # No transform takes a kernel from outside. This is the function to which those that blur
        # hand theirs: cv2.filter2D with its default border, then clipping to [0, 1].
        "albumentations": lambda: [fpixel.convolve(image, kernel) for image, kernel in pairs],
        "OpenCV": lambda: [
            cv2.filter2D(image, -1, kernel, borderType=BORDER) for image, kernel in pairs
        ],
    }


def gaussian_calls(x: torch.Tensor, sigma: float) -> dict[str, Callable]:
    """What to time for a Gaussian: the same for all images, but given for each."""
    k = psf.gaussian(sigma, 2 * math.ceil(3 * sigma) + 1)
    size = k.shape[-1]
    kernels = k.repeat(len(x), 1, 1)
    # On the processor kornia is several times slower with one sigma for all images.
    sigmas = torch.full((len(x), 2), float(sigma))
    images = as_arrays(x)
    # What the transform GaussianBlur does to an image (cv2.sepFilter2D, then clipping), without
    # the transform's bookkeeping and with the profile computed once, not for each image.
    profile = fblur.create_gaussian_kernel_1d(sigma, size)
    return {
        timing.OURS: lambda: degrade.convolve(x, kernels),
        "kornia filter2d": lambda: kornia.filters.filter2d(x, kernels, border_type="reflect"),
        "kornia gaussian_blur2d": lambda: kornia.filters.gaussian_blur2d(
            x, size, sigmas, border_type="reflect"
        ),
        "albumentations": lambda: [fpixel.separable_convolve(image, profile) for image in images],
        "OpenCV": lambda: [
            cv2.GaussianBlur(image, (size, size), sigma, borderType=BORDER) for image in images
        ],
    }


def as_arrays(x: torch.Tensor) -> list[np.ndarray]:
    """Images ``(B, C, H, W)`` as arrays ``(H, W, C)``, each contiguous."""
    return [np.ascontiguousarray(image) for image in x.movedim(1, -1).numpy()]


def collect(blurred: torch.Tensor | list[np.ndarray]) -> torch.Tensor:
    """Whatever a contender returns, as ``(B, C, H, W)``."""
    if isinstance(blurred, torch.Tensor):
        return blurred
    return torch.from_numpy(np.stack(blurred)).movedim(-1, 1)
