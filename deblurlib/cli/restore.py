"""``deblur restore``: pictures of any size and kind."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .command import DEFAULT, Device, Settings, app, choose_device, parse_settings, printable
from .watching import watching

if TYPE_CHECKING:
    from ..restoration import Method, Outcome

LAST_FRAME = 10_000_000  # a day and more at 100 a second
NAMES = 3  # kinds of files that are named at most, of those passed over


@app.command()
def restore(
    given: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Image files, folders, patterns, videos."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder; for one image or video, it may be a file. By default "
            "photo_deblurred.jpg beside photo.jpg, and scans_deblurred/ beside the folder scans/.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help=f"See deblur methods; {DEFAULT}, or for a --kernel the best that uses it."
        ),
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option(
            help="What blurred them all, or each plane: .npy, .mat, a grey picture, text."
        ),
    ] = None,
    settings: Settings = None,
    strength: Annotated[
        float, typer.Option(help="How much of the change is made, from 0 to 1.")
    ] = 1.0,
    size: Annotated[
        int | None,
        typer.Option(help="Reduce larger pictures to so many pixels on the longer side: faster."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write before and after, as a picture and as a page.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Write a map of where the result contradicts the input.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave results that are there, do the others.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read and check everything, say what would be written."),
    ] = False,
    frames: Annotated[
        str | None,
        typer.Option(help="Of a video: which frames, as pictures, from 0, such as 3,10-20."),
    ] = None,
    even_if_sharp: Annotated[
        bool, typer.Option("--even-if-sharp", help="Restore pictures that are sharp already, too.")
    ] = False,
    tile: Annotated[
        int | None, typer.Option(help="Side of a tile, pixels; less needs less memory.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Of a network: 32; or bf16, faster on a GPU and on some processors.")
    ] = "32",
    device: Device = "auto",
) -> None:
    """Restore pictures, TIFF stacks and videos; a picture keeps its size, kind and profile.

    A video keeps its size, rate and length. A picture that is sharp already is left alone.

    What cannot be restored is named in one sentence, the others are done, and the exit code is 2.
    """
    from .. import files, restoration

    on = choose_device(device)
    if frames is not None and len(given) != 1:
        raise InputError("--frames needs one video, or one folder of frames")
    if overwrite and skip_existing:
        raise InputError("--overwrite and --skip-existing exclude each other")
    if size is not None and (kernel is not None or size < 1):
        raise InputError(
            f"--size needs 1 pixel or more, not {size}"
            if size < 1
            else "--size and --kernel exclude each other: a kernel is of the picture as it is"
        )
    numbers = None if frames is None else parse_frames(frames)
    chosen = _choose(method, on, kernel is not None, parse_settings(settings))
    k = None if kernel is None else files.read_kernels(kernel)
    chosen = chosen.with_precision(precision)
    restoration.tiles.layout(chosen, tile, k)  # raises before a picture is read
    request = restoration.Request(
        chosen.with_strength(strength),
        device=on,
        tile=tile,
        kernel=k,
        side=size,
        compare=compare,
        trust=trust,
        existing="overwrite" if overwrite else "skip" if skip_existing else "refuse",
        dry_run=dry_run,
        # the networks that ship change sharp pictures, too; who names another method wants it
        leave_sharp=k is None and chosen.name in restoration.shipped() and not even_if_sharp,
    )
    outcomes: list[Outcome] = []
    try:
        with watching(request) as watch:
            if numbers is not None:
                done = restoration.restore_frames(Path(given[0]), numbers, request, out, watch)
            else:
                done = restoration.restore_files(given, request, out, watch)
            outcomes += (_tell(outcome, dry_run) for outcome in done)
    except KeyboardInterrupt:
        print(f"deblur: {_stopped(given, frames)}", file=sys.stderr)
        raise typer.Exit(130) from None
    name = ", ".join([method or chosen.name, *request.method.notes])
    _sum_up(outcomes, f"by {name} on {on}", dry_run)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(2)


def _stopped(given: list[str], frames: str | None) -> str:
    """What is said to who stops it: pictures that are done are there, of a video nothing is."""
    from ..restoration import finding

    text = "stopped; with --skip-existing the same command goes on"
    if frames is None and any(finding.kind(Path(one)) == "video" for one in given):
        text += ", a video from its first frame"
    return text


def _choose(name: str | None, on, with_kernel: bool, settings: dict[str, str]) -> Method:
    """The method that is asked for, or the best for what is known; with its settings."""
    from .. import restoration

    if name is None and with_kernel:
        name = restoration.WITH_KERNEL
        print(f"deblur: a kernel is given: {name} uses it best; see --method", file=sys.stderr)
    chosen = restoration.find_method(name or DEFAULT, on)
    if chosen.blind and with_kernel:
        cure = f"without --method, {restoration.WITH_KERNEL} uses it"
        raise InputError(f"the method {chosen.name} has no use for a kernel; {cure}")
    if not chosen.blind and not with_kernel:
        raise InputError(f"the method {chosen.name} needs the kernel: --kernel FILE")
    return chosen.with_settings(**settings)


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


def _tell(outcome: Outcome, dry_run: bool) -> Outcome:
    if outcome.error is not None:
        print(f"deblur: {printable(outcome.error)}", file=sys.stderr)
    elif outcome.skipped:
        print(f"{printable(outcome.target)}  exists: skipped")
    elif outcome.sharp:
        what = "sharp already: left alone; --even-if-sharp restores it"
        print(f"{printable(outcome.source)}  {_size(outcome)}  {what}")
    elif outcome.target is not None:
        text = f"{printable(outcome.target)}  {_size(outcome)}"
        text += f"  of {printable(outcome.source)}" if dry_run else f"  {outcome.seconds:.1f} s"
        print(text + (f"  without {', '.join(outcome.lost)}" if outcome.lost else ""))
        if outcome.compared:
            print(f"  before and after: {', '.join(map(printable, outcome.compared))}")
        if outcome.kernels:
            print(f"  its kernel: {', '.join(map(printable, outcome.kernels))}")
        if outcome.mapped and dry_run:
            print(f"  a map of trust: {printable(outcome.mapped)}")
        if outcome.trust:
            found = outcome.trust
            share = f"{found.flagged:.1%} of the {found.answered:.0%} that could be checked"
            print(f"  {share} contradict the picture: {printable(found.path)}")
    return outcome


def _size(outcome: Outcome) -> str:
    (width, height), (across, down) = outcome.size, outcome.full_size
    text = f"{width} x {height}"
    text += "" if (width, height) == (across, down) else f", reduced from {across} x {down}"
    return text if outcome.frames is None else f"{text}, {outcome.frames} {outcome.called}"


def _sum_up(outcomes: list[Outcome], how: str, dry_run: bool) -> None:
    done = [o for o in outcomes if o.target is not None and not o.skipped]
    seconds = sum(outcome.seconds for outcome in outcomes)
    text = f"{len(done)} would be restored {how}" if dry_run else f"{len(done)} restored {how}"
    text += "" if dry_run else f" in {seconds:.1f} s"
    counts = {
        "sharp already": sum(outcome.sharp for outcome in outcomes),
        "skipped": sum(outcome.skipped for outcome in outcomes),
        "not": sum(outcome.error is not None for outcome in outcomes),
    }
    text += "".join(f", {count} {what}" for what, count in counts.items() if count)
    print(text + _passed_over(outcomes))


def _passed_over(outcomes: list[Outcome]) -> str:
    """What nobody asked for by name and could not be restored, the most frequent kinds first."""
    found = Counter(o.passed_over for o in outcomes if o.passed_over is not None)
    kinds = [f"{count} {kind}" for kind, count in found.most_common(NAMES)]
    others = found.total() - sum(count for _, count in found.most_common(NAMES))
    kinds += [f"{others} of other kinds"] if others else []
    return f"; passed over: {', '.join(kinds)}" if kinds else ""
