"""CelebA as it is unpacked: its parts are those of the list, and the list is all there is."""

import pytest
import torch

from deblurlib import data, files
from deblurlib.data import celeba
from deblurlib.errors import InputError

#: The list of a tiny set, in an order that is not that of its names.
PARTS = {
    "000003.jpg": "2",
    "000001.jpg": "0",
    "000005.jpg": "1",
    "000002.jpg": "2",
    "000004.jpg": "0",
}
NAMES = [
    "test/000002.jpg",
    "test/000003.jpg",
    "train/000001.jpg",
    "train/000004.jpg",
    "valid/000005.jpg",
]
TXT, CSV = celeba.PARTITIONS


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No data set is found by accident."""
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)


@pytest.fixture
def folder(tmp_path, save_picture):
    """The tiny set as torchvision lays it out, in a folder ``celeba`` of a root."""
    folder = tmp_path / "root" / "celeba"
    for file in PARTS:
        save_picture(folder / celeba.IMAGES / file, int(file[:6]))
    (folder / celeba.IMAGES / "Thumbs.db").write_text("no image")
    (folder / TXT).write_text("".join(f"{file} {part}\n" for file, part in PARTS.items()))
    return folder


def test_its_parts_are_those_of_the_list_by_any_name_and_of_either_folder(folder):
    pixels = {name: files.read_image(folder / celeba.IMAGES / name[-10:]) for name in NAMES}
    root = folder.parent
    for way in (str(folder), str(root), f"celeba={folder}", f"celeba={root}", f"own={root}"):
        whole = data.open_images(way)
        assert whole.names == NAMES
        assert all(torch.equal(whole[i], pixels[name]) for i, name in enumerate(NAMES))
        for split in ("train", "valid", "test"):
            part = data.open_images(way, split)
            assert part.names == [name for name in NAMES if name.startswith(split)]
        assert data.splits(way) == {"train", "test"}
    lines = [f"{file} 1\n" for file in PARTS]  # a part alone keeps its name
    (folder / TXT).write_text("".join(lines))
    assert len(data.open_images(str(folder), "valid")) == len(PARTS)


def test_kaggles_copy_is_the_same_set(folder):
    wanted = data.open_images(str(folder)).fingerprint
    images = folder / celeba.IMAGES
    images.rename(folder / "inner")
    images.mkdir()
    (folder / "inner").rename(images / celeba.IMAGES)
    rows = ["image_id,partition", *(f"{file},{part}" for file, part in PARTS.items()), ""]
    (folder / TXT).unlink()
    (folder / CSV).write_text("\r\n".join(rows), "utf-8-sig", newline="")
    assert data.open_images(str(folder)).fingerprint == wanted
    (folder / CSV).unlink()
    (folder / TXT).write_text("\n".join(rows[1:]), "utf-8-sig")  # commas in the .txt, too
    assert data.open_images(str(folder)).fingerprint == wanted


def test_the_command_says_what_is_in_it(folder, command):
    code, out, _ = command("data", f"celeba={folder}")
    assert code == 0
    assert "celeba: 5 images" in out


def test_nothing_of_an_image_is_asked_before_it_is_read(folder, monkeypatch):
    asked = []
    for name, inner in (("file_state", celeba.file_state), ("_read", celeba._read)):
        monkeypatch.setattr(celeba, name, lambda *a, inner=inner: (asked.append(a), inner(*a))[1])
    images = data.open_images(str(folder), "train")
    assert not asked
    assert images[1].shape == (3, 5, 7)
    assert [args[-1] for args in asked] == ["000004.jpg"]


def test_a_folder_that_is_sorted_or_of_another_name_is_read_as_before(folder, save_picture):
    found = data.open_images(f"imagenet={folder}")
    assert found.names == [f"{celeba.IMAGES}/{file}" for file in sorted(PARTS)]
    save_picture(folder / "Train" / "a.png")
    assert data.open_images(str(folder), "train").names == ["Train/a.png"]
    assert data.open_images(f"celeba={folder.parent / 'celeba' / 'Train'}").names == ["a.png"]


def test_beside_cifar_the_name_says_which_is_meant(folder, save_picture):
    cifar = folder.parent / "cifar-10-batches-bin"
    cifar.mkdir()
    for i in range(1, 6):
        (cifar / f"data_batch_{i}.bin").write_bytes(bytes(3073))
    (cifar / "test_batch.bin").write_bytes(bytes(3073))
    assert data.open_images(f"celeba={folder.parent}").names == NAMES
    assert len(data.open_images(f"cifar10={folder.parent}")) == 6
    with pytest.raises(InputError, match="holds two sets: name one of its folders"):
        data.open_images(f"own={folder.parent}")


def test_what_is_not_unpacked_or_not_there_is_named(folder):
    (folder / TXT).rename(folder.parent / TXT)
    with pytest.raises(InputError, match=rf"{TXT}: no such file; .* from the same page"):
        data.open_images(f"celeba={folder}")
    assert len(data.open_images(f"own={folder}")) == len(PARTS)  # a folder of images, as any
    (folder.parent / TXT).rename(folder / TXT)
    (folder / celeba.IMAGES).rename(folder.parent / "elsewhere")
    with pytest.raises(InputError, match=rf"{celeba.IMAGES}: no such folder; .* unpacks to it"):
        data.open_images(f"celeba={folder.parent}")
    (folder / celeba.ARCHIVE).write_bytes(b"PK")
    with pytest.raises(InputError, match=rf"{celeba.ARCHIVE}: unpack it here"):
        data.open_images(f"celeba={folder}", "train")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("000006.jpg", r"line 6 is '000006\.jpg'; expected is an image and its part"),
        ("000006 0", "line 6 is '000006 0'"),
        ("000006.jpg 0 1", "line 6 is"),
        ("image_id,partition", "line 6 is"),  # a header is the first line
        ("000006.jpg 3", r"line 6 gives 000006\.jpg the part '3'; expected is 0 \(train\)"),
        ("000005.jpg 1", r"lines 3 and 6 both list 000005\.jpg"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(folder, line, named):
    with open(folder / TXT, "a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=rf"{TXT}: {named}"):
        data.open_images(str(folder), "test")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "lists no image"),
        ("image_id,partition\n", "lists no image"),
        ("<!DOCTYPE html>\n", "line 1 is '<!DOCTYPE html>'"),
        ("000001 0\n", "line 1 is"),  # no header, though no image either
        ("000001.jpg x\n", "line 1 gives"),
    ],
)
def test_a_file_that_is_no_list_is_named(folder, text, named):
    (folder / TXT).write_text(text)
    with pytest.raises(InputError, match=rf"{TXT}: {named}"):
        data.open_images(str(folder))


def test_an_image_that_only_the_list_or_only_the_folder_knows_is_named(folder, save_picture):
    images = folder / celeba.IMAGES
    extra = images / "000006.jpg"
    save_picture(extra)
    with pytest.raises(InputError, match=rf"000006\.jpg: is there, but not listed in {TXT}"):
        data.open_images(str(folder), "train")
    extra.unlink()
    for file, named in {"000004.jpg": "is listed", "000002.jpg": "it and 1 more are"}.items():
        (images / file).unlink()
        with pytest.raises(InputError, match=rf"{file}: {named}.* but not there: unpack"):
            data.open_images(str(folder), "train")
