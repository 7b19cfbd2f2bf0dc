"""Methods by name: what each does to an image, how a model meets any size, how a run is found."""

import json
import shutil

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import filters
from torch import nn

from deblurlib import models, psf, runs, studies
from deblurlib.errors import InputError
from deblurlib.models import SRCNN, UNet, build, save
from deblurlib.restoration import (
    METHODS,
    Method,
    apply_model,
    find_method,
    of_model,
    shipped,
    unsharp_mask,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store: 02/motion of two seeds, 02/box, and 02/gaussian, which was stopped."""
    folder = tmp_path_factory.mktemp("runs")
    gaussian, box, motion = (
        studies.find_recipe(f"02/{blur}", "smoke") for blur in ("gaussian", "box", "motion")
    )
    other = studies.find_recipe("02/motion", "smoke", seed=1)
    for recipe in (box, motion, other):
        runs.train_or_load(recipe, folder=folder)
    runs.train_or_load(gaussian, max_minutes=0, folder=folder)
    return folder


def runs_of(store, name):
    return [run for run in runs.listed(store) if run.recipe.name == name]


@pytest.fixture
def box(store, tmp_path):
    """The run 02/box in a store of its own, to be damaged."""
    (run,) = runs_of(store, "02/box")
    shutil.copytree(run.folder, tmp_path / run.id)
    return runs.Run(tmp_path / run.id)


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


def test_the_methods_without_a_model_are_blind_and_the_identity_comes_first():
    assert list(METHODS)[:2] == ["identity", "unsharp-mask"]
    for name, method in METHODS.items():
        assert method.name == name
        assert len(method.describes.splitlines()) == 1
        assert method.run is None
    assert METHODS["identity"].blind
    assert METHODS["unsharp-mask"].blind


def test_the_identity_returns_what_it_gets(rand):
    y = 3 * rand(2, 3, 5, 7) - 1
    assert torch.equal(METHODS["identity"](y), y)
    assert torch.equal(METHODS["identity"](y, psf.box(3)), y)


@pytest.mark.parametrize(("sigma", "amount"), [(1.0, 1.0), (2.0, 0.6), (3.0, 2.5)])
def test_the_unsharp_mask_agrees_with_scipy_up_to_the_edge(rand, sigma, amount):
    y = rand(2, 3, 23, 31)
    # scipy calls "mirror" what OpenCV calls BORDER_REFLECT_101
    blurred = ndimage.gaussian_filter(
        y.double().numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=3.0
    )
    expected = y.double().numpy() * (1 + amount) - amount * blurred
    np.testing.assert_allclose(unsharp_mask(y, sigma, amount).numpy(), expected, atol=1e-5)


def test_the_method_of_that_name_is_the_unsharp_mask_of_scikit_image(rand):
    y = rand(1, 3, 40, 48, seed=1)
    result = METHODS["unsharp-mask"](y)
    assert torch.equal(result, unsharp_mask(y, sigma=2.0, amount=1.0))
    expected = filters.unsharp_mask(
        y[0].numpy(), radius=2.0, amount=1.0, preserve_range=True, channel_axis=0
    )
    # scikit-image's kernel reaches four standard deviations, ours three
    inner = (slice(None), slice(9, -9), slice(9, -9))
    assert np.abs(result[0].numpy() - expected)[inner].max() < 5e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (9, 4)])
def test_the_unsharp_mask_leaves_a_constant_image_alone(size):
    y = torch.full((1, 3, *size), 0.3)
    torch.testing.assert_close(unsharp_mask(y, 2.0, 5.0), y)


def test_an_unsharp_mask_of_amount_0_changes_nothing(rand):
    y = rand(2, 1, 6, 5)
    assert torch.equal(unsharp_mask(y, amount=0), y)


def test_a_method_that_needs_the_kernel_says_so_by_name(rand):
    y, kernel = rand(1, 3, 4, 4), psf.box(3)
    method = Method("wiener", lambda y, kernel: (y, kernel), "divides", blind=False)
    with pytest.raises(InputError, match="the method wiener needs the kernel"):
        method(y)
    for given, found in zip((y, kernel), method(y, kernel), strict=True):
        assert torch.equal(given, found)


def test_a_method_is_blind_unless_it_is_said_otherwise(rand):
    method = Method("any", lambda y, kernel: kernel, "returns the kernel")
    assert method(rand(1, 3, 4, 4)) is None
    assert method(rand(1, 3, 4, 4), kernel=psf.box(3)) is not None


@pytest.mark.parametrize(
    ("height", "width", "mode"),
    [
        (1, 1, "edge"),
        (1, 9, "edge"),
        (11, 1, "edge"),
        (1, 8, "edge"),
        (4, 8, "edge"),
        (8, 4, "edge"),
        (13, 3, "edge"),
        (5, 8, "reflect"),
        (8, 5, "reflect"),
        (5, 13, "reflect"),
        (17, 23, "reflect"),
    ],
)
def test_a_model_sees_the_image_padded_below_and_to_the_right(rand, height, width, mode):
    y, model = rand(2, 3, height, width), small_unet()
    pads = [(0, 0), (0, 0), (0, -height % 8), (0, -width % 8)]
    padded = torch.from_numpy(np.pad(y.numpy(), pads, mode=mode))
    with torch.no_grad():
        expected = model(padded)[..., :height, :width]
    result = apply_model(model, y)
    assert result.shape == y.shape
    assert torch.equal(result, expected)


@pytest.mark.parametrize("multiple", [1, 2, 5, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (10, 16)])
def test_the_sides_become_the_next_multiples_and_the_image_comes_back(rand, multiple, size):
    y, model = rand(2, 3, *size), Spy(multiple)
    assert torch.equal(apply_model(model, y), y)
    (seen,) = model.seen
    for side, padded in zip(size, seen.shape[-2:], strict=True):
        assert padded % multiple == 0
        assert side <= padded < side + multiple
    assert torch.equal(seen[..., : size[0], : size[1]], y)


@pytest.mark.parametrize(
    ("height", "width", "mode"),
    [
        (1, 1, "edge"),
        (3, 5, "edge"),
        (4, 30, "edge"),
        (30, 4, "edge"),
        (5, 5, "reflect"),
        (6, 30, "reflect"),
    ],
)
def test_a_model_sees_its_margin_around_the_image_and_the_image_comes_back(
    rand, height, width, mode
):
    y, model = rand(2, 3, height, width), Spy(margin=4)
    assert torch.equal(apply_model(model, y), y)
    padded = np.pad(y.numpy(), [(0, 0), (0, 0), (4, 4), (4, 4)], mode=mode)
    assert torch.equal(model.seen[0], torch.from_numpy(padded))


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (16, 10)])
def test_a_margin_and_a_multiple_go_together(rand, size):
    y, model = rand(2, 3, *size), Spy(multiple=4, margin=2)
    assert torch.equal(apply_model(model, y), y)
    assert [side % 4 for side in model.seen[0].shape[-2:]] == [0, 0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (14, 20), (31, 26)])
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


@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_where_the_size_fits_the_model_gets_the_image_itself(rand, size):
    y, model = rand(2, 3, *size), small_unet()
    with torch.no_grad():
        assert torch.equal(apply_model(model, y), model(y))
    spy = Spy(8)
    apply_model(spy, y)
    assert torch.equal(spy.seen[0], y)


@pytest.mark.parametrize("model", [SRCNN(channels=1), small_unet(channels=1)])
@pytest.mark.parametrize("size", [(16, 8), (5, 9), (1, 1)])
def test_a_grey_model_restores_each_channel_of_each_image_alone(rand, model, size):
    y = rand(2, 3, *size)
    alone = [[apply_model(model, y[i : i + 1, c : c + 1]) for c in range(3)] for i in range(2)]
    expected = torch.cat([torch.cat(channels, 1) for channels in alone])
    result = apply_model(model, y)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)
    assert not torch.equal(result[:, 0], result[:, 1])


def test_a_grey_model_sees_one_channel():
    model = Spy(channels=1)
    assert apply_model(model, torch.zeros(2, 3, 4, 5)).shape == (2, 3, 4, 5)
    assert model.seen[0].shape == (6, 1, 4, 5)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 8)])
def test_a_model_for_colour_sees_grey_in_three_channels_whose_mean_is_the_answer(rand, size):
    y, model, spy = rand(2, 1, *size), small_unet(), Spy()
    result = apply_model(model, y)
    expected = apply_model(model, torch.cat([y, y, y], 1))
    assert not torch.equal(expected[:, 0], expected[:, 1])
    torch.testing.assert_close(result, expected.mean(1, keepdim=True), rtol=0, atol=1e-6)
    torch.testing.assert_close(apply_model(spy, y), y, rtol=0, atol=1e-6)
    assert torch.equal(spy.seen[0], y.repeat(1, 3, 1, 1))


@pytest.mark.parametrize(("takes", "given"), [(3, 2), (3, 4), (2, 3), (2, 1)])
def test_a_wrong_number_of_channels_is_an_input_error(takes, given):
    with pytest.raises(InputError, match=f"the model takes {takes} channels, not {given}"):
        apply_model(small_unet(channels=takes), torch.zeros(1, given, 8, 8))


def test_a_restoration_carries_no_gradient(rand):
    model, y = small_unet(), rand(1, 3, 9, 9).requires_grad_()
    result = apply_model(model, y)
    assert not result.requires_grad
    assert result.grad_fn is None


@pytest.mark.parametrize("name", ["identity", "unsharp-mask"])
def test_a_method_without_a_model_is_found_without_any_store(tmp_path, name):
    assert find_method(name, store=tmp_path / "nowhere") is METHODS[name]


def test_a_network_tells_its_receptive_field_and_its_tiles_are_on_its_grid():
    for model, reach, multiple in ((SRCNN(), 13, 1), (small_unet(), 139, 8), (Spy(4, 3, 7), 15, 4)):
        method = of_model("net", model, "a network", contaminated=("clips",), tiled_psnr=50.0)
        assert (method.receptive_field, method.multiple) == (reach, multiple)
        assert (method.name, method.describes, method.blind) == ("net", "a network", True)
        assert (method.contaminated, method.tiled_psnr) == (("clips",), 50.0)


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


def test_a_network_that_ships_is_found_by_its_name(ships, rand):
    assert shipped() == ["small"]
    y, method = rand(1, 3, 17, 30), find_method("small", store=ships / "nowhere")
    assert (method.name, method.describes, method.run) == ("small", "a network", None)
    assert (method.contaminated, method.tiled_psnr, method.receptive_field) == (
        ("clips",),
        50.5,
        69,
    )
    torch.testing.assert_close(method(y), apply_model(small_unet(), y), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, "cut") for name in ("card.json", "config.json", "model.safetensors")),
        *((name, "empty") for name in ("card.json", "config.json", "model.safetensors")),
        *((name, "gone") for name in ("config.json", "model.safetensors")),  # else none ships
    ],
)
def test_of_a_damaged_network_that_ships_the_folder_is_named(ships, name, damage):
    path = ships / name
    cut(path) if damage == "cut" else path.write_bytes(b"")
    if damage == "gone":
        path.unlink()
    with pytest.raises(InputError) as error:
        find_method("small")
    assert str(error.value).startswith(f"{ships}: damaged; install the library again")


def test_a_run_is_found_by_its_id_its_beginning_and_its_recipe(store, rand):
    (run,) = runs_of(store, "02/box")
    y = rand(2, 3, 9, 11)
    expected = apply_model(run.model(), y)
    assert not torch.equal(expected, y)
    for name in (run.id, run.id[:6], "02/box"):
        method = find_method(name, store=store)
        assert method.run.id == run.id
        assert method.name == "02/box"
        assert run.id in method.describes
        assert method.blind
        assert torch.equal(method(y), expected)
        assert torch.equal(method(y, psf.box(3)), expected)


def test_the_seeds_of_a_recipe_are_told_apart_by_their_ids(store, rand):
    y = rand(1, 3, 16, 16)
    first, second = (find_method(run.id, store=store) for run in runs_of(store, "02/motion"))
    assert not torch.equal(first(y), second(y))


def test_without_a_store_the_one_of_the_environment_is_used(store, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(store))
    assert find_method("02/box").run.folder.parent == store


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_model_of_a_run_is_put_where_it_is_wanted(store, monkeypatch, device):
    model = Spy()
    model.register_buffer("weight", torch.zeros(1))
    monkeypatch.setattr(runs.Run, "model", lambda run: model)
    find_method("02/box", device=device, store=store)
    assert model.weight.device.type == device


def test_an_unknown_method_is_told_what_there_is(store, ships):
    with pytest.raises(InputError) as error:
        find_method("sharpen", store=store)
    for part in ("no method 'sharpen'", *METHODS, "small", "no run 'sharpen'", "deblur runs list"):
        assert part in str(error.value)


def test_a_recipe_of_two_runs_is_ambiguous_and_both_are_listed(store):
    two = runs_of(store, "02/motion")
    assert len(two) == 2
    with pytest.raises(InputError, match="can be any of these runs") as error:
        find_method("02/motion", store=store)
    for run in two:
        assert f"{run.id} ({run.title})" in str(error.value)


def test_a_run_that_was_stopped_is_no_method_yet(store):
    with pytest.raises(InputError, match="is not complete: train it to its end first"):
        find_method("02/gaussian", store=store)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def put_other_weights(folder):
    SRCNN(layers="9-1-1-1-5").save_pretrained(folder / "other")
    shutil.copy(folder / "other" / "model.safetensors", folder)


def add_field(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"depth": 3}))


#: what happens to a run's folder
DAMAGES = {
    "weights cut": lambda folder: cut(folder / "model.safetensors"),
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
    "weights of another": put_other_weights,
    "config cut": lambda folder: cut(folder / "config.json"),
    "config gone": lambda folder: (folder / "config.json").unlink(),
    "recipe cut": lambda folder: cut(folder / "recipe.json"),
    "config of another": lambda folder: add_field(folder / "config.json"),
    "recipe of a newer library": lambda folder: add_field(folder / "recipe.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_run_the_folder_and_the_cure_are_named(box, damage):
    DAMAGES[damage](box.folder)
    with pytest.raises(InputError) as error:
        find_method(box.id, store=box.folder.parent)
    assert str(box.folder) in str(error.value)
    assert f"deblur runs rm {box.id}" in str(error.value)


@pytest.mark.parametrize("damage", ["recipe cut", "recipe of a newer library"])
def test_a_damaged_run_does_not_hide_the_others(box, store, damage):
    for run in runs_of(store, "02/motion"):
        shutil.copytree(run.folder, box.folder.with_name(run.id))
    DAMAGES[damage](box.folder)
    (_, wanted) = runs_of(store, "02/motion")
    assert find_method(wanted.id, store=box.folder.parent).run.id == wanted.id
