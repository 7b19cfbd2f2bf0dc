"""What a recipe trains and validates on: crops that are larger than what a model gives back."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from sets import write_pairs

from deblurlib import data, degrade, edges, files, images, losses, models, psf, training
from deblurlib.data import batches
from deblurlib.errors import InputError
from deblurlib.runs import Recipe, inputs
from deblurlib.runs.inputs import batches_of
from deblurlib.runs.validation import scorer, validation_pairs
from deblurlib.studies import scoring

#: of the two kinds of images, each sixteen of 70 x 76 pixels; a blur takes 3 of them at each side
RECIPES = {
    "sharp": Recipe("02/small", "srcnn", "own", 4, batch=3, crop=10, degradation="s1-box", grey=1),
    "pairs": Recipe("02/small", "srcnn", "own", 4, batch=3, crop=10, grey=1),
}
over_kinds = pytest.mark.parametrize("kind", RECIPES)


@pytest.fixture(scope="module")
def fabric():
    return training.start_fabric("32")


@pytest.fixture(scope="module")
def sets(tmp_path_factory, save_picture, rand):
    """By kind; the blurred one of a pair is the negative."""
    sharp, pairs = tmp_path_factory.mktemp("sharp"), tmp_path_factory.mktemp("pairs")
    for i in range(16):
        save_picture(sharp / f"{i}.png", i, 70, 76)
        x = images.quantise(rand(3, 70, 76, seed=i))
        for side, image in (("blur", 1 - x), ("sharp", x)):
            (pairs / f"s{i}" / side).mkdir(parents=True)
            files.write_image(pairs / f"s{i}" / side / "0.png", image)
    return {"sharp": data.open_images(str(sharp)), "pairs": data.open_pairs(str(pairs))}


def inside(z, margin):
    return z[..., margin : z.shape[-2] - margin, margin : z.shape[-1] - margin]


def place_of(crop, whole):
    """The only (top, left) at which ``crop`` lies in ``whole``."""
    height, width = crop.shape[-2:]
    windows = whole.unfold(-2, height, 1).unfold(-2, width, 1)
    same = (windows == crop[..., None, None, :, :]).all(-1).all(-1).flatten(0, -3).all(0)
    ((top, left),) = same.nonzero().tolist()
    return top, left


@pytest.mark.parametrize(
    ("kind", "margin", "grey"), [("sharp", 4, 1), ("sharp", 2, 0), ("pairs", 4, 3)]
)
def test_a_sample_is_the_middle_of_a_larger_one(sets, fabric, kind, margin, grey):
    recipe = replace(RECIPES[kind], grey=grey)
    larger = replace(recipe, crop=10 + 2 * margin)
    for step in (0, 3):
        pair = batches_of(recipe, sets[kind], fabric, margin)(step)
        whole = batches_of(larger, sets[kind], fabric, 0)(step)
        assert pair.x.shape == (3, grey or 3, 10, 10)
        assert torch.equal(pair.y, whole.y)
        assert torch.equal(pair.x, inside(whole.x, margin))
        assert pair.y.is_contiguous()
        assert pair.x.is_contiguous()


def test_both_of_a_sample_show_the_same_place(sets, fabric):
    pair = batches_of(replace(RECIPES["pairs"], grey=0), sets["pairs"], fabric, 6)(0)
    torch.testing.assert_close(1 - inside(pair.y, 6), pair.x)


@pytest.mark.parametrize(("grey", "margin"), [(0, 0), (1, 30), (3, 5)])
def test_both_of_a_validation_pair_show_the_same_place(sets, grey, margin):
    for pair in validation_pairs(replace(RECIPES["pairs"], grey=grey), sets["pairs"], margin):
        assert pair.x.shape == (1, grey or 3, 10, 10)
        torch.testing.assert_close(1 - inside(pair.y, margin), pair.x, rtol=0, atol=1.01 / 255)


@pytest.mark.parametrize("margin", [4, 27])
def test_a_validation_pair_is_cut_out_of_an_evaluation_pair(sets, margin):
    made = batches.evaluation_pairs(sets["sharp"], degrade.SETTINGS["s1-box"], 0, grey=1)
    cut = validation_pairs(RECIPES["sharp"], sets["sharp"], margin)
    for whole, pair in zip(made, cut, strict=True):
        top, left = place_of(pair.x, whole.x)
        around = (slice(top - margin, top + 10 + margin), slice(left - margin, left + 10 + margin))
        assert pair.y.shape[-2:] == (10 + 2 * margin,) * 2
        assert torch.equal(pair.y, whole.y[..., *around])
        assert torch.equal(pair.kernels, whole.kernels)


@over_kinds
def test_where_an_image_is_validated_depends_neither_on_the_seed_nor_on_the_others(sets, kind):
    recipe, held = RECIPES[kind], sets[kind]
    whole = [*validation_pairs(recipe, held, 2)]
    few = validation_pairs(replace(recipe, seed=9), held.take([6, 2]), 2)
    assert len(whole) == 16
    for pair, i in zip(few, (6, 2), strict=True):
        assert torch.equal(pair.y, whole[i].y)
        assert torch.equal(pair.x, whole[i].x)


@over_kinds
@pytest.mark.parametrize(("margin", "border"), [(0, 16), (20, 20)])
def test_validation_crops_lie_all_over_their_images_but_for_a_border(sets, kind, margin, border):
    if kind == "sharp":
        made = batches.evaluation_pairs(sets[kind], degrade.SETTINGS["s1-box"], 0, grey=1)
        wholes = [pair.x for pair in made]
    else:
        wholes = [images.quantise(images.grey(x)) for _, x in sets[kind]]
    crops = [pair.x for pair in validation_pairs(RECIPES[kind], sets[kind], margin)]
    found = [place_of(x[0], whole) for x, whole in zip(crops, wholes, strict=True)]
    assert len(set(found)) >= 14
    for starts, side in zip(zip(*found, strict=True), wholes[0].shape[-2:], strict=True):
        room = side - 10 - 2 * border
        assert border <= min(starts) < border + 0.35 * room
        assert border + 0.65 * room < max(starts) <= border + room


@over_kinds
@pytest.mark.parametrize("crop", [10, 53])
def test_networks_of_different_margins_are_validated_on_the_same_crops(sets, kind, crop):
    recipe = replace(RECIPES[kind], crop=crop)
    plain = [*validation_pairs(recipe, sets[kind], 0)]
    for margin in (1, min(16, (64 - crop) // 2)):
        made = validation_pairs(recipe, sets[kind], margin)
        for small, pair in zip(plain, made, strict=True):
            assert torch.equal(pair.x, small.x)
            assert torch.equal(inside(pair.y, margin), small.y)


@pytest.mark.parametrize("margin", [0, 6])
def test_an_image_that_is_too_small_to_train_on_is_named(sets, fabric, margin):
    least = replace(RECIPES["sharp"], crop=64 - 2 * margin)
    assert batches_of(least, sets["sharp"], fabric, margin)(0).y.shape[-1] == 64
    with pytest.raises(InputError, match=r"0.png has 70 x 76 pixels; a crop of 65 .* 71 x 71"):
        batches_of(replace(least, crop=least.crop + 1), sets["sharp"], fabric, margin)


@pytest.mark.parametrize(("kind", "side", "margin"), [("sharp", 64, 6), ("pairs", 70, 0)])
def test_an_image_that_is_too_small_to_validate_on_is_named(sets, kind, side, margin):
    least = replace(RECIPES[kind], crop=side - 2 * margin)
    for pair in validation_pairs(least, sets[kind], margin):
        assert pair.y.shape[-2:] == (side, side)
    name = sets[kind].names[0]
    words = f"{name}, to validate on, has {side} x {side + 6} pixels .* of {side + 1} "
    with pytest.raises(InputError, match=words):
        next(validation_pairs(replace(least, crop=least.crop + 1), sets[kind], margin))


@pytest.mark.parametrize(("loss", "margin"), [("mse", 3), ("euclidean", 0)])
def test_scores_are_means_over_all_images_of_what_lies_inside(sets, monkeypatch, loss, margin):
    monkeypatch.setitem(scorer.__globals__, "SCORED_AT_ONCE", 3)  # the last ones are fewer
    recipe, held = replace(RECIPES["sharp"], loss=loss), sets["sharp"]
    values, errors = [], []
    for pair in validation_pairs(recipe, held, margin):
        y, x = inside(pair.y, margin), pair.x
        values.append(losses.OBJECTIVES[loss].loss(y, x).item())
        rounded = np.round(255 * y.double().numpy()) / 255
        errors.append(np.mean((rounded - x.double().numpy()) ** 2))
    expected = {"val_loss": np.mean(values), "val_psnr": -10 * np.log10(np.mean(errors))}
    score = scorer(recipe, held, torch.device("cpu"), margin)
    assert score(torch.nn.Identity()) == pytest.approx(expected, rel=1e-5)


def test_a_crop_that_is_restored_to_the_bit_leaves_the_psnr_finite(tmp_path, save_picture):
    files.write_image(tmp_path / "flat.png", torch.full((3, 60, 60), 0.2))
    save_picture(tmp_path / "other.png", 0, 60, 60)
    held = data.open_images(str(tmp_path))
    one, both = (
        scorer(RECIPES["sharp"], some, torch.device("cpu"), 0)(torch.nn.Identity())["val_psnr"]
        for some in (held.take([1]), held)
    )
    assert both == pytest.approx(one + 10 * np.log10(2), abs=1e-4)


# --- whole images, blurred up to their edges; images that are made smaller first


def s2_by_opencv(x, degradation):
    """S2's blur: OpenCV's, with the border that it takes where none is named."""
    array = x.permute(1, 2, 0).numpy()
    blurred = cv2.GaussianBlur(array, (5, 5), degradation.parameters["sigma"])
    return torch.from_numpy(blurred).permute(2, 0, 1)


def whole_images(tmp_path, save_picture):
    for i in range(6):
        save_picture(tmp_path / "train" / f"{i}.png", i, 32, 32)
    held = data.open_images(str(tmp_path), "train")
    recipe = Recipe("03/small", "deblurnet", "own", 4, 6, 32, "s2-gaussian", boundary="reflect")
    return recipe, held


@pytest.mark.parametrize("degradation", ["s2-gaussian-quiet", "s2-gaussian"])
def test_blurred_up_to_their_edges_whole_images_are_trained_and_validated_on(
    tmp_path, save_picture, fabric, degradation
):
    recipe, held = whole_images(tmp_path, save_picture)
    recipe = replace(recipe, degradation=degradation)
    pairs = [batches_of(recipe, held, fabric, 0)(1), *validation_pairs(recipe, held, 0)]
    seen = []
    for pair in pairs:
        for y, x, d in zip(pair.y, pair.x, pair.degradations, strict=True):
            seen += [i for i, image in enumerate(held) if x.equal(image) or x.flip(-1).equal(image)]
            noise = y - s2_by_opencv(x, d)
            if d.noise:
                assert noise.std().item() == pytest.approx(0.02, rel=0.1)
            else:
                assert noise.abs().max() < 1e-6
    assert sorted(seen) == [i for i in range(6) for _ in range(2)]  # trained on once
    with pytest.raises(InputError, match="a crop of 32"):
        batches_of(replace(recipe, boundary="valid"), held, fabric, 0)
    with pytest.raises(InputError, match="a crop of 32 needs more"):
        next(validation_pairs(replace(recipe, boundary="valid"), held, 0))


def test_a_recipe_opens_its_images_reduced_and_is_named_and_found_by_that(
    tmp_path, save_picture, monkeypatch
):
    recipe, held = whole_images(tmp_path, save_picture)
    monkeypatch.setenv("DEBLURLIB_DATA", f"own={tmp_path}")
    small = replace(recipe, reduce=16, crop=16)
    assert (recipe.label, small.label) == ("own", "own-16")
    train = inputs.open_training_images(small)
    assert train.name == "own-16"
    assert train[2].shape == (3, 16, 16)
    assert train.fingerprint == held.fingerprint


def test_recorded_pairs_are_trained_on_and_scored_reduced_as_if_their_files_were(
    tmp_path, fabric, monkeypatch
):
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    for split in ("train", "test"):
        write_pairs(tmp_path / "clips", ("a", "b", "c"), split=split, size=(96, 120))
        for path in (tmp_path / "clips" / split).glob("*/*/*.png"):
            copy = tmp_path / "small" / path.relative_to(tmp_path / "clips")
            copy.parent.mkdir(parents=True, exist_ok=True)
            files.write_image(copy, images.reduce(files.read_image(path)[None], 48)[0])
    plain = Recipe("06/small", "unet", "small", 4, batch=3, crop=8)
    recipe = replace(plain, data="clips", reduce=48)
    seen = []
    for one in (recipe, plain):
        train = inputs.open_training_images(one)
        assert one.label == train.name
        pairs = [batches_of(one, train, fabric, 0)(turn) for turn in range(2)]
        seen.append([*pairs, *validation_pairs(one, train, 0), *scoring.cases(one)])
    assert len(seen[0]) == 2 + 6 + 6
    for pair, expected in zip(*seen, strict=True):
        assert torch.equal(pair.y, expected.y)
        assert torch.equal(pair.x, expected.x)
        assert getattr(pair, "kernel", None) is None
    with pytest.raises(InputError, match="06/small: recorded pairs are not cut to squares"):
        inputs.open_training_images(replace(recipe, square=True))


def test_squares_are_trained_on_and_scored(tmp_path, save_picture, fabric, monkeypatch):
    for split in ("train", "test"):
        for i in range(2):
            save_picture(tmp_path / split / f"{i}.png", i, 20, 30)
    monkeypatch.setenv("DEBLURLIB_DATA", f"own={tmp_path}")
    how = {"batch": 2, "crop": 8, "degradation": "s2-gaussian", "boundary": "reflect"}
    recipe = Recipe("04/small", "unet", "own", 4, **how, reduce=8, square=True)
    train = inputs.open_training_images(recipe)
    assert recipe.label == train.name == "own-8x8"
    pair = batches_of(recipe, train, fabric, 0)(0)
    cases = [*scoring.cases(recipe), *scoring.cases(recipe, data.open_images("own", "test"))]
    for x in (pair.x, pair.y, *(case.x for case in cases), *(case.y for case in cases)):
        assert x.shape[-2:] == (8, 8)
    assert torch.equal(cases[1].x[0], inputs.open_test_images(recipe)[1])
    assert torch.equal(cases[3].x, cases[1].x)


class Guess(torch.nn.Module):
    """Guesses the right kernel, and restores by giving back the blurred image, a little darker."""

    def forward(self, y):
        return psf.box(7).expand(len(y), -1, -1)

    def restore(self, y, kernel):
        return 0.9 * y


def test_of_edges_a_models_f_score_is_the_mean_over_parts_and_the_identity_has_none(
    sets, monkeypatch
):
    monkeypatch.setitem(scorer.__globals__, "SCORED_AT_ONCE", 4)
    recipe = replace(RECIPES["sharp"], model="edgenet", loss="edges", grey=0)
    pairs, model = [*validation_pairs(recipe, sets["sharp"], 0)], models.EdgeNet(2, 1)
    scores = []
    for first in range(0, 16, 4):
        y, x = (torch.cat([getattr(p, k) for p in pairs[first : first + 4]]) for k in "yx")
        found = model.eval()(y).sigmoid().detach()
        scores.append(edges.best_f_score(found, edges.canny(x)))
    score = scorer(recipe, sets["sharp"], torch.device("cpu"), 0)
    result = score(model)
    assert list(result) == ["val_loss", "val_psnr", "val_f"]
    assert result["val_f"] == pytest.approx(np.mean(scores))
    assert np.isnan(result["val_psnr"])
    identity = score(torch.nn.Identity())
    assert np.isnan(identity["val_loss"])
    assert np.isnan(identity["val_f"])


@pytest.mark.parametrize("margin", [0, 4])
def test_a_network_that_makes_a_kernel_is_validated_on_it_and_on_what_it_restores(
    sets, monkeypatch, margin
):
    on_kernel = losses.Objective(torch.nn.functional.mse_loss, lambda pair: pair.kernels)
    monkeypatch.setitem(losses.OBJECTIVES, "kernel", on_kernel)
    recipe = replace(RECIPES["sharp"], loss="kernel")
    score = scorer(recipe, sets["sharp"], torch.device("cpu"), margin)
    pairs = [*validation_pairs(recipe, sets["sharp"], 0)]
    errors = [(images.quantise(0.9 * pair.y) - pair.x).square().mean().item() for pair in pairs]
    expected = {"val_loss": 0, "val_psnr": -10 * np.log10(np.mean(errors))}
    assert score(Guess()) == pytest.approx(expected, abs=1e-5)
    identity = score(torch.nn.Identity())
    assert np.isnan(identity["val_loss"])
    monkeypatch.delattr(Guess, "restore")
    assert np.isnan(score(Guess())["val_psnr"])
    plain = scorer(RECIPES["sharp"], sets["sharp"], torch.device("cpu"), 0)
    assert identity["val_psnr"] == plain(torch.nn.Identity())["val_psnr"]
