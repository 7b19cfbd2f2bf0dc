"""The one reader of pictures: what it gives is right, or it is refused in one sentence."""

import io
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from deblurlib import files
from deblurlib.errors import InputError
from deblurlib.files import Photo, read_photo, write_photo

SIDE = (12, 20)
EIGHT = np.random.default_rng(0).integers(0, 256, (*SIDE, 4), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (*SIDE, 4), np.uint16)
REFUSED = None


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def as_tiff(array, photometric="rgb", **options):
    return saved(tifffile.imwrite, array, photometric=photometric, metadata=None, **options)


def by_pillow(image, kind, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return saved(image.save, format=kind, **options)


def by_hand(values, bits, order="<", photometric=1, **more):
    """A grey TIFF of values of that many bits, packed row by row, the highest bit first."""
    rows = [np.unpackbits(row.astype(">u4").view(np.uint8)).reshape(-1, 32) for row in values]
    data = b"".join(np.packbits(row[:, 32 - bits :]).tobytes() for row in rows)
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height}
    tags |= {273: 8, 279: len(data)} | more.get("tags", {})
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + len(data)) + data + directory


def divided(array):
    """RGB of which alpha has been taken out again."""
    return np.minimum(255 * array[..., :3].astype(int) // np.maximum(array[..., 3:], 1), 255)


G8, C8, G16, C16 = EIGHT[..., 0], EIGHT[..., :3], DEEP[..., 0], DEEP[..., :3]
TWELVE = G16 >> 4
PREMULTIPLIED = EIGHT.copy()
PREMULTIPLIED[..., 3] = 255
#: name -> what is in the file, and the pixels of RGB or of all three
TIFFS = {
    "grey": (as_tiff(G8, "minisblack"), G8),
    "white is 0": (as_tiff(G8, "miniswhite"), 255 - G8),
    "colour": (as_tiff(C8), C8),
    "colours apart": (as_tiff(C8.transpose(2, 0, 1).copy(), planarconfig="separate"), C8),
    "alpha": (as_tiff(EIGHT, extrasamples=["unassalpha"]), C8),
    "alpha, opaque, multiplied in": (as_tiff(PREMULTIPLIED, extrasamples=["assocalpha"]), C8),
    "a channel that is not said": (as_tiff(EIGHT, extrasamples=["unspecified"]), C8),
    "4 bits": (by_hand(G8 >> 4, 4), (G8 >> 4) * 17),
    "4 bits, white is 0": (by_hand(G8 >> 4, 4, photometric=0), 255 - (G8 >> 4) * 17),
    "planes of grey and alpha": (
        as_tiff(
            EIGHT[..., :2].transpose(2, 0, 1).copy(),
            "minisblack",
            planarconfig="separate",
            extrasamples=["unassalpha"],
            compression="zlib",
        ),
        REFUSED,
    ),
    "below 0": (as_tiff(G8.view(np.int8), "minisblack"), REFUSED),
    "luma and chroma": (as_tiff(C8, "ycbcr") + bytes(1000), REFUSED),
    "16 bits": (as_tiff(G16, "minisblack"), G16),
    "16 bits, big-endian": (as_tiff(G16, "minisblack", byteorder=">"), G16),
    "16 bits, colour": (as_tiff(C16), C16),
    "16 bits, colour, big-endian": (as_tiff(C16, byteorder=">"), C16),
    "16 bits, a large file's kind": (as_tiff(C16, bigtiff=True), C16),
    "16 bits, alpha": (as_tiff(DEEP, extrasamples=["unassalpha"]), C16),
    "16 bits, a channel that is not said": (as_tiff(DEEP, extrasamples=["unspecified"]), C16),
    "16 bits, white is 0": (as_tiff(G16, "miniswhite"), REFUSED),
    "16 bits, apart": (as_tiff(C16.transpose(2, 0, 1).copy(), planarconfig="separate"), REFUSED),
    "16 bits, multiplied": (as_tiff(DEEP, extrasamples=["assocalpha"]), REFUSED),
    "16 bits, inks": (as_tiff(DEEP, "separated"), REFUSED),
    "16 bits, lightness": (as_tiff(C16, "cielab"), REFUSED),
    "16 bits, grey and alpha": (as_tiff(DEEP[..., :2], "minisblack"), REFUSED),
    "16 bits, below 0": (as_tiff(G16.view(np.int16), "minisblack"), REFUSED),
    "half precision": (as_tiff((G16 / 65535).astype(np.float16), "minisblack"), REFUSED),
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


@pytest.mark.parametrize("name", TIFFS)
def test_every_kind_of_tiff_is_read_right_or_refused(name):
    data, expected = TIFFS[name]
    if expected is REFUSED:
        with pytest.raises(InputError, match=r"^x\.tif: [^\n]+$"):
            files.decode(data, "x.tif")
        return
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, -1)
    found = files.decode(data, "x.tif")
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("depth", ["", "16 bits, "])
def test_a_channel_that_is_not_said_is_not_taken_for_alpha(depth):
    assert files.read(TIFFS[f"{depth}a channel that is not said"][0], "x").pixels.shape[-1] == 3
    assert files.read(TIFFS[f"{depth}alpha"][0], "x").pixels.shape[-1] == 4


def without(what, dtype, **parts):
    """A TIFF of four parts, of which the second is said to be nowhere, or the last is not named."""
    data = bytearray(as_tiff(np.full((64, 64), 99, dtype), "minisblack", **parts))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in file.pages[0].tags:
            if what == "the last" and tag.name.endswith(("Offsets", "ByteCounts")):
                struct.pack_into("<I", data, tag.offset + 4, 3)
            elif tag.name.endswith(what):
                wide = 4 if tag.dtype == 4 else 2
                data[tag.valueoffset + wide : tag.valueoffset + 2 * wide] = bytes(wide)
    return bytes(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("parts", [{"rowsperstrip": 16}, {"tile": (32, 32)}])
@pytest.mark.parametrize("what", ["Offsets", "ByteCounts", "the last"])
def test_a_part_of_a_tiff_that_is_nowhere_is_not_read_from_elsewhere(dtype, parts, what):
    with pytest.raises(InputError, match=r"^x: damaged image file"):
        files.read(without(what, dtype, **parts), "x")


def test_a_tiff_that_ends_before_its_parts_do_is_damaged():
    data = as_tiff(np.full((64, 64), 99, np.uint8), "minisblack", compression="zlib")
    with pytest.raises(InputError, match=r"^x: damaged image file"):
        files.read(data[:-1], "x")


def test_damage_in_a_zipped_tiff_is_noticed():
    smooth = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (96, 96, 3)), (0, 0), 3)
    array = np.uint8(128 + 40 * smooth / smooth.std())
    whole = by_pillow(array.clip(0, 255), "TIFF", compression="tiff_deflate")
    expected = files.decode(whole, "x")
    for place in range(200, len(whole) - 300, 97):
        data = bytearray(whole)
        data[place : place + 8] = bytes(8)
        try:
            found = files.decode(bytes(data), "x")
        except InputError:
            continue
        assert np.array_equal(found, expected), place


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_tiff_of_many_strips_is_all_there(turn):
    array = EIGHT[..., 0]
    tag = [(0x0112, "H", 1, turn, True)]
    found = files.decode(as_tiff(array, "minisblack", rowsperstrip=3, extratags=tag), "x")
    assert found.shape[:2] == (array.shape if turn < 5 else array.shape[::-1])


def test_what_is_half_clear_and_multiplied_in_is_divided_by_its_alpha():
    array = EIGHT.copy()
    array[..., 3] |= 64
    array[..., :3] = (array[..., :3] * (array[..., 3:] / 255)).astype(np.uint8)
    found = files.decode(as_tiff(array, extrasamples=["assocalpha"]), "x")
    assert np.abs(found.astype(int) - divided(array)).max() <= 1


def test_lightness_of_8_bits_is_read_by_a_colour_management():
    lab = ImageCms.applyTransform(
        Image.fromarray(C8),
        ImageCms.buildTransform(*map(ImageCms.createProfile, ("sRGB", "LAB")), "RGB", "LAB"),
    )
    found = files.decode(by_pillow(lab, "TIFF"), "x").astype(int)
    assert np.median(np.abs(found - C8)) <= 2


def chunk(name, content):
    number = struct.Struct(">I").pack
    return number(len(content)) + name + content + number(zlib.crc32(name + content))


#: of interlaced pixels: the first column and row, and the steps, of each part
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
ADAM7 += [(0, 1, 1, 2)]


def as_png(array, depth, colour_type, *chunks, parts=((0, 0, 1, 1),)):
    """A PNG of ``(H, W, C)`` values of ``depth`` bits, with further chunks before its pixels."""
    height, width = array.shape[:2]
    raw = b""
    for x, y, dx, dy in parts:
        part = np.ascontiguousarray(array[y::dy, x::dx], ">u2")
        bits = np.unpackbits(part.view(np.uint8).reshape(-1, 2), axis=-1)[:, -depth:]
        if part.size:
            rows = np.packbits(bits.reshape(part.shape[0], -1), axis=-1)
            raw += b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, len(parts) > 1)
    ends = chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *chunks, *ends])


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
    assert np.array_equal(pixels[..., -1] == 0, (array == key).all(-1))
    assert set(np.unique(pixels[..., -1])) == {0, top}


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_keeps_how_transparent_each_of_its_colours_is(depth):
    places = (DEEP[..., :1] >> (16 - depth)).copy()
    palette = np.random.default_rng(2).integers(0, 256, (2**depth, 4), np.uint8)
    chunks = chunk(b"PLTE", palette[:, :3].tobytes()), chunk(b"tRNS", palette[:, 3].tobytes())
    pixels = files.read(as_png(places, depth, 3, *chunks), "x").pixels
    assert np.array_equal(pixels, palette[places[..., 0]])


GAMMA = (b"gAMA", struct.pack(">I", 100_000))
PRIMARIES = (b"cHRM", struct.pack(">8I", *range(30_000, 38_000, 1000)))
CODES = (b"cICP", bytes([9, 16, 0, 1]))
SIZE = (b"pHYs", struct.pack(">IIB", 3000, 2000, 1))
ORDINARY = [
    ((b"sRGB", b"\0"), GAMMA, PRIMARIES),  # of which the first overrules the others
    ((b"gAMA", struct.pack(">I", 45455)),),
    ((b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),),
]


def chunks_of(path):
    data, start, found = path.read_bytes(), 8, {}
    while start < len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        found.setdefault(name, data[start + 8 : start + 8 + length])
        start += 12 + length
    return found


@pytest.mark.parametrize("depth", [8, 16])
def test_what_a_png_says_of_its_colours_is_kept_in_a_png_and_told_elsewhere(tmp_path, depth):
    words = (GAMMA, PRIMARIES, CODES, SIZE)
    array = DEEP[..., :3] >> (16 - depth)
    (tmp_path / "x.png").write_bytes(as_png(array, depth, 2, *(chunk(*w) for w in words)))
    photo = read_photo(tmp_path / "x.png")
    assert write_photo(tmp_path / "y.png", photo) == ()
    found = chunks_of(tmp_path / "y.png")
    assert {name: found[name] for name, _ in words} == dict(words)
    assert list(found).index(b"gAMA") < list(found).index(b"IDAT")
    assert np.array_equal(read_photo(tmp_path / "y.png").pixels, array)
    assert write_photo(tmp_path / "y.tif", photo) == ("gAMA", "cHRM", "cICP")


def test_a_profile_overrules_what_is_older_than_it_and_not_the_codes(tmp_path):
    words = (GAMMA, PRIMARIES, CODES, (b"iCCP", b"a\0\0" + zlib.compress(b"profile")))
    photo = files.read(as_png(C8, 8, 2, *(chunk(*word) for word in words)), "x")
    assert photo.profile == b"profile"
    assert write_photo(tmp_path / "y.jpg", photo) == ("cICP",)


@pytest.mark.parametrize("turn", [0, 9, 300])
def test_an_orientation_that_is_none_is_left_out(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112], exif[271] = turn, "Maker"
    photo = files.read(by_pillow(C8, "PNG", exif=exif), "x")
    assert np.array_equal(photo.upright(), C8)
    write_photo(tmp_path / "y.tif", photo)
    found = read_photo(tmp_path / "y.tif")
    assert np.array_equal(found.pixels, C8)
    assert b"Maker" in found.exif


@pytest.mark.parametrize("words", ORDINARY)
def test_of_a_png_that_says_it_is_ordinary_nothing_is_lost(tmp_path, words):
    data = as_png(C8, 8, 2, *(chunk(*word) for word in words))
    assert write_photo(tmp_path / "y.jpg", files.read(data, "x")) == ()


def test_a_profile_that_is_cut_short_is_none():
    packed = zlib.compress(bytes(range(256)) * 9)
    for content, expected in ((packed, bytes(range(256)) * 9), (packed[:-9], b""), (b"no", b"")):
        data = as_png(C8, 8, 2, chunk(b"iCCP", b"a profile\0\0" + content))
        assert files.read(data, "x").profile == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_profile_of_any_size_is_read_again_by_the_one_who_wrote_it(tmp_path, dtype):
    profile = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
    write_photo(tmp_path / "x.png", Photo(C8.astype(dtype), profile=profile))
    photo = read_photo(tmp_path / "x.png")
    assert photo.profile == profile
    assert np.array_equal(photo.pixels, C8)


def rows_of(data, count):
    """A PNG of which only the first rows are stored."""
    start = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, start)
    raw = zlib.decompress(data[start + 8 : start + 8 + length])
    packed = zlib.compress(raw[: count * len(raw) // SIDE[0]])
    return data[:start] + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (rows_of(as_png(C8, 8, 2), 5), "rows of pixels are missing"),
        (rows_of(as_png(G8[..., None] & 1, 1, 0), 5), "rows of pixels are missing"),
        (as_png(G8[..., None], 8, 3), "its palette is missing"),
        (as_png(G8[..., None], 8, 3, chunk(b"PLTE", bytes(30))), "colours of its palette are mis"),
        (as_png(G8[..., None], 8, 0, chunk(b"tRNS", b"")), "its transparent colour is none"),
        (as_png(C8, 8, 2, chunk(b"tRNS", b"\0\1")), "its transparent colour is none"),
    ],
)
def test_what_is_missing_in_a_png_is_not_made_black(data, what):
    with pytest.raises(InputError, match=rf"^x: damaged image file \({what}"):
        files.read(data, "x")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (12, 20)])
@pytest.mark.parametrize(("depth", "colour_type"), [(1, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_an_interlaced_png_is_whole_and_is_the_same_picture(size, depth, colour_type):
    array = DEEP[: size[0], : size[1], : 1 + colour_type] >> (16 - depth)
    found = files.decode(as_png(array, depth, colour_type, parts=ADAM7), "x")
    assert np.array_equal(found, files.decode(as_png(array, depth, colour_type), "x"))


@pytest.mark.parametrize("cut", [1, 12, 20, 60])
def test_a_png_that_is_cut_short_is_damaged(cut):
    with pytest.raises(InputError, match=r"^x: damaged image file"):
        files.read(as_png(C8, 8, 2)[:-cut], "x")


def test_texts_of_any_size_do_not_keep_a_png_from_being_read():
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000)))
    assert np.array_equal(files.decode(as_png(C8, 8, 2, text), "x"), C8)


def test_how_a_png_was_held_is_found_in_its_texts_too():
    words = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + words)
    assert np.array_equal(files.decode(as_png(C8, 8, 2, text), "x"), np.rot90(C8, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_keeps_the_size_of_its_pixels_and_its_description(tmp_path, dtype):
    words = "ImageJ=1.53\nunit=micron\nmin=0\n"
    options = {"resolution": ((12345, 1000), (54321, 1000)), "resolutionunit": 1}
    data = as_tiff(EIGHT[..., 0].astype(dtype), "minisblack", description=words, **options)
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


OTHERS = {
    "gif": by_pillow(C8, "GIF"),
    "jpeg 2000": by_pillow(C8, "JPEG2000"),
    "pnm": by_pillow(C8, "PPM"),
    "tga": by_pillow(C8, "TGA"),
    "icon": by_pillow(C8, "ICO"),
    "postscript": by_pillow(C8, "EPS"),
    "avif": b"\0\0\0\x20ftypavif" + bytes(40),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_format_that_is_not_named_is_not_tried_whatever_the_file_is_called(name):
    with pytest.raises(InputError, match=r"^x\.png: not an image file that can be read$"):
        files.read(OTHERS[name], "x.png")


KINDS = {
    "x.jpg": by_pillow(C8, "JPEG"),
    "x.png": by_pillow(EIGHT, "PNG"),
    "x.webp": by_pillow(C8, "WEBP"),
    "x.bmp": by_pillow(C8, "BMP"),
    "x.tif": by_pillow(C8, "TIFF"),
    "lzw.tif": by_pillow(C8, "TIFF", compression="tiff_lzw"),
    "fax.tif": by_pillow(Image.fromarray(C8).convert("1"), "TIFF", compression="group4"),
    "phone.jpg": by_pillow(C8, "MPO", save_all=True, append_images=[Image.fromarray(C8)]),
    "deep.png": cv2.imencode(".png", DEEP)[1].tobytes(),
    "deep.tif": cv2.imencode(".tif", C16)[1].tobytes(),
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
@pytest.mark.parametrize("name", KINDS)
def test_of_changed_bytes_come_pixels_or_one_sentence(name, each):
    rng, told = np.random.default_rng(each), []
    for number in range(each):
        data = bytearray(KINDS[name])
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
