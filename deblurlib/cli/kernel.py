"""``deblur kernel``: what blurred a photograph, found in it, or cut from a lamp's streak."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, require
from .command import PHOTOS, Device, app, check_files, choose_device, printable, say


@app.command(rich_help_panel=PHOTOS)
def kernel(
    photo: Annotated[Path, typer.Argument(help="An image file.")],
    size: Annotated[int, typer.Option(help="Side of the kernel, pixels: odd.")] = 31,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The .npy file, or a folder; by default photo_kernel.npy beside photo.jpg. "
            "A picture of it, .png, lies beside it.",
        ),
    ] = None,
    from_point: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Cut it from the streak of a lamp there: pixels from the left, and from the top.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    device: Device = "auto",
) -> None:
    """Find the kernel that blurred a photograph, for deblur restore --kernel.

    By its edges, or with --from-point by the streak of one lamp. It is written as numbers, which
    are the ones to use, and as a picture to look at.
    """
    check_files([photo])
    require(size >= 3 and size % 2 == 1, f"--size must be odd and 3 or more, not {size}")
    point = None if from_point is None else _parse_point(from_point)
    from .. import files, restoration
    from ..restoration.jobs import check_place, check_targets, identity

    on = choose_device(device)
    read = files.read_photo(photo)
    targets = _targets(photo, out)
    check_targets(photo, targets, {}, {identity(photo): photo})
    check_place(targets[0])
    _check_free(targets, overwrite)
    if point is None:
        found = restoration.kernel_by_edges(read, str(photo), size, on)
    else:
        found = restoration.kernel_by_streak(read, *point, size)
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    files.write_kernel(targets[0], found.kernel)
    say(", ".join(map(printable, targets)))
    say(f"  {found.spread}")
    say(f"  {found.certainty}")
    words = ["deblur", "restore", str(photo), "--kernel", str(targets[0])]
    say(f"  to use it: {printable(shlex.join(words))}")


def _parse_point(text: str) -> tuple[int, int]:
    """``"120,80"`` -> ``(120, 80)``."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(p.isdecimal() and len(p) < 10 for p in parts):
        raise InputError(f"a point is two whole numbers such as 120,80, not {text!r}")
    return int(parts[0]), int(parts[1])


def _targets(photo: Path, out: Path | None) -> tuple[Path, ...]:
    """Where the numbers and the picture go."""
    from ..restoration.finding import kernel_paths

    if out is None:
        return kernel_paths(photo)
    if out.is_dir() or not out.suffix:  # made if need be, as by deblur restore
        return kernel_paths(out / photo.name)
    known = out.suffix in (".npy", ".png")
    require(known, f"{out}: a kernel goes to NAME.npy, with NAME.png beside it, or to a folder")
    return out.with_suffix(".npy"), out.with_suffix(".png")


def _check_free(targets: tuple[Path, ...], overwrite: bool) -> None:
    for target in targets:
        there = os.path.lexists(target) and not overwrite
        require(not there, f"{target}: exists; --overwrite replaces it")
