"""Photographs as files: of every kind, nothing is lost on the way in and out."""

import io
import os
import re
import struct
import warnings
import zlib
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import IFDRational
from test_images import BAD_FILES

from deblurlib.errors import InputError
from deblurlib.files import Photo, read_photo, write_photo

SIZE = (13, 19)
DEEP = np.random.default_rng(0).integers(0, 65536, (*SIZE, 4), np.uint16)
SHALLOW = np.random.default_rng(1).integers(0, 256, (*SIZE, 4), np.uint8)
SHALLOW[..., 3] |= 1  # WebP is free to change what cannot be seen at all
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
ORIENTATION, MAKER, EXIF_IFD, GPS_IFD, EXPOSURE = 0x0112, 271, 34665, 34853, 33434


def pixels(dtype, channels):
    array = DEEP if dtype == np.uint16 else SHALLOW
    return np.ascontiguousarray(array[..., {1: [0], 2: [0, 3]}.get(channels, range(channels))])


def told(orientation=6):
    """EXIF as of a phone: a maker, how it was held, an exposure, a place."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = orientation, "Maker"
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


def same(ours, theirs):
    return (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape) and np.array_equal(ours, theirs)


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


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_other_programs_read_the_16_bits_that_were_written(tmp_path, suffix, channels):
    array, path = pixels(np.uint16, channels), tmp_path / f"x{suffix}"
    write_photo(path, Photo(array, told(1).tobytes(), PROFILE))
    found, _ = as_stored(path)  # OpenCV's PNG, tifffile's TIFF
    if channels == 2:  # which OpenCV, and Pillow's TIFF, have with colour only
        array = array[..., [0, 0, 0, 1]]
    assert same(found, array)
    assert np.asarray(opened(path)).shape[:2] == SIZE  # Pillow reads 8 bits of 16
    if suffix == ".png":
        assert path.read_bytes()[24:26] == bytes([16, {1: 0, 2: 4, 3: 2, 4: 6}[channels]])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_looks_as_it_did_and_is_grey_or_colour_as_it_was(tmp_path, channels):
    array = cv2.GaussianBlur(pixels(np.uint8, channels), (0, 0), 3).reshape(*SIZE, channels)
    write_photo(tmp_path / "x.jpg", Photo(array))
    photo = read_photo(tmp_path / "x.jpg")
    assert photo.pixels.shape == array.shape
    assert np.abs(photo.pixels.astype(int) - array).max() <= 8
    assert opened(tmp_path / "x.jpg").mode == MODES[channels]


def test_a_jpeg_is_written_with_all_its_colour(tmp_path):
    """Red and blue in turn, pixel by pixel: with halved colour it would be violet."""
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    write_photo(tmp_path / "x.jpg", Photo(stripes))
    assert np.abs(read_photo(tmp_path / "x.jpg").pixels.astype(int) - stripes).mean() < 10


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_left_out_where_the_format_has_none(tmp_path, suffix, channels):
    array = pixels(np.uint8, channels)
    write_photo(tmp_path / f"x{suffix}", Photo(array))
    write_photo(tmp_path / f"opaque{suffix}", Photo(array[..., :-1]))
    found = read_photo(tmp_path / f"x{suffix}").pixels
    assert found.shape[-1] == channels - 1
    assert np.array_equal(found, read_photo(tmp_path / f"opaque{suffix}").pixels)


def saved(path, image, **options):
    image.save(path, **options)
    return path


RGB = Image.fromarray(SHALLOW[..., :3])
PALETTE = RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=200)
ONE_BIT = RGB.convert("1")
KINDS = {
    "palette": (".png", PALETTE, {}, "RGB"),
    "palette, one colour clear": (".png", PALETTE, {"transparency": 3}, "RGBA"),
    "palette, some half clear": (
        ".png",
        PALETTE,
        {"transparency": bytes(range(0, 200, 2))},
        "RGBA",
    ),
    "palette of a TIFF": (".tif", PALETTE, {}, "RGB"),
    "one bit": (".png", ONE_BIT, {}, "L"),
    "one bit, fax": (".tif", ONE_BIT, {"compression": "group4"}, "L"),
    "grey, one level clear": (".png", RGB.convert("L"), {"transparency": 3}, "LA"),
    "colour, one clear": (".png", RGB, {"transparency": (1, 2, 3)}, "RGBA"),
    "grey jpeg": (".jpg", RGB.convert("L"), {}, "L"),
    "progressive jpeg": (".jpg", RGB, {"progressive": True}, "RGB"),
    "cmyk jpeg": (".jpg", RGB.convert("CMYK"), {}, "RGB"),
    "cmyk tiff": (".tif", RGB.convert("CMYK"), {}, "RGB"),
    "tiff, lzw": (".tif", RGB, {"compression": "tiff_lzw"}, "RGB"),
    "tiff, jpeg": (".tif", RGB, {"compression": "jpeg"}, "RGB"),
    "tiff, packbits, alpha": (
        ".tif",
        Image.fromarray(SHALLOW),
        {"compression": "packbits"},
        "RGBA",
    ),
    "tiff, zstd": (".tif", RGB, {"compression": "zstd"}, "RGB"),  # OpenCV cannot read it
    "tiff, lzma, grey": (".tif", RGB.convert("L"), {"compression": "lzma"}, "L"),
    "webp": (".webp", RGB, {}, "RGB"),
    "bmp": (".bmp", PALETTE, {}, "RGB"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_as_pillow_shows_it_and_nothing_is_said(tmp_path, capfd, name):
    suffix, image, options, mode = KINDS[name]
    path = saved(tmp_path / f"x{suffix}", image, **options)
    photo = read_photo(path)
    with Image.open(path) as shown:
        # what is half clear must not be blended by a detour over RGB
        expected = shown.convert("RGBA").convert(mode) if mode[-1] == "A" else shown.convert(mode)
    assert same(photo.pixels, np.asarray(expected).reshape(*SIZE, len(mode)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", [1, 5, 8, 32946])  # none, LZW, Deflate, its old number
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_16_bit_tiff_of_another_program_is_read(tmp_path, compression, channels):
    array, path = pixels(np.uint16, channels), str(tmp_path / "x.tif")
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    cv2.imwrite(path, array[..., {1: [0]}.get(channels, [2, 1, 0, 3][:channels])], options)
    assert same(read_photo(path).pixels, array)


def test_a_tiff_of_tiles_is_read(tmp_path):
    for dtype in (np.uint8, np.uint16):
        array = pixels(dtype, 3)
        tifffile.imwrite(tmp_path / "x.tif", array, photometric="rgb", tile=(16, 16))
        assert same(read_photo(tmp_path / "x.tif").pixels, array)


def grey_and_alpha(array):
    """A 16-bit PNG of grey and alpha, made by hand: no library here writes one."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *array.shape[1::-1], 16, 4, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    number = struct.Struct(">I").pack
    chunks = [number(len(c)) + name + c + number(zlib.crc32(name + c)) for name, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_16_bit_grey_with_alpha_is_read_and_written_as_such(tmp_path):
    array = pixels(np.uint16, 2)
    (tmp_path / "x.png").write_bytes(grey_and_alpha(array))
    photo = read_photo(tmp_path / "x.png")
    assert same(photo.pixels, array)
    write_photo(tmp_path / "y.png", photo)
    assert same(read_photo(tmp_path / "y.png").pixels, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_colour_profile_is_kept_byte_for_byte(tmp_path, suffix, dtype):
    if dtype == np.uint16 and suffix in (".png", ".tif"):
        write_photo(tmp_path / f"in{suffix}", Photo(pixels(dtype, 3), b"", PROFILE))
        if suffix == ".png":  # OpenCV, that reads the pixels, checks the profile's chunk
            assert opened(tmp_path / "in.png").info["icc_profile"] == PROFILE
        else:
            with tifffile.TiffFile(tmp_path / "in.tif") as file:
                assert file.pages[0].iccprofile == PROFILE
    else:
        RGB.save(tmp_path / f"in{suffix}", icc_profile=PROFILE)
    photo = read_photo(tmp_path / f"in{suffix}")
    assert photo.profile == PROFILE
    write_photo(tmp_path / f"out{suffix}", photo)
    assert opened(tmp_path / f"out{suffix}").info["icc_profile"] == PROFILE
    assert photo.pixels.dtype == (dtype if suffix in (".png", ".tif") else np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb_and_its_profile_does_not_fit_any_more(tmp_path, suffix):
    RGB.convert("CMYK").save(tmp_path / f"x{suffix}", icc_profile=b"of CMYK")
    assert read_photo(tmp_path / f"x{suffix}").profile == b""


TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
TURNS |= {6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}


def turned(array, orientation):
    """The array as a viewer that knows EXIF shows it, by Pillow's turning of its places."""
    height, width = array.shape[:2]
    places = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    if orientation > 1:
        places = places.transpose(Image.Transpose[TURNS[orientation]])
    return array.reshape(-1, array.shape[-1])[np.asarray(places)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", "16 bit.png"])
def test_a_turned_photo_stays_as_stored_and_its_exif_stays_with_it(tmp_path, suffix, orientation):
    path, exif = tmp_path / f"x{suffix}", told(orientation)
    if "16" in suffix:
        write_photo(path, Photo(pixels(np.uint16, 3), exif.tobytes()))
    else:
        RGB.save(path, exif=exif)
    photo = read_photo(path)
    assert photo.pixels.shape == (*SIZE, 3)
    write_photo(tmp_path / f"y{suffix}", photo)
    image = opened(tmp_path / f"y{suffix}")
    assert image.size == SIZE[::-1]
    assert facts(image.getexif()) == facts(exif) == facts(photo.exif)
    assert image.getexif()[ORIENTATION] == orientation
    if "png" in suffix:  # the chunk begins as a TIFF does, without a JPEG's mark before it
        assert re.search(rb"eXIf(II\*\0|MM\0\*)", (tmp_path / f"y{suffix}").read_bytes())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_tiff_of_8_bits_comes_back_upright(tmp_path, orientation):
    RGB.save(tmp_path / "x.tif", exif=told(orientation))
    photo = read_photo(tmp_path / "x.tif")
    assert same(photo.pixels, turned(SHALLOW[..., :3], orientation))
    write_photo(tmp_path / "y.tif", photo)
    assert np.array_equal(tifffile.imread(tmp_path / "y.tif"), photo.pixels)
    exif = opened(tmp_path / "y.tif").getexif()
    assert exif.get(ORIENTATION, 1) == 1
    assert exif[MAKER] == "Maker"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_a_turned_tiff_of_16_bits_looks_as_it_did(tmp_path, suffix, channels, orientation):
    array = pixels(np.uint16, channels)
    tifffile.imwrite(
        tmp_path / "x.tif",
        array[..., 0] if channels == 1 else array,
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        extratags=[(ORIENTATION, "H", 1, orientation, True)],
    )
    write_photo(tmp_path / f"y{suffix}", read_photo(tmp_path / "x.tif"))
    found = turned(*as_stored(tmp_path / f"y{suffix}"))
    assert same(found, turned(array, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 4])
def test_a_turned_png_of_16_bits_looks_as_it_did_as_a_tiff(tmp_path, channels, orientation):
    array = pixels(np.uint16, channels)
    write_photo(tmp_path / "x.png", Photo(array, told(orientation).tobytes()))
    write_photo(tmp_path / "y.tif", read_photo(tmp_path / "x.png"))
    assert same(turned(*as_stored(tmp_path / "y.tif")), turned(array, orientation))


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


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_phones_jpeg_becomes_any_format_and_looks_as_it_did(tmp_path, suffix, orientation):
    RGB.save(tmp_path / "x.jpg", exif=told(orientation), icc_profile=PROFILE)
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
        assert exif[MAKER] == "Maker"
        assert seen.info["icc_profile"] == PROFILE


STORAGE = {256: 5000, 258: 16, 262: 6, 277: 4, 284: 2, 317: 2, 320: (1, 2, 3), 338: 1, 339: 3}


@pytest.mark.parametrize("tag", STORAGE)
def test_what_a_jpegs_exif_says_of_storage_does_not_get_into_a_tiff(tmp_path, tag):
    exif = told(1)
    exif[tag] = STORAGE[tag]
    RGB.save(tmp_path / "x.jpg", exif=exif)
    photo = read_photo(tmp_path / "x.jpg")
    write_photo(tmp_path / "y.tif", photo)
    assert np.array_equal(tifffile.imread(tmp_path / "y.tif"), photo.pixels)
    assert same(read_photo(tmp_path / "y.tif").pixels, photo.pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_16_bits_become_the_nearest_8_where_the_format_has_no_more(tmp_path, suffix):
    every = np.arange(65536).astype(np.uint16).reshape(256, 256, 1)
    write_photo(tmp_path / f"deep{suffix}", Photo(every))
    write_photo(tmp_path / f"flat{suffix}", Photo(np.rint(every / 257).astype(np.uint8)))
    deep, flat = (tmp_path / f"{name}{suffix}" for name in ("deep", "flat"))
    assert deep.read_bytes() == flat.read_bytes()


def animation(suffix):
    file = io.BytesIO()
    kind = Image.registered_extensions()[suffix]
    RGB.save(file, kind, save_all=True, append_images=[ImageOps.invert(RGB), RGB])
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_a_file_of_several_pictures_is_one_sentence(tmp_path, suffix):
    (tmp_path / f"x{suffix}").write_bytes(animation(suffix))
    with pytest.raises(InputError, match=r"holds 3 pictures; save those you want") as error:
        read_photo(tmp_path / f"x{suffix}")
    assert str(error.value).startswith(f"{tmp_path / f'x{suffix}'}: ")


def test_of_a_phones_jpeg_with_a_second_picture_the_first_is_the_photograph(tmp_path):
    exif, second = told(6), ImageOps.invert(RGB)
    RGB.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[second], exif=exif)
    assert Image.open(tmp_path / "x.jpg").format == "MPO"
    RGB.save(tmp_path / "alone.jpg")
    photo = read_photo(tmp_path / "x.jpg")
    assert same(photo.pixels, read_photo(tmp_path / "alone.jpg").pixels)
    assert facts(photo.exif)[0][ORIENTATION] == 6


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_sentence_and_nothing_else_is_said(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(BAD_FILES[name])
    with pytest.raises(InputError) as error:
        read_photo(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_the_largest_number_of_pixels_is_a_setting_and_pillow_warns_of_none(tmp_path, monkeypatch):
    RGB.save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(tmp_path / "x.png", max_pixels=247).pixels.shape == (*SIZE, 3)
    with pytest.raises(InputError, match="19 x 13 pixels are more than the limit of 246"):
        read_photo(tmp_path / "x.png", max_pixels=246)


@pytest.mark.parametrize("name", ["x", "x.gif", "x.jp2", "x.png.txt"])
def test_an_unknown_suffix_is_named_and_nothing_is_written(tmp_path, name):
    with pytest.raises(InputError, match=r"the suffix must be one of \.png, ") as error:
        write_photo(tmp_path / name, Photo(pixels(np.uint8, 3)))
    assert str(error.value).startswith(f"{tmp_path / name}: cannot be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["no/x.png", "no/x.jpg", "folder/x.png/x.tif"])
def test_a_place_that_is_not_there_is_one_sentence(tmp_path, place):
    for dtype in (np.uint8, np.uint16):
        with pytest.raises(InputError, match="cannot be written") as error:
            write_photo(tmp_path / place, Photo(pixels(dtype, 3)))
        assert str(error.value).startswith(str(tmp_path / place))
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_write_that_fails_halfway_leaves_all_as_it_was(tmp_path, suffix, dtype):
    noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (60, 60, 3), dtype)
    path = tmp_path / f"x{suffix}"
    write_photo(path, Photo(noise))
    size = path.stat().st_size
    for older in ({}, {path.name: b"older"}):
        path.unlink()
        for name, content in older.items():
            (tmp_path / name).write_bytes(content)
        for share in (0.1, 0.5, 0.99):
            with pytest.raises(InputError, match="cannot be written"), full_disk(int(share * size)):
                write_photo(path, Photo(noise))
            assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == older
        path.touch()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_file_takes_its_place_in_one_step(tmp_path, monkeypatch, suffix, dtype):
    path, seen = tmp_path / f"x{suffix}", []
    path.write_bytes(b"older")

    def fail(source, target):
        seen.append((os.fspath(target), read_photo(source).pixels.shape))
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match=r"x\..*: cannot be written \(Input/output error\)"):
        write_photo(path, Photo(pixels(dtype, 3)))
    assert seen == [(str(path), (*SIZE, 3))]
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {path.name: b"older"}


def test_a_picture_too_wide_for_its_format_is_one_sentence(tmp_path):
    for suffix, width in ((".webp", 16_384), (".jpg", 65_536)):
        with pytest.raises(InputError, match="cannot be written"):
            write_photo(tmp_path / f"x{suffix}", Photo(np.zeros((1, width, 3), np.uint8)))
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    write_photo(path, Photo(pixels(np.uint8, 3)))
    assert same(read_photo(path).pixels, pixels(np.uint8, 3))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "x.png", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: {reason}"):
            read_photo(path)
