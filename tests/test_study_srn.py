"""Chapter 05's recipes: the paper's, and the one that ships; and the pairs that it learns from."""

import math
import shutil
from dataclasses import asdict

import pytest
import torch

from deblurlib import data, degrade
from deblurlib.errors import InputError
from deblurlib.places import KNOWN
from deblurlib.runs import inputs
from deblurlib.studies import PROFILES, recipes
from deblurlib.studies.srn import mixture


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


def test_the_shipped_network_is_half_as_wide_and_learns_the_difference():
    srn, shipped = by_slug("full").values()
    assert shipped.model_args == {"width": 16, "residual": True}
    assert (shipped.model, shipped.loss, shipped.clip) == (srn.model, srn.loss, srn.clip)
    assert (shipped.ema, shipped.precision, shipped.holdout) == (0.999, "bf16", 0.15)


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

    for source in ("sample", "bsds500", "nowhere", str(tmp_path / "photos")):
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


def by_stem(pairs):
    """Of each pair: blurred image, sharp image, scene."""
    found = zip(stems(pairs), pairs, pairs.scenes, strict=True)
    return {stem: (*pair, scene) for stem, pair, scene in found}


def test_tiles_are_the_parts_of_their_training_pairs_and_leave_out_no_pixel(known, mixed, pairs):
    found = by_stem(pairs)
    assert mixed[1] == len(found) == len(data.open_pairs(str(mixed[0])))
    assert pairs.name in KNOWN
    for name, (scene, tops, lefts) in TILES.items():
        source, number = name.split("-")
        whole = data.open_pairs(source, "train")[int(number)]
        covered = torch.zeros(whole[1].shape)
        for top, left in ((top, left) for top in tops for left in lefts):
            *tile, own = found.pop(f"{name}-{top:04d}-{left:04d}")
            part = (slice(None), slice(top, top + 256), slice(left, left + 256))
            assert torch.equal(torch.stack(tile), torch.stack(whole)[:, *part])
            assert own == scene
            covered[part] = 1
        assert covered.all()
    assert found.keys() == PHOTOGRAPHS.keys()


def test_a_photograph_is_the_middle_of_one_to_train_on_shaken_in_its_own_way(known, pairs):
    found = by_stem(pairs)
    for stem, (top, left, height, width) in PHOTOGRAPHS.items():
        source, number = stem.split("-")
        whole = data.open_images(source, "train")[int(number)]
        y, x, scene = found[stem]
        assert torch.equal(x, whole[:, top : top + height, left : left + width])
        # noise of these pictures hardly outlives a blur; their mean does
        assert 0.001 < y.var().item() < 0.7 * x.var().item()
        assert y.mean().item() == pytest.approx(x.mean().item(), abs=0.02)
        assert scene == f"photographs-{int(number) % 5}"
    (y, x, _), (other_y, other_x, _) = found["bsds500-001"], found["bsds500-002"]
    assert torch.equal(x, other_x)  # two that are the same
    assert (y - other_y).abs().max() > 0.05


@pytest.mark.parametrize("seed", range(3))
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


def test_of_many_photographs_no_more_are_taken_than_wanted(known, monkeypatch, tmp_path):
    monkeypatch.setattr(mixture, "PAIRS", {})
    monkeypatch.setattr(mixture, "PHOTOGRAPHS", {"bsds500": 3, "imagenet_sample": 1})
    assert mixture.gather(tmp_path / "few") == 4
    found = stems(data.open_pairs(str(tmp_path / "few")))
    assert found == ["bsds500-000", "bsds500-001", "bsds500-002", "imagenet_sample-000"]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_recipes_open_the_mixture(mixed, pairs, monkeypatch, profile):
    monkeypatch.setenv("DEBLURLIB_DATA", str(mixed[0].parent))
    for recipe in by_slug(profile, "motion-mixture").values():
        assert inputs.open_training_images(recipe).fingerprint == pairs.fingerprint


def test_a_camera_goes_3_to_20_pixels_rolls_half_a_degree_and_stays_in_its_margin():
    drawn = [mixture.camera(degrade.generator(0, n)) for n in range(100)]
    lengths, rolls = ([d.parameters[key] for d in drawn] for key in ("length", "roll"))
    for values, low, high in (
        (lengths, 3, 20),
        (rolls, 0, 0.5),
        ([d.noise for d in drawn], 0, 0.01),
    ):
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    side = mixture.TILE + 32
    needed = [degrade.max_displacement(d.blur, side, side) for d in drawn]
    assert max(needed) <= 16 == drawn[0].margins[0]
    for d in drawn[:20]:
        centre = d.blur[:, :2, 2]
        way = (centre[1:] - centre[:-1]).norm(dim=1).sum().item()
        assert way <= d.parameters["length"] * 1.01
        turn = torch.atan2(d.blur[:, 1, 0], d.blur[:, 0, 0]).abs().max().item()
        assert math.degrees(turn) == pytest.approx(d.parameters["roll"], abs=0.02)


def test_a_folder_that_holds_another_mixture_is_refused(known, tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="exists already"):
        mixture.gather(tmp_path)
    assert list((tmp_path / "train").iterdir()) == []
