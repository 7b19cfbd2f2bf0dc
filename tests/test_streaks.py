"""The kernel cut from a lamp's streak on night photos made here, and a kernel's extent."""

import warnings

import pytest
import torch
import torch.nn.functional as F

from deblurlib import degrade, images, psf
from deblurlib.errors import InputError, InputWarning

SIZE = 31


def to_srgb(light):
    """Values of sRGB, IEC 61966-2-1, written down once more."""
    low = light <= 0.0031308
    return torch.where(low, 12.92 * light, 1.055 * light.clamp(min=1e-9) ** (1 / 2.4) - 0.055)


def night(k, lamps, encoded=True, noise=0.002):
    """A dark street with lamps ``(row, column, light)``, blurred, noisy, as a file holds it."""
    generator = torch.Generator().manual_seed(0)
    light = 0.01 + 0.01 * torch.rand(1, 1, 15, 20, generator=generator)
    light = F.interpolate(light, (120, 160), mode="bilinear").repeat(1, 3, 1, 1)
    for row, column, much in lamps:
        light[..., row, column] += much * torch.tensor([1.0, 0.9, 0.7])
    y = degrade.convolve(light, k)[0].clamp(0, 1)
    y = to_srgb(y) if encoded else y
    return images.quantise(y + noise * torch.randn(y.shape, generator=generator))


def shaken(seed=0):
    return psf.shake(torch.Generator().manual_seed(seed), 16, SIZE)


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_of_a_shaken_night_photo_is_that_of_its_lamp(encoded, seed):
    k = shaken(seed)
    # another lamp's streak is in the window, and another far away
    y = night(k, [(60, 80, 0.8 / k.max()), (78, 80, 0.3 / k.max()), (20, 20, 5)], encoded)
    y[:, 40:65, 90:] *= 0.8
    found = psf.from_streak(y, 62, 78, SIZE, encoded)
    assert psf.check(found).shape == k.shape
    assert (found - k).abs().sum() < 0.1
    # values that are taken for light, or light for values, give another kernel
    assert (psf.from_streak(y, 62, 78, SIZE, not encoded) - k).abs().sum() > 0.15


def test_the_window_follows_a_streak_that_was_met_at_its_end():
    line = psf.motion(19, 0, 21)
    k = F.pad(line, (5, 5, 5, 5))
    y = night(line, [(60, 80, 0.8 / line.max())], noise=0)
    for column in (71, 80, 90):  # the last is next to the streak
        assert (psf.from_streak(y, 60, column, SIZE) - k).abs().sum() < 0.05


@pytest.mark.parametrize(
    ("place", "size", "message"),
    [
        ((-1, 80), SIZE, "the point 80,-1 is outside of the picture of 160 x 120 pixels"),
        ((60, 160), SIZE, "the point 160,60 is outside of the picture"),
        ((95, 30), SIZE, "the point 30,95: nothing there is brighter than what is around it"),
        ((5, 150), SIZE, "a window of 31 pixels around its streak leaves the picture"),
        ((60, 80), 7, "its streak leaves the window of 7 pixels; take a larger"),
        ((60, 80), 30, "size must be odd, not 30"),
    ],
)
def test_where_there_is_no_kernel_to_cut_one_sentence_says_why(place, size, message):
    k = shaken()
    y = night(k, [(60, 80, 0.8 / k.max()), (5, 150, 5)])
    with pytest.raises(InputError, match=message):
        psf.from_streak(y, *place, size)


def test_integers_and_a_streak_that_comes_to_no_middle_are_refused(monkeypatch):
    y = night(psf.motion(19, 0, 21), [(60, 80, 5)], noise=0)
    with pytest.raises(InputError, match=r"values are floats in \[0, 1\], not torch.uint8"):
        psf.from_streak((y * 255).byte(), 60, 80, SIZE)
    monkeypatch.setattr(psf.streaks, "MOVES", 1)
    with pytest.raises(InputError, match="the point 71,60: no window has its streak in the middle"):
        psf.from_streak(y, 60, 71, SIZE)


def test_only_the_window_of_a_photograph_is_made_light(monkeypatch):
    sizes, light = [], psf.streaks._light
    monkeypatch.setattr(psf.streaks, "_light", lambda z: sizes.append(z.shape) or light(z))
    k = shaken()
    psf.from_streak(night(k, [(60, 80, 0.8 / k.max())]), 60, 80, SIZE)
    assert sizes[0] == (3, 7, 7)
    assert set(sizes[1:]) == {(3, SIZE, SIZE)}


def test_a_streak_that_is_clipped_is_warned_of():
    k = shaken()
    with pytest.warns(InputWarning, match="the point 80,60: its streak is clipped"):
        psf.from_streak(night(k, [(60, 80, 3 / k.max())]), 60, 80, SIZE)
    with warnings.catch_warnings(action="error"):  # another one's clipping does not matter
        y = night(k, [(60, 80, 0.8 / k.max()), (20, 20, 3 / k.max())])
        assert psf.distance(psf.from_streak(y, 60, 80, SIZE), k) < 0.05


@pytest.mark.parametrize("angle", [-60, -1, 0, 30, 89])
def test_the_extent_of_a_line_is_its_length_and_direction(angle):
    along, across, found = psf.extent(psf.motion(25, angle))
    assert along == pytest.approx(25 / 12**0.5, rel=0.02)
    assert across < 0.5
    assert found == pytest.approx(angle, abs=0.5)
    along, across, _ = psf.extent(psf.gaussian(2.0))
    assert (along, across) == (pytest.approx(2, rel=0.02), pytest.approx(2, rel=0.02))
    assert psf.extent(psf.box(1))[:2] == (0, 0)


def test_the_extent_of_a_batch_is_refused():
    with pytest.raises(InputError, match=r"of one kernel \(h, w\), not of \(2, 3, 3\)"):
        psf.extent(psf.box(3).expand(2, -1, -1))
