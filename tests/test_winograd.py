"""Winograd's convolutions give what PyTorch's give, and the shipped network uses them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deblurlib import images, models
from deblurlib.data import open_images
from deblurlib.models import SRN, winograd
from deblurlib.restoration import apply_model, find_method

KERNELS = sorted(winograd.POINTS)


def conv_of(kernel, channels, filters, bias=True):
    torch.manual_seed(0)
    return nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=bias)


@pytest.mark.parametrize("kernel", KERNELS)
def test_filtering_by_points_is_correlation(kernel):
    A, G, B = winograd.transforms(winograd.OUTPUTS, winograd.POINTS[kernel])
    torch.manual_seed(0)
    d, g = (torch.randn(n, dtype=torch.float64) for n in (B.shape[1], kernel))
    expected = F.conv1d(d[None, None], g[None, None])[0, 0]
    torch.testing.assert_close(A @ ((G @ g) * (B @ d)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("batch", "channels", "filters", "size", "bias"),
    [
        (1, 16, 16, (12, 18), True),
        (2, 17, 32, (31, 50), False),
        (3, 32, 16, (1, 1), True),
        (1, 24, 40, (2, 97), True),
        (2, 16, 16, (97, 5), True),
    ],
)
@pytest.mark.parametrize("strip", [1, 2**18, winograd.STRIP])
def test_it_gives_what_pytorch_gives(
    monkeypatch, rand, kernel, batch, channels, filters, size, bias, strip
):
    monkeypatch.setattr(winograd, "STRIP", strip)  # of one row of tiles, of some, of all
    conv = conv_of(kernel, channels, filters, bias)
    x = rand(batch, channels, *size)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = winograd.WinogradConv(conv)(x.contiguous(memory_format=layout))
        expected = F.conv2d(x.double(), conv.weight.double(), None, padding=kernel // 2)
        expected = expected + (conv.bias.double()[:, None, None] if bias else 0)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)


def test_residual_blocks_are_added_to_what_comes_in_which_is_left_as_it_is(rand):
    torch.manual_seed(0)
    blocks = nn.Sequential(*[models.srn.ResBlock(16) for _ in range(3)])
    for size in ((24, 36), (23, 40)):
        z = rand(2, 16, *size)
        before = z.clone()
        light = winograd.WinogradBlocks(list(blocks))
        torch.testing.assert_close(light(z), blocks(z).detach(), rtol=0, atol=1e-4)
        assert torch.equal(z, before)


OTHERS = {
    "stride": {"stride": 2},
    "dilation": {"dilation": 2},
    "groups": {"groups": 2},
    "no padding": {"padding": 0},
    "a mirrored edge": {"padding_mode": "reflect"},
    "one side longer": {"kernel_size": (5, 3), "padding": (2, 1)},
    "7 x 7": {"kernel_size": 7, "padding": 3},
    "few channels": {"in_channels": 8},
    "doubles": {"dtype": torch.float64},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_left_as_they_are(name):
    usual = {"in_channels": 16, "out_channels": 16, "kernel_size": 5, "padding": 2}
    assert winograd.suits(nn.Conv2d(**usual))
    layer = nn.Conv2d(**usual | OTHERS[name])
    assert not winograd.suits(layer)
    light = models.lighten(nn.Sequential(layer))
    assert isinstance(light[0], nn.Conv2d)
    assert light[0].weight is layer.weight


@pytest.mark.parametrize("recurrence", ["lstm", "gru", "none"])
@pytest.mark.parametrize("upsampling", ["deconvolution", "sub-pixel", "bilinear"])
def test_a_light_network_restores_the_same_and_the_model_stays_what_it_was(
    rand, recurrence, upsampling
):
    torch.manual_seed(0)
    model = SRN(width=16, recurrence=recurrence, upsampling=upsampling).eval()
    names = [type(layer).__name__ for layer in model.modules()]
    y = rand(2, 3, 48, 80)
    plain = apply_model(model, y)
    light = models.lighten(model)
    assert [type(layer).__name__ for layer in model.modules()] == names
    kinds = [type(layer) for layer in light.modules()]
    assert winograd.ResBlock not in kinds
    assert kinds.count(winograd.WinogradConv) >= 36
    atol = 1e-4 * plain.abs().max().item()  # not trained, it may give values of hundreds
    torch.testing.assert_close(apply_model(light, y), plain, rtol=0, atol=atol)
    assert torch.equal(apply_model(model, y), plain)
    assert models.lighten(model) is light


@pytest.mark.parametrize(
    ("arguments", "replaced"),  # the recurrent layer's kernel is 3 in all of them
    [({"shortcuts": False}, 37), ({"kernel": 3, "shortcuts": False}, 37), ({"kernel": 7}, 1)],
)
def test_of_other_networks_what_can_be_replaced_is_and_the_rest_stays(rand, arguments, replaced):
    torch.manual_seed(0)
    model = SRN(width=16, **arguments).eval()
    y = rand(1, 3, 32, 48)
    light, plain = models.lighten(model), apply_model(model, y)
    kinds = [type(layer) for layer in light.modules()]
    assert kinds.count(winograd.WinogradConv) == replaced
    for kind in (winograd.ResBlock, nn.ReLU):
        assert kinds.count(kind) == [type(layer) for layer in model.modules()].count(kind)
    atol = 1e-4 * plain.abs().max().item()
    torch.testing.assert_close(apply_model(light, y), plain, rtol=0, atol=atol)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_method_that_ships_gives_the_plain_network_s_pictures(threads):
    photo = images.centre_crop(open_images("sample")[2], 100, 150)[None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model, _ = models.load_shipped("srn")
        pictures = [find_method("srn")(photo), apply_model(model, photo)]
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*pictures, rtol=0, atol=1e-5)
    found, expected = (images.quantise(picture) for picture in pictures)
    assert (found != expected).float().mean() < 1e-3


def test_on_a_processor_the_method_that_ships_calls_these_convolutions(monkeypatch):
    calls = []
    convolve = winograd.WinogradConv.convolve
    monkeypatch.setattr(
        winograd.WinogradConv,
        "convolve",
        lambda self, *args, **more: calls.append(self) or convolve(self, *args, **more),
    )
    find_method("srn")(torch.zeros(1, 3, 96, 96))  # so small that they would take longer
    assert not calls
    find_method("srn")(torch.zeros(1, 3, 96, 112))
    assert len(calls) == 3 * 37  # scales; residual blocks' convolutions and the recurrent one
