"""Richardson-Lucy with learned corrections: what it is without them, and what it may be given."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from deblurlib import classical, degrade, images, models, psf, runs, studies
from deblurlib.data import open_images
from deblurlib.errors import InputError
from deblurlib.images import ROUNDING
from deblurlib.models.unrolled import disturbed
from deblurlib.restoration import METHODS, find_method, shipped
from deblurlib.studies.classical import bridge, choose, ship_unrolled

SMALL = {"steps": 3, "iterations": 2, "width": 4, "depth": 3}


@torch.no_grad()
def built(seed=0, added=0.02, **arguments):
    """A small network whose corrections add so much of what they might; 0: nothing."""
    model = models.build("unrolled-rl", SMALL | arguments, seed).eval()
    for layers in model.corrections:
        layers[-1].weight.mul_(added / 0.001)
    return model


@pytest.fixture
def kernels():
    return torch.stack([psf.gaussian(1.3, 7), psf.motion(7, 30, 7)])


@torch.no_grad()
@pytest.mark.parametrize("size", [(30, 41), (5, 4)])
def test_without_corrections_it_is_accelerated_richardson_lucy(rand, kernels, size):
    y = rand(2, 1, *size)
    y[0, 0, :4] = 0
    x_hat = built(added=0).restore(y, kernels)
    start = y.clamp(min=ROUNDING)
    wanted = classical.richardson_lucy(y, kernels, 6, "valid", accelerate=True, start=start)
    assert torch.equal(x_hat, wanted)
    first = models.build("unrolled-rl", SMALL, 0).restore(y, kernels)
    assert 0 < (first - wanted).abs().max() < 0.05  # it begins near it
    assert (built().restore(y, kernels) - wanted).abs().max() > 0.01


@torch.no_grad()
def test_without_looking_ahead_it_is_plain_richardson_lucy(rand, kernels):
    model, y = built(added=0), rand(2, 1, 12, 15)
    model.further.fill_(-1)
    start = y.clamp(min=ROUNDING)
    wanted = classical.richardson_lucy(y, kernels, 6, "valid", start=start)
    torch.testing.assert_close(model.restore(y, kernels), wanted)


@torch.no_grad()
def test_each_image_has_its_own_kernel_and_each_channel_is_an_image(rand, kernels):
    model, y = built().double(), rand(2, 3, 16, 19).double()
    whole, at_once = model.restore(y, kernels), model(y, kernels)
    torch.testing.assert_close(at_once, whole)
    for i in range(2):
        assert torch.equal(model.restore(y[i : i + 1], kernels[i])[0], whole[i])
        for c in range(3):
            alone = model.restore(y[i : i + 1, c : c + 1], kernels[i])
            torch.testing.assert_close(alone[0, 0], whole[i, c])
    assert not torch.allclose(model.restore(y, kernels[0])[1], whole[1], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 9), (1, 8, 5), (3, 17, 33)])
@pytest.mark.parametrize("side", [1, 9, 31])
def test_it_restores_any_size_with_a_kernel_of_any_size(rand, shape, side):
    y = rand(1, *shape)
    x_hat = built().restore(y, psf.gaussian(2.0 if side > 1 else 0.0, side))
    assert x_hat.shape == y.shape
    assert torch.isfinite(x_hat).all()
    assert x_hat.min() >= 0


@torch.no_grad()
def test_brighter_images_are_treated_alike(rand, kernels):
    model, y = built().double(), rand(2, 1, 16, 18).double() + 0.2
    torch.testing.assert_close(model(3 * y, kernels), 3 * model(y, kernels))


@pytest.mark.parametrize("height", [0.0, 0.5, 1.0])
def test_gradients_are_finite_where_the_image_is_black_or_flat_and_none_is_missing(height, rand):
    model = built(kernel_error=0.5).train()
    y = torch.full((2, 1, 20, 20), height)
    y[1, :, :10] = rand(1, 10, 20)
    y[1, :, 3:5] = 0
    model(y, torch.stack([psf.gaussian(2.0, 9), psf.motion(9, 0, 9)])).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_a_gradient_is_that_of_finite_differences(rand, kernels):
    model, y = built(steps=2, iterations=1, added=0.1).double(), rand(2, 1, 8, 9).double() + 0.1
    # so few iterations look ahead nowhere, whose length is not differentiated
    weight = model.corrections[0][0].weight.detach().clone().requires_grad_()

    def x_hat(weight):
        return torch.func.functional_call(model, {"corrections.0.0.weight": weight}, (y, kernels))

    assert torch.autograd.gradcheck(x_hat, (weight,), fast_mode=True)


def test_without_a_kernel_there_is_one_clear_error(rand):
    with pytest.raises(InputError, match=r"^unrolled-rl needs the kernel, and none is known$"):
        built().restore(rand(1, 1, 8, 8))
    with pytest.raises(InputError, match="3 kernels were given for 1 images"):
        built().restore(rand(1, 1, 8, 8), psf.gaussian(1.0).expand(3, -1, -1))


# --- kernels that are wrong


def many_kernels():
    generators = [degrade.generator(0, i) for i in range(20)]
    return torch.stack(
        [d.blur for d in degrade.draw_each(degrade.SETTINGS["known-blur"], generators)]
    )


def test_a_disturbed_kernel_is_wrong_and_still_a_kernel_that_shifts_nothing():
    k, offs = many_kernels(), []
    for most in (0.2, 0.5, 1.0):
        torch.manual_seed(0)
        wrong = disturbed(k, most)
        psf.check(wrong)
        centres = [ndimage.center_of_mass(z.numpy()) for z in (*k, *wrong)]
        shifts = np.linalg.norm(np.subtract(centres[:20], centres[20:]), axis=1)
        assert shifts.max() < 0.1
        offs.append(((wrong - k).norm(dim=(1, 2)) / k.norm(dim=(1, 2))).mean().item())
    assert 0.03 < offs[0] < offs[1] < offs[2]
    assert torch.equal(disturbed(torch.ones(1, 1, 1), 1.0), torch.ones(1, 1, 1))


@torch.no_grad()
def test_kernels_are_wrong_in_training_only_and_as_torch_s_generator_says(rand, kernels):
    model, y = built(kernel_error=0.5), rand(2, 1, 12, 12)
    right = model(y, kernels)
    assert torch.equal(right, built()(y, kernels))
    model.train()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    wrong = model(y, kernels)
    assert not torch.allclose(wrong, right, atol=1e-3)
    assert not torch.equal(model(y, kernels), wrong)
    torch.set_rng_state(state)
    assert torch.equal(model(y, kernels), wrong)


# --- beside both ends, and as a method


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The recipe that is the bridge and the one that is its learned end, after two steps."""
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    names = ("06/unrolled", "06/unet")
    return [runs.train_or_load(studies.find_recipe(name, "smoke")) for name in names]


def test_both_ends_are_trained_on_the_same_pairs_and_as_long():
    unrolled, unet = (studies.find_recipe(f"06/{n}", "report") for n in ("unrolled", "unet"))
    differ = {k for k, v in vars(unrolled).items() if v != getattr(unet, k)}
    assert differ == {"name", "model", "model_args"}


def test_a_misjudged_kernel_is_wider_and_lacks_what_is_faint():
    k = psf.motion(9, 30, 25)
    wrong = psf.check(bridge.misjudged(k))
    assert 0.1 < (wrong - k).norm() / k.norm() < 0.6
    assert wrong[wrong > 0].min() >= 0.05 * wrong.max()
    assert (wrong > 0).sum() > (k > 0.05 * k.max()).sum()


def test_the_table_has_both_ends_and_the_bridge_by_kernel_and_by_blur(trained, monkeypatch):
    monkeypatch.setattr(choose, "SIDE", 40)
    methods = bridge.ordered([find_method(run.id) for run in trained])
    names = ["identity", "06/unet", *bridge.CLASSICAL, "06/unrolled"]
    assert [method.name for method in methods] == names
    pairs = choose.pairs("sample")
    lines = [*bridge.table([methods[0], methods[3]], pairs)]
    identity, deconvolved = ([float(c) for c in line.split("|")[2:-1]] for line in lines[2:])
    assert identity[:3] == identity[3:6] == identity[6:]
    assert deconvolved[0] > deconvolved[3] > identity[0]  # a wrong kernel shows
    assert identity[0] == pytest.approx(np.mean([bridge.score(p.y, p) for p in pairs]), abs=0.006)
    moved = pairs[0].y.roll((2, -3), (-2, -1))
    assert abs(bridge.score(moved, pairs[0]) - bridge.score(pairs[0].y, pairs[0])) < 0.02


def test_a_run_ships_and_is_a_method_that_needs_the_kernel(trained, tmp_path, monkeypatch):
    run, other = trained
    folder = tmp_path / "weights" / "unrolled-rl"
    folder.mkdir(parents=True)
    monkeypatch.setattr(ship_unrolled, "SIDE", 32)
    test = open_images("sample", "test").first(1)
    (folder / "README.md").write_text("no place for a table")
    with pytest.raises(InputError, match="no place for scores"):
        ship_unrolled.ship(run, test, folder=folder)
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    page = (models.WEIGHTS / "unrolled-rl" / "README.md").read_text("utf-8")
    (folder / "README.md").write_text(page, "utf-8")
    photo = images.centre_crop(open_images("sample")[0], 40, 48)
    card = ship_unrolled.ship(run, test, [photo], folder)
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    assert shipped() == ["unrolled-rl"]
    method, k = find_method("unrolled-rl"), psf.gaussian(1.0)
    y = degrade.convolve(photo[None], k)
    torch.testing.assert_close(method(y, k), run.model().restore(y, k), rtol=0, atol=1e-3)
    assert not method.blind
    assert method.tiled_psnr == card["tiled_psnr"]
    with pytest.raises(InputError, match="the method unrolled-rl needs the kernel"):
        method(y)
    licence = (folder / "LICENSE").read_text("utf-8")
    assert "- sample (train): the photographs that come with the library" in licence
    filled = (folder / "README.md").read_text("utf-8")
    for row in card["scores"]:
        assert f"{row['psnr']['all']:.2f}" in filled
    assert {row["method"] for row in card["scores"]} == {*ship_unrolled.BESIDE, "unrolled-rl"}
    assert set(ship_unrolled.BESIDE) <= set(METHODS)
    assert f"{card['parameters']:,}" in filled
    with pytest.raises(InputError, match="is of the model unet, not of unrolled-rl"):
        ship_unrolled.ship(other, test, folder=folder)
