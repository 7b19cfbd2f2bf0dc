"""``deblur suggest``: which method and command to try on a blurry photograph."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .command import app, printable

if TYPE_CHECKING:
    from ..restoration import Suggestion

ALONE = {
    "sharp": "leave it alone: it is sharp wherever it has texture",
    "noisy": "leave it alone: hardly blurred, and no method here takes noise away",
}


@app.command()
def suggest(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Image files.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON alone: a list with an entry a photograph.")
    ] = False,
) -> None:
    """Look at blurry photographs, and say which commands to try on each, and why.

    A verdict is a guess: docs/which.md says how often it is right. Nothing is written.

    What cannot be read is named in one sentence, the others are done, and the exit code is 2.
    """
    from .. import files, restoration

    told, failed = [], False
    for photo in photos:
        try:
            found = restoration.suggest(files.read_photo(photo), str(photo))
        except InputError as error:
            print(f"deblur: {printable(error)}", file=sys.stderr)
            failed = True
            continue
        if as_json:
            told.append({"photo": str(photo), **asdict(found)})
        else:
            _print(photo, found)
    if as_json:
        print(json.dumps(told, indent=1))
    if failed:
        raise typer.Exit(2)


def _print(photo: Path, found: Suggestion) -> None:
    print(f"{printable(photo)}: a guess: {found.verdict}")
    for sentence in found.measured:
        print(f"  {sentence}")
    if not found.commands:
        print(f"  {ALONE[found.verdict]}")
    for number, (command, why) in enumerate(found.commands, 1):
        print(f"  {number}. {printable(command)}")
        print(f"     {why}")
