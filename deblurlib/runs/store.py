"""The run store: a folder of runs, each complete or absent.

``<store>/<id>/`` holds a complete run, ``<store>/.partial/<id>/<turn>/`` a checkpoint of one that
is not. Whatever is written is written beside its place and renamed, so a kill leaves the old, the
new or, between the two, nothing; a complete run's checkpoint goes only after it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from .. import files
from ..errors import InputError, NoSuchRun
from .run import Run


def root() -> Path:
    """The store: ``DEBLURLIB_RUNS``, else ``runs/`` of the checkout, or where there is none, here.

    A notebook's kernel runs in the notebook's folder, so "here" would be one store a folder.
    """
    if folder := os.environ.get("DEBLURLIB_RUNS"):
        return Path(folder)
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "notebooks").is_dir() else Path.cwd()) / "runs"


def listed(store: Path) -> list[Run]:
    """All runs: the complete ones, then those that were stopped.

    One whose folder may not be looked into is among them: see :attr:`Run.trouble`.
    """
    runs = [Run(p) for p in _inside(store, "[0-9a-f]*") if _has_or_hides(p, "metrics.json")]
    stopped = []
    for p in _inside(store / ".partial", "*"):
        if not (store / p.name).exists():
            try:
                last = last_checkpoint(store, p.name)
            except InputError:
                last = p / "hidden"
            stopped += [] if last is None else [Run(last, "stopped")]
    return runs + stopped


def _inside(folder: Path, pattern: str) -> list[Path]:
    """The entries of a folder that match a pattern, sorted; none if there is no such folder."""
    try:
        # not Path.glob: for it, a folder that may not be looked into is empty
        return sorted(p for p in folder.iterdir() if p.match(pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        said = files.unreadable(folder, error)
        raise said or InputError(f"{folder}: cannot be read ({error})") from None


def _has_or_hides(folder: Path, name: str) -> bool:
    try:
        return (folder / name).exists()
    except OSError:
        return True


def is_training(store: Path, run_id: str) -> bool:
    """Whether some process holds the run now."""
    path = store / ".locks" / f"{run_id}.lock"
    if not path.exists():
        return False
    lock_file = FileLock(path)
    try:
        lock_file.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # in a store that we may only read
        return _is_locked(path)
    lock_file.release()
    return False


def _is_locked(path: Path) -> bool:
    """Whether some process holds a lock that we may not take; no, if we may not even read it."""
    try:
        import fcntl  # not there on every system

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ImportError, OSError) as error:
        return isinstance(error, BlockingIOError)
    return False


def find(store: Path, wanted: str, by_name: bool = True) -> Run:
    """The run whose id begins with ``wanted`` or, if none does, whose recipe has that name.

    Args:
        by_name: whether a recipe's name is looked for at all.

    Raises:
        NoSuchRun: there is none.
        InputError: there are several; the message lists them.
    """
    runs = listed(store)
    matches = [r for r in runs if wanted and r.id.startswith(wanted)]
    if by_name and not matches:
        matches = [r for r in runs if r.name == wanted]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise NoSuchRun(f"no run {wanted!r} in {store}; deblur runs list shows what there is")
    ids = "; ".join(f"{r.id} ({r.title})" for r in matches)
    raise InputError(f"{wanted!r} can be any of these runs: {ids}; name one by its id")


def complete(store: Path, run_id: str) -> Run | None:
    """The complete run of that id, if there is one."""
    folder = store / run_id
    return Run(folder) if _has_or_hides(folder, "metrics.json") else None


def last_checkpoint(store: Path, run_id: str) -> Path | None:
    """The folder of the newest checkpoint, if there is one."""
    return max(_inside(store / ".partial" / run_id, "[0-9]*"), default=None)


def checkpoint_folder(store: Path, run_id: str, turn: int) -> Path:
    """Where the checkpoint after some turns belongs; without a rival, a turn is a step."""
    return store / ".partial" / run_id / f"{turn:09d}"


def put(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder, and make it ``target`` when it is whole.

    Raises:
        InputError: it cannot be written; what ``target`` held before is still there.
    """
    partial = target.with_name(f".{target.name}.new")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        _remove(target)
        os.replace(partial, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{target}: cannot be written ({why})") from None


def remove(store: Path, run_id: str) -> None:
    """Take a run and its checkpoints out of the store; refused while it is being trained."""
    with lock(store, run_id, wait=False):
        _remove(store / run_id)
        forget(store, run_id)


def tidy(store: Path, run_id: str) -> None:
    """Remove what a kill right after the completion of a run left of its checkpoints."""
    with suppress(InputError, OSError):  # in a store that we may only read, it stays
        if (store / ".partial" / run_id).exists():
            with lock(store, run_id, wait=False):
                forget(store, run_id)


def forget(store: Path, run_id: str, but: Path | None = None) -> None:
    """Remove the checkpoints of a run, all or all but one, and what a kill left half written."""
    for folder in (store / ".partial" / run_id).glob("*"):
        if folder != but:
            _remove(folder)
    for left in store.glob(f".{run_id}.*"):
        shutil.rmtree(left, ignore_errors=True)
    if but is None:
        shutil.rmtree(store / ".partial" / run_id, ignore_errors=True)


@contextmanager
def lock(store: Path, run_id: str, wait: bool = True) -> Iterator[None]:
    """Hold a run for this process alone; the system lets go of it when the process dies.

    The store's disk must know ``flock``: without it, a killed process would hold its run for ever.
    """
    try:
        (store / ".locks").mkdir(parents=True, exist_ok=True)
        lock_file = FileLock(store / ".locks" / f"{run_id}.lock", fallback_to_soft=False)
        try:
            lock_file.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise InputError(f"the run {run_id} is being trained by another process") from None
            print(f"the run {run_id} is being trained by another process: waiting for it")
            lock_file.acquire()
    except OSError as error:
        raise InputError(f"{store}: cannot be written ({error.strerror or error})") from None
    try:
        yield
    finally:
        lock_file.release()


def _remove(folder: Path) -> None:
    """Remove a folder at once: it is there or not, never in part."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)
