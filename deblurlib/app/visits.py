"""Visitors' pictures: each in a folder whose name nobody can guess, deleted after a while."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from pathlib import Path

from ..errors import InputError
from ..files import read_bytes

TOKEN = re.compile(r"[0-9a-f]{32}")
EVERY = 30.0  # seconds between two rounds of deleting
LONGEST = 120  # bytes of a name, without its suffix


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
        atexit.register(self.close)  # however the server ends

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
        data = self.read(uploaded)
        token = self.new()
        return token, self.put(token, Path(str(uploaded)).name, data)

    def read(self, uploaded: str) -> bytes:
        """What a file holds that was uploaded here; :class:`InputError` if it was not."""
        path = Path(str(uploaded)).resolve()
        if not path.is_relative_to(self.uploads) or not path.is_file():
            raise InputError("that file was not uploaded here, or is deleted: upload it again")
        return read_bytes(path)

    def put(self, token: str, name: str, data: bytes) -> str:
        """Write a file that came with a request; the name it got: the last part of its own.

        Another file of that name stays.
        """
        name = Path(name.replace("\\", "/")).name.replace("\0", "")
        stem, suffix = os.path.splitext(name)
        short = stem.encode(errors="replace")[:LONGEST].decode(errors="ignore")
        # a dot begins the names of the server's own files
        name = short.lstrip(".") + suffix[:20] if short.lstrip(".") else f"photo{suffix[:20]}"
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
        for place in (*(self.root / "pictures").iterdir(), *self.uploads.iterdir()):
            with contextlib.suppress(OSError):  # gone meanwhile
                inside = [p.stat() for p in (place, *place.rglob("*"))]
                files = [p.st_size for p in inside if stat.S_ISREG(p.st_mode)]
                found.append((max(p.st_mtime for p in inside), sum(files), place))
        left = sum(size for _, size, _ in found)
        for written, size, place in sorted(found, key=lambda one: one[0]):
            if left > self.most or time.time() - written > self.keep:
                if place.is_dir():
                    shutil.rmtree(place, ignore_errors=True)
                else:  # an upload that was cut off
                    place.unlink(missing_ok=True)
                left -= size

    def hold(self, token: str) -> None:
        """Count a folder as written now: somebody waits for what is in it."""
        with contextlib.suppress(OSError):
            os.utime(self._place(token))
