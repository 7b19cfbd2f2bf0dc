"""Convolution: what it computes at every boundary, and its adjoint."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch

from deblurlib import degrade, psf
from deblurlib.errors import InputError


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1).view(height, width)
    return k / k.sum()


KERNELS = {
    "delta": psf.box(1),
    "gaussian": psf.gaussian(1),
    "motion": psf.motion(7, 30),
    "skewed": skewed(5, 3),
    "row": skewed(1, 9),
    "large": skewed(13, 11),
    "separable": psf.gaussian(2, 11),
    "fourier": skewed(23, 21),
    "one-each": torch.stack([skewed(3, 5), skewed(3, 5).flip(0)]),
}
SIZES = [(1, 1), (1, 6), (2, 3), (5, 4), (16, 13)]

over_boundaries = pytest.mark.parametrize("boundary", degrade.BOUNDARIES)
over_kernels = pytest.mark.parametrize("k", KERNELS.values(), ids=KERNELS.keys())
over_sizes = pytest.mark.parametrize(("height", "width"), SIZES)


def input_shape(height, width, k, boundary):
    """``height`` x ``width``, made as much larger as "valid" takes away."""
    if boundary == "valid":
        height, width = height + k.shape[-2] - 1, width + k.shape[-1] - 1
    return (2, 3, height, width)


@over_boundaries
@over_kernels
@over_sizes
def test_adjoint(rand, height, width, k, boundary):
    x = rand(*input_shape(height, width, k, boundary))
    y = rand(2, 3, height, width, seed=1)
    forward = (degrade.convolve(x, k, boundary).double() * y).sum()
    backward = (x.double() * degrade.convolve_adjoint(y, k, boundary)).sum()
    torch.testing.assert_close(forward, backward, rtol=1e-5, atol=0)


@over_kernels
@over_sizes
def test_reflect_agrees_with_opencv(rand, height, width, k):
    x = rand(2, 3, height, width)
    y = degrade.convolve(x, k)
    for i, kernel in enumerate(k.expand(2, *k.shape[-2:]).numpy()):
        expected = cv2.filter2D(
            x[i].permute(1, 2, 0).numpy(),
            cv2.CV_32F,
            np.ascontiguousarray(kernel[::-1, ::-1]),  # OpenCV correlates
            borderType=cv2.BORDER_REFLECT_101,
        )
        np.testing.assert_allclose(y[i].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("boundary", "mode"), [("reflect", "mirror"), ("circular", "wrap"), ("zero", "constant")]
)
@over_kernels
@over_sizes
def test_agrees_with_scipy_ndimage(rand, height, width, k, boundary, mode):
    x = rand(2, 3, height, width)
    y = degrade.convolve(x, k, boundary)
    for i, kernel in enumerate(k.expand(2, *k.shape[-2:]).numpy()):
        expected = scipy.ndimage.convolve(x[i].numpy(), kernel[None], mode=mode)
        np.testing.assert_allclose(y[i], expected, atol=1e-5)


@over_kernels
def test_valid_agrees_with_scipy_signal(rand, k):
    x = rand(2, 1, 26, 31)
    y = degrade.convolve(x, k, "valid")
    for i, kernel in enumerate(k.expand(2, *k.shape[-2:]).numpy()):
        expected = scipy.signal.convolve2d(x[i, 0].numpy(), kernel, mode="valid")
        np.testing.assert_allclose(y[i, 0], expected, atol=1e-5)


@over_kernels
def test_circular_blur_keeps_the_flux_of_any_image(rand, k):
    x = rand(2, 3, 9, 8)
    flux = degrade.convolve(x, k, "circular").sum((2, 3))
    torch.testing.assert_close(flux, x.sum((2, 3)), rtol=1e-5, atol=0)


@over_kernels
def test_reflect_blur_keeps_a_constant_image(k):
    x = torch.full((2, 3, 9, 8), 0.7)
    torch.testing.assert_close(degrade.convolve(x, k, "reflect"), x)


@over_boundaries
def test_delta_kernel_changes_nothing(rand, boundary):
    x = rand(2, 3, 6, 5)
    assert torch.equal(degrade.convolve(x, psf.box(1), boundary), x)
    assert torch.equal(degrade.convolve_adjoint(x, psf.box(1), boundary), x)


@over_kernels
def test_circular_blur_follows_a_shift(rand, k):
    x = rand(2, 3, 9, 8)
    shifted = degrade.convolve(x.roll((2, -3), (2, 3)), k, "circular")
    expected = degrade.convolve(x, k, "circular").roll((2, -3), (2, 3))
    torch.testing.assert_close(shifted, expected)


@over_boundaries
def test_blur_is_linear(rand, boundary):
    k = KERNELS["skewed"]
    a, b = rand(2, 3, 9, 8), rand(2, 3, 9, 8, seed=1)
    together = degrade.convolve(2 * a - 3 * b, k, boundary)
    apart = 2 * degrade.convolve(a, k, boundary) - 3 * degrade.convolve(b, k, boundary)
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


X = torch.zeros(2, 3, 6, 5)


@pytest.mark.parametrize("operation", [degrade.convolve, degrade.convolve_adjoint])
@pytest.mark.parametrize(
    ("x", "k", "boundary", "named"),
    [
        (X[0], psf.box(3), "reflect", r"\(3, 6, 5\)"),
        (X[:0], psf.box(3), "reflect", r"\(0, 3, 6, 5\)"),
        (X, torch.ones(2, 3), "reflect", r"\(2, 3\)"),
        (X, torch.ones(3, 4), "reflect", r"\(3, 4\)"),
        (X, torch.ones(3), "reflect", r"\(3,\)"),
        (X, torch.ones(3, 1, 1), "reflect", "3 kernels .* 2 images"),
        (X, psf.box(3), "mirror", "'mirror'.*reflect"),
    ],
)
def test_wrong_input_is_named(operation, x, k, boundary, named):
    with pytest.raises(InputError, match=named):
        operation(x, k, boundary)


@pytest.mark.parametrize("k", [torch.ones(7, 1) / 7, torch.ones(1, 7) / 7])
def test_valid_refuses_a_kernel_larger_than_the_image(k):
    with pytest.raises(InputError, match=f"{k.shape[0]} x {k.shape[1]} kernel.*6 x 5"):
        degrade.convolve(X, k, "valid")
