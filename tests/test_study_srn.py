"""Chapter 05's recipes: the paper's, and the one that ships; and the pairs that it learns from."""

import math
import re
import shutil
from dataclasses import asdict

import pytest
import torch

from deblurlib import data, degrade
from deblurlib.data.sources import KNOWN
from deblurlib.errors import InputError
from deblurlib.runs import inputs
from deblurlib.studies import PROFILES, recipes
from deblurlib.studies.srn import mixture

over_profiles = pytest.mark.parametrize("profile", PROFILES)


def by_slug(profile, source="gopro"):
    return {r.name.removeprefix("05/"): r for r in recipes("05", profile, data=source)}


@over_profiles
def test_all_of_the_chapter_is_here(profile):
    assert set(by_slug(profile)) == {"srn", "shipped"}


def test_the_full_recipe_is_the_papers_training_on_gopro():
    recipe = asdict(by_slug("full")["srn"])
    expected = {
        "model": "srn",
        "model_args": {},
        "data": "gopro",
        "degradation": None,
        "steps": 262_000,
        "batch": 16,
        "crop": 256,
        "loss": "mse-over-scales",
        "optimiser": {"name": "adam", "lr": 1e-4},
        "schedule": {"name": "polynomial", "power": 0.3},
        "clip": {"norm": 3.0, "of": "recurrence."},
        "ema": None,
        "precision": "32",
        "grey": 0,
        "images": None,
    }
    assert {key: recipe[key] for key in expected} == expected
    assert recipe["steps"] * recipe["batch"] / 2103 == pytest.approx(2000, rel=0.005)  # epochs


@over_profiles
def test_the_shipped_network_is_half_as_wide_and_learns_the_difference(profile):
    recipe = by_slug(profile)["shipped"]
    assert recipe.model_args == {"width": 16, "residual": True}
    assert (recipe.model, recipe.loss) == ("srn", "mse-over-scales")
    assert recipe.clip == by_slug(profile)["srn"].clip
    assert (recipe.ema, recipe.precision, recipe.holdout) == (0.999, "bf16", 0.15)


@over_profiles
def test_recorded_pairs_are_taken_as_they_are_and_all_other_images_are_shaken(
    profile, tmp_path, save_picture, monkeypatch
):
    for side in ("blur", "sharp"):
        save_picture(tmp_path / "clips/train" / side / "a.png")
    save_picture(tmp_path / "photos/train/a.png")
    shutil.copytree(tmp_path / "photos", tmp_path / "home/gopro")  # of whatever name
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)

    def settings(source):
        return {r.degradation for r in by_slug(profile, source).values()}

    for source in ("sample", "bsds500", "anime-faces", "nowhere", str(tmp_path / "photos")):
        assert settings(source) == {"s4-camera"}
    for source in ("gopro", "gopro-gamma", "motion-mixture", f"mine={tmp_path / 'clips'}"):
        assert settings(source) == {None}
    assert settings(f"gopro={tmp_path / 'home/gopro'}") == {"s4-camera"}


# --- the mixture

#: what gather makes of each recorded pair of the miniature: scene, and its tiles' tops and lefts
TILES = {
    "gopro_scenes-000": ("gopro_scenes-pier", [0], [0, 100, 164]),
    "gopro_scenes-001": ("gopro_scenes-garden", [0, 4], [0]),
    "gopro_scenes-002": ("gopro_scenes-square", [0], [0]),
    "gopro_patches-000": ("gopro_scenes-square", [0], [0]),
    "gopro_patches-001": ("gopro_scenes-square", [0], [0]),
    "gopro_pairs-000": ("gopro_pairs-train", [0], [0, 256, 344]),
    "reds_small-000": ("reds_small-b", [0], [0, 20, 24]),
    "reds_small-001": ("reds_small-c", [0], [0]),
}
#: top and left of the part of a photograph that is kept, and its sides
PHOTOGRAPHS = {
    "bsds500-000": (22, 32, 256, 256),
    **{f"bsds500-{i:03d}": (16, 16, 28, 38) for i in range(1, 7)},
    "imagenet_sample-000": (16, 16, 224, 224),
    "imagenet_sample-001": (16, 16, 31, 32),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory, save_picture):
    """The sets that the mixture is gathered from, in miniature; every image is another noise,
    but two photographs are the same.
    """
    top, seeds = tmp_path_factory.mktemp("sources"), iter(range(1000))

    def pair(place, stem, height, width):
        for side in ("blur", "sharp"):
            save_picture(top / place / side / f"{stem}.png", next(seeds), height, width)

    pair("gopro_scenes/train", "00", 256, 420)
    pair("gopro_scenes/train", "16", 260, 256)
    pair("gopro_scenes/train", "27", 256, 256)
    table = "split,stem,scene\ntrain,27,square\ntrain,00,pier\ntrain,16,garden\ntest,00,street\n"
    (top / "gopro_scenes" / "scenes.csv").write_text(table)
    for stem in ("000", "001"):
        pair("gopro_patches/train", stem, 256, 256)
    pair("gopro_pairs/train", "000071", 256, 600)
    pair("reds_small/train/b", "0", 200, 280)
    pair("reds_small/train/c", "0", 60, 50)
    for place in ("gopro_scenes/test", "gopro_pairs/test", "reds_small/test/d"):
        pair(place, "00", 256, 256)
    for name, *size in (
        *(("bsds500/train/a.png", 300, 320), ("imagenet_sample/train/a.png", 256, 256)),
        *((f"bsds500/train/{i}.png", 60, 70) for i in "bcdefg"),
        *(("imagenet_sample/train/b.png", 63, 64), ("bsds500/test/0.png", 60, 60)),
        ("imagenet_sample/test/0.png", 60, 60),
    ):
        save_picture(top / name, next(seeds), *size)
    shutil.copy(top / "bsds500/train/b.png", top / "bsds500/train/c.png")
    return top


@pytest.fixture
def known(sources, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DATA", str(sources))
    return sources


@pytest.fixture(scope="module")
def mixed(sources, tmp_path_factory):
    """The folder with the mixture, and how many pairs there are said to be."""
    folder = tmp_path_factory.mktemp("mixed") / "motion-mixture"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_DATA", str(sources))
        return folder, mixture.gather(folder)


@pytest.fixture
def pairs(mixed):
    return data.open_pairs(str(mixed[0]), "train")


def stems(pairs):
    return [name.removeprefix("train/sharp/").removesuffix(".png") for name in pairs.names]


def test_the_mixture_is_one_set_of_pairs_all_to_train_on(mixed, pairs):
    tiles = [
        f"{pair}-{top:04d}-{left:04d}"
        for pair, (_, tops, lefts) in TILES.items()
        for top in tops
        for left in lefts
    ]
    assert sorted(stems(pairs)) == sorted([*tiles, *PHOTOGRAPHS])
    assert mixed[1] == len(pairs) == len(data.open_pairs(str(mixed[0])))
    assert pairs.name in KNOWN


def test_no_tile_is_larger_than_256_and_none_is_cut_where_the_image_is_smaller(pairs):
    sizes = {stem: tuple(pairs[i][1].shape[1:]) for i, stem in enumerate(stems(pairs))}
    for stem, size in sizes.items():
        source = stem[: -len("-0000-0000")]
        small = {"reds_small-000": (200, 256), "reds_small-001": (60, 50)}
        kept = PHOTOGRAPHS.get(stem, (0, 0, *small.get(source, (256, 256))))
        assert size == kept[2:]


def test_a_tile_is_the_part_of_its_training_pair_that_its_name_says(known, pairs):
    seen = 0
    for i, stem in enumerate(stems(pairs)):
        if stem in PHOTOGRAPHS:
            continue
        source, number, top, left = re.fullmatch(r"(\w+)-(\d+)-(\d+)-(\d+)", stem).groups()
        whole = data.open_pairs(source, "train")[int(number)]
        for tile, image in zip(pairs[i], whole, strict=True):
            cut = image[:, int(top) :, int(left) :][:, :256, :256]
            assert torch.equal(tile, cut)
        seen += 1
    assert seen == 15


def test_every_pixel_of_a_recorded_image_is_in_a_tile(known, pairs):
    seen = {}
    for i, stem in enumerate(stems(pairs)):
        if stem not in PHOTOGRAPHS:
            pair, top, left = stem.rsplit("-", 2)
            source, number = pair.split("-")
            shape = data.open_pairs(source, "train")[int(number)][1].shape[1:]
            height, width = pairs[i][1].shape[1:]
            mask = seen.setdefault(pair, torch.zeros(shape))
            mask[int(top) : int(top) + height, int(left) : int(left) + width] = 1
    assert set(seen) == set(TILES)
    assert all(mask.all() for mask in seen.values())


def test_a_photograph_is_the_middle_of_one_to_train_on_shaken(known, pairs):
    numbers = {stem: i for i, stem in enumerate(stems(pairs))}
    for stem, (top, left, height, width) in PHOTOGRAPHS.items():
        source, number = stem.split("-")
        whole = data.open_images(source, "train")[int(number)]
        y, x = pairs[numbers[stem]]
        assert torch.equal(x, whole[:, top : top + height, left : left + width])
        # noise of these pictures hardly outlives a blur; their mean does
        assert 0.001 < y.var().item() < 0.7 * x.var().item()
        assert y.mean().item() == pytest.approx(x.mean().item(), abs=0.02)


def test_photographs_are_shaken_each_in_its_own_way_even_two_that_are_the_same(pairs):
    numbers = {stem: i for i, stem in enumerate(stems(pairs))}
    (y, x), (other_y, other_x) = (pairs[numbers[f"bsds500-00{i}"]] for i in (1, 2))
    assert torch.equal(x, other_x)
    assert (y - other_y).abs().max() > 0.05


def test_scenes_are_those_of_the_sources_and_photographs_are_shared_out(pairs):
    expected = {
        **{pair: scene for pair, (scene, *_) in TILES.items()},
        **{stem: f"photographs-{int(stem[-3:]) % 5}" for stem in PHOTOGRAPHS},
    }
    for stem, scene in zip(stems(pairs), pairs.scenes, strict=True):
        whole = stem if stem in PHOTOGRAPHS else stem[: -len("-0000-0000")]
        assert scene == expected[whole]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_validated_on_shows_no_scene_that_is_trained_on(pairs, seed):
    share = by_slug("report", "motion-mixture")["shipped"].holdout
    parts = data.hold_out(pairs, share, seed)
    trained, held = ({*part.scenes} for part in parts)
    assert held
    assert not trained & held
    patches = [any(stem.startswith("gopro_patches") for stem in stems(part)) for part in parts]
    with_pair_27 = ["gopro_scenes-002-0000-0000" in stems(part) for part in parts]
    assert patches == with_pair_27


def test_gathered_twice_it_is_the_same_to_the_byte(known, mixed, tmp_path):
    assert mixture.gather(tmp_path) == mixed[1]
    for one in sorted(p for p in mixed[0].rglob("*") if p.is_file()):
        other = tmp_path / one.relative_to(mixed[0])
        assert one.read_bytes() == other.read_bytes(), one.name
    again = data.open_pairs(f"motion-mixture={tmp_path}", "train")
    assert again.fingerprint == data.open_pairs(str(mixed[0]), "train").fingerprint


def test_of_many_photographs_no_more_are_taken_than_wanted(known, monkeypatch, tmp_path):
    monkeypatch.setattr(mixture, "PAIRS", {})
    monkeypatch.setattr(mixture, "PHOTOGRAPHS", {"bsds500": 3, "imagenet_sample": 1})
    assert mixture.gather(tmp_path / "few") == 4
    found = stems(data.open_pairs(str(tmp_path / "few")))
    assert found == ["bsds500-000", "bsds500-001", "bsds500-002", "imagenet_sample-000"]


def test_the_recipes_of_every_profile_open_the_mixture(known, mixed, pairs, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_DATA", str(mixed[0].parent))
    for profile in PROFILES:
        for recipe in by_slug(profile, "motion-mixture").values():
            opened = inputs.open_training_images(recipe)
            assert opened.fingerprint == pairs.fingerprint


def test_a_camera_goes_3_to_20_pixels_rolls_half_a_degree_and_stays_in_its_margin():
    drawn = [mixture.camera(degrade.generator(0, n)) for n in range(300)]
    for key, low, high in (("length", 3, 20), ("roll", 0, 0.5)):
        values = torch.tensor([d.parameters[key] for d in drawn])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    noise = torch.tensor([d.noise for d in drawn])
    assert 0 <= noise.min() < 0.001
    assert 0.009 < noise.max() <= 0.01
    side = mixture.TILE + 32
    needed = [degrade.max_displacement(d.blur, side, side) for d in drawn]
    assert max(needed) <= 16 == drawn[0].margins[0]
    for d in drawn[:50]:
        centre = d.blur[:, :2, 2]
        way = (centre[1:] - centre[:-1]).norm(dim=1).sum().item()
        assert way <= d.parameters["length"] * 1.01
        turn = torch.atan2(d.blur[:, 1, 0], d.blur[:, 0, 0]).abs().max().item()
        assert math.degrees(turn) == pytest.approx(d.parameters["roll"], abs=0.02)


def test_a_folder_that_holds_another_mixture_is_refused(known, tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="train: exists already; remove it"):
        mixture.gather(tmp_path)
    assert list((tmp_path / "train").iterdir()) == []
