"""Paths of a shaking hand, and the kernels of paths."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from deblurlib import degrade, psf
from deblurlib.errors import InputError


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def straight(points, down=0.0, right=1.0):
    """A path of ``points`` even steps about 0."""
    steps = torch.arange(points, dtype=torch.float64) - (points - 1) / 2
    return torch.stack([steps * down, steps * right], 1)


@pytest.mark.parametrize("anxiety", [0, 0.005, 0.1, 1])
@pytest.mark.parametrize(("length", "steps"), [(0.5, 2), (15, 200), (40.0, 2000)])
def test_a_trajectory_is_centred_and_goes_its_whole_length_at_constant_speed(
    length, steps, anxiety
):
    for seed in range(5):
        path = psf.trajectory(seeded(seed), length, anxiety, steps)
        assert (path.shape, path.dtype) == ((steps, 2), torch.float64)
        ways = path.diff(dim=0).norm(dim=1)
        torch.testing.assert_close(ways, torch.full_like(ways, length / (steps - 1)))
        torch.testing.assert_close(path.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-9)
        assert path.norm(dim=1).max() <= length / 2 * (1 + 1e-9)


def test_a_trajectory_repeats_and_differs_between_seeds():
    a, b, c = (psf.trajectory(seeded(seed), 15) for seed in (0, 0, 1))
    assert a.shape == (2000, 2)
    assert torch.equal(a, b)
    assert (a - c).abs().max() > 1
    assert torch.equal(a, psf.trajectory(seeded(0), 15, 0.005, 2000))


def test_a_trajectory_without_anxiety_is_a_straight_line():
    path = psf.trajectory(seeded(3), 15, 0, 100)
    torch.testing.assert_close(path - path[0], torch.arange(100)[:, None] * (path[1] - path[0]))


def test_trajectories_start_in_every_direction():
    starts = torch.stack([psf.trajectory(seeded(i), 1, 0, 2).diff(dim=0)[0] for i in range(400)])
    angles = torch.atan2(starts[:, 0], starts[:, 1]).numpy()
    assert scipy.stats.kstest(angles, "uniform", (-math.pi, 2 * math.pi)).pvalue > 0.01


def test_a_trajectory_bends_more_with_more_anxiety():
    ends = [
        torch.stack([p[-1] - p[0] for p in paths]).norm(dim=1).mean().item()
        for paths in (
            [psf.trajectory(seeded(i), 10, anxiety, 500) for i in range(40)]
            for anxiety in (0.001, 0.02, 0.1)
        )
    ]
    assert 10 > ends[0] > 1.2 * ends[1] > 1.2**2 * ends[2]


def reference_paths(count, length, anxiety, steps):
    """Boracchi and Foi's walk as DeblurGAN's code makes it, many at once."""
    random = np.random.default_rng(0)
    pull, big, impulse, angle = random.random((4, count))
    step = length / (steps - 1)
    velocity = step * np.exp(2j * np.pi * angle)
    path = np.zeros((steps, count), complex)
    for t in range(steps - 1):
        gauss = random.standard_normal(count) + 1j * random.standard_normal(count)
        turned = 2 * velocity * np.exp(1j * (np.pi + random.random(count) - 0.5))
        velocity = velocity + np.where(random.random(count) < 0.2 * big * anxiety, turned, 0)
        velocity += anxiety * (10 * impulse * gauss - 0.7 * pull * path[t]) * step
        velocity *= step / abs(velocity)
        path[t + 1] = path[t] + velocity
    return path


@pytest.mark.parametrize(("length", "anxiety", "steps"), [(20, 0.1, 200), (400, 0.02, 300)])
def test_trajectories_are_distributed_as_those_of_another_implementation(length, anxiety, steps):
    ours = [psf.trajectory(seeded(i), length, anxiety, steps).numpy() for i in range(400)]
    ours = np.stack([p[:, 1] + 1j * p[:, 0] for p in ours], 1)
    theirs = reference_paths(4000, length, anxiety, steps)
    for measure in (
        lambda p: abs(p[-1] - p[0]),
        lambda p: p.std(0),
        lambda p: (abs(np.angle(np.diff(p, axis=0)[1:] / np.diff(p, axis=0)[:-1])) > 2.6).sum(0),
    ):
        assert scipy.stats.ks_2samp(measure(ours), measure(theirs)).pvalue > 0.005


PATHS = {
    "one-point": torch.tensor([[0.3, -1.6]]),
    "corner": torch.tensor([[-2.0, -2.0], [2.0, 1.0]]),
    "whole-numbers": torch.tensor([[0, 1], [1, 1], [1, 0], [0, 1]]),
    "random": 6 * torch.rand(50, 2, generator=seeded(0)) - 3,
    "trajectory": psf.trajectory(seeded(1), 15),
}
over_paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())


@over_paths
def test_the_kernel_of_a_path_is_a_kernel_centred_at_the_mean_of_the_path(path):
    k = psf.check(psf.from_path(path))
    assert k.dtype == torch.float32
    place = torch.arange(len(k)) - len(k) // 2
    mean = [(k.sum(1) * place).sum().item(), (k.sum(0) * place).sum().item()]
    assert mean == pytest.approx(path.double().mean(0).tolist(), abs=1e-5)


@over_paths
def test_every_point_of_a_path_is_shared_among_the_four_pixels_around_it(path):
    k = psf.from_path(path, 21).double().numpy()
    expected = np.zeros((21, 21))
    for down, right in path.tolist():
        for i in range(21):
            for j in range(21):
                tent = max(0, 1 - abs(i - 10 - down)) * max(0, 1 - abs(j - 10 - right))
                expected[i, j] += tent / len(path)
    np.testing.assert_allclose(k, expected, atol=1e-7)


@over_paths
def test_the_kernel_of_a_path_is_no_larger_than_the_path_and_no_smaller(path):
    reach = math.ceil(path.abs().max())
    k = psf.from_path(path)
    assert k.shape == (2 * reach + 1, 2 * reach + 1)
    assert torch.equal(psf.from_path(path, 2 * reach + 5), torch.nn.functional.pad(k, [2] * 4))
    if reach > 0:
        with pytest.raises(InputError, match=f"path needs a kernel of {2 * reach + 1}, not 1,"):
            psf.from_path(path, 1)


def test_resting_at_the_centre_is_the_delta_kernel():
    assert torch.equal(psf.from_path(torch.zeros(1, 2)), psf.box(1))
    assert torch.equal(
        psf.from_path(torch.zeros(9, 2), 3), torch.nn.functional.pad(psf.box(1), [1] * 4)
    )


@pytest.mark.parametrize("length", [1, 3, 9, 15])
def test_a_straight_path_over_whole_pixels_is_the_motion_kernel(length):
    torch.testing.assert_close(psf.from_path(straight(length)), psf.motion(length))
    torch.testing.assert_close(psf.from_path(straight(length, 1, 0)), psf.motion(length, 90))


@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, -3), (-1, 2)])
def test_a_path_counts_downwards_and_to_the_right(rand, down, right):
    x = rand(1, 3, 9, 8)
    k = psf.from_path(torch.tensor([[down, right]]))
    assert torch.equal(degrade.convolve(x, k, "circular"), x.roll((down, right), (2, 3)))


def test_a_shake_fits_into_its_default_size():
    for seed in range(200):
        length = (0.3, 4, 13.7, 24)[seed % 4]
        k = psf.check(psf.shake(seeded(seed), length))
        assert k.shape == (2 * math.ceil(length / 2) + 1,) * 2


def test_a_shake_is_the_kernel_of_its_trajectory():
    k = psf.shake(seeded(5), 15, 21)
    assert torch.equal(k, psf.from_path(psf.trajectory(seeded(5), 15), 21))
    assert k.shape == (21, 21)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: psf.trajectory(seeded(0), 0), "length.*not 0"),
        (lambda: psf.trajectory(seeded(0), math.nan), "length.*nan"),
        (lambda: psf.trajectory(seeded(0), math.inf), "length.*inf"),
        (lambda: psf.trajectory(seeded(0), 5, -0.1), "anxiety.*-0.1"),
        (lambda: psf.trajectory(seeded(0), 5, math.inf), "anxiety.*inf"),
        (lambda: psf.trajectory(seeded(0), 5, steps=1), "2 steps or more, not 1"),
        (lambda: psf.shake(seeded(0), -1), "length.*not -1"),
        (lambda: psf.shake(seeded(0), 15, 16), "size must be odd, not 16"),
        (lambda: psf.shake(seeded(0), 15, 3), "the path needs a kernel of .*, not 3, pixels"),
        (lambda: psf.from_path(torch.zeros(3)), r"\(3,\)"),
        (lambda: psf.from_path(torch.zeros(3, 3)), r"\(3, 3\)"),
        (lambda: psf.from_path(torch.zeros(0, 2)), r"\(0, 2\)"),
        (lambda: psf.from_path(torch.tensor([[0, math.nan]])), "NaN"),
        (lambda: psf.from_path(torch.tensor([[0, math.inf]])), "infinite"),
        (lambda: psf.from_path(torch.zeros(1, 2), 4), "not 4"),
    ],
)
def test_a_wrong_argument_is_named(make, named):
    with pytest.raises(InputError, match=named):
        make()
