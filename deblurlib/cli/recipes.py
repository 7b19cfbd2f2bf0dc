"""``deblur recipes``: what can be trained."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .. import names
from ..places import register
from .command import (
    STDOUT,
    TRAINING,
    JsonLines,
    Profile,
    app,
    as_chapter,
    check_json,
    check_profile,
    show,
    write_json,
)

if TYPE_CHECKING:
    from ..runs import Recipe

CHAPTERS = names.known(names.Chapter)


@app.command(rich_help_panel=TRAINING)
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A chapter (02), or a recipe (02/motion): show all of it.")
    ] = None,
    profile: Profile = "quick",
    data: Annotated[str, typer.Option(help="The data set: NAME, PATH or NAME=PATH.")] = "sample",
    json_file: JsonLines = None,
) -> None:
    """List what deblur train can train, or show one recipe."""
    check_profile(profile)
    if name is not None:
        name = as_chapter(name)
    check_json(json_file)
    source = register(data)
    from .. import studies

    if name is not None and "/" in name:
        chosen = [studies.find_recipe(name, profile, 0, source)]
    else:
        chapters = [name] if name is not None else CHAPTERS
        chosen = [r for chapter in chapters for r in studies.recipes(chapter, profile, 0, source)]
    if json_file is not None:
        write_json(json_file, (asdict(recipe) for recipe in chosen))
    if json_file == STDOUT:
        return
    if name is not None and "/" in name:
        print(chosen[0].to_json())
    else:
        _list(chosen, profile)


def _list(chosen: list[Recipe], profile: str) -> None:
    table = Table(title=f"Recipes, profile {profile}")
    for column in ("recipe", "network", "data", "blur", "loss", "steps", "stands on"):
        table.add_column(column, no_wrap=column == "recipe", overflow="fold")
    for place, r in enumerate(chosen):
        if place and chosen[place - 1].name[:2] != r.name[:2]:
            table.add_section()
        network = r.model if r.rival is None else f"{r.model}, a critic: {r.rival.model}"
        blur = "recorded" if r.degradation is None else r.degradation
        parts = ", ".join(part.name for part in r.parts.values())
        table.add_row(r.name, network, r.data, blur, r.loss, f"{r.steps:,}", parts)
    show(table)
    print(
        f"{len(chosen)} recipes; deblur recipes NN/SLUG shows one, deblur train NN/SLUG trains it"
    )
