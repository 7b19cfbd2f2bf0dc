"""``deblur restore``: pictures of any size and kind."""

from __future__ import annotations

import glob
import mimetypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .. import __version__, names
from ..errors import InputError, require
from ..names import Precision
from .command import (
    DEFAULT,
    PHOTOS,
    STDOUT,
    STOPPED,
    WRONG,
    Device,
    JsonLines,
    Settings,
    app,
    check_files,
    check_json,
    check_method,
    choose_device,
    note,
    parse_settings,
    printable,
    propose_methods,
)
from .outcomes import outcome_told, sum_up, with_lines
from .watching import watching

if TYPE_CHECKING:
    import torch

    from ..restoration import Method, Outcome

#: of what can be written: files.FORMATS and video.CONTAINERS, which load PyTorch
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".avi"),
)
LAST_FRAME = 10_000_000  # a day and more at 100 a second


@app.command(rich_help_panel=PHOTOS)
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
            help=f"See deblur methods; {DEFAULT}, or for a --kernel the best that uses it.",
            autocompletion=propose_methods,
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
    json_file: JsonLines = None,
) -> None:
    """Restore pictures, TIFF stacks and videos; a picture keeps its size, kind and profile.

    A video keeps its size, rate and length. A picture that is sharp already is left alone.

    What cannot be restored is named in one sentence, the others are done, and the exit code is 2.
    """
    if method is not None:
        check_method(method)
    check_json(json_file)
    _check_any(given)
    if out is not None:
        _check_out(out, given)
    require(0 <= strength <= 1, f"the strength must be a number in 0..1, not {strength:g}")
    one = frames is None or len(given) == 1
    require(one, "--frames needs one video, or one folder of frames")
    both = overwrite and skip_existing
    require(not both, "--overwrite and --skip-existing exclude each other")
    require(size is None or size >= 1, f"--size needs 1 pixel or more, not {size}")
    why = "--size and --kernel exclude each other: a kernel is of the picture as it is"
    require(size is None or kernel is None, why)
    check_files([kernel] if kernel is not None else [])
    numbers = None if frames is None else parse_frames(frames)
    values = parse_settings(settings)
    from .. import files, psf, restoration

    on = choose_device(device)
    chosen = _choose(method, on, kernel is not None, values)
    k = None if kernel is None else files.read_kernels(kernel)
    for doubt in psf.doubts(k) if k is not None and k.ndim == 2 else ():
        note(f"{kernel}: {doubt}")
    chosen = chosen.with_precision(cast(Precision, precision))
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
    about = _about(chosen) | {"strength": strength, "device": str(on), "dry_run": dry_run}
    about |= {"kernel": None if kernel is None else str(kernel)}
    outcomes: list[Outcome] = []
    try:
        with watching(request) as watch:
            if numbers is not None:
                done = restoration.restore_frames(Path(given[0]), numbers, request, out, watch)
            else:
                done = restoration.restore_files(given, request, out, watch)
            aside = json_file == STDOUT
            told = (outcome_told(outcome, dry_run, aside) for outcome in done)
            with_lines(told, outcomes, json_file, about)
    except KeyboardInterrupt:
        print(f"deblur: {_stopped(given, frames, outcomes)}", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    name = ", ".join([method or chosen.name, *request.method.notes])
    if json_file != STDOUT:
        sum_up(outcomes, f"by {name} on {on}", dry_run)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(WRONG)


def _about(method: Method) -> dict[str, object]:
    """What is told to a program of how pictures are restored."""
    settings = {name: setting.value for name, setting in method.settings.items()}
    return {"version": __version__, "method": method.name, "settings": settings}


def _check_out(out: Path, given: list[str]) -> None:
    """An error if ``--out`` looks like a slip, before PyTorch is loaded."""
    if str(out).startswith("-"):
        raise InputError(f"-o {out}: name a file or a folder; results go to no standard output")
    one = len(given) == 1 and Path(given[0]).is_file()
    one = one and mimetypes.guess_type(out.name)[0] is None  # others have a sentence of their own
    slip = names.closest(out.suffix, SUFFIXES) if one and not out.exists() else ""
    if slip and out.suffix.lower() not in SUFFIXES:
        raise InputError(f"{out}: no kind of picture or video has this suffix{slip}")


def _check_any(given: list[str]) -> None:
    """An error if nothing of what is given is there, before PyTorch is loaded."""
    missing = [name for name in given if not os.path.lexists(name)]
    if len(missing) == len(given) and not any(map(glob.has_magic, missing)):
        for name in missing[:-1]:
            print(f"deblur: {printable(name)}: no such file or folder", file=sys.stderr)
        raise InputError(f"{missing[-1]}: no such file or folder")


def _stopped(given: list[str], frames: str | None, outcomes: list[Outcome]) -> str:
    """What is said to who stops it: pictures that are done are there, of a video nothing is."""
    from ..restoration import finding

    if not any(outcome.target is not None for outcome in outcomes):
        return "stopped; nothing was written"
    text = "stopped; with --skip-existing the same command goes on"
    if frames is None and any(finding.kind(Path(one)) == "video" for one in given):
        text += ", a video from its first frame"
    return text


def _choose(
    name: str | None, on: torch.device, with_kernel: bool, settings: dict[str, str]
) -> Method:
    """The method that is asked for, or the best for what is known; with its settings."""
    from .. import restoration

    if name is None and with_kernel:
        name = restoration.WITH_KERNEL
        note(f"a kernel is given, and used by {name}, the best on photographs; see --method")
    chosen = restoration.find_method(name or DEFAULT, on)
    if chosen.blind and with_kernel:
        cure = f"without --method, {restoration.WITH_KERNEL} uses it"
        raise InputError(f"the method {chosen.name} has no use for a kernel; {cure}")
    if not chosen.blind and not with_kernel:
        raise InputError(f"the method {chosen.name} needs the kernel: --kernel FILE")
    return chosen.with_settings(**settings)


def parse_frames(text: str) -> list[int]:
    """``"3,10-12"`` -> ``[3, 10, 11, 12]``."""
    numbers: list[int] = []
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
