"""Visitors' pictures: each in a folder whose name nobody can guess, deleted after a while."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path

from ..errors import InputError

TOKEN = re.compile(r"[0-9a-f]{32}")
EVERY = 30.0  # seconds between two rounds of deleting


class Visits:
    """A folder for all pictures, which goes when the server does.

    Args:
        keep: seconds that a picture stays after it was last written.
        most: bytes that all may hold; beyond, the oldest go first.
    """

    def __init__(self, keep: float, most: int):
        self.keep, self.most = keep, most
        self.root = Path(tempfile.mkdtemp(prefix="deblur-app-")).resolve()
        self.uploads = self.root / "uploads"
        self.uploads.mkdir()
        (self.root / "pictures").mkdir()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep, daemon=True).start()

    def new(self) -> str:
        """A folder for one picture; its name."""
        token = secrets.token_hex(16)
        self._place(token).mkdir(mode=0o700)
        return token

    def folder(self, token: str) -> Path:
        """The folder of that name; :class:`InputError` if it is none, or was deleted."""
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise InputError("there is no such picture")
        folder = self._place(token)
        if not folder.is_dir():
            minutes = round(self.keep / 60)
            raise InputError(f"the picture is deleted after {minutes} minutes: upload it once more")
        return folder

    def file(self, token: str, name: str) -> Path:
        """A file of a folder; :class:`InputError` if it is none of its own."""
        path = self.folder(token) / name
        if name != Path(name).name or not path.is_file() or path.is_symlink():
            raise InputError("there is no such picture")
        return path

    def take(self, uploaded: str) -> tuple[str, str]:
        """Put what the page uploaded into a folder of its own: the folder's name and the file's.

        Raises:
            InputError: it is no file that was uploaded here.
        """
        path = Path(str(uploaded)).resolve()
        if not path.is_relative_to(self.uploads) or not path.is_file():
            raise InputError("that picture was not uploaded here, or is deleted: upload it again")
        token = self.new()
        shutil.copyfile(path, self.folder(token) / path.name)
        return token, path.name

    def put(self, token: str, name: str, data: bytes) -> str:
        """Write a file that came with a request; the name it got: the last part of its own.

        Another file of that name stays.
        """
        name = Path(name.replace("\\", "/")).name.replace("\0", "")[-100:].lstrip(".") or "photo"
        while (self.folder(token) / name).exists():
            name = f"other-{name}"
        (self.folder(token) / name).write_bytes(data)
        return name

    def delete(self, token: str) -> None:
        """Delete a folder, with all that is in it."""
        shutil.rmtree(self._place(token), ignore_errors=True)

    def close(self) -> None:
        """Delete everything."""
        self._closed.set()
        shutil.rmtree(self.root, ignore_errors=True)

    def _place(self, token: str) -> Path:
        return self.root / "pictures" / token

    def _sweep(self) -> None:
        while not self._closed.wait(min(EVERY, self.keep)):
            self.sweep()

    def sweep(self) -> None:
        """Delete what is old, and the oldest where all together is too much."""
        found = []
        for folder in (*(self.root / "pictures").iterdir(), *self.uploads.iterdir()):
            with contextlib.suppress(OSError):  # gone meanwhile
                written = max(p.stat().st_mtime for p in (folder, *folder.rglob("*")))
                size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
                found.append((written, size, folder))
        left = sum(size for _, size, _ in found)
        for written, size, folder in sorted(found, key=lambda one: one[0]):
            if left > self.most or time.time() - written > self.keep:
                shutil.rmtree(folder, ignore_errors=True)
                left -= size
