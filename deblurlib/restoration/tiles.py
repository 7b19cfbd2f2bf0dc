"""How a large image is cut into overlapping tiles and joined, so that a network sees one at a time.

Taught in chapter 05.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from .. import machine
from ..errors import InputError
from .method import Method

__all__ = ["fits", "in_tiles", "layout", "spans", "work"]

TILE = 768  # side, pixels
OVERLAP = 128  # of neighbouring tiles, where a method sees further
TOGETHER = 8  # tiles of a row that a GPU restores at once; a processor is no faster so
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Span:
    """What one tile covers of an axis, and how much it counts there."""

    start: int
    stop: int
    weight: torch.Tensor  # (stop - start,); the weights of all spans sum to 1 everywhere


def spans(length: int, tile: int, overlap: int, halo: int) -> list[Span]:
    """Cut an axis into overlapping spans.

    Args:
        length: of the axis, pixels.
        tile: of a span; the last one may be shorter, but not than the overlap.
        overlap: of neighbours.
        halo: pixels at a span's inner end that do not count; between the halos of two neighbours,
            a cosine leads from one to the other.
    """
    step = tile - overlap
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(starts[-1] + step)
    pieces = []
    rise = _rise(overlap, halo)
    for start in starts:
        stop = min(start + tile, length)
        weight = torch.ones(stop - start)
        if start > 0:
            weight[:overlap] = rise
        if stop < length:
            weight[tile - overlap :] -= rise
        pieces.append(Span(start, stop, weight))
    return pieces


def _rise(overlap: int, halo: int) -> torch.Tensor:
    between = overlap - 2 * halo
    ramp = (1 - torch.cos(math.pi * (torch.arange(between) + 0.5) / max(between, 1))) / 2
    return torch.cat([torch.zeros(halo), ramp, torch.ones(halo)])


def fits(method: Method) -> bool:
    """Whether tiles and whole are equal: the receptive field is no wider than the overlap."""
    return method.receptive_field is not None and method.receptive_field - 1 <= OVERLAP


def layout(
    method: Method, tile: int | None = None, kernel: torch.Tensor | None = None
) -> tuple[int, int, int]:
    """Tile, overlap and halo of a method, pixels, the first two on its grid.

    Where the receptive field fits, a halo of half of it makes tiles and whole equal. Of a
    deconvolution the halo is half the kernel's side at least, for there it has to guess.
    """
    grid = method.multiple
    tile = TILE if tile is None else tile
    least = OVERLAP if kernel is None else max(OVERLAP, 2 * max(kernel.shape[-2:]))
    field = method.receptive_field
    halo = field // 2 if field is not None and fits(method) else least // 4
    overlap = -(-(2 * halo if fits(method) else least) // grid) * grid
    if kernel is not None and tile == TILE < 2 * overlap:
        raise InputError(
            f"the kernel is too large for tiles of {TILE} pixels; --tile {2 * overlap} takes it"
        )
    if tile % grid or tile < 2 * overlap or tile < 1:
        raise InputError(
            f"a tile of {method.name} must be a multiple of {grid} and {max(2 * overlap, 1)} "
            f"pixels or more, not {tile}"
        )
    return tile, overlap, halo


@torch.no_grad()
def in_tiles(
    method: Method,
    take: Callable[[slice, slice], torch.Tensor],
    put: Callable[[slice, torch.Tensor], None],
    size: Sequence[int],
    kernel: torch.Tensor | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
    together: int | None = None,
) -> None:
    """Restore an image that need not fit into memory as numbers, one row of tiles after the other.

    Args:
        take: gives a part of the image, ``(B, C, h, w)`` in [0, 1], on the method's device.
        put: is given finished rows ``(B, C, h, W)``, from top to bottom, on the CPU.
        size: height and width of the image.
        kernel: for a method that needs it.
        tile: side of a tile, pixels; by default :data:`TILE`.
        progress: is told the share of the work that is done, by the tiles' areas.
        together: how many tiles of a row are restored at once; by default one on a processor, 8 on
            a GPU. Their number changes no more than the last bits.
    """
    side, overlap, halo = layout(method, tile, kernel)
    rows, columns = (spans(length, side, overlap, halo) for length in size)
    total, done = _area(rows, columns), 0
    carried = None  # what the tiles above give to the rows they share with those below
    for i, row in enumerate(rows):
        for column, x_hat in _restored(method, take, row, columns, kernel, together):
            if column is columns[0]:
                band = x_hat.new_zeros(*x_hat.shape[:-1], size[1])
            band[..., _slice(column)] += x_hat * column.weight
            done += _area([row], [column])
            progress(done / total)
        band *= row.weight[:, None]
        if carried is not None:
            band[..., : carried.shape[-2], :] += carried
        stop = rows[i + 1].start if i + 1 < len(rows) else row.stop
        put(slice(row.start, stop), band[..., : stop - row.start, :])
        carried = band[..., stop - row.start :, :].clone()


def _restored(
    method: Method,
    take: Callable[[slice, slice], torch.Tensor],
    row: Span,
    columns: list[Span],
    kernel: torch.Tensor | None,
    together: int | None,
) -> Iterator[tuple[Span, torch.Tensor]]:
    """The tiles of a row, restored, on the processor; those of one width several at once."""
    waiting: list[Span] = []
    for column, after in zip(columns, [*columns[1:], None], strict=True):
        waiting.append(column)
        on_gpu = method.device is not None and method.device.type == "cuda"
        most = (TOGETHER if on_gpu else 1) if together is None else together
        width = column.stop - column.start
        if after is not None and len(waiting) < most and after.stop - after.start == width:
            continue
        parts = [take(_slice(row), _slice(one)) for one in waiting]
        yield from zip(waiting, _at_once(method, parts, kernel), strict=True)
        waiting = []


def _at_once(
    method: Method, parts: list[torch.Tensor], kernel: torch.Tensor | None
) -> list[torch.Tensor]:
    """Tiles of one size restored together; one by one where there is not enough memory for that."""
    if len(parts) > 1:
        each = None if kernel is None or kernel.ndim == 2 else kernel.repeat(len(parts), 1, 1)
        try:
            x_hats = method(torch.cat(parts), kernel if each is None else each).cpu()
            return list(x_hats.split(len(parts[0])))
        except (MemoryError, RuntimeError) as error:
            if not machine.is_out_of_memory(error):
                raise
    return [method(part, kernel).cpu() for part in parts]


def work(size: Sequence[int], method: Method, tile: int | None = None) -> int:
    """How many pixels an image of this height and width has in all its tiles together.

    The time of a restoration goes nearly as this does.
    """
    return _area(*(spans(length, *layout(method, tile)) for length in size))


def _area(rows: list[Span], columns: list[Span]) -> int:
    heights, widths = ([span.stop - span.start for span in line] for line in (rows, columns))
    return sum(heights) * sum(widths)


def _slice(span: Span) -> slice:
    return slice(span.start, span.stop)
