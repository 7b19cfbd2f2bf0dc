"""What the app does to a visitor's picture, in a worker, by the functions of ``deblur restore``.

A picture lies in a folder of its own. While a task runs, that folder is the working folder and
pictures are named without it, so that no sentence to a visitor tells where the server keeps them.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .. import files, images, machine, psf, restoration
from ..errors import require
from ..files import Photo, read_photo
from ..restoration.comparison import as_shown, within
from ..restoration.finding import kernel_paths, kind
from ..restoration.telling import find_part
from ..restoration.tiles import work
from ..sharpness import is_sharp

__all__ = ["compare_trust", "cut", "find", "preview", "restore"]

Tell = Callable[[float], None]

# the server's own files beside a picture begin with a dot, as no visitor's file does
SHOWN = ".shown.jpg"  # the picture as a page shows it
FOUND, LAMP = ".found.npy", ".lamp.npy"  # kernels
SHOWN_SIDE = 1280  # its longest side, pixels
DETAIL = 112  # side of the detail that is previewed, pixels
AROUND = 12  # pixels around it that are restored with it, for at a border methods err
KERNEL = 2**20  # values of a kernel's file, at most
PHOTOGRAPH = 3000, 4000  # height and width of one, for the time that it takes
#: kinds of blur: name -> the kernel of the numbers that say it, in their order
BLURS: dict[str, Callable[..., Any]] = {
    "focus": psf.disk,
    "motion": psf.motion,
    "gaussian": psf.gaussian,
}


def all_tasks() -> dict[str, Callable]:
    """The tasks by name."""
    return {f.__name__: f for f in (warm_up, look, preview, restore, find, cut, compare_trust)}


def _in_folder(task: Callable) -> Callable:
    """The task, done in the folder that is its first argument."""

    @wraps(task)
    def done(folder: Path, *arguments: Any, tell: Tell) -> Any:
        try:
            with contextlib.chdir(folder):
                return task(*arguments, tell=tell)
        except FileNotFoundError:
            require(folder.is_dir(), "the picture was deleted meanwhile: upload it once more")
            raise

    return done


def warm_up(name: str, side: int, tell: Tell) -> float:
    """Load a method; about how many seconds a pixel of a photograph takes it here.

    Measured on noise of ``side`` x ``side`` pixels, the second time; tiles overlap, which counts.
    """
    method = _found_method(name)
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    for _ in range(2):
        began = time.perf_counter()
        restoration.restore(noise, method)
    seconds = time.perf_counter() - began
    tiled = work(PHOTOGRAPH, method) / math.prod(PHOTOGRAPH)
    return seconds / work((side, side), method) * tiled


def _read(name: str, limit: int) -> Photo:
    require(kind(Path(name)) != "video", f"{name}: a video; the command deblur restore takes it")
    return read_photo(name, limit)


@_in_folder
def look(name: str, limit: int, tell: Tell) -> dict[str, Any]:
    """What a picture is, and :data:`SHOWN` beside it.

    Args:
        limit: refuse a picture of more pixels before it is decoded.
    """
    photo = _read(name, limit)
    files.check_suffix(Path(name))
    tell(0.5)
    pixels = as_shown(photo)
    profile = photo.profile if photo.profile[16:20] == b"RGB " else b""
    shown = within(pixels, SHOWN_SIDE, SHOWN_SIDE)
    files.write_photo(SHOWN, Photo(shown, profile=profile))
    height, width = pixels.shape[:2]
    rows, columns = find_part(
        lambda *part: images.to_tensor(pixels[part])[None], (height, width), DETAIL**2
    )
    middle = [(part.start + part.stop) // 2 for part in (columns, rows)]
    about = {"name": name, "size": [width, height], "detail": middle}
    return about | {"sharp": is_sharp(photo.pixels)}


def _kernel(blur: Mapping[str, Any]) -> torch.Tensor:
    """The kernel that a description means: of a file, or of numbers."""
    if "file" in blur:
        return files.read_kernel(blur["file"], KERNEL)
    return BLURS[blur["kind"]](*blur["numbers"])


@cache
def _shipped() -> list[str]:
    return restoration.shipped()


@cache
def _found_method(name: str) -> restoration.Method:
    known = [*restoration.METHODS, *_shipped()]  # not the server's own runs
    require(name in known, f"no method {name!r}: it is one of {', '.join(known)}")
    return restoration.find_method(name, machine.device())


def _method(name: str, settings: Mapping[str, Any], strength: float = 1.0) -> restoration.Method:
    method = _found_method(name)
    return method.with_settings(**settings).with_strength(strength)


@_in_folder
def preview(
    name: str,
    limit: int,
    place: tuple[int, int],
    blur: Mapping[str, Any],
    method: str,
    settings: Mapping[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    """A detail of the upright picture before and after, and the kernel, each as a PNG's bytes."""
    pixels = _detail(name, limit, *place)
    k = _kernel(blur)
    began = time.perf_counter()
    restored = restoration.restore(pixels, _method(method, settings), k)
    seconds = time.perf_counter() - began
    inner = [slice(*_inside(side)) for side in pixels.shape[:2]]
    light = np.rint(k.numpy() / k.numpy().max() * 255).astype(np.uint8)
    pictures = pixels[tuple(inner)], restored[tuple(inner)], light
    before, after, kernel = (_png(picture) for picture in pictures)
    rate = seconds / (pixels.shape[0] * pixels.shape[1])
    return {"before": before, "after": after, "kernel": kernel, "rate": rate}


def _detail(name: str, limit: int, x: int, y: int) -> np.ndarray:
    """What is around a place, 8 bits; kept in a file, for to read a photograph takes long."""
    kept = Path(f".detail-{x}-{y}.npy")
    if kept.exists():
        return np.load(kept)
    pixels = as_shown(_read(name, limit))
    side = DETAIL + 2 * AROUND
    parts = []
    for middle, length in zip((y, x), pixels.shape[:2], strict=True):
        start = min(max(middle - side // 2, 0), max(length - side, 0))
        parts.append(slice(start, start + side))
    detail = np.ascontiguousarray(pixels[tuple(parts)])
    for old in Path().glob(".detail-*.npy"):
        old.unlink()
    np.save(kept, detail)
    return detail


def _inside(side: int) -> tuple[int, int]:
    margin = AROUND if side > DETAIL else 0
    return margin, side - margin


def _png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=1)
    return data.getvalue()


@_in_folder
def restore(name: str, limit: int, options: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Restore a picture beside itself, as ``deblur restore`` does.

    Args:
        options: ``method``, and perhaps ``settings``, ``strength``, ``blur``, ``size`` (the longer
            side to reduce it to), ``compare`` and ``even_if_sharp``, as of that command.

    Returns:
        the result's ``target``, its ``size``, ``seconds``, what was ``lost``, whether the picture
        was left alone because it is ``sharp``, and the names of what lies beside the result.
    """
    require(kind(Path(name)) != "video", f"{name}: a video; the command deblur restore takes it")
    method = _method(options["method"], options.get("settings") or {}, options.get("strength", 1.0))
    blur = options.get("blur")
    require(method.blind or blur is not None, f"the method {method.name} needs to know the blur")
    require(not method.blind or blur is None, f"the method {method.name} has no use for a kernel")
    require(
        blur is None or options.get("size") is None,
        "a picture whose blur is known is not made smaller: the kernel is of the picture as it is",
    )
    request = restoration.Request(
        method,
        device=machine.device(),
        kernel=None if blur is None else _kernel(blur),
        side=options.get("size"),
        compare=options.get("compare", False),
        existing="overwrite",
        leave_sharp=method.name in _shipped() and not options.get("even_if_sharp"),
        max_pixels=limit,
    )
    (outcome,) = restoration.restore_files([name], request, watch=lambda step: tell(step.share))
    require(outcome.error is None, outcome.error or "")
    beside = [path.name for path in (*outcome.compared, *outcome.kernels)]
    return {
        "target": None if outcome.target is None else outcome.target.name,
        "size": list(outcome.size),
        "seconds": outcome.seconds,
        "lost": list(outcome.lost),
        "sharp": outcome.sharp,
        "beside": beside,
        "title": method.title,
    }


@_in_folder
def find(name: str, limit: int, size: int, tell: Tell) -> dict[str, str]:
    """The kernel of a picture, found as ``deblur kernel`` finds it: its files, and its words."""
    require(size % 2 == 1 and 3 <= size <= 99, f"the kernel's side is odd, 3 to 99, not {size}")
    photo = _read(name, limit)
    found = restoration.kernel_by_edges(photo, name, size, machine.device())
    return _written(FOUND, name, found)


@_in_folder
def cut(name: str, limit: int, box: tuple[int, int, int, int], tell: Tell) -> dict[str, str]:
    """The kernel of the brightest point in a box of the upright picture: left, top, right, bottom.

    As ``deblur kernel --from-point`` cuts it.
    """
    photo = _read(name, limit)
    upright = photo.upright()
    height, width = upright.shape[:2]
    left, top, right, bottom = (max(n, 0) for n in box)
    part = upright[top : min(bottom, height), left : min(right, width)]
    require(part.size > 0, "the box is outside of the picture")
    side = min(max(part.shape[:2]) // 2 * 2 + 1, 99)
    row, column = np.unravel_index(part.sum(-1, dtype=np.int64).argmax(), part.shape[:2])
    found = restoration.kernel_by_streak(photo, left + column, top + row, max(side, 3))
    return _written(LAMP, name, found)


def _written(place: str, name: str, found: restoration.FoundKernel) -> dict[str, str]:
    numbers, picture = files.write_kernel(place, found.kernel)
    return {
        "title": kernel_paths(Path(name))[0].name,
        "numbers": numbers.name,
        "picture": picture.name,
        "spread": found.spread,
        "certainty": found.certainty,
    }


@_in_folder
def compare_trust(
    name: str, limit: int, target: str, size: int | None, tell: Tell
) -> dict[str, Any]:
    """The map of where a result contradicts its picture, as ``deblur restore --trust`` draws it."""
    before = _read(name, limit)
    before = before if size is None else files.reduce(before, size)
    drawn = restoration.write_trust(Path(target), before, _read(target, limit))
    return {"map": drawn.path.name, "flagged": drawn.flagged, "answered": drawn.answered}
