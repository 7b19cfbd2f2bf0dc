"""Chapter 05's recipes: the paper's, and those of the networks that ship."""

import json
import shutil
from dataclasses import asdict

import pytest

from deblurlib import models
from deblurlib.places import MIXTURES
from deblurlib.studies import recipes


def by_slug(profile, source="gopro"):
    return {r.name.removeprefix("05/"): r for r in recipes("05", profile, data=source)}


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
    }
    assert {key: recipe[key] for key in expected} == expected
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

    made = {"s4-camera", "snapshot"}
    for source in ("sample", "bsds500", "nowhere", "srn-mixture", str(tmp_path / "photos")):
        assert settings(source) == made
    for source in ("gopro", "gopro-gamma", f"mine={tmp_path / 'clips'}"):
        assert settings(source) == {None}
    assert settings(f"gopro={tmp_path / 'home/gopro'}") == made
