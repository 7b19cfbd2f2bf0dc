"""How an image is cut into tiles, or into patches with kernels of their own, and joined again."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deblurlib import images, psf
from deblurlib.classical import richardson_lucy
from deblurlib.degrade import convolve
from deblurlib.errors import InputError
from deblurlib.models import SRCNN, SRN, UNet
from deblurlib.restoration import METHODS, Method, of_model, restore, tile_difference, tiles
from deblurlib.restoration.patches import grid_spans, restore_patches, seam_energy, seams


def method(function, **more):
    """A method that needs no kernel."""
    return Method("some", lambda y, kernel: function(y), "for a test", **more)


def network(kind, **options):
    torch.manual_seed(0)
    return of_model("net", kind(**options).eval(), "a small network")


@st.composite
def cuts(draw):
    """Length, tile, overlap and halo of an axis, and the grid that tile and overlap are on."""
    grid = draw(st.integers(1, 9))
    overlap = grid * draw(st.integers(0, 12))
    tile = max(2 * overlap, grid) + grid * draw(st.integers(0, 9))
    return draw(st.integers(1, 400)), tile, overlap, draw(st.integers(0, overlap // 2)), grid


@settings(max_examples=150)
@given(cuts())
@example((1, 1, 0, 0, 1))
@example((20, 8, 0, 0, 8))
@example((33, 32, 16, 8, 1))
@example((32, 32, 16, 0, 4))
def test_spans_begin_on_the_grid_overlap_and_count_for_one_together_but_not_in_a_halo(cut):
    length, tile, overlap, halo, grid = cut
    found = tiles.spans(length, tile, overlap, halo)
    *others, last = found
    assert {span.stop - span.start for span in others} <= {tile}
    assert last.stop == length
    assert last.stop - last.start <= tile
    assert not others or last.stop - last.start > overlap
    for left, right in zip(others, found[1:], strict=True):
        assert left.stop - right.start == overlap
    total = torch.zeros(length, dtype=torch.float64)
    for span in found:
        assert span.start % grid == 0
        size = span.stop - span.start
        assert span.weight.shape == (size,)
        total[span.start : span.stop] += span.weight
        left, right = (halo * inner for inner in (span.start > 0, span.stop < length))
        counts = torch.zeros(size, dtype=torch.bool)
        counts[left : size - right] = True
        assert torch.equal(span.weight > 0, counts)
        assert torch.equal(span.weight < 0, torch.zeros_like(counts))
    assert found[0].weight[0] == last.weight[-1] == 1
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


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
        ({"receptive_field": 13}, 23, "a multiple of 1 and 24 pixels or more, not 23"),
        ({"receptive_field": 5, "multiple": 8}, 20, "a multiple of 8 and 16 pixels or more"),
        ({"receptive_field": 1, "multiple": 8}, -8, "a multiple of 8"),
    ],
)
def test_a_tile_that_does_not_do_is_one_sentence(more, tile, message):
    with pytest.raises(InputError, match="a tile of some must be") as error:
        restore(torch.zeros(1, 2, 2), method(lambda y: y, **more), tile=tile)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


#: methods whose tiles meet exactly, each with the sides of an image and of a tile
FITTING = {
    "unsharp mask": (lambda: METHODS["unsharp-mask"], (61, 90), 24),
    "srcnn for colour": (lambda: network(SRCNN, channels=3, residual=True), (70, 33), 32),
    "srcnn without padding": (lambda: network(SRCNN, padding=False), (61, 90), 45),
    "unet": (lambda: network(UNet, width=4, residual=True), (301, 395), 288),
    "srn of one scale": (lambda: network(SRN, width=2, scales=1), (1203, 21), 800),
}


@pytest.mark.parametrize("name", FITTING)
def test_tiles_and_whole_are_equal_where_the_reach_fits(monkeypatch, rand, name):
    make, size, tile = FITTING[name]
    some, y = make(), rand(1, 3, *size)
    grid = some.multiple
    monkeypatch.setattr(tiles, "OVERLAP", max(128, -(-some.receptive_field // grid) * grid))
    whole = some(y)
    assert (whole - y).abs().max() > 0.01
    torch.testing.assert_close(restore(y, some, tile=tile), whole.clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("together", [2, 3, 8])
def test_several_tiles_at_once_give_what_they_give_one_by_one(rand, together):
    y, seen = rand(1, 3, 70, 200), []
    some = network(SRCNN, channels=3, residual=True)
    counted = replace(
        some, function=lambda y, kernel: seen.append(len(y)) or some.function(y, kernel)
    )
    expected = restore(y, some, tile=32)
    x_hat, shares = torch.empty_like(expected), []

    def put(rows, band):
        x_hat[..., rows, :] = band.clamp(0, 1)

    tiles.in_tiles(
        counted,
        lambda rows, columns: y[..., rows, columns],
        put,
        y.shape[-2:],
        tile=32,
        progress=shares.append,
        together=together,
    )
    torch.testing.assert_close(x_hat, expected, rtol=0, atol=1e-6)
    assert max(seen) == together
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_without_memory_for_several_tiles_they_are_restored_one_by_one(rand):
    y, k, seen = rand(2, 1, 40, 700), torch.stack([psf.box(3), psf.gaussian(0.5, 3)]), []

    def function(y, kernel):
        if len(y) > 4:
            raise torch.OutOfMemoryError("out of memory")
        seen.append(len(y))
        return convolve(y, kernel, "reflect")

    some = Method("some", function, "for a test", blind=False)
    for together, sizes in ((1, {2}), (2, {2, 4}), (3, {2})):
        restored = []
        seen.clear()
        tiles.in_tiles(
            some,
            lambda rows, columns: y[..., rows, columns],
            lambda rows, band, to=restored: to.append(band.clone()),
            y.shape[-2:],
            kernel=k,
            tile=256,
            together=together,
        )
        assert set(seen) == sizes
        torch.testing.assert_close(restored[0], convolve(y, k, "reflect"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["unsharp mask", "srcnn for colour"])
def test_tiles_and_whole_are_equal_in_8_bit(name):
    make, size, tile = FITTING[name]
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert np.array_equal(restore(image, make(), tile=tile), restore(image, make()))
    assert tile_difference(images.to_tensor(image), make(), tile) == math.inf


def test_the_difference_of_tiles_is_the_psnr_between_tiled_and_whole(rand):
    def by_width(y):  # 51 / 255 in tiles, 153 / 255 of the whole
        return torch.full_like(y, 0.2 if y.shape[-1] < 400 else 0.6)

    found = tile_difference(rand(3, 20, 400), method(by_width), 256)
    assert found == pytest.approx(-20 * math.log10(0.4), abs=1e-4)
    nothing = method(lambda y: y + (1e-4 if y.shape[-1] < 400 else 0))
    assert tile_difference(torch.full((3, 20, 400), 0.2), nothing, 256) == math.inf


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
    "more", [{"receptive_field": None}, {"receptive_field": 1001, "multiple": 8}]
)
@pytest.mark.parametrize("turned", [False, True])
def test_one_tile_fades_into_the_next(more, turned):
    calls = []

    def count(y):
        calls.append(y.shape)
        return torch.full_like(y, len(calls) - 1.0)

    y = torch.zeros(1, 1, *((600, 3) if turned else (3, 600)))
    x_hat = run_in_tiles(method(count, **more), y, tile=256)[0, 0]
    line = x_hat[:, 1] if turned else x_hat[1]
    steps = line.diff()
    assert steps.min() > -1e-6
    assert steps.max() < 0.03  # a cosine over the middle 64 of 128 pixels
    assert line[:128].abs().max() < 1e-6
    for n, start in enumerate((128, 256, 384)):
        torch.testing.assert_close(line[start : start + 32], torch.full((32,), float(n)))
        torch.testing.assert_close(line[start + 96 : start + 128], torch.full((32,), n + 1.0))
    torch.testing.assert_close(line[512:], torch.full((88,), 3.0))


@settings(max_examples=50)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    around=st.integers(0, 12),
    grid=st.integers(1, 9),
    more=st.integers(0, 3),
)
@example(size=(1, 1), around=0, grid=1, more=0)
@example(size=(90, 90), around=0, grid=4, more=1)
def test_doing_nothing_in_tiles_of_any_kind_changes_nothing(size, around, grid, more):
    sizes, shares = [], []

    def look(y):
        sizes.append(y.shape[-2:])
        return y

    some = method(look, receptive_field=2 * around + 1, multiple=grid)
    overlap = tiles.layout(some, 1000 * grid)[1]
    tile = max(2 * overlap, grid) + more * grid
    y = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    x_hat = run_in_tiles(some, y, tile=tile, progress=shares.append)
    torch.testing.assert_close(x_hat, y, rtol=0, atol=1e-6)
    assert max(max(sides) for sides in sizes) <= tile
    assert len(shares) == len(sizes)
    assert shares == sorted(set(shares))
    assert 0 < shares[0] <= shares[-1] == 1


def test_by_default_no_more_than_768_pixels_square_are_seen_at_once():
    seen = []
    spy = method(lambda y: seen.append(tuple(y.shape[-2:])) or y, receptive_field=9)
    run_in_tiles(spy, torch.zeros(1, 1, 800, 1600))
    assert max(seen) == (768, 768)
    assert len(seen) == 6


def test_the_kernel_goes_to_every_tile(rand):
    y, k, seen = rand(3, 30, 50), psf.gaussian(1.0), []
    look = Method("some", lambda y, k: seen.append(k) or y, "looks", blind=False, receptive_field=5)
    restore(y, look, k, tile=25)
    assert len(seen) > 2
    assert all(torch.equal(kernel, k) for kernel in seen)
    with pytest.raises(InputError, match="the method some needs the kernel"):
        restore(y, look)


@pytest.mark.parametrize(
    ("make", "exact"),
    [
        (lambda: METHODS["identity"], True),
        (lambda: METHODS["unsharp-mask"], True),
        (lambda: network(SRCNN), True),
        (lambda: network(UNet, width=4), False),
        (lambda: network(SRN, width=2, scales=1), False),
    ],
)
def test_a_pixel_depends_on_the_receptive_field_at_most(rand, make, exact):
    some = make()
    around = some.receptive_field // 2
    far = around + 16
    y = rand(1, 3, 5, 2 * far)
    before = some(y)
    for at in (far, far + 1, far + 7):
        beyond = y.clone()
        beyond[..., : at - around] = 0.5
        beyond[..., at + around + 1 :] = 0.5
        assert torch.equal(some(beyond)[..., at], before[..., at])
        if exact:
            beyond[..., at + around] += 0.5
            assert not torch.equal(some(beyond)[..., at], before[..., at])


GRIDS = [(1, 1), (1, 3), (2, 2), (3, 4)]


def deltas(rows, columns, side=3):
    """Kernels of one pixel, each in another place."""
    k = torch.zeros(rows * columns, side * side)
    k[torch.arange(len(k)), torch.arange(len(k)) % side**2] = 1
    return k.view(rows, columns, side, side)


def identity(y, k):
    return y


def number(y, k):
    """The place of the one in the kernel, everywhere."""
    return torch.full_like(y, k.argmax().item())


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [(36, 48), (37, 50)])
def test_doing_nothing_in_patches_changes_nothing(rand, grid, size):
    y = rand(2, 3, *size).double()
    for overlap in (None, 0, 1, 3, 8):
        x_hat = restore_patches(y, deltas(*grid), identity, overlap)
        torch.testing.assert_close(x_hat, y, rtol=0, atol=1e-6)


def test_a_size_that_the_grid_does_not_divide_makes_the_last_patch_smaller():
    rows, columns = grid_spans((10, 11), (3, 2), 0)
    assert [(s.start, s.stop) for s in rows] == [(0, 4), (4, 8), (8, 10)]
    assert [(s.start, s.stop) for s in columns] == [(0, 6), (6, 11)]
    rows, columns = grid_spans((21, 30), (2, 1), 6)
    assert [(s.start, s.stop) for s in rows] == [(0, 14), (8, 21)]
    assert [(s.start, s.stop) for s in columns] == [(0, 30)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("overlap", [0, 6])
def test_each_patch_gets_its_place_and_its_kernel(rand, grid, overlap):
    y, seen = rand(2, 3, 40, 50), []
    restore_patches(y, deltas(*grid), lambda *given: seen.append(given) or given[0], overlap)
    places = product(*grid_spans((40, 50), grid, overlap))
    given = deltas(*grid).flatten(0, 1)
    for (part, k), (row, column), expected in zip(seen, places, given, strict=True):
        assert torch.equal(part, y[..., row.start : row.stop, column.start : column.stop])
        assert torch.equal(k, expected)


@pytest.mark.parametrize("turned", [False, True])
def test_a_cosine_over_the_middle_half_of_an_overlap_leads_from_patch_to_patch(turned):
    k, y = deltas(2, 1), torch.zeros(1, 1, 60, 14)
    if turned:
        k, y = k.transpose(0, 1), y.mT
    found = restore_patches(y, k, number, 12)[0, 0]
    line = found[4] if turned else found[:, 4]
    # patches of 36: the overlap is 24 ... 36, the middle half 27 ... 33
    rise = (1 - torch.cos(torch.pi * (torch.arange(6) + 0.5) / 6)) / 2
    torch.testing.assert_close(line, torch.cat([torch.zeros(27), rise, torch.ones(27)]))
    lines = seams(y.shape[-2:], k.shape[:2], 12)
    assert lines == (([], [30]) if turned else ([30], []))
    default = restore_patches(y, k[..., :1, :], number)  # kernels of 1 x 3 overlap by 6
    assert torch.equal(default, restore_patches(y, k, number, 6))


@pytest.mark.parametrize("overlap", [0, 1, 5, 8])
@pytest.mark.parametrize("size", [(36, 48), (37, 50)])
def test_a_seam_is_where_the_next_patch_begins_to_count_for_more(size, overlap):
    grids = grid_spans(size, (3, 2), overlap)
    for grid, lines in zip(grids, seams(size, (3, 2), overlap), strict=True):
        for line, before, after in zip(lines, grid[:-1], grid[1:], strict=True):
            assert after.weight[line - after.start] >= 0.5 - 1e-6
            assert before.weight[line - 1 - before.start] >= 0.5 - 1e-6


def ramp(height=40, width=50):
    line = torch.arange(height)[:, None] / 40 + torch.arange(width) / 30
    return line.repeat(2, 3, 1, 1)


def test_the_energy_of_a_seam_is_1_where_there_is_none_and_more_with_a_step():
    y = ramp()
    torch.testing.assert_close(seam_energy(y, [20], [20, 30]), torch.ones(2))
    assert seam_energy(0 * y, [1], [49]).tolist() == [0, 0]
    y[1, :, 20:] += 5 / 40  # steps 6 times as large, in one image
    torch.testing.assert_close(seam_energy(y, [20], []), torch.tensor([1.0, 36.0]))
    torch.testing.assert_close(seam_energy(y.mT, [], [20]), torch.tensor([1.0, 36.0]))
    torch.testing.assert_close(seam_energy(y, [20, 25], []), torch.tensor([1.0, 37 / 2]))


def test_a_seam_is_compared_with_what_lies_near_it_and_is_no_seam_itself():
    y = ramp()
    for line, factor in ((20, 3.0), (18, 2.0), (23, 2.0), (17, 9.0), (24, 9.0), (29, 9.0)):
        y[..., line:, :] += (factor - 1) / 40
    # steps beside 20 up to 3 away: 17 and 23; of 18 to 22 but 20 alone, one of 4
    expected = {2: 9 / ((4 + 1 + 1 + 1) / 4), 1: 9.0, 3: 9 / ((81 + 4 + 1 + 1 + 1 + 4) / 6)}
    for near, value in expected.items():
        found = seam_energy(y, [20], [], near)
        torch.testing.assert_close(found, torch.full((2,), value), rtol=1e-3, atol=0)
    both = seam_energy(y, [18, 20], [], 1)
    torch.testing.assert_close(both, torch.full((2,), 6.5 / (84 / 4)), rtol=1e-3, atol=0)
    assert torch.equal(seam_energy(y, [20], []), seam_energy(y, [20], [], 8))


def test_an_overlap_hides_the_seams_of_a_deconvolution(rand):
    x = convolve(rand(1, 1, 64, 60), psf.gaussian(2))
    k = psf.disk(2).expand(2, 2, 5, 5)
    y, energy, error = convolve(x, k[0, 0]), [], []
    for overlap in (0, 10, None):
        x_hat = restore_patches(y, k, lambda y, k: richardson_lucy(y, k, 20), overlap)
        energy.append(seam_energy(x_hat, *seams((64, 60), (2, 2), 10)).log().abs())
        error.append((x_hat - x)[..., 28:36, :].square().mean())
    assert energy[0] > 4 * energy[1] == 4 * energy[2]
    assert error[0] > 4 * error[1] == 4 * error[2]


Y = torch.zeros(1, 1, 20, 30)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: restore_patches(Y, psf.box(3), identity), r"\(R, S, h, w\), not \(3, 3\)"),
        (lambda: restore_patches(Y, deltas(3, 1, 11), identity), "20 .* 3 .* overlap by 22"),
        (lambda: restore_patches(Y, deltas(2, 2), identity, -1), "patches that overlap by -1"),
        (lambda: seam_energy(Y, [], []), "no seam to measure"),
        (lambda: seam_energy(Y[..., :1, :2], [], [1]), "or nothing beside it"),
        (lambda: seam_energy(Y, [0], []), "a seam at 0 is not inside the image"),
        (lambda: seam_energy(Y, [], [30]), "a seam at 30 is not inside the image"),
    ],
)
def test_wrong_patches_and_seams_are_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
