"""Chapter 05: its recipes and what they compare, its rows, and its claims on drawn scores."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sets import write_pairs, write_set
from test_claims import assert_valid

from deblurlib import data, evaluation, models, runs, training
from deblurlib.errors import InputError
from deblurlib.places import MIXTURES
from deblurlib.runs import inputs
from deblurlib.studies import PROFILES, recipes, score
from deblurlib.studies.claims import judge
from deblurlib.studies.srn import claims, measuring, seeds_of
from deblurlib.studies.srn.claims import not_run
from deblurlib.studies.srn.measuring import LEFT_OUT, once, score_beyond, wanted
from deblurlib.studies.srn.recipes import ENCODED, LIGHT, WIDTHS

ROOT = Path(__file__).resolve().parents[1]
#: what a name says of an argument, where that is not its value
SAYS = {
    "one-scale": {"scales": 1},
    "two-scales": {"scales": 2},
    "no-recurrence": {"recurrence": "none"},
    "kernel-3": {"kernel": 3},
    "plain": {"shortcuts": False},
    "direct": {"residual": False},
}
#: the arms that differ in something else than the network
BESIDE = {
    "l1": {"loss"},
    "total-variation": {"loss_args"},
    "adversarial": {"rival"},
    "light": {"degradation"},
    "wide": {"model_args", "optimiser"},
}


def by_slug(profile, source="gopro", seed=0):
    return {r.name.removeprefix("05/"): r for r in recipes("05", profile, seed, source)}


def different(one, other):
    """The fields, but for the name, in which two recipes or two networks differ."""
    a, b = (each if isinstance(each, dict) else asdict(each) for each in (one, other))
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)} - {"name"}


@pytest.mark.parametrize("profile", PROFILES)
def test_an_arm_differs_from_the_whole_network_in_what_its_name_says(profile):
    found = by_slug(profile, "sample")
    for slug in found.keys() - {"whole", "srn", *WIDTHS}:
        wide = slug.startswith("wide-")
        arm, other = found[slug], found["wide" if wide else "whole"]
        assert different(other, arm) == BESIDE.get(slug, {"model_args"}), slug
        if slug not in BESIDE:
            (changed,) = different(other.model_args, arm.model_args)
            value = arm.model_args[changed]
            assert SAYS.get(slug.removeprefix("wide-"), {changed: value}) == {changed: value}
            assert slug.removeprefix("wide-") in SAYS or value in (slug, slug.partition("-")[2])
            assert changed == "between" if slug.startswith("between-") else changed != "between"
    assert found["light"].degradation == LIGHT
    assert found["wide"].model_args["width"] == 2 * found["whole"].model_args["width"]


def test_all_arms_of_a_seed_see_the_same_crops_and_but_for_light_the_same_blur():
    fabric, sharp = training.start_fabric(), data.open_images("sample", "train").first(2)

    def seen(slug, seed=0):
        pair_of = inputs.batches_of(by_slug("smoke", "sample", seed)[slug], sharp, fabric, 0)
        pairs = [pair_of(turn) for turn in range(2)]
        return torch.stack([p.y for p in pairs]), torch.stack([p.x for p in pairs])

    y, x = seen("whole")
    for slug in ("adversarial", "plain", "wide-one-scale", "light"):
        other_y, other_x = seen(slug)
        assert torch.equal(other_x, x)
        assert torch.equal(other_y, y) == (slug != "light")
    assert not torch.equal(seen("whole", 1)[1], x)


def test_most_arms_have_all_seeds_some_one_and_what_no_study_trains_none():
    seeds = {}
    for recipe in wanted("report", [4, 5, 6], "sample"):
        seeds.setdefault(recipe.name.removeprefix("05/"), []).append(recipe.seed)
    assert seeds.keys() == by_slug("report", "sample").keys() - set(LEFT_OUT)
    once_only = {"two-scales", "wide", "wide-no-recurrence"}
    for slug, found in seeds.items():
        assert found == seeds_of(slug, [4, 5, 6]) == ([4] if slug in once_only else [4, 5, 6])
    assert sum(map(len, seeds.values())) == 36


def test_the_recipes_are_those_of_the_published_runs():
    proof = json.loads((ROOT / "reports/results/05_proof.json").read_text())
    for seed in proof["seeds"]:
        for recipe in recipes("05", proof["profile"], seed, proof["data"]):
            ids = proof["recipes"][recipe.name]["runs"]
            assert recipe.run_id(proof["sets"][recipe.data]) == ids[str(seed)], recipe.name


# --- rows


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photographs, recorded pairs, and three runs."""
    folder = tmp_path_factory.mktemp("world")
    write_set(folder / "photos", ["train/a.png", "train/b.png"], 70, 70)
    write_set(folder / "photos" / "test", ["p.png", "q.png"], 85, 78)
    write_pairs(folder / "clips", ("z",), split="test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_DATA", str(folder))
        patch.setattr(measuring, "SCORING", {"protocols": ()})  # the rest needs larger images
        trained = [
            runs.train_or_load(
                replace(by_slug("smoke", "photos", seed)[slug], precision="32"),
                folder=folder / "runs",
                quiet=True,
            )
            for slug, seed in (("whole", 0), ("adversarial", 0), ("light", 0))
        ]
        yield SimpleNamespace(runs=trained, test=data.open_images("photos", "test"))


def test_beyond_its_own_blur_a_run_is_scored_on_the_other_cut_and_on_recorded_pairs(world):
    first, _, light = world.runs
    expected = {("clips", "recorded"), ("photos", LIGHT), ("photos-cut", ENCODED)}
    for run, places in ((first, expected), (light, {("clips", "recorded"), ("photos", ENCODED)})):
        rows = score_beyond(run, world.test, ["clips"])
        assert {(r["data"], r["degradation"]) for r in rows} == places
        assert len(rows) == 2 * 2 * len(places)  # images; the run and the identity
        own = [r for r in rows if r["method"] != "identity"]
        assert {(r["method"], r["run"], r["seed"]) for r in own} == {(run.recipe.name, run.id, 0)}
        assert len(own) == len(rows) / 2
        assert all((r["degradation"] == "recorded") != ("draw" in r) for r in rows)
    # the identity's scores, on the pairs that the labels name
    found = {evaluation.case_of(r): r["psnr"] for r in score_beyond(first, world.test, [])[::2]}
    assert len(found) == 4
    for label, setting, side in (("photos", LIGHT, None), ("photos-cut", ENCODED, 16)):
        cases = list(evaluation.cases_of_images(world.test, setting, 0))
        assert any(n % 16 for n in cases[0].y.shape[-2:])
        cut = [n // 16 * 16 if side else n for n in cases[0].y.shape[-2:]]
        cases = [
            replace(c, y=c.y[..., : cut[0], : cut[1]], x=c.x[..., : cut[0], : cut[1]])
            for c in cases
        ]
        for row in evaluation.evaluate([], cases):
            case = {"data": label, "channels": "rgb", "degradation": setting, "draw": 0}
            assert found[evaluation.case_of(case | row)] == row["psnr"]


@pytest.mark.parametrize("profile", ["smoke", "report"])
def test_new_runs_are_measured_beyond_their_own_blur_and_when_published_on_all(
    monkeypatch, world, profile
):
    by_name, asked = {run.recipe.name: run for run in world.runs}, []

    def scored(runs, test, **how):
        asked.append(test)
        return score(runs, world.test, **how)

    archive = SimpleNamespace(run=lambda recipe: by_name[recipe.name], score=scored)
    monkeypatch.setattr(measuring, "wanted", lambda *of: [run.recipe for run in world.runs])
    monkeypatch.setattr(measuring, "claims", lambda rows, data: [])
    monkeypatch.setattr(measuring, "PAIRS", ("clips",))
    rows, _, test = measuring.measure(archive, profile, [0], "photos")
    final = profile == "report"
    assert len(test) == (2 if final else 1)
    assert asked[0] is None if final else asked[0].names == test.names
    made = {("photos", ENCODED), ("photos", LIGHT), ("photos-cut", ENCODED)}
    assert {(r["data"], r["degradation"]) for r in rows} == made | (
        {("clips", "recorded")} if final else set()
    )
    assert all(r["psnr"] == float(f"{r['psnr']:.6g}") for r in rows if r["data"] != "photos")
    monkeypatch.setattr(measuring, "PAIRS", ("clips", "nowhere"))
    if final:
        with pytest.raises(InputError, match="recorded pairs of nowhere"):
            measuring.measure(archive, profile, [0], "photos")


def test_a_run_on_other_blur_than_the_study_s_is_scored_on_recorded_pairs_alone(world):
    run = world.runs[1]
    other = SimpleNamespace(
        id=run.id, model=run.model, recipe=replace(run.recipe, degradation="shake")
    )
    assert {r["data"] for r in score_beyond(other, world.test, ["clips"])} == {"clips"}


def test_of_rows_of_many_runs_the_identity_is_kept_once_a_case_and_all_else(world):
    rows = score(world.runs, world.test, **measuring.SCORING)
    for run in world.runs:
        rows += score_beyond(run, world.test, ["clips"])
    kept = once(rows)
    assert [r for r in kept if "run" in r] == [r for r in rows if "run" in r]
    cases = [evaluation.case_of(r) for r in kept if r["method"] == "identity"]
    assert len(set(cases)) == len(cases)
    assert set(cases) == {evaluation.case_of(r) for r in rows}


# --- claims

PLANTED = {"one-scale": -0.5, "rnn": -0.3, "gru": 0.3, "total-variation": 0.02, "l1": 0.4}
PLANTED |= {"adversarial": -0.6, "plain": -0.4, "no-recurrence": -0.2}
PLANTED |= {"wide": 0.8, "wide-one-scale": 0.1, "wide-no-recurrence": 0.6}


def drawn_rows(seeds=range(3), images=6):
    """Rows with what an arm is worth, what another blur or a cut costs it, and a little chance."""
    worth = {
        (slug, "photos", recipe.degradation): PLANTED.get(slug, 0.0)
        for slug, recipe in by_slug("report", "photos").items()
    }
    worth |= {("whole", "photos", LIGHT): -0.5, ("light", "photos", ENCODED): -0.7}
    worth["whole", "photos-cut", ENCODED] = -0.4
    places = {place[1:] for place in worth}
    worth |= {("identity", *place): -1.4 if "cut" in place[0] else -1.0 for place in places}
    chance, rows = np.random.default_rng(0), []
    for (slug, name, setting), gain in worth.items():
        for seed in [None] if slug == "identity" else seeds_of(slug, seeds):
            labels = {"method": slug}
            if seed is not None:
                labels = {"method": f"05/{slug}", "run": f"{slug}-{seed}", "seed": seed}
            labels |= {"data": name, "channels": "rgb", "degradation": setting}
            for i in range(images):
                psnr = 25 + i + gain + chance.normal(0, 1e-4)
                rows.append(labels | {"image": f"{i}.png", "psnr": psnr})
    return rows


def judged(rows):
    return {c["id"]: c for c in judge(claims(rows, "photos"), final=True)}


def test_claims_are_what_was_put_into_the_scores():
    found = judged(drawn_rows())
    expected = {
        "05a": (0.5, "confirmed"),
        "05ba": (0.3, "confirmed"),
        "05bb": (-0.3, "refuted"),
        "05ca": (0.02, "confirmed"),
        "05cb": (-0.6, "refuted"),
        "05d": (0.4, "confirmed"),
        "05e": (0.0, "confirmed"),
        "05f": (0.2, "confirmed"),
        "05ga": (0.7, "confirmed"),
        "05gb": (0.5, "confirmed"),
        "05ha": (0.2, "undecided"),  # of one seed
        "05hb": (0.0, "undecided"),
        "05i": (0.4, "confirmed"),
    }
    assert list(found) == list(expected)  # in order
    for id_, (estimate, verdict) in expected.items():
        assert found[id_]["estimate"] == pytest.approx(estimate, abs=1e-3), id_
        assert found[id_]["verdict"] == verdict, id_
    assert {id_ for id_, c in found.items() if c["origin"] == "ours"} == {
        *("05f", "05ga", "05gb", "05ha", "05hb", "05i")
    }


def test_a_seed_that_one_arm_lacks_is_left_out_of_what_is_said_of_it():
    whole = drawn_rows()
    found = judged([r for r in whole if (r["method"], r.get("seed")) != ("05/rnn", 1)])
    counts = {id_: claim["n_seeds"] for id_, claim in found.items()}
    once_only = dict.fromkeys(("05ha", "05hb"), 1)
    assert counts == dict.fromkeys(found, 3) | {"05ba": 2} | once_only
    assert found["05ba"]["estimate"] == pytest.approx(0.3, abs=1e-3)
    assert found["05ba"]["verdict"] == "undecided"


def test_of_a_claim_whose_arm_has_no_scores_at_all_the_name_is_told():
    for method in ("05/rnn", "05/wide"):
        with pytest.raises(InputError, match=r"claim 05[bh]a: nothing has both scores"):
            claims([r for r in drawn_rows() if r["method"] != method], "photos")


@pytest.mark.parametrize(
    ("profile", "name", "seeds", "verdicts"),
    [
        ("report", "bsds500", 3, {"confirmed", "refuted", "undecided"}),
        ("report", "bsds500", 2, {None}),
        ("report", "photos", 3, {None}),
        ("quick", "bsds500", 3, {None}),
    ],
)
def test_verdicts_are_of_the_final_study_alone_and_what_was_not_run_is_undecided(
    monkeypatch, world, profile, name, seeds, verdicts
):
    def score(runs, test, **how):
        drawn = drawn_rows(range(seeds))
        return [r | {"data": r["data"].replace("photos", name)} for r in drawn]

    archive = SimpleNamespace(run=lambda recipe: SimpleNamespace(recipe=recipe), score=score)
    monkeypatch.setattr(measuring, "open_images", lambda *of: world.test)
    rows, found, test = measuring.measure(archive, profile, list(range(seeds)), name)
    assert test.names == world.test.names
    assert rows[0]["method"] == "identity"
    assert {c["verdict"] for c in found} == verdicts
    ids = {c["id"]: c["verdict"] for c in found}
    assert {ids[c["id"]] for c in not_run()} == ({"undecided"} if len(verdicts) > 1 else {None})
    assert_valid(found, profile)


# --- trainings as published


def test_the_full_recipe_is_the_papers_training_on_gopro():
    recipe = asdict(by_slug("full")["srn"])
    expected = {
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": 1e-4},
        "schedule": {"name": "polynomial", "power": 0.3},
        "clip": {"norm": 3.0, "of": "recurrence."},
        "batch": 16,
        "crop": 256,
        "grey": 0,
        "model_args": {},  # the released code's network, which makes the image itself
        "degradation": None,  # recorded pairs
    }
    assert {key: recipe[key] for key in expected} == expected
    assert by_slug("full", "sample")["srn"].degradation == "s4-camera"
    assert recipe["steps"] * recipe["batch"] / 2103 == pytest.approx(2000, rel=0.005)  # epochs


def test_the_recipes_that_ship_differ_in_width_alone_and_are_made_as_the_weights_were():
    shipped, small = (asdict(by_slug("full")[slug]) for slug in ("shipped", "shipped-small"))
    assert small | {"name": shipped["name"], "model_args": shipped["model_args"]} == shipped
    config = json.loads((models.WEIGHTS / "srn" / "config.json").read_text())
    width = {"width": config["width"], "residual": config["residual"]}
    assert shipped["model_args"] == width
    # the log beside the weights: 10,362 steps of 32 crops of 176 pixels
    assert shipped["steps"] == pytest.approx(10_362, rel=0.01)
    expected = {"batch": 32, "crop": 176, "clip": {"norm": 0.5}, "ema": 0.9993}
    assert {key: shipped[key] for key in expected} == expected


def test_of_the_mixture_recorded_pairs_are_fourteen_of_thirty_two():
    pairs = ("gopro_scenes", "gopro_patches", "gopro_pairs", "gopro_more", "reds_small")
    mixture = MIXTURES["srn-mixture"]
    assert sum(mixture[name] for name in (*pairs, "imublur_two")) == 14
    assert sum(mixture.values()) == 32


def test_recorded_pairs_are_taken_as_they_are_and_all_other_images_are_shaken(
    tmp_path, save_picture, monkeypatch
):
    for side in ("blur", "sharp"):
        save_picture(tmp_path / "clips/train" / side / "a.png")
    save_picture(tmp_path / "photos/train/a.png")
    shutil.copytree(tmp_path / "photos", tmp_path / "home/gopro")  # of whatever name
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)

    def settings(source):
        return {r.degradation for r in by_slug("smoke", source).values()}

    made = {ENCODED, LIGHT, "snapshot"}
    for source in ("sample", "bsds500", "nowhere", "srn-mixture", str(tmp_path / "photos")):
        assert settings(source) == made
    for source in ("gopro", "gopro-gamma", f"mine={tmp_path / 'clips'}"):
        assert settings(source) == {None}
    assert settings(f"gopro={tmp_path / 'home/gopro'}") == made
