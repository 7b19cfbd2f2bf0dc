"""A process that works, and the line of those who wait for it.

Pictures are decoded and restored in a process of its own, so that what a hostile file, a lack of
memory or an operator does to it ends one visitor's work and not the server. It does one thing at a
time: its network is loaded once and serves everyone.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import queue
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from ..errors import InputError, InputWarning

LOOK = 0.2  # seconds between two looks at whether somebody has gone
PATIENCE = 3.0  # seconds in which a worker is to stop by itself
OFTEN = 0.1  # seconds between two words on how far it is
#: Ends of sentences to a reader of the command line: the page has no such options.
OF_THE_COMMAND = ("--", "deblurlib.")


class Busy(Exception):
    """The line is full."""


class Stopped(Exception):
    """Its visitor stopped it, or left."""


class Died(Exception):
    """The process that did it is gone."""


@dataclass(eq=False)
class Ticket:
    """What a visitor waits for."""

    task: str
    arguments: tuple
    number: int
    future: Future = field(default_factory=Future)  # of the result and its notes
    share: float = 0.0  # of the work that is done
    began: float | None = None
    stopped: bool = False

    def stop(self) -> None:
        """End it, whether it waits or runs; what is done already stays done."""
        self.stopped = True
        self.future.cancel()  # if it waits


class Line:
    """A worker and its line, first come, first served.

    Args:
        tasks: what can be done: a function of (the arguments and) ``tell``, by name; it is told the
            share that is done and raises :class:`Stopped` when nobody waits any longer. It is asked
            for in the worker, so that only a module's own function will do.
        limit: how many may be in it, with the one whose turn it is.
        longest: seconds that a task may take.
    """

    def __init__(self, tasks: Callable[[], dict[str, Callable]], limit: int, longest: float):
        self.limit, self.longest, self._tasks = limit, longest, tasks
        self._waiting: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._tickets: list[Ticket] = []
        self._lock, self._numbers = threading.Lock(), itertools.count()
        self._process: Any = None
        self._connection: Any = None  # to it; of one that has ended there is none
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The worker's, while it lives."""
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def enter(self, task: str, *arguments: Any) -> Ticket:
        """Get in line; raises :class:`Busy`."""
        with self._lock:
            if self.is_full:
                raise Busy(self.full)
            ticket = Ticket(task, arguments, next(self._numbers))
            self._tickets.append(ticket)
        ticket.future.add_done_callback(lambda _: self._leave(ticket))
        self._waiting.put(ticket)
        return ticket

    @property
    def waiting(self) -> int:
        """How many are in the line, with the one whose turn it is."""
        return len(self._tickets)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may get in."""
        return self.waiting >= self.limit

    @property
    def full(self) -> str:
        """What is said then."""
        return f"{self.limit} are waiting already: please try again in a minute"

    def before(self, ticket: Ticket) -> int:
        """How many have their turn before it does."""
        with self._lock:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def close(self) -> None:
        """End the worker, and tell all who wait."""
        with self._lock:
            left, self.limit = list(self._tickets), 0
        for ticket in left:
            ticket.stop()
        self._waiting.put(None)
        self._end()
        self._thread.join(2 * PATIENCE)

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            self._tickets.remove(ticket)

    def _serve(self) -> None:
        while (ticket := self._waiting.get()) is not None:
            if not ticket.future.set_running_or_notify_cancel():
                continue
            try:
                ticket.future.set_result(self._done(ticket))
            except Exception as error:
                ticket.future.set_exception(error)
        self._end()  # also what came up as it was closed

    def _done(self, ticket: Ticket) -> tuple[Any, tuple[str, ...]]:
        ticket.began, asked = time.monotonic(), None
        try:
            self._start()
            self._connection.send((ticket.number, ticket.task, ticket.arguments))
            while True:
                if self._connection.poll(LOOK):
                    number, kind, value, notes = self._connection.recv()
                    if number != ticket.number:
                        continue
                    if kind == "stopped":
                        break
                    if kind != "share":
                        return _told(kind, value, notes)
                    ticket.share = value
                now = time.monotonic()
                too_long = now - ticket.began > self.longest
                if asked is None and (ticket.stopped or too_long):
                    asked = now
                    self._connection.send((ticket.number, "stop", ()))
                if asked is not None and now - asked > PATIENCE:
                    self._end()
                    break
        except (EOFError, OSError, AttributeError):  # of what :meth:`close` has ended meanwhile
            self._end()
            raise Died(
                "the process that restores pictures has ended, perhaps for lack of memory; it "
                "starts again by itself: please try once more, or a smaller picture"
            ) from None
        late = "it took longer than one picture may take here: try a smaller copy"
        raise Stopped("stopped" if ticket.stopped else late)

    def _start(self) -> None:
        if self.pid is not None:
            return
        self._end()
        context: Any = _context()  # each kind has its own ``Process``
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._tasks), daemon=True)
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # so that its end is seen here
        self._connection, self._process = ours, process

    def _end(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None:
            process.kill()
            process.join(PATIENCE)
        if connection is not None:
            connection.close()


def _told(kind: str, value: Any, notes: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    if kind == "done":
        return value, notes
    if kind == "wrong":
        raise InputError(value)
    raise RuntimeError(value)


def _context() -> multiprocessing.context.BaseContext:
    """Processes that start at once where they can: from one that has loaded all they need."""
    if sys.platform != "linux":  # others' libraries do not survive a fork
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deblurlib.app.tasks"])
    return context


def work(connection: Connection, tasks: Callable[[], dict[str, Callable]]) -> None:
    """The worker's own loop, until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the server that stops it
    known = tasks()
    with contextlib.suppress(EOFError, OSError):
        while True:
            number, task, arguments = connection.recv()
            if task == "stop":  # of what is done already
                continue
            answer = _answer(known[task], arguments, _teller(connection, number))
            connection.send((number, *answer))


def _teller(connection: Connection, number: int) -> Callable[[float], None]:
    last = 0.0

    def tell(share: float) -> None:
        nonlocal last
        while connection.poll():
            if connection.recv()[:2] == (number, "stop"):
                raise Stopped
        if time.monotonic() - last > OFTEN:
            last = time.monotonic()
            connection.send((number, "share", share, ()))

    return tell


def _answer(function: Callable, arguments: tuple, tell: Callable[[float], None]) -> tuple:
    """Its kind, the value, and what was warned of."""
    from ..machine import is_out_of_memory

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InputWarning)
        try:
            kind, value = "done", function(*arguments, tell=tell)
        except Stopped:
            kind, value = "stopped", None
        except InputError as error:
            kind, value = "wrong", for_a_page(str(error))
        except Exception as error:
            if is_out_of_memory(error):
                kind, value = "wrong", "there is not enough memory for it: take a smaller picture"
            else:
                traceback.print_exc()
                kind, value = "failed", "something went wrong that should not; it has been noted"
    notes = (w.message for w in said if issubclass(w.category, InputWarning))
    return kind, value, tuple(for_a_page(str(note)) for note in notes)


def for_a_page(sentence: str) -> str:
    """A sentence of the command's without the part that names its options."""
    first, *others = sentence.split("; ")
    kept = [part for part in others if not any(sign in part for sign in OF_THE_COMMAND)]
    return "; ".join([first, *kept])
