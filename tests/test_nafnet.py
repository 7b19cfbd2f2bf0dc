"""NAFNet: the published counts, a block by hand, local means, and any size."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from deblurlib import models, restoration
from deblurlib.errors import InputError
from deblurlib.models import nafnet

SMALL = {"width": 4, "encoder": (1, 1), "middle": 1, "decoder": (1, 1)}


@pytest.mark.parametrize(
    ("width", "parameters", "thousand_millions"), [(32, 17.1, 16), (64, 67.9, 63)]
)
def test_the_published_sizes_have_the_published_counts(width, parameters, thousand_millions):
    model = models.NAFNet(width=width)
    assert round(models.parameter_count(model) / 1e6, 1) == parameters
    assert round(models.multiplications(model, 256, 256) / 1e9) == thousand_millions


def test_a_block_equals_one_written_with_numpy(rand):
    torch.manual_seed(0)
    block = nafnet.NAFBlock(3)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    z = rand(1, 3, 6, 5) - 0.5
    p = {name: value.detach().double().numpy() for name, value in block.named_parameters()}

    def norm(a, name):
        centred = a - a.mean(0)
        scaled = centred / np.sqrt((centred**2).mean(0) + 1e-6)
        return scaled * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]

    def mixed(a, name):
        weight = p[f"{name}.weight"][:, :, 0, 0]
        return np.einsum("oi,ihw->ohw", weight, a) + p[f"{name}.bias"][:, None, None]

    x = z[0].double().numpy()
    a = mixed(norm(x, "norm1"), "widen1")
    near = zip(a, p["neighbours.weight"][:, 0], p["neighbours.bias"], strict=True)
    a = np.stack([ndimage.correlate(c, w, mode="constant") + b for c, w, b in near])
    a = a[:3] * a[3:]
    a = a * mixed(a.mean((1, 2), keepdims=True), "attention")
    x = x + p["scale1"][0] * mixed(a, "mix1")
    a = mixed(norm(x, "norm2"), "widen2")
    x = x + p["scale2"][0] * mixed(a[:3] * a[3:], "mix2")
    assert np.allclose(block(z)[0].detach().numpy(), x, atol=1e-4)


@pytest.mark.parametrize(("side", "size"), [(3, (7, 9)), (4, (7, 9)), (8, (7, 9)), (1, (2, 5))])
def test_local_means_are_of_a_window_inside_the_image(rand, side, size):
    z = rand(1, 2, *size)
    means = nafnet.means(z, side)
    for i, j in ((0, 0), (size[0] // 2, size[1] // 2), (size[0] - 1, size[1] - 1)):
        tops = [
            min(max(at - side // 2, 0), max(n - side, 0))
            for at, n in zip((i, j), size, strict=True)
        ]
        window = z[0, :, tops[0] : tops[0] + side, tops[1] : tops[1] + side].mean((1, 2))
        assert torch.allclose(means[0, :, i, j], window, atol=1e-6)


def test_means_of_a_window_as_large_as_the_image_are_global(rand):
    z = rand(2, 3, 6, 5)
    assert torch.equal(nafnet.means(z, 6), nafnet.means(z))


def test_local_averages_are_for_evaluation_alone(rand):
    whole, local = (models.build("nafnet", SMALL | {"local": n}, 0) for n in (None, 8))
    for model in (whole, local):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, 0, 0.3)
        torch.manual_seed(1)
    local.load_state_dict(whole.state_dict())
    y = rand(1, 3, 32, 32)
    assert torch.equal(whole.train()(y), local.train()(y))
    assert not torch.allclose(whole.eval()(y), local.eval()(y))
    small = y[..., :8, :8]
    assert torch.allclose(whole(small), local(small), atol=1e-6)


def test_blocks_begin_as_nothing_and_all_weights_learn(rand):
    model = models.build("nafnet", SMALL, 0)
    z = rand(1, 4, 8, 8)
    assert torch.equal(model.encoder[0](z), z)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    model(rand(1, 3, 16, 16)).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_it_restores_images_of_any_size(rand):
    method = restoration.of_model("nafnet", models.build("nafnet", SMALL, 0).eval(), "")
    for size in ((1, 1), (5, 7), (16, 9)):
        assert method(rand(1, 3, *size)).shape == (1, 3, *size)
    assert method.receptive_field is None


@pytest.mark.parametrize("wrong", [{"decoder": (1,)}, {"width": 0}, {"local": 0}, {"encoder": ()}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(InputError, match="NAFNet"):
        models.NAFNet(**SMALL | wrong)


def test_multiplications_are_those_of_each_convolution():
    model = models.SRCNN(channels=3)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    sides, height, width, total = [c.kernel_size[0] for c in convolutions], 40, 50, 0
    for side, c in zip(sides, convolutions, strict=True):
        lost = 0 if c.padding[0] else side - 1
        height, width = height - lost, width - lost
        total += height * width * c.weight.numel()
    assert models.multiplications(model, 40, 50) == total
