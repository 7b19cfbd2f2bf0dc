"""Verdicts on claims that were made up; test_study_srcnn has claims on losses and scores."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from test_report import valid

from deblurlib import report
from deblurlib.errors import InputError
from deblurlib.runs import Recipe
from deblurlib.studies import claims
from deblurlib.studies.claims import Claim, decibels, judge, losses, scores, validation_images


def of_seeds(values, sign=1, **options):
    """A claim on one value a seed, with a margin of 0.1 dB."""
    options = {"id": "02a", "quote": "It helps.", "estimand": "gain", "n_images": 250} | options
    return Claim(values=list(values), seeds=list(range(len(values))), sign=sign, **options)


def of_scenes(table, sign=1, **options):
    """A claim on a table of values: a row a seed, a column a scene."""
    seeds, scenes = np.indices(np.shape(table))
    options = {"id": "02b", "quote": "It helps.", "estimand": "gain"} | options
    options |= {"seeds": seeds.ravel().tolist(), "scenes": scenes.ravel().tolist()}
    return Claim(values=np.ravel(table).astype(float), sign=sign, **options)


def verdict(claim):
    (row,) = judge([claim], True)
    return row["verdict"]


@pytest.mark.parametrize(
    ("values", "expected"),  # of a claim of +, of - and of no difference
    [
        ([0.9, 1.0, 1.1], ("confirmed", "refuted", "refuted")),
        ([0.009, 0.01, 0.011], ("refuted", "refuted", "confirmed")),  # too small to count
        ([-1.0, 0.2, 1.4], ("undecided", "undecided", "undecided")),  # spread wide
        ([0.09, 0.1, 0.11], ("undecided", "refuted", "undecided")),  # at the margin
        ([1.0, 1.0001], ("undecided", "undecided", "undecided")),  # seeds too few
        ([1.0], ("undecided", "undecided", "undecided")),
    ],
)
def test_verdicts_of_values_and_of_their_negatives(values, expected):
    column = np.array(values)[:, None] + [-0.001, 0, 0.001]
    for sign, wanted in zip((1, -1, 0), expected, strict=True):
        for factor in (1, -1):
            assert verdict(of_seeds(factor * np.array(values), factor * sign)) == wanted
            assert verdict(of_scenes(factor * column, factor * sign)) == wanted


def test_of_methods_without_a_training_the_scenes_alone_decide_and_of_one_or_two_nothing():
    values = 0.5 + 0.2 * scipy.stats.zscore(np.arange(12.0))
    claim = of_scenes([values])
    methods = replace(claim, seeds=[None] * 12)
    two = replace(of_scenes([values] * 2), id="02c")
    rows = judge([methods, claim, two], True)
    assert [row["verdict"] for row in rows] == ["confirmed", "undecided", "undecided"]
    assert [row["n_seeds"] for row in rows] == [0, 1, 2]
    assert {(row["n_images"], row["n_scenes"]) for row in rows} == {(12, 12)}
    interval = scipy.stats.t.interval(0.95, 11, values.mean(), scipy.stats.sem(values))
    assert (rows[0]["lo"], rows[0]["hi"]) == pytest.approx(interval)
    for sign, expected in ((-1, "refuted"), (0, "refuted")):
        assert verdict(replace(methods, sign=sign)) == expected
    assert verdict(replace(methods, values=values - 0.4)) == "undecided"  # at the margin
    assert_valid(rows[:2], "report")
    assert_valid(judge([methods], False), "quick")


def test_a_source_s_own_tests_stand_beside_the_one_at_the_margin_and_decide_nothing():
    claim = of_seeds([0.9, 1.0, 1.2])
    (plain,), (own,) = (judge([c], True) for c in (claim, replace(claim, tests={"paired t": 0.9})))
    assert list(plain["tests"]) == ["t at the margin"]
    assert own == plain | {"tests": plain["tests"] | {"paired t": 0.9}}
    assert_valid([own], "report")
    assert "tests" not in judge([replace(claim, tests={"paired t": 0.9})], False)[0]


def test_one_scene_gives_no_interval():
    claim = of_scenes([[1.0], [1.1], [0.9]])
    assert claim.interval is None
    assert verdict(claim) == "undecided"


def test_scenes_that_differ_widely_leave_a_claim_undecided():
    table = np.ones((5, 1)) + np.array([-3, 0, 3])
    assert verdict(of_scenes(table)) == "undecided"
    assert verdict(of_seeds(table.mean(1))) == "confirmed"


@pytest.mark.parametrize(("n", "expected"), [(4, "undecided"), (5, None)])
@pytest.mark.parametrize(
    ("sign", "factor", "offset", "decided"),
    [
        (1, 1, 0.0999, "confirmed"),
        (-1, -1, -0.0999, "confirmed"),
        (1, -1, 0.1001, "refuted"),
        (0, 0.1, -0.1001, "confirmed"),
    ],
)
def test_of_four_seeds_each_must_agree_and_of_five_not(n, expected, sign, factor, offset, decided):
    of_seed = np.ones(n)
    of_seed[1] = 0  # on the other side of the margin, by a hair
    of_scene = scipy.stats.zscore(np.arange(60.0)) * np.sqrt(24 / n * of_seed.var(ddof=1))
    claim = of_scenes(offset + factor * (of_seed[:, None] + of_scene), sign)
    judge_it = claims.stats.differs if sign else claims.stats.equivalent
    assert judge_it(claim.interval, 0.1, *([sign] if sign else [])) == decided
    assert verdict(claim) == (expected or decided)


def just_decided(p, n=6):
    """Values of a claim whose test at the margin has a given p-value."""
    deviations = scipy.stats.zscore(np.arange(n), ddof=1)
    return 0.1 + scipy.stats.t.isf(p / 2, n - 1) / np.sqrt(n) + deviations


def test_holm_counts_all_claims():
    open_ones = [of_seeds(just_decided(0.5), id=f"03{c}") for c in "abcdefgh"]
    for p, among in ((0.04, "undecided"), (0.004, "confirmed")):
        claim = of_seeds(just_decided(p))
        (alone,) = judge([claim], True)
        assert alone["verdict"] == "confirmed"
        assert alone["p_adjusted"] == alone["tests"]["t at the margin"] == pytest.approx(p)
        first, *others = judge([claim, *open_ones], True)
        assert first["verdict"] == among
        assert first["p_adjusted"] == pytest.approx(9 * p)
        assert first["tests"]["t at the margin"] == pytest.approx(p)
        assert {other["verdict"] for other in others} == {"undecided"}


@pytest.mark.parametrize(
    ("values", "sign", "margin"),
    [
        ([0.3, 0.5, 0.8], 1, 0.1),
        ([-0.3, -0.5, -0.8], -1, -0.1),
        ([0.3, 0.5, 0.8], 0, 0.1),
        ([-0.3, -0.5, -0.8], 0, -0.1),  # on the estimate's side
        ([-0.3, -0.5, -0.8], 1, 0.1),  # on the claimed one
    ],
)
def test_the_p_value_is_at_the_margin(values, sign, margin):
    (row,) = judge([of_seeds(values, sign)], True)
    expected = scipy.stats.ttest_1samp(values, margin).pvalue
    assert row["tests"]["t at the margin"] == pytest.approx(expected)


def test_values_without_any_spread_are_judged():
    assert verdict(of_seeds([0.5] * 3)) == "confirmed"
    assert verdict(of_seeds([0.0] * 3, 0)) == "confirmed"
    assert verdict(of_seeds([0.0] * 3, 0, margin=0.0)) == "undecided"


def assert_valid(rows, profile):
    file, per_image = copy.deepcopy(valid())
    report.validate(file | {"claims": rows, "profile": profile}, per_image)


def test_rows_are_those_of_a_results_file_and_have_an_interval_and_a_verdict_only_if_final():
    made = [
        of_seeds([0.9, 1.0, 1.2]),
        of_scenes([[0.0, 0.2], [0.1, 0.1], [0.0, 0.3]], origin="ours"),
        of_seeds([1.0]),
    ]
    rows = judge(made, True)
    assert_valid(rows, "report")
    for row, claim in zip(rows, made, strict=True):
        for key in ("id", "origin", "quote", "estimand", "unit", "margin", "sign"):
            assert row[key] == getattr(claim, key)
    for row, claim in zip(rows[:2], made, strict=False):
        assert (row["lo"], row["hi"]) == (claim.interval.lo, claim.interval.hi)
        assert row["lo"] < row["estimate"] < row["hi"]
    assert (rows[2]["lo"], rows[2]["hi"]) == (None, None)
    counts = [(r["n_seeds"], r["n_images"], r["n_scenes"]) for r in rows]
    assert counts == [(3, 250, 250), (3, 2, 2), (1, 250, 250)]

    rows = judge(made, False)
    assert_valid(rows, "quick")
    assert [row["estimate"] for row in rows] == pytest.approx([3.1 / 3, 0.7 / 6, 1])
    for row in rows:
        assert (row["lo"], row["hi"], row["verdict"]) == (None, None, None)
        assert not {"tests", "p_adjusted"} & row.keys()
    assert judge([], True) == judge([], False) == []


def test_a_run_that_diverged_has_no_losses_from_then_on():
    recipe = Recipe("02/some", "srcnn", "sample", 7, 1, 9, every=2)  # rows at 2, 4, 6 and 7
    runs = [
        SimpleNamespace(recipe=replace(recipe, seed=seed), history=[{"val_loss": 0.5}] * length)
        for seed, length in enumerate((4, 1, 0))
    ]
    found = losses(runs)["some"]
    assert np.isfinite(found).tolist() == [[True] * 4, [True] + [False] * 3, [False] * 4]


def a_row(method, channels, degradation, seed, image, psnr):
    where = {"method": method, "channels": channels, "degradation": degradation}
    where |= {} if seed is None else {"seed": seed}
    return where | {"image": image, "psnr": psnr}


def test_scores_with_a_gap_or_one_twice_are_refused():
    places = [(s, i, b) for s in (0, 1) for i in "pq" for b in ("s1-box", "s1-motion")]
    rows = [a_row(f"02/{m}", "rgb", b, s, i, 20.0) for m in "ab" for s, i, b in places]
    rows += [a_row("identity", "rgb", b, None, i, 19.0) for s, i, b in places if s == 0]

    def without(method, **place):
        return [r for r in rows if r["method"] != method or place.items() - r.items()]

    for some, message in (
        (
            without("02/b", degradation="s1-box", seed=1, image="p"),
            "b on s1-box: no .* p with seed",
        ),
        (without("02/b", degradation="s1-motion", seed=0), "b on s1-motion: .* and 1 more"),
        (without("identity", degradation="s1-box", image="q"), "identity on s1-box: no score of q"),
        ([*rows, a_row("02/a", "rgb", "s1-motion", 1, "q", 21.0)], "two scores of q with seed 1"),
        ([*rows, a_row("02/a", "rgb", "s1-box", None, "q", 21.0)], "without a seed"),
    ):
        with pytest.raises(InputError, match=message):
            scores(some)


def test_decibels_are_how_much_lower_the_second_loss_is():
    found = decibels(np.array([2.0, 1.0, 0.1]), np.ones(3))
    assert found.tolist() == pytest.approx([3.0103, 0, -10], abs=1e-4)


@pytest.mark.parametrize(("holdout", "count"), [(0.25, 1), (0.75, 3)])
def test_validation_images_are_those_that_were_set_aside(holdout, count):
    recipe = Recipe("02/some", "srcnn", "sample", 2, 1, 9, degradation="s1-box", holdout=holdout)
    assert validation_images(SimpleNamespace(recipe=recipe)) == count
