"""Dividing Fourier transforms, and images made periodic for it."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage import restoration

from deblurlib import psf
from deblurlib.classical import PENALTIES, PERIODIC, linear
from deblurlib.classical.boundaries import extend_smoothly, make_periodic, taper
from deblurlib.classical.linear import inverse, tikhonov, wiener
from deblurlib.degrade import convolve
from deblurlib.errors import InputError


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width) ** 2
    return k / k.sum()


def filtered(y, multiplier):
    return np.fft.ifft2(np.fft.fft2(y.numpy()) * multiplier).real


def levels(k):
    """0.1, but for a batch of kernels one each."""
    return 0.1 if k.ndim == 2 else 0.05 + k.amax((1, 2))


#: each method, and the share of a constant image that it leaves
METHODS = {
    "inverse": (lambda y, k, **more: inverse(y, k, 0.02, **more), 1),
    "values": (lambda y, k, **more: tikhonov(y, k, 0.1, "values", **more), 1 / 1.1),
    "gradient": (lambda y, k, **more: tikhonov(y, k, 0.1, "gradient", **more), 1),
    "laplacian": (lambda y, k, **more: tikhonov(y, k, 0.1, **more), 1),
    "ratio": (lambda y, k, **more: wiener(y, k, levels(k), **more), 1 / 1.1),
    "sigma": (lambda y, k, **more: wiener(y, k, sigma=levels(k), **more), 1),
}
over_methods = pytest.mark.parametrize("method", METHODS)
over_boundaries = pytest.mark.parametrize("boundary", PERIODIC)
over_sizes = pytest.mark.parametrize(("height", "width"), [(16, 13), (9, 12)])


@over_sizes
def test_with_the_laplacian_or_values_it_is_what_scikit_image_calls_wiener(rand, height, width):
    y, k = rand(1, 1, height, width).double(), skewed(5, 3)
    for call, reg in ((tikhonov, None), (wiener, np.ones((1, 1)))):
        ours = call(y, k, 0.03, boundary="circular")[0, 0]
        theirs = restoration.wiener(y[0, 0].numpy(), k.numpy(), 0.03, reg=reg, clip=False)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_tikhonov_solves_the_least_squares_problem_it_names(rand, penalty):
    y, k = rand(1, 1, 5, 6).double(), skewed(3, 5)
    units = np.eye(30).reshape(30, 5, 6)
    blur = scipy.ndimage.convolve(units, k.numpy()[None], mode="wrap")
    down, right = np.roll(units, -1, 1) - units, np.roll(units, -1, 2) - units
    around = 4 * units - sum(np.roll(units, s, a) for s in (-1, 1) for a in (1, 2))
    kept = {"values": [units], "gradient": [down, right], "laplacian": [around]}[penalty]
    rows = [z.reshape(30, 30).T for z in (blur, *(0.2**0.5 * z for z in kept))]
    known = np.concatenate([y.numpy().ravel(), np.zeros(30 * len(kept))])
    expected = np.linalg.lstsq(np.concatenate(rows), known, rcond=None)[0].reshape(5, 6)
    found = tikhonov(y, k, 0.2, penalty, "circular")[0, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@over_sizes
def test_wiener_takes_the_power_of_photographs_from_the_noise_level(rand, height, width):
    y, k = rand(2, 1, height, width).double(), torch.stack([skewed(5, 3), skewed(5, 3).flip(0)])
    found = wiener(y, k, sigma=torch.tensor([0.05, 0.2], dtype=torch.float64), boundary="circular")
    f, g = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    squared = (np.sin(np.pi * f) ** 2 + np.sin(np.pi * g) ** 2) / np.pi**2  # f**2 + g**2, nearly
    for i, sigma in enumerate((0.05, 0.2)):
        h = psf.transfer_function(k[i], height, width).numpy()
        expected = filtered(y[i, 0], h.conj() / (abs(h) ** 2 + sigma**2 * squared / 7e-4))
        np.testing.assert_allclose(found[i, 0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("k", [skewed(3, 3), psf.box(3).double()], ids=["skewed", "box"])
def test_the_inverse_undoes_a_blur_but_for_the_frequencies_of_which_too_little_is_left(rand, k):
    x = rand(1, 1, 12, 15).double()
    y, h = convolve(x, k, "circular"), psf.transfer_function(k, 12, 15).abs().numpy()
    for least in (0.01, 0.4, 0.9):
        expected = filtered(x[0, 0], h >= least)
        found = inverse(y, k, least, "circular")[0, 0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(inverse(x, psf.box(1).double(), 1, "circular"), x)
    assert torch.equal(inverse(y, k, 0.01), inverse(y, k))
    lost = torch.tensor([[0.5, 0.0, 0.5]])  # of 4 columns, this loses a frequency altogether
    assert wiener(torch.ones(1, 1, 4, 4), lost, 0, boundary="circular").isfinite().all()


@over_methods
@over_boundaries
def test_a_constant_image_stays_constant(method, boundary):
    (restore, share), y = METHODS[method], torch.full((1, 2, 9, 12), 0.6)
    found = restore(y, skewed(5, 3), boundary=boundary)
    torch.testing.assert_close(found, share * y, rtol=0, atol=1e-5)


@over_methods
@over_boundaries
def test_a_batch_equals_its_images_one_by_one_to_the_bit(monkeypatch, rand, method, boundary):
    restore, _ = METHODS[method]
    y, k = rand(3, 3, 9, 14), torch.stack([skewed(5, 3), skewed(5, 3).flip(0), psf.box(5)[:, :3]])
    k = k / k.sum((1, 2), keepdim=True)
    together = restore(y, k, boundary=boundary)
    alone = torch.cat([restore(y[i : i + 1], k[i : i + 1], boundary=boundary) for i in range(3)])
    assert torch.equal(together, alone)
    grey = torch.cat([restore(y[:, c : c + 1], k, boundary=boundary) for c in range(3)], 1)
    torch.testing.assert_close(grey, together, rtol=0, atol=1e-4)
    # as on a GPU
    monkeypatch.setattr(linear, "image_by_image", lambda function, *batched: function(*batched))
    torch.testing.assert_close(restore(y, k, boundary=boundary), together, rtol=0, atol=1e-4)


@over_methods
def test_the_type_of_the_image_stays_and_liu_jia_is_the_usual_boundary(rand, method):
    restore, y, k = METHODS[method][0], rand(1, 3, 9, 14), skewed(5, 3)
    double, half = restore(y.double(), k), restore(y.half(), k)
    assert double.dtype == torch.float64
    torch.testing.assert_close(restore(y, k), double.float(), rtol=0, atol=1e-4)
    assert torch.equal(half, restore(y.half().float(), k, boundary="liu-jia").half())


@over_boundaries
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3)])
def test_kernels_may_be_larger_than_the_image(rand, boundary, size):
    y, k = rand(1, 3, *size), torch.stack([skewed(9, 11)])
    for restore, _ in METHODS.values():
        x_hat = restore(y, k, boundary=boundary)
        assert x_hat.shape == y.shape
        assert x_hat.isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 2), (9, 8)])
@pytest.mark.parametrize("sides", [(3, 5), (11, 13)])
def test_what_is_made_periodic_begins_with_the_image(rand, size, sides):
    y, k = rand(2, 3, *size), skewed(*sides).expand(2, *sides)
    wide = make_periodic(y, k, "liu-jia")
    torch.testing.assert_close(wide[..., : size[0], : size[1]], y, rtol=0, atol=1e-7)
    assert min(n - a - b for n, a, b in zip(wide.shape[-2:], size, sides, strict=True)) >= -1
    times = [-(-a // b) for a, b in zip(sides, size, strict=True)]
    circular, reflect = make_periodic(y, k, "circular"), make_periodic(y, k, "reflect")
    assert np.array_equal(circular, np.tile(y, (1, 1, *times)))
    more = [max(n - 2, 0) for n in size]  # the edge pixel is not repeated
    mirrored = np.pad(y, [(0, 0), (0, 0), (0, more[0]), (0, more[1])], "reflect")
    times = [-(-a // (b + c)) for a, b, c in zip(sides, size, more, strict=True)]
    assert np.array_equal(reflect, np.tile(mirrored, (1, 1, *times)))


@pytest.mark.parametrize("size", [(9, 13), (6, 11), (8, 8), (6, 8), (7, 9)])
def test_in_what_extends_an_image_each_pixel_is_the_mean_of_its_neighbours(rand, size):
    wide = extend_smoothly(rand(1, 2, 6, 8).double(), *size)
    rows, columns = ((wide.roll(1, a) + wide.roll(-1, a)) / 2 for a in (-2, -1))
    mean = (rows + columns) / 2
    mean[..., 6:, [0, 7]] = rows[..., 6:, [0, 7]]  # where a strip begins and ends
    mean[..., [0, 5], 8:] = columns[..., [0, 5], 8:]
    mean[..., :6, :8] = wide[..., :6, :8]
    torch.testing.assert_close(wide, mean)


@pytest.mark.parametrize(
    ("size", "sides"), [((20, 17), (5, 7)), ((6, 5), (9, 7)), ((1, 1), (3, 3))]
)
def test_taper_agrees_with_an_edgetaper_of_loops(rand, size, sides):
    y, k = rand(1, 2, *size).double(), skewed(*sides)
    shares = []
    for profile, n in ((k.sum(1).numpy(), size[0]), (k.sum(0).numpy(), size[1])):
        full = np.correlate(profile, profile, "full")
        around = [
            full[(np.arange(len(full)) - len(profile) + 1 - i) % max(n - 1, 1) == 0].sum()
            for i in range(n)
        ]
        shares.append(1 - np.array(around) / max(around))
    weight = shares[0][:, None] * shares[1]
    blurred = scipy.ndimage.convolve(y.numpy(), k.numpy()[None, None], mode="wrap")
    found = taper(y, k[None])
    np.testing.assert_allclose(found, weight * y.numpy() + (1 - weight) * blurred, atol=1e-10)
    assert torch.equal(found, make_periodic(y, k[None], "taper")[..., : size[0], : size[1]])
    np.testing.assert_allclose(found[..., [0, -1], :], blurred[..., [0, -1], :], atol=1e-10)


Y, K = torch.zeros(2, 3, 6, 5), psf.box(3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: wiener(Y[0], K, 1), r"images must be .* not \(3, 6, 5\)"),
        (lambda: wiener(Y[:0], K, 1), r"not empty, not \(0, 3, 6, 5\)"),
        (lambda: wiener(Y + torch.nan, K, 1), "holds NaN or infinite values"),
        (lambda: wiener(Y.int(), K, 1), "images must be floating-point .* of torch.int32"),
        (lambda: wiener(Y[0].numpy(), K, 1), r"images are \(B, C, H, W\), .* not \(3, 6, 5\)"),
        (lambda: wiener(Y, 0 * K, 1), "the kernel: holds nothing but zeros"),
        (lambda: wiener(Y, K.expand(3, 3, 3), 1), "3 kernels were given for 2 images"),
        (lambda: wiener(Y, K, 1, boundary="zero"), "'zero' is none of circular, reflect, taper"),
        *[(lambda v=v: inverse(Y, K, v), r"least must be in \(0, 1\]") for v in (0, 1.1, np.nan)],
        *[(lambda v=v: tikhonov(Y, K, v), "weight must be more") for v in (0, np.inf, np.nan)],
        (lambda: tikhonov(Y, K, 1, "tv"), "penalty 'tv' is none of values, gradient, laplacian"),
        (lambda: wiener(Y, K), "either noise_to_signal or sigma"),
        *[(lambda v=v: wiener(Y, K, sigma=v), "sigma must be") for v in (-1, np.inf, np.nan)],
        (lambda: wiener(Y, K, torch.ones(3)), "one number or one an image"),
        (lambda: extend_smoothly(Y[:0], 6, 4), "6 x 5 pixels cannot be extended to 6 x 4"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
