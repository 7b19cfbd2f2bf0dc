"""Sets of images and of pairs: splits, names, what they hold; and the real sets where they are."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from deblurlib import data, degrade
from deblurlib.data import contents, sources
from deblurlib.errors import InputError

SHARED = Path(__file__).parents[2] / "shared" / "data"


def test_sample_is_four_images_to_train_on_and_three_to_test_on():
    train, test = (data.open_images("sample", split) for split in ("train", "test"))
    assert [Path(name).stem for name in train.names] == [
        "astronaut",
        "china",
        "coffee",
        "motorcycle_left",
    ]
    assert [Path(name).stem for name in test.names] == ["chelsea", "flower", "rocket"]
    assert data.open_images("sample").names == test.names + train.names
    for x in (*train, *test):
        assert x.dtype == torch.float32
        assert x.shape[0] == 3
        assert min(x.shape[1:]) >= 300
        assert 0 <= x.min() < 0.1 < 0.9 < x.max() <= 1


def test_a_wrong_checksum_in_the_sample_names_the_file(monkeypatch):
    path, _ = sources.SAMPLE["test/chelsea.png"]
    monkeypatch.setitem(sources.SAMPLE, "test/chelsea.png", (path, "0" * 64))
    sample = data.open_images("sample", "test")
    assert sample[1].shape[0] == 3
    with pytest.raises(InputError, match=r"test/chelsea\.png: its checksum is wrong"):
        sample[0]


def test_a_missing_package_of_the_sample_is_named(monkeypatch):
    monkeypatch.setitem(sources.SAMPLE, "test/chelsea.png", ("no_such_package/x.png", ""))
    with pytest.raises(InputError, match=r"test/chelsea\.png: the package no_such_package"):
        data.open_images("sample", "test")[0]


def test_each_image_is_its_own_scene():
    sample = data.open_images("sample")
    assert len(set(sample.scenes)) == len(sample) == 7


def test_keys_belong_to_the_image_not_to_its_place(tmp_path, save_picture):
    for name in ("test/b.png", "train/b.png", "train/c.png"):
        save_picture(tmp_path / name)
    before = data.open_images(str(tmp_path))
    save_picture(tmp_path / "test/a.png")
    after = data.open_images(str(tmp_path))
    assert len({*after.keys}) == 4
    assert after.keys[1:] == before.keys
    assert data.open_images(str(tmp_path), "train").keys == before.keys[1:]


def test_keys_seed_degradations():
    sample = data.open_images("sample")
    noise = degrade.add_noise(torch.zeros(7, 1, 8, 8), 1.0, 0, sample.keys)
    assert len({image.sum().item() for image in noise}) == 7


def test_a_set_without_the_split_asked_for_says_so(tmp_path, save_picture):
    save_picture(tmp_path / "training" / "a.png")
    assert len(data.open_images(str(tmp_path))) == 1
    with pytest.raises(InputError, match="no train/ folder with images"):
        data.open_images(str(tmp_path), "train")


FLAT = [f"{number}.png" for number in range(30)]


def flat(folder, save_picture, order=1, form="folder"):
    """Thirty images without train/ and test/, written in some order; its source."""
    for name in FLAT[::order]:
        save_picture(folder / name, FLAT.index(name))
    if form == "zip":
        with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
            for name in FLAT[::order]:
                archive.write(folder / name, name)
        return f"anime-faces={folder.with_suffix('.zip')}"
    return f"anime-faces={folder}"


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_anime_faces_in_one_folder_are_drawn_for_training_and_testing(tmp_path, save_picture, form):
    source = flat(tmp_path / "a", save_picture, 1, form)
    train, test = (data.open_images(source, split) for split in ("train", "test"))
    assert (train.name, train.split, test.split) == ("anime-faces", "train", "test")
    assert (len(train), len(test)) == (25, 5)
    assert {*train.names} | {*test.names} == {*FLAT}
    assert train.names == sorted(train.names)
    assert test.names not in (sorted(FLAT)[:5], sorted(FLAT)[-5:])
    assert len(data.open_images(source)) == 30
    for other in (source, flat(tmp_path / "b", save_picture, -1, form)):
        for one in (train, test):
            assert data.open_images(other, one.split).fingerprint == one.fingerprint


def test_of_many_anime_faces_no_more_are_drawn_than_wanted(tmp_path, save_picture, monkeypatch):
    assert data.DRAWN == {"anime-faces": {"train": 1000, "test": 200}}
    source = flat(tmp_path, save_picture)
    monkeypatch.setitem(data.DRAWN, "anime-faces", {"train": 10, "test": 4})
    train, test = (data.open_images(source, split) for split in ("train", "test"))
    assert (len(train), len(test), len({*train.names, *test.names})) == (10, 4, 14)


@pytest.mark.parametrize("split", ["train", "test"])
def test_anime_faces_that_are_split_are_left_as_they_are(tmp_path, save_picture, split):
    other = {"train": "test", "test": "train"}[split]
    for name in FLAT:
        save_picture(tmp_path / split / name)
    with pytest.raises(InputError, match=f"no {other}/ folder with images"):
        data.open_images(f"anime-faces={tmp_path}", other)
    save_picture(tmp_path / other / "0.png")
    assert len(data.open_images(f"anime-faces={tmp_path}", split)) == 30
    assert data.open_images(f"anime-faces={tmp_path}", other).names == [f"{other}/0.png"]


def test_no_other_set_is_drawn_from_and_none_of_five_images(tmp_path, save_picture):
    flat(tmp_path / "anime", save_picture)
    for number in range(5):
        save_picture(tmp_path / "five" / f"{number}.png")
    for source in (f"faces={tmp_path / 'anime'}", f"anime-faces={tmp_path / 'five'}"):
        with pytest.raises(InputError, match="no train/ folder with images"):
            data.open_images(source, "train")


@pytest.fixture
def known(tmp_path, save_picture, monkeypatch):
    """A folder known as ``old``; two more, ``photos`` and ``sample``, are not known yet."""
    for name in ("old", "photos", "sample"):
        save_picture(tmp_path / name / f"{name}.png")
    monkeypatch.setenv("DEBLURLIB_DATA", f"old={tmp_path / 'old'}")
    return tmp_path


def test_a_set_that_is_registered_is_known_by_its_name(known, monkeypatch):
    photos = known / "photos"
    for given, name in (
        (f"mine={photos}", "mine"),
        (f"{photos}", "photos"),
        ("near=photos", "near"),
    ):
        monkeypatch.chdir(known.parent)
        with pytest.raises(InputError, match="is no data set"):
            data.open_images(name)
        monkeypatch.chdir(known)
        assert data.register(given) == name
        monkeypatch.chdir(known.parent)
        assert data.open_images(name).names == ["photos.png"]


def test_what_was_known_before_stays_known(known, monkeypatch):
    monkeypatch.chdir(known.parent)
    data.register(f"mine={known / 'photos'}")
    assert data.register("old") == "old"
    for name in ("mine", "old"):
        assert len(data.open_images(name)) == 1


def test_what_is_registered_last_has_the_name(known):
    data.register(f"old={known / 'photos'}")
    assert data.open_images("old").names == ["photos.png"]


def test_a_set_can_be_registered_where_none_is_known(known, monkeypatch):
    monkeypatch.delenv("DEBLURLIB_DATA")
    data.register(f"mine={known / 'photos'}")
    assert data.open_images("mine").names == ["photos.png"]


def test_sample_needs_no_registering_and_no_other_set_has_its_name(known):
    before = os.environ["DEBLURLIB_DATA"]
    assert data.register("sample") == "sample"
    for given in (str(known / "sample"), f"sample={known / 'photos'}"):
        with pytest.raises(InputError, match="only the bundled photographs are called sample"):
            data.register(given)
    assert os.environ["DEBLURLIB_DATA"] == before


@pytest.mark.parametrize("given", ["mine=nowhere", "nowhere", "My Set=."])
def test_what_is_not_there_is_not_registered(known, given):
    with pytest.raises(InputError):
        data.register(given)
    assert os.environ["DEBLURLIB_DATA"] == f"old={known / 'old'}"


def test_a_disguised_image_is_named_when_it_is_read(tmp_path, save_picture):
    save_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    opened = data.open_images(str(tmp_path))
    assert opened[0].shape == (3, 5, 7)
    with pytest.raises(InputError, match=r"b\.png: not an image"):
        opened[1]


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
def test_a_set_says_whether_it_holds_pairs(tmp_path, save_picture, name, items, answer):
    for item in items:
        save_picture(tmp_path / "set" / item) if item.endswith("g") else None
        (tmp_path / "set" / item).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / item).touch()
    source = f"{name}={tmp_path / 'set'}"
    assert data.holds_pairs(source) is answer
    if answer:
        with pytest.raises(InputError, match=f"{name}=.*: holds pairs, .*open_pairs .or --pairs"):
            data.open_images(source)
    else:
        assert len(data.open_images(source)) == len([i for i in items if i.endswith("g")])


def test_a_set_that_is_not_here_holds_what_it_is_known_to_hold(monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    known = {name for name in (*sources.KNOWN, "sample", "nowhere") if data.holds_pairs(name)}
    assert known == {"gopro", "gopro-gamma", "levin09", "motion-mixture"}
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cut\.zip: damaged"):
        data.holds_pairs(f"gopro={tmp_path / 'cut.zip'}")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train/a.png", "Test/a.png", "val/a.png"], {"train", "test"}),
        (["train/a.png", "more/a.png"], {"train"}),
        (["a.png", "train.png", "x/trains/a.png"], set()),
    ],
)
def test_a_set_says_what_it_is_split_into(tmp_path, save_picture, names, found):
    for name in names:
        save_picture(tmp_path / name)
    assert data.splits(str(tmp_path)) == found


def test_anime_faces_are_split_although_they_lie_in_one_folder(tmp_path, save_picture):
    assert data.splits(flat(tmp_path, save_picture)) == {"train", "test"}


@pytest.mark.parametrize(
    "names",
    [
        ["a/train/1.png", "a/test/2.png", "b/train/1.png"],
        ["a/Train/1.png", "b/train/1.png"],
        ["a/train/1.png", "b.png"],
    ],
)
def test_what_is_split_deeper_is_not_taken_for_a_set_that_is_not_split(
    tmp_path, save_picture, names
):
    for name in names:
        save_picture(tmp_path / name)
    with pytest.raises(InputError, match=r"(Train|train|test)/ lies in a/: name"):
        data.splits(str(tmp_path))


@pytest.mark.parametrize(
    ("folder", "split", "pairs", "scenes"),
    [
        ("gopro_scenes", "test", 9, 2),
        ("gopro_scenes", "train", 14, 5),
        ("reds_small", "train", 30, 3),
        ("reds_small", "test", 10, 1),
    ],
)
def test_real_pairs(folder, split, pairs, scenes):
    opened = data.open_pairs(real(folder), split)
    assert len(opened) == pairs
    assert len(set(opened.scenes)) == scenes
    y, x = opened[0]
    difference = (y - x).square().mean().sqrt()
    assert 0.01 < difference < 0.3  # partners: not equal, and not unrelated
    assert opened.kernel(0) is None


def test_real_images():
    opened = data.open_images(real("bsds500"), "test")
    assert len(opened) == 50
    assert sorted(opened[0].shape) == [3, 321, 481]


@pytest.mark.parametrize("folder", ["gopro_scenes", "reds_small", "bsds500"])
def test_real_sets_are_undamaged(folder):
    items = sources.open_source(real(folder))[1]
    assert contents.verify(items) >= sum(item.is_image for item in items)


def real(folder):
    if not (SHARED / folder).exists():
        pytest.skip(f"no {SHARED / folder}")
    return str(SHARED / folder)
