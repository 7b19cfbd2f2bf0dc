"""The sources' degradations: each as its source makes it."""

import functools

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from deblurlib import degrade, images, psf

MOTIONS = {f"s1-motion-{length}": length for length in (5, 11, 21, 31)}
MATCHED = {"s1-gaussian-matched": "s1-gaussian", "s1-box-matched": "s1-box"}
NAMES = [
    "s1-gaussian",
    "s1-box",
    "s1-motion",
    *MOTIONS,
    *MATCHED,
    "s2-gaussian",
    "s3-mixture",
    "s4-camera",
    "s4-camera-light",
    "s5-gaussian",
    "shake",
    "noise",
]
CAMERAS = ["s4-camera", "s4-camera-light"]
KERNELS = [name for name in NAMES if name not in CAMERAS]
SEEDS = range(50)
PARAMETERS = {
    "s1-gaussian": {"sigma": (3, 3)},
    "s1-box": {"size": (7, 7)},
    "s1-motion": {"length": (15, 15), "angle": (0, 0)},
    **{name: {"length": (length, length), "angle": (0, 0)} for name, length in MOTIONS.items()},
    "s1-gaussian-matched": {"sigma": (3.86, 3.86)},
    "s1-box-matched": {"size": (11, 11)},
    "s2-gaussian": {"sigma": (1, 4)},
    "s4-camera": {"length": (8, 24), "roll": (0, 1)},
    "s4-camera-light": {"length": (8, 24), "roll": (0, 1)},
    "s5-gaussian": {"sigma": (0, 30)},
    "shake": {"length": (8, 24)},
    "noise": {"noise": (0, 0.2)},
}
MIXTURE = {"sigma": (0.5, 2), "length": (3, 9), "angle": (0, 180)}


@functools.cache
def drawn(name, seeds=SEEDS):
    return [degrade.SETTINGS[name](degrade.generator(seed, 0)) for seed in seeds]


def test_all_settings_are_tested():
    assert list(degrade.SETTINGS) == NAMES


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_kernels_of_one_size(name):
    kernels = torch.stack([d.blur for d in drawn(name)])
    psf.check(kernels)
    assert kernels.shape[1] == kernels.shape[2]


@pytest.mark.parametrize("name", NAMES)
def test_draws_repeat_and_share_what_a_batch_must_share(name):
    again = [degrade.SETTINGS[name](degrade.generator(seed, 0)) for seed in range(5)]
    for a, b in zip(drawn(name)[:5], again, strict=True):
        assert torch.equal(a.blur, b.blur)
        assert a.parameters == b.parameters
    assert len({(d.average, d.margin, d.blur.shape) for d in drawn(name)}) == 1


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameters_are_spread_over_their_whole_range(name, expected):
    parameters = [d.parameters for d in drawn(name)]
    for parameter, (low, high) in expected.items():
        values = [p[parameter] for p in parameters]
        assert low <= min(values) <= max(values) <= high
        assert max(values) - min(values) >= 0.85 * (high - low) or name == "s5-gaussian"
    assert all(set(p) == set(expected) for p in parameters)


def test_s1_box_is_that_of_pillow(rand):
    array = (rand(3, 30, 25) * 255).to(torch.uint8)
    blurred = Image.fromarray(array.permute(1, 2, 0).numpy()).filter(ImageFilter.BoxBlur(3))
    y = degrade.sample(array[None] / 255, degrade.SETTINGS["s1-box"], 0, [0]).y[0]
    expected = torch.from_numpy(np.array(blurred)).permute(2, 0, 1)[:, 3:-3, 3:-3]
    assert (y * 255 - expected).abs().max() < 1.01


@pytest.mark.parametrize(("name", "length"), [("s1-motion", 15), *MOTIONS.items()])
def test_s1_motion_is_equal_taps_in_a_row(name, length):
    (d,) = drawn(name, range(1))
    expected = torch.zeros(length, length)
    expected[length // 2] = 1 / length
    torch.testing.assert_close(d.blur, expected)


def variance(kernel):
    """Of the places that a kernel takes its light from, across."""
    places = torch.arange(len(kernel)) - len(kernel) // 2
    return (kernel.sum(0) * places**2).sum().item()


@pytest.mark.parametrize(("matched", "raw"), MATCHED.items())
def test_a_matched_blur_is_a_wider_one_of_its_kind(matched, raw):
    (wide,), (narrow,) = drawn(matched, range(1)), drawn(raw, range(1))
    assert wide.blur.sum().item() == pytest.approx(1)
    assert variance(wide.blur) > 1.4 * variance(narrow.blur)
    assert set(wide.parameters) == set(narrow.parameters)


def test_matched_blurs_are_as_wide_as_they_say():
    (gaussian,), (box,) = (drawn(name, range(1)) for name in MATCHED)
    # cut off at three sigmas, a Gaussian has 0.973 of its variance
    assert variance(gaussian.blur) == pytest.approx(0.97 * 3.86**2, rel=0.03)
    assert variance(box.blur) == pytest.approx((11**2 - 1) / 12)
    torch.testing.assert_close(box.blur, torch.full((11, 11), 1 / 121))


def test_s1_gaussian_is_that_of_pillow(rand):
    array = (rand(90, 80) * 255).to(torch.uint8).numpy()
    expected = np.asarray(Image.fromarray(array).filter(ImageFilter.GaussianBlur(3)))
    x = images.to_tensor(array)[None]
    y = degrade.sample(x, degrade.SETTINGS["s1-gaussian"], 0, [0]).y[0, 0]
    # Pillow's is three boxes after each other, which is near a Gaussian
    assert np.abs(255 * y.numpy() - expected[9:-9, 9:-9]).max() <= 2


@pytest.mark.parametrize("seed", range(5))
def test_s2_is_that_of_opencv_with_noise_and_without_clipping(rand, seed):
    x = rand(1, 3, 150, 140).round()
    pair = degrade.sample(x, degrade.SETTINGS["s2-gaussian"], seed, [0])
    sigma = pair.parameters[0]["sigma"]
    array = x[0].permute(1, 2, 0).numpy()
    blurred = cv2.GaussianBlur(array, (5, 5), sigma)[2:-2, 2:-2]
    noise = pair.y[0] - torch.from_numpy(blurred).permute(2, 0, 1)
    assert noise.std().item() == pytest.approx(0.02, rel=0.02)
    assert noise.mean().abs() < 0.0005
    black = degrade.sample(torch.zeros_like(x), degrade.SETTINGS["s2-gaussian"], seed, [0])
    assert black.y.min() < -0.05


def test_s3_is_a_gaussian_for_one_half_and_a_motion_for_the_other():
    each = drawn("s3-mixture", range(300))
    motions = [d for d in each if "length" in d.parameters]
    gaussians = [d for d in each if "sigma" in d.parameters]
    assert len(motions) + len(gaussians) == 300
    assert 120 < len(motions) < 180
    for group, names in ((gaussians, {"sigma"}), (motions, {"length", "angle"})):
        for name in names:
            low, high = MIXTURE[name]
            values = [d.parameters[name] for d in group]
            assert low <= min(values) <= low + 0.1 * (high - low)
            assert high - 0.1 * (high - low) <= max(values) <= high
        assert all(set(d.parameters) == names for d in group)
    for d in gaussians[:20]:
        assert torch.equal(d.blur, psf.gaussian(d.parameters["sigma"], 13))
    for d in motions[:20]:
        assert torch.equal(d.blur, psf.motion(*d.parameters.values(), 13))


def test_s5_sigma_is_the_size_of_a_normal_number():
    sigmas = torch.tensor([d.parameters["sigma"] for d in drawn("s5-gaussian", range(2000))])
    assert sigmas.mean().item() == pytest.approx(5 * (2 / torch.pi) ** 0.5, rel=0.05)  # 3.99
    assert sigmas.square().mean().sqrt().item() == pytest.approx(5, rel=0.05)
    assert (sigmas > 10).float().mean().item() == pytest.approx(0.0455, abs=0.015)
    for d in drawn("s5-gaussian", range(5)):
        assert torch.equal(d.blur, psf.gaussian(d.parameters["sigma"], 61))


@pytest.mark.parametrize("name", CAMERAS)
def test_cameras_stay_within_their_margin(name):
    corners = torch.tensor([[a, b, 1] for a in (-255.5, 255.5) for b in (-255.5, 255.5)]).double()
    for d in drawn(name):
        moved = torch.linalg.inv(d.blur) @ corners.T
        far = (moved / moved[:, 2:] - corners.T).abs().max()
        assert far <= d.margin
        assert d.margins == (d.margin, d.margin)
    assert degrade.max_displacement(d.blur[::5], 512, 512) <= d.margin


def test_cameras_differ_in_what_they_average_alone():
    for encoded, light in zip(*map(drawn, CAMERAS), strict=True):
        assert torch.equal(encoded.blur, light.blur)
        assert (encoded.average, light.average) == ("encoded", "light")


def test_a_camera_wanders_and_turns_as_its_parameters_say():
    for d in drawn("s4-camera"):
        ways = d.blur[:, :2, 2].diff(dim=0).norm(dim=1)  # of the image's centre
        length = d.parameters["length"]
        assert 0.7 * length < ways.sum() <= 1.01 * length
        turns = torch.rad2deg(torch.atan2(d.blur[:, 0, 1], d.blur[:, 0, 0])).abs()
        assert turns.max().item() == pytest.approx(d.parameters["roll"], rel=0.1, abs=0.03)


def test_a_shake_is_as_long_as_its_parameter_says():
    for seed, d in enumerate(drawn("shake")):
        generator = degrade.generator(seed, 0)
        torch.rand((), generator=generator)  # the length's
        assert torch.equal(d.blur, psf.shake(generator, d.parameters["length"], 25))


@pytest.mark.parametrize("name", NAMES)
def test_of_those_that_blur_only_s2_adds_noise_and_does_not_round(name):
    for d in drawn(name, range(3)):
        added = {"s2-gaussian": 0.02, "noise": d.parameters.get("noise")}
        assert (d.noise, d.quantise) == (added.get(name, 0), name not in added)
        assert (d.photons, d.highlights) == (float("inf"), 1)
