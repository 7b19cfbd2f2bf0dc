"""Scores of looks: beside other people's arithmetic, and on photographs that are blurred more."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
import torch

from deblurlib import data, degrade, images, psf
from deblurlib.errors import InputError
from deblurlib.perception import MEASURES, blur_effect, gradient_similarity, spectrum_distance


def test_what_is_not_a_number_has_no_score():
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for place in (0, 20, 40):
        x_hat = x.clone().requires_grad_()
        with torch.no_grad():
            x_hat[0, :, place, place] = torch.nan
        for measure in MEASURES.values():
            assert measure.function(x_hat, x).isnan().all()


over_measures = pytest.mark.parametrize("name", MEASURES)


def of(name, x_hat, x):
    return MEASURES[name].function(x_hat, x)


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["chelsea", "flower", "rocket"])
def photo(request):
    return images.centre_crop(data.open_images("sample", "test")[request.param], 96, 110)[None]


def blurred(x, sigma):
    return images.quantise(degrade.convolve(x, psf.gaussian(sigma)))


def plain(x):
    """The only image of a grey batch, for numpy."""
    return x[0, 0].double().numpy()


def test_the_measures_and_which_way_is_better():
    assert {name: measure.better for name, measure in MEASURES.items()} == {
        "gradient_similarity": 1,
        "blur_effect": -1,
        "spectrum_distance": -1,
    }
    assert all(measure.margin > 0 for measure in MEASURES.values())


@pytest.mark.parametrize(("name", "best"), [("gradient_similarity", 1), ("spectrum_distance", 0)])
def test_equal_images_have_the_best_value_and_others_a_worse_one(rand, name, best):
    x, other = rand(2, 3, 20, 24), rand(2, 3, 20, 24, seed=1)
    assert of(name, x, x).tolist() == pytest.approx([best] * 2, abs=1e-6)
    better = MEASURES[name].better
    assert (better * of(name, other, x) < better * best - 0.05).all()
    torch.testing.assert_close(of(name, other, x), of(name, x, other))


@over_measures
def test_more_blur_is_worse_on_photographs(photo, name):
    scores = [of(name, photo, photo).item()]
    scores += [of(name, blurred(photo, sigma), photo).item() for sigma in (0.7, 1, 1.5, 2, 3)]
    steps = np.diff(scores) * MEASURES[name].better
    assert (steps < -MEASURES[name].margin / 10).all()
    assert abs(scores[-1] - scores[0]) > MEASURES[name].margin


def test_gradient_similarity_is_that_of_scipys_prewitt(rand, photo):
    def magnitude(z):
        height, width = (side // 2 for side in z.shape)
        half = z[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))
        across, down = (scipy.ndimage.prewitt(half, axis) / 3 for axis in (1, 0))
        return np.hypot(across, down)[1:-1, 1:-1]

    grey = images.grey(photo)
    pairs = [(rand(1, 1, 17, 30), rand(1, 1, 17, 30, seed=1)), (blurred(grey, 2), grey)]
    c = 170 / 255**2
    for x_hat, x in pairs:
        a, b = magnitude(plain(x_hat)), magnitude(plain(x))
        expected = np.mean((2 * a * b + c) / (a**2 + b**2 + c))
        assert gradient_similarity(x_hat, x).item() == pytest.approx(expected, abs=1e-5)


def test_spectrum_distance_is_that_of_numpys_spectra(rand, photo):
    def level(z):
        window = np.outer(*(np.hanning(n) for n in z.shape))
        power = np.abs(np.fft.rfft2((z - z.mean()) * window)) ** 2
        return 10 * np.log10(power + np.sum(window**2) / 12 / 255**2)

    grey = images.grey(photo)
    pairs = [(rand(1, 1, 17, 30), rand(1, 1, 17, 30, seed=1)), (blurred(grey, 2), grey)]
    for x_hat, x in pairs:
        expected = np.sqrt(np.mean((level(plain(x_hat)) - level(plain(x))) ** 2))
        assert spectrum_distance(x_hat, x).item() == pytest.approx(expected, rel=1e-4)


def test_brightness_does_not_change_the_distance_of_spectra(photo):
    x_hat, x = 0.7 * blurred(photo, 1), 0.7 * photo
    brighter = spectrum_distance(x_hat + 0.25, x + 0.25)
    assert brighter.item() == pytest.approx(spectrum_distance(x_hat, x).item(), rel=1e-3)


def test_what_8_bit_rounding_adds_to_a_spectrum_hardly_counts(photo):
    smooth = degrade.convolve(photo, psf.gaussian(3))
    assert 0 < spectrum_distance(blurred(photo, 3), smooth).item() < 6  # without a floor: 30 dB


def test_blur_effect_is_that_of_scikit_image(rand, photo):
    for x in (rand(1, 1, 20, 31), images.grey(photo)):
        expected = skimage.measure.blur_effect(x[0, 0].numpy())
        assert blur_effect(x, x).item() == pytest.approx(expected, abs=1e-6)


def test_blur_effect_looks_at_the_restored_image_alone(photo):
    assert blur_effect(blurred(photo, 2), photo) == blur_effect(blurred(photo, 2), 1 - photo)


@over_measures
def test_colour_is_scored_as_its_grey(rand, name):
    x_hat, x = rand(2, 3, 20, 24), rand(2, 3, 20, 24, seed=1)
    expected = of(name, images.grey(x_hat), images.grey(x))
    torch.testing.assert_close(of(name, x_hat, x), expected)


@over_measures
def test_8_bit_images_are_scored_as_floats_are_and_0_to_255_in_floats_is_refused(rand, name):
    x_hat, x = ((255 * rand(1, 3, 20, 24, seed=s)).to(torch.uint8) for s in (0, 1))
    expected = of(name, x_hat.float() / 255, x.float() / 255)
    torch.testing.assert_close(of(name, x_hat, x), expected)
    torch.testing.assert_close(of(name, x_hat.float() / 255, x), expected)
    with pytest.raises(InputError, match="the sharp image's values, 0 to 25"):
        of(name, x_hat, x.float())
    with pytest.raises(InputError, match="the restoration's values, 0 to 25"):
        of(name, x_hat.float(), x)


@over_measures
def test_a_batch_is_scored_as_its_images_one_by_one(rand, name):
    x_hat, x = rand(3, 1, 20, 24), rand(3, 1, 20, 24, seed=1)
    x_hat[2] = x_hat[2] / 2 + x[2] / 2
    together = of(name, x_hat, x)
    assert together.shape == (3,)
    alone = [of(name, x_hat[i : i + 1], x[i : i + 1]).item() for i in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-5)
    assert len(set(alone)) == 3


@over_measures
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 1, 16, 16), (1, 1, 16, 17)),
        ((1, 3, 16, 16), (1, 1, 16, 16)),
        ((2, 1, 16, 16), (1, 1, 16, 16)),
        ((1, 16, 16), (1, 16, 16)),
        ((16,), (16,)),
        ((1, 2, 16, 16), (1, 2, 16, 16)),
        ((1, 4, 16, 16), (1, 4, 16, 16)),
        ((1, 1, 7, 16), (1, 1, 7, 16)),
        ((1, 3, 16, 7), (1, 3, 16, 7)),
        ((0, 1, 16, 16), (0, 1, 16, 16)),
    ],
)
def test_what_cannot_be_scored_is_an_input_error(name, one, other):
    with pytest.raises(InputError, match="this needs"):
        of(name, torch.ones(one), torch.ones(other))


@over_measures
def test_the_smallest_images_have_a_finite_score(rand, name):
    assert of(name, rand(1, 1, 8, 8), rand(1, 1, 8, 8, seed=1)).isfinite().all()
