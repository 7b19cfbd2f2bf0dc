"""Exposures: averages of views, camera paths, homographies, warps and how far they reach."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from moves import path_of, shift

from deblurlib import degrade, psf
from deblurlib.degrade import exposure
from deblurlib.errors import InputError

over_averages = pytest.mark.parametrize("average", ["encoded", "light"])
over_boundaries = pytest.mark.parametrize("boundary", ["reflect", "zero"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def camera(*path, focal=100.0):
    return degrade.homographies(torch.tensor(path, dtype=torch.float64), focal)


def general():
    """A turn, a shear, a perspective and a shift, all in one."""
    return torch.tensor(
        [[0.95, 0.2, 3.3], [-0.15, 1.1, -1.7], [0.0004, -0.0008, 1.0]], dtype=torch.float64
    )


def from_corner(h, height, width):
    """The same homography for pixels counted from the top left corner."""
    to_centre = shift((1 - height) / 2, (1 - width) / 2)
    h = torch.linalg.inv(to_centre) @ h @ to_centre
    return (h / h[2, 2]).numpy()


def test_gamma_is_undone_and_counts_less_than_0_as_0(rand):
    x = rand(2, 3, 9, 8) * 3
    torch.testing.assert_close(degrade.encode_gamma(degrade.decode_gamma(x)), x)
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0])
    torch.testing.assert_close(degrade.decode_gamma(x), torch.tensor([0, 0, 0.5**2.2, 1]))
    torch.testing.assert_close(degrade.encode_gamma(x), torch.tensor([0, 0, 0.5 ** (1 / 2.2), 1]))


@over_averages
def test_an_exposure_takes_views_one_by_one_and_leaves_them_as_they_are(rand, average):
    views = rand(5, 3, 9, 8)
    before = views.clone()
    power = 2.2 if average == "light" else 1
    expected = (views**power).mean(0) ** (1 / power)
    torch.testing.assert_close(degrade.expose((v for v in views), average), expected)
    assert torch.equal(views, before)
    torch.testing.assert_close(degrade.expose(views[:1], average), views[0])


@pytest.mark.parametrize(
    ("views", "average", "named"),
    [
        ([], "light", "no view"),
        ([torch.ones(3, 4), torch.ones(3, 5)], "light", r"\(3, 5\) and \(3, 4\)"),
        ([torch.ones(3)], "linear", "'linear' is none of encoded, light"),
        ([torch.ones(3, dtype=torch.uint8)] * 2, "encoded", "uint8"),  # not added up modulo 256
    ],
)
def test_wrong_views_are_named(views, average, named):
    with pytest.raises(InputError, match=named):
        degrade.expose(views, average)


@pytest.mark.parametrize(("length", "roll", "steps"), [(1, 0, 2), (12.5, 1, 31), (24, 0.3, 100)])
def test_a_camera_path_is_the_trajectory_from_end_to_end_evenly(length, roll, steps):
    for seed in range(5):
        path = degrade.camera_shake(seeded(seed), length, roll, steps)
        assert path.shape == (steps, 3)
        torch.testing.assert_close(path[:, :2].mean(0), torch.zeros(2, dtype=torch.float64))
        assert path[:, 2].abs().max() <= roll * (1 + 1e-12)
        whole = psf.trajectory(seeded(seed), length)
        expected = whole[np.linspace(0, len(whole) - 1, steps).round().astype(int)]
        torch.testing.assert_close(path[:, :2] - path[0, :2], expected - expected[0])
        assert torch.equal(path, degrade.camera_shake(seeded(seed), length, roll, steps))
    assert len(degrade.camera_shake(seeded(0), length, roll)) == 31


def test_a_camera_rolls_up_to_the_limit_and_slowly():
    for seed in range(10):
        roll = degrade.camera_shake(seeded(seed), 10, 2.0, 201)[:, 2]
        assert roll.abs().max() > 1.9
        assert roll.diff().abs().max() < 0.3


@pytest.mark.parametrize("place", [(3, -5, 0), (-40, 20, 7), (5, -7, -30), (0, 8, 90), (0, 0, 0)])
@pytest.mark.parametrize("focal", [50, 1000])
def test_a_camera_only_turns_and_the_centre_goes_exactly_where_the_path_says(place, focal):
    (h,) = camera(place, focal=focal)
    assert h[:, 2].tolist() == pytest.approx([place[1], place[0], 1])  # of (0, 0, 1): the centre
    k = torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float64))
    r = torch.linalg.inv(k) @ h @ k
    r = r / torch.linalg.det(r) ** (1 / 3)
    torch.testing.assert_close(r @ r.T, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("quarters", [1, 2, -1])
@pytest.mark.parametrize("size", [8, 9])
def test_roll_is_counter_clockwise_on_the_screen(rand, size, quarters):
    x = rand(2, 3, size, size)
    (h,) = camera((0, 0, 90 * quarters))
    expected = torch.rot90(x, quarters, (2, 3))
    torch.testing.assert_close(degrade.warp(x, h), expected, rtol=0, atol=1e-5)


def test_rolls_add_up():
    a, b, both = camera((0, 0, 20), (0, 0, 13), (0, 0, 33))
    torch.testing.assert_close(a @ b, both)


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (degrade.camera_shake, (seeded(0), 10, 1, 1), "not 1"),
        (degrade.camera_shake, (seeded(0), 10, -1), "not -1"),
        (degrade.camera_shake, (seeded(0), 10, math.nan), "nan"),
        (degrade.camera_shake, (seeded(0), 0, 1), "length.*not 0"),
        (degrade.homographies, (torch.zeros(2, 3), 0), "not 0"),
        (degrade.homographies, (torch.zeros(2, 3), math.nan), "nan"),
        (degrade.homographies, (torch.zeros(5, 2), 100.0), r"\(5, 2\)"),  # without roll
        (degrade.homographies, (torch.zeros(3), 100.0), r"\(3,\)"),
        (degrade.warp, (torch.zeros(1, 1, 3, 3), torch.eye(3), "valid"), "'valid' is neither"),
        (degrade.warp, (torch.ones(1, 1, 4, 4).int(), torch.eye(3)), "floating-point"),
        (degrade.warp, (torch.zeros(1, 3, 3), torch.eye(3)), r"\(1, 3, 3\)"),
        (degrade.camera_shakes, ([seeded(0)] * 2, [1, 1], [0, -1]), "not -1"),
        (degrade.sweep, (torch.zeros(1, 1, 9, 9), path_of((0, 0))[None], "circular"), "'circular'"),
        (degrade.sweep, (torch.zeros(1, 1, 9, 9), path_of((0, 3))[None], "valid", 2), "reaches 3"),
        (degrade.sweep, (torch.zeros(1, 1, 9, 9), path_of((0, 3))[None], "valid", 5), "nothing of"),
    ],
)
def test_a_wrong_argument_is_named(make, arguments, named):
    with pytest.raises(InputError, match=named):
        make(*arguments)


@pytest.mark.parametrize(("boundary", "mode"), [("reflect", "mirror"), ("zero", "grid-constant")])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (30, 21)])
@pytest.mark.parametrize("h", [general(), shift(2.25, -30.5)], ids=["general", "shift"])
def test_a_warp_agrees_with_scipy(rand, h, height, width, boundary, mode):
    x = rand(2, 3, height, width)
    back = np.linalg.inv(from_corner(h, height, width))
    down, right = np.mgrid[:height, :width]
    right, down, scale = np.tensordot(back, np.stack([right, down, np.ones_like(down)]), 1)
    y = degrade.warp(x, h, boundary)
    for image, moved in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True):
        expected = scipy.ndimage.map_coordinates(
            image.numpy(), [down / scale, right / scale], order=1, mode=mode
        )
        np.testing.assert_allclose(moved, expected, atol=2e-5)


@over_boundaries
@pytest.mark.parametrize(("height", "width"), [(24, 31), (9, 2), (1, 1), (1, 6), (7, 1)])
def test_an_exposed_path_of_shifts_is_a_convolution(rand, height, width, boundary):
    path = psf.trajectory(seeded(4), 14.0, steps=40) + 0.7
    x = rand(2, 3, height, width)
    y = degrade.expose((degrade.warp(x, shift(*p), boundary) for p in path.tolist()), "encoded")
    expected = degrade.convolve(x, psf.from_path(path), boundary)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("boundary", "margin"), [("reflect", 0), ("zero", 0), ("valid", 5)])
@pytest.mark.parametrize("pixels", [1, 2**17])  # an image at a time, and all at once
def test_a_sweep_is_to_the_bit_the_exposure_of_its_warps(
    rand, monkeypatch, boundary, margin, pixels
):
    monkeypatch.setattr(exposure, "CACHED_PIXELS", pixels)
    x = rand(5, 3, 37, 41)
    paths = degrade.camera_shakes([seeded(i) for i in range(5)], [6.0] * 5, [0.5] * 5)
    h = degrade.homographies(paths, 100.0)
    around = "reflect" if boundary == "valid" else boundary
    expected = degrade.expose((degrade.warp(x, step, around) for step in h.unbind(1)), "encoded")
    inside = (..., slice(margin, 37 - margin), slice(margin, 41 - margin))
    assert torch.equal(degrade.sweep(x, h, boundary, margin), expected[inside])


@over_boundaries
def test_each_image_is_moved_by_its_own_homography(rand, boundary):
    x, h = rand(3, 2, 13, 12), torch.stack([general(), shift(1.5, 2), torch.eye(3).double()])
    one_by_one = torch.cat([degrade.warp(x[i : i + 1], h[i], boundary) for i in range(3)])
    assert torch.equal(degrade.warp(x, h, boundary), one_by_one)
    torch.testing.assert_close(one_by_one[2], x[2], rtol=0, atol=1e-6)


@over_boundaries
def test_precision_is_kept_and_half_of_it_is_computed_in_float32(rand, boundary):
    x, h = rand(1, 3, 64, 300), general()
    y = degrade.warp(x, h, boundary)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(degrade.warp(x, h, boundary), y)
    for dtype in (torch.float16, torch.bfloat16):
        half = x.to(dtype)
        expected = degrade.warp(half.float(), h, boundary).to(dtype)
        assert torch.equal(degrade.warp(half, h, boundary), expected)
    double = degrade.warp(x.double(), h, boundary)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), y, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("height", "width"), [(12, 17), (30, 21)])
def test_reach_is_the_furthest_way_of_the_light_of_any_pixel(height, width):
    smaller = torch.tensor([0.8, 0.7, 1.0], dtype=torch.float64).diag()
    turned = camera((20, -17, 8), focal=300)[0]
    every = [general(), torch.linalg.inv(general()), shift(-0.5, 7.3), smaller, turned]
    down, right = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    fars = []
    for h in every:
        back = np.linalg.inv(h.numpy())
        a, b, scale = np.tensordot(back, np.stack([right, down, np.ones_like(down)]), 1)
        fars.append(np.ceil(max(abs(a / scale - right).max(), abs(b / scale - down).max())))
        assert degrade.max_displacement(h, height, width) == fars[-1]
    assert degrade.max_displacement(torch.stack(every), height, width) == max(fars)
    for focal in (49.0, 100.0, 1000.0):
        assert degrade.max_displacement(camera((0, 0, 0), focal=focal), 32, 32) == 0  # at rest


@pytest.mark.parametrize(
    ("path", "pixels"), [([(0, -3.2), (1, 1)], 4), ([(-2.5, 2.9)], 3), ([(0, 0)], 0), ([(3, 0)], 3)]
)
def test_displacement_of_a_path_of_shifts(path, pixels):
    h = path_of(*path)
    assert degrade.max_displacement(h, 20, 31) == pixels
    assert degrade.max_displacement(torch.stack([h, h]), 20, 31) == pixels  # (B, T, 3, 3)
