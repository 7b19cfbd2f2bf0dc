"""The networks: their sizes, what a pixel depends on, and that files give back the same weights."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from deblurlib import models
from deblurlib.errors import InputError
from deblurlib.models import srcnn

SMALL = {
    "denoiser": {"width": 4, "depth": 3},
    "srcnn": {"layers": "9-3-1-5", "channels": 3, "dilation": [1, 2, 1, 1], "residual": True},
    "srn": {"width": 4, "channels": 3, "residual": False},
    "unet": {"width": 4, "channels": 3, "residual": True},
}
over_models = pytest.mark.parametrize("name", models.MODELS)


def support(model, side):
    """Places of the input, relative to the middle, that the output's middle pixel depends on."""
    y = torch.rand(1, model.channels, side, side, dtype=torch.float64, requires_grad=True)
    middle = side // 2
    model.double()(y)[0, :, middle, middle].sum().backward()
    return y.grad[0].abs().sum(0).nonzero() - middle


@torch.no_grad()
def with_all_filters_alive(model):
    """Positive weights: no ReLU is ever off, so nothing that could matter is hidden."""
    for parameter in model.parameters():
        parameter.abs_().add_(0.01)
    return model


@pytest.mark.parametrize(
    ("layers", "count"), [("9-1-5", 44291), ("9-3-1-5", 109507), ("9-1-1-1-5", 43299)]
)
def test_the_released_networks_have_as_many_parameters_as_their_text_says(layers, count):
    assert models.parameter_count(models.SRCNN(layers, "released", channels=3)) == count


def test_the_papers_network_has_8032_weights():
    weights = [p for p in models.SRCNN("9-1-5", "paper").parameters() if p.ndim == 4]
    assert sum(w.numel() for w in weights) == 8032


def test_only_what_is_trained_is_counted():
    model = models.SRCNN()
    whole = models.parameter_count(model)
    model.layers[1].requires_grad_(False)
    assert models.parameter_count(model) == whole - 64 * 32 - 32


@pytest.mark.parametrize("widths", srcnn.WIDTHS)
@pytest.mark.parametrize("layers", srcnn.KERNELS)
def test_the_name_is_the_sides_of_the_kernels_and_widths_fall(layers, widths):
    convolutions = models.SRCNN(layers, widths, channels=3).layers
    sides = [c.kernel_size for c in convolutions]
    assert sides == [(int(side),) * 2 for side in layers.split("-")]
    hidden = [c.out_channels for c in convolutions[:-1]]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[0] == {"paper": 64, "released": 128}[widths]
    assert (convolutions[0].in_channels, convolutions[-1].out_channels) == (3, 3)


@pytest.mark.parametrize(
    ("layers", "dilation", "side"),
    [
        ("9-1-5", None, 13),
        ("9-3-1-5", None, 15),
        ("9-5-1-5", None, 17),
        ("9-1-1-1-5", None, 13),
        ("9-3-1-5", (1, 2, 1, 1), 17),
        ("9-3-1-5", (1, 3, 1, 1), 19),
        ("9-1-5", (2, 7, 1), 21),
    ],
)
def test_a_pixel_depends_on_the_square_that_is_named(layers, dilation, side):
    model = with_all_filters_alive(models.SRCNN(layers, dilation=dilation))
    assert model.receptive_field == side
    reached = support(model, 31)
    reach = (side - 1) // 2
    assert (reached.amin(0).tolist(), reached.amax(0).tolist()) == ([-reach] * 2, [reach] * 2)


def test_dilation_costs_no_parameter():
    plain, *dilated = (
        models.SRCNN("9-3-1-5", dilation=d) for d in (None, (1, 2, 1, 1), (1, 3, 1, 1))
    )
    for model in dilated:
        assert models.parameter_count(model) == models.parameter_count(plain)


def convolve(z, layer):
    """A layer of an SRCNN or a UNet, by scipy: zeros outside, as many pixels as before."""
    weight = layer.weight.detach().double().numpy()
    (d, _), side = layer.dilation, weight.shape[-1]
    spread = np.zeros((*weight.shape[:2], *[1 + (side - 1) * d] * 2))
    spread[..., ::d, ::d] = weight
    summed = [
        sum(signal.correlate2d(c, k, mode="same") for c, k in zip(z, kernels, strict=True))
        for kernels in spread
    ]
    return np.stack(summed) + layer.bias.detach().double().numpy()[:, None, None]


@torch.no_grad()
@pytest.mark.parametrize("layers", srcnn.KERNELS)
@pytest.mark.parametrize("residual", [False, True])
def test_srcnn_equals_correlations_by_scipy(rand, layers, residual):
    dilation = (1, 2, 1, 1) if layers == "9-3-1-5" else None
    model = models.build(
        "srcnn",
        {"layers": layers, "channels": 2, "dilation": dilation, "residual": residual},
        seed=0,
    )
    y = rand(2, 2, 12, 15)
    for image, x_hat in zip(y, model(y), strict=True):
        z = image.double().numpy()
        for layer in model.layers[:-1]:
            z = np.maximum(convolve(z, layer), 0)
        z = convolve(z, model.layers[-1]) + residual * image.numpy()
        np.testing.assert_allclose(x_hat.numpy(), z, rtol=0, atol=1e-5)


def halved(z):
    return ndimage.maximum_filter(z, (1, 2, 2), origin=(0, -1, -1))[:, ::2, ::2]


def doubled(z):
    for axis in (1, 2):
        z = np.moveaxis(z, axis, 0)
        before, after = np.concatenate([z[:1], z[:-1]]), np.concatenate([z[1:], z[-1:]])
        z = np.stack([0.75 * z + 0.25 * before, 0.75 * z + 0.25 * after], 1)
        z = np.moveaxis(z.reshape(-1, *z.shape[2:]), 0, axis)
    return z


@torch.no_grad()
@pytest.mark.parametrize("residual", [False, True])
def test_unet_equals_one_written_with_scipy(rand, residual):
    model = models.build("unet", {"width": 3, "channels": 2, "residual": residual}, seed=0)
    y = rand(1, 2, 16, 24)

    def twice(z, block):
        return np.maximum(convolve(np.maximum(convolve(z, block[0]), 0), block[2]), 0)

    down0, down1, down2 = model.encoder
    up0, up1, up2 = model.decoder  # the finest first
    level0 = twice(y[0].double().numpy(), down0)
    level1 = twice(halved(level0), down1)
    level2 = twice(halved(level1), down2)
    z = twice(halved(level2), model.bottom)
    z = twice(np.concatenate([doubled(z), level2]), up2)
    z = twice(np.concatenate([doubled(z), level1]), up1)
    z = twice(np.concatenate([doubled(z), level0]), up0)
    z = convolve(z, model.last) + residual * y[0].numpy()
    np.testing.assert_allclose(model(y)[0].numpy(), z, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["srcnn", "unet"])  # SRN's is in test_srn: each scale adds its own
@pytest.mark.parametrize("channels", [1, 3])
def test_residual_adds_the_input_and_nothing_else(rand, name, channels):
    plain, residual = (
        models.build(name, {**SMALL[name], "channels": channels, "residual": adds}, seed=0)
        for adds in (False, True)
    )
    y = rand(2, channels, 16, 8)
    assert torch.equal(residual(y), y + plain(y))
    assert (plain.residual, residual.residual) == (False, True)


@pytest.mark.parametrize("name", ["srcnn", "srn", "unet"])  # a denoiser's always is
def test_by_default_the_output_is_no_residual(name):
    assert not models.build(name, {}, seed=0).residual


@torch.no_grad()
@over_models
def test_what_a_model_says_of_itself_holds(rand, name):
    model = models.build(name, SMALL[name], seed=0).double().eval()
    y = rand(2, model.channels, 3 * model.multiple, 5 * model.multiple).double()
    assert model(y).shape == y.shape
    assert model.margin == 0
    torch.testing.assert_close(model(y)[1:], model(y[1:]))


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (12, 33)])
def test_srcnn_keeps_any_size(rand, size):
    assert models.SRCNN.multiple == 1
    y = rand(1, 1, *size)
    assert models.SRCNN()(y).shape == y.shape


@torch.no_grad()
@pytest.mark.parametrize(
    ("layers", "dilation"),
    [
        *((layers, None) for layers in srcnn.KERNELS),
        ("9-3-1-5", (1, 2, 1, 1)),
        ("9-3-1-5", (1, 3, 1, 1)),
        ("9-1-5", (2, 1, 3)),
    ],
)
@pytest.mark.parametrize("residual", [False, True])
def test_without_padding_srcnn_gives_the_inside_of_the_padded_one(rand, layers, dilation, residual):
    arguments = {"layers": layers, "channels": 2, "dilation": dilation, "residual": residual}
    padded, bare = (
        models.build("srcnn", arguments | {"padding": padding}, seed=0) for padding in (True, False)
    )
    margin = bare.receptive_field // 2
    assert (bare.margin, padded.margin) == (margin, 0)
    y = rand(2, 2, 29, 34)
    inside = padded(y)[..., margin : 29 - margin, margin : 34 - margin]
    assert bare(y).shape == (2, 2, 29 - 2 * margin, 34 - 2 * margin)
    torch.testing.assert_close(bare(y), inside, rtol=0, atol=1e-5)
    side = bare.receptive_field
    torch.testing.assert_close(
        bare(y[..., :side, 3 : 3 + side]), inside[..., :1, 3:4], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("deviation", [1e-3, 0.2])
def test_the_first_weights_are_normal_with_the_deviation_that_is_given(deviation):
    arguments = {"layers": "9-3-1-5", "widths": "released", "deviation": deviation}
    for layer in models.build("srcnn", arguments, seed=0).layers:
        weight = layer.weight.detach().double() / deviation
        off = 4 / weight.numel() ** 0.5
        assert weight.std().item() == pytest.approx(1, abs=off)
        assert weight.mean().item() == pytest.approx(0, abs=off)
        assert weight.pow(4).mean().item() == pytest.approx(3, abs=10 * off)  # even: 1.8
        assert not layer.bias.any()


def test_by_default_the_first_weights_are_pytorchs():
    model = models.build("srcnn", {"layers": "9-1-5"}, seed=3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        plain = [torch.nn.Conv2d(*sizes) for sizes in ((1, 64, 9), (64, 32, 1), (32, 1, 5))]
    for layer, own in zip(model.layers, plain, strict=True):
        assert torch.equal(layer.weight, own.weight)
        assert torch.equal(layer.bias, own.bias)


def test_files_know_that_a_network_is_without_padding(rand, tmp_path):
    model = models.build("srcnn", {"padding": False, "deviation": 0.1}, seed=0)
    models.save(model, tmp_path)
    loaded = models.load("srcnn", tmp_path)
    assert loaded.margin == 6
    y = rand(1, 1, 15, 17)
    assert torch.equal(loaded(y), model(y))


@torch.no_grad()
def test_unet_halves_three_times(rand):
    model = models.build("unet", SMALL["unet"], seed=0)
    assert model.multiple == 8
    seen = []
    model.bottom.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    assert model(rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert seen == [(1, 32, 1, 1)]
    with pytest.raises(RuntimeError):
        model(rand(1, 3, 12, 8))


def test_unet_doubles_its_width_at_each_level():
    model = models.UNet(width=6)
    widths = [block[-2].out_channels for block in (*model.encoder, model.bottom)]
    assert widths == [6, 12, 24, 48]
    assert models.UNet().encoder[0][0].out_channels == 32


@torch.no_grad()
@pytest.mark.parametrize("shift", [(8, 0), (0, 16), (-8, 8)])
def test_unet_moves_with_the_image_by_multiples_of_8(rand, shift):
    model = models.build("unet", SMALL["unet"], seed=0)
    y = rand(1, 3, 176, 176)
    moved = model(y.roll(shift, (2, 3)))
    inside = (..., slice(80, 96), slice(80, 96))
    torch.testing.assert_close(
        moved[inside], model(y).roll(shift, (2, 3))[inside], rtol=0, atol=1e-6
    )


def test_a_pixel_of_unet_depends_on_what_is_near_it_only():
    model = with_all_filters_alive(models.UNet(width=2, channels=1))
    reach = support(model, 176).abs().amax().item()
    assert 40 < reach < 72


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 1, 2])
def test_unet_uses_what_each_level_puts_beside(rand, level):
    model = models.build("unet", SMALL["unet"], seed=0).double()
    y = rand(1, 3, 16, 16).double()
    whole = model(y)
    beside = 4 * 2**level
    model.decoder[level][0].weight[:, -beside:] = 0
    assert (model(y) - whole).abs().max() > 1e-9


@torch.no_grad()
@over_models
def test_files_give_back_the_same_model_to_the_bit(rand, tmp_path, capsys, name):
    model = models.build(name, SMALL[name], seed=3).eval()
    models.save(model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    y = rand(1, model.channels, 16, 32)
    loaded = models.load(name, tmp_path)
    assert capsys.readouterr() == ("", "")
    assert not loaded.training
    assert torch.equal(loaded(y), model(y))
    again = models.MODELS[name].from_pretrained(tmp_path, local_files_only=True)
    assert torch.equal(again(y), model(y))
    for a, b, c in zip(*(m.parameters() for m in (model, loaded, again)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    written = json.loads((tmp_path / "config.json").read_text("utf-8"))
    defaults = {
        "srcnn": {"widths": "paper", "padding": True, "deviation": None},
        "srn": {
            "scales": 3,
            "recurrence": "lstm",
            "upsampling": "deconvolution",
            "flavour": "released",
        },
        "unet": {},
        "denoiser": {},
    }
    assert written == SMALL[name] | defaults[name]


def test_save_leaves_out_the_form_for_a_model_card_even_if_there_is_one(tmp_path):
    (tmp_path / "README.md").write_text("from a run before\n")
    models.save(models.SRCNN(), tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_weights_of_another_shape_are_not_loaded(tmp_path):
    models.save(models.SRCNN(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"widths": "released"}))
    with pytest.raises(InputError, match=r"another version .* size mismatch"):
        models.load("srcnn", tmp_path)


@over_models
def test_the_seed_alone_decides_the_first_weights(name):
    torch.manual_seed(1)
    one = models.build(name, SMALL[name], seed=0)
    torch.manual_seed(2)
    same, other = (models.build(name, SMALL[name], seed=seed) for seed in (0, 1))
    for a, b, c in zip(*(m.parameters() for m in (one, same, other)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c) == (a.ndim == 1 and not a.any())  # SRN's biases begin with 0


@over_models
def test_building_leaves_the_random_numbers_of_others_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models.build(name, SMALL[name], seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("resnet", {}, "model 'resnet' is none of denoiser, srcnn, srn, unet"),
        ("srcnn", {"width": 3}, "srcnn has no argument 'width'; it has layers, widths, channels"),
        ("unet", {"layers": "9-1-5"}, "unet has no argument 'layers'; it has width, channels"),
        ("unet", {"residual": True, "z": 1, "a": 1}, "no argument 'a'"),
        ("srcnn", {"layers": "9-9-9"}, "SRCNN '9-9-9' .* layers are 9-1-5, 9-3-1-5"),
        ("srcnn", {"widths": "large"}, "widths 'large'.* widths are paper, released"),
        ("srcnn", {"dilation": [1, 2]}, "SRCNN 9-1-5 needs 3 dilations of 1 or more"),
        ("srcnn", {"dilation": [1, 2, 0]}, "3 dilations of 1 or more"),
        ("srcnn", {"dilation": [1, 1, 1, 1]}, "3 dilations of 1 or more"),
        ("srcnn", {"layers": "9-3-1-5", "dilation": [1, 1, 1]}, "4 dilations"),
        ("srcnn", {"dilation": []}, "3 dilations"),
    ],
)
def test_wrong_names_and_arguments_are_named(name, arguments, named):
    with pytest.raises(InputError, match=named):
        models.build(name, arguments, seed=0)
