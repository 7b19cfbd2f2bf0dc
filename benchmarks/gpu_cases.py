"""What ``make gpu`` times: the library alone, on a GPU, in milliseconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from deblurlib import classical, degrade, losses, metrics, models, psf, restoration, training
from deblurlib.data import batches

from . import timing

SIZES = (7, 15, 31, 63)  # taps a side
WIDTHS = (16, 32)  # of SRN
FED = ("s1-motion", "shake", "s4-camera")  # settings of which a step makes its batch
SECONDS = 0.4  # a case is repeated for so long
ITERATIONS = 30


def cases(device: str, tiny: bool) -> Iterator[dict]:
    """Time all that needs no compiler: ``case``, ``ms`` (the median), ``least_ms``.

    Args:
        device: ``"cuda:0"`` or ``"cpu"``.
        tiny: few and small images, to try the script.
    """
    batch, side = shape(tiny)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(batch, 3, side, side, generator=generator).to(device)
    where = f"{batch} x 3 x {side} x {side}"
    for size in SIZES[:2] if tiny else SIZES:
        k = torch.rand(batch, size, size, generator=generator).to(device)
        k = k / k.sum((-2, -1), keepdim=True)
        yield timed(f"blur of {where}, {size} x {size} taps", lambda k=k: degrade.convolve(x, k))
    yield from restoring_cases(device, tiny)
    yield from batch_cases(device, batch, side)
    yield from scoring_cases(x, where, 2 if tiny else ITERATIONS)
    for width in WIDTHS[:1] if tiny else WIDTHS:
        for name, options in (("", {}), (", channels last", {"channels_last": True})):
            step = partial(srn_step, width, device, tiny, **options)
            yield attempted(f"SRN step, width {width}, bf16{name}", step)
    for setting in FED:
        step = partial(srn_step, WIDTHS[0 if tiny else -1], device, tiny, setting=setting)
        yield attempted(f"SRN step, width {step.args[0]}, bf16, fed by {setting}", step)


def restoring_cases(device: str, tiny: bool) -> Iterator[dict]:
    """The network that ships, on pictures of two sizes that lie on the device, in two precisions.

    The larger one is restored in tiles, several of them at once.
    """
    generator = torch.Generator().manual_seed(0)
    for height, width in ((48, 64),) if tiny else ((720, 1280), (3000, 4000)):
        y = torch.rand(3, height, width, generator=generator).to(device)
        for precision in ("32", "bf16"):
            method = restoration.find_method("srn", device).with_precision(precision)
            name = f"srn restores {width} x {height}, {precision}"
            yield timed(name, partial(restoration.restore, y, method))


def compiled(device: str, tiny: bool) -> list[tuple[int, str]]:
    """Widths and backends of ``torch.compile`` to time, the most important first."""
    backends = ("aot_eager",) if device == "cpu" else ("cudagraphs", "inductor")
    widths = WIDTHS[:1] if tiny else WIDTHS[::-1]
    return [(width, backend) for width in widths for backend in backends]


def shape(tiny: bool) -> tuple[int, int]:
    """Images in a batch, and their side."""
    return (2, 64) if tiny else (16, 256)


def batch_cases(device: str, batch: int, side: int) -> Iterator[dict]:
    """Training batches of each setting, of images that lie on the device."""
    held = images_on(device, side)
    for name, draw in degrade.SETTINGS.items():

        def make(draw: degrade.Draw = draw) -> torch.Tensor:
            return batches.training_batch(held, draw, 0, batch, side, 0, device).y

        yield timed(f"batch of {batch} x 3 x {side} x {side}, {name}", make)


def images_on(device: str | torch.device, side: int) -> list[torch.Tensor]:
    """Images to cut crops of ``side`` from, with what a blur takes from around them."""
    generator = torch.Generator().manual_seed(0)
    bytes_of = {"size": (3, side + 128, side + 128), "generator": generator, "dtype": torch.uint8}
    return [torch.randint(0, 256, **bytes_of).to(device) for _ in range(4)]


def scoring_cases(x: torch.Tensor, where: str, iterations: int) -> Iterator[dict]:
    """SSIM, alone and with its gradient, and Richardson-Lucy on one channel."""
    k = psf.gaussian(3.0, 25).to(x)
    y = degrade.convolve(x, k)
    grey = y[:, :1].contiguous()

    def with_gradient() -> torch.Tensor:
        x_hat = y.clone().requires_grad_()
        metrics.ssim_unchecked(x_hat, x).sum().backward()
        return x_hat.grad

    yield timed(f"SSIM of {where}", lambda: metrics.ssim(y, x))
    yield timed(f"SSIM of {where}, and its gradient", with_gradient)
    for name, accelerate in (("", False), ("accelerated ", True)):
        yield timed(
            f"{name}Richardson-Lucy of {where.replace('x 3 x', 'x 1 x')}, {iterations} iterations",
            lambda a=accelerate: classical.richardson_lucy(grey, k, iterations, accelerate=a),
        )


def srn_step(
    width: int,
    device: str,
    tiny: bool,
    channels_last: bool = False,
    compile: str | None = None,
    setting: str | None = None,
) -> dict:
    """What a step of a training of SRN takes: ``ms``, and ``start_s`` until then.

    Args:
        setting: that makes the batches; ``None``: one batch, made beforehand, is used again.
    """
    batch, side = shape(tiny)
    fabric = training.start_fabric("bf16", device=device)
    every, held = 1 if tiny else 10, images_on(fabric.device, side)
    draw = degrade.SETTINGS[setting or "s1-box"]
    batch_of = batches.training_batches(held, draw, batch, side, 0, fabric.device)
    if setting is None:
        pair = batch_of(0)
        batch_of = lambda turn: pair  # noqa: E731
    objective = training.supervised(losses.objective("mse-over-scales", {}))
    adam = {"name": "adam", "lr": 1e-4}
    player = training.Player(models.build("srn", {"width": width}, 0), objective, adam)
    how = {"channels_last": channels_last, "compile": compile, "fabric": fabric}
    began, clock = time.perf_counter(), []
    for _ in training.fit({"model": player}, batch_of, 3 * every, every=every, **how):
        clock.append(time.perf_counter() - began)  # the loss was read: the GPU has done the steps
    ms = 1000 * (clock[-1] - clock[0]) / (2 * every)
    return {"ms": round(ms, 3), "steps_per_s": round(1000 / ms, 2), "start_s": round(clock[0], 1)}


def tell(width: int, backend: str, device: str, tiny: bool) -> None:
    """Print :func:`srn_step` of a compiled network: for a process of its own."""
    print(json.dumps(srn_step(width, device, tiny, compile=backend)))


def timed(name: str, call: Callable[[], torch.Tensor]) -> dict:
    """A case: what a call takes."""
    return attempted(name, partial(repeated, call))


def attempted(name: str, measure: Callable[[], dict]) -> dict:
    """A case: what was measured or, where PyTorch raised, why it was ``not measured``."""
    try:
        return {"case": name, **measure()}
    except RuntimeError as error:  # the other cases are still wanted
        return {"case": name, "not measured": (str(error).splitlines() or ["no word"])[0]}


def repeated(call: Callable[[], torch.Tensor]) -> dict:
    """Repeat a call; the first two are not counted."""
    for _ in range(2):
        timing.finished(call())
    times, began = [], time.perf_counter()
    while not times or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        timing.finished(call())
        times.append(1000 * (time.perf_counter() - start))
    return {"ms": round(float(np.median(times)), 3), "least_ms": round(min(times), 3)}
