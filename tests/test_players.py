"""A model and its critic: the turns they take, their losses, and coming back in between."""

import math
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deblurlib import models, training
from deblurlib.degrade import Pair
from deblurlib.errors import InputError
from deblurlib.losses import ADVERSARIAL, OBJECTIVES, Adversarial, Objective
from deblurlib.training import loop

SCHEDULE = {"name": "polynomial", "power": 0.5}
THREE_TO_ONE, ONE_TO_TWO = ("model",) * 3 + ("critic",), ("critic",) * 2 + ("model",)
GAMES = {
    "non-saturating": (
        lambda real, fake: (
            F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        ),
        lambda fake: F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake)),
    ),
    "hinge": (
        lambda real, fake: -(real - 1).clamp(max=0).mean() - (-fake - 1).clamp(max=0).mean(),
        lambda fake: -fake.mean(),
    ),
    "least-squares": (
        lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        lambda fake: 0.5 * ((fake - 1) ** 2).mean(),
    ),
}


@pytest.fixture(scope="module")
def fabric():
    return training.start_fabric("32")


def nets():
    """A model with dropout, and a critic whose buffers change in each look at an image."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.3), nn.Conv2d(4, 1, 3, padding=1)
        )
        critic = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, bias=False),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4, 1, 3),
        )
        return model, critic


@pytest.fixture
def batch_of(rand, fabric):
    def batch(turn):
        x = rand(2, 1, 8, 8, seed=turn).to(fabric.device)
        return Pair(0.5 * x + 0.2, x, ())

    return batch


def players(game="non-saturating", **critic):
    model, judge = nets()
    objective, adversarial = OBJECTIVES["l1"], ADVERSARIAL[game]
    adam = {"name": "adam", "lr": 1e-2}
    return {
        "model": training.Player(
            model,
            training.fooling(objective, adversarial),
            adam,
            SCHEDULE,
            clip={"norm": 0.5},
            ema=0.8,
            reset=4,
            weights={"adversarial": 0.3},
            losses=("loss", "adversarial"),
        ),
        "critic": training.Player(
            judge,
            training.telling(objective, adversarial),
            **{"optimiser": adam, "schedule": SCHEDULE, "losses": ("critic",)} | critic,
        ),
    }


def train(batch_of, fabric, steps=7, turns=THREE_TO_ONE, game="non-saturating", critic=None, **how):
    torch.manual_seed(4)
    rows = []
    playing = players(game, **critic or {})
    for state in training.fit(playing, batch_of, steps, fabric=fabric, turns=turns, **how):
        if state.row:
            rows.append({"step": state.step, "turn": state.turn, **state.losses})
    return state, rows


def by_hand(batch_of, steps, turns, game, device):
    """The same as two optimisers and a loop that one would write down for them."""
    torch.manual_seed(4)
    model, critic = (net.to(device).train() for net in nets())
    tell, fool = GAMES[game]
    movers = {"model": torch.optim.Adam(model.parameters())}
    movers["critic"] = torch.optim.Adam(critic.parameters())
    losses, step = [], 0
    for turn in count():
        if step == steps:
            return model, critic, losses
        who, pair = turns[turn % len(turns)], batch_of(turn)
        if who == "model" and step and step % 4 == 0:
            movers["model"] = torch.optim.Adam(model.parameters())
        for group in movers[who].param_groups:
            group["lr"] = 1e-2 * (1 - step / steps) ** 0.5
        model.zero_grad()
        critic.zero_grad()
        x_hat = model(pair.y)
        if who == "model":
            own, adversarial = (x_hat - pair.x).abs().mean(), fool(critic(x_hat))
            (own + 0.3 * adversarial).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            losses.append({"loss": own.item(), "adversarial": adversarial.item()})
            step += 1
        else:
            error = tell(critic(pair.x), critic(x_hat.detach()))
            error.backward()
            losses.append({"critic": error.item()})
        movers[who].step()


@pytest.mark.parametrize("turns", [THREE_TO_ONE, ONE_TO_TWO, ("model", "critic")])
@pytest.mark.parametrize("game", GAMES)
def test_a_game_equals_one_that_is_written_down(fabric, batch_of, turns, game):
    state, rows = train(batch_of, fabric, turns=turns, game=game, every=1)
    model, critic, losses = by_hand(batch_of, 7, turns, game, fabric.device)
    assert (state.step, state.turn) == (7, len(losses))
    for player, expected in (("model", model), ("critic", critic)):
        got = state.players[player].model.state_dict()
        for key, value in expected.state_dict().items():
            torch.testing.assert_close(got[key], value, rtol=1e-5, atol=1e-6)
    begin = 0
    for row in rows:  # of a step, with the turns of the critic before it
        since = losses[begin : row["turn"]]
        begin = row["turn"]
        for name in ("loss", "adversarial", "critic"):
            values = [one[name] for one in since if name in one]
            expected = np.mean(values) if values else math.nan
            assert row[name] == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("stop", [1, 3, 4, 7, 8])
def test_a_game_goes_on_to_the_same_bits_from_inside_a_cycle(fabric, batch_of, monkeypatch, stop):
    whole, rows = train(batch_of, fabric, every=2)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def ticking(turn):
        clock.now += 60
        return batch_of(turn)

    first, before = train(ticking, fabric, every=2, max_minutes=stop - 0.5)
    assert (first.ending, first.turn) == ("time", stop)
    assert first.step == stop - stop // 4
    second, after = train(batch_of, fabric, every=2, start=first.checkpoint())
    assert repr(before + after) == repr(rows)  # some of them NaN
    tensors, others = (state.checkpoint()[0] for state in (second, whole))
    assert {"critic.model.0.weight", "critic.optimiser.0.exp_avg", "total"} <= tensors.keys()
    assert tensors.keys() == others.keys()
    for key in tensors:
        assert torch.equal(tensors[key], others[key]), key


def test_the_one_whose_turn_it_is_not_does_not_move(fabric, batch_of):
    seen = []

    def noted(turn):
        seen.append([p.clone() for net in playing.values() for p in net.model.parameters()])
        return batch_of(turn)

    playing = players()
    sizes = [len(list(player.model.parameters())) for player in playing.values()]
    *_, state = training.fit(playing, noted, 4, fabric=fabric, turns=THREE_TO_ONE)
    for turn in range(4):
        moved = [not torch.equal(a, b) for a, b in zip(seen[turn], seen[turn + 1], strict=True)]
        critics = turn == 3
        assert moved == [not critics] * sizes[0] + [critics] * sizes[1]
    learning = [p.requires_grad for player in state.players.values() for p in player.learning]
    assert all(learning)


def test_a_critic_that_diverges_ends_the_training(fabric, batch_of):
    wild = {"optimiser": {"name": "sgd", "lr": 1e30}, "schedule": {"name": "constant"}}
    state, rows = train(batch_of, fabric, steps=50, every=1, critic=wild)
    assert state.ending == "diverged"
    assert state.step < 20
    assert not math.isfinite(rows[-1]["critic"]) or not math.isfinite(rows[-1]["adversarial"])
    assert math.isfinite(rows[-1]["loss"])  # at once, not when the model has followed


def test_the_critic_is_shown_targets_and_outputs(batch_of):
    negative = Objective(F.mse_loss, lambda pair: -pair.x)
    shown = Adversarial(lambda real, fake: torch.stack([real, fake]), lambda fake: fake)
    pair, model = batch_of(0), lambda y: [y + 1, y]  # at two scales
    networks = {"model": model, "critic": lambda image: image}
    real, fake = training.telling(negative, shown)(networks, pair)["critic"]
    assert torch.equal(real, -pair.x)
    assert torch.equal(fake, pair.y + 1)


def test_accuracy_is_the_share_of_logits_on_the_right_side_and_moves_nothing():
    real, fake = torch.tensor([[1.0], [-1.0], [0.0], [3.0]]), torch.tensor([[-2.0], [0.0], [4.0]])
    networks = {"model": lambda y: y, "critic": nn.Linear(1, 1)}
    nn.init.ones_(networks["critic"].weight)
    nn.init.zeros_(networks["critic"].bias)
    found = []
    for accuracy in (True, False):
        minimised = training.telling(OBJECTIVES["l1"], ADVERSARIAL["hinge"], accuracy)
        measures = (training.ACCURACY,) if accuracy else ()
        player = training.Player(
            networks["critic"], minimised, {}, losses=("critic",), measures=measures
        )
        losses = minimised(networks, Pair(fake, real, ()))
        assert losses.keys() == set(player.noted)
        total = player.total(losses)
        found += [[total, *torch.autograd.grad(total, networks["critic"].parameters())]]
        if accuracy:  # 2 of 4 targets, 1 of 3 outputs
            assert losses["critic_accuracy"].item() == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"reset": 2}, "so critic cannot be reset"),
        ({"losses": ("loss",)}, "two losses have one name"),
        ({"losses": ("other",)}, "critic returns the losses critic, and names others"),
        ({"weights": {"adversarial": 1.0}}, "no loss 'adversarial' to weigh"),
    ],
)
def test_a_player_that_does_not_fit_is_named(fabric, batch_of, fields, named):
    with pytest.raises(InputError, match=named):
        train(batch_of, fabric, critic=fields)


def test_players_without_turns_and_turns_without_players_are_named(fabric, batch_of):
    for turns in (("model",), ("critic",), ("model", "critic", "judge")):
        with pytest.raises(InputError, match="must be of the players model, critic"):
            train(batch_of, fabric, turns=turns)


# --- what a network is called with, and what stays as it is


class Told(nn.Module):
    """Learns how strong the noise is that it is told of."""

    takes = ("y", "noise")

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, y, noise):
        return self.weight * noise[:, None, None, None] * torch.ones_like(y)


def test_a_network_is_called_with_what_it_takes(fabric, rand):
    levels = torch.tensor([0.25, 0.5])
    known = [SimpleNamespace(noise=level) for level in levels.tolist()]
    pair = Pair(rand(2, 1, 4, 4), levels.view(2, 1, 1, 1).expand(2, 1, 4, 4), known)
    model, adam = Told(), {"name": "adam", "lr": 0.1}
    player = training.Player(model, training.supervised(OBJECTIVES["mse"]), adam)
    list(training.fit({"model": player}, lambda turn: pair, 200, fabric=fabric))
    assert model.weight.item() == pytest.approx(1, abs=1e-2)


def test_what_is_frozen_stays_as_it_was_and_in_evaluation_mode(fabric, batch_of):
    frozen = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout(0.9))
    frozen.requires_grad_(False)
    model = nn.Sequential(frozen, nn.Conv2d(1, 1, 3, padding=1), nn.Dropout(0.1))
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    modes = []
    model[2].register_forward_hook(lambda *_: modes.append([m.training for m in frozen.modules()]))
    how = {"optimiser": {"name": "adamw", "lr": 0.1, "weight_decay": 0.5}, "ema": 0.5}
    player = training.Player(model, training.supervised(OBJECTIVES["mse"]), **how)
    for state in training.fit({"model": player}, batch_of, 4, fabric=fabric, every=1):
        state.model.eval()
    assert modes == [[False] * 4] * 4
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())
    assert all(torch.equal(v, before[k]) for k, v in state.best[0].state_dict().items())


# --- discriminators


@pytest.mark.parametrize(("spectral", "parameters"), [(True, 2_764_737), (False, 2_764_737)])
def test_the_discriminator_is_the_70_pixel_one(rand, spectral, parameters):
    critic = models.build_discriminator("patch", {"spectral": spectral}, 0)
    assert models.parameter_count(critic) == parameters
    x = rand(1, 3, 256, 256).requires_grad_()
    logits = critic(x)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero()
    assert rows.max() - rows.min() + 1 == 70


def test_with_four_halvings_and_batch_normalisation_the_critic_has_s5s_six_convolutions(rand):
    critic = models.PatchDiscriminator(width=2, halvings=4, spectral=False, batch_norm=True)
    x = rand(3, 3, 64, 80)
    z, found = x, critic.train()(x)
    layers, norms = critic.layers, critic.norms
    assert [type(layer) for layer in layers] == [nn.Conv2d] * 6
    assert [layer.out_channels for layer in layers] == [2, 4, 8, 16, 16, 1]
    assert [layer.stride[0] for layer in layers] == [2, 2, 2, 2, 1, 1]
    assert [type(norm) for norm in norms] == [nn.Identity] + [nn.BatchNorm2d] * 4
    for number, layer in enumerate(layers):
        z = F.conv2d(z, layer.weight, layer.bias, layer.stride, padding=1)
        if 0 < number < 5:  # over the batch and the image, of each channel
            mean, var = z.mean((0, 2, 3), keepdim=True), z.var((0, 2, 3), False, keepdim=True)
            z = (z - mean) / (var + 1e-5).sqrt()
        z = torch.where(z > 0, z, 0.2 * z) if number < 5 else z
    torch.testing.assert_close(found, z, rtol=1e-3, atol=1e-5)
    plain = models.PatchDiscriminator(width=2, halvings=4, spectral=False)
    names = {name for name in critic.state_dict() if "norms" in name}
    assert plain.state_dict().keys() == critic.state_dict().keys() - names
    assert critic(rand(1, 3, critic.least, critic.least)).shape == (1, 1, 1, 1)


def test_a_model_whose_loss_is_none_learns_from_its_critic_alone(fabric, batch_of):
    objective, game = OBJECTIVES["none"], ADVERSARIAL["non-saturating"]
    model, critic = (net.eval() for net in nets())
    minimised = training.fooling(objective, game)
    for turn in range(2):  # whatever the sharp image is
        pair = replace(batch_of(0), x=batch_of(turn).x)
        losses = minimised({"model": model, "critic": critic}, pair)
        total, own = sum(losses.values()), game.fool(critic(model(pair.y)))
        grads, expected = (torch.autograd.grad(z, [*model.parameters()]) for z in (total, own))
        assert losses["loss"] == 0
        assert all(map(torch.equal, grads, expected))
        assert all(grad.abs().max() > 0 for grad in grads)
    playing = players()
    playing["model"] = replace(playing["model"], minimises=minimised)
    start = [weight.clone() for weight in playing["model"].model.parameters()]
    turns = ("model", "critic")
    for state in training.fit(playing, batch_of, 3, fabric=fabric, turns=turns, every=1):
        assert state.losses.get("loss", 0) == 0
    moved = zip(start, playing["model"].model.parameters(), strict=True)
    assert not any(torch.equal(*weights) for weights in moved)


def test_each_layer_stretches_nothing_by_more_than_1(rand):
    critic = models.PatchDiscriminator(width=4, halvings=1)
    with torch.no_grad():
        for layer in critic.layers:
            layer.parametrizations.weight.original.mul_(50)
        for _ in range(100):
            critic(rand(1, 3, 8, 8))
    for layer in critic.layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1, abs=1e-3)


def test_a_small_critic_for_maps_of_one_channel_is_bounded_too(rand):
    arguments = {"channels": 1, "width": 4, "halvings": 2}
    bounded, free = (
        models.build_discriminator("patch", {**arguments, "spectral": spectral}, 0)
        for spectral in (True, False)
    )
    assert models.parameter_count(bounded) == models.parameter_count(free)
    x, other = rand(2, 1, 32, 32), rand(2, 1, 32, 32, seed=1)
    with torch.no_grad():
        for critic in (bounded, free):
            for name, parameter in critic.named_parameters():
                if "bias" not in name:
                    parameter.mul_(20)
            for _ in range(100):  # an iteration each towards the largest singular value
                critic(x)
        assert bounded(x).shape == free(x).shape
        moved = [(c(x) - c(other)).abs().max().item() for c in (bounded, free)]
    for layer in bounded.layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1, abs=1e-3)
    assert moved[1] > 100 * moved[0]


def test_the_flat_discriminator_is_s3s_layer_by_layer(rand):
    critic = models.build_discriminator("flat", {}, 0)
    sides = []
    for layer in critic.features:
        layer.register_forward_hook(lambda *of: sides.append(of[-1].shape[-1]))
    assert critic(rand(2, 3, 64, 64)).shape == (2, 1)
    kinds = [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * 3 + [nn.Conv2d, nn.ReLU]
    assert [type(layer) for layer in critic.features] == kinds
    assert sides == [62] * 3 + [30] * 3 + [28] * 3 + [13] * 2
    found = [layer for layer in critic.features if isinstance(layer, nn.Conv2d)]
    table = [(3, 64, 1), (64, 128, 2), (128, 256, 1), (256, 512, 2)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in found] == table
    assert {c.kernel_size for c in found} == {(3, 3)}
    assert sum(map(models.parameter_count, found)) == 1_550_976
    assert critic.last.in_features == 86_528
    normalised = 2 * (64 + 128 + 256)
    assert models.parameter_count(critic) == 1_550_976 + 86_528 + 1 + normalised


def test_a_flat_discriminator_judges_images_of_one_size(rand):
    critic = models.build_discriminator("flat", {"width": 2, "side": 16, "channels": 1}, 0)
    assert critic(rand(2, 1, 16, 16)).shape == (2, 1)
    for sides in ((15, 16), (16, 17), (32, 32)):
        with pytest.raises(InputError, match=f"16 x 16 pixels, not {sides[0]} x {sides[1]}"):
            critic(rand(2, 1, *sides))
    assert models.FlatDiscriminator(width=2, side=13)(rand(2, 3, 13, 13)).shape == (2, 1)
    with pytest.raises(InputError, match="12 x 12 pixels are too small"):
        models.FlatDiscriminator(side=12)


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_a_discriminator_says_the_least_image_that_it_takes(rand, halvings):
    critic = models.PatchDiscriminator(width=2, halvings=halvings)
    least = critic.least
    assert critic(rand(1, 3, least, least)).shape[-2:] == (1, 1)
    with pytest.raises(RuntimeError):
        critic(rand(1, 3, least - 1, least - 1))
