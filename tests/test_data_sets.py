"""Sets of images: what they hold, their splits, names and parts; and the real sets, where here."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sets import write_pairs

from deblurlib import data, places
from deblurlib.data import contents, sources
from deblurlib.errors import InputError
from deblurlib.images import reduce, to_tensor

SHARED = Path(__file__).parents[2] / "shared" / "data"


def test_sample_is_four_images_to_train_on_and_three_to_test_on():
    train, test = (data.open_images("sample", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 3)
    assert data.open_images("sample").names == test.names + train.names
    for x in (*train, *test):
        assert x.dtype == torch.float32
        assert x.shape[0] == 3
        assert min(x.shape[1:]) >= 300
        assert 0 <= x.min() < 0.1 < 0.9 < x.max() <= 1


def test_a_wrong_checksum_or_a_missing_package_of_the_sample_names_the_file(monkeypatch):
    path, _ = sources.SAMPLE["test/chelsea.png"]
    for given, message in (
        ((path, "0" * 64), r"test/chelsea\.png: its checksum is wrong"),
        (("no_such_package/x.png", ""), r"test/chelsea\.png\) needs the package no_such_package"),
    ):
        monkeypatch.setitem(sources.SAMPLE, "test/chelsea.png", given)
        with pytest.raises(InputError, match=message):
            data.open_images("sample", "test")[0]


def test_keys_and_scenes_belong_to_the_image_not_to_its_place(tmp_path, save_picture):
    for name in ("test/b.png", "train/b.png", "train/c.png"):
        save_picture(tmp_path / name)
    before = data.open_images(str(tmp_path))
    save_picture(tmp_path / "test/a.png")
    after = data.open_images(str(tmp_path))
    for kind in ("keys", "scenes"):
        one, other = getattr(before, kind), getattr(after, kind)
        assert len({*other}) == 4
        assert other[1:] == one
        assert getattr(data.open_images(str(tmp_path), "train"), kind) == one[1:]


def test_a_set_without_the_split_asked_for_or_with_a_disguised_image_says_so(
    tmp_path, save_picture
):
    save_picture(tmp_path / "training" / "a.png")
    (tmp_path / "training" / "b.png").write_text("no image")
    opened = data.open_images(str(tmp_path))
    assert opened[0].shape == (3, 5, 7)
    with pytest.raises(InputError, match=r"b\.png: not an image"):  # when it is read
        opened[1]
    with pytest.raises(InputError, match="no train/ folder with images"):
        data.open_images(str(tmp_path), "train")


# ---------------------------------------------------------------- sets that images are drawn from

FLAT = [f"{number}.png" for number in range(30)]


def flat(folder, save_picture, order=1):
    """Thirty images without train/ and test/, written in some order; its source."""
    for name in FLAT[::order]:
        save_picture(folder / name, FLAT.index(name))
    return f"anime-faces={folder}"


def test_anime_faces_in_one_folder_are_drawn_for_training_and_testing(
    tmp_path, save_picture, monkeypatch
):
    source = flat(tmp_path / "a", save_picture)
    assert data.splits(source) == {"train", "test"}
    train, test = (data.open_images(source, split) for split in ("train", "test"))
    assert (train.name, train.split, test.split) == ("anime-faces", "train", "test")
    assert (len(train), len(test), len(data.open_images(source))) == (25, 5, 30)
    assert {*train.names} | {*test.names} == {*FLAT}
    assert train.names == sorted(train.names)
    assert test.names not in (sorted(FLAT)[:5], sorted(FLAT)[-5:])
    other = flat(tmp_path / "b", save_picture, -1)
    for one in (train, test):
        assert data.open_images(other, one.split).fingerprint == one.fingerprint
    assert data.DRAWN == {"anime-faces": {"train": 1000, "test": 200}}
    monkeypatch.setitem(data.DRAWN, "anime-faces", {"train": 10, "test": 4})
    train, test = (data.open_images(source, split) for split in ("train", "test"))
    assert (len(train), len(test), len({*train.names, *test.names})) == (10, 4, 14)


@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
def test_anime_faces_that_are_split_are_left_as_they_are(tmp_path, save_picture, split, other):
    source = flat(tmp_path / split, save_picture).removesuffix(f"/{split}")
    with pytest.raises(InputError, match=f"no {other}/ folder with images"):
        data.open_images(source, other)
    save_picture(tmp_path / other / "0.png")
    assert len(data.open_images(source, split)) == 30
    assert data.open_images(source, other).names == [f"{other}/0.png"]


def test_no_other_set_is_drawn_from_and_none_of_five_images(tmp_path, save_picture):
    flat(tmp_path / "anime", save_picture)
    for number in range(5):
        save_picture(tmp_path / "five" / f"{number}.png")
    for source in (f"faces={tmp_path / 'anime'}", f"anime-faces={tmp_path / 'five'}"):
        with pytest.raises(InputError, match="no train/ folder with images"):
            data.open_images(source, "train")


# ---------------------------------------------------------------- sets that are registered


@pytest.fixture
def known(tmp_path, save_picture, monkeypatch):
    """A folder known as ``old``; two more, ``photos`` and ``sample``, are not known yet."""
    for name in ("old", "photos", "sample"):
        save_picture(tmp_path / name / f"{name}.png")
    monkeypatch.setenv("DEBLURLIB_DATA", f"old={tmp_path / 'old'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_set_that_is_registered_is_known_by_its_name_and_what_was_stays_known(known, monkeypatch):
    for given, name in ((f"mine={known / 'photos'}", "mine"), ("near=photos", "near")):
        with pytest.raises(InputError, match="is no data set"):
            data.open_images(name)
        assert data.register(given) == name
    monkeypatch.chdir(known.parent)
    for name, image in (("mine", "photos"), ("near", "photos"), ("old", "old")):
        assert data.open_images(name).names == [f"{image}.png"]
    assert data.register("old") == "old"
    assert data.register(str(known / "photos")) == "photos"
    data.register(f"old={known / 'photos'}")  # the last one has the name
    for name in ("photos", "mine", "old"):
        assert data.open_images(name).names == ["photos.png"]
    monkeypatch.delenv("DEBLURLIB_DATA")
    data.register(f"mine={known / 'old'}")
    assert data.open_images("mine").names == ["old.png"]


def test_sample_needs_no_registering_and_no_other_set_has_its_name(known):
    assert data.register("sample") == "sample"
    for given in (str(known / "sample"), "sample=photos"):
        with pytest.raises(InputError, match="called sample"):
            data.register(given)
    for given in ("mine=nowhere", "nowhere", "My Set=."):
        with pytest.raises(InputError):
            data.register(given)
    assert os.environ["DEBLURLIB_DATA"] == f"old={known / 'old'}"


# ---------------------------------------------------------------- pairs or images, split or not


@pytest.mark.parametrize(
    ("name", "items", "answer"),
    [
        ("mine", ["test/a/blur/1.png", "test/a/sharp/1.jpg"], True),
        ("mine", ["Blur/1.png", "SHARP/1.png", "a.png"], True),
        ("mine", ["blur/1.png", "sharp/2.png"], True),  # to be told that a partner is missing
        ("gopro-gamma", ["a/blur_gamma/1.png", "a/sharp/1.png"], True),
        ("mine", ["a/blur_gamma/1.png", "a/sharp/1.png"], False),
        ("gopro-gamma", ["a/blur/1.png", "a/sharp/1.png"], False),
        ("mine", ["a/blur/1.png", "b/sharp/1.png"], False),
        ("mine", ["blur/notes.txt", "sharp/1.png"], False),
        ("mine", ["sharp/1.png"], False),
    ],
)
def test_a_set_says_whether_it_holds_pairs(tmp_path, name, items, answer):
    for item in items:
        (tmp_path / item).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / item).touch()
    source = f"{name}={tmp_path}"
    assert data.holds_pairs(source) is answer
    if answer:
        with pytest.raises(InputError, match=f"{name}=.*: holds pairs, .*open_pairs"):
            data.open_images(source)
    else:
        assert len(data.open_images(source)) == len([i for i in items if i.endswith("g")])


def test_a_set_that_is_not_here_holds_what_it_is_known_to_hold(monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    known = {name for name in (*places.KNOWN, "sample", "nowhere") if data.holds_pairs(name)}
    recorded = {"gopro_scenes", "gopro_pairs", "reds_small"}
    assert known == {"gopro", "gopro-gamma", "levin09"} | recorded
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cut\.zip: damaged"):
        data.holds_pairs(f"gopro={tmp_path / 'cut.zip'}")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train/a.png", "Test/a.png", "val/a.png"], {"train", "test"}),
        (["train/a.png", "more/a.png"], {"train"}),
        (["a.png", "train.png", "x/trains/a.png"], set()),
        (["a/train/1.png", "a/test/2.png", "b/train/1.png"], None),
        (["a/Train/1.png", "b.png"], None),
    ],
)
def test_a_set_says_what_it_is_split_into_if_not_deeper(tmp_path, save_picture, names, found):
    for name in names:
        save_picture(tmp_path / name)
    if found is None:
        with pytest.raises(InputError, match=r"(Train|train|test)/ lies in a/: name"):
            data.splits(str(tmp_path))
    else:
        assert data.splits(str(tmp_path)) == found


# ---------------------------------------------------------------- parts of a set


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, save_picture):
    """Ten scenes of one to three pairs each; a kernel for every pair whose stem is 0."""
    root = tmp_path_factory.mktemp("pairs")
    for scene in range(10):
        folder = root / "train" / f"scene{scene}"
        for stem in range(1 + scene % 3):
            for side, seed in (("blur", 0), ("sharp", 100)):
                save_picture(folder / side / f"{stem}.png", seed + 3 * scene + stem)
        (folder / "kernel").mkdir()
        np.save(folder / "kernel" / "0.npy", np.full((3, 3), 1 / 9))
    return data.open_pairs(f"tree={root}", "train")


@pytest.fixture(scope="module")
def images(tmp_path_factory, save_picture):
    """Twenty images, each its own scene."""
    root = tmp_path_factory.mktemp("images")
    for i in range(20):
        save_picture(root / "train" / f"{i:02}.png", i)
    return data.open_images(f"twenty={root}", "train")


@pytest.fixture(params=["images", "pairs"])
def some(request):
    return request.getfixturevalue(request.param)


def test_what_is_set_aside_are_whole_scenes_and_the_rest_is_all_else_in_order(some):
    for seed in range(5):
        rest, held = parts = data.hold_out(some, 0.3, seed)
        assert not {*rest.scenes} & {*held.scenes}
        assert {*rest.names} | {*held.names} == {*some.names}
        for part in parts:
            assert type(part) is type(some)
            assert len(part) > 0
            assert part.names == [name for name in some.names if name in part.names]
            assert (part.name, part.split) == (some.name, some.split)


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.14, 1), (0.16, 2), (0.5, 5), (0.9, 9)])
def test_the_share_is_of_the_scenes_rounded_and_at_least_one(pairs, share, count):
    rest, held = data.hold_out(pairs, share, 3)
    assert (len({*rest.scenes}), len({*held.scenes})) == (10 - count, count)


def test_the_seed_decides_and_by_default_it_is_0(some):
    held = [data.hold_out(some, 0.3, seed)[1].names for seed in (0, 0, 1, 2, 3)]
    assert held[0] == held[1] == data.hold_out(some, 0.3)[1].names
    assert len({tuple(names) for names in held[1:]}) == 4


def test_what_is_set_aside_depends_on_the_scenes_not_on_their_order(images):
    backwards = images.take(range(len(images))[::-1])
    _, held = data.hold_out(images, 0.3, 4)
    assert data.hold_out(backwards, 0.3, 4)[1].names == held.names[::-1]


@pytest.mark.parametrize("share", [0, -0.1, 1, 0.96, float("nan")])
def test_a_share_that_leaves_nothing_of_either_part_is_named(pairs, share):
    with pytest.raises(InputError, match=f"tree: a share of {share:g} of 10 scenes"):
        data.hold_out(pairs, share)


def test_of_one_scene_nothing_can_be_set_aside(pairs):
    one = pairs.take([i for i, scene in enumerate(pairs.scenes) if scene.endswith("scene2")])
    assert len(one) == 3
    with pytest.raises(InputError, match="of 1 scenes"):
        data.hold_out(one, 0.1)


def test_the_first_few_are_a_set_of_their_own(some):
    few = some.first(4)
    assert few == some.take(range(4))
    assert (few.name, few.split) == (some.name, some.split)
    assert few.fingerprint != some.fingerprint
    for n in (None, len(some), 1000):
        assert some.first(n) == some
    assert len(some.first(0)) == 0


@pytest.mark.parametrize("places", [[3, 0, 5], [], [1, 1]])
def test_some_are_taken_by_their_places_in_that_order(some, places):
    taken = some.take(places)
    for kind in ("names", "scenes", "keys"):
        assert [*getattr(taken, kind)] == [getattr(some, kind)[i] for i in places]
    for image, i in zip(taken, places, strict=True):
        for one, other in zip(image, some[i], strict=True):
            assert torch.equal(one, other)
    if len({*places}) > 1:
        assert some.take(places).fingerprint == taken.fingerprint
        assert some.take(places[::-1]).fingerprint != taken.fingerprint
    with pytest.raises(IndexError):
        some.take([*places, len(some)])


def test_reduced_images_keep_their_names_and_draws_and_are_means_of_pixels(tmp_path, save_picture):
    arrays = [save_picture(tmp_path / f"train/{i}.png", i, 8, 12) for i in range(3)]
    whole = data.open_images(str(tmp_path), "train")
    small = whole.reduced(4)
    assert small.name == f"{whole.name}-4"
    for kind in ("names", "keys", "scenes", "fingerprint", "split"):
        assert getattr(small, kind) == getattr(whole, kind)
    for image, array in zip(small, arrays, strict=True):
        means = array.reshape(4, 2, 6, 2, 3).mean((1, 3))
        assert np.array_equal((255 * image).round().permute(1, 2, 0), np.floor(means + 0.5))
    assert small.take([2, 0]).first(1)[0].shape == (3, 4, 6)
    rest, held = data.hold_out(small, 0.3)
    assert {rest.side, held.side} == {4}
    assert whole.reduced(None) == whole
    assert torch.equal(whole.reduced(8)[1], whole[1])
    assert whole.reduced(5)[0].shape == (3, 5, 8)  # 7.5 columns, rounded
    save_picture(tmp_path / "train/9.png", 9, 3, 12)
    with pytest.raises(InputError, match=r"9\.png: an image of 3 x 12 pixels .* reduced to 4"):
        data.open_images(str(tmp_path), "train").reduced(4)[3]


def test_both_images_of_a_pair_are_reduced_and_of_reduced_ones_no_kernel_is_known(
    tmp_path, save_picture
):
    whole = data.open_pairs(write_pairs(tmp_path / "clips", size=(12, 18)))
    small = whole.reduced(6)
    assert small.name == f"{whole.name}-6"
    for kind in ("names", "keys", "scenes", "fingerprint", "split"):
        assert getattr(small, kind) == getattr(whole, kind)
    for pair, at_first in zip(small, whole, strict=True):
        for image, before in zip(pair, at_first, strict=True):
            means = (255 * before).round().double().reshape(3, 6, 2, 9, 2).mean((2, 4))
            assert torch.equal((255 * image).round(), (means + 0.5).floor().float())
            assert torch.equal(image, (255 * image).round() / 255)
    assert whole.kernel(0) is not None
    assert small.kernel(0) is None
    assert small.take([2, 0]).first(1)[0][1].shape == (3, 6, 9)
    assert {part.side for part in data.hold_out(small, 0.5)} == {6}
    assert whole.reduced(None) == whole
    for side in ("blur", "sharp"):
        save_picture(tmp_path / "clips/test/a" / side / "9.png", 9, 5, 12)
    few = data.open_pairs(str(tmp_path / "clips")).reduced(6)
    with pytest.raises(InputError, match=r"^test/a/sharp/9\.png: an image of 5 x 12 .* to 6$"):
        few[few.names.index("test/a/sharp/9.png")]


def test_the_middle_square_of_an_image_is_reduced(tmp_path, save_picture):
    array = save_picture(tmp_path / "train/wide.png", 0, 20, 30)
    tall = save_picture(tmp_path / "train/tall.png", 1, 21, 16)
    whole = data.open_images(str(tmp_path), "train")
    square = whole.reduced(8, square=True)
    assert square.name == f"{whole.name}-8x8" == data.reduced_name(whole.name, 8, square=True)
    for kind in ("names", "keys", "scenes", "fingerprint"):
        assert getattr(square, kind) == getattr(whole, kind)
    middles = {"train/wide.png": array[:, 5:25], "train/tall.png": tall[2:18]}
    for name, image in zip(square.names, square.take([0, 1]), strict=True):
        expected = reduce(to_tensor(middles[name])[None], 8)[0]
        assert torch.equal(image, expected)
        assert image.shape == (3, 8, 8)
    assert whole.reduced(None, square=True) == whole
    assert data.reduced_name("own", None, square=True) == "own"


def test_taking_keeps_kernels_with_their_pairs(pairs):
    taken = pairs.take([4, 3, 9])
    known = [name.endswith("/0.png") for name in taken.names]
    assert [taken.kernel(place) is not None for place in range(3)] == known
    assert {*known} == {False, True}


# ---------------------------------------------------------------- the real sets


def real(folder):
    if not (SHARED / folder).exists():
        pytest.skip(f"no {SHARED / folder}")
    return str(SHARED / folder)


@pytest.mark.parametrize(
    ("folder", "split", "pairs", "scenes"),
    [("gopro_scenes", "test", 9, 2), ("reds_small", "train", 30, 3)],
)
def test_real_pairs(folder, split, pairs, scenes):
    opened = data.open_pairs(real(folder), split)
    assert len(opened) == pairs
    assert len(set(opened.scenes)) == scenes
    y, x = opened[0]
    difference = (y - x).square().mean().sqrt()
    assert 0.01 < difference < 0.3  # partners: not equal, and not unrelated
    assert opened.kernel(0) is None


@pytest.mark.parametrize("folder", ["gopro_scenes", "reds_small", "bsds500"])
def test_real_sets_are_undamaged(folder):
    items = sources.open_source(real(folder))[1]
    assert contents.verify(items) >= sum(item.is_image for item in items)
