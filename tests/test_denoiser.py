"""The denoiser: what it is told, how it is trained, and the method that it is made for."""

import json
import math

import pytest
import torch

from deblurlib import degrade, images, metrics, models, psf, restoration, runs, studies
from deblurlib.data import open_images
from deblurlib.errors import InputError
from deblurlib.models import WEIGHTS, Denoiser
from deblurlib.restoration import METHODS, shipped
from deblurlib.studies.classical.ship import LEVELS, score, ship

CARD = json.loads((WEIGHTS / "denoiser" / "card.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Denoiser(width=6, depth=4).double().eval()


@pytest.fixture(scope="module")
def trained():
    return models.load("denoiser", WEIGHTS / "denoiser")


@torch.no_grad()
def test_brightness_and_noise_may_be_scaled_together(small, rand):
    y = rand(2, 3, 8, 10).double()
    once = small.denoise(y, torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(small.denoise(3 * y, torch.tensor([0.3, 0.6])), 3 * once)


@torch.no_grad()
def test_each_image_has_its_own_noise_and_each_channel_is_an_image(small, rand):
    y, sigma = rand(2, 3, 8, 10).double(), torch.tensor([0.05, 0.4])
    whole = small.denoise(y, sigma)
    for i in range(2):
        for c in range(3):
            one = small.denoise(y[i : i + 1, c : c + 1], sigma[i].item())
            torch.testing.assert_close(one[0, 0], whole[i, c])
    assert not torch.allclose(whole[1], small.denoise(y, 0.05)[1])


@torch.no_grad()
def test_two_looks_at_an_image_tell_its_noise(small, rand):
    noise = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    y = rand(1, 1, 64, 64).double() + 0.1 * noise
    sigma = ((y[:, 0] - y[:, 1]).square().mean() / 2).sqrt().item()
    assert sigma == pytest.approx(0.1, rel=0.05)
    torch.testing.assert_close(small(y), small.denoise(y, sigma))


def test_a_pixel_depends_on_the_receptive_field_at_most(small):
    side = small.receptive_field
    n = side // 2 * 2 + 4
    for place in (n // 2, n // 2 + 1):
        y = torch.rand(1, 1, n, n, dtype=torch.float64, requires_grad=True)
        small.denoise(y, 0.1)[0, 0, place, place].backward()
        far = (y.grad[0, 0].nonzero() - place).abs().max().item()
        assert far <= side // 2


def test_the_full_size_has_the_parameters_that_its_card_says(trained):
    assert models.parameter_count(trained) == CARD["training"]["parameters"] == 169_776
    assert all(layer.bias is None for layer in trained.layers)


def test_the_denoiser_is_no_method_of_its_own():
    assert "denoiser" not in shipped()
    assert "denoiser" not in METHODS


@pytest.mark.parametrize("level", LEVELS)
def test_the_denoiser_that_ships_takes_noise_off_photographs_it_has_not_seen(trained, level):
    test = open_images("sample", "test").first(1)
    scores = score(trained, test, level)
    assert scores["n"] == 1
    assert scores["psnr"] > scores["identity_psnr"] + 4
    assert scores["identity_psnr"] == pytest.approx(20 * math.log10(255 / level), abs=0.3)


@torch.inference_mode()
def test_told_too_little_noise_it_leaves_some(trained):
    x = images.centre_crop(images.grey(open_images("sample", "test")[0]), 128, 128)[None]
    y = degrade.add_noise(x, 0.1, 0, [0])
    left = {s: (trained.denoise(y, s) - y).square().mean().item() for s in (0.0, 0.02, 0.1)}
    assert left[0.0] < left[0.02] < left[0.1]


def test_the_card_for_readers_holds_the_scores_of_the_card_for_the_code():
    text = (WEIGHTS / "denoiser" / "README.md").read_text("utf-8")
    for one in CARD["scores"]:
        assert f"| {one['sigma']} | {one['identity_psnr']:.2f} | {one['psnr']:.2f} |" in text
    assert f"{CARD['training']['parameters']:,} parameters" in text
    assert f"{CARD['recipe']['steps']:,} steps" in text


def test_a_run_ships_and_the_method_uses_it(tmp_path, monkeypatch, rand):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    run = runs.train_or_load(studies.find_recipe("06/denoiser", "smoke"))
    folder = tmp_path / "weights" / "denoiser"
    card = ship(run, open_images("sample", "test").first(1), folder)
    assert json.loads((folder / "card.json").read_text("utf-8")) == json.loads(json.dumps(card))
    assert card["run"] == run.id
    assert [one["sigma"] for one in card["scores"]] == list(LEVELS)
    y, k = rand(1, 3, 20, 24), psf.gaussian(1.0)
    before = METHODS["plug-and-play"](y, k)
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    models.shipping._load.cache_clear()
    try:
        assert not torch.equal(METHODS["plug-and-play"](y, k), before)
        (folder / "model.safetensors").write_bytes(b"half")
        models.shipping._load.cache_clear()
        with pytest.raises(InputError, match="denoiser: damaged; install the library again"):
            METHODS["plug-and-play"](y, k)
    finally:
        models.shipping._load.cache_clear()


def test_the_recipe_shows_each_image_twice_with_other_noise():
    for profile in studies.PROFILES:
        (recipe,) = studies.recipes("06", profile, data="bsds500")
        told = (recipe.name, recipe.model, recipe.degradation)
        assert told == ("06/denoiser", "denoiser", "noise")
        assert recipe.grey == Denoiser.channels == 2
    x = images.grey(open_images("sample", "train")[0], 2)[None]
    y = degrade.sample(x, degrade.SETTINGS["noise"], 0, [3]).y
    assert torch.equal(x[:, 0], x[:, 1])
    assert not torch.equal(y[:, 0], y[:, 1])


def test_a_run_of_the_denoiser_is_no_method_for_images(tmp_path, monkeypatch, rand):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    run = runs.train_or_load(studies.find_recipe("06/denoiser", "smoke"))
    with pytest.raises(InputError, match="the model takes 2 channels, not 3"):
        restoration.find_method(run.id)(rand(1, 3, 8, 8))


def test_plug_and_play_beats_what_it_builds_on():
    x = images.centre_crop(open_images("sample", "test")[0], 160, 160)[None]
    k = psf.motion(9, 30)
    y = images.quantise(degrade.add_noise(degrade.convolve(x, k), 0.01, 0, [0]))
    found = {n: metrics.psnr(METHODS[n](y, k).clamp(0, 1), x) for n in ("wiener", "plug-and-play")}
    assert found["plug-and-play"] > found["wiener"] > metrics.psnr(y, x) + 1
