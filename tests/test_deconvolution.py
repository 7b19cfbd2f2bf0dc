"""The classical methods by name: that each is what it says, and does some good."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli_engine import assert_refused
from test_evaluation import write_pairs

from deblurlib import classical, degrade, evaluation, files, images, metrics, psf, studies
from deblurlib.data import open_images, open_pairs
from deblurlib.degrade import Degradation
from deblurlib.errors import InputError
from deblurlib.restoration import METHODS, deconvolution, restore, tile_difference, tiles
from deblurlib.studies.classical import choose

NAMES = [m.name for m in deconvolution.DECONVOLUTIONS]
KNOWING = [m.name for m in deconvolution.DECONVOLUTIONS if not m.blind]
BLIND = [name for name in NAMES if name not in KNOWING]
#: what the methods leave open, as choose.py names it
CHOSEN = {
    "inverse": "inverse (0.1,)",
    "tikhonov": "tikhonov (0.003, 'gradient')",
    "wiener": "wiener (1.0,)",
    "richardson-lucy": "richardson-lucy (80, 'valid')",
    "accelerated-richardson-lucy": "accelerated-richardson-lucy (20,)",
    "richardson-lucy-tv": "richardson-lucy-tv (80, 0.0005)",
    "plug-and-play": "plug-and-play (1.0,)",
    "blind-richardson-lucy": "blind-richardson-lucy (5, 3)",
    "blind-richardson-lucy-gaussian": "blind-richardson-lucy-gaussian (3,)",
}
over_methods = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def blurred():
    """A crop of a photograph, slightly blurred and noisy, and its kernel."""
    x = images.centre_crop(open_images("sample", "test")[0], 136, 150)
    shaken = Degradation(psf.shake(torch.Generator().manual_seed(3), 9, 9), noise=0.003)
    pair = degrade.sample(x[None], lambda generator: shaken, 0, [0])
    return pair.y, pair.x, shaken.blur


def test_the_names_that_the_course_promises_are_there():
    assert {"wiener", "richardson-lucy", "blind-richardson-lucy"} <= set(NAMES) <= set(METHODS)
    assert set(BLIND) == {"blind-richardson-lucy", "blind-richardson-lucy-gaussian"}


@pytest.mark.parametrize("name", KNOWING)
def test_a_method_that_knows_the_kernel_gains_much(blurred, name):
    y, x, k = blurred
    gain = metrics.psnr(METHODS[name](y, k).clamp(0, 1), x) - metrics.psnr(y, x)
    assert gain > 2


@pytest.mark.parametrize("name", KNOWING)
def test_a_wrong_kernel_shows(blurred, name):
    y, x, k = blurred
    right, turned = (metrics.psnr(METHODS[name](y, z).clamp(0, 1), x) for z in (k, k.flip(0, 1)))
    assert right > turned + 1


@pytest.mark.parametrize("name", KNOWING)
def test_without_a_kernel_it_is_refused(rand, name):
    with pytest.raises(InputError, match=f"the method {name} needs the kernel"):
        METHODS[name](rand(1, 3, 8, 8))


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_method_makes_no_use_of_the_kernel(rand, name):
    y = rand(1, 3, 20, 24)
    assert torch.equal(METHODS[name](y), METHODS[name](y, psf.box(3)))


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_method_sharpens_a_little_blur(name):
    x = images.centre_crop(open_images("sample", "test")[0], 120, 120)[None]
    y = images.quantise(degrade.convolve(x, psf.gaussian(1.6)))
    assert metrics.psnr(METHODS[name](y).clamp(0, 1), x) > metrics.psnr(y, x)


@over_methods
def test_each_image_is_restored_on_its_own_with_its_own_kernel(rand, name):
    y = rand(2, 3, 17, 20)
    y[1] *= 0.3
    kernels = torch.stack([psf.gaussian(1.0, 5), psf.motion(5, 45, 5)])
    whole = METHODS[name](y, kernels)
    for i in range(2):
        assert torch.equal(METHODS[name](y[i : i + 1], kernels[i]), whole[i : i + 1])


@over_methods
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 7, 5), (3, 16, 33)])
def test_it_restores_any_size(rand, name, shape):
    y = rand(*shape)
    x_hat = restore(y, name, psf.gaussian(1.5) if name in KNOWING else None)
    assert x_hat.shape == y.shape
    assert torch.isfinite(x_hat).all()
    assert x_hat.min() >= 0
    assert x_hat.max() <= 1


@over_methods
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_plain_area_stays_plain(name, value):
    y = torch.full((1, 3, 24, 30), value)
    x_hat = METHODS[name](y, psf.shake(torch.Generator().manual_seed(0), 6, 7))
    assert (x_hat - y).abs().max() < 0.02


def test_the_noise_is_at_least_that_of_rounding(rand):
    flat = torch.full((2, 1, 32, 32), 0.5)
    flat[1] += 0.1 * torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0))
    low, high = deconvolution.noise_level(flat).tolist()
    steps = (torch.arange(100_000) / 100_000 * 255).round() - torch.arange(100_000) / 100_000 * 255
    assert low == pytest.approx(steps.std().item() / 255, rel=0.01)
    assert high == pytest.approx(0.1, rel=0.1)


def test_scored_on_pairs_each_gets_its_kernel_from_its_file(tmp_path, command):
    pairs = open_pairs(write_pairs(tmp_path / "known", kernels=range(4)), "test")
    given = ("--pairs", tmp_path / "known", "--json", tmp_path / "scores.json")
    code, _, err = command("evaluate", "--method", "wiener", *given)
    assert (code, err) == (0, "")
    scores = json.loads((tmp_path / "scores.json").read_text("utf-8"))["images"]
    for i, one in enumerate(scores):
        y, x = (z[None] for z in pairs[i])
        x_hat = METHODS["wiener"](y, psf.gaussian(0.5 + i))
        assert one["psnr"] == pytest.approx(metrics.psnr(images.quantise(x_hat), x).item())
    write_pairs(tmp_path / "unknown", kernels=(0,))
    refused = command("evaluate", "--method", "wiener", "--pairs", tmp_path / "unknown")
    assert_refused(*refused, "the method wiener needs the kernel, and none is known")


def test_a_camera_s_path_has_no_kernel_to_give(command):
    given = ("--images", "sample", "--degradation", "s4-camera")
    refused = command("evaluate", "--method", "richardson-lucy", *given)
    assert_refused(*refused, "the method richardson-lucy needs the kernel, and none is known")


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A blurred file, its kernel's file, and what is to come out of them."""
    monkeypatch.chdir(tmp_path)
    x = images.centre_crop(open_images("sample", "test")[0], 60, 80)
    k = psf.motion(7, 20)
    y = degrade.convolve(x[None], k)[0]
    files.write_image("photo.png", y)
    np.save("kernel.npy", k.numpy())
    return Image.open("photo.png"), k


def test_a_photograph_is_restored_with_the_kernel_of_a_file(photo, command):
    given = ("photo.png", "-o", "out.png", "--method", "wiener", "--kernel", "kernel.npy")
    code, _, err = command("restore", *given)
    assert (code, err) == (0, "")
    expected = restore(photo[0], "wiener", photo[1])
    assert np.array_equal(Image.open("out.png"), expected)
    assert not np.array_equal(expected, photo[0])


def test_frames_are_restored_with_the_kernel_of_a_file(photo, command):
    Path("clip").mkdir()
    photo[0].save("clip/0.png")
    given = ("clip", "-o", "out", "--frames", "0", "--method", "wiener", "--kernel", "kernel.npy")
    code, _, err = command("restore", *given)
    assert (code, err) == (0, "")
    made = Image.open("out/clip-000000.png")
    assert np.array_equal(made, restore(photo[0], "wiener", photo[1]))


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (None, "the method wiener needs the kernel: --kernel FILE"),
        ("missing.npy", "missing.npy: no such file"),
        ("photo.png", "photo.png: a picture of a kernel is grey"),
        ("negative.npy", "negative.npy: holds negative values"),
        ("two.npy", "two.npy: not one kernel (h, w), but an array (2, 3, 3)"),
        ("words.npy", "words.npy: must hold real numbers, not <U1"),
        ("zip.npy", "zip.npy: not a kernel that can be read; it may be a .npy"),
        (".", ".: cannot be read (Is a directory)"),
    ],
)
def test_what_is_no_kernel_is_refused_before_anything_is_written(photo, command, kernel, message):
    np.save("negative.npy", np.array([[2.0, -1.0, 0.0]]))
    np.save("two.npy", np.full((2, 3, 3), 1 / 9))
    np.save("words.npy", np.array([["a", "b"]]))
    Path("zip.npy").write_bytes(b"PK\x03\x04 no archive")
    given = () if kernel is None else ("--kernel", kernel)
    refused = command("restore", "photo.png", "-o", "out", "--method", "wiener", *given)
    assert_refused(*refused, message)
    assert not Path("out").exists()


def test_a_method_that_makes_no_use_of_a_kernel_says_so(photo, command):
    refused = command("restore", "photo.png", "-o", "out", "--kernel", "kernel.npy")
    assert_refused(*refused, "the method srn has no use for a kernel")
    assert not Path("out").exists()


def test_a_kernel_is_read_as_it_was_saved(photo):
    torch.testing.assert_close(files.read_kernel("kernel.npy"), photo[1])


def test_what_is_left_open_is_chosen_among_what_is_tried():
    tried = dict(choose.candidates())
    names = {name.split(" (")[0] for name in tried}
    assert set(NAMES) <= names
    pair = degrade.sample(
        images.centre_crop(open_images("sample", "train")[0], 60, 60)[None],
        choose.validation,
        0,
        [1],
    )
    k = pair.kernels[0]
    assert list(CHOSEN) == NAMES
    for name, candidate in CHOSEN.items():
        assert torch.equal(METHODS[name](pair.y, k), tried[candidate](pair.y, k)), name


def test_candidates_are_tried_on_pairs_with_kernels_and_noise(monkeypatch):
    monkeypatch.setattr(choose, "SIDE", 64)
    pairs = choose.pairs("sample")
    assert [tuple(p.y.shape) for p in pairs] == [(1, 3, 64, 64)] * len(choose.SEEDS)
    assert len({p.parameters[0]["noise"] for p in pairs}) == len(pairs)
    assert all(0.001 <= p.parameters[0]["noise"] <= 0.02 for p in pairs)
    (recipe,) = studies.recipes("06", "report")
    assert recipe.holdout == choose.SHARE  # what the denoiser has not learnt from
    identity = choose.score(lambda y, k: y, pairs[0])
    case = evaluation.Case("a", "a", pairs[0].y, pairs[0].x, None)
    (row,) = evaluation.evaluate([METHODS["identity"]], [case])
    assert identity == row["psnr"]
    assert choose.symmetric(psf.gaussian(2.0))
    assert not choose.symmetric(psf.motion(9, 30))


def test_stopping_by_the_noise_stops_earlier_with_more_noise_allowed(blurred):
    y, _, k = blurred
    wanted = [choose.stopped_richardson_lucy(y, k, factor) for factor in (1.0, 3.0)]
    left = [(degrade.convolve(z, k) - y).square().mean().item() for z in wanted]
    sigma = classical.estimate_noise(y).item()
    assert left[0] < left[1] <= 1.5 * (3 * sigma) ** 2


@over_methods
def test_what_comes_back_is_an_ordinary_tensor_of_its_own(rand, name):
    y = rand(1, 3, 12, 14)
    before, x_hat = y.clone(), METHODS[name](y, psf.gaussian(1.0))
    x_hat.clamp_(0.4, 0.6)
    assert torch.equal(y, before)


def test_tiles_of_a_large_kernel_overlap_by_more():
    method = METHODS["wiener"]
    assert tiles.layout(method, 512, psf.box(25)) == tiles.layout(method, 512) == (512, 128, 32)
    assert tiles.layout(method, 512, psf.box(101)) == (512, 202, 50)
    with pytest.raises(InputError, match="404 pixels or more, not 256"):
        tiles.layout(method, 256, psf.box(101))


#: in each tile anew, the noise is estimated, and of the inverse whole waves are dropped
UNLIKE = {"inverse", "wiener", "plug-and-play"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNLIKE])
def test_tiles_cannot_be_told_from_the_whole(name):
    photo = images.centre_crop(open_images("sample", "test")[2], 300, 400)
    k = None if name in BLIND else psf.shake(torch.Generator().manual_seed(0), 9, 9)
    # tiles far smaller than by default: where they meet must not show even then
    assert tile_difference(photo, METHODS[name], 256, k) >= 45


def test_tiles_of_the_default_size_were_measured_for_all():
    assert all(m.tiled_psnr >= 45 for m in deconvolution.DECONVOLUTIONS)
