"""Chapter 03: its recipes and controls, and its claims on scores and histories that were drawn."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_claims import assert_valid

from deblurlib import models
from deblurlib.edges import CANNY
from deblurlib.studies import PROFILES, edge, recipes
from deblurlib.studies.claims import judge
from deblurlib.studies.edge.claims import CIFAR_100, LOST
from deblurlib.studies.edge.measuring import wanted

over_profiles = pytest.mark.parametrize("profile", PROFILES)
#: two arms that are compared, and all in which they may differ
COMPARED = [
    ("zero", "blurred", {"model_args"}),
    ("zero", "sharp", {"model_args"}),
    ("zero", "predicted", {"model_args", "parts"}),
    ("zero", "deblurnet", {"model_args"}),
    ("deblurnet", "wider", {"model_args"}),
    ("joint", "unsupervised", {"model_args", "loss", "loss_args"}),
    ("predicted", "adversarial", {"parts"}),
    ("unet-wide", "unet-residual", {"model_args"}),
    ("unet", "unet-wide", {"model_args"}),
    ("unet-wide", "predicted", {"model", "model_args", "optimiser", "parts"}),
    *(("edges", name, {"rival"}) for name in edge.CRITICS),
    ("rate-3e-3-edges", "edges", set()),
]


def by_slug(profile, name="sample"):
    return {r.name.removeprefix("03/"): r for r in recipes("03", profile, data=name)}


def weights(recipe):
    return models.parameter_count(models.build(recipe.model, recipe.arguments, 0))


@over_profiles
@pytest.mark.parametrize(("first", "second", "different"), COMPARED)
def test_two_arms_that_are_compared_differ_in_what_is_compared(profile, first, second, different):
    found = by_slug(profile)
    one, other = asdict(found[first]), asdict(found[second])
    assert {k for k in one if one[k] != other[k]} - {"name"} == different


@over_profiles
def test_a_setting_changes_all_of_its_arms_alike_and_the_networks_that_they_stand_on(profile):
    found = by_slug(profile, "cifar10")
    blurs = edge.BLURS | {p: blur for p, (_, blur) in edge.SIZES_OF_IMAGES.items()}
    for prefix, blur in blurs.items():
        arms = [found[prefix + name] for name in ("deblurnet", "edges", "predicted", "sharp")]
        arms += [part for arm in arms for part in arm.parts.values()]
        fields = ("data", "degradation", "reduce", "crop", "batch", "steps", "boundary")
        assert len({tuple(getattr(arm, f) for f in fields) for arm in arms}) == 1, prefix
        assert arms[0].degradation == blur


def test_networks_of_equal_size_are_of_equal_size():
    found = by_slug("report")
    both = weights(found["deblurnet"]) + weights(found["edges"])
    for name in ("wider", "unet-wide", "unet-residual", "joint"):
        assert weights(found[name]) == pytest.approx(both, rel=0.02), name
    assert weights(found["unet"]) == pytest.approx(weights(found["deblurnet"]), rel=0.12)


def test_of_s2s_setting_the_blur_is_kept_and_losses_and_the_training_are_ours():
    found = by_slug("report", "cifar10")
    for slug in ("deblurnet", "edges", "predicted", "unet", "adversarial-edges"):
        one = found[slug]
        assert (one.degradation, one.boundary) == ("s2-gaussian", "reflect")
        assert (one.steps, one.batch, one.schedule["name"]) == (1_500, 8, "cosine")
        assert one.optimiser == {"name": "adam", "lr": 1e-3 if slug == "unet" else 3e-3}
        assert one.loss == ("edges" if slug.endswith("edges") else "mse")
    assert found["predicted"].parts == {"edges": found["edges"]}  # trained before, and apart
    assert found["edges"].loss_args == found["joint"].loss_args == CANNY
    for slug, weight in (("weak", 0.01), ("adversarial", 0.1), ("strong", 1), ("unbounded", 0.1)):
        rival = found[f"{slug}-edges"].rival
        assert (rival.model, rival.loss, rival.weight) == ("patch", "non-saturating", weight)
        assert rival.model_args["spectral"] is (slug != "unbounded")


def test_the_claimed_arms_of_the_main_setting_have_all_seeds_and_the_rest_three():
    seeds = {}
    for recipe in wanted("report", [*range(5)], "sample"):
        seeds.setdefault(recipe.name.removeprefix("03/"), []).append(recipe.seed)
    assert seeds["predicted"] == seeds["strong-edges"] == [0, 1, 2, 3, 4]
    assert seeds["noisy-predicted"] == seeds["unbounded-edges"] == [0, 1, 2]
    assert seeds["rate-1e-3-edges"] == [0]
    assert seeds.keys() == by_slug("report").keys()


def drawn_rows(worth, seeds=range(3), images=4):
    """Rows in which a method's PSNR is 20, what it is worth, and a little chance."""
    chance = np.random.default_rng(0)
    return [
        {"method": f"03/{name}", "seed": seed, "image": f"{i}", "psnr": 20 + gain + noise}
        for name, gain in worth.items()
        for seed in seeds
        for i in range(images)
        for noise in chance.normal(0, 1e-3, 1)
    ]


def drawn_runs(curves, seeds=range(3)):
    """Runs of EdgeNets, with the F-scores of their histories."""
    found = by_slug("smoke")
    return [
        SimpleNamespace(
            recipe=replace(found[name], steps=len(whole), every=1).with_seed(seed),
            history=[{"val_f": value} for value in curve],
        )
        for name, (curve, whole) in curves.items()
        for seed in seeds
    ]


@pytest.fixture
def measured():
    """Rows and runs in which predicted edges are worth 0.3 dB, and a critic costs 0.05 F."""
    worth = dict.fromkeys([r.name.removeprefix("03/") for r in recipes("03", "smoke")], 0.0)
    worth |= {"predicted": 0.3, "sharp": 0.9, "128-predicted": 0.5, "32-predicted": 0.1}
    steady, lower = [0.5] * 8, [0.45, 0.45, 0.45, 0.45, 0.45, 0.35, 0.55, 0.45]
    curves = {"edges": (steady, steady), "strong-edges": (lower, lower)}
    curves["weak-edges"] = (steady, steady)
    curves["adversarial-edges"] = (lower[:6], lower)  # it ended early
    return drawn_rows(worth), drawn_runs(curves)


def test_claims_are_what_was_put_into_the_scores(measured):
    rows, trained = measured
    judged = {c["id"]: c for c in judge(edge.claims(trained, rows), final=True)}
    expected = {"03f": 0.3, "03g": 0.3, "03j": 0.9, "03ba": 0.4, "03k": -0.3, "03i": 0.0}
    expected |= {"03cb": 0.05, "03ca": 0.5, "03ce": 0.0, "03d": 0.0}
    for name, value in expected.items():
        assert judged[name]["estimate"] == pytest.approx(value, abs=2e-3), name
    assert judged["03f"]["verdict"] == judged["03ba"]["verdict"] == "confirmed"
    assert judged["03i"]["verdict"] == judged["03k"]["verdict"] == "refuted"
    assert judged["03cd"]["estimate"] == pytest.approx(np.std([0.45, 0.35, 0.55, 0.45]), abs=1e-6)
    assert_valid([*judged.values(), CIFAR_100 | {"verdict": "undecided"}], "report")


def test_a_training_is_lost_if_it_ends_early_or_far_below(measured):
    _, trained = measured
    curves = edge.f_scores(trained)
    assert curves["adversarial-edges"][0].tolist()[-2:] == [0, 0]
    assert edge.lost(curves, "adversarial-edges") == 1
    assert edge.lost(curves, "strong-edges") == edge.lost(curves, "edges") == 0
    curves["strong-edges"][0, -1] = curves["edges"][0, -1] - LOST - 0.01
    assert edge.lost(curves, "strong-edges") == pytest.approx(1 / 3)
