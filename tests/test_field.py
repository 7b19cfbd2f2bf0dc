"""Blur that varies over the image: the operator, its adjoint, and the weights."""

import math

import numpy as np
import pytest
import scipy.interpolate
import torch

from deblurlib import degrade
from deblurlib.errors import InputError

over_boundaries = pytest.mark.parametrize("boundary", degrade.BOUNDARIES)
over_weighted = pytest.mark.parametrize("weighted", ["source", "result"])


def kernels_of(n):
    """``n`` kernels without any symmetry."""
    k = torch.rand(n, 3, 5, generator=torch.Generator().manual_seed(n))
    return k / k.sum((1, 2), keepdim=True)


def weights_of(n, height, width):
    """``n`` weights at each pixel that sum to 1, unrelated from pixel to pixel."""
    w = torch.rand(n, height, width, generator=torch.Generator().manual_seed(n))
    return w / w.sum(0)


def sizes(height, width, weighted, boundary):
    """The sizes of x, of y and of the weights."""
    x = y = (height, width)
    if boundary == "valid":
        x = (height + 2, width + 4)
    return x, y, x if weighted == "source" else y


@over_boundaries
@over_weighted
def test_every_pixel_is_blurred_by_its_own_mixture_of_kernels(rand, weighted, boundary):
    k = kernels_of(3)
    (height, width), y_size, w_size = sizes(5, 6, weighted, boundary)
    x, w = rand(1, 1, height, width), weights_of(3, *w_size)
    top, left = (1, 2) if boundary == "valid" else (0, 0)
    expected = torch.zeros(y_size)
    for i, j, down, right in np.ndindex(*y_size, 3, 5):
        # the point that sends light to this pixel, and the pixel that stands for it
        a, b = i + top - (down - 1), j + left - (right - 2)
        if boundary == "reflect":
            a, b = min(abs(a), 2 * height - 2 - a), min(abs(b), 2 * width - 2 - b)
        a, b = (a % height, b % width) if boundary == "circular" else (a, b)
        if 0 <= a < height and 0 <= b < width:
            mixture = w[:, a, b] if weighted == "source" else w[:, i, j]
            expected[i, j] += (mixture * k[:, down, right]).sum() * x[0, 0, a, b]
    y = degrade.convolve_field(x, k, w, weighted, boundary)
    torch.testing.assert_close(y[0, 0], expected)


def test_by_default_points_are_weighted_and_images_are_mirrored(rand):
    x, k, w = rand(2, 3, 9, 8), kernels_of(2), weights_of(2, 9, 8)
    y = degrade.convolve_field(x, k, w)
    assert torch.equal(y, degrade.convolve_field(x, k, w, "source", "reflect"))


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [(9, 13, 3, 4), (64, 50, 5, 3), (5, 6, 1, 3), (3, 3, 3, 3), (2, 3, 4, 4)],
)
def test_grid_weights_interpolate_linearly(rand, height, width, rows, columns):
    values = rand(rows, columns).double()
    w = degrade.grid_weights(height, width, rows, columns)
    assert w.shape == (rows * columns, height, width)
    assert w.min() >= 0
    torch.testing.assert_close(w.sum(0), torch.ones(height, width))
    # a grid of one row is the same as one of two equal rows
    spread = values.expand(2, -1) if rows == 1 else values
    nodes = np.linspace(0, height - 1, len(spread)), np.linspace(0, width - 1, columns)
    between = scipy.interpolate.RegularGridInterpolator(nodes, spread.numpy())
    points = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    expected = torch.from_numpy(between(points.clip(0, [height - 1, width - 1])))
    mixed = (values.flatten()[:, None, None] * w).sum(0)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-5)


def test_a_grid_over_one_pixel_takes_its_middle():
    assert degrade.grid_weights(1, 1, 3, 1).flatten().tolist() == [0, 1, 0]
    assert degrade.grid_weights(1, 1, 1, 2).flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("radii", [[0.5, 4.0], [0.5, 1.0, 3.0, 4.0], [0.0, 0.5, 1.75, 5.0]])
def test_defocus_weights_mix_the_two_nearest_radii_to_the_one_wanted(rand, radii):
    radius, radii = 0.5 + 3.5 * rand(12, 9), torch.tensor(radii)
    radius[0, 0], radius[0, 1], radius[0, 2] = 0.5, 4.0, 1.75
    # a map and radii may be of two precisions
    for w in (degrade.defocus_weights(z, radii) for z in (radius, radius.double())):
        assert (w.shape, w.dtype) == ((len(radii), 12, 9), torch.float32)
        assert w.min() >= 0
        torch.testing.assert_close(w.sum(0), torch.ones(12, 9))
        torch.testing.assert_close((w * radii[:, None, None]).sum(0), radius)
        used = w > 0
        assert used.sum(0).max() <= 2
        for i in range(len(radii)):
            reach = radii[max(i - 1, 0)], radii[min(i + 1, len(radii) - 1)]
            assert bool(((reach[0] <= radius[used[i]]) & (radius[used[i]] <= reach[1])).all())


def test_one_radius_is_enough_for_a_plain_map():
    w = degrade.defocus_weights(torch.full((4, 3), 2.0), torch.tensor([2.0]))
    assert torch.equal(w, torch.ones(1, 4, 3))


X, K, W = torch.zeros(2, 3, 6, 5), kernels_of(2), weights_of(2, 6, 5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((K[0], W), r"\(3, 5\) and \(2, 6, 5\)"),
        ((K, W[0]), r"\(2, 3, 5\) and \(6, 5\)"),
        ((K, W[:1]), r"\(2, 3, 5\) and \(1, 6, 5\)"),
        ((K[:0], W[:0]), r"\(0, 3, 5\)"),
        ((K, W, "sink"), "'sink'.*source, result"),
        ((K, W, "source", "mirror"), "'mirror'"),
        ((K, W[..., :1], "source"), r"weights of \(6, 1\) pixels for \(6, 5\)"),
        ((K, W[..., :1], "result"), r"weights of \(6, 1\) pixels for \(6, 5\)"),
    ],
)
def test_wrong_input_is_named(arguments, named):
    with pytest.raises(InputError, match=named):
        degrade.convolve_field(X, *arguments)


@pytest.mark.parametrize("arguments", [(0, 5, 2, 2), (5, 0, 2, 2), (5, 5, 0, 2), (5, 5, 2, -1)])
def test_a_grid_without_any_pixel_or_node_is_refused(arguments):
    with pytest.raises(InputError, match=", ".join(map(str, arguments))):
        degrade.grid_weights(*arguments)


@pytest.mark.parametrize(
    ("radius", "radii", "named"),
    [
        (2.0, [1.0, 1.0, 3.0], "must increase.*1.0, 1.0, 3.0"),
        (2.0, [[1.0, 3.0]], "must increase"),
        (2.0, [], "must increase"),
        (0.5, [1.0, 3.0], r"\[1.0, 3.0\] do not span the map's, 0.5 to 0.5"),
        (3.5, [1.0, 3.0], "do not span"),
        (math.nan, [1.0, 3.0], "do not span"),
        (2.0, [1.0], "do not span"),
    ],
)
def test_wrong_radii_are_named(radius, radii, named):
    with pytest.raises(InputError, match=named):
        degrade.defocus_weights(torch.full((4, 3), radius), torch.tensor(radii))
