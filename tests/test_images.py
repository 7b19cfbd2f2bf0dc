"""Image files in and out: every kind is read as it looks, every bad one is named."""

import io
import os
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage.color import rgb2ycbcr

from deblurlib import files, images
from deblurlib.errors import InputError

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (6, 9, 4), np.uint16)


def by_pil(array, suffix, mode=None, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(array)
    image = image if mode is None else image.convert(mode)
    image.save(file, Image.registered_extensions()[suffix], **options)
    return file.getvalue()


def by_opencv(array, suffix):
    """The bytes of an image file of RGB(A); OpenCV counts channels backwards."""
    return cv2.imencode(suffix, array[..., [2, 1, 0, 3][: array.shape[-1]]])[1].tobytes()


@settings(max_examples=60)
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), channels=st.sampled_from([1, 3]))
@example(size=(1, 1), channels=1)
@example(size=(1, 1), channels=3)
def test_what_is_written_is_read_again(tmp_path_factory, size, channels):
    path = tmp_path_factory.mktemp("round") / "trip.png"
    array = np.random.default_rng(size).integers(0, 256, (*size, channels), np.uint8)
    files.write_image(path, images.to_tensor(array))
    x = files.read_image(path)
    assert (x.dtype, x.shape) == (torch.float32, (3, *size))
    assert np.array_equal(images.to_array(x), np.broadcast_to(array, (*size, 3)))
    assert Image.open(path).mode == {1: "L", 3: "RGB"}[channels]


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_every_suffix_is_written_and_read(tmp_path, rand, suffix):
    coarse = 0.2 + 0.2 * rand(1, 3, 2, 3) + torch.tensor([0.0, 0.2, 0.4]).view(3, 1, 1)
    x = torch.nn.functional.interpolate(coarse, (32, 48), mode="bilinear")[0]
    files.write_image(tmp_path / f"x{suffix}", x)
    torch.testing.assert_close(files.read_image(tmp_path / f"x{suffix}"), x, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".png", "1"),
        (".png", "L"),
        (".png", "LA"),
        (".png", "P"),
        (".png", "RGB"),
        (".jpg", "L"),
        (".jpg", "RGB"),
        (".jpg", "CMYK"),
        (".webp", "RGB"),
        (".tif", "RGB"),
        (".tif", "P"),
        (".bmp", "L"),
    ],
)
def test_every_8_bit_kind_is_read_as_pil_shows_it(suffix, mode):
    data = by_pil(COLOUR, suffix, mode)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    array = files.decode(data, "x")
    assert array.dtype == np.uint8
    assert np.array_equal(array, expected)


@pytest.mark.parametrize(
    ("array", "data"),
    [
        (DEEP, by_opencv(DEEP, ".png")),
        (DEEP >> 8, by_pil((DEEP >> 8).astype(np.uint8), ".png")),
        (DEEP >> 8, by_pil((DEEP >> 8).astype(np.uint8), ".tif")),
    ],
)
def test_transparency_is_dropped_and_colours_are_kept(array, data):
    assert np.array_equal(files.decode(data, "x"), array[..., :3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_images_keep_all_their_levels(tmp_path, suffix, channels):
    array = np.arange(0, 65536, 8).astype(np.uint16).reshape(-1, 64, 1).repeat(channels, -1)
    array[..., 0] //= 2  # so that the channels differ
    data = by_opencv(array, suffix) if channels == 3 else by_pil(array[..., 0], suffix)
    (tmp_path / "deep").write_bytes(data)
    expected = torch.from_numpy(array / 65535).permute(2, 0, 1).float().expand(3, -1, -1)
    torch.testing.assert_close(files.read_image(tmp_path / "deep"), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("array", "suffix"),
    [
        (COLOUR, ".jpg"),
        (COLOUR, ".png"),
        (COLOUR, ".tif"),
        (DEEP[..., 0], ".png"),
        (DEEP[..., 0], ".tif"),
    ],
    ids=["8-bit-jpg", "8-bit-png", "8-bit-tif", "16-bit-png", "16-bit-tif"],
)
def test_exif_orientation_is_applied(array, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = by_pil(array, suffix, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    decoded = files.decode(data, "x")
    assert decoded.dtype == array.dtype
    upright = upright if upright.ndim == 3 else upright[..., None]
    assert np.array_equal(decoded, np.broadcast_to(upright, (*upright.shape[:2], 3)))


def half(data):
    return data[: len(data) // 2]


def claiming(width, height):
    """A PNG whose header claims another size."""
    png = by_pil(COLOUR, ".png")
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


NOISE = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
BAD_FILES = {
    "truncated.png": half(by_pil(NOISE, ".png")),
    "truncated.jpg": half(by_pil(NOISE, ".jpg")),
    "truncated.webp": half(by_pil(NOISE, ".webp")),
    "truncated.tif": half(by_pil(NOISE, ".tif")),
    "truncated.bmp": half(by_pil(NOISE, ".bmp")),
    "truncated-16-bit.png": half(by_opencv(DEEP, ".png")),
    "truncated-16-bit.tif": half(by_opencv(DEEP, ".tif")),
    "header-only.png": by_pil(NOISE, ".png")[:33],
    "text.png": b"This is no image.\n",
    "empty.png": b"",
    "bomb.png": claiming(60_000, 60_000),
    "large.png": claiming(10_001, 10_000),
    # 32 bit a sample has no white point: clipped to 8 bit, it would be a wrong image
    "float.tif": by_pil(COLOUR[..., 0] / np.float32(255), ".tif"),
    "int32.tif": by_pil(COLOUR[..., 0].astype(np.int32) * 300, ".tif"),
    "signed.tif": cv2.imencode(".tif", DEEP[..., 0].astype(np.int16))[1].tobytes(),
}


def assert_one_line_with(name, error):
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # Pillow's own
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(BAD_FILES[name])
    with pytest.raises(InputError) as error:
        files.read_image(tmp_path / name)
    assert_one_line_with(name, error)


def test_the_largest_number_of_pixels_is_a_setting():
    data = by_pil(COLOUR, ".png")
    assert files.decode(data, "x", max_pixels=54).shape == (6, 9, 3)
    with pytest.raises(InputError, match=r"x\.png: 9 x 6 pixels.*53"):
        files.decode(data, "x.png", max_pixels=53)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "missing.png", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(InputError, match=reason) as error:
            files.read_image(path)
        assert_one_line_with(str(path), error)


@pytest.mark.parametrize("name", ["x", "x.unknown", "x.psd", "no-folder/x.png"])
def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path, rand, name):
    with pytest.raises(InputError, match=name) as error:
        files.write_image(tmp_path / name, rand(3, 4, 5))
    assert_one_line_with(name, error)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_halfway_leaves_the_old_file(tmp_path, rand, monkeypatch):
    path = tmp_path / "x.png"
    files.write_image(path, rand(3, 4, 5))
    before = path.read_bytes()

    def fill_the_disk(source, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fill_the_disk)
    with pytest.raises(InputError, match=r"x\.png: cannot be written \(No space left"):
        files.write_image(path, rand(3, 4, 5, seed=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (torch.full((3, 2, 2), torch.nan), "NaN"),
        (torch.full((3, 2, 2), torch.inf), "infinite"),
        (torch.zeros(4, 2, 2), "(4, 2, 2)"),
        (torch.zeros(2, 2), "(2, 2)"),
        (torch.zeros(1, 3, 2, 2), "(1, 3, 2, 2)"),
    ],
)
def test_what_is_no_image_is_not_written(tmp_path, x, named):
    with pytest.raises(InputError, match=re.escape(named)):
        files.write_image(tmp_path / "x.png", x)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.float32, np.int16, bool])
def test_an_array_of_another_type_is_refused(dtype):
    with pytest.raises(InputError, match=np.dtype(dtype).name):
        images.to_tensor(np.zeros((2, 2), dtype))


def test_quantise_rounds_half_up_and_clamps():
    x = torch.tensor([-1, 0, 0.49, 0.5, 1.49, 1.5, 2.5, 126.5, 127.5, 255, 300]) / 255
    levels = torch.tensor([0, 0, 0, 1, 1, 2, 3, 127, 128, 255, 255])
    assert torch.equal(images.quantise(x), levels / 255)
    row = images.to_array(x.view(1, 1, -1))[0, :, 0]
    assert row.tolist() == levels.tolist()


def test_every_8_bit_level_survives():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    x = images.to_tensor(array)
    assert torch.equal(images.quantise(x), x)
    assert np.array_equal(images.to_array(x), array)


def test_luma_agrees_with_scikit_image():
    expected = rgb2ycbcr(COLOUR)[..., 0] / 255
    luma = images.luma(images.to_tensor(COLOUR))
    np.testing.assert_allclose(luma[0], expected, atol=1e-6)
    assert images.luma(torch.ones(2, 3, 4, 5)).shape == (2, 1, 4, 5)


def test_grey_agrees_with_opencv():
    x = images.to_tensor(COLOUR)
    expected = cv2.cvtColor(x.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(images.grey(x)[0], expected, atol=1e-6)
    assert images.grey(torch.ones(2, 3, 4, 5)).shape == (2, 1, 4, 5)


@pytest.mark.parametrize("size", [(3, 4, 5), (2, 3, 4, 5), (2, 2, 3, 4, 5)])
def test_grey_of_three_channels_is_that_of_one_three_times(rand, size):
    x = rand(*size)
    one, three = images.grey(x), images.grey(x, 3)
    assert three.shape == size
    assert torch.equal(three, torch.cat([one] * 3, -3))
    assert torch.equal(images.grey(x, True), one)


def test_centre_crop_is_the_middle():
    x = torch.arange(35).view(1, 5, 7)
    assert torch.equal(images.centre_crop(x, 3), x[:, 1:4, 2:5])
    assert torch.equal(images.centre_crop(x, 1, 5), x[:, 2:3, 1:6])
    assert torch.equal(images.centre_crop(x, 4, 4), x[:, :4, 1:5])  # the odd pixel: right, below
    assert torch.equal(images.centre_crop(x, 5, 7), x)


@pytest.mark.parametrize(("height", "width"), [(6, 7), (5, 8)])
def test_centre_crop_does_not_make_up_pixels(height, width):
    with pytest.raises(InputError, match=f"{height} x {width} out of 5 x 7"):
        images.centre_crop(torch.zeros(3, 5, 7), height, width)
