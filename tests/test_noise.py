"""Noise and highlights: their size, and draws that depend on seed and index alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deblurlib import degrade
from deblurlib.degrade.seeding import STREAMS
from deblurlib.errors import InputError

NOISES = {"gaussian": (degrade.add_noise, 0.1), "photons": (degrade.add_shot_noise, 50)}

over_noises = pytest.mark.parametrize(("add", "level"), NOISES.values(), ids=NOISES.keys())


def test_streams_repeat_and_those_of_all_images_seeds_and_purposes_are_unrelated():
    each = [(seed, i, name) for seed in (0, 1, 2) for i in (0, 1, 2, 3) for name in STREAMS]
    # numbers of different lengths do not run together
    each += [(0, 5 + 2**32, "blur"), (0, 5, "noise")]
    each += [(1 + (2 << 32), 3, "blur"), (1, 2 + (3 << 32), "blur")]
    drawn = [torch.randn(1024, generator=degrade.generator(*one)) for one in each]
    related = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(each))
    assert related.abs().max() < 0.2
    assert torch.equal(torch.randn(1024, generator=degrade.generator(*each[0])), drawn[0])
    default = torch.randn(1024, generator=degrade.generator(0, 0))
    assert torch.equal(default, drawn[each.index((0, 0, "blur"))])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1, 0), "seed and index"),
        ((0, -1), "seed and index"),
        ((2**64, 0), "seed and index"),
        ((0, 2**64), "seed and index"),
        ((0, 0, "bogus"), r"'bogus'.*shot noise"),
    ],
)
def test_wrong_numbers_of_a_stream_are_named(arguments, named):
    with pytest.raises(InputError, match=named):
        degrade.generator(*arguments)


def test_gaussian_and_shot_noise_each_have_their_own_numbers():
    x = torch.full((1, 1, 100, 100), 0.5)
    gaussian, shot = (add(x, level, 0, [0]) - x for add, level in NOISES.values())
    again = torch.randn(x.shape[1:], generator=degrade.generator(0, 0, "noise"))
    torch.testing.assert_close(gaussian, 0.1 * again[None], rtol=0, atol=1e-6)
    counts = torch.poisson(50 * x[0], degrade.generator(0, 0, "shot noise"))
    torch.testing.assert_close(shot, counts[None] / 50 - x)


@over_noises
def test_noise_depends_neither_on_the_batch_nor_on_order(rand, add, level):
    x, index = rand(5, 3, 9, 8), [5, 0, 9, 2, 2**60]
    before, levels = x.clone(), [level * (1 + i) for i in range(5)]
    whole = add(x, levels, 3, index)
    for part in ([0], [1], [4], [2, 3], [4, 3, 2, 1, 0]):
        given = x[part], [levels[i] for i in part], 3, [index[i] for i in part]
        assert torch.equal(add(*given), whole[part])
    assert add(x.double(), levels, 3, index).dtype == torch.float64
    assert torch.equal(x, before)


@over_noises
def test_a_level_is_one_number_of_any_kind_or_one_an_image(rand, add, level):
    x = rand(2, 3, 4, 4)
    wanted = add(x, [level, level], 0, [3, 4])
    for given_level in (level, np.float32(level), torch.tensor([level, level])):
        torch.testing.assert_close(add(x, given_level, 0, [3, 4]), wanted)


def test_no_noise_changes_nothing(rand):
    x = rand(2, 3, 9, 8) * 2 - 0.5
    assert torch.equal(degrade.add_noise(x, 0, 0, [0, 1]), x)
    assert torch.equal(degrade.add_shot_noise(x, math.inf, 0, [0, 1]), x)


def test_each_image_gets_its_own_sigma_and_is_not_clipped():
    sigmas = [0.0, 0.1, 0.4]
    y = degrade.add_noise(torch.ones(3, 3, 200, 200), sigmas, 0, [7, 8, 9])
    assert y.std((1, 2, 3)).tolist() == pytest.approx(sigmas, rel=0.01)
    assert y.mean((1, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=0.004)


@pytest.mark.parametrize("light", [0.02, 0.3, 2.5])
def test_shot_noise_has_no_bias_and_the_variance_of_counting(light):
    x, photons = torch.full((4, 3, 100, 100), light), [5, 100, math.inf, 3000.0]
    y = degrade.add_shot_noise(x, photons, 0, range(4)).double()
    for image, n in zip(y, photons, strict=True):
        off = 5 * math.sqrt(light / n / image.numel()) + 1e-6
        assert image.mean().item() == pytest.approx(light, abs=off)
        assert image.var().item() == pytest.approx(light / n, rel=0.1, abs=1e-12)


def test_photons_are_counted_in_whole_numbers_and_less_than_black_counts_as_black(rand):
    x = rand(1, 3, 50, 50)
    counts = 20 * degrade.add_shot_noise(x, 20, 0, [0])
    torch.testing.assert_close(counts, counts.round())
    assert counts.max() > 20  # nothing is clipped
    assert not degrade.add_shot_noise(-x, 1000, 0, [0]).any()


@settings(max_examples=30)
@given(
    x=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9),
    gain=st.floats(1, 20),
    threshold=st.floats(0, 0.98),
)
def test_highlights_change_nothing_up_to_the_threshold_and_darken_nothing(x, gain, threshold):
    x = torch.tensor(x)
    boosted = degrade.boost_highlights(x, gain, threshold)
    below = x <= threshold
    assert torch.equal(boosted[below], x[below])
    assert bool((boosted >= x).all())
    assert bool((boosted <= gain * x * (1 + 1e-6)).all())


def test_highlights_rise_evenly_to_the_gain_and_no_further():
    for gain, threshold in ((1, 0.5), (2.5, 0), (10, 0.9)):
        middle = (1 + threshold) / 2
        x = torch.tensor([threshold, middle, 1, 1.5])
        factors = torch.tensor([1, (1 + gain) / 2, gain, gain])
        torch.testing.assert_close(degrade.boost_highlights(x, gain, threshold), x * factors)
    boosted = degrade.boost_highlights(torch.tensor([0.9, 0.95, 1.0]), 3)  # from 0.9 by default
    torch.testing.assert_close(boosted, torch.tensor([0.9, 1.9, 3.0]))


X, BOTH = torch.zeros(2, 3, 6, 5), [0, 1]


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (degrade.add_noise, ([0.1, -0.2], 0, BOTH), "-0.2"),
        (degrade.add_noise, (math.nan, 0, BOTH), "nan"),
        (degrade.add_noise, (math.inf, 0, BOTH), "inf"),
        (degrade.add_noise, (0.1, 0, [0]), "1 indices .* 2 images"),
        (degrade.add_noise, ([0.1], 0, BOTH), "1 sigma .* 2 images"),
        (degrade.add_shot_noise, (0, 0, BOTH), "not 0"),
        (degrade.add_shot_noise, ([10, -2], 0, BOTH), "not -2"),
        (degrade.add_shot_noise, (math.nan, 0, BOTH), "nan"),
        (degrade.add_shot_noise, (10, 0, range(3)), "3 indices .* 2 images"),
        (degrade.add_shot_noise, ([10] * 3, 0, BOTH), "3 photons .* 2 images"),
        (degrade.boost_highlights, (0.9, 0.9), "0.9, 0.9"),
        (degrade.boost_highlights, (math.nan, 0.9), "nan"),
        (degrade.boost_highlights, (2, 1), "2, 1"),
        (degrade.boost_highlights, (2, -0.1), "2, -0.1"),
        (degrade.boost_highlights, (2, math.nan), "nan"),
    ],
)
def test_wrong_numbers_are_named(make, arguments, named):
    with pytest.raises(InputError, match=named):
        make(X, *arguments)
