"""Image sets and pair sets: splits, partners, scenes, kernels; and the real sets where they are."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from deblurlib import contents, data, degrade, files, images, psf, storage
from deblurlib.errors import InputError

SHARED = Path(__file__).parents[2] / "shared" / "data"
VIEWS = ["train/s1", "train/s2", "test/s1"]


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
    path, _ = storage.SAMPLE["test/chelsea.png"]
    monkeypatch.setitem(storage.SAMPLE, "test/chelsea.png", (path, "0" * 64))
    sample = data.open_images("sample", "test")
    assert sample[1].shape[0] == 3
    with pytest.raises(InputError, match=r"test/chelsea\.png: its checksum is wrong"):
        sample[0]


def test_a_missing_package_of_the_sample_is_named(monkeypatch):
    monkeypatch.setitem(storage.SAMPLE, "test/chelsea.png", ("no_such_package/x.png", ""))
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


@pytest.fixture
def tree(tmp_path, save_picture):
    """A tree like that of GoPro: two pairs a scene, blurred PNG and sharp BMP."""
    for place, view in enumerate(VIEWS):
        for stem in (0, 1):
            save_picture(tmp_path / view / "blur" / f"{stem}.png", 10 * place + stem)
            save_picture(tmp_path / view / "sharp" / f"{stem}.bmp", 10 * place + stem + 5)
    return tmp_path


def open_tree(tree, split=None):
    return data.open_pairs(f"gopro={tree}", split)


def test_partners_are_files_of_one_stem_sorted(tree, save_picture):
    pairs = open_tree(tree)
    assert (pairs.name, pairs.split, len(pairs)) == ("gopro", None, 6)
    assert pairs.names == [f"{view}/sharp/{stem}.bmp" for view in sorted(VIEWS) for stem in (0, 1)]
    y, x = pairs[3]  # train/s1, stem 1
    for image, seed in ((y, 1), (x, 6)):
        assert torch.equal(image, images.to_tensor(save_picture(tree / "again.png", seed)))


@pytest.mark.parametrize(("split", "count"), [("train", 4), ("test", 2)])
def test_a_split_is_its_folder(tree, split, count):
    pairs = open_tree(tree, split)
    assert len(pairs) == count
    assert all(name.startswith(f"{split}/") for name in pairs.names)


def test_scenes_are_the_folders_that_hold_the_pairs(tree):
    assert open_tree(tree).scenes == (*["test/s1"] * 2, *["train/s1"] * 2, *["train/s2"] * 2)


@pytest.mark.parametrize(
    ("table", "scenes"),
    [
        ("stem,scene\n0,zoo\n1,pier\n", ("zoo", "pier", "zoo", "pier", "zoo", "pier")),
        ("stem,scene\n0,zoo\n", ("zoo", "test/s1", "zoo", "train/s1", "zoo", "train/s2")),
        (
            "split,stem,scene\ntrain,0,zoo\ntrain,1,pier\ntest,0,beach\n",
            ("beach", "test/s1", "zoo", "pier", "zoo", "pier"),
        ),
        ("\ufeffscene,stem\r\nzoo,0\r\nzoo,1\r\n", ("zoo",) * 6),
    ],
    ids=["by-stem", "in-part", "by-split-and-stem", "from-a-spreadsheet"],
)
def test_a_table_of_scenes_overrules_the_folders(tree, table, scenes):
    (tree / "scenes.csv").write_text(table, "utf-8")
    assert open_tree(tree).scenes == scenes


@pytest.mark.parametrize("columns", ["name,scene", "stem,place"])
def test_a_table_of_scenes_without_its_columns_is_named(tree, columns):
    (tree / "scenes.csv").write_text(f"{columns}\n0,zoo\n")
    with pytest.raises(InputError, match=r"scenes\.csv: needs the columns stem and scene"):
        open_tree(tree)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("train/s2/blur/1.png", r"train/s2/sharp/1\.bmp has no partner in blur/"),
        ("train/s2/sharp/1.bmp", r"train/s2/blur/1\.png has no partner in sharp/"),
    ],
)
def test_a_missing_partner_names_the_file(tree, missing, named):
    (tree / missing).unlink()
    assert len(open_tree(tree, "test")) == 2
    with pytest.raises(InputError, match=named):
        open_tree(tree)


@pytest.mark.parametrize("side", ["blur", "sharp"])
def test_two_files_of_one_stem_are_named(tree, save_picture, side):
    save_picture(tree / "train/s1" / side / "0.tif")
    with pytest.raises(InputError, match=rf"{side}/0\..* and .*{side}/0\..*: two files"):
        open_tree(tree)


def test_partners_of_different_size_are_both_named(tree, save_picture):
    save_picture(tree / "test/s1/sharp/1.bmp", height=6)
    pairs = open_tree(tree)
    pairs[0]
    named = r"blur/1\.png has 5 x 7 pixels, but .*sharp/1\.bmp has 6 x 7"
    with pytest.raises(InputError, match=named):
        pairs[1]


@pytest.mark.parametrize("place", ["", "test"])
def test_pairs_need_no_scene_folders(tmp_path, save_picture, place):
    for side in ("blur", "sharp"):
        save_picture(tmp_path / place / side / "a.png")
    assert data.open_pairs(str(tmp_path)).names == [str(Path(place, "sharp/a.png"))]


def test_a_set_without_pairs_says_so(tree, tmp_path):
    with pytest.raises(InputError, match="no folder under val/ with images in blur/ and sharp/"):
        open_tree(tree, "val")
    with pytest.raises(InputError, match="no folder with images in blur/ and sharp/"):
        data.open_pairs("sample")


@pytest.fixture
def official(tree, save_picture):
    """The tree as its authors give it: a second kind of blur beside the first."""
    for place, view in enumerate(VIEWS):
        for stem in (0, 1):
            save_picture(tree / view / "blur_gamma" / f"{stem}.png", 100 + 10 * place + stem)
    return tree


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_gopro_and_gopro_gamma_are_one_tree_with_two_kinds_of_blur(official, split):
    plain, gamma = (data.open_pairs(f"{n}={official}", split) for n in ("gopro", "gopro-gamma"))
    assert (plain.name, gamma.name) == ("gopro", "gopro-gamma")
    assert plain.names == gamma.names
    assert plain.scenes == gamma.scenes
    assert len(plain) == {None: 6, "train": 4, "test": 2}[split]
    for i, name in enumerate(plain.names):
        stem = official / name.replace("/sharp/", "/{}/").replace(".bmp", ".png")
        for pairs, side in ((plain, "blur"), (gamma, "blur_gamma")):
            y, x = pairs[i]
            assert torch.equal(y, files.read_image(str(stem).format(side)))
            assert torch.equal(x, files.read_image(official / name))
        assert not torch.equal(plain[i][0], gamma[i][0])


def test_the_two_kinds_of_blur_have_fingerprints_of_their_own(official, save_picture):
    def fingerprints():
        return [data.open_pairs(f"{n}={official}").fingerprint for n in ("gopro", "gopro-gamma")]

    plain, gamma = fingerprints()
    assert plain != gamma
    save_picture(official / "train/s1/blur_gamma/0.png", seed=99)
    again, other = fingerprints()
    assert again == plain
    assert other != gamma


def test_only_gopro_gamma_reads_blur_gamma(official):
    (official / "train/s1/blur/0.png").unlink()
    assert len(data.open_pairs(f"gopro-gamma={official}")) == 6
    with pytest.raises(InputError, match=r"train/s1/sharp/0\.bmp has no partner in blur/"):
        data.open_pairs(f"gopro={official}")


def test_gopro_gamma_without_blur_gamma_says_so(tree):
    assert len(data.open_pairs(f"gopro={tree}")) == 6
    with pytest.raises(InputError, match=r"sharp/0\.bmp has no partner in blur_gamma/ beside it"):
        data.open_pairs(f"gopro-gamma={tree}")
    with pytest.raises(InputError, match="no folder under val/ with images in blur_gamma/ and sha"):
        data.open_pairs(f"gopro-gamma={tree}", "val")


def save_kernel(path, k):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, k)


def test_a_known_kernel_is_read_and_counts_in_the_fingerprint(tree):
    before = open_tree(tree).fingerprint
    k = psf.motion(5, 30)
    save_kernel(tree / "train/s1/kernel/1.npy", k.double().numpy())
    pairs = open_tree(tree)
    assert torch.equal(pairs.kernel(3), k)
    assert [pairs.kernel(i) for i in (0, 1, 2, 4, 5)] == [None] * 5
    assert pairs.fingerprint != before


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        (np.ones((3, 3)), "sum to 1"),
        (np.ones((2, 2)) / 4, "odd"),
        (np.array([[-1.0, 3.0, -1.0]]), "negative"),
        (np.array([["a"]]), ""),
        (np.array([{}]), "pickle"),
    ],
)
def test_what_is_no_kernel_is_named(tree, k, reason):
    save_kernel(tree / "test/s1/kernel/0.npy", k)
    with pytest.raises(InputError, match=rf"kernel/0\.npy: not a kernel.*{reason}"):
        open_tree(tree).kernel(0)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"])
def test_a_damaged_kernel_file_is_named(tree, content):
    save_kernel(tree / "test/s1/kernel/0.npy", [[1.0]])
    (tree / "test/s1/kernel/0.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"kernel/0\.npy: not a kernel"):
        open_tree(tree).kernel(0)


@pytest.mark.parametrize("name", ["train/s1/blur/0.png", "train/s1/sharp/0.bmp"])
def test_fingerprint_of_pairs_counts_both_sides(tree, save_picture, name):
    before = open_tree(tree).fingerprint
    save_picture(tree / name, seed=99)
    assert open_tree(tree).fingerprint != before


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
    items = storage.open_source(real(folder))[1]
    assert contents.verify(items) >= sum(item.is_image for item in items)


def real(folder):
    if not (SHARED / folder).exists():
        pytest.skip(f"no {SHARED / folder}")
    return str(SHARED / folder)
