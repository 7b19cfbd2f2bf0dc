"""The networks that ship: their files, their cards, and that they do some good."""

import json
import re
from dataclasses import fields

import pytest
import torch

from deblurlib import evaluation, images, models, restoration, runs, studies
from deblurlib.data import open_images
from deblurlib.models import WEIGHTS
from deblurlib.restoration import apply_model, find_method, restore, shipped
from deblurlib.studies.srn.ship import CONTAMINATED, KEPT, ship

every_network = pytest.mark.parametrize("name", shipped())


def cards_of(name):
    """The card for the code, and the one for readers."""
    card, text = (
        (WEIGHTS / name / which).read_text("utf-8") for which in ("card.json", "README.md")
    )
    return json.loads(card), text


def test_srn_ships_and_all_weights_together_stay_small_and_hold_no_pickle():
    assert "srn" in shipped()
    found = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {path.suffix for path in found} == {".json", ".safetensors", ".md"}
    assert sum(path.stat().st_size for path in found) < 60e6


@every_network
def test_the_hub_s_own_reader_finds_the_same_network(rand, name):
    card, _ = cards_of(name)
    model = models.MODELS[card["model"]].from_pretrained(WEIGHTS / name).eval()
    y = rand(1, 3, 40, 56)
    torch.testing.assert_close(find_method(name)(y), apply_model(model, y), rtol=0, atol=1e-5)


@every_network
def test_the_card_for_readers_holds_what_the_card_for_the_code_says(name):
    card, text = cards_of(name)
    assert len(card["scores"]) >= 3
    for one in card["scores"]:
        row = (f"{one[k]:.2f}" for k in ("identity_psnr", "psnr"))
        assert f"| {' | '.join([str(one['n']), *row])} | {one['psnr_gain']:+.2f} |" in text
    model = models.build(card["model"], card["recipe"]["model_args"], 0)
    assert f"{models.parameter_count(model):,} parameters" in text
    assert f"{card['recipe']['steps']:,} steps" in text
    assert f"{card['tiled_psnr']:.1f} dB" in text
    for heading in ("Scores", "Network and training", "Data", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "licence" in text
    assert find_method(name).contaminated == tuple(card["contaminated"])
    assert {"gopro", "gopro-gamma"} <= set(card["contaminated"])
    assert all(f"`{one}`" in text for one in card["contaminated"])


def test_no_recipe_can_start_from_weights():
    names = {field.name for field in fields(runs.Recipe)}
    assert not [n for n in names if re.search("weight|pretrain|start|init|check", n)]


@every_network
def test_it_is_better_than_doing_nothing_on_photographs_it_has_not_seen(name):
    cases = evaluation.cases_of_images(open_images("sample", "test"), "s4-camera", 0)
    rows = evaluation.evaluate([find_method(name)], cases)
    assert evaluation.summary(rows)[-1]["psnr_gain"] > 0


@every_network
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 7, 5), (3, 33, 50)])
def test_it_restores_any_size_and_a_grey_image_stays_grey(rand, name, shape):
    y = rand(*shape)
    x_hat = restore(y, name)
    assert x_hat.shape == y.shape
    assert torch.isfinite(x_hat).all()


@every_network
def test_tiles_cannot_be_told_from_the_whole(name):
    photo = images.centre_crop(open_images("sample", "test")[2], 416, 416)
    # tiles far smaller than by default: where they meet must not show even then
    assert restoration.tile_difference(photo, find_method(name), 256) >= 45


def test_a_run_ships_with_all_that_is_known_of_it(tmp_path, monkeypatch, save_picture, rand):
    for i in range(3):
        for side in ("blur", "sharp"):
            save_picture(tmp_path / "motion-mixture" / "train" / f"{i}" / side / "0.png", i, 20, 26)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    run = runs.train_or_load(studies.find_recipe("05/shipped", "smoke", data="motion-mixture"))
    save_picture(tmp_path / "photo.png", height=300, width=270)
    monkeypatch.setattr(restoration, "TILE", 256)
    scores = [{k: 1 for k in KEPT} | {"images": []}]
    folder = tmp_path / "weights" / "net"
    card = ship(run, [tmp_path / "photo.png"], scores, folder)
    assert json.loads((folder / "card.json").read_text("utf-8")) == json.loads(json.dumps(card))
    assert card["run"] == run.id
    assert card["recipe"] == json.loads(run.recipe.to_json())
    assert card["scores"] == [{k: 1 for k in KEPT}]
    assert card["contaminated"] == CONTAMINATED
    usual = (tmp_path / "photo.png").stat().st_mode
    assert [path.stat().st_mode for path in folder.iterdir()] == [usual] * 3
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    y = rand(1, 3, 20, 20)
    assert shipped() == ["net"]
    made = find_method("net")
    torch.testing.assert_close(made(y), apply_model(run.model(), y))
    assert (made.contaminated, made.tiled_psnr) == (CONTAMINATED, card["tiled_psnr"])
