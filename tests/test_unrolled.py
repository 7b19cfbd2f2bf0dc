"""Richardson-Lucy with learned corrections: what it is without them, and what it may be given."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from deblurlib import classical, degrade, models, psf
from deblurlib.errors import InputError
from deblurlib.models.unrolled import ROUNDING, disturbed

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
