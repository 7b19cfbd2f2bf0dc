"""``deblur lab``: copies of the notebooks to work in, so that the notebooks themselves stay clean.

Beside the copies lies, hidden, each original as it was when it was copied: that tells a copy that
was worked in from one that is only old.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from .. import parameters
from ..errors import InputError
from .command import COURSE, app, short

ORIGINALS = ".originals"
#: What of a cell changes though nobody has worked in it.
ASIDE = ("id", "metadata", "execution_count")


@app.command(rich_help_panel=COURSE)
def lab(
    out: Annotated[Path, typer.Option(help="The folder of the copies.")] = Path("build/lab"),
) -> None:
    """Copy the notebooks and their solutions to work in; a copy that was changed is never touched.

    `make lab` does so, and opens JupyterLab there.
    """
    if not parameters.NOTEBOOKS.is_dir():
        raise InputError("no notebooks/ folder: install the project from a checkout")
    for path in renew(parameters.NOTEBOOKS, out):
        print(f"{short(path)}: kept as you left it; rename it to get the chapter's new notebook")
    print("To begin a chapter anew, remove its copy and type this again")
    print(f"The notebooks are in {short(out)}: jupyter lab {short(out)}")


def renew(notebooks: Path, out: Path) -> list[Path]:
    """Copy notebooks, and those in ``solutions/``, to where a reader works in them.

    A copy in which a cell was changed, added or executed is left alone; any other is renewed.

    Returns:
        The copies that were left alone though the original has changed since.
    """
    kept = []
    for source in sorted([*notebooks.glob("*.ipynb"), *notebooks.glob("solutions/*.ipynb")]):
        name = source.relative_to(notebooks)
        copy, original = out / name, out / ORIGINALS / name
        known = original if original.exists() else source
        if copy.exists() and _cells(copy) != _cells(known):
            if _cells(source) not in (_cells(known), _cells(copy)) or not original.exists():
                kept.append(copy)
            continue
        for target in (copy, original):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return kept


def _cells(path: Path) -> object:
    """What a reader may have changed; of what is no notebook any more, its bytes."""
    content = path.read_bytes()
    try:
        cells = json.loads(content)["cells"]
        return [
            {k: "".join(v) if k == "source" else v for k, v in cell.items() if k not in ASIDE}
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return content
