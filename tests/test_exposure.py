"""Exposures: averages, windows of frames, camera paths, homographies and warps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from moves import shift

from deblurlib import degrade, psf
from deblurlib.errors import InputError

AVERAGES = ["encoded", "light"]

over_averages = pytest.mark.parametrize("average", AVERAGES)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def camera(*path, focal=100.0):
    return degrade.homographies(torch.tensor(path, dtype=torch.float64), focal)


def test_gamma_is_undone(rand):
    x = rand(2, 3, 9, 8) * 3
    torch.testing.assert_close(degrade.encode_gamma(degrade.decode_gamma(x)), x)
    torch.testing.assert_close(degrade.decode_gamma(degrade.encode_gamma(x)), x)


def test_gamma_darkens_values_to_light_and_counts_less_than_0_as_0():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0])
    torch.testing.assert_close(degrade.decode_gamma(x), torch.tensor([0, 0, 0.5**2.2, 1]))
    torch.testing.assert_close(degrade.encode_gamma(x), torch.tensor([0, 0, 0.5 ** (1 / 2.2), 1]))


@over_averages
@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_exposure_of_equal_views_is_the_view(rand, count, average):
    x = rand(2, 3, 9, 8)
    torch.testing.assert_close(degrade.expose([x] * count, average), x)


@pytest.mark.parametrize(
    ("average", "mean"), [("encoded", 0.5), ("light", ((0.2**2.2 + 0.8**2.2) / 2) ** (1 / 2.2))]
)
def test_an_exposure_of_two_views(average, mean):
    views = [torch.full((1, 2), 0.2), torch.full((1, 2), 0.8)]
    torch.testing.assert_close(degrade.expose(views, average), torch.full((1, 2), mean))


@over_averages
def test_an_exposure_takes_views_one_by_one_and_leaves_them_as_they_are(rand, average):
    views = rand(5, 3, 9, 8)
    before = views.clone()
    from_generator = degrade.expose((v for v in views), average)
    assert torch.equal(from_generator, degrade.expose(list(views), average))
    assert torch.equal(views, before)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8))
def test_averaging_light_is_never_darker(values):
    views = torch.tensor(values, dtype=torch.float64)
    light, encoded = (degrade.expose(views, average) for average in ("light", "encoded"))
    assert light >= encoded - 1e-12
    assert views.min() - 1e-12 <= light <= views.max() + 1e-12


@pytest.mark.parametrize(
    ("views", "average", "named"),
    [
        ([], "light", "no view"),
        ([torch.ones(3, 4), torch.ones(3, 5)], "light", r"\(3, 5\) and \(3, 4\)"),
        ([torch.ones(3)], "linear", "'linear'.*encoded nor light"),
    ],
)
def test_wrong_views_are_named(views, average, named):
    with pytest.raises(InputError, match=named):
        degrade.expose(views, average)


@pytest.mark.parametrize(("length", "roll", "steps"), [(1, 0, 2), (12.5, 1, 31), (24, 0.3, 100)])
def test_a_camera_path_is_centred_bounded_and_of_the_length_asked_for(length, roll, steps):
    for seed in range(20):
        path = degrade.camera_shake(seeded(seed), length, roll, steps)
        assert path.shape == (steps, 3)
        torch.testing.assert_close(path[:, :2].mean(0), torch.zeros(2, dtype=torch.float64))
        assert path[:, 2].abs().max() <= roll * (1 + 1e-12)
        ways = path[:, :2].diff(dim=0).norm(dim=1)
        assert ways.max() <= 1.1 * length / (steps - 1)
        assert steps < 30 or ways.sum() > 0.6 * length
        again = degrade.camera_shake(seeded(seed), length, roll, steps)
        assert torch.equal(path, again)


def test_a_camera_goes_from_end_to_end_of_the_trajectory_evenly():
    path = degrade.camera_shake(seeded(3), 15, 1)[:, :2]
    whole = psf.trajectory(seeded(3), 15)
    assert len(path) == 31
    expected = whole[np.linspace(0, len(whole) - 1, 31).round()]
    torch.testing.assert_close(path - path[0], expected - expected[0])


def test_a_camera_rolls_up_to_the_limit_and_slowly():
    for seed in range(20):
        roll = degrade.camera_shake(seeded(seed), 10, 2.0, 201)[:, 2]
        assert roll.abs().max() > 1.9
        assert roll.diff().abs().max() < 0.3
    assert not degrade.camera_shake(seeded(0), 10, 0)[:, 2].any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((10, 1, 1), "not 1"),
        ((10, -1), "not -1"),
        ((10, math.nan), "nan"),
        ((0, 1), "length.*not 0"),
    ],
)
def test_a_wrong_camera_is_named(arguments, named):
    with pytest.raises(InputError, match=named):
        degrade.camera_shake(seeded(0), *arguments)


@pytest.mark.parametrize("focal", [0, -5, math.nan])
def test_a_focal_length_must_be_positive(focal):
    with pytest.raises(InputError, match=f"not {focal}"):
        camera((0, 0, 0), focal=focal)


def test_a_camera_at_rest_moves_nothing(rand):
    x = rand(2, 3, 9, 8)
    (h,) = camera((0, 0, 0))
    torch.testing.assert_close(h, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(degrade.warp(x, h), x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", [(3, -5, 0), (-40, 20, 0), (5, -7, 1), (5, -7, -30), (0, 8, 90)])
@pytest.mark.parametrize("focal", [50, 1000])
def test_the_centre_goes_exactly_where_the_path_says(place, focal):
    (h,) = camera(place, focal=focal)
    assert h[:, 2].tolist() == pytest.approx([place[1], place[0], 1])  # of (0, 0, 1): the centre


@pytest.mark.parametrize("place", [(3, -5, 0), (-40, 20, 7), (0, 0, 33)])
def test_a_camera_only_turns(place):
    (h,) = camera(place, focal=70)
    k = torch.diag(torch.tensor([70, 70, 1.0], dtype=torch.float64))
    r = torch.linalg.inv(k) @ h @ k
    r = r / torch.linalg.det(r) ** (1 / 3)
    torch.testing.assert_close(r @ r.T, torch.eye(3, dtype=torch.float64))


def test_small_turns_hardly_distort_far_away():
    (h,) = camera((6, -4, 0), focal=1e6)
    torch.testing.assert_close(h, shift(6, -4), rtol=0, atol=1e-4)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
@pytest.mark.parametrize("size", [8, 9])
def test_roll_is_counter_clockwise_on_the_screen(rand, size, quarters):
    x = rand(2, 3, size, size)
    (h,) = camera((0, 0, 90 * quarters))
    expected = torch.rot90(x, quarters, (2, 3))
    torch.testing.assert_close(degrade.warp(x, h), expected, rtol=0, atol=1e-5)


def test_rolls_add_up():
    a, b, both = camera((0, 0, 20), (0, 0, 13), (0, 0, 33))
    torch.testing.assert_close(a @ b, both)


def test_views_that_are_bytes_are_refused_and_not_added_up_modulo_256():
    with pytest.raises(InputError, match="uint8"):
        degrade.expose([torch.full((3, 4, 4), 200, dtype=torch.uint8)] * 2, "encoded")


def test_a_path_without_roll_is_named():
    with pytest.raises(InputError, match=r"\(5, 2\)"):
        degrade.homographies(torch.zeros(5, 2), 100.0)
