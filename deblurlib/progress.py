"""A bar of what is being done, on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    title: str, total: float = 1.0, done: float = 0.0
) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr while the block lasts; yield a function that is told what is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # what is printed stays on stdout, where it may be redirected
    with Progress(
        console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda done: bar.update(task, completed=done)
