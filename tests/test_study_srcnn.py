"""Chapter 02: its recipes, its claims on losses and scores that were drawn, and its anchor."""

import math
from dataclasses import asdict, replace
from fnmatch import fnmatch
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sets import write_set
from test_claims import assert_valid

from deblurlib import data, images, metrics, models, runs
from deblurlib.errors import InputError
from deblurlib.perception import MEASURES
from deblurlib.studies import PROFILES, find_recipe, recipes, score, srcnn
from deblurlib.studies.claims import judge
from deblurlib.studies.srcnn import super_resolution
from deblurlib.studies.srcnn.super_resolution import LUMA_DB, make_pairs, shrink_and_enlarge

BLURS = ("gaussian", "box", "motion")
NETWORKS = ("9-1-5", "9-3-1-5", "9-1-1-1-5")
RATES = {"1e-4": 1e-4, "5e-5": 5e-5}
S1 = list(product(BLURS, NETWORKS, RATES))  # its trainings
SGD_RATES = {"1e-5": 1e-5, "1e-4": 1e-4, "1e-3": 1e-3, "1e-2": 1e-2}
LENGTHS, RECEPTIVE_FIELDS = (5, 11, 15, 21, 31), (13, 15, 17, 19)
over_profiles = pytest.mark.parametrize("profile", PROFILES)


def slug(recipe):
    return recipe.name.removeprefix("02/")


def by_slug(profile):
    return {slug(recipe): recipe for recipe in recipes("02", profile)}


def network(recipe):
    return models.build(recipe.model, recipe.model_args, 0)


def compared(profile):
    """Two recipes that are compared, and in what they are to differ."""
    fields = ("degradation", "model_args", "optimiser")
    first = (BLURS[0], NETWORKS[0], "1e-4")
    for which in S1:
        name = "-".join(which)
        shorter = {"steps"} if profile == "report" else set()
        yield f"reset-{name}", f"kept-{name}", {"reset"} | shorter
        different = {f for f, a, b in zip(fields, first, which, strict=True) if a != b}
        for way in ("reset", "kept"):
            yield f"{way}-{'-'.join(first)}", f"{way}-{name}", different
    for blur in BLURS:
        yield f"reset-{blur}-9-1-5-1e-4", f"colour-{blur}", {"grey"}
        yield "box", blur, {"degradation"} if blur != "box" else set()
        for part in ("half", "tenth"):
            yield f"kept-{blur}-9-1-5-1e-4", f"last-{blur}-{part}", {"optimiser"}
    for blur in ("gaussian", "box"):
        yield f"reset-{blur}-9-1-5-1e-4", f"reset-{blur}-matched", {"degradation"}
    for rate, part in product(SGD_RATES, ("same", "tenth")):
        same = (rate, part) == ("1e-5", "same")
        yield "sgd-motion-1e-5-same", f"sgd-motion-{rate}-{part}", set() if same else {"optimiser"}
    for length, reach in product(LENGTHS, RECEPTIVE_FIELDS):
        different = {"degradation"} if length != 15 else set()
        different |= {"model_args"} if reach != 15 else set()
        yield "reach-15-15", f"reach-{length}-{reach}", different
    yield "reach-15-13", "reach-15-shallow", {"model_args"}


@over_profiles
def test_two_recipes_that_are_compared_differ_in_what_is_compared_and_in_nothing_else(profile):
    found = by_slug(profile)
    seen = {"motion"}
    for first, second, expected in compared(profile):
        one, other = asdict(found[first]), asdict(found[second])
        assert {k for k in one if one[k] != other[k]} - {"name"} == expected, (first, second)
        seen |= {first, second}
    assert seen == found.keys()


@over_profiles
def test_recipes_are_what_their_names_say(profile):
    found = by_slug(profile)
    for (blur, layers, rate), way in product(S1, ("reset", "kept")):
        one = found[f"{way}-{blur}-{layers}-{rate}"]
        assert (one.degradation, one.model_args["layers"]) == (f"s1-{blur}", layers)
        assert one.optimiser == {"name": "adam", "lr": RATES[rate]}
        assert (one.batch, one.grey, one.schedule["name"]) == (1, 3, "constant")
        if way == "reset":
            assert 1 < one.reset < one.steps
            assert one.steps % one.reset == 0
        else:  # compared with the middle of the longer one: there must be a row
            assert one.reset is None
            assert one.steps % one.interval == 0
    for blur, (part, factor) in product(BLURS, {"half": 0.5, "tenth": 0.1}.items()):
        kept, last = found[f"kept-{blur}-9-1-5-1e-4"], found[f"last-{blur}-{part}"]
        rates = {f"layers.{len(network(last).layers) - 1}": factor}
        assert last.optimiser == {**kept.optimiser, "rates": rates}
        assert (found[blur].degradation, found[f"colour-{blur}"].grey) == (f"s1-{blur}", 0)
        if blur != "motion":
            assert found[f"reset-{blur}-matched"].degradation == f"s1-{blur}-matched"
    for (rate, value), (part, factor) in product(
        SGD_RATES.items(), {"same": 1.0, "tenth": 0.1}.items()
    ):
        one = found[f"sgd-motion-{rate}-{part}"]
        assert one.optimiser["lr"] == value
        assert one.optimiser["rates"] == {f"layers.{len(network(one).layers) - 1}": factor}
        assert (one.loss, one.model_args["deviation"]) == ("euclidean", 1e-3)
    for length, reach in product(LENGTHS, RECEPTIVE_FIELDS):
        one = found[f"reach-{length}-{reach}"]
        assert one.degradation == ("s1-motion" if length == 15 else f"s1-motion-{length}")
        assert network(one).receptive_field == reach
    assert found["motion"].model_args["residual"] is True
    assert all(recipe.model_args["padding"] is False for recipe in found.values())


@pytest.mark.parametrize("profile", ["report", "full"])
def test_s1s_trainings_are_those_of_its_code_on_patches_and_not_padded(profile):
    found = by_slug(profile)
    for blur, layers, rate in S1:
        one = found[f"reset-{blur}-{layers}-{rate}"]
        assert one.model_args == {
            "layers": layers,
            "widths": "released",
            "channels": 3,
            "padding": False,  # and first weights as PyTorch draws them
        }
        assert (one.loss, one.boundary, one.holdout) == ("mse", "valid", 0.25)
        assert (one.steps, one.reset) == (20 * 750, 750)
        assert one.crop == (21 if profile == "report" else 216)
    for rate, part in product(SGD_RATES, ("same", "tenth")):
        one = found[f"sgd-motion-{rate}-{part}"]
        assert (one.optimiser["momentum"], one.model_args["widths"]) == (0.9, "paper")


def test_of_networks_that_are_compared_by_their_reach_the_parameters_are_as_many():
    found = by_slug("report")
    count = {name: models.parameter_count(network(r)) for name, r in found.items()}
    assert len({count[f"reach-5-{reach}"] for reach in (15, 17, 19)}) == 1
    assert count["reach-15-shallow"] == count["reach-15-13"]
    assert network(found["reach-15-shallow"]).receptive_field == 17


def test_the_headline_beats_doing_nothing_by_far(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    run = runs.train_or_load(replace(find_recipe("02/gaussian", "quick"), steps=100))
    rows = score([run], **srcnn.SCORING)
    means = {
        method: sum(row["psnr"] for row in rows if row["method"] == method) / 3
        for method in ("identity", "02/gaussian")
    }
    assert means["02/gaussian"] > means["identity"] + 0.3


# --- what of the trainings counts


def fake_run(recipe, losses):
    history = [{"val_loss": float(value)} for value in losses if np.isfinite(value)]
    return SimpleNamespace(recipe=recipe, history=history, metrics={})


def rows_of(recipe):
    return recipe.steps // recipe.interval


def test_of_the_trainings_with_sgd_those_with_the_lowest_last_loss_are_scored():
    found = by_slug("report")
    ends = {"1e-5": 0.3, "1e-4": 0.2, "1e-3": 0.5, "1e-2": np.nan}  # it diverged
    trained = []
    for (rate, end), part in product(ends.items(), ("same", "tenth")):
        recipe = found[f"sgd-motion-{rate}-{part}"]
        last = end if part == "same" else 1 - end
        other = 0.01 if rate == "1e-3" else 1  # lowest, but for the end
        trained.append(fake_run(recipe, [other] * (rows_of(recipe) - 1) + [last]))
    others = ("kept-box-9-1-5-1e-4", "last-box-half", "reach-5-13", "box", "reset-box-matched")
    trained += [fake_run(found[name], [1.0] * rows_of(found[name])) for name in others]
    names = [slug(run.recipe) for run in srcnn.scored(trained)]
    assert names == ["sgd-motion-1e-4-same", "sgd-motion-1e-3-tenth", *others[2:]]


# --- the claims

SEEDS, IMAGES = (2, 3, 10), ("test/a.png", "test/b.png")
#: claim -> the recipes whose average losses, in dB, are added to its values, with what weight
ON_LOSSES = {
    "02a": {"reset-*-5e-5": 1 / 9, "reset-*-1e-4": -1 / 9},
    "02c": {"reset-*-9-1-1-1-5-*": 1 / 6, "reset-*-9-1-5-*": -1 / 6},
    "02d": {"reset-*-9-1-5-*": 1 / 6, "reset-*-9-3-1-5-*": -1 / 6},
    "02ea": {"reset-motion-9-1-5-*": 1 / 2, "reset-motion-9-3-1-5-*": -1 / 2},
    "02fa": {"reset-motion-*": 1 / 6, "reset-gaussian-9*": -1 / 12, "reset-box-9*": -1 / 12},
    "02fb": {"reset-gaussian-9*": 1 / 6, "reset-box-9*": -1 / 6},
    "02i": {"kept-*-9-1-5-1e-4": 1 / 3, "last-*-tenth": -1 / 3},
    "02l": {"reset-*-9-*": 1 / 18, "kept-*": -1 / 18},
}
#: the same of PSNR, the identity's by the degradation
ON_PSNR = {
    "02fc": {
        "reset-*-matched": 1 / 2,
        "identity s1-*-matched, grey": -1 / 2,
        "reset-motion-9-1-5-1e-4": -1,
        "identity s1-motion, grey": 1,
    },
    "02h": {
        "reset-*-9-1-5-1e-4": 1 / 3,
        **{f"identity s1-{blur}, grey": -1 / 3 for blur in BLURS},
        "colour-*": -1 / 3,
        **{f"identity s1-{blur}": 1 / 3 for blur in BLURS},
    },
    "02j": {"sgd-motion-1e-3-tenth": 1, "sgd-motion-1e-2-same": -1},
    "02ka": {"reach-15-19": 1, "reach-15-15": -1},
    "02kb": {"reach-15-shallow": 1, "reach-15-15": -1},
    "02kc": {"reach-5-19": 1, "reach-5-15": -1},
    "02m": {"reset-*-9-3-1-5-*": 1 / 6, "reset-*-9-1-5-*": -1 / 6},
}


def on_box(better):
    """``02n``, where of the other two blurs this is the one that gains more."""
    return {
        "reset-box-9*": 1 / 6,
        "identity s1-box, grey": -1,
        f"reset-{better}-9*": -1 / 6,
        f"identity s1-{better}, grey": 1,
    }


def on_looks(better):
    """``02e`` and ``02g``, where of Models 1 and 3 this is the one that looks better."""
    return {
        "e": {"reset-motion-9-3-1-5-*": 1 / 2, f"reset-motion-{better}-*": -1 / 2},
        "g": {"reset-*-9-1-1-1-5-5e-5": 1 / 3, "reset-*-9-1-1-1-5-1e-4": -1 / 3},
    }


def weighted(weights, values):
    found = 0
    for pattern, weight in weights.items():
        fitting = [name for name in values if fnmatch(name, pattern)]
        assert fitting, pattern
        found = found + weight * sum(values[name] for name in fitting)
    return found


@pytest.fixture(scope="module")
def plain_recipes():
    return recipes("02", "report", data="faces")


def drawn_losses(plain_recipes, rng):
    """By recipe: losses (seeds, epochs); the rates of SGD that they choose are known."""
    held = {slug(r): rng.uniform(0.01, 0.02, (3, rows_of(r))) for r in plain_recipes}
    for name in ("sgd-motion-1e-3-tenth", "sgd-motion-1e-2-same"):
        held[name][:, -1] = 0.001
    held["sgd-motion-1e-2-tenth"][:, 3:] = np.nan  # it diverged
    return held


def drawn_scores(scored, rng, better):
    """By recipe, or identity and degradation: of each measure, a value for each seed and image."""
    found = {}
    for recipe in scored:
        kind = recipe.degradation + ", grey" * bool(recipe.grey)
        found[slug(recipe)] = {m: rng.normal(size=(3, 2)) for m in ("psnr", *MEASURES)}
        found[f"identity {kind}"] = {m: rng.normal(size=(1, 2)) for m in ("psnr", *MEASURES)}
    blur, layers = better
    for name, values in found.items():
        if fnmatch(name, f"reset-{blur}-9*"):
            values["psnr"] += 9
        for measure, about in MEASURES.items():
            values[measure] += 9 * about.better * fnmatch(name, f"reset-motion-{layers}-*")
    return found


def as_rows(scored, drawn):
    rows = {}
    for recipe, (s, seed), (i, image) in product(scored, enumerate(SEEDS), enumerate(IMAGES)):
        where = {"data": "faces", "channels": "grey" if recipe.grey else "rgb"}
        where |= {"degradation": recipe.degradation, "draw": 0, "image": image}
        own = {m: values[s, i] for m, values in drawn[slug(recipe)].items()}
        rows[recipe.name, seed, image] = {"method": recipe.name, "seed": seed} | where | own
        kind = recipe.degradation + ", grey" * bool(recipe.grey)
        same = {m: values[0, i] for m, values in drawn[f"identity {kind}"].items()}
        rows[kind, image] = {"method": "identity"} | where | same
    return list(rows.values())


@pytest.fixture(scope="module", params=[("gaussian", "9-1-5"), ("motion", "9-1-1-1-5")])
def measured(request, plain_recipes):
    """What was drawn, and the claims by their ids."""
    rng = np.random.default_rng(0)
    held = drawn_losses(plain_recipes, rng)
    trained = [
        fake_run(recipe.with_seed(seed), held[slug(recipe)][s])
        for recipe in plain_recipes
        for s, seed in enumerate(SEEDS)
    ]
    scored = [run.recipe for run in srcnn.scored(trained) if run.recipe.seed == SEEDS[0]]
    drawn = drawn_scores(scored, rng, request.param)
    rows = as_rows(scored, drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(srcnn, "validation_images", lambda run: 250)
        trained = [trained[i] for i in rng.permutation(len(trained))]
        claims = srcnn.claims(trained, [rows[i] for i in rng.permutation(len(rows))])
    return request.param, held, drawn, claims


def test_claims_are_of_the_losses_and_scores_that_they_name_each_at_its_seed_and_image(measured):
    (blur, layers), held, drawn, claims = measured
    found = {claim.id: claim for claim in claims}
    average = {name: 10 * np.log10(loss.mean(1)) for name, loss in held.items()}
    # of the reset ones, what they lost until the kept ones ended
    shared = {name: 10 * np.log10(loss[:, :10].mean(1)) for name, loss in held.items()}
    expected = {
        name: weighted(weights, shared if name == "02l" else average)
        for name, weights in ON_LOSSES.items()
    }
    late = {name: loss[:, [*range(10, 20)]] for name, loss in held.items() if loss.shape[1] == 20}
    falls = {n: 10 * np.log10(z[:, :5].mean(1) / z[:, 5:].mean(1)) for n, z in late.items()}
    expected["02b"] = weighted({"reset-*-9-*-5e-5": 1 / 9}, falls)

    psnr = {name: values["psnr"] for name, values in drawn.items()}
    for name, weights in (ON_PSNR | {"02n": on_box(blur)}).items():
        expected[name] = weighted(weights, psnr)
    letters = {"gradient_similarity": "b", "blur_effect": "c", "spectrum_distance": "d"}
    for measure, letter in letters.items():
        looks = {n: MEASURES[measure].better * values[measure] for n, values in drawn.items()}
        for kind, weights in on_looks(layers).items():
            expected[f"02{kind}{letter}"] = weighted(weights, looks)

    assert [claim.id for claim in claims] == sorted(expected)
    for name, values in expected.items():
        claim = found[name]
        assert list(claim.values) == pytest.approx(values.ravel().tolist(), abs=1e-9), name
        if values.ndim == 1:
            assert (list(claim.seeds), list(claim.scenes)) == ([*SEEDS], [])
        else:
            assert list(claim.seeds) == np.repeat(SEEDS, 2).tolist()
            assert list(claim.scenes) == [*IMAGES] * 3


def test_claims_have_a_sign_and_the_unit_and_margin_of_their_measure(measured):
    *_, claims = measured
    none = {"02b", "02d", "02ea", "02fb", "02kc"}  # of no difference
    looks = dict(zip("bcd", MEASURES.values(), strict=True))
    for claim in claims:
        measure = looks.get(claim.id[3:]) if claim.id[2] in "eg" else None
        expected = (measure.unit, measure.margin) if measure else ("dB", 0.1)
        assert (claim.unit, claim.margin) == expected
        assert claim.sign == (claim.id not in none)
    ours = {claim.id for claim in claims if claim.origin == "ours"}
    assert ours == {"02fc", "02i", "02j", "02ka", "02kb", "02kc", "02l"}


@pytest.mark.parametrize(("final", "profile"), [(True, "report"), (False, "quick")])
def test_all_claims_are_judged_to_rows_of_a_results_file(measured, final, profile):
    judged = {row["id"]: row for row in judge(measured[-1], final)}
    assert_valid(list(judged.values()), profile)
    assert (judged["02a"]["n_seeds"], judged["02a"]["n_images"]) == (3, 250)
    assert (judged["02h"]["n_seeds"], judged["02h"]["n_images"]) == (3, 2)


# --- the external anchor: images made small and large again, beside Pillow's, and pairs of them


@pytest.mark.parametrize("scale", [2, 3])
def test_made_small_and_large_again_as_pillow_does_it(scale):
    photo = images.grey(data.open_images("sample", "test")[0])
    photo = images.to_array(images.centre_crop(photo, 120, 132))[..., 0]
    made = shrink_and_enlarge(images.to_tensor(photo)[None], scale)
    ours = images.to_array(made[0])[..., 0].astype(int)

    def twice(mode):
        """Pillow rounds a third and a fourth time in mode L, between columns and rows."""
        theirs = Image.fromarray(photo).convert(mode)
        for width, height in ((132 // scale, 120 // scale), (132, 120)):
            theirs = theirs.resize((width, height), Image.Resampling.BICUBIC)
            theirs = Image.fromarray(np.round(np.asarray(theirs)))
        return np.asarray(theirs).clip(0, 255)

    assert np.mean(np.abs(ours - twice("L"))[12:-12, 12:-12] <= 1) > 0.99
    assert np.mean(ours == twice("F")) > 0.999
    assert np.abs(ours - photo).mean() > 2


def test_values_are_of_8_bit_and_within_range_in_the_shape_that_was_given(rand):
    x = (rand(2, 3, 6, 4) > 0.5).float().repeat_interleave(6, -1).repeat_interleave(6, -2)
    made = shrink_and_enlarge(x)  # of edges that a bicubic kernel overshoots
    assert made.shape == x.shape
    assert (made.min(), made.max()) == (0, 1)
    torch.testing.assert_close(255 * made, (255 * made).round(), rtol=0, atol=1e-4)
    assert torch.equal(made[1:], shrink_and_enlarge(x[1:]))


def test_luma_scores_as_much_higher_than_grey_as_is_said(rand):
    x, noise = images.quantise(rand(4, 3, 40, 40)), rand(4, 3, 40, 40, seed=1) - 0.5
    x_hat = x + 0.2 * noise
    of_luma, of_grey = (metrics.psnr(to(x_hat), to(x)) for to in (images.luma, images.grey))
    assert (of_luma - of_grey).tolist() == pytest.approx([LUMA_DB] * 4, abs=0.005)


def test_pairs_are_the_images_and_what_is_made_of_them_each_a_scene(tmp_path, monkeypatch):
    write_set(tmp_path / "photos", ["train/a.png", "train/x.b.png", "test/a.png"], 20, 25)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    photos = [data.open_images("photos", split) for split in ("train", "test")]
    name = make_pairs(*photos, tmp_path / "pairs")
    assert name == "photos-x3"
    for split, sharp in zip(("train", "test"), photos, strict=True):
        pairs = data.open_pairs(name, split)
        assert [n.split("/")[-1] for n in pairs.names] == [n.split("/")[-1] for n in sharp.names]
        for (y, x), whole in zip(pairs, sharp, strict=True):
            assert torch.equal(x, whole[:, :18, :24])
            torch.testing.assert_close(y, shrink_and_enlarge(x[None])[0])
    assert len({*data.open_pairs(name).scenes}) == 3


def test_pairs_of_two_images_of_one_stem_are_refused(tmp_path):
    write_set(tmp_path, ["train/a/0.png", "train/b/0.png"], 20, 25)
    twice = data.open_images(f"twice={tmp_path}", "train")
    with pytest.raises(InputError, match="one stem"):
        make_pairs(twice, twice, tmp_path / "pairs")


def test_the_anchors_smoke_recipe_trains_on_pairs_of_the_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DATA", "")
    train, test = (data.open_images("sample", split) for split in ("train", "test"))
    pairs = make_pairs(train.first(2), test.first(1), tmp_path / "pairs")
    recipe = super_resolution.recipe("smoke", 3, pairs)
    assert (recipe.seed, recipe.data, recipe.grey) == (3, "sample-x3", 1)
    assert recipe.model_args == {"layers": "9-1-5", "widths": "paper", "padding": False}
    run = runs.train_or_load(recipe, folder=tmp_path / "runs")
    assert run.metrics["ending"] == "done"
    assert math.isfinite(run.metrics["val_loss"])
