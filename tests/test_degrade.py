"""Blur and noise: the operator, its adjoint, and draws that depend on seed and index alone."""

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
    x = rand(2, 1, 20, 17)
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


@over_boundaries
@pytest.mark.parametrize("operation", [degrade.convolve, degrade.convolve_adjoint])
def test_a_kernel_per_image_equals_one_by_one(rand, operation, boundary):
    x, k = rand(2, 3, 9, 8), KERNELS["one-each"]
    one_by_one = torch.cat([operation(x[i : i + 1], k[i], boundary) for i in range(2)])
    torch.testing.assert_close(operation(x, k, boundary), one_by_one)


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


def draw(generator):
    """A motion of random length and angle, and a random noise level."""
    length, angle, sigma = torch.rand(3, generator=generator).tolist()
    return psf.motion(1 + 12 * length, 180 * angle), 0.1 * sigma


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_a_pair_depends_neither_on_its_batch_nor_on_order(rand, batch, boundary):
    x, index = rand(8, 3, 24, 21), [5, 0, 9, 2, 7, 1, 3, 100]
    whole, kernels = degrade.sample(x, draw, 3, index, boundary)
    assert len({k.count_nonzero().item() for k in kernels}) > 1  # they differ
    for i in range(0, 8, batch):
        part, _ = degrade.sample(x[i : i + batch], draw, 3, index[i : i + batch], boundary)
        assert torch.equal(part, whole[i : i + batch])


def test_valid_samples_need_kernels_of_one_size(rand):
    # else the size of y would depend on the batch that its image is in
    with pytest.raises(InputError, match="valid"):
        degrade.sample(rand(8, 3, 24, 21), draw, 3, range(8), "valid")


def test_sample_is_the_drawn_blur_and_then_the_drawn_noise(rand):
    x = rand(3, 3, 12, 11)
    y, k = degrade.sample(x, draw, 3, [4, 5, 6], "zero")
    drawn = [draw(degrade.generator(3, 2 * i)) for i in (4, 5, 6)]
    assert torch.equal(k, psf.stack([kernel for kernel, _ in drawn]))
    sigmas = [sigma for _, sigma in drawn]
    expected = degrade.add_noise(degrade.convolve(x, k, "zero"), sigmas, 3, [4, 5, 6])
    assert torch.equal(y, expected)


def test_noise_does_not_depend_on_how_much_the_blur_drew(rand):
    x = rand(2, 3, 8, 8)

    def draw_more(generator):
        torch.rand(10, generator=generator)
        return psf.box(3), 0.1

    few, _ = degrade.sample(x, lambda generator: (psf.box(3), 0.1), 0, [0, 1])
    many, _ = degrade.sample(x, draw_more, 0, [0, 1])
    assert torch.equal(few, many)


def test_streams_of_blur_and_noise_of_all_images_and_seeds_are_unrelated():
    streams = []

    def draw_and_note(generator):
        streams.append(torch.randn(32 * 32, generator=generator))
        return psf.box(1), 1.0

    for seed in (0, 1):
        x = torch.zeros(6, 1, 32, 32)
        noise, _ = degrade.sample(x, draw_and_note, seed, range(6))
        streams += [*noise.flatten(1)]
    related = torch.corrcoef(torch.stack(streams)) - torch.eye(24)
    assert related.abs().max() < 0.2


@pytest.mark.parametrize("sigma", [0.01, 0.1])
def test_noise_has_the_sigma_asked_for_and_no_bias(sigma):
    noise = degrade.add_noise(torch.full((1, 3, 200, 200), 0.5), sigma, 0, [0]) - 0.5
    assert noise.std().item() == pytest.approx(sigma, rel=0.01)
    assert noise.mean().abs() < 0.01 * sigma


def test_each_image_gets_its_own_sigma_and_is_not_clipped():
    y = degrade.add_noise(torch.ones(3, 3, 64, 64), [0.0, 0.1, 0.4], 0, [7, 8, 9])
    assert y.std((1, 2, 3)).tolist() == pytest.approx([0.0, 0.1, 0.4], rel=0.03)
    assert y.max() > 1.2


@pytest.mark.parametrize(
    ("sigma", "index", "named"),
    [
        (-0.1, [0, 1], "-0.1"),
        ([0.1, -0.2], [0, 1], "-0.2"),
        (float("nan"), [0, 1], "nan"),
        (0.1, [0], "1 indices .* 2 images"),
        ([0.1], [0, 1], "1 .* 2"),
    ],
)
def test_wrong_noise_is_named(sigma, index, named):
    with pytest.raises(InputError, match=named):
        degrade.add_noise(X, sigma, 0, index)
