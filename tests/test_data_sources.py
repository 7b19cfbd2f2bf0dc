"""Where a data set is found and what is in it: the same in a folder, a zip and an .npz.

And its fingerprints and checksums: their values, what is read for them, what is noticed.
"""

import hashlib
import os
import shutil
import time
import tracemalloc
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from deblurlib import data, fingerprint
from deblurlib.data import contents, sources
from deblurlib.errors import InputError

#: Of a set of three images; that they are images their names alone say.
FILES = {
    "test/c.jpg": bytes(range(256)) * 8200,  # more than two blocks
    "train/a.png": b"",
    "train/b.png": b"sharp",
    "README.md": b"three images",
    ".hidden.png": b"z",
}
NAMES = [*FILES][:3]
PAIRS = {
    "pairs/blur/1.png": b"y",
    "pairs/sharp/1.bmp": b"x",
    "pairs/kernel/1.npy": b"k",
    "scenes.csv": b"stem,scene\n1,yard\n",
}
COMPOSED, DECOMPOSED = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No data set is found by accident."""
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def write(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path):
    """The set ``set`` of FILES."""
    for name, content in FILES.items():
        write(tmp_path / "set" / name, content)
    return tmp_path / "set"


def pack(folder, packing):
    """The set in ``folder``, or two arrays, packed another way beside it; its path."""
    path = folder.with_name(packing)
    if path.suffix == ".zip":
        how = zipfile.ZIP_DEFLATED if packing == "deflated.zip" else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", how) as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(folder))
    elif path.suffix == ".npz":
        pixels = np.arange(72, dtype=np.uint8)
        np.savez(path, x_train=pixels.reshape(2, 3, 4, 3), test=pixels.reshape(6, 3, 4))
    return path


def opened(source, split=None):
    return data.open_images(str(source), split)


def items_of(source):
    return sources.open_source(str(source))[1]


# ---------------------------------------------------------------- arrays and zips


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(2, 5, 2), (2, 5, 7, 1), (2, 5, 7, 3)])
def test_arrays_of_every_kind_are_read_side_by_side_whatever_the_order_of_their_bytes(dtype, shape):
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    array[0, 0, 0] = np.iinfo(dtype).max
    in_colour = np.broadcast_to(array.reshape(*shape[:3], -1), (*shape[:3], 3))
    prints = set()
    for order in "<>":
        train = array.astype(array.dtype.newbyteorder(order))
        np.savez("x.npz", x_train=train, test=np.zeros((1, 4, 4, 3), np.uint8))
        images = opened("x.npz")
        assert images.names == ["test/000000", "train/000000", "train/000001"]
        assert images[1].max() == 1
        for item, image in zip(images.items[1:], in_colour, strict=True):
            assert item.array().dtype == dtype
            assert np.array_equal(item.array(), image)
        prints.add(images.fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 8, 8, 4), np.uint8),
        np.zeros((4, 8), np.uint8),
        np.zeros((2, 2, 8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8), np.int8),
        np.zeros((4, 8, 8), np.uint32),
        np.zeros((3, 0, 8, 3), np.uint8),
        np.zeros((8, 9, 3), np.uint8),  # one picture, not eight
        np.array([{}, {}]),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_an_array_that_is_neither_images_nor_labels_is_named_and_no_part_is_lost(array):
    np.savez("x.npz", train=np.zeros((4, 8, 8, 3), np.uint8), test=array)
    kind = "Python objects" if array.dtype.hasobject else str(array.dtype)
    with pytest.raises(InputError, match=r"x\.npz: the array 'test' holds") as error:
        opened("x.npz", "train")
    assert f"{kind} {array.shape}" in str(error.value)


def test_labels_of_any_form_and_files_that_are_no_arrays_are_passed_over():
    one_hot, numbers = np.eye(4, dtype=np.float32), np.arange(4)
    labels = {"y_train": one_hot, "y_test": numbers[:, None], "classes": np.array(["a", "b"])}
    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    # without blurred ones, "sharp" is a name as others are
    np.savez("x.npz", x_train=pictures, sharp=pictures, more=numbers[:, None], **labels)
    with zipfile.ZipFile("x.npz", "a") as archive:
        archive.writestr("README.txt", "two arrays of images")
    assert len(opened("x.npz")) == 8


@pytest.mark.parametrize("top", ["", "test/"])
def test_pairs_and_their_kernels_may_lie_in_an_npz(top):
    blur, sharp = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7, 3), np.uint8)
    arrays = {f"{top}blur": blur, f"{top}sharp": sharp, f"{top}kernel": np.full((2, 3, 3), 1 / 9)}
    np.savez("x.npz", **arrays)
    pairs = data.open_pairs("x.npz", top.rstrip("/") or None)
    assert pairs.names == [f"{top}sharp/{i:06d}" for i in range(3)]
    for i, (y, x) in enumerate(pairs):
        assert np.array_equal((y * 255).round(), blur[i].transpose(2, 0, 1))
        assert np.array_equal((x * 255).round(), sharp[i].transpose(2, 0, 1))
    assert pairs.kernel(1).shape == (3, 3)
    assert pairs.kernel(2) is None
    np.savez("x.npz", **arrays | {f"{top}kernel": np.zeros((3, 3))})
    with pytest.raises(InputError, match=r"kernel' holds float64 \(3, 3\)"):
        data.open_pairs("x.npz")
    np.savez("x.npz", **arrays, kernels=np.ones((2, 5, 5), np.uint8))
    with pytest.raises(InputError, match="the array 'kernels' beside"):
        data.open_pairs("x.npz")


def with_names(path, *names):
    """A zip of files with these bytes for names, none said to be UTF-8."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(chr(ord("A") + i) * len(name), f"content {i}")
    content = path.read_bytes()
    for i, name in enumerate(names):
        content = content.replace((chr(ord("A") + i) * len(name)).encode(), name)
    return write(path, content)


def test_names_in_a_zip_are_read_as_those_who_made_it_meant_them(tmp_path):
    unmarked, dos = f"test/caf{COMPOSED} \u5199.png", f"test/caf{COMPOSED}.png"
    given = [b"train\\sub\\a.png", unmarked.encode(), dos.encode("cp437"), b"./test/c.png"]
    images = opened(with_names(tmp_path / "x.zip", *given))
    assert {*images.names} == {"train/sub/a.png", unmarked, dos, "test/c.png"}
    assert {item.raw() for item in images.items} == {f"content {i}".encode() for i in range(4)}


def test_two_files_of_one_name_are_named(tmp_path):
    with_names(tmp_path / "x.zip", b"train/a.png", b"train\\a.png")
    np.savez("x.npz", train=np.zeros((1, 8, 8), np.uint8), x_train=np.zeros((1, 9, 9), np.uint8))
    for source, name in (("x.zip", "train/a.png"), ("x.npz", "train/000000")):
        with pytest.raises(InputError, match=f"{source}: two of its files are called {name}"):
            opened(source)


def test_an_encrypted_zip_is_one_sentence(tmp_path):
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("a.png", "content")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[6] |= 1  # in the file's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # in the zip's directory
    write(tmp_path / "x.zip", content)
    with pytest.raises(InputError, match=r"x\.zip: is encrypted"):
        opened("x.zip")


@pytest.mark.parametrize("packing", ["stored.zip", "deflated.zip", "x.npz"])
def test_of_changed_bytes_come_images_or_one_sentence(tmp_path, save_picture, packing):
    for seed, name in enumerate(NAMES):
        save_picture(tmp_path / "set" / name, seed)
    write(tmp_path / "set" / f"train/caf{COMPOSED}.txt", b"a name in UTF-8")
    path, rng, told = pack(tmp_path / "set", packing), np.random.default_rng(0), []
    whole = path.read_bytes()
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            changed[rng.choice([place, len(whole) - 1 - place % 400])] = rng.integers(256)
        path.write_bytes(changed)
        try:
            assert [*opened(path)]
        except InputError as error:
            told.append(str(error))
    assert 0 < len(told) < 150
    assert not any("\n" in line for line in told)


def test_an_array_that_is_shorter_than_it_says_is_named():
    np.savez("x.npz", train=np.zeros((2, 8, 8), np.uint8))
    with zipfile.ZipFile("x.npz") as archive:
        array = archive.read("train.npy")
    longer = array.replace(b"(2, 8, 8)", b"(9000000000000, 8, 8)").replace(b" " * 12, b"", 1)
    assert len(longer) == len(array)
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("train.npy", longer)
    with pytest.raises(InputError, match=r"x\.npz: .*train is shorter"):
        opened("x.npz")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"file_size": 6}, r"a\.png: of 6 bytes, 5 were read"),
        ({"file_size": 4}, r"x\.zip: a\.png cannot be read \(Bad CRC"),
        ({"file_size": 999, "compress_size": 999}, r"x\.zip: a\.png cannot be read"),
    ],
)
def test_a_zip_that_lies_about_a_size_is_named(sizes, message):
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("a.png", b"sharp")
        for field, value in sizes.items():
            setattr(archive.infolist()[0], field, value)
    images = opened("x.zip")
    for read in (lambda: images.fingerprint, lambda: images[0]):
        with pytest.raises(InputError, match=message):
            read()


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("packing", ["set", "stored.zip"])
def test_hidden_files_are_no_part_of_a_set(folder, packing):
    for name in (".DS_Store", "train/._a.png", ".cache/d.png", "__MACOSX/train/a.png", "Thumbs.db"):
        write(folder / name)
    assert [item.name for item in items_of(pack(folder, packing))] == ["README.md", *NAMES]


@pytest.mark.parametrize("beside", [None, "README.txt"])
@pytest.mark.parametrize(("packing", "top"), [("wrapped", "mine"), ("w.zip", "a/mine")])
def test_a_folder_that_holds_all_of_a_set_is_the_set(folder, packing, top, beside):
    write(folder / "SHA256SUMS", checksums())
    wrapped = folder.with_name("wrapped")
    shutil.copytree(folder, wrapped / top)
    if beside:
        write(wrapped / beside, b"about the folder beside")
    images = opened(source := pack(wrapped, packing))
    assert (images.names, images.fingerprint) == (NAMES, opened(folder).fingerprint)
    assert opened(source, "test").names == NAMES[:1]
    assert contents.verify(items_of(source)) == 3


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
def test_no_other_names_are_shortened(tmp_path, names, number):
    for name in names:
        write(tmp_path / "set" / name)
    found = [item.name for item in items_of("set") if item.is_image]
    whole = [name for name in names if name.endswith("png")]
    assert found == ["/".join(name.split("/")[number:]) for name in whole]


def test_names_that_are_not_utf_8_are_names_as_others_are(tmp_path):
    given = [b"train/caf\xe8.png", b"train/caf\xe9.png"]
    for name in given:
        write(tmp_path / "set" / os.fsdecode(name), b"one")
    digest = hashlib.sha256(b"one").hexdigest().encode()
    write(tmp_path / "set/SHA256SUMS", b"".join(digest + b"  " + n + b"\n" for n in given))
    images = opened("set", "train")
    assert [os.fsencode(name) for name in images.names] == given
    assert len({*images.keys}) == 2
    assert images.take([0]).fingerprint != images.take([1]).fingerprint
    assert contents.verify(items_of("set")) == 2


def test_a_linked_folder_is_part_of_a_set_and_a_link_back_is_not_followed(folder, tmp_path):
    # large sets are often linked in
    (folder / "train").rename(tmp_path / "elsewhere")
    (folder / "train").symlink_to(tmp_path / "elsewhere")
    (folder / "train" / "back").symlink_to(folder)
    assert opened(folder).names == NAMES


# ---------------------------------------------------------------- where a set is found


@pytest.mark.parametrize("packing", ["set", "stored.zip", "x.npz"])
def test_a_set_is_found_by_name(folder, tmp_path, monkeypatch, packing):
    home = tmp_path / "home"
    home.mkdir()
    path = pack(folder, packing)
    path = path.rename(home / f"bsds500{path.suffix}")
    by_argument = opened(f"bsds500={path}")
    for entries in (f"{home}", f"bsds500={path}", f"gopro=/no/such:/nowhere:{home}"):
        monkeypatch.setenv("DEBLURLIB_DATA", entries)
        assert opened("bsds500").name == by_argument.name == opened(path).name == "bsds500"
        assert opened("bsds500").fingerprint == by_argument.fingerprint


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("gopro=no/such", "no/such: no such file"),
        ("gopro", r"'gopro' is not here: data/README\.md"),  # though such a folder is
        ("nothing", "'nothing' is no data set: it is neither sample, nor anime-faces"),
        ("Go Pro=set", "'Go Pro'"),
        ("=set", "''"),
        ("empty", "empty: no image.*found the file notes.txt"),
        ("phone", "phone: no image.*found 3 files, such as a.heic"),
        ("phone/a.heic", "a.heic: a data set must be"),
        ("text.npz", "text.npz: damaged"),
        ("cut.zip", "cut.zip: damaged"),
    ],
)
def test_a_source_that_is_no_set_is_named(folder, tmp_path, source, named):
    phone = [f"phone/{name}" for name in ("README.md", "a.heic", "b.heic")]
    for name in ("empty/notes.txt", "gopro/a.png", "text.npz", *phone):
        write(tmp_path / name, b"no images")
    write(tmp_path / "cut.zip", pack(folder, "stored.zip").read_bytes()[:-30])
    with pytest.raises(InputError, match=named):
        opened(source)


# ---------------------------------------------------------------- fingerprints


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now are taken for old ones."""
    monkeypatch.setattr(contents, "CLOCK_STEP", -60)


@pytest.fixture
def reads(monkeypatch):
    """The names of all items that are read, as they are read."""
    names, blocks = [], contents.Item.blocks

    def spy(item, *arguments):
        names.append(item.name)
        return blocks(item, *arguments)

    monkeypatch.setattr(contents.Item, "blocks", spy)
    return names


def expected(**changed):
    """The fingerprint of the set ``set``, or of a changed one, from its definition."""
    files = FILES | changed
    return fingerprint.of_bytes(*(p for n in NAMES for p in (n.encode(), b"None", files[n])))


@pytest.mark.parametrize(
    ("packing", "whole", "train", "test"),
    [
        ("sample", "ea53ced14c29", "54ec216ac407", "038e98a7a632"),
        ("set", "b17e45c979b2", "31010596a1d4", "e75a322f03a6"),
        ("stored.zip", "b17e45c979b2", "31010596a1d4", "e75a322f03a6"),
        ("deflated.zip", "b17e45c979b2", "31010596a1d4", "e75a322f03a6"),
        ("x.npz", "f9686a64e490", "5288bd42e1aa", "a3560e427598"),
    ],
)
def test_the_fingerprints_of_images_stay_what_they_were(folder, packing, whole, train, test):
    # Runs and reports are found by these values, wherever the set lies and however it is packed.
    source = "sample" if packing == "sample" else pack(folder, packing)
    assert opened(source).fingerprint == whole
    assert opened(source, "train").fingerprint == train
    assert opened(source, "test").fingerprint == test


@pytest.mark.parametrize("packing", ["set", "x.npz"])
def test_a_set_that_is_opened_often_is_read_once(folder, settled, reads, packing):
    source = pack(folder, packing)
    prints = {opened(source).fingerprint for _ in range(3)}
    assert len(prints) == 1
    assert reads == opened(source).names
    train, test = (opened(source, split) for split in ("train", "test"))
    parts = {part.fingerprint for part in (train, test, train.take([1, 0]))}
    assert len(parts | prints) == 4


def test_the_fingerprint_of_pairs_stays_what_it_was_and_each_file_is_read_once(
    tmp_path, settled, reads
):
    for name, content in PAIRS.items():
        write(tmp_path / "clips" / name, content)
    pairs = [data.open_pairs("clips") for _ in range(3)]
    assert {p.fingerprint for p in pairs} == {"7f8f2cfd5e4a"}
    assert sorted(reads[3:]) == sorted(PAIRS)[:3]
    assert pairs[0].first(0).fingerprint == "f2aefb0011e7"
    write(tmp_path / "clips" / "scenes.csv", b"stem,scene\n1,street\n")  # scenes are no content
    assert data.open_pairs("clips").fingerprint not in ("7f8f2cfd5e4a", "f2aefb0011e7")


def test_a_file_that_changes_within_one_step_of_the_clock_is_hashed_again(folder, monkeypatch):
    def coarse(path):  # as on FAT: times are rounded down to even seconds
        s = os.stat(path)
        written, changed = (int(t // 2 * 2) for t in (s.st_mtime, s.st_ctime))
        times = {"st_mtime": written, "st_mtime_ns": written * 10**9}
        times |= {"st_ctime": changed, "st_ctime_ns": changed * 10**9}
        return SimpleNamespace(st_size=s.st_size, st_dev=s.st_dev, st_ino=s.st_ino, **times)

    monkeypatch.setattr(contents, "os", SimpleNamespace(stat=coarse))
    for content in (b"SHARP", b"shArp", b"shaRp", b"sHarp"):
        write(folder / "train/b.png", content)
        assert opened(folder).fingerprint == expected(**{"train/b.png": content})


def rewrite_and_set_the_clock_back(path):
    before = path.stat()
    time.sleep(0.05)  # more than a step of the file system's clock
    path.write_bytes(b"SHARP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    path.with_name("new").write_bytes(b"SHARP")
    os.utime(path.with_name("new"), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(path.with_name("new"), path)


@pytest.mark.parametrize("change", [rewrite_and_set_the_clock_back, replace])
def test_a_file_that_changes_later_is_hashed_again(folder, settled, change):
    assert opened(folder).fingerprint == expected()
    change(folder / "train/b.png")
    assert opened(folder).fingerprint == expected(**{"train/b.png": b"SHARP"})


@pytest.mark.parametrize(
    ("packing", "old"), [("stored.zip", "31010596a1d4"), ("x.npz", "5288bd42e1aa")]
)
def test_what_was_opened_before_a_change_is_not_taken_for_what_lies_there_now(
    folder, settled, packing, old
):
    path = pack(folder, packing)
    before = opened(path, "train")
    write(folder / "train/b.png", b"SHARP")
    np.savez("new.npz", train=np.ones((2, 3, 4, 3), np.uint8))
    os.replace("new.npz" if packing == "x.npz" else pack(folder, "new.zip"), path)
    assert before.fingerprint == old
    assert opened(path, "train").fingerprint != old


@pytest.mark.parametrize("packing", ["set", "deflated.zip", "large.npz"])
def test_memory_does_not_grow_with_what_is_hashed(tmp_path, packing):
    for name in ("a.png", "b.png"):
        write(tmp_path / "set" / name, bytes(2**23))
    source = pack(tmp_path / "set", packing)
    if packing == "large.npz":
        np.savez(source, train=np.zeros((16, 2**10, 2**10), np.uint8))
    images = opened(source)
    images.items[0].raw()  # an array of an .npz is read, and held, whole
    tracemalloc.start()
    try:
        assert images.fingerprint
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path):
    state = partial(contents.file_state, write(tmp_path / "a.png", b"sharp!"))
    item = contents.Item("train/a.png", lambda: [b"sha", b"rp"], state)
    with pytest.raises(InputError, match=r"train/a\.png: of 6 bytes, 5 were read"):
        contents.hash_items([item])


# ---------------------------------------------------------------- checksums


def checksums(form="{digest}  {name}\n", **others):
    digests = {name: hashlib.sha256(FILES[name]).hexdigest() for name in NAMES} | others
    digests["train/a.png"] = digests["train/a.png"].upper()  # some tools write them so
    return "".join(form.format(digest=d, name=name) for name, d in digests.items()).encode()


def test_right_checksums_are_counted(folder):
    assert contents.verify(items_of(folder)) == 0
    for form in ("{digest}  {name}\n", "{digest} *./{name}\r\n", "\n{digest}\t{name}"):
        write(folder / "SHA256SUMS", checksums(form))
        assert contents.verify(items_of(folder)) == 3


def test_a_wrong_checksum_names_the_file_whatever_reads_it(folder, settled):
    before = opened(folder).fingerprint
    write(folder / "SHA256SUMS", checksums())
    assert opened(folder).fingerprint == before
    write(folder / "SHA256SUMS", checksums(**{"train/b.png": "0" * 64}))
    wrong, whole = opened(folder), items_of(folder)
    for read in (lambda: wrong.fingerprint, lambda: wrong[-1], lambda: contents.verify(whole)):
        with pytest.raises(InputError, match=r"train/b\.png: its checksum is wrong"):
            read()
    assert opened(folder, "test").fingerprint == "e75a322f03a6"  # it is not in that part


@pytest.mark.parametrize("name", [f"{DECOMPOSED}.png", "a\\b.png", "a\nb.png"])
def test_the_names_of_checksums_are_read_as_sha256sum_writes_them(tmp_path, name):
    listed = name.replace(DECOMPOSED, COMPOSED)
    escaped = listed.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != listed else ""
    line = f"{mark}{hashlib.sha256(b'one').hexdigest()}  {escaped}\n"
    write(tmp_path / "set" / "SHA256SUMS", line.encode())
    write(tmp_path / "set" / name, b"one")
    assert opened("set").fingerprint
    write(tmp_path / "set" / name, b"two")
    with pytest.raises(InputError, match="its checksum is wrong"):
        assert opened("set").fingerprint


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("0" * 63 + "  c.png", "SHA256SUMS: not a checksum and a name: '000"),
        ("0" * 64 + "  lost", "lost: listed in SHA256SUMS, but not there"),
        ("0" * 64 + "  train/a.png", "SHA256SUMS: two checksums for train/a.png"),
    ],
)
def test_a_list_of_checksums_that_cannot_be_right_is_named(folder, more, message):
    write(folder / "SHA256SUMS", checksums() + more.encode())
    with pytest.raises(InputError, match=message):
        contents.verify(items_of(folder))
