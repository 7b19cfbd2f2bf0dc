"""The kernel found from a photograph's edges: that it is found, and what each step of it solves."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from deblurlib import alignment, degrade, images, metrics, psf
from deblurlib.classical import Search, find_kernel, finding, richardson_lucy
from deblurlib.data import open_images
from deblurlib.errors import InputError

SIDE = 160


def photo(number, side=SIDE, split="train"):
    x = images.grey(images.centre_crop(open_images("sample", split)[number], side + 24))
    return images.quantise(x)[None]


def blurred(x, k, noise=0.002):
    """``y`` and ``x`` where it is known, 8 bit."""
    pair = degrade.sample(x, lambda generator: degrade.Degradation(k, noise=noise), 0, [0])
    return pair.y, pair.x


def shake(seed, length=12, size=25):
    return psf.shake(torch.Generator().manual_seed(seed), length, size)


def restored(y, k):
    return richardson_lucy(y, k, 30, "valid", True, tv=5e-4, start=y.clamp(min=1e-3))


@pytest.mark.parametrize(
    ("number", "k"),
    [(0, shake(1)), (0, psf.motion(9, 30, 25)), (1, shake(2)), (3, shake(3))],
    ids=["shake-1", "motion", "shake-2", "shake-3"],
)
def test_a_known_kernel_is_found_and_restores_nearly_as_well(number, k):
    y, x = blurred(photo(number), k)
    (found,), (gain,) = find_kernel(y, 21)
    assert psf.distance(found, k) < 0.4
    assert gain > 0.02
    psf.check(found)
    places = torch.arange(21) - 10
    for axis in (
        0,
        1,
    ):  # light's centre in the middle, within the half pixel that whole steps leave
        assert abs((found.sum(axis) * places).sum()) <= 0.51
    inner = (..., slice(16, -16), slice(16, -16))
    moved = alignment.align(restored(y, found), x, 8)  # it is known up to a shift
    better = metrics.psnr(moved[inner], x[inner]) - metrics.psnr(y[inner], x[inner])
    assert better > 1.5


@pytest.mark.parametrize(("split", "number"), [("train", 0), ("test", 1), ("test", 2)])
def test_without_blur_there_is_a_delta_and_no_gain(split, number):
    x = photo(number, split=split)
    for y in (x, degrade.add_noise(x, 0.01, 0, [0])):
        (k,), (gain,) = find_kernel(y, 15)
        assert gain == 0
        assert k.sum() == k[7, 7] == 1


@pytest.mark.parametrize("shape", [(1, 1, 40, 37), (2, 3, 9, 12)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_without_edges_says_nothing(shape, value):
    k, gain = find_kernel(torch.full(shape, value), 9)
    assert gain.tolist() == [0.0] * shape[0]
    assert k.sum((-2, -1)).tolist() == k[:, 4, 4].tolist() == [1.0] * shape[0]


def test_more_noise_makes_it_worse():
    k, x = shake(1), photo(0)
    distances = [psf.distance(find_kernel(blurred(x, k, n)[0], 21)[0][0], k) for n in (0.002, 0.05)]
    assert distances[0] < distances[1]


def test_clipped_lamps_are_not_looked_at(monkeypatch):
    k, distances = shake(1), []
    for number, side in ((0, 220), (3, 160)):
        x, places = 0.7 * photo(number, side), torch.Generator().manual_seed(0)
        for row, column in torch.randint(20, side, (10, 2), generator=places).tolist():
            x[..., row : row + 5, column : column + 5] = 6.0
        y = images.quantise(blurred(x, k)[0])
        assert 0 < (y == 1).float().mean() < 0.05
        for clipped in (finding.CLIPPED, 2.0):
            with monkeypatch.context() as changed:
                changed.setattr(finding, "CLIPPED", clipped)
                distances.append(psf.distance(find_kernel(y, 21)[0][0], k))
    assert distances[0] + distances[2] < distances[1] + distances[3] - 0.05


def test_each_image_has_its_own_kernel_and_its_channels_share_one():
    y = torch.cat([blurred(photo(n, 96), shake(n + 1))[0] for n in (0, 3)])
    k, gain = find_kernel(y, 15)
    for i in range(2):
        alone = find_kernel(y[i : i + 1].expand(1, 2, -1, -1), 15)  # their mean is exactly y
        assert torch.equal(alone[0][0], k[i])
        assert torch.equal(alone[1][0], gain[i])


# ---- the steps


def test_the_kernel_step_is_the_least_squares_solution_of_the_whole_system(rand):
    """Beside NumPy's solver, of the system written out."""
    x, y, h, w, ridge = rand(1, 1, 15, 18), rand(1, 1, 15, 18), 5, 5, 0.3
    g, target = (finding.slopes(z.double()) for z in (x, y))
    columns = []
    for row in range(h):
        for column in range(w):  # a kernel of one light moves the slopes
            moved = g.roll((row - h // 2, column - w // 2), (-2, -1))
            columns.append(moved.flatten().numpy())
    system = np.vstack([np.stack(columns, 1), math.sqrt(ridge) * np.eye(h * w)])
    right_side = np.concatenate([target.flatten().numpy(), np.zeros(h * w)])
    expected = np.linalg.lstsq(system, right_side, rcond=None)[0].reshape(h, w)
    k = finding.fit_kernel(g, target, torch.zeros(1, h, w, dtype=torch.float64), ridge)
    np.testing.assert_allclose(k[0].numpy(), expected, atol=1e-6)


def test_the_image_step_is_the_least_squares_solution_of_the_whole_system(rand):
    size, beta = (8, 9), 0.7
    y, g = rand(1, 1, *size).double(), rand(1, 2, *size).double() - 0.5
    k = rand(1, 3, 5).double()
    k = k / k.sum()
    units = torch.eye(72, dtype=torch.float64).view(72, 1, *size)
    wide = [
        convolve2d(np.pad(u[0], ((1, 1), (2, 2)), mode="wrap"), k[0], "valid")
        for u in units.numpy()
    ]
    blur = np.stack([z.ravel() for z in wide], 1)
    slopes = finding.slopes(units).flatten(1).numpy().T
    system = np.vstack([blur, math.sqrt(beta) * slopes])
    right_side = np.concatenate([y.flatten().numpy(), math.sqrt(beta) * g.flatten().numpy()])
    expected = np.linalg.lstsq(system, right_side, rcond=None)[0].reshape(size)
    x = finding.fit_image(finding._image_problem(y, k), g, beta)
    np.testing.assert_allclose(x[0, 0].numpy(), expected, atol=1e-9)


def test_an_image_of_few_edges_keeps_its_steps_and_loses_its_texture():
    step = torch.zeros(1, 1, 32, 32)
    step[..., 8:24, 8:24] = 0.6
    rough = step + 0.02 * torch.randn(step.shape, generator=torch.Generator().manual_seed(0))
    x = finding.sharpen(rough, torch.ones(1, 1, 1), 8e-3)
    edges, rough, true = (finding.slopes(z).norm(dim=1) > 0.01 for z in (x, rough, step))
    assert edges[true].all()
    assert rough[~true].float().mean() > 0.8
    assert edges[~true].float().mean() < 0.05


@pytest.mark.parametrize("size", [3, 5, 21, 31, 63])
def test_scales_grow_to_the_size_by_odd_sides(size):
    for coarsest, finer, *_ in Search().ways:
        sides = finding.scales(size, coarsest, finer)
        assert sides[-1] == size
        assert sides[0] <= coarsest
        assert all(side % 2 == 1 for side in sides)
        assert all(a < b <= max(a * 1.7, a + 2) for a, b in itertools.pairwise(sides))


def test_what_is_weak_or_apart_is_no_kernel():
    k = torch.zeros(1, 9, 9)
    k[0, 4, 3:6] = torch.tensor([0.5, 1.0, 0.5])
    k[0, 0, 0], k[0, 4, 6], k[0, 8, 8] = 0.19, 0.05, -1.0
    cleaned = finding.cleaned(k, 0.1)
    assert cleaned[0, 4, 3:6].tolist() == [0.25, 0.5, 0.25]
    assert cleaned.sum() == 1


@pytest.mark.parametrize(
    ("shape", "size", "said"),
    [
        ((1, 1, 40, 40), 4, "size must be an odd whole number, 3 or more, not 4"),
        ((1, 1, 40, 40), 1, "size must be an odd"),
        ((1, 1, 40, 40), 9.0, "size must be an odd"),
        ((1, 1, 40, 8), 9, "a kernel of 9 pixels needs a larger image than 8 x 40"),
        ((40, 40), 9, "images must be"),
    ],
)
def test_bad_input_gets_one_sentence(shape, size, said):
    with pytest.raises(InputError, match=said):
        find_kernel(torch.zeros(shape), size)


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": 0.0},
        {"ridge": math.inf},
        {"cut": 2.0},
        {"last_cut": 0.5},
        {"ways": ()},
        {"ways": ((4, 1.3, 1, 1.0),)},
        {"ways": ((3, 1.0, 1, 1.0),)},
        {"last_rounds": -1},
    ],
    ids=str,
)
def test_a_search_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        Search(**wrong)
