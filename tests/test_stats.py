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


def width(interval):
    return interval.hi - interval.lo


def test_images_of_one_scene_say_nothing_of_others(rng):
    of_scenes = rng.normal(size=20)
    once = stats.bootstrap(*only_scenes(of_scenes))
    counts = 2 * np.arange(1, 21)  # images of each scene, whose mean is the one above
    values = np.repeat(of_scenes, counts) + np.tile([1, -1], counts.sum() // 2)
    more = stats.bootstrap(values, ["s"] * len(values), np.repeat(range(20), counts))
    assert (more.estimate, more.lo, more.hi) == pytest.approx((once.estimate, once.lo, once.hi))
    assert more.hi - more.estimate == pytest.approx(more.estimate - more.lo)


def test_counts_are_of_distinct_seeds_scenes_and_images():
    interval = stats.bootstrap(np.arange(12), ["s", "t", "u"] * 4, ["a"] * 6 + ["b"] * 6)
    assert (interval.n_seeds, interval.n_scenes, interval.n_images) == (3, 2, 4)


@pytest.mark.parametrize("n", [2, 5, 60])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_one_seed_agrees_with_students_interval(rng, n, confidence):
    values = rng.exponential(size=n)
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval(confidence)
    ours = stats.bootstrap(*only_scenes(values), confidence=confidence)
    assert ours.estimate == pytest.approx(values.mean())
    assert width(ours) == pytest.approx(theirs.high - theirs.low)
    assert ours.freedom == pytest.approx(n - 1)


def test_seeds_and_scenes_that_add_up_agree_with_welchs_interval():
    of_seeds, of_scenes = np.arange(3), 0.6 * np.arange(10)  # equally uncertain means
    welch = scipy.stats.ttest_ind(of_seeds, of_scenes, equal_var=False).confidence_interval()
    ours = stats.bootstrap(*crossed(of_seeds[:, None] + of_scenes))
    assert width(ours) == pytest.approx(welch.high - welch.low)


def resampled_means(rng, table, count=100_000):
    """Means of a table whose rows and columns are drawn anew, their spread widened by n - 1."""
    weights = []
    for n in table.shape:
        drawn = rng.multinomial(n, np.full(n, 1 / n), count)
        weights.append(1 / n + np.sqrt(n / max(n - 1, 1)) * (drawn - 1) / n)
    return np.einsum("rs,sn,rn->r", weights[0], table, weights[1], optimize=True)


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (3, 12), (5, 40)])
def test_the_standard_error_is_that_of_a_simulated_bootstrap(rng, shape):
    table = rng.normal(size=(shape[0], 1)) + rng.exponential(size=shape)
    simulated = resampled_means(rng, table).std()
    assert stats.standard_error(table) == pytest.approx(simulated, rel=0.015)


@pytest.mark.parametrize(("n_seeds", "n_scenes"), [(1, 3), (3, 50), (5, 10)])
def test_interval_covers_the_true_mean_as_often_as_it_says(rng, n_seeds, n_scenes):
    covered = 0
    for _ in range(300):
        of_seeds = rng.normal(size=(n_seeds, 1)) if n_seeds > 1 else 0
        table = 3 + of_seeds + rng.normal(size=n_scenes) + rng.normal(size=(n_seeds, n_scenes))
        interval = stats.bootstrap(*crossed(table))
        covered += interval.lo < 3 < interval.hi
    assert 0.9 < covered / 300 < 0.995


def test_order_of_rows_does_not_matter(rng):
    values, seeds, scenes = crossed(rng.normal(size=(3, 12)))
    order = rng.permutation(36)
    shuffled = stats.bootstrap(values[order], seeds[order], scenes[order])
    assert shuffled == stats.bootstrap(values, seeds, scenes)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_interval_and_p_value_over_seeds_are_students(rng, n):
    values = rng.normal(3, 0.5, n)
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    ours = stats.over_seeds(values.tolist(), 250)
    assert ours.estimate == pytest.approx(values.mean())
    assert (ours.lo, ours.hi) == pytest.approx((theirs.low, theirs.high))
    assert (ours.n_seeds, ours.n_scenes, ours.n_images, ours.freedom) == (n, 250, 250, n - 1)
    for value in (0, 2.8, values.mean() + 1e-3, 3.5):
        expected = scipy.stats.ttest_1samp(values, value).pvalue
        assert ours.p_value(value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n_seeds", [1, 4])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_at_the_ends_of_an_interval_the_p_value_is_what_it_leaves_out(rng, n_seeds, confidence):
    table = rng.normal(0.5, 1, (n_seeds, 3)) + np.arange(3) / 2
    interval = stats.bootstrap(*crossed(table), confidence=confidence)
    for end in (interval.lo, interval.hi):
        assert interval.p_value(end) == pytest.approx(1 - confidence)
    assert interval.p_value(interval.estimate) == 1


def between(lo, hi):
    return Interval((lo + hi) / 2, lo, hi, n_seeds=5, n_scenes=50, n_images=50)


def test_an_interval_of_many_freedoms_has_the_p_value_of_a_normal_mean():
    assert between(-1.96, 1.96).p_value(1) == pytest.approx(2 * scipy.stats.norm.sf(1), rel=1e-4)


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.1, 0.1, 0.1]])
def test_equal_values_have_an_interval_without_width(values):
    rows = crossed(np.tile(np.array(values)[:, None], (1, 4)))
    for interval in (stats.over_seeds(values, 1), stats.bootstrap(*rows)):
        assert width(interval) == pytest.approx(0, abs=1e-9)
        assert interval.p_value(interval.estimate) == 1
        assert interval.p_value(values[0] + 0.1) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("lo", "hi", "differs", "equivalent"),
    [
        (0.2, 0.4, "confirmed", "refuted"),
        (0.1, 0.4, "undecided", "undecided"),  # touches the margin
        (0.05, 0.4, "undecided", "undecided"),
        (-0.4, 0.1, "undecided", "undecided"),
        (-0.05, 0.1, "undecided", "undecided"),
        (-0.05, 0.05, "refuted", "confirmed"),  # a difference, if any, is less than the margin
        (-0.4, -0.1, "refuted", "undecided"),
        (-0.4, -0.2, "refuted", "refuted"),
    ],
)
def test_verdicts_of_a_margin_of_a_tenth_and_of_the_mirrored_interval(lo, hi, differs, equivalent):
    one, mirrored = between(lo, hi), between(-hi, -lo)
    assert stats.differs(one, 0.1) == stats.differs(mirrored, 0.1, expected=-1) == differs
    assert stats.equivalent(one, 0.1) == stats.equivalent(mirrored, 0.1) == equivalent


def test_p_values_are_those_of_scipy_and_1_of_equal_scores(rng):
    first = rng.normal(size=12)
    second = 0.7 * first + rng.normal(0.4, 0.3, 12)
    assert stats.p_values(first, second) == {
        "welch": scipy.stats.ttest_ind(first, second, equal_var=False).pvalue,
        "paired_t": scipy.stats.ttest_1samp(first - second, 0).pvalue,
        "wilcoxon": scipy.stats.wilcoxon(first - second).pvalue,
    }
    assert stats.p_values([1, 2], [1, 2]) == {"welch": 1, "paired_t": 1, "wilcoxon": 1}


def test_holm_on_a_worked_example():
    # sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which must not fall below the one before
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=50)
@given(p=st.lists(st.floats(0, 1), max_size=8), data=st.data())
def test_holm_only_raises_keeps_the_order_and_does_not_depend_on_it(p, data):
    adjusted = stats.holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    assert sorted(adjusted) == [adjusted[i] for i in np.argsort(p, kind="stable")]
    order = data.draw(st.permutations(range(len(p))))
    assert stats.holm([p[i] for i in order]) == [adjusted[i] for i in order]


def test_win_rate_counts_gains_above_0():
    assert stats.win_rate([0.3, -0.1, 0.0, 0.2, 1.0]) == 0.6


AB = ["a", "b"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: stats.bootstrap([1, 2, 3], [0, 0, 1], ["a", "b", "a"]), "equally many"),
        (lambda: stats.bootstrap([1, 2, 3], [0, 1, 1], ["a", "b", "b"]), "equally many"),
        (lambda: stats.bootstrap([1, 2], [0, 1], ["a", "a"]), "two scenes"),
        (lambda: stats.bootstrap([1, math.inf], [0, 0], AB), "finite"),
        (lambda: stats.bootstrap([1, 2], [0, 0, 0], AB), "2 values, 3 seeds and 2 scenes"),
        (lambda: stats.bootstrap([1, 2], [0, 0], ["a"]), "2 values, 2 seeds and 1 scenes"),
        (lambda: stats.bootstrap([], [], []), "0 values"),
        (lambda: stats.over_seeds([1.0], 1), "two finite"),
        (lambda: stats.over_seeds([1.0, math.nan], 1), "two finite"),
        (lambda: stats.differs(between(0, 1), -0.1), r"margin .* not -0\.1"),
        (lambda: stats.equivalent(between(0, 1), -0.1), r"margin .* not -0\.1"),
        (lambda: stats.p_values([1], [2]), "equally long"),
        (lambda: stats.p_values([1, 2], [1, 2, 3]), "equally long"),
        (lambda: stats.p_values([[1, 2]] * 2, [[1, 3]] * 2), "equally long"),
        (lambda: stats.holm([0.5, -0.1]), r"\[0, 1\]"),
        (lambda: stats.holm([0.5, 1.1]), r"\[0, 1\]"),
        (lambda: stats.holm([0.5, math.nan]), r"\[0, 1\]"),
        (lambda: stats.win_rate([]), "at least one"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
