"""``deblur study``: all recipes of a chapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..places import register
from .command import (
    TRAINING,
    Device,
    Profile,
    app,
    as_chapter,
    check_profile,
    choose_device,
    parse_seeds,
    show,
)
from .train import LESS, Data, Minutes, Stale


@app.command(rich_help_panel=TRAINING)
def study(
    chapter: Annotated[str, typer.Argument(help="The chapter's two digits.")],
    profile: Profile = "quick",
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "0",
    data: Data = "sample",
    side: Annotated[
        int | None, typer.Option(help="Score the middle of each image; by default all of it.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a row an image and method there; .gz: packed.")
    ] = None,
    max_minutes: Minutes = None,
    stale: Stale = "retrain",
    device: Device = "auto",
) -> None:
    """Train all recipes of a chapter, or find their runs, and score them on the test images."""
    check_profile(profile)
    chapter = as_chapter(chapter)
    numbers, data = parse_seeds(seeds), register(data)
    from .. import evaluation, studies
    from ..files import write_whole
    from ..machine import memory_for
    from ..studies.rows import pack, to_csv, without_seconds

    on = choose_device(device)
    for recipe in studies.recipes(chapter, profile, numbers[0], data):
        if not recipe.restores:
            continue
        next(studies.cases(recipe, side=side))  # raises before anything is trained
    with memory_for(f"chapter {chapter} on {on}", LESS):
        trained = studies.train(
            chapter, profile, numbers, data, max_minutes=max_minutes, stale=stale
        )
    table = Table(title=f"Chapter {chapter}, profile {profile}, test images of {data}")
    for column in (
        "recipe",
        "seed",
        "n",
        "identity",
        "PSNR",
        "gain",
        "SSIM gaussian-rgb",
        "win rate",
    ):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    rows: list[dict] = []
    for run in trained:
        if not run.recipe.restores:  # of its network there is no image to score
            table.add_row(run.recipe.name, str(run.recipe.seed), *["-"] * 6)
            continue
        scored = studies.score([run], side=side, protocols=("gaussian-rgb",))
        cases = {evaluation.case_of(row) for row in rows}  # the identity has one row a case
        rows += [r for r in scored if "run" in r or evaluation.case_of(r) not in cases]
        line = evaluation.summary(scored)[-1]
        values = (line["identity_psnr"], line["psnr"], line["psnr_gain"], line["ssim"])
        texts = ["-" if v is None else f"{v:.3f}" for v in values]
        name = run.recipe.name + (" (stale)" if run.changed else "")
        share = f"{line['win_rate']:.0%}"
        table.add_row(name, str(run.recipe.seed), str(line["n"]), *texts, share)
    if csv is not None:
        text = to_csv(without_seconds(rows)[0])
        write_whole(csv, pack(text) if csv.suffix == ".gz" else text)
    show(table)
