"""The chapters' recipes, and the rows that their runs are scored to."""

import json
import math
import os
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from test_evaluation import write_pairs, write_set

from deblurlib import data, evaluation, models, restoration, runs, training
from deblurlib.errors import InputError
from deblurlib.metrics import SSIM_PROTOCOLS
from deblurlib.perception import MEASURES
from deblurlib.report import results
from deblurlib.runs import Recipe, inputs, validation
from deblurlib.studies import CHAPTERS, PROFILES, find_recipe, recipes, score, train
from deblurlib.studies import rows as table

SIZES = {"steps", "batch", "crop", "every", "images", "reset"}
BLURS = ("gaussian", "box", "motion")
CASES = [(chapter, profile) for chapter in CHAPTERS for profile in PROFILES]


@pytest.mark.parametrize(("chapter", "profile"), CASES)
def test_the_recipes_of_a_chapter_have_names_of_their_own(chapter, profile):
    names = [recipe.name for recipe in recipes(chapter, profile)]
    assert names
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"{chapter}/") for name in names)


@pytest.mark.parametrize(("chapter", "profile"), CASES)
def test_the_recipes_of_a_chapter_can_be_trained(chapter, profile):
    for recipe in recipes(chapter, profile):
        model = models.build(recipe.model, recipe.model_args, 0)
        assert model.channels == (recipe.grey or 3)
        assert recipe.crop % model.multiple == 0
        assert recipe.interval <= recipe.steps
        training.make_optimiser(model, recipe.optimiser)
        for step in (0, recipe.steps - 1):
            assert training.rate_factor(recipe.schedule, step, recipe.steps) >= 0
        assert recipe.precision in training.PRECISIONS
        assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_profile_sets_sizes_only(chapter):
    computed = [
        [{k: v for k, v in asdict(r).items() if k not in SIZES} for r in recipes(chapter, profile)]
        for profile in PROFILES
    ]
    assert all(one == computed[0] for one in computed)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_profile_trains_longer_than_the_one_before(chapter):
    for same in zip(*(recipes(chapter, profile) for profile in PROFILES), strict=True):
        margin = models.build(same[0].model, same[0].model_args, 0).margin
        pixels = [r.steps * r.batch * (r.crop + 2 * margin) ** 2 for r in same]
        assert pixels == sorted(set(pixels))  # that the network was given
        assert same[0].steps <= 10


@pytest.mark.parametrize(("chapter", "profile"), CASES)
def test_seed_and_data_are_passed_on_and_change_nothing_else(chapter, profile):
    plain, other = recipes(chapter, profile), recipes(chapter, profile, 7, "photos")
    for one, two in zip(plain, other, strict=True):
        assert (one.seed, one.data) == (0, "sample")
        assert (two.seed, two.data) == (7, "photos")
        assert asdict(one) | {"seed": 7, "data": "photos"} == asdict(two)


def test_chapter_02_has_a_recipe_for_each_blur_of_s1():
    found = {recipe.name: recipe.degradation for recipe in recipes("02", "full")[:3]}
    assert found == {f"02/{blur}": f"s1-{blur}" for blur in BLURS}


@pytest.mark.parametrize(("chapter", "profile"), CASES)
def test_a_recipe_is_found_by_its_name(chapter, profile):
    for recipe in recipes(chapter, profile, 3, "photos"):
        assert find_recipe(recipe.name, profile, 3, "photos") == recipe
        assert find_recipe(recipe.name, profile).seed == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("99/motion", "smoke"), "no recipe '99/motion'; there are: 02/gaussian"),
        (("motion", "smoke"), "'motion'"),
        (("02/motion", "huge"), "profile 'huge' is none of smoke, quick, report, full"),
        (("02/fog", "smoke"), "no recipe '02/fog'; there are: 02/gaussian, 02/box, 02/motion"),
        (("02/mot", "smoke"), "no recipe '02/mot'"),
        (("02", "smoke"), "no recipe '02'"),
    ],
)
def test_a_recipe_that_is_not_there_is_an_input_error(arguments, message):
    with pytest.raises(InputError, match=message):
        find_recipe(*arguments)


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


def test_a_whole_chapter_is_trained_and_scored(world, tmp_path):
    trained = train("02", "smoke", [0], "photos", folder=tmp_path)
    expected = recipes("02", "smoke", 0, "photos")
    assert [run.recipe for run in trained] == expected
    assert all(math.isfinite(run.metrics["val_loss"]) for run in trained)
    test = data.open_images("photos", "test").first(1)
    rows = score(trained, test, protocols=())
    assert {row["method"] for row in rows} == {"identity", *(r.name for r in expected)}
    assert all(math.isfinite(row["psnr"]) for row in rows)


def test_all_recipes_are_trained_for_all_seeds_in_order(trained, three, world):
    expected = [recipe for seed in (1, 0) for recipe in recipes("02", "smoke", seed, "photos")]
    assert [run.recipe for run in trained] == expected
    assert len({run.id for run in trained}) == 6
    assert {run.outcome for run in trained} <= {"trained", "hit"}
    assert {run.folder.parent for run in trained} == {world / "runs"}
    again = train("02", "smoke", [1, 0], "photos")
    assert [run.id for run in again] == [run.id for run in trained]
    assert {run.outcome for run in again} == {"hit"}


def test_a_study_stopped_for_time_says_so_and_goes_on(world, three, tmp_path):
    with pytest.raises(InputError, match="02/gaussian was stopped for time: the same call goes on"):
        train("02", "smoke", [0], "photos", max_minutes=0, folder=tmp_path)
    assert [run.outcome for run in runs.listed(tmp_path)] == ["stopped"]
    outcomes = [run.outcome for run in train("02", "smoke", [0], "photos", folder=tmp_path)]
    assert outcomes == ["resumed", "trained", "trained"]


def test_what_was_complete_before_a_stop_stays(world, three, tmp_path):
    first, second, _ = recipes("02", "smoke", 0, "photos")
    runs.train_or_load(first, folder=tmp_path)
    with pytest.raises(InputError, match=f"{second.name} was stopped"):
        train("02", "smoke", [0], "photos", max_minutes=0, folder=tmp_path)
    assert [(r.recipe.name, r.outcome) for r in runs.listed(tmp_path)] == [
        (first.name, "hit"),
        (second.name, "stopped"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("07", "smoke"), "chapter '07' trains nothing"), (("02", "tiny"), "profile 'tiny' is none")],
)
def test_an_unknown_chapter_or_profile_is_not_trained(world, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        train(*arguments, [0], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def rows(trained):
    return score(trained)


def of_run(rows, run):
    return [row for row in rows if row.get("run") == run.id]


def test_the_rows_are_those_of_a_results_file(rows, trained):
    for row in rows:
        unknown = {"run", "seed"} if row["method"] == "identity" else set()
        assert set(row) == {*table.ROW_COLUMNS, "seconds"} - set(MEASURES) - unknown
    sets = [{"name": "photos", "n": 2, "fingerprint": data.open_images("photos").fingerprint}]
    stamp = {"code": 12 * "0", "commit": None, "dirty": None, "device": "cpu", "versions": {}}
    stamp |= {"seeds": [0, 1], "wall_seconds": 1, "finished": "now", "data": sets}
    whole = {"schema": 2, "chapter": "02", "profile": "smoke", "stamp": stamp, "claims": []}
    kept, seconds = table.without_seconds(rows)
    summary, _ = table.without_seconds(evaluation.summary(rows))
    results.validate(whole | {"summary": summary}, kept)
    assert seconds.keys() == {row["method"] for row in rows}
    found = table.from_csv(table.to_csv(kept))
    assert len(found) == len(rows)
    assert not {"scene", "ssim_multiscale"} & set(table.to_csv(kept).splitlines()[0].split(","))


def test_each_run_has_a_row_for_each_test_image_and_so_has_the_identity(rows, trained):
    found = [tuple(row.get(k) for k in ("run", "seed", "image", "method")) for row in rows]
    expected = []
    for one, zero in zip(trained[:3], trained[3:], strict=True):  # of seeds 1 and 0
        for name in ("test/p.png", "test/q.png"):
            expected += [(None, None, name, "identity")]
            expected += [(r.id, r.recipe.seed, name, r.recipe.name) for r in (one, zero)]
    assert found == expected
    by_id = {run.id: run.recipe for run in trained}
    for row in rows:
        assert (row["data"], row["channels"], row["draw"]) == ("photos", "grey", 0)
        assert row["scene"] == row["image"]
        if row["method"] != "identity":
            recipe = by_id[row["run"]]
            assert (row["method"], row["degradation"]) == (recipe.name, recipe.degradation)


def test_the_scores_are_those_of_evaluate_under_the_run_s_own_degradation(rows, trained):
    sharp = data.open_images("photos", "test")
    for run in trained:
        cases = evaluation.cases_of_images(sharp, run.recipe.degradation, 0, grey=1)
        method = restoration.find_method(run.id)
        expected = evaluation.evaluate([method], cases, tuple(SSIM_PROTOCOLS))
        own = ("identity", run.recipe.degradation)
        identity = [row for row in rows if (row["method"], row["degradation"]) == own]
        for name, own in (("identity", identity), (run.recipe.name, of_run(rows, run))):
            wanted = [one for one in expected if one["method"] == name]
            for row, one in zip(own, wanted, strict=True):
                assert {k: row[k] for k in one if k != "seconds"} == {
                    k: v for k, v in one.items() if k != "seconds"
                }


def test_the_identity_has_one_row_a_case_which_each_run_is_compared_with(rows):
    known = [evaluation.case_of(row) for row in rows if row["method"] == "identity"]
    assert len(known) == len(set(known)) == 6
    assert {evaluation.case_of(row) for row in rows} == set(known)
    assert len({row["psnr"] for row in rows if row["method"] == "identity"}) == 6
    for line in evaluation.summary(rows)[1:]:
        cases = {evaluation.case_of(r) for r in rows if r["method"] == line["method"]}
        base = [r["psnr"] for r in rows if evaluation.case_of(r) in cases and "run" not in r]
        assert line["identity_psnr"] == pytest.approx(sum(base) / len(base))


def test_grey_of_one_and_of_three_channels_is_one_case_and_colour_another(world):
    common = {"degradation": "s1-box"}
    made = [Recipe("02/a", "srcnn", "photos", 1, 1, 16, grey=g, **common) for g in (1, 3, 0)]
    arguments = [{"channels": g or 3} for g in (1, 3, 0)]
    made = [replace(r, model_args=a) for r, a in zip(made, arguments, strict=True)]
    scored = score([runs.train_or_load(recipe) for recipe in made], protocols=())
    found = [row["channels"] for row in scored if row["method"] == "identity"]
    assert found == ["grey"] * 2 + ["rgb"] * 2
    found = [row["channels"] for row in scored if row["method"] != "identity"]
    assert found == ["grey"] * 4 + ["rgb"] * 2


def test_what_is_drawn_for_the_test_images_is_drawn_from_seed_0(world):
    blurs = {"degradation": "s2-gaussian", "grey": True}
    made = [Recipe("02/noisy", "srcnn", "photos", 1, 1, 16, seed=s, **blurs) for s in (0, 4)]
    scored = [score([runs.train_or_load(recipe)], protocols=()) for recipe in made]
    first, second = ([r["psnr"] for r in rows if r["method"] == "identity"] for rows in scored)
    assert first == second
    assert first[0] != first[1]


def test_the_runs_of_two_seeds_score_differently(rows):
    own = {(r["seed"], r["image"]): r["psnr"] for r in rows if r["method"] == "02/motion"}
    assert own[0, "test/p.png"] != own[1, "test/p.png"]


def test_all_protocols_are_scored_where_the_image_allows_it(rows):
    for row in rows:  # 45 pixels less the blur's margins; grey
        assert row["ssim_gaussian-rgb"] is not None
        assert row["ssim_multiscale"] is None
        assert row["ssim_gaussian-y"] is None


def test_the_middle_alone_is_scored_on_request_and_by_the_protocols_asked_for(trained):
    run = trained[2]
    scored = score([run], side=20, protocols=("uniform-rgb",))
    assert set(scored[1]) == {*table.ROW_COLUMNS, "seconds"} - set(MEASURES) - {
        f"ssim_{p}" for p in SSIM_PROTOCOLS if p != "uniform-rgb"
    }
    sharp = data.open_images("photos", "test")
    cases = list(evaluation.cases_of_images(sharp, "s1-motion", 0, side=20, grey=True))
    identity = [r["psnr"] for r in scored if r["method"] == "identity"]
    expected = [r["psnr"] for r in evaluation.evaluate([], cases, ())]
    assert identity == expected


def test_other_images_can_be_scored_on(trained):
    other = data.open_images("photos", "train").first(1)
    assert {row["image"] for row in score(trained[:1], other)} == {"train/0.png"}


@pytest.mark.parametrize("grey", [False, True])
def test_a_run_of_recorded_pairs_is_scored_on_the_recorded_test_pairs(world, grey):
    arguments = {"width": 4, "channels": 1 if grey else 3, "residual": True}
    recipe = Recipe("06/clips", "unet", "clips", 2, 2, 16, model_args=arguments, grey=grey)
    run = runs.train_or_load(recipe)
    scored = score([run], protocols=("gaussian-rgb",))
    assert {row["degradation"] for row in scored} == {"recorded"}
    assert {row["channels"] for row in scored} == {"grey" if grey else "rgb"}
    assert not any("draw" in row for row in scored)
    assert {row["image"] for row in scored} == {"test/z/sharp/0.png", "test/z/sharp/1.png"}
    assert {row["scene"] for row in scored} == {"test/z"}
    pairs = data.open_pairs("clips", "test")
    y, x = (torch.stack(z) for z in zip(*pairs, strict=True))
    if grey:
        y, x = (evaluation.images.grey(z) for z in (y, x))
    mse = (y.double() - x.double()).square().mean((1, 2, 3))
    expected = [10 * math.log10(1 / e) for e in mse.tolist()]
    identity = [row["psnr"] for row in scored if row["method"] == "identity"]
    assert identity == pytest.approx(expected, abs=0.02)


def test_a_set_without_test_images_cannot_be_scored_on(world, trained, tmp_path, monkeypatch):
    write_set(tmp_path / "half", [f"train/{i}.png" for i in range(3)], 64, 60)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    run = runs.train_or_load(find_recipe("02/motion", "smoke", data="half"), folder=tmp_path)
    with pytest.raises(InputError, match="half: no test/ folder with images"):
        score([run])


#: what a chapter's full recipes train on, and what is made smaller so that a test takes seconds:
#: a step of SRN on one crop of 256 pixels takes 10 s on one core. Whether those fit is tested too.
MINIATURES = {"02": ("anime-faces", {}), "05": ("gopro", {"batch": 1, "crop": 64})}
MINIATURES["06"] = ("anime-faces", {"batch": 2})
#: sets that a chapter's recipes must fit into; of those that are no pairs, 05 blurs the images
DATA = [("02", "anime-faces"), ("05", "gopro"), ("05", "gopro-gamma"), ("05", "sample")]
DATA += [("06", "anime-faces"), ("06", "sample")]


@pytest.fixture
def miniature(tmp_path, monkeypatch):
    """Three images of the anime faces' size and name, and GoPro's tree with three scenes."""
    write_set(tmp_path / "anime-faces" / "train", ["a.png", "b.png", "c.png"], 256, 256)
    sides = ("blur", "blur_gamma", "sharp")
    names = [f"GOPR{scene}/{side}/000001.png" for scene in (1, 2, 3) for side in sides]
    write_set(tmp_path / "gopro" / "train", names, 256, 256)
    known = [f"{name}={tmp_path / 'gopro'}" for name in ("gopro", "gopro-gamma")]
    monkeypatch.setenv("DEBLURLIB_DATA", os.pathsep.join([*known, str(tmp_path)]))
    return tmp_path


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_kind_of_full_recipe_runs_for_two_steps_on_a_miniature_of_its_data(
    chapter, miniature
):
    source, smaller = MINIATURES[chapter]
    kinds = {}
    for recipe in recipes(chapter, "full", data=source):
        kind = json.dumps([recipe.model_args, recipe.loss, recipe.optimiser["name"], recipe.grey])
        kinds.setdefault(kind, recipe)
    for recipe in kinds.values():
        few = replace(recipe, steps=2, every=1, reset=recipe.reset and 1, **smaller)
        run = runs.train_or_load(few, folder=miniature / "runs")
        assert run.metrics["ending"] == "done"


def test_every_chapter_has_data_that_its_recipes_are_tested_on():
    assert {chapter for chapter, _ in DATA} == MINIATURES.keys() == CHAPTERS.keys()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("chapter", "source"), DATA)
def test_the_crops_of_every_recipe_fit_into_its_data(chapter, source, profile, miniature):
    fabric, refused = training.start_fabric(), []
    for recipe in recipes(chapter, profile, data=source):
        opened = data.open_images if recipe.degradation else data.open_pairs
        sharp = opened(source, "train")
        margin = models.build(recipe.model, recipe.model_args, 0).margin
        try:
            inputs.batches_of(recipe, sharp, fabric, margin)
            y, x = next(validation.validation_pairs(recipe, sharp.first(1), margin))
        except InputError:
            refused.append(recipe.name)
        else:
            assert (x.shape[-1], y.shape[-1]) == (recipe.crop, recipe.crop + 2 * margin)
    assert refused == []
