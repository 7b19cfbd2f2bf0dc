"""A bar of what is being done, on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

shown = True  # whether there are bars at all

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    title: str, total: float | None = 1.0, done: float = 0.0
) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr while the block lasts; yield a function that is told what is done.

    Args:
        total: what is done at the end; ``None`` if nobody knows.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # what is printed stays on stdout, where it may be redirected
    with Progress(
        console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        # parts of one are shown, too, though rich's types say whole numbers
        task = bar.add_task(title, total=total, completed=done)  # type: ignore[arg-type]
        yield lambda done: bar.update(task, completed=done)


def counted(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """The items, one by one, with a bar of how many of them are done."""
    with progress_bar(title, total) as tell:
        for number, item in enumerate(items):
            tell(number)
            yield item
