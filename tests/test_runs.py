"""Recipes and the run store, in one process."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import deblurlib
from deblurlib import models, runs
from deblurlib.data import batches, open_images
from deblurlib.degrade import SETTINGS
from deblurlib.errors import InputError
from deblurlib.losses import LOSSES
from deblurlib.models import SRCNN
from deblurlib.runs import store

RECIPE = runs.Recipe(
    "02/small",
    model="srcnn",
    data="sample",
    steps=4,
    batch=2,
    crop=16,
    degradation="s1-box",
    grey=True,
    every=2,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return folder, runs.train_or_load(RECIPE, folder=folder)


def weights(run):
    return (run.folder / "model.safetensors").read_bytes()


def test_a_recipe_survives_its_text():
    recipe = replace(RECIPE, clip={"norm": 3.0}, model_args={"dilation": (1, 2, 1)})
    again = runs.Recipe.from_json(recipe.to_json())
    assert again.to_json() == recipe.to_json()
    assert again.run_id("data") == recipe.run_id("data")


def test_a_run_is_found_by_each_field_and_by_the_data():
    others = {
        "name": "02/other",
        "model": "unet",
        "data": "bsds500",
        "degradation": "s1-motion",
        "model_args": {"layers": "9-5-1-5"},
        "loss": "l1",
        "optimiser": {"name": "sgd", "lr": 1e-4},
        "schedule": {"name": "cosine"},
        "clip": {"norm": 1.0},
        "ema": 0.99,
        "precision": "bf16",
        "channels_last": True,
        "compile": "inductor",
        "grey": False,
        "holdout": 0.2,
    }
    changed = [replace(RECIPE, **{f.name: others.get(f.name, 7)}) for f in fields(RECIPE)]
    ids = [recipe.run_id("data") for recipe in [RECIPE, *changed]]
    ids.append(RECIPE.run_id("other data"))
    assert len(set(ids)) == len(ids) == len(fields(RECIPE)) + 2


def test_a_run_id_does_not_change_when_a_field_is_added():
    # by hand: the fields that differ from their defaults, sorted; a new field is not among them
    given = {
        "batch": 2,
        "crop": 16,
        "data": "sample",
        "degradation": "s1-box",
        "every": 2,
        "grey": True,
        "model": "srcnn",
        "name": "02/small",
        "steps": 4,
    }
    text = json.dumps(given, sort_keys=True).encode()
    assert RECIPE.run_id("data") == deblurlib.fingerprint.of_bytes(text, b"data")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "motion"),
        ("name", "02/Motion blur"),
        ("model", "srnn"),
        ("loss", "psnr"),
        ("degradation", "fog"),
        ("steps", 0),
        ("batch", -1),
        ("crop", 0),
        ("every", 0),
        ("images", 0),
        ("reset", 0),
        ("reset", -750),
    ],
)
def test_a_recipe_with_a_wrong_value_is_refused(field, value):
    with pytest.raises(InputError, match=field if field != "name" else "NN/slug"):
        replace(RECIPE, **{field: value})


def test_the_second_time_is_a_hit(trained, capsys):
    folder, first = trained
    again = runs.train_or_load(RECIPE, folder=folder)
    assert (first.outcome, again.outcome) == ("trained", "hit")
    assert again.folder == first.folder
    assert capsys.readouterr().out == f"02/small, seed 0: hit ({first.id})\n"


def test_the_same_recipe_gives_the_same_bits_and_another_seed_gives_others(trained, tmp_path):
    _, first = trained
    torch.rand(7)  # what was drawn before does not count
    same = runs.train_or_load(RECIPE, folder=tmp_path)
    other = runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path)
    assert weights(same) == weights(first)
    assert weights(other) != weights(first)
    assert same.id != other.id


def test_a_run_says_what_it_is_and_what_it_was_made_with(trained):
    _, run = trained
    names = {p.name for p in run.folder.iterdir()}
    assert names == {
        *("recipe.json", "env.json", "config.json", "history.csv", "metrics.json"),
        *("model.safetensors", "state.safetensors"),
    }
    assert run.recipe == RECIPE
    assert [row["step"] for row in run.history] == [2, 4]
    assert run.metrics["ending"] == "done"
    assert run.metrics["step"] == 4
    assert run.metrics["val_psnr"] == run.history[-1]["val_psnr"]
    assert run.env["data"]["fingerprint"] == open_images("sample", "train").fingerprint
    assert run.env["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(run.env["code"]) == deblurlib.fingerprint.SHORT


def test_the_identity_is_scored_on_the_same_validation_pairs(trained, tmp_path):
    _, run = trained
    # a rate of nearly 0, and a network that adds nothing yet: the identity but for a small term
    other = replace(RECIPE, name="02/still", optimiser={"name": "sgd", "lr": 0.0})
    still = runs.train_or_load(other, folder=tmp_path)
    assert still.metrics["val_psnr_identity"] == run.metrics["val_psnr_identity"]
    assert still.history[0]["val_psnr"] == still.history[1]["val_psnr"]


def test_the_model_is_loaded_as_the_ecosystem_does(trained, rand):
    _, run = trained
    y = rand(1, 1, 20, 20)
    expected = SRCNN.from_pretrained(str(run.folder))(y)
    assert run.model()(y).equal(expected)


def test_pairs_are_trained_on_as_well(tmp_path, save_picture, monkeypatch):
    for scene in "abc":
        for side in ("blur", "sharp"):
            path = tmp_path / "set" / "train" / scene / side / "0.png"
            save_picture(path, seed=hash(side) % 97, height=20, width=24)
    monkeypatch.setenv("DEBLURLIB_DATA", f"own={tmp_path / 'set'}")
    recipe = replace(RECIPE, data="own", degradation=None, grey=False, model="unet")
    run = runs.train_or_load(replace(recipe, model_args={"width": 2}), folder=tmp_path / "store")
    assert run.outcome == "trained"


def test_a_changed_data_file_is_stale(tmp_path, save_picture, monkeypatch, capsys):
    for i in range(3):
        save_picture(tmp_path / "set" / "train" / f"{i}.png", seed=i, height=32, width=32)
    monkeypatch.setenv("DEBLURLIB_DATA", f"own={tmp_path / 'set'}")
    recipe, folder = replace(RECIPE, data="own"), tmp_path / "store"
    first = runs.train_or_load(recipe, folder=folder)
    save_picture(tmp_path / "set" / "train" / "1.png", seed=9, height=32, width=32)
    assert runs.standing(first) == "other data"
    loaded = runs.train_or_load(recipe, "load", folder=folder)
    assert (loaded.outcome, loaded.id, loaded.changed) == ("stale", first.id, ("data",))
    capsys.readouterr()
    second = runs.train_or_load(recipe, folder=folder)
    assert second.outcome == "trained"
    assert second.id != first.id
    assert f"stale, the data of {first.id} changed" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "set")
    assert runs.standing(first) == "same code"  # of the data, nothing can be said


def test_a_changed_comment_is_the_same_code_and_a_changed_formula_is_not(tmp_path):
    package = tmp_path / "deblurlib"
    shutil.copytree(Path(deblurlib.__file__).parent, package)
    script = "import sys, test_runs; from pathlib import Path; from deblurlib import runs; "
    script += "runs.train_or_load(test_runs.RECIPE, folder=Path(sys.argv[1]))"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    run_id = RECIPE.run_id(open_images("sample", "train").fingerprint)
    for old, new, outcome in (
        ("", "", "trained"),
        ("def box(", "# a comment\ndef box(", "hit"),
        ("def box(", "def unused(): pass\n\n\ndef box(", "trained"),
        ("", "", "hit"),
    ):
        text = (package / "psf.py").read_text()
        (package / "psf.py").write_text(text.replace(old, new) if old else text)
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "store")],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"02/small, seed 0: {outcome} ({run_id})\n")


def test_another_function_of_the_same_name_in_a_table_is_other_code(trained, monkeypatch):
    _, run = trained
    assert runs.standing(run) == "same code"
    monkeypatch.setitem(LOSSES, "mse", torch.nn.functional.huber_loss)
    assert runs.standing(run) == "other code"
    monkeypatch.undo()
    monkeypatch.setitem(SETTINGS, "s1-box", lambda generator: SETTINGS["s1-motion"](generator))
    assert runs.standing(run) == "other code"
    monkeypatch.undo()
    monkeypatch.setitem(SETTINGS, "s1-motion", SETTINGS["s1-box"])  # of no recipe here
    assert runs.standing(run) == "same code"


def test_a_stopped_training_whose_code_changed_begins_again(tmp_path, capsys):
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    env = stopped.env
    env["code"] = "0" * 12
    (stopped.folder / "env.json").write_text(json.dumps(env))
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    assert run.outcome == "trained"
    assert "it begins again" in capsys.readouterr().out


def test_a_diverged_training_is_a_run_that_says_so(tmp_path):
    recipe = replace(RECIPE, steps=40, optimiser={"name": "sgd", "lr": 1e12})
    run = runs.train_or_load(recipe, folder=tmp_path)
    assert run.metrics["ending"] == "diverged"
    assert run.metrics["step"] < 40
    json.loads((run.folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert runs.train_or_load(recipe, folder=tmp_path).outcome == "hit"


def test_a_stopped_run_is_listed_and_gives_no_model(tmp_path):
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    assert stopped.outcome == "stopped"
    assert [r.outcome for r in runs.listed(tmp_path)] == ["stopped"]
    assert runs.find(tmp_path, stopped.id[:5]).folder == stopped.folder
    with pytest.raises(InputError, match="not complete"):
        stopped.model()
    assert runs.train_or_load(RECIPE, folder=tmp_path).outcome == "resumed"
    assert [r.outcome for r in runs.listed(tmp_path)] == ["hit"]


def test_a_run_is_removed_with_its_checkpoints(tmp_path):
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    stopped = runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path, max_minutes=0)
    runs.remove(tmp_path, run.id)
    runs.remove(tmp_path, stopped.id)
    assert runs.listed(tmp_path) == []
    assert not [p for p in tmp_path.rglob("*.safetensors")]
    assert runs.train_or_load(RECIPE, folder=tmp_path).outcome == "trained"


def test_a_run_is_found_by_its_name_if_only_one_has_it(tmp_path):
    first = runs.train_or_load(RECIPE, folder=tmp_path)
    assert runs.find(tmp_path, "02/small").id == first.id
    second = runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path)
    with pytest.raises(InputError, match=f"{first.id}.*{second.id}|{second.id}.*{first.id}"):
        runs.find(tmp_path, "02/small")
    with pytest.raises(InputError, match="no run 'ffff'"):
        runs.find(tmp_path, "ffff")


def test_a_damaged_checkpoint_is_named(tmp_path):
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    path = stopped.folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged checkpoint"):
        runs.train_or_load(RECIPE, folder=tmp_path)


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", Path("/proc/runs")):
        with pytest.raises(InputError, match=f"{folder}: cannot be written"):
            runs.train_or_load(RECIPE, folder=folder)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    target = tmp_path / "run"
    store.put(target, lambda folder: (folder / "a").write_text("old"))

    def fail(folder):
        (folder / "a").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        store.put(target, fail)
    assert (target / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    store.put(target, lambda folder: (folder / "b").write_text("new"))
    assert [p.name for p in target.iterdir()] == ["b"]


def test_the_store_is_the_one_named_or_the_checkouts(monkeypatch, tmp_path):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    assert runs.root() == tmp_path
    monkeypatch.delenv("DEBLURLIB_RUNS")
    monkeypatch.chdir(tmp_path)
    assert runs.root() == Path(__file__).resolve().parents[1] / "runs"


def test_stale_is_retrained_or_loaded_and_nothing_else():
    with pytest.raises(InputError, match="retrain"):
        runs.train_or_load(RECIPE, stale="ignore")


def test_a_bar_is_shown_on_a_terminal_only(tmp_path, capsys, monkeypatch):
    runs.train_or_load(RECIPE, folder=tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path)
    assert "02/small, seed 1" in capsys.readouterr().err


class Noisy(SRCNN):
    def forward(self, y):
        return super().forward(torch.nn.functional.dropout(y, 0.5, self.training))


def test_what_a_model_draws_itself_comes_from_the_recipes_seed(tmp_path, monkeypatch):
    monkeypatch.setitem(models.MODELS, "noisy", Noisy)
    recipe = replace(RECIPE, model="noisy")
    first = runs.train_or_load(recipe, folder=tmp_path / "first")
    torch.rand(7)
    assert weights(runs.train_or_load(recipe, folder=tmp_path / "second")) == weights(first)
    runs.train_or_load(recipe, folder=tmp_path / "third", max_minutes=0)
    torch.rand(7)
    assert weights(runs.train_or_load(recipe, folder=tmp_path / "third")) == weights(first)


def test_the_newest_checkpoint_is_the_one_of_most_steps(tmp_path):
    for step in (9, 10, 100):
        store.checkpoint_folder(tmp_path, "run", step).mkdir(parents=True)
    (tmp_path / ".partial" / "run" / ".000000999.new").mkdir()
    assert store.last_checkpoint(tmp_path, "run").name == "000000100"
    assert store.last_checkpoint(tmp_path, "other") is None


def test_what_a_kill_left_is_cleared_by_who_comes_next_but_not_under_anothers_hands(tmp_path):
    left = [tmp_path / ".run.old", store.checkpoint_folder(tmp_path, "run", 2)]
    for folder in left:
        folder.mkdir(parents=True)
    with store.lock(tmp_path, "run"):
        store.tidy(tmp_path, "run")
        assert all(folder.exists() for folder in left)
    store.tidy(tmp_path, "run")
    assert not any(folder.exists() for folder in left)


def test_a_memory_layout_survives_a_stop(tmp_path):
    recipe = replace(RECIPE, channels_last=True)
    whole = runs.train_or_load(recipe, folder=tmp_path / "whole")
    runs.train_or_load(recipe, folder=tmp_path / "stopped", max_minutes=0)
    assert weights(runs.train_or_load(recipe, folder=tmp_path / "stopped")) == weights(whole)


def test_loading_a_stale_run_leaves_the_checkpoints_of_its_successor(tmp_path):
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    env = run.env | {"code": "0" * 12}
    (run.folder / "env.json").write_text(json.dumps(env))
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    assert runs.train_or_load(RECIPE, "load", folder=tmp_path).outcome == "stale"
    assert stopped.folder.exists()
    assert runs.train_or_load(RECIPE, folder=tmp_path).outcome == "resumed"


@pytest.mark.parametrize("again", [False, True])
def test_what_others_draw_afterwards_does_not_depend_on_what_was_done(tmp_path, again):
    if again:
        runs.train_or_load(RECIPE, folder=tmp_path)
    torch.manual_seed(5)
    runs.train_or_load(RECIPE, folder=tmp_path)
    expected = torch.Generator().manual_seed(5)
    assert torch.rand(1).equal(torch.rand(1, generator=expected))


def test_a_run_resumed_elsewhere_says_so(tmp_path):
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    there = {"device": "cuda:0: another", "versions": {"torch": "2.11"}, "processes": 4}
    there = stopped.env | there
    (stopped.folder / "env.json").write_text(json.dumps(there))
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    kept = ("code", "versions", "device", "processes")
    assert run.env["before"] == [{key: there[key] for key in kept}]
    assert run.env["device"].startswith(("cpu", "cuda"))


@pytest.mark.parametrize(
    ("small", "words"),
    [
        (3, "train/3.png, to validate on, has 15 x 26 pixels .* a crop of 16 needs more"),
        (0, "train/0.png has 21 x 32 pixels; .* need 22 x 22"),
    ],
)
def test_an_image_that_is_too_small_is_named_before_the_first_step(
    tmp_path, save_picture, monkeypatch, small, words
):
    for i in range(4):
        height = 21 if i == small else 32
        save_picture(tmp_path / "own" / "train" / f"{i}.png", seed=i, height=height, width=32)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    recipe = replace(RECIPE, data="own", holdout=0.3)
    with pytest.raises(InputError, match=words):
        runs.train_or_load(recipe, folder=tmp_path / "store")


def test_an_optimiser_that_forgets_gives_another_run_also_after_a_stop(trained, tmp_path):
    recipe = replace(RECIPE, reset=3)
    run = runs.train_or_load(recipe, folder=tmp_path / "one")
    assert weights(run) != weights(trained[1])
    runs.train_or_load(recipe, folder=tmp_path / "two", max_minutes=0)
    again = runs.train_or_load(recipe, folder=tmp_path / "two")
    assert again.outcome == "resumed"
    assert weights(again) == weights(run)


def test_a_model_of_three_channels_is_trained_on_grey_images_and_without_padding(tmp_path):
    arguments = {"channels": 3, "padding": False}
    run = runs.train_or_load(replace(RECIPE, grey=3, model_args=arguments), folder=tmp_path)
    assert run.metrics["ending"] == "done"
    one = runs.train_or_load(replace(RECIPE, model_args={"padding": False}), folder=tmp_path)
    assert run.metrics["val_psnr_identity"] == pytest.approx(one.metrics["val_psnr_identity"])


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"grey": False}, "grey=False needs a model of 3 channels"),
        ({"grey": 3}, "grey=3 needs a model of 3 channels"),
        ({"grey": 1, "model_args": {"channels": 3}}, "grey=1 needs a model of 1 channels"),
        ({"model": "unet", "model_args": {"channels": 1}, "crop": 12}, "a multiple of 8"),
        ({"clip": {"norm": 1.0, "on": "layers."}}, "clip is"),
        ({"schedule": {"power": 1}}, "schedule None"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(tmp_path, changed, named):
    with pytest.raises(InputError, match=named):
        runs.train_or_load(replace(RECIPE, **changed), folder=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_asked_to_stop_saves_first(tmp_path, monkeypatch, capsys, number):
    make = batches.training_batch

    def kill_in_step_one(held, draw, step, **options):
        if step == 1:
            os.kill(os.getpid(), number)
        return make(held, draw, step, **options)

    recipe = replace(RECIPE, steps=40, every=20)
    monkeypatch.setattr(batches, "training_batch", kill_in_step_one)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        runs.train_or_load(recipe, folder=tmp_path)
    monkeypatch.undo()
    assert "stopped at step 2 of 40, and saved" in capsys.readouterr().out
    whole = runs.train_or_load(recipe, folder=tmp_path / "whole")
    resumed = runs.train_or_load(recipe, folder=tmp_path)
    assert resumed.outcome == "resumed"
    assert weights(resumed) == weights(whole)


def test_a_run_that_is_trained_now_is_known_as_such(tmp_path):
    assert not runs.is_training(tmp_path, "run")
    with store.lock(tmp_path, "run"):
        assert runs.is_training(tmp_path, "run")
    assert not runs.is_training(tmp_path, "run")
