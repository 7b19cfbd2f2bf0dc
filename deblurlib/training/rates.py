"""Optimisers and schedules: how far each parameter moves in a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..names import unknown_name

#: name -> class; its arguments are those of PyTorch's.
OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def _constant(t: float) -> float:
    return 1.0


def _steps(t: float, every: float, factor: float) -> float:
    return factor ** math.floor(t / every + 1e-9)


def _polynomial(t: float, power: float, end: float = 0.0) -> float:
    return (1 - end) * (1 - t) ** power + end


def _cosine(t: float, end: float = 0.0) -> float:
    return end + (1 - end) * (1 + math.cos(math.pi * t)) / 2


#: name -> the learning rate's factor after a share ``t`` of all steps. ``steps`` multiplies it by
#: ``factor`` after every share ``every``; ``polynomial`` is the scale-recurrent network's, with
#: power 0.3 and end 0.
SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": _constant,
    "steps": _steps,
    "polynomial": _polynomial,
    "cosine": _cosine,
}


def make_optimiser(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimiser that ``settings`` describe, see :class:`Player`; one group for each rate."""
    rest = dict(settings)
    if not {"name", "lr"} <= rest.keys():
        raise InputError(f"an optimiser needs a name and a rate lr, not {rest}")
    name, lr, rates = rest.pop("name"), rest.pop("lr"), dict(rest.pop("rates", {}))
    if name not in OPTIMISERS:
        raise unknown_name("optimiser", name, OPTIMISERS)
    for prefix in rates:
        named(model, prefix)
    groups: dict[float, list[nn.Parameter]] = {}
    for key, parameter in model.named_parameters():
        prefix = max((p for p in rates if key.startswith(p)), key=len, default=None)
        groups.setdefault(1.0 if prefix is None else rates[prefix], []).append(parameter)
    listed = [{"params": p, "lr": lr * f, "base": lr * f} for f, p in groups.items()]
    try:
        return OPTIMISERS[name](listed, lr=lr, **rest)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimiser {name}: {error}") from None


def rate_factor(schedule: Mapping[str, Any], step: int, steps: int) -> float:
    """The factor of the learning rate in a step, counted from 0, of ``steps``.

    >>> rate_factor({"name": "polynomial", "power": 0.3}, 50, 100)  # the scale-recurrent network's
    0.8122523963562356
    """
    rest = dict(schedule)
    name, warmup = rest.pop("name", None), rest.pop("warmup", 0)
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES)
    try:
        factor = SCHEDULES[name](step / steps, **rest)
    except TypeError as error:
        raise InputError(f"schedule {name}: {error}") from None
    return factor * min(1.0, (step + 1) / warmup) if warmup else factor


def set_rates(
    optimiser: torch.optim.Optimizer, schedule: Mapping[str, Any], step: int, steps: int
) -> None:
    """Give each group of :func:`make_optimiser` its rate for a step."""
    factor = rate_factor(schedule, step, steps)
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor


def named(model: nn.Module, prefix: str) -> nn.ParameterList:
    """The parameters that learn whose names begin with ``prefix``; an error if there are none."""
    learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    parameters = [p for name, p in learning if name.startswith(prefix)]
    if not parameters:
        raise InputError(f"no parameter's name begins with {prefix!r}, of those that learn")
    return nn.ParameterList(parameters)
