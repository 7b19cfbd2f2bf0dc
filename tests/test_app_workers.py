"""The line before a worker: first come, first served; nobody holds it up."""

import os
import time
from concurrent.futures import CancelledError

import pytest
from serving import wait_until

from deblurlib.app import workers
from deblurlib.errors import InputError


def tasks():
    return {f.__name__: f for f in (add, steps, stubborn, fail, wrong, die)}


def add(a, b, tell):
    return a + b, os.getpid()


def steps(count, tell):
    for i in range(count):
        tell(i / count)
        time.sleep(0.15)


def stubborn(tell):
    time.sleep(60)


def fail(tell):
    raise KeyError("/a/path/of/the/server")


def wrong(tell):
    raise InputError("a.png: is wrong; --overwrite replaces it; take another")


def die(tell):
    os._exit(1)


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    line = workers.Line(tasks, limit=3, longest=30)
    yield line
    line.close()


def result(ticket):
    return ticket.future.result(30)[0]


def test_one_process_serves_all_in_their_order(line):
    tickets = [line.enter("add", 1, i) for i in range(3)]
    with pytest.raises(workers.Busy, match="3 are waiting"):
        line.enter("add", 1, 1)
    answers = [result(ticket) for ticket in tickets]
    assert [total for total, _ in answers] == [1, 2, 3]
    assert len({pid for _, pid in answers}) == 1


def test_it_tells_how_far_it_is_and_how_many_come_before(line):
    first, second = line.enter("steps", 6), line.enter("add", 1, 1)
    wait_until(lambda: first.share > 0.3, 20)
    assert (line.before(first), line.before(second)) == (0, 1)
    assert result(second)[0] == 2


def test_who_waits_and_who_is_served_may_stop(line):
    _, pid = result(line.enter("add", 1, 1))
    first, second = line.enter("steps", 200), line.enter("add", 1, 1)
    wait_until(lambda: first.share > 0, 20)
    second.stop()
    first.stop()
    with pytest.raises(workers.Stopped):
        result(first)
    with pytest.raises(CancelledError):
        result(second)
    assert result(line.enter("add", 1, 1)) == (2, pid)  # it did not have to be killed


def test_who_does_not_stop_or_takes_too_long_is_ended(line):
    ticket = line.enter("stubborn")
    wait_until(lambda: ticket.began is not None, 20)
    ticket.stop()
    with pytest.raises(workers.Stopped, match="stopped"):
        result(ticket)
    line.longest = 0.5
    with pytest.raises(workers.Stopped, match="longer than one picture may take"):
        result(line.enter("stubborn"))
    line.longest = 30
    assert result(line.enter("add", 1, 1))[0] == 2


def test_a_worker_that_dies_is_told_and_the_next_is_served_by_another(line):
    ticket, after = line.enter("die"), line.enter("add", 1, 1)
    with pytest.raises(workers.Died, match="starts again by itself"):
        result(ticket)
    assert result(after)[0] == 2


def test_what_goes_wrong_is_told_without_paths_and_options(line):
    with pytest.raises(InputError) as told:
        result(line.enter("wrong"))
    assert str(told.value) == "a.png: is wrong; take another"
    with pytest.raises(RuntimeError) as told:
        result(line.enter("fail"))
    assert "path" not in str(told.value)


def test_whoever_waits_as_it_closes_is_told(line):
    tickets = [line.enter("steps", 100), line.enter("add", 1, 1)]
    line.close()
    for ticket in tickets:
        with pytest.raises((workers.Stopped, workers.Died, CancelledError)):
            result(ticket)
