"""Where a data set is found and what is in it: the same in a folder, a zip and an .npz."""

import hashlib
import os
import shutil
import zipfile

import numpy as np
import pytest

from deblurlib import data
from deblurlib.data import contents, sources
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


def as_colour(array):
    """Images of an array ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)`` as they are read."""
    return np.broadcast_to(array.reshape(*array.shape[:3], -1), (*array.shape[:3], 3))


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 5, 7, 1), (2, 5, 7, 3)])
def test_every_kind_of_array_of_images_is_read_beside_any_other(tmp_path, kind, shape):
    largest = np.iinfo(kind).max
    array = np.random.default_rng(0).integers(0, largest, shape, kind[-2:]).astype(kind)
    array[0, 0, 0] = largest
    labels = {"y_train": np.zeros((2, 1), np.int64), "classes": np.array(["a", "b"])}
    np.savez("x.npz", x_train=array, test=np.zeros((1, 4, 4, 3), np.uint8), **labels)
    opened = data.open_images("x.npz")
    assert opened.names == ["test/000000", "train/000000", "train/000001"]
    assert opened[1].max() == 1
    for item, image in zip(opened.items[1:], as_colour(array), strict=True):
        assert item.array().dtype == np.dtype(kind).newbyteorder("=")
        assert np.array_equal(item.array(), image)


def test_a_fingerprint_of_arrays_does_not_depend_on_the_order_of_their_bytes(tmp_path):
    prints = set()
    for kind in ("<u2", ">u2"):
        np.savez("x.npz", train=np.arange(70).reshape(2, 5, 7).astype(kind))
        prints.add(data.open_images("x.npz").fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 3, 8, 8), np.uint8), r"uint8 \(4, 3, 8, 8\)"),
        (np.zeros((4, 8, 8, 4), np.uint8), r"uint8 \(4, 8, 8, 4\)"),
        (np.zeros((4, 8), np.uint8), r"uint8 \(4, 8\)"),
        (np.zeros((2, 2, 8, 8, 3), np.uint8), r"uint8 \(2, 2, 8, 8, 3\)"),
        (np.zeros((4, 8, 8, 3), np.float32), r"float32 \(4, 8, 8, 3\)"),
        (np.zeros((4, 8, 8), np.int64), r"int64 \(4, 8, 8\)"),
        (np.zeros((4, 8, 8), np.int8), r"int8 \(4, 8, 8\)"),
        (np.zeros((4, 8, 8), np.uint32), r"uint32 \(4, 8, 8\)"),
        (np.zeros((3, 0, 8, 3), np.uint8), r"uint8 \(3, 0, 8, 3\)"),
        (np.zeros((8, 9, 3), np.uint8), r"uint8 \(8, 9, 3\)"),  # one picture, not eight
        (np.array([{}, {}]), r"Python objects \(2,\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_is_neither_images_nor_labels_is_named_and_no_part_is_lost(array, found):
    np.savez("x.npz", train=np.zeros((4, 8, 8, 3), np.uint8), test=array)
    with pytest.raises(InputError, match=rf"x\.npz: the array 'test' holds {found}; exp") as error:
        data.open_images("x.npz", "train")
    assert "uint8 or uint16 images (N, H, W)" in str(error.value)
    assert "pickle" not in str(error.value)


def test_labels_of_any_form_are_passed_over():
    one_hot, numbers = np.eye(4, dtype=np.float32), np.arange(4)
    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    np.savez("x.npz", x_train=pictures, y_train=one_hot, y_test=numbers[:, None], classes=numbers)
    assert len(data.open_images("x.npz")) == 4


def test_an_array_beside_pairs_is_named():
    pairs = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez("x.npz", blur=pairs, sharp=pairs, kernels=np.ones((2, 5, 5), np.uint8))
    with pytest.raises(InputError, match="holds pairs, and the array 'kernels' beside them"):
        data.open_pairs("x.npz")


@pytest.mark.parametrize("top", ["", "test/"])
def test_pairs_and_their_kernels_may_lie_in_an_npz(top):
    blur, sharp = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7, 3), np.uint8)
    kernel = np.full((2, 3, 3), 1 / 9)
    arrays = {f"{top}blur": blur, f"{top}sharp": sharp, f"{top}kernel": kernel}
    np.savez("x.npz", **arrays)
    pairs = data.open_pairs("x.npz", top.rstrip("/") or None)
    assert pairs.names == [f"{top}sharp/{i:06d}" for i in range(3)]
    for i, (y, x) in enumerate(pairs):
        assert np.array_equal((y * 255).round(), blur[i].transpose(2, 0, 1))
        assert np.array_equal((x * 255).round(), sharp[i].transpose(2, 0, 1))
    assert pairs.kernel(1).shape == (3, 3)
    assert pairs.kernel(2) is None
    np.savez("x.npz", **arrays | {f"{top}kernel": np.zeros((3, 3))})
    with pytest.raises(InputError, match=r"kernel' holds float64 \(3, 3\).*kernels \(N, h, w\)"):
        data.open_pairs("x.npz")


def test_two_arrays_of_one_name_are_named():
    np.savez("x.npz", train=np.zeros((1, 8, 8), np.uint8), x_train=np.zeros((1, 9, 9), np.uint8))
    with pytest.raises(InputError, match=r"x\.npz: two of its files are called train/000000"):
        data.open_images("x.npz")


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
    names = (".DS_Store", "train/._a.png", ".cache/d.png", "__MACOSX/train/a.png", "Thumbs.db")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"hidden")
    for packing in PACKINGS[:3]:
        opened = data.open_images(source := str(pack(folder, packing)))
        assert (opened.names, opened.fingerprint) == (NAMES, before)
        assert [item.name for item in sources.open_source(source)[1]] == NAMES


@pytest.mark.parametrize("beside", [None, "README.txt"])
@pytest.mark.parametrize("top", ["mine", "a/mine"])
@pytest.mark.parametrize("packing", PACKINGS[:2])
def test_a_folder_that_holds_all_of_a_set_is_the_set(folder, packing, top, beside):
    (folder / "notes.txt").write_text("of the set")
    lines = (f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in NAMES)
    (folder / "SHA256SUMS").write_text("".join(lines))
    before = data.open_images(str(folder)).fingerprint
    wrapped = folder.with_name("wrapped")
    shutil.copytree(folder, wrapped / top)
    if beside:
        (wrapped / beside).write_text("about the folder beside")
    source = str(wrapped if packing == "folder" else zipped(wrapped, wrapped.with_name("w.zip")))
    opened = data.open_images(source)
    assert (opened.names, opened.fingerprint) == (NAMES, before)
    assert data.open_images(source, "test").names == NAMES[:1]
    assert contents.verify(sources.open_source(source)[1]) == 3


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["mine/a.png", "mine/b.png"], 0),
        (["mine/scene/blur/a.png", "mine/scene/sharp/a.png"], 0),
        (["mine/train/a.png", "other/train/a.png"], 0),
        (["a.png", "mine/train/a.png"], 0),
        (["train/train/a.png"], 0),
        (["training/a.png", "SHA256SUMS"], 0),
        (["mine/a.png", "mine/SHA256SUMS"], 1),
        (["mine/scene/blur/a.png", "mine/scenes.csv"], 1),
        (["mine/x/TEST/a.png"], 2),
    ],
)
def test_no_other_names_are_shortened(tmp_path, save_picture, names, number):
    for name in names:
        save_picture(tmp_path / "set" / name) if name.endswith("png") else None
        (tmp_path / "set" / name).touch()
    found = [item.name for item in sources.open_source("set")[1] if item.is_image]
    whole = [name for name in names if name.endswith("png")]
    assert found == ["/".join(name.split("/")[number:]) for name in whole]


@pytest.mark.parametrize("split", ["train", "test"])
def test_train_and_test_are_known_whatever_their_case_and_keep_their_names(folder, split):
    for part in ("train", "test"):
        (folder / part).rename(folder / part.capitalize())
    opened = data.open_images("folder", split)
    assert opened.names == [name.capitalize() for name in NAMES if name.startswith(split)]


def with_names(path, **names):
    """A zip of files with these bytes for names, none said to be UTF-8."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names.values()):
            archive.writestr(chr(ord("A") + i) * len(name), f"content {i}")
    content = path.read_bytes()
    for i, name in enumerate(names.values()):
        content = content.replace((chr(ord("A") + i) * len(name)).encode(), name)
    path.write_bytes(content)
    return str(path)


def test_names_in_a_zip_are_read_as_those_who_made_it_meant_them(tmp_path):
    given = {
        "windows": b"train\\sub\\a.png",
        "unmarked": "test/caf\u00e9 \u5199.png".encode(),
        "dos": "test/caf\u00e9.png".encode("cp437"),
        "dot": b"./test/c.png",
    }
    opened = data.open_images(with_names(tmp_path / "x.zip", **given))
    expected = ["caf\u00e9 \u5199.png", "caf\u00e9.png", "c.png"]
    assert {*opened.names} == {"train/sub/a.png", *(f"test/{name}" for name in expected)}
    assert {item.raw() for item in opened.items} == {f"content {i}".encode() for i in range(4)}


def test_two_files_of_one_name_in_a_zip_are_named(tmp_path):
    source = with_names(tmp_path / "x.zip", one=b"train/a.png", other=b"train\\a.png")
    with pytest.raises(InputError, match=r"x\.zip: two of its files are called train/a\.png"):
        data.open_images(source)


def test_an_encrypted_zip_is_one_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", "content")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[6] |= 1  # in the file's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # in the zip's directory
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.zip: is encrypted; unpack it"):
        data.open_images("x.zip")


def test_names_that_are_not_utf_8_are_names_as_others_are(tmp_path, save_picture):
    save_picture(tmp_path / "a.png")
    given = [b"set/train/caf\xe9.png", b"set/train/caf\xe8.png"]
    for name in given:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        shutil.copy(b"a.png", name)
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest().encode()
    sums = b"".join(digest + b"  " + name.removeprefix(b"set/") + b"\n" for name in given)
    (tmp_path / "set/SHA256SUMS").write_bytes(sums)
    opened = data.open_images("set", "train")
    assert [os.fsencode(name) for name in opened.names] == [n[4:] for n in sorted(given)]
    assert len({*opened.keys}) == 2
    assert opened.take([0]).fingerprint != opened.take([1]).fingerprint
    assert contents.verify(sources.open_source("set")[1]) == 2


def test_a_linked_folder_is_part_of_a_set(folder, tmp_path):
    # large sets are often linked in
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
        sources.open_source("gopro")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError) as error:
        sources.open_source("nothing")
    assert all(name in str(error.value) for name in ["'nothing'", "sample", *sources.KNOWN])


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("gopro=no/such", "no/such: no such file or folder"),
        ("Go Pro=folder", "'Go Pro'"),
        ("=folder", "''"),
        ("empty", "empty: no image.*[.]png, .*train/ and test/.*found the file notes.txt"),
        ("phone", "phone: no image.*found 3 files, such as a.heic"),
        ("text.txt", "text.txt: a data set must be"),
        ("text.zip", "text.zip: damaged, or no .zip file"),
        ("text.npz", "text.npz: damaged, or no .npz file"),
        ("cut.zip", "cut.zip: damaged, or no .zip file"),
        ("cut.npz", "cut.npz: damaged, or no .npz file"),
        ("vast.npz", "vast.npz: a damaged .npz .train is shorter than it says"),
    ],
)
def test_a_source_that_is_no_set_is_named(folder, tmp_path, source, named):
    for place in ("empty", "phone"):
        (tmp_path / place).mkdir()
    phone = (f"phone/{name}" for name in ("README.md", "a.heic", "b.heic"))
    for name in ("empty/notes.txt", *phone, "text.txt", "text.zip", "text.npz"):
        (tmp_path / name).write_text("no images")
    for packing, name in (("stored.zip", "cut.zip"), ("keys.npz", "cut.npz")):
        (tmp_path / name).write_bytes(pack(folder, packing).read_bytes()[:-30])
    np.savez("vast.npz", train=np.zeros((2, 8, 8), np.uint8))
    whole = (tmp_path / "vast.npz").read_bytes()
    with zipfile.ZipFile("vast.npz") as archive:
        array = archive.read("train.npy").replace(b"(2, 8, 8)", b"(9000000000000, 8, 8)")
    with zipfile.ZipFile("vast.npz", "w") as archive:
        archive.writestr("train.npy", array.replace(b" " * 12, b"", 1))
    assert (tmp_path / "vast.npz").read_bytes() != whole
    with pytest.raises(InputError, match=named):
        data.open_images(source)


@pytest.mark.parametrize("packing", ["stored.zip", "deflated.zip", "keys.npz"])
def test_of_changed_bytes_come_images_or_one_sentence(folder, packing):
    (folder / "train/caf\N{LATIN SMALL LETTER E WITH ACUTE}.txt").write_text("a name in UTF-8")
    path, rng, told = pack(folder, packing), np.random.default_rng(0), []
    whole = path.read_bytes()
    for _ in range(300):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            changed[rng.choice([place, len(whole) - 1 - place % 400])] = rng.integers(256)
        path.write_bytes(changed)
        try:
            opened = data.open_images(str(path))
            assert [opened[i] for i in range(len(opened))]
        except InputError as error:
            told.append(str(error))
    assert 0 < len(told) < 300
    assert not any("\n" in line for line in told)


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
