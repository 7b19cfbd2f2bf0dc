"""``deblur restore``: pictures of any size and kind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..progress import progress_bar
from .command import Device, app, choose_device, printable

if TYPE_CHECKING:
    from ..restoration import Outcome

LAST_FRAME = 10_000_000  # a day and more at 100 a second


@app.command()
def restore(
    given: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Image files, folders, patterns; or one video."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A folder; for one image, it may be a file.")
    ],
    method: Annotated[str, typer.Option(help="A method's name: see deblur methods.")] = "srn",
    frames: Annotated[
        str | None, typer.Option(help="Of a video: which frames, from 0, such as 3,10-20.")
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option(help="What blurred them all: .npy, .mat, a grey picture, text."),
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="Side of a tile, pixels; less needs less memory.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Restore pictures; each keeps its size, kind, profile and orientation.

    A picture that cannot be restored is named in one sentence, the others are done, and the exit
    code is 2.
    """
    from .. import files, restoration

    on = choose_device(device)
    if frames is not None and len(given) != 1:
        raise InputError("--frames needs one video, or one folder of frames")
    numbers = None if frames is None else parse_frames(frames)
    chosen = restoration.find_method(method, on)
    if chosen.blind == (kernel is not None):
        wants = "has no use for a kernel" if chosen.blind else "needs the kernel: --kernel FILE"
        raise InputError(f"the method {method} {wants}")
    k = None if kernel is None else files.read_kernel(kernel)
    restoration.tiles.layout(chosen, tile, k)  # raises before a picture is read
    with progress_bar("restoring") as show:
        if numbers is not None:
            source = Path(given[0])
            arguments = (source, numbers, out, chosen, on, tile, show, k)
            done = restoration.restore_frames(*arguments)
        else:
            done = restoration.restore_files(given, out, chosen, on, tile, show, k)
        outcomes = [_tell(outcome) for outcome in done]
    bad = sum(outcome.error is not None for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(
        f"{len(outcomes) - bad} restored by {method} on {on} in {seconds:.1f} s"
        + (f", {bad} not" if bad else "")
    )
    if bad:
        raise typer.Exit(2)


def parse_frames(text: str) -> list[int]:
    """``"3,10-12"`` -> ``[3, 10, 11, 12]``."""
    numbers = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 15:
            raise InputError(f"frames are numbers and ranges such as 3,10-20, not {text!r}")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise InputError(f"the range {part.strip()} of frames is empty")
        if span[-1] > LAST_FRAME:
            raise InputError(f"no video has a frame {span[-1]}")
        numbers += span
    return numbers


def _tell(outcome: Outcome) -> Outcome:
    if outcome.error is not None:
        print(f"deblur: {printable(outcome.error)}", file=sys.stderr)
    else:
        width, height = outcome.size
        lost = f"  without {', '.join(outcome.lost)}" if outcome.lost else ""
        print(f"{printable(outcome.target)}  {width} x {height}  {outcome.seconds:.1f} s{lost}")
    return outcome
