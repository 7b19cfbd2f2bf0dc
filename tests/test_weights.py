"""The networks that ship: their files, their cards, that they do some good, and what they leave."""

import hashlib
import json
import re
import time
from dataclasses import fields, replace
from functools import cache

import pytest
import torch

from deblurlib import evaluation, images, machine, metrics, models, runs
from deblurlib.data import open_images, open_pairs
from deblurlib.errors import InputError
from deblurlib.models import WEIGHTS
from deblurlib.perception import grid_peaks, grid_strength
from deblurlib.restoration import (
    Method,
    apply_model,
    find_method,
    restore,
    seam_energy,
    shipped,
    tile_difference,
    tiles,
)
from deblurlib.restoration.lookup import KERNELNET, STITCHED
from deblurlib.studies.srn import card as measured
from deblurlib.studies.srn import speed

#: those that need a kernel or guess one have tests of their own: see test_unrolled, test_kernelnet
OTHERS = (KERNELNET, STITCHED)
NETWORKS = [name for name in shipped() if name not in OTHERS and find_method(name).blind]
every_network = pytest.mark.parametrize("name", NETWORKS)
every_card = pytest.mark.parametrize("name", models.shipped_networks())
PHOTOS = ("astronaut", "chelsea", "coffee", "flower", "rocket")
SIDE = 224  # of the photographs' middle, pixels
LEVEL = 1 / 255
ROOT = WEIGHTS.parents[1]


def cards_of(name):
    """The card for the code, and the one for readers."""
    card, text = (
        (WEIGHTS / name / which).read_text("utf-8") for which in ("card.json", "README.md")
    )
    return json.loads(card), text


@cache
def restored(name):
    """Of five photographs, blurred and as they are: what they are, ``y``, ``x_hat`` and ``x``."""
    sharp = open_images("sample")
    places = [i for i, image in enumerate(sharp.names) if re.search("|".join(PHOTOS), image)]
    sharp, found = sharp.take(places), []
    for case in evaluation.cases_of_images(sharp, "s4-camera", 0):
        for how, y in (("blurred", case.y), ("sharp", case.x)):
            y, x = (images.centre_crop(z, SIDE, SIDE) for z in (y, case.x))
            x_hat = images.quantise(find_method(name)(y))
            found.append((f"{case.image}, {how}", y, x_hat, x))
    return found


# ---- files and cards


def test_srn_ships_and_all_weights_together_stay_small_and_hold_no_pickle():
    assert "srn" in shipped()
    found = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in found if path.name != "LICENSE"}
    assert suffixes == {".json", ".safetensors", ".md", ".jpg"}
    assert sum(path.stat().st_size for path in found) < 60e6
    assert sum(path.stat().st_size for path in found if path.suffix == ".jpg") < 1.2e6


@every_network
def test_the_hub_s_own_reader_finds_the_same_network_in_float32(rand, name):
    card, _ = cards_of(name)
    model = models.MODELS[card["model"]].from_pretrained(WEIGHTS / name).eval()
    for one in (model, models.load_shipped(name)[0]):
        assert {p.dtype for p in one.parameters()} == {torch.float32}
    y = rand(1, 3, 40, 56)
    torch.testing.assert_close(find_method(name)(y), apply_model(model, y), rtol=0, atol=1e-5)


@every_card
def test_the_card_knows_its_weights(name):
    card, _ = cards_of(name)
    weights = (WEIGHTS / name / "model.safetensors").read_bytes()
    assert card["weights"]["sha256"] == hashlib.sha256(weights).hexdigest()


@every_network
def test_the_card_for_readers_holds_what_the_card_for_the_code_says(name):
    card, text = cards_of(name)
    assert len(card["scores"]) >= 3
    assert measured.fill_in(text, measured.tables(card)) == text
    for one in card["scores"]:
        row = (f"{one[k]:.2f}" for k in ("identity_psnr", "psnr"))
        assert f"| {' | '.join([str(one['n']), *row])} | {one['psnr_gain']:+.2f} |" in text
    parameters = models.parameter_count(models.load_shipped(name)[0])
    assert card["parameters"] == parameters
    for said in (f"{parameters:,} parameters", f"{card['made_with']['steps']:,} steps"):
        assert said in text
    assert f"{card['tiled_psnr']:.1f} dB" in text
    for heading in ("Scores", "Network and training", "Data", "Limits"):
        assert f"\n## {heading}\n" in text
    assert find_method(name).contaminated == tuple(card["contaminated"])
    assert {"gopro", "gopro-gamma"} <= set(card["contaminated"])
    assert all(f"`{one}`" in text for one in card["contaminated"])
    assert card["licence"].partition(";")[0] in text


@every_network
def test_scores_are_marked_where_the_set_was_seen_and_nowhere_else(name):
    card, _ = cards_of(name)
    method = find_method(name)
    for one in card["scores"] + card["sharp"]:
        assert one["contaminated"] == method.has_seen(one["data"])


@every_card
def test_each_network_has_a_licence_that_names_what_it_was_trained_on(name):
    card, page = cards_of(name)
    made = card["made_with"]
    names = [one["data"] for one in made.get("recorded", []) + made.get("made_from", [])]
    text = (WEIGHTS / name / "LICENSE").read_text("utf-8")
    assert "not these weights" in text  # is what the licence of the code covers
    for data in names or [made["data"]["name"]]:
        assert data in text
        assert f"`{data}`" in page.partition("## Data")[2]


def test_the_first_page_and_the_page_on_restoring_say_what_the_card_says():
    card, _ = cards_of("srn")
    pages = ("README.md", "docs/restoring.md", "docs/index.md")
    readme, page, start = ((ROOT / name).read_text("utf-8") for name in pages)
    gains = {one["name"]: f"{one['psnr_gain']:.1f}" for one in card["scores"]}
    assert f"it gains {gains['gopro_scenes']} and {gains['reds_small']} dB, on every" in readme
    assert {one["win_rate"] for one in card["scores"][:2]} == {1.0}
    assert f"by deconvolution, {gains['levin09']} by `srn`" in readme
    drawn = json.loads((WEIGHTS / "srn/pictures/drawn.json").read_text("utf-8"))["median"]["psnr"]
    shown = f"from {drawn['blurred']:.1f} to {drawn['restored']:.1f} dB"
    assert all(shown in text for text in (readme, page, start))


def test_no_recipe_can_start_from_weights():
    names = {field.name for field in fields(runs.Recipe)}
    assert not [n for n in names if re.search("weight|pretrain|start|init|check", n)]


def test_a_table_without_its_place_in_the_card_is_refused_and_text_around_it_stays():
    page = "before\n<!-- a -->\nold\n<!-- a ends -->\nafter"
    filled = measured.fill_in(page, {"a": ["| new |"]})
    assert filled == "before\n<!-- a -->\n| new |\n<!-- a ends -->\nafter"
    with pytest.raises(InputError, match="no place for b"):
        measured.fill_in(page, {"b": []})


@pytest.mark.parametrize("spoilt", ["", "jpeg", "noise"])
def test_a_trial_spoils_the_blurred_image_alone_and_keeps_8_bits(save_picture, tmp_path, spoilt):
    for number, side in enumerate(("blur", "sharp")):
        save_picture(tmp_path / "test" / side / "a.png", number, 40, 56)
    pairs = open_pairs(f"clips={tmp_path}", "test")
    trial = measured.Trial(f"clips={tmp_path}", "two pictures", spoilt=spoilt)
    (case,) = measured.cases_of(trial)
    y, x = pairs[0]
    assert torch.equal(case.x[0], x)
    assert torch.equal(case.y[0], y) == (spoilt == "")
    assert torch.equal(images.quantise(case.y), case.y)
    assert (case.y[0] - y).std() < 0.3
    (again,) = measured.cases_of(trial)
    assert torch.equal(again.y, case.y)


def test_sharp_photographs_are_tried_as_they_are():
    trial = replace(measured.SHARP["sample-sharp"], first=2)
    for case, x in zip(measured.cases_of(trial), open_images("sample"), strict=False):
        assert torch.equal(case.y, x[None])
        assert torch.equal(case.x, x[None])


def test_an_unknown_measurement_is_named():
    with pytest.raises(InputError, match=r"'tile' is none of gopro_scenes, .*, tiles"):
        measured.measure({}, ["tile"])


def test_the_speed_of_a_device_takes_the_place_of_its_own_rows_alone(monkeypatch):
    calls = []

    def slow_at_first(y, kernel):
        calls.append(y.shape[-2:])
        time.sleep(0.3 * (len(calls) == 1))
        return y

    stub = Method("srn", slow_at_first, "fast", device=torch.device("cpu"))
    monkeypatch.setattr(speed, "FRAME", (8, 12))
    other = {"device": "another", "precision": "32", "frame": [8, 12], "seconds": 9.0}
    here = other | {"device": machine.device_name("cpu")}
    card = {"scores": [1], "speed": [here, here | {"precision": "long ago"}, other]}
    for bf16 in (False, True):
        monkeypatch.setattr(speed.machine, "computes_bf16", lambda device, can=bf16: can)
        rows = speed.speeds(stub)
        assert [r["precision"] for r in rows] == ["32"] + ["bf16"] * bf16
        assert all(0 < r["seconds"] < 0.2 and r["frame"] == [8, 12] for r in rows)
        found = speed.with_speeds(card, rows)
        assert found == card | {"speed": [other, *rows]}


# ---- what they do


@every_network
def test_it_is_better_than_doing_nothing_on_photographs_it_has_not_seen(name):
    blurred = [one for one in restored(name) if one[0].endswith("blurred")]
    gains = [metrics.psnr(x_hat, x) - metrics.psnr(y, x) for _, y, x_hat, x in blurred]
    assert torch.cat(gains).mean() > 0.3


@every_network
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 7, 5), (3, 33, 50)])
def test_it_restores_any_size_and_a_grey_image_stays_grey(rand, name, shape):
    y = rand(*shape)
    x_hat = restore(y, name)
    assert x_hat.shape == y.shape
    assert torch.isfinite(x_hat).all()


@every_network
@pytest.mark.parametrize("turned", [False, True])
def test_tiles_cannot_be_told_from_the_whole(name, turned):
    # tiles far smaller than by default: where they meet must not show even then
    strip = images.centre_crop(open_images("sample")[2], 64, 320)[None]
    y = strip.transpose(-1, -2) if turned else strip
    method = find_method(name)
    tile, overlap, _ = tiles.layout(method, 256)
    seam = [tile - overlap // 2]
    seams = (seam, []) if turned else ([], seam)
    assert tile_difference(y[0], method, tile) >= 45
    energies = [seam_energy(z, *seams) for z in (restore(y, method, tile=tile), method(y))]
    assert energies[0] <= 1.05 * energies[1]


# ---- what they leave in an image


@every_network
def test_it_leaves_no_grid_that_can_be_seen(name):
    for shown, y, x_hat, _ in restored(name):
        for period in (2, 4, 8):
            peak, strength = (f(x_hat - y, period).item() for f in (grid_peaks, grid_strength))
            # where a picture is smooth, a grid far below the rounding to 8 bit stands out, too
            assert peak < 3 or (period == 2 and strength < 0.05 * LEVEL), (shown, period, peak)


@every_network
def test_it_keeps_the_mean_of_each_colour(name):
    for shown, y, x_hat, _ in restored(name):
        drift = (x_hat - y).mean((-2, -1))
        assert drift.abs().max() < 1.5 * LEVEL, (shown, drift / LEVEL)
