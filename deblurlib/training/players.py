"""Players: the networks of a training, what each one minimises, and what moves it.

A training has a player ``"model"`` and maybe a ``"critic"``, which tells the model's outputs from
real ones. Taught in chapter 04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..degrade import Pair
from ..errors import InputError
from .objectives import Losses, Networks
from .rates import make_optimiser, named, set_rates

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Player:
    """A network, the losses that it minimises, and its optimiser, schedule, clip and average."""

    model: nn.Module  # trained in place, but for parameters that need no gradient
    minimises: Callable[[Networks, Pair], Losses]  # such as :func:`supervised` returns
    #: ``{"name": "adam", "lr": 1e-4}``, a key of :data:`OPTIMISERS` and its arguments. ``"rates":
    #: {"layers.2": 0.1}`` multiplies the rate of the parameters whose names begin so; the longest
    #: match counts.
    optimiser: Mapping[str, Any]
    #: ``{"name": "polynomial", "power": 0.3}``, a key of :data:`SCHEDULES` and its arguments;
    #: ``"warmup": n`` lets the rate rise over the first n steps.
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})
    #: ``{"norm": 3.0}`` scales the gradients down to that norm; ``"of": "lstm."`` only those of the
    #: parameters whose names begin so.
    clip: Mapping[str, Any] | None = None
    ema: float | None = None  # decay of a moving average of the weights, such as 0.999
    #: after every so many steps the optimiser forgets its moments, as where a code makes a new one
    #: each epoch (S1's does).
    reset: int | None = None
    #: what its losses count in the sum that it minimises, where that is not 1
    weights: Mapping[str, float] = field(default_factory=dict)
    losses: Sequence[str] = ("loss",)  # their names
    measures: Sequence[str] = ()  # what else ``minimises`` returns, to be noted and no more
    norms: bool = False  # note the gradient's norm, too; it is named after the first loss
    average: AveragedModel | None = field(default=None, init=False)

    def begin(self, fabric: Fabric, layout: torch.memory_format, compile: str | None) -> None:
        """Set up what the training needs: of the fields above, none is changed."""
        if self.clip is not None and not {"norm"} <= self.clip.keys() <= {"norm", "of"}:
            raise InputError(
                f'clip is {{"norm": ...}} or {{"norm": ..., "of": ...}}, not {self.clip}'
            )
        self.clipped = named(self.model, self.clip.get("of", "")) if self.clip else None
        # PyTorch's types do not know that it takes both
        self.model.to(fabric.device, memory_format=layout)  # type: ignore[call-overload]
        self.learn()
        self.learning = [p for p in self.model.parameters() if p.requires_grad]
        if unknown := self.weights.keys() - set(self.losses):
            raise InputError(f"there is no loss {min(unknown)!r} to weigh")
        if self.ema:
            self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.ema))
        compiled = torch.compile(self.model, backend=compile) if compile else self.model
        optimiser = make_optimiser(self.model, self.optimiser)
        self.network, self.adjust = fabric.setup(cast(nn.Module, compiled), optimiser)
        self.adjust.zero_grad()
        self.moments = self.adjust.optimizer
        self.precision = fabric.strategy.precision

    @property
    def best(self) -> nn.Module:
        """The model to use: with the average of its weights if there is one, else as it is."""
        return self.average.module if self.average else self.model

    def learn(self) -> None:
        """Set the model to training mode, but for what is frozen: that stays as it was trained."""
        self.model.train()
        for module in self.model.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()

    def begin_turn(self, step: int, steps: int) -> None:
        """Set the rates of the step that is under way, and forget the moments if it is time to."""
        if self.reset and step % self.reset == 0:
            self.moments.state.clear()
        set_rates(self.moments, self.schedule, step, steps)

    def total(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the player minimises: the sum of its losses, each with its weight."""
        counted = {name: loss for name, loss in losses.items() if name not in self.measures}
        one, *others = (self.weights.get(name, 1.0) * loss for name, loss in counted.items())
        return sum(others, one)

    @property
    def noted(self) -> Sequence[str]:
        """What is noted of a turn: losses and measures, and maybe the norm of the gradient."""
        norm = (f"{self.losses[0]}_gradient",) if self.norms else ()
        return (*self.losses, *self.measures, *norm)

    def norm(self) -> dict[str, torch.Tensor]:
        """The norm of the gradient of all its weights together, if that is to be noted."""
        if not self.norms:
            return {}
        gradients = [p.grad for p in self.learning if p.grad is not None]
        return {self.noted[-1]: nn.utils.get_total_norm(gradients)}

    def move(self) -> None:
        """Move the weights along their gradients."""
        if self.clip is not None and self.clipped is not None:
            # not Fabric's own: it clips all that the optimiser adjusts
            self.precision.unscale_gradients(self.moments)
            nn.utils.clip_grad_norm_(self.clipped, self.clip["norm"])
        self.adjust.step()
        self.adjust.zero_grad()
        if self.average:
            self.average.update_parameters(self.model)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that :meth:`resume` needs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for i, entries in self.moments.state_dict()["state"].items():
            moments = {key: value for key, value in entries.items() if value is not None}
            tensors |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        return tensors

    def resume(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go back to where :meth:`tensors` returned these."""
        self.model.load_state_dict(below("model.", tensors))
        if self.average:
            self.average.load_state_dict(below("average.", tensors))
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in below("optimiser.", tensors).items():
            i, _, name = key.partition(".")
            entries.setdefault(int(i), {})[name] = value.clone()  # it is changed in place
        whole = self.moments.state_dict() | {"state": entries}
        self.moments.load_state_dict(whole)


@contextmanager
def turn_of(name: str, players: Mapping[str, Player], fabric: Fabric) -> Iterator[None]:
    """Freeze the networks of all players but one: gradients flow through them, and move nothing."""
    with ExitStack() as stack:
        for key, player in players.items():
            if key != name:
                stack.enter_context(frozen(player.learning))
                # else several processes would wait for gradients that never come
                stack.enter_context(fabric.no_backward_sync(player.network))
        yield


@contextmanager
def frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Let no gradient be found for some parameters."""
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def below(prefix: str, entries: Mapping) -> dict:
    """The entries whose keys begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in entries.items() if k.startswith(prefix)}
