"""``deblur train``, ``study``, ``runs``, ``methods`` and ``evaluate`` as a user meets them."""

import json
import math
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sets import write_pairs, write_set
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_studies import keep_three

from deblurlib import data, evaluation, machine, restoration, runs, studies, training
from deblurlib.errors import InputError
from deblurlib.restoration import METHODS, Method, shipped
from deblurlib.studies import rows as table

SMOKE = ("--profile", "smoke", "--data", "photos")
BOX = ("--degradation", "s1-box")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with sets and a store: 02/motion of two seeds, 02/box, 02/gaussian stopped."""
    folder = tmp_path_factory.mktemp("world")
    write_set(folder / "photos", [f"train/{i}.png" for i in range(4)], 64, 60)
    write_set(folder / "photos" / "test", ["p.png", "q.png"], 45, 50)
    write_set(folder / "flat", ["a.png", "b.png", "c.png"], 30, 41)
    write_set(folder / "half", ["train/a.png", "more/b.png"], 30, 41)
    write_set(folder / "bad", ["a.png", "b.png"], 30, 41)
    (folder / "bad" / "b.png").write_text("no image")
    write_pairs(folder / "clips", ("a", "b"), split="train")
    write_pairs(folder / "clips", ("z",), split="test")
    (folder / "old.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_DATA", str(folder))
        store = folder / "runs"
        for name, seed in (("02/motion", 0), ("02/motion", 1), ("02/box", 0)):
            runs.train_or_load(studies.find_recipe(name, "smoke", seed, "photos"), folder=store)
        stopped = studies.find_recipe("02/gaussian", "smoke", 0, "photos")
        runs.train_or_load(stopped, max_minutes=0, folder=store)
    return folder


@pytest.fixture
def deblur(world, tmp_path, monkeypatch, command):
    """Run the command in a copy of the world; returns exit code, stdout, stderr."""
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    return command


@pytest.fixture
def told(deblur):
    """As ``deblur``, of what goes well; returns stdout."""

    def run(*arguments):
        code, out, err = deblur(*arguments)
        assert (code, err) == (0, "")
        return out

    return run


def listed(name=None):
    return [r for r in runs.listed(runs.root()) if name in (None, r.recipe.name)]


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".locks" not in p.parts}


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def read_strictly(path):
    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def cells(out, *wanted):
    """The cells of the one table row that holds all that is wanted."""
    lines = [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines()]
    (line,) = [line for line in lines if set(wanted) <= set(line)]
    return line


def assert_refused(code, out, err, message):
    assert code == 2
    assert err.startswith("deblur: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err


# ---- train


def test_a_training_is_found_again_holds_no_path_and_a_board_gets_its_history(told, tmp_path):
    options = ("train", "02/motion", *SMOKE, "--seed", 5)
    first, second = told(*options, "--tensorboard", tmp_path / "board").splitlines()
    (run,) = [r for r in listed("02/motion") if r.recipe.seed == 5]
    m = run.metrics
    assert first == f"02/motion, seed 5: trained ({run.id})"
    assert second == (
        f"6 steps, {m['parameters']} parameters; validation {m['val_psnr']:.2f} dB, "
        f"identity {m['val_psnr_identity']:.2f} dB"
    )
    assert told(*options).splitlines() == [f"02/motion, seed 5: hit ({run.id})", second]

    files = [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert {p.name for p in files} == {  # nothing pickled
        *("recipe.json", "env.json", "config.json", "metrics.json", "history.csv"),
        *("model.safetensors", "state.safetensors"),
    }
    for path in files:
        content = path.read_bytes()
        for place in (tmp_path, data.__file__, sys.prefix):
            assert str(place).encode() not in content
        if path.suffix == ".json":
            assert b'"/' not in content
            read_strictly(path)

    (folder,) = (tmp_path / "board").iterdir()
    assert re.fullmatch("02-motion-seed-5-[0-9a-f]{6}", folder.name)
    board = EventAccumulator(str(folder)).Reload()
    for key in ("loss", "val_loss", "val_psnr"):
        events = [(e.step, e.value) for e in board.Scalars(key)]
        assert [step for step, _ in events] == [3, 6]
        expected = [row[key] for row in run.history]
        assert [value for _, value in events] == pytest.approx(expected, rel=1e-5)


def test_a_set_is_named_by_its_path_and_the_path_is_not_kept(told, tmp_path):
    shutil.move(tmp_path / "photos", tmp_path / "far" / "photos")
    out = told("train", "02/box", "--profile", "smoke", "--data", "far/photos")
    assert out.startswith("02/box, seed 0: hit")


def test_a_training_stopped_for_time_goes_on(deblur, told):
    options = ("train", "02/motion", *SMOKE, "--seed", 6)
    code, out, err = deblur(*options, "--max-minutes", 1e-9)
    assert (code, err) == (1, "")
    assert "02/motion, seed 6: stopped" in out
    assert "stopped for time at step 1 of 6: the same command goes on" in out
    assert "stopped at step 1" in told("runs", "list")
    assert "02/motion, seed 6: resumed" in told(*options)
    assert "02/motion, seed 6: hit" in told(*options)


def test_a_stale_run_is_loaded_on_request_and_trained_anew_otherwise(told):
    (run,) = listed("02/box")
    env = run.env | {"code": "0" * 12}
    (run.folder / "env.json").write_text(json.dumps(env))
    assert "complete, other code" in cells(told("runs", "list"), run.id)
    assert cells(told("methods", "--runs"), run.id)[-1].endswith(", other code")
    out = told("evaluate", "--method", run.id, "--images", "photos", *BOX)
    assert f"run {run.id} was made with other code" in out
    out = told("train", "02/box", *SMOKE, "--stale", "load")
    assert out.startswith(f"02/box, seed 0: stale ({run.id})")
    assert f"02/box, seed 0: trained ({run.id})" in told("train", "02/box", *SMOKE)
    assert "complete, same code" in cells(told("runs", "list"), run.id)


@pytest.mark.parametrize(
    ("source", "setting"), [("mine=clips", None), ("gopro=photos", "s4-camera")]
)
def test_what_a_set_holds_says_what_is_learned_from_it_whatever_its_name(told, source, setting):
    told("train", "05/srn", "--profile", "smoke", "--data", source)
    (run,) = listed("05/srn")
    assert run.recipe.data == source.partition("=")[0]
    assert run.recipe.degradation == setting


# ---- study


def test_a_study_prints_each_recipe_beside_the_identity(told, monkeypatch):
    keep_three(monkeypatch)
    asked = ("study", "02", *SMOKE, "--seeds", "0,1", "--side", 16)
    out = told(*asked, "--csv", "rows.csv.gz")
    kept = table.read_rows(Path("rows.csv.gz"))
    assert sum(row["method"] == "identity" for row in kept) == 3 * 2
    assert len(kept) == 3 * 2 + 3 * 2 * 2
    told(*asked, "--csv", "rows.csv")
    assert table.from_csv(Path("rows.csv").read_text("utf-8")) == kept
    assert [word for word in ("identity", "PSNR", "gain", "win rate") if word not in out] == []
    assert [out.count(f": {how} (") for how in ("hit", "resumed", "trained")] == [3, 1, 2]
    for run in [r for r in listed() if r.recipe.seed in (0, 1)]:
        line = evaluation.summary(studies.score([run], side=16, protocols=("gaussian-rgb",)))[-1]
        scores = [line[k] for k in ("identity_psnr", "psnr", "psnr_gain", "ssim")]
        recipe = run.recipe
        assert cells(out, recipe.name, str(recipe.seed)) == [
            *(recipe.name, str(recipe.seed), "2", *(f"{v:.3f}" for v in scores)),
            f"{line['win_rate']:.0%}",
        ]


# ---- runs


def test_the_runs_are_listed_with_their_states_and_scores(told):
    out = told("runs", "list")
    assert len(listed()) == 4
    for run in listed():
        r = run.recipe
        line = cells(out, run.id)
        assert line[:5] == [run.id, r.name, str(r.seed), "photos", "6"]
        if run.outcome == "stopped":
            assert line[5:] == ["stopped at step 1", "", ""]
        else:
            scores = [run.metrics[key] for key in ("val_psnr", "val_psnr_identity")]
            assert line[5:] == ["complete, same code", *(f"{score:.2f}" for score in scores)]


def test_what_stands_in_a_table_is_shown_as_it_is(told, monkeypatch):
    store = Path("runs", "[", "b]:x:\udce9")
    try:
        store.mkdir(parents=True)
    except OSError:
        pytest.skip("this disk takes no such name")
    monkeypatch.setenv("DEBLURLIB_RUNS", str(store))
    title = " ".join(line.strip() for line in told("runs", "list").split("\n")[:2])
    assert title.startswith(r"Runs in runs/[/b]:x:\udce9")


def test_a_store_that_is_not_there_has_no_run_in_it_and_is_not_made(told, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "none"))
    assert "02/" not in told("runs", "list")
    assert "identity" in told("methods")
    assert not (tmp_path / "none").exists()


def test_a_run_is_shown(told):
    (run,) = listed("02/box")
    out = told("runs", "show", "02/box")
    assert out.startswith(f"{run.folder}: complete, same code\n")
    assert run.recipe.to_json() in out
    assert run.env["device"] in out
    assert ", ".join(f"{k} {v}" for k, v in run.env["versions"].items()) in out
    assert [line for line in out.splitlines() if line.startswith("step ")] == [
        "  ".join(f"{k} {v:g}" for k, v in row.items()) for row in run.history
    ]


def test_a_stopped_run_and_one_whose_data_changed_are_shown_as_such(told, tmp_path):
    out = told("runs", "show", "02/gaussian")
    assert ": stopped at step 1\n" in out
    assert "validation" not in out
    write_set(tmp_path / "photos", ["train/new.png"], 64, 60)
    (run,) = listed("02/box")
    assert told("runs", "show", run.id).startswith(f"{run.folder}: complete, other data\n")


def test_runs_are_removed_by_their_ids(told):
    first, second = listed("02/motion")
    title = f"02/motion, photos, seed {first.recipe.seed}, 6 steps"
    others = [run.id[:9] for name in ("02/box", "02/gaussian") for run in listed(name)]
    lines = told("runs", "rm", first.id, *others).splitlines()
    assert lines[0] == f"removed {first.id} ({title})"
    assert len(lines) == 3
    assert [r.id for r in listed()] == [second.id]
    left = [p for p in contents(runs.root()) if p.suffix != ".lock"]
    assert {p.parent.name for p in left} == {second.id}


@pytest.mark.parametrize("wanted", [["ID", "nothing"], ["02/box"], [""]])
def test_if_one_of_several_cannot_be_removed_none_is(deblur, wanted):
    before = contents(runs.root())
    names = [listed("02/box")[0].id if name == "ID" else name for name in wanted]
    by_name = "02/box: runs are removed by their ids"
    message = by_name if "/" in wanted[-1] else f"no run '{wanted[-1]}' in"
    assert_refused(*deblur("runs", "rm", *names), message)
    assert contents(runs.root()) == before


def test_a_damaged_run_is_listed_refused_and_can_be_removed(deblur, told):
    (run,) = listed("02/box")
    (run.folder / "recipe.json").write_text("{")
    folders = sorted(runs.root().glob("[0-9a-f]*"))
    out = told("runs", "list")
    assert all(folder.name in out for folder in folders)
    assert_refused(*deblur("runs", "show", run.id), f"deblur runs rm {run.id} removes it")
    told("runs", "rm", run.id)
    folders.remove(run.folder)
    assert sorted(runs.root().glob("[0-9a-f]*")) == folders


# ---- methods


def test_the_methods_are_listed_and_the_complete_runs_with_them(told, monkeypatch):
    for name, more in {
        "near": {"receptive_field": 129},
        "far": {"receptive_field": 131, "blind": False},
        "measured": {"receptive_field": 1801, "tiled_psnr": 58.26},
        "whole": {},
    }.items():
        monkeypatch.setitem(METHODS, name, Method(name, lambda y, kernel: y, "a test", **more))
    out = told("methods")
    assert cells(out, "near") == ["near", "", "a test"]
    assert cells(out, "far") == ["far", "needed", "a test"]
    for name, field, tiled in (
        ("near", "129 pixels", "equal"),
        ("far", "131 pixels", "not measured"),
        ("measured", "1801 pixels", "58.3 dB"),
        ("whole", "all", "not measured"),
    ):
        _, _, *lines = told("methods", name).splitlines()
        assert lines[0] == f"receptive field: {field}"
        assert lines[1] == f"in tiles, against the whole: {tiled}"
    for name in (*METHODS, *shipped()):
        assert cells(out, name)[-1] == restoration.find_method(name).describes
    out = told("methods", "--runs")
    for run in listed():
        if run.outcome == "stopped":
            assert run.id not in out
        else:
            recipe = run.recipe
            about = f"{recipe.name}, srcnn trained on photos, seed {recipe.seed}, 6 steps"
            assert cells(out, run.id) == [run.id, "", about]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "02/fog", *SMOKE], "no recipe '02/fog'"),
        (["train", "02/motion", "--profile", "huge"], "profile 'huge'"),
        (["train", "02/motion", "--data", "nowhere"], "'nowhere' is no data set"),
        (["train", "02/motion", "--data", "flat"], "flat: no train/ folder with images"),
        (["train", "02/motion", "--profile", "smoke", "--data", "clips"], "clips: holds pairs"),
        (["train", "02/motion", *SMOKE, "--stale", "keep"], 'stale is "retrain" or "load"'),
        (["study", "01"], "chapter '01' trains nothing"),
        (["study", "02", "--seeds", "0;1"], "seeds are whole numbers"),
        (["study", "02", "--profile", "smoke", "--data", "clips"], "clips: holds pairs"),
        (["study", "02", "--profile", "smoke", "--data", "half"], "half: no test/ folder"),
        (["runs", "show", "nothing"], "no run 'nothing' in"),
        (["runs", "show", "02/motion"], "can be any of these runs"),
    ],
)
def test_bad_input_is_one_sentence_and_trains_nothing(deblur, tmp_path, arguments, message):
    before = contents(tmp_path)
    assert_refused(*deblur(*arguments), message)
    assert contents(tmp_path) == before


# ---- evaluate


@pytest.fixture
def evaluated(told):
    """What the command wrote and printed."""

    def run(method, *arguments):
        out = told("evaluate", "--method", method, "--json", "s.json", *arguments)
        return read_strictly(Path("s.json")), out

    return run


def assert_right(found, rows, protocol):
    """The file says what :func:`evaluate` and :func:`summary` say."""
    line = evaluation.summary(rows, protocol)[-1]
    seconds = line.pop("seconds")
    assert found["seconds"] > 0 < seconds
    assert {key: found[key] for key in line} == {
        key: pytest.approx(v) if isinstance(v, float) else v for key, v in line.items()
    }
    assert found["device"].startswith("cpu: ")
    own = [r for r in rows if r["method"] == line["method"]]
    base = [r for r in rows if r["method"] == "identity"]
    for entry, one, doing_nothing in zip(found["images"], own, base, strict=True):
        assert entry.pop("seconds") > 0
        assert entry == {
            "image": one["image"],
            "scene": one["scene"],
            "psnr": pytest.approx(one["psnr"]),
            "ssim": pytest.approx(one[f"ssim_{protocol}"]),
            "identity_psnr": pytest.approx(doing_nothing["psnr"]),
            "identity_ssim": pytest.approx(doing_nothing[f"ssim_{protocol}"]),
        }


@pytest.mark.parametrize("method", ["unsharp-mask", "02/box"])
def test_scores_on_images_are_those_of_evaluate(evaluated, method):
    options = ("--images", "flat", "--degradation", "s2-gaussian", "--seed", 3)
    found, out = evaluated(method, *options)
    cases = evaluation.cases_of_images(data.open_images("flat"), "s2-gaussian", 3)
    chosen = restoration.find_method(method)
    assert_right(found, evaluation.evaluate([chosen], cases), "gaussian-rgb")
    assert found["n"] == len(found["images"]) == 3
    assert found["run"] == (chosen.run and chosen.run.id)
    base = [f"{found[k]:.4f}" for k in ("identity_psnr", "identity_ssim")]
    assert cells(out, "identity")[1:4] == ["3", *base]
    scores = [f"{found[k]:.4f}" for k in ("psnr", "ssim")]
    assert cells(out, method)[1:5] == ["3", *scores, f"{found['win_rate']:.0%}"]
    assert f"on {found['device']}" in out


def test_a_method_is_scored_with_its_settings(evaluated):
    options = ("--images", "flat", "--degradation", "s2-gaussian")
    found, _ = evaluated("unsharp-mask", *options, "--set", "amount=3")
    cases = evaluation.cases_of_images(data.open_images("flat"), "s2-gaussian", 0)
    chosen = METHODS["unsharp-mask"].with_settings(amount=3)
    assert_right(found, evaluation.evaluate([chosen], cases), "gaussian-rgb")
    assert found["settings"] == {"sigma": 2.0, "amount": 3.0}


def test_scores_on_pairs_are_those_of_evaluate(evaluated):
    found, _ = evaluated("02/box", "--pairs", "clips", "--ssim", "uniform-rgb")
    cases = evaluation.cases_of_pairs(data.open_pairs("clips", "test"))
    rows = evaluation.evaluate([restoration.find_method("02/box")], cases, ("uniform-rgb",))
    assert_right(found, rows, "uniform-rgb")
    assert [(e["image"], e["scene"]) for e in found["images"]] == [
        *(("test/z/sharp/0.png", "test/z"), ("test/z/sharp/1.png", "test/z"))
    ]


@pytest.mark.parametrize(
    ("options", "n", "part"),
    [
        (["--pairs", "clips"], 2, "test"),
        (["--images", "photos", *BOX], 2, "test"),
        (["--images", "flat", *BOX], 3, "all"),
        (["--images", "half", *BOX, "--split", "train"], 1, "train"),
        (["--images", "anime-faces=many", *BOX], 1, "test"),
    ],
)
def test_the_test_part_is_scored_where_there_is_one_and_no_other_is_wanted(
    evaluated, options, n, part
):
    write_set(Path("many"), [f"{i}.png" for i in range(6)], 30, 41)
    found, out = evaluated("identity", *options)
    assert found["n"] == len(found["images"]) == n
    assert found["split"] == (None if part == "all" else part)
    assert out.splitlines()[-1].startswith(f"{found['data']}, {part}; ")


def test_the_identity_gains_nothing(evaluated):
    found, out = evaluated("identity", "--pairs", "clips")
    assert (found["method"], found["psnr_gain"], found["win_rate"]) == ("identity", 0, 0)
    assert found["psnr"] == found["identity_psnr"]
    assert out.count("identity") == 1


def test_where_all_is_perfect_or_too_small_for_ssim_there_is_no_mean(evaluated):
    shutil.copytree(write_set(Path("same/sharp"), ["1.png", "2.png"], 9, 9), "same/blur")
    found, out = evaluated("identity", "--pairs", "same")
    assert [found[key] for key in ("psnr", "psnr_gain", "ssim", "win_rate")] == 3 * [None] + [0]
    assert [(entry["psnr"], entry["ssim"]) for entry in found["images"]] == 2 * [(None, None)]
    assert "the identity is perfect on 2 of 2 images; these are left out" in out
    assert cells(out, "identity")[2:4] == ["-", "-"]


def test_the_means_are_over_the_images_where_neither_is_perfect(evaluated):
    write_set(Path("some/sharp"), ["1.png", "2.png"])
    write_set(Path("some/blur"), ["2.png", "1.png"])  # each the other's noise
    for folder in ("sharp", "blur"):  # and one that is not blurred
        shutil.copy("some/sharp/1.png", f"some/{folder}/3.png")
    found, out = evaluated("unsharp-mask", "--pairs", "some")
    mean = sum(entry["psnr"] for entry in found["images"][:2]) / 2
    assert found["psnr"] == pytest.approx(mean)
    assert found["images"][2]["identity_psnr"] is None
    assert "the identity is perfect on 1 of 3 images, unsharp-mask on 0; these are" in out


def test_the_scores_of_a_model_of_nan_are_json_all_the_same(evaluated):
    weights = listed("02/box")[0].folder / "model.safetensors"
    save_file({key: value * math.nan for key, value in load_file(weights).items()}, weights)
    assert evaluated("02/box", "--pairs", "clips")[0]["psnr"] is None


@pytest.mark.parametrize("contaminated", [("other",), ("other", "clips"), ("Cl-IPS",)])
def test_scores_on_what_a_method_was_trained_on_are_no_test(evaluated, monkeypatch, contaminated):
    method = Method("net", lambda y, kernel: 0.9 * y, "a network", contaminated=contaminated)
    monkeypatch.setitem(METHODS, "net", method)
    found, out = evaluated("net", "--pairs", "clips")
    is_no_test = contaminated != ("other",)
    assert found["contaminated"] is is_no_test
    assert ("net was trained on such images of clips" in out) == is_no_test


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "half", *BOX], "half: has train/ but no test/; --split t"),
        (["--images", "clips", *BOX], "clips: holds pairs, blur/ and sharp/"),
        (["--images", "bad", *BOX], "b.png: not an image file"),
        (["--images", "flat", *BOX, "--split", "test"], "no test/ folder"),
        (["--images", "flat", "--degradation", "fog"], "degradation 'fog' is none of"),
        (["--images", "flat", "--degradation", "s5-gaussian"], "leaves nothing valid"),
        ([], "give either --pairs DIR or --images DIR with --degradation NAME"),
        (BOX, "give either --pairs"),
        (["--images", "flat"], "give either --pairs"),
        (["--images", "flat", "--pairs", "clips", *BOX], "give either --pairs"),
        (["--pairs", "clips", *BOX], "give either --pairs"),
        (["--pairs", "nowhere"], "'nowhere' is no data set"),
        (["--pairs", "clips", "--method", "magic"], "no method 'magic'"),
        (["--pairs", "clips", "--method", "02/gaussian"], "is not complete"),
        (["--pairs", "clips", "--ssim", "wang"], "SSIM protocol 'wang'"),
        (["--pairs", "clips", "--device", "meta"], "device meta is none of auto, cpu, cuda"),
        (["--pairs", "clips", "--device", "cuda"], "device cuda: no GPU is to be seen here"),
        (["--pairs", "clips", "--json", "nowhere/s.json"], "nowhere/s.json: is a folder, or in"),
        (["--pairs", "clips", "--json", "flat"], "flat: is a folder, or in one"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence_and_no_file(
    deblur, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = contents(tmp_path)
    options = () if "--method" in arguments else ("--method", "unsharp-mask")
    written = () if "--json" in arguments else ("--json", "old.json")
    assert_refused(*deblur("evaluate", *options, *written, *arguments), message)
    assert contents(tmp_path) == before


def test_a_damaged_run_is_named_with_its_cure(deblur):
    (run,) = listed("02/box")
    (run.folder / "model.safetensors").write_bytes(b"damaged")
    code, out, err = deblur("evaluate", "--method", "02/box", "--pairs", "clips")
    assert_refused(code, out, err, f"deblur runs rm {run.id} removes it")
    assert str(run.folder) in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence(deblur):
    options = ("--method", "identity", "--pairs", "clips", "--json", "/dev/full")
    assert_refused(*deblur("evaluate", *options), "No space left on device")


def test_scores_that_cannot_be_written_leave_the_old_ones(deblur, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    before = contents(tmp_path)
    options = ("--method", "identity", "--pairs", "clips", "--json", "old.json")
    assert_refused(*deblur("evaluate", *options), "old.json: cannot be written (No space left")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "02/box", *SMOKE),
        ("study", "02", *SMOKE),
        ("evaluate", "--method", "identity", "--pairs", "clips"),
        ("restore", "flat/a.png", "-o", "out.png", "--method", "identity"),
        ("report", "01"),
        ("publish", "01"),
        ("confirm", "01"),
    ],
)
def test_every_command_that_computes_on_images_takes_a_device(
    deblur, tmp_path, monkeypatch, arguments
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    before = contents(tmp_path)
    refused = deblur(*arguments, "--device", "cuda:3")
    assert_refused(*refused, "device cuda:3: there are 2 GPUs, counted from cuda:0")
    assert contents(tmp_path) == before


def test_the_device_asked_for_is_what_auto_means_from_there_on(deblur, monkeypatch):
    asked = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    def no_training(*arguments, **options):
        asked.append(str(machine.device()))
        raise InputError("stop here")

    monkeypatch.setattr(runs, "train_or_load", no_training)
    for device in ("cuda:1", "cpu", "auto"):
        assert deblur("train", "02/box", *SMOKE, "--device", device)[0] == 2
    assert asked == ["cuda:1", "cpu", "cpu"]  # auto: what the variable says


@pytest.mark.parametrize(
    ("trains", "named"), [(("train", "02/box"), "02/box on cpu"), (("study", "02"), "chapter 02")]
)
def test_a_training_that_runs_out_of_memory_is_one_sentence(deblur, monkeypatch, trains, named):
    def greedy(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(training, "fit", greedy)
    shutil.rmtree("runs")
    refused = deblur(*trains, *SMOKE)
    assert_refused(*refused, named)
    assert "not enough memory; a recipe with a smaller batch or crop needs less" in refused[2]


def test_an_evaluation_that_runs_out_of_memory_names_method_and_image(deblur, monkeypatch):
    def greedy(y, kernel):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(METHODS, "greedy", Method("greedy", greedy, "needs much"))
    refused = deblur("evaluate", "--method", "greedy", "--pairs", "clips")
    assert_refused(*refused, "greedy on test/z/sharp/0.png: not enough memory; a smaller image")


def test_whatever_else_runs_out_of_memory_is_one_sentence(deblur, monkeypatch):
    def greedy(*arguments):
        raise MemoryError

    monkeypatch.setattr(evaluation, "summary", greedy)
    refused = deblur("evaluate", "--method", "identity", "--pairs", "clips")
    assert_refused(*refused, "there is not enough memory for this")
