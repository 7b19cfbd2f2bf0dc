"""Photographs as people take them: objects that move on their own, JPEG, and what is drawn."""

import io
import math

import numpy as np
import pytest
import torch
from moves import path_of
from PIL import Image

from deblurlib import data, degrade, images, psf
from deblurlib.degrade import Degradation, Jpeg, Mover, compress, snapshots, sweep_objects
from deblurlib.errors import InputError

CAMERA = path_of((0, -2), (0, 0), (0, 2))
OWN = path_of((-3, 0), (0, 1), (3, -1))


# --- objects


def everywhere(value):
    return Mover(torch.full((4, 5), float(value)), OWN)


def test_what_covers_nothing_leaves_the_cameras_view_and_what_covers_all_its_own(rand):
    x, h = rand(1, 3, 20, 24), CAMERA[None]
    for cover, path in ((-9, CAMERA), (9, OWN)):
        for boundary, margin in (("reflect", 0), ("valid", 4)):
            y = sweep_objects(x, h, [everywhere(cover)], boundary, margin)
            expected = degrade.sweep(x, path[None], boundary, margin)
            torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)


def test_an_object_is_blurred_along_its_own_path_and_the_rest_along_the_cameras():
    outline = -torch.ones(6, 6)
    outline[2:4, 2:4] = 1  # the middle of the image
    x = torch.rand(1, 1, 90, 90, generator=torch.Generator().manual_seed(0))
    y = sweep_objects(x, CAMERA[None], [Mover(outline, OWN)], "reflect")
    for path, place in ((OWN, (slice(40, 50),) * 2), (CAMERA, (slice(0, 15), slice(0, 90)))):
        alone = degrade.sweep(x, path[None], "reflect")
        torch.testing.assert_close(y[..., *place], alone[..., *place], atol=1e-3, rtol=0)
    other = degrade.sweep(x, CAMERA[None], "reflect")
    assert (y - other)[..., 40:50, 40:50].abs().mean() > 0.05


def test_each_image_has_an_object_of_its_own(rand):
    x, movers = rand(2, 3, 20, 24), [everywhere(9), everywhere(-9)]
    both = sweep_objects(x, torch.stack([CAMERA] * 2), movers, "reflect")
    for i, mover in enumerate(movers):
        alone = sweep_objects(x[i : i + 1], CAMERA[None], [mover], "reflect")
        torch.testing.assert_close(both[i : i + 1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Mover(torch.zeros(3), OWN), r"not \(3,\)"),
        (lambda: Mover(torch.zeros(3, 3), OWN[0]), r"path \(T, 3, 3\)"),
        (lambda: Degradation(CAMERA, mover=Mover(torch.zeros(3, 3), OWN[:2])), "as many steps"),
        (lambda: Degradation(psf.box(3), mover=everywhere(1)), "as many steps"),
        (lambda: Degradation(psf.box(9), margin=3), "less than the kernel reaches, 4"),
        (lambda: Degradation(psf.box(3), quantise=False, jpeg=Jpeg(50)), "needs quantise"),
        (lambda: Jpeg(0), "quality is 1 to 100, not 0"),
        (lambda: Jpeg(50, 16), "0 to 15"),
        (lambda: compress(torch.zeros(1, 2, 8, 8), [Jpeg(50)]), "1 or 3 channels"),
        (
            lambda: sweep_objects(
                torch.zeros(1, 1, 20, 20), CAMERA[None], [everywhere(1)], "valid", 2
            ),
            "reaches 3 pixels, more than its margin of 2",
        ),
    ],
)
def test_what_cannot_be_is_named(make, named):
    with pytest.raises(InputError, match=named):
        make()


# --- JPEG


def pillows(x, quality):
    """What a JPEG file of Pillow holds of an image ``(C, H, W)``."""
    file = io.BytesIO()
    Image.fromarray(images.to_array(x)).save(file, "JPEG", quality=quality)
    return images.to_tensor(np.array(Image.open(file)))


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("size", [(64, 96), (61, 75)])
def test_jpeg_is_that_of_a_file(quality, size):
    x = data.open_images("sample", "test")[0][:, 100 : 100 + size[0], 200 : 200 + size[1]]
    lossy = compress(x[None], [Jpeg(quality)])[0]
    expected = pillows(x, quality)
    off, lost = (255 * (z - expected).abs().mean().item() for z in (lossy, x))
    assert off < min(1, 0.5 * lost)  # not 0, for libjpeg computes in whole numbers


def test_blocks_begin_where_they_are_said_to(rand):
    x = data.open_images("sample", "test")[0][None, :, :96, :112]
    whole = compress(x, [Jpeg(40)])
    down, right = 5, 11
    part = compress(x[..., down:, right:], [Jpeg(40, down, right)])
    inside = (..., slice(32, 80), slice(32, 80))  # the first blocks hold what is not in the part
    expected = whole[..., down:, right:][inside]
    assert (part[inside] - expected).abs().max() < 1.5 / 255


def test_each_image_is_compressed_as_it_is_said_to_be(rand):
    x, each = rand(3, 3, 40, 40), [Jpeg(20), Jpeg(90, 3, 4), Jpeg(20)]
    together = compress(x, each)
    for i, one in enumerate(each):
        alone = compress(x[i : i + 1], [one])
        assert (together[i : i + 1] - alone).abs().max() < 1.5 / 255
    assert torch.equal(together, images.quantise(together))
    grey = compress(x[:1, :1], [Jpeg(20)])
    assert 0.01 < (grey - x[:1, :1]).abs().mean() < 0.3


# --- what is drawn


@pytest.fixture(scope="module")
def drawn():
    return snapshots.snapshots([degrade.generator(0, n) for n in range(600)])


def share(values):
    return sum(values) / len(values)


def test_snapshots_are_shaken_or_out_of_focus_and_one_in_eighteen_is_neither(drawn):
    kinds = [next(iter(d.parameters)) for d in drawn]
    assert share([k == "still" for k in kinds]) == pytest.approx(1 / 18, abs=0.03)
    assert share([k in ("radius", "sigma") for k in kinds]) == pytest.approx(2 / 18, abs=0.04)
    moving = [d for d in drawn if "length" in d.parameters]
    assert share([d.mover is not None for d in moving]) == pytest.approx(0.5, abs=0.06)
    assert share([d.average == "light" for d in drawn]) == pytest.approx(0.5, abs=0.06)
    assert share([d.jpeg is not None for d in drawn]) == pytest.approx(1 / 3, abs=0.06)
    assert share([d.noise > 0 for d in drawn]) == pytest.approx(0.5, abs=0.06)
    bright = [d.highlights > 1 for d in drawn if d.average == "light"]
    assert share(bright) == pytest.approx(0.3, abs=0.07)
    assert all(d.highlights == 1 for d in drawn if d.average == "encoded")
    assert max(d.noise for d in drawn) <= 0.02
    assert max(d.highlights for d in drawn) <= 3.5
    qualities = [d.jpeg.quality for d in drawn if d.jpeg]
    assert 50 <= min(qualities) < 55
    assert 93 < max(qualities) <= 98


def test_paths_are_as_long_as_they_say_and_stay_within_the_margin(drawn):
    for d in drawn:
        assert d.margins == (snapshots.MARGIN,) * 2
        if d.blur.ndim == 2:
            continue
        for path, key in ((d.blur, "length"), (d.mover and d.mover.path, "own_length")):
            if path is None:
                continue
            assert degrade.max_displacement(path, 600, 800) <= snapshots.MARGIN
            turn = torch.atan2(path[:, 1, 0], path[:, 0, 0]).abs().max().item()
            assert turn <= snapshots.ROLL + 1e-9
            if turn == 0:
                way = path[:, :2, 2].diff(dim=0).norm(dim=1).sum().item()
                assert way <= 1.3 * d.parameters[key] + 1e-6
    lengths = [d.parameters["length"] for d in drawn if "length" in d.parameters]
    assert min(lengths) < 1
    assert 27 < max(lengths) <= 30


def test_the_kinds_of_a_batch_are_blurred_as_each_alone(rand, drawn):
    x = rand(1, 3, 80, 70)
    for i, d in enumerate(drawn[:12]):
        y = degrade.apply(x, [d], 0, [i]).y
        if d.mover is None and d.jpeg is None and d.average == "encoded" and not d.noise:
            if d.blur.ndim == 2:
                plain = images.quantise(degrade.convolve(x, d.blur, "valid"))
                cut = snapshots.MARGIN - snapshots.RADIUS
                assert torch.equal(y, plain[..., cut:-cut, cut:-cut])
            else:
                plain = degrade.sweep(x, d.blur[None], "valid", snapshots.MARGIN)
                assert torch.equal(y, images.quantise(plain))


def test_of_ten_stored_images_seven_stay_as_they_are(rand):
    every = [degrade.SETTINGS["stored"](degrade.generator(0, n)) for n in range(500)]
    touched = [d.noise > 0 or d.jpeg is not None for d in every]
    assert share(touched) == pytest.approx(0.3 * (1 - 0.5 * 0.67), abs=0.05)
    x = images.quantise(rand(2, 3, 20, 20))
    untouched = [d for d, t in zip(every, touched, strict=True) if not t][:2]
    assert torch.equal(degrade.apply(x, untouched, 0, [0, 1]).y, x)
    assert all(d.photons == math.inf and d.margins == (0, 0) for d in every)
