"""Convolution: what it computes at every boundary in each of its three ways, and its adjoint.

Taps are summed directly below 9 x 9, from there on as a column and a row where the kernel is their
product, and above 21 x 21 otherwise by Fourier transforms.
"""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch

from deblurlib import degrade, machine, psf
from deblurlib.errors import InputError

OPERATIONS = [degrade.convolve, degrade.convolve_adjoint]
MODES = {"reflect": "mirror", "circular": "wrap", "zero": "constant"}


def skewed(height, width, seed=0):
    """A kernel without any symmetry, and not separable."""
    k = torch.rand(height, width, generator=torch.Generator().manual_seed(seed))
    return k / k.sum()


def product(height, width):
    """A kernel without any symmetry, but separable, in double precision."""
    k = torch.outer(torch.arange(1, height + 1), torch.arange(width + 1, 1, -1)).double()
    return k / k.sum()


#: Each with one kernel for each of four images.
WAYS = {
    "direct-5": torch.stack([skewed(5, 3, i) for i in range(4)]),
    "direct-row": torch.stack([skewed(1, 9, i) for i in range(4)]),
    "direct-19": torch.stack([skewed(19, 17, i) for i in range(4)]),
    "separable-11": torch.stack([product(9, 11)] * 4),
    "separable-31": torch.stack([psf.gaussian(s, 31) for s in (0, 2, 4, 8)]),
    "fourier": torch.stack([skewed(23, 25, i) for i in range(4)]),
    "mixed-15": torch.stack([psf.motion(15, angle, 15) for angle in (0, 30, 90, 45)]),
    "mixed-31": torch.stack([psf.gaussian(3, 31), skewed(31, 31), psf.box(31), skewed(31, 31, 1)]),
}
ONE_OF_EACH_WAY = [skewed(3, 5), product(9, 9), skewed(23, 23)]

over_boundaries = pytest.mark.parametrize("boundary", degrade.BOUNDARIES)
over_operations = pytest.mark.parametrize("operation", OPERATIONS)
over_ways = pytest.mark.parametrize("k", WAYS.values(), ids=WAYS.keys())
over_sizes = pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (5, 90), (37, 52)])
over_one_of_each_way = pytest.mark.parametrize(
    "k", ONE_OF_EACH_WAY, ids=["direct", "separable", "fourier"]
)


def input_of(rand, size, k, boundary):
    """Two images in double precision, as much larger as "valid" takes away."""
    more = (k.shape[-2] - 1, k.shape[-1] - 1) if boundary == "valid" else (0, 0)
    return rand(2, 2, size[0] + more[0], size[1] + more[1]).double()


@over_boundaries
@over_ways
@over_sizes
def test_both_precisions_agree_with_scipy(rand, k, boundary, size):
    x, k = input_of(rand, size, k, boundary), k[1:3]
    both = degrade.convolve(x, k, boundary), degrade.convolve(x.float(), k, boundary)
    assert (both[0].dtype, both[1].dtype) == (torch.float64, torch.float32)
    for i, kernel in enumerate(k.double().numpy()[:, None]):
        if boundary == "valid":
            expected = scipy.signal.convolve(x[i].numpy(), kernel, "valid", "direct")
        else:
            expected = scipy.ndimage.convolve(x[i].numpy(), kernel, mode=MODES[boundary])
        np.testing.assert_allclose(both[0][i], expected, rtol=0, atol=1e-13)
        np.testing.assert_allclose(both[1][i], expected, rtol=0, atol=2e-6)


@over_boundaries
@over_ways
@over_sizes
def test_adjoint(rand, k, boundary, size):
    x, k = input_of(rand, size, k, boundary), k[1:3]
    y = rand(2, 2, *size, seed=1).double()
    forward = (degrade.convolve(x, k, boundary) * y).sum()
    backward = (x * degrade.convolve_adjoint(y, k, boundary)).sum()
    torch.testing.assert_close(forward, backward, rtol=1e-12, atol=0)


@pytest.mark.parametrize("channels", [1, 3])
@over_boundaries
@over_operations
@over_ways
def test_an_image_is_to_the_bit_the_same_in_every_batch(rand, operation, boundary, k, channels):
    x = rand(4, channels, 37, 34)
    whole = operation(x, k, boundary)
    for part in ([0], [1], [2], [3], [0, 1], [1, 2, 3], [2, 0, 3, 1]):
        assert torch.equal(operation(x[part], k[part], boundary), whole[part])
    same = torch.stack([k[1]] * 4)  # one kernel (h, w) is that kernel for each
    assert torch.equal(operation(x, k[1], boundary), operation(x, same, boundary))


@over_boundaries
@over_operations
def test_a_kernel_of_one_tap_changes_nothing(rand, operation, boundary):
    x = rand(2, 3, 6, 5)
    assert torch.equal(operation(x, psf.box(1), boundary), x)


@pytest.mark.parametrize("sign", [-1, 1])
def test_nearly_separable_kernels_are_not_taken_for_separable(rand, sign):
    k = product(11, 11).float()
    k[2, 3] *= 1 + sign * 1e-3
    x = rand(1, 1, 30, 30)
    expected = scipy.ndimage.convolve(x[0, 0].double().numpy(), k.double().numpy(), mode="mirror")
    np.testing.assert_allclose(degrade.convolve(x, k)[0, 0], expected, atol=5e-7)


def test_kernels_that_do_not_sum_to_1_keep_their_sum(rand):
    x, k = rand(1, 1, 40, 40), product(9, 9)
    torch.testing.assert_close(degrade.convolve(x, 3 * k), 3 * degrade.convolve(x, k))
    torch.testing.assert_close(degrade.convolve(x, -k), -degrade.convolve(x, k))
    assert not degrade.convolve(x, 0 * k).any()


@over_boundaries
@over_operations
@over_one_of_each_way
def test_gradient_by_the_image(rand, operation, k, boundary):
    size = (k.shape[0] + 1, k.shape[1] + 2) if boundary == "valid" else (4, 5)
    x = rand(1, 1, *size).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: operation(x, k, boundary), x, fast_mode=True)


@over_operations
@over_boundaries
def test_gradient_by_a_separable_kernel_counts_all_its_taps(rand, operation, boundary):
    k = product(9, 11).requires_grad_()
    x = rand(1, 1, 10, 11).double()
    assert torch.autograd.gradcheck(lambda k: operation(x, k, boundary), k)


def test_gradient_by_a_large_kernel_is_the_correlation_of_both_images(rand):
    k = psf.gaussian(2, 25).requires_grad_()
    x, y = rand(1, 1, 40, 40), rand(1, 1, 16, 16, seed=1)
    (degrade.convolve(x, k, "valid") * y).sum().backward()
    # <y, k * x> is linear in k: its gradient is what each tap meets, turned round
    expected = scipy.signal.correlate(x[0, 0].numpy(), y[0, 0].numpy(), "valid")[::-1, ::-1]
    np.testing.assert_allclose(k.grad, expected, rtol=1e-4)


@over_operations
@over_one_of_each_way
def test_half_precision_is_computed_in_float32_and_given_back_as_it_came(rand, operation, k):
    for dtype in (torch.float16, torch.bfloat16):
        x = rand(2, 3, 40, 41).to(dtype)
        assert torch.equal(operation(x, k), operation(x.float(), k).to(dtype))


@over_one_of_each_way
def test_autocast_changes_neither_result_nor_gradient(rand, k):
    x = rand(1, 3, 40, 41).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = degrade.convolve(x, k)
        (inside,) = torch.autograd.grad(y.square().sum(), x)
    plain = degrade.convolve(x, k)
    assert torch.equal(y, plain)
    assert torch.equal(inside, torch.autograd.grad(plain.square().sum(), x)[0])


def test_no_gpu_may_round_to_tf32_neither_there_nor_back(rand, monkeypatch):
    seen, conv2d = [], torch.nn.functional.conv2d

    def spy(*arguments, **options):
        seen.append(torch.backends.cudnn.allow_tf32)
        return conv2d(*arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", spy)
    with machine.tf32(True):
        degrade.convolve(rand(1, 1, 9, 9).requires_grad_(), skewed(3, 3)).sum().backward()
        assert torch.backends.cudnn.allow_tf32
    assert seen == [False, False]


X = torch.zeros(2, 3, 6, 5)


@over_operations
@pytest.mark.parametrize(
    ("x", "k", "boundary", "named"),
    [
        (X[0], psf.box(3), "reflect", r"\(3, 6, 5\)"),
        (X[:0], psf.box(3), "reflect", r"\(0, 3, 6, 5\)"),
        (X.int(), psf.box(3), "reflect", "int32"),
        (X, torch.ones(2, 3), "reflect", r"\(2, 3\)"),
        (X, torch.ones(3, 4), "reflect", r"\(3, 4\)"),
        (X, torch.ones(3), "reflect", r"\(3,\)"),
        (X, torch.ones(3, 1, 1), "reflect", "3 kernels .* 2 images"),
        (X, psf.box(3), "mirror", "'mirror'"),
    ],
)
def test_wrong_input_is_named(operation, x, k, boundary, named):
    with pytest.raises(InputError, match=named):
        operation(x, k, boundary)


@pytest.mark.parametrize("k", [torch.ones(7, 1) / 7, torch.ones(1, 7) / 7])
def test_valid_refuses_a_kernel_larger_than_the_image(k):
    with pytest.raises(InputError, match=f"{k.shape[0]} x {k.shape[1]} kernel.*6 x 5"):
        degrade.convolve(X, k, "valid")
