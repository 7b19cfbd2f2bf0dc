"""Batches of pairs, made on the device from sharp images, each sample from a seed and its number.

Sample ``n = step * batch + j`` of a training (where players take turns, a step here is one turn, of
whoever moves) is a function of (seed, n): which image, which crop,
which blur, which noise. So a training goes on after a stop without replaying anything, and two
processes that share a batch see what one would have seen. Taught in chapter 01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from .. import degrade, images
from ..degrade import Pair
from ..errors import InputError
from ..names import Boundary
from .crops import Cuts
from .mixtures import AnySet
from .samples import Held, Prepared, Samples, joined, numbers_of
from .sets import ImageSet

__all__ = ["evaluation_pairs", "hold", "training_batch", "training_batches"]

T = TypeVar("T")


def hold(
    items: AnySet,
    device: torch.device | str = "cpu",
    grey: int = 0,
) -> list[torch.Tensor]:
    """Read all images of a set once, as uint8 tensors ``(3, H, W)``; 16-bit ones are rounded.

    Args:
        items: sharp images, or pairs: then each tensor is ``(2, 3, H, W)``, blurred and sharp; or
            both in turn.
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
    held: Held,
    draw: degrade.Draw | None,
    step: int,
    batch: int,
    crop: int,
    seed: int,
    *where: Any,
    **how: Any,
) -> Pair:
    """The pairs of a single step; the arguments are those of :func:`training_batches`."""
    how |= {"ahead": False}
    return training_batches(held, draw, batch, crop, seed, *where, **how)(step)


def training_batches(
    held: Held,
    draw: degrade.Draw | None,
    batch: int,
    crop: int,
    seed: int,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
    flip: bool = True,
    boundary: Boundary = "valid",
    ahead: bool | None = None,
    spoil: degrade.Draw | None = None,
    turned: bool = False,
    larger: float = 1.0,
    chances: Sequence[float] | None = None,
) -> Callable[[int], Pair]:
    """A function from a step to the pairs that process ``rank`` of ``world`` trains on in it.

    Each image is seen once in ``len(held)`` samples, in a new order each time, unless ``chances``
    say how often. It is cropped, flipped sideways or not, blurred, and made noisy.

    The function may be asked for any step at any time. But one after the other takes less time:
    degradations that are drawn faster together are drawn for several steps. Nothing in it waits for
    a GPU.

    Args:
        held: sharp images, or pairs, or both, as of :func:`hold`, all on one device.
        draw: a degradation, such as ``degrade.SETTINGS[name]``; ``None`` for recorded pairs alone.
            Of these nothing is said of what degraded them.
        batch: samples in a step, of all processes together; a multiple of ``world``.
        crop: side of ``x`` and ``y``, pixels.
        device: where the work is done and the noise drawn.
        boundary: of the blur. For ``"valid"`` the crop is so much larger that the blur needs
            nothing from beyond; the others invent what lies beyond the crop.
        ahead: let a thread prepare the next step's batch while this one is trained on: all but
            what is done on ``device``. By default where that is a GPU; on a processor the two would
            share its cores. An error in it is raised when that step is asked for. The thread ends
            when the function is no longer held.
        spoil: what is done to the blurred images of recorded pairs, such as ``SETTINGS["stored"]``;
            it takes nothing off their sides.
        turned: mirror crops upside down, too, and turn them by a quarter, each for one half.
        larger: 4 in 10 crops of recorded pairs are cut up to so many times larger, as far as their
            image reaches, and reduced: their blur is shorter then.
        chances: how often each image is seen, relative to the others; which one is then drawn for
            each sample. Only so may ``held`` be of both kinds; of no pair of such a batch is it
            said what degraded it.

    Returns:
        a function of a step, counted from 0, that gives ``batch / world`` pairs of ``crop`` x
        ``crop`` pixels.
    """
    device = torch.device(device)
    common: dict[str, Any] = {
        "held": held,
        "numbers": lambda step: numbers_of(step, batch, rank, world),
        "cuts": Cuts(seed, flip, turned, larger, chances),
        "crop": crop,
        "boundary": boundary,
        "device": device,
    }
    is_mixed = chances is not None
    made = Samples(False, draw=draw, alone=None if is_mixed else draw is not None, **common)
    recorded = Samples(True, draw=spoil, alone=None if is_mixed else draw is None, **common)

    def prepare(step: int) -> tuple[Prepared, Prepared]:
        return made.prepare(step), recorded.prepare(step)

    def finish(*prepared: Prepared) -> Pair:
        kinds = zip((made, recorded), prepared, strict=True)
        parts = [(part, kind.finish(part)) for kind, part in kinds if part.numbers]
        return joined(parts) if is_mixed else parts[0][1]

    ahead = device.type == "cuda" if ahead is None else ahead
    prepared = _prepared_ahead(prepare) if ahead else prepare
    return lambda step: finish(*prepared(step))


def evaluation_pairs(
    sharp: ImageSet,
    draw: degrade.Draw,
    seed: int,
    side: int | None = None,
    device: torch.device | str = "cpu",
    boundary: Boundary = "valid",
    grey: int = 0,
    most: int | None = None,
) -> Iterator[Pair]:
    """A pair for each image of a set, one after the other, drawn on the CPU by (seed, its key).

    So they are the same whatever the device, the number of images and their order.

    Args:
        side: of ``y`` and ``x``, pixels: the middle of each image, with as much around it as
            ``"valid"`` takes off. By default all of each image is blurred.
        boundary: of the blur; see :func:`deblurlib.degrade.convolve`.
        grey: channels of the grey images to make first, rounded to 8 bit; 0: colour.
        most: of a larger image, the middle of so many pixels a side.
    """
    for i, key in enumerate(sharp.keys):
        degradation = draw(degrade.generator(seed, key))
        x = images.quantise(images.grey(sharp[i], grey)) if grey else sharp[i]
        x = x if most is None else images.centre_crop(x, *(min(n, most) for n in x.shape[-2:]))
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
