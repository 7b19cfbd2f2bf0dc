"""What contradicts a photograph is flagged, what agrees is not; and the map that shows it."""

import numpy as np
import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from PIL import Image

from deblurlib import data, degrade, images, psf
from deblurlib.errors import InputError
from deblurlib.files import Photo
from deblurlib.restoration import trust_map, unsharp_mask
from deblurlib.restoration.trust_map import trust_path, write_trust
from deblurlib.restoration.trusting import nonnegative_least_squares, trust

SIDE = 222  # pixels of a photograph: two patches and half a kernel on each side
SPOT = (..., slice(90, 130), slice(80, 120))  # where something is made wrong
PLACES = {"chelsea": (60, 120), "coffee": (90, 160), "motorcycle_left": (200, 160)}


def photograph(name):
    shown = data.open_images("sample")
    (place,) = [i for i, path in enumerate(shown.names) if name in path]
    top, left = PLACES[name]
    return shown[place][None, :, top : top + SIDE, left : left + SIDE]


def camera(x, seed):
    """Through a hand-held camera, with noise, in 8 bits."""
    path = degrade.camera_shake(degrade.generator(0, seed), 9.0, 0.5)
    y = degrade.sweep(x, degrade.homographies(path, 1000.0)[None], "reflect")
    return images.quantise(degrade.add_noise(y, 0.004, 0, [seed]))


@pytest.fixture(scope="module", params=PLACES)
def pair(request):
    x = photograph(request.param)
    return camera(x, list(PLACES).index(request.param)), x


def flagged_in(found, where):
    """The share that is flagged there, and elsewhere, of what is answered."""
    answered = ~found.disagreement.isnan()
    parts = [(found.flagged & part).sum() / (answered & part).sum() for part in (where, ~where)]
    return [part.item() for part in parts]


# ---- what agrees


def test_the_truth_and_what_invents_nothing_do_not_contradict(pair):
    y, x = pair
    for x_hat in (x, y, images.quantise(unsharp_mask(y))):
        found = trust(y, x_hat)
        assert found.answered_share.item() > 0.4
        assert found.flagged_share.item() < 0.01


def test_a_flat_picture_has_no_answer_and_a_border_never_has():
    y = images.quantise(degrade.add_noise(torch.full((1, 1, 150, 160), 0.4), 0.01, 0, [0]))
    found = trust(y, y)
    assert found.answered_share.item() == found.flagged_share.item() == 0
    x = photograph("coffee")
    known = ~trust(x, x, side=15).disagreement.isnan()
    assert known[..., 7:-7, 7:-7].any()
    known[..., 7:-7, 7:-7] = False
    assert not known.any()


# ---- what contradicts


def pasted(x):
    """The wheel of the motorcycle, where it does not belong."""
    wrong = x.clone()
    wrong[SPOT] = photograph("motorcycle_left")[..., 130:170, 30:70]
    return wrong


def moved(x):
    """An object with a soft edge, some pixels down and to the right."""
    soft = torch.zeros_like(x[:, :1])
    soft[SPOT] = 1
    soft = degrade.convolve(soft, psf.gaussian(1.5))
    return images.quantise(x + soft * (x.roll((4, 6), (-2, -1)) - x))


@pytest.mark.parametrize("spoilt", [pasted, moved])
def test_what_is_pasted_or_moved_is_flagged_and_little_else(pair, spoilt):
    y, x = pair
    found = trust(y, spoilt(x))
    here = torch.zeros_like(found.flagged)
    here[SPOT] = True
    inside, outside = flagged_in(found, here)
    assert inside > 0.15  # all of what is pasted; of what has moved, its edges
    assert outside < 0.03


def ringing(x):
    """Oscillations beside every edge, of a period of 6 pixels, which the photographs still have."""
    away = (torch.arange(25) - 12).square()
    away = (away[:, None] + away).sqrt()
    k = torch.cos(2 * torch.pi * away / 6) * torch.exp(-away.square() / 32)
    k = k - k.mean()
    k = 1.5 * k / torch.fft.fft2(k).abs().max()
    return images.quantise(x + degrade.convolve(x, k))


def test_ringing_is_flagged(pair):
    y, _ = pair
    assert trust(y, ringing(y)).flagged_share.item() > 0.2


# ---- kernels


def test_a_known_kernel_is_found():
    x, k = photograph("motorcycle_left"), psf.shake(degrade.generator(0, 3), 14.0)
    y = images.quantise(degrade.convolve(x, k))
    found = trust(y, x).kernels[0].flatten(0, 1)
    assert (found >= 0).all()
    assert torch.allclose(found.sum((-2, -1)), torch.ones(()), atol=0.02)
    known = F.pad(k, [(found.shape[-1] - k.shape[-1]) // 2] * 4)
    for one in found:
        assert (one - known).norm() < 0.25 * known.norm()
        assert (one.flip(-2, -1) - known).norm() > 0.5 * known.norm()


@pytest.mark.parametrize("seed", range(5))
def test_least_squares_agree_with_scipy(seed):
    random = np.random.default_rng(seed)
    a = random.normal(size=(60, 40)) @ np.diag(10.0 ** -random.uniform(0, 3, 40))
    b = a @ np.maximum(random.normal(size=40), 0) + random.normal(size=60)
    wanted, _ = scipy.optimize.nnls(a, b)
    found = nonnegative_least_squares(torch.from_numpy(a.T @ a), torch.from_numpy(a.T @ b))
    assert (found >= 0).all()
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-8)


# ---- what is given


def test_an_image_has_one_answer_in_a_batch_and_as_any_type():
    x = photograph("chelsea")[..., :100, :110]
    y, x_hat = torch.cat([x, x.flip(-1)]), torch.cat([x.roll(3, -1), x])
    both = trust(y, x_hat)
    assert both.disagreement.shape == (2, 1, 100, 110)
    for kind in (torch.uint8, torch.uint16):
        levels = torch.iinfo(kind).max
        one = trust(*((z[1:] * levels).round().to(kind) for z in (y, x_hat)))
        torch.testing.assert_close(
            one.disagreement, both.disagreement[1:], rtol=1e-2, atol=1e-2, equal_nan=True
        )
    one = trust(*((z[1:] * 255).round().numpy().astype(np.uint8) for z in (y, x_hat)))
    assert one.answered_share.item() == pytest.approx(both.answered_share[1].item(), abs=1e-3)


def test_a_picture_smaller_than_a_patch_has_no_answer():
    for height, width in ((1, 1), (40, 200), (77, 77)):
        y = photograph("chelsea")[..., :height, :width]
        found = trust(y, y.flip(-1))
        assert found.disagreement.shape == (1, 1, height, width)
        assert found.disagreement.isnan().all()
        assert found.flagged_share.item() == found.answered_share.item() == 0


@pytest.mark.parametrize(
    ("y", "x_hat", "side", "why"),
    [
        (torch.rand(1, 3, 99, 99), torch.rand(1, 3, 99, 98), 31, "shapes must be equal"),
        (torch.rand(3, 99, 99), torch.rand(3, 99, 99), 31, "must be"),
        (torch.rand(1, 4, 99, 99), torch.rand(1, 4, 99, 99), 31, "1 or 3"),
        (torch.rand(1, 3, 99, 99), 255 * torch.rand(1, 3, 99, 99), 31, "not within"),
        (torch.full((1, 1, 9, 9), torch.nan), torch.rand(1, 1, 9, 9), 31, "NaN"),
        (torch.rand(1, 3, 99, 99), torch.rand(1, 3, 99, 99), 30, "must be odd"),
        (torch.rand(0, 3, 99, 99), torch.rand(0, 3, 99, 99), 31, "must be"),
    ],
)
def test_what_cannot_be_compared_is_one_error(y, x_hat, side, why):
    with pytest.raises(InputError, match=why) as error:
        trust(y, x_hat, side)
    assert "\n" not in str(error.value)


# ---- the map


def photos(*batches, exif=b""):
    return [Photo(images.to_array(z[0]), exif) for z in batches]


def test_the_map_shows_what_is_flagged_upright(tmp_path):
    x, height, width = photograph("motorcycle_left"), SIDE, SIDE - 40
    y, x_hat = camera(x, 2)[..., :width], pasted(x)[..., :width]
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn, with the clock
    written = write_trust(tmp_path / "a.b.jpg", *photos(y, x_hat, exif=exif.tobytes()))
    assert written.path == trust_path(tmp_path / "a.b.jpg") == tmp_path / "a.b_trust.png"
    assert list(tmp_path.iterdir()) == [written.path]
    drawn = np.asarray(Image.open(written.path)).astype(int)
    coloured = drawn[..., 0] - drawn[..., 2] > 80
    tinted = np.rot90(coloured[:width, :height])  # back, as it is stored
    picture = np.rot90(drawn[:width, :height, 1])
    away = picture - 255 * images.grey(x_hat)[0, 0].numpy()
    assert np.median(np.abs(away[20:-20, 20:-20])) < 1
    here = np.zeros_like(tinted)
    here[SPOT[1:]] = True
    assert tinted[here].mean() > 0.5 > 0.05 > tinted[~here].mean()
    known = written.answered * height * width
    assert tinted.sum() == pytest.approx(written.flagged * known, abs=1)
    assert coloured[width:].any()  # the legend says what the colour is


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (60, 50), (2500, 90)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_size_and_kind_has_a_map(tmp_path, size, channels):
    pixels = np.random.default_rng(0).integers(0, 2**16, (*size, channels), np.uint16)
    written = write_trust(tmp_path / "a.tif", Photo(pixels), Photo(pixels))
    height, width = np.asarray(Image.open(written.path)).shape[:2]
    assert width <= trust_map.SIDE
    assert height < trust_map.SIDE + 400
    assert written.flagged == 0


def test_a_map_that_cannot_be_written_leaves_nothing(tmp_path):
    small, large = (np.zeros((n, 20, 3), np.uint8) for n in (20, 30))
    with pytest.raises(InputError, match="20 x 20 and 20 x 30 pixels"):
        write_trust(tmp_path / "a.jpg", Photo(small), Photo(large))
    with pytest.raises(InputError, match="cannot be written"):
        write_trust(tmp_path / "nowhere" / "a.jpg", Photo(small), Photo(small))
    assert list(tmp_path.iterdir()) == []
