"""The bytes of files: read with errors that name the file, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system says of a file into an :class:`InputError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def unreadable(path: str | os.PathLike[str], error: Exception) -> InputError | None:
    """The error for a file that is there and may not be read; ``None`` if ``error`` is another.

    For readers of files that can be damaged: what cannot be read is not damaged.

    Args:
        path: to name it, if ``error`` does not.
    """
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
        return None
    if error.strerror is None:  # not the system's, but of what unpacks or decodes
        return None
    return InputError(f"{error.filename or path}: cannot be read ({error.strerror})")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file; an :class:`InputError` names the file if it cannot be read."""
    with reading(path):
        return Path(path).read_bytes()


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a file to write to, that appears at its place when all is written, or not at all.

    It is written beside its place, under a name that no other call uses, be it of another thread or
    of another machine, and renamed. Its mode is what the umask says.

    Raises:
        InputError: it cannot be written; what was there before still is.
    """
    path = Path(path)
    with ExitStack() as opened:
        try:
            # a short name, for the file's own may be as long as names can be
            partial = path.with_name(f".deblur.{secrets.token_hex(8)}")
            file = opened.enter_context(open(partial, "x+b"))
        except (OSError, ValueError) as error:  # a ValueError: a name with a zero byte
            raise _unwritable(path, error) from None
        try:
            yield file
            file.close()  # what is left to be written may fail, too
            os.replace(partial, path)
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            with suppress(OSError):
                partial.unlink()


def _unwritable(path: Path, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({why})")


def write_whole(path: str | os.PathLike[str], content: str | bytes | memoryview) -> None:
    """Write a file such that it appears whole or not at all; a device is just written to.

    See :func:`writing`. What a text holds that is no text (the bytes of a name that is not UTF-8)
    is written as JSON escapes it.

    Raises:
        InputError: it cannot be written; what was there before still is.
    """
    path = Path(path)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    with writing(path) as file:
        file.write(data)
