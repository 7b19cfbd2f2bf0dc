"""PSNR and the five SSIM protocols, each against somebody else's implementation."""

import math

import numpy as np
import pytest
import pytorch_msssim
import torch
import torchmetrics.functional.image as torchmetrics
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurlib import images, metrics
from deblurlib.errors import InputError

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


REFERENCES = {
    "gaussian-rgb": gaussian_rgb,
    "uniform-rgb": uniform_rgb,
    "gaussian-y": gaussian_y,
    "gaussian-3d": gaussian_3d,
    "multiscale": multiscale,
}
LEAST_SIZES = {
    "gaussian-rgb": 11,
    "uniform-rgb": 7,
    "gaussian-y": 11,
    "gaussian-3d": 1,
    "multiscale": 161,
}

over_protocols = pytest.mark.parametrize("protocol", metrics.SSIM_PROTOCOLS)


@pytest.fixture(scope="module")
def pair(rand):
    """Three images that get worse, and their originals; the left is dark, where k1 counts."""
    coarse = torch.nn.functional.interpolate(rand(3, 3, 12, 13), (192, 208), mode="bicubic")
    x = (0.7 * coarse + 0.3 * rand(3, 3, 192, 208, seed=1)).clamp(0, 1) * torch.linspace(0, 1, 208)
    sigma = torch.tensor([0.02, 0.1, 0.5]).view(3, 1, 1, 1)
    return (0.9 * x + sigma * (rand(3, 3, 192, 208, seed=2) - 0.5)).clamp(0, 1), x


def as_arrays(batch):
    return batch.permute(0, 2, 3, 1).double().numpy()


@over_protocols
def test_ssim_agrees_with_an_independent_one(pair, protocol):
    expected = [REFERENCES[protocol](a, b) for a, b in zip(*map(as_arrays, pair), strict=True)]
    np.testing.assert_allclose(metrics.ssim(*pair, protocol), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("protocol", "theirs"),
    [
        ("gaussian-rgb", torchmetrics.structural_similarity_index_measure),
        ("multiscale", torchmetrics.multiscale_structural_similarity_index_measure),
    ],
)
def test_ssim_is_near_that_of_torchmetrics(pair, protocol, theirs):
    expected = theirs(*pair, data_range=1.0, reduction="none")  # it scores the border as well
    torch.testing.assert_close(metrics.ssim(*pair, protocol), expected, rtol=0, atol=5e-3)


def test_the_protocols_are_different_quantities(pair):
    scores = torch.stack([metrics.ssim(*pair, protocol) for protocol in REFERENCES])[:, 2]
    assert scores.sort().values.diff().min() > 1e-3


@over_protocols
def test_ssim_of_equal_images_is_1(pair, protocol):
    torch.testing.assert_close(metrics.ssim(pair[1], pair[1], protocol), torch.ones(3))


@over_protocols
def test_ssim_is_symmetric(pair, protocol):
    x_hat, x = pair
    torch.testing.assert_close(metrics.ssim(x_hat, x, protocol), metrics.ssim(x, x_hat, protocol))


@over_protocols
def test_ssim_of_a_batch_is_that_of_each_image(pair, protocol):
    x_hat, x = pair
    one_by_one = [metrics.ssim(x_hat[i : i + 1], x[i : i + 1], protocol) for i in range(3)]
    torch.testing.assert_close(metrics.ssim(x_hat, x, protocol), torch.cat(one_by_one))


@over_protocols
def test_ssim_does_not_depend_on_the_unit(pair, protocol):
    in_255 = metrics.ssim(255 * pair[0], 255 * pair[1], protocol, data_range=255)
    torch.testing.assert_close(in_255, metrics.ssim(*pair, protocol), rtol=0, atol=1e-5)


@over_protocols
def test_ssim_scores_the_least_size_and_refuses_a_smaller_one(rand, protocol):
    least = LEAST_SIZES[protocol]
    x = rand(1, 3, least, least + 3)
    assert metrics.ssim(x, x, protocol).item() == pytest.approx(1)
    if least > 1:
        with pytest.raises(InputError, match=f"{protocol} needs {least} pixels.*{least - 1}"):
            metrics.ssim(x[..., 1:, :], x[..., 1:, :], protocol)


@over_protocols
def test_ssim_of_grey_images_is_that_of_three_equal_channels(pair, protocol):
    grey = [images.grey(image) for image in pair]
    if protocol == "gaussian-y":
        with pytest.raises(InputError, match="gaussian-y needs RGB images, not 1"):
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
        metrics.ssim(*pair, "ssim")
    assert all(name in str(error.value) for name in ["'ssim'", *REFERENCES])


def test_psnr_agrees_with_scikit_image(pair):
    x_hat, x = map(as_arrays, pair)
    for data_range in (1, 255):
        expected = [
            peak_signal_noise_ratio(b, a, data_range=data_range)
            for a, b in zip(x_hat, x, strict=True)
        ]
        np.testing.assert_allclose(metrics.psnr(*pair, data_range), expected, atol=1e-4)


def test_psnr_is_infinite_for_equal_images_only(pair):
    x_hat, x = pair
    scores = metrics.psnr(torch.cat([x[:1], x_hat[1:]]), x)
    assert scores.isinf().tolist() == [True, False, False]
    assert scores[0] == math.inf


def test_psnr_with_a_border_is_that_of_the_inner_part(pair):
    inner = [image[..., 4:-4, 4:-4] for image in pair]
    assert torch.equal(metrics.psnr(*pair, border=4), metrics.psnr(*inner))


def test_psnr_quantised_is_that_of_the_saved_image(pair):
    x_hat, x = 1.2 * pair[0] - 0.1, pair[1]
    saved = torch.stack([images.to_tensor(images.to_array(image)) for image in x_hat])
    torch.testing.assert_close(metrics.psnr(x_hat, x, quantise=True), metrics.psnr(saved, x))
    assert not torch.equal(metrics.psnr(x_hat, x), metrics.psnr(saved, x))


@pytest.fixture(scope="module")
def in_8_bit(pair):
    return [(255 * z).round().to(torch.uint8) for z in pair]


#: the same pair of images in other units, and the range that these need
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
def test_the_scores_do_not_depend_on_the_type_of_the_values(in_8_bit, unit):
    make, data_range = UNITS[unit]
    arrays = [as_arrays(z.float() / 255) for z in in_8_bit]
    given = make(*in_8_bit)
    expected = [peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(*arrays, strict=True)]
    np.testing.assert_allclose(metrics.psnr(*given, data_range), expected, atol=1e-4)
    for protocol in ("gaussian-rgb", "gaussian-y"):
        expected = [REFERENCES[protocol](a, b) for a, b in zip(*arrays, strict=True)]
        found = metrics.ssim(*given, protocol, data_range)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    equal = make(in_8_bit[1], in_8_bit[1])
    assert metrics.psnr(*equal, data_range).isinf().all()
    if data_range == 1:  # 8 bit are rounded already
        rounded = metrics.psnr(*given, quantise=True)
        torch.testing.assert_close(rounded, metrics.psnr(*given), rtol=0, atol=1e-4)


GREY = torch.full((1, 3, 12, 12), 0.5)
NOISE = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("score", [metrics.psnr, metrics.ssim])
@pytest.mark.parametrize(
    ("x_hat", "x", "named"),
    [
        (255 * GREY, 255 * GREY, r"sharp image's values, 127.5 to 127.5, .* \[0, 1\].* by 255"),
        (GREY, GREY - 0.51, "sharp image's values, -0.01 to -0.01"),
        (GREY, GREY * torch.nan, "sharp image's values, nan to nan"),
        (255 * GREY, GREY, "most of the restoration's values, 127.5 to 127.5, .* data_range=255"),
        (GREY - 1, GREY, "most of the restoration's values, -0.5 to -0.5"),
        (GREY + 0.6, GREY, "most of the restoration's values, 1.1 to 1.1"),
        (GREY + 100 * NOISE, GREY, "most of the restoration's values"),
        (torch.cat([GREY[..., :8] * 0, GREY[..., 8:] * 255], -1), GREY, "0 to 127.5"),  # a dark one
        (GREY.int(), GREY.int(), "floats, uint8 or uint16, not torch.int32"),
        (GREY, GREY > 0, "floats, uint8 or uint16, not torch.bool"),
    ],
)
def test_values_of_another_unit_are_named(score, x_hat, x, named):
    with pytest.raises(InputError, match=named):
        score(x_hat, x)


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


def test_bytes_and_fractions_are_not_of_one_range_of_255():
    levels = (GREY * 255).to(torch.uint8)
    with pytest.raises(InputError, match=r"0\.5 to 0\.5, are not within"):
        metrics.psnr(levels, GREY, data_range=255)
    assert metrics.psnr(levels, GREY * 0, data_range=255).isfinite()


@pytest.mark.parametrize("data_range", [0, -1, float("inf"), float("nan")])
def test_a_range_that_is_none_is_named(data_range):
    for score in (metrics.psnr, metrics.ssim):
        with pytest.raises(InputError, match="data_range must be a number above 0"):
            score(GREY, GREY, data_range=data_range)


def test_scores_are_of_tensors():
    for score in (metrics.psnr, metrics.ssim):
        with pytest.raises(InputError, match="scores are of tensors, not ndarray"):
            score(GREY.numpy(), GREY)


def test_a_restoration_that_is_not_a_number_has_no_score():
    x_hat = torch.cat([GREY, GREY])
    x_hat[0, 0, 0, 0] = torch.nan
    for score in (metrics.psnr, metrics.ssim):
        assert score(x_hat, torch.cat([GREY, GREY])).isnan().tolist() == [True, False]


@over_protocols
def test_ssim_unchecked_is_ssim_that_looks_at_no_value(pair, protocol):
    unchecked = metrics.ssim_unchecked
    assert torch.equal(unchecked(*pair, protocol), metrics.ssim(*pair, protocol))
    with pytest.MonkeyPatch.context() as patch:
        for look in ("item", "tolist", "__bool__", "__float__"):
            patch.setattr(torch.Tensor, look, lambda z: pytest.fail("looked at a value"))
        unchecked(*pair, protocol)
    with pytest.raises(InputError, match="one shape"):
        unchecked(pair[0], pair[1][:1], protocol)
    with pytest.raises(InputError, match=r"needs floats, not .*torch\.uint8"):
        unchecked(pair[0], pair[1].to(torch.uint8), protocol)


X = torch.zeros(1, 3, 8, 8)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"border": 4}, r"border of 4 .*\(8, 8\)"),
        ({"border": -1}, "border of -1"),
        ({"quantise": True, "data_range": 255}, "data_range must be 1"),
    ],
)
def test_a_wrong_psnr_option_is_named(options, named):
    with pytest.raises(InputError, match=named):
        metrics.psnr(X, X, **options)


@pytest.mark.parametrize("score", [metrics.psnr, metrics.ssim])
@pytest.mark.parametrize(
    ("x_hat", "x"), [(X, X[:, :1]), (X, X[..., :7]), (X[0], X[0]), (X[:0], X[:0])]
)
def test_images_that_cannot_be_compared_are_named(score, x_hat, x):
    with pytest.raises(InputError) as error:
        score(x_hat, x)
    assert f"{tuple(x_hat.shape)} and {tuple(x.shape)}" in str(error.value)


@pytest.mark.parametrize("protocol", ["gaussian-rgb", "uniform-rgb", "gaussian-3d", "gaussian-y"])
def test_ssim_of_half_precision_is_computed_in_float32(rand, protocol):
    x = rand(2, 3, 24, 25)
    x_hat = (x + 0.1 * rand(2, 3, 24, 25, seed=1)).half()
    expected = metrics.ssim(x_hat.float(), x.half().float(), protocol)
    assert torch.equal(metrics.ssim(x_hat, x.half(), protocol), expected)
