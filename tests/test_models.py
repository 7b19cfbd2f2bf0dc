"""The networks beside ones written with scipy: sizes, reach, first weights, files."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from deblurlib import images, models, psf, training
from deblurlib.edges import CANNY, canny
from deblurlib.errors import InputError
from deblurlib.models import autoencoder, srcnn
from deblurlib.models.recurrence import RECURRENCES
from deblurlib.models.srn import FLAVOURS, UPSAMPLINGS
from deblurlib.studies.srn.recipes import published

#: what a model takes beside ``y``
MORE = {"denoiser": (0.1,), "unrolled-rl": (psf.motion(5, 30, 5),)}
SMALL = {
    "autoencoder": {"width": 4, "upsampling": "sub-pixel", "skips": ["E1", "E4"]},
    "deblurnet": {"width": 4, "blocks": 2, "fourth": "predicted", "edges": {"width": 2}},
    "denoiser": {"width": 4, "depth": 3},
    "edgenet": {"width": 4, "stages": 3},
    "kernelnet": {"width": 2, "hidden": 4},
    "nafnet": {"width": 4, "encoder": [1, 1], "middle": 1, "decoder": [1, 1]},
    "srcnn": {"layers": "9-3-1-5", "channels": 3, "dilation": [1, 2, 1, 1], "residual": True},
    "srn": {"width": 4, "channels": 3, "residual": False},
    "unet": {"width": 4, "channels": 3, "residual": True},
    "unrolled-rl": {"width": 4, "depth": 2, "steps": 2, "iterations": 2, "kernel_error": 0.5},
}
#: S3's table: channels taken and made, kernel, stride, side of the output
ENCODER = [
    (3, 64, 3, 1, 62),
    (64, 128, 3, 2, 30),
    (128, 256, 3, 1, 28),
    (256, 512, 3, 2, 13),
    (512, 512, 3, 1, 11),
]
DECODER = [
    (512, 128, 3, 1, 13),  # concatenated with E4, the output of the encoder's fourth layer
    (640, 128, 4, 2, 28),  # with E3
    (384, 64, 3, 1, 30),  # with E2
    (192, 32, 3, 2, 61),
    (32, 16, 2, 1, 62),  # with E1
    (80, 3, 3, 1, 64),
]
JOINED = ["E4", "E3", "E2", None, "E1", None]
over_models = pytest.mark.parametrize("name", models.MODELS)


def build(name, seed=0, **arguments):
    return models.build(name, arguments, seed)


def srn(seed=0, **arguments):
    return build("srn", seed, **{"width": 2, **arguments})


@torch.no_grad()
def lively(model, seed=0):
    """Weights and biases of some size everywhere, so that nothing is 0 by its first value."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.normal_(0, 0.15, generator=generator)
    return model


# --- sizes


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        # S1's text; the paper of SRCNN counts the 8032 weights without the 97 biases
        ("srcnn", {"layers": "9-1-5", "widths": "released", "channels": 3}, 44291),
        ("srcnn", {"layers": "9-3-1-5", "widths": "released", "channels": 3}, 109507),
        ("srcnn", {"layers": "9-1-1-1-5", "widths": "released", "channels": 3}, 43299),
        ("srcnn", {}, 8032 + 97),
        # what the released code of SRN makes
        ("srn", {}, 8061411),
        ("srn", {"channels": 1}, 8056609),
        ("srn", {"recurrence": "none"}, 6881251),
        # the sum over S3's table
        ("autoencoder", {}, 6092387),
        # ours, and what chapter 03 says of them
        ("edgenet", {"width": 16, "stages": 3}, 72199),
        ("deblurnet", {}, 84131),
        ("deblurnet", {"fourth": "zero"}, 84131 + 16 * 9),
        ("deblurnet", {"fourth": "sharp"}, 84275),
        ("deblurnet", {"fourth": "predicted", "edges": {}}, 84275 + 72199),
        ("deblurnet", {"width": 22}, 158447),
        ("kernelnet", {}, 129881),
        ("unrolled-rl", {}, 6 * (4 * 32 + 2 * 32 * 32 + 32) * 9 + 6),
        ("unrolled-rl", {"shared": True}, (4 * 32 + 2 * 32 * 32 + 32) * 9 + 6),
    ],
)
def test_networks_have_as_many_parameters_as_is_said_of_them(name, arguments, count):
    assert models.parameter_count(build(name, **arguments)) == count


def sizes_of(model, y):
    """Channels taken and made, kernel, stride and the output's side, of each convolution."""
    found = []

    def note(layer, _, output):
        (kernel, _), (stride, _) = layer.kernel_size, layer.stride
        sizes = (layer.in_channels, layer.out_channels, kernel, stride, output.shape[-1])
        found.append((type(layer), sizes))

    hooks = [layer.register_forward_hook(note) for layer in convolutions(model).values()]
    model(y)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
@pytest.mark.parametrize("width", [64, 4])
def test_every_layer_of_the_autoencoder_is_that_of_s3s_table_or_narrower_in_proportion(rand, width):
    found = sizes_of(build("autoencoder", width=width), rand(1, 3, 64, 64))
    assert [kind for kind, _ in found] == [torch.nn.Conv2d] * 5 + [torch.nn.ConvTranspose2d] * 6
    for (_, sizes), (*channels, kernel, stride, side) in zip(found, ENCODER + DECODER, strict=True):
        narrow = [count if count == 3 else count * width // 64 for count in channels]
        assert sizes == (*narrow, kernel, stride, side)


@torch.no_grad()
@pytest.mark.parametrize("upsampling", autoencoder.UPSAMPLINGS)
def test_an_autoencoder_takes_every_multiple_of_4_from_its_least_on(rand, upsampling):
    model = build("autoencoder", width=4, upsampling=upsampling)
    least = 24 if upsampling == "source" else 4
    assert model.least == least
    for height in range(least, least + 20, 4):
        y = rand(1, 3, height, least + 4)
        assert model(y).shape == y.shape
    for sides in ((least - 4, least), (least, least + 2), (least + 1, least)):
        with pytest.raises(InputError, match="must be multiples of 4"):
            model(rand(1, 3, *sides))


@torch.no_grad()
@pytest.mark.parametrize("upsampling", autoencoder.UPSAMPLINGS[1:])
def test_a_variant_of_the_autoencoder_halves_and_doubles_a_side_or_keeps_it(rand, upsampling):
    model, sides = build("autoencoder", width=4, upsampling=upsampling), []
    for layer in (*model.encoder, *model.decoder):
        layer.register_forward_hook(lambda *of: sides.append(of[-1].shape[-1]))
    model(rand(1, 3, 64, 64))
    assert sides == [64, 32, 32, 16, 16, 16, 32, 32, 64, 64, 64]


@pytest.mark.parametrize("widths", srcnn.WIDTHS)
@pytest.mark.parametrize("layers", srcnn.KERNELS)
def test_an_srcnns_name_is_the_sides_of_its_kernels_and_its_widths_fall(layers, widths):
    convolutions = models.SRCNN(layers, widths, channels=3).layers
    sides = [c.kernel_size for c in convolutions]
    assert sides == [(int(side),) * 2 for side in layers.split("-")]
    hidden = [c.out_channels for c in convolutions[:-1]]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[0] == {"paper": 64, "released": 128}[widths]


def test_only_what_is_trained_is_counted():
    model = models.SRCNN()
    whole = models.parameter_count(model)
    model.layers[1].requires_grad_(False)
    assert models.parameter_count(model) == whole - 64 * 32 - 32


def test_the_scales_of_srn_share_all_weights():
    one, three = (srn(scales=scales).named_parameters() for scales in (1, 3))
    assert {k: p.shape for k, p in one} == {k: p.shape for k, p in three}


@pytest.mark.parametrize("kernel", [3, 5])
def test_srn_without_shortcuts_has_as_many_weights(kernel):
    plain, residual = (srn(kernel=kernel, shortcuts=given) for given in (False, True))
    assert models.parameter_count(plain) == models.parameter_count(residual)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments", "multiple"),
    [("unet", {}, 8), ("srn", {"scales": 1}, 4), ("srn", {}, 16), ("denoiser", {}, 2)],
)
def test_the_sides_are_multiples_of_what_a_model_says(rand, name, arguments, multiple):
    model = build(name, **SMALL[name] | arguments).eval()
    assert model.multiple == multiple
    for sides in ((multiple, 3 * multiple // 2), (3 * multiple // 2, multiple)):
        with pytest.raises(RuntimeError):
            model(rand(1, model.channels, *sides), *MORE.get(name, ()))


@torch.no_grad()
@pytest.mark.parametrize("name", [n for n in models.MODELS if n != "kernelnet"])
def test_a_model_keeps_the_size_and_the_images_of_a_batch_do_not_meet(rand, name):
    model = build(name, **SMALL[name]).double().eval()
    y = rand(2, model.channels, 3 * model.multiple, 5 * model.multiple).double()
    whole, second = (model(z, *MORE.get(name, ())) for z in (y, y[1:]))
    assert whole.shape == (2, 1 if name == "edgenet" else y.shape[1], *y.shape[2:])
    assert model.margin == 0
    torch.testing.assert_close(whole[1:], second)


@torch.no_grad()
def test_srn_remembers_nothing_from_one_image_to_the_next(rand):
    used, fresh = lively(srn()).eval(), lively(srn()).eval()
    for shape in ((1, 3, 32, 32), (2, 3, 16, 48)):
        used(rand(*shape, seed=1))
    y = rand(2, 3, 16, 48)
    assert torch.equal(used(y), fresh(y))


# --- how far they see


@torch.no_grad()
def positive(model):
    """No bias, and positive weights too small to let anything grow: of 0 comes exactly 0, and of
    what is more than 0 comes more, all along the way."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.zero_()
        else:
            parameter.uniform_(0.1, 1, generator=generator).div_(parameter[0].numel())
    return model.double()


@torch.no_grad()
def furthest(model, across=True):
    """How many pixels away one changes the output, at most: exactly, with :func:`positive`.

    All pixels from a column on are raised from 0: what then is not 0 depends on one of them, the
    leftmost that is not on that column. Nothing is lost to rounding, for beside it there is only 0.
    Then all pixels up to it are, for what lies to the right. The columns are as many as there are
    ways to lie on the grid of the coarsest scale.
    """
    side = max(model.multiple, getattr(model, "least", 1))
    begin = side * math.ceil((model.receptive_field // 2 + side) / side)
    y, far = torch.zeros(1, model.channels, side, 2 * begin).double(), 0
    for column in range(begin, begin + model.multiple):
        y.zero_()[..., column:] = 1
        for z, edge in ((y, column), (1 - y, column - 1)):
            x_hat = model(z) if across else model(z.mT).mT
            reached = (x_hat * (1 - z)).sum((0, 1, 2)).nonzero()
            far = max(far, (reached - edge).abs().max().item())
    return far


#: a model and the least share of its receptive field that a pixel does depend on
RECEPTIVE_FIELDS = [
    ("srcnn", {"layers": "9-1-5"}, 1),
    ("srcnn", {"layers": "9-5-1-5"}, 1),
    ("srcnn", {"layers": "9-3-1-5", "dilation": (1, 2, 1, 1)}, 1),
    ("srcnn", {"layers": "9-1-5", "dilation": (2, 7, 1)}, 1),
    ("unet", {"width": 1}, 0.75),
    ("srn", {"scales": 1, "recurrence": "rnn", "upsampling": "sub-pixel"}, 0.9),
    ("srn", {"scales": 1, "recurrence": "gru", "flavour": "paper"}, 0.9),
    ("srn", {"scales": 2, "recurrence": "none", "upsampling": "bilinear"}, 0.9),
    ("srn", {"scales": 2, "recurrence": "lstm", "upsampling": "bilinear", "flavour": "paper"}, 0.9),
    ("srn", {"scales": 2, "recurrence": "gru", "upsampling": "sub-pixel"}, 0.9),
    ("srn", {"scales": 3, "recurrence": "lstm"}, 0.9),
    ("srn", {"scales": 2, "shortcuts": False}, 0.9),
    ("srn", {"scales": 2, "between": "deconvolution"}, 0.9),
    ("srn", {"scales": 2, "between": "sub-pixel"}, 0.9),
    ("srn", {"scales": 2, "kernel": 3}, 0.85),
    ("srn", {"scales": 1, "kernel": 7, "upsampling": "sub-pixel"}, 0.9),
    ("srn", {"scales": 1, "kernel": 7, "upsampling": "bilinear"}, 0.9),
    ("edgenet", {"width": 1}, 0.9),
    ("edgenet", {"width": 1, "stages": 1}, 1),
    ("edgenet", {"width": 1, "stages": 4}, 0.9),
    ("deblurnet", {"width": 1}, 0.9),
    ("deblurnet", {"width": 1, "blocks": 1}, 1),
    *(
        ("autoencoder", {"width": 4, "upsampling": way, "output": "linear"}, 1)
        for way in autoencoder.UPSAMPLINGS
    ),
]


@pytest.mark.parametrize(("name", "arguments", "share"), RECEPTIVE_FIELDS)
def test_a_pixel_depends_on_the_square_that_is_named_at_most_and_not_much_less(
    name, arguments, share
):
    small = {"width": 1} if name == "srn" else {}
    model = positive(build(name, **small, channels=1, **arguments)).eval()
    bound = model.receptive_field // 2
    far = furthest(model)
    assert share * bound <= far <= bound
    assert furthest(model, across=False) == far


# --- whole networks, written anew


def relu(z):
    return np.maximum(z, 0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def convolve(z, layer):
    """A layer by scipy: zeros outside, as many pixels as before."""
    weight = layer.weight.detach().double().numpy()
    (d, _), side = layer.dilation, weight.shape[-1]
    spread = np.zeros((*weight.shape[:2], *[1 + (side - 1) * d] * 2))
    spread[..., ::d, ::d] = weight
    summed = [
        sum(signal.correlate2d(c, k, mode="same") for c, k in zip(z, kernels, strict=True))
        for kernels in spread
    ]
    return np.stack(summed) + layer.bias.detach().double().numpy()[:, None, None]


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
@pytest.mark.parametrize(
    "arguments",
    [
        {"layers": "9-1-5"},
        {"layers": "9-3-1-5", "dilation": (1, 2, 1, 1), "residual": True},
    ],
)
def test_srcnn_equals_correlations_by_scipy(rand, arguments):
    model = build("srcnn", channels=2, **arguments)
    y = rand(1, 2, 12, 15)
    z = y[0].double().numpy()
    for layer in model.layers[:-1]:
        z = relu(convolve(z, layer))
    z = convolve(z, model.layers[-1]) + arguments.get("residual", 0) * y[0].numpy()
    np.testing.assert_allclose(model(y)[0].numpy(), z, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments",
    [
        {"layers": "9-1-1-1-5"},
        {"layers": "9-3-1-5", "dilation": (1, 3, 1, 1), "residual": True},
        {"layers": "9-1-5", "dilation": (2, 1, 3)},
    ],
)
def test_without_padding_srcnn_gives_the_inside_of_the_padded_one(rand, arguments):
    padded, bare = (
        build("srcnn", channels=2, padding=padding, **arguments) for padding in (True, False)
    )
    margin = bare.receptive_field // 2
    assert (bare.margin, padded.margin) == (margin, 0)
    y = rand(2, 2, 29, 34)
    inside = padded(y)[..., margin : 29 - margin, margin : 34 - margin]
    torch.testing.assert_close(bare(y), inside, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("arguments", [{}, {"residual": True}])
def test_unet_equals_one_written_with_scipy(rand, arguments):
    model = build("unet", width=3, channels=2, **arguments)
    y = rand(1, 2, 16, 24)

    def twice(z, block):
        return relu(convolve(relu(convolve(z, block[0])), block[2]))

    z, levels = y[0].double().numpy(), []
    for block in model.encoder:
        levels.append(twice(z, block))
        z = halved(levels[-1])
    assert [len(level) for level in levels] == [3, 6, 12]
    z = twice(z, model.bottom)
    for block in reversed(model.decoder):  # the finest is the first
        z = twice(np.concatenate([doubled(z), levels.pop()]), block)
    z = convolve(z, model.last) + arguments.get("residual", 0) * y[0].numpy()
    np.testing.assert_allclose(model(y)[0].numpy(), z, rtol=0, atol=1e-5)


def upsampled(z, layers, upsampling):
    if upsampling == "sub-pixel":
        z = convolve(z, layers[0])
        channels, height, width = z.shape
        parts = z.reshape(channels // 4, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
        return parts.reshape(channels // 4, 2 * height, 2 * width)
    if upsampling == "bilinear":
        return convolve(doubled(z), layers[1])
    weight = layers[0].weight.detach().double().numpy()
    height, width = 2 * z.shape[1], 2 * z.shape[2]
    spread = np.zeros((len(z), height - 1, width - 1))
    spread[:, ::2, ::2] = z
    begin = {3: 1, 4: 1, 5: 2}[weight.shape[-1]]
    summed = [
        sum(signal.convolve2d(c, k) for c, k in zip(spread, kernels, strict=True))
        for kernels in weight.swapaxes(0, 1)
    ]
    cut = np.stack(summed)[:, begin : begin + height, begin : begin + width]
    return cut + layers[0].bias.detach().double().numpy()[:, None, None]


def spread_out(z, layer, stride):
    """A transposed convolution that cuts nothing off."""
    spread = np.zeros((len(z), *[stride * (side - 1) + 1 for side in z.shape[1:]]))
    spread[:, ::stride, ::stride] = z
    summed = [
        sum(signal.convolve2d(c, k) for c, k in zip(spread, kernels, strict=True))
        for kernels in layer.weight.double().numpy().swapaxes(0, 1)
    ]
    return np.stack(summed) + layer.bias.double().numpy()[:, None, None]


def autoencoder_by_hand(model, y, upsampling, skips):
    z, seen = y, {}
    for i, (layer, (*_, stride, _)) in enumerate(zip(model.encoder, ENCODER, strict=True)):
        z = convolve(z, layer)
        z = z[:, 1:-1, 1:-1] if upsampling == "source" else z
        seen[f"E{i + 1}"] = z = relu(z[:, ::stride, ::stride])
    for block, (*_, stride, _), name in zip(model.decoder, DECODER, JOINED, strict=True):
        if upsampling == "source":
            z = spread_out(z, block[0], stride)
        elif stride == 1:
            z = convolve(z, block[0])
        elif upsampling == "resize":
            z = convolve(z.repeat(2, 1).repeat(2, 2), block[1])
        else:
            z = upsampled(z, block, upsampling.removesuffix("-3"))
        z = z if block is model.decoder[-1] else relu(z)
        if name in skips:
            z = np.concatenate([z, seen[name]])
    return z


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments",
    [
        *({"upsampling": way} for way in autoencoder.UPSAMPLINGS),
        *({"skips": skips} for skips in ([], ["E2"], ["E3", "E1", "E4"])),
        {"upsampling": "resize", "skips": ["E1"], "channels": 1},
        {"output": "linear"},
        {"values": "imagenet"},
        {"values": "imagenet", "output": "linear"},
    ],
    ids=str,
)
def test_autoencoder_equals_one_written_with_scipy(rand, arguments):
    model = lively(build("autoencoder", width=4, **arguments)).double()
    y = rand(1, model.channels, 28, 32).double()
    how = {"upsampling": "source", "skips": autoencoder.SKIPS, "output": "sigmoid"} | arguments
    inside = images.standardise if "values" in how else lambda image: image
    outside = images.from_standardised if "values" in how else lambda image: image
    z = autoencoder_by_hand(model, inside(y)[0].numpy(), how["upsampling"], how["skips"])
    assert z.std() > 1e-2
    expected = torch.from_numpy(sigmoid(z) if how["output"] == "sigmoid" else z)
    torch.testing.assert_close(model(y)[0], outside(expected), rtol=0, atol=1e-10)


def rnn_by_hand(z, h, cell):
    h = np.zeros_like(z) if h is None else h
    h = np.tanh(convolve(np.concatenate([z, h]), cell.conv))
    return h, h


def gru_by_hand(z, h, cell):
    """Cho et al., 2014: where the update gate is open the state stays as it was."""
    h, count = np.zeros_like(z) if h is None else h, len(z)
    gates = sigmoid(convolve(np.concatenate([z, h]), cell.gates))
    update, reset = gates[:count], gates[count:]
    new = np.tanh(convolve(np.concatenate([z, reset * h]), cell.candidate))
    h = update * h + (1 - update) * new
    return h, h


def lstm_by_hand(z, state, cell):
    """1 is added to the forget gate, so that a fresh cell forgets little."""
    count = len(z)
    c, h = (np.zeros_like(z),) * 2 if state is None else (state[:count], state[count:])
    i, j, f, o = convolve(np.concatenate([z, h]), cell.conv).reshape(4, *z.shape)
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    h = sigmoid(o) * np.tanh(c)
    return h, np.concatenate([c, h])


CELLS = {
    "none": lambda z, state, cell: (z, None),
    "rnn": rnn_by_hand,
    "gru": gru_by_hand,
    "lstm": lstm_by_hand,
}


def srn_by_hand(model, y, recurrence, upsampling, shortcuts, between):
    count = 3 if shortcuts else 2 * 6  # modules: blocks, or convolutions and what follows each

    def blocks(z, modules):
        if not shortcuts:
            for layer in modules[::2]:
                z = relu(convolve(z, layer))
            return z
        for block in modules:
            z = z + convolve(relu(convolve(z, block.first)), block.second)
        return z

    def encoded(z, block, stride):
        return blocks(relu(convolve(z, block[0])[:, ::stride, ::stride]), block[2 : 2 + count])

    def decoded(z, block):
        return relu(upsampled(blocks(z, block[:count]), block[count:-1], upsampling))

    def enlarged(z, layer):
        if between == "bilinear":
            return doubled(z)
        return upsampled(z, [layer] if between == "deconvolution" else layer, between)

    pyramid = [y]
    for _ in range(model.scales - 1):
        (c, h, w), fine = pyramid[-1].shape, pyramid[-1]
        pyramid.append(fine.reshape(c, h // 2, 2, w // 2, 2).mean((2, 4)))
    x_hats, state = [], None
    for b in reversed(pyramid):
        before = enlarged(x_hats[0], model.enlarge_image) if x_hats else b
        full = encoded(np.concatenate([b, before]), model.inblock, 1)
        half = encoded(full, model.eblock1, 2)
        quarter = encoded(half, model.eblock2, 2)
        state = None if state is None else enlarged(state, model.enlarge_state)
        z, state = CELLS[recurrence](quarter, state, model.recurrence)
        z = decoded(decoded(z, model.dblock2) + half, model.dblock1) + full
        z = convolve(blocks(z, model.outblock[:count]), model.outblock[count])
        x_hats.insert(0, b + z if model.residual else z)
    return x_hats


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments",
    [
        *({"recurrence": name} for name in RECURRENCES),
        {"scales": 3, "flavour": "paper"},
        {"upsampling": "sub-pixel", "residual": True},
        {"upsampling": "bilinear", "flavour": "paper", "recurrence": "gru"},
        {"channels": 1, "residual": True, "flavour": "paper", "recurrence": "rnn"},
        {"shortcuts": False},
        {"kernel": 3, "upsampling": "sub-pixel", "between": "deconvolution"},
        {"between": "sub-pixel", "recurrence": "rnn"},
    ],
    ids=str,
)
def test_srn_equals_one_written_with_scipy(rand, arguments):
    arguments = {"channels": 2, "scales": 2, **arguments}
    model = lively(srn(**arguments)).double()
    y = rand(1, arguments["channels"], 16, 32).double()
    how = {"recurrence": "lstm", "upsampling": "deconvolution", "shortcuts": True}
    how = {key: arguments.get(key, how.get(key, "bilinear")) for key in (*how, "between")}
    x_hats = model(y)  # in training, an image a scale
    expected = srn_by_hand(model, y[0].numpy(), **how)
    for x_hat, wanted in zip(x_hats, expected, strict=True):
        assert np.abs(wanted).max() > 1e-2
        np.testing.assert_allclose(x_hat[0].numpy(), wanted, rtol=0, atol=1e-10)
    assert torch.equal(model.eval()(y), x_hats[0])


@pytest.mark.parametrize("recurrence", RECURRENCES)
def test_between_scales_gradients_flow_through_the_state_but_not_the_image(rand, recurrence):
    model = lively(srn(recurrence=recurrence))
    states = []
    model.recurrence.register_forward_hook(lambda *of: states.append(of[-1][1]))
    x_hats = model(rand(1, 3, 16, 16))
    states = [state for state in states[:-1] if state is not None]  # nothing uses the last
    assert len(states) == (0 if recurrence == "none" else 2)
    for z in (*x_hats[1:], *states):
        z.retain_grad()
    x_hats[0].sum().backward()
    assert all(x_hat.grad is None for x_hat in x_hats[1:])
    assert all(state.grad.any() for state in states)


# --- edges beside an image


@torch.no_grad()
def test_edgenet_equals_one_written_with_scipy(rand):
    model = lively(build("edgenet", width=2, stages=3, channels=2)).double()
    y = rand(1, 2, 12, 20).double()
    z, sides = y[0].numpy(), []
    for i, (stage, side) in enumerate(zip(model.stages, model.sides, strict=True)):
        z = halved(z) if i else z
        z = relu(convolve(relu(convolve(z, stage[0])), stage[2]))
        weight = side.weight[:, :, 0, 0].numpy()
        sides.append(np.einsum("oc,chw->ohw", weight, z) + side.bias.item())
    assert [side.shape for side in sides] == [(1, 12, 20), (1, 6, 10), (1, 3, 5)]
    large = [sides[0], doubled(sides[1]), enlarged_four_times(sides[2])]
    fused = np.tensordot(model.fuse.weight[0, :, 0, 0].numpy(), np.concatenate(large), 1)
    expected = [fused[None] + model.fuse.bias.item(), *large]
    for map_, wanted in zip(model(y), expected, strict=True):
        np.testing.assert_allclose(map_[0].numpy(), wanted, rtol=0, atol=1e-10)
    assert torch.equal(model.eval()(y), model.maps(y)[0])


def enlarged_four_times(z):
    """Bilinear, pixels' centres on each other's grid, the edge repeated."""
    for axis in (1, 2):
        count = z.shape[axis]
        at = np.clip((np.arange(4 * count) + 0.5) / 4 - 0.5, 0, count - 1)
        left = np.floor(at).astype(int)
        right, share = np.minimum(left + 1, count - 1), at - left
        share = share.reshape(-1, *[1] * (2 - axis))
        z = (1 - share) * z.take(left, axis) + share * z.take(right, axis)
    return z


@torch.no_grad()
@pytest.mark.parametrize(("stages", "multiple"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_the_coarsest_side_output_divides_an_image_and_deblurnet_follows(rand, stages, multiple):
    edges, seen = build("edgenet", width=1, stages=stages), []
    edges.sides[-1].register_forward_hook(lambda *of: seen.append(of[-1].shape[-2:]))
    edges(rand(1, 3, multiple, 3 * multiple))
    assert (edges.multiple, seen) == (multiple, [(1, 3)])
    arguments = {"fourth": "predicted", "edges": {"width": 1, "stages": stages}}
    assert build("deblurnet", **arguments).multiple == max(4, multiple)


def test_untrained_an_edge_map_is_the_mean_of_its_side_outputs(rand):
    model = build("edgenet")
    fused, *sides = model(rand(2, 3, 16, 24))
    torch.testing.assert_close(fused, sum(sides) / 3, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("fourth", ["none", "sharp", "predicted"])
def test_deblurnet_equals_one_written_with_scipy(rand, fourth):
    edges = {"width": 2} if fourth == "predicted" else None
    model = lively(build("deblurnet", width=2, blocks=2, fourth=fourth, edges=edges)).double()
    y, x = rand(2, 3, 16, 24).double().split(1)
    z, taken = y[0].numpy(), (y, x) if fourth == "sharp" else (y,)
    if fourth == "predicted":
        z = np.concatenate([z, sigmoid(model.edges.eval()(y)[0].numpy())])
    if fourth == "sharp":
        z = np.concatenate([z, canny(x, **CANNY)[0].numpy()])
    z = relu(convolve(relu(convolve(z, model.first)), model.down)[:, ::2, ::2])
    for block in model.blocks:
        z = z + convolve(relu(convolve(z, block.first)), block.second)
    z = relu(convolve(z.repeat(2, 1).repeat(2, 2), model.up))
    z = y[0].numpy() + convolve(z, model.last)
    np.testing.assert_allclose(model(*taken)[0].numpy(), z, rtol=0, atol=1e-10)


@torch.no_grad()
def test_what_lies_beside_the_image_is_what_is_said(rand):
    y, x = rand(2, 3, 16, 16), rand(2, 3, 16, 16, seed=1)
    own = {"low": 50, "high": 90}
    expected = {"zero": torch.zeros(2, 1, 16, 16), "blurred": canny(y, **own)}
    expected["sharp"] = canny(x, **own)
    assert not torch.equal(expected["sharp"], expected["blurred"])
    for fourth, wanted in expected.items():
        model = build("deblurnet", fourth=fourth, canny=own)
        assert model.takes == (("y", "x") if fourth == "sharp" else ("y",))
        assert torch.equal(model.beside(y, x, []), wanted)
    assert build("deblurnet").beside(y, x, []) is None
    with pytest.raises(InputError, match="shown the edges of the sharp image"):
        build("deblurnet", fourth="sharp")(y)


@pytest.mark.parametrize("supervised", [False, True])
def test_a_supervised_network_gives_its_edges_too_while_it_is_trained(rand, supervised):
    arguments = {"fourth": "predicted", "edges": {"width": 2}, "supervised": supervised}
    model, y = build("deblurnet", **arguments), rand(1, 3, 8, 8)
    output = model(y)
    if supervised:
        assert [z.shape[1] for z in output] == [3, 1, 1, 1, 1]
        for map_, own in zip(output[1:], model.edges.maps(y), strict=True):
            assert torch.equal(map_, own)
        output = output[0]
    output.sum().backward()  # the image's loss, too, moves the edges
    assert model.edges.stages[0][0].weight.grad.any()
    assert torch.equal(model.eval()(y), output)


# --- the first weights


@over_models
def test_the_seed_alone_decides_the_first_weights_and_others_draw_as_before(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build(name, **SMALL[name])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = (build(name, seed, **SMALL[name]) for seed in (0, 1))
    for a, b, c in zip(*(m.parameters() for m in (one, same, other)), strict=True):
        assert torch.equal(a, b)
        # biases begin with 0, norms with 1; the weights of EdgeNet's side outputs are equal
        alike = a.numel() > 1 and bool((a == a.flatten()[0]).all())
        equal = alike or (a.ndim == 1 and not a.any())
        assert torch.equal(a, c) == equal


def test_srcnns_first_weights_are_normal_with_the_deviation_that_is_given():
    for layer in build("srcnn", layers="9-3-1-5", widths="released", deviation=1e-3).layers:
        weight = layer.weight.detach().double() / 1e-3
        off = 4 / weight.numel() ** 0.5
        assert weight.std().item() == pytest.approx(1, abs=off)
        assert weight.mean().item() == pytest.approx(0, abs=off)
        assert weight.pow(4).mean().item() == pytest.approx(3, abs=10 * off)  # even: 1.8
        assert not layer.bias.any()


def convolutions(model):
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    return {name: m for name, m in model.named_modules() if isinstance(m, kinds)}


@pytest.mark.parametrize(
    ("recurrence", "flavour", "upsampling"),
    [
        ("lstm", "released", "deconvolution"),
        ("gru", "paper", "deconvolution"),
        ("rnn", "released", "sub-pixel"),
    ],
)
def test_srns_first_weights_are_xaviers_but_for_the_released_recurrence(
    recurrence, flavour, upsampling
):
    model = srn(width=8, recurrence=recurrence, flavour=flavour, upsampling=upsampling)
    found = convolutions(model)
    assert len(found) == 3 + 2 * 18 + 2 + 1 + (2 if recurrence == "gru" else 1)
    for name, layer in found.items():
        weight = layer.weight.detach()
        assert not layer.bias.any()
        if name.startswith("recurrence.") and flavour == "released":
            assert 1.9e-3 < weight.abs().max() <= 2e-3
            # a normal distribution cut off at two deviations; an even one has 1.15
            assert weight.std().item() == pytest.approx(0.8796e-3, rel=0.02)
            assert weight.mean().item() == pytest.approx(0, abs=2e-5)
        else:  # even; the sum of both fans does not care which is which
            bound = math.sqrt(6 / (sum(weight.shape[:2]) * weight[0, 0].numel()))
            assert 0.95 * bound < weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@torch.no_grad()
def test_untrained_and_residual_srn_changes_nothing(rand):
    model, y = srn(residual=True), rand(2, 3, 16, 32)
    for x_hat, side in zip(model(y), (1, 2, 4), strict=True):
        torch.testing.assert_close(x_hat, torch.nn.functional.avg_pool2d(y, side))
    assert not torch.equal(srn().eval()(y), y)


@pytest.mark.parametrize("kernel", [5, 7])
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_flavour_says_the_kernels_of_two_layers_all_others_are_as_given(
    flavour, upsampling, kernel
):
    changing = ("dblock2.3", "dblock1.3") if upsampling == "deconvolution" else ()
    released = {"recurrence.conv": 3, **dict.fromkeys(changing, 4)}
    sides = released if flavour == "released" else dict.fromkeys(released, 5)
    how = {"flavour": flavour, "upsampling": upsampling, "kernel": kernel}
    for name, layer in convolutions(srn(**how)).items():
        assert layer.kernel_size == (sides.get(name, kernel),) * 2
        assert layer.stride == ((2, 2) if name in ("eblock1.0", "eblock2.0", *changing) else (1, 1))
        assert isinstance(layer, torch.nn.ConvTranspose2d) == (name in changing)


# --- files and arguments


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments"), [*SMALL.items(), ("srcnn", {"padding": False, "deviation": 0.1})]
)
def test_files_give_back_the_same_model_to_the_bit(rand, tmp_path, capsys, name, arguments):
    model = build(name, 3, **arguments).eval()
    (tmp_path / "README.md").write_text("a form for a model card\n")
    models.save(model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    y = rand(1, model.channels, 32, 48)
    loaded = models.load(name, tmp_path)
    assert capsys.readouterr() == ("", "")
    assert not loaded.training
    assert loaded.margin == model.margin
    again = models.MODELS[name].from_pretrained(tmp_path, local_files_only=True)
    for other in (loaded, again):
        assert torch.equal(*(each(y, *MORE.get(name, ())) for each in (other, model)))
        for a, b in zip(model.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_weights_of_another_shape_are_not_loaded(tmp_path):
    models.save(models.SRCNN(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"widths": "released"}))
    with pytest.raises(InputError, match=r"another version .* size mismatch"):
        models.load("srcnn", tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("resnet", {}, "'resnet' is none of autoencoder, deblurnet"),
        ("srcnn", {"width": 3}, "srcnn has no argument 'width'; it has layers"),
        ("unet", {"residual": True, "z": 1, "a": 1}, "no argument 'a'"),
        ("srcnn", {"layers": "9-9-9"}, "'9-9-9' .* layers are 9-1-5"),
        ("srcnn", {"widths": "large"}, "'large'.* widths are paper"),
        ("srcnn", {"dilation": [1, 2]}, "needs 3 dilations"),
        ("srcnn", {"dilation": [1, 2, 0]}, "3 dilations of 1 or more"),
        ("srcnn", {"dilation": []}, "3 dilations"),
        ("srn", {"recurrence": None}, "recurrence None is none of none, rnn"),
        ("srn", {"upsampling": "nearest"}, "upsampling 'nearest' is none of deconvolution"),
        ("srn", {"between": "nearest"}, "between 'nearest' is none of deconvolution"),
        ("srn", {"flavour": "mine"}, "flavour 'mine' is none of released"),
        ("srn", {"width": 0}, "1 or more, not 0 and 3"),
        ("srn", {"scales": 0}, "1 or more, not 32 and 0"),
        ("srn", {"kernel": 4}, "a kernel of odd side, not 4"),
        ("srn", {"kernel": -1}, "a kernel of odd side, not -1"),
        ("autoencoder", {"width": 6}, "a multiple of 4, not 6"),
        ("autoencoder", {"width": 0}, "a multiple of 4, not 0"),
        ("autoencoder", {"upsampling": "bilinear"}, "upsampling 'bilinear' is none of source"),
        ("autoencoder", {"output": "tanh"}, "output 'tanh' is none of sigmoid"),
        ("autoencoder", {"values": "bytes"}, "values 'bytes' is none of unit"),
        ("autoencoder", {"skips": ["E5"]}, "no skip 'E5'; there are E1"),
        ("autoencoder", {"skips": "E1"}, "no skip"),
        ("autoencoder", {"values": "imagenet", "channels": 1}, "three channels"),
        ("unrolled-rl", {"steps": 0}, "1 or more, not 0"),
        ("unrolled-rl", {"depth": 1}, "2 or more, not 1"),
        ("unrolled-rl", {"kernel_error": 1.5}, r"in 0\.\.1, not 1\.5"),
        ("edgenet", {"stages": 0}, "1 or more, not 16 and 0"),
        ("deblurnet", {"width": 0}, "1 or more, not 0"),
        ("deblurnet", {"fourth": "drawn"}, "'drawn' is none of none, zero, blurred, sharp, pred"),
        ("deblurnet", {"fourth": "predicted"}, "edges are given for fourth='predicted' alone"),
        ("deblurnet", {"edges": {}}, "edges are given for fourth='predicted' alone"),
        ("deblurnet", {"supervised": True}, "only predicted edges can be supervised"),
        ("deblurnet", {"fourth": "sharp", "canny": {"lower": 1}}, "Canny has no argument 'lower'"),
        ("deblurnet", {"fourth": "blurred", "canny": {"high": 1}}, "not 100.0 and 1"),
    ],
)
def test_wrong_names_and_arguments_are_named(name, arguments, named):
    with pytest.raises(InputError, match=named):
        models.build(name, arguments, seed=0)


# --- SRN's training, as its paper has it


@pytest.mark.parametrize(
    ("share", "rate"), [(0, 1e-4), (0.5, 8.1e-5), (0.9, 5.0e-5), (0.99, 2.5e-5)]
)
def test_the_rate_falls_late_as_the_papers_schedule_has_it(share, rate):
    recipe = published("full")
    step = round(share * recipe["steps"])
    factor = training.rate_factor(recipe["schedule"], step, recipe["steps"])
    assert recipe["optimiser"]["lr"] * factor == pytest.approx(rate, rel=0.01)


def test_the_papers_clip_is_of_the_recurrent_layer_alone():
    clip = published("full")["clip"]
    assert clip["norm"] == 3
    named = {name for name, _ in srn().named_parameters() if name.startswith(clip["of"])}
    assert named == {"recurrence.conv.weight", "recurrence.conv.bias"}
