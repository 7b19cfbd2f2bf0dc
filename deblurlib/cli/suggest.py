"""``deblur suggest``: which method and command to try on a blurry photograph."""

from __future__ import annotations

import glob
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .command import (
    PHOTOS,
    STDOUT,
    WRONG,
    JsonLines,
    app,
    check_files,
    check_json,
    printable,
    write_json,
)

if TYPE_CHECKING:
    from ..restoration import Suggestion

ALONE = {
    "sharp": "leave it alone: it is sharp wherever it has texture",
    "noisy": "leave it alone: hardly blurred, and no method here takes noise away",
}


@app.command(rich_help_panel=PHOTOS)
def suggest(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Image files, folders, patterns.")
    ],
    json_file: JsonLines = None,
) -> None:
    """Look at blurry photographs, and say which commands to try on each, and why.

    A verdict is a guess: docs/which.md says how often it is right. Nothing is written.

    What cannot be read is named in one sentence, the others are done, and the exit code is 2.
    """
    check_files([p for p in photos if not glob.has_magic(p)] if len(photos) == 1 else [])
    check_json(json_file)
    from .. import files, restoration

    told, failed = [], False
    for photo in restoration.find_photos(photos):
        if photo.path is None:
            if photo.error is not None:
                print(f"deblur: {printable(photo.error)}", file=sys.stderr)
                failed = True
            continue
        try:
            found = restoration.suggest(files.read_photo(photo.path), str(photo.path))
        except InputError as error:
            print(f"deblur: {printable(error)}", file=sys.stderr)
            failed = True
            continue
        told.append({"photo": str(photo.path), **asdict(found)})
        if json_file != STDOUT:
            _print(photo.path, found)
    if json_file is not None:
        write_json(json_file, told)
    if failed:
        raise typer.Exit(WRONG)


def _print(photo: Path, found: Suggestion) -> None:
    print(f"{printable(photo)}: a guess: {found.verdict}")
    for sentence in found.measured:
        print(f"  {sentence}")
    if not found.commands:
        print(f"  {ALONE[found.verdict]}")
    for number, (command, why) in enumerate(found.commands, 1):
        print(f"  {number}. {printable(command)}")
        print(f"     {why}")
