"""The ``deblur`` command. What a user got wrong is one sentence and exit code 2."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .errors import InputError

if TYPE_CHECKING:
    from .report.execute import Outcome

app = typer.Typer(
    help="Deblurring, paper by paper: execute the chapters, publish them, look at data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Chapters = Annotated[
    list[str] | None, typer.Argument(help="Two digits each; all if none is named.")
]
Profile = Annotated[str, typer.Option(help="smoke, quick, report or full.")]
Seed = Annotated[int, typer.Option(help="The seed of everything random.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", help="The data set: NAME, PATH or NAME=PATH; the last is used."),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", help="Another of the notebook's parameters: KEY=VALUE."),
]
Out = Annotated[Path, typer.Option(help="The build folder; everything is written below it.")]


@app.command()
def report(
    chapters: Chapters = None,
    profile: Profile = "quick",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
    site: Annotated[bool, typer.Option(help="Render the HTML site as well.")] = True,
) -> None:
    """Execute chapters and render them as a site; exit code 1 if one fails."""
    from .report import execute
    from .report import site as rendering

    outcomes = _run(chapters or [], profile, seed, data or [], parameter or [], out)
    console = Console(highlight=False)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"\n{outcome.notebook.name}: {outcome.error}", markup=False)
    console.print(_table(outcomes, profile))
    if site:
        page = rendering.build(outcomes, execute.project_root(), out.resolve())
        console.print(f"Open {_short(page)} in a browser.", soft_wrap=True)
    raise typer.Exit(1 if any(o.error for o in outcomes) else 0)


@app.command()
def publish(
    chapter: Annotated[str, typer.Argument(help="The chapter's two digits.")],
    profile: Profile = "report",
    seed: Seed = 0,
    data: Data = None,
    parameter: Parameter = None,
    out: Out = Path("build"),
) -> None:
    """Execute a chapter and write its page, results and figures into the repository."""
    from .report import execute
    from .report import publish as publishing

    publishing.check_profile(profile)
    (outcome,) = _run([chapter], profile, seed, data or [], parameter or [], out)
    for path in publishing.publish(outcome, execute.project_root()):
        print(_short(path))


@app.command(name="data")
def describe_data(
    source: Annotated[str, typer.Argument(help="sample, a set's name, a path, or NAME=PATH.")],
) -> None:
    """Read every image of a data set; say what is in it, or what is wrong with it."""
    from . import data, storage

    name, items = storage.open_source(source)
    listed = storage.verify(items)
    pairs = any(item.name.split("/")[-2:-1] == ["sharp"] for item in items)
    found = data.open_pairs(source) if pairs else data.open_images(source)
    sizes = sorted(
        {tuple(found[i][1].shape[1:] if pairs else found[i].shape[1:]) for i in range(len(found))}
    )
    kind = "pairs" if pairs else "images"
    print(f"{name}: {len(found)} {kind}, {len(set(found.scenes))} scenes, all readable")
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
    from .video import GHOSTS, write_pairs

    motions: list[float] = []
    target = write_pairs(
        video, out, window, average, stride, lambda pair: motions.append(pair.motion)
    )
    print(f"{_short(target)}: {len(motions)} pairs of {window} frames, average of {average}")
    ghosts = [motion for motion in motions if motion > GHOSTS]
    if ghosts:
        print(
            f"warning: in {len(ghosts)} of {len(motions)} pairs, things move more than {GHOSTS:g} "
            f"pixels from frame to frame (up to {max(ghosts):.0f}): the mean then shows copies "
            f"(ghosts) instead of blur. Use a video of more frames a second, a smaller copy of "
            f"it, or insert frames between them first. frames.csv has the motion of each pair.",
            file=sys.stderr,
        )


def _run(
    chapters: Sequence[str],
    profile: str,
    seed: int,
    data: Sequence[str],
    parameter: Sequence[str],
    out: Path,
) -> list[Outcome]:
    from .report import execute
    from .report.results import to_csv

    parameters = {"profile": profile, "seed": seed}
    for given in data:
        parameters["data"] = _register(given)
    parameters |= dict(_key_value(text) for text in parameter)
    notebooks = execute.find_chapters(chapters, execute.project_root())
    for notebook in notebooks:  # before the first one runs
        execute.check_parameters(notebook, parameters)
    out = out.resolve()
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for notebook in notebooks:
        print(f"{notebook.stem}, profile {profile} ...", flush=True)
        outcome = execute.run_chapter(notebook, out / "chapters" / notebook.name, parameters)
        outcomes.append(outcome)
        if outcome.results and not outcome.error:
            text = json.dumps(outcome.results, indent=1, ensure_ascii=False)
            (results / f"{outcome.chapter}.json").write_text(text, "utf-8")
            (results / f"{outcome.chapter}_rows.csv").write_text(to_csv(outcome.rows), "utf-8")
    return outcomes


def _register(given: str) -> str:
    """Make a set known to the notebooks' kernels by name, so that no page holds its path."""
    from . import storage

    if given == "sample":
        return given
    name, path = storage.locate(given)
    known = os.environ.get("DEBLURLIB_DATA")
    os.environ["DEBLURLIB_DATA"] = os.pathsep.join(
        filter(None, [f"{name}={path.resolve()}", known])
    )
    return name


def _key_value(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"a parameter is given as KEY=VALUE, not {text!r}")
    try:
        return key, json.loads(value)  # numbers, true, false, null, "text", [lists]
    except json.JSONDecodeError:
        return key, value


def _table(outcomes: Sequence[Outcome], profile: str) -> Table:
    table = Table(title=f"Chapters, profile {profile}")
    table.add_column("chapter")
    table.add_column("seconds", justify="right")
    table.add_column("status")
    for outcome in outcomes:
        status = "failed: " + outcome.error.split("\n")[0] if outcome.error else "ok"
        table.add_row(outcome.notebook.stem, f"{outcome.seconds:.0f}", status)
    return table


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def main() -> None:
    """Entry point: an :class:`InputError` becomes one sentence on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        print(f"deblur: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a read-only folder, a file in the way
        print(f"deblur: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
