"""Chapter 04: its recipes and what they compare; its claims on drawn scores and histories."""

from dataclasses import asdict, replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from test_claims import assert_valid

from deblurlib.models import build, parameter_count
from deblurlib.studies import PROFILES, gan, recipes
from deblurlib.studies.claims import judge
from deblurlib.studies.gan.claims import LOST, OF_SCORES
from deblurlib.studies.gan.measuring import wanted

#: what a claim compares, where that is more than one field, or another than the rival or the model
MORE = {
    "04aa": {"steps"},
    "04ab": {"steps"},
    "04ac": {"steps"},
    "04ca": {"loss_args"},
    "04cb": {"loss_args"},
    "04cc": {"loss_args"},
    "04i": {"model_args", "loss_args"},
    "04j": {"loss_args"},
    "04bc": {"rival"},
    "04e": {"rival"},
    "04f": {"rival"},
}


def by_slug(profile, seed=0):
    return {r.name.removeprefix("04/"): r for r in recipes("04", profile, seed)}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_claim_compares_differs_in_that_alone(profile):
    found = by_slug(profile)
    for id_, _, _, first, second, *_ in OF_SCORES:
        one, other = asdict(found[first]), asdict(found[second])
        different = {key for key in one if one[key] != other[key]} - {"name"}
        compared = MORE.get(id_, {"model_args"})
        same = {"steps"} if profile == "smoke" else set()  # all lengths are one there
        assert different == compared - same, id_


def test_the_schedules_turns_are_those_that_they_are_named_after():
    found = by_slug("report")
    for name, updates in gan.SCHEDULES.items():
        turns = found[name].rival.turns
        assert (turns.count("model"), turns.count("critic")) == (updates, 1)
    steps = [found[name].steps for name in gan.LENGTHS]
    assert [later / before for before, later in pairwise(steps)] == [2, 2, 2]


def test_s3s_losses_weigh_alike_its_values_are_an_arm_and_all_rates_are_constant():
    found = by_slug("report")
    source = found["source"]
    assert (source.loss, source.loss_args, source.model_args) == ("ssim-and-l1", {}, {"width": 16})
    assert (source.rival.model, source.rival.loss) == ("flat", "non-saturating")
    assert (source.rival.weight, source.rival.turns) == (1, ("model",) * 3 + ("critic",))
    assert (source.reduce, source.square, source.boundary) == (64, True, "reflect")
    assert source.degradation == "s3-mixture"
    assert source.optimiser == {"name": "adam", "lr": 3e-3}
    assert source.rival.optimiser == {"name": "adam", "lr": 3e-5}
    assert {source.schedule["name"], source.rival.schedule["name"]} == {"constant"}
    assert (source.steps, source.batch) == (2_000, 16)
    assert (found["wide"].steps, found["wide"].batch) == (8_000, 32)
    for slug, output in (("imagenet-bounded", "sigmoid"), ("imagenet", "linear")):
        standardised = {"width": 16, "values": "imagenet", "output": output}
        assert found[slug].model_args == standardised
        assert found[slug].loss_args == {"values": "imagenet"}


def test_a_network_without_skips_has_a_wider_one_with_as_many_weights_or_more():
    found = by_slug("report")
    count = {
        name: parameter_count(build(r.model, r.arguments, 0))
        for name, r in found.items()
        if name in ("source", "no-skips", "no-skips-wider", "wide")
    }
    assert count["no-skips"] < count["source"] < count["no-skips-wider"]
    assert count["wide"] == 6_092_387


def test_most_arms_have_all_seeds_some_three_and_those_that_choose_or_are_wide_one():
    seeds = {}
    for recipe in wanted("report", [*range(5)], "sample"):
        seeds.setdefault(recipe.name.removeprefix("04/"), []).append(recipe.seed)
    counts = {name: len(found) for name, found in seeds.items()}
    assert (counts["source"], counts["imagenet"], counts["wide"], counts["critic-1e-3"]) == (
        5,
        3,
        1,
        1,
    )
    assert seeds.keys() == by_slug("report").keys()


def drawn_rows(worth, seeds=range(5), images=4):
    """Rows in which all scores of a method are what it is worth, and a little chance."""
    chance = np.random.default_rng(0)
    keys = {key for _, _, key, *_ in OF_SCORES}
    return [
        {"method": f"04/{name}", "seed": seed, "image": f"{i}"}
        | {key: gain + chance.normal(0, 1e-4) for key in keys}
        for name, gain in worth.items()
        for seed in seeds
        for i in range(images)
    ]


def drawn_run(name, seed, accuracy, psnr=20.0, ending="done"):
    recipe = by_slug("smoke", seed)[name]
    history = [{"critic_accuracy": value, "val_psnr": psnr} for value in accuracy]
    metrics = {"ending": ending, "val_psnr_identity": 26.0}
    return SimpleNamespace(recipe=recipe, history=history, metrics=metrics)


def test_claims_are_what_was_put_into_the_scores_and_the_histories():
    worth = dict.fromkeys(by_slug("smoke"), 20.0)
    worth |= {"ssim": 24.0, "fourfold": 21.0, "double": 20.5, "first-skip": 19.7}
    games = {"source": [0.9, 0.9, 0.2, 0.4], "one-to-one": [0.1, 0.1, 0.7, 0.9]}
    chance = np.random.default_rng(0).normal(0, 1e-3, 5)
    trained = [
        drawn_run(name, seed, np.array(curve) + chance[seed] * (name == "source"))
        for name, curve in games.items()
        for seed in range(5)
    ]
    claims = judge(gan.claims(trained, drawn_rows(worth)), final=True)
    judged = {claim["id"]: claim for claim in claims}
    expected = {"04aa": 0.5, "04ac": 1.0, "04ba": 0.5, "04bb": -0.2, "04db": 0.3, "04e": -4.0}
    for id_, value in expected.items():
        assert judged[id_]["estimate"] == pytest.approx(value, abs=2e-3), id_
        assert judged[id_]["verdict"] == "confirmed", id_
    assert judged["04f"]["verdict"] == "confirmed"  # a smaller distance is claimed
    assert judged["04i"]["verdict"] == "refuted"
    assert {c["id"] for c in claims if c["origin"] == "ours"} >= {"04e", "04f", "04g", "04j"}
    assert_valid(claims, "report")


def test_an_accuracy_is_of_the_second_half_and_of_turns_that_there_were():
    run = drawn_run("source", 2, [1.0, 1.0, np.nan, 0.25])
    plain = SimpleNamespace(recipe=replace(run.recipe, rival=None), history=[{"loss": 1.0}])
    assert gan.accuracies([run, plain]) == {"source": {2: 0.25}}


def test_a_training_is_lost_if_it_ends_far_below_doing_nothing_or_diverges():
    below = 26.0 - LOST
    for psnr, ending, expected in (
        (below + 0.1, "done", False),
        (below - 0.1, "done", True),
        (float("nan"), "done", True),
        (25.0, "diverged", True),
    ):
        assert gan.is_lost(drawn_run("source", 0, [0.5], psnr, ending)) is expected
