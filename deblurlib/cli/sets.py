"""``deblur data`` and ``deblur pairs``: look at a data set, make one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .command import app, printable, short


@app.command(name="data")
def describe_data(
    source: Annotated[str, typer.Argument(help="sample, a set's name, a path, or NAME=PATH.")],
) -> None:
    """Read every image of a data set; say what is in it, or what is wrong with it."""
    from .. import contents, data, pairing, storage

    name, items = storage.open_source(source)
    listed = contents.verify(items)
    pairs = pairing.holds_pairs(name, items)
    found = data.open_pairs(source) if pairs else data.open_images(source)
    sizes = sorted(
        {tuple(found[i][1].shape[1:] if pairs else found[i].shape[1:]) for i in range(len(found))}
    )
    known = sum(found.kernel(i) is not None for i in range(len(found))) if pairs else 0
    kind = ("pairs" + (f" ({known} with kernels)" if known else "")) if pairs else "images"
    print(f"{printable(name)}: {len(found)} {kind}, {len(set(found.scenes))} scenes, all readable")
    used = (*found.blurred, *found.sharp, *found.kernels) if pairs else found.items
    names = {item.name for item in used if item is not None}
    if others := sum(item.is_image and item.name not in names for item in items):
        print(f"images beside the pairs, which were not read: {others}")
    print(f"smallest {sizes[0][1]} x {sizes[0][0]}, largest {sizes[-1][1]} x {sizes[-1][0]} pixels")
    print(f"fingerprint {found.fingerprint}; {listed or 'no'} checksums listed")


@app.command()
def pairs(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of its frames.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The set's folder, or its train/ or test/.")
    ],
    window: Annotated[int, typer.Option(help="Frames to average, an odd number.")] = 7,
    average: Annotated[
        str, typer.Option(help="light (as GoPro's blur_gamma) or encoded (as its blur).")
    ] = "light",
    stride: Annotated[
        int | None, typer.Option(help="Frames from one window to the next; by default, window.")
    ] = None,
) -> None:
    """Average the frames of a video into pairs of a blurred and a sharp image."""
    from ..video import GHOSTS, write_pairs

    motions: list[float] = []
    target = write_pairs(
        video, out, window, average, stride, lambda pair: motions.append(pair.motion)
    )
    print(
        f"{printable(short(target))}: {len(motions)} pairs of {window} frames, average of {average}"
    )
    ghosts = [motion for motion in motions if motion > GHOSTS]
    if ghosts:
        print(
            f"warning: in {len(ghosts)} of {len(motions)} pairs, things move more than {GHOSTS:g} "
            f"pixels from frame to frame (up to {max(ghosts):.0f}): the mean then shows copies "
            f"(ghosts) instead of blur. Use a video of more frames a second, a smaller copy of "
            f"it, or insert frames between them first. frames.csv has the motion of each pair.",
            file=sys.stderr,
        )
