"""Several sets trained on as one: what is in them, what is held out, and the batches."""

from dataclasses import replace

import pytest
import torch
from sets import write_pairs, write_set

from deblurlib import data, degrade, images, places, runs
from deblurlib.data import batches
from deblurlib.data.mixtures import SAME_SCENE
from deblurlib.errors import InputError
from deblurlib.runs import inputs, proof, validation
from deblurlib.studies import find_recipe

PARTS = {"clips": 3.0, "more": 1.0, "photos": 2.0, "flat": 2.0}


@pytest.fixture
def mixture(tmp_path, monkeypatch):
    """A mixture of pairs, of pairs of one of their scenes, and of two sets of photographs."""
    write_pairs(tmp_path / "clips", "abc", split="train")
    write_pairs(tmp_path / "clips", "z", split="test")
    write_pairs(tmp_path / "more", ["train"], split=".")
    write_set(tmp_path / "photos", [f"train/{i}.png" for i in range(5)] + ["test/9.png"], 90, 80)
    write_set(tmp_path / "flat", [f"{i}.png" for i in range(3)], 76, 90)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    monkeypatch.setitem(places.MIXTURES, "mix", PARTS)
    monkeypatch.setitem(SAME_SCENE, "more/train", "clips/train/b")
    return data.open_mixture("mix")


def test_a_mixture_holds_the_training_images_of_its_sets_in_order(mixture):
    expected = []
    for name in PARTS:
        opened = data.open_pairs if data.holds_pairs(name) else data.open_images
        part = opened(name, None if name in ("more", "flat") else "train")
        expected += [(f"{name}/{n}", item) for n, item in zip(part.names, part, strict=True)]
    assert mixture.names == [name for name, _ in expected]
    for i, (_, item) in enumerate(expected):
        for a, b in zip(mixture[i], item, strict=True):
            assert torch.equal(a, b)
    assert not any("test" in name for name in mixture.names)
    assert sum(mixture.chances) == pytest.approx(8)
    assert mixture.chances[:6] == [0.5] * 6


def test_its_fingerprint_follows_weights_and_content(mixture, tmp_path, monkeypatch):
    assert data.open_mixture("mix").fingerprint == mixture.fingerprint
    assert mixture.take(range(3)).fingerprint != mixture.fingerprint
    monkeypatch.setitem(places.MIXTURES, "mix", PARTS | {"more": 1.5})
    assert data.open_mixture("mix").fingerprint != mixture.fingerprint
    monkeypatch.setitem(places.MIXTURES, "mix", PARTS)
    write_set(tmp_path / "flat", ["0.png"], 77, 90)
    assert data.open_mixture("mix").fingerprint != mixture.fingerprint


@pytest.mark.parametrize("seed", range(6))
def test_what_is_held_out_shows_no_scene_that_is_trained_on(mixture, seed):
    rest, held = data.hold_out(mixture, 0.3, seed)
    assert not set(rest.scenes) & set(held.scenes)
    assert sorted(rest.names + held.names) == sorted(mixture.names)
    assert {name.partition("/")[0] for name in held.names} >= {"clips", "photos", "flat"}
    with_b = "clips/train/b" in held.scenes
    assert with_b == any(name.startswith("more/") for name in held.names)
    assert dict(zip([p.name for p in rest.parts], rest.weights, strict=True)).items() <= (
        PARTS.items()
    )


def test_a_mixture_is_no_set_and_needs_all_of_its_own(mixture, monkeypatch, tmp_path):
    assert places.is_here("mix")
    assert not data.holds_pairs("mix")
    for wrong in (data.open_images, data.open_pairs):
        with pytest.raises(InputError, match="mix is a mixture to train on: clips, more"):
            wrong("mix")
    with pytest.raises(InputError, match="score on sets"):
        data.open_mixture("mix", "test")
    (tmp_path / "flat").rename(tmp_path / "gone")
    assert not places.is_here("mix")
    with pytest.raises(InputError, match="'flat' is no data set"):
        data.open_mixture("mix")


# --- batches


SETTINGS = degrade.SETTINGS


def made(mixture, step, batch=16, rank=0, world=1, **more):
    how = {"spoil": SETTINGS["stored"], "turned": True, "larger": 1.3} | more
    return batches.training_batch(
        batches.hold(mixture),
        SETTINGS["snapshot"],
        step,
        batch,
        16,
        3,
        rank=rank,
        world=world,
        chances=mixture.chances,
        **how,
    )


def test_a_mixed_batch_is_the_same_in_parts(mixture):
    whole = made(mixture, 2)
    assert whole.y.shape == whole.x.shape == (16, 3, 16, 16)
    assert whole.degradations == ()
    for parts in (
        [made(mixture, 2, rank=r, world=2) for r in (0, 1)],
        [made(mixture, n, 1) for n in range(32, 48)],
    ):
        assert torch.equal(torch.cat([p.y for p in parts]), whole.y)
        assert torch.equal(torch.cat([p.x for p in parts]), whole.x)


def test_sets_are_seen_as_often_as_they_are_worth(mixture):
    held = []
    for i in range(len(mixture)):  # each image says its place
        shape = (2, 3, 20, 20) if isinstance(mixture[i], tuple) else (3, 80, 80)
        held.append(torch.full(shape, i, dtype=torch.uint8))
    x = batches.training_batch(held, SETTINGS["noise"], 0, 4000, 4, 0, chances=mixture.chances).x
    shown = (x[:, 0, 0, 0] * 255).round().long()
    counts = torch.bincount(shown, minlength=len(mixture)) / 4000
    expected = torch.tensor(mixture.chances) / 8
    assert (counts - expected).abs().max() < 0.02


def test_recorded_pairs_keep_their_partners_however_they_are_cut_turned_and_reduced():
    coded = torch.arange(40).repeat(40, 1).to(torch.uint8)
    x = torch.stack([coded, coded.T, 0 * coded])
    held = [torch.stack([x, x])]  # blurred and sharp are one picture of places
    pair = batches.training_batch(held, None, 0, 200, 16, 0, turned=True, larger=2.0)
    assert torch.equal(pair.y, pair.x)
    places_ = 255 * pair.x[:, :2]
    steps = torch.cat(
        [places_.diff(dim=-1)[..., 8, 8, None], places_.diff(dim=-2)[..., 8, 8, None]], -1
    )
    sizes = steps.abs().amax((1, 2))  # pixels of the image between two of the crop
    assert 0.3 < (sizes > 1.05).float().mean() < 0.5
    assert 1.9 < sizes.max() < 2.1
    kinds = {tuple(s.sign().int().flatten().tolist()) for s in steps.round(decimals=1)}
    assert len(kinds) == 8  # all ways to lay a square
    plain = batches.training_batch(held, None, 0, 200, 16, 0)
    straight = 255 * plain.x[:, 1].diff(dim=1)
    assert torch.equal(straight.round(), torch.ones_like(straight))


def test_pairs_are_spoilt_on_their_blurred_side_alone(rand):
    x = (256 * rand(2, 3, 40, 40)).to(torch.uint8)
    held = [x]

    def noisy(generator):
        return degrade.Degradation(torch.ones(1, 1), noise=0.1)

    plain = batches.training_batch(held, None, 0, 8, 16, 0)
    spoilt = batches.training_batch(held, None, 0, 8, 16, 0, spoil=noisy)
    assert torch.equal(plain.x, spoilt.x)
    assert (spoilt.y - plain.y).std().item() == pytest.approx(0.1, rel=0.15)
    assert torch.equal(spoilt.y, images.quantise(spoilt.y))


# --- recipes


def test_a_mixture_is_trained_on_validated_and_proved_like_any_set(mixture):
    recipe = find_recipe("05/shipped-small", "smoke", 0, "mix")
    found = inputs.open_training_images(recipe)
    assert found.fingerprint == mixture.fingerprint
    rest, held = data.hold_out(found, recipe.holdout)
    pairs = [*validation.validation_pairs(recipe, held, 0)]
    assert len(pairs) == len(held)
    for i, pair in enumerate(pairs):
        assert pair.x.shape == (1, 3, 16, 16)
        assert len(pair.degradations) == (not isinstance(held[i], tuple))
    kept = proof.of_batches(recipe, rest)
    assert kept == proof.of_batches(recipe, rest)
    assert kept != proof.of_batches(recipe.with_seed(1), rest)


def test_of_a_large_photograph_the_middle_is_validated_on(mixture):
    photos = mixture.parts[2]
    whole = data.open_images("photos", "train")[0]
    (first, *_) = batches.evaluation_pairs(photos, SETTINGS["noise"], 0, most=70)
    assert torch.equal(first.x[0], images.centre_crop(whole, 70, 70))
    (first, *_) = batches.evaluation_pairs(photos, SETTINGS["noise"], 0, most=85)
    assert torch.equal(first.x[0], images.centre_crop(whole, 85, 80))


def test_what_spoils_recorded_pairs_must_not_blur_them(mixture, tmp_path):
    recipe = replace(find_recipe("05/shipped-small", "smoke", 0, "mix"), spoil="s1-gaussian")
    with pytest.raises(InputError, match="spoil must not blur, as s1-gaussian does"):
        runs.train_or_load(recipe, folder=tmp_path, quiet=True)


def test_a_training_on_a_mixture_goes_on_to_the_bit(mixture, tmp_path):
    recipe = replace(find_recipe("05/shipped-small", "smoke", 0, "mix"), steps=6, every=2, batch=3)
    whole = runs.train_or_load(recipe, folder=tmp_path / "whole", quiet=True)
    stopped = runs.train_or_load(recipe, folder=tmp_path / "runs", max_minutes=0, quiet=True)
    assert stopped.outcome == "stopped"
    resumed = runs.train_or_load(recipe, folder=tmp_path / "runs", quiet=True)
    assert resumed.outcome == "resumed"
    assert resumed.weights_hash == whole.weights_hash
    assert resumed.env["data"] == {"name": "mix", "fingerprint": mixture.fingerprint}
    assert runs.train_or_load(recipe, folder=tmp_path / "runs", quiet=True).outcome == "hit"
    with pytest.raises(InputError, match="images of a mixture need a degradation"):
        runs.train_or_load(replace(recipe, degradation=None), folder=tmp_path, quiet=True)
