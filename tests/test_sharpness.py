"""Whether a photograph is sharp already: widths of edges, and what the command makes of it."""

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli_restore import files

from deblurlib import degrade, images, psf, restoration, sharpness
from deblurlib import files as reading
from deblurlib.data import open_images
from deblurlib.errors import InputError
from deblurlib.restoration import METHODS, Request, restore_files
from deblurlib.sharpness import WIDTH, blur_width, is_sharp
from deblurlib.studies.srn import sharp as study


def scene(side=288, step=24):
    """Squares of random colours: steps along rows and columns, as sharp as pixels can be."""
    colours = np.random.default_rng(0).integers(0, 256, (side // step, side // step, 3), np.uint8)
    return np.kron(colours, np.ones((step, step, 1), np.uint8))


def blurred(pixels, k):
    return images.to_array(degrade.convolve(images.to_tensor(pixels)[None], k)[0])


def noisy(pixels, sigma):
    return images.to_array(degrade.add_noise(images.to_tensor(pixels)[None], sigma, 0, [0])[0])


def as_jpeg(pixels, folder, quality):
    Image.fromarray(pixels).save(folder / "a.jpg", quality=quality)
    return reading.read_photo(folder / "a.jpg").pixels


@pytest.mark.parametrize("sigma", [0.5, 1, 1.5, 2, 3])
def test_the_width_is_that_of_the_blur_beside_that_of_a_step_of_pixels(sigma):
    step = blur_width(scene())
    assert step == pytest.approx(0.83, abs=0.03)
    width = blur_width(blurred(scene(), psf.gaussian(sigma)))
    assert width == pytest.approx((sigma**2 + step**2) ** 0.5, rel=0.15)


@pytest.mark.parametrize("k", [psf.motion(3, 0), psf.motion(3, 90), psf.disk(1.5), psf.box(3)])
def test_motion_along_one_axis_is_blur_and_noise_and_jpeg_hide_none(k, tmp_path):
    y = blurred(scene(), k)
    for pixels in (y, noisy(y, 0.01), noisy(y, 0.03), as_jpeg(y, tmp_path, 60)):
        assert not is_sharp(pixels)
    for pixels in (scene(), noisy(scene(), 0.01), as_jpeg(scene(), tmp_path, 90)):
        assert is_sharp(pixels)


def test_a_part_that_moved_is_enough_but_not_a_tenth_of_it():
    pixels = scene()
    moved = blurred(pixels, psf.motion(9, 90))
    for share, sharp in ((0.04, True), (0.25, False)):
        mixed = pixels.copy()
        mixed[: int(share * len(mixed))] = moved[: int(share * len(mixed))]
        assert is_sharp(mixed) is sharp


def test_of_photographs_blur_makes_every_width_larger():
    found = open_images("sample")
    for x in found:
        widths = [blur_width(images.to_array(x))]
        for sigma in (1.0, 2.0):
            widths.append(
                blur_width(images.to_array(degrade.convolve(x[None], psf.gaussian(sigma))[0]))
            )
        assert widths == sorted(set(widths))
        assert not any(width <= WIDTH for width in widths[1:])


def test_where_there_is_too_little_texture_nothing_is_known():
    rng = np.random.default_rng(0)
    noise = (128 + 5 * rng.standard_normal((200, 300, 3))).astype(np.uint8)
    pixels = (np.full((200, 300, 3), 99, np.uint8), noise, scene(24), scene(96, 96), scene()[:9])
    for flat in (*pixels, np.zeros((1, 1), np.uint8)):
        assert blur_width(flat) is None
        assert not is_sharp(flat)


def test_the_kind_of_array_and_the_bands_do_not_matter(monkeypatch):
    pixels = blurred(scene(), psf.gaussian(1))
    width = blur_width(pixels)
    assert blur_width(pixels.astype(np.uint16) * 257) == pytest.approx(width, abs=1e-3)
    assert blur_width(np.dstack([pixels, 9 * pixels[..., :1]])) == width  # alpha
    grey = np.ascontiguousarray(pixels[..., 0])
    assert blur_width(grey) == blur_width(grey[..., None])
    assert blur_width(np.dstack([grey] * 3)) == pytest.approx(blur_width(grey), abs=1e-4)
    monkeypatch.setattr(sharpness, "BAND", 2 * sharpness.BLOCK)
    assert blur_width(pixels) == pytest.approx(width, abs=1e-4)


@pytest.mark.parametrize("pixels", [np.zeros((20, 20)), np.zeros((2, 20, 20, 3), np.uint8)])
def test_what_is_no_photograph_is_named(pixels):
    with pytest.raises(InputError, match="a photograph is uint8 or uint16"):
        blur_width(pixels)


# ---- in the command, and in Python


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    pixels = scene(144)
    Image.fromarray(pixels).save("sharp.png")
    Image.fromarray(blurred(pixels, psf.gaussian(1.5))).save("blurred.png")
    Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save("flat.png")
    return tmp_path


def test_a_sharp_picture_is_left_alone_and_counted(here, command):
    for more in ((), ("--dry-run",)):
        code, out, err = command(
            "restore", "sharp.png", "blurred.png", "flat.png", "-o", "o", *more
        )
        assert (code, err) == (0, "")
        told = "sharp.png  144 x 144  sharp already: left alone; --even-if-sharp restores it"
        assert out.splitlines()[0] == told
        last = out.splitlines()[-1]
        assert last.startswith("2 would be" if more else "2 restored by srn on cpu in ")
        assert last.endswith(", 1 sharp already")
        if not more:
            assert files("o") == ["blurred.png", "flat.png"]
            for name in files("o"):
                (here / "o" / name).unlink()


@pytest.mark.parametrize(
    "more",
    [("--even-if-sharp",), ("--method", "identity"), ("--kernel", "k.npy"), ("--size", "24")],
)
def test_it_is_restored_if_it_is_asked_for_or_small_and_then_unknown(here, command, more):
    np.save("k.npy", np.ones((1, 1)))
    code, out, _ = command("restore", "sharp.png", *more, "--dry-run")
    assert code == 0
    assert out.splitlines()[-1].startswith("1 would be restored by ")


def test_with_a_size_the_smaller_picture_is_looked_at(here, command):
    large = blurred(scene(1152, 96), psf.gaussian(1))
    Image.fromarray(large).save("large.png")
    assert "sharp" not in command("restore", "large.png", "--dry-run")[1]
    out = command("restore", "large.png", "--dry-run", "--size", 288)[1]
    assert "large.png  288 x 288, reduced from 1152 x 1152  sharp already" in out


def test_in_python_and_of_frames_nothing_is_left_alone_unless_it_is_said(here):
    for leaves, sharp in ((False, False), (True, True)):
        request = Request(METHODS["identity"], leave_sharp=leaves, dry_run=True)
        (outcome,) = restore_files("sharp.png", request)
        assert (outcome.sharp, outcome.error, outcome.size) == (sharp, None, (144, 144))
        assert (outcome.target is None) is sharp
    (here / "clip").mkdir()
    (here / "sharp.png").rename(here / "clip" / "0.png")
    (outcome,) = restoration.restore_frames(here / "clip", [0], request)
    assert not outcome.sharp


# ---- the study


def test_the_study_tells_the_share_of_each_kind_and_counts_kinds_alike():
    rows = [
        study.Looked("a", kind, condition, width, 0.0)
        for condition in study.CONDITIONS
        for kind, width in [("sharp", 0.8), ("sharp", np.nan), ("x", 0.9), ("y", 2), ("y", 2)]
    ]
    assert study.left_alone(rows, [row.width for row in rows], 0.95) == (0.5, 0.5)
    assert study.table(rows, 0.95)[2:] == [
        "| sharp: `a` | 2 | 50.0% | 50.0% | 50.0% |",
        "| blurred: x | 1 | 100.0% | 100.0% | 100.0% |",
        "| blurred: y | 2 | 0.0% | 0.0% | 0.0% |",
    ]
    x = torch.from_numpy(scene(96).transpose(2, 0, 1) / np.float32(255))
    made = dict(study._blurred(x, 0))
    assert {"s4-camera", "motion of 3 pixels", "defocus, radius 1.5"} <= made.keys()
    for y in made.values():
        assert not torch.equal(y, x)
        assert [pixels.dtype for _, pixels in study._conditions(y, 0)] == [np.uint8] * 3
