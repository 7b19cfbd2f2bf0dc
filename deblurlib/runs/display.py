"""How a training is watched: a bar on a terminal, TensorBoard on request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .recipe import Recipe


@contextmanager
def progress(recipe: Recipe, steps: int, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not wanted or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{recipe.name}, seed {recipe.seed}", total=recipe.steps)
        bar.update(task, completed=steps)
        yield lambda step: bar.update(task, completed=step)


@contextmanager
def tensorboard(folder: Path | None, recipe: Recipe) -> Iterator[Callable[[dict], None]]:
    """A function that writes a row of the history for TensorBoard, if that is wanted."""
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("TensorBoard is not installed: pip install tensorboard") from None
    with SummaryWriter(folder / f"{recipe.name.replace('/', '-')}-seed-{recipe.seed}") as board:

        def note(row: dict) -> None:
            for key in row.keys() - {"step", "seconds"}:
                board.add_scalar(key, row[key], row["step"])

        yield note
