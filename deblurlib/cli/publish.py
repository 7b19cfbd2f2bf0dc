"""``deblur publish``: execute a chapter, and write pages and results into the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .command import COURSE, Device, Profile, Seed, app, choose_device, short
from .report import Data, Out, Parameter, execute_chapters


@app.command(rich_help_panel=COURSE)
def publish(
    chapter: Annotated[str, typer.Argument(help="Its two digits, or a page's key (01b).")],
    profile: Profile = "report",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
    device: Device = "auto",
    text: Annotated[
        bool, typer.Option("--text", help="Renew the text of what is published; execute nothing.")
    ] = False,
) -> None:
    """Execute a chapter and write its pages, results and figures into the repository."""
    from ..report import execute, keys
    from ..report import publish as publishing

    root = keys.project_root()
    if text:
        for notebook in execute.find_chapters([chapter], root):
            _tell(publishing.replace_text(notebook, root))
        return
    publishing.check_profile(profile)
    choose_device(device)
    for execution in execute_chapters([chapter], profile, seed, data or [], parameter or [], out):
        _tell(publishing.publish(execution, root))


def _tell(written: list[Path]) -> None:
    for path in written:
        print(short(path))
