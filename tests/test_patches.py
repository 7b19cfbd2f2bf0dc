"""Deconvolution that calls another: with a denoiser, and in patches with kernels of their own."""

from itertools import product

import numpy as np
import pytest
import torch

from deblurlib import psf
from deblurlib.classical import half_quadratic_splitting, richardson_lucy, tikhonov
from deblurlib.degrade import convolve
from deblurlib.errors import InputError
from deblurlib.restoration.patches import grid_spans, restore_patches, seam_energy, seams

GRIDS = [(1, 1), (1, 3), (3, 1), (2, 2), (3, 4)]


def kernels(rows, columns, side=3):
    """Deltas, each in another place of its kernel."""
    k = torch.zeros(rows * columns, side * side)
    k[torch.arange(len(k)), torch.arange(len(k)) % side**2] = 1
    return k.view(rows, columns, side, side)


def identity(y, k):
    return y


def number(y, k):
    """The place of the one in the kernel, everywhere."""
    return torch.full_like(y, k.argmax().item())


@pytest.mark.parametrize("size", [(9, 8), (20, 33)])
@pytest.mark.parametrize("overlap", [None, 0, 2])
def test_one_patch_is_the_image(rand, size, overlap):
    y, k = rand(2, 3, *size), psf.gaussian(1.5)
    found = restore_patches(y, k[None, None], tikhonov_of, overlap)
    assert torch.equal(found, tikhonov_of(y, k))


def tikhonov_of(y, k):
    return tikhonov(y, k, 0.01)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("overlap", [None, 0, 1, 3, 8])
@pytest.mark.parametrize("size", [(36, 48), (37, 50)])
def test_doing_nothing_in_patches_changes_nothing(rand, grid, overlap, size):
    y = rand(2, 3, *size).double()
    x_hat = restore_patches(y, kernels(*grid), identity, overlap)
    torch.testing.assert_close(x_hat, y, rtol=0, atol=1e-6)


def test_without_overlap_patches_are_put_side_by_side():
    found = restore_patches(torch.zeros(1, 1, 6, 8), kernels(2, 4), number, 0)[0, 0]
    expected = torch.arange(8.0).view(2, 4).repeat_interleave(3, 0).repeat_interleave(2, 1)
    assert torch.equal(found, expected)


def test_a_size_that_the_grid_does_not_divide_makes_the_last_patch_smaller():
    rows, columns = grid_spans((10, 11), (3, 2), 0)
    assert [(s.start, s.stop) for s in rows] == [(0, 4), (4, 8), (8, 10)]
    assert [(s.start, s.stop) for s in columns] == [(0, 6), (6, 11)]
    rows, columns = grid_spans((21, 30), (2, 1), 6)
    assert [(s.start, s.stop) for s in rows] == [(0, 14), (8, 21)]
    assert [(s.start, s.stop) for s in columns] == [(0, 30)]


@pytest.mark.parametrize("grid", GRIDS)
def test_each_patch_gets_its_place_and_its_kernel(rand, grid):
    y, seen = rand(2, 3, 40, 50), []
    restore_patches(y, kernels(*grid), lambda *given: seen.append(given) or given[0], 6)
    places = product(*grid_spans((40, 50), grid, 6))
    given = kernels(*grid).flatten(0, 1)
    for (part, k), (row, column), expected in zip(seen, places, given, strict=True):
        assert torch.equal(part, y[..., row.start : row.stop, column.start : column.stop])
        assert torch.equal(k, expected)


@pytest.mark.parametrize("turned", [False, True])
def test_a_cosine_over_the_middle_half_of_an_overlap_leads_from_patch_to_patch(turned):
    k, y = kernels(2, 1), torch.zeros(1, 1, 60, 14)
    if turned:
        k, y = k.transpose(0, 1), y.mT
    found = restore_patches(y, k, number, 12)[0, 0]
    line = found[4] if turned else found[:, 4]
    # patches of 36: the overlap is 24 ... 36, the middle half 27 ... 33
    ramp = (1 - torch.cos(torch.pi * (torch.arange(6) + 0.5) / 6)) / 2
    torch.testing.assert_close(line, torch.cat([torch.zeros(27), ramp, torch.ones(27)]))
    lines = seams(y.shape[-2:], k.shape[:2], 12)
    assert lines == (([], [30]) if turned else ([30], []))
    default = restore_patches(y, k[..., :1, :], number)  # kernels of 1 x 3 overlap by 6
    assert torch.equal(default, restore_patches(y, k, number, 6))


@pytest.mark.parametrize("overlap", [0, 1, 5, 8])
@pytest.mark.parametrize("size", [(36, 48), (37, 50)])
def test_a_seam_is_where_the_next_patch_begins_to_count_for_more(size, overlap):
    rows, columns = seams(size, (3, 2), overlap)
    for axis, lines in ((0, rows), (1, columns)):
        grid = grid_spans(size, (3, 2), overlap)[axis]
        assert len(lines) == len(grid) - 1
        for line, before, after in zip(lines, grid[:-1], grid[1:], strict=True):
            assert after.weight[line - after.start] >= 0.5 - 1e-6
            assert before.weight[line - 1 - before.start] >= 0.5 - 1e-6


def ramp(height=40, width=50):
    return (torch.arange(height)[:, None] / 40 + torch.arange(width) / 30).expand(2, 3, -1, -1)


def test_the_energy_of_a_seam_is_1_where_there_is_none_and_more_with_a_step():
    y = ramp().clone()
    torch.testing.assert_close(seam_energy(y, [20], [20, 30]), torch.ones(2))
    y[1, :, 20:] += 5 / 40  # steps 6 times as large, in one image
    torch.testing.assert_close(seam_energy(y, [20], []), torch.tensor([1.0, 36.0]))
    y = ramp().mT.clone()
    y[..., 20:] += 5 / 40
    torch.testing.assert_close(seam_energy(y, [], [20]), torch.full((2,), 36.0))
    torch.testing.assert_close(seam_energy(y, [], [20, 25]), torch.full((2,), 37 / 2))


def test_a_seam_is_compared_with_what_lies_near_it_and_is_no_seam_itself():
    y = ramp(40, 50).clone()
    for line, factor in ((20, 3.0), (18, 2.0), (23, 2.0), (17, 9.0), (24, 9.0), (29, 9.0)):
        y[..., line:, :] += (factor - 1) / 40
    # steps beside 20 up to 3 away: 17 and 23; of 18 to 22 but 20 alone, one of 4
    expected = {2: 9 / ((4 + 1 + 1 + 1) / 4), 1: 9.0, 3: 9 / ((81 + 4 + 1 + 1 + 1 + 4) / 6)}
    for near, value in expected.items():
        found = seam_energy(y, [20], [], near)
        torch.testing.assert_close(found, torch.full((2,), value), rtol=1e-3, atol=0)
    both = seam_energy(y, [18, 20], [], 1)
    torch.testing.assert_close(both, torch.full((2,), 6.5 / (84 / 4)), rtol=1e-3, atol=0)
    assert torch.equal(seam_energy(y, [20], []), seam_energy(y, [20], [], 8))
    assert seam_energy(0 * y, [1], [49]).tolist() == [0, 0]


def test_an_overlap_hides_the_seams_of_a_deconvolution(rand):
    x = convolve(rand(1, 1, 64, 60), psf.gaussian(2))
    k = psf.disk(2).expand(2, 2, 5, 5)
    y, energy, error = convolve(x, k[0, 0]), [], []
    for overlap in (0, 10, None):
        x_hat = restore_patches(y, k, twenty, overlap)
        energy.append(seam_energy(x_hat, *seams((64, 60), (2, 2), 10)).log().abs())
        error.append((x_hat - x)[..., 28:36, :].square().mean())
    assert energy[0] > 4 * energy[1] == 4 * energy[2]
    assert error[0] > 4 * error[1] == 4 * error[2]


def twenty(y, k):
    return richardson_lucy(y, k, 20)


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width) ** 2
    return k / k.sum()


def shrink(z, sigma):
    """A denoiser that is a Fourier filter: ``|x - z|^2 + sigma |differences|^2`` is least."""
    height, width = z.shape[-2:]
    f = torch.fft.fftfreq(height)[:, None].mul(torch.pi).sin() ** 2
    rough = (f + torch.fft.fftfreq(width).mul(torch.pi).sin() ** 2).to(z)
    return torch.fft.ifft2(torch.fft.fft2(z) / (1 + sigma.view(-1, 1, 1, 1) * rough)).real


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("denoise", [lambda z, sigma: z, shrink], ids=["identity", "shrink"])
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
    for z, k in ((y, psf.box(1)), (torch.full_like(y, 0.6), skewed(3, 5))):
        same = half_quadratic_splitting(z, k, look, 0.01, boundary=boundary)
        torch.testing.assert_close(same, z, rtol=0, atol=1e-5)
    assert shapes[0][-2] >= max(3, size[0])
    assert shapes[0][-1] >= max(5, size[1])


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


def split(y=None, k=None, sigma=0.1, **more):
    y, k = torch.zeros(2, 3, 6, 5) if y is None else y, psf.box(3) if k is None else k
    return half_quadratic_splitting(y, k, lambda z, sigma: z, sigma, **more)


Y = torch.zeros(1, 1, 20, 30)
BAD = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: restore_patches(Y, psf.box(3), identity), r"\(R, S, h, w\), not \(3, 3\)"),
        (lambda: restore_patches(Y, kernels(3, 1, 11), identity), "20 .* 3 .* overlap by 22"),
        (lambda: restore_patches(Y, kernels(2, 2), identity, -1), "patches that overlap by -1"),
        (lambda: seam_energy(Y, [], []), "no seam to measure"),
        (lambda: seam_energy(Y[..., :1, :2], [], [1]), "or nothing beside it"),
        (lambda: seam_energy(Y, [0], []), "a seam at 0 is not inside the image"),
        (lambda: seam_energy(Y, [], [30]), "a seam at 30 is not inside the image"),
        *[(lambda v=v: split(sigma=v), "sigma must be more than 0") for v in (0, -1, *BAD)],
        *[(lambda v=v: split(strongest=v), "strongest and trust") for v in (0, *BAD)],
        *[(lambda v=v: split(trust=v), "strongest and trust") for v in (0, *BAD)],
        (lambda: split(iterations=0), "iterations must be 1 or more"),
        (lambda: split(sigma=torch.ones(3)), "one or one an image"),
        (lambda: split(boundary="zero"), "'zero' is none of circular, reflect, taper, liu-jia"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()


def test_odd_sides_keep_their_period(rand):
    x, k = rand(1, 1, 15, 17).double(), psf.gaussian(0.7).double()
    y = convolve(x, k, "circular")
    found = half_quadratic_splitting(y, k, lambda z, sigma: z, 1e-6, 2, boundary="circular")
    torch.testing.assert_close(found, x, rtol=0, atol=1e-4)
