"""Recipes and the run store, in one process."""

import json
import os
import shutil
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import deblurlib
from deblurlib import fingerprint, models, runs
from deblurlib.data import batches, open_images
from deblurlib.degrade import SETTINGS
from deblurlib.errors import InputError
from deblurlib.losses import OBJECTIVES, Objective
from deblurlib.models import SRCNN
from deblurlib.runs import provenance, store

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


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    return folder, runs.train_or_load(RECIPE, folder=folder, max_minutes=0)


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """A run that was stopped after its first step, in a store of its own: ``tmp_path``."""
    folder, run = stopped_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return replace(run, folder=tmp_path / run.folder.relative_to(folder))


def weights(run):
    return (run.folder / "model.safetensors").read_bytes()


def change_env(run, **changed):
    (run.folder / "env.json").write_text(json.dumps(run.env | changed))
    return run.env


# --- recipes


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
        "spoil": "stored",
        "model_args": {"layers": "9-5-1-5"},
        "loss": "l1",
        "loss_args": {"weight": 0.2},
        "boundary": "reflect",
        "norms": True,
        "square": True,
        "optimiser": {"name": "sgd", "lr": 1e-4},
        "schedule": {"name": "cosine"},
        "grey": False,
        "rival": runs.Rival("patch"),
        "parts": {"first": RECIPE},
    }
    bases = {
        "loss_args": replace(RECIPE, loss="mse-and-edges"),
        "square": replace(RECIPE, reduce=9),
    }
    changed = [
        replace(bases.get(f.name, RECIPE), **{f.name: others.get(f.name, 7)})
        for f in fields(RECIPE)
    ]
    ids = [r.run_id("data", {name: "some run" for name in r.parts}) for r in [RECIPE, *changed]]
    ids += [RECIPE.run_id("other data"), changed[-1].run_id("data", {"first": "another run"})]
    assert len(set(ids)) == len(ids) == len(fields(RECIPE)) + 3


def test_a_run_id_does_not_change_when_a_field_is_added():
    # by hand: the fields that differ from their defaults, sorted; a new field is not among them
    text = (
        '{"batch": 2, "crop": 16, "data": "sample", "degradation": "s1-box", "every": 2, '
        '"grey": true, "model": "srcnn", "name": "02/small", "steps": 4}'
    )
    assert RECIPE.run_id("data") == fingerprint.of_bytes(text.encode(), b"data")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "motion"),
        ("name", "02/Motion blur"),
        ("model", "srnn"),
        ("loss", "psnr"),
        ("degradation", "fog"),
        ("boundary", "mirror"),
        ("batch", -1),
        *((f, 0) for f in ("steps", "batch", "crop", "every", "images", "reset", "reduce")),
    ],
)
def test_a_recipe_with_a_wrong_value_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        replace(RECIPE, **{field: value})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"loss_args": {"weight": 1}}, "the loss mse has no argument 'weight'; it has none"),
        ({"loss": "edges", "loss_args": {"weight": 1}}, "loss edges has no .*; it has low, high"),
        ({"loss": "mse-and-edges", "loss_args": {"lows": 1}}, "'lows'; it has weight, low, high"),
        ({"loss": "edges", "loss_args": {"low": 9, "high": 8}}, "0 <= low <= high, not 9 and 8"),
        ({"loss": "mse-and-edges", "loss_args": {"grey": "green"}}, "'green' is none of luma"),
        ({"norms": True, "precision": "fp16"}, "take bf16 for their norms"),
        ({"square": True}, "square needs reduce"),
    ],
)
def test_a_recipe_whose_values_do_not_go_together_is_refused(changed, named):
    with pytest.raises(InputError, match=named):
        replace(RECIPE, **changed)


def test_the_store_is_the_one_named_or_the_checkouts(monkeypatch, tmp_path):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    assert runs.root() == tmp_path
    monkeypatch.delenv("DEBLURLIB_RUNS")
    monkeypatch.chdir(tmp_path)
    assert runs.root() == Path(__file__).resolve().parents[1] / "runs"


# --- complete runs


def test_the_second_time_is_a_hit(trained, capsys):
    folder, first = trained
    again = runs.train_or_load(RECIPE, folder=folder)
    assert (first.outcome, again.outcome) == ("trained", "hit")
    assert again.folder == first.folder
    assert capsys.readouterr() == (f"02/small, seed 0: hit ({first.id})\n", "")


def test_the_same_recipe_gives_the_same_bits_and_another_seed_gives_others(trained, tmp_path):
    _, first = trained
    torch.rand(7)  # what was drawn before does not count
    same = runs.train_or_load(RECIPE, folder=tmp_path)
    assert runs.find(tmp_path, "02/small").id == same.id == first.id
    other = runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path)
    assert weights(same) == weights(first)
    assert weights(other) != weights(first)
    with pytest.raises(InputError, match=f"{same.id}.*{other.id}|{other.id}.*{same.id}"):
        runs.find(tmp_path, "02/small")
    with pytest.raises(InputError, match="no run 'ffff'"):
        runs.find(tmp_path, "ffff")


def test_a_run_says_what_it_is_and_what_it_was_made_with(trained):
    _, run = trained
    assert {p.name for p in run.folder.iterdir()} == {
        *("recipe.json", "env.json", "config.json", "history.csv", "metrics.json"),
        *("model.safetensors", "state.safetensors"),
    }
    assert run.recipe == RECIPE
    assert [row["step"] for row in run.history] == [2, 4]
    assert (run.metrics["ending"], run.metrics["step"]) == ("done", 4)
    assert run.metrics["val_psnr"] == run.history[-1]["val_psnr"]
    assert run.env["data"]["fingerprint"] == open_images("sample", "train").fingerprint
    assert run.env["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(run.env["code"]) == fingerprint.SHORT


def test_a_model_of_three_channels_is_trained_on_grey_images_and_without_padding(trained, tmp_path):
    arguments = {"channels": 3, "padding": False}
    run = runs.train_or_load(replace(RECIPE, grey=3, model_args=arguments), folder=tmp_path)
    assert run.metrics["ending"] == "done"
    one = trained[1].metrics["val_psnr_identity"]
    assert run.metrics["val_psnr_identity"] == pytest.approx(one)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"grey": False}, "grey=False needs a model of 3 channels"),
        ({"grey": 1, "model_args": {"channels": 3}}, "grey=1 needs a model of 1 channels"),
        ({"model": "unet", "model_args": {"channels": 1}, "crop": 12}, "a multiple of 8"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(tmp_path, changed, named):
    with pytest.raises(InputError, match=named):
        runs.train_or_load(replace(RECIPE, **changed), folder=tmp_path)


def test_a_diverged_training_is_a_run_that_says_so(tmp_path):
    recipe = replace(RECIPE, steps=40, optimiser={"name": "sgd", "lr": 1e12})
    run = runs.train_or_load(recipe, folder=tmp_path)
    assert run.metrics["ending"] == "diverged"
    assert run.metrics["step"] < 40
    json.loads((run.folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert runs.train_or_load(recipe, folder=tmp_path).outcome == "hit"


def test_what_others_draw_afterwards_does_not_depend_on_what_was_done(tmp_path):
    for _ in ("trained", "hit"):
        torch.manual_seed(5)
        runs.train_or_load(RECIPE, folder=tmp_path)
        expected = torch.Generator().manual_seed(5)
        assert torch.rand(1).equal(torch.rand(1, generator=expected))


def test_a_bar_is_shown_on_a_terminal_only(tmp_path, capsys, monkeypatch):
    runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    runs.train_or_load(RECIPE, folder=tmp_path)
    assert "02/small, seed 0" in capsys.readouterr().err


# --- runs of other code or data


def test_a_changed_data_file_is_stale(tmp_path, save_picture, monkeypatch, capsys):
    pictures = tmp_path / "own" / "train"
    for i in range(3):
        save_picture(pictures / f"{i}.png", i, 32, 32)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    recipe, folder = replace(RECIPE, data="own"), tmp_path / "store"
    first = runs.train_or_load(recipe, folder=folder)
    save_picture(pictures / "1.png", seed=9, height=32, width=32)
    assert runs.standing(first) == "other data"
    loaded = runs.train_or_load(recipe, "load", folder=folder)
    assert (loaded.outcome, loaded.id, loaded.changed) == ("stale", first.id, ("data",))
    capsys.readouterr()
    second = runs.train_or_load(recipe, folder=folder)
    assert second.outcome == "trained"
    assert second.id != first.id
    assert f"stale, the data of {first.id} changed" in capsys.readouterr().out
    shutil.rmtree(pictures)
    assert runs.standing(first) == "same code"  # of the data, nothing can be said


def test_the_code_is_that_of_the_whole_library():
    package = Path(deblurlib.__file__).parent
    assert provenance.package_code() == fingerprint.of_package(package)


def test_another_function_of_the_same_name_in_a_table_is_other_code(trained, monkeypatch):
    _, run = trained
    assert runs.standing(run) == "same code"
    for table, name, other, standing in (
        (OBJECTIVES, "mse", Objective(torch.nn.functional.huber_loss), "other code"),
        (SETTINGS, "s1-box", lambda generator: SETTINGS["s1-motion"](generator), "other code"),
        (SETTINGS, "s1-motion", SETTINGS["s1-box"], "same code"),  # of no recipe here
    ):
        with monkeypatch.context() as patch:
            patch.setitem(table, name, other)
            assert runs.standing(run) == standing


def test_with_other_code_a_short_run_is_stale_and_so_is_its_stopped_successor(tmp_path, capsys):
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    assert run.proof is None  # training it anew takes no longer
    change_env(run, code="0" * 12)
    stopped = runs.train_or_load(RECIPE, folder=tmp_path, max_minutes=0)
    loaded = runs.train_or_load(RECIPE, "load", folder=tmp_path)
    assert (loaded.outcome, loaded.changed) == ("stale", ("code",))
    assert stopped.folder.exists()
    change_env(stopped, code="0" * 12)
    capsys.readouterr()
    assert runs.train_or_load(RECIPE, folder=tmp_path).outcome == "trained"
    assert "begins again: code changed" in capsys.readouterr().out


def test_stale_is_retrained_or_loaded_and_nothing_else():
    with pytest.raises(InputError, match="retrain"):
        runs.train_or_load(RECIPE, stale="ignore")


# --- stopping, and going on


def test_a_stopped_run_is_listed_and_gives_no_model(stopped, trained, tmp_path):
    assert stopped.outcome == "stopped"
    assert [r.outcome for r in runs.listed(tmp_path)] == ["stopped"]
    assert runs.find(tmp_path, stopped.id[:5]).folder == stopped.folder
    with pytest.raises(InputError, match="not complete"):
        stopped.model()
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    assert run.outcome == "resumed"
    assert run.env["before"] == []
    assert weights(run) == weights(trained[1])
    assert [r.outcome for r in runs.listed(tmp_path)] == ["hit"]


def test_a_run_resumed_elsewhere_says_so(stopped, tmp_path):
    elsewhere = {"device": "cuda:0: another", "versions": {"torch": "2.11"}, "processes": 4}
    elsewhere["precision"] = "bf16-mixed"
    there = change_env(stopped, **elsewhere)
    run = runs.train_or_load(RECIPE, folder=tmp_path)
    assert run.env["before"] == [elsewhere | {"code": there["code"]}]
    assert run.env["device"].startswith(("cpu", "cuda"))


class Noisy(SRCNN):
    def forward(self, y):
        return super().forward(torch.nn.functional.dropout(y, 0.5, self.training))


@pytest.mark.parametrize(
    "changed",
    [{"channels_last": True}, {"norms": True}, {"reset": 3}, {"model": "noisy"}],
    ids=str,
)
def test_a_stop_leaves_no_trace_whatever_the_recipe(trained, tmp_path, monkeypatch, changed):
    monkeypatch.setitem(models.MODELS, "noisy", Noisy)
    recipe = replace(RECIPE, **changed)
    whole = runs.train_or_load(recipe, folder=tmp_path / "whole")
    runs.train_or_load(recipe, folder=tmp_path / "stopped", max_minutes=0)
    torch.rand(7)  # what a model draws itself comes from the recipe's seed
    again = runs.train_or_load(recipe, folder=tmp_path / "stopped")
    assert again.outcome == "resumed"
    assert weights(again) == weights(whole)
    assert whole.id != trained[1].id
    same = {"channels_last", "norms"} & changed.keys()
    assert same or weights(whole) != weights(trained[1])
    noted = [{k: v for k, v in row.items() if k != "seconds"} for row in whole.history]
    assert noted == [{k: v for k, v in row.items() if k != "seconds"} for row in again.history]
    assert all(("loss_gradient" in row) == ("norms" in changed) for row in noted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_asked_to_stop_saves_first(
    trained, tmp_path, monkeypatch, capsys, number
):
    make = batches.training_batches

    def killing(*arguments, **options):
        pair_of = make(*arguments, **options)

        def kill_in_step_two(step):
            if step == 2:
                os.kill(os.getpid(), number)
            return pair_of(step)

        return kill_in_step_two

    with monkeypatch.context() as patch:
        patch.setattr(batches, "training_batches", killing)
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            runs.train_or_load(RECIPE, folder=tmp_path)
    assert "stopped at step 3 of 4, and saved" in capsys.readouterr().out
    resumed = runs.train_or_load(RECIPE, folder=tmp_path)
    assert resumed.outcome == "resumed"
    assert weights(resumed) == weights(trained[1])


def test_a_run_is_removed_with_its_checkpoints(stopped, tmp_path):
    run = runs.train_or_load(replace(RECIPE, seed=1), folder=tmp_path)
    for gone in (run, stopped):
        runs.remove(tmp_path, gone.id)
    assert runs.listed(tmp_path) == []
    assert not [p for p in tmp_path.rglob("*.safetensors")]


def test_a_damaged_checkpoint_is_named(stopped, tmp_path):
    path = stopped.folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged checkpoint"):
        runs.train_or_load(RECIPE, folder=tmp_path)


# --- the store's folders


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
    assert not runs.is_training(tmp_path, "run")
    with store.lock(tmp_path, "run"):
        assert runs.is_training(tmp_path, "run")
        store.tidy(tmp_path, "run")
        assert all(folder.exists() for folder in left)
    assert not runs.is_training(tmp_path, "run")
    store.tidy(tmp_path, "run")
    assert not any(folder.exists() for folder in left)
