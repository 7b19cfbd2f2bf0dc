"""Pictures read: what comes is right, or is refused in one sentence; and images as numbers."""

import io
import re
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageOps
from skimage.color import rgb2ycbcr

from deblurlib import files, images
from deblurlib.errors import InputError

SIZE = (12, 20)
ORIENTATION, MAKER = 0x0112, 271
EIGHT = np.random.default_rng(0).integers(0, 256, (*SIZE, 4), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (*SIZE, 4), np.uint16)
NOISE = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
G8, C8, G16, C16 = EIGHT[..., 0], EIGHT[..., :3], DEEP[..., 0], DEEP[..., :3]
TWELVE = G16 >> 4
REFUSED = None


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def by_pillow(image, kind, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return saved(image.save, format=kind, **options)


def by_opencv(array, suffix, *options):
    """The bytes of an image file of RGB(A); OpenCV counts channels backwards."""
    array = array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[-1]]]
    return cv2.imencode(suffix, array, options)[1].tobytes()


def as_tiff(array, photometric="rgb", **options):
    return saved(tifffile.imwrite, array, photometric=photometric, metadata=None, **options)


def by_hand(values, bits, order="<", photometric=1):
    """A grey TIFF of values of that many bits, packed row by row, the highest bit first."""
    rows = [np.unpackbits(row.astype(">u4").view(np.uint8)).reshape(-1, 32) for row in values]
    data = b"".join(np.packbits(row[:, 32 - bits :]).tobytes() for row in rows)
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: height, 279: len(data)}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, tags[tag]) for tag in tags)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + len(data)) + data + directory


def chunk(name, content):
    number = struct.Struct(">I").pack
    return number(len(content)) + name + content + number(zlib.crc32(name + content))


#: of interlaced pixels: the first column and row, and the steps, of each part
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
ADAM7 += [(0, 1, 1, 2)]


def as_png(array, depth, colour_type, *chunks, parts=((0, 0, 1, 1),), rows=None):
    """A PNG of ``(H, W, C)`` values of ``depth`` bits, with further chunks before its pixels.

    ``rows``: only so many of them are stored.
    """
    height, width = array.shape[:2]
    raw = b""
    for x, y, dx, dy in parts:
        part = np.ascontiguousarray(array[y:rows:dy, x::dx], ">u2")
        bits = np.unpackbits(part.view(np.uint8).reshape(-1, 2), axis=-1)[:, -depth:]
        if part.size:
            packed = np.packbits(bits.reshape(part.shape[0], -1), axis=-1)
            raw += b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, len(parts) > 1)
    ends = chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *chunks, *ends])


def claiming(width, height):
    """A PNG whose header claims another size."""
    png = by_pillow(C8, "PNG")
    return png[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + png[24:29]) + png[33:]


def same(ours, theirs):
    return (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape) and np.array_equal(ours, theirs)


# The kinds of files


RGB = Image.fromarray(C8)
PALETTE = RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=200)
#: name -> format, picture, how it is saved, and Pillow's mode of what is read
KINDS = {
    "palette": ("PNG", PALETTE, {}, "RGB"),
    "palette, one colour clear": ("PNG", PALETTE, {"transparency": 3}, "RGBA"),
    "palette, some half clear": ("PNG", PALETTE, {"transparency": bytes(range(200))}, "RGBA"),
    "palette of a TIFF": ("TIFF", PALETTE, {}, "RGB"),
    "one bit": ("PNG", RGB.convert("1"), {}, "L"),
    "one bit, fax": ("TIFF", RGB.convert("1"), {"compression": "group4"}, "L"),
    "grey and alpha": ("PNG", RGB.convert("LA"), {}, "LA"),
    "grey, one level clear": ("PNG", RGB.convert("L"), {"transparency": 3}, "LA"),
    "colour, one clear": ("PNG", RGB, {"transparency": (1, 2, 3)}, "RGBA"),
    "grey jpeg": ("JPEG", RGB.convert("L"), {}, "L"),
    "progressive jpeg": ("JPEG", RGB, {"progressive": True}, "RGB"),
    "cmyk jpeg": ("JPEG", RGB.convert("CMYK"), {}, "RGB"),
    "cmyk tiff": ("TIFF", RGB.convert("CMYK"), {}, "RGB"),
    "tiff, lzw": ("TIFF", RGB, {"compression": "tiff_lzw"}, "RGB"),
    "tiff, jpeg": ("TIFF", RGB, {"compression": "jpeg"}, "RGB"),
    "tiff, alpha": ("TIFF", Image.fromarray(EIGHT), {"compression": "packbits"}, "RGBA"),
    "tiff, zstd": ("TIFF", RGB, {"compression": "zstd"}, "RGB"),  # OpenCV cannot read it
    "webp": ("WEBP", RGB, {}, "RGB"),
    "bmp": ("BMP", PALETTE, {}, "RGB"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", KINDS)
def test_every_8_bit_kind_is_read_as_pillow_shows_it_and_nothing_is_said(capfd, name):
    kind, image, options, mode = KINDS[name]
    data = by_pillow(image, kind, **options)
    shown = Image.open(io.BytesIO(data))
    if mode[-1] == "A":  # what is half clear must not be blended by a detour over RGB
        shown = shown.convert("RGBA")
    expected = np.asarray(shown.convert(mode)).reshape(*SIZE, len(mode))
    assert same(files.read(data, "x").pixels, expected)
    assert capfd.readouterr() == ("", "")


OPAQUE = np.dstack([C8, np.full_like(G8, 255)])
PLANES = C8.transpose(2, 0, 1).copy(), C16.transpose(2, 0, 1).copy()
GREY_PLANES = EIGHT[..., :2].transpose(2, 0, 1).copy()
#: name -> what is in the file, and the pixels of RGB or of all three
TIFFS = {
    "grey": (as_tiff(G8, "minisblack"), G8),
    "white is 0": (as_tiff(G8, "miniswhite"), 255 - G8),
    "colour": (as_tiff(C8), C8),
    "colours apart": (as_tiff(PLANES[0], planarconfig="separate"), C8),
    "tiles": (as_tiff(C8, tile=(16, 16)), C8),
    "alpha": (as_tiff(EIGHT, extrasamples=["unassalpha"]), C8),
    "alpha, opaque, multiplied in": (as_tiff(OPAQUE, extrasamples=["assocalpha"]), C8),
    "a channel that is not said": (as_tiff(EIGHT, extrasamples=["unspecified"]), C8),
    "4 bits": (by_hand(G8 >> 4, 4), (G8 >> 4) * 17),
    "4 bits, white is 0": (by_hand(G8 >> 4, 4, photometric=0), 255 - (G8 >> 4) * 17),
    "planes of grey and alpha": (
        as_tiff(GREY_PLANES, "minisblack", planarconfig="separate", extrasamples=["unassalpha"]),
        REFUSED,
    ),
    "below 0": (as_tiff(G8.view(np.int8), "minisblack"), REFUSED),
    "luma and chroma": (as_tiff(C8, "ycbcr") + bytes(1000), REFUSED),
    "16 bits": (as_tiff(G16, "minisblack"), G16),
    "16 bits, big-endian": (as_tiff(G16, "minisblack", byteorder=">"), G16),
    "16 bits, colour": (as_tiff(C16), C16),
    "16 bits, colour, big-endian": (as_tiff(C16, byteorder=">"), C16),
    "16 bits, a large file's kind": (as_tiff(C16, bigtiff=True), C16),
    "16 bits, tiles": (as_tiff(C16, tile=(16, 16)), C16),
    "16 bits, alpha": (as_tiff(DEEP, extrasamples=["unassalpha"]), C16),
    "16 bits, a channel that is not said": (as_tiff(DEEP, extrasamples=["unspecified"]), C16),
    "16 bits, white is 0": (as_tiff(G16, "miniswhite"), REFUSED),
    "16 bits, apart": (as_tiff(PLANES[1], planarconfig="separate"), REFUSED),
    "16 bits, multiplied": (as_tiff(DEEP, extrasamples=["assocalpha"]), REFUSED),
    "16 bits, inks": (as_tiff(DEEP, "separated"), REFUSED),
    "16 bits, lightness": (as_tiff(C16, "cielab"), REFUSED),
    "16 bits, grey and alpha": (as_tiff(DEEP[..., :2], "minisblack"), REFUSED),
    "16 bits, below 0": (as_tiff(G16.view(np.int16), "minisblack"), REFUSED),
    "half precision": (as_tiff((G16 / 65535).astype(np.float16), "minisblack"), REFUSED),
    # 32 bits a value have no white point: clipped to 8 bit, it would be a wrong image
    "single precision": (as_tiff((C16 / 65535).astype(np.float32)), REFUSED),
    "32 bits": (as_tiff(G16.astype(np.uint32), "minisblack"), REFUSED),
    "10 bits": (by_hand(G16 >> 6, 10), REFUSED),
    "12 bits": (by_hand(TWELVE, 12), np.rint(TWELVE * (65535 / 4095)).astype(np.uint16)),
    "12 bits, big-endian": (by_hand(TWELVE, 12, ">"), REFUSED),
    "12 bits, white is 0": (by_hand(TWELVE, 12, photometric=0), REFUSED),
    "14 bits": (by_hand(G16 >> 2, 14), REFUSED),
    "pages": (as_tiff(np.stack([G16, G16]), "minisblack"), REFUSED),
    "a stack of ImageJ": (
        as_tiff(G16, "minisblack", description="ImageJ=1.53\nimages=12\n"),
        REFUSED,
    ),
}
for number in (1, 5, 8, 32946):  # none, LZW, Deflate, its old number
    how = cv2.IMWRITE_TIFF_COMPRESSION, number
    TIFFS[f"16 bits, compression {number}"] = by_opencv(C16, ".tif", *how), C16


@pytest.mark.parametrize("name", TIFFS)
def test_every_kind_of_tiff_is_read_right_or_refused(name):
    data, expected = TIFFS[name]
    if expected is REFUSED:
        with pytest.raises(InputError, match=r"^x\.tif: [^\n]+$"):
            files.decode(data, "x.tif")
        return
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, -1)
    assert same(files.decode(data, "x.tif"), expected)


@pytest.mark.parametrize("depth", ["", "16 bits, "])
def test_a_channel_that_is_not_said_is_not_taken_for_alpha(depth):
    assert files.read(TIFFS[f"{depth}a channel that is not said"][0], "x").pixels.shape[-1] == 3
    assert files.read(TIFFS[f"{depth}alpha"][0], "x").pixels.shape[-1] == 4


def test_what_is_half_clear_and_multiplied_in_is_divided_by_its_alpha():
    array = EIGHT.copy()
    alpha = array[..., 3:] | 64
    array[..., 3:] = alpha
    array[..., :3] = (array[..., :3] * (alpha / 255)).astype(np.uint8)
    found = files.decode(as_tiff(array, extrasamples=["assocalpha"]), "x")
    divided = np.minimum(255 * array[..., :3].astype(int) // alpha, 255)
    assert np.abs(found.astype(int) - divided).max() <= 1


def test_lightness_of_8_bits_is_read_by_a_colour_management():
    profiles = map(ImageCms.createProfile, ("sRGB", "LAB"))
    lab = ImageCms.applyTransform(RGB, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    found = files.decode(by_pillow(lab, "TIFF"), "x").astype(int)
    assert np.median(np.abs(found - C8)) <= 2


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_and_its_profile_does_not_fit_any_more(kind):
    data = by_pillow(RGB.convert("CMYK"), kind, icc_profile=b"of CMYK")
    assert files.read(data, "x").profile == b""


def test_of_a_phones_jpeg_with_a_second_picture_the_first_is_the_photograph():
    two = by_pillow(RGB, "MPO", save_all=True, append_images=[ImageOps.invert(RGB)])
    assert Image.open(io.BytesIO(two)).n_frames == 2
    assert np.array_equal(files.decode(two, "x"), files.decode(by_pillow(RGB, "JPEG"), "x"))


def turned(array, orientation):
    """The array as a viewer that knows EXIF shows it, by Pillow's turning of its places."""
    height, width = array.shape[:2]
    places = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    places.getexif()[ORIENTATION] = orientation
    places = np.asarray(ImageOps.exif_transpose(places))
    return array.reshape(-1, array.shape[-1])[places]


def turned_tiff(array, orientation, **options):
    """A TIFF of grey, RGB or RGBA that is to be turned."""
    if array.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    if array.shape[-1] == 1:
        array, options["photometric"] = array[..., 0], "minisblack"
    return as_tiff(array, extratags=[(ORIENTATION, "H", 1, orientation, True)], **options)


def turned_by_pillow(array, orientation, kind):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return by_pillow(array.squeeze(), kind, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("make", "array"),
    [
        (lambda *given: turned_by_pillow(*given, "PNG"), C8),
        (lambda *given: turned_by_pillow(*given, "PNG"), DEEP[..., :1]),
        (turned_tiff, C8),
        (lambda *given: turned_tiff(*given, rowsperstrip=3), C8),
        (turned_tiff, DEEP[..., :1]),
        (turned_tiff, C16),
        (turned_tiff, DEEP),
    ],
)
def test_orientation_is_applied(make, array, orientation):
    colours = array.repeat(3, -1) if array.shape[-1] == 1 else array[..., :3]
    assert same(files.decode(make(array, orientation), "x"), turned(colours, orientation))


# PNG


def test_16_bit_grey_with_alpha_is_read_as_such():
    array = DEEP[..., [0, 3]]
    assert same(files.read(as_png(array, 16, 4), "x").pixels, array)


@pytest.mark.parametrize(
    ("depth", "colour_type"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)]
)
def test_the_one_colour_that_is_transparent_is_the_one_of_the_file(depth, colour_type):
    channels, most = (1, 3)[colour_type // 2], 2**depth - 1
    array = (DEEP[..., :channels] >> (16 - depth)).copy()
    key = array[3, 4].copy()
    array[5:8, 5:9] = key
    stored = key.astype(int) + (2**depth if depth < 16 else 0)  # more bits than count
    data = as_png(array, depth, colour_type, chunk(b"tRNS", stored.astype(">u2").tobytes()))
    pixels = files.read(data, "x").pixels
    top = 65535 if depth == 16 else 255
    assert pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert np.array_equal(pixels[..., :-1], array.astype(int) * (top // most))
    assert np.array_equal(pixels[..., -1], np.where((array == key).all(-1), 0, top))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_keeps_how_transparent_each_of_its_colours_is(depth):
    places = (DEEP[..., :1] >> (16 - depth)).copy()
    palette = np.random.default_rng(2).integers(0, 256, (2**depth, 4), np.uint8)
    chunks = chunk(b"PLTE", palette[:, :3].tobytes()), chunk(b"tRNS", palette[:, 3].tobytes())
    pixels = files.read(as_png(places, depth, 3, *chunks), "x").pixels
    assert np.array_equal(pixels, palette[places[..., 0]])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (12, 20)])
@pytest.mark.parametrize(("depth", "colour_type"), [(1, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_an_interlaced_png_is_whole_and_is_the_same_picture(size, depth, colour_type):
    array = DEEP[: size[0], : size[1], : 1 + colour_type] >> (16 - depth)
    found = files.decode(as_png(array, depth, colour_type, parts=ADAM7), "x")
    assert np.array_equal(found, files.decode(as_png(array, depth, colour_type), "x"))


def test_a_profile_that_is_cut_short_is_none():
    packed = zlib.compress(bytes(range(256)) * 9)
    for content, expected in ((packed, bytes(range(256)) * 9), (packed[:-9], b""), (b"no", b"")):
        data = as_png(C8, 8, 2, chunk(b"iCCP", b"a profile\0\0" + content))
        assert files.read(data, "x").profile == expected


def test_texts_of_any_size_do_not_keep_a_png_from_being_read():
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000)))
    assert np.array_equal(files.decode(as_png(C8, 8, 2, text), "x"), C8)


def test_how_a_png_was_held_is_found_in_its_texts_too():
    words = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + words)
    assert np.array_equal(files.decode(as_png(C8, 8, 2, text), "x"), np.rot90(C8, -1))


# What is refused


def several(kind):
    return by_pillow(RGB, kind, save_all=True, append_images=[ImageOps.invert(RGB), RGB])


def half(data):
    return data[: len(data) // 2]


WHOLE = by_pillow(NOISE, "PNG")
BAD_FILES = {
    "truncated.jpg": half(by_pillow(NOISE, "JPEG")),
    "truncated.webp": half(by_pillow(NOISE, "WEBP")),
    "truncated.tif": half(by_pillow(NOISE, "TIFF")),
    "truncated.bmp": half(by_pillow(NOISE, "BMP")),
    "truncated-16-bit.png": half(by_opencv(DEEP, ".png")),
    "truncated-16-bit.tif": half(by_opencv(DEEP, ".tif")),
    "without-its-last-byte.tif": as_tiff(NOISE, compression="zlib")[:-1],
    **{f"without-{cut}.png": WHOLE[:-cut] for cut in (1, 12, 20, 60, len(WHOLE) // 2)},
    "header-only.png": WHOLE[:33],
    # of these, Pillow would make something black or clear
    "five-rows.png": as_png(C8, 8, 2, rows=5),
    "five-rows-of-bits.png": as_png(G8[..., None] & 1, 1, 0, rows=5),
    "no-palette.png": as_png(G8[..., None], 8, 3),
    "short-palette.png": as_png(G8[..., None], 8, 3, chunk(b"PLTE", bytes(30))),
    "no-transparent-grey.png": as_png(G8[..., None], 8, 0, chunk(b"tRNS", b"")),
    "no-transparent-colour.png": as_png(C8, 8, 2, chunk(b"tRNS", b"\0\1")),
    "text.png": b"This is no image.\n",
    "empty.png": b"",
    "bomb.png": claiming(60_000, 60_000),
    "large.png": claiming(10_001, 10_000),
    "several.tif": several("TIFF"),
    "several.png": several("PNG"),
    "several.webp": several("WEBP"),
    # formats that are not named are not tried, whatever the file is called
    "gif.png": by_pillow(C8, "GIF"),
    "jpeg-2000.jpg": by_pillow(C8, "JPEG2000"),
    "postscript.png": by_pillow(C8, "EPS"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_sentence_and_nothing_else_is_said(capfd, name):
    with pytest.raises(InputError, match=rf"^{name}: [^\n]+$"):
        files.read(BAD_FILES[name], name)
    assert capfd.readouterr() == ("", "")


def without(what, **parts):
    """A TIFF of four parts, of which the second is said to be nowhere, or the last is not named."""
    data = bytearray(as_tiff(np.full((64, 64), 99, np.uint8), "minisblack", **parts))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in file.pages[0].tags:
            if what == "the last" and tag.name.endswith(("Offsets", "ByteCounts")):
                struct.pack_into("<I", data, tag.offset + 4, 3)
            elif tag.name.endswith(what):
                wide = 4 if tag.dtype == 4 else 2
                data[tag.valueoffset + wide : tag.valueoffset + 2 * wide] = bytes(wide)
    return bytes(data)


@pytest.mark.parametrize("parts", [{"rowsperstrip": 16}, {"tile": (32, 32)}])
@pytest.mark.parametrize("what", ["Offsets", "ByteCounts", "the last"])
def test_a_part_of_a_tiff_that_is_nowhere_is_not_read_from_elsewhere(parts, what):
    with pytest.raises(InputError, match=r"^x: damaged image file"):
        files.read(without(what, **parts), "x")


def test_damage_in_a_zipped_tiff_is_noticed():
    smooth = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (96, 96, 3)), (0, 0), 3)
    array = np.uint8((128 + 40 * smooth / smooth.std()).clip(0, 255))
    whole = by_pillow(array, "TIFF", compression="tiff_deflate")
    expected = files.decode(whole, "x")
    for place in range(200, len(whole) - 300, 97):
        data = bytearray(whole)
        data[place : place + 8] = bytes(8)
        try:
            found = files.decode(bytes(data), "x")
        except InputError:
            continue
        assert np.array_equal(found, expected), place


CHANGED = {
    "x.jpg": by_pillow(C8, "JPEG"),
    "x.png": by_pillow(EIGHT, "PNG"),
    "x.webp": by_pillow(C8, "WEBP"),
    "x.bmp": by_pillow(C8, "BMP"),
    "x.tif": by_pillow(C8, "TIFF"),
    "lzw.tif": by_pillow(C8, "TIFF", compression="tiff_lzw"),
    "fax.tif": by_pillow(RGB.convert("1"), "TIFF", compression="group4"),
    "phone.jpg": by_pillow(C8, "MPO", save_all=True, append_images=[RGB]),
    "deep.png": by_opencv(DEEP, ".png"),
    "deep.tif": by_opencv(C16, ".tif"),
}


def with_checksums(data):
    """A PNG whose chunks have the right checksums, so that a change in them is looked at."""
    made, start = data[:8], 8
    while start + 12 <= len(data):
        stop = start + 8 + int.from_bytes(data[start : start + 4])
        made += data[start:stop] + struct.pack(">I", zlib.crc32(data[start + 4 : stop]))
        start = stop + 4
    return made


@pytest.mark.parametrize("each", [50, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CHANGED)
def test_of_changed_bytes_come_pixels_or_one_sentence(name, each):
    rng, told = np.random.default_rng(each), []
    for number in range(each):
        data = bytearray(CHANGED[name])
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[rng.choice([place, place % 300])] = rng.integers(256)
        if number % 2 and name.endswith("png"):
            data = with_checksums(data)
        try:
            pixels = files.decode(bytes(data), name)
        except InputError as error:
            told.append(str(error))
            continue
        assert pixels.ndim == 3
        assert pixels.shape[-1] == 3
    assert told
    assert all(line.startswith(f"{name}: ") and "\n" not in line for line in told)


def test_the_largest_number_of_pixels_is_a_setting_and_pillow_warns_of_none(tmp_path, monkeypatch):
    RGB.save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert files.read_photo(tmp_path / "x.png", max_pixels=240).pixels.shape == (*SIZE, 3)
        assert files.read_image(tmp_path / "x.png", max_pixels=240).shape == (3, *SIZE)
    for read in (files.read_photo, files.read_image):
        with pytest.raises(InputError, match="20 x 12 pixels are more than the limit of 239"):
            read(tmp_path / "x.png", max_pixels=239)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "x.png", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: {reason}"):
            files.read_photo(path)


# Images as numbers


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(tmp_path, size, channels):
    array = np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)
    files.write_image(tmp_path / "x.png", images.to_tensor(array))
    x = files.read_image(tmp_path / "x.png")
    assert (x.dtype, x.shape) == (torch.float32, (3, *size))
    assert np.array_equal(images.to_array(x), np.broadcast_to(array, (*size, 3)))
    assert Image.open(tmp_path / "x.png").mode == {1: "L", 3: "RGB"}[channels]


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_every_suffix_is_written_and_read(tmp_path, rand, suffix):
    coarse = 0.2 + 0.2 * rand(1, 3, 2, 3) + torch.tensor([0.0, 0.2, 0.4]).view(3, 1, 1)
    x = torch.nn.functional.interpolate(coarse, (32, 48), mode="bilinear")[0]
    files.write_image(tmp_path / f"x{suffix}", x)
    torch.testing.assert_close(files.read_image(tmp_path / f"x{suffix}"), x, rtol=0, atol=0.05)


def test_levels_become_shares_of_the_highest_of_8_or_16_bits():
    every = np.arange(65536).reshape(256, 256)
    for array in (every.astype(np.uint16), every[:1].astype(np.uint8)):
        expected = torch.from_numpy(array / np.iinfo(array.dtype).max)[None].float()
        torch.testing.assert_close(images.to_tensor(array), expected, rtol=0, atol=1e-7)
    x = images.to_tensor(every[:1].astype(np.uint8))
    assert torch.equal(images.quantise(x), x)
    assert images.to_array(x).ravel().tolist() == [*range(256)]
    with pytest.raises(InputError, match="not int16"):
        images.to_tensor(every.astype(np.int16))


def test_quantise_rounds_half_up_and_clamps():
    x = torch.tensor([-1, 0, 0.49, 0.5, 1.49, 1.5, 2.5, 126.5, 127.5, 255, 300]) / 255
    levels = torch.tensor([0, 0, 0, 1, 1, 2, 3, 127, 128, 255, 255])
    assert torch.equal(images.quantise(x), levels / 255)
    assert images.to_array(x.view(1, 1, -1)).ravel().tolist() == levels.tolist()


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (torch.full((3, 2, 2), torch.nan), "NaN"),
        (torch.full((3, 2, 2), torch.inf), "infinite"),
        (torch.zeros(4, 2, 2), "(4, 2, 2)"),
        (torch.zeros(1, 3, 2, 2), "(1, 3, 2, 2)"),
    ],
)
def test_what_is_no_image_is_not_written(tmp_path, x, named):
    with pytest.raises(InputError, match=re.escape(named)):
        files.write_image(tmp_path / "x.png", x)
    assert list(tmp_path.iterdir()) == []


def test_luma_and_grey_agree_with_other_libraries():
    x = images.to_tensor(C8)
    np.testing.assert_allclose(images.luma(x)[0], rgb2ycbcr(C8)[..., 0] / 255, atol=1e-6)
    expected = cv2.cvtColor(x.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(images.grey(x)[0], expected, atol=1e-6)
    assert images.luma(torch.ones(2, 3, 4, 5)).shape == (2, 1, 4, 5)


@pytest.mark.parametrize("size", [(3, 4, 5), (2, 2, 3, 4, 5)])
def test_grey_of_three_channels_is_that_of_one_three_times(rand, size):
    one, three = images.grey(rand(*size)), images.grey(rand(*size), 3)
    assert three.shape == size
    assert torch.equal(three, torch.cat([one] * 3, -3))


def test_standardised_values_are_those_of_s3_and_there_is_a_way_back(rand):
    x = rand(2, 3, 4, 5)
    z = images.standardise(x)
    for i, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        torch.testing.assert_close(z[:, i], (x[:, i] - mean) / deviation)
    torch.testing.assert_close(images.from_standardised(z), x)
    assert torch.equal(images.standardise(x[0]), z[0])


def test_centre_crop_is_the_middle_and_makes_up_no_pixels():
    x = torch.arange(35).view(1, 5, 7)
    assert torch.equal(images.centre_crop(x, 3), x[:, 1:4, 2:5])
    assert torch.equal(images.centre_crop(x, 1, 5), x[:, 2:3, 1:6])
    assert torch.equal(images.centre_crop(x, 4, 4), x[:, :4, 1:5])  # the odd pixel: right, below
    assert torch.equal(images.centre_crop(x, 5, 7), x)
    for height, width in ((6, 7), (5, 8)):
        with pytest.raises(InputError, match=f"{height} x {width} out of 5 x 7"):
            images.centre_crop(x, height, width)
