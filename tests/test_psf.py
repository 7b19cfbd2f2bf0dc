"""Point-spread functions: their form, their geometry, their Fourier transform."""

import math

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from deblurlib import degrade, psf
from deblurlib.errors import InputError

KERNELS = {
    "gaussian-0": psf.gaussian(0),
    "gaussian-0.4": psf.gaussian(0.4),
    "gaussian-2.5": psf.gaussian(2.5),
    "gaussian-cut": psf.gaussian(5, 7),
    "box-1": psf.box(1),
    "box-9": psf.box(9),
    "motion-1": psf.motion(1, 45),
    "motion-15": psf.motion(15),
    "motion-6.3": psf.motion(6.3, 117),
    "motion-wide": psf.motion(5, 20, 31),
    "disk-0.3": psf.disk(0.3),
    "disk-4.2": psf.disk(4.2),
    "disk-wide": psf.disk(2, 21),
}
SKEWED = torch.tensor([[0.0, 0.1, 0.2], [0.3, 0.1, 0.0], [0.1, 0.1, 0.1]])

over_kernels = pytest.mark.parametrize("k", KERNELS.values(), ids=KERNELS.keys())


def moments(k):
    """Mean squares of the light's place: to the right, upwards, and their product."""
    reach = k.shape[0] // 2
    right = torch.arange(-reach, reach + 1, dtype=torch.float64)
    up = -right[:, None]
    return [(k * m).sum().item() for m in (right**2, up**2, right * up)]


@over_kernels
def test_every_kernel_is_one(k):
    assert psf.check(k) is k
    assert k.dtype == torch.float32
    assert k.shape[0] == k.shape[1]
    assert k.sum().item() == pytest.approx(1, abs=1e-6)


@over_kernels
def test_every_kernel_looks_the_same_upside_down(k):
    torch.testing.assert_close(k, k.rot90(2))


@pytest.mark.parametrize("k", [psf.motion(15), psf.motion(6.3, 117), psf.disk(4.2), psf.disk(3)])
def test_a_kernel_is_by_default_no_larger_than_its_light(k):
    assert torch.cat([k[0], k[:, 0]]).max() > 0


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (psf.motion(5, 20, 31), psf.motion(5, 20)),
        (psf.disk(2, 21), psf.disk(2)),
        (psf.gaussian(0, 5), psf.gaussian(0)),
    ],
)
def test_a_larger_size_adds_zeros_around(wide, narrow):
    margin = (wide.shape[0] - narrow.shape[0]) // 2
    assert torch.equal(wide, torch.nn.functional.pad(narrow, [margin] * 4))


@pytest.mark.parametrize(("sigma", "size"), [(0.6, 5), (1, 7), (2.5, 17), (5, 7)])
def test_gaussian_agrees_with_opencv(sigma, size):
    profile = cv2.getGaussianKernel(size, sigma)
    np.testing.assert_allclose(psf.gaussian(sigma, size), profile @ profile.T, atol=1e-7)


def test_gaussian_reaches_three_sigma_by_default():
    assert psf.gaussian(2).shape == (13, 13)
    assert psf.gaussian(2.1).shape == (15, 15)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_box_agrees_with_pil(rand, radius):
    array = (rand(30, 25) * 255).to(torch.uint8)
    expected = Image.fromarray(array.numpy()).filter(ImageFilter.BoxBlur(radius))
    y = degrade.convolve(array[None, None].float(), psf.box(2 * radius + 1), "valid")[0, 0]
    inside = np.asarray(expected, np.float32)[radius:-radius, radius:-radius]
    np.testing.assert_allclose(y, inside, atol=1.01)  # PIL rounds twice


def test_motion_of_odd_length_along_a_row_is_equal_taps():
    expected = torch.zeros(15, 15)
    expected[7] = 1 / 15
    torch.testing.assert_close(psf.motion(15, 0), expected)


def test_motion_of_even_length_has_half_taps_at_its_ends():
    row = psf.motion(4)[2]
    torch.testing.assert_close(row, torch.tensor([0.125, 0.25, 0.25, 0.25, 0.125]))


@pytest.mark.parametrize("length", [1, 4, 9.5, 15])
def test_motion_upwards_is_motion_sideways_transposed(length):
    torch.testing.assert_close(psf.motion(length, 90), psf.motion(length, 0).T)


@pytest.mark.parametrize("angle", [0, 10, 30, 45, 77, 135])
def test_motion_turned_by_a_right_angle_is_the_kernel_turned(angle):
    torch.testing.assert_close(psf.motion(9, angle + 90, 13), psf.motion(9, angle, 13).rot90())
    torch.testing.assert_close(psf.motion(9, angle + 180, 13), psf.motion(9, angle, 13))


def test_motion_at_45_degrees_goes_up_to_the_right():
    k = psf.motion(9, 45)
    assert min(k[1, -2], k[-2, 1]) > 0
    assert max(k[1, 1], k[-2, -2]) == 0


@pytest.mark.parametrize("length", [9, 15, 30.5])
@pytest.mark.parametrize("angle", [0, 20, 45, 70, 110, 160])
def test_motion_has_the_direction_and_the_spread_asked_for(length, angle):
    right, up, product = moments(psf.motion(length, angle))
    direction = math.degrees(math.atan2(2 * product, right - up) / 2)
    assert (direction - angle + 90) % 180 - 90 == pytest.approx(0, abs=0.7)
    radians = math.radians(angle)
    cosine, sine = math.cos(radians), math.sin(radians)
    along = right * cosine**2 + up * sine**2 + 2 * product * cosine * sine
    assert math.sqrt(along) == pytest.approx(math.sqrt(length**2 / 12), rel=0.02)


def test_motion_changes_smoothly_with_angle_and_length():
    by_angle = torch.stack([psf.motion(15, angle / 10, 21) for angle in range(1800)])
    by_length = torch.stack([psf.motion(9 + length / 100, 30, 21) for length in range(800)])
    for kernels in (by_angle, by_length):
        steps = (kernels[1:] - kernels[:-1]).abs().sum((1, 2))
        assert steps.min() > 0
        assert steps.max() < 0.03  # a line without anti-aliasing jumps by 2 / 15


@pytest.mark.parametrize("radius", [3, 3.7, 8])
def test_disk_has_the_spread_of_a_disk(radius):
    right, up, product = moments(psf.disk(radius))
    expected = radius**2 / 4 + 1 / 12  # a disk's, and a pixel's own
    assert right == pytest.approx(expected, rel=0.015)
    assert up == pytest.approx(expected, rel=0.015)
    assert product == pytest.approx(0, abs=1e-6)


def test_disk_pixels_hold_the_share_of_them_that_it_covers():
    k = psf.disk(2)
    y = np.linspace(-0.5, 0.5, 1001)
    share = np.mean(np.sqrt(4 - y**2) - 1.5)  # of the pixel two to the right of the centre
    assert k[2, 4].item() == pytest.approx(share * k[2, 2].item(), rel=0.03)
    assert k[2, 2].item() == pytest.approx(1 / (math.pi * 2**2), rel=0.01)
    assert k[2, 2] == k[1, 2] == k[2, 3]  # those wholly inside
    assert k[0, 0] == 0


def test_disk_within_one_pixel_is_the_delta_kernel():
    assert torch.equal(psf.disk(0.5), psf.box(1))


def test_stack_keeps_each_centre(rand):
    kernels = [psf.box(1), psf.motion(5, 30), SKEWED, torch.tensor([[0.2, 0.3, 0.1, 0.1, 0.3]])]
    stacked = psf.check(psf.stack(kernels))
    assert stacked.shape == (4, 5, 5)
    x = rand(1, 3, 9, 8)
    for k, place in zip(kernels, stacked, strict=True):
        torch.testing.assert_close(degrade.convolve(x, place), degrade.convolve(x, k))


@pytest.mark.parametrize("k", [SKEWED, SKEWED[:1] / 0.3, SKEWED.T, psf.motion(7, 20)])
@pytest.mark.parametrize(("height", "width"), [(8, 9), (9, 12), (7, 7)])
def test_transfer_function_is_circular_convolution(rand, k, height, width):
    x = rand(2, 3, height, width)
    by_fourier = torch.fft.ifft2(torch.fft.fft2(x) * psf.transfer_function(k, height, width))
    expected = degrade.convolve(x, k, "circular")
    torch.testing.assert_close(by_fourier.real, expected, rtol=0, atol=1e-6)
    assert by_fourier.imag.abs().max() < 1e-6


def test_transfer_function_of_a_batch_is_that_of_each():
    k = torch.stack([SKEWED, SKEWED.T])
    each = [psf.transfer_function(one, 8, 9) for one in k]
    torch.testing.assert_close(psf.transfer_function(k, 8, 9), torch.stack(each))


@over_kernels
def test_transfer_function_is_1_at_frequency_0(k):
    assert psf.transfer_function(k, 40, 33)[0, 0].item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(4, 9), (9, 4)])
def test_transfer_function_refuses_a_kernel_larger_than_the_image(height, width):
    with pytest.raises(InputError, match=f"5 x 5 kernel.*{height} x {width}"):
        psf.transfer_function(psf.box(5), height, width)


@pytest.mark.parametrize(
    ("k", "named"),
    [
        (torch.ones(1), r"\(1,\)"),
        (torch.ones(1, 1, 1, 1), r"\(1, 1, 1, 1\)"),
        (torch.ones(2, 3) / 6, "2 x 3"),
        (torch.ones(3, 2) / 6, "3 x 2"),
        (torch.tensor([[0.5, math.nan, 0.5]]), "NaN"),
        (torch.tensor([[-0.5, 2.0, -0.5]]), "negative"),
        (torch.full((3, 3), 0.2), "not 1.8"),
        (torch.stack([psf.box(3), 0.9 * psf.box(3)]), "not 0.9"),
        (psf.box(3) * 1.001, "not 1.001"),
    ],
)
def test_check_refuses_what_is_no_kernel(k, named):
    with pytest.raises(InputError, match=named):
        psf.check(k)


@pytest.mark.parametrize(
    ("make", "arguments", "named"),
    [
        (psf.gaussian, (-1,), "not -1"),
        (psf.gaussian, (math.nan,), "nan"),
        (psf.gaussian, (math.inf,), "inf"),
        (psf.gaussian, (1, 4), "not 4"),
        (psf.gaussian, (1, -3), "not -3"),
        (psf.box, (4,), "not 4"),
        (psf.box, (0,), "not 0"),
        (psf.box, (3.0,), "not 3.0"),
        (psf.motion, (0.9,), "not 0.9"),
        (psf.motion, (math.nan,), "nan"),
        (psf.motion, (math.inf,), "inf"),
        (psf.motion, (5, math.nan), "nan"),
        (psf.motion, (5, 0, 6), "not 6"),
        (psf.motion, (15, 0, 13), "15 pixels needs a kernel of 15, not 13"),
        (psf.disk, (0,), "not 0"),
        (psf.disk, (math.nan,), "nan"),
        (psf.disk, (4, 7), "radius 4 needs a kernel of 9, not 7"),
    ],
)
def test_a_wrong_argument_is_named(make, arguments, named):
    with pytest.raises(InputError, match=named):
        make(*arguments)
