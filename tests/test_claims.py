"""Verdicts on claims that were made up, and the tables of losses and scores they are made of."""

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
from deblurlib.stats import Interval
from deblurlib.studies import claims
from deblurlib.studies.claims import Claim, decibels, judge, losses, scores, validation_images


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
    ("values", "sign", "expected"),
    [
        ([0.9, 1.0, 1.1], 1, "confirmed"),
        ([0.9, 1.0, 1.1], -1, "refuted"),
        ([0.9, 1.0, 1.1], 0, "refuted"),
        ([-0.9, -1.0, -1.1], 1, "refuted"),
        ([-0.9, -1.0, -1.1], -1, "confirmed"),
        ([-0.9, -1.0, -1.1], 0, "refuted"),
        ([0.009, 0.01, 0.011], 1, "refuted"),  # too small to count
        ([0.009, 0.01, 0.011], -1, "refuted"),
        ([0.009, 0.01, 0.011], 0, "confirmed"),
        ([-0.009, -0.01, -0.011], 0, "confirmed"),
        ([-1.0, 0.2, 1.4], 1, "undecided"),  # spread wide
        ([-1.0, 0.2, 1.4], -1, "undecided"),
        ([-1.0, 0.2, 1.4], 0, "undecided"),
        ([0.09, 0.1, 0.11], 1, "undecided"),  # at the margin
        ([0.09, 0.1, 0.11], 0, "undecided"),
        ([1.0, 1.0001], 1, "undecided"),  # seeds too few
        ([1.0], 1, "undecided"),
    ],
)
def test_verdicts_of_values_of_seeds(values, sign, expected):
    assert verdict(of_seeds(values, sign)) == expected
    column = np.array(values)[:, None] + [-0.001, 0, 0.001]
    assert verdict(of_scenes(column, sign)) == expected


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


@pytest.mark.parametrize(("n", "expected"), [(3, "undecided"), (5, "confirmed")])
def test_of_three_seeds_each_must_agree_whatever_the_interval(monkeypatch, n, expected):
    sure = Interval(0.5, 0.4, 0.6, n, 250, 250, n - 1)
    monkeypatch.setattr(claims.stats, "over_seeds", lambda values, n_images: sure)
    assert verdict(of_seeds([0.0] + [0.6] * (n - 1))) == expected
    assert verdict(of_seeds([0.2] + [0.6] * (n - 1))) == "confirmed"


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


def test_the_p_value_is_at_the_margin_on_the_estimates_side():
    for values, sign in (([0.3, 0.5, 0.8], 1), ([-0.3, -0.5, -0.8], -1), ([0.3, 0.5, 0.8], 0)):
        (row,) = judge([of_seeds(values, sign)], True)
        expected = scipy.stats.ttest_1samp(np.abs(values), 0.1).pvalue
        assert row["tests"]["t at the margin"] == pytest.approx(expected)
    (row,) = judge([of_seeds([-0.3, -0.5, -0.8])], True)  # claimed of the other sign
    expected = scipy.stats.ttest_1samp([-0.3, -0.5, -0.8], 0.1).pvalue
    assert row["tests"]["t at the margin"] == pytest.approx(expected)


def test_values_without_any_spread_are_judged():
    assert verdict(of_seeds([0.5] * 3)) == "confirmed"
    assert verdict(of_seeds([0.0] * 3, 0)) == "confirmed"
    assert verdict(of_seeds([0.0] * 3, 0, margin=0.0)) == "undecided"


def both_kinds():
    return [
        of_seeds([0.9, 1.0, 1.2]),
        of_scenes([[0.0, 0.2], [0.1, 0.1], [0.0, 0.3]], origin="ours"),
    ]


def a_file(rows, profile):
    file, per_image = copy.deepcopy(valid())
    return file | {"claims": rows, "profile": profile}, per_image


def test_what_is_not_final_has_no_interval_and_no_verdict():
    rows = judge(both_kinds(), False)
    report.validate(*a_file(rows, "quick"))
    assert [row["estimate"] for row in rows] == pytest.approx([3.1 / 3, 0.7 / 6])
    for row in rows:
        assert (row["lo"], row["hi"], row["verdict"]) == (None, None, None)
        assert not {"tests", "p_adjusted"} & row.keys()


def test_final_rows_are_those_of_a_results_file():
    made = both_kinds()
    rows = judge(made, True)
    report.validate(*a_file(rows, "report"))
    for row, claim in zip(rows, made, strict=True):
        for key in ("id", "origin", "quote", "estimand", "unit", "margin"):
            assert row[key] == getattr(claim, key)
        assert (row["lo"], row["hi"]) == (claim.interval.lo, claim.interval.hi)
        assert row["lo"] < row["estimate"] < row["hi"]
    assert [row["origin"] for row in rows] == ["source", "ours"]
    assert [(r["n_seeds"], r["n_images"], r["n_scenes"]) for r in rows] == [
        (3, 250, 250),
        (3, 2, 2),
    ]


def test_a_single_seed_gives_rows_without_an_interval():
    (row,) = judge([of_seeds([1.0])], True)
    report.validate(*a_file([row], "report"))
    assert (row["lo"], row["hi"], row["n_seeds"]) == (None, None, 1)


def test_no_claims_are_no_rows():
    assert judge([], True) == judge([], False) == []


def fake_run(name, seed, history):
    recipe = Recipe(f"02/{name}", "srcnn", "sample", 2, 1, 9, seed=seed)
    return SimpleNamespace(recipe=recipe, history=[{"step": 1, "val_loss": v} for v in history])


def test_losses_are_a_row_a_seed_and_a_column_an_epoch(rng):
    tables = {"motion": rng.random((3, 4)), "reset-box": rng.random((3, 2))}
    runs = [fake_run(name, seed, t[seed]) for name, t in tables.items() for seed in range(3)]
    for order in (range(6), rng.permutation(6)):
        found = losses([runs[i] for i in order])
        assert found.keys() == tables.keys()
        for name, table in tables.items():
            np.testing.assert_array_equal(found[name], table)


def test_a_run_that_diverged_has_no_losses_from_then_on():
    recipe = Recipe("02/some", "srcnn", "sample", 7, 1, 9, every=2)  # rows at 2, 4, 6 and 7
    lengths = (4, 1, 0)
    runs = [
        SimpleNamespace(recipe=replace(recipe, seed=seed), history=[{"val_loss": 0.5}] * length)
        for seed, length in enumerate(lengths)
    ]
    found = losses(runs)["some"]
    assert found.shape == (3, 4)
    assert np.isfinite(found).sum(1).tolist() == [*lengths]
    assert np.isfinite(found[1, 0])


def a_row(method, channels, degradation, seed, image, psnr):
    where = {"method": method, "channels": channels, "degradation": degradation}
    where |= {} if seed is None else {"seed": seed}
    return where | {"image": image, "psnr": psnr, "blur_effect": -psnr}


def test_scores_are_a_row_a_seed_and_a_column_an_image(rng):
    images, seeds = ["test/a.png", "test/b.png"], [2, 3, 10]
    tables = {
        which: rng.normal(size=(1 if which[0] == "identity" else 3, 2))
        for which in [
            ("identity", "grey", "s1-box"),
            ("identity", "rgb", "s1-box"),
            ("02/colour-box", "rgb", "s1-box"),
            ("02/box", "grey", "s1-box"),
            ("02/box", "grey", "s1-motion"),
        ]
    }
    rows = [
        a_row(*which, seeds[s] if len(table) == 3 else None, image, table[s, i])
        for which, table in tables.items()
        for s in range(len(table))
        for i, image in enumerate(images)
    ]
    for order in (range(len(rows)), rng.permutation(len(rows))):
        shuffled = [rows[i] for i in order]
        found, effects = scores(shuffled), scores(shuffled, "blur_effect")
        expected = {
            ("identity", "s1-box, grey"): tables["identity", "grey", "s1-box"],
            ("identity", "s1-box"): tables["identity", "rgb", "s1-box"],
            ("colour-box", "s1-box"): tables["02/colour-box", "rgb", "s1-box"],
            ("box", "s1-box, grey"): tables["02/box", "grey", "s1-box"],
            ("box", "s1-motion, grey"): tables["02/box", "grey", "s1-motion"],
        }
        assert found.keys() == effects.keys() == expected.keys()
        for which, table in expected.items():
            np.testing.assert_array_equal(found[which], table)
            np.testing.assert_array_equal(effects[which], -table)


def test_scores_with_a_gap_or_one_twice_are_refused():
    places = [(s, i, b) for s in (0, 1) for i in "pq" for b in ("s1-box", "s1-motion")]
    rows = [a_row(f"02/{m}", "rgb", b, s, i, 20.0) for m in "ab" for s, i, b in places]
    rows += [a_row("identity", "rgb", b, None, i, 19.0) for s, i, b in places if s == 0]
    assert {len(table) for table in scores(rows).values()} == {1, 2}

    def without(method, **place):
        kept = [r for r in rows if r["method"] != method or place.items() - r.items()]
        assert len(kept) < len(rows)
        with pytest.raises(InputError) as error:
            scores(kept)
        return str(error.value)

    found = without("02/b", degradation="s1-box", seed=1, image="p")
    assert found == "b on s1-box: no score of p with seed 1, which others have"
    found = without("02/b", degradation="s1-motion", seed=0)
    assert found == "b on s1-motion: no score of p with seed 0 and 1 more, which others have"
    found = without("identity", degradation="s1-motion", image="q")
    assert found == "identity on s1-motion: no score of q, which others have"
    with pytest.raises(InputError, match="a on s1-motion: two scores of q with seed 1"):
        scores([*rows, a_row("02/a", "rgb", "s1-motion", 1, "q", 21.0)])
    with pytest.raises(InputError, match="a on s1-box: scores without a seed"):
        scores([*rows, a_row("02/a", "rgb", "s1-box", None, "q", 21.0)])


def test_decibels_are_how_much_lower_the_second_loss_is():
    assert decibels(np.array([2.0, 1.0, 0.1]), np.ones(3)).tolist() == pytest.approx(
        [3.0103, 0, -10], abs=1e-4
    )


@pytest.mark.parametrize(("holdout", "count"), [(0.25, 1), (0.5, 2), (0.75, 3)])
def test_validation_images_are_those_that_were_set_aside(holdout, count):
    recipe = Recipe("02/some", "srcnn", "sample", 2, 1, 9, degradation="s1-box", holdout=holdout)
    assert validation_images(SimpleNamespace(recipe=recipe)) == count
