"""Photographs as files: of every kind, nothing is lost on the way in and out, or it is told."""

import os
import re
import struct
import threading
import zlib
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import IFDRational
from test_images import (
    C8,
    C16,
    DEEP,
    EIGHT,
    G8,
    MAKER,
    ORIENTATION,
    RGB,
    SIZE,
    as_png,
    as_tiff,
    by_pillow,
    chunk,
    same,
    turned,
    turned_tiff,
)

from deblurlib import files
from deblurlib.errors import InputError
from deblurlib.files import Photo, read_photo, write_photo

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
EXIF_IFD, GPS_IFD, EXPOSURE = 34665, 34853, 33434


def pixels(dtype, channels):
    array = DEEP if dtype == np.uint16 else EIGHT | np.uint8([0, 0, 0, 1])
    # WebP is free to change what cannot be seen at all, of alpha 0
    return np.ascontiguousarray(array[..., {1: [0], 2: [0, 3]}.get(channels, range(channels))])


#: description, maker, model, software, date, artist, copyright
WORDS = {270: "Words", MAKER: "Maker", 272: "Model", 305: "Software"}
WORDS |= {306: "2026:11:26 12:00:00", 315: "Artist", 33432: "Copyright"}


def told(orientation=6):
    """EXIF as of a phone: words about the picture, how it was held, an exposure, a place."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for tag, word in WORDS.items():
        exif[tag] = word
    exif.get_ifd(EXIF_IFD)[EXPOSURE] = IFDRational(1, 100)
    exif.get_ifd(GPS_IFD)[1] = "N"
    return exif


def facts(exif):
    """What EXIF, as bytes or as Pillow's, says."""
    if isinstance(exif, bytes):
        exif, data = Image.Exif(), exif
        exif.load(data or None)
    plain = {tag: exif[tag] for tag in (ORIENTATION, MAKER) if tag in exif}
    return plain, dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def as_stored(path):
    """A file's pixels and orientation, by readers that turn nothing."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            tag = page.tags.get(ORIENTATION)
            array, orientation = page.asarray(), 1 if tag is None else tag.value
    else:
        orientation = opened(path).getexif().get(ORIENTATION, 1)
        array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        array = array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[-1]]]
    return array.reshape(*array.shape[:2], -1), orientation


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".png", np.uint8),
        (".png", np.uint16),
        (".tif", np.uint8),
        (".TIFF", np.uint16),
        (".webp", np.uint8),
        (".bmp", np.uint8),
    ],
)
def test_what_is_written_is_read_again(tmp_path, suffix, dtype, channels):
    array, path = pixels(dtype, channels), tmp_path / f"x{suffix}"
    write_photo(path, Photo(array))
    photo = read_photo(path)
    if suffix == ".webp" or (suffix == ".TIFF" and channels == 2):  # that know no such grey
        array = array[..., [0, 0, 0, 1][: channels + 2]] if channels < 3 else array
    if suffix == ".bmp":  # that knows no alpha
        array = array[..., : {2: 1, 4: 3}.get(channels)]
    assert same(photo.pixels, array)
    assert (photo.exif, photo.profile) == (b"", b"") or suffix == ".TIFF"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_other_programs_show_the_16_bits_that_were_written(tmp_path, suffix, channels, orientation):
    array, path = pixels(np.uint16, channels), tmp_path / f"x{suffix}"
    write_photo(path, Photo(array, told(orientation).tobytes(), PROFILE))
    assert sorted(opened(path).size) == sorted(SIZE)  # Pillow reads 8 bits of 16
    if suffix == ".png":
        assert path.read_bytes()[24:26] == bytes([16, {1: 0, 2: 4, 3: 2, 4: 6}[channels]])
    if channels == 2:  # which OpenCV, and Pillow's TIFF, have with colour only
        array = array[..., [0, 0, 0, 1]]
    assert same(turned(*as_stored(path)), turned(array, orientation))


def test_a_jpeg_is_written_with_all_its_colour_and_grey_as_grey(tmp_path):
    """Red and blue in turn, pixel by pixel: with halved colour it would be violet."""
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    for array in (stripes, cv2.GaussianBlur(G8, (0, 0), 3)[..., None]):
        write_photo(tmp_path / "x.jpg", Photo(array))
        photo = read_photo(tmp_path / "x.jpg")
        assert photo.pixels.shape == array.shape
        assert np.abs(photo.pixels.astype(int) - array).mean() < 10
        assert opened(tmp_path / "x.jpg").mode == MODES[array.shape[-1]]


@pytest.mark.parametrize("turn", range(1, 9))
def test_what_was_made_of_the_upright_picture_is_turned_back_to_the_stored_one(turn):
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    photo = Photo(pixels(np.uint8, 1), exif.tobytes())
    assert same(photo.upright(), np.repeat(turned(photo.pixels, turn), 3, -1))
    assert same(photo.as_stored(photo.upright()[..., 0]), photo.pixels[..., 0])


@pytest.mark.parametrize("channels", [2, 4])
def test_a_jpeg_is_written_without_alpha(tmp_path, channels):
    array = pixels(np.uint8, channels)
    write_photo(tmp_path / "x.jpg", Photo(array))
    write_photo(tmp_path / "opaque.jpg", Photo(array[..., :-1]))
    assert (tmp_path / "x.jpg").read_bytes() == (tmp_path / "opaque.jpg").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_16_bits_become_the_nearest_8_where_the_format_has_no_more(tmp_path, suffix):
    every = np.arange(65536).astype(np.uint16).reshape(256, 256, 1)
    write_photo(tmp_path / f"deep{suffix}", Photo(every))
    write_photo(tmp_path / f"flat{suffix}", Photo(np.rint(every / 257).astype(np.uint8)))
    deep, flat = (tmp_path / f"{name}{suffix}" for name in ("deep", "flat"))
    assert deep.read_bytes() == flat.read_bytes()


# What belongs to the pixels: profile, EXIF, orientation, words of PNG, resolution of TIFF


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_colour_profile_is_kept_byte_for_byte(tmp_path, suffix, dtype):
    path = tmp_path / f"x{suffix}"
    write_photo(path, Photo(pixels(dtype, 3), profile=PROFILE))
    photo = read_photo(path)
    assert photo.profile == PROFILE
    assert opened(path).info["icc_profile"] == PROFILE
    assert photo.pixels.dtype == (dtype if suffix in (".png", ".tif") else np.uint8)


@pytest.mark.parametrize("array", [C8, C16])
def test_a_profile_of_any_size_is_read_again_by_the_one_who_wrote_it(tmp_path, array):
    profile = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
    write_photo(tmp_path / "x.png", Photo(array, profile=profile))
    photo = read_photo(tmp_path / "x.png")
    assert photo.profile == profile
    assert np.array_equal(photo.pixels, array)


@pytest.mark.parametrize(
    ("suffix", "array"), [(".jpg", C8), (".png", C8), (".webp", C8), (".png", C16)]
)
def test_a_turned_photo_stays_as_stored_and_its_exif_stays_with_it(tmp_path, suffix, array):
    path, exif = tmp_path / f"x{suffix}", told()
    write_photo(path, Photo(array, exif.tobytes()))
    photo = read_photo(path)
    assert photo.pixels.shape == array.shape
    image = opened(path)
    assert image.size == SIZE[::-1]
    assert facts(image.getexif()) == facts(exif) == facts(photo.exif)
    if suffix == ".png":  # the chunk begins as a TIFF does, without a JPEG's mark before it
        assert re.search(rb"eXIf(II\*\0|MM\0\*)", path.read_bytes())


@pytest.mark.parametrize("array", [C8, DEEP])
def test_a_turned_tiff_comes_back_upright(tmp_path, array):
    photo = files.read(turned_tiff(array, 6, description="Words"), "x")
    write_photo(tmp_path / "y.tif", photo)
    found, orientation = as_stored(tmp_path / "y.tif")
    assert same(turned(found, orientation), turned(array, 6))
    assert b"Words" in photo.exif


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_phones_jpeg_becomes_any_format_and_looks_as_it_did(tmp_path, suffix, orientation):
    second = ImageOps.invert(RGB)  # for depth, or motion
    words = {"exif": told(orientation), "icc_profile": PROFILE}
    RGB.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[second], **words)
    photo = read_photo(tmp_path / "x.jpg")
    write_photo(tmp_path / f"y{suffix}", photo)
    seen = opened(tmp_path / f"y{suffix}")
    exif = seen.getexif()
    shown = np.asarray(ImageOps.exif_transpose(seen))
    expected = turned(photo.pixels, orientation)
    assert shown.shape == expected.shape
    if suffix != ".jpg":
        assert np.array_equal(shown, expected)
    if suffix != ".bmp":
        assert {tag: exif[tag] for tag in WORDS} == WORDS
        assert seen.info["icc_profile"] == PROFILE


STORAGE = {256: 5000, 258: 16, 262: 6, 277: 4, 284: 2, 317: 2, 320: (1, 2, 3), 338: 1, 339: 3}


@pytest.mark.parametrize("tag", STORAGE)
def test_what_a_jpegs_exif_says_of_storage_does_not_get_into_a_tiff(tmp_path, tag):
    exif = told(1)
    exif[tag] = STORAGE[tag]
    photo = files.read(by_pillow(RGB, "JPEG", exif=exif), "x")
    write_photo(tmp_path / "y.tif", photo)
    assert np.array_equal(tifffile.imread(tmp_path / "y.tif"), photo.pixels)
    assert same(read_photo(tmp_path / "y.tif").pixels, photo.pixels)


@pytest.mark.parametrize("turn", [0, 9, 300])
def test_an_orientation_that_is_none_is_left_out(tmp_path, turn):
    photo = files.read(by_pillow(C8, "PNG", exif=told(turn)), "x")
    assert np.array_equal(photo.upright(), C8)
    write_photo(tmp_path / "y.tif", photo)
    found = read_photo(tmp_path / "y.tif")
    assert np.array_equal(found.pixels, C8)
    assert b"Maker" in found.exif


GAMMA = (b"gAMA", struct.pack(">I", 100_000))
PRIMARIES = (b"cHRM", struct.pack(">8I", *range(30_000, 38_000, 1000)))
CODES = (b"cICP", bytes([9, 16, 0, 1]))
DENSITY = (b"pHYs", struct.pack(">IIB", 3000, 2000, 1))


def png_with(*words, array=C8, depth=8):
    return as_png(array, depth, 2, *(chunk(*word) for word in words))


def chunks_of(path):
    data, start, found = path.read_bytes(), 8, {}
    while start < len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        found.setdefault(name, data[start + 8 : start + 8 + length])
        start += 12 + length
    return found


@pytest.mark.parametrize(("array", "depth"), [(C8, 8), (C16, 16)])
def test_what_a_png_says_of_its_colours_is_kept_in_a_png_and_told_elsewhere(tmp_path, array, depth):
    words = (GAMMA, PRIMARIES, CODES, DENSITY)
    photo = files.read(png_with(*words, array=array, depth=depth), "x")
    assert write_photo(tmp_path / "y.png", photo) == ()
    found = chunks_of(tmp_path / "y.png")
    assert {name: found[name] for name, _ in words} == dict(words)
    assert list(found).index(b"gAMA") < list(found).index(b"IDAT")
    assert np.array_equal(read_photo(tmp_path / "y.png").pixels, array)
    assert write_photo(tmp_path / "y.tif", photo) == ("gAMA", "cHRM", "cICP")


def test_a_profile_overrules_what_is_older_than_it_and_not_the_codes(tmp_path):
    profile = (b"iCCP", b"a\0\0" + zlib.compress(b"profile"))
    photo = files.read(png_with(GAMMA, PRIMARIES, CODES, profile), "x")
    assert photo.profile == b"profile"
    assert write_photo(tmp_path / "y.jpg", photo) == ("cICP",)


@pytest.mark.parametrize(
    "words",
    [
        ((b"sRGB", b"\0"), GAMMA, PRIMARIES),  # of which the first overrules the others
        ((b"gAMA", struct.pack(">I", 45455)),),
        ((b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),),
    ],
)
def test_of_a_png_that_says_it_is_ordinary_nothing_is_lost(tmp_path, words):
    assert write_photo(tmp_path / "y.jpg", files.read(png_with(*words), "x")) == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_keeps_the_size_of_its_pixels_and_its_description(tmp_path, dtype):
    words = "ImageJ=1.53\nunit=micron\nmin=0\n"
    options = {"resolution": ((12345, 1000), (54321, 1000)), "resolutionunit": 1}
    data = as_tiff(G8.astype(dtype), "minisblack", description=words, **options)
    photo = files.read(data, "x")
    assert write_photo(tmp_path / "y.tif", photo) == ()
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        tags = file.pages[0].tags
        assert tags["ImageDescription"].value == words.strip()
        assert tags["ResolutionUnit"].value == 1
        found = [float(IFDRational(*tags[f"{axis}Resolution"].value)) for axis in "XY"]
    assert found == pytest.approx([12.345, 54.321])
    assert write_photo(tmp_path / "y.png", photo) == ("the resolution",)


def test_what_a_format_cannot_hold_is_told(tmp_path):
    photo = Photo(DEEP, profile=b"a profile")
    assert write_photo(tmp_path / "x.bmp", photo) == ("16 bits", "alpha", "the colour profile")
    assert write_photo(tmp_path / "x.webp", Photo(EIGHT)) == ()


# Whole or not at all


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("x", 3),
        ("x.gif", 3),
        ("x.png.txt", 3),
        ("no-folder/x.png", 3),
        ("wide.webp", 16_384),
        ("wide.jpg", 65_536),
    ],
)
def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path, name, width):
    with pytest.raises(InputError, match=rf"{name}: cannot be written[^\n]+$"):
        write_photo(tmp_path / name, Photo(np.zeros((1, width, 3), np.uint8)))
    assert list(tmp_path.iterdir()) == []


@contextmanager
def full_disk(size):
    """No file may grow beyond so many bytes; what is written is cut off there."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("older", [None, b"older"])
def test_a_write_that_fails_halfway_leaves_all_as_it_was(tmp_path, suffix, older):
    path = tmp_path / f"x{suffix}"
    if older is not None:
        path.write_bytes(older)
    for dtype in (np.uint8, np.uint16):
        noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (60, 60, 3), dtype)
        for size in (400, 5000):
            with pytest.raises(InputError, match="cannot be written"), full_disk(size):
                write_photo(path, Photo(noise))
            assert [p.read_bytes() for p in tmp_path.iterdir()] == ([older] if older else [])


def test_a_file_takes_its_place_in_one_step(tmp_path, monkeypatch):
    path, seen = tmp_path / "x.png", []
    path.write_bytes(b"older")

    def fail(source, target):
        seen.append((os.fspath(target), read_photo(source).pixels.shape))
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match=r"x\.png: cannot be written \(Input/output error\)"):
        write_photo(path, Photo(C8))
    assert seen == [(str(path), C8.shape)]
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {path.name: b"older"}


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    write_photo(path, Photo(C8))
    assert same(read_photo(path).pixels, C8)


def test_threads_that_write_into_one_folder_do_not_get_each_others_pictures(tmp_path):
    def write(first):
        for level in range(first, 200, 8):
            write_photo(tmp_path / f"{level}.png", Photo(np.full((4, 4, 1), level, np.uint8)))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(os.listdir(tmp_path)) == 200
    assert all((read_photo(tmp_path / f"{i}.png").pixels == i).all() for i in range(200))


def test_arrays_are_written_with_the_bits_that_they_have(tmp_path):
    grey = np.random.default_rng(0).random((5, 7))
    for array, name, dtype in (
        ((grey * 255).astype(np.uint8), "a.png", np.uint8),
        ((grey * 65535).astype(">u2"), "b.tif", np.uint16),
        (grey * 5000, "c.tif", np.float32),
        (grey, "d.png", np.uint8),
    ):
        files.write_image(tmp_path / name, array)
        (photo,) = (
            files.read_planes(tmp_path / name) if ".tif" in name else [read_photo(tmp_path / name)]
        )
        pixels = photo.pixels[..., 0]
        assert pixels.dtype == dtype
        wanted = (grey * 255 + 0.5).astype(np.uint8) if name == "d.png" else array.astype(dtype)
        assert np.array_equal(pixels, wanted)
    with pytest.raises(InputError, match="not within"):
        files.write_image(tmp_path / "e.png", grey * 5000)
    assert not (tmp_path / "e.png").exists()
