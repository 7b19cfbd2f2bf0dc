"""Chapter 02's claims, on losses and scores in which one effect at a time was planted."""

import copy
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from test_evaluation import write_set
from test_report import valid

from deblurlib import report, runs
from deblurlib.perception import MEASURES
from deblurlib.studies import PROFILES, find_recipe, recipes, srcnn
from deblurlib.studies.claims import judge

SEEDS = (0, 1, 2)
IMAGES = ("test/a.png", "test/b.png")
IDS = [
    *("02a", "02b", "02c", "02d", "02ea", "02eb", "02ec", "02ed", "02fa", "02fb", "02fc"),
    *("02gb", "02gc", "02gd", "02h", "02i", "02j", "02ka", "02kb", "02kc", "02l", "02m", "02n"),
]
BLURS = ("gaussian", "box", "motion")
TWICE = 10 * np.log10(2)  # dB


@pytest.fixture(scope="module")
def plain_recipes():
    return [recipe for seed in SEEDS for recipe in recipes("02", "report", seed, "faces")]


@pytest.fixture
def claims_of(plain_recipes, monkeypatch):
    """``claims_of(loss, psnr, looks)``: the chapter's, of what these say of each run.

    ``loss(name, epoch)`` is a factor, NaN where a run diverged. ``psnr(name, degradation)`` and
    ``noise(name, seed, image)`` are added to the PSNR. By how much a method looks better by a
    measure is ``looks(name, degradation)``; by the others, not at all.
    """
    monkeypatch.setattr(srcnn, "validation_images", lambda run: 250)

    def make(
        loss=lambda name, epoch: 1,
        psnr=lambda name, degradation: 0,
        looks=lambda name, degradation: 0,
        measure="gradient_similarity",
        noise=lambda name, seed, image: 0,
        order=None,
    ):
        trained, rows = [], {}
        for recipe in plain_recipes:
            name = recipe.name.removeprefix("02/")
            found = [0.01 * loss(name, e) for e in range(recipe.steps // recipe.interval)]
            history = [{"val_loss": value} for value in found if np.isfinite(value)]
            trained.append(SimpleNamespace(recipe=recipe, history=history, metrics={}))
        for recipe, image in product([run.recipe for run in srcnn.scored(trained)], IMAGES):
            where = {"data": "faces", "channels": "grey" if recipe.grey else "rgb"}
            where |= {"degradation": recipe.degradation, "draw": 0, "image": image}
            for method, seed in (("identity", None), (recipe.name, recipe.seed)):
                own = method.removeprefix("02/")
                kind = recipe.degradation + ", grey" * bool(recipe.grey)
                score = 20 + psnr(own, kind) + noise(own, seed or 0, image)
                like = {"psnr": score, **dict.fromkeys(MEASURES, 0.4)}
                like[measure] += MEASURES[measure].better * looks(own, kind)
                at = where if seed is None else where | {"seed": seed}
                rows[method, *at.values()] = {"method": method, **at, **like}
        rows = list(rows.values())
        if order is not None:
            trained = [trained[i] for i in order.permutation(len(trained))]
            rows = [rows[i] for i in order.permutation(len(rows))]
        return {claim.id: claim for claim in srcnn.claims(trained, rows)}

    return make


def effects(found):
    """The mean of each claim that is not 0."""
    means = {name: float(np.mean(claim.values)) for name, claim in found.items()}
    return {name: mean for name, mean in means.items() if abs(mean) > 1e-9}


def is_s1s(name):
    return name.startswith(("reset-", "kept-"))


def where(*parts):
    """A factor of 2 on the losses of S1's trainings whose name has one of the parts."""
    return lambda name, epoch: 1 + (is_s1s(name) and any(part in f"{name}-" for part in parts))


def test_where_all_is_equal_no_claim_finds_an_effect(claims_of):
    found = claims_of()
    assert sorted(found) == list(found) == IDS
    assert effects(found) == {}


LOSSES = {
    "rate": (where("-5e-5-"), {"02a": TWICE}),
    "the-other-rate": (where("-1e-4-"), {"02a": -TWICE, "02i": TWICE}),
    "still-falling": (
        lambda name, epoch: 1 if epoch >= 15 else 2,
        {"02b": TWICE},
    ),
    "fell-before": (lambda name, epoch: 2 if epoch < 10 else 1, {}),
    "last-of-one-rate": (
        lambda name, epoch: 1 + (is_s1s(name) and name.endswith("5e-5") and epoch < 15),
        {"02a": 10 * np.log10(35 / 20), "02b": TWICE},
    ),
    "model-3": (where("-9-1-1-1-5-"), {"02c": TWICE}),
    "model-2": (where("-9-3-1-5-"), {"02d": -TWICE, "02ea": -TWICE}),
    "model-2-on-two-blurs": (
        where("gaussian-9-3-1-5-", "box-9-3-1-5-"),
        {"02d": -TWICE * 2 / 3, "02fa": -TWICE / 3},
    ),
    "model-2-on-motion": (
        where("motion-9-3-1-5-"),
        {"02d": -TWICE / 3, "02ea": -TWICE, "02fa": TWICE / 3},
    ),
    "motion": (lambda name, epoch: 1 + ("motion" in name), {"02fa": TWICE}),
    "gaussian": (
        lambda name, epoch: 1 + ("gaussian" in name),
        {"02fa": -TWICE / 2, "02fb": TWICE},
    ),
    "box": (lambda name, epoch: 1 + ("box" in name), {"02fa": -TWICE / 2, "02fb": -TWICE}),
    "last-layer": (lambda name, epoch: 1 + ("-tenth" not in name), {"02i": TWICE}),
    "half-in-the-last-layer": (lambda name, epoch: 1 + ("-half" in name), {}),
    "reset": (lambda name, epoch: 1 + name.startswith("reset"), {"02l": TWICE}),
    "reset-after-the-kept-ones-ended": (lambda name, epoch: 1 if epoch < 10 else 5, {}),
    "one-reset-of-18": (
        lambda name, epoch: 1 + (name == "reset-box-9-3-1-5-1e-4"),
        {
            "02a": -TWICE / 9,
            "02d": -TWICE / 6,
            "02fa": -TWICE / 12,
            "02fb": -TWICE / 6,
            "02l": TWICE / 18,
        },
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_effects_on_the_losses_are_found_by_their_claims_alone(claims_of, case):
    loss, expected = LOSSES[case]
    assert effects(claims_of(loss)) == pytest.approx(expected)


def one(*names, by=1.0):
    """Something added to the scores of methods."""
    return lambda name, degradation: by * (name in names)


MODEL_2 = [f"reset-motion-9-3-1-5-{rate}" for rate in ("1e-4", "5e-5")]
SLOWEST = min(srcnn.SGD_RATES, key=float)  # chosen where all end alike
MODEL_3 = [f"reset-{blur}-9-1-1-1-5-1e-4" for blur in BLURS]
PSNR = {
    "matched": (one("reset-gaussian-matched", "reset-box-matched"), {"02fc": 1}),
    "one-matched": (one("reset-box-matched"), {"02fc": 0.5}),
    "motion": (
        one("reset-motion-9-1-5-1e-4"),
        {"02fc": -1, "02h": 1 / 3, "02m": -1 / 6, "02n": -1 / 6},
    ),
    "matched-identity": (
        lambda name, kind: (name, kind) == ("identity", "s1-gaussian-matched, grey"),
        {"02fc": -0.5},
    ),
    "motion-identity": (
        lambda name, kind: (name, kind) == ("identity", "s1-motion, grey"),
        {"02fc": 1, "02h": -1 / 3},
    ),
    "grey": (
        one(*(f"reset-{blur}-9-1-5-1e-4" for blur in BLURS[:2])),
        {"02h": 2 / 3, "02m": -1 / 3},
    ),
    "colour": (one(*(f"colour-{blur}" for blur in BLURS)), {"02h": -1}),
    "colour-identity": (lambda name, kind: name == "identity" and "grey" not in kind, {"02h": 1}),
    "reach-on-motion-of-15": (one("reach-15-19"), {"02ka": 1}),
    "less-reach-on-motion-of-15": (one("reach-15-15"), {"02ka": -1, "02kb": -1}),
    "reach-without-depth": (one("reach-15-shallow"), {"02kb": 1}),
    "reach-on-motion-of-5": (one("reach-5-19"), {"02kc": 1}),
    "less-reach-on-motion-of-5": (one("reach-5-15"), {"02kc": -1}),
    "other-reaches": (one("reach-15-17", "reach-15-13", "reach-11-19", "reach-31-15"), {}),
    "smaller-rates-and-other-networks": (
        one("reset-box-9-1-5-5e-5", *MODEL_2, *MODEL_3),
        {"02m": 1 / 6, "02n": -1 / 6},
    ),
    "model-2": (lambda name, kind: name.startswith("reset") and "-9-3-1-5-" in name, {"02m": 1}),
    "box": (lambda name, kind: name.startswith("reset-box-9"), {"02h": 1 / 3, "02n": 1}),
    "box-identity": (
        lambda name, kind: (name, kind) == ("identity", "s1-box, grey"),
        {"02h": -1 / 3, "02n": -1},
    ),
    "gaussian-identity": (
        lambda name, kind: (name, kind) == ("identity", "s1-gaussian, grey"),
        {"02h": -1 / 3},
    ),
    "the-chapters-own": (one("motion", "box", "gaussian"), {}),
    "sgd": (one(f"sgd-motion-{SLOWEST}-tenth"), {"02j": 1}),
    "sgd-with-one-rate": (one(f"sgd-motion-{SLOWEST}-same"), {"02j": -1}),
    "sgd-at-other-rates": (one("sgd-motion-1e-3-tenth", "sgd-motion-1e-2-same"), {}),
}


@pytest.mark.parametrize("case", PSNR)
def test_effects_on_the_psnr_are_found_by_their_claims_alone(claims_of, case):
    psnr, expected = PSNR[case]
    assert effects(claims_of(psnr=psnr)) == pytest.approx(expected)


LOOKS = {
    "model-2-on-motion": (one(*MODEL_2, by=0.02), {"02e": 0.02}),
    "model-2-elsewhere": (one("reset-box-9-3-1-5-1e-4"), {}),
    "model-1-on-motion": (one("reset-motion-9-1-5-5e-5", by=0.02), {"02e": -0.01}),
    "model-3-at-the-smaller-rate": (
        one(*(name.replace("1e-4", "5e-5") for name in MODEL_3), by=0.02),
        {"02g": 0.02, "02e": -0.01},
    ),
    "model-3-at-the-larger-rate": (one(*MODEL_3, by=-0.02), {"02g": 0.02}),
    "model-3-on-one-blur": (one(MODEL_3[0], by=0.03), {"02g": -0.01}),
}
LETTERS = {"gradient_similarity": "b", "blur_effect": "c", "spectrum_distance": "d"}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("case", LOOKS)
def test_effects_on_the_looks_are_found_by_their_claims_alone(claims_of, case, measure):
    looks, expected = LOOKS[case]
    expected = {name + LETTERS[measure]: mean for name, mean in expected.items()}
    assert effects(claims_of(looks=looks, measure=measure)) == pytest.approx(expected)


def test_claims_about_looks_have_the_unit_and_the_margin_of_their_measure(claims_of):
    own = {f"02{kind}{LETTERS[name]}": m for name, m in MEASURES.items() for kind in "eg"}
    for name, claim in claims_of().items():
        expected = (own[name].unit, own[name].margin) if name in own else ("dB", 0.1)
        assert (claim.unit, claim.margin) == expected


def test_which_claims_are_of_a_difference_and_which_of_none(claims_of):
    found = claims_of()
    assert [n for n, c in found.items() if c.sign == 0] == ["02b", "02d", "02ea", "02fb", "02kc"]
    assert {c.sign for c in found.values()} == {0, 1}
    ours = [name for name, claim in found.items() if claim.origin == "ours"]
    assert ours == ["02fc", "02i", "02j", "02ka", "02kb", "02kc", "02l"]


def test_rates_of_sgd_are_chosen_by_the_last_loss_on_the_validation_images(claims_of):
    def loss(name, epoch):
        if name == "sgd-motion-1e-2-tenth":
            return np.nan  # it diverged
        if name == "sgd-motion-1e-4-same":
            return 0.001 if epoch < 9 else 2  # lowest, but for the end
        return 0.5 if name in ("sgd-motion-1e-3-tenth", "sgd-motion-1e-2-same") else 1

    gains = {"sgd-motion-1e-3-tenth": 3, "sgd-motion-1e-2-same": 1}
    found = claims_of(loss, psnr=lambda name, kind: gains.get(name, -9 * ("sgd" in name)))
    assert effects(found) == pytest.approx({"02j": 2})


def test_values_keep_to_their_seed_and_image_whatever_the_order(claims_of):
    def noise(name, seed, image):
        return (name == "reach-15-19") * (seed + 10 * IMAGES.index(image))

    for order in (None, np.random.default_rng(0)):
        found = claims_of(noise=noise, order=order)
        claim = found["02ka"]
        assert claim.seeds == [0, 0, 1, 1, 2, 2]
        assert list(claim.scenes) == [*IMAGES] * 3
        assert claim.values.tolist() == pytest.approx([0, 10, 1, 11, 2, 12])
        assert list(found["02a"].seeds) == [*SEEDS]


def test_all_claims_are_judged_to_rows_of_a_results_file(claims_of):
    loss = where("-5e-5-")
    found = claims_of(lambda name, epoch: loss(name, epoch) * (1 + 1e-4 * len(name)))
    file, rows = copy.deepcopy(valid())
    for final, profile in ((True, "report"), (False, "quick")):
        judged = judge(list(found.values()), final)
        assert [row["id"] for row in judged] == IDS
        report.validate(file | {"claims": judged, "profile": profile}, rows)
    judged = {row["id"]: row for row in judge(list(found.values()), True)}
    assert judged["02a"]["verdict"] == "confirmed"
    assert judged["02ka"]["verdict"] == "refuted"
    assert judged["02kc"]["verdict"] == "confirmed"
    assert (judged["02a"]["n_seeds"], judged["02a"]["n_images"]) == (3, 250)
    assert (judged["02h"]["n_seeds"], judged["02h"]["n_images"]) == (3, 2)


def test_kept_and_last_and_the_worse_rates_of_sgd_are_not_scored(plain_recipes):
    lower = ("sgd-motion-1e-3-same", "sgd-motion-1e-2-tenth", "kept-box-9-1-5-1e-4")
    trained = []
    for recipe in plain_recipes:
        loss = 0.1 if recipe.name.removeprefix("02/") in lower else 1.0
        history = [{"val_loss": loss}] * (recipe.steps // recipe.interval)
        trained.append(SimpleNamespace(recipe=recipe, history=history))
    kept = srcnn.scored(trained)
    expected = []
    for run in trained:
        name = run.recipe.name.removeprefix("02/")
        if name in lower[:2] or name.partition("-")[0] not in ("kept", "last", "sgd"):
            expected.append(name)
    assert [run.recipe.name.removeprefix("02/") for run in kept] == expected
    assert sum(name.startswith("sgd") for name in expected) == 2 * len(SEEDS)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_training_that_is_ended_differs_in_its_steps_alone(profile):
    whole = find_recipe("02/reset-box-9-1-5-1e-4", profile)
    for epochs in (1, 2):
        some = srcnn.ended(whole, profile, epochs)
        assert some.steps == epochs * whole.reset <= whole.steps
        assert runs.Recipe(**{**vars(some), "steps": whole.steps}) == whole
    assert srcnn.ended(whole, profile, 10**6) == whole


def test_a_training_that_is_ended_is_the_beginning_of_the_whole(tmp_path, monkeypatch):
    write_set(tmp_path / "photos", ["train/a.png", "train/b.png"], 60, 60)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    whole = find_recipe("02/reset-box-9-1-5-1e-4", "smoke", data="photos")
    some = srcnn.ended(whole, "smoke", 1)
    beginning, all_of_it = (runs.train_or_load(r, folder=tmp_path) for r in (some, whole))
    assert len(beginning.history) == 1 < len(all_of_it.history)
    for key in ("step", "loss", "val_loss"):
        assert beginning.history[0][key] == all_of_it.history[0][key]
        assert np.isfinite(all_of_it.history[1][key])
