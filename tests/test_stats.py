"""Intervals over seeds and scenes, verdicts, and the tests that papers name."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from deblurlib import stats
from deblurlib.errors import InputError
from deblurlib.stats import Interval


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def crossed(table):
    """The rows ``values, seeds, scenes`` of a table with a row a seed and a column a scene."""
    seeds, scenes = np.indices(table.shape)
    return table.ravel(), seeds.ravel(), scenes.ravel()


def only_scenes(values):
    return crossed(np.asarray(values, float)[None])


def test_mean_is_over_images_then_over_scenes():
    interval = stats.bootstrap([0, 0, 0, 4], [0] * 4, ["a", "a", "a", "b"])
    assert interval.estimate == 2
    assert interval.hi - 2 == 2 - interval.lo


def test_counts_are_of_distinct_seeds_scenes_and_images():
    seeds = ["s", "t", "u"] * 4
    scenes = ["a"] * 6 + ["b"] * 6
    interval = stats.bootstrap(np.arange(12), seeds, scenes)
    assert (interval.n_seeds, interval.n_scenes, interval.n_images) == (3, 2, 4)


def test_scenes_are_resampled(rng):
    interval = stats.bootstrap(*crossed(np.tile(rng.normal(size=50), (4, 1))))
    assert interval.hi - interval.lo == pytest.approx(2 * 1.96 / math.sqrt(50), rel=0.2)


def test_seeds_are_resampled(rng):
    interval = stats.bootstrap(*crossed(np.tile(rng.normal(size=(50, 1)), (1, 4))))
    assert interval.hi - interval.lo == pytest.approx(2 * 1.96 / math.sqrt(50), rel=0.2)


def test_images_of_one_scene_say_nothing_of_others(rng):
    scene_means = rng.normal(size=20)
    once = stats.bootstrap(*only_scenes(scene_means))
    tenfold = stats.bootstrap(np.repeat(scene_means, 10), [0] * 200, np.repeat(range(20), 10))
    assert (once.lo, once.hi) == pytest.approx((tenfold.lo, tenfold.hi))
    assert (once.n_images, tenfold.n_images) == (20, 200)


def test_width_shrinks_like_the_root_of_the_number_of_scenes(rng):
    widths = []
    for n in (25, 400):
        interval = stats.bootstrap(*only_scenes(rng.normal(size=n)))
        widths.append(interval.hi - interval.lo)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


def test_width_grows_with_confidence(rng):
    rows = only_scenes(rng.normal(size=100))
    widths = []
    for confidence in (0.5, 0.95):
        interval = stats.bootstrap(*rows, confidence=confidence)
        widths.append(interval.hi - interval.lo)
    normal = scipy.stats.norm.ppf(0.75) / scipy.stats.norm.ppf(0.975)
    assert widths[0] / widths[1] == pytest.approx(normal, rel=0.1)


@pytest.mark.parametrize(("n_seeds", "n_scenes"), [(1, 3), (1, 40), (3, 50), (5, 10), (20, 40)])
def test_interval_covers_the_true_mean_as_often_as_it_says(rng, n_seeds, n_scenes):
    covered = 0
    for _ in range(300):
        of_seeds = rng.normal(size=(n_seeds, 1)) if n_seeds > 1 else 0
        table = 3 + of_seeds + rng.normal(size=n_scenes) + rng.normal(size=(n_seeds, n_scenes))
        interval = stats.bootstrap(*crossed(table), n_resamples=300)
        covered += interval.lo < 3 < interval.hi
    assert 0.9 < covered / 300 < 0.995


@pytest.mark.parametrize("n", [2, 5, 60])
def test_one_seed_agrees_with_students_interval(rng, n):
    values = rng.exponential(size=n)
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    ours = stats.bootstrap(*only_scenes(values))
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.hi - ours.lo == pytest.approx(theirs.high - theirs.low, rel=0.03)


def test_seeds_and_scenes_that_add_up_agree_with_welchs_interval():
    of_seeds, of_scenes = np.arange(3), 0.6 * np.arange(10)  # equally uncertain means
    welch = scipy.stats.ttest_ind(of_seeds, of_scenes, equal_var=False).confidence_interval()
    rows = crossed(of_seeds[:, None] + of_scenes)
    ours = stats.bootstrap(*rows, n_resamples=100_000)
    assert ours.hi - ours.lo == pytest.approx(welch.high - welch.low, rel=0.01)


def test_order_of_rows_does_not_matter(rng):
    values, seeds, scenes = crossed(rng.normal(size=(3, 12)))
    order = rng.permutation(36)
    shuffled = stats.bootstrap(values[order], seeds[order], scenes[order])
    assert shuffled == stats.bootstrap(values, seeds, scenes)


def test_same_random_seed_gives_the_same_interval(rng):
    rows = only_scenes(rng.normal(size=30))
    assert stats.bootstrap(*rows) == stats.bootstrap(*rows)
    assert stats.bootstrap(*rows) != stats.bootstrap(*rows, rng_seed=1)


@pytest.mark.parametrize(
    ("values", "seeds", "scenes", "named"),
    [
        ([1, 2, 3], [0, 0, 1], ["a", "b", "a"], "every seed must have scored equally many"),
        ([1, 2, 3], [0, 1, 1], ["a", "b", "b"], "every seed must have scored equally many"),
        ([1, 2], [0, 1], ["a", "a"], "at least two scenes"),
        ([1, math.nan], [0, 0], ["a", "b"], "finite"),
        ([1, math.inf], [0, 0], ["a", "b"], "finite"),
        ([1, 2], [0, 0, 0], ["a", "b"], "2 values, 3 seeds and 2 scenes"),
        ([1, 2], [0, 0], ["a"], "2 values, 2 seeds and 1 scenes"),
        ([], [], [], "0 values"),
    ],
)
def test_rows_that_give_no_interval_are_refused(values, seeds, scenes, named):
    with pytest.raises(InputError, match=named):
        stats.bootstrap(values, seeds, scenes)


def test_paired_difference_is_the_bootstrap_of_the_difference(rng):
    first, seeds, scenes = crossed(rng.normal(size=(3, 12)))
    second = rng.normal(size=36)
    expected = stats.bootstrap(first - second, seeds, scenes, confidence=0.9)
    assert stats.paired_difference(first, second, seeds, scenes, confidence=0.9) == expected


def test_paired_difference_of_equal_scores_is_exactly_0(rng):
    scores, seeds, scenes = crossed(rng.normal(size=(3, 12)))
    interval = stats.paired_difference(scores, scores, seeds, scenes)
    assert (interval.estimate, interval.lo, interval.hi) == (0, 0, 0)


def test_scores_that_cannot_be_paired_are_refused():
    with pytest.raises(InputError, match="3 and 1 scores"):
        stats.paired_difference([1, 2, 3], [1], [0, 0, 0], ["a", "b", "c"])


def between(lo, hi):
    return Interval((lo + hi) / 2, lo, hi, n_seeds=5, n_scenes=50, n_images=50)


@pytest.mark.parametrize(
    ("lo", "hi", "expected", "verdict"),
    [
        (0.2, 0.4, 1, "confirmed"),
        (0.05, 0.4, 1, "undecided"),  # the difference may be less than the margin
        (0.1, 0.4, 1, "undecided"),  # touches it
        (-0.4, 0.1, 1, "undecided"),
        (-0.05, 0.05, 1, "refuted"),  # a difference, if any, is less than the margin
        (-0.4, -0.2, 1, "refuted"),
        (-0.4, -0.2, -1, "confirmed"),
        (-0.4, -0.1, -1, "undecided"),
        (-0.4, 0.05, -1, "undecided"),
        (-0.05, 0.05, -1, "refuted"),
        (0.2, 0.4, -1, "refuted"),
    ],
)
def test_verdict_on_a_difference(lo, hi, expected, verdict):
    assert stats.differs(between(lo, hi), 0.1, expected) == verdict


@pytest.mark.parametrize(
    ("lo", "hi", "verdict"),
    [
        (-0.05, 0.05, "confirmed"),
        (-0.1, 0.05, "undecided"),
        (-0.05, 0.1, "undecided"),
        (-0.2, 0.2, "undecided"),
        (0.05, 0.2, "undecided"),
        (0.2, 0.4, "refuted"),
        (-0.4, -0.2, "refuted"),
    ],
)
def test_verdict_on_no_difference(lo, hi, verdict):
    assert stats.equivalent(between(lo, hi), 0.1) == verdict


@pytest.mark.parametrize("judge", [stats.differs, stats.equivalent])
def test_a_negative_margin_is_refused(judge):
    with pytest.raises(InputError, match=r"not -0\.1"):
        judge(between(0, 1), -0.1)


def test_p_values_are_those_of_scipy(rng):
    first = rng.normal(size=12)
    second = 0.7 * first + rng.normal(0.4, 0.3, 12)
    assert stats.p_values(first, second) == {
        "welch": scipy.stats.ttest_ind(first, second, equal_var=False).pvalue,
        "paired_t": scipy.stats.ttest_1samp(first - second, 0).pvalue,
        "wilcoxon": scipy.stats.wilcoxon(first - second).pvalue,
    }


def test_p_values_of_equal_scores_are_1():
    assert set(stats.p_values([1, 2], [1, 2]).values()) == {1.0}


@pytest.mark.parametrize(
    ("first", "second"), [([1], [2]), ([1, 2], [1, 2, 3]), ([[1, 2]] * 2,) * 2]
)
def test_lists_that_cannot_be_tested_are_refused(first, second):
    with pytest.raises(InputError, match="equally long"):
        stats.p_values(first, second)


def test_holm_on_a_worked_example():
    # sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which must not fall below the one before
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p=st.lists(st.floats(0, 1), max_size=8), data=st.data())
def test_holm_properties(p, data):
    adjusted = stats.holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    assert sorted(adjusted) == [adjusted[i] for i in np.argsort(p, kind="stable")]
    order = data.draw(st.permutations(range(len(p))))
    assert stats.holm([p[i] for i in order]) == [adjusted[i] for i in order]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_p_value(p):
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        stats.holm([0.5, p])


def test_win_rate_counts_gains_above_0():
    assert stats.win_rate([0.3, -0.1, 0.0, 0.2, 1.0]) == 0.6
    with pytest.raises(InputError, match="at least one"):
        stats.win_rate([])


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_over_seeds_is_students(rng, n):
    values = rng.normal(3, 0.5, n)
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    ours = stats.over_seeds(values.tolist(), 250)
    assert ours.estimate == pytest.approx(values.mean())
    assert (ours.lo, ours.hi) == pytest.approx((theirs.low, theirs.high))
    assert (ours.n_seeds, ours.n_scenes, ours.n_images, ours.freedom) == (n, 250, 250, n - 1)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_p_value_is_that_of_students_test(rng, n):
    values = rng.normal(3, 0.5, n)
    for value in (0, 2.8, values.mean() + 1e-3, 3.5):
        theirs = scipy.stats.ttest_1samp(values, value).pvalue
        assert stats.over_seeds(values, 1).p_value(value) == pytest.approx(theirs, rel=1e-6)


numbers = st.floats(-10, 10).map(lambda x: round(x, 3))


@given(values=st.lists(numbers, min_size=2, max_size=6), value=numbers)
def test_the_p_value_is_below_5_percent_where_the_interval_over_seeds_excludes_it(values, value):
    assert agrees(stats.over_seeds(values, 1), value)


@settings(max_examples=40)
@given(seed=st.integers(0, 999), n=st.integers(1, 4), value=st.floats(-2, 2))
def test_the_p_value_is_below_5_percent_where_the_bootstraps_interval_excludes_it(seed, n, value):
    table = np.random.default_rng(seed).normal(0.5, 1, (n, 3)) + np.arange(3) / 2
    interval = stats.bootstrap(*crossed(table), n_resamples=50)
    assert agrees(interval, value)
    for near in (interval.lo, interval.hi):
        for factor in (0.98, 1.02):  # just within and just beyond its ends
            assert agrees(interval, interval.estimate + factor * (near - interval.estimate))


def agrees(interval, value):
    """Whether the p-value says what the interval does; at its very ends nothing is said."""
    if min(abs(value - end) for end in (interval.lo, interval.hi)) <= 1e-9:
        return True
    return (interval.p_value(value) < 0.05) == (not interval.lo < value < interval.hi)


def test_an_interval_of_many_freedoms_has_the_p_value_of_a_normal_mean():
    assert between(-1.96, 1.96).p_value(1) == pytest.approx(2 * scipy.stats.norm.sf(1), rel=1e-4)


def test_the_freedom_of_one_seeds_bootstrap_is_that_of_its_scenes(rng):
    assert stats.bootstrap(*only_scenes(rng.normal(size=12))).freedom == pytest.approx(11)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_an_interval_over_seeds_needs_two_finite_values(values):
    with pytest.raises(InputError, match="at least two finite values"):
        stats.over_seeds(values, 1)


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.1, 0.1, 0.1]])
def test_equal_values_have_an_interval_without_width(values):
    rows = crossed(np.tile(np.array(values)[:, None], (1, 4)))
    for interval in (stats.over_seeds(values, 1), stats.bootstrap(*rows)):
        assert interval.hi - interval.lo == pytest.approx(0, abs=1e-9)
        assert interval.p_value(interval.estimate) == 1
        assert interval.p_value(values[0] + 0.1) == pytest.approx(0, abs=1e-9)
