"""The chapters' recipes, and the rows that their runs are scored to."""

import json
import math
import os
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from sets import write_pairs, write_set

from deblurlib import data, evaluation, models, restoration, runs, training
from deblurlib.errors import InputError
from deblurlib.evaluation import MEASURES
from deblurlib.metrics import SSIM_PROTOCOLS
from deblurlib.report import results
from deblurlib.runs import Recipe, inputs, validation
from deblurlib.studies import CHAPTERS, PROFILES, find_recipe, recipes, score, scoring_of, train
from deblurlib.studies import rows as table

SIZES = {"steps", "batch", "crop", "every", "images", "reset"}
CASES = [(chapter, profile) for chapter in CHAPTERS for profile in PROFILES]


def without(fields, recipe):
    """A recipe's values, and those of its parts, but for some fields."""
    rest = {k: v for k, v in recipe.items() if k not in fields}
    return rest | {"parts": {k: without(fields, part) for k, part in recipe["parts"].items()}}


@pytest.mark.parametrize(("chapter", "profile"), CASES)
def test_the_recipes_of_a_chapter_can_be_trained_and_have_names_of_their_own(chapter, profile):
    every = recipes(chapter, profile)
    assert len({recipe.name for recipe in every}) == len(every) > 0
    for recipe in every:
        assert recipe.name.startswith(f"{chapter}/")
        model = models.build(recipe.model, recipe.arguments, 0)
        assert model.channels == (recipe.grey or 3)
        assert recipe.crop % model.multiple == 0
        assert recipe.interval <= recipe.steps
        training.make_optimiser(model, recipe.optimiser)
        for step in (0, recipe.steps - 1):
            assert training.rate_factor(recipe.schedule, step, recipe.steps) >= 0
        assert recipe.precision in training.PRECISIONS
        assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("chapter", ["02", "03", "04", "05", "06", "07"])
def test_every_chapter_scores_by_one_and_the_same_ssim(chapter):
    assert scoring_of(chapter)["protocols"] == ("gaussian-rgb",)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_profile_sets_sizes_only_and_trains_longer_than_the_one_before(chapter):
    for same in zip(*(recipes(chapter, profile) for profile in PROFILES), strict=True):
        computed = [without(SIZES, asdict(r)) for r in same]
        assert all(one == computed[0] for one in computed)
        margin = models.build(same[0].model, same[0].arguments, 0).margin
        pixels = [r.steps * r.batch * (r.crop + 2 * margin) ** 2 for r in same]
        assert pixels == sorted(set(pixels))  # that the network was given
        assert same[0].steps <= 10


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_recipe_is_found_by_its_name_seed_and_data_which_change_nothing_else(chapter):
    plain, other = recipes(chapter, "quick"), recipes(chapter, "quick", 7, "photos")
    for one, two in zip(plain, other, strict=True):
        assert (one.seed, one.data) == (0, "sample")
        assert without({"seed", "data"}, asdict(one)) == without({"seed", "data"}, asdict(two))
        for each in (two, *two.parts.values()):
            assert (each.seed, each.data) == (7, "photos")
        assert find_recipe(one.name, "quick", 7, "photos") == two
        assert find_recipe(one.name, "quick") == one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("99/motion", "smoke"), "no recipe '99/motion'"),
        (("02/motion", "huge"), "profile 'huge'"),
        (("02/mot", "smoke"), "no recipe '02/mot'"),
    ],
)
def test_a_recipe_that_is_not_there_is_an_input_error(arguments, message):
    with pytest.raises(InputError, match=message):
        find_recipe(*arguments)


# --- trained and scored


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store and a set of photos; what it is called is known while the module is tested."""
    folder = tmp_path_factory.mktemp("world")
    train_names = [f"train/{i}.png" for i in range(4)]
    write_set(folder / "photos", train_names, 64, 60)
    write_set(folder / "photos" / "test", ["p.png", "q.png"], 45, 50)
    write_pairs(folder / "clips", ("a", "b", "c"), split="train")
    write_pairs(folder / "clips", ("z",), split="test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_RUNS", str(folder / "runs"))
        patch.setenv("DEBLURLIB_DATA", str(folder))
        yield folder


def keep_three(patch):
    """Let chapter 02 have its first three recipes alone."""
    whole = CHAPTERS["02"]
    few = SimpleNamespace(recipes=lambda *how: whole.recipes(*how)[:3])
    patch.setitem(CHAPTERS, "02", few)


@pytest.fixture
def three(monkeypatch):
    keep_three(monkeypatch)


@pytest.fixture(scope="module")
def trained(world):
    """The runs of chapter 02's first three recipes for two seeds."""
    with pytest.MonkeyPatch.context() as patch:
        keep_three(patch)
        return train("02", "smoke", [1, 0], "photos")


def test_all_recipes_are_trained_for_all_seeds_in_order(trained, three, world):
    expected = [recipe for seed in (1, 0) for recipe in recipes("02", "smoke", seed, "photos")]
    assert [run.recipe for run in trained] == expected
    assert len({run.id for run in trained}) == 6
    assert {run.outcome for run in trained} <= {"trained", "hit"}
    assert {run.folder.parent for run in trained} == {world / "runs"}
    again = train("02", "smoke", [1, 0], "photos")
    assert [(run.id, run.outcome) for run in again] == [(run.id, "hit") for run in trained]


def test_a_study_stopped_for_time_says_so_keeps_what_is_complete_and_goes_on(
    world, three, tmp_path
):
    first, second, _ = recipes("02", "smoke", 0, "photos")
    runs.train_or_load(first, folder=tmp_path)
    with pytest.raises(InputError, match=f"{second.name} was stopped for time"):
        train("02", "smoke", [0], "photos", max_minutes=0, folder=tmp_path)
    assert [(r.recipe.name, r.outcome) for r in runs.listed(tmp_path)] == [
        (first.name, "hit"),
        (second.name, "stopped"),
    ]
    outcomes = [run.outcome for run in train("02", "smoke", [0], "photos", folder=tmp_path)]
    assert outcomes == ["hit", "resumed", "trained"]


def test_a_chapter_that_trains_nothing_is_not_trained(tmp_path):
    with pytest.raises(InputError, match="'01' trains nothing"):
        train("01", "smoke", [0], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def rows(trained):
    return score([*trained, trained[0]])  # a run that is named twice counts once


def test_the_rows_are_those_of_a_results_file(rows):
    for row in rows:
        unknown = {"class", "contaminated", *table.OF_KERNELS, *table.OF_TRUST}
        unknown |= {"run", "seed"} if row["method"] == "identity" else set()
        assert set(row) == {*table.ROW_COLUMNS, "seconds"} - set(MEASURES) - unknown
    sets = [{"name": "photos", "n": 2, "fingerprint": data.open_images("photos").fingerprint}]
    stamp = {"code": 12 * "0", "commit": None, "dirty": None, "device": "cpu", "versions": {}}
    stamp |= {"seeds": [0, 1], "wall_seconds": 1, "finished": "now", "data": sets}
    whole = {"schema": 2, "chapter": "02", "profile": "smoke", "stamp": stamp, "claims": []}
    kept, seconds = table.without_seconds(rows)
    summary, _ = table.without_seconds(evaluation.summary(rows))
    results.validate(whole | {"summary": summary}, kept)
    assert seconds.keys() == {row["method"] for row in rows}
    assert len(table.from_csv(table.to_csv(kept))) == len(rows)
    # every protocol where the image allows it: 45 pixels less the blur's margins; grey
    assert not {"scene", "ssim_multiscale"} & set(table.to_csv(kept).splitlines()[0].split(","))
    for row in rows:
        assert row["ssim_gaussian-rgb"] is not None
        assert row["ssim_multiscale"] is row["ssim_gaussian-y"] is None


def test_each_run_has_a_row_for_each_test_image_and_so_has_the_identity(rows, trained):
    found = [tuple(row.get(k) for k in ("run", "seed", "image", "method")) for row in rows]
    expected = []
    for one, zero in zip(trained[:3], trained[3:], strict=True):  # of seeds 1 and 0
        for name in ("test/p.png", "test/q.png"):
            expected += [(None, None, name, "identity")]
            expected += [(r.id, r.recipe.seed, name, r.recipe.name) for r in (one, zero)]
    assert found == expected
    assert len({row["psnr"] for row in rows if row["method"] == "identity"}) == 6
    by_id = {run.id: run.recipe for run in trained}
    for row in rows:
        assert (row["data"], row["channels"], row["draw"]) == ("photos", "grey", 0)
        assert row["scene"] == row["image"]
        if row["method"] != "identity":
            assert row["degradation"] == by_id[row["run"]].degradation
    own = {(r["seed"], r["image"]): r["psnr"] for r in rows if r["method"] == "02/motion"}
    assert own[0, "test/p.png"] != own[1, "test/p.png"]


def test_the_scores_are_those_of_evaluate_under_the_run_s_own_degradation(rows, trained):
    sharp = data.open_images("photos", "test")
    for run in trained:
        cases = evaluation.cases_of_images(sharp, run.recipe.degradation, 0, grey=1)
        method = restoration.find_method(run.id)
        expected = evaluation.evaluate([method], cases, tuple(SSIM_PROTOCOLS))
        alike = [row for row in rows if row["degradation"] == run.recipe.degradation]
        identity = [row for row in alike if row["method"] == "identity"]
        own = [row for row in alike if row.get("run") == run.id]
        for name, some in (("identity", identity), (run.recipe.name, own)):
            wanted = [one for one in expected if one["method"] == name]
            for row, one in zip(some, wanted, strict=True):
                same = one.keys() - {"seconds"}
                assert {k: row[k] for k in same} == {k: one[k] for k in same}


def test_grey_of_one_and_of_three_channels_is_one_case_and_colour_another(world):
    plain = Recipe("02/a", "srcnn", "photos", 1, 1, 16, degradation="s1-box")
    made = [replace(plain, grey=g, model_args={"channels": g or 3}) for g in (1, 3, 0)]
    scored = score([runs.train_or_load(recipe) for recipe in made], protocols=())
    found = [row["channels"] for row in scored if row["method"] == "identity"]
    assert found == ["grey"] * 2 + ["rgb"] * 2
    found = [row["channels"] for row in scored if row["method"] != "identity"]
    assert found == ["grey"] * 4 + ["rgb"] * 2


def test_what_is_drawn_for_the_test_images_is_drawn_from_seed_0(world):
    plain = Recipe("02/noisy", "srcnn", "photos", 1, 1, 16, degradation="s2-gaussian", grey=True)
    scored = [score([runs.train_or_load(plain.with_seed(s))], protocols=()) for s in (0, 4)]
    first, second = ([r["psnr"] for r in rows if r["method"] == "identity"] for rows in scored)
    assert first == second
    assert first[0] != first[1]


def test_other_images_the_middle_alone_and_some_protocols_are_scored_on_request(trained):
    run = trained[2]
    other = data.open_images("photos", "train").first(1)
    scored = score([run], other, side=20, protocols=("uniform-rgb",))
    left_out = {"class", "contaminated", *MEASURES, *table.OF_KERNELS, *table.OF_TRUST}
    left_out |= {f"ssim_{p}" for p in SSIM_PROTOCOLS if p != "uniform-rgb"}
    assert set(scored[1]) == {*table.ROW_COLUMNS, "seconds"} - left_out
    cases = evaluation.cases_of_images(other, "s1-motion", 0, side=20, grey=True)
    expected = [(r["image"], r["psnr"]) for r in evaluation.evaluate([], cases, ())]
    assert [(r["image"], r["psnr"]) for r in scored if r["method"] == "identity"] == expected


@pytest.mark.parametrize("grey", [False, True])
def test_a_run_of_recorded_pairs_is_scored_on_the_recorded_test_pairs(world, grey):
    arguments = {"width": 4, "channels": 1 if grey else 3, "residual": True}
    recipe = Recipe("06/clips", "unet", "clips", 2, 2, 16, model_args=arguments, grey=grey)
    scored = score([runs.train_or_load(recipe)], protocols=("gaussian-rgb",))
    for row in scored:
        assert (row["degradation"], row["scene"]) == ("recorded", "test/z")
        assert row["channels"] == ("grey" if grey else "rgb")
        assert "draw" not in row
    y, x = (torch.stack(z) for z in zip(*data.open_pairs("clips", "test"), strict=True))
    if grey:
        y, x = (evaluation.images.grey(z) for z in (y, x))
    mse = (y.double() - x.double()).square().mean((1, 2, 3)).tolist()
    identity = {row["image"]: row["psnr"] for row in scored if row["method"] == "identity"}
    expected = {f"test/z/sharp/{i}.png": 10 * math.log10(1 / e) for i, e in enumerate(mse)}
    assert identity == pytest.approx(expected, abs=0.02)


def test_a_set_without_test_images_cannot_be_scored_on(tmp_path, monkeypatch):
    write_set(tmp_path / "half", [f"train/{i}.png" for i in range(3)], 64, 60)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    run = runs.train_or_load(find_recipe("02/motion", "smoke", data="half"), folder=tmp_path)
    with pytest.raises(InputError, match="half: no test/ folder"):
        score([run])


# --- every recipe in miniature

#: what a chapter's full recipes train on
FULL = {"02": "anime-faces", "03": "cifar10", "04": "celeba", "05": "gopro", "06": "anime-faces"}
FULL |= {"07": "anime-faces"}
#: sets that a chapter's recipes must fit into; of those that are no pairs, 05 blurs the images, and
#: of pairs 06 trains its second phase
DATA = [
    *FULL.items(),
    ("05", "gopro-gamma"),
    ("06", "gopro"),
    ("07", "gopro"),
    *((chapter, "sample") for chapter in FULL if chapter > "02"),
]


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """Three images of the size and name of anime faces, CIFAR, CelebA; GoPro's tree, 3 scenes."""
    folder = tmp_path_factory.mktemp("miniature")
    write_set(folder / "anime-faces" / "train", ["a.png", "b.png", "c.png"], 256, 256)
    write_set(folder / "cifar10" / "train", ["a.png", "b.png", "c.png"], 32, 32)
    write_set(folder / "celeba" / "train", ["a.png", "b.png", "c.png"], 109, 89)
    sides = ("blur", "blur_gamma", "sharp")
    names = [f"GOPR{scene}/{side}/000001.png" for scene in (1, 2, 3) for side in sides]
    write_set(folder / "gopro" / "train", names, 256, 256)
    return folder


@pytest.fixture
def known(miniature, monkeypatch):
    gopro = [f"{name}={miniature / 'gopro'}" for name in ("gopro", "gopro-gamma")]
    monkeypatch.setenv("DEBLURLIB_DATA", os.pathsep.join([*gopro, str(miniature)]))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_kind_of_full_recipe_runs_for_two_steps(chapter, known, tmp_path):
    """Of small crops, for SRN takes 10 s on one of 256 pixels; whether that fits is tested too."""
    kinds = {}
    for recipe in recipes(chapter, "full", data=FULL[chapter]):
        kind = [recipe.model_args, recipe.loss, recipe.loss_args, recipe.optimiser["name"]]
        kinds.setdefault(json.dumps([*kind, recipe.grey]), recipe)
    for recipe in kinds.values():
        crop, rival = 32, recipe.rival
        if rival:  # S3's takes crops of 64 pixels and no other
            crop = max(crop, models.build_discriminator(rival.model, rival.model_args, 0).least)
        few = {"steps": 2, "every": 1, "batch": min(recipe.batch, 2), "crop": crop}
        few |= {"reset": recipe.reset and 1}
        few |= {"parts": {k: replace(p, **few) for k, p in recipe.parts.items()}}
        run = runs.train_or_load(replace(recipe, **few), folder=tmp_path)
        assert run.metrics["ending"] == "done"


@pytest.mark.parametrize(("chapter", "source"), DATA)
def test_the_crops_of_every_recipe_fit_into_its_data(chapter, source, known):
    fabric, refused, seen = training.start_fabric(), [], set()
    for recipe in (r for profile in PROFILES for r in recipes(chapter, profile, data=source)):
        margin = models.build(recipe.model, recipe.arguments, 0).margin
        sizes = (recipe.crop, margin, recipe.degradation, recipe.holdout, recipe.images)
        if sizes in seen:
            continue
        seen.add(sizes)
        if recipe.data != source:  # one that stands on images of its own
            continue
        sharp = inputs.open_training_images(recipe)
        try:
            inputs.batches_of(recipe, sharp, fabric, margin)
            pair = next(validation.validation_pairs(recipe, sharp.first(1), margin))
        except InputError:
            refused.append(recipe.name)
        else:
            sides = (pair.x.shape[-1], pair.y.shape[-1])
            assert sides == (recipe.crop, recipe.crop + 2 * margin)
    assert refused == []


def test_every_chapter_has_data_that_its_recipes_are_tested_on():
    assert FULL.keys() == CHAPTERS.keys()
