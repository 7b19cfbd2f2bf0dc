"""CIFAR's binary versions: the same set as an .npz of the same pixels, and its classes."""

import numpy as np
import pytest

from deblurlib import data
from deblurlib.data import cifar
from deblurlib.errors import InputError

COUNT = 3  # images a file


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No data set is found by accident."""
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)


def write(top, source):
    """A tiny set as unpacked in ``top``: its pixels and classes by split, in the order of files."""
    layout, rng = cifar.LAYOUTS[source], np.random.default_rng(0)
    folder = top / layout.folder
    folder.mkdir(parents=True)
    words = [f"class-{i}" for i in range(layout.count)]
    (folder / layout.meta).write_text("\n".join(words) + "\n\n")
    (folder / "readme.html").write_text("about it")
    made = {}
    for split, listed in layout.files.items():
        count = COUNT * len(listed)
        pixels = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = rng.integers(0, layout.count, count)
        for i, file in enumerate(listed):
            content = b""
            for n in range(COUNT * i, COUNT * (i + 1)):
                coarse = [7] * (layout.labels - 1)
                planes = [pixels[n, :, :, c].tobytes() for c in range(3)]
                content += bytes([*coarse, labels[n]]) + b"".join(planes)
            (folder / file).write_bytes(content)
        made[split] = pixels, labels
    arrays = {f"x_{split}": x for split, (x, _) in made.items()}
    arrays |= {f"y_{split}": y for split, (_, y) in made.items()}
    np.savez(top / f"{source}.npz", **arrays, class_names=np.array(words))
    return folder, made


@pytest.mark.parametrize("source", cifar.LAYOUTS)
def test_a_binary_version_is_the_set_that_an_npz_of_its_pixels_is(tmp_path, source):
    folder, made = write(tmp_path, source)
    ways = [f"{source}={folder}", f"{source}={tmp_path}", str(folder)]
    npz = f"{source}={tmp_path / source}.npz"
    for split in ("train", "test"):
        wanted = data.open_images(npz, split)
        for way in ways:
            found = data.open_images(way, split)
            assert found.names == wanted.names
            assert found.names == sorted(found.names)
            assert found.fingerprint == wanted.fingerprint
            for i, array in enumerate(made[split][0]):
                assert np.array_equal(found.items[i].array(), array)
        words = [f"class-{i}" for i in made[split][1]]
        for way in (*ways, npz):
            classes = data.classes(way, split)
            assert [classes[name] for name in wanted.names] == words
    assert data.classes(npz) == data.classes(ways[0])
    assert data.splits(ways[0]) == {"train", "test"}


def test_it_is_found_by_its_name_in_a_folder_of_many_and_other_folders_are_as_before(
    tmp_path, monkeypatch, save_picture
):
    folder, _ = write(tmp_path / "many" / "cifar10", "cifar10")
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path / "many"))
    assert len(data.open_images("cifar10")) == 6 * COUNT
    folder.rename(tmp_path / "other")  # a source's name is enough
    assert len(data.open_images(f"cifar10={tmp_path / 'other'}")) == 6 * COUNT
    with pytest.raises(InputError, match="no image in it"):
        data.open_images(f"cifar100={tmp_path / 'other'}")
    save_picture(tmp_path / "pictures" / "train" / "0.png")
    assert data.open_images(f"cifar10={tmp_path / 'pictures'}").names == ["train/0.png"]


def test_of_two_sets_side_by_side_the_name_says_which_is_meant(tmp_path):
    for source in cifar.LAYOUTS:
        write(tmp_path, source)
    for source in cifar.LAYOUTS:
        assert len(data.open_images(f"{source}={tmp_path}")) == {"10": 18, "100": 6}[source[5:]]
    with pytest.raises(InputError, match="holds two sets: name one of its folders"):
        data.open_images(f"own={tmp_path}")


def test_nothing_of_a_file_is_read_before_an_image_of_it_is(tmp_path, monkeypatch):
    folder, _ = write(tmp_path, "cifar10")
    read, inner = [], cifar.files.read_bytes
    monkeypatch.setattr(
        cifar.files, "read_bytes", lambda path: (read.append(path.name), inner(path))[1]
    )
    images = data.open_images(str(folder), "train")
    assert not read
    for i in (0, COUNT - 1, COUNT, 1):
        assert images[i].shape == (3, 32, 32)
    assert read == ["data_batch_1.bin", "data_batch_2.bin"]


@pytest.mark.parametrize("cut", [1, 3073 * COUNT])
def test_a_file_that_is_cut_short_is_named(tmp_path, cut):
    folder, _ = write(tmp_path, "cifar10")
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"data_batch_3\.bin: \d+ bytes are not whole images"):
        data.open_images(str(folder), "test")


def test_a_file_that_is_missing_or_says_a_label_that_is_none_is_named(tmp_path):
    folder, _ = write(tmp_path, "cifar100")
    path = folder / "test.bin"
    content = bytearray(path.read_bytes())
    content[3074 + 1] = 100
    path.write_bytes(content)
    images = data.open_images(str(folder), "test")
    for ask in (lambda: images[0], lambda: images.fingerprint, lambda: data.classes(str(folder))):
        with pytest.raises(InputError, match=r"test\.bin: image 1 has the label 100, .* of 100"):
            ask()
    path.unlink()
    for ask in (data.open_images, data.classes):
        with pytest.raises(InputError, match=r"test\.bin: no such file"):
            ask(str(folder))


def test_a_set_that_does_not_say_its_classes_is_named(tmp_path, save_picture):
    folder, made = write(tmp_path, "cifar10")
    x, y = made["test"]
    (folder / "batches.meta.txt").write_text("one\ntwo\n")
    np.savez(tmp_path / "bare.npz", test=x)
    np.savez(tmp_path / "odd.npz", x_test=x, y_test=np.eye(10)[y])
    np.savez(tmp_path / "few.npz", x_test=x, y_test=y, class_names=["one"])
    save_picture(tmp_path / "pictures" / "0.png")
    for place, named in {
        folder.name: "names 2 classes instead of 10",
        "bare.npz": "neither y_train nor y_test",
        "odd.npz": r"'y_test' holds float64 \(3, 10\)",
        "few.npz": r"test/00000\d has the label \d, which is no class",
        "pictures": "neither an .npz with labels",
    }.items():
        with pytest.raises(InputError, match=named):
            data.classes(str(tmp_path / place))
    np.savez(tmp_path / "column.npz", x_test=x, y_test=y[:, None])
    named = data.classes(str(tmp_path / "column.npz"))
    assert list(named.values()) == [str(label) for label in y]
    with pytest.raises(InputError, match="no classes of train images"):
        data.classes(str(tmp_path / "column.npz"), "train")
