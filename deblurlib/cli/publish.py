"""``deblur publish``: execute a chapter, and write page and results into the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .command import Device, Profile, Seed, app, choose_device, short
from .report import Data, Out, Parameter, execute_chapters


@app.command()
def publish(
    chapter: Annotated[str, typer.Argument(help="The chapter's two digits.")],
    profile: Profile = "report",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
    device: Device = "auto",
) -> None:
    """Execute a chapter and write its page, results and figures into the repository."""
    from ..report import execute
    from ..report import publish as publishing

    publishing.check_profile(profile)
    choose_device(device)
    (execution,) = execute_chapters([chapter], profile, seed, data or [], parameter or [], out)
    for path in publishing.publish(execution, execute.project_root()):
        print(short(path))
