"""The three ways of convolving, by size and form of the kernel: all compute the same.

Taps are summed directly below 9 x 9, from there on as a column and a row where the kernel is their
product, and above 21 x 21 otherwise by Fourier transforms.
"""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch

from deblurlib import degrade, psf
from deblurlib.errors import InputError

OPERATIONS = [degrade.convolve, degrade.convolve_adjoint]
MODES = {"reflect": "mirror", "circular": "wrap", "zero": "constant"}

over_boundaries = pytest.mark.parametrize("boundary", degrade.BOUNDARIES)
over_operations = pytest.mark.parametrize("operation", OPERATIONS)


def skewed(height, width, seed=0):
    """A kernel without any symmetry, and not separable."""
    k = torch.rand(height, width, generator=torch.Generator().manual_seed(seed))
    return k / k.sum()


def product(height, width, dtype=torch.float32):
    """A kernel without any symmetry, but separable."""
    k = torch.outer(torch.arange(1, height + 1), torch.arange(width + 1, 1, -1)).to(dtype)
    return k / k.sum()


#: Each with one kernel for each of four images.
WAYS = {
    "direct-3": torch.stack([skewed(3, 3, i) for i in range(4)]),
    "direct-row": torch.stack([skewed(1, 9, i) for i in range(4)]),
    "direct-19": torch.stack([skewed(19, 19, i) for i in range(4)]),
    "separable-9": torch.stack([psf.gaussian(s, 9) for s in (0.5, 1, 2, 4)]),
    "separable-31": torch.stack([psf.gaussian(s, 31) for s in (0, 2, 4, 8)]),
    "fourier": torch.stack([skewed(23, 25, i) for i in range(4)]),
    "mixed-15": torch.stack([psf.motion(15, angle, 15) for angle in (0, 30, 90, 45)]),
    "mixed-31": torch.stack([psf.gaussian(3, 31), skewed(31, 31), psf.box(31), skewed(31, 31, 1)]),
}
over_ways = pytest.mark.parametrize("k", WAYS.values(), ids=WAYS.keys())
LARGE = {
    f"{form.__name__}-{size}": form(size, size - 4)
    for size in (15, 31, 63)
    for form in (skewed, product)
}
over_large = pytest.mark.parametrize("k", LARGE.values(), ids=LARGE.keys())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(40, 37)])
@over_boundaries
@over_operations
@over_ways
def test_an_image_is_to_the_bit_the_same_in_every_batch(
    rand, operation, boundary, k, channels, height, width
):
    if boundary == "valid":
        height, width = height + 31, width + 31
    x = rand(4, channels, height, width)
    whole = operation(x, k, boundary)
    for batch in (1, 2, 3):
        for i in range(0, 4, batch):
            part = operation(x[i : i + batch], k[i : i + batch], boundary)
            assert torch.equal(part, whole[i : i + batch])
    assert torch.equal(operation(x[1:2], k[1], boundary), whole[1:2])  # one kernel (h, w)
    order = [2, 0, 3, 1]
    assert torch.equal(operation(x[order], k[order], boundary), whole[order])


@over_operations
@over_ways
def test_one_kernel_for_all_images_equals_the_same_for_each(rand, operation, k):
    x = rand(4, 3, 24, 21)
    each = torch.stack([k[1]] * 4)
    assert torch.equal(operation(x, k[1]), operation(x, each))


@pytest.mark.parametrize(("boundary", "mode"), MODES.items())
@pytest.mark.parametrize(("height", "width"), [(37, 52), (70, 66), (5, 90)])
@over_large
def test_large_kernels_agree_with_scipy(rand, height, width, k, boundary, mode):
    x = rand(2, 1, height, width)
    y = degrade.convolve(x, k, boundary)
    for i in range(2):
        expected = scipy.ndimage.convolve(x[i, 0].numpy(), k.numpy(), mode=mode)
        np.testing.assert_allclose(y[i, 0], expected, atol=2e-6)


@pytest.mark.parametrize(("height", "width"), [(63, 59), (70, 81), (91, 64)])
@over_large
def test_valid_with_large_kernels_agrees_with_scipy(rand, height, width, k):
    x = rand(2, 1, height, width)
    y = degrade.convolve(x, k, "valid")
    for i in range(2):
        expected = scipy.signal.convolve(x[i, 0].numpy(), k.numpy(), "valid")
        np.testing.assert_allclose(y[i, 0], expected, atol=2e-6)


@over_boundaries
@pytest.mark.parametrize(("height", "width"), [(37, 52), (5, 90)])
@over_large
def test_large_kernels_have_an_exact_adjoint(rand, height, width, k, boundary):
    grow = (k.shape[0] - 1, k.shape[1] - 1) if boundary == "valid" else (0, 0)
    x = rand(2, 3, height + grow[0], width + grow[1]).double()
    y = rand(2, 3, height, width, seed=1).double()
    k = k.double()
    forward = (degrade.convolve(x, k, boundary) * y).sum()
    backward = (x * degrade.convolve_adjoint(y, k, boundary)).sum()
    torch.testing.assert_close(forward, backward, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "k",
    [skewed(5, 7), product(9, 11, torch.float64), skewed(23, 25), psf.gaussian(2)],
    ids=["direct", "separable", "fourier", "float32-gaussian"],
)
def test_double_precision_is_kept(rand, k):
    x = rand(1, 2, 30, 41).double()
    y = degrade.convolve(x, k)
    assert y.dtype == torch.float64
    for channel, blurred in zip(x[0].numpy(), y[0].numpy(), strict=True):
        expected = scipy.ndimage.convolve(channel, k.double().numpy(), mode="mirror")
        np.testing.assert_allclose(blurred, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("sign", [-1, 1])
def test_nearly_separable_kernels_are_not_taken_for_separable(rand, sign):
    k = product(11, 11)
    k[2, 3] *= 1 + sign * 1e-3
    x = rand(1, 1, 30, 30)
    expected = scipy.ndimage.convolve(x[0, 0].double().numpy(), k.double().numpy(), mode="mirror")
    np.testing.assert_allclose(degrade.convolve(x, k)[0, 0], expected, atol=5e-7)


@pytest.mark.parametrize("size", [9, 31])
def test_kernels_that_do_not_sum_to_1_keep_their_sum(rand, size):
    x, k = rand(1, 1, 40, 40), product(size, size)
    torch.testing.assert_close(degrade.convolve(x, 3 * k), 3 * degrade.convolve(x, k))
    torch.testing.assert_close(degrade.convolve(x, -k), -degrade.convolve(x, k))
    assert not degrade.convolve(x, 0 * k).any()


@over_boundaries
@pytest.mark.parametrize(
    "k",
    [skewed(3, 5), product(9, 9, torch.float64), skewed(23, 23)],
    ids=["direct", "separable", "fourier"],
)
def test_gradient_by_the_image(rand, k, boundary):
    size = (k.shape[0] + 1, k.shape[1] + 2) if boundary == "valid" else (4, 5)
    x = rand(1, 1, *size).double().requires_grad_()
    for operation in OPERATIONS:
        assert torch.autograd.gradcheck(
            lambda x, operation=operation: operation(x, k.double(), boundary), x, fast_mode=True
        )


@over_operations
@over_boundaries
def test_gradient_by_a_separable_kernel_counts_all_its_taps(rand, operation, boundary):
    k = product(9, 11, torch.float64).requires_grad_()
    x = rand(2, 1, 12, 13).double()
    assert torch.autograd.gradcheck(lambda k: operation(x, k, boundary), k)


@pytest.mark.parametrize("size", [13, 25])
def test_gradient_by_a_gaussian_is_the_correlation_of_both_images(rand, size):
    k = psf.gaussian(2, size).requires_grad_()
    x, y = rand(1, 1, 40, 40), rand(1, 1, 41 - size, 41 - size, seed=1)
    (degrade.convolve(x, k, "valid") * y).sum().backward()
    # <y, k * x> is linear in k: its gradient is what each tap meets, turned round
    expected = scipy.signal.correlate(x[0, 0].numpy(), y[0, 0].numpy(), "valid")[::-1, ::-1]
    np.testing.assert_allclose(k.grad, expected, rtol=1e-4)


@pytest.mark.parametrize("k", [psf.box(7), psf.gaussian(2), psf.motion(21, 30), psf.disk(13)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_given_back_as_it_came(rand, k, dtype):
    x = rand(2, 3, 40, 41).to(dtype)
    assert torch.equal(degrade.convolve(x, k), degrade.convolve(x.float(), k).to(dtype))
    y = degrade.convolve_adjoint(x, k)
    assert torch.equal(y, degrade.convolve_adjoint(x.float(), k).to(dtype))


@pytest.mark.parametrize("k", [psf.box(7), psf.gaussian(2), psf.motion(21, 30)])
def test_autocast_changes_neither_result_nor_gradient(rand, k):
    x = rand(1, 3, 40, 41).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = degrade.convolve(x, k)
        (inside,) = torch.autograd.grad(y.square().sum(), x, retain_graph=True)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert torch.equal(inside, gradient)
    plain = degrade.convolve(x, k)
    assert torch.equal(y, plain)
    assert torch.equal(gradient, torch.autograd.grad(plain.square().sum(), x)[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_integer_images_are_refused(dtype):
    with pytest.raises(InputError, match=str(dtype)):
        degrade.convolve(torch.ones(1, 3, 9, 9, dtype=dtype), psf.box(7))


def test_a_mixed_batch_keeps_its_order(rand):
    x = rand(5, 1, 30, 31)
    wide, line = psf.gaussian(2), psf.motion(13, 30)
    k = psf.stack([line, wide, line, wide, wide])
    y = degrade.convolve(x, k)
    for i in range(5):
        assert torch.equal(y[i : i + 1], degrade.convolve(x[i : i + 1], k[i]))
