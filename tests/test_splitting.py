"""Half-quadratic splitting: a deconvolution that calls a denoiser."""

import numpy as np
import pytest
import torch

from deblurlib import psf
from deblurlib.classical import half_quadratic_splitting
from deblurlib.degrade import convolve
from deblurlib.errors import InputError


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width) ** 2
    return k / k.sum()


def keep(z, sigma):
    return z


def shrink(z, sigma):
    """A denoiser that is a Fourier filter: ``|x - z|^2 + sigma |differences|^2`` is least."""
    height, width = z.shape[-2:]
    f = torch.fft.fftfreq(height)[:, None].mul(torch.pi).sin() ** 2
    rough = (f + torch.fft.fftfreq(width).mul(torch.pi).sin() ** 2).to(z)
    return torch.fft.ifft2(torch.fft.fft2(z) / (1 + sigma.view(-1, 1, 1, 1) * rough)).real


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("denoise", [keep, shrink])
def test_splitting_agrees_with_numpy(rand, iterations, denoise):
    y, k, sigma = rand(2, 2, 12, 10).double(), skewed(3, 5), torch.tensor([0.05, 0.01]).double()
    found = half_quadratic_splitting(y, k, denoise, sigma, iterations, 0.3, 0.5, "circular")
    h = psf.transfer_function(k, 12, 10).numpy()
    for i in range(2):
        levels = np.geomspace(0.3, sigma[i], iterations) if iterations > 1 else [sigma[i]]
        z = y[i : i + 1].numpy()
        for level in levels:
            rho = 0.5 * (sigma[i].item() / float(level)) ** 2
            seen = h.conj() * np.fft.fft2(y[i : i + 1]) + rho * np.fft.fft2(z)
            x = torch.from_numpy(np.fft.ifft2(seen / (abs(h) ** 2 + rho)).real)
            z = denoise(x, torch.tensor([float(level)], dtype=torch.float64)).numpy()
        np.testing.assert_allclose(found[i : i + 1], z, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 12), (3, 20)])
@pytest.mark.parametrize("boundary", ["circular", "reflect", "taper", "liu-jia"])
def test_a_denoiser_is_given_falling_levels_and_even_sizes(rand, size, boundary):
    seen = []

    def look(z, sigma):
        seen.append((tuple(z.shape), sigma.tolist()))
        return z

    y = rand(1, 3, *size)
    assert half_quadratic_splitting(y, skewed(3, 5), look, 0.01, boundary=boundary).shape == y.shape
    shapes, levels = zip(*seen, strict=True)
    np.testing.assert_allclose(np.ravel(levels), np.geomspace(49 / 255, 0.01, 8), rtol=1e-5)
    assert {(*z[:2], z[2] % 2, z[3] % 2) for z in shapes} == {(1, 3, 0, 0)}
    assert shapes[0][-2] >= max(3, size[0])
    assert shapes[0][-1] >= max(5, size[1])
    for z, k in ((y, psf.box(1)), (torch.full_like(y, 0.6), skewed(3, 5))):
        same = half_quadratic_splitting(z, k, keep, 0.01, boundary=boundary)
        torch.testing.assert_close(same, z, rtol=0, atol=1e-5)


def test_odd_sides_keep_their_period(rand):
    x, k = rand(1, 1, 15, 17).double(), psf.gaussian(0.7).double()
    y = convolve(x, k, "circular")
    found = half_quadratic_splitting(y, k, keep, 1e-6, 2, boundary="circular")
    torch.testing.assert_close(found, x, rtol=0, atol=1e-4)


def test_splitting_a_batch_equals_its_images_one_by_one_to_the_bit(monkeypatch, rand):
    y, k, sigma = rand(3, 3, 9, 14), rand(3, 3, 5, seed=1), torch.tensor([0.01, 0.02, 0.2])
    k = k / k.sum((1, 2), keepdim=True)
    together = half_quadratic_splitting(y, k, shrink, sigma)
    usual = {"iterations": 8, "strongest": 49 / 255, "trust": 0.23, "boundary": "liu-jia"}
    for i in range(3):
        alone = half_quadratic_splitting(y[i : i + 1], k[i], shrink, sigma[i].item(), **usual)
        assert torch.equal(alone[0], together[i])
    globals_of = half_quadratic_splitting.__globals__
    monkeypatch.setitem(globals_of, "image_by_image", lambda f, *batched: f(*batched))
    ours = half_quadratic_splitting(y, k, shrink, sigma)  # as on a GPU
    torch.testing.assert_close(ours, together, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        *[({"sigma": v}, "sigma must be more than 0") for v in (0, torch.nan, torch.inf)],
        *[({"strongest": v}, "strongest and trust") for v in (0, torch.nan, torch.inf)],
        *[({"trust": v}, "strongest and trust") for v in (0, torch.nan, torch.inf)],
        ({"iterations": 0}, "iterations must be 1 or more"),
        ({"sigma": torch.ones(3)}, "one or one an image"),
        ({"boundary": "zero"}, "'zero' is none of circular, reflect, taper, liu-jia"),
    ],
)
def test_wrong_input_is_named(wrong, named):
    y = torch.zeros(2, 3, 6, 5)
    with pytest.raises(InputError, match=named):
        half_quadratic_splitting(y, psf.box(3), keep, **{"sigma": 0.1} | wrong)
