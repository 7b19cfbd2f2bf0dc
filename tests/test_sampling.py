"""Pairs: functions of seed and index alone, of the same pixels, made in the order promised."""

import math

import pytest
import torch
from moves import path_of

from deblurlib import degrade, images, psf
from deblurlib.degrade import sampling
from deblurlib.errors import InputError

over_settings = pytest.mark.parametrize("name", degrade.SETTINGS)


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


DRAWS = {**degrade.SETTINGS, "all": draw}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("drawn", DRAWS.values(), ids=DRAWS.keys())
def test_a_pair_depends_neither_on_its_batch_nor_on_order(rand, drawn, channels):
    x, index = rand(5, channels, 80, 67), [5, 0, 9, 2, 100]
    whole = degrade.sample(x, drawn, 3, index)
    for part in ([0], [1], [4], [1, 2], [3, 0, 4], [4, 3, 2, 1, 0]):
        pair = degrade.sample(x[part], drawn, 3, [index[i] for i in part])
        assert torch.equal(pair.y, whole.y[part])
        assert torch.equal(pair.x, whole.x[part])
        assert pair.parameters == [whole.parameters[i] for i in part]


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
def test_at_other_boundaries_too_and_all_pixels_are_kept(rand, boundary):
    x, index = rand(4, 3, 24, 21), [5, 0, 9, 2]
    whole = degrade.sample(x, draw, 3, index, boundary)
    assert len({k.count_nonzero().item() for k in whole.kernels}) > 1  # they differ
    assert whole.y.shape == x.shape
    assert torch.equal(whole.x, x)
    for i in range(4):
        pair = degrade.sample(x[i : i + 1], draw, 3, index[i : i + 1], boundary)
        assert torch.equal(pair.y, whole.y[i : i + 1])


@over_settings
def test_another_seed_or_index_draws_anew(name):
    x = torch.full((1, 1, 70, 70), 0.5)
    x[..., 30:33, 20:50] = 0.9
    same, seed, index = (
        degrade.sample(x, degrade.SETTINGS[name], *key).parameters[0]
        for key in ((0, [0]), (1, [0]), (0, [1]))
    )
    varies = not name.startswith("s1")
    assert (same != seed) == (same != index) == varies


@over_settings
def test_no_pixel_of_a_valid_pair_depends_on_anything_outside(rand, name):
    x = rand(1, 1, 90, 83)
    d = degrade.SETTINGS[name](degrade.generator(0, 7))
    pair = sampling.apply(x, [d], 0, [7])
    top, left = d.margins
    for seed in (1, 2):
        larger = rand(1, 1, 150, 141, seed=seed)
        larger[..., 30:120, 29:112] = x  # one centre for both: a camera turns about it
        around = sampling.apply(larger, [d], 0, [7], "reflect")
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
    rounded = degrade.sample(x, fixed(k, **how), 3, index, boundary)
    assert torch.equal(rounded.y, images.quantise(plain.y))
    assert torch.equal(rounded.kernels, torch.stack([k, k]))


def test_every_image_gets_its_own_highlights_noise_and_rounding(rand):
    x, delta = rand(2, 1, 12, 12), psf.box(1)
    degradations = [
        degrade.Degradation(delta, highlights=3.0, quantise=False),
        degrade.Degradation(delta, photons=20, noise=0.1),
    ]
    pair = sampling.apply(x, degradations, 0, [0, 1])
    torch.testing.assert_close(pair.y[:1], degrade.boost_highlights(x[:1], 3.0))
    noisy = degrade.add_noise(degrade.add_shot_noise(x[1:], 20, 0, [1]), 0.1, 0, [1])
    assert torch.equal(pair.y[1:], images.quantise(noisy))
    assert pair.degradations == tuple(degradations)


def test_rounded_values_are_those_of_an_8_bit_file(rand):
    pair = degrade.sample(2 * rand(2, 3, 20, 20) - 0.5, fixed(psf.box(3), noise=0.3), 0, [0, 1])
    levels = pair.y * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert (pair.y.min(), pair.y.max()) == (0, 1)


def test_noise_does_not_depend_on_how_much_the_blur_drew(rand):
    x = rand(2, 3, 8, 8)

    def draw_more(generator):
        torch.rand(10, generator=generator)
        return degrade.Degradation(psf.box(3), noise=0.1)

    few = degrade.sample(x, fixed(psf.box(3), noise=0.1), 0, [0, 1])
    assert torch.equal(few.y, degrade.sample(x, draw_more, 0, [0, 1]).y)


def test_a_degradation_does_by_default_nothing_but_blur_and_round(rand):
    d = degrade.Degradation(psf.box(3))
    assert (d.average, d.highlights, d.photons, d.noise) == ("encoded", 1, math.inf, 0)
    assert (d.quantise, d.margin, d.parameters) == (True, None, {})


def test_a_camera_path_has_no_kernels(rand):
    pair = degrade.sample(rand(1, 1, 9, 9), fixed(path_of((0, 0)), margin=1), 0, [0])
    with pytest.raises(InputError, match="no one kernel"):
        _ = pair.kernels


X = torch.zeros(2, 1, 9, 7)
D = degrade.Degradation
PATH = path_of((0, 2.5))


@pytest.mark.parametrize(
    ("degradations", "boundary", "named"),
    [
        ([D(psf.box(3))], "valid", "1 degradations for 2 images"),
        ([D(psf.box(3)), D(psf.box(5))], "valid", "one shape"),
        ([D(psf.box(3)), D(psf.box(3), average="light")], "valid", "one shape, average"),
        ([D(PATH, margin=3), D(PATH, margin=4)], "reflect", "margin"),
        ([D(psf.box(3))] * 2, "mirror", "'mirror'"),
        ([D(psf.box(9))] * 2, "valid", "9 x 9 kernel leaves nothing valid of 9 x 7"),
        ([D(psf.box(3), noise=-1)] * 2, "valid", "sigma.*-1"),
        ([D(psf.box(3), photons=0)] * 2, "valid", "photons.*0"),
        ([D(psf.box(3), highlights=0.5)] * 2, "valid", "gain.*0.5"),
        ([D(PATH, margin=3)] * 2, "circular", "'circular' is none of reflect, zero, valid"),
        ([D(PATH, margin=3)] * 2, "mirror", "'mirror' is none of"),
        ([D(PATH)] * 2, "valid", "margin of a camera path"),
        ([D(PATH, margin=2)] * 2, "valid", "reaches 3 pixels, more than its margin of 2"),
        ([D(PATH, margin=4)] * 2, "valid", r"margin of 4 leaves nothing of \(9, 7\)"),
    ],
)
def test_wrong_degradations_are_named(degradations, boundary, named):
    with pytest.raises(InputError, match=named):
        sampling.apply(X, degradations, 0, [0, 1], boundary)


@pytest.mark.parametrize(
    ("blur", "average", "named"),
    [
        (psf.box(3), "linear", "'linear'"),
        (psf.box(3) * 2, "encoded", "must sum to 1, not 2"),
        (torch.stack([psf.box(5)] * 4), "encoded", r"kernel .* or a path .* not \(4, 5, 5\)"),
        (torch.zeros(0, 3, 3), "encoded", r"not \(0, 3, 3\)"),
    ],
)
def test_a_degradation_that_is_none_cannot_be_made(blur, average, named):
    with pytest.raises(InputError, match=named):
        degrade.Degradation(blur, average=average)


def test_degradations_can_be_compared_and_kept_in_sets():
    a, b = D(psf.box(3)), D(psf.box(3))
    assert a == a
    assert len({a, b}) == 2


def test_no_image_at_all_is_said():
    with pytest.raises(InputError, match="0 degradations"):
        degrade.sample(torch.zeros(0, 3, 9, 9), degrade.SETTINGS["s1-box"], 0, [])
