"""A training's history for TensorBoard, on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import not_installed
from .recipe import Recipe


@contextmanager
def writer(folder: Path | None, recipe: Recipe, run_id: str) -> Iterator[Callable[[dict], None]]:
    """A function that writes a row of the history for TensorBoard, if that is wanted."""
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise not_installed("--tensorboard", "tensorboard") from None
    name = f"{recipe.name.replace('/', '-')}-seed-{recipe.seed}-{run_id[:6]}"
    with SummaryWriter(folder / name) as board:

        def note(row: dict[str, Any]) -> None:
            for key in row.keys() - {"step", "seconds"}:
                board.add_scalar(key, row[key], row["step"])

        yield note
