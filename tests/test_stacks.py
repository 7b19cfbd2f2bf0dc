"""TIFF stacks and floating-point TIFFs, as microscopes make them: restored, kept, or refused."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import test_cli_restore
import tifffile
import torch
from PIL import Image
from test_cli_restore import files as files_here
from test_photos import full_disk

from deblurlib import files, psf, restoration
from deblurlib.cli import watching
from deblurlib.errors import InputError
from deblurlib.files import directories, stacks
from deblurlib.restoration import METHODS, Request, Step, restore, restore_files

deblur = test_cli_restore.deblur  # the fixture
RANDOM = np.random.default_rng(0).random((3, 24, 30, 3)).astype(np.float32)
GREY, COLOUR = RANDOM[..., 0], RANDOM
DEEP = (GREY * 65535).astype(np.uint16)
BLOBS = cv2.normalize(cv2.GaussianBlur(GREY[0] ** 30, (0, 0), 1.2), None, 0, 1, cv2.NORM_MINMAX)
#: kinds of stacks: values, and how they are stored
KINDS = {
    "8": ((GREY * 255).astype(np.uint8), {}),
    "8, colour": ((COLOUR * 255).astype(np.uint8), {"photometric": "rgb"}),
    "16, zip": (DEEP, {"compression": "zlib"}),
    "16, colour, tiles": ((COLOUR * 65535).astype(np.uint16), {"tile": (16, 16)}),
    "16, ImageJ": (DEEP, {"imagej": True}),
    "16, ImageJ, one directory": (DEEP, {"imagej": True, "truncate": True}),
    "16, big": (DEEP, {"bigtiff": True, "rowsperstrip": 5}),
    "float": (GREY, {}),
    "float, Motorola": (GREY, {"byteorder": ">", "compression": "zlib"}),
    "float, LZW": (GREY, {}),
    "float, colour": (COLOUR, {"photometric": "rgb"}),
    "double": (GREY.astype(np.float64), {"ome": True}),
}
KERNELS = torch.stack([psf.gaussian(sigma, 11) for sigma in (0.8, 1.2, 1.6)])


def save(path, array, **options):
    plain = {} if {"imagej", "ome"} & set(options) else {"metadata": None}
    if array.shape[-1] == 3:
        options["photometric"] = "rgb"
    elif "photometric" not in options:
        options["photometric"] = "minisblack"
    tifffile.imwrite(path, array, **plain, **options)
    return path


def saved(array, **options):
    return save(io.BytesIO(), array, **options).getvalue()


# ---- what comes out


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_is_restored_as_its_planes_are_one_by_one(deblur, kind):
    array, options = KINDS[kind]
    if "LZW" in kind:  # which tifffile reads and writes with another package only
        first, *others = (Image.fromarray(plane) for plane in array)
        first.save("stack.tif", save_all=True, append_images=others, compression="tiff_lzw")
    else:
        save("stack.tif", array, **options)
    for number, plane in enumerate(array):
        save(f"{number}.tif", plane)
    code, out, err = deblur("stack.tif", "-o", "new/out.tif", "--tile", 24)
    assert (code, err) == (0, "")
    assert out.startswith("new/out.tif  30 x 24, 3 planes  ")
    assert deblur("0.tif", "1.tif", "2.tif", "-o", "new", "--tile", 24)[0] == 0
    with tifffile.TiffFile("new/out.tif") as file:
        made = np.stack([page.asarray() for page in file.pages])
    assert made.dtype == (np.float32 if array.dtype == np.float64 else array.dtype)
    assert np.array_equal(made, [tifffile.imread(f"new/{n}.tif") for n in range(3)])
    assert not np.array_equal(made, array)
    assert files_here("new") == ["0.tif", "1.tif", "2.tif", "out.tif"]


@pytest.mark.parametrize("name", ["unsharp-mask", "richardson-lucy-tv", "wiener"])
def test_floats_are_restored_as_their_16_bits_are_and_in_their_own_unit(deblur, name):
    """Once in [0, 1], once in a unit of their own, with values below 0."""
    deep = np.rint(BLOBS * 65535).astype(np.uint16)
    save("deep.tif", deep)
    floats = (deep / np.float64(65535)).astype(np.float32)
    save("same.tif", floats)
    save("other.tif", floats * np.float32(3000) - np.float32(20))
    method = METHODS[name].with_settings(iterations=5) if "lucy" in name else METHODS[name]
    request = Request(method, kernel=None if method.blind else psf.gaussian(1.0))
    outcomes = list(restore_files(["deep.tif", "same.tif", "other.tif"], request, Path("out")))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    by_16, same, other = (tifffile.imread(f"out/{o.target.name}") for o in outcomes)
    assert same.dtype == other.dtype == np.float32
    assert same.max() > 1  # not cut off where the brightest value was
    assert np.abs(by_16 / 65535 - same.clip(0, 1)).max() <= 0.51 / 65535
    assert np.abs((other + 20) / 3000 - same).max() < 1e-5


def test_of_a_stack_all_planes_are_in_one_unit_and_a_dark_one_is_not_black(deblur, monkeypatch):
    seen = []

    def noted(pixels, *given, clip):
        seen.append(pixels)
        return pixels

    monkeypatch.setattr(restoration.stacks, "restore", noted)
    save("a.tif", np.stack([BLOBS * 10, BLOBS * 1000 - 200]))
    save("dark.tif", np.stack([BLOBS * 1e-6, BLOBS * 1e-5]))
    assert deblur("a.tif", "dark.tif", "-o", "out")[0] == 0
    for planes in (((10 * BLOBS + 200) / 1000, BLOBS), (BLOBS / 10, BLOBS)):
        for plane in planes:
            assert np.allclose(seen.pop(0)[..., 0], plane, atol=1e-6)
    assert np.allclose(tifffile.imread("out/a.tif"), tifffile.imread("a.tif"), atol=1e-3)


def test_a_flat_stack_below_0_stays_as_it_is(deblur):
    save("flat.tif", np.full((2, 5, 5), -7, np.float32))
    assert deblur("flat.tif", "-o", "out.tif")[0] == 0
    assert np.array_equal(tifffile.imread("out.tif"), np.full((2, 5, 5), -7))


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_each_plane_may_have_its_own_kernel(deblur, suffix):
    save("stack.tif", DEEP)
    path = Path(f"psf{suffix}")
    np.save(path, KERNELS.numpy()) if suffix == ".npy" else save(path, KERNELS.numpy())
    assert torch.equal(files.read_kernels(path), KERNELS)
    options = ("--method", "wiener", "--kernel", path)
    assert deblur("stack.tif", "-o", "out.tif", *options)[0] == 0
    made = tifffile.imread("out.tif")
    for plane, kernel, found in zip(DEEP, KERNELS, made, strict=True):
        assert np.array_equal(found, restore(plane, "wiener", kernel))
    np.save("one.npy", KERNELS[:1].numpy())
    assert deblur("stack.tif", "-o", "one.tif", *options[:3], "one.npy")[0] == 0
    assert np.array_equal(tifffile.imread("one.tif")[0], made[0])
    save("two.tif", DEEP[:2])
    save("picture.tif", DEEP[0])
    for name, has in (("two.tif", "has 2 planes"), ("picture.tif", "is one picture")):
        code, _, err = deblur(name, "-o", "no.tif", *options)
        words = f"deblur: {name}: {has}, and there are 3 kernels; give one, or as many\n"
        assert (code, err, os.path.exists("no.tif")) == (2, words, False)


def test_what_is_no_stack_of_kernels_is_one_sentence(tmp_path):
    np.save(tmp_path / "picture.npy", COLOUR[0])
    save(tmp_path / "colour.tif", COLOUR)
    save(tmp_path / "picture.tif", COLOUR[0])
    for name, words in (
        ("picture.npy", r"not one kernel \(h, w\)"),
        ("colour.tif", "grey"),
        ("picture.tif", r"not one kernel"),
    ):
        with pytest.raises(InputError, match=rf"{name}: [^\n]*{words}[^\n]*$"):
            files.read_kernels(tmp_path / name)
    save(tmp_path / "large.tif", GREY)
    with pytest.raises(InputError, match="kernels of more than 1,000 values"):
        files.read_kernels(tmp_path / "large.tif", 1000)


# ---- what is kept


def test_imagej_shows_the_result_as_it_shows_the_stack(deblur):
    words = {"axes": "TZCYX", "spacing": 0.3, "unit": "um", "finterval": 2.5, "mode": "composite"}
    words |= {"Labels": [f"plane {n}" for n in range(12)], "Ranges": (0.0, 1.0) * 3}
    words |= {"LUTs": [np.arange(768, dtype=np.uint8).reshape(3, 256)] * 3}
    array = np.resize(GREY, (2, 2, 3, 24, 30))
    options = {"resolution": (12.5, 12.5), "imagej": True, "metadata": words, "byteorder": ">"}
    tifffile.imwrite("a.tif", array, **options)
    assert deblur("a.tif", "-o", "b.tif", "--method", "identity")[0] == 0
    with tifffile.TiffFile("a.tif") as before, tifffile.TiffFile("b.tif") as after:
        assert after.imagej_metadata.keys() == before.imagej_metadata.keys()
        assert after.imagej_metadata["Labels"] == words["Labels"]
        assert np.array_equal(after.imagej_metadata["LUTs"], words["LUTs"])
        assert after.series[0].axes == "TZCYX"
        assert np.array_equal(after.asarray(), before.asarray())
        for number in (0, 11):
            tags = [file.pages[number].tags for file in (before, after)]
            for tag in ("XResolution", "YResolution", "ResolutionUnit"):
                assert tags[0][tag].value == tags[1][tag].value


def test_imagejs_palette_is_no_colour_of_the_picture(deblur):
    """ImageJ stores the colours in which 8 bits are shown as a palette."""
    shown = np.arange(768, dtype=np.uint16).reshape(3, 256) * 80
    array = KINDS["8"][0]
    with tifffile.TiffWriter("a.tif") as writer:
        for plane in array:
            words = {"description": "ImageJ=1.54f\nimages=3\nslices=3\n", "metadata": None}
            writer.write(plane, photometric="palette", colormap=shown, **words)
    assert deblur("a.tif", "-o", "b.tif")[0] == 0
    with tifffile.TiffFile("b.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert np.array_equal(file.pages[0].tags[320].value, shown)
        for page, plane in zip(file.pages, array, strict=True):
            assert np.array_equal(page.asarray(), restore(plane, METHODS["unsharp-mask"]))


def test_omes_words_are_kept_unless_the_size_changes(deblur):
    words = {"axes": "ZYX", "PhysicalSizeZ": 0.3, "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite("a.ome.tif", GREY.astype(np.float64), ome=True, metadata=words)
    assert deblur("a.ome.tif", "-o", "b.tif")[0] == 0
    with tifffile.TiffFile("a.ome.tif") as before, tifffile.TiffFile("b.tif") as after:
        assert after.ome_metadata == before.ome_metadata.replace('"double"', '"float"')
        assert "µm" in after.ome_metadata
        assert (after.series[0].axes, after.series[0].shape) == ("ZYX", GREY.shape)
    _, out, _ = deblur("a.ome.tif", "-o", "c.tif", "--size", 15)
    assert out.startswith("c.tif  15 x 12, reduced from 30 x 24, 3 planes  ")
    assert out.splitlines()[0].endswith("  without the words of OME")
    assert tifffile.imread("c.tif").shape == (3, 12, 15)


def test_a_scanners_thumbnail_is_no_picture(deblur):
    def two(path, first):
        with tifffile.TiffWriter(path) as writer:
            for array, kind in ((first, 0), (DEEP[1, :6, :8], 1)):
                writer.write(array, subfiletype=kind, resolution=(300, 300), resolutionunit=2)

    two("a.tif", DEEP[0])
    code, out, err = deblur("a.tif", "-o", "b.tif", "--compare", "--trust")
    assert (code, err) == (0, "")
    assert out.startswith("b.tif  30 x 24  ")
    assert np.array_equal(tifffile.imread("b.tif"), restore(DEEP[0], METHODS["unsharp-mask"]))
    with tifffile.TiffFile("b.tif") as file:
        assert (len(file.pages), file.pages[0].get_resolution("inch")) == (1, (300, 300))
    assert deblur("a.tif", "-o", "b.png")[1].startswith("b.png  30 x 24  ")


def test_what_became_brighter_fits_into_the_picture_to_look_at():
    unit = restoration.units.Unit(0, 10)
    photos = [files.Photo(np.float32([[[0], [top]]])) for top in (10, 20)]
    before, after = restoration.units.as_levels(unit, *photos)
    assert (before.pixels.max(), after.pixels.max()) == (32768, 65535)


def test_a_picture_of_floats_is_compared_and_its_kernel_is_found_as_of_others(deblur):
    picture = np.kron(GREY[0], np.ones((4, 4), np.float32)) * 500
    save("a.tif", picture, extratags=[(274, "H", 1, 6, True), (271, "s", 0, "Maker", True)])
    method = ("--method", "blind-edges", "--set", "iterations=2", "--set", "size=5")
    code, out, err = deblur("a.tif", "-o", "b.tif", "--compare", "--trust", *method)
    assert (code, err.count("\n")) == (0, err.count("hardly a blur"))
    made = ["b_compare.html", "b_compare.jpg", "b_kernel.npy", "b_kernel.png", "b_trust.png"]
    assert files_here() == ["a.tif", "b.tif", *made]
    assert "120 x 96" in out
    with tifffile.TiffFile("b.tif") as file:
        tags = file.pages[0].tags
        assert (tags["Orientation"].value, tags["Make"].value) == (6, "Maker")


# ---- how


def test_one_plane_is_in_memory_and_steps_are_told(tmp_path, monkeypatch):
    save(tmp_path / "a.tif", DEEP)
    read, steps = [], []
    planes = stacks.decode_planes

    def counted(*given):
        for plane in planes(*given):
            read.append(plane)
            yield plane

    monkeypatch.setattr(stacks, "decode_planes", counted)

    def noted(pixels, *options):
        assert len(read) == 3 + len(steps)  # after all were looked at, none ahead of the work
        options[-1](1.0)
        return pixels

    monkeypatch.setattr(restoration.stacks, "restore", noted)
    (outcome,) = restore_files(tmp_path / "a.tif", Request(METHODS["identity"]), None, steps.append)
    assert (outcome.error, outcome.frames, outcome.called) == (None, 3, "planes")
    assert [(s.share, s.frames, s.called) for s in steps] == [
        (n / 3, 3, "planes") for n in (0, 1, 2, 3)
    ]


def test_how_long_a_stack_takes_is_said_in_planes():
    step = Step("a.tif", 1, 1, (1000, 1000), 0.1, 6.0, 60, "planes")
    words = "a.tif: 60 planes of 1 megapixels: about 60 s on this processor"
    assert watching.announcement(step, Request(METHODS["identity"])) == words


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError, "exists", "disk"])
def test_what_ends_in_the_second_plane_leaves_nothing(deblur, monkeypatch, end):
    save("a.tif", np.random.default_rng(0).random((3, 90, 90)).astype(np.float32))
    number = []

    def stop(pixels, *given, **options):
        number.append(1)
        if len(number) == 2 and end == "exists":
            Path("new/b.tif").write_text("another's")
        elif len(number) == 2 and end != "disk":
            raise end
        return pixels

    monkeypatch.setattr(restoration.stacks, "restore", stop)
    if end == "disk":
        with full_disk(40_000):
            code, _, err = deblur("a.tif", "-o", "new/b.tif")
        assert len(number) == 2
    else:
        code, _, err = deblur("a.tif", "-o", "new/b.tif")
    assert (code, err.count("\n")) == (130 if end is KeyboardInterrupt else 2, 1)
    assert files_here() == (["a.tif", "new/b.tif"] if end == "exists" else ["a.tif"])
    assert os.path.exists("new") == (end == "exists")


def test_a_stack_that_is_there_stays_unless_it_is_said(deblur):
    save("a.tif", DEEP)
    Path("b.tif").write_text("mine")
    for options, code, words in (
        ((), 2, "exists; --overwrite"),
        (("--skip-existing",), 0, "exists: skipped"),
        (("--overwrite", "--dry-run"), 0, "b.tif  30 x 24, 3 planes  of a.tif"),
    ):
        found, out, err = deblur("a.tif", "-o", "b.tif", *options)
        assert (found, words in out + err, Path("b.tif").read_text()) == (code, True, "mine")
    assert deblur("a.tif", "-o", "b.tif", "--overwrite")[0] == 0
    assert deblur("a.tif", "-o", "a.tif", "--overwrite")[0] == 2
    assert np.array_equal(tifffile.imread("a.tif"), DEEP)


# ---- what cannot be


def pages(*arrays, **options):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in arrays:
            writer.write(array, metadata=None, photometric="minisblack", **options)
    return file.getvalue()


def circle():
    """A stack whose last page is followed by its first one."""
    data = bytearray(saved(DEEP))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offsets = [page.offset for page in file.pages]
    last = offsets[-1] + 2 + 12 * int.from_bytes(data[offsets[-1] : offsets[-1] + 2], "little")
    data[last : last + 4] = offsets[0].to_bytes(4, "little")
    return bytes(data)


def changed(value, number=1):
    array = GREY.copy()
    array[number, 3, 4] = value
    return saved(array)


def spoilt(data):
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


OTHER_FILES = '<OME><Image><TiffData><UUID FileName="{}"/></TiffData></Image></OME>'
#: name -> words of what is said, and the content
BAD = {
    "nan": ("page 2: holds NaN or infinite values", changed(np.nan)),
    "infinite": ("page 3: holds NaN or infinite values", changed(np.inf, 2)),
    "too-large": ("NaN or infinite", saved(np.full((5, 5), 1e300))),
    "half": ("page 1: floating-point values are read of 32 or", saved(GREY.astype(np.float16))),
    "alpha": ("floating-point values are read", saved(np.resize(GREY, (5, 5, 4)), photometric=2)),
    "signed": ("page 1: a kind of TIFF that cannot be read", saved(DEEP.astype(np.int16))),
    "long": ("page 1: only images of 8 or 16 bits", saved(DEEP.astype(np.uint32))),
    "sizes": ("page 2: is of 29 x 24 pixels, 1 x uint16, and", pages(DEEP[0], DEEP[1, :, :29])),
    "kinds": ("page 2: is of 30 x 24 pixels, 1 x float32, and", pages(DEEP[0], GREY[0])),
    "circle": ("damaged image file (its pages go in a circle)", circle()),
    "cut": ("damaged image file", saved(DEEP)[:-700]),
    "zip": ("page 3: damaged", spoilt(saved(DEEP, compression="zlib"))),
    "float, zip": ("page 3: damaged", spoilt(saved(GREY, compression="zlib"))),
    "ome": (
        "a part of an OME-TIFF of 2 files; join them first",
        saved(DEEP, description=OTHER_FILES.format('a"/><UUID FileName="b'), ome=False),
    ),
    "imagej": (
        "damaged image file (a part of it is not there)",
        saved(DEEP[0], description="ImageJ=1.53\nimages=9\n"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_stack_of_pictures_is_one_sentence_and_leaves_nothing(deblur, name):
    words, data = BAD[name]
    Path(f"{name}.tif").write_bytes(data)
    code, _, err = deblur(f"{name}.tif", "-o", "out/a.tif")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"deblur: {name}.tif: ")
    assert words in err
    assert files_here() == [f"{name}.tif"]


def test_what_a_stack_is_not_for_is_one_sentence(deblur):
    save("a.tif", DEEP)
    save("f.tif", GREY[0])
    for arguments, words in (
        (("a.tif", "-o", "a.png"), "a.png: cannot hold the 3 planes of a.tif; .tif does"),
        (("f.tif", "-o", "f.jpg"), "f.jpg: cannot hold the floating-point values of f.tif; .tif"),
        (("a.tif", "--compare"), "a.tif: --compare is for pictures; save one plane"),
        (("a.tif", "--trust"), "a.tif: --trust is for pictures; save one plane"),
        (("a.tif", "--method", "blind-edges"), "a.tif: blind-edges finds the blur of one picture"),
    ):
        code, _, err = deblur(*arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"deblur: {words}")
    assert files_here() == ["a.tif", "f.tif"]
    with pytest.raises(InputError, match=r"f\.png: holds no floating-point values; \.tif does"):
        files.write_photo("f.png", next(files.read_planes("f.tif")))


def test_a_stack_too_large_for_a_plain_tiff_is_written_as_a_big_one(deblur, monkeypatch):
    save("a.tif", GREY)
    monkeypatch.setattr(stacks, "PLAIN", GREY.nbytes - 1)
    assert deblur("a.tif", "-o", "b.tif", "--method", "identity")[0] == 0
    with tifffile.TiffFile("b.tif") as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), GREY)
    assert files.plane_count("b.tif") == 3


def test_planes_and_pixels_have_limits(tmp_path, monkeypatch):
    save(tmp_path / "a.tif", GREY)
    with pytest.raises(InputError, match="page 1: 30 x 24 pixels are more than the limit of 700"):
        files.examine_stack(tmp_path / "a.tif", 700)
    monkeypatch.setattr(directories, "MOST", 2)
    with pytest.raises(InputError, match="holds more than 2 pictures"):
        files.plane_count(tmp_path / "a.tif")
    save(tmp_path / "b.tif", DEEP, imagej=True, truncate=True)
    with pytest.raises(InputError, match="holds more than 2 pictures"):
        files.plane_count(tmp_path / "b.tif")


def test_of_damage_anywhere_come_planes_or_a_sentence():
    rng, outcomes = np.random.default_rng(0), set()
    for kind, (array, options) in KINDS.items():
        whole = saved(array[:, :9, :9], **{**options, "rowsperstrip": None})
        for _ in range(12):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                data[rng.choice([place, place % 300, -1 - place % 400])] = rng.integers(256)
            file = io.BytesIO(data[: rng.choice([len(data), place + 1], p=[0.9, 0.1])])
            try:
                stacks.count_planes(file, kind)
                assert all(np.isfinite(p.pixels).all() for p in stacks.decode_planes(file, kind))
                outcomes.add((kind, "read"))
            except InputError as error:
                outcomes.add((str(error).partition(": ")[0], "refused"))
    assert {kind for kind, _ in outcomes} == {*KINDS}
    assert len(outcomes) > len(KINDS) * 1.5


# ---- dim ones, and sensors


@pytest.mark.parametrize("name", ["wiener", "plug-and-play"])
def test_a_dim_stack_of_16_bits_is_restored_as_its_copy_in_floats(deblur, name):
    dim = np.round(100 + 300 * np.stack([BLOBS, BLOBS[::-1]])).astype(np.uint16)
    save("dim.tif", dim)
    save("floats.tif", dim.astype(np.float32))
    np.save("k.npy", KERNELS[1].numpy())
    code, _, err = deblur(
        "dim.tif", "floats.tif", "-o", "new", "--kernel", "k.npy", "--method", name
    )
    assert (code, err) == (0, "")
    whole, floats = (tifffile.imread(f"new/{n}.tif") for n in ("dim", "floats"))
    assert whole.dtype == np.uint16
    assert np.abs(whole - floats.clip(0)).max() <= 0.5 + 1e-3
    assert np.abs(floats - dim).max() > 1


def test_a_pixel_that_no_lens_made_is_told(deblur):
    stack = 100 + 300 * np.stack([BLOBS, BLOBS[::-1]]).astype(np.float32)
    save("fine.tif", stack)
    assert deblur("fine.tif", "-o", "new")[2] == ""
    stack[1, 3, 0] = 30_000
    save("hot.tif", stack)
    assert "hot.tif: its brightest pixel stands" in deblur("hot.tif", "-o", "new")[2]


def test_a_name_of_two_suffixes_keeps_both(deblur):
    save("cells.ome.tif", GREY, ome=True)
    assert deblur("cells.ome.tif")[0] == 0
    assert Path("cells_deblurred.ome.tif").exists()


def test_what_looks_wrong_of_a_kernel_is_told(deblur):
    save("stack.tif", GREY)
    np.save("k.npy", (KERNELS[0] + 0.01).numpy())
    err = deblur("stack.tif", "-o", "new", "--kernel", "k.npy", "--method", "wiener")[2]
    assert "k.npy: 55% of its light lies evenly under it" in err
