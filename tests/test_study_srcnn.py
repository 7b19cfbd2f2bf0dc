"""Chapter 02's recipes: two that are compared differ in what is compared, and in nothing else."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest

from deblurlib import models, runs
from deblurlib.studies import PROFILES, find_recipe, recipes, score, srcnn

BLURS = ("gaussian", "box", "motion")
NETWORKS = ("9-1-5", "9-3-1-5", "9-1-1-1-5")
RATES = {"1e-4": 1e-4, "5e-5": 5e-5}
KEPT = {f"{b}-{n}-{r}" for b in BLURS for n in NETWORKS for r in RATES}
over_profiles = pytest.mark.parametrize("profile", PROFILES)


def by_slug(profile):
    return {recipe.name.removeprefix("02/"): recipe for recipe in recipes("02", profile)}


def differing(one, other):
    """The fields in which two recipes differ, their names left out."""
    one, other = asdict(one), asdict(other)
    return {key for key in one if one[key] != other[key]} - {"name"}


def without(values, key):
    return {k: v for k, v in dict(values).items() if k != key}


def network(recipe):
    return models.build(recipe.model, recipe.model_args, 0)


@over_profiles
def test_all_of_the_chapter_is_here(profile):
    names = {*BLURS} | {f"{way}-{which}" for way in ("reset", "kept") for which in KEPT}
    names |= {f"colour-{b}" for b in BLURS} | {"reset-gaussian-matched", "reset-box-matched"}
    names |= {f"last-{b}-{part}" for b in BLURS for part in ("half", "tenth")}
    names |= {
        f"sgd-motion-{r}-{part}"
        for r in ("1e-5", "1e-4", "1e-3", "1e-2")
        for part in ("same", "tenth")
    }
    names |= {f"reach-{length}-{r}" for length in (5, 11, 15, 21, 31) for r in (13, 15, 17, 19)}
    names |= {"reach-15-shallow"}
    assert set(by_slug(profile)) == names
    assert len(names) == 79


@over_profiles
def test_no_network_of_the_chapter_is_padded(profile):
    assert all(recipe.model_args["padding"] is False for recipe in by_slug(profile).values())


@over_profiles
def test_to_keep_the_optimiser_changes_nothing_else(profile):
    found = by_slug(profile)
    for which in KEPT:
        reset, kept = found[f"reset-{which}"], found[f"kept-{which}"]
        shorter = {"steps"} if profile == "report" else set()
        assert differing(reset, kept) == {"reset", *shorter}
        assert kept.reset is None
        assert 1 < reset.reset < reset.steps
        assert reset.steps % reset.reset == kept.steps % reset.reset == 0
        # compared with the middle of the longer one: there must be a row
        assert kept.steps % reset.interval == 0
        assert reset.schedule == {"name": "constant"}


@over_profiles
@pytest.mark.parametrize("way", ["reset", "kept"])
def test_s1s_trainings_differ_in_blur_network_and_rate_as_their_names_say(profile, way):
    found = by_slug(profile)
    first = found[f"{way}-gaussian-9-1-5-1e-4"]
    for blur in BLURS:
        for layers in NETWORKS:
            for slug, rate in RATES.items():
                one = found[f"{way}-{blur}-{layers}-{slug}"]
                assert differing(first, one) <= {"degradation", "model_args", "optimiser"}
                assert one.degradation == f"s1-{blur}"
                assert one.model_args == {**first.model_args, "layers": layers}
                assert one.optimiser == {"name": "adam", "lr": rate}
                assert one.batch == 1


@over_profiles
def test_colour_and_matched_blurs_differ_from_s1_in_that_alone(profile):
    found = by_slug(profile)
    for blur in BLURS:
        reset, colour = found[f"reset-{blur}-9-1-5-1e-4"], found[f"colour-{blur}"]
        assert differing(reset, colour) == {"grey"}
        assert (reset.grey, colour.grey) == (3, 0)
    for blur in ("gaussian", "box"):
        matched = found[f"reset-{blur}-matched"]
        assert differing(found[f"reset-{blur}-9-1-5-1e-4"], matched) == {"degradation"}
        assert matched.degradation == f"s1-{blur}-matched"


@over_profiles
def test_the_chapters_own_trainings_differ_in_their_blur_alone(profile):
    found = by_slug(profile)
    for blur in BLURS:
        assert differing(found["motion"], found[blur]) <= {"degradation"}
        assert found[blur].degradation == f"s1-{blur}"
    assert found["motion"].model_args["residual"] is True
    assert found["motion"].schedule == {"name": "cosine"}


@over_profiles
@pytest.mark.parametrize(("slug", "factor"), [("half", 0.5), ("tenth", 0.1)])
def test_a_smaller_rate_in_the_last_layer_changes_nothing_else(profile, slug, factor):
    found = by_slug(profile)
    for blur in BLURS:
        kept, last = found[f"kept-{blur}-9-1-5-1e-4"], found[f"last-{blur}-{slug}"]
        assert differing(kept, last) == {"optimiser"}
        assert without(last.optimiser, "rates") == kept.optimiser
        assert last.optimiser["rates"] == {f"layers.{len(network(last).layers) - 1}": factor}


@over_profiles
def test_of_the_papers_trainings_two_differ_in_a_rate_alone(profile):
    found = by_slug(profile)
    first = found["sgd-motion-1e-4-same"]
    assert (first.loss, first.model_args["deviation"]) == ("euclidean", 1e-3)
    last = f"layers.{len(network(first).layers) - 1}"
    for slug, rate in {"1e-4": 1e-4, "1e-3": 1e-3, "1e-2": 1e-2}.items():
        for part, factor in {"same": 1.0, "tenth": 0.1}.items():
            one = found[f"sgd-motion-{slug}-{part}"]
            assert differing(first, one) <= {"optimiser"}
            assert one.optimiser == {**first.optimiser, "lr": rate, "rates": {last: factor}}


@over_profiles
def test_networks_of_growing_reach_meet_motions_of_growing_length(profile):
    found = by_slug(profile)
    first = found["reach-15-15"]
    for length in (5, 11, 15, 21, 31):
        for reach in (13, 15, 17, 19):
            one = found[f"reach-{length}-{reach}"]
            assert differing(first, one) <= {"degradation", "model_args"}
            assert without(without(one.model_args, "layers"), "dilation") == without(
                first.model_args, "layers"
            )
            assert one.degradation == ("s1-motion" if length == 15 else f"s1-motion-{length}")
            assert network(one).receptive_field == reach


def test_networks_that_reach_15_17_and_19_have_equally_many_parameters():
    found = by_slug("full")
    counts = {models.parameter_count(network(found[f"reach-5-{reach}"])) for reach in (15, 17, 19)}
    assert len(counts) == 1


def test_the_shallow_network_has_model_1s_parameters_and_a_reach_of_17():
    found = by_slug("report")
    shallow, first = found["reach-15-shallow"], found["reach-15-13"]
    assert network(shallow).receptive_field == 17
    assert models.parameter_count(network(shallow)) == models.parameter_count(network(first))
    different = {k for k, v in asdict(shallow).items() if v != asdict(first)[k]}
    assert different == {"name", "model_args"}


def test_the_headline_beats_doing_nothing_by_far_in_quick(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    run = runs.train_or_load(find_recipe("02/gaussian", "quick"))
    rows = score([run], **srcnn.SCORING)
    means = {
        method: sum(row["psnr"] for row in rows if row["method"] == method) / 3
        for method in ("identity", "02/gaussian")
    }
    assert means["02/gaussian"] > means["identity"] + 0.3


def test_only_the_chosen_trainings_with_sgd_are_scored():
    def run(name, last):
        recipe = found[name]
        history = [{"val_loss": last}] * (recipe.steps // recipe.interval)
        return SimpleNamespace(recipe=recipe, history=history)

    found = by_slug("report")
    ends = {"1e-5": 0.3, "1e-4": 0.2, "1e-3": 0.5, "1e-2": float("nan")}
    trained = [run(f"sgd-motion-{r}-same", v) for r, v in ends.items()]
    trained += [run(f"sgd-motion-{r}-tenth", 1 - v) for r, v in ends.items()]
    trained += [run(n, 1.0) for n in ("kept-box-9-1-5-1e-4", "last-box-half", "reach-5-13", "box")]
    names = {one.recipe.name for one in srcnn.scored(trained)}
    assert names == {
        "02/sgd-motion-1e-4-same",
        "02/sgd-motion-1e-3-tenth",
        "02/reach-5-13",
        "02/box",
    }
