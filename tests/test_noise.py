"""Noise and highlights: their size, and draws that depend on seed and index alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deblurlib import degrade, psf
from deblurlib.degrade.seeding import STREAMS
from deblurlib.errors import InputError

X = torch.zeros(2, 3, 6, 5)
NOISES = {"gaussian": (degrade.add_noise, 0.1), "photons": (degrade.add_shot_noise, 50)}

over_noises = pytest.mark.parametrize(("add", "level"), NOISES.values(), ids=NOISES.keys())


def test_generators_repeat():
    numbers = [torch.rand(5, generator=degrade.generator(3, 4, "crop")) for _ in range(2)]
    assert torch.equal(*numbers)


def test_streams_of_all_images_seeds_and_purposes_are_unrelated():
    each = [(seed, i, name) for seed in (0, 1, 2) for i in (0, 1, 2, 3) for name in STREAMS]
    drawn = [torch.randn(1024, generator=degrade.generator(*one)) for one in each]
    related = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(each))
    assert related.abs().max() < 0.2


def test_the_default_stream_is_that_of_the_blur():
    default = torch.rand(5, generator=degrade.generator(3, 4))
    assert torch.equal(default, torch.rand(5, generator=degrade.generator(3, 4, "blur")))


def test_gaussian_and_shot_noise_each_have_their_own_numbers():
    x = torch.full((1, 1, 100, 100), 0.5)
    gaussian, shot = (add(x, level, 0, [0]) - x for add, level in NOISES.values())
    blur = torch.randn(100 * 100, generator=degrade.generator(0, 0)).view_as(x)
    related = torch.corrcoef(torch.stack([gaussian, shot, blur]).flatten(1)) - torch.eye(3)
    assert related.abs().max() < 0.05
    again = torch.randn(x.shape[1:], generator=degrade.generator(0, 0, "noise"))
    torch.testing.assert_close(gaussian, 0.1 * again[None], rtol=0, atol=1e-6)
    counts = torch.poisson(50 * x[0], degrade.generator(0, 0, "shot noise"))
    torch.testing.assert_close(shot, counts[None] / 50 - x)


@over_noises
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_noise_depends_neither_on_the_batch_nor_on_order(rand, add, level, batch):
    x, index = rand(5, 3, 9, 8), [5, 0, 9, 2, 100]
    levels = [level * (1 + i) for i in range(5)]
    whole = add(x, levels, 3, index)
    for i in range(0, 5, batch):
        one = slice(i, i + batch)
        assert torch.equal(add(x[one], levels[one], 3, index[one]), whole[one])
    assert torch.equal(add(x.flip(0), levels[::-1], 3, index[::-1]), whole.flip(0))


@over_noises
def test_another_seed_or_index_gives_other_noise(add, level):
    x = torch.full((1, 1, 9, 9), 0.5)
    drawn = [add(x, level, *key) for key in ((0, [0]), (1, [0]), (0, [1]), (0, [2**60]))]
    for i, a in enumerate(drawn):
        assert all(not torch.equal(a, b) for b in drawn[:i])


@over_noises
def test_noise_keeps_its_input_and_its_precision(rand, add, level):
    x = rand(2, 3, 9, 8).double()
    before = x.clone()
    assert add(x, level, 0, [0, 1]).dtype == torch.float64
    assert torch.equal(x, before)


@pytest.mark.parametrize("sigma", [0.01, 0.1, 1])
def test_noise_has_the_sigma_asked_for_and_no_bias(sigma):
    noise = degrade.add_noise(torch.full((1, 3, 200, 200), 0.5), sigma, 0, [0]) - 0.5
    assert noise.std().item() == pytest.approx(sigma, rel=0.01)
    assert noise.mean().abs() < 0.01 * sigma


def test_each_image_gets_its_own_sigma_and_is_not_clipped():
    y = degrade.add_noise(torch.ones(3, 3, 64, 64), [0.0, 0.1, 0.4], 0, [7, 8, 9])
    assert y.std((1, 2, 3)).tolist() == pytest.approx([0.0, 0.1, 0.4], rel=0.03)
    assert y.max() > 1.2


def test_no_noise_changes_nothing(rand):
    x = rand(2, 3, 9, 8) * 2 - 0.5
    assert torch.equal(degrade.add_noise(x, 0, 0, [0, 1]), x)
    assert torch.equal(degrade.add_shot_noise(x, math.inf, 0, [0, 1]), x)


@pytest.mark.parametrize("light", [0.02, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("photons", [5, 100, 3000.0])
def test_shot_noise_has_no_bias_and_the_variance_of_counting(light, photons):
    y = degrade.add_shot_noise(torch.full((1, 3, 200, 200), light), photons, 0, [0]).double()
    sigma = math.sqrt(light / photons)
    assert y.mean().item() == pytest.approx(light, abs=5 * sigma / math.sqrt(y.numel()))
    assert y.var().item() == pytest.approx(light / photons, rel=0.05)


def test_photons_are_counted_in_whole_numbers(rand):
    counts = 20 * degrade.add_shot_noise(rand(1, 3, 50, 50), 20, 0, [0])
    torch.testing.assert_close(counts, counts.round())
    assert counts.min() == 0
    assert counts.max() > 20  # nothing is clipped


def test_black_stays_black_and_less_than_black_counts_as_black():
    x = torch.tensor([0.0, -0.5]).view(1, 1, 1, 2).expand(1, 3, 10, 2)
    assert not degrade.add_shot_noise(x, 1000, 0, [0]).any()


def test_each_image_gets_its_own_photons():
    x = torch.full((3, 3, 100, 100), 0.5)
    y = degrade.add_shot_noise(x, [10, math.inf, 1000], 0, [7, 8, 9])
    assert torch.equal(y[1], x[1])
    assert y[0].var().item() == pytest.approx(0.05, rel=0.05)
    assert y[2].var().item() == pytest.approx(0.0005, rel=0.05)


values = st.floats(0, 1, width=32)


@given(
    x=st.lists(values, min_size=1, max_size=9), gain=st.floats(1, 20), threshold=st.floats(0, 0.98)
)
def test_highlights_change_nothing_up_to_the_threshold_and_darken_nothing(x, gain, threshold):
    x = torch.tensor(x)
    boosted = degrade.boost_highlights(x, gain, threshold)
    below = x <= threshold
    assert torch.equal(boosted[below], x[below])
    assert bool((boosted >= x).all())
    assert bool((boosted <= gain * x * (1 + 1e-6)).all())


@pytest.mark.parametrize("gain", [1, 2.5, 10])
@pytest.mark.parametrize("threshold", [0, 0.5, 0.9])
def test_highlights_rise_without_a_jump_to_the_gain(gain, threshold):
    x = torch.linspace(0, 1, 10001, dtype=torch.float64)
    boosted = degrade.boost_highlights(x, gain, threshold)
    steps = boosted.diff()
    assert steps.min() > 0
    steepest = gain + (gain - 1) / (1 - threshold)  # the derivative at 1
    assert steps.max() <= 1.0001 * steepest / 10000
    assert boosted[-1].item() == pytest.approx(gain)
    middle = (1 + threshold) / 2
    assert degrade.boost_highlights(torch.tensor(middle), gain, threshold).item() == pytest.approx(
        middle * (1 + gain) / 2, rel=1e-5
    )


def test_highlights_begin_at_nine_tenths_by_default():
    boosted = degrade.boost_highlights(torch.tensor([0.9, 0.95, 1.0]), 3)
    torch.testing.assert_close(boosted, torch.tensor([0.9, 1.9, 3.0]))


def test_highlights_beyond_1_get_the_whole_gain_and_no_more():
    assert degrade.boost_highlights(torch.tensor([1.5]), 4).item() == pytest.approx(6)


def test_a_lamp_lights_up_more_of_its_surroundings_where_it_was_clipped():
    x = torch.full((1, 1, 31, 31), 0.2)
    x[..., 14:17, 14:17] = 1
    k = psf.gaussian(2)
    plain = degrade.convolve(x, k).clamp(0, 1)
    lamp = degrade.convolve(degrade.boost_highlights(x, 8), k).clamp(0, 1)
    beside = (..., 15, slice(18, 22))
    assert bool((lamp[beside] > plain[beside] + 0.01).all())
    torch.testing.assert_close(lamp[..., 0, 0], plain[..., 0, 0])


@pytest.mark.parametrize(
    ("gain", "threshold"), [(0.9, 0.9), (math.nan, 0.9), (2, 1), (2, 1.2), (2, -0.1), (2, math.nan)]
)
def test_wrong_highlights_are_named(gain, threshold):
    with pytest.raises(InputError, match=f"{gain}, {threshold}"):
        degrade.boost_highlights(X, gain, threshold)


@pytest.mark.parametrize(
    ("sigma", "index", "named"),
    [
        (-0.1, [0, 1], "-0.1"),
        ([0.1, -0.2], [0, 1], "-0.2"),
        (math.nan, [0, 1], "nan"),
        (math.inf, [0, 1], "inf"),
        (0.1, [0], "1 indices .* 2 images"),
        ([0.1], [0, 1], "1 sigma .* 2 images"),
    ],
)
def test_wrong_noise_is_named(sigma, index, named):
    with pytest.raises(InputError, match=named):
        degrade.add_noise(X, sigma, 0, index)


@pytest.mark.parametrize(
    ("photons", "index", "named"),
    [
        (0, [0, 1], "not 0"),
        ([10, -2], [0, 1], "not -2"),
        (math.nan, [0, 1], "nan"),
        (10, range(3), "3 indices .* 2 images"),
        ([10] * 3, [0, 1], "3 photons .* 2 images"),
    ],
)
def test_wrong_photons_are_named(photons, index, named):
    with pytest.raises(InputError, match=named):
        degrade.add_shot_noise(X, photons, 0, index)


def test_an_unknown_stream_is_named():
    with pytest.raises(InputError, match=r"'bogus'.*shot noise"):
        degrade.generator(0, 0, "bogus")


def test_numbers_of_numpy_are_numbers():
    x = torch.zeros(2, 1, 3, 3)
    noisy = degrade.add_noise(x, np.float32(0.5), 0, [1, 2])
    assert torch.equal(noisy, degrade.add_noise(x, 0.5, 0, [1, 2]))


@pytest.mark.parametrize(
    "pair",
    [
        ((0, 5 + 2**32, "blur"), (0, 5, "noise")),
        ((1 + (2 << 32), 3, "blur"), (1, 2 + (3 << 32), "blur")),
        ((0, 1, "blur"), (1, 0, "blur")),
    ],
)
def test_large_seeds_and_indices_do_not_run_together(pair):
    first, second = (torch.rand(4, generator=degrade.generator(*key)) for key in pair)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1), (2**64, 0)])
def test_a_seed_out_of_range_is_named(seed, index):
    with pytest.raises(InputError, match="seed and index"):
        degrade.generator(seed, index)
