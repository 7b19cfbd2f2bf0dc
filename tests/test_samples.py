"""What a recipe trains and validates on: crops that are larger than what a model gives back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_evaluation import write_pair

from deblurlib import data, degrade, files, images, losses, training
from deblurlib.data import batches
from deblurlib.errors import InputError
from deblurlib.runs import Recipe, inputs, validation

RECIPE = Recipe("02/small", "srcnn", "own", steps=4, batch=3, crop=10, degradation="s1-box", grey=1)
NAMES = [f"{i}.png" for i in range(16)]


@pytest.fixture(scope="module")
def fabric():
    return training.start_fabric("32")


@pytest.fixture(scope="module")
def sharp(tmp_path_factory, save_picture):
    """Sixteen images of 70 x 76 pixels."""
    folder = tmp_path_factory.mktemp("sharp")
    for i, name in enumerate(NAMES):
        save_picture(folder / name, i, 70, 76)
    return data.open_images(str(folder))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, rand):
    """Sixteen pairs of 70 x 76 pixels; the blurred one of each is the negative."""
    folder = tmp_path_factory.mktemp("pairs")
    for i in range(16):
        x = images.quantise(rand(1, 3, 70, 76, seed=i))
        write_pair(folder / f"s{i}", "0", 1 - x, x)
    return data.open_pairs(str(folder))


def place_of(crop, whole):
    """The only (top, left) at which ``crop`` lies in ``whole``."""
    height, width = crop.shape[-2:]
    windows = whole.unfold(-2, height, 1).unfold(-2, width, 1)
    same = (windows == crop[..., None, None, :, :]).all(-1).all(-1).flatten(0, -3).all(0)
    ((top, left),) = same.nonzero().tolist()
    return top, left


def places(recipe, held, margin):
    """Where each validation crop lies in what the blur leaves of its image."""
    wholes = [x for _, _, x in validation._validation_images(recipe, held)]
    crops = [x for _, x in validation.validation_pairs(recipe, held, margin)]
    return [place_of(x, whole) for x, whole in zip(crops, wholes, strict=True)]


@pytest.mark.parametrize("grey", [0, 1, 3])
@pytest.mark.parametrize("margin", [0, 4])
@pytest.mark.parametrize("kind", ["sharp", "pairs"])
def test_a_sample_is_the_middle_of_a_larger_one(request, fabric, kind, margin, grey):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, grey=grey, degradation="s1-box" if kind == "sharp" else None)
    larger = replace(recipe, crop=10 + 2 * margin)
    for step in (0, 3):
        y, x = inputs.batches_of(recipe, held, fabric, margin)(step)
        whole_y, whole_x = inputs.batches_of(larger, held, fabric, 0)(step)
        assert x.shape == (3, grey or 3, 10, 10)
        assert y.shape[-2:] == (10 + 2 * margin,) * 2
        assert torch.equal(y, whole_y)
        assert torch.equal(x, whole_x[..., margin : margin + 10, margin : margin + 10])


def test_both_of_a_sample_show_the_same_place(fabric, pairs):
    y, x = inputs.batches_of(replace(RECIPE, degradation=None, grey=0), pairs, fabric, 6)(0)
    torch.testing.assert_close(1 - y[..., 6:-6, 6:-6], x)


@pytest.mark.parametrize("margin", [0, 6, 12])
def test_an_image_that_is_too_small_to_train_on_is_named(fabric, sharp, margin):
    least = replace(RECIPE, crop=64 - 2 * margin)
    assert inputs.batches_of(least, sharp, fabric, margin)(0)[0].shape[-1] == 64
    with pytest.raises(InputError, match=r"0.png has 70 x 76 pixels; a crop of 65 .* 71 x 71"):
        inputs.batches_of(replace(least, crop=least.crop + 1), sharp, fabric, margin)


@pytest.mark.parametrize("kind", ["sharp", "pairs"])
def test_validation_is_the_same_for_all_seeds(request, kind):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, degradation="s2-gaussian" if kind == "sharp" else None)
    one, other = (
        [*validation.validation_pairs(replace(recipe, seed=seed), held, 3)] for seed in (0, 9)
    )
    assert len(one) == 16
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


@pytest.mark.parametrize("kind", ["sharp", "pairs"])
@pytest.mark.parametrize(("margin", "border"), [(0, 16), (16, 16), (20, 20)])
def test_validation_crops_lie_all_over_their_images_but_for_a_border(request, kind, margin, border):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, degradation="s1-box" if kind == "sharp" else None)
    height, width = (64, 70) if kind == "sharp" else (70, 76)
    found = places(recipe, held, margin)
    assert len(set(found)) >= 14
    for starts, side in zip(zip(*found, strict=True), (height, width), strict=True):
        room = side - 10 - 2 * border
        assert border <= min(starts) < border + 0.35 * room
        assert border + 0.65 * room < max(starts) <= border + room


@pytest.mark.parametrize("kind", ["sharp", "pairs"])
def test_where_an_image_is_validated_does_not_depend_on_the_others(request, kind):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, degradation="s1-box" if kind == "sharp" else None)
    few = held.take([6, 2])
    whole = [*validation.validation_pairs(recipe, held, 2)]
    for (y, x), i in zip(validation.validation_pairs(recipe, few, 2), (6, 2), strict=True):
        assert torch.equal(y, whole[i][0])
        assert torch.equal(x, whole[i][1])


@pytest.mark.parametrize("kind", ["sharp", "pairs"])
@pytest.mark.parametrize("crop", [10, 40, 53])
def test_networks_of_different_margins_are_validated_on_the_same_crops(request, kind, crop):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, crop=crop, degradation="s1-box" if kind == "sharp" else None)
    plain = [*validation.validation_pairs(recipe, held, 0)]
    for margin in (1, 5, min(16, (64 - crop) // 2)):
        made = validation.validation_pairs(recipe, held, margin)
        for (blurred, sharp), (y, x) in zip(plain, made, strict=True):
            assert torch.equal(x, sharp)
            assert torch.equal(y[..., margin:-margin, margin:-margin], blurred)


@pytest.mark.parametrize("margin", [0, 4, 27])
def test_a_validation_pair_is_cut_out_of_an_evaluation_pair(sharp, margin):
    made = batches.evaluation_pairs(sharp, degrade.SETTINGS["s1-box"], 0, grey=1)
    cut = validation.validation_pairs(RECIPE, sharp, margin)
    for whole, (y, x) in zip(made, cut, strict=True):
        top, left = place_of(x, whole.x)
        around = (slice(top - margin, top + 10 + margin), slice(left - margin, left + 10 + margin))
        assert y.shape[-2:] == (10 + 2 * margin,) * 2
        assert torch.equal(y, whole.y[..., *around])


@pytest.mark.parametrize(("grey", "margin"), [(0, 0), (1, 30), (3, 5)])
def test_a_recorded_validation_pair_shows_one_place(pairs, grey, margin):
    recipe = replace(RECIPE, degradation=None, grey=grey)
    for y, x in validation.validation_pairs(recipe, pairs, margin):
        assert x.shape == (1, grey or 3, 10, 10)
        middle = y[..., margin : margin + 10, margin : margin + 10]
        torch.testing.assert_close(1 - middle, x, rtol=0, atol=1.01 / 255)


@pytest.mark.parametrize(("kind", "side"), [("sharp", 64), ("pairs", 70)])
@pytest.mark.parametrize("margin", [0, 6])
def test_an_image_that_is_too_small_to_validate_on_is_named(request, kind, side, margin):
    held = request.getfixturevalue(kind)
    recipe = replace(RECIPE, degradation="s1-box" if kind == "sharp" else None)
    least = replace(recipe, crop=side - 2 * margin)
    for y, _ in validation.validation_pairs(least, held, margin):
        assert y.shape[-2:] == (side, side)
    words = f"{held.names[0]}, to validate on, has {side} x {side + 6} pixels .* of {side + 1} "
    with pytest.raises(InputError, match=words):
        next(validation.validation_pairs(replace(least, crop=least.crop + 1), held, margin))


@pytest.mark.parametrize("loss", ["mse", "euclidean"])
@pytest.mark.parametrize("margin", [0, 3])
def test_scores_are_means_over_all_images_of_what_lies_inside(sharp, monkeypatch, loss, margin):
    monkeypatch.setattr(validation, "SCORED_AT_ONCE", 3)
    score = validation.scorer(replace(RECIPE, loss=loss), sharp, torch.device("cpu"), margin)
    values, errors = [], []
    for y, x in validation.validation_pairs(RECIPE, sharp, margin):
        inside = y[..., margin : margin + 10, margin : margin + 10]
        values.append(losses.LOSSES[loss](inside, x).item())
        rounded = np.round(255 * inside.double().numpy()) / 255
        errors.append(np.mean((rounded - x.double().numpy()) ** 2))
    expected = {"val_loss": np.mean(values), "val_psnr": -10 * np.log10(np.mean(errors))}
    assert score(torch.nn.Identity()) == pytest.approx(expected, rel=1e-5)


def test_a_crop_that_is_restored_to_the_bit_leaves_the_psnr_finite(tmp_path, save_picture):
    files.write_image(tmp_path / "flat.png", torch.full((3, 60, 60), 0.2))
    save_picture(tmp_path / "other.png", 0, 60, 60)
    held = data.open_images(str(tmp_path))
    one, both = (
        validation.scorer(RECIPE, some, torch.device("cpu"), 0)(torch.nn.Identity())["val_psnr"]
        for some in (held.take([1]), held)
    )
    assert both == pytest.approx(one + 10 * np.log10(2), abs=1e-4)
