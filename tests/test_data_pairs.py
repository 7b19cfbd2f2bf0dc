"""Sets of pairs: partners, scenes, kernels, and the two kinds of GoPro's blur."""

import os
import shutil

import numpy as np
import pytest
import torch

from deblurlib import data, files, images, psf
from deblurlib.data import pairing, sources
from deblurlib.errors import InputError

VIEWS = ["train/s1", "train/s2", "test/s1"]
#: two spellings of one name
COMPOSED, DECOMPOSED = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"


@pytest.fixture
def tree(tmp_path, save_picture):
    """A tree like that of GoPro: two pairs a scene, blurred PNG and sharp BMP."""
    for place, view in enumerate(VIEWS):
        for stem in (0, 1):
            save_picture(tmp_path / view / "blur" / f"{stem}.png", 10 * place + stem)
            save_picture(tmp_path / view / "sharp" / f"{stem}.bmp", 10 * place + stem + 5)
    return tmp_path


def open_tree(tree, split=None, name="gopro"):
    return data.open_pairs(f"{name}={tree}", split)


def save_kernel(path, k=((1.0,),)):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # whatever its suffix
        np.save(file, k)


def test_partners_are_files_of_one_stem_sorted_and_their_folder_is_the_scene(tree, save_picture):
    pairs = open_tree(tree)
    assert (pairs.name, pairs.split, len(pairs)) == ("gopro", None, 6)
    assert pairs.names == [f"{view}/sharp/{stem}.bmp" for view in sorted(VIEWS) for stem in (0, 1)]
    assert pairs.scenes == (*["test/s1"] * 2, *["train/s1"] * 2, *["train/s2"] * 2)
    for split, some in (("test", pairs.names[:2]), ("train", pairs.names[2:])):
        assert open_tree(tree, split).names == some
    y, x = pairs[3]  # train/s1, stem 1
    for image, seed in ((y, 1), (x, 6)):
        assert torch.equal(image, images.to_tensor(save_picture(tree / "again.png", seed)))


def test_blur_sharp_and_kernel_are_known_whatever_their_case(tree):
    save_kernel(tree / "train/s1/Kernel/0.npy")
    before = [*open_tree(tree, "train")]
    (tree / "train").rename(tree / "TRAIN")
    (tree / "TRAIN/s1/blur").rename(tree / "TRAIN/s1/Blur")
    (tree / "TRAIN/s1/sharp").rename(tree / "TRAIN/s1/SHARP")
    pairs = open_tree(tree, "train")
    assert pairs.names[:2] == ["TRAIN/s1/SHARP/0.bmp", "TRAIN/s1/SHARP/1.bmp"]
    for now, then in zip(pairs, before, strict=True):
        assert torch.equal(torch.stack(now), torch.stack(then))
    assert [pairs.kernel(i) is None for i in range(4)] == [False, True, True, True]


def test_names_that_look_alike_are_one(tmp_path, save_picture):
    # folders, too
    blurred = save_picture(tmp_path / f"{DECOMPOSED}/blur/caf{DECOMPOSED}.png", 1)
    save_picture(tmp_path / f"{COMPOSED}/sharp/caf{COMPOSED}.png", 2)
    save_kernel(tmp_path / f"{DECOMPOSED}/kernel/caf{DECOMPOSED}.npy", np.full((3, 3), 1 / 9))
    pairs = data.open_pairs(str(tmp_path))
    assert pairs.names == [f"{COMPOSED}/sharp/caf{COMPOSED}.png"]  # as it is written
    assert torch.equal(pairs[0][0], images.to_tensor(blurred))
    assert pairs.kernel(0) is not None
    assert pairs.scenes == (COMPOSED,)
    table = f"split,stem,scene\n{DECOMPOSED},caf{DECOMPOSED},zoo\n"
    (tmp_path / "scenes.csv").write_text(table, "utf-8")
    assert data.open_pairs(str(tmp_path)).scenes == ("zoo",)
    save_picture(tmp_path / f"{COMPOSED}/sharp/caf{DECOMPOSED}.png", 3)
    with pytest.raises(InputError, match=r"sharp/caf.* and .*sharp/caf.*: two files of one stem"):
        data.open_pairs(str(tmp_path))


def test_names_that_are_not_utf_8_are_matched_byte_by_byte(tree):
    for side in ("blur", "sharp"):
        for stem in (b"caf\xe9", b"caf\xe8"):
            path = tree / "old/test" / side / os.fsdecode(stem + b".bmp")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / "test/s1/sharp/0.bmp", path)
    (tree / "old" / "scenes.csv").write_bytes(b"stem,scene\ncaf\xe9,place \xe9\ncaf\xe8,zoo\n")
    pairs = data.open_pairs(str(tree / "old"))
    assert [os.fsencode(scene) for scene in pairs.scenes] == [b"zoo", b"place \xe9"]
    assert len({pairs.fingerprint, pairs.take([0]).fingerprint, pairs.take([1]).fingerprint}) == 3
    assert len({*pairs.keys}) == 2


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


def test_partners_of_different_size_are_both_named(tree, save_picture):
    save_picture(tree / "test/s1/sharp/1.bmp", height=6)
    pairs = open_tree(tree)
    assert len(pairs[0]) == 2
    named = r"blur/1\.png has 5 x 7 pixels, but .*sharp/1\.bmp has 6 x 7"
    with pytest.raises(InputError, match=named):
        pairs[1]


def test_a_set_without_pairs_says_so(tree):
    for name, blur in (("gopro", "blur"), ("gopro-gamma", "blur_gamma")):
        with pytest.raises(InputError, match=rf"no folder under val/ .*{blur}/"):
            open_tree(tree, "val", name)
    with pytest.raises(InputError, match=r"sharp/0\.bmp has no partner in blur_gamma/"):
        open_tree(tree, None, "gopro-gamma")
    with pytest.raises(InputError, match=r"no folder with images in blur/"):
        data.open_pairs("sample")


# ---------------------------------------------------------------- tables of scenes


@pytest.mark.parametrize(
    ("table", "scenes"),
    [
        ("stem,scene\n0,zoo\n1,pier\n", ("zoo", "pier") * 3),
        (
            "split,stem,scene\ntrain,0,zoo\nTrain,1,pier\ntest,0,beach\n,1,moor\n",
            ("beach", "moor", "zoo", "pier", "zoo", "pier"),
        ),
    ],
    ids=["by-stem", "by-split-and-stem"],
)
def test_a_table_of_scenes_overrules_the_folders(tree, table, scenes):
    (tree / "scenes.csv").write_text(table, "utf-8")
    assert open_tree(tree).scenes == scenes


@pytest.mark.parametrize(
    ("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")]
)
def test_a_table_of_scenes_may_come_from_any_spreadsheet(tree, separator, encoding):
    head, empty, one = [" Stem", "SCENE ", "note"], ["", "", ""], ["0", f" caf{COMPOSED}", ""]
    # a row twice says nothing new; composed or not, a name looks the same
    rows = [head, empty, one, ["1 ", f"caf{DECOMPOSED}"], one, ["", ""]]
    text = "\r\n".join(separator.join(row) for row in rows)
    (tree / "Scenes.csv").write_bytes(text.encode(encoding))
    assert open_tree(tree).scenes == (f"caf{COMPOSED}",) * 6


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("stem,place\n0,zoo\n", "needs the columns"),
        ("stem,stem,scene\n0,0,zoo\n", "needs the columns"),
        ("", "needs the columns"),
        ("stem,scene\n0,zoo\n", "no row names test/s1/sharp/1.bmp"),
        ("split,stem,scene\ntrain,0,a\ntrain,1,a\ntest,0,b\n", "no row names test/s1/sharp/1.bmp"),
        ("stem,scene\n0,zoo\n1,zoo\n\n02,zoo\n", "line 5 names 02, .* here 0 and 1"),
        ("stem,scene\n0,zoo\n1,zoo\n0,pier\n", "lines 2 and 4 give 0 two scenes, zoo and pier"),
        ("stem,scene\n0,zoo\n1\n", "line 3 has no scene"),
        ("stem,scene\n , zoo\n1,zoo\n", "line 2 has no stem"),
        ("stem,scene\n0,New York, NY\n1,zoo\n", "line 2 has 3 values for 2 columns"),
        ("split,stem,scene\nval,0,a\n", "line 2 names the split val, .* in test/, train/"),
        (b"\xff\xfe\x00\xd8", "UTF-16"),  # half a character
        pytest.param("stem,scene\n0," + "z" * 200_000, "line 2 cannot be read", id="long"),
    ],
)
@pytest.mark.parametrize("split", [None, "train"])
def test_a_table_of_scenes_that_does_not_match_the_pairs_is_named(tree, table, message, split):
    (tree / "scenes.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(InputError, match=rf"scenes\.csv: .*{message}"):
        open_tree(tree, split)


def test_a_set_has_one_table_of_scenes(tree):
    for name in ("scenes.csv", "Scenes.csv"):
        (tree / name).write_text("stem,scene\n0,zoo\n1,zoo\n")
    with pytest.raises(InputError, match=r"Scenes\.csv and scenes\.csv"):
        open_tree(tree)


def test_a_table_of_a_set_that_is_not_split_names_no_split(tmp_path, save_picture):
    for side in ("blur", "sharp"):
        save_picture(tmp_path / side / "a.png")
    (tmp_path / "scenes.csv").write_text("split,stem,scene\ntest,a,zoo\n")
    with pytest.raises(InputError, match="line 2 names the split test, but the set is not split"):
        data.open_pairs(str(tmp_path))


# ---------------------------------------------------------------- the two kinds of blur


def test_gopro_and_gopro_gamma_are_one_tree_with_two_kinds_of_blur(tree, save_picture):
    def both(split=None):
        return [open_tree(tree, split, name) for name in ("gopro", "gopro-gamma")]

    for blurred in sorted(tree.rglob("blur/*")):
        path = tree / str(blurred.relative_to(tree)).replace("blur", "blur_gamma")
        save_picture(path, 100 + sum(blurred.read_bytes()))
    plain, gamma = both()
    assert (plain.name, gamma.name) == ("gopro", "gopro-gamma")
    assert plain.names == gamma.names
    assert plain.scenes == gamma.scenes
    assert plain.fingerprint != gamma.fingerprint
    assert [len(pairs) for pairs in both("train")] == [4, 4]
    for i, name in enumerate(plain.names):
        stem = tree / name.replace("/sharp/", "/{}/").replace(".bmp", ".png")
        for pairs, side in ((plain, "blur"), (gamma, "blur_gamma")):
            y, x = pairs[i]
            assert torch.equal(y, files.read_image(str(stem).format(side)))
            assert torch.equal(x, files.read_image(tree / name))
    save_picture(tree / "train/s1/blur_gamma/0.png", seed=99)
    again, other = both()
    assert again.fingerprint == plain.fingerprint
    assert other.fingerprint != gamma.fingerprint
    (tree / "train/s1/blur/0.png").unlink()
    assert len(open_tree(tree, None, "gopro-gamma")) == 6
    with pytest.raises(InputError, match=r"train/s1/sharp/0\.bmp has no partner in blur/"):
        open_tree(tree)


# ---------------------------------------------------------------- kernels


def test_a_known_kernel_is_read_and_counts_in_the_fingerprint(tree):
    before = open_tree(tree).fingerprint
    k = psf.motion(5, 30)
    save_kernel(tree / "train/s1/kernel/1.npy", k.double().numpy())
    pairs = open_tree(tree)
    assert torch.equal(pairs.kernel(3), k)
    assert [pairs.kernel(i) for i in (0, 1, 2, 4, 5)] == [None] * 5
    assert pairs.fingerprint != before


def test_a_kernel_may_be_any_file_that_kernels_are_read_from(tree, monkeypatch):
    path = tree / "test/s1/kernel/1.TIF"
    save_kernel(path)
    for note in ("README.txt", "License.txt", "shown.pdf"):
        path.with_name(note).write_text("about the kernels")
    read = []
    monkeypatch.setattr(files, "decode_kernel", lambda content, name: read.append((content, name)))
    pairs = open_tree(tree)
    assert pairs.kernel(0) is pairs.kernel(1) is None
    assert read == [(path.read_bytes(), "test/s1/kernel/1.TIF")]


def test_what_is_no_kernel_is_named(tree):
    save_kernel(tree / "test/s1/kernel/0.npy")
    (tree / "test/s1/kernel/0.npy").write_bytes(b"text")
    with pytest.raises(InputError, match=r"test/s1/kernel/0\.npy: "):
        open_tree(tree).kernel(0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0.npy", "0.png"], r"kernel/0\.npy and .*kernel/0\.png: two files of one stem"),
        (["0.npy", "7.txt"], r"test/s1/kernel/7\.txt is the kernel of no pair beside it"),
    ],
)
def test_kernels_that_are_not_one_for_a_pair_are_named(tree, names, message):
    for name in names:
        save_kernel(tree / "test/s1/kernel" / name)
    assert len(open_tree(tree, "train")) == 4
    with pytest.raises(InputError, match=message):
        open_tree(tree)
