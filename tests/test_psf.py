"""Point-spread functions: their form, their geometry, their Fourier transform."""

import math

import cv2
import numpy as np
import pytest
import scipy.stats
import torch

from deblurlib import degrade, psf
from deblurlib.errors import InputError


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def padded(k, margin):
    return torch.nn.functional.pad(k, [margin] * 4)


KERNELS = {
    "gaussian-0": psf.gaussian(0),
    "gaussian-0.4": psf.gaussian(0.4),
    "gaussian-2.5": psf.gaussian(2.5),
    "gaussian-cut": psf.gaussian(5, 7),
    "box-9": psf.box(9),
    "motion-1": psf.motion(1, 45),
    "motion-15": psf.motion(15),
    "motion-6.3": psf.motion(6.3, 117),
    "disk-0.3": psf.disk(0.3),
    "disk-4.2": psf.disk(4.2),
}
SKEWED = torch.tensor([[0.0, 0.1, 0.2], [0.3, 0.1, 0.0], [0.1, 0.1, 0.1]])

over_kernels = pytest.mark.parametrize("k", KERNELS.values(), ids=KERNELS.keys())


def moments(k):
    """Mean squares of the light's place: to the right, upwards, and their product."""
    reach = k.shape[0] // 2
    right = torch.arange(-reach, reach + 1, dtype=torch.float64)
    up = -right[:, None]
    return [(k * m).sum().item() for m in (right**2, up**2, right * up)]


@over_kernels
def test_every_kernel_is_one_and_looks_the_same_upside_down(k):
    assert psf.check(k) is k
    assert k.dtype == torch.float32
    assert k.shape[0] == k.shape[1]
    assert k.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(k, k.rot90(2))


def test_a_larger_size_adds_zeros_around():
    assert torch.equal(psf.motion(5, 20, 31), padded(psf.motion(5, 20), 13))
    assert torch.equal(psf.disk(2, 21), padded(psf.disk(2), 8))
    assert torch.equal(psf.gaussian(0, 5), padded(psf.gaussian(0), 2))


@pytest.mark.parametrize(("sigma", "size"), [(0.6, 5), (2.5, 17), (5, 7)])
def test_gaussian_agrees_with_opencv(sigma, size):
    profile = cv2.getGaussianKernel(size, sigma)
    np.testing.assert_allclose(psf.gaussian(sigma, size), profile @ profile.T, atol=1e-7)


def test_gaussian_reaches_three_sigma_by_default():
    assert psf.gaussian(2).shape == (13, 13)
    assert psf.gaussian(2.1).shape == (15, 15)


def test_box_is_equal_taps():
    torch.testing.assert_close(psf.box(5), torch.full((5, 5), 1 / 25))


def test_motion_along_a_row_is_equal_taps_with_half_taps_at_the_ends_of_an_even_length():
    assert psf.motion(15)[7].tolist() == pytest.approx([1 / 15] * 15)
    assert psf.motion(4)[2].tolist() == pytest.approx([0.125, 0.25, 0.25, 0.25, 0.125])
    for k in (psf.motion(15), psf.motion(4)):
        assert k.sum(0).tolist() == k[len(k) // 2].tolist()


@pytest.mark.parametrize("angle", [0, 10, 45, 77, 135])
def test_motion_turned_by_a_right_angle_is_the_kernel_turned(angle):
    torch.testing.assert_close(psf.motion(9, angle + 90, 13), psf.motion(9, angle, 13).rot90())


@pytest.mark.parametrize("length", [9, 15, 30.5])
@pytest.mark.parametrize("angle", [0, 20, 45, 70, 110, 160])
def test_motion_has_the_direction_and_the_spread_asked_for(length, angle):
    right, up, product = moments(psf.motion(length, angle))
    direction = math.degrees(math.atan2(2 * product, right - up) / 2)
    assert (direction - angle + 90) % 180 - 90 == pytest.approx(0, abs=0.7)
    radians = math.radians(angle)
    cosine, sine = math.cos(radians), math.sin(radians)
    along = right * cosine**2 + up * sine**2 + 2 * product * cosine * sine
    assert math.sqrt(along) == pytest.approx(math.sqrt(length**2 / 12), rel=0.02)


def test_motion_changes_smoothly_with_angle_and_length():
    by_angle = torch.stack([psf.motion(15, angle / 2, 21) for angle in range(180)])
    by_length = torch.stack([psf.motion(9 + length / 20, 30, 21) for length in range(80)])
    for kernels in (by_angle, by_length):
        steps = (kernels[1:] - kernels[:-1]).abs().sum((1, 2))
        assert steps.min() > 0
        assert steps.max() < 0.08  # a line without anti-aliasing jumps by 2 / 15


@pytest.mark.parametrize("radius", [3, 3.7, 8])
def test_disk_has_the_spread_of_a_disk(radius):
    right, up, product = moments(psf.disk(radius))
    expected = radius**2 / 4 + 1 / 12  # a disk's, and a pixel's own
    assert (right, up) == pytest.approx((expected, expected), rel=0.015)
    assert product == pytest.approx(0, abs=1e-6)


def test_disk_pixels_hold_the_share_of_them_that_it_covers():
    k = psf.disk(2)
    y = np.linspace(-0.5, 0.5, 1001)
    share = np.mean(np.sqrt(4 - y**2) - 1.5)  # of the pixel two to the right of the centre
    assert k[2, 4].item() == pytest.approx(share * k[2, 2].item(), rel=0.03)
    assert k[2, 2].item() == pytest.approx(1 / (math.pi * 2**2), rel=0.01)
    assert k[2, 2] == k[1, 2] == k[2, 3]  # those wholly inside
    assert k[0, 0] == 0
    assert torch.equal(psf.disk(0.5), psf.box(1))


def test_stack_keeps_each_centre(rand):
    kernels = [psf.box(1), psf.motion(5, 30), SKEWED, torch.tensor([[0.2, 0.3, 0.1, 0.1, 0.3]])]
    stacked = psf.check(psf.stack(kernels))
    assert stacked.shape == (4, 5, 5)
    x = rand(1, 3, 9, 8)
    for k, place in zip(kernels, stacked, strict=True):
        torch.testing.assert_close(degrade.convolve(x, place), degrade.convolve(x, k))


@pytest.mark.parametrize("k", [SKEWED, SKEWED[:1] / 0.3, torch.stack([SKEWED, SKEWED.T])])
@pytest.mark.parametrize(("height", "width"), [(8, 9), (3, 3), (7, 6)])
def test_transfer_function_is_circular_convolution(rand, k, height, width):
    x, h = rand(2, 3, height, width), psf.transfer_function(k, height, width)
    assert h.shape == (*k.shape[:-2], height, width)
    by_fourier = torch.fft.ifft2(torch.fft.fft2(x) * (h if k.ndim == 2 else h[:, None]))
    expected = degrade.convolve(x, k, "circular")
    torch.testing.assert_close(by_fourier.real, expected, rtol=0, atol=1e-6)
    assert by_fourier.imag.abs().max() < 1e-6


@pytest.mark.parametrize("anxiety", [0, 0.005, 1])
@pytest.mark.parametrize(("length", "steps"), [(0.5, 2), (15, 200)])
def test_a_trajectory_is_centred_and_goes_its_whole_length_at_constant_speed(
    length, steps, anxiety
):
    for seed in range(3):
        path = psf.trajectory(seeded(seed), length, anxiety, steps)
        assert (path.shape, path.dtype) == ((steps, 2), torch.float64)
        ways = path.diff(dim=0).norm(dim=1)
        torch.testing.assert_close(ways, torch.full_like(ways, length / (steps - 1)))
        torch.testing.assert_close(path.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-9)
        if anxiety == 0:  # a straight line
            along = torch.arange(steps)[:, None] * (path[1] - path[0])
            torch.testing.assert_close(path - path[0], along)


def test_a_trajectory_repeats_and_differs_between_seeds():
    a, b, c = (psf.trajectory(seeded(seed), 15) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert (a - c).abs().max() > 1
    assert torch.equal(a, psf.trajectory(seeded(0), 15, 0.005, 2000))


@pytest.mark.parametrize(("anxiety", "steps"), [(0.005, 2000), (1, 100), (0, 2)])
def test_many_trajectories_are_to_the_bit_what_each_is_alone(anxiety, steps):
    count = 2 * psf.paths.TOGETHER
    lengths = [1 + i for i in range(count)]
    alone = [psf.trajectory(seeded(i), lengths[i], anxiety, steps) for i in range(count)]
    generators = [seeded(i) for i in range(count)]
    together = psf.trajectories(generators, lengths, anxiety, steps)
    assert torch.equal(together, torch.stack(alone))
    # and so is the second that a generator draws
    again = psf.trajectories([seeded(3)] * count, lengths[:1] * count, anxiety, steps)
    generator = seeded(3)
    for path in again:
        assert torch.equal(path, psf.trajectory(generator, lengths[0], anxiety, steps))


def test_trajectories_start_in_every_direction():
    starts = torch.stack([psf.trajectory(seeded(i), 1, 0, 2).diff(dim=0)[0] for i in range(400)])
    angles = torch.atan2(starts[:, 0], starts[:, 1]).numpy()
    assert scipy.stats.kstest(angles, "uniform", (-math.pi, 2 * math.pi)).pvalue > 0.01


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
    "rest": torch.zeros(9, 2),
    "one-point": torch.tensor([[0.3, -1.6]]),
    "corner": torch.tensor([[-2.0, -2.0], [2.0, 1.0]]),
    "whole-numbers": torch.tensor([[0, 1], [1, 1], [1, 0], [0, 1]]),
    "random": 6 * torch.rand(50, 2, generator=seeded(0)) - 3,
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_every_point_of_a_path_is_shared_among_the_four_pixels_around_it(path):
    reach = math.ceil(path.abs().max())
    k = psf.check(psf.from_path(path))
    expected = np.zeros((2 * reach + 1, 2 * reach + 1))  # no larger than the path, and no smaller
    for down, right in path.tolist():
        for i, j in np.ndindex(expected.shape):
            tent = max(0, 1 - abs(i - reach - down)) * max(0, 1 - abs(j - reach - right))
            expected[i, j] += tent / len(path)
    assert k.dtype == torch.float32
    np.testing.assert_allclose(k, expected, atol=1e-7)
    assert torch.equal(psf.from_path(path, 2 * reach + 5), padded(k, 2))


def test_a_path_counts_downwards_and_to_the_right(rand):
    x, k = rand(1, 3, 9, 8), psf.from_path(torch.tensor([[-1, 2]]))
    assert torch.equal(degrade.convolve(x, k, "circular"), x.roll((-1, 2), (2, 3)))


def test_a_shake_is_the_kernel_of_its_trajectory_and_fits_into_its_default_size():
    k = psf.shake(seeded(5), 15, 21)
    assert torch.equal(k, psf.from_path(psf.trajectory(seeded(5), 15), 21))
    for seed in range(20):
        length = (0.3, 4, 13.7, 24)[seed % 4]
        k = psf.check(psf.shake(seeded(seed), length))
        assert k.shape == (2 * math.ceil(length / 2) + 1,) * 2


@pytest.mark.parametrize(
    ("k", "named"),
    [
        (torch.ones(1), r"\(1,\)"),
        (torch.ones(1, 1, 1, 1), r"\(1, 1, 1, 1\)"),
        (torch.ones(2, 3) / 6, "2 x 3"),
        (torch.ones(3, 2) / 6, "3 x 2"),
        (torch.tensor([[0.5, math.nan, 0.5]]), "NaN"),
        (torch.tensor([[-0.5, 2.0, -0.5]]), "negative"),
        (torch.stack([psf.box(3), 0.9 * psf.box(3)]), "not 0.9"),
        (psf.box(3) * 1.001, "not 1.001"),
    ],
)
def test_check_refuses_what_is_no_kernel(k, named):
    with pytest.raises(InputError, match=named):
        psf.check(k)


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (psf.gaussian, (-1,), "not -1"),
        (psf.gaussian, (math.nan,), "nan"),
        (psf.gaussian, (math.inf,), "inf"),
        (psf.gaussian, (1, -3), "not -3"),
        (psf.box, (0,), "not 0"),
        (psf.box, (3.0,), "not 3.0"),
        (psf.motion, (0.9,), "not 0.9"),
        (psf.motion, (math.inf,), "inf"),
        (psf.motion, (5, math.nan), "nan"),
        (psf.motion, (15, 0, 13), "15 pixels needs a kernel of 15, not 13"),
        (psf.disk, (0,), "not 0"),
        (psf.disk, (math.nan,), "nan"),
        (psf.disk, (4, 7), "radius 4 needs a kernel of 9, not 7"),
        (psf.trajectory, (seeded(0), 0), "length.*not 0"),
        (psf.trajectory, (seeded(0), math.inf), "length.*inf"),
        (psf.trajectory, (seeded(0), 5, -0.1), "anxiety.*-0.1"),
        (psf.trajectory, (seeded(0), 5, math.inf), "anxiety.*inf"),
        (psf.trajectory, (seeded(0), 5, 1, 1), "2 steps or more, not 1"),
        (psf.trajectories, ([seeded(0)] * 2, [5, 0]), "length.*not 0"),
        (psf.trajectories, ([seeded(0)] * 2, [5]), "2 generators .* 1 lengths"),
        (psf.from_path, (torch.zeros(3, 3),), r"\(3, 3\)"),
        (psf.from_path, (torch.zeros(0, 2),), r"\(0, 2\)"),
        (psf.from_path, (torch.tensor([[0, math.nan]]),), "NaN"),
        (psf.from_path, (torch.tensor([[2.3, 0]]), 5), "path needs a kernel of 7, not 5,"),
        (psf.transfer_function, (psf.box(5), 4, 9), "5 x 5 kernel.*4 x 9"),
        (psf.transfer_function, (psf.box(5), 9, 4), "5 x 5 kernel.*9 x 4"),
    ],
)
def test_a_wrong_argument_is_named(make, arguments, named):
    with pytest.raises(InputError, match=named):
        make(*arguments)


# --- measured


def grid_of(k):
    return torch.meshgrid(*map(torch.arange, k.shape), indexing="ij")


@over_kernels
def test_the_deviation_is_that_of_the_light_along_an_axis(k):
    down, right = (
        place.double() - side // 2 for place, side in zip(grid_of(k), k.shape, strict=True)
    )
    light = k.double()
    mean = [(light * place).sum() for place in (down, right)]
    variance = sum(
        (light * (p - m).square()).sum() for p, m in zip((down, right), mean, strict=True)
    )
    torch.testing.assert_close(psf.deviation(k).double(), (variance / 2).sqrt(), atol=1e-5, rtol=0)
    both = psf.deviation(torch.stack([k, k.mT]) if k.shape[0] == k.shape[1] else k[None])
    torch.testing.assert_close(both, psf.deviation(k).expand(len(both)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("place", [(0, 0), (3, -2), (-4, 4)])
def test_a_gaussian_has_its_sigma_wherever_it_lies_and_a_shifted_kernel_is_not_far(place):
    k = padded(psf.gaussian(2.0), 4)
    moved = k.roll(place, (0, 1))
    assert psf.deviation(moved).item() == pytest.approx(2, rel=0.01)  # cut off at three sigma
    assert psf.distance(moved, k).item() == pytest.approx(0, abs=1e-9)
    assert psf.distance(moved, psf.gaussian(2.0)).item() == pytest.approx(0, abs=1e-9)


def test_the_distance_is_the_least_over_all_shifts_of_a_plain_loop():
    k_hat, k = psf.shake(seeded(1), 8, 11), torch.nn.functional.pad(SKEWED, [0, 2, 1, 1])
    around = [11] * 4  # no shift may push light over the border of the larger one
    wide = torch.nn.functional.pad(k_hat, around)
    true = torch.nn.functional.pad(padded(k, 11), [3, 3, 3, 3])
    shifts = [(i, j) for i in range(-9, 10) for j in range(-9, 10)]
    errors = [(wide.roll(shift, (0, 1)) - true).square().sum() for shift in shifts]
    expected = min(errors) / k.square().sum()
    assert min(errors) < errors[len(errors) // 2]  # another than where it lies
    torch.testing.assert_close(psf.distance(k_hat, k), expected)
    batch = psf.distance(torch.stack([k_hat, k_hat.mT]), torch.stack([k, k]))
    assert batch[0] == psf.distance(k_hat, k)
    assert batch[1] == psf.distance(k_hat.mT, k) != batch[0]


def test_a_shift_does_not_bring_back_on_one_side_what_leaves_on_the_other():
    ends, pair = torch.zeros(1, 5), torch.zeros(1, 5)
    ends[0, [0, 4]] = pair[0, [1, 2]] = 0.5
    assert psf.distance(ends, pair).item() == pytest.approx(1)  # one of two points can be met


@pytest.mark.parametrize(
    ("k_hat", "k", "named"),
    [
        (SKEWED, SKEWED[None], r"not \(3, 3\) and \(1, 3, 3\)"),
        (SKEWED.expand(2, 3, 3), SKEWED.expand(3, 3, 3), r"not \(2, 3, 3\) and \(3, 3, 3\)"),
        (SKEWED[0], SKEWED[0], r"not \(3,\) and \(3,\)"),
        (SKEWED, 0 * SKEWED, "a kernel of zeros"),
    ],
)
def test_what_cannot_be_compared_is_named(k_hat, k, named):
    with pytest.raises(InputError, match=named):
        psf.distance(k_hat, k)


# ---- what looks wrong of a measured kernel


def test_a_kernel_with_a_background_or_off_its_middle_raises_doubts_and_no_other():
    for k in (psf.gaussian(2.0), psf.box(5), psf.disk(4.0), psf.motion(15, 30)):
        assert psf.doubts(k) == []
    k = psf.gaussian(2.0, 21)
    (doubt,) = psf.doubts((k + 0.2 / k.numel()) / 1.2)
    assert doubt.startswith("17% of its light lies evenly under it")
    (doubt,) = psf.doubts(k.roll((2, -3), (0, 1)))
    assert "-3.0 pixels to the right of its middle and +2.0 below" in doubt
    with pytest.raises(InputError, match="one kernel"):
        psf.doubts(k[None])
