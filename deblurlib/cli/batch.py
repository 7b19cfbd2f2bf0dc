"""``deblur batch``: every training, then every chapter, through Snakemake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import not_installed
from ..places import register
from .command import COURSE, STOPPED, Profile, Told, app, check_profile, parse_seeds


@app.command(rich_help_panel=COURSE)
def batch(
    profile: Profile = "quick",
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "0",
    data: Annotated[str, typer.Option(help="The data set: NAME, PATH or NAME=PATH.")] = "sample",
    chapters: Annotated[
        str | None, typer.Option(help="Separated by commas, such as 02,06b; by default all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which jobs there would be.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The folder of what is executed.")] = Path(
        "build/batch"
    ),
) -> None:
    """Train every recipe for some seeds, then execute the chapters; after a stop, go on.

    As many jobs run at a time as there are GPUs, at least one. Runs go to the run store. It is the
    project's Snakefile: on a cluster, give that to snakemake itself, as README.md says.
    """
    check_profile(profile)
    parse_seeds(seeds)  # raises
    name = register(data)  # the jobs run elsewhere
    if find_spec("snakemake") is None:
        raise not_installed("deblur batch", "snakemake")
    from ..report import execute
    from ..report.keys import project_root

    if chapters is not None:
        execute.find_chapters(chapters.split(","), project_root())  # raises
    config = {"profile": profile, "seeds": seeds, "data": name}
    config |= {} if chapters is None else {"chapters": chapters}
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", project_root() / "Snakefile"]
    # without Snakemake's lock, for runs have locks of their own
    command += ["--directory", out, "--cores", "all", "--rerun-incomplete", "--nolock"]
    command += ["--resources", f"gpu={_gpus()}", *(["--dry-run"] if dry_run else [])]
    command += ["--quiet", "all"] if Told.quiet else []
    command += ["--config", *(f"{key}={value}" for key, value in config.items())]
    raise typer.Exit(_run([str(part) for part in command]))


def _gpus() -> int:
    import torch

    return max(1, torch.cuda.device_count())


def _run(command: list[str]) -> int:
    """Run Snakemake and show what it says; after Ctrl-C only that it was stopped.

    It has a session of its own, so that a terminal's Ctrl-C comes here first. Then trainings are
    told to save and stop, and what Snakemake says of jobs that were cut off is no news.
    """
    process = subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            print(line, end="", flush=True)
        return process.wait()
    except KeyboardInterrupt:
        print("deblur: stopping, trainings are saved ...", file=sys.stderr, flush=True)
        _stop(process)
        print("deblur: stopped; the same command goes on", file=sys.stderr)
        return STOPPED


def _stop(process: subprocess.Popen) -> None:
    """Ctrl-C for Snakemake and its jobs; the second time, an end at once."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.communicate()
            return
        except KeyboardInterrupt:
            continue
        except ProcessLookupError:
            return
