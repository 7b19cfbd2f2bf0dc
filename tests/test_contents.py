"""Fingerprints and checksums of data sets: their values, what is read for them, what is noticed."""

import hashlib
import os
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

FILES = {
    "train/a.png": b"",
    "train/b.png": b"sharp",
    "test/c.jpg": bytes(range(256)) * 8200,  # more than two blocks
    "README.md": b"three images",
    ".hidden.png": b"z",
}
PAIRS = {
    "pairs/blur/1.png": b"y",
    "pairs/sharp/1.bmp": b"x",
    "pairs/kernel/1.npy": b"k",
    "scenes.csv": b"stem,scene\n1,yard\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The set ``set``, of files whose names alone say that they are images."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        write(tmp_path / "set" / name, content)
    return tmp_path / "set"


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now are taken for old ones."""
    monkeypatch.setattr(contents, "CLOCK_STEP", -60)


@pytest.fixture
def clips(folder):
    """The set ``clips``, of one pair."""
    for name, content in PAIRS.items():
        write(folder.with_name("clips") / name, content)
    return folder.with_name("clips")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pack(folder, form):
    """The set in ``folder``, or its two arrays, in another form beside it; its source."""
    path = folder.with_name(form)
    if form.endswith(".zip"):
        how = zipfile.ZIP_DEFLATED if form == "deflated.zip" else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", how) as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(folder))
    elif form.endswith(".npz"):
        pixels = np.arange(72, dtype=np.uint8)
        np.savez(path, x_train=pixels.reshape(2, 3, 4, 3), test=pixels.reshape(6, 3, 4))
    return str(path)


def expected(files):
    """The fingerprint of a set of these files, from its definition."""
    images = [n for n in sorted(files) if n.endswith(("png", "jpg", "bmp")) and n[0] != "."]
    return fingerprint.of_bytes(*(p for n in images for p in (n.encode(), b"None", files[n])))


@pytest.mark.parametrize(
    ("form", "split", "value"),
    [
        ("sample", None, "ea53ced14c29"),
        ("sample", "train", "54ec216ac407"),
        ("sample", "test", "038e98a7a632"),
        *((form, None, "b17e45c979b2") for form in ("set", "stored.zip", "deflated.zip")),
        *((form, "train", "31010596a1d4") for form in ("set", "stored.zip", "deflated.zip")),
        *((form, "test", "e75a322f03a6") for form in ("set", "stored.zip", "deflated.zip")),
        ("x.npz", None, "f9686a64e490"),
        ("x.npz", "train", "5288bd42e1aa"),
        ("x.npz", "test", "a3560e427598"),
    ],
)
def test_the_fingerprints_of_images_stay_what_they_were(folder, form, split, value):
    # Runs and reports are found by these values, wherever the set lies and however it is packed.
    source = form if form == "sample" else pack(folder, form)
    assert data.open_images(source, split).fingerprint == value


@pytest.mark.parametrize("form", ["clips", "deflated.zip"])
def test_the_fingerprints_of_pairs_stay_what_they_were(clips, form):
    pairs = data.open_pairs(pack(clips, form))
    assert (pairs.fingerprint, pairs.first(0).fingerprint) == ("7f8f2cfd5e4a", "f2aefb0011e7")


@pytest.fixture
def reads(monkeypatch):
    """The names of all items that are read, as they are read."""
    names, blocks = [], contents.Item.blocks

    def spy(item, *arguments):
        names.append(item.name)
        return blocks(item, *arguments)

    monkeypatch.setattr(contents.Item, "blocks", spy)
    return names


@pytest.mark.parametrize("form", ["set", "stored.zip", "x.npz"])
def test_a_set_that_is_opened_often_is_read_once(folder, settled, reads, form):
    source = pack(folder, form)
    prints = {data.open_images(source).fingerprint for _ in range(3)}
    assert len(prints) == 1
    assert reads == data.open_images(source).names
    train, test = (data.open_images(source, split) for split in ("train", "test"))
    parts = {part.fingerprint for part in (train, test, train.take([1, 0]))}
    assert len(parts | prints) == 4


def test_pairs_that_are_opened_often_are_read_once(clips, settled, reads):
    prints = {data.open_pairs(str(clips)).fingerprint for _ in range(3)}
    assert len(prints) == 1
    assert reads.count("pairs/blur/1.png") == reads.count("pairs/kernel/1.npy") == 1
    write(clips / "scenes.csv", b"stem,scene\n1,street\n")  # scenes are no content
    assert data.open_pairs(str(clips)).fingerprint not in prints


def rewrite_and_set_the_clock_back(path):
    before = path.stat()
    time.sleep(0.05)  # more than a step of the file system's clock
    path.write_bytes(b"SHARP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    path.with_name("new").write_bytes(b"SHARP")
    os.utime(path.with_name("new"), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(path.with_name("new"), path)


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
        changed = FILES | {"train/b.png": content}
        assert data.open_images(str(folder)).fingerprint == expected(changed)


@pytest.mark.parametrize("change", [rewrite_and_set_the_clock_back, replace])
def test_a_file_that_changes_later_is_hashed_again(folder, settled, change):
    assert data.open_images(str(folder)).fingerprint == expected(FILES)
    change(folder / "train/b.png")
    changed = FILES | {"train/b.png": b"SHARP"}
    assert data.open_images(str(folder)).fingerprint == expected(changed)


@pytest.mark.parametrize("form", ["stored.zip", "x.npz"])
def test_what_was_opened_before_a_change_is_not_taken_for_what_lies_there_now(
    folder, settled, form
):
    source, old = pack(folder, form), {"x.npz": "5288bd42e1aa", "stored.zip": "31010596a1d4"}[form]
    before = data.open_images(source, "train")
    write(folder / "train/b.png", b"SHARP")
    np.savez("new.npz", train=np.ones((2, 3, 4, 3), np.uint8))
    os.replace("new.npz" if form == "x.npz" else pack(folder, "new.zip"), source)
    assert before.fingerprint == old
    assert data.open_images(source, "train").fingerprint != old


@pytest.mark.parametrize("form", ["set", "stored.zip", "deflated.zip", "large.npz"])
def test_memory_does_not_grow_with_what_is_hashed(tmp_path, form):
    folder = tmp_path / "set"
    for name in ("a.png", "b.png"):
        write(folder / name, bytes(2**23))
    if form == "large.npz":
        np.savez(tmp_path / form, train=np.zeros((16, 2**10, 2**10), np.uint8))
    opened = data.open_images(str(tmp_path / form) if form == "large.npz" else pack(folder, form))
    opened.items[0].raw()  # an array of an .npz is read, and held, whole
    tracemalloc.start()
    try:
        assert opened.fingerprint
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path):
    write(tmp_path / "a.png", b"sharp!")
    state = partial(contents.file_state, tmp_path / "a.png")
    item = contents.Item("train/a.png", lambda: [b"sha", b"rp"], state)
    with pytest.raises(InputError, match=r"train/a\.png: of 6 bytes, 5 were read"):
        contents.hash_items([item])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"file_size": 6}, r"a\.png: of 6 bytes, 5 were read"),
        ({"file_size": 4}, r"x\.zip: a\.png cannot be read \(Bad CRC"),
        ({"file_size": 999, "compress_size": 999}, r"x\.zip: a\.png cannot be read"),
    ],
)
def test_a_zip_that_lies_about_a_size_is_named(tmp_path, sizes, message):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", b"sharp")
        for field, value in sizes.items():
            setattr(archive.infolist()[0], field, value)
    opened = data.open_images(str(tmp_path / "x.zip"))
    for read in (lambda: opened.fingerprint, lambda: opened[0]):
        with pytest.raises(InputError, match=message):
            read()


def checksums(form="{digest}  {name}\n", **others):
    digests = {name: hashlib.sha256(FILES[name]).hexdigest() for name in list(FILES)[:3]} | others
    digests["train/a.png"] = digests["train/a.png"].upper()  # some tools write them so
    return "".join(form.format(digest=digest, name=name) for name, digest in digests.items())


def verify(folder, text):
    write(folder / "SHA256SUMS", text.encode())
    return contents.verify(sources.open_source(str(folder))[1])


@pytest.mark.parametrize(
    "form", ["{digest}  {name}\n", "{digest} *./{name}\r\n", "\n{digest}\t{name}"]
)
def test_right_checksums_are_counted(folder, form):
    assert verify(folder, checksums(form)) == 3


def test_a_set_without_checksums_passes(folder):
    assert contents.verify(sources.open_source(str(folder))[1]) == 0


@pytest.mark.parametrize("form", ["set", "deflated.zip"])
def test_a_wrong_checksum_names_the_file_whatever_reads_it(folder, settled, form):
    before = data.open_images(pack(folder, form)).fingerprint
    write(folder / "SHA256SUMS", checksums().encode())
    assert data.open_images(pack(folder, form)).fingerprint == before
    write(folder / "SHA256SUMS", checksums(**{"train/b.png": "0" * 64}).encode())
    wrong = data.open_images(source := pack(folder, form))
    whole = sources.open_source(source)[1]
    for read in (lambda: wrong.fingerprint, lambda: wrong[-1], lambda: contents.verify(whole)):
        with pytest.raises(InputError, match=r"train/b\.png: its checksum is wrong"):
            read()
    assert data.open_images(source, "test").fingerprint == "e75a322f03a6"  # not of what is read


@pytest.mark.parametrize("name", ["e\N{COMBINING ACUTE ACCENT}.png", "a\\b.png", "a\nb.png"])
def test_the_names_of_checksums_are_read_as_sha256sum_writes_them(tmp_path, name):
    write(tmp_path / "set" / name, b"one")
    listed = name.replace("e\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER E WITH ACUTE}")
    escaped = listed.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != listed else ""
    for content, right in ((b"one", True), (b"two", False)):
        line = f"{mark}{hashlib.sha256(content).hexdigest()}  {escaped}\n"
        write(tmp_path / "set" / "SHA256SUMS", line.encode())
        opened = data.open_images(str(tmp_path / "set"))
        if right:
            assert opened.fingerprint
        else:
            with pytest.raises(InputError, match="its checksum is wrong"):
                _ = opened.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (checksums() + "0" * 63 + "  c.png", "SHA256SUMS: not a checksum and a name: '000"),
        (checksums(lost="0" * 64), "lost: listed in SHA256SUMS, but not there"),
        (checksums() + "0123456789\n", "SHA256SUMS: not a checksum and a name: '0123456789'"),
        (checksums() + "0" * 64 + "  train/a.png", "SHA256SUMS: two checksums for train/a.png"),
    ],
)
def test_a_list_of_checksums_that_cannot_be_right_is_named(folder, text, message):
    with pytest.raises(InputError, match=message):
        verify(folder, text)
