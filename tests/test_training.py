"""Training: the loop equals a bare one, and goes on to the same bits whatever is in between."""

import copy
import itertools
import math
import tempfile
from types import SimpleNamespace

import lightning_fabric
import numpy as np
import pytest
import pytorch_msssim
import torch
from torch import nn

from deblurlib import losses, metrics, training
from deblurlib.degrade import Pair
from deblurlib.errors import InputError
from deblurlib.losses import OBJECTIVES, ssim_and_l1
from deblurlib.training import devices, loop

ADAM = {"name": "adam", "lr": 1e-2}
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
MOVES = ("optimiser", "schedule", "clip", "ema", "reset")  # of a player
DIVERGING = {"name": "sgd", "lr": 1e12}


@pytest.fixture(scope="module")
def fabric():
    return training.start_fabric("32")


@pytest.fixture(scope="module")
def bf16():
    return training.start_fabric("bf16")


@pytest.fixture
def clock(monkeypatch):
    """The loop's clock; it stands still: ``clock.now`` is in seconds."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def net(channels=1, dropout=0.0):
    """Two convolutions; their parameters are ``0.weight``, ``0.bias``, ``3.weight``, ``3.bias``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(4, channels, 3, padding=1),
        )


@pytest.fixture(scope="module")
def batches(rand, fabric):
    """``batches(step)``: noisy and clean images, others for each step."""

    def batch_of(step, channels=1):
        x = rand(2, channels, 8, 8, seed=step)
        noise = rand(2, channels, 8, 8, seed=1000 + step)
        return Pair((x + 0.1 * noise).to(fabric.device), x.to(fabric.device), ())

    return batch_of


@pytest.fixture
def ticking(batches, clock):
    """As ``batches``; each takes a minute."""

    def batch_of(step):
        clock.now += 60
        return batches(step)

    return batch_of


def weights(model):
    return {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


def assert_close(one, other, off):
    for key in one:
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=off)


def train(model, batch_of, steps, fabric, between=None, **how):
    """Train to the end: the last state, and of every row (step, loss)."""
    torch.manual_seed(4)
    rows = []
    how = {"optimiser": ADAM} | how
    moved = {key: how.pop(key) for key in MOVES if key in how}
    player = training.Player(model, training.supervised(OBJECTIVES["mse"]), **moved)
    for state in training.fit({"model": player}, batch_of, steps, fabric=fabric, **how):
        if state.row:
            rows.append((state.step, state.losses["loss"]))
        if between:
            between(state)
    return state, rows


def stages(*arguments, **how):
    """Of each state of a training: (step, row, ending)."""
    seen = []
    train(*arguments, lambda s: seen.append((s.step, s.row, s.ending)), **how)
    return seen


# --- losses


def halved(z):
    b, c, h, w = z.shape
    return z.reshape(b, c, h // 2, 2, w // 2, 2).mean((3, 5))


@pytest.mark.parametrize(
    ("name", "numpys"),
    [
        ("mse", lambda d: np.mean(d**2)),
        ("l1", lambda d: np.mean(np.abs(d))),
        ("euclidean", lambda d: np.mean([0.5 * np.sum(one**2) for one in d])),
        ("mse-over-scales", lambda d: np.mean(d**2)),
        ("l1-over-scales", lambda d: np.mean(np.abs(d))),
    ],
)
def test_losses_equal_numpys(rand, name, numpys):
    x_hat, x = rand(3, 2, 4, 6), rand(3, 2, 4, 6, seed=1)
    expected = numpys((x_hat - x).double().numpy())
    assert losses.objective(name, {}).loss(x_hat, x).item() == pytest.approx(expected, rel=1e-5)


def variation(z):
    """Of an array: the mean differences of neighbours in rows and in columns."""
    return sum(np.abs(np.diff(z, axis=axis)).mean() for axis in (-1, -2))


@pytest.mark.parametrize(
    ("name", "arguments", "power"),
    [
        ("mse-over-scales", {}, 2),
        ("mse-over-scales", {"variation": 0.3}, 2),
        ("l1-over-scales", {}, 1),
    ],
)
def test_over_scales_the_mean_errors_are_summed_each_to_x_halved_again(
    rand, name, arguments, power
):
    x = rand(2, 3, 8, 16)
    x_hats = [rand(2, 3, 8 >> k, 16 >> k, seed=1 + k) for k in range(3)]
    expected = arguments.get("variation", 0) * variation(x_hats[0].double().numpy())
    wanted = x.double().numpy()
    for x_hat in x_hats:
        expected += np.mean(np.abs(x_hat.double().numpy() - wanted) ** power)
        wanted = halved(wanted)
    for given in (x_hats, tuple(x_hats)):
        loss = losses.objective(name, arguments).loss(given, x)
        assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_variation_is_that_of_neighbours_none_in_a_flat_image_and_never_wanted(rand):
    x = rand(2, 3, 5, 9)
    expected = variation(x.double().numpy())
    assert losses.total_variation(x).item() == pytest.approx(expected, rel=1e-6)
    assert losses.total_variation(torch.full((1, 3, 4, 6), 0.7)) == 0
    with pytest.raises(InputError, match="0 or more, not -1"):
        losses.objective("mse-over-scales", {"variation": -1})


def test_charbonniers_loss_is_weighed_by_scales_and_the_spectrum_counts_at_the_finest(rand):
    x = rand(2, 3, 8, 16)
    x_hats = [rand(2, 3, 8 >> k, 16 >> k, seed=1 + k) for k in range(3)]
    expected, wanted = 0, x.double().numpy()
    for k, x_hat in enumerate(x_hats):
        d = x_hat.double().numpy() - wanted
        expected += 0.5**k * np.mean(np.sqrt(d**2 + 0.1**2))
        wanted = halved(wanted)
    waves = np.fft.rfft2(x_hats[0].double().numpy() - x.double().numpy(), norm="ortho")
    expected += 0.2 * (np.abs(waves.real).mean() + np.abs(waves.imag).mean()) / 2
    make = OBJECTIVES["charbonnier-over-scales"]
    objective = make(eps=0.1, weight=0.5, spectrum=0.2)
    assert objective.loss(x_hats, x).item() == pytest.approx(expected, rel=1e-5)
    assert make().loss(x, x).item() == pytest.approx(1e-3, rel=1e-4)  # of one scale
    with pytest.raises(InputError, match="eps is more than 0"):
        make(eps=0)


@pytest.mark.parametrize("values", ["unit", "imagenet"])
@pytest.mark.parametrize(
    "weights", [{}, {"l1": 0.3}, {"ssim": 0.7, "l1": 2.0}, {"ssim": 0, "l1": 1}]
)
def test_ssim_and_l1_are_weighed_and_summed(rand, values, weights):
    x_hat, x = rand(5, 3, 14, 19), 0.5 * rand(5, 3, 14, 19, seed=1)
    objective = ssim_and_l1(**weights, values=values)
    a, b = x_hat, x
    if values == "imagenet":
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        a, b = (a - mean) / deviation, (b - mean) / deviation
    dissimilar = 1 - pytorch_msssim.ssim(a, b, data_range=1)
    expected = weights.get("ssim", 1) * dissimilar + weights.get("l1", 0) * (a - b).abs().mean()
    assert objective.loss(x_hat, x).item() == pytest.approx(expected.item(), rel=1e-5)
    # of images, whatever the loss is of
    measured = {name: measure(x_hat, x) for name, measure in objective.measures.items()}
    ssim, l1 = metrics.ssim(x_hat, x).mean().item(), (x_hat - x).abs().mean().item()
    assert measured == pytest.approx({"val_ssim": ssim, "val_l1": l1}, rel=1e-5)


@pytest.mark.parametrize("values", ["unit", "imagenet"])
def test_ssim_and_l1_have_a_gradient_where_nothing_is_wrong_and_on_flat_images(rand, values):
    loss = ssim_and_l1(l1=0.5, values=values).loss
    kinds = [rand(1, 3, 16, 16), *(torch.full((1, 3, 16, 16), level) for level in (0.0, 0.4, 1.0))]
    for x_hat, x in itertools.product(kinds, repeat=2):
        x_hat = x_hat.clone().requires_grad_()
        error = loss(x_hat, x)
        error.backward()
        assert x_hat.grad.isfinite().all()
        if x_hat.equal(x):
            assert error.item() == pytest.approx(0, abs=1e-6)
            assert x_hat.grad.abs().max() < 1e-5
        else:
            assert x_hat.grad.any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"values": "bytes"}, "'bytes' is none of unit, imagenet"),
        ({"ssim": 0}, "not both are 0"),
        ({"ssim": -1, "l1": 2}, "0 or more"),
        ({"l1": -1}, "0 or more"),
    ],
)
def test_wrong_arguments_of_ssim_and_l1_are_named(arguments, named):
    with pytest.raises(InputError, match=named):
        OBJECTIVES["ssim-and-l1"](**arguments)


# --- the loop beside a bare one


def by_hand(model, batch_of, steps, optimiser, factor=lambda step: 1.0, clip=None):
    """The loop as one would write it down; ``clip(model)`` comes after the gradients."""
    first = [group["lr"] for group in optimiser.param_groups]
    losses = []
    for step in steps:
        for group, lr in zip(optimiser.param_groups, first, strict=True):
            group["lr"] = lr * factor(step)
        optimiser.zero_grad()
        pair = batch_of(step)
        error = ((model(pair.y) - pair.x) ** 2).mean()
        error.backward()
        if clip:
            clip(model)
        optimiser.step()
        losses.append(error.item())
    return losses


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.05, 0.9)


#: what is asked for, an optimiser that does it, and what else it takes by hand
CASES = {
    "adam": (
        {"optimiser": {"name": "adam", "lr": 1e-2, "betas": [0.8, 0.99]}},
        lambda m: torch.optim.Adam(m.parameters(), 1e-2, (0.8, 0.99)),
        {},
    ),
    "adamw": (
        {"optimiser": {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1}},
        lambda m: torch.optim.AdamW(m.parameters(), 1e-2, weight_decay=0.1),
        {},
    ),
    "schedule": (
        {"optimiser": SGD, "schedule": {"name": "polynomial", "power": 0.3, "warmup": 4}},
        sgd,
        {"factor": lambda step: (1 - step / 7) ** 0.3 * min(1, (step + 1) / 4)},
    ),
    "rates": (
        {
            "optimiser": {**SGD, "rates": {"": 1.0, "3": 0.1, "3.bias": 2.0, "0.bias": 0.0}},
            "schedule": {"name": "cosine", "end": 0.5},
        },
        lambda m: torch.optim.SGD(
            [
                {"params": [m[0].weight]},
                {"params": [m[0].bias], "lr": 0.0},
                {"params": [m[3].weight], "lr": 0.05 * 0.1},
                {"params": [m[3].bias], "lr": 0.05 * 2},
            ],
            0.05,
            0.9,
        ),
        {"factor": lambda step: 0.5 + 0.25 * (1 + math.cos(math.pi * step / 7))},
    ),
    "clip": (
        {"optimiser": SGD, "clip": {"norm": 0.05}},
        sgd,
        {"clip": lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.05)},
    ),
    "clip-a-part": (
        {"optimiser": SGD, "clip": {"norm": 0.01, "of": "3."}},
        sgd,
        {"clip": lambda m: nn.utils.clip_grad_norm_(m[3].parameters(), 0.01)},
    ),
    "dropout": ({}, lambda m: torch.optim.Adam(m.parameters(), 1e-2), {}),
}


@pytest.mark.parametrize(
    ("case", "reset"),
    [*((case, None) for case in CASES), ("adam", 1), ("adamw", 6), ("schedule", 3), ("rates", 9)],
)
def test_the_loop_equals_a_bare_one_to_the_bit(fabric, batches, case, reset):
    how, make, also = CASES[case]
    given = copy.deepcopy(how)
    dropout = 0.5 * (case == "dropout")
    model, bare = net(dropout=dropout), net(dropout=dropout).to(fabric.device)
    _, rows = train(model, batches, 7, fabric, every=1, reset=reset, **how)
    torch.manual_seed(4)
    losses = []
    for begin in range(0, 7, reset or 7):  # forgetting is a new optimiser
        steps = range(begin, min(begin + (reset or 7), 7))
        losses += by_hand(bare, batches, steps, make(bare), **also)
    assert_same(weights(model), weights(bare))
    assert rows == list(enumerate(losses, 1))
    assert how == given


@pytest.mark.parametrize("handed_over", ["in-eval-mode", "with-gradients"])
def test_how_a_model_is_handed_over_does_not_matter(fabric, batches, handed_over):
    fresh, used = net(dropout=0.5), net(dropout=0.5)
    if handed_over == "in-eval-mode":
        used.eval()
    else:
        for parameter in used.parameters():
            parameter.grad = torch.ones_like(parameter)
    for model in (fresh, used):
        train(model, batches, 3, fabric)
    assert_same(weights(fresh), weights(used))


def test_the_average_equals_one_by_hand_and_does_not_change_the_training(fabric, batches):
    seen, plain, model = [], net(), net()
    without, _ = train(plain, batches, 6, fabric, lambda s: seen.append(weights(plain)), every=1)
    assert without.best is without.model is plain
    average = {k: v.double() for k, v in seen[0].items()}
    for after in seen[1:]:
        average = {k: 0.7 * average[k] + 0.3 * v for k, v in after.items()}
    state, _ = train(model, batches, 6, fabric, ema=0.7)
    assert_same(weights(model), weights(plain))
    assert_close({k: v.double() for k, v in weights(state.best).items()}, average, 1e-6)
    assert (state.best[0].weight - model[0].weight).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ({"name": "polynomial", "power": 2, "end": 0.2}, (1, 0.65, 0.4, 0.25, 0.2)),
        ({"name": "cosine", "end": 0.1}, (1, 0.55 + 0.9 * 0.125**0.5, 0.55, None, 0.1)),
        ({"name": "steps", "every": 0.25, "factor": 0.5}, (1, 0.5, 0.25, 0.125, 0.0625)),
        ({"name": "constant", "warmup": 50}, (0.02, 0.52, 1, 1, 1)),
        ({"name": "polynomial", "power": 1, "warmup": 100}, (0.01, 0.75 * 0.26, 0.255, 0.19, 0)),
    ],
)
def test_schedules_begin_pass_and_end_where_they_should(schedule, factors):
    for step, factor in zip((0, 25, 50, 75, 100), factors, strict=True):
        if factor is not None:
            got = training.rate_factor(schedule, step, 100)
            assert got == pytest.approx(factor, abs=1e-12), step


@pytest.mark.parametrize("steps", [10, 30, 70, 1000])
def test_a_rate_falls_in_steps_exactly_where_a_share_ends(steps):
    schedule = {"name": "steps", "every": 0.1, "factor": 0.5}
    got = [training.rate_factor(schedule, step, steps) for step in range(steps)]
    assert got == pytest.approx([0.5 ** (step * 10 // steps) for step in range(steps)])


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"optimiser": {"name": "lion", "lr": 1}}, "'lion' is none of adam, adamw, sgd"),
        ({"optimiser": {"name": "sgd", "lr": 1, "betas": 1}}, "optimiser sgd: .*betas"),
        ({"optimiser": {"name": "sgd", "lr": -1.0}}, "optimiser sgd: .*-1.0"),
        ({"optimiser": {"name": "sgd"}}, "needs a name and a rate"),
        ({"optimiser": {**ADAM, "rates": {"4.": 1}}}, r"no parameter's name begins with '4\.'"),
        ({"schedule": {"name": "linear"}}, "'linear' is none of constant"),
        ({"schedule": {"power": 1}}, "schedule None"),
        ({"schedule": {"name": "cosine", "power": 1}}, "schedule cosine: .*power"),
        ({"clip": {"norm": 1, "of": "lstm."}}, r"no parameter's name begins with 'lstm\.'"),
        ({"clip": {"norm": 1, "on": "3."}}, "clip is"),
    ],
)
def test_wrong_settings_are_named(fabric, batches, how, named):
    model = net()
    with pytest.raises(InputError, match=named):
        train(model, batches, 3, fabric, **how)
    assert_same(weights(model), weights(net()))


# --- stopping, and going on


RESUMED = {
    "adam": {},
    "amsgrad": {"optimiser": {"name": "adamw", "lr": 1e-2, "amsgrad": True}},
    "momentum": {"optimiser": SGD},
    "no-momentum": {"optimiser": {"name": "sgd", "lr": 0.05}},
    "reset": {"reset": 3},
    "reset-at-rows": {"reset": 4, "optimiser": SGD, "schedule": {"name": "cosine"}},
    "rates-schedule-clip": {
        "optimiser": {**ADAM, "rates": {"3": 0.1}},
        "schedule": {"name": "cosine", "warmup": 3},
        "clip": {"norm": 0.05},
        "ema": 0.9,
    },
    "bf16": {"ema": 0.7, "optimiser": SGD},
}


@pytest.mark.parametrize(
    ("case", "stop"),
    [
        *(("adam", stop) for stop in (1, 4, 9)),
        ("amsgrad", 6),
        ("momentum", 4),
        ("no-momentum", 6),
        *(("reset", stop) for stop in (4, 6)),
        ("reset-at-rows", 4),
        *(("rates-schedule-clip", stop) for stop in (1, 6)),
        *(("bf16", stop) for stop in (4, 7)),
    ],
)
def test_a_stopped_training_goes_on_to_the_same_bits(request, batches, ticking, case, stop):
    how = {"fabric": request.getfixturevalue("bf16" if case == "bf16" else "fabric"), "every": 4}
    how |= RESUMED[case]
    whole, rows = train(net(dropout=0.5), batches, 10, **how)
    assert [step for step, _ in rows] == [4, 8, 10]
    first, before = train(net(dropout=0.5), ticking, 10, max_minutes=stop - 0.5, **how)
    assert (first.ending, first.step) == ("time", stop)
    other = net(dropout=0.5)
    nn.init.zeros_(other[0].weight)
    torch.rand(9)
    second, after = train(other, batches, 10, start=first.checkpoint(), **how)
    assert before + after == rows
    assert_same(weights(second.model), weights(whole.model))
    assert_same(weights(second.best), weights(whole.best))
    assert_same(second.checkpoint()[0], whole.checkpoint()[0])


def norms_of(rows, **how):
    """A player that notes norms; what it does not note of them is as :func:`train` has it."""

    def go(batch_of, steps, fabric, start=None, kept=None):
        torch.manual_seed(4)
        model = net(dropout=0.5)
        player = training.Player(
            model, training.supervised(OBJECTIVES["mse"]), ADAM, norms=True, **how
        )
        players = {"model": player}
        for state in training.fit(players, batch_of, steps, fabric=fabric, every=2, start=start):
            rows.append({"step": state.step, **state.losses})
            if kept is not None:
                kept.append(state.checkpoint())
        return model

    return go


@pytest.mark.parametrize("clip", [None, {"norm": 1e-3}])
def test_norms_are_those_of_the_whole_gradient_before_it_is_clipped_and_change_nothing(
    fabric, batches, monkeypatch, clip
):
    rows, kept, again, norms = [], [], [], []
    move = training.Player.move

    def measured(player):
        gradients = [p.grad.double().square().sum() for p in player.model.parameters()]
        norms.append(sum(gradients).sqrt().item())
        move(player)

    monkeypatch.setattr(training.Player, "move", measured)
    model = norms_of(rows, clip=clip)(batches, 5, fabric, kept=kept)
    assert [list(row) for row in rows] == [["step", "loss", "loss_gradient"]] * 3
    means = [np.mean(norms[:2]), np.mean(norms[2:4]), norms[4]]
    assert [row["loss_gradient"] for row in rows] == pytest.approx(means, rel=1e-5)
    plain, losses = train(net(dropout=0.5), batches, 5, fabric, every=2, clip=clip)
    assert_same(weights(model), weights(plain.model))
    assert losses == [(row["step"], row["loss"]) for row in rows]
    resumed = norms_of(again, clip=clip)(batches, 5, fabric, start=kept[0])
    assert again == rows[1:]
    assert_same(weights(resumed), weights(model))


def test_any_row_can_be_gone_on_from_more_than_once(fabric, batches):
    kept, how = [], {"every": 2, "ema": 0.7}
    whole, rows = train(
        net(dropout=0.5), batches, 9, fabric, lambda state: kept.append(state.checkpoint()), **how
    )
    assert [numbers["step"] for _, numbers in kept] == [2, 4, 6, 8, 9]
    for place in (1, 0, 1, 3):
        again, later = train(net(dropout=0.5), batches, 9, fabric, start=kept[place], **how)
        assert later == rows[place + 1 :]
        assert_same(weights(again.best), weights(whole.best))


def test_what_is_done_between_two_steps_changes_nothing(fabric):
    def drawn(step):
        x = torch.rand(2, 1, 8, 8).to(fabric.device)
        return Pair(x + 0.1, x, ())

    def disturb(state):
        state.model.eval()
        torch.rand(7)
        torch.manual_seed(99)
        state.best(torch.rand(1, 1, 8, 8).to(fabric.device))

    alone, _ = train(net(dropout=0.5), drawn, 6, fabric, ema=0.7)
    watched, _ = train(net(dropout=0.5), drawn, 6, fabric, disturb, every=1, ema=0.7)
    assert_same(weights(watched.model), weights(alone.model))
    assert_same(weights(watched.best), weights(alone.best))


@pytest.mark.parametrize(
    ("steps", "every", "rows"), [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 5, [2]), (5, None, [5])]
)
def test_rows_come_at_intervals_and_at_the_end(fabric, batches, steps, every, rows):
    seen = stages(net(), batches, steps, fabric, every=every)
    assert seen == [(step, True, "done" if step == steps else None) for step in rows]


def test_the_loss_of_a_row_is_the_mean_since_the_last_and_nan_elsewhere(fabric, batches):
    _, single = train(net(), batches, 7, fabric, every=1)
    _, rows = train(net(), batches, 7, fabric, every=3)
    losses = [loss for _, loss in single]
    means = [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]]
    assert [loss for _, loss in rows] == pytest.approx(means, rel=1e-12)
    state, _ = train(net(), batches, 7, fabric, max_minutes=0)
    assert not state.row
    assert math.isnan(state.losses["loss"])


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0.5, [(1, False, "time")]),
        (1.5, [(2, True, "time")]),
        (2.5, [(2, True, None), (3, False, "time")]),
        (4.5, [(2, True, None), (4, True, None), (5, True, "done")]),
    ],
)
def test_it_stops_after_the_time_and_says_so(fabric, ticking, minutes, expected):
    assert stages(net(), ticking, 5, fabric, every=2, max_minutes=minutes) == expected


def test_it_stops_when_it_is_asked_to_and_saves_in_between(fabric, batches, ticking):
    answers = iter([False, False, True])
    stopped = stages(net(), batches, 9, fabric, stop=lambda: next(answers))
    assert stopped == [(3, False, "time")]
    saved = stages(net(), ticking, 5, fabric, save_minutes=1.5)
    assert saved == [(2, False, None), (4, False, None), (5, True, "done")]


def test_what_others_do_between_two_steps_takes_none_of_its_seconds(fabric, ticking, clock):
    seen = []

    def dawdle(state):
        seen.append(state.seconds)
        clock.now += 1000

    state, _ = train(net(), ticking, 6, fabric, dawdle, every=2)
    assert seen == [120, 240, 360]
    numbers = {**state.checkpoint()[1], "step": 4, "seconds": 240.0}
    train(net(), ticking, 6, fabric, dawdle, every=1, start=(state.checkpoint()[0], numbers))
    assert seen[3:] == [300, 360]


@pytest.mark.parametrize(("steps", "clip"), [(200, None), (6, None), (200, {"norm": 1.0})])
def test_a_training_that_diverges_stops_early_and_says_so(fabric, batches, steps, clip):
    how = {"optimiser": DIVERGING, "every": 3, "clip": clip, "max_minutes": 60}
    state, rows = train(net(), batches, steps, fabric, **how)
    assert state.ending == "diverged"
    assert clip or state.step < 10
    assert not math.isfinite(rows[-1][1])


def test_a_training_that_is_done_is_not_gone_on_with(fabric, batches):
    start = train(net(), batches, 3, fabric)[0].checkpoint()
    for steps in (2, 3):
        with pytest.raises(InputError, match=f"nothing is left to train after 3 of {steps} steps"):
            train(net(), batches, steps, fabric, start=start)


# --- layouts, precisions, processors


class Probe(nn.Module):
    """Notes in which layout images come to it."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen = net(3), []

    def forward(self, y):
        weight = self.inner[0].weight
        self.seen += [t.is_contiguous(memory_format=torch.channels_last) for t in (y, weight)]
        return self.inner(y)


@pytest.mark.parametrize("last", [False, True])
def test_channels_come_last_on_demand_and_results_are_close(fabric, batches, last):
    plain, probe = net(3), Probe()
    for model, how in ((plain, {}), (probe, {"channels_last": last})):
        train(model, lambda step: batches(step, channels=3), 3, fabric, **how)
    assert set(probe.seen) == {last}
    assert_close(weights(probe.inner), weights(plain), 1e-5)


def test_a_compiled_model_trains_as_the_plain_one(fabric, batches, monkeypatch):
    compiled, compile = [], torch.compile

    def note(model, backend):
        compiled.append(backend)
        return compile(model, backend=backend)

    monkeypatch.setattr(torch, "compile", note)
    plain, model = net(), net()
    train(plain, batches, 3, fabric)
    assert compiled == []
    state, _ = train(model, batches, 3, fabric, compile="eager", ema=0.5)
    assert set(compiled) == {"eager"}  # Fabric compiles what it has wrapped once more
    assert_close(weights(model), weights(plain), 1e-6)
    assert state.model is model
    assert weights(state.best).keys() == weights(model).keys()


def test_in_bf16_weights_are_float32_and_results_close(fabric, bf16, batches):
    plain, model = net(), net()
    kinds = []
    model[0].register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    train(plain, batches, 5, fabric)
    train(model, batches, 5, bf16)
    assert set(kinds) == {torch.bfloat16}
    assert {w.dtype for w in weights(model).values()} == {torch.float32}
    assert_close(weights(model), weights(plain), 0.03)
    assert not torch.equal(model[0].weight.cpu(), plain[0].weight.cpu())


@pytest.mark.parametrize(
    ("precision", "named"), [("fp64", "'fp64' is none of 32"), ("fp16", "fp16 needs a GPU")]
)
def test_a_precision_that_cannot_be_had_is_named(monkeypatch, precision, named):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=named):
        training.start_fabric(precision)


@pytest.mark.parametrize(
    ("gpus", "world", "here", "how", "expected"),
    [
        (0, None, None, {}, ("cpu", 1, 1, "auto")),
        (0, 4, 2, {}, ("cpu", 2, 2, "ddp")),
        (2, None, None, {}, ("cuda", [1], 1, "auto")),
        (2, None, None, {"device": "cuda"}, ("cuda", [1], 1, "auto")),
        (2, None, None, {"device": "cuda:0"}, ("cuda", [0], 1, "auto")),
        (2, None, None, {"device": "cpu"}, ("cpu", 1, 1, "auto")),
        (2, 2, 2, {}, ("cuda", 2, 1, "ddp")),
        (2, 2, 1, {"device": "cuda:1"}, ("cuda", [1], 2, "ddp")),
        (2, 4, 2, {"alone": True}, ("cpu", 1, 1, "auto")),
    ],
)
def test_processes_and_devices_are_as_torchrun_says(monkeypatch, gpus, world, here, how, expected):
    asked = {}

    def note(**how):
        asked.update(how)
        return SimpleNamespace(launch=lambda: None)

    monkeypatch.setattr(lightning_fabric, "Fabric", note)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(devices, "claim_gpu", lambda: 1)
    monkeypatch.delenv("DEBLURLIB_DEVICE")
    for key, value in (("WORLD_SIZE", world), ("LOCAL_WORLD_SIZE", here)):
        monkeypatch.delenv(key, raising=False)
        if value is not None:
            monkeypatch.setenv(key, str(value))
    training.start_fabric("bf16", **how)
    alone = world is None or "alone" in how
    mixed = ["LightningEnvironment", "InFullPrecision"][not alone :]
    assert [type(plugin).__name__ for plugin in asked.pop("plugins")] == mixed
    keys = ("accelerator", "devices", "num_nodes", "strategy")
    assert asked == {**dict(zip(keys, expected, strict=True)), "precision": None}
    training.start_fabric("32", **how)
    assert (asked["plugins"] is None, asked["precision"]) == (not alone, "32-true")


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "2 processes for 1 GPUs"), ("cuda:0", "2 processes for one GPU, cuda:0")],
)
def test_more_processes_than_gpus_are_refused(monkeypatch, device, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for key in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(key, "2")
    with pytest.raises(InputError, match=message):
        training.start_fabric(device=device)


def test_in_bf16_a_network_adds_to_its_input_itself_not_to_a_rounded_copy(bf16, rand):
    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.Conv2d(3, 3, 3, padding=1)
            for parameter in self.parameters():
                torch.nn.init.zeros_(parameter)

        def forward(self, y):
            self.z = self.last(y)
            return y + self.z

    model, y = Residual(), rand(1, 3, 8, 8)
    x_hat = bf16.setup(model)(y)
    assert model.z.dtype == torch.bfloat16
    assert torch.equal(x_hat, y)


def test_each_process_gets_a_gpu_of_its_own_while_there_are_some(monkeypatch, tmp_path):
    held = []
    monkeypatch.setattr(devices, "_held", held)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=f"GPU-{i}{i}")
    )

    def claim_as_another_process():
        devices.claim_gpu.cache_clear()
        return devices.claim_gpu()

    try:
        assert claim_as_another_process() == 0
        assert devices.claim_gpu() == 0  # asked again, it is the one it has
        assert [claim_as_another_process() for _ in range(2)] == [1, 0]
        names = sorted(path.name for path in tmp_path.iterdir())
        assert ["GPU-00" in names[0], "GPU-11" in names[1]] == [True] * len(names)
        held[0].release()  # as where a process ends
        held[1].release()
        assert [claim_as_another_process() for _ in range(2)] == [0, 1]
    finally:
        devices.claim_gpu.cache_clear()
        for lock in held:
            lock.release()
