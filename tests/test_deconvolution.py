"""The classical methods by name: that each is what it says, and does some good.

And the denoiser of plug-and-play: what it is told, and how it is trained.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deblurlib import (
    classical,
    degrade,
    evaluation,
    files,
    images,
    metrics,
    models,
    psf,
    runs,
    studies,
    training,
)
from deblurlib.data import batches, open_images
from deblurlib.errors import InputError
from deblurlib.models import WEIGHTS, Denoiser
from deblurlib.restoration import (
    METHODS,
    deconvolution,
    find_method,
    restore,
    shipped,
    tile_difference,
    tiles,
)
from deblurlib.runs import inputs
from deblurlib.studies.classical import choose
from deblurlib.studies.classical.ship import LEVELS, score, ship

BLIND = ["blind-richardson-lucy", "blind-richardson-lucy-gaussian"]
KNOWING = [name for name, method in METHODS.items() if not method.blind]
NAMES = [*KNOWING, *BLIND]
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
CARD = json.loads((WEIGHTS / "denoiser" / "card.json").read_text("utf-8"))

over_methods = pytest.mark.parametrize("name", NAMES)


def sample_crop(height, width, number=0, split="test"):
    return images.centre_crop(open_images("sample", split)[number], height, width)[None]


@pytest.fixture(scope="module")
def blurred():
    """A crop of a photograph, slightly blurred and noisy, and its kernel."""
    x, k = sample_crop(128, 142), psf.shake(torch.Generator().manual_seed(3), 9, 9)
    pair = degrade.sample(x, lambda generator: degrade.Degradation(k, noise=0.003), 0, [0])
    return pair.y, pair.x, k


def gain(name, y, x, k=None):
    """By how many dB restoring brings ``y`` nearer to ``x``."""
    return (metrics.psnr(METHODS[name](y, k).clamp(0, 1), x) - metrics.psnr(y, x)).item()


def test_the_methods_that_knew_no_kernel_are_the_blind_ones():
    assert [*KNOWING, *BLIND] == NAMES
    assert set(NAMES) <= set(METHODS)
    assert "denoiser" not in {*shipped(), *METHODS}  # it is no method of its own


def test_a_method_that_knows_the_kernel_gains_much_and_a_wrong_kernel_shows(blurred):
    y, x, k = blurred
    gains = {name: gain(name, y, x, k) for name in KNOWING}
    assert min(gains.values()) > 2, gains
    assert gains["plug-and-play"] > gains["wiener"]  # which it builds on
    for name in KNOWING:
        assert gain(name, y, x, k.flip(0, 1)) < gains[name] - 1


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_method_sharpens_a_little_blur_and_makes_no_use_of_a_kernel(name):
    x = sample_crop(80, 80)
    y = images.quantise(degrade.convolve(x, psf.gaussian(1.6)))
    assert gain(name, y, x) > 0
    assert torch.equal(METHODS[name](y), METHODS[name](y, psf.box(3)))


@over_methods
def test_each_image_is_restored_on_its_own_with_its_own_kernel(rand, name):
    y = rand(2, 3, 17, 20)
    y[1] *= 0.3
    before, k = y.clone(), torch.stack([psf.gaussian(1.0, 5), psf.motion(5, 45, 5)])
    whole = METHODS[name](y, k)
    for i in range(2):
        assert torch.equal(METHODS[name](y[i : i + 1], k[i]), whole[i : i + 1])
    whole.clamp_(0.4, 0.6)  # an ordinary tensor of its own
    assert torch.equal(y, before)


@over_methods
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 7, 5), (3, 16, 33)])
def test_it_restores_any_size(rand, name, shape):
    y = rand(*shape)
    x_hat = restore(y, name, psf.gaussian(1.5) if name in KNOWING else None)
    assert x_hat.shape == y.shape
    assert torch.isfinite(x_hat).all()
    assert 0 <= x_hat.min() <= x_hat.max() <= 1


@over_methods
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_plain_area_stays_plain(name, value):
    y = torch.full((1, 3, 24, 30), value)
    x_hat = METHODS[name](y, psf.shake(torch.Generator().manual_seed(0), 6, 7))
    assert (x_hat - y).abs().max() < 0.02


def test_the_noise_is_at_least_that_of_rounding():
    flat = torch.full((2, 1, 32, 32), 0.5)
    flat[1] += 0.1 * torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0))
    low, high = deconvolution.noise_level(flat).tolist()
    assert low == pytest.approx(1 / 255 / 12**0.5)  # of steps of 1 / 255
    assert high == pytest.approx(0.1, rel=0.1)


def assert_refused(result, message):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("deblur: ")
    assert len(err.strip().splitlines()) == 1
    assert message in err


def test_a_camera_s_path_has_no_kernel_to_give(command):
    given = ("--images", "sample", "--degradation", "s4-camera")
    refused = command("evaluate", "--method", "richardson-lucy", *given)
    assert_refused(refused, "the method richardson-lucy needs the kernel, and none is known")


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A blurred file, and its kernel, which is in a file beside it."""
    monkeypatch.chdir(tmp_path)
    k = psf.motion(7, 20)
    files.write_image("photo.png", degrade.convolve(sample_crop(60, 80), k)[0])
    np.save("kernel.npy", k.numpy())
    torch.testing.assert_close(files.read_kernel("kernel.npy"), k)
    return Image.open("photo.png"), k


@pytest.mark.parametrize(
    ("source", "made", "more"),
    [("photo.png", "out.png", ()), ("clip", "out/clip-000000.png", ("--frames", "0"))],
)
def test_a_photograph_or_frame_is_restored_with_the_kernel_of_a_file(
    photo, command, source, made, more
):
    Path("clip").mkdir()
    photo[0].save("clip/0.png")
    given = (source, "-o", Path(made).parts[0], "--method", "wiener", "--kernel", "kernel.npy")
    code, _, err = command("restore", *given, *more)
    assert (code, err) == (0, "")
    expected = restore(photo[0], "wiener", photo[1])
    assert np.array_equal(Image.open(made), expected)
    assert not np.array_equal(expected, photo[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--method", "wiener", "--kernel", "two.npy"), "is one picture, and there are 2 kernels"),
        (("--method", "wiener", "--kernel", "missing.npy"), "missing.npy: no such file"),
        (
            ("--method", "srn", "--kernel", "kernel.npy"),
            "the method srn has no use for a kernel; without --method, richardson-lucy-tv uses it",
        ),
    ],
)
def test_what_is_no_kernel_is_refused_before_anything_is_written(photo, command, given, message):
    np.save("two.npy", np.full((2, 3, 3), 1 / 9))
    assert_refused(command("restore", "photo.png", "-o", "out", *given), message)
    assert not Path("out").exists()


def test_what_is_left_open_is_chosen_among_what_is_tried():
    tried = dict(choose.candidates())
    assert set(NAMES) <= {name.split(" (")[0] for name in tried}
    assert list(CHOSEN) == NAMES
    x = sample_crop(60, 60, split="train")
    pair = degrade.sample(x, degrade.SETTINGS["known-blur"], 0, [1])
    k = pair.kernels[0]
    for name, candidate in CHOSEN.items():
        assert torch.equal(METHODS[name](pair.y, k), tried[candidate](pair.y, k)), name


def test_candidates_are_tried_on_pairs_with_kernels_and_noise(monkeypatch):
    monkeypatch.setattr(choose, "SIDE", 64)
    pairs = choose.pairs("sample")
    assert [tuple(p.y.shape) for p in pairs] == [(1, 3, 64, 64)] * len(choose.SEEDS)
    noises = {p.parameters[0]["noise"] for p in pairs}
    assert len(noises) == len(pairs)
    assert 0.001 <= min(noises) <= max(noises) <= 0.02
    for recipe in studies.recipes("06", "report"):
        if not recipe.name.startswith("06/real-"):  # Phase II's, which learn from recorded pairs
            assert recipe.holdout == choose.SHARE  # what the networks have not learnt from
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
    assert left[0] < left[1] <= 1.5 * (3 * deconvolution.noise_level(y).item()) ** 2


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
    photo = sample_crop(200, 300, 2)[0]
    k = None if name in BLIND else psf.shake(torch.Generator().manual_seed(0), 9, 9)
    # tiles far smaller than by default: where they meet must not show even then
    assert tile_difference(photo, METHODS[name], 256, k) >= 45
    assert METHODS[name].tiled_psnr >= 45  # measured with tiles of the default size


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Denoiser(width=6, depth=4).double().eval()


@pytest.fixture(scope="module")
def trained():
    return models.load("denoiser", WEIGHTS / "denoiser")


@torch.no_grad()
def test_brightness_and_noise_may_be_scaled_together(small, rand):
    y = rand(2, 3, 8, 10).double()
    once = small(y, torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(small(3 * y, torch.tensor([0.3, 0.6])), 3 * once)


@torch.no_grad()
def test_each_image_has_its_own_noise_and_each_channel_is_an_image(small, rand):
    y, sigma = rand(2, 3, 8, 10).double(), torch.tensor([0.05, 0.4])
    whole = small(y, sigma)
    for i in range(2):
        for c in range(3):
            one = small(y[i : i + 1, c : c + 1], sigma[i].item())
            torch.testing.assert_close(one[0, 0], whole[i, c])
    assert not torch.allclose(whole[1], small(y, 0.05)[1])


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 10), (7, 11), (1, 1)])
def test_the_denoiser_restores_any_size_by_the_noise_that_it_estimates(small, rand, size):
    y = rand(2, 3, *size).double()
    x_hat = small.restore(y)
    assert x_hat.shape == y.shape
    if size == (8, 10):
        torch.testing.assert_close(x_hat, small(y, classical.estimate_noise(y)))


def test_a_pixel_depends_on_the_receptive_field_at_most(small):
    side = small.receptive_field
    n = side // 2 * 2 + 4
    for place in (n // 2, n // 2 + 1):
        y = torch.rand(1, 1, n, n, dtype=torch.float64, requires_grad=True)
        small(y, 0.1)[0, 0, place, place].backward()
        far = (y.grad[0, 0].nonzero() - place).abs().max().item()
        assert far <= side // 2


@pytest.mark.parametrize("level", LEVELS)
def test_the_denoiser_that_ships_takes_noise_off_photographs_it_has_not_seen(trained, level):
    scores = score(trained, open_images("sample", "test").first(1), level)
    assert scores["n"] == 1
    assert scores["psnr"] > scores["identity_psnr"] + 4
    assert scores["identity_psnr"] == pytest.approx(20 * math.log10(255 / level), abs=0.3)


def test_the_card_for_readers_holds_the_scores_of_the_card_for_the_code(trained):
    assert models.parameter_count(trained) == CARD["training"]["parameters"]
    text = (WEIGHTS / "denoiser" / "README.md").read_text("utf-8")
    for one in CARD["scores"]:
        assert f"| {one['sigma']} | {one['identity_psnr']:.2f} | {one['psnr']:.2f} |" in text
    assert f"{CARD['training']['parameters']:,} parameters" in text
    assert f"{CARD['recipe']['steps']:,} steps" in text


def test_a_training_tells_the_denoiser_the_noise_of_each_image(monkeypatch):
    told = []
    monkeypatch.setattr(Denoiser, "forward", lambda denoiser, *told_of: told.append(told_of))
    recipe = replace(studies.find_recipe("06/denoiser", "smoke"), batch=4, crop=64)
    held = batches.hold(open_images("sample", "train"), grey=1)
    pair = inputs.make_batches(recipe, held, margin=0)(0)
    training.predict(Denoiser(width=2, depth=2), pair)
    ((y, sigma),) = told
    assert torch.equal(y, pair.y)
    assert len(set(sigma.tolist())) == 4
    torch.testing.assert_close(sigma, (pair.y - pair.x).flatten(1).std(1), rtol=0.05, atol=0)


def test_a_run_ships_and_the_method_uses_it(tmp_path, monkeypatch, rand):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    run = runs.train_or_load(studies.find_recipe("06/denoiser", "smoke"))
    y = rand(1, 3, 9, 8)  # the run is a method of its own, that estimates the noise
    torch.testing.assert_close(find_method(run.id)(y), run.model().restore(y))
    folder = tmp_path / "weights" / "denoiser"
    card = ship(run, open_images("sample", "test").first(1), folder)
    assert json.loads((folder / "card.json").read_text("utf-8")) == json.loads(json.dumps(card))
    assert card["run"] == run.id
    assert [one["sigma"] for one in card["scores"]] == list(LEVELS)
    y, k = rand(1, 3, 20, 24), psf.gaussian(1.0)
    before = METHODS["plug-and-play"](y, k)
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    assert not torch.equal(METHODS["plug-and-play"](y, k), before)
    (folder / "model.safetensors").write_bytes(b"half")
    models.shipping._load.cache_clear()
    with pytest.raises(InputError, match="denoiser: damaged; install the library again"):
        METHODS["plug-and-play"](y, k)
