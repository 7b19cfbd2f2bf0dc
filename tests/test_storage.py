"""Where a data set is found and what is in it: the same in a folder, a zip and an .npz."""

import shutil
import zipfile

import numpy as np
import pytest

from deblurlib import data, storage
from deblurlib.errors import InputError

NAMES = ["test/c.png", "train/a.png", "train/b.png"]
PACKINGS = ["folder", "stored.zip", "deflated.zip", "keys.npz", "x_keys.npz"]


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No data set is found by accident."""
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path, save_picture):
    for seed, name in enumerate(NAMES):
        save_picture(tmp_path / "folder" / name, seed)
    return tmp_path / "folder"


def zipped(folder, path, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def pack(folder, packing):
    """The set in ``folder`` again, packed another way beside it."""
    path = folder.with_name(packing)
    if path.suffix == ".zip":
        stored = packing.startswith("stored")
        zipped(folder, path, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    elif path.suffix == ".npz":
        prefix = "x_" if packing.startswith("x_") else ""
        arrays = {}
        for split in ("train", "test"):
            pictures = data.open_images(str(folder), split).items
            arrays[prefix + split] = np.stack([item.array() for item in pictures])
        arrays["y_train"] = np.arange(2)
        np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("split", [None, "train", "test"])
def test_every_packing_gives_the_same_pictures_in_the_same_order(
    folder, save_picture, tmp_path, packing, split
):
    opened = data.open_images(str(pack(folder, packing)), split)
    seeds = {None: [0, 1, 2], "train": [1, 2], "test": [0]}[split]
    expected = [save_picture(tmp_path / "again.png", seed) for seed in seeds]
    assert len(opened) == len(seeds)
    assert np.array_equal([item.array() for item in opened.items], expected)
    if not packing.endswith("npz"):
        assert opened.names == [NAMES[seed] for seed in seeds]


def test_grey_arrays_become_colour(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (2, 5, 7), np.uint8)
    np.savez(tmp_path / "grey.npz", train=grey)
    x = data.open_images("grey.npz", "train")[1]
    assert x.shape == (3, 5, 7)
    assert np.array_equal((x * 255).round(), np.broadcast_to(grey[1], (3, 5, 7)))


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (4, 8, 8, 4), (4, 8), (2, 2, 8, 8, 3)])
def test_arrays_of_another_layout_are_not_taken_for_images(tmp_path, shape):
    np.savez(tmp_path / "other.npz", train=np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"other\.npz"):
        data.open_images("other.npz")


def test_narrow_grey_arrays_are_images(tmp_path):
    np.savez(tmp_path / "narrow.npz", train=np.zeros((4, 5, 2), np.uint8))
    assert data.open_images("narrow.npz")[3].shape == (3, 5, 2)


def test_an_npz_with_a_file_that_is_no_array_is_read_without_it(folder):
    path = pack(folder, "keys.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "two arrays")
    assert len(data.open_images(str(path))) == 3


def test_hidden_files_are_no_part_of_a_set(folder):
    before = data.open_images(str(folder)).fingerprint
    for name in (".DS_Store", "train/._a.png", ".cache/d.png", "__MACOSX/train/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"hidden")
    for packing in PACKINGS[:3]:
        opened = data.open_images(str(pack(folder, packing)))
        assert (opened.names, opened.fingerprint) == (NAMES, before)


def test_a_linked_folder_is_part_of_a_set(folder, tmp_path):
    # data/README.md has the reader link blur_gamma/ to blur/
    (folder / "train").rename(tmp_path / "elsewhere")
    (folder / "train").symlink_to(tmp_path / "elsewhere")
    assert data.open_images(str(folder)).names == NAMES


@pytest.mark.parametrize("packing", ["folder", "stored.zip", "keys.npz"])
def test_a_set_is_found_by_name(folder, monkeypatch, packing):
    path = pack(folder, packing)
    home = folder.with_name("home")
    home.mkdir()
    path.rename(home / f"bsds500{path.suffix}")
    path = home / f"bsds500{path.suffix}"
    by_argument = data.open_images(f"bsds500={path}")
    assert (by_argument.name, len(by_argument)) == ("bsds500", 3)
    for entries in (f"{home}", f"bsds500={path}", f"gopro=/no/such:/nowhere:{home}"):
        monkeypatch.setenv("DEBLURLIB_DATA", entries)
        opened = data.open_images("bsds500")
        assert (opened.name, opened.fingerprint) == ("bsds500", by_argument.fingerprint)


def test_the_first_entry_that_has_a_set_wins(folder, monkeypatch, tmp_path):
    shutil.copytree(folder / "test", tmp_path / "home" / "gopro")
    monkeypatch.setenv("DEBLURLIB_DATA", f"{tmp_path / 'home'}:gopro={folder}")
    assert data.open_images("gopro").names == ["c.png"]
    monkeypatch.setenv("DEBLURLIB_DATA", f"gopro={folder}:{tmp_path / 'home'}")
    assert data.open_images("gopro").names == NAMES


def test_a_path_is_named_after_its_last_part(folder):
    assert data.open_images("folder").name == "folder"
    assert data.open_images(str(pack(folder, "stored.zip"))).name == "stored"


def test_a_known_set_that_is_not_here_says_how_to_get_it(folder):
    folder.rename("gopro")  # a folder that happens to be there is not taken for it
    with pytest.raises(InputError, match=r"'gopro' is not here: data/README\.md.*--data gopro="):
        storage.open_source("gopro")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError) as error:
        storage.open_source("nothing")
    assert all(name in str(error.value) for name in ["'nothing'", "sample", *storage.KNOWN])


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("gopro=no/such", "no/such: no such file or folder"),
        ("Go Pro=folder", "'Go Pro'"),
        ("=folder", "''"),
        ("empty", "empty: no image"),
        ("text.txt", "text.txt: a data set must be"),
        ("text.zip", "text.zip"),
        ("text.npz", "text.npz"),
        ("cut.zip", "cut.zip"),
        ("cut.npz", "cut.npz"),
        ("pickled.npz", "pickled.npz.*pickle"),
    ],
)
def test_a_source_that_is_no_set_is_named(folder, tmp_path, source, named):
    (tmp_path / "empty").mkdir()
    for name in ("empty/notes.txt", "text.txt", "text.zip", "text.npz"):
        (tmp_path / name).write_text("no images")
    for packing, name in (("stored.zip", "cut.zip"), ("keys.npz", "cut.npz")):
        (tmp_path / name).write_bytes(pack(folder, packing).read_bytes()[:-30])
    np.savez(tmp_path / "pickled.npz", train=np.array([{}]))
    with pytest.raises(InputError, match=named):
        data.open_images(source)


def damage(path, name):
    """Break the content of a member of a zip, not the zip's own directory."""
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(name).header_offset + 30 + len(name)
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)


@pytest.mark.parametrize("packing", ["stored.zip", "deflated.zip"])
def test_a_damaged_member_of_a_zip_is_named(folder, packing):
    path = pack(folder, packing)
    damage(path, "train/a.png")
    opened = data.open_images(str(path))
    assert opened[0].shape == (3, 5, 7)
    with pytest.raises(InputError, match=rf"{packing}: train/a\.png cannot be read"):
        opened[1]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_named(tmp_path, save):
    save(tmp_path / "x.npz", train=np.zeros((4, 8, 8, 3), np.uint8))
    damage(tmp_path / "x.npz", "train.npy")
    with pytest.raises(InputError, match=r"x\.npz: a damaged"):
        data.open_images("x.npz")
