"""Chapter 02's anchor: images made small and large again, beside Pillow's, and pairs of them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from test_evaluation import write_set

from deblurlib import data, images, metrics, runs
from deblurlib.studies import PROFILES
from deblurlib.studies.srcnn import super_resolution
from deblurlib.studies.srcnn.super_resolution import LUMA_DB, make_pairs, shrink_and_enlarge


@pytest.mark.parametrize("value", [0, 37, 128, 255])
def test_an_image_of_one_colour_stays_as_it_is(value):
    x = torch.full((1, 3, 12, 9), value / 255)
    assert torch.equal(shrink_and_enlarge(x), x)


@pytest.mark.parametrize("scale", [2, 3, 4])
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


def test_the_middle_of_each_nine_pixels_stays_in_its_place():
    ramp = torch.linspace(0.2, 0.8, 36).expand(1, 1, 36, 36)
    for x in (ramp, ramp.mT):
        inner = (..., slice(12, 24), slice(12, 24))
        torch.testing.assert_close(shrink_and_enlarge(x)[inner], x[inner], rtol=0, atol=1.01 / 255)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two images to train on and one to test on, of 20 x 25 pixels."""
    write_set(tmp_path / "photos", ["train/a.png", "train/x.b.png", "test/a.png"], 20, 25)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    return [data.open_images("photos", split) for split in ("train", "test")]


def test_pairs_are_the_images_and_what_is_made_of_them(photos, tmp_path):
    name = make_pairs(*photos, tmp_path / "pairs")
    assert name == "photos-x3"
    for split, sharp in zip(("train", "test"), photos, strict=True):
        pairs = data.open_pairs(name, split)
        assert [n.split("/")[-1] for n in pairs.names] == [n.split("/")[-1] for n in sharp.names]
        for (y, x), whole in zip(pairs, sharp, strict=True):
            assert torch.equal(x, whole[:, :18, :24])
            torch.testing.assert_close(y, shrink_and_enlarge(x[None])[0])


def test_each_image_of_the_pairs_is_a_scene_of_its_own(photos, tmp_path):
    name = make_pairs(*photos, tmp_path / "pairs")
    assert len({*data.open_pairs(name).scenes}) == 3
    train = data.open_pairs(name, "train")
    rest, aside = data.hold_out(train, 0.5)
    assert (len(rest), len(aside)) == (1, 1)


def test_luma_scores_as_much_higher_than_grey_as_is_said(rand):
    x, noise = images.quantise(rand(4, 3, 40, 40)), rand(4, 3, 40, 40, seed=1) - 0.5
    x_hat = x + 0.2 * noise
    of_luma, of_grey = (metrics.psnr(to(x_hat), to(x)) for to in (images.luma, images.grey))
    assert (of_luma - of_grey).tolist() == pytest.approx([LUMA_DB] * 4, abs=0.005)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_recipe_is_the_papers_at_any_size(profile):
    recipe = super_resolution.recipe(profile, 3, "photos-x3")
    assert (recipe.seed, recipe.data, recipe.degradation) == (3, "photos-x3", None)
    assert recipe.model_args == {"layers": "9-1-5", "widths": "paper", "padding": False}
    assert recipe.grey == 1
    assert recipe.interval <= recipe.steps


def test_the_smoke_recipe_trains_on_pairs_of_the_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DATA", "")
    train, test = (data.open_images("sample", split) for split in ("train", "test"))
    pairs = make_pairs(train.first(2), test.first(1), tmp_path / "pairs")
    assert pairs == "sample-x3"
    recipe = super_resolution.recipe("smoke", 0, pairs)
    run = runs.train_or_load(recipe, folder=tmp_path / "runs")
    assert run.metrics["ending"] == "done"
    assert math.isfinite(run.metrics["val_loss"])
