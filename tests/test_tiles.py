"""Any image, of any size: how tiles are cut and joined, and what ``restore`` takes and gives."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import deblurlib
from deblurlib import images, psf
from deblurlib.errors import InputError
from deblurlib.models import SRCNN, SRN, UNet
from deblurlib.restoration import (
    METHODS,
    Method,
    of_model,
    restore,
    restoring,
    tile_difference,
    tiles,
)

IDENTITY = METHODS["identity"]
SIZES = [(1, 1), (1, 7), (5, 1), (1, 50), (23, 17), (40, 33), (61, 90)]


def method(function, **more):
    """A method that needs no kernel."""
    return Method("some", lambda y, kernel: function(y), "for a test", **more)


def counting(**more):
    """A method whose n-th call gives n - 1 everywhere."""
    calls = []

    def count(y):
        calls.append(y.shape)
        return torch.full_like(y, len(calls) - 1.0)

    return method(count, **more)


def network(kind, **options):
    torch.manual_seed(0)
    return of_model("net", kind(**options).eval(), "a small network")


def assert_same(ours, theirs, atol=1e-5):
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


@st.composite
def cuts(draw):
    """Length, tile, overlap and halo of an axis, and the grid that tile and overlap are on."""
    grid = draw(st.integers(1, 9))
    overlap = grid * draw(st.integers(0, 12))
    tile = max(2 * overlap, grid) + grid * draw(st.integers(0, 9))
    return draw(st.integers(1, 400)), tile, overlap, draw(st.integers(0, overlap // 2)), grid


@settings(max_examples=300)
@given(cuts())
@example((1, 1, 0, 0, 1))
@example((20, 8, 0, 0, 8))
@example((33, 32, 16, 8, 1))
@example((32, 32, 16, 0, 4))
def test_the_weights_of_all_spans_sum_to_one_at_every_pixel(cut):
    length, tile, overlap, halo, _ = cut
    total = torch.zeros(length, dtype=torch.float64)
    for span in tiles.spans(length, tile, overlap, halo):
        assert span.weight.shape == (span.stop - span.start,)
        assert 0 <= span.weight.min() <= span.weight.max() <= 1
        total[span.start : span.stop] += span.weight
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@settings(max_examples=300)
@given(cuts())
def test_spans_begin_on_the_grid_and_only_the_last_is_shorter_but_not_than_the_overlap(cut):
    length, tile, overlap, halo, grid = cut
    *others, last = tiles.spans(length, tile, overlap, halo)
    assert [span.start % grid for span in (*others, last)] == [0] * (len(others) + 1)
    assert {span.stop - span.start for span in others} <= {tile}
    assert last.stop == length
    assert last.stop - last.start <= tile
    assert not others or last.stop - last.start > overlap
    for left, right in zip(others, [*others, last][1:], strict=True):
        assert left.stop - right.start == overlap


@settings(max_examples=200)
@given(cuts())
def test_what_lies_in_the_halo_of_an_inner_end_does_not_count(cut):
    length, tile, overlap, halo, _ = cut
    found = tiles.spans(length, tile, overlap, halo)
    for span in found:
        left = halo if span.start > 0 else 0
        right = halo if span.stop < length else 0
        assert span.weight[:left].eq(0).all()
        assert span.weight[len(span.weight) - right :].eq(0).all()
        assert span.weight[left : len(span.weight) - right].gt(0).all()
    assert found[0].weight[0] == found[-1].weight[-1] == 1


@pytest.mark.parametrize(
    ("more", "tile", "expected"),
    [
        ({"receptive_field": 1}, 16, (16, 0, 0)),
        ({"receptive_field": 13}, None, (768, 12, 6)),
        ({"receptive_field": 13, "multiple": 8}, 64, (64, 16, 6)),
        ({"receptive_field": 129}, None, (768, 128, 64)),
        ({"receptive_field": 131}, None, (768, 128, 32)),
        ({"receptive_field": None}, 256, (256, 128, 32)),
        ({"receptive_field": None, "multiple": 12}, None, (768, 132, 32)),
    ],
)
def test_the_halo_is_the_reach_where_it_fits_and_the_overlap_is_on_the_grid(more, tile, expected):
    assert tiles.layout(method(None, **more), tile) == expected


@pytest.mark.parametrize(
    ("more", "tile", "message"),
    [
        ({"receptive_field": 1}, 0, "a multiple of 1 and 1 pixels or more, not 0"),
        ({"receptive_field": 1}, -3, "a multiple of 1 and 1 pixels or more, not -3"),
        ({"receptive_field": 13}, 23, "a multiple of 1 and 24 pixels or more, not 23"),
        (
            {"receptive_field": 5, "multiple": 8},
            20,
            "a multiple of 8 and 16 pixels or more, not 20",
        ),
        ({"receptive_field": None}, 255, "256 pixels or more, not 255"),
        ({"receptive_field": 1, "multiple": 8}, -8, "a multiple of 8"),
    ],
)
def test_a_tile_that_does_not_do_is_one_sentence(more, tile, message):
    for call in (tiles.layout, lambda some, tile: restore(torch.zeros(1, 2, 2), some, tile=tile)):
        with pytest.raises(InputError, match="a tile of some must be") as error:
            call(method(lambda y: y, **more), tile)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


#: methods whose tiles meet exactly, each with the sides of an image and of the tiles
FITTING = {
    "unsharp mask": (lambda: METHODS["unsharp-mask"], (61, 90), (24, 40)),
    "srcnn": (lambda: network(SRCNN), (61, 90), (32, 45)),
    "srcnn for colour": (lambda: network(SRCNN, channels=3, residual=True), (70, 33), (32,)),
    "srcnn without padding": (lambda: network(SRCNN, padding=False), (61, 90), (32, 45)),
    "unet": (lambda: network(UNet, width=4, residual=True), (301, 595), (288, 320)),
    "srn of one scale, wide": (lambda: network(SRN, width=2, scales=1), (21, 1203), (784,)),
    "srn of one scale, high": (lambda: network(SRN, width=2, scales=1), (1203, 21), (788,)),
}


@pytest.mark.parametrize("name", FITTING)
def test_tiles_and_whole_are_equal_where_the_reach_fits(monkeypatch, rand, name):
    make, size, sides = FITTING[name]
    some, y = make(), rand(1, 3, *size)
    grid = some.multiple
    monkeypatch.setattr(tiles, "OVERLAP", max(128, -(-2 * some.receptive_field // grid) * grid))
    whole = some(y)
    assert (whole - y).abs().max() > 0.01
    for tile in sides:
        assert tile < max(size)
        assert_same(restore(y, some, tile=tile), whole.clamp(0, 1))


@pytest.mark.parametrize("name", ["unsharp mask", "srcnn for colour"])
def test_tiles_and_whole_are_equal_in_8_bit(name):
    make, size, (tile, *_) = FITTING[name]
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    tiled, whole = restore(image, make(), tile=tile), restore(image, make())
    assert np.array_equal(tiled, whole)
    assert tile_difference(images.to_tensor(image), make(), tile) == math.inf


def test_a_method_that_sees_everything_differs_in_tiles_but_has_no_seam(rand):
    mean = method(lambda y: y.mean((-1, -2), keepdim=True).expand_as(y))
    y = torch.linspace(0, 1, 700).expand(1, 1, 300, 700).contiguous()
    x_hat = restore(y, mean, tile=256)[0, 0]
    assert x_hat.std() > 0.1  # of the whole, it would be one value
    assert x_hat.diff(dim=1).abs().max() < 0.02
    assert x_hat.diff(dim=0).abs().max() < 0.02


def run_in_tiles(some, y, **options):
    """What ``put`` gets, in one piece, once it is seen to cover the image row by row."""
    rows_put, bands = [], []

    def put(rows, band):
        assert band.shape == (*y.shape[:2], rows.stop - rows.start, y.shape[-1])
        rows_put.append((rows.start, rows.stop))
        bands.append(band.clone())

    tiles.in_tiles(some, lambda rows, columns: y[..., rows, columns], put, y.shape[-2:], **options)
    ends = [0, *(stop for _, stop in rows_put)]
    assert [start for start, _ in rows_put] == ends[:-1]
    assert ends[-1] == y.shape[-2]
    return torch.cat(bands, -2)


@pytest.mark.parametrize(
    "more",
    [
        {"receptive_field": None},
        {"receptive_field": 1001},
        {"receptive_field": None, "multiple": 8},
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_one_tile_fades_into_the_next(more, turned):
    size = (600, 3) if turned else (3, 600)
    x_hat = run_in_tiles(counting(**more), torch.zeros(1, 1, *size), tile=256)[0, 0]
    line = x_hat[:, 1] if turned else x_hat[1]
    steps = line.diff()
    assert steps.min() > -1e-6
    assert steps.max() < 0.03  # a cosine over the middle 64 of 128 pixels
    assert line[:128].abs().max() < 1e-6
    for n, start in enumerate((128, 256, 384)):
        torch.testing.assert_close(line[start : start + 32], torch.full((32,), float(n)))
        torch.testing.assert_close(line[start + 96 : start + 128], torch.full((32,), n + 1.0))
    torch.testing.assert_close(line[512:], torch.full((88,), 3.0))


@settings(max_examples=100)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    reach=st.integers(0, 12),
    grid=st.integers(1, 9),
    more=st.integers(0, 3),
)
@example(size=(1, 1), receptive_field=1, grid=1, more=0)
@example(size=(90, 90), receptive_field=1, grid=4, more=1)
def test_doing_nothing_in_tiles_of_any_kind_changes_nothing(size, reach, grid, more):
    sizes, shares = [], []

    def look(y):
        sizes.append(y.shape[-2:])
        return y

    some = method(look, reach=reach, multiple=grid)
    overlap = tiles.layout(some, 1000 * grid)[1]
    tile = max(2 * overlap, grid) + more * grid
    y = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    x_hat = run_in_tiles(some, y, tile=tile, progress=shares.append)
    assert_same(x_hat, y, 1e-6)
    assert max(max(sides) for sides in sizes) <= tile
    assert len(shares) == len(sizes)
    assert shares == sorted(set(shares))
    assert 0 < shares[0] <= shares[-1] == 1


def test_by_default_no_more_than_768_pixels_square_are_seen_at_once():
    some = counting(receptive_field=9)
    seen = []
    spy = method(lambda y: seen.append(tuple(y.shape[-2:])) or some(y), receptive_field=9)
    run_in_tiles(spy, torch.zeros(1, 1, 800, 1600))
    assert max(seen) == (768, 768)
    assert len(seen) == 6


def test_the_kernel_goes_to_every_tile(rand):
    y, k, seen = rand(3, 30, 50), psf.gaussian(1.0), []

    def deconvolve(y, kernel):
        seen.append(kernel)
        return y

    some = Method("some", deconvolve, "for a test", blind=False, receptive_field=5)
    restore(y, some, k, tile=25)
    assert len(seen) > 2
    assert all(torch.equal(kernel, k) for kernel in seen)
    with pytest.raises(InputError, match="the method some needs the kernel"):
        restore(y, some)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(3,), (1,), (1, 3), (2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_comes_back_of_its_shape_and_type(rand, size, shape, dtype):
    y = rand(*shape, *size).to(dtype)
    before = y.clone()
    x_hat = restore(y, METHODS["unsharp-mask"], tile=24)
    whole = METHODS["unsharp-mask"](y.float().reshape(-1, shape[-1], *size)).clamp(0, 1)
    assert x_hat.device == y.device
    assert_same(x_hat, whole.reshape(y.shape).to(dtype), 1e-3 if dtype == torch.float16 else 1e-5)
    assert torch.equal(y, before)


def test_a_tensor_is_clamped():
    y = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3)
    x_hat = restore(y, method(lambda y: 4 * y - 1, receptive_field=3))
    assert x_hat.flatten().tolist() == [0, 1, 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [(), (1,), (2,), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back_of_its_kind_and_its_alpha_bit_for_bit(size, kind, dtype):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top, (*size, *kind), dtype, endpoint=True)
    before, colours = image.copy(), {(2,): 1, (4,): 3}.get(kind, 3)
    x_hat = restore(image, method(lambda y: 1 - y, receptive_field=11), tile=20)
    assert (x_hat.dtype, x_hat.shape) == (dtype, image.shape)
    assert np.array_equal(image, before)
    if not kind:
        assert np.array_equal(x_hat, top - image)
    else:
        assert np.array_equal(x_hat[..., :colours], top - image[..., :colours])
        assert np.array_equal(x_hat[..., colours:], image[..., colours:])


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (23, 47)])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pillow_image_comes_back_of_its_mode(size, mode):
    array = np.random.default_rng(0).integers(0, 256, (*size, len(mode)), np.uint8)
    image = Image.fromarray(array[..., 0] if mode == "L" else array)
    x_hat = restore(image, METHODS["unsharp-mask"], tile=24)
    assert (type(x_hat), x_hat.mode, x_hat.size) == (Image.Image, mode, image.size)
    expected = restore(np.asarray(image), METHODS["unsharp-mask"])
    assert np.array_equal(np.asarray(x_hat), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_are_rounded_half_up_and_clamped(dtype):
    top = np.iinfo(dtype).max
    made = torch.tensor([-1, 0, 0.49, 0.5, 1.49, 1.5, 2.5, top - 0.51, top - 0.5, top, 2 * top])
    some = method(lambda y: (made.double() / top).float().expand_as(y), receptive_field=1)
    x_hat = restore(np.zeros((1, 11), dtype), some)
    assert x_hat[0].tolist() == [0, 0, 0, 1, 1, 2, 3, top - 1, top, top, top]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_doing_nothing(dtype):
    image = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 16, 1)
    assert np.array_equal(restore(image, method(lambda y: y, receptive_field=7), tile=256), image)


def test_an_array_may_be_a_view_that_lies_scattered(rand):
    wide = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for view in (wide[::2, ::-1], wide.swapaxes(0, 1), wide[..., ::-1], np.asfortranarray(wide)):
        expected = restore(np.ascontiguousarray(view), METHODS["unsharp-mask"])
        assert np.array_equal(restore(view, METHODS["unsharp-mask"]), expected)
    y = rand(40, 60, 3).permute(2, 0, 1)
    expected = restore(y.contiguous(), METHODS["unsharp-mask"])
    assert torch.equal(restore(y, METHODS["unsharp-mask"]), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((3, 2, 2), torch.nan), "holds NaN or infinite values"),
        (torch.full((3, 2, 2), torch.inf), "holds NaN or infinite values"),
        (torch.zeros(3, 0, 5), "the image is empty"),
        (torch.zeros(0, 3, 5, 5), "the image is empty"),
        (torch.zeros(3, 2, 2, dtype=torch.int16), "floats, uint8 or uint16, .* of torch.int16"),
        (torch.zeros(2, 2), "1 or 3 channels, not \\(2, 2\\)"),
        (torch.zeros(1, 1, 3, 2, 2), "not \\(1, 1, 3, 2, 2\\)"),
        (torch.zeros(4, 2, 2), "not \\(4, 2, 2\\)"),
        (torch.tensor(0.5), "not \\(\\) of torch.float32"),
        (np.zeros((0, 5, 3), np.uint8), "the image is empty"),
        (np.zeros((5, 5, 0), np.uint8), "the image is empty"),
        (np.zeros((5, 5, 5), np.uint8), "1 to 4 channels, not \\(5, 5, 5\\)"),
        (np.zeros((1, 5, 5, 3), np.uint8), "not \\(1, 5, 5, 3\\)"),
        (np.zeros(5, np.uint8), "not \\(5,\\)"),
        (np.array(5, np.uint8), "not \\(\\)"),
        (np.zeros((5, 5, 3), np.int64), "floats, uint8 or uint16, .* of int64"),
        (np.zeros((5, 5), bool), "floats, uint8 or uint16, .* of bool"),
        (np.full((5, 5), np.nan), "holds NaN or infinite values"),
        (Image.new("P", (4, 4)), "must be L, LA, RGB or RGBA, not P"),
        (Image.new("CMYK", (4, 4)), "must be L, LA, RGB or RGBA, not CMYK"),
        ([[0.0]], "a tensor, an array or a Pillow image, not <class 'list'>"),
        ("photo.jpg", "a tensor, an array or a Pillow image, not <class 'str'>"),
    ],
)
def test_what_is_no_image_is_one_sentence(image, message):
    with pytest.raises(InputError, match=message) as error:
        restore(image, IDENTITY)
    assert "\n" not in str(error.value)


def test_a_network_for_colour_restores_grey_as_the_mean_of_its_three_channels(rand):
    some, y = network(UNet, width=4, residual=True), rand(1, 21, 30)
    three = some(y.expand(1, 3, -1, -1))
    assert three.std(1).mean() > 0.01
    assert_same(restore(y, some), three.mean(1).clamp(0, 1))
    grey = np.random.default_rng(0).integers(0, 256, (21, 30), np.uint8)
    three = some(images.to_tensor(np.dstack([grey] * 3))[None])
    assert np.array_equal(restore(grey, some)[..., None], images.to_array(three.mean(1)))


def test_a_network_for_grey_restores_each_channel_alone(rand):
    some, y = network(SRCNN), rand(3, 21, 30)
    alone = torch.cat([restore(channel[None], some) for channel in y])
    assert_same(restore(y, some), alone)


def test_a_function_with_gradients_is_restored_without_them(rand):
    layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    some = method(layer, receptive_field=3)
    assert not restore(rand(3, 9, 9), some).requires_grad
    assert restore(np.zeros((9, 9, 3), np.uint8), some).shape == (9, 9, 3)


def test_the_name_of_a_method_is_looked_up_on_the_device_that_counts(monkeypatch, rand):
    asked = []
    monkeypatch.setattr(
        restoring, "find_method", lambda name, device: asked.append((name, str(device))) or IDENTITY
    )
    monkeypatch.setattr(restoring.machine, "best_device", lambda: "cpu")
    restore(rand(3, 4, 5), "a")
    restore(np.zeros((4, 5), np.uint8), "b")
    restore(Image.new("L", (4, 5)), "c", device="cpu")
    assert asked == [("a", "cpu"), ("b", "cpu"), ("c", "cpu")]


def test_the_library_alone_has_restore_and_loads_no_pytorch_for_it():
    assert deblurlib.restore is restore
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        _ = deblurlib.sharpen
    code = "import deblurlib, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_difference_of_tiles_is_infinite_where_there_is_none(rand):
    assert tile_difference(rand(3, 50, 61), METHODS["unsharp-mask"], 24) == math.inf


def test_the_difference_of_tiles_is_the_psnr_between_tiled_and_whole(rand):
    def by_width(y):  # 51 / 255 in tiles, 153 / 255 of the whole
        return torch.full_like(y, 0.2 if y.shape[-1] < 400 else 0.6)

    found = tile_difference(rand(3, 20, 400), method(by_width), 256)
    assert found == pytest.approx(-20 * math.log10(0.4), abs=1e-4)
    nothing = method(lambda y: y + (1e-4 if y.shape[-1] < 400 else 0))
    assert tile_difference(torch.full((3, 20, 400), 0.2), nothing, 256) == math.inf


@pytest.mark.parametrize(
    ("make", "exact"),
    [
        (lambda: IDENTITY, True),
        (lambda: METHODS["unsharp-mask"], True),
        (lambda: network(SRCNN), True),
        (lambda: network(UNet, width=4), False),
        (lambda: network(SRN, width=2, scales=1), False),
    ],
)
def test_nothing_beyond_its_reach_changes_what_a_method_makes_of_a_pixel(rand, make, exact):
    some = make()
    far = some.receptive_field + 16
    y = rand(1, 3, 5, 2 * far)
    before = some(y)
    for at in (far, far + 1, far + 7):
        beyond = y.clone()
        beyond[..., : at - some.receptive_field] = 0.5
        beyond[..., at + some.receptive_field + 1 :] = 0.5
        assert torch.equal(some(beyond)[..., at], before[..., at])
        if exact:
            beyond[..., at + some.receptive_field] += 0.5
            assert not torch.equal(some(beyond)[..., at], before[..., at])
