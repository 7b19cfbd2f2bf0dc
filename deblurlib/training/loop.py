"""The training loop, on Lightning Fabric: it yields its state and writes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from .. import machine
from ..degrade import Pair
from ..errors import InputError
from .players import Player, below, turn_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import Precision


@dataclass
class State:
    """Where a training stands. The loop changes it: keep what :meth:`checkpoint` returns."""

    step: int  # updates of the model: rates, rows and the end count these
    turn: int  # updates of all players: batches count these
    seconds: float  # the loop has taken, what others did between two turns left out
    losses: dict[str, float]  # means since the last row, over all processes; NaN where none ends
    row: bool  # an interval ended here, or the training did
    save: bool  # something besides the end of an interval asks for a checkpoint
    ending: str | None  # None while it goes on; "done", "time" (to be resumed) or "diverged"
    players: Mapping[str, Player]
    precision: Precision  # Fabric's; it holds the scale of fp16
    total: torch.Tensor  # for each loss, the sum since the last row, and how many there were
    random: dict[str, torch.Tensor]  # the state of torch's random numbers
    device: torch.device

    @property
    def model(self) -> nn.Module:
        """The model, as it is trained."""
        return self.players["model"].model

    @property
    def best(self) -> nn.Module:
        """The model to use, see :attr:`Player.best`."""
        return self.players["model"].best

    def count(self, name: str, losses: Mapping[str, torch.Tensor]) -> None:
        """Note a player's turn and its losses, without waiting for a GPU to know them."""
        if losses.keys() != set(self.players[name].noted):
            raise InputError(f"{name} returns the losses {', '.join(losses)}, and names others")
        names = list(self.losses)
        for key, loss in losses.items():
            place = 2 * names.index(key)
            noted = torch.stack([loss.detach().double(), torch.ones_like(self.total[0])])
            self.total[place : place + 2] += noted
        self.turn += 1
        self.step += name == "model"

    def checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """All that :func:`fit` needs to go on to the same bits: tensors, and numbers."""
        tensors = {"total": self.total, **self.random}
        for name, player in self.players.items():
            tensors |= {_prefix(name) + k: v for k, v in player.tensors().items()}
        numbers = {"step": self.step, "turn": self.turn, "seconds": self.seconds}
        numbers |= {f"scaler.{k}": v for k, v in self.precision.state_dict().items()}
        return {
            k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        }, numbers

    def resume(self, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, float]) -> None:
        """Go back to where :meth:`checkpoint` returned these."""
        self.step, self.seconds = int(numbers["step"]), float(numbers["seconds"])
        self.turn = int(numbers.get("turn", self.step))  # there was one player once
        for name, player in self.players.items():
            player.resume(below(_prefix(name), tensors))
        if scaler := below("scaler.", numbers):
            self.precision.load_state_dict(scaler)
        self.total.copy_(tensors["total"])
        _set_random({k: v for k, v in tensors.items() if k.startswith("random.")}, self.device)


def fit(
    players: Mapping[str, Player],
    batch_of: Callable[[int], Pair],
    steps: int,
    *,
    fabric: Fabric,
    turns: Sequence[str] = ("model",),
    every: int | None = None,
    max_minutes: float | None = None,
    save_minutes: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
    start: tuple[Mapping[str, torch.Tensor], Mapping[str, float]] | None = None,
    channels_last: bool = False,
    compile: str | None = None,
    tf32: bool = True,
) -> Iterator[State]:
    """Train the players' networks, in place; yield at intervals and at the end.

    What is done with a state between two turns, be it scoring or drawing random numbers, does not
    change the training.

    Args:
        players: ``"model"``, and others that play against it.
        batch_of: turn, counted from 0 -> this process's pairs on ``fabric.device``.
        steps: updates of ``"model"``.
        fabric: where to train and in which precision, as of :func:`start_fabric`.
        turns: who moves, in order, again and again: ``("critic",) * 5 + ("model",)``.
        every: steps from one yield to the next; by default only the end is yielded.
        max_minutes: stop after that time, with the ending ``"time"``.
        save_minutes: yield also where no interval ends, once so much time has passed since a yield.
        stop: asked after a turn; where it says so, the training ends as after ``max_minutes``.
        start: a checkpoint to go on from.
        channels_last: the memory layout that some GPUs prefer.
        compile: a backend of ``torch.compile``, such as ``"inductor"``.
        tf32: whether a GPU's convolutions in "32" may use TF32, as PyTorch lets them.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    state = _begin(players, turns, fabric, layout, compile)
    if start:
        state.resume(*start)
    if state.step >= steps:
        raise InputError(f"nothing is left to train after {state.step} of {steps} steps")
    networks = {name: player.network for name, player in players.items()}
    clock = time.monotonic()
    deadline = math.inf if max_minutes is None else clock + 60 * max_minutes

    def wanted() -> str | None:
        now = time.monotonic()
        if stop() or now > deadline:
            return "time"
        return "save" if now > clock + 60 * save_minutes else None

    while state.ending is None:
        name = turns[state.turn % len(turns)]
        player = players[name]
        player.begin_turn(state.step, steps)
        pair = _in_layout(batch_of(state.turn), layout)
        with turn_of(name, players, fabric), nullcontext() if tf32 else machine.tf32(False):
            losses = player.minimises(networks, pair)
            fabric.backward(player.total(losses))
        losses |= player.norm()
        player.move()
        state.count(name, losses)
        _look(state, fabric, steps, every or steps, wanted, name)
        if state.row or state.save or state.ending:
            state.seconds += time.monotonic() - clock
            state.random = _get_random(fabric.device)
            yield state
            _set_random(state.random, fabric.device)
            for player in players.values():
                player.learn()
            clock = time.monotonic()


def _begin(
    players: Mapping[str, Player],
    turns: Sequence[str],
    fabric: Fabric,
    layout: torch.memory_format,
    compile: str | None,
) -> State:
    """The state before the first turn."""
    if "model" not in turns or set(turns) != set(players):
        raise InputError(
            f"the turns {', '.join(turns)} must be of the players {', '.join(players)}, "
            "and model among them"
        )
    names = [name for player in players.values() for name in player.noted]
    if len(set(names)) < len(names):
        raise InputError(f"two losses have one name: {', '.join(names)}")
    if resets := [key for key, player in players.items() if player.reset and key != "model"]:
        raise InputError(f"steps are the model's, so {resets[0]} cannot be reset by them")
    for player in players.values():
        player.begin(fabric, layout, compile)
    return State(
        step=0,
        turn=0,
        seconds=0.0,
        losses=dict.fromkeys(names, math.nan),
        row=False,
        save=False,
        ending=None,
        players=players,
        precision=fabric.strategy.precision,
        total=torch.zeros(2 * len(names), dtype=torch.float64, device=fabric.device),
        random={},
        device=fabric.device,
    )


def _look(
    state: State,
    fabric: Fabric,
    steps: int,
    every: int,
    wanted: Callable[[], str | None],
    name: str,
) -> None:
    """Update the state after a turn: does an interval end, how large are the losses, is it time?"""
    state.row = name == "model" and (state.step == steps or state.step % every == 0)
    state.losses = dict.fromkeys(state.losses, math.nan)
    if state.row:
        summed = _over_processes(fabric, state.total, "sum").view(-1, 2)
        means = (summed[:, 0] / summed[:, 1]).tolist()
        state.losses = dict(zip(state.losses, means, strict=True))
        if state.step == steps:
            state.ending = "done"
        # of a player that has had no turn since the last row there is no loss
        if not torch.isfinite(summed[:, 0]).all():
            state.ending = "diverged"
        state.total.zero_()
    # Several processes must stop at the same turn, so they ask the first one, now and then.
    asks = fabric.world_size == 1 or state.turn % 10 == 0
    answer = fabric.broadcast(wanted()) if asks and state.ending is None else None
    state.save = answer is not None
    if answer == "time":
        state.ending = "time"
    if state.save and not state.row:  # a checkpoint is of one process, but for all
        state.total.copy_(_over_processes(fabric, state.total, "mean"))


def _over_processes(fabric: Fabric, total: torch.Tensor, how: str) -> torch.Tensor:
    return cast(torch.Tensor, fabric.all_reduce(total.clone(), reduce_op=how))


def _in_layout(pair: Pair, layout: torch.memory_format) -> Pair:
    if pair.y.is_contiguous(memory_format=layout):
        return pair
    return replace(pair, y=pair.y.contiguous(memory_format=layout))


def _prefix(name: str) -> str:
    """What the keys of a player's tensors begin with; nothing for the model's."""
    return "" if name == "model" else f"{name}."


def _get_random(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["random.cpu"])
    if "random.cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["random.cuda"], device)
