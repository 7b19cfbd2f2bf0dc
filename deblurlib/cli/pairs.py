"""``deblur pairs``: a set of pairs from a video."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import names
from ..progress import progress_bar
from .command import DATA, app, check_files, printable, say, short

if TYPE_CHECKING:
    from ..video import VideoPair


@app.command(rich_help_panel=DATA)
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
    check_files([video], "file or folder")
    if average not in names.known(names.Average):
        raise names.unknown_name("average", average, names.known(names.Average))
    from ..video import GHOSTS, promised_frames, write_pairs

    motions: list[float] = []
    with progress_bar("averaging", promised_frames(video)) as show:

        def keep(pair: VideoPair) -> None:
            motions.append(pair.motion)
            show(pair.frames[-1] + 1)

        target = write_pairs(video, out, window, average, stride, keep)
    say(
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
