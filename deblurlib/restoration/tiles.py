"""Any image, of any size: restored in overlapping tiles, so that a network sees one at a time.

Taught in chapter 05.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from .. import images, machine
from ..errors import InputError
from .method import Method
from .methods import find_method

TILE = 768  # side, pixels
OVERLAP = 128  # of neighbouring tiles, where a method reaches further than half of it
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
    found = []
    rise = _rise(overlap, halo)
    for start in starts:
        stop = min(start + tile, length)
        weight = torch.ones(stop - start)
        if start > 0:
            weight[:overlap] = rise
        if stop < length:
            weight[tile - overlap :] -= rise
        found.append(Span(start, stop, weight))
    return found


def _rise(overlap: int, halo: int) -> torch.Tensor:
    between = overlap - 2 * halo
    ramp = (1 - torch.cos(math.pi * (torch.arange(between) + 0.5) / max(between, 1))) / 2
    return torch.cat([torch.zeros(halo), ramp, torch.ones(halo)])


def fits(method: Method) -> bool:
    """Whether tiles and whole are equal: the method reaches no further than half the overlap."""
    return method.reach is not None and 2 * method.reach <= OVERLAP


def layout(
    method: Method, tile: int | None = None, kernel: torch.Tensor | None = None
) -> tuple[int, int, int]:
    """Tile, overlap and halo of a method, pixels, the first two on its grid.

    Where the method's reach fits, a halo of it makes tiles and whole equal. Of a deconvolution the
    halo is half the kernel's side at least, for there it has to guess.
    """
    grid = method.multiple
    tile = TILE if tile is None else tile
    least = OVERLAP if kernel is None else max(OVERLAP, 2 * max(kernel.shape[-2:]))
    halo = method.reach if fits(method) else least // 4
    overlap = -(-(2 * halo if fits(method) else least) // grid) * grid
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
    size: tuple[int, int],
    kernel: torch.Tensor | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
) -> None:
    """Restore an image that need not fit into memory as numbers, one row of tiles after the other.

    Args:
        take: gives a part of the image, ``(B, C, h, w)`` in [0, 1], on the method's device.
        put: is given finished rows ``(B, C, h, W)``, from top to bottom, on the CPU.
        size: height and width of the image.
        kernel: for a method that needs it.
        tile: side of a tile, pixels; by default :data:`TILE`.
        progress: is told the share of the work that is done.
    """
    side, overlap, halo = layout(method, tile, kernel)
    rows, columns = (spans(length, side, overlap, halo) for length in size)
    carried = None  # what the tiles above give to the rows they share with those below
    for i, row in enumerate(rows):
        band = None
        for j, column in enumerate(columns):
            x_hat = method(take(_slice(row), _slice(column)), kernel).cpu()
            if band is None:
                band = x_hat.new_zeros(*x_hat.shape[:-1], size[1])
            band[..., _slice(column)] += x_hat * column.weight
            progress((i * len(columns) + j + 1) / (len(rows) * len(columns)))
        band *= row.weight[:, None]
        if carried is not None:
            band[..., : carried.shape[-2], :] += carried
        stop = rows[i + 1].start if i + 1 < len(rows) else row.stop
        put(slice(row.start, stop), band[..., : stop - row.start, :])
        carried = band[..., stop - row.start :, :].clone()


def _slice(span: Span) -> slice:
    return slice(span.start, span.stop)


def restore(
    image: torch.Tensor | np.ndarray | Image.Image,
    method: str | Method = "srn",
    kernel: torch.Tensor | None = None,
    device: torch.device | str | None = None,
    tile: int | None = None,
    progress: Progress = lambda share: None,
) -> torch.Tensor | np.ndarray | Image.Image:
    """Restore one image of any size; what comes back is of its size and kind.

    Args:
        image: a tensor ``(C, H, W)`` or ``(B, C, H, W)`` in [0, 1], of 1 or 3 channels; an array
            ``(H, W)`` or ``(H, W, C)``, uint8 or uint16, of 1 to 4 channels, the second or fourth
            being alpha, which is kept; or a Pillow image of mode L, LA, RGB or RGBA,
            whose pixels come back alone, without its EXIF: turn it upright before.
        method: a name, see :func:`deblurlib.restoration.find_method`, or a method.
        kernel: for a method that needs it, ``(h, w)``.
        device: by default that of the method's model; for a name, that of a tensor, and for other
            images a GPU where there is one.
        tile: side of a tile, pixels: less needs less memory.
        progress: is told the share of the work that is done.

    Returns:
        values within [0, 1], or rounded half up to those of its kind.

    Raises:
        InputError: not such an image, empty, or with values that are not numbers.
    """
    options = (kernel, tile, progress)
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            raise InputError(f"a Pillow image must be L, LA, RGB or RGBA, not {image.mode}")
        return Image.fromarray(_restore_array(np.asarray(image), method, device, *options))
    if isinstance(image, np.ndarray):
        return _restore_array(image, method, device, *options)
    if isinstance(image, torch.Tensor):
        return _restore_tensor(image, method, device, *options)
    raise InputError(f"an image is a tensor, an array or a Pillow image, not {type(image)}")


def tile_difference(
    image: torch.Tensor, method: Method, tile: int, kernel: torch.Tensor | None = None
) -> float:
    """PSNR in dB, of 8-bit values, between an image ``(C, H, W)`` restored in tiles and whole.

    Infinite where they are equal.
    """
    whole = images.quantise(method(image[None], kernel)[0])
    tiled = images.quantise(restore(image, method, kernel, tile=tile))
    return -10 * (whole - tiled).double().square().mean().log10().item()


def _ready(method, best, asked, kernel) -> tuple[Method, torch.device | str, torch.Tensor | None]:
    """The method, the device it works on, and the kernel there."""
    if isinstance(method, str):
        method = find_method(method, best)
    device = asked or method.device or best
    return method, device, None if kernel is None else kernel.to(device)


def _restore_tensor(image, method, device, kernel, tile, progress) -> torch.Tensor:
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or not image.is_floating_point():
        raise InputError(
            f"an image tensor is floating-point (C, H, W) or (B, C, H, W) with 1 or 3 channels, "
            f"not {tuple(image.shape)} of {image.dtype}"
        )
    if image.numel() == 0 or not torch.isfinite(image).all():
        raise InputError("the image is empty, or holds NaN or infinite values")
    method, device, kernel = _ready(method, device or image.device, device, kernel)
    batch = image if image.ndim == 4 else image[None]
    x_hat = torch.empty(batch.shape)

    def take(rows: slice, columns: slice) -> torch.Tensor:
        return batch[..., rows, columns].to(device, torch.float32)

    def put(rows: slice, band: torch.Tensor) -> None:
        x_hat[..., rows, :] = band.clamp(0, 1)

    in_tiles(method, take, put, batch.shape[-2:], kernel, tile, progress)
    return x_hat.view(image.shape).to(image)


def _restore_array(image, method, device, kernel, tile, progress) -> np.ndarray:
    channels = image.shape[-1] if image.ndim > 2 else 1
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3) or channels > 4:
        raise InputError(
            f"an image array is uint8 or uint16, (H, W) or (H, W, C) with 1 to 4 channels, not "
            f"{image.shape} of {image.dtype}"
        )
    if image.size == 0:
        raise InputError("the image is empty")
    method, device, kernel = _ready(method, device or machine.best_device(), device, kernel)
    x_hat = image.copy()  # alpha stays
    seen = (image[..., None] if image.ndim == 2 else image)[..., : channels - (channels in (2, 4))]
    made = x_hat.reshape(*image.shape[:2], channels)[..., : seen.shape[-1]]
    scale = np.iinfo(image.dtype).max

    def take(rows: slice, columns: slice) -> torch.Tensor:
        return images.to_tensor(seen[rows, columns])[None].to(device)

    def put(rows: slice, band: torch.Tensor) -> None:
        rounded = (band[0].clamp(0, 1) * scale + 0.5).floor()
        made[rows] = rounded.permute(1, 2, 0).numpy().astype(image.dtype)

    in_tiles(method, take, put, image.shape[:2], kernel, tile, progress)
    return x_hat
