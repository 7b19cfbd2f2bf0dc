"""Warps: by how much, to where, and with what beyond the image."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch
from moves import shift

from deblurlib import degrade, psf
from deblurlib.errors import InputError

BOUNDARIES = ["reflect", "zero"]

over_boundaries = pytest.mark.parametrize("boundary", BOUNDARIES)


def general():
    """A turn, a shear, a perspective and a shift, all in one."""
    return torch.tensor(
        [[0.95, 0.2, 3.3], [-0.15, 1.1, -1.7], [0.0004, -0.0008, 1.0]], dtype=torch.float64
    )


def from_corner(h, height, width):
    """The same homography for pixels counted from the top left corner."""
    to_centre = shift((1 - height) / 2, (1 - width) / 2)
    h = torch.linalg.inv(to_centre) @ h @ to_centre
    return (h / h[2, 2]).numpy()


@pytest.mark.parametrize(("boundary", "mode"), [("reflect", "mirror"), ("zero", "grid-constant")])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (30, 21)])
@pytest.mark.parametrize("h", [general(), shift(2.25, -30.5)], ids=["general", "shift"])
def test_agrees_with_scipy(rand, h, height, width, boundary, mode):
    x = rand(2, 3, height, width)
    back = np.linalg.inv(from_corner(h, height, width))
    down, right = np.mgrid[:height, :width]
    right, down, scale = np.tensordot(back, np.stack([right, down, np.ones_like(down)]), 1)
    y = degrade.warp(x, h, boundary)
    for image, moved in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True):
        expected = scipy.ndimage.map_coordinates(
            image.numpy(), [down / scale, right / scale], order=1, mode=mode
        )
        np.testing.assert_allclose(moved, expected, atol=2e-5)


def test_agrees_with_opencv_inside(rand):
    x = degrade.convolve(rand(1, 3, 60, 81), psf.gaussian(2))  # OpenCV rounds places to 1/32
    array = x[0].permute(1, 2, 0).numpy()
    expected = cv2.warpPerspective(array, from_corner(general(), 60, 81), (81, 60))
    y = degrade.warp(x, general())[0].permute(1, 2, 0).numpy()
    inside = (slice(15, -15), slice(15, -15))
    np.testing.assert_allclose(y[inside], expected[inside], atol=0.01)
    assert np.abs(y - array)[inside].max() > 0.1


@over_boundaries
@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, -3), (-1, 2)])
def test_shifts_by_whole_pixels_move_the_image_down_and_right(rand, down, right, boundary):
    x = rand(2, 3, 9, 11)
    y = degrade.warp(x, shift(down, right), boundary)
    inside = (..., slice(3, -3), slice(3, -3))
    expected = x.roll((down, right), (2, 3))[inside]
    torch.testing.assert_close(y[inside], expected, rtol=0, atol=1e-5)


@over_boundaries
@pytest.mark.parametrize(("height", "width"), [(24, 31), (17, 9), (9, 2)])
def test_an_exposed_path_of_shifts_is_a_convolution(rand, height, width, boundary):
    path = psf.trajectory(torch.Generator().manual_seed(4), 14.0, steps=40) + 0.7
    x = rand(2, 3, height, width)
    y = degrade.expose((degrade.warp(x, shift(*p), boundary) for p in path.tolist()), "encoded")
    expected = degrade.convolve(x, psf.from_path(path), boundary)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (7, 1)])
@over_boundaries
def test_images_one_pixel_wide_move_as_others_do(rand, height, width, boundary):
    x = rand(1, 2, height, width)
    y = degrade.warp(x, shift(0.25, 1.5), boundary)
    expected = degrade.convolve(x, psf.from_path(torch.tensor([[0.25, 1.5]])), boundary)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)


@over_boundaries
def test_each_image_is_moved_by_its_own_homography(rand, boundary):
    x, h = rand(3, 2, 13, 12), torch.stack([general(), shift(1.5, 2), torch.eye(3).double()])
    one_by_one = torch.cat([degrade.warp(x[i : i + 1], h[i], boundary) for i in range(3)])
    assert torch.equal(degrade.warp(x, h, boundary), one_by_one)


def test_precision_is_kept(rand):
    x = rand(1, 1, 9, 8).double()
    y = degrade.warp(x, general().float())
    assert y.dtype == torch.float64
    torch.testing.assert_close(y, degrade.warp(x, general()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("boundary", ["circular", "valid", "mirror"])
def test_other_boundaries_are_refused(boundary):
    with pytest.raises(InputError, match=f"'{boundary}' is neither reflect nor zero"):
        degrade.warp(torch.zeros(1, 1, 3, 3), torch.eye(3), boundary)


@pytest.mark.parametrize(("height", "width"), [(12, 17), (30, 21)])
def test_reach_is_the_furthest_way_of_the_light_of_any_pixel(height, width):
    smaller = torch.tensor([0.8, 0.7, 1.0], dtype=torch.float64).diag()
    for h in (general(), torch.linalg.inv(general()), shift(-0.5, 7.3), smaller):
        back = torch.linalg.inv(h).numpy()
        far = 0
        for down in np.arange(height) - (height - 1) / 2:
            for right in np.arange(width) - (width - 1) / 2:
                a, b, scale = back @ (right, down, 1)
                far = max(far, abs(a / scale - right), abs(b / scale - down))
        assert degrade.max_displacement(h, height, width) == np.ceil(far)


@pytest.mark.parametrize(
    ("path", "pixels"),
    [
        ([(3.2, 0)], 4),
        ([(0, -3.2), (1, 1)], 4),
        ([(0.5, 0), (-2.5, 2.9)], 3),
        ([(0, 0)], 0),
        ([(3, 0)], 3),
    ],
)
def test_reach_of_a_path_of_shifts(path, pixels):
    h = torch.stack([shift(*p) for p in path])
    assert degrade.max_displacement(h, 20, 31) == pixels
    assert degrade.max_displacement(torch.stack([h, h]), 20, 31) == pixels  # (B, T, 3, 3)


def test_a_camera_at_rest_reaches_nowhere():
    for focal in (49.0, 100.0, 1000.0):
        h = degrade.homographies(torch.zeros(2, 3), focal)
        assert degrade.max_displacement(h, 32, 32) == 0


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_beyond_arrives_only_within_reach_of_the_border(rand, seed):
    path = degrade.camera_shake(torch.Generator().manual_seed(seed), 9, 4)
    h = degrade.homographies(path, 60.0)
    margin = degrade.max_displacement(h, 40, 50)
    x = rand(1, 1, 40, 50)
    y = [degrade.expose((degrade.warp(x, a, b) for a in h), "encoded") for b in BOUNDARIES]
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(y[0][inside], y[1][inside], rtol=0, atol=1e-5)
    assert (y[0] - y[1]).abs().max() > 0.1


def test_no_pixel_moves_further_than_the_reach():
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        path = (torch.rand(1, 3, generator=generator) - 0.5) * torch.tensor([60, 60, 20])
        h = degrade.homographies(path, focal=300.0)
        down, right = torch.meshgrid(torch.arange(81.0), torch.arange(120.0), indexing="ij")
        place = torch.stack([right - 59.5, down - 40, torch.ones(81, 120)]).double().flatten(1)
        moved = torch.linalg.inv(h[0]) @ place
        far = (moved[:2] / moved[2] - place[:2]).abs().max().item()
        assert 0 <= degrade.max_displacement(h, 81, 120) - far < 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@over_boundaries
def test_half_precision_is_computed_in_float32_and_given_back_as_it_came(rand, dtype, boundary):
    x = rand(1, 3, 64, 300).to(dtype)
    y = degrade.warp(x, general(), boundary)
    assert torch.equal(y, degrade.warp(x.float(), general(), boundary).to(dtype))


def test_integer_images_are_refused():
    with pytest.raises(InputError, match="floating-point"):
        degrade.warp(torch.ones(1, 1, 4, 4, dtype=torch.uint8), general())


def test_autocast_does_not_move_anything(rand):
    x = rand(1, 3, 64, 300)
    with torch.autocast("cpu", torch.bfloat16):
        y = degrade.warp(x, general())
    assert torch.equal(y, degrade.warp(x, general()))
