"""Writing files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file such that it appears whole or not at all; a device is just written to."""
    is_device = path.exists() and not path.is_file()
    partial = path if is_device else path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        if not is_device:
            os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if not is_device:
            partial.unlink(missing_ok=True)
