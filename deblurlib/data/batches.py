"""Batches of pairs, made on the device from sharp images, each sample from a seed and its number.

Sample ``n = step * batch + j`` of a training (where players take turns, a step here is one turn, of
whoever moves) is a function of (seed, n): which image, which crop,
which blur, which noise. So a training goes on after a stop without replaying anything, and two
processes that share a batch see what one would have seen. Taught in chapter 01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from .. import degrade, images
from ..degrade import Pair
from ..errors import InputError
from .sets import ImageSet, PairSet

T = TypeVar("T")
TOGETHER = 64  # samples that are drawn together at most; more are hardly faster


def hold(
    items: ImageSet | PairSet,
    device: torch.device | str = "cpu",
    grey: int = 0,
) -> list[torch.Tensor]:
    """Read all images of a set once, as uint8 tensors ``(3, H, W)``; 16-bit ones are rounded.

    Args:
        items: sharp images, or pairs: then each tensor is ``(2, 3, H, W)``, blurred and sharp.
        device: where to keep them, if they fit into half of its free memory; else they stay
            in the main memory, and each batch is carried over.
        grey: channels of the grey images to make of them, see :func:`deblurlib.images.grey`;
            0 leaves them in colour.
    """
    held = [_bytes(items[i], grey) for i in range(len(items))]
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if sum(image.numel() for image in held) > free / 2:
            return held
    return [image.to(device) for image in held]


def training_batch(
    held: Sequence[torch.Tensor], draw: degrade.Draw | None, step: int, *share, **how
) -> Pair:
    """The pairs of a single step; the arguments are those of :func:`training_batches`."""
    return training_batches(held, draw, *share, ahead=False, **how)(step)


def training_batches(
    held: Sequence[torch.Tensor],
    draw: degrade.Draw | None,
    batch: int,
    crop: int,
    seed: int,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
    flip: bool = True,
    boundary: str = "valid",
    ahead: bool | None = None,
) -> Callable[[int], Pair]:
    """A function from a step to the pairs that process ``rank`` of ``world`` trains on in it.

    Each image is seen once in ``len(held)`` samples, in a new order each time. It is cropped,
    flipped sideways or not, blurred, and made noisy.

    The function may be asked for any step at any time. But one after the other takes less time:
    degradations that are drawn faster together are drawn for several steps. Nothing in it waits for
    a GPU.

    Args:
        held: sharp images, or pairs, as of :func:`hold`, all on one device.
        draw: a degradation, such as ``degrade.SETTINGS[name]``; ``None`` for recorded pairs, of
            which nothing is said of what degraded them.
        batch: samples in a step, of all processes together; a multiple of ``world``.
        crop: side of ``x`` and ``y``, pixels.
        device: where the work is done and the noise drawn.
        boundary: of the blur. For ``"valid"`` the crop is so much larger that the blur needs
            nothing from beyond; the others invent what lies beyond the crop.
        ahead: let a thread prepare the next step's batch while this one is trained on: all but
            what is done on ``device``. By default where that is a GPU; on a processor the two would
            share its cores. An error in it is raised when that step is asked for. The thread ends
            when the function is no longer held.

    Returns:
        a function of a step, counted from 0, that gives ``batch / world`` pairs of ``crop`` x
        ``crop`` pixels.
    """
    device = torch.device(device)
    drawn = None if draw is None else _Draws(draw, seed, lambda s: _numbers(s, batch, rank, world))

    def prepare(step: int) -> tuple[range, list[degrade.Degradation], torch.Tensor | list]:
        numbers = _numbers(step, batch, rank, world)
        degradations = drawn(step) if drawn else []
        inner = boundary != "valid" or not degradations
        top, left = (0, 0) if inner else degradations[0].margins
        size = (crop + 2 * top, crop + 2 * left)
        cuts = [_cut(held, n, seed, size, flip) for n in numbers]
        # what a GPU holds is for this process's main thread to work on
        whole = cuts[0][0].device.type == "cpu"
        return numbers, degradations, _stacked(cuts, device) if whole else cuts

    def finish(numbers: range, degradations: list, cuts: torch.Tensor | list) -> Pair:
        cuts = cuts if isinstance(cuts, torch.Tensor) else _stacked(cuts, device)
        x = cuts.to(device, non_blocking=device.type == "cuda").float().div_(255)
        if x.ndim != (5 if drawn is None else 4):
            raise InputError(
                "these are sharp images, not pairs: a degradation is needed to blur them"
                if drawn is None
                else "these are pairs, which are blurred already: draw must be None"
            )
        if drawn is None:
            return Pair(x[:, 0], x[:, 1], ())
        return degrade.apply(x, degradations, seed, numbers, boundary, device)

    ahead = device.type == "cuda" if ahead is None else ahead
    prepared = _prepared_ahead(prepare) if ahead else prepare
    return lambda step: finish(*prepared(step))


def evaluation_pairs(
    sharp: ImageSet,
    draw: degrade.Draw,
    seed: int,
    side: int | None = None,
    device: torch.device | str = "cpu",
    boundary: str = "valid",
    grey: int = 0,
) -> Iterator[Pair]:
    """A pair for each image of a set, one after the other, drawn on the CPU by (seed, its key).

    So they are the same whatever the device, the number of images and their order.

    Args:
        side: of ``y`` and ``x``, pixels: the middle of each image, with as much around it as
            ``"valid"`` takes off. By default all of each image is blurred.
        boundary: of the blur; see :func:`deblurlib.degrade.convolve`.
        grey: channels of the grey images to make first, rounded to 8 bit; 0: colour.
    """
    for i, key in enumerate(sharp.keys):
        degradation = draw(degrade.generator(seed, key))
        x = images.quantise(images.grey(sharp[i], grey)) if grey else sharp[i]
        x = x[None].to(device)
        try:
            if side is not None:
                top, left = degradation.margins if boundary == "valid" else (0, 0)
                try:
                    x = images.centre_crop(x, side + 2 * top, side + 2 * left)
                except InputError as error:
                    around = f"for {side} and what the blur takes from around them"
                    raise InputError(f"{error}, {around}") from None
            pair = degrade.apply(x, [degradation], seed, [key], boundary)
        except InputError as error:
            raise InputError(f"{sharp.names[i]}: {error}") from None
        yield pair


def _bytes(image: torch.Tensor | tuple[torch.Tensor, torch.Tensor], grey: int) -> torch.Tensor:
    image = torch.stack(image) if isinstance(image, tuple) else image
    image = images.grey(image, grey) if grey else image
    return images.quantise(image).mul(255).round().to(torch.uint8)


def _numbers(step: int, batch: int, rank: int, world: int) -> range:
    """The numbers of a process's samples in a step."""
    if min(batch, world) < 1 or batch % world or not 0 <= rank < world:
        raise InputError(f"a batch of {batch} cannot be shared by rank {rank} of {world} processes")
    part = batch // world
    return range(step * batch + rank * part, step * batch + (rank + 1) * part)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _cut(
    held: Sequence[torch.Tensor], n: int, seed: int, size: tuple[int, int], flip: bool
) -> tuple[torch.Tensor, bool]:
    """A sample's crop of its image, a view, and whether it is to be flipped sideways."""
    if not held:
        raise InputError("there is no image to train on")
    epoch, place = divmod(n, len(held))
    which = int(_order(seed, epoch, len(held))[place])
    image, (height, width) = held[which], size
    rows, columns = image.shape[-2] - height, image.shape[-1] - width
    if min(rows, columns) < 0:
        raise InputError(
            f"image {which} has {image.shape[-2]} x {image.shape[-1]} pixels; a crop needs "
            f"{height} x {width} with what the blur takes from around it: take a smaller crop, or "
            f'a boundary other than "valid"'
        )
    across, down, mirror = torch.rand(
        3, generator=degrade.generator(seed, n, "crop"), dtype=torch.float64
    ).tolist()
    top, left = int(down * (rows + 1)), int(across * (columns + 1))
    return image[..., top : top + height, left : left + width], flip and mirror < 0.5


def _stacked(cuts: Sequence[tuple[torch.Tensor, bool]], device: torch.device) -> torch.Tensor:
    """The crops as one batch, uint8; where a GPU is to fetch them, in memory that it can read."""
    views = [view.flip(-1) if flipped else view for view, flipped in cuts]
    pinned = device.type == "cuda" and views[0].device.type == "cpu"
    shape = (len(views), *views[0].shape)
    return torch.stack(views, out=views[0].new_empty(shape, pin_memory=pinned))


class _Draws:
    """The degradations of a step, drawn together with those of the next where that is faster."""

    def __init__(self, draw: degrade.Draw, seed: int, numbers: Callable[[int], range]):
        self.draw, self.seed, self.numbers = draw, seed, numbers
        self.known: dict[int, list[degrade.Degradation]] = {}

    def __call__(self, step: int) -> list[degrade.Degradation]:
        if step not in self.known:
            numbers = {s: self.numbers(s) for s in range(step, step + self._count(step))}
            generators = [degrade.generator(self.seed, n) for s in numbers for n in numbers[s]]
            drawn = iter(degrade.draw_each(self.draw, generators))
            self.known = {s: list(islice(drawn, len(numbers[s]))) for s in numbers}
        return self.known[step]

    def _count(self, step: int) -> int:
        """How many steps to draw: twice as many each time, as long as they are asked in order."""
        if step - 1 not in self.known or not hasattr(self.draw, "many"):
            return 1
        return max(1, min(2 * len(self.known), TOGETHER // len(self.numbers(step))))


def _prepared_ahead(prepare: Callable[[int], T]) -> Callable[[int], T]:
    """``prepare``, the next step's done by a thread while this one's is used."""
    thread = ThreadPoolExecutor(1)  # ends when it is no longer held
    begun: dict[int, Future[T]] = {}

    def at(step: int) -> T:
        # without a name: an error's traceback would hold it, and it the error, and so the thread
        prepared = (begun.pop(step, None) or thread.submit(prepare, step)).result()
        begun.clear()
        begun[step + 1] = thread.submit(prepare, step + 1)
        return prepared

    return at
