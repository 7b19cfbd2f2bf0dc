"""The training loop, on Lightning Fabric: it yields its state and writes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import InputError
from .rates import make_optimiser, named, set_rates

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class State:
    """Where a training stands. The loop changes it: keep what :meth:`checkpoint` returns."""

    step: int  # steps done
    seconds: float  # the loop has taken, what others did between two steps left out
    loss: float  # mean since the last row, over all processes; NaN where no row ends
    row: bool  # an interval ended here, or the training did
    save: bool  # something besides the end of an interval asks for a checkpoint
    ending: str | None  # None while it goes on; "done", "time" (to be resumed) or "diverged"
    model: nn.Module
    average: AveragedModel | None
    optimiser: torch.optim.Optimizer
    precision: object  # Fabric's; it holds the scale of fp16
    total: torch.Tensor  # sum of the losses since the last row, and their number
    random: dict[str, torch.Tensor]  # the state of torch's random numbers

    @property
    def best(self) -> nn.Module:
        """The model to use: with the average of its weights if there is one, else as it is."""
        return self.average.module if self.average else self.model

    def count(self, error: torch.Tensor) -> None:
        """Note a step and its loss, without waiting for a GPU to know it."""
        self.total += torch.stack([error.detach().double(), torch.ones_like(self.total[0])])
        self.step += 1

    def checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """All that :func:`fit` needs to go on to the same bits: tensors, and numbers."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for i, entries in self.optimiser.state_dict()["state"].items():
            moments = {key: value for key, value in entries.items() if value is not None}
            tensors |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        tensors |= {"total": self.total, **self.random}
        numbers = {"step": self.step, "seconds": self.seconds}
        numbers |= {f"scaler.{k}": v for k, v in self.precision.state_dict().items()}
        return {
            k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        }, numbers

    def resume(self, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, float]) -> None:
        """Go back to where :meth:`checkpoint` returned these."""
        self.step, self.seconds = int(numbers["step"]), float(numbers["seconds"])
        self.model.load_state_dict(_below("model.", tensors))
        if self.average:
            self.average.load_state_dict(_below("average.", tensors))
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _below("optimiser.", tensors).items():
            i, _, name = key.partition(".")
            entries.setdefault(int(i), {})[name] = value.clone()  # it is changed in place
        whole = self.optimiser.state_dict() | {"state": entries}
        self.optimiser.load_state_dict(whole)
        if scaler := _below("scaler.", numbers):
            self.precision.load_state_dict(scaler)
        self.total.copy_(tensors["total"])
        _set_random({k: v for k, v in tensors.items() if k.startswith("random.")})


def fit(
    model: nn.Module,
    batch_of: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    steps: int,
    *,
    fabric: Fabric,
    optimiser: Mapping[str, object],
    schedule: Mapping[str, object] | None = None,
    clip: Mapping[str, object] | None = None,
    ema: float | None = None,
    reset: int | None = None,
    every: int | None = None,
    max_minutes: float | None = None,
    save_minutes: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
    start: tuple[Mapping[str, torch.Tensor], Mapping[str, float]] | None = None,
    channels_last: bool = False,
    compile: str | None = None,
) -> Iterator[State]:
    """Train ``model``, in place; yield at intervals and at the end.

    What is done with a state between two steps, be it scoring or drawing random numbers, does not
    change the training. Under ``bf16`` and ``fp16`` Fabric casts the model's input, too. On a GPU,
    PyTorch's default lets convolutions in "32" use TF32.

    Args:
        batch_of: step, counted from 0 -> this process's ``(y, x)`` on ``fabric.device``.
        loss: ``(model(y), x)`` -> a number, the mean over the batch.
        fabric: where to train and in which precision, as of :func:`start_fabric`.
        optimiser: ``{"name": "adam", "lr": 1e-4}``, a key of :data:`OPTIMISERS` and its arguments.
            ``"rates": {"layers.2": 0.1}`` multiplies the rate of the parameters whose names begin
            so; the longest match counts.
        schedule: ``{"name": "polynomial", "power": 0.3}``, a key of :data:`SCHEDULES` and its
            arguments; ``"warmup": n`` lets the rate rise over the first n steps.
        clip: ``{"norm": 3.0}`` scales the gradients down to that norm; ``"of": "lstm."`` only those
            of the parameters whose names begin so.
        ema: decay of a moving average of the weights, such as 0.999.
        reset: after every so many steps the optimiser forgets its moments, as where a code makes a
            new one each epoch (S1's does).
        every: steps from one yield to the next; by default only the end is yielded.
        max_minutes: stop after that time, with the ending ``"time"``.
        save_minutes: yield also where no interval ends, once so much time has passed since a yield.
        stop: asked after a step; where it says so, the training ends as after ``max_minutes``.
        start: a checkpoint to go on from.
        channels_last: the memory layout that some GPUs prefer.
        compile: a backend of ``torch.compile``, such as ``"inductor"``.
    """
    state, used, adjust = _begin(model, fabric, optimiser, ema, channels_last, compile)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    schedule = schedule or {"name": "constant"}
    if clip is not None and not {"norm"} <= clip.keys() <= {"norm", "of"}:
        raise InputError(f'clip is {{"norm": ...}} or {{"norm": ..., "of": ...}}, not {clip}')
    clipped = named(model, clip.get("of", "")) if clip else None
    if start:
        state.resume(*start)
    if state.step >= steps:
        raise InputError(f"nothing is left to train after {state.step} of {steps} steps")
    clock = time.monotonic()
    deadline = math.inf if max_minutes is None else clock + 60 * max_minutes

    def wanted() -> str | None:
        now = time.monotonic()
        if stop() or now > deadline:
            return "time"
        return "save" if now > clock + 60 * save_minutes else None

    while state.ending is None:
        if reset and state.step % reset == 0:
            state.optimiser.state.clear()
        set_rates(state.optimiser, schedule, state.step, steps)
        y, x = batch_of(state.step)
        error = loss(used(y.contiguous(memory_format=layout)), x)
        fabric.backward(error)
        if clipped is not None:
            # not Fabric's own: it clips all that the optimiser adjusts
            state.precision.unscale_gradients(state.optimiser)
            nn.utils.clip_grad_norm_(clipped, clip["norm"])
        adjust.step()
        adjust.zero_grad()
        if state.average:
            state.average.update_parameters(model)
        state.count(error)
        _look(state, fabric, steps, every or steps, wanted)
        if state.row or state.save or state.ending:
            state.seconds += time.monotonic() - clock
            state.random = _get_random(fabric.device)
            yield state
            _set_random(state.random)
            model.train()
            clock = time.monotonic()


def _begin(
    model: nn.Module,
    fabric: Fabric,
    optimiser: Mapping[str, object],
    ema: float | None,
    channels_last: bool,
    compile: str | None,
) -> tuple[State, nn.Module, torch.optim.Optimizer]:
    """The state before the first step; the model and the optimiser as Fabric wraps them."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(fabric.device, memory_format=layout).train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema)) if ema else None
    used = torch.compile(model, backend=compile) if compile else model
    used, adjust = fabric.setup(used, make_optimiser(model, optimiser))
    adjust.zero_grad()
    total = torch.zeros(2, dtype=torch.float64, device=fabric.device)
    state = State(
        step=0,
        seconds=0.0,
        loss=math.nan,
        row=False,
        save=False,
        ending=None,
        model=model,
        average=average,
        optimiser=adjust.optimizer,
        precision=fabric.strategy.precision,
        total=total,
        random={},
    )
    return state, used, adjust


def _look(
    state: State, fabric: Fabric, steps: int, every: int, wanted: Callable[[], str | None]
) -> None:
    """Update the state after a step: does an interval end, how large is the loss, is it time?"""
    state.row, state.loss = state.step == steps or state.step % every == 0, math.nan
    if state.row:
        summed = fabric.all_reduce(state.total.clone(), reduce_op="sum")
        state.loss = (summed[0] / summed[1]).item()
        state.total.zero_()
        if state.step == steps:
            state.ending = "done"
        if not math.isfinite(state.loss):
            state.ending = "diverged"
    # Several processes must stop at the same step, so they ask the first one, now and then.
    asks = fabric.world_size == 1 or state.step % 10 == 0
    answer = fabric.broadcast(wanted()) if asks and state.ending is None else None
    state.save = answer is not None
    if answer == "time":
        state.ending = "time"
    if state.save and not state.row:  # a checkpoint is of one process, but for all
        state.total.copy_(fabric.all_reduce(state.total.clone(), reduce_op="mean"))


def _below(prefix: str, entries: Mapping) -> dict:
    return {k.removeprefix(prefix): v for k, v in entries.items() if k.startswith(prefix)}


def _get_random(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random(states: Mapping[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["random.cpu"])
    if "random.cuda" in states:
        torch.cuda.set_rng_state(states["random.cuda"])
