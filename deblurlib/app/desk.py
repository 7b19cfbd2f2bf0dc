"""Who comes in is served here, be it by the page, by HTTP or by Gradio's client.

Two lines: one restores, with the network; the other looks at pictures and previews details, which
is quick, and is not to wait behind a photograph that takes minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import restoration
from ..errors import InputError
from . import tasks
from .visits import Visits
from .workers import Busy, Died, Line, Stopped, Ticket

__all__ = ["Limits"]

QUICK = 60.0  # seconds that a look or a preview may take, at most
OFTEN = 0.25  # seconds between two words to a visitor
WARM = 256  # side of what is restored at the start, for the time it takes, pixels
ENOUGH = 2**18  # pixels of a picture that tells how long larger ones take
NETWORKS = ("srn", "srn-small")  # those that restore by themselves, the best first


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for."""

    bytes: int = 20_000_000  # of a file
    pixels: int = 25_000_000  # of a picture
    waiting: int = 20  # in a line, with the one whose turn it is
    seconds: float = 1800.0  # that one picture may take
    keep: float = 3600.0  # seconds until a picture is deleted
    disk: int = 4_000_000_000  # bytes that all pictures may take


@dataclass(frozen=True)
class Word:
    """How far it is: how many come before, or else the share that is done."""

    before: int
    share: float = 0.0


#: how far it is, again and again; at last the result and its notes
Words = AsyncGenerator["Word | tuple[Any, tuple[str, ...]]", None]


class Desk:
    """The lines, the visitors' pictures and how long things take here."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.visits = Visits(limits.keep, limits.disk)
        self.restoring = Line(tasks.all_tasks, limits.waiting, limits.seconds)
        self.looking = Line(tasks.all_tasks, limits.waiting, min(limits.seconds, QUICK))
        self.networks = [name for name in NETWORKS if name in restoration.shipped()]
        self.rates: dict[str, float] = {}  # method -> seconds a pixel
        self._open: dict[str, set[Ticket]] = {}  # who waits for what
        self._warming: list[Ticket] = []

    def warm_up(self) -> None:
        """Start the workers and load the networks; what is asked meanwhile waits for it."""
        self._warming.append(self.looking.enter("warm_up", "identity", 8))
        for name in self.networks:
            ticket = self.restoring.enter("warm_up", name, WARM)

            def note(future: Future[Any], name: str = name) -> None:
                with suppress(Exception):  # it was stopped, or has failed: no rate then
                    self.rates[name] = future.result()[0]

            ticket.future.add_done_callback(note)
            self._warming.append(ticket)

    @property
    def ready(self) -> bool:
        """Whether the workers live and have loaded what they need."""
        alive = all(line.pid is not None for line in (self.restoring, self.looking))
        return alive and all(ticket.future.done() for ticket in self._warming)

    def close(self) -> None:
        """End the workers, delete the pictures."""
        try:
            self.restoring.close()
            self.looking.close()
        finally:
            self.visits.close()

    def seconds(self, method: str, width: int, height: int) -> float | None:
        """About how long it takes to restore a picture of this size here, if that is known."""
        rate = self.rates.get(method)
        return None if rate is None else rate * width * height

    async def do(self, line: Line, task: str, *arguments: Any, visitor: str = "") -> Words:
        """Get in line, and tell how far it is; at last the result and its notes.

        Args:
            visitor: whose work it is, for :meth:`stop`.

        Raises:
            InputError, Busy, Stopped, Died: why there is none.
        """
        ticket = line.enter(task, *arguments)
        self._open.setdefault(visitor, set()).add(ticket)
        try:
            future = asyncio.wrap_future(ticket.future)
            future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody may be left
            while not (await asyncio.wait({future}, timeout=OFTEN))[0]:
                if arguments and isinstance(arguments[0], Path):
                    self.visits.hold(arguments[0].name)  # what is waited for is not deleted
                yield Word(line.before(ticket), ticket.share)
            yield future.result()
        except asyncio.CancelledError:
            if ticket.stopped:  # while it waited
                raise Stopped("stopped") from None
            raise
        finally:
            ticket.stop()  # whoever asked is gone; what is done stays done
            self._open[visitor].discard(ticket)
            if not self._open[visitor]:
                del self._open[visitor]

    async def answer(self, line: Line, task: str, *arguments: Any, visitor: str = "") -> Any:
        """The result alone, and its notes."""
        async for word in self.do(line, task, *arguments, visitor=visitor):
            answer = word
        return answer

    def stop(self, visitor: str) -> None:
        """End all that a visitor waits for."""
        for ticket in list(self._open.get(visitor, ())):
            ticket.stop()

    def restore(
        self, token: str, name: str, options: Mapping[str, Any], visitor: str = ""
    ) -> Words:
        """Restore a picture; see :func:`deblurlib.app.tasks.restore`."""
        folder, limit = self.visits.folder(token), self.limits.pixels
        return self._learning(
            options["method"],
            self.do(self.restoring, "restore", folder, name, limit, options, visitor=visitor),
        )

    async def _learning(self, method: str, words: Words) -> Words:
        """The words; from the last, how long it takes here is learned."""
        async for word in words:
            if not isinstance(word, Word) and word[0]["target"] is not None:
                width, height = word[0]["size"]
                if width * height >= ENOUGH:
                    rate = word[0]["seconds"] / (width * height)
                    self.rates[method] = (self.rates.get(method, rate) + rate) / 2
            yield word


def said(error: Exception) -> str:
    """What a visitor is told of an error."""
    if isinstance(error, InputError | Busy | Stopped | Died):
        return str(error)
    return "something went wrong that should not; it has been noted"
