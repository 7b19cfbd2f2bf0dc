"""What is said while pictures are restored: how long it will take, and how far it has come."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from .command import Told, printable

if TYPE_CHECKING:
    from ..restoration import Request, Step, Watch

EVERY = 10.0  # seconds from line to line, where there is no terminal
LONG, MANY = 10.0, 60.0  # seconds: a picture, or many, that take longer are announced
BRIEF = 0.5  # seconds: of pictures that take less, no total is told
SMALL = 1600  # pixels: the longer side that is proposed for a large picture


@contextmanager
def watching(request: Request) -> Iterator[Watch]:
    """Yield a function that is told each step; a bar on a terminal, elsewhere a line now and then.

    How long the whole will take is said once, of each video too, as soon as a part of the work is
    done.
    """
    if Told.quiet:
        yield lambda step: None
        return
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    with _bar() if on_terminal else _lines(EVERY) as (show, say):
        announced = set()

        def watch(step: Step) -> None:
            show(step)
            what = "pictures" if step.frames is None else step.number  # of each video
            if what not in announced and step.share > 0 and _is_long(step):
                announced.add(what)
                say(announcement(step, request))

        yield watch


def _is_long(step: Step) -> bool:
    """Whether the rest is worth a word: of this picture, or of many pictures like it."""
    if step.frames is not None:
        return _total(step) >= LONG
    others = (step.count - step.number) * (_total(step) >= BRIEF)
    return _total(step) * (others + (step.share < 1)) >= (MANY if others else LONG)


def announcement(step: Step, request: Request) -> str:
    """How long a picture or video takes, a smaller copy of it, and all pictures like it."""
    from ..restoration import tiles

    width, height = step.size
    total, longer = _total(step), max(step.size)
    frames = "" if step.frames is None else f"{step.frames} {step.called} of "
    text = f"{printable(step.picture)}: {frames}{width * height / 1e6:.3g} megapixels: "
    text += f"{about(total)} on "
    text += "this processor" if str(request.device) == "cpu" else "this GPU"
    text += ", without the map of trust" if request.trust else ""
    if longer >= 1.5 * SMALL and request.kernel is None:  # a kernel is of the picture as it is
        small = tuple(max(1, round(side * SMALL / longer)) for side in (height, width))
        works = [
            tiles.work(size, request.method, request.tile) for size in (small, (height, width))
        ]
        text += f"; --size {SMALL} takes {about(total * works[0] / works[1])}, for longer blur"
    left = step.count - step.number + (step.share < 1)
    if left > (step.share < 1) and step.frames is None:  # videos differ in length
        text += f"; {left} {'' if step.share < 1 else 'more '}like it: {about(total * left)}"
    return text


def about(seconds: float) -> str:
    """A time in words: ``"about 40 s"``, ``"about 6 minutes"``, ``"about 3 hours"``."""
    if seconds < 90:
        return f"about {max(1, round(seconds)) if seconds < 10 else round(seconds / 5) * 5} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {round(seconds / 3600)} hours"


def line(step: Step, since: float = 0.0) -> str:
    """Where the work is, ``since`` seconds after a step, for a reader of a log."""
    if step.share == 0:
        return f"{_title(step)}: begun"
    return f"{_title(step)}: {step.share:.0%}, {_left(step, since)}"


def _total(step: Step) -> float:
    return step.seconds / step.share


def _left(step: Step, since: float = 0.0) -> str:
    if step.share in (0, 1):
        return ""
    return f"{about(max(_total(step) - step.seconds - since, 1))} left"


def _title(step: Step, most: int = 1000) -> str:
    name = printable(step.picture)
    name = name if len(name) <= most else name[: most - 1] + "…"
    return name + (f" ({step.number} of {step.count})" if step.count > 1 else "")


@contextmanager
def _bar() -> Iterator[tuple[Watch, Callable[[str], None]]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()]
    columns += [TimeElapsedColumn(), TextColumn("{task.fields[left]}", markup=False)]
    # what is printed stays on stdout, where it may be redirected
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    redirect = sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=redirect) as bar:
        task = bar.add_task("restoring", total=1.0, left="")

        def show(step: Step) -> None:
            bar.update(task, completed=step.share, description=_title(step, 24), left=_left(step))

        yield show, partial(console.print, soft_wrap=True)


@contextmanager
def _lines(every: float) -> Iterator[tuple[Watch, Callable[[str], None]]]:
    """A line on stderr each so many seconds, also while a long step is being taken."""
    last: list[tuple[Step, float]] = []  # and when it was told
    over = threading.Event()

    def say(text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")  # whole, for two threads say something
            sys.stderr.flush()

    def tick() -> None:
        while not over.wait(every):
            for step, when in list(last):
                if step.share < 1:
                    say(line(step, time.monotonic() - when))

    def show(step: Step) -> None:
        last[:] = [(step, time.monotonic())]

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        yield show, say
    finally:
        over.set()
        ticking.join()
