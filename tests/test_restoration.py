"""Methods by name, how a model meets any size, and what ``restore`` takes and gives."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

import deblurlib
from deblurlib import classical, models, psf, runs, studies
from deblurlib.errors import InputError, InputWarning
from deblurlib.models import SRCNN, UNet, build, save
from deblurlib.restoration import (
    METHODS,
    Method,
    apply_model,
    find_method,
    of_model,
    restore,
    restoring,
    shipped,
    unsharp_mask,
)

IDENTITY, SHARPEN = METHODS["identity"], METHODS["unsharp-mask"]
INVERT = Method("invert", lambda y, kernel: 1 - y, "the negative", receptive_field=11)
SIZES = [(1, 1), (5, 1), (1, 50), (61, 50)]


class Spy(nn.Module):
    """Gives back what it gets, less its margin, and remembers it."""

    def __init__(self, multiple=1, channels=3, margin=0):
        super().__init__()
        self.multiple, self.channels, self.margin, self.seen = multiple, channels, margin, []
        self.receptive_field = 2 * margin + 1

    def forward(self, y):
        self.seen.append(y)
        height, width = y.shape[-2:]
        return y[..., self.margin : height - self.margin, self.margin : width - self.margin]


def small_unet(**options):
    torch.manual_seed(0)
    return UNet(width=4, **options).eval()


def random_image(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("size", [(1, 6), (9, 4), (23, 31)])
@pytest.mark.parametrize(("sigma", "amount"), [(2.0, 1.0), (3.0, 2.5)])
def test_the_unsharp_mask_agrees_with_scipy_up_to_the_edge(rand, size, sigma, amount):
    y = rand(2, 3, *size)
    # scipy calls "mirror" what OpenCV calls BORDER_REFLECT_101
    blurred = ndimage.gaussian_filter(
        y.double().numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=3.0
    )
    expected = y.double().numpy() * (1 + amount) - amount * blurred
    np.testing.assert_allclose(unsharp_mask(y, sigma, amount).numpy(), expected, atol=1e-5)
    assert torch.equal(SHARPEN(y), unsharp_mask(y, 2.0, 1.0))


def test_the_identity_returns_what_it_gets_and_needs_no_kernel(rand):
    y = 3 * rand(2, 3, 5, 7) - 1
    assert torch.equal(IDENTITY(y), y)
    assert torch.equal(IDENTITY(y, psf.box(3)), y)


def test_a_method_that_needs_the_kernel_says_so_by_name(rand):
    y, kernel = rand(1, 3, 4, 4), psf.box(3)
    method = Method("wiener", lambda y, kernel: (y, kernel), "divides", blind=False)
    with pytest.raises(InputError, match="the method wiener needs the kernel"):
        method(y)
    for given, found in zip((y, kernel), method(y, kernel), strict=True):
        assert torch.equal(given, found)


@pytest.mark.parametrize(
    ("multiple", "margin", "size", "mode"),
    [
        (1, 0, (7, 3), "reflect"),
        (8, 0, (16, 40), "reflect"),
        (8, 0, (17, 23), "reflect"),
        (8, 0, (5, 8), "reflect"),
        (8, 0, (8, 5), "reflect"),
        (8, 0, (4, 8), "edge"),
        (8, 0, (8, 4), "edge"),
        (8, 0, (1, 1), "edge"),
        (1, 4, (6, 30), "reflect"),
        (1, 4, (5, 5), "reflect"),
        (1, 4, (4, 30), "edge"),
        (1, 4, (30, 4), "edge"),
        (4, 2, (16, 10), "reflect"),
        (4, 2, (5, 5), "edge"),
    ],
)
def test_a_model_sees_its_margin_and_its_multiple_and_the_image_comes_back(
    rand, multiple, margin, size, mode
):
    y, model = rand(2, 3, *size), Spy(multiple, margin=margin)
    assert torch.equal(apply_model(model, y), y)
    pads = [(margin, margin - side % -multiple) for side in size]
    padded = np.pad(y.numpy(), [(0, 0), (0, 0), *pads], mode=mode)
    assert torch.equal(model.seen[0], torch.from_numpy(padded))


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (10, 23), (24, 25), (40, 5)])
def test_a_model_that_takes_no_small_images_is_given_larger_ones(rand, size):
    model = models.build("autoencoder", {"width": 4}, 0).eval()
    y = rand(1, 3, *size)
    x_hat = apply_model(model, y)
    assert x_hat.shape == y.shape
    pads = [(0, max(24 - side, -side % 4)) for side in size]
    mode = (
        "reflect" if all(pad < side for (_, pad), side in zip(pads, size, strict=True)) else "edge"
    )
    padded = torch.from_numpy(np.pad(y.numpy(), [(0, 0), (0, 0), *pads], mode=mode))
    assert torch.equal(x_hat, model(padded)[..., : size[0], : size[1]])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (14, 20), (31, 26)])
def test_a_network_without_padding_keeps_the_size_and_is_itself_inside(rand, size, channels):
    arguments = {"channels": channels, "padding": False, "residual": True}
    model, y = build("srcnn", arguments, seed=0), rand(2, 3, *size)
    result = apply_model(model, y)
    assert result.shape == y.shape
    assert result.isfinite().all()
    if min(size) > 2 * model.margin:
        with torch.no_grad():
            parts = model(y) if channels == 3 else torch.cat([model(c) for c in y.split(1, 1)], 1)
        inside = result[..., model.margin : -model.margin, model.margin : -model.margin]
        torch.testing.assert_close(inside, parts, rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", [SRCNN(channels=1), small_unet(channels=1), Spy(channels=1)])
def test_a_grey_model_restores_each_channel_of_each_image_alone(rand, model):
    y = rand(2, 3, 5, 9)
    alone = [[apply_model(model, y[i : i + 1, c : c + 1]) for c in range(3)] for i in range(2)]
    expected = torch.cat([torch.cat(channels, 1) for channels in alone])
    torch.testing.assert_close(apply_model(model, y), expected, rtol=0, atol=1e-6)


def test_a_model_for_colour_sees_grey_in_three_channels_whose_mean_is_the_answer(rand):
    y, model, spy = rand(2, 1, 5, 9), small_unet(), Spy()
    expected = apply_model(model, torch.cat([y, y, y], 1))
    assert not torch.equal(expected[:, 0], expected[:, 1])
    mean = expected.mean(1, keepdim=True)
    torch.testing.assert_close(apply_model(model, y), mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(apply_model(spy, y), y, rtol=0, atol=1e-6)
    assert torch.equal(spy.seen[0], y.repeat(1, 3, 1, 1))


@pytest.mark.parametrize(("takes", "given"), [(3, 2), (2, 3), (2, 1)])
def test_a_wrong_number_of_channels_is_an_input_error(takes, given):
    with pytest.raises(InputError, match=f"the model takes {takes} channels, not {given}"):
        apply_model(Spy(channels=takes), torch.zeros(1, given, 8, 8))


def test_a_restoration_carries_no_gradient(rand):
    model, y = small_unet(), rand(1, 3, 9, 9).requires_grad_()
    assert not apply_model(model, y).requires_grad
    layer = Method(
        "layer", lambda y, kernel: nn.Conv2d(3, 3, 1)(y), "with gradients", receptive_field=3
    )
    assert not restore(rand(3, 9, 9), layer).requires_grad
    assert restore(np.zeros((9, 9, 3), np.uint8), layer, device="cpu").shape == (9, 9, 3)


def test_a_network_tells_its_receptive_field_and_its_tiles_are_on_its_grid():
    for model, side, multiple in ((SRCNN(), 13, 1), (small_unet(), 139, 8), (Spy(4, 3, 7), 15, 4)):
        method = of_model("net", model, "a network", contaminated=("clips",), tiled_psnr=50.0)
        assert (method.receptive_field, method.multiple) == (side, multiple)
        assert (method.name, method.describes, method.blind) == ("net", "a network", True)
        assert (method.contaminated, method.tiled_psnr) == (("clips",), 50.0)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        *((name, True) for name in ("sun-hays-80", "Sun-Hays 80", "sunhays80", "SUN_HAYS_80")),
        *((name, True) for name in ("urban100", "Urban100", "Urban_100", "gopro-gamma")),
        *((name, False) for name in ("", "80", "sun-hays", "urban", "gopro", "urban1000")),
    ],
)
def test_a_set_that_was_trained_on_is_known_however_its_name_is_written(name, seen):
    trained_on = ("sun-hays-80", "Urban100", "gopro_gamma")
    method = Method("net", lambda y, kernel: y, "a network", contaminated=trained_on)
    assert method.has_seen(name) is seen


@pytest.fixture
def ships(tmp_path, monkeypatch):
    """The folder of the network ``small``, as if it came with the library."""
    folder = tmp_path / "weights" / "small"
    folder.mkdir(parents=True)
    save(small_unet(), folder)
    card = {"model": "unet", "describes": "a network", "contaminated": ["clips"]}
    (folder / "card.json").write_text(json.dumps(card | {"tiled_psnr": 50.5}))
    (tmp_path / "weights" / "unfinished").mkdir()
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    return folder


def test_methods_that_ship_are_found_by_name_without_any_store(ships, rand):
    assert find_method("unsharp-mask", store=ships / "nowhere") is SHARPEN
    assert shipped() == ["small"]
    y, method = rand(1, 3, 17, 30), find_method("small", store=ships / "nowhere")
    assert (method.name, method.describes, method.run) == ("small", "a network", None)
    assert (method.contaminated, method.tiled_psnr) == (("clips",), 50.5)
    assert method.receptive_field == 139
    torch.testing.assert_close(method(y), apply_model(small_unet(), y), rtol=0, atol=1e-6)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["card.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_of_a_damaged_network_that_ships_the_folder_is_named(ships, name, damage):
    path = ships / name
    cut(path) if damage == "cut" else path.write_bytes(b"")
    if damage == "gone" and name != "card.json":  # without it, nothing ships
        path.unlink()
    with pytest.raises(InputError) as error:
        find_method("small")
    assert str(error.value).startswith(f"{ships}: damaged; install the library again")


@pytest.mark.parametrize("key", ["model", "describes", "contaminated", "tiled_psnr"])
def test_a_card_that_does_not_say_all_is_damaged(ships, key):
    card = json.loads((ships / "card.json").read_text())
    (ships / "card.json").write_text(json.dumps({k: v for k, v in card.items() if k != key}))
    with pytest.raises(InputError, match=f"damaged.*{key}"):
        find_method("small")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store: 02/motion of two seeds, 02/box, and 02/gaussian, which was stopped."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("02/box", 0), ("02/motion", 0), ("02/motion", 1)):
        runs.train_or_load(studies.find_recipe(name, "smoke", seed=seed), folder=folder)
    stopped = studies.find_recipe("02/gaussian", "smoke")
    runs.train_or_load(stopped, max_minutes=0, folder=folder)
    return folder


def runs_of(store, name):
    return [run for run in runs.listed(store) if run.recipe.name == name]


def test_a_run_is_found_by_its_id_its_beginning_and_its_recipe(store, monkeypatch, rand):
    (run,) = runs_of(store, "02/box")
    y = rand(2, 3, 9, 11)
    expected = apply_model(run.model(), y)
    assert not torch.equal(expected, y)
    for name in (run.id, run.id[:6], "02/box"):
        method = find_method(name, store=store)
        assert (method.run.id, method.name, method.blind) == (run.id, "02/box", True)
        assert run.id in method.describes
        assert torch.equal(method(y, psf.box(3)), expected)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(store))
    assert find_method("02/box").run.folder.parent == store


def test_a_recipe_of_two_runs_is_ambiguous_and_both_are_listed(store, rand):
    two = runs_of(store, "02/motion")
    with pytest.raises(InputError, match="can be any of these runs") as error:
        find_method("02/motion", store=store)
    assert all(f"{run.id} ({run.title})" in str(error.value) for run in two)
    y = rand(1, 3, 16, 16)
    first, second = (find_method(run.id, store=store)(y) for run in two)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("device", ["cpu", torch.device("meta")])
def test_the_model_of_a_run_is_put_where_it_is_wanted(store, monkeypatch, device):
    model = Spy()
    model.register_buffer("weight", torch.zeros(1))
    monkeypatch.setattr(runs.Run, "model", lambda run: model)
    find_method("02/box", device=device, store=store)
    assert model.weight.device == torch.device(device)


def test_an_unknown_method_is_told_what_there_is(store, ships):
    with pytest.raises(InputError) as error:
        find_method("sharpen", store=store)
    for part in ("no method 'sharpen'", *METHODS, "small", "no run 'sharpen'", "deblur runs list"):
        assert part in str(error.value)


def test_a_run_that_was_stopped_is_no_method_yet(store):
    with pytest.raises(InputError, match="is not complete: train it to its end first"):
        find_method("02/gaussian", store=store)


def put_other_weights(folder):
    SRCNN(layers="9-1-1-1-5").save_pretrained(folder / "other")
    shutil.copy(folder / "other" / "model.safetensors", folder)


def add_field(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"depth": 3}))


#: what happens to a run's folder
DAMAGES = {
    "weights cut": lambda folder: cut(folder / "model.safetensors"),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
    "weights of another": put_other_weights,
    "config cut": lambda folder: cut(folder / "config.json"),
    "config gone": lambda folder: (folder / "config.json").unlink(),
    "config of another": lambda folder: add_field(folder / "config.json"),
    "recipe cut": lambda folder: cut(folder / "recipe.json"),
    "recipe of a newer library": lambda folder: add_field(folder / "recipe.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_run_the_cure_is_named_and_it_hides_no_other(store, tmp_path, damage):
    wanted, box = runs_of(store, "02/motion")[-1], runs_of(store, "02/box")[0]
    for run in (wanted, box):
        shutil.copytree(run.folder, tmp_path / run.id)
    DAMAGES[damage](tmp_path / box.id)
    with pytest.raises(InputError) as error:
        find_method(box.id, store=tmp_path)
    assert str(tmp_path / box.id) in str(error.value)
    assert f"deblur runs rm {box.id}" in str(error.value)
    assert find_method(wanted.id, store=tmp_path).run.id == wanted.id


def test_a_run_is_found_by_name_beside_a_damaged_one(store, tmp_path):
    whole, damaged = runs_of(store, "02/motion")
    for run in (whole, damaged):
        shutil.copytree(run.folder, tmp_path / run.id)
    cut(tmp_path / damaged.id / "env.json")
    assert find_method("02/motion", store=tmp_path).run.id == whole.id


@pytest.mark.parametrize("shape", [(3,), (1,), (1, 3), (2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_comes_back_of_its_shape_and_type(rand, shape, dtype):
    for size in SIZES:
        y = rand(*shape, *size).to(dtype)
        before = y.clone()
        x_hat = restore(y, SHARPEN, tile=24)
        assert (x_hat.dtype, x_hat.device) == (dtype, y.device)
        whole = SHARPEN(y.float().reshape(-1, shape[-1], *size)).clamp(0, 1)
        atol = 1e-3 if dtype == torch.float16 else 1e-5
        torch.testing.assert_close(x_hat, whole.reshape(y.shape).to(dtype), rtol=0, atol=atol)
        assert torch.equal(y, before)


@pytest.mark.parametrize("kind", [(), (1,), (2,), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back_of_its_kind_and_its_alpha_bit_for_bit(kind, dtype):
    for size in SIZES:
        image = random_image(*size, *kind, dtype=dtype)
        before = image.copy()
        x_hat = restore(image, INVERT, tile=20)
        assert (x_hat.dtype, x_hat.shape) == (dtype, image.shape)
        expected = np.iinfo(dtype).max - image
        if kind in [(2,), (4,)]:
            expected[..., -1] = image[..., -1]
        assert np.array_equal(x_hat, expected)
        assert np.array_equal(image, before)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pillow_image_comes_back_of_its_mode(mode):
    for size in SIZES:
        array = random_image(*size, len(mode))
        image = Image.fromarray(array[..., 0] if mode == "L" else array)
        x_hat = restore(image, SHARPEN, tile=24)
        assert (type(x_hat), x_hat.mode, x_hat.size) == (Image.Image, mode, image.size)
        assert np.array_equal(np.asarray(x_hat), restore(np.asarray(image), SHARPEN))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_are_rounded_half_up_and_clamped_and_every_level_survives(dtype):
    top = np.iinfo(dtype).max
    made = torch.tensor([-1, 0, 0.49, 0.5, 1.49, 1.5, 2.5, top - 0.51, top - 0.5, top, 2 * top])
    levels = (made.double() / top).float()
    some = Method("some", lambda y, kernel: levels.expand_as(y), "for a test", receptive_field=1)
    x_hat = restore(np.zeros((1, 11), dtype), some)
    assert x_hat[0].tolist() == [0, 0, 0, 1, 1, 2, 3, top - 1, top, top, top]
    clamped = restore(torch.zeros(1, 1, 11), some).flatten()
    assert torch.equal(clamped, levels.clamp(0, 1))
    image = np.arange(top + 1).astype(dtype).reshape(-1, 16, 1)
    assert np.array_equal(restore(image, IDENTITY, tile=256), image)


def test_an_array_may_be_a_view_that_lies_scattered(rand):
    wide = random_image(40, 60, 3)
    for view in (wide[::2, ::-1], wide.swapaxes(0, 1), wide[..., ::-1], np.asfortranarray(wide)):
        assert np.array_equal(restore(view, SHARPEN), restore(view.copy("C"), SHARPEN))
    y = rand(40, 60, 3).permute(2, 0, 1)
    assert torch.equal(restore(y, SHARPEN), restore(y.contiguous(), SHARPEN))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((3, 2, 2), torch.nan), "holds NaN or infinite values"),
        (np.full((5, 5), np.inf), "holds NaN or infinite values"),
        (torch.zeros(3, 0, 5), "the image is empty"),
        (np.zeros((5, 5, 0), np.uint8), "the image is empty"),
        (torch.zeros(3, 2, 2, dtype=torch.int16), "floats, uint8 or uint16, .* of torch.int16"),
        (torch.zeros(2, 2), "1 or 3 channels, not \\(2, 2\\)"),
        (torch.zeros(1, 1, 3, 2, 2), "not \\(1, 1, 3, 2, 2\\)"),
        (torch.zeros(4, 2, 2), "not \\(4, 2, 2\\)"),
        (torch.tensor(0.5), "not \\(\\) of torch.float32"),
        (np.zeros((5, 5, 5), np.uint8), "1 to 4 channels, not \\(5, 5, 5\\)"),
        (np.zeros((1, 5, 5, 3), np.uint8), "not \\(1, 5, 5, 3\\)"),
        (np.array(5, np.uint8), "not \\(\\)"),
        (np.zeros((5, 5), bool), "floats, uint8 or uint16, .* of bool"),
        (Image.new("P", (4, 4)), "must be L, LA, RGB or RGBA, not P"),
        ("photo.jpg", "a tensor, an array or a Pillow image, not <class 'str'>"),
    ],
)
def test_what_is_no_image_is_one_sentence(image, message):
    with pytest.raises(InputError, match=message) as error:
        restore(image, IDENTITY)
    assert "\n" not in str(error.value)


def test_the_name_of_a_method_is_looked_up_on_the_device_that_counts(monkeypatch, rand):
    asked = []
    monkeypatch.setattr(
        restoring, "find_method", lambda name, device: asked.append((name, str(device))) or IDENTITY
    )
    restore(rand(3, 4, 5), "a")
    restore(np.zeros((4, 5), np.uint8), "b")
    restore(Image.new("L", (4, 5)), "c", device="cpu")
    assert asked == [("a", "cpu"), ("b", "cpu"), ("c", "cpu")]


def test_the_library_alone_has_restore_and_loads_no_pytorch_for_it():
    assert deblurlib.restore is restore
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        _ = deblurlib.sharpen
    code = "import deblurlib, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


class Guess(nn.Module):
    """Guesses the kernel of a blur, always the same, and hands it to a deconvolution."""

    channels, multiple, margin, receptive_field = 3, 1, 0, 5

    def forward(self, y):
        return psf.gaussian(0.8).expand(len(y), -1, -1)

    def restore(self, y, kernel=None):
        k = self(y) if kernel is None else kernel
        return classical.tikhonov(y, k, 0.01)


def test_a_network_that_guesses_the_kernel_is_a_method_like_any_other(rand):
    method = of_model("guess", Guess(), "")
    y = rand(2, 3, 21, 22)
    assert method.receptive_field is None  # what it does is nothing that a tile could tell
    expected = classical.tikhonov(y, psf.gaussian(0.8), 0.01)
    torch.testing.assert_close(method(y), expected)
    torch.testing.assert_close(method(y, psf.box(3)), expected)  # a blind method is told nothing
    Guess.blind = False
    told = of_model("told", Guess(), "")
    torch.testing.assert_close(told(y, psf.box(3)), classical.tikhonov(y, psf.box(3), 0.01))
    with pytest.raises(InputError, match="the method told needs the kernel"):
        told(y)
    photo = rand(3, 40, 50)
    assert restore(photo, method).shape == photo.shape


def test_a_kernel_is_used_or_a_word_says_that_it_is_not():
    y, k = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)), psf.gaussian(1.0)
    assert torch.equal(restore(y, kernel=k), restore(y, "richardson-lucy-tv", k))
    with pytest.warns(InputWarning, match="unsharp-mask has no use for the kernel"):
        restore(y, "unsharp-mask", k)
