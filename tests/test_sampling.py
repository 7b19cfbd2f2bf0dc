"""Pairs: functions of seed and index alone, of the same pixels, made in the order promised.

And the sources' degradations, each as its source makes it.
"""

import functools
import math

import cv2
import numpy as np
import pytest
import torch
from moves import path_of
from PIL import Image, ImageFilter

from deblurlib import degrade, images, psf
from deblurlib.errors import InputError

CAMERAS = ["s4-camera", "s4-camera-light"]
over_settings = pytest.mark.parametrize("name", degrade.SETTINGS)
MIXED = ("snapshot", "stored")  # of several kinds: see test_snapshots.py
over_plain_settings = pytest.mark.parametrize(
    "name", [name for name in degrade.SETTINGS if name not in MIXED]
)


def draw(generator):
    """A motion of random length and angle, and random noises and highlights."""
    length, angle, sigma, gain = torch.rand(4, generator=generator).tolist()
    blur = psf.motion(1 + 12 * length, 180 * angle, 15)
    return degrade.Degradation(
        blur, {"angle": angle}, highlights=1 + gain, photons=2000, noise=0.1 * sigma
    )


def fixed(blur, **how):
    """A draw that is always the same."""
    return lambda generator: degrade.Degradation(blur, **how)


@functools.cache
def drawn(name, seeds=range(50)):
    return [degrade.SETTINGS[name](degrade.generator(seed, 0)) for seed in seeds]


DRAWS = {**degrade.SETTINGS, "all": draw}


@pytest.mark.parametrize("name", DRAWS)
def test_a_pair_depends_neither_on_its_batch_nor_on_order(rand, name):
    x, index = rand(5, 1 if name.startswith("s1") else 3, 66, 64), [5, 0, 9, 2, 100]
    whole = degrade.sample(x, DRAWS[name], 3, index)
    for part in ([0], [4], [1, 2], [4, 3, 2, 1, 0]):
        pair = degrade.sample(x[part], DRAWS[name], 3, [index[i] for i in part])
        assert torch.equal(pair.y, whole.y[part])
        assert torch.equal(pair.x, whole.x[part])
        assert pair.parameters == [whole.parameters[i] for i in part]


@over_settings
def test_degradations_drawn_together_are_to_the_bit_what_each_is_alone(name):
    generators = [degrade.generator(3, i) for i in range(12)]
    together = degrade.draw_each(degrade.SETTINGS[name], generators)
    for i, d in enumerate(together):
        alone = degrade.SETTINGS[name](degrade.generator(3, i))
        assert torch.equal(d.blur, alone.blur)
        assert (d.parameters, d.margin, d.noise) == (alone.parameters, alone.margin, alone.noise)
    if name in (*CAMERAS, "shake", "known-blur"):
        assert degrade.SETTINGS[name].many


@over_plain_settings
def test_another_seed_or_index_draws_anew(name):
    x = torch.full((1, 1, 64, 64), 0.5)

    def of(seed, index):
        return degrade.sample(x, degrade.SETTINGS[name], seed, [index]).parameters

    is_drawn = not name.startswith("s1") and name != "defocus-4"
    enough = any if name == "box" else all  # of few sizes, two may be equal
    assert enough(of(seed, 0) != of(0, 0) for seed in (1, 2, 3)) == is_drawn
    assert enough(of(0, index) != of(0, 0) for index in (1, 2, 3)) == is_drawn


@over_settings
def test_no_pixel_of_a_valid_pair_depends_on_anything_outside(rand, name):
    x = rand(1, 1, 90, 83)
    d = degrade.SETTINGS[name](degrade.generator(0, 7))
    pair = degrade.apply(x, [d], 0, [7])
    top, left = d.margins
    larger = rand(1, 1, 150, 141, seed=1)
    larger[..., 30:120, 29:112] = x  # one centre for both: a camera turns about it
    around = degrade.apply(larger, [d], 0, [7], "reflect")
    inside = (..., slice(30 + top, 120 - top), slice(29 + left, 112 - left))
    assert torch.equal(around.x[inside], pair.x)
    if d.noise == 0:
        off = 1.01 / 255 if d.quantise else 1e-5
        torch.testing.assert_close(around.y[inside], pair.y, rtol=0, atol=off)
        assert ((around.y[inside] - pair.y).abs() > 1e-4).float().mean() < 0.01


def test_both_images_of_a_pair_show_the_same_pixels(rand):
    k = torch.zeros(7, 5)
    k[3, 2] = 1
    x = rand(2, 3, 20, 23)
    pair = degrade.sample(x, fixed(k), 0, [0, 1])
    assert torch.equal(pair.x, x[..., 3:-3, 2:-2])
    assert torch.equal(pair.y, images.quantise(pair.x))
    still = degrade.sample(x, fixed(path_of((0, 0)), margin=4, quantise=False), 0, [0, 1])
    assert torch.equal(still.x, x[..., 4:-4, 4:-4])
    torch.testing.assert_close(still.y, still.x, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="no one kernel"):
        _ = still.kernels


@pytest.mark.parametrize("boundary", ["reflect", "zero", "valid"])
@pytest.mark.parametrize("average", ["encoded", "light"])
def test_a_camera_path_of_shifts_equals_its_kernel(rand, average, boundary):
    places = [(0, 0), (1.5, -2), (2.25, 0.5), (-3, 2.75)]
    how = {"average": average, "quantise": False}
    x = rand(2, 3, 20, 17)
    k = psf.from_path(torch.tensor(places))
    by_path = degrade.sample(x, fixed(path_of(*places), margin=3, **how), 0, [0, 1], boundary)
    by_kernel = degrade.sample(x, fixed(k, **how), 0, [0, 1], boundary)
    torch.testing.assert_close(by_path.y, by_kernel.y, rtol=0, atol=3e-4)  # gamma is steep at 0
    assert torch.equal(by_path.x, by_kernel.x)


@pytest.mark.parametrize("boundary", degrade.BOUNDARIES)
@pytest.mark.parametrize("average", ["encoded", "light"])
def test_the_steps_are_highlights_blur_photons_noise_rounding(rand, average, boundary):
    x, index = rand(2, 3, 16, 17), [8, 4]
    x[:, :, 5:9, 6:9] = 1
    k, light = psf.motion(5, 30), average == "light"
    how = {"highlights": 6.0, "photons": 300, "noise": 0.05, "average": average}
    y = degrade.decode_gamma(x) if light else x
    y = degrade.convolve(degrade.boost_highlights(y, 6.0), k, boundary)
    assert y.max() > 1.5  # nothing was clipped so far
    y = degrade.add_shot_noise(y, 300, 3, index)
    y = degrade.encode_gamma(y) if light else y
    y = degrade.add_noise(y, 0.05, 3, index)
    plain = degrade.sample(x, fixed(k, quantise=False, **how), 3, index, boundary)
    torch.testing.assert_close(plain.y, y)
    h, w = (side // 2 for side in k.shape)
    assert torch.equal(plain.x, x[..., h:-h, w:-w] if boundary == "valid" else x)
    rounded = degrade.sample(x, fixed(k, **how), 3, index, boundary)
    assert torch.equal(rounded.y, images.quantise(plain.y))
    assert torch.equal(rounded.kernels, torch.stack([k, k]))


def test_every_image_gets_its_own_highlights_noise_and_rounding(rand):
    x, delta = rand(2, 1, 12, 12), psf.box(1)
    degradations = [
        degrade.Degradation(delta, highlights=3.0, quantise=False),
        degrade.Degradation(delta, photons=20, noise=0.1),
    ]
    pair = degrade.apply(x, degradations, 0, [0, 1])
    torch.testing.assert_close(pair.y[:1], degrade.boost_highlights(x[:1], 3.0))
    noisy = degrade.add_noise(degrade.add_shot_noise(x[1:], 20, 0, [1]), 0.1, 0, [1])
    assert torch.equal(pair.y[1:], images.quantise(noisy))
    assert pair.degradations == tuple(degradations)
    assert len({*degradations, degradations[0]}) == 2  # though they hold tensors


D = degrade.Degradation
PATH = path_of((0, 2.5))


@pytest.mark.parametrize(
    ("degradations", "boundary", "named"),
    [
        ([D(psf.box(3))], "valid", "1 degradations for 2 images"),
        ([D(psf.box(3)), D(psf.box(5))], "valid", "equal margins"),
        ([D(PATH, margin=3), D(PATH, margin=4)], "valid", "equal margins"),
        ([D(psf.box(3))] * 2, "mirror", "'mirror'"),
        ([D(PATH, margin=3)] * 2, "circular", "'circular' is none of reflect, zero, valid"),
        ([D(PATH)] * 2, "valid", "margin of a camera path"),
        ([D(PATH, margin=2)] * 2, "valid", "reaches 3 pixels, more than its margin of 2"),
        ([D(PATH, margin=4)] * 2, "valid", r"margin of 4 leaves nothing of \(9, 7\)"),
    ],
)
def test_wrong_degradations_are_named(degradations, boundary, named):
    with pytest.raises(InputError, match=named):
        degrade.apply(torch.zeros(2, 1, 9, 7), degradations, 0, [0, 1], boundary)


def test_blurs_of_any_kind_and_average_go_together(rand):
    x = rand(4, 3, 20, 22)
    each = [
        D(psf.box(5), average="light", margin=4),
        D(PATH, margin=4),
        D(psf.box(3), margin=4, noise=0.1),
        D(PATH, average="light", margin=4, highlights=2.0),
    ]
    for boundary in ("valid", "reflect"):
        together = degrade.apply(x, each, 0, range(4), boundary)
        for i, d in enumerate(each):
            alone = degrade.apply(x[i : i + 1], [d], 0, [i], boundary)
            assert torch.equal(together.y[i : i + 1], alone.y)
            assert torch.equal(together.x[i : i + 1], alone.x)
    with pytest.raises(InputError, match="no one kernel"):
        _ = together.kernels
    several = degrade.apply(x[:2], [each[0], each[2]], 0, [0, 1])
    with pytest.raises(InputError, match="of different sizes"):
        _ = several.kernels


def test_no_image_at_all_is_said():
    with pytest.raises(InputError, match="0 degradations"):
        degrade.apply(torch.zeros(0, 1, 9, 7), [], 0, [])


@pytest.mark.parametrize(
    ("blur", "average", "named"),
    [
        (psf.box(3), "linear", "'linear'"),
        (psf.box(3) * 2, "encoded", "must sum to 1, not 2"),
        (torch.stack([psf.box(5)] * 4), "encoded", r"kernel .* or a path .* not \(4, 5, 5\)"),
        (torch.zeros(0, 3, 3), "encoded", r"not \(0, 3, 3\)"),
        (torch.ones(3), "encoded", r"not \(3,\)"),
    ],
)
def test_a_degradation_that_is_none_cannot_be_made(blur, average, named):
    with pytest.raises(InputError, match=named):
        degrade.Degradation(blur, average=average)


#: of a sigma that is the size of a normal number, of which large ones are rare
S5_DRAWN = ("s5-gaussian", "s5-gaussian-noisy", "s5-gaussian-clipped")
#: What the sources say of their numbers.
PARAMETERS = {
    "s1-gaussian": {"sigma": (3, 3)},
    "s1-box": {"size": (7, 7)},
    "s1-motion": {"length": (15, 15), "angle": (0, 0)},
    **{f"s1-motion-{n}": {"length": (n, n), "angle": (0, 0)} for n in (5, 11, 21, 31)},
    "s1-gaussian-matched": {"sigma": (3.86, 3.86)},
    "s1-box-matched": {"size": (11, 11)},
    "s2-gaussian": {"sigma": (1, 4)},
    **{f"s2-gaussian-{name}": {"sigma": (1, 4)} for name in ("quiet", "noisy", "whole")},
    "s2-gaussian-2": {"sigma": (2, 8)},
    "s2-gaussian-4": {"sigma": (4, 16)},
    "s3-mixture": {"sigma": (0.5, 2), "length": (3, 9), "angle": (0, 180)},
    "s4-camera": {"length": (8, 24), "roll": (0, 1)},
    "s4-camera-light": {"length": (8, 24), "roll": (0, 1)},
    **{name: {"sigma": (0, 30)} for name in S5_DRAWN},
    "s5-gaussian-uniform": {"sigma": (0, 10)},
    "shake": {"length": (8, 24)},
    "known-blur": {"sigma": (1, 4), "length": (8, 24), "noise": (0.001, 0.02)},
    "noise": {"noise": (0, 0.2)},
    "gaussian-narrow": {"sigma": (0.8, 1.6)},
    "gaussian-wide": {"sigma": (2.4, 4)},
    "box": {"size": (3, 13)},
    "motion": {"length": (5, 24), "angle": (0, 180)},
    "defocus": {"radius": (1.5, 6)},
    "defocus-4": {"radius": (4, 4)},
}


SHAKEN = ("known-blur", True)  # of its two kinds the one that no parameters make again
#: the windows of Gaussians, sides in pixels
SIZES = {
    **dict.fromkeys(("s2-gaussian", "s2-gaussian-quiet", "s2-gaussian-noisy"), 5),
    "s2-gaussian-whole": 25,
    "known-blur": 25,
    "s2-gaussian-2": 9,
    "s2-gaussian-4": 17,
    "s3-mixture": 13,
    **dict.fromkeys((*S5_DRAWN, "s5-gaussian-uniform"), 61),
    **dict.fromkeys(("gaussian-narrow", "gaussian-wide", "box", "motion", "defocus"), 25),
}


def made(name, parameters):
    """The kernel that the parameters of a setting, but for cameras and shakes, name."""
    if "angle" in parameters:
        return psf.motion(parameters["length"], parameters["angle"], SIZES.get(name))
    if "sigma" in parameters:
        return psf.gaussian(parameters["sigma"], SIZES.get(name))
    if "radius" in parameters:
        return psf.disk(parameters["radius"], SIZES.get(name))
    k = psf.box(parameters.get("size", 1))
    return torch.nn.functional.pad(k, [(SIZES.get(name, len(k)) - len(k)) // 2] * 4)


@over_plain_settings
def test_draws_share_what_a_batch_must_share_and_do_what_their_parameters_say(name):
    for d in drawn(name)[:10]:
        if name not in (*CAMERAS, "shake") and (name, "length" in d.parameters) != SHAKEN:
            torch.testing.assert_close(d.blur, made(name, d.parameters))
        added = dict.fromkeys((n for n in degrade.SETTINGS if n.startswith("s2-")), 0.02)
        added |= {"s2-gaussian-quiet": 0, "s2-gaussian-noisy": 0.05}
        added |= {"noise": d.parameters.get("noise")}
        # noisy, and clipped
        quantised = {"known-blur": d.parameters.get("noise"), "s5-gaussian-noisy": 0.01}
        noise = (added | quantised).get(name, 0)
        assert (d.noise, d.quantise) == (noise, name not in added)
        assert d.jpeg is None
        lamps = 4 if name == "s5-gaussian-clipped" else 1
        assert (d.photons, d.highlights) == (math.inf, lamps)
        assert d.average == ("light" if name == "s4-camera-light" else "encoded")
    assert len({(d.average, d.margin, d.blur.shape) for d in drawn(name)}) == 1


@over_plain_settings
def test_parameters_are_spread_over_their_whole_range(name):
    expected = PARAMETERS[name]
    twofold = name in ("s3-mixture", "known-blur")
    each = [d.parameters for d in drawn(name, range(100 if twofold else 50))]
    for parameter, (low, high) in expected.items():
        values = [p[parameter] for p in each if parameter in p]
        assert low <= min(values) <= max(values) <= high
        assert max(values) - min(values) >= 0.85 * (high - low) or name in S5_DRAWN
    if name == "s3-mixture":  # a Gaussian for one half and a motion for the other
        kinds = [set(p) for p in each]
        motions = kinds.count({"length", "angle"})
        assert 35 < motions < 65
        assert motions + kinds.count({"sigma"}) == 100
    elif name == "known-blur":  # a shaken camera for one half and a Gaussian for the other
        kinds = [set(p) for p in each]
        shaken = kinds.count({"length", "noise"})
        assert 35 < shaken < 65
        assert shaken + kinds.count({"sigma", "noise"}) == 100
    else:
        assert all(set(p) == set(expected) for p in each)


def test_s1_is_that_of_pillow(rand):
    array = (rand(90, 80) * 255).to(torch.uint8).numpy()
    x = images.to_tensor(array)[None]
    # Pillow's Gaussian is three boxes after each other, which is near one
    for name, theirs, margin, off in (
        ("s1-box", ImageFilter.BoxBlur(3), 3, 1.01),
        ("s1-gaussian", ImageFilter.GaussianBlur(3), 9, 2),
    ):
        expected = np.asarray(Image.fromarray(array).filter(theirs), np.float32)
        y = degrade.sample(x, degrade.SETTINGS[name], 0, [0]).y[0, 0]
        inside = expected[margin:-margin, margin:-margin]
        assert np.abs(255 * y.numpy() - inside).max() <= off


@pytest.mark.parametrize("seed", range(2))
def test_s2_is_that_of_opencv_with_noise_and_without_clipping(rand, seed):
    x = rand(1, 3, 150, 140).round()
    pair = degrade.sample(x, degrade.SETTINGS["s2-gaussian"], seed, [0])
    array = x[0].permute(1, 2, 0).numpy()
    blurred = cv2.GaussianBlur(array, (5, 5), pair.parameters[0]["sigma"])[2:-2, 2:-2]
    noise = pair.y[0] - torch.from_numpy(blurred).permute(2, 0, 1)
    assert noise.std().item() == pytest.approx(0.02, rel=0.02)
    assert noise.mean().abs() < 0.0005
    black = degrade.sample(torch.zeros_like(x), degrade.SETTINGS["s2-gaussian"], seed, [0])
    assert black.y.min() < -0.05


def test_what_is_changed_of_s2_is_drawn_as_s2_is():
    plain = [d.parameters["sigma"] for d in drawn("s2-gaussian")]
    for name, times in {"quiet": 1, "noisy": 1, "whole": 1, "2": 2, "4": 4}.items():
        sigmas = [d.parameters["sigma"] for d in drawn(f"s2-gaussian-{name}")]
        assert sigmas == [times * sigma for sigma in plain]
    for d, narrow in zip(drawn("s2-gaussian-whole"), drawn("s2-gaussian"), strict=True):
        inside = d.blur[10:15, 10:15]  # a wider window changes the rest, and nothing in it
        torch.testing.assert_close(inside / inside.sum(), narrow.blur)


def test_what_is_changed_of_s5_is_drawn_as_s5_is():
    for plain, *others in zip(*map(drawn, S5_DRAWN), strict=True):
        for other in others:
            assert other.parameters == plain.parameters
            assert torch.equal(other.blur, plain.blur)


def test_s5_sigma_is_the_size_of_a_normal_number():
    sigmas = torch.tensor([d.parameters["sigma"] for d in drawn("s5-gaussian", range(1000))])
    assert sigmas.mean().item() == pytest.approx(5 * (2 / torch.pi) ** 0.5, rel=0.06)  # 3.99
    assert sigmas.square().mean().sqrt().item() == pytest.approx(5, rel=0.06)


@pytest.mark.parametrize("name", CAMERAS)
def test_cameras_stay_within_their_margin_and_differ_in_what_they_average_alone(name):
    for d, other in zip(drawn(name), drawn("s4-camera"), strict=True):
        assert degrade.max_displacement(d.blur, 512, 512) <= d.margin
        assert d.margins == (d.margin, d.margin)
        assert torch.equal(d.blur, other.blur)


def test_a_camera_wanders_and_turns_as_its_parameters_say():
    for d in drawn("s4-camera"):
        ways = d.blur[:, :2, 2].diff(dim=0).norm(dim=1)  # of the image's centre
        length = d.parameters["length"]
        assert 0.7 * length < ways.sum() <= 1.01 * length
        turns = torch.rad2deg(torch.atan2(d.blur[:, 0, 1], d.blur[:, 0, 0])).abs()
        assert turns.max().item() == pytest.approx(d.parameters["roll"], rel=0.1, abs=0.03)


def test_a_shake_is_as_long_as_its_parameter_says():
    for seed, d in enumerate(drawn("shake")[:10]):
        generator = degrade.generator(seed, 0)
        torch.rand((), generator=generator)  # the length's
        assert torch.equal(d.blur, psf.shake(generator, d.parameters["length"], 25))
