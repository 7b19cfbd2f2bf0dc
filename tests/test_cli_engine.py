"""``deblur train``, ``study``, ``runs``, ``methods`` and ``evaluate`` as a user meets them."""

import json
import math
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_evaluation import write_pairs, write_set
from test_studies import keep_three

from deblurlib import data, evaluation, restoration, runs, studies
from deblurlib.restoration import METHODS, find_method, shipped
from deblurlib.studies import rows as table
from deblurlib.training import loop

KEYS = {
    *("method", "n", "psnr", "ssim", "identity_psnr", "identity_ssim", "psnr_gain"),
    *("win_rate", "seconds", "device", "images"),
}
SMOKE = ("--profile", "smoke", "--data", "photos")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with photos, clips and a store: 02/motion of two seeds, 02/box, one stopped."""
    folder = tmp_path_factory.mktemp("world")
    write_set(folder / "photos", [f"train/{i}.png" for i in range(4)], 64, 60)
    write_set(folder / "photos" / "test", ["p.png", "q.png"], 45, 50)
    write_set(folder / "flat", ["a.png", "b.png", "c.png"], 30, 41)
    write_set(folder / "half", ["train/a.png", "more/b.png"], 30, 41)
    write_pairs(folder / "clips", ("a", "b"), split="train")
    write_pairs(folder / "clips", ("z",), split="test")
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


def test_a_training_is_found_again(deblur):
    before = {r.id for r in listed()}
    code, out, err = deblur("train", "02/motion", *SMOKE, "--seed", 5)
    (run,) = [r for r in listed("02/motion") if r.id not in before]
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == f"02/motion, seed 5: trained ({run.id})"
    m = run.metrics
    assert second == (
        f"6 steps, {m['parameters']} parameters; validation {m['val_psnr']:.2f} dB, "
        f"identity {m['val_psnr_identity']:.2f} dB"
    )
    code, out, err = deblur("train", "02/motion", *SMOKE, "--seed", 5)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"02/motion, seed 5: hit ({run.id})", second]


def test_a_set_is_named_by_its_path_and_the_path_is_not_kept(deblur, tmp_path):
    shutil.move(tmp_path / "photos", tmp_path / "far" / "photos")
    code, out, _ = deblur("train", "02/box", "--profile", "smoke", "--data", "far/photos")
    assert code == 0
    assert out.startswith("02/box, seed 0: hit")
    code, out, _ = deblur(
        "train", "02/box", "--profile", "smoke", "--data", f"mine={tmp_path / 'far' / 'photos'}"
    )
    assert out.startswith("02/box, seed 0: trained")
    assert {r.recipe.data for r in listed("02/box")} == {"photos", "mine"}


def test_a_run_holds_no_path_of_this_machine_and_nothing_pickled(deblur, tmp_path):
    code, _, _ = deblur("train", "02/box", *SMOKE, "--seed", 9, "--tensorboard", tmp_path / "board")
    assert code == 0
    files = [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert {p.name for p in files} == {
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


def test_a_training_stopped_for_time_goes_on(deblur, tmp_path):
    options = ("train", "02/motion", *SMOKE, "--seed", 6)
    code, out, err = deblur(*options, "--max-minutes", 1e-9)
    assert (code, err) == (1, "")
    assert "02/motion, seed 6: stopped" in out
    assert "the same command goes on" in out
    code, out, _ = deblur("runs", "list")
    assert "stopped at step 1" in out
    code, out, _ = deblur(*options)
    assert code == 0
    assert "02/motion, seed 6: resumed" in out
    code, out, _ = deblur(*options)
    assert "02/motion, seed 6: hit" in out


@pytest.mark.parametrize("steps", [1, 4])
def test_how_far_a_stopped_training_came_is_said(deblur, monkeypatch, steps):
    look = loop._look

    def stop_after(state, fabric, total, every, wanted):
        look(state, fabric, total, every, lambda: "time" if state.step == steps else None)

    monkeypatch.setattr(loop, "_look", stop_after)
    code, out, _ = deblur("train", "02/motion", *SMOKE, "--seed", 6, "--max-minutes", 1)
    assert code == 1
    assert f"stopped for time at step {steps} of 6: the same command goes on" in out


def test_tensorboard_gets_the_history(deblur, tmp_path):
    options = ("train", "02/motion", *SMOKE, "--seed", 7)
    code, _, err = deblur(*options, "--tensorboard", "board")
    assert (code, err) == (0, "")
    (folder,) = (tmp_path / "board").iterdir()
    assert folder.name == "02-motion-seed-7"
    board = EventAccumulator(str(folder)).Reload()
    (run,) = [r for r in listed("02/motion") if r.recipe.seed == 7]
    assert {"loss", "val_loss", "val_psnr"} <= set(board.Tags()["scalars"])
    for key in ("loss", "val_loss", "val_psnr"):
        events = [(e.step, e.value) for e in board.Scalars(key)]
        assert [step for step, _ in events] == [3, 6]
        expected = [row[key] for row in run.history]
        assert [value for _, value in events] == pytest.approx(expected, rel=1e-5)


def test_a_stale_run_is_loaded_on_request_and_trained_anew_otherwise(deblur):
    (run,) = listed("02/box")
    env = run.env
    env["code"] = "0" * 12
    (run.folder / "env.json").write_text(json.dumps(env))
    assert "complete, other code" in cells(deblur("runs", "list")[1], run.id)
    assert cells(deblur("methods")[1], run.id)[-1].endswith(", other code")
    _, out, _ = deblur(
        *("evaluate", "--method", run.id, "--images", "photos", "--degradation", "s1-box")
    )
    assert f"run {run.id} was made with other code" in out
    code, out, _ = deblur("train", "02/box", *SMOKE, "--stale", "load")
    assert code == 0
    assert out.startswith(f"02/box, seed 0: stale ({run.id})")
    code, out, _ = deblur("train", "02/box", *SMOKE)
    assert code == 0
    assert f"02/box, seed 0: trained ({run.id})" in out
    assert "complete, same code" in cells(deblur("runs", "list")[1], run.id)


def test_a_study_prints_each_recipe_beside_the_identity(deblur, monkeypatch):
    keep_three(monkeypatch)
    asked = ("study", "02", *SMOKE, "--seeds", "0,1", "--side", 16)
    code, out, err = deblur(*asked, "--csv", "rows.csv.gz")
    assert (code, err) == (0, "")
    kept = table.read_rows(Path("rows.csv.gz"))
    assert sum(row["method"] == "identity" for row in kept) == 3 * 2
    assert len(kept) == 3 * 2 + 3 * 2 * 2
    deblur(*asked, "--csv", "rows.csv")
    assert table.from_csv(Path("rows.csv").read_text("utf-8")) == kept
    assert [word for word in ("identity", "PSNR", "gain", "win rate") if word not in out] == []
    assert out.count(": hit (") == 3
    assert out.count(": resumed (") == 1
    assert out.count(": trained (") == 2
    for run in [r for r in listed() if r.recipe.seed in (0, 1)]:
        rows = studies.score([run], side=16, protocols=("gaussian-rgb",))
        line = evaluation.summary(rows)[-1]
        scores = [line[k] for k in ("identity_psnr", "psnr", "psnr_gain", "ssim")]
        recipe = run.recipe
        assert cells(out, recipe.name, str(recipe.seed)) == [
            *(recipe.name, str(recipe.seed), "2", *(f"{v:.3f}" for v in scores)),
            f"{line['win_rate']:.0%}",
        ]


def test_the_runs_are_listed_with_their_states_and_scores(deblur):
    code, out, err = deblur("runs", "list")
    assert (code, err) == (0, "")
    assert len(listed()) == 4
    for run in listed():
        r = run.recipe
        line = cells(out, run.id)
        assert line[:5] == [run.id, r.name, str(r.seed), "photos", "6"]
        if run.outcome == "stopped":
            assert line[5:] == ["stopped at step 1", "", ""]
        else:
            m = run.metrics
            assert line[5:] == [
                "complete, same code",
                *(f"{m[f'val_psnr{k}']:.2f}" for k in ("", "_identity")),
            ]


def test_what_stands_in_a_table_is_shown_as_it_is(deblur, monkeypatch):
    store = Path("runs", "[", "b]:x:\udce9")
    try:
        store.mkdir(parents=True)
    except OSError:
        pytest.skip("this disk takes no such name")
    monkeypatch.setenv("DEBLURLIB_RUNS", str(store))
    code, out, err = deblur("runs", "list")
    assert (code, err) == (0, "")
    title = " ".join(line.strip() for line in out.split("\n")[:2])  # as narrow as the table
    assert title.startswith(r"Runs in runs/[/b]:x:\udce9")


def test_an_empty_store_has_no_run_in_it(deblur, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "none"))
    code, out, err = deblur("runs", "list")
    assert (code, err) == (0, "")
    assert "02/" not in out
    code, out, _ = deblur("methods")
    assert code == 0
    assert "identity" in out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("by", ["id", "beginning", "recipe"])
def test_a_run_is_shown(deblur, tmp_path, by):
    (run,) = listed("02/box")
    name = {"id": run.id, "beginning": run.id[:6], "recipe": "02/box"}[by]
    code, out, err = deblur("runs", "show", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"{run.folder}: complete, same code\n")
    assert run.recipe.to_json() in out
    assert run.env["device"] in out
    assert ", ".join(f"{k} {v}" for k, v in run.env["versions"].items()) in out
    assert "changed since" not in out
    assert [line for line in out.splitlines() if line.startswith("step ")] == [
        "  ".join(f"{k} {v:g}" for k, v in row.items()) for row in run.history
    ]


def test_a_stopped_run_is_shown(deblur):
    code, out, _ = deblur("runs", "show", "02/gaussian")
    assert code == 0
    assert ": stopped at step 1\n" in out
    assert "validation" not in out


def test_what_has_changed_since_a_run_is_shown(deblur, tmp_path):
    write_set(tmp_path / "photos", ["train/new.png"], 64, 60)
    (run,) = listed("02/box")
    code, out, _ = deblur("runs", "show", run.id)
    assert code == 0
    assert out.startswith(f"{run.folder}: complete, other data\n")


def test_runs_are_removed_by_their_ids(deblur):
    first, second = listed("02/motion")
    title = f"02/motion, photos, seed {first.recipe.seed}, 6 steps"
    others = [run.id[:9] for name in ("02/box", "02/gaussian") for run in listed(name)]
    code, out, err = deblur("runs", "rm", first.id, *others)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"removed {first.id} ({title})"
    assert len(out.splitlines()) == 3
    assert [r.id for r in listed()] == [second.id]
    left = [p for p in contents(runs.root()) if p.suffix != ".lock"]
    assert {p.parent.name for p in left} == {second.id}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["nothing"], "no run 'nothing' in"),
        (["ID", "nothing"], "no run 'nothing' in"),
        (["02/box"], "no run '02/box' in"),
    ],
)
def test_if_one_of_several_cannot_be_removed_none_is(deblur, wanted, message):
    before = contents(runs.root())
    wanted = [listed("02/box")[0].id if name == "ID" else name for name in wanted]
    code, out, err = deblur("runs", "rm", *wanted)
    assert_refused(code, out, err, message)
    assert contents(runs.root()) == before


def test_an_empty_name_removes_nothing(deblur):
    for run in listed()[1:]:
        runs.remove(runs.root(), run.id)
    assert len(listed()) == 1
    code, *_ = deblur("runs", "rm", "")
    assert code == 2
    assert len(listed()) == 1


@pytest.fixture
def damaged(deblur):
    """The run 02/box, whose recipe cannot be read any more."""
    (run,) = listed("02/box")
    (run.folder / "recipe.json").write_text("{")
    return run


def test_the_other_runs_are_listed_beside_a_damaged_one(deblur, damaged):
    code, out, err = deblur("runs", "list")
    assert (code, err) == (0, "")
    for run in runs.root().glob("[0-9a-f]*"):
        assert run.name in out


def test_a_damaged_run_can_be_removed_and_the_others_stay(deblur, damaged):
    code, _, err = deblur("runs", "rm", damaged.id)
    assert (code, err) == (0, "")
    assert len(list(runs.root().glob("[0-9a-f]*"))) == 2
    assert not damaged.folder.exists()


def test_a_damaged_run_that_is_shown_is_one_sentence(deblur, damaged):
    assert_refused(*deblur("runs", "show", damaged.id), f"deblur runs rm {damaged.id} removes it")


def test_the_methods_are_listed_and_the_complete_runs_with_them(deblur):
    code, out, err = deblur("methods")
    assert (code, err) == (0, "")
    for method in METHODS.values():
        needs = "no" if method.blind else "yes"
        far = ("all", f"{method.tiled_psnr} dB")
        reach, tiles = (
            far if method.receptive_field is None else (str(method.receptive_field), "equal")
        )
        told = [method.name, needs, reach, tiles, method.describes]
        assert cells(out, method.name, method.describes) == told
    for name in shipped():
        method = find_method(name)
        told = [
            name,
            "no",
            str(method.receptive_field),
            f"{method.tiled_psnr:.1f} dB",
            method.describes,
        ]
        assert cells(out, name) == told
    for run in listed():
        if run.outcome == "stopped":
            assert run.id not in out
        else:
            recipe = run.recipe
            told = f"{recipe.name}, srcnn trained on photos, seed {recipe.seed}, 6 steps"
            reach = str(run.model().receptive_field // 2)
            assert cells(out, run.id) == [run.id, "no", reach, "equal", told]


def assert_refused(code, out, err, message):
    assert code == 2
    assert err.startswith("deblur: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "02/fog", *SMOKE], "no recipe '02/fog'; there are: 02/gaussian"),
        (["train", "99/motion", *SMOKE], "no recipe '99/motion'; there are: 02/"),
        (["train", "02/motion", "--profile", "huge"], "profile 'huge' is none of smoke"),
        (["train", "02/motion", "--data", "nowhere"], "'nowhere' is no data set"),
        (["train", "02/motion", "--data", "x=nowhere"], "nowhere: no such file or folder"),
        (["train", "02/motion", "--data", "gopro"], "the data set 'gopro' is not here"),
        (["train", "02/motion", "--data", "flat"], "flat: no train/ folder with images"),
        (["train", "02/motion", *SMOKE, "--stale", "keep"], 'stale is "retrain" or "load"'),
        (["study", "07"], "chapter '07' trains nothing"),
        (["study", "02", "--seeds", "0;1"], "seeds are whole numbers separated by commas"),
        (["study", "02", "--seeds", ""], "seeds are whole numbers separated by commas"),
        (["study", "02", "--profile", "huge"], "profile 'huge' is none of smoke"),
        (["study", "02", "--data", "nowhere"], "'nowhere' is no data set"),
        (["study", "02", "--profile", "smoke", "--data", "clips"], "clips: holds pairs, blur/"),
        (["train", "02/motion", "--profile", "smoke", "--data", "clips"], "clips: holds pairs"),
        (["runs", "show", "nothing"], "no run 'nothing' in"),
        (["runs", "show", "02/motion"], "can be any of these runs"),
    ],
)
def test_bad_input_is_one_sentence_and_trains_nothing(deblur, tmp_path, arguments, message):
    before = contents(tmp_path)
    assert_refused(*deblur(*arguments), message)
    assert contents(tmp_path) == before


def test_what_a_set_holds_says_what_is_learned_from_it_whatever_its_name(deblur):
    for source, setting in (("mine=clips", None), ("gopro=photos", "s4-camera")):
        options = ("--profile", "smoke", "--data", source)
        code, _, err = deblur("train", "05/shipped", *options)
        assert (code, err) == (0, "")
        name = source.partition("=")[0]
        (run,) = [r for r in listed("05/shipped") if r.recipe.data == name]
        assert run.recipe.degradation == setting


def evaluated(deblur, method, *arguments):
    """What the command wrote and printed."""
    code, out, err = deblur("evaluate", "--method", method, "--json", "s.json", *arguments)
    assert (code, err) == (0, "")
    return read_strictly(Path("s.json")), out


def assert_right(found, rows, protocol="gaussian-rgb"):
    """The file says what :func:`evaluate` and :func:`summary` say."""
    line = evaluation.summary(rows, protocol)[-1]
    assert found.keys() >= KEYS
    for key in KEYS - {"device", "images", "seconds"}:
        assert found[key] == pytest.approx(line[key]), key
    assert found["ssim_protocol"] == protocol
    assert found["device"].startswith("cpu: ")
    assert found["seconds"] > 0
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


@pytest.mark.parametrize("method", ["identity", "unsharp-mask", "02/box", "id"])
def test_scores_on_images_are_those_of_evaluate(deblur, method):
    if method == "id":
        method = listed("02/motion")[1].id[:8]
    options = ("--images", "flat", "--degradation", "s1-motion", "--seed", 3)
    found, out = evaluated(deblur, method, *options)
    cases = evaluation.cases_of_images(data.open_images("flat"), "s1-motion", 3)
    rows = evaluation.evaluate([restoration.find_method(method)], cases)
    assert found["n"] == len(found["images"]) == 3
    assert_right(found, rows)
    assert cells(out, "identity")[1:4] == [
        *("3", f"{found['identity_psnr']:.4f}", f"{found['identity_ssim']:.4f}")
    ]
    if method != "identity":
        scores = [f"{found[k]:.4f}" for k in ("psnr", "ssim")]
        assert cells(out, found["method"])[1:5] == ["3", *scores, f"{found['win_rate']:.0%}"]
    assert f"on {found['device']}" in out


def test_scores_on_pairs_are_those_of_evaluate(deblur):
    found, _ = evaluated(deblur, "02/box", "--pairs", "clips", "--ssim", "uniform-rgb")
    pairs = data.open_pairs("clips", "test")
    cases = evaluation.cases_of_pairs(pairs)
    rows = evaluation.evaluate([restoration.find_method("02/box")], cases, ("uniform-rgb",))
    assert_right(found, rows, "uniform-rgb")
    assert [(e["image"], e["scene"]) for e in found["images"]] == [
        *(("test/z/sharp/0.png", "test/z"), ("test/z/sharp/1.png", "test/z"))
    ]


@pytest.mark.parametrize(
    ("options", "n"),
    [
        (["--pairs", "clips"], 2),
        (["--pairs", "clips", "--split", "test"], 2),
        (["--pairs", "clips", "--split", "train"], 4),
        (["--images", "photos", "--degradation", "s1-box"], 2),
        (["--images", "photos", "--degradation", "s1-box", "--split", "train"], 4),
        (["--images", "flat", "--degradation", "s1-box"], 3),
        (["--images", "half", "--degradation", "s1-box", "--split", "train"], 1),
        (["--images", "far=photos/train", "--degradation", "s1-box"], 4),
        (["--pairs", "wrapped"], 2),
        (["--pairs", "wrapped.zip"], 2),
        (["--pairs", "upper"], 2),
        (["--images", "anime-faces=many", "--degradation", "s1-box"], 1),
    ],
)
def test_the_test_part_is_scored_where_there_is_one_and_no_other_is_wanted(deblur, options, n):
    shutil.copytree("clips", "wrapped/clips")
    shutil.make_archive("wrapped", "zip", "wrapped")
    for part in ("train", "test"):
        shutil.copytree(f"clips/{part}", f"upper/{part.upper()}")
    write_set(Path("many"), [f"{i}.png" for i in range(6)], 30, 41)
    found, out = evaluated(deblur, "identity", *options)
    assert found["n"] == len(found["images"]) == n
    part = found["split"] or "all"
    assert out.splitlines()[-1].startswith(f"{found['data']}, {part}; ")
    assert part == ("train" if "train" in options else "all" if n in (3, 4) else "test")


def test_the_identity_gains_nothing(deblur):
    found, out = evaluated(deblur, "identity", "--pairs", "clips")
    assert (found["method"], found["psnr_gain"], found["win_rate"]) == ("identity", 0, 0)
    assert found["psnr"] == found["identity_psnr"]
    assert out.count("identity") == 1


def test_the_seed_decides_the_scores(deblur):
    options = ("--images", "flat", "--degradation", "s2-gaussian", "--seed")
    first, again, other = (
        evaluated(deblur, "unsharp-mask", *options, s)[0]["psnr"] for s in (3, 3, 4)
    )
    assert first == again != other


def test_a_perfect_restoration_is_counted_and_has_no_mean(deblur, tmp_path):
    x = write_set(tmp_path / "same" / "sharp", ["1.png", "2.png"])
    shutil.copytree(x, tmp_path / "same" / "blur")
    found, out = evaluated(deblur, "identity", "--pairs", "same")
    assert (found["psnr"], found["psnr_gain"], found["win_rate"]) == (None, None, 0)
    assert [entry["psnr"] for entry in found["images"]] == [None, None]
    assert "the identity is perfect on 2 of 2 images; these are left out of the mean PSNR" in out
    assert cells(out, "identity")[2] == "-"


def test_the_means_are_over_the_images_where_neither_is_perfect(deblur, tmp_path):
    x = write_set(tmp_path / "some" / "sharp", ["1.png", "2.png"])
    write_set(tmp_path / "some" / "blur", ["2.png", "1.png"])  # each the other's noise
    for folder in ("sharp", "blur"):  # and one that is not blurred
        shutil.copy(f"{x}/1.png", tmp_path / "some" / folder / "3.png")
    found, out = evaluated(deblur, "unsharp-mask", "--pairs", "some")
    entries = found["images"]
    for prefix in ("", "identity_"):
        mean = (entries[0][f"{prefix}psnr"] + entries[1][f"{prefix}psnr"]) / 2
        assert found[f"{prefix}psnr"] == pytest.approx(mean)
        shown = cells(out, "identity" if prefix else "unsharp-mask")[2]
        assert float(shown) == pytest.approx(mean, abs=1e-4)
    assert found["psnr_gain"] == pytest.approx(found["psnr"] - found["identity_psnr"])
    assert (found["n"], found["perfect"], found["identity_perfect"]) == (3, 0, 1)
    assert (
        "the identity is perfect on 1 of 3 images, unsharp-mask on 0; these are left out of the "
        "mean PSNR\n"
    ) in out


def test_images_too_small_for_ssim_have_none(deblur, tmp_path):
    write_set(tmp_path / "tiny", ["a.png"], 12, 12)
    options = ("--images", "tiny", "--degradation", "s1-box")
    found, out = evaluated(deblur, "unsharp-mask", *options)
    assert found["ssim"] is found["images"][0]["ssim"] is None
    assert cells(out, "unsharp-mask")[3] == "-"


def test_the_scores_of_a_model_of_nan_are_json_all_the_same(deblur):
    (run,) = listed("02/box")
    weights = run.folder / "model.safetensors"
    save_file({key: value * math.nan for key, value in load_file(weights).items()}, weights)
    found, _ = evaluated(deblur, "02/box", "--pairs", "clips")
    assert found["psnr"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--images", "half", "--degradation", "s1-box"],
            "half: has train/ but no test/; --split t",
        ),
        (["--images", "clips", "--degradation", "s1-box"], "clips: holds pairs, blur/ and sharp/"),
        (["--pairs", "photos"], "photos: no folder under test/ with images in blur/ and sharp/"),
        ([], "give either --pairs DIR or --images DIR with --degradation NAME"),
        (["--degradation", "s1-box"], "give either --pairs DIR or --images DIR"),
        (["--images", "flat"], "give either --pairs DIR or --images DIR with --degradation"),
        (["--images", "flat", "--pairs", "clips"], "give either --pairs DIR or --images"),
        (
            ["--images", "flat", "--pairs", "clips", "--degradation", "s1-box"],
            "give either --pairs DIR or --images",
        ),
        (["--pairs", "clips", "--degradation", "s1-box"], "give either --pairs DIR or --images"),
        (["--pairs", "clips", "--method", "magic"], "no method 'magic': it is none of identity"),
        (["--pairs", "clips", "--method", "02/motion"], "can be any of these runs"),
        (["--pairs", "clips", "--method", "02/gaussian"], "is not complete: train it to its end"),
        (["--images", "flat", "--degradation", "fog"], "degradation 'fog' is none of s1-gaussian"),
        (["--pairs", "clips", "--ssim", "wang"], "SSIM protocol 'wang' is none of gaussian-rgb"),
        (["--pairs", "clips", "--device", "tpu"], "the device 'tpu' is not here"),
        (["--pairs", "clips", "--device", "meta"], "the device 'meta' is not here"),
        (["--pairs", "nowhere"], "'nowhere' is no data set"),
        (["--pairs", "x=nowhere"], "nowhere: no such file or folder"),
        (["--images", "nowhere", "--degradation", "s1-box"], "'nowhere' is no data set"),
        (["--pairs", "flat"], "flat: no folder with images in blur/ and sharp/ side by side"),
        (["--pairs", "clips", "--split", "half"], "clips: no folder under half/ with images"),
        (["--images", "flat", "--degradation", "s1-box", "--split", "test"], "no test/ folder"),
        (["--images", "flat", "--degradation", "s5-gaussian"], "leaves nothing valid"),
        (
            ["--pairs", "clips", "--json", "nowhere/s.json"],
            "nowhere/s.json: is a folder, or in one",
        ),
        (["--pairs", "clips", "--json", "flat"], "flat: is a folder, or in one"),
        (
            ["--pairs", "clips", "--json", "old.json/s.json"],
            "old.json/s.json: is a folder, or in one",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence_and_no_file(deblur, tmp_path, arguments, message):
    (tmp_path / "old.json").write_text("{}")
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


def test_a_damaged_image_is_named_and_nothing_is_written(deblur, tmp_path):
    (tmp_path / "flat" / "b.png").write_text("damaged")
    options = ("--images", "flat", "--degradation", "s1-box", "--json", "s.json")
    code, out, err = deblur("evaluate", "--method", "identity", *options)
    assert_refused(code, out, err, "b.png: not an image file that can be read")
    assert not (tmp_path / "s.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence(deblur):
    options = ("--method", "identity", "--pairs", "clips", "--json", "/dev/full")
    assert_refused(*deblur("evaluate", *options), "No space left on device")


def test_scores_that_cannot_be_written_leave_the_old_ones(deblur, tmp_path, monkeypatch):
    path = tmp_path / "old.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    options = ("--method", "identity", "--pairs", "clips", "--json", str(path))
    assert_refused(*deblur("evaluate", *options), "old.json: cannot be written (No space left")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if "old.json" in p.name] == ["old.json"]
