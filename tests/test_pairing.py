"""Sets of pairs: partners, scenes, kernels, and the two kinds of GoPro's blur."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from deblurlib import data, files, images, psf
from deblurlib.data import pairing, sources
from deblurlib.errors import InputError

VIEWS = ["train/s1", "train/s2", "test/s1"]


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
        (
            "split,stem,scene\ntrain,0,zoo\nTrain,1,pier\ntest,0,beach\n,1,moor\n",
            ("beach", "moor", "zoo", "pier", "zoo", "pier"),
        ),
        ("\ufeffscene,stem\r\nzoo,0\r\nzoo,1\r\n", ("zoo",) * 6),
    ],
    ids=["by-stem", "by-split-and-stem", "from-a-spreadsheet"],
)
def test_a_table_of_scenes_overrules_the_folders(tree, table, scenes):
    (tree / "scenes.csv").write_text(table, "utf-8")
    assert open_tree(tree).scenes == scenes


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_scenes_may_come_from_any_spreadsheet(tree, separator, encoding):
    rows = [
        [" Stem", "SCENE ", "note"],
        ["", "", ""],
        ["0", " caf\u00e9", ""],
        ["1 ", "cafe\u0301"],
    ]
    rows += [rows[2], ["", ""]]  # a row twice says nothing new
    text = "\r\n".join(separator.join(row) for row in rows)
    (tree / "Scenes.csv").write_bytes(text.encode(encoding))
    assert open_tree(tree).scenes == ("caf\u00e9",) * 6  # composed or not, it looks the same


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,scene\n0,zoo\n", "needs the columns stem and scene"),
        ("stem,place\n0,zoo\n", "needs the columns stem and scene"),
        ("stem,stem,scene\n0,0,zoo\n", "needs the columns stem and scene"),
        ("", "needs the columns stem and scene"),
        ("stem,scene\n", "no row names test/s1/sharp/0.bmp"),
        ("stem,scene\n0,zoo\n", "no row names test/s1/sharp/1.bmp"),
        ("split,stem,scene\ntrain,0,a\ntrain,1,a\ntest,0,b\n", "no row names test/s1/sharp/1.bmp"),
        ("stem,scene\n0,zoo\n1,zoo\n\n02,zoo\n", "line 5 names 02, but no pair .* here 0 and 1"),
        ("stem,scene\n0.png,zoo\n1,zoo\n", "line 2 names 0.png, but no pair has that stem"),
        ("stem,scene\n0,zoo\n1,zoo\n0,pier\n", "lines 2 and 4 give 0 two scenes, zoo and pier"),
        ("stem,scene\n0,zoo\n1,\n", "line 3 has no scene"),
        ("stem,scene\n0,zoo\n1\n", "line 3 has no scene"),
        ("stem,scene\n , zoo\n1,zoo\n", "line 2 has no stem"),
        ("stem,scene\n0,New York, NY\n1,zoo\n", "line 2 has 3 values for 2 columns"),
        ("split,stem,scene\nval,0,a\n", "line 2 names the split val, but pairs are in test/, tra"),
        ("\ufffe", "UTF-16"),
    ],
)
@pytest.mark.parametrize("split", [None, "train"])
def test_a_table_of_scenes_that_does_not_match_the_pairs_is_named(tree, table, message, split):
    damaged = b"\xff\xfe\x00\xd8"  # half a character
    (tree / "scenes.csv").write_bytes(damaged if message == "UTF-16" else table.encode())
    with pytest.raises(InputError, match=rf"scenes\.csv: .*{message}"):
        open_tree(tree, split)


def test_a_table_of_a_set_that_is_not_split_names_no_split(tmp_path, save_picture):
    for side in ("blur", "sharp"):
        save_picture(tmp_path / side / "a.png")
    (tmp_path / "scenes.csv").write_text("split,stem,scene\ntest,a,zoo\n")
    with pytest.raises(InputError, match="line 2 names the split test, but the set is not split"):
        data.open_pairs(str(tmp_path))


def test_names_that_are_not_utf_8_are_matched_byte_by_byte(tree, save_picture):
    for side in ("blur", "sharp"):
        for stem in (b"caf\xe9", b"caf\xe8"):
            shutil.copy(tree / "test/s1/sharp/0.bmp", os.fsencode(tree / "new") + stem)
            os.makedirs(tree / "old" / "test" / side, exist_ok=True)
            os.rename(
                os.fsencode(tree / "new") + stem,
                os.fsencode(tree / "old/test" / side) + b"/" + stem + b".bmp",
            )
    (tree / "old" / "scenes.csv").write_bytes(b"stem,scene\ncaf\xe9,place \xe9\ncaf\xe8,zoo\n")
    pairs = data.open_pairs(str(tree / "old"))
    assert [os.fsencode(scene) for scene in pairs.scenes] == [b"zoo", b"place \xe9"]
    assert len({pairs.fingerprint, pairs.take([0]).fingerprint, pairs.take([1]).fingerprint}) == 3
    assert len({*pairs.keys}) == 2


def test_blur_sharp_and_kernel_are_known_whatever_their_case(tree):
    save_kernel(tree / "train/s1/Kernel/0.npy", np.full((3, 3), 1 / 9))
    before = [*open_tree(tree, "train")]
    (tree / "train").rename(tree / "TRAIN")
    (tree / "TRAIN/s1/blur").rename(tree / "TRAIN/s1/Blur")
    (tree / "TRAIN/s1/sharp").rename(tree / "TRAIN/s1/SHARP")
    pairs = open_tree(tree, "train")
    assert len(pairs) == 4
    assert pairs.names[:2] == ["TRAIN/s1/SHARP/0.bmp", "TRAIN/s1/SHARP/1.bmp"]
    for i in range(4):
        for one, other in zip(pairs[i], before[i], strict=True):
            assert torch.equal(one, other)
    assert [pairs.kernel(i) is None for i in range(4)] == [False, True, True, True]


def test_names_that_look_alike_are_one(tmp_path, save_picture):
    # folders, too
    blurred = save_picture(tmp_path / "a\u0300/blur/cafe\u0301.png", 1)
    save_picture(tmp_path / "\u00e0/sharp/caf\u00e9.png", 2)
    save_kernel(tmp_path / "a\u0300/kernel/cafe\u0301.npy", np.full((3, 3), 1 / 9))
    pairs = data.open_pairs(str(tmp_path))
    assert pairs.names == ["\u00e0/sharp/caf\u00e9.png"]  # as it is written
    assert torch.equal(pairs[0][0], images.to_tensor(blurred))
    assert pairs.kernel(0) is not None
    assert pairs.scenes == ("\u00e0",)
    (tmp_path / "scenes.csv").write_text("split,stem,scene\na\u0300,cafe\u0301,zoo\n", "utf-8")
    assert data.open_pairs(str(tmp_path)).scenes == ("zoo",)
    save_picture(tmp_path / "\u00e0/sharp/cafe\u0301.png", 3)
    with pytest.raises(InputError, match=r"sharp/caf.* and .*sharp/caf.*: two files of one stem"):
        data.open_pairs(str(tmp_path))


def test_one_file_per_stem():
    assert pairing.one_per_stem(["b/2.png", "a/1.png"]) == {"2": "b/2.png", "1": "a/1.png"}
    with pytest.raises(InputError, match=r"1\.png and 1\.jpg: two files of one stem"):
        pairing.one_per_stem(["1.png", "2.png", "1.jpg"])


def test_each_file_of_a_set_of_pairs_is_looked_at_a_few_times_at_most(tree, monkeypatch):
    # not once for each folder and side: of a thousand scenes that took minutes
    (*_, items) = sources.open_source(str(tree))
    seen, known = [], pairing.names.side
    monkeypatch.setattr(pairing.names, "side", lambda name: seen.append(name) or known(name))
    assert len(pairing.find("tree", "tree", items, None)) == 6
    assert sorted(seen) == sorted(item.name for item in items)


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


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"])
def test_what_is_no_kernel_is_named(tree, content):
    save_kernel(tree / "test/s1/kernel/0.npy", [[1.0]])
    (tree / "test/s1/kernel/0.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"test/s1/kernel/0\.npy: (holds no|not a k|line 1 is)"):
        open_tree(tree).kernel(0)


@pytest.mark.parametrize("suffix", [".mat", ".TIF"])
def test_a_kernel_may_be_any_file_that_kernels_are_read_from(tree, monkeypatch, suffix):
    save_kernel(tree / "test/s1/kernel/1.npy", [[1.0]])
    (tree / "test/s1/kernel/1.npy").rename(tree / f"test/s1/kernel/1{suffix}")
    for note in ("README.txt", "License.txt", "shown.pdf"):
        (tree / "test/s1/kernel" / note).write_text("about the kernels")
    read = []
    monkeypatch.setattr(files, "decode_kernel", lambda content, name: read.append((content, name)))
    pairs = open_tree(tree)
    assert pairs.kernel(0) is pairs.kernel(1) is None
    path = tree / f"test/s1/kernel/1{suffix}"
    assert read == [(path.read_bytes(), f"test/s1/kernel/1{suffix}")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0.npy", "0.png"], r"kernel/0\.npy and .*kernel/0\.png: two files of one stem"),
        (["0.npy", "7.txt"], r"test/s1/kernel/7\.txt is the kernel of no pair beside it"),
    ],
)
def test_kernels_that_are_not_one_for_a_pair_are_named(tree, names, message):
    for name in names:
        save_kernel(tree / "test/s1/kernel/x.npy", [[1.0]])
        (tree / "test/s1/kernel/x.npy").rename(tree / "test/s1/kernel" / name)
    assert len(open_tree(tree, "train")) == 4
    with pytest.raises(InputError, match=message):
        open_tree(tree)


@pytest.mark.parametrize("name", ["train/s1/blur/0.png", "train/s1/sharp/0.bmp"])
def test_fingerprint_of_pairs_counts_both_sides(tree, save_picture, name):
    before = open_tree(tree).fingerprint
    save_picture(tree / name, seed=99)
    assert open_tree(tree).fingerprint != before
