"""The scale-recurrent network beside one written with scipy, and what its text and code say."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import signal
from test_models import convolve, doubled
from torch.optim.optimizer import register_optimizer_step_pre_hook

from deblurlib import models, training
from deblurlib.errors import InputError
from deblurlib.losses import LOSSES
from deblurlib.models.recurrence import RECURRENCES, ConvGRU, ConvLSTM, ConvRNN
from deblurlib.models.srn import FLAVOURS, UPSAMPLINGS, ResBlock
from deblurlib.studies.srn import published

REMEMBERING = [name for name in RECURRENCES if name != "none"]
over_recurrences = pytest.mark.parametrize("recurrence", RECURRENCES)
over_upsamplings = pytest.mark.parametrize("upsampling", UPSAMPLINGS)
over_flavours = pytest.mark.parametrize("flavour", FLAVOURS)


def srn(seed=0, **arguments):
    return models.build("srn", {"width": 2, **arguments}, seed)


@torch.no_grad()
def lively(model, seed=0):
    """Weights and biases of some size everywhere, so that nothing is 0 by its first value."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.normal_(0, 0.15, generator=generator)
    return model


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


def spied(module, seen):
    """Note all that goes into a module, and what comes out."""
    module.register_forward_hook(lambda module, inputs, output: seen.append((inputs, output)))
    return seen


# --- sizes


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 8061411),
        ({"channels": 1}, 8056609),
        ({"recurrence": "none"}, 6881251),
    ],
    ids=["colour", "grey", "without-recurrence"],
)
def test_the_released_networks_have_as_many_parameters_as_their_code_makes(arguments, count):
    assert models.parameter_count(models.SRN(**arguments)) == count


@over_recurrences
def test_the_scales_share_all_weights(recurrence):
    shapes = [
        {k: p.shape for k, p in srn(scales=scales, recurrence=recurrence).named_parameters()}
        for scales in (1, 2, 3)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("scale", [0, 1, 2])
@over_recurrences
def test_the_loss_of_any_one_scale_reaches_all_weights(rand, recurrence, scale):
    model = positive(srn(recurrence=recurrence))
    model(rand(1, 3, 16, 16).double())[scale].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize(("scales", "multiple"), [(1, 4), (2, 8), (3, 16), (4, 32)])
def test_the_sides_are_multiples_of_the_strides_and_the_scales(rand, scales, multiple):
    model = srn(scales=scales).eval()
    assert model.multiple == multiple
    with torch.no_grad():
        y = rand(1, 3, multiple, 3 * multiple)
        assert model(y).shape == y.shape
        with pytest.raises(RuntimeError):
            model(rand(1, 3, multiple, multiple + multiple // 2))


@pytest.mark.parametrize("scales", [1, 2, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_in_training_there_is_an_image_a_scale_and_the_first_is_the_one_in_use(
    rand, scales, residual
):
    model = lively(srn(scales=scales, residual=residual))
    y = rand(2, 3, 48, 32)
    in_training, in_use = model(y), model.eval()(y)
    assert [x_hat.shape[2:] for x_hat in in_training] == [(48, 32), (24, 16), (12, 8)][:scales]
    assert all(x_hat.shape[:2] == (2, 3) for x_hat in in_training)
    assert in_use.shape == y.shape
    assert torch.equal(in_training[0], in_use)


@torch.no_grad()
@over_flavours
@over_upsamplings
def test_each_decoder_doubles_the_size_and_halves_the_channels(rand, upsampling, flavour):
    model = srn(width=4, scales=1, upsampling=upsampling, flavour=flavour).eval()
    seen = [spied(m, []) for m in (model.recurrence, model.dblock2, model.dblock1)]
    assert model(rand(2, 3, 16, 24)).shape == (2, 3, 16, 24)
    shapes = [output.shape for ((_, output),) in seen[1:]]
    assert seen[0][0][1][0].shape == (2, 16, 4, 6)
    assert shapes == [(2, 8, 8, 12), (2, 4, 16, 24)]


# --- the whole network, written anew


def relu(z):
    return np.maximum(z, 0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


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
    begin = {4: 1, 5: 2}[weight.shape[-1]]
    summed = [
        sum(signal.convolve2d(c, k) for c, k in zip(spread, kernels, strict=True))
        for kernels in weight.swapaxes(0, 1)
    ]
    cut = np.stack(summed)[:, begin : begin + height, begin : begin + width]
    return cut + layers[0].bias.detach().double().numpy()[:, None, None]


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
    count = len(z)
    c, h = (np.zeros_like(z),) * 2 if state is None else (state[:count], state[count:])
    i, j, f, o = convolve(np.concatenate([z, h]), cell.conv).reshape(4, *z.shape)
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    h = sigmoid(o) * np.tanh(c)
    return h, np.concatenate([c, h])


BY_HAND = {
    "none": lambda z, state, cell: (z, None),
    "rnn": rnn_by_hand,
    "gru": gru_by_hand,
    "lstm": lstm_by_hand,
}


def srn_by_hand(model, y, recurrence, upsampling):
    def blocks(z, modules):
        for block in modules:
            z = z + convolve(relu(convolve(z, block.first)), block.second)
        return z

    def encoded(z, block, stride):
        return blocks(relu(convolve(z, block[0])[:, ::stride, ::stride]), block[2:5])

    def decoded(z, block):
        return relu(upsampled(blocks(z, block[:3]), block[3:-1], upsampling))

    pyramid = [y]
    for _ in range(model.scales - 1):
        (c, h, w), fine = pyramid[-1].shape, pyramid[-1]
        pyramid.append(fine.reshape(c, h // 2, 2, w // 2, 2).mean((2, 4)))
    x_hats, state = [], None
    for b in reversed(pyramid):
        full = encoded(np.concatenate([b, doubled(x_hats[0]) if x_hats else b]), model.inblock, 1)
        half = encoded(full, model.eblock1, 2)
        quarter = encoded(half, model.eblock2, 2)
        state = None if state is None else doubled(state)
        z, state = BY_HAND[recurrence](quarter, state, model.recurrence)
        z = decoded(decoded(z, model.dblock2) + half, model.dblock1) + full
        z = convolve(blocks(z, model.outblock[:3]), model.outblock[3])
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
        {"channels": 1, "residual": True, "recurrence": "rnn"},
    ],
    ids=str,
)
def test_srn_equals_one_written_with_scipy(rand, arguments):
    arguments = {"channels": 2, "scales": 2, **arguments}
    model = lively(srn(**arguments)).double()
    y = rand(1, arguments["channels"], 16, 32).double()
    how = {"recurrence": "lstm", "upsampling": "deconvolution"} | arguments
    expected = srn_by_hand(model, y[0].numpy(), how["recurrence"], how["upsampling"])
    for x_hat, wanted in zip(model(y), expected, strict=True):
        assert np.abs(wanted).max() > 1e-2
        np.testing.assert_allclose(x_hat[0].numpy(), wanted, rtol=0, atol=1e-10)


def test_a_residual_block_ends_in_a_sum_not_in_a_relu(rand):
    block, z = lively(ResBlock(3)), rand(1, 3, 7, 6) - 0.5
    for conv in (block.first, block.second):
        torch.nn.init.zeros_(conv.bias)
    with torch.no_grad():
        assert torch.equal(block(z), z + block.second(block.first(z).clamp(min=0)))
        torch.nn.init.zeros_(block.second.weight)
        assert torch.equal(block(z), z)
    assert z.min() < 0


@torch.no_grad()
def test_what_was_encoded_is_added_to_what_is_decoded(rand):
    model = lively(srn(scales=2)).eval()
    names = ("inblock", "eblock1", "dblock2", "dblock1", "outblock")
    seen = {name: spied(getattr(model, name), []) for name in names}
    model(rand(1, 3, 16, 16))
    for scale in (0, 1):
        inputs = {name: calls[scale][0][0] for name, calls in seen.items()}
        outputs = {name: calls[scale][1] for name, calls in seen.items()}
        assert torch.equal(inputs["dblock1"], outputs["dblock2"] + outputs["eblock1"])
        assert torch.equal(inputs["outblock"], outputs["dblock1"] + outputs["inblock"])


def test_each_scale_sees_the_blurred_image_and_the_one_restored_below(rand):
    model, y = lively(srn(residual=True)), rand(2, 3, 32, 16)
    seen = spied(model.inblock, [])
    x_hats = model(y)[::-1]  # the coarsest first
    halves = [torch.nn.functional.interpolate(y, scale_factor=s, mode="area") for s in (0.25, 0.5)]
    for scale, (((inputs,), _), b) in enumerate(zip(seen, [*halves, y], strict=True)):
        blurred, before = inputs.split(3, 1)
        torch.testing.assert_close(blurred, b)
        if scale == 0:
            assert torch.equal(before, blurred)
        else:
            expected = np.stack([doubled(z) for z in x_hats[scale - 1].detach().numpy()])
            np.testing.assert_allclose(before.numpy(), expected, rtol=0, atol=1e-5)
        assert not inputs.requires_grad


# --- what flows back, and what is kept


@over_recurrences
def test_no_gradient_flows_back_through_the_image_from_below(rand, recurrence):
    model = lively(srn(recurrence=recurrence))
    x_hats = model(rand(1, 3, 16, 16))
    for x_hat in x_hats[1:]:
        x_hat.retain_grad()
    x_hats[0].sum().backward()
    assert [x_hat.grad for x_hat in x_hats[1:]] == [None, None]


@pytest.mark.parametrize("recurrence", REMEMBERING)
def test_the_gradient_flows_back_through_the_state_to_all_scales(rand, recurrence):
    model = lively(srn(recurrence=recurrence))
    seen = spied(model.recurrence, [])
    x_hats = model(rand(1, 3, 16, 16))
    states = [state for _, (_, state) in seen]
    for state in states:
        state.retain_grad()
    x_hats[0].sum().backward()
    assert all(state.grad is not None and state.grad.any() for state in states[:-1])
    assert states[-1].grad is None or recurrence != "lstm"  # of an LSTM, h alone goes on


def test_without_a_recurrence_the_finest_scale_alone_learns_from_its_loss(rand):
    model = lively(srn(recurrence="none", scales=2)).double()
    y = rand(1, 3, 16, 16).double()
    x_hats = model(y)
    x_hats[0].sum().backward()
    learnt = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    enlarged = torch.from_numpy(doubled(x_hats[1][0].detach().numpy()))[None]
    model._at_one_scale(y, enlarged, None)[0].sum().backward()
    for parameter, before in zip(model.parameters(), learnt, strict=True):
        torch.testing.assert_close(parameter.grad, before)


@torch.no_grad()
@over_recurrences
@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_remembered_from_one_image_to_the_next(rand, recurrence, training):
    used = lively(srn(recurrence=recurrence)).train(training)
    shapes = [(1, 3, 32, 32), (1, 3, 32, 32), (1, 3, 16, 48), (3, 3, 16, 48), (2, 3, 32, 16)]
    for seed, shape in enumerate(shapes):
        y = rand(*shape, seed=seed)
        fresh = lively(srn(recurrence=recurrence)).train(training)
        assert torch.equal(torch.cat([z.flatten() for z in used(y)]), flat(fresh(y)))


def flat(x_hats):
    return torch.cat([z.flatten() for z in x_hats])


@torch.no_grad()
def test_the_images_of_a_batch_do_not_meet(rand):
    model, y = lively(srn()).double().eval(), rand(3, 3, 16, 32).double()
    torch.testing.assert_close(model(y)[1:2], model(y[1:2]))


@torch.no_grad()
@pytest.mark.parametrize("recurrence", REMEMBERING)
def test_the_state_matters_to_the_finer_scales(rand, recurrence):
    model, y = lively(srn(recurrence=recurrence, scales=2)).eval(), rand(1, 3, 16, 16)
    whole, forward = model(y), model.recurrence.forward
    model.recurrence.forward = lambda z, state: forward(z, None)
    assert (model(y) - whole).abs().max() > 1e-3


# --- the cells


def cell(kind, channels, kernel):
    return lively(kind(channels, kernel), seed=1).double()


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("name", REMEMBERING)
def test_a_cell_equals_its_formula_with_scipy(rand, name, kernel):
    made = cell(RECURRENCES[name], 3, kernel)
    width = {"lstm": 6}.get(name, 3)
    z, state = (3 * rand(1, c, 6, 7, seed=c).double() - 1 for c in (3, width))
    for given in (None, state):
        h, new = made(z, given)
        by_hand = BY_HAND[name](z[0].numpy(), None if given is None else given[0].numpy(), made)
        assert new.shape == state.shape
        for mine, wanted in zip((h, new), by_hand, strict=True):
            np.testing.assert_allclose(mine[0].numpy(), wanted, rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", REMEMBERING)
def test_no_state_is_a_state_of_zeros(rand, name):
    made, z = cell(RECURRENCES[name], 2, 3), rand(2, 2, 4, 5).double()
    zeros = torch.zeros(2, 4 if name == "lstm" else 2, 4, 5).double()
    assert all(torch.equal(a, b) for a, b in zip(made(z, None), made(z, zeros), strict=True))


def at_one_pixel(conv):
    """The matrices of a 1 x 1 convolution: of the input, of the state; and the bias."""
    of_z, of_h = conv.weight[:, :, 0, 0].chunk(2, 1)
    return of_z, of_h, conv.bias


@torch.no_grad()
def fill(theirs, of_z, of_h, bias):
    theirs.weight_ih.copy_(of_z)
    theirs.weight_hh.copy_(of_h)
    theirs.bias_ih.copy_(bias)
    theirs.bias_hh.zero_()


@torch.no_grad()
def test_the_plain_cell_equals_pytorchs_at_a_pixel(rand):
    made, theirs = cell(ConvRNN, 4, 1), torch.nn.RNNCell(4, 4).double()
    fill(theirs, *at_one_pixel(made.conv))
    z, h = rand(5, 4).double(), rand(5, 4, seed=1).double()
    torch.testing.assert_close(
        made(z[..., None, None], h[..., None, None])[0].squeeze(), theirs(z, h)
    )


@torch.no_grad()
def test_the_gru_equals_pytorchs_at_a_pixel_where_both_reset_alike(rand):
    """PyTorch resets after the state's matrix, Cho et al. before: the same for a diagonal one."""
    made, theirs = cell(ConvGRU, 4, 1), torch.nn.GRUCell(4, 4).double()
    made.candidate.weight[:, 4:] *= torch.eye(4)[..., None, None]
    gates, candidate = at_one_pixel(made.gates), at_one_pixel(made.candidate)
    # PyTorch's order: reset, update, candidate
    fill(
        theirs,
        *(torch.cat([a[4:], a[:4], b]) for a, b in zip(gates, candidate, strict=True)),
    )
    z, h = rand(5, 4).double(), rand(5, 4, seed=1).double()
    torch.testing.assert_close(
        made(z[..., None, None], h[..., None, None])[0].squeeze(), theirs(z, h)
    )


@torch.no_grad()
def test_the_lstm_equals_pytorchs_at_a_pixel_but_for_the_forget_gates_1(rand):
    made, theirs = cell(ConvLSTM, 4, 1), torch.nn.LSTMCell(4, 4).double()
    parts = []
    for whole in at_one_pixel(made.conv):
        i, j, f, o = whole.chunk(4)
        parts.append(torch.cat([i, f, j, o]))  # PyTorch's order
    parts[2][4:8] += 1
    fill(theirs, *parts)
    z, c, h = (rand(5, 4, seed=seed).double() for seed in range(3))
    mine, state = made(z[..., None, None], torch.cat([c, h], 1)[..., None, None])
    their_h, their_c = theirs(z, (h, c))
    torch.testing.assert_close(mine.squeeze(), their_h)
    torch.testing.assert_close(state.squeeze(), torch.cat([their_c, their_h], 1))


@torch.no_grad()
def test_a_fresh_lstm_forgets_little(rand):
    made, state = ConvLSTM(2, 3), rand(1, 4, 3, 3)
    for parameter in made.parameters():
        parameter.zero_()
    h, new = made(rand(1, 2, 3, 3), state)
    kept = state[:, :2] / (1 + math.exp(-1))
    torch.testing.assert_close(new, torch.cat([kept, torch.tanh(kept) / 2], 1))
    assert torch.equal(h, new[:, 2:])


# --- the first weights


def convolutions(model):
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    return {name: m for name, m in model.named_modules() if isinstance(m, kinds)}


def xavier(weight):
    """Is it even, as wide as Xavier's? The sum of both fans does not care which is which."""
    bound = math.sqrt(6 / (sum(weight.shape[:2]) * weight[0, 0].numel()))
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.95 * bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@over_upsamplings
@over_flavours
@pytest.mark.parametrize("recurrence", REMEMBERING)
def test_the_first_weights_are_xaviers_but_for_the_released_recurrence(
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
        else:
            xavier(weight)


@torch.no_grad()
@over_recurrences
@over_upsamplings
def test_untrained_and_residual_it_changes_nothing(rand, recurrence, upsampling):
    model = srn(recurrence=recurrence, upsampling=upsampling, residual=True)
    y = rand(2, 3, 16, 32)
    for x_hat, side in zip(model(y), (1, 2, 4), strict=True):
        halved = y if side == 1 else torch.nn.functional.avg_pool2d(y, side)
        torch.testing.assert_close(x_hat, halved)
    assert torch.equal(model.eval()(y), y)
    assert not torch.equal(srn(recurrence=recurrence, upsampling=upsampling).eval()(y), y)


@pytest.mark.parametrize(
    ("flavour", "deconvolution", "recurrence"), [("released", 4, 3), ("paper", 5, 5)]
)
def test_a_flavour_says_the_kernels_of_two_layers_all_others_are_5(
    flavour, deconvolution, recurrence
):
    sides = {"dblock2.3": deconvolution, "dblock1.3": deconvolution, "recurrence.conv": recurrence}
    for name, layer in convolutions(srn(flavour=flavour)).items():
        assert layer.kernel_size == (sides.get(name, 5),) * 2
        halves_or_doubles = name in ("eblock1.0", "eblock2.0", "dblock2.3", "dblock1.3")
        assert layer.stride == ((2, 2) if halves_or_doubles else (1, 1))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("upsampling", ["sub-pixel", "bilinear"])
def test_without_deconvolution_there_is_none_and_its_kernels_are_5(upsampling, flavour):
    found = convolutions(srn(upsampling=upsampling, flavour=flavour))
    assert not any(isinstance(layer, torch.nn.ConvTranspose2d) for layer in found.values())
    sides = {n: m.kernel_size for n, m in found.items() if not n.startswith("recurrence.")}
    assert set(sides.values()) == {(5, 5)}


# --- how far it sees


@torch.no_grad()
def furthest(model, across=True):
    """How many pixels away one changes the output, at most: exactly, with :func:`positive`.

    All pixels from a column on are raised from 0: what then is not 0 depends on one of them, the
    leftmost that is not on that column. Nothing is lost to rounding, for beside it there is only 0.
    The columns are as many as there are ways to lie on the grid of the coarsest scale.
    """
    side = model.multiple
    begin = side * math.ceil((model.receptive_field // 2 + side) / side)
    y, far = torch.zeros(1, model.channels, side, begin + 2 * side).double(), 0
    for column in range(begin, begin + side):
        y.zero_()[..., column:] = 1
        x_hat = model(y) if across else model(y.mT).mT
        far = max(far, column - x_hat.sum((0, 1, 2)).nonzero().min().item())
    return far


EXAMPLES = [
    {"scales": scales, "recurrence": recurrence, "upsampling": upsampling, "flavour": flavour}
    for scales, recurrence, upsampling, flavour in [
        *product((1, 2), RECURRENCES, UPSAMPLINGS, FLAVOURS),
        *((3, "lstm", up, flavour) for up in UPSAMPLINGS for flavour in FLAVOURS),
        (3, "none", "deconvolution", "released"),
    ]
]


@pytest.mark.parametrize("arguments", EXAMPLES, ids=lambda a: "-".join(map(str, a.values())))
def test_a_pixel_depends_on_no_more_than_the_square_that_srn_names_and_not_much_less(arguments):
    model = positive(srn(channels=1, width=1, **arguments)).eval()
    bound = model.receptive_field // 2
    assert 0.9 * bound < furthest(model) <= bound


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_srn_sees_as_far_down_as_across(upsampling):
    model = positive(srn(channels=1, width=1, scales=2, upsampling=upsampling)).eval()
    assert furthest(model) == furthest(model, across=False)


@torch.no_grad()
@pytest.mark.parametrize("scales", [1, 2, 3])
@pytest.mark.parametrize("recurrence", ["none", "gru", "lstm"])
def test_what_lies_beyond_the_square_changes_not_a_bit(rand, scales, recurrence):
    model = lively(srn(channels=1, width=1, scales=scales, recurrence=recurrence)).double().eval()
    bound, side = model.receptive_field // 2, model.multiple
    width = side * math.ceil((2 * bound + side) / side)
    y = rand(1, 1, side, width).double()
    whole = model(y)
    for middle in range(bound, bound + 2):
        other = rand(1, 1, side, width, seed=middle).double()
        other[..., middle - bound : middle + bound + 1] = y[
            ..., middle - bound : middle + bound + 1
        ]
        assert not torch.equal(other, y)
        assert torch.equal(model(other)[..., middle], whole[..., middle])


def test_a_pixel_depends_on_no_more_than_the_square_that_unet_names_and_not_much_less():
    model = positive(models.UNet(channels=1, width=1))
    bound = model.receptive_field // 2
    assert 0.75 * bound < furthest(model) <= bound
    assert furthest(model) == furthest(model, across=False)


# --- arguments, and the training


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"recurrence": "transformer"}, "SRN recurrence 'transformer' is none of none, rnn, gru,"),
        ({"recurrence": None}, "SRN recurrence None is none of none, rnn, gru, lstm"),
        ({"upsampling": "nearest"}, "SRN upsampling 'nearest' is none of deconvolution, sub-pixel"),
        ({"flavour": "mine"}, "SRN flavour 'mine' is none of released, paper"),
        ({"width": 0}, "SRN needs a width and scales of 1 or more, not 0 and 3"),
        ({"width": -3}, "SRN needs a width and scales of 1 or more, not -3 and 3"),
        ({"scales": 0}, "SRN needs a width and scales of 1 or more, not 32 and 0"),
        ({"flavour": "mine", "scales": 0}, "SRN flavour 'mine'"),
        (
            {"layers": 3},
            "model srn has no argument 'layers'; it has channels, width, scales, recur",
        ),
    ],
)
def test_wrong_arguments_of_srn_are_named(arguments, named):
    with pytest.raises(InputError, match=named):
        models.build("srn", arguments, seed=0)


@pytest.mark.parametrize(
    ("share", "rate"), [(0, 1e-4), (0.5, 8.1e-5), (0.9, 5.0e-5), (0.99, 2.5e-5)]
)
def test_the_rate_falls_late_as_the_papers_schedule_has_it(share, rate):
    recipe = published("full")
    step = round(share * recipe["steps"])
    factor = training.rate_factor(recipe["schedule"], step, recipe["steps"])
    assert recipe["optimiser"]["lr"] * factor == pytest.approx(rate, rel=0.01)


@pytest.fixture(scope="module")
def fabric():
    return training.start_fabric("32")


def gradients(rand, fabric, clip, factor):
    """What the optimiser is given in the first step, the loss ``factor`` times as large."""
    model, recipe, seen = srn(), published("smoke"), {}
    names = {parameter: name for name, parameter in model.named_parameters()}

    def note(optimiser, *_):
        listed = [p for group in optimiser.param_groups for p in group["params"]]
        seen.update({names[p]: p.grad.clone() for p in listed})

    def loss(x_hat, x):
        return factor * LOSSES[recipe["loss"]](x_hat, x)

    pair = tuple(rand(2, 3, 16, 16, seed=seed).to(fabric.device) for seed in (0, 1))
    hook = register_optimizer_step_pre_hook(note)
    how = {"optimiser": recipe["optimiser"], "schedule": recipe["schedule"], "clip": clip}
    try:
        list(training.fit(model, lambda step: pair, loss, 1, fabric=fabric, **how))
    finally:
        hook.remove()
    assert set(seen) == set(names.values())
    return seen


def test_the_papers_clip_scales_the_recurrent_layers_gradients_alone(rand, fabric):
    clip = published("full")["clip"]
    free, clipped = (gradients(rand, fabric, how, 1e6) for how in (None, clip))
    of = {name for name in free if name.startswith("recurrence.")}
    assert of == {"recurrence.conv.weight", "recurrence.conv.bias"}
    norm, after = (torch.cat([g[n].flatten() for n in of]).norm() for g in (free, clipped))
    assert norm > 30
    assert after.item() == pytest.approx(3, rel=1e-4)
    for name, gradient in free.items():
        if name in of:
            torch.testing.assert_close(clipped[name], gradient * 3 / norm, rtol=1e-4, atol=1e-6)
        else:
            assert torch.equal(clipped[name], gradient)


def test_the_papers_clip_leaves_small_gradients_as_they_are(rand, fabric):
    free, clipped = (gradients(rand, fabric, how, 1) for how in (None, published("full")["clip"]))
    assert all(torch.equal(free[name], clipped[name]) for name in free)
