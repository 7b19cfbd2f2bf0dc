"""A method that finds the kernel: once, of the whole image, then in tiles; and where it looks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deblurlib import classical, degrade, images, psf, values
from deblurlib.data import open_images
from deblurlib.errors import InputError
from deblurlib.restoration import (
    METHODS,
    Method,
    restore,
    tile_difference,
    tiles,
    with_found_kernel,
)
from deblurlib.restoration.settings import Setting
from deblurlib.restoration.telling import CELL, find_part, telling_part

SIZE = 9
QUICK = METHODS["blind-edges"].with_settings(size=SIZE, iterations=8)


@pytest.fixture(scope="module")
def photo():
    """A photograph blurred by a short motion, larger than a tile."""
    x = images.centre_crop(open_images("sample", "test")[2], 200, 300)[None]
    return images.quantise(degrade.convolve(x, psf.motion(7, 30, SIZE)))[0]


@pytest.fixture
def asked(monkeypatch):
    """The sizes of the images in which a kernel was looked for."""
    sizes, find = [], classical.find_kernel

    def spy(y, size):
        sizes.append(tuple(y.shape))
        return find(y, size)

    monkeypatch.setattr(classical, "find_kernel", spy)
    return sizes


def test_a_kernel_is_found_once_and_tiles_cannot_be_told_from_the_whole(photo, asked):
    assert tile_difference(photo, QUICK, 256) >= 45
    assert asked == 2 * [(1, 3, 200, 300)]  # of the whole, and for the tiles
    array = images.to_array(photo)
    for image in (array, array[..., 0], np.dstack([array, array[..., 0]])):
        restored = restore(image, QUICK, tile=256)
        assert restored.shape == image.shape
    assert asked[2:] == [(1, 3, 200, 300), (1, 1, 200, 300), (1, 3, 200, 300)]


def test_what_restores_is_the_method_that_it_is_said_to_be_with_the_kernel_found(photo):
    y = photo[None]
    kernels, _ = classical.find_kernel(y, SIZE)
    known = METHODS["richardson-lucy-tv"].with_settings(iterations=8)
    assert torch.equal(QUICK(y), known(y, kernels))
    # one that is known is not used
    assert torch.equal(QUICK(y, psf.box(3)), QUICK(y))
    assert torch.equal(QUICK.with_strength(0.5)(y), torch.lerp(y, QUICK(y).clamp(0, 1), 0.5))
    array = images.to_array(photo)
    method, k = with_found_kernel(array, QUICK)
    assert torch.equal(k, kernels[0])
    assert (method.blind, method.find_kernel) == (False, None)
    assert np.array_equal(restore(array, method, k), restore(array, QUICK))
    assert with_found_kernel(array, known) == (known, None)
    assert with_found_kernel(array, "richardson-lucy-tv")[0] is METHODS["richardson-lucy-tv"]
    for other in (photo, Image.fromarray(array)):
        with pytest.raises(InputError, match="an image to find a kernel in is an array, not"):
            with_found_kernel(other, QUICK)
    assert known.for_image(y, k)[1] is k


def test_each_image_of_a_batch_has_its_own_kernel(photo):
    both = torch.stack([photo, photo.flip(-1)])
    _, kernels = QUICK.for_image(both)
    assert kernels.shape == (2, SIZE, SIZE)
    assert not torch.allclose(kernels[0], kernels[1], atol=0.01)
    torch.testing.assert_close(restore(both, QUICK)[1], restore(both[1], QUICK))


def test_settings_may_be_the_finders_the_restorations_or_of_both(rand):
    def restored(y, kernel, width, amount):
        return y + amount * kernel.amax((-2, -1)).view(-1, 1, 1, 1) + width

    method = Method(
        "finder",
        restored,
        "adds what it is told",
        find_kernel=lambda y, width, **_: torch.ones(len(y), width, width) / width**2,
        settings={"width": Setting(3, "of both", 1, 9, odd=True), "amount": Setting(1.0, "of one")},
    )
    y = rand(1, 1, 20, 20)
    torch.testing.assert_close(method(y), y + 1 / 9 + 3)
    torch.testing.assert_close(method.with_settings(width=5, amount=2)(y), y + 2 / 25 + 5)
    with pytest.raises(InputError, match="width must be an odd number, 1 to 9, not 4"):
        method.with_settings(width=4)
    with pytest.raises(InputError, match="size must be an odd number, 3 to 99, not 30"):
        METHODS["blind-edges"].with_settings(size="30")


def test_the_tiles_overlap_as_the_kernel_that_was_found_needs(rand, monkeypatch):
    widths, layout = [], tiles.layout

    def spy(method, tile=None, kernel=None):
        widths.append(kernel.shape[-1])
        return layout(method, tile, kernel)

    monkeypatch.setattr(tiles, "layout", spy)
    delta = torch.zeros(1, 99, 99)
    delta[0, 49, 49] = 1
    method = replace(QUICK, find_kernel=lambda y, **_: delta)
    restore(rand(3, 100, 120), method)
    restore(rand(100, 120, 3).numpy(), method)
    assert widths == [99, 99]


# ---- where it is looked for


def energy_of(y, rows, columns):
    """What is wanted: the squared differences of neighbours inside, less those next to clipping."""
    part = y[..., rows, columns].double()
    clipped = (part >= 0.99).any(1, keepdim=True)
    total = 0.0
    for axis in (-2, -1):
        n = part.shape[axis] - 1
        seen = ~(clipped.narrow(axis, 0, n) | clipped.narrow(axis, 1, n))
        total += (part.diff(dim=axis).square() * seen).sum().item()
    return total


@pytest.mark.parametrize("size", [(1200, 190), (260, 1300), (90, 2000)])
def test_the_part_holds_about_as_many_edges_as_any_of_its_size(rand, size):
    blocks = rand(1, 1, *(-(-n // 50) for n in size), seed=1) ** 6
    contrast = blocks.repeat_interleave(50, 2).repeat_interleave(50, 3)
    y = rand(1, 3, *size) * contrast[..., : size[0], : size[1]]
    y[..., : size[1] // 5] = y[..., : size[1] // 5].ceil()  # the strongest edges, but clipped
    y[..., : size[1] // 5 : 2] = 0
    pixels = 200 * 200
    asked = []

    def take(rows, columns):
        asked.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return y[..., rows, columns]

    rows, columns = find_part(take, size, pixels)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert 0.9 * pixels < height * width <= pixels
    assert 0 <= rows.start < rows.stop <= size[0]
    assert 0 <= columns.start < columns.stop <= size[1]
    assert max(asked) < 520 * size[1]  # never all of a high image at once
    places = [
        (slice(top, top + height), slice(left, left + width))
        for top in range(0, size[0] - height + 1, CELL)
        for left in range(0, size[1] - width + 1, CELL)
    ]
    best = max(energy_of(y, *place) for place in places)
    assert energy_of(y, rows, columns) > 0.9 * best > 0


def test_a_small_image_is_looked_at_as_a_whole_and_of_a_batch_each_on_its_own(rand):
    assert find_part(pytest.fail, (30, 20)) == (slice(0, 30), slice(0, 20))  # it is not asked
    y = torch.full((2, 1, 200, 400), 0.5)
    y[0, :, 20:80, 20:80] = rand(60, 60)
    y[1, :, 120:180, 320:380] = rand(60, 60)
    part = telling_part(y, 100 * 100)
    assert part.shape == (2, 1, 100, 100)
    assert part[0].std() > 0.1 < part[1].std()


def test_a_large_photograph_is_shown_to_the_finder_in_part(rand):
    sizes = []

    def corner(y, **_):
        sizes.append(tuple(y.shape))
        return y[:, 0, -SIZE:, -SIZE:]

    method = replace(QUICK, find_kernel=corner)
    y = torch.full((1, 1500, 1100), 0.5)
    y[:, 1000:1200, 700:900] = rand(200, 200)
    found = [with_found_kernel(y.permute(1, 2, 0).numpy(), method), method.for_image(y[None])]
    assert sizes == 2 * [(1, 1, 1024, 1024)]
    assert torch.equal(found[0][1], found[1][1][0])


def test_of_a_batch_of_integers_only_parts_become_floats(rand, monkeypatch):
    sizes, as_floats = [], values.as_floats
    monkeypatch.setattr(values, "as_floats", lambda z: sizes.append(z.numel()) or as_floats(z))
    y = torch.zeros(3, 1, 1500, 1100, dtype=torch.uint8)
    for i, row in enumerate((100, 600, 1200)):
        y[i, :, row : row + 200, 300:500] = (rand(200, 200, seed=i) * 255).byte()
    seen = []

    def corner(z, **_):
        seen.append(z[:, 0, -SIZE:, -SIZE:])
        return seen[-1]

    def known(z, kernel, **_):
        kernels.append(kernel)
        return z

    kernels = []
    method = replace(QUICK, find_kernel=corner, function=known)
    assert torch.equal(restore(y, method, tile=512), y)
    assert max(sizes) < y.numel() / 2
    assert all(torch.equal(k, torch.cat(seen)) for k in kernels)
    expected = method.for_image(as_floats(y))[1]
    assert torch.equal(kernels[0], expected)
