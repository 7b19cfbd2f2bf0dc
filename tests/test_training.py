"""Training: the loop equals a bare one, and goes on to the same bits whatever is in between."""

import math
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import lightning_fabric
import numpy as np
import pytest
import torch
from torch import nn

from deblurlib import models, training
from deblurlib.errors import InputError
from deblurlib.losses import LOSSES
from deblurlib.training import devices, loop, rates

ADAM = {"name": "adam", "lr": 1e-2}
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
mse = LOSSES["mse"]


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
    return batches_with(rand, fabric, 1)


def batches_with(rand, fabric, channels):
    def batch_of(step):
        x = rand(2, channels, 8, 8, seed=step)
        noise = rand(2, channels, 8, 8, seed=1000 + step)
        return (x + 0.1 * noise).to(fabric.device), x.to(fabric.device)

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
    for state in training.fit(
        model, batch_of, mse, steps, **{"fabric": fabric, "optimiser": ADAM} | how
    ):
        if state.row:
            rows.append((state.step, state.loss))
        if between:
            between(state)
    return state, rows


def by_hand(model, batch_of, steps, optimiser, factor=lambda step: 1.0, clip=None):
    """The loop as one would write it down; ``clip(model)`` comes after the gradients."""
    torch.manual_seed(4)
    first = [group["lr"] for group in optimiser.param_groups]
    losses = []
    for step in range(steps):
        for group, lr in zip(optimiser.param_groups, first, strict=True):
            group["lr"] = lr * factor(step)
        optimiser.zero_grad()
        y, x = batch_of(step)
        error = ((model(y) - x) ** 2).mean()
        error.backward()
        if clip:
            clip(model)
        optimiser.step()
        losses.append(error.item())
    return losses


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
    "momentum": (
        {"optimiser": SGD},
        lambda m: torch.optim.SGD(m.parameters(), 0.05, 0.9),
        {},
    ),
    "schedule": (
        {"optimiser": SGD, "schedule": {"name": "polynomial", "power": 0.3, "warmup": 4}},
        lambda m: torch.optim.SGD(m.parameters(), 0.05, 0.9),
        {"factor": lambda step: (1 - step / 7) ** 0.3 * min(1, (step + 1) / 4)},
    ),
    "rates": (
        {
            "optimiser": {**SGD, "rates": {"3": 0.1, "3.bias": 2.0}},
            "schedule": {"name": "cosine", "end": 0.5},
        },
        lambda m: torch.optim.SGD(
            [
                {"params": m[0].parameters()},
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
        lambda m: torch.optim.SGD(m.parameters(), 0.05, 0.9),
        {"clip": lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.05)},
    ),
    "clip-a-part": (
        {"optimiser": ADAM, "clip": {"norm": 0.01, "of": "3."}},
        lambda m: torch.optim.Adam(m.parameters(), 1e-2),
        {"clip": lambda m: nn.utils.clip_grad_norm_(m[3].parameters(), 0.01)},
    ),
    "dropout": ({}, lambda m: torch.optim.Adam(m.parameters(), 1e-2), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_loop_equals_a_bare_one_to_the_bit(fabric, batches, case):
    how, make, also = CASES[case]
    dropout = 0.5 * (case == "dropout")
    model, bare = net(dropout=dropout), net(dropout=dropout).to(fabric.device)
    _, rows = train(model, batches, 7, fabric, every=1, **how)
    losses = by_hand(bare, batches, 7, make(bare), **also)
    assert_same(weights(model), weights(bare))
    assert [step for step, _ in rows] == list(range(1, 8))
    assert [loss for _, loss in rows] == losses


def test_srcnn_trains_as_in_a_bare_loop(fabric, batches):
    model, bare = (models.build("srcnn", {}, seed=1).to(fabric.device) for _ in range(2))
    train(model, batches, 3, fabric)
    by_hand(bare, batches, 3, torch.optim.Adam(bare.parameters(), 1e-2))
    assert_same(weights(model), weights(bare))


@pytest.mark.parametrize("reset", [1, 3, 6, 9])
@pytest.mark.parametrize("case", ["adam", "adamw", "momentum", "schedule", "rates"])
def test_a_reset_equals_a_new_optimiser_after_every_so_many_steps(fabric, batches, case, reset):
    how, make, also = CASES[case]
    model, bare, losses = net(), net().to(fabric.device), []
    _, rows = train(model, batches, 7, fabric, every=1, reset=reset, **how)
    for begin in range(0, 7, reset):
        steps = range(begin, min(begin + reset, 7))
        also_now = {k: lambda step, f=f, on=steps: f(on[step]) for k, f in also.items()}
        losses += by_hand(
            bare, lambda step, on=steps: batches(on[step]), len(steps), make(bare), **also_now
        )
    assert_same(weights(model), weights(bare))
    assert [loss for _, loss in rows] == losses


@pytest.mark.parametrize("optimiser", [ADAM, SGD])
def test_an_optimiser_that_forgets_trains_otherwise_if_it_has_something_to_forget(
    fabric, batches, optimiser
):
    kept, never, often = net(), net(), net()
    for model, reset in ((kept, None), (never, 7), (often, 3)):
        train(model, batches, 7, fabric, optimiser=optimiser, reset=reset)
    assert_same(weights(kept), weights(never))
    assert not torch.equal(kept[0].weight, often[0].weight)


def one_step(batches, fabric, clip):
    """How far each parameter moves in a step of SGD with rate 1: its gradient."""
    model = net()
    train(model, batches, 1, fabric, optimiser={"name": "sgd", "lr": 1.0}, clip=clip)
    before = weights(net())
    return {k: v - before[k] for k, v in weights(model).items()}


def norm(tensors):
    return torch.stack([t.norm() for t in tensors]).norm().item()


def test_a_clip_scales_all_gradients_down_to_its_norm_but_never_up(fabric, batches):
    free, clipped, loose = (
        one_step(batches, fabric, clip) for clip in (None, {"norm": 0.01}, {"norm": 1e6})
    )
    assert norm(free.values()) > 0.1
    assert norm(clipped.values()) == pytest.approx(0.01, rel=1e-3)
    assert_same(loose, free)


def test_a_clip_of_a_part_leaves_the_others_alone(fabric, batches):
    free = one_step(batches, fabric, None)
    clipped = one_step(batches, fabric, {"norm": 0.01, "of": "3."})
    assert norm([clipped["3.weight"], clipped["3.bias"]]) == pytest.approx(0.01, rel=1e-3)
    for key in ("0.weight", "0.bias"):
        assert torch.equal(free[key], clipped[key])


RESUMED = {
    "adam": {},
    "momentum": {"optimiser": SGD},
    "no-momentum": {"optimiser": {"name": "sgd", "lr": 0.05}},
    "adamw-amsgrad": {"optimiser": {"name": "adamw", "lr": 1e-2, "amsgrad": True}},
    "ema": {"ema": 0.7},
    "reset": {"reset": 3},
    "reset-at-rows": {"reset": 4, "optimiser": SGD, "schedule": {"name": "cosine"}},
    "rates-schedule-clip": {
        "optimiser": {**ADAM, "rates": {"3": 0.1}},
        "schedule": {"name": "cosine", "warmup": 3},
        "clip": {"norm": 0.05},
        "ema": 0.9,
    },
}


def assert_goes_on(stop, how, batch_of, fabric, clock, dropout=0.5):
    """Stopped after ``stop`` of 10 steps and gone on with anew, a training ends the same."""
    whole, rows = train(net(dropout=dropout), batch_of, 10, fabric, every=4, **how)
    assert [step for step, _ in rows] == [4, 8, 10]

    def ticking(step):
        clock.now += 60
        return batch_of(step)

    minutes = {"max_minutes": stop - 0.5}
    first = train(net(dropout=dropout), ticking, 10, fabric, every=4, **minutes, **how)
    assert (first[0].ending, first[0].step) == ("time", stop)
    start = first[0].checkpoint()
    other = net(dropout=dropout)
    nn.init.zeros_(other[0].weight)
    torch.rand(9)
    second = train(other, batch_of, 10, fabric, every=4, start=start, **how)
    assert first[1] + second[1] == rows
    assert_same(weights(second[0].model), weights(whole.model))
    assert_same(weights(second[0].best), weights(whole.best))
    for key, value in whole.checkpoint()[0].items():
        assert torch.equal(second[0].checkpoint()[0][key], value), key


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
@pytest.mark.parametrize("how", RESUMED.values(), ids=RESUMED.keys())
def test_a_stopped_training_goes_on_to_the_same_bits(fabric, batches, clock, how, stop):
    assert_goes_on(stop, how, batches, fabric, clock)


@pytest.mark.parametrize("stop", [4, 7])
def test_in_bf16_too(bf16, batches, clock, stop):
    assert_goes_on(stop, {"ema": 0.7, "optimiser": SGD}, batches, bf16, clock)


def test_any_row_can_be_gone_on_from(fabric, batches):
    kept = []
    whole, rows = train(
        net(dropout=0.5),
        batches,
        9,
        fabric,
        between=lambda state: kept.append(state.checkpoint()),
        every=2,
        ema=0.7,
    )
    assert [numbers["step"] for _, numbers in kept] == [2, 4, 6, 8, 9]
    for place in (1, 0, 2, 3):
        again, later = train(
            net(dropout=0.5), batches, 9, fabric, every=2, ema=0.7, start=kept[place]
        )
        assert later == rows[place + 1 :]
        assert_same(weights(again.best), weights(whole.best))


def test_going_on_leaves_the_checkpoint_as_it_was(fabric, batches):
    tensors, numbers = train(net(), batches, 3, fabric, optimiser=ADAM, ema=0.5)[0].checkpoint()
    before = {k: v.clone() for k, v in tensors.items()}, dict(numbers)
    train(net(), batches, 6, fabric, ema=0.5, start=(tensors, numbers))
    assert_same(tensors, before[0])
    assert numbers == before[1]


def test_a_checkpoint_does_not_change_when_the_training_goes_on(fabric, batches):
    kept = []

    def keep(state):
        taken = state.checkpoint()[0]
        kept.append((taken, {k: v.clone() for k, v in taken.items()}))

    train(net(), batches, 5, fabric, between=keep, every=1, ema=0.5)
    for taken, copy in kept:
        assert_same(taken, copy)


def test_a_checkpoint_is_tensors_on_the_processor_and_numbers(fabric, batches):
    tensors, numbers = train(net(), batches, 3, fabric, ema=0.5)[0].checkpoint()
    assert all(isinstance(v, torch.Tensor) and v.device.type == "cpu" for v in tensors.values())
    assert all(isinstance(v, int | float) for v in numbers.values())
    assert numbers["step"] == 3


def disturb(state):
    state.model.eval()
    torch.rand(7)
    torch.manual_seed(99)
    state.best(torch.rand(1, 1, 8, 8).to(next(state.model.parameters()).device))


def test_what_is_done_between_two_steps_changes_nothing(fabric, batches):
    alone, rows = train(net(dropout=0.5), batches, 9, fabric, every=9, ema=0.7)
    for every in (1, 2):
        watched, _ = train(net(dropout=0.5), batches, 9, fabric, disturb, every=every, ema=0.7)
        assert_same(weights(watched.model), weights(alone.model))
        assert_same(weights(watched.best), weights(alone.best))
    assert len(rows) == 1


def test_batches_may_be_drawn_from_the_same_random_numbers(fabric):
    def batch_of(step):
        x = torch.rand(2, 1, 8, 8).to(fabric.device)
        return x + 0.1, x

    alone, _ = train(net(dropout=0.5), batch_of, 6, fabric)
    watched, _ = train(net(dropout=0.5), batch_of, 6, fabric, disturb, every=1)
    assert_same(weights(watched.model), weights(alone.model))


def test_a_model_given_in_eval_mode_is_trained_in_train_mode(fabric, batches):
    one, other = net(dropout=0.5), net(dropout=0.5).eval()
    for model in (one, other):
        train(model, batches, 3, fabric)
    assert_same(weights(one), weights(other))


def test_gradients_from_before_do_not_count(fabric, batches):
    fresh, used = net(), net()
    for parameter in used.parameters():
        parameter.grad = torch.ones_like(parameter)
    for model in (fresh, used):
        train(model, batches, 3, fabric)
    assert_same(weights(fresh), weights(used))


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_average_equals_one_by_hand(fabric, batches, decay):
    seen = []
    state, _ = train(
        net(), batches, 6, fabric, lambda s: seen.append(weights(s.model)), every=1, ema=decay
    )
    average = {k: v.double() for k, v in seen[0].items()}
    for after in seen[1:]:
        average = {k: decay * average[k] + (1 - decay) * v for k, v in after.items()}
    assert state.best is not state.model
    assert_close({k: v.double() for k, v in weights(state.best).items()}, average, 1e-6)
    assert (state.best[0].weight - state.model[0].weight).abs().max() > 1e-4


def test_without_an_average_the_best_is_the_model_that_was_given(fabric, batches):
    model = net()
    state, _ = train(model, batches, 2, fabric)
    assert state.best is state.model is model
    assert state.average is None


def test_an_average_does_not_change_the_training(fabric, batches):
    one, other = net(dropout=0.5), net(dropout=0.5)
    train(one, batches, 5, fabric)
    train(other, batches, 5, fabric, ema=0.9)
    assert_same(weights(one), weights(other))


def test_a_rate_of_0_freezes_and_the_longest_prefix_wins(fabric, batches):
    frozen = net()
    how = {**ADAM, "rates": {"": 0.0, "3.": 1.0, "3.bias": 0.0}}
    train(frozen, batches, 3, fabric, optimiser=how)
    before, after = weights(net()), weights(frozen)
    for key in ("0.weight", "0.bias", "3.bias"):
        assert torch.equal(before[key], after[key])
    assert not torch.equal(before["3.weight"], after["3.weight"])


def test_every_parameter_is_in_one_group_with_its_rate():
    model = net()
    optimiser = training.make_optimiser(model, {**SGD, "rates": {"3": 0.1, "0.bias": 0.1}})
    rate_of = {id(p): g["lr"] for g in optimiser.param_groups for p in g["params"]}
    assert sum(len(g["params"]) for g in optimiser.param_groups) == len(rate_of) == 4
    assert {name: rate_of[id(p)] for name, p in model.named_parameters()} == pytest.approx(
        {"0.weight": 0.05, "0.bias": 0.005, "3.weight": 0.005, "3.bias": 0.005}
    )
    training.set_rates(optimiser, {"name": "polynomial", "power": 1.0}, 3, 4)
    training.set_rates(optimiser, {"name": "polynomial", "power": 1.0}, 2, 4)
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.025, 0.0025])


def test_making_an_optimiser_leaves_its_settings_as_they_were():
    settings = {**SGD, "rates": {"3": 0.1}}
    training.make_optimiser(net(), settings)
    assert settings == {**SGD, "rates": {"3": 0.1}}


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ({"name": "constant"}, (1, 1, 1, 1, 1)),
        ({"name": "polynomial", "power": 1.0}, (1, 0.75, 0.5, 0.25, 0)),
        ({"name": "polynomial", "power": 0.3}, (1, 0.75**0.3, 0.8122523963562356, 0.25**0.3, 0)),
        ({"name": "polynomial", "power": 2, "end": 0.2}, (1, 0.65, 0.4, 0.25, 0.2)),
        ({"name": "cosine"}, (1, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5, 0)),
        ({"name": "cosine", "end": 0.1}, (1, 0.55 + 0.9 * 0.125**0.5, 0.55, None, 0.1)),
        ({"name": "steps", "every": 0.25, "factor": 0.5}, (1, 0.5, 0.25, 0.125, 0.0625)),
        ({"name": "steps", "every": 0.5, "factor": 0.1}, (1, 1, 0.1, 0.1, 0.01)),
        ({"name": "constant", "warmup": 50}, (0.02, 0.52, 1, 1, 1)),
        ({"name": "polynomial", "power": 1, "warmup": 100}, (0.01, 0.75 * 0.26, 0.255, 0.19, 0)),
        ({"name": "constant", "warmup": 0}, (1, 1, 1, 1, 1)),
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
        ({"optimiser": {"name": "sgd"}}, "needs a name and a rate lr"),
        ({"optimiser": {"lr": 1e-4}}, "needs a name and a rate lr"),
        ({"optimiser": {**ADAM, "rates": {"4.": 1}}}, r"no parameter's name begins with '4\.'"),
        ({"schedule": {"name": "linear"}}, "'linear' is none of constant, steps, polynomial, cos"),
        ({"schedule": {"name": "cosine", "power": 1}}, "schedule cosine: .*power"),
        ({"schedule": {"name": "polynomial"}}, "schedule polynomial: .*power"),
        ({"clip": {"norm": 1, "of": "lstm."}}, r"no parameter's name begins with 'lstm\.'"),
    ],
)
def test_wrong_settings_are_named(fabric, batches, how, named):
    model = net()
    with pytest.raises(InputError, match=named):
        train(model, batches, 3, fabric, **how)
    assert_same(weights(model), weights(net()))


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (7, 3, [3, 6, 7]),
        (6, 3, [3, 6]),
        (2, 5, [2]),
        (3, 1, [1, 2, 3]),
        (5, None, [5]),
    ],
)
def test_rows_come_at_intervals_and_at_the_end(fabric, batches, steps, every, expected):
    seen = []
    train(
        net(),
        batches,
        steps,
        fabric,
        lambda state: seen.append((state.step, state.row, state.ending)),
        every=every,
    )
    assert seen == [(step, True, "done" if step == steps else None) for step in expected]


def test_the_loss_of_a_row_is_the_mean_since_the_last(fabric, batches):
    _, single = train(net(), batches, 7, fabric, every=1)
    _, rows = train(net(), batches, 7, fabric, every=3)
    losses = [loss for _, loss in single]
    means = [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]]
    assert [loss for _, loss in rows] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0.5, [(1, False, "time")]),
        (1.5, [(2, True, None), (2, True, "time")][1:]),
        (2.5, [(2, True, None), (3, False, "time")]),
        (4.5, [(2, True, None), (4, True, None), (5, True, "done")]),
        (60, [(2, True, None), (4, True, None), (5, True, "done")]),
    ],
)
def test_it_stops_after_the_time_and_says_so(fabric, batches, clock, minutes, expected):
    def ticking(step):
        clock.now += 60
        return batches(step)

    seen = []
    train(
        net(),
        ticking,
        5,
        fabric,
        lambda state: seen.append((state.step, state.row, state.ending)),
        every=2,
        max_minutes=minutes,
    )
    assert seen == expected


def test_the_loss_is_nan_where_no_row_ends(fabric, batches, clock):
    def ticking(step):
        clock.now += 60
        return batches(step)

    state, rows = train(net(), ticking, 5, fabric, every=2, max_minutes=2.5)
    assert (state.step, state.row, len(rows)) == (3, False, 1)
    assert math.isnan(state.loss)


def test_what_others_do_between_two_steps_takes_none_of_its_seconds(fabric, batches, clock):
    def ticking(step):
        clock.now += 2
        return batches(step)

    seen = []

    def dawdle(state):
        seen.append(state.seconds)
        clock.now += 1000

    state, _ = train(net(), ticking, 6, fabric, dawdle, every=2)
    assert seen == [4, 8, 12]
    numbers = {**state.checkpoint()[1], "step": 4, "seconds": 8.0}
    train(net(), ticking, 6, fabric, dawdle, every=1, start=(state.checkpoint()[0], numbers))
    assert seen[3:] == [10, 12]


@pytest.mark.parametrize("steps", [200, 6])
def test_a_training_that_diverges_stops_early_and_says_so(fabric, batches, steps):
    how = {"optimiser": {"name": "sgd", "lr": 1e12}, "every": 3}
    state, rows = train(net(), batches, steps, fabric, max_minutes=60, **how)
    assert state.ending == "diverged"
    assert state.step < 10
    assert not math.isfinite(rows[-1][1])


def test_a_clipped_training_that_diverges_says_so_too(fabric, batches):
    how = {"optimiser": {"name": "sgd", "lr": 1e12}, "every": 3, "clip": {"norm": 1.0}}
    state, _ = train(net(), batches, 200, fabric, **how)
    assert state.ending == "diverged"


def test_a_training_that_is_done_is_not_gone_on_with(fabric, batches):
    start = train(net(), batches, 3, fabric)[0].checkpoint()
    for steps in (2, 3):
        with pytest.raises(InputError, match=f"nothing is left to train after 3 of {steps} steps"):
            train(net(), batches, steps, fabric, start=start)


def test_it_learns_one_batch_by_heart(fabric, batches):
    _, rows = train(net(), lambda step: batches(0), 150, fabric, every=1)
    assert rows[-1][1] < rows[0][1] / 10


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
def test_channels_come_last_on_demand_and_results_are_close(rand, fabric, last):
    batch_of = batches_with(rand, fabric, 3)
    plain, probe = net(3), Probe()
    train(plain, batch_of, 5, fabric)
    train(probe, batch_of, 5, fabric, channels_last=last)
    assert set(probe.seen) == {last}
    assert_close(weights(probe.inner), weights(plain), 1e-5)


def test_a_compiled_model_trains_as_the_plain_one(fabric, batches, monkeypatch):
    compiled, compile = [], torch.compile

    def note(model, backend):
        compiled.append(backend)
        return compile(model, backend=backend)

    monkeypatch.setattr(torch, "compile", note)
    plain, model = net(), net()
    train(plain, batches, 4, fabric)
    assert compiled == []
    state, _ = train(model, batches, 4, fabric, compile="aot_eager", ema=0.5)
    assert set(compiled) == {"aot_eager"}  # Fabric compiles what it has wrapped once more
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


def test_an_unknown_precision_is_named():
    with pytest.raises(InputError, match="precision 'fp64' is none of 32, bf16, fp16"):
        training.start_fabric("fp64")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fp16_needs_a_gpu():
    with pytest.raises(InputError, match="fp16 needs a GPU; bf16 works"):
        training.start_fabric("fp16")


@pytest.mark.parametrize(
    ("gpus", "world", "here", "expected"),
    [
        (0, None, None, ("cpu", 1, 1, "auto")),
        (0, 4, 2, ("cpu", 2, 2, "ddp")),
        (0, 3, 3, ("cpu", 3, 1, "ddp")),
        (0, 3, 1, ("cpu", 1, 3, "ddp")),
        (2, None, None, ("cuda", [1], 1, "auto")),
        (2, 2, 2, ("cuda", 2, 1, "ddp")),
    ],
)
def test_processes_and_devices_are_as_torchrun_says(monkeypatch, gpus, world, here, expected):
    asked = []

    def note(**how):
        asked.append(how)
        return SimpleNamespace(launch=lambda: None)

    monkeypatch.setattr(lightning_fabric, "Fabric", note)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(devices, "claim_gpu", lambda: 1)
    for key, value in (("WORLD_SIZE", world), ("LOCAL_WORLD_SIZE", here)):
        monkeypatch.delenv(key, raising=False)
        if value is not None:
            monkeypatch.setenv(key, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    training.start_fabric("bf16")
    (plugins,) = [how.pop("plugins") for how in asked]
    assert (plugins is None) == (world is not None)
    keys = ("accelerator", "devices", "num_nodes", "strategy")
    assert asked == [{**dict(zip(keys, expected, strict=True)), "precision": "bf16-mixed"}]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for key in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(key, "2")
    with pytest.raises(InputError, match="2 processes for 1 GPUs"):
        training.start_fabric()


def test_one_process_is_one_process_whatever_a_scheduler_says(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    assert training.start_fabric().world_size == 1


def test_it_stops_when_it_is_asked_to_and_saves_in_between(fabric, batches):
    answers = iter([False, False, True])
    state, _ = train(net(), batches, 9, fabric, stop=lambda: next(answers))
    assert (state.step, state.ending, state.row) == (3, "time", False)
    seen = []
    train(net(), batches, 5, fabric, lambda s: seen.append((s.step, s.row)), save_minutes=0)
    assert seen == [(1, False), (2, False), (3, False), (4, False), (5, True)]


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """Two GPUs that are not there; what is claimed is given back at the end."""
    held = []
    monkeypatch.setattr(devices, "_held", held)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=f"GPU-{i}{i}")
    )
    devices.claim_gpu.cache_clear()
    yield tmp_path
    devices.claim_gpu.cache_clear()
    for lock in held:
        lock.release()


def claim_as_another_process():
    devices.claim_gpu.cache_clear()
    return devices.claim_gpu()


def test_each_process_gets_a_gpu_of_its_own_while_there_are_some(two_gpus):
    assert devices.claim_gpu() == 0
    assert devices.claim_gpu() == 0  # asked again, it is the one it has
    assert claim_as_another_process() == 1
    assert claim_as_another_process() == 0
    assert len(devices._held) == 2
    locks = [path.name for path in two_gpus.iterdir()]
    assert len(locks) == 2
    assert sum("GPU-00" in name for name in locks) == sum("GPU-11" in name for name in locks) == 1


def test_a_gpu_that_another_process_has_is_free_when_that_ends(two_gpus):
    devices.claim_gpu()
    (path,) = two_gpus.iterdir()
    for lock in devices._held:
        lock.release()
    script = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        assert claim_as_another_process() == 1
        other.communicate()
    assert claim_as_another_process() == 0


def test_without_a_gpu_none_is_claimed(two_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.claim_gpu() == 0
    assert list(two_gpus.iterdir()) == []


def test_optimisers_and_schedules_are_found_by_name():
    assert set(training.OPTIMISERS) == {"adam", "adamw", "sgd"}
    assert rates.SCHEDULES is training.SCHEDULES
