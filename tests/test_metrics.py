"""Scores: PSNR, the five SSIM protocols and the measures of looks, against others' arithmetic."""

import math

import numpy as np
import pytest
import pytorch_msssim
import scipy.ndimage
import skimage.measure
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurlib import data, degrade, images, metrics, psf
from deblurlib.errors import InputError
from deblurlib.perception import (
    MEASURES,
    blur_effect,
    channel_drift,
    checkerboard,
    colour_drift,
    gradient_similarity,
    grid_peaks,
    grid_strength,
    spectrum_distance,
)

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def gaussian_rgb(a, b):
    return structural_similarity(a, b, channel_axis=-1, data_range=1, **GAUSSIAN)


def uniform_rgb(a, b):
    return structural_similarity(a, b, channel_axis=-1, data_range=1)


def gaussian_y(a, b):
    a, b = (rgb2ycbcr(image)[..., 0] / 255 for image in (a, b))
    return structural_similarity(a, b, data_range=1, **GAUSSIAN)


def gaussian_3d(a, b):
    a, b = (np.pad(image, 5, mode="edge") for image in (a, b))  # the 5 that scikit-image cuts off
    return structural_similarity(a, b, data_range=1, **GAUSSIAN)


def multiscale(a, b):
    a, b = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (a, b))
    return pytorch_msssim.ms_ssim(a, b, data_range=1.0).item()


#: protocol -> somebody else's, and the least side of an image
REFERENCES = {
    "gaussian-rgb": (gaussian_rgb, 11),
    "uniform-rgb": (uniform_rgb, 7),
    "gaussian-y": (gaussian_y, 11),
    "gaussian-3d": (gaussian_3d, 1),
    "multiscale": (multiscale, 161),
}

over_protocols = pytest.mark.parametrize("protocol", metrics.SSIM_PROTOCOLS)
over_scores = pytest.mark.parametrize("score", [metrics.psnr, metrics.ssim])


@pytest.fixture(scope="module")
def pair(rand):
    """Three images that get worse, and their originals; the left is dark, where k1 counts."""
    coarse = torch.nn.functional.interpolate(rand(3, 3, 12, 13), (176, 192), mode="bicubic")
    x = (0.7 * coarse + 0.3 * rand(3, 3, 176, 192, seed=1)).clamp(0, 1) * torch.linspace(0, 1, 192)
    sigma = torch.tensor([0.02, 0.1, 0.5]).view(3, 1, 1, 1)
    return (0.9 * x + sigma * (rand(3, 3, 176, 192, seed=2) - 0.5)).clamp(0, 1), x


def as_arrays(batch):
    return batch.permute(0, 2, 3, 1).double().numpy()


@over_protocols
def test_ssim_agrees_with_an_independent_one_in_any_unit(pair, protocol):
    reference, _ = REFERENCES[protocol]
    expected = [reference(a, b) for a, b in zip(*map(as_arrays, pair), strict=True)]
    np.testing.assert_allclose(metrics.ssim(*pair, protocol), expected, atol=1e-5)
    in_255 = metrics.ssim(255 * pair[0], 255 * pair[1], protocol, data_range=255)
    np.testing.assert_allclose(in_255, expected, atol=1e-5)


def test_ssim_of_many_images_is_that_of_each(rand):
    x_hat, x = rand(6, 3, 12, 13), rand(6, 3, 12, 13, seed=1)
    alone = [metrics.ssim(x_hat[i : i + 1], x[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(metrics.ssim(x_hat, x), torch.cat(alone))


@over_protocols
def test_ssim_scores_the_least_size_and_refuses_a_smaller_one(rand, protocol):
    _, least = REFERENCES[protocol]
    x = rand(1, 3, least, least + 3)
    assert metrics.ssim(x, x, protocol).item() == pytest.approx(1)
    if least > 1:
        with pytest.raises(InputError, match=f"{protocol} needs {least} pixels.*{least - 1}"):
            metrics.ssim(x[..., 1:, :], x[..., 1:, :], protocol)


@over_protocols
def test_ssim_of_grey_images_is_that_of_three_equal_channels(pair, protocol):
    grey = [images.grey(image[:1]) for image in pair]
    if protocol == "gaussian-y":
        with pytest.raises(InputError, match="needs RGB images, not 1"):
            metrics.ssim(*grey, protocol)
    else:
        tripled = metrics.ssim(*(image.expand(-1, 3, -1, -1) for image in grey), protocol)
        torch.testing.assert_close(metrics.ssim(*grey, protocol), tripled)


def test_multiscale_of_a_negative_is_0(rand):
    x = rand(1, 3, 176, 176)
    assert metrics.ssim(1 - x, x, "multiscale").item() == 0
    assert metrics.ssim(1 - x, x).item() < 0


def test_an_unknown_protocol_names_the_five(pair):
    with pytest.raises(InputError) as error:
        metrics.ssim(*pair, "wang")
    assert all(name in str(error.value) for name in ["'wang'", *REFERENCES])


@over_protocols
def test_ssim_unchecked_is_ssim_that_looks_at_no_value(rand, protocol):
    side = REFERENCES[protocol][1] + 3
    pair = [rand(2, 3, side, side, seed=seed) for seed in (0, 1)]
    expected = metrics.ssim(*pair, protocol)
    with pytest.MonkeyPatch.context() as patch:
        for look in ("item", "tolist", "__bool__", "__float__"):
            patch.setattr(torch.Tensor, look, lambda z: pytest.fail("looked at a value"))
        found = metrics.ssim_unchecked(*pair, protocol)
    assert torch.equal(found, expected)
    half = [z.half() for z in pair]  # computed in float32
    single = metrics.ssim(*(z.float() for z in half), protocol)
    assert torch.equal(metrics.ssim(*half, protocol), single)
    with pytest.raises(InputError, match="one shape"):
        metrics.ssim_unchecked(pair[0], pair[1][:1], protocol)
    with pytest.raises(InputError, match=r"needs floats, not .*torch\.uint8"):
        metrics.ssim_unchecked(pair[0], pair[1].to(torch.uint8), protocol)


@pytest.mark.parametrize("data_range", [1, 255])
def test_psnr_agrees_with_scikit_image(pair, data_range):
    arrays = zip(*map(as_arrays, pair), strict=True)
    expected = [peak_signal_noise_ratio(b, a, data_range=data_range) for a, b in arrays]
    np.testing.assert_allclose(metrics.psnr(*pair, data_range), expected, atol=1e-4)


def test_psnr_is_of_the_inner_part_and_of_the_saved_image_where_that_is_wanted(pair):
    x_hat, x = 1.2 * pair[0] - 0.1, pair[1]
    inner = [z[..., 4:-4, 4:-4] for z in (x_hat, x)]
    assert torch.equal(metrics.psnr(x_hat, x, border=4), metrics.psnr(*inner))
    saved = torch.stack([images.to_tensor(images.to_array(image)) for image in x_hat])
    torch.testing.assert_close(metrics.psnr(x_hat, x, quantise=True), metrics.psnr(saved, x))
    assert not torch.equal(metrics.psnr(x_hat, x), metrics.psnr(saved, x))


#: the same pair of 8-bit images in other units, and the range that these need
UNITS = {
    "8 bit": (lambda x_hat, x: (x_hat, x), 1),
    "8 bit, of a range": (lambda x_hat, x: (x_hat, x), 255),
    "8 bit and [0, 1]": (lambda x_hat, x: (x_hat, x.float() / 255), 1),
    "[0, 1] and 8 bit": (lambda x_hat, x: (x_hat.double() / 255, x), 1),
    "8 bit and 16 bit": (lambda x_hat, x: (x_hat, (257 * x.int()).to(torch.uint16)), 1),
    "16 bit, of a range": (lambda *p: [(257 * z.int()).to(torch.uint16) for z in p], 65535),
    "0..255": (lambda x_hat, x: (x_hat.float(), x.float()), 255),
    "8 bit and 0..255": (lambda x_hat, x: (x_hat, x.float()), 255),
}


@pytest.mark.parametrize("unit", UNITS)
def test_the_scores_do_not_depend_on_the_type_of_the_values(pair, unit):
    make, data_range = UNITS[unit]
    x_hat, x = ((255 * z[..., :40, 150:]).round().to(torch.uint8) for z in pair)
    given, floats = make(x_hat, x), (x_hat.double() / 255, x.double() / 255)
    expected = metrics.psnr(*floats)
    torch.testing.assert_close(metrics.psnr(*given, data_range), expected, rtol=0, atol=1e-4)
    for protocol in ("gaussian-rgb", "gaussian-y"):
        expected = metrics.ssim(*floats, protocol).float()
        found = metrics.ssim(*given, protocol, data_range).float()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert metrics.psnr(*make(x, x), data_range).isposinf().all()
    if data_range == 1:  # 8 bit are rounded already
        rounded = metrics.psnr(*given, quantise=True)
        torch.testing.assert_close(rounded, metrics.psnr(*given), rtol=0, atol=1e-4)


GREY = torch.full((1, 3, 12, 12), 0.5)
NOISE = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
DARK = torch.cat([GREY[..., :8] * 0, GREY[..., 8:] * 255], -1)


@over_scores
@pytest.mark.parametrize(
    ("x_hat", "x", "named"),
    [
        (255 * GREY, 255 * GREY, r"sharp image's values, 127.5 to 127.5, .* \[0, 1\].* by 255"),
        (GREY, GREY - 0.51, "sharp image's values, -0.01 to -0.01"),
        (GREY, GREY * torch.nan, "sharp image's values, nan to nan"),
        (GREY - 1, GREY, "most of the restoration's values, -0.5 to -0.5"),
        (GREY + 0.6, GREY, "most of the restoration's values, 1.1 to 1.1"),
        (GREY + 100 * NOISE, GREY, "most of the restoration's values"),
        (DARK, GREY, "most of the restoration's values, 0 to 127.5"),
        (GREY.int(), GREY.int(), "floats, uint8 or uint16, not torch.int32"),
        (GREY.numpy(), GREY, "tensors, not ndarray"),
    ],
)
def test_values_of_another_unit_are_named(score, x_hat, x, named):
    with pytest.raises(InputError, match=named):
        score(x_hat, x)


def test_bytes_and_fractions_are_not_of_one_range_of_255():
    levels = (GREY * 255).to(torch.uint8)
    with pytest.raises(InputError, match=r"0\.5 to 0\.5, are not within"):
        metrics.psnr(levels, GREY, data_range=255)
    assert metrics.psnr(levels, GREY * 0, data_range=255).isfinite()


@pytest.mark.parametrize(
    "x_hat",
    [
        GREY + 0.5 * NOISE,
        GREY * 2 + 3e-7,  # white, as a convolution leaves it
        -0.01 * NOISE.abs(),  # black, of which ringing is left
        torch.cat([3 * GREY[..., :6], GREY[..., 6:]], -1),
    ],
)
def test_a_restoration_may_overshoot(x_hat):
    for x in (GREY * 0, GREY, GREY * 2 + 1e-6):
        expected = -10 * (x_hat - x).double().square().mean().log10()
        assert metrics.psnr(x_hat, x).item() == pytest.approx(expected.item(), abs=1e-4)
        assert metrics.ssim(x_hat, x).isfinite().all()


@over_scores
def test_a_restoration_that_is_not_a_number_has_no_score(score):
    x_hat = torch.cat([GREY, GREY])
    x_hat[0, 0, 0, 0] = torch.nan
    assert score(x_hat, torch.cat([GREY, GREY])).isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        *[({"data_range": v}, "data_range must be a number above 0") for v in (0, np.inf, np.nan)],
        ({"border": 6}, r"border of 6 .*\(12, 12\)"),
        ({"border": -1}, "border of -1"),
        ({"quantise": True, "data_range": 255}, "data_range must be 1"),
    ],
)
def test_a_wrong_psnr_option_is_named(options, named):
    with pytest.raises(InputError, match=named):
        metrics.psnr(GREY, GREY, **options)


@over_scores
@pytest.mark.parametrize(
    ("x_hat", "x"),
    [(GREY, GREY[:, :1]), (GREY, GREY[..., :7]), (GREY[0], GREY[0]), (GREY[:0], GREY[:0])],
)
def test_images_that_cannot_be_compared_are_named(score, x_hat, x):
    with pytest.raises(InputError) as error:
        score(x_hat, x)
    assert f"{tuple(x_hat.shape)} and {tuple(x.shape)}" in str(error.value)


over_measures = pytest.mark.parametrize("name", MEASURES)


def of(name, x_hat, x):
    return MEASURES[name].function(x_hat, x)


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["chelsea", "flower", "rocket"])
def photo(request):
    return images.centre_crop(data.open_images("sample", "test")[request.param], 96, 110)[None]


@pytest.fixture
def grey_pairs(rand, photo):
    """Noise of odd sides, and a blurred photograph; in double precision for numpy, too."""
    grey = images.grey(photo)
    pairs = (rand(1, 1, 17, 30), rand(1, 1, 17, 30, seed=1)), (blurred(grey, 2), grey)
    return [(a, b, a[0, 0].double().numpy(), b[0, 0].double().numpy()) for a, b in pairs]


def blurred(x, sigma):
    return images.quantise(degrade.convolve(x, psf.gaussian(sigma)))


@over_measures
def test_more_blur_is_worse_on_photographs(photo, name):
    scores = [of(name, photo, photo).item()]
    scores += [of(name, blurred(photo, sigma), photo).item() for sigma in (0.7, 1, 1.5, 2, 3)]
    steps = np.diff(scores) * MEASURES[name].better
    assert (steps < -MEASURES[name].margin / 10).all()
    assert abs(scores[-1] - scores[0]) > MEASURES[name].margin > 0


def test_gradient_similarity_is_that_of_scipys_prewitt(grey_pairs):
    def magnitude(z):
        height, width = (side // 2 for side in z.shape)
        half = z[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))
        across, down = (scipy.ndimage.prewitt(half, axis) / 3 for axis in (1, 0))
        return np.hypot(across, down)[1:-1, 1:-1]

    c = 170 / 255**2
    for x_hat, x, ours, theirs in grey_pairs:
        a, b = magnitude(ours), magnitude(theirs)
        expected = np.mean((2 * a * b + c) / (a**2 + b**2 + c))
        assert gradient_similarity(x_hat, x).item() == pytest.approx(expected, abs=1e-5)


def test_spectrum_distance_is_that_of_numpys_spectra(grey_pairs):
    def level(z):
        window = np.outer(*(np.hanning(n) for n in z.shape))
        power = np.abs(np.fft.rfft2((z - z.mean()) * window)) ** 2
        return 10 * np.log10(power + np.sum(window**2) / 12 / 255**2)

    for x_hat, x, ours, theirs in grey_pairs:
        expected = np.sqrt(np.mean((level(ours) - level(theirs)) ** 2))
        assert spectrum_distance(x_hat, x).item() == pytest.approx(expected, rel=1e-4)


def test_blur_effect_is_that_of_scikit_image_of_the_restored_image_alone(grey_pairs):
    for x_hat, x, ours, _ in grey_pairs:
        expected = skimage.measure.blur_effect(ours)
        assert blur_effect(x_hat, x).item() == pytest.approx(expected, abs=1e-6)


@over_measures
def test_a_batch_in_colour_is_scored_as_the_grey_of_its_images_one_by_one(rand, name):
    x_hat, x = rand(3, 3, 20, 24), rand(3, 3, 20, 24, seed=1)
    x_hat[2] = x_hat[2] / 2 + x[2] / 2
    pairs = zip(images.grey(x_hat).split(1), images.grey(x).split(1), strict=True)
    alone = [of(name, a, b).item() for a, b in pairs]
    assert of(name, x_hat, x).tolist() == pytest.approx(alone, rel=1e-5)
    assert len(set(alone)) == 3


@over_measures
def test_8_bit_images_are_scored_as_floats_are_and_0_to_255_in_floats_is_refused(rand, name):
    x_hat, x = ((255 * rand(1, 3, 20, 24, seed=s)).to(torch.uint8) for s in (0, 1))
    expected = of(name, x_hat.float() / 255, x.float() / 255)
    torch.testing.assert_close(of(name, x_hat, x), expected)
    with pytest.raises(InputError, match="the sharp image's values, 0 to 25"):
        of(name, x_hat, x.float())
    with pytest.raises(InputError, match="the restoration's values, 0 to 25"):
        of(name, x_hat.float(), x)


@over_measures
@pytest.mark.parametrize("place", [0, 20, 40])
def test_what_is_not_a_number_has_no_measure(rand, name, place):
    x = rand(1, 3, 64, 64)
    x_hat = x.clone()
    x_hat[0, :, place, place] = torch.nan
    assert of(name, x_hat.requires_grad_(), x).isnan().all()


@over_measures
def test_images_of_the_least_size_have_a_finite_measure(rand, name):
    assert of(name, rand(1, 1, 8, 8), rand(1, 1, 8, 8, seed=1)).isfinite().all()


@over_measures
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 1, 16, 16), (1, 1, 16, 17)),
        ((16,), (16,)),
        ((1, 2, 16, 16), (1, 2, 16, 16)),
        ((1, 4, 16, 16), (1, 4, 16, 16)),
        ((1, 1, 7, 16), (1, 1, 7, 16)),
        ((0, 1, 16, 16), (0, 1, 16, 16)),
    ],
)
def test_what_cannot_be_measured_is_an_input_error(name, one, other):
    with pytest.raises(InputError, match="this needs"):
        of(name, torch.ones(one), torch.ones(other))


# ---- grids

PERIODS = (2, 3, 4, 8)


def noise(height, width, seed=0):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def grid(height, width, period, down=0, right=0):
    """Waves along both axes, moved by (down, right) pixels; their deviation is 1."""
    places = (torch.arange(height) + down)[:, None], torch.arange(width) + right
    z = sum(torch.cos(2 * math.pi * place / period) for place in places).expand(1, 3, -1, -1)
    return z / z.std()


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["chelsea", "flower", "rocket"])
def lost(request):
    """What a blur takes from the middle of a photograph."""
    x = images.centre_crop(data.open_images("sample", "test")[request.param], 256, 256)[None]
    return x - blurred(x, 2)


@pytest.mark.parametrize("period", PERIODS)
def test_noise_and_what_a_blur_takes_from_photographs_hold_no_grid(lost, period):
    for z in (noise(256, 256), noise(200, 330, seed=1), lost):
        # the photograph of the cat itself has a weak one of 2 pixels
        assert 0.5 < grid_peaks(z, period).item() < 5


@pytest.mark.parametrize("period", PERIODS)
def test_a_grid_fainter_than_the_picture_is_found_at_its_period_wherever_it_begins(lost, period):
    for z in (lost, lost[..., :150, :]):
        planted = [
            z + 0.4 * z.std() * grid(*z.shape[-2:], period, *place)
            for place in ((0, 0), (1, 0), (period - 1, 1))
        ]
        found = [grid_peaks(one, period).item() for one in planted]
        assert min(found) > 10
        assert max(found) < 1.3 * min(found)
        for other in set(PERIODS) - {period}:  # longer ones do not count what shorter ones have
            assert max(grid_peaks(one, other).item() for one in planted) < 5


@pytest.mark.parametrize("period", PERIODS)
def test_a_grid_s_strength_is_its_deviation_in_the_unit_of_the_difference(period):
    for height, width in ((128, 128), (300, 201)):
        for unit, more in ((1, 0), (255, 0), (1, 0.1 * noise(height, width))):
            z = unit * grid(height, width, period, right=1) + more
            assert grid_strength(z, period).item() == pytest.approx(unit, rel=0.03)
    assert grid_strength(torch.zeros(1, 3, 64, 64), period).item() == 0
    assert grid_peaks(torch.zeros(1, 3, 64, 64), period).item() == 0


def test_the_images_of_a_batch_have_their_own_grids():
    batch = torch.cat([noise(128, 128), noise(128, 128, 1) + grid(128, 128, 4)])
    for measure in (grid_peaks, grid_strength):
        each = torch.cat([measure(one[None], 4) for one in batch])
        torch.testing.assert_close(measure(batch, 4), each)


def test_a_checkerboard_is_its_amplitude_in_levels_and_a_smooth_change_has_none(rand):
    x = 0.25 + rand(1, 3, 96, 70) / 2
    rows, columns = torch.arange(96)[:, None], torch.arange(70)[None]
    for places in (rows + columns, rows, columns):
        pattern = 4 / 255 * (1 - 2 * (places % 2)).expand(3, 96, 70)
        assert checkerboard(x + pattern, x).item() == pytest.approx(4, rel=1e-3)
        red = pattern * torch.tensor([1, 0, 0])[:, None, None]
        assert checkerboard(x - red, x).item() == pytest.approx(4 / 3**0.5, rel=1e-3)
    smooth = 0.1 * torch.cos(2 * math.pi * (rows / 96 + columns / 70))
    assert checkerboard(x + smooth, x).item() < 1e-3
    with pytest.raises(InputError, match="at least 64 x 64"):
        checkerboard(x[..., :63], x[..., :63])


def test_a_drift_is_of_each_channel_and_the_greatest_counts_whichever_way(rand):
    x = rand(2, 3, 5, 6)
    moved = torch.tensor([[3.0, -5.0, 1.0], [0.0, 2.0, -1.0]])
    x_hat = x + moved[..., None, None] / 255 + 0.1 * (x - x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(channel_drift(x_hat, x), moved, rtol=0, atol=1e-4)
    torch.testing.assert_close(colour_drift(x_hat, x), torch.tensor([5.0, 2.0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "period", "message"),
    [
        ((3, 64, 64), 4, r"a batch \(B, C, H, W\) of at least 64"),
        ((1, 3, 63, 64), 4, "at least 64 x 64"),
        ((1, 0, 64, 64), 4, "at least 64 x 64"),
        ((1, 3, 64, 64), 1, "2 to 8 pixels, not 1"),
        ((1, 3, 64, 64), 9, "2 to 8 pixels, not 9"),
        ((1, 3, 64, 64), 2.5, "2 to 8 pixels, not 2.5"),
    ],
)
def test_what_has_no_grid_to_look_for_is_named(shape, period, message):
    for measure in (grid_peaks, grid_strength):
        with pytest.raises(InputError, match=message):
            measure(torch.zeros(shape), period)
