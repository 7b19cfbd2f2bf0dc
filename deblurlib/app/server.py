"""The app as a server: the page, and the same over HTTP for programs.

``POST /restore``, ``/kernel`` and ``/trust`` take a form and answer with a file, or with
``{"error": one sentence}``.
"""

from __future__ import annotations

import asyncio
import mimetypes
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from ..errors import InputError, require
from ..restoration import WITH_KERNEL
from .desk import Desk, Limits, Word, Words, said
from .door import MORE, Door, TooLarge
from .workers import Busy, Died, Stopped

__all__ = ["build"]

DEFAULT = "srn"  # the method of a form without one
TRUE = ("1", "true", "yes", "on")
LONG = 8  # signs of a whole number, fewer than that
BOX = "a box is left,top,right,bottom, in pixels"
#: seconds that a thread may run: the two that hand work to the workers are not to wait longer
SWITCH = 0.0005
AGAIN = "30"  # seconds after which one may ask again
LEAVE = 3  # seconds that visitors have to leave when it ends: a page that is open asks for ever
LEFT = 499  # the status of who has gone, which nobody reads


def build(limits: Limits, password: str | None = None, root_path: str = "") -> FastAPI:
    """The app; its ``state.desk`` serves all who come.

    Args:
        password: of the user ``deblur``; ``None``: nobody is asked.
        root_path: the path at which a proxy shows it, such as ``"/deblur"``.
    """
    desk = Desk(limits)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        desk.warm_up()
        yield
        desk.close()

    app = FastAPI(lifespan=living, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    for task in (restore, kernel, trust):
        app.post(f"/{task.__name__}")(task)
    app.get("/pictures/{token}/{name}")(picture)
    app.get("/health")(health)
    from .page import mount

    app = mount(app, desk, root_path)
    app.add_middleware(Door, limit=limits.bytes + MORE, password=password)
    return app


async def restore(request: Request) -> Response:
    """The restored picture, of a form.

    ``photo`` and, if you like, ``method``, ``kernel`` (a file), ``set`` (``NAME=VALUE``, several
    times), ``strength``, ``size`` and ``even_if_sharp``.
    """

    async def work(form: Form) -> Response:
        known = "kernel" in form.files
        options = {
            "method": form.fields.get("method", WITH_KERNEL if known else DEFAULT),
            "settings": form.settings,
            "blur": {"file": form.files["kernel"]} if known else None,
            "strength": form.number("strength", 1.0),
            "size": form.whole("size", None),
            "even_if_sharp": form.fields.get("even_if_sharp", "").lower() in TRUE,
        }
        words = form.desk.restore(form.token, form.files["photo"], options, form.token)
        result, notes = await _while_there(request, words)
        require(not result["sharp"], "sharp already: left alone; even_if_sharp=true restores it")
        headers = {"X-Seconds": f"{result['seconds']:.2f}", "X-Notes": _ascii(notes)}
        return form.file(result["target"], headers)

    return await _answer(request, work)


async def kernel(request: Request) -> Response:
    """The kernel of a photograph as an ``.npy`` file, of a form.

    ``photo``, and the ``size`` of the kernel, or a ``box`` (left,top,right,bottom) around a point
    of light.
    """

    async def work(form: Form) -> Response:
        how: Any = form.whole("size", 31)
        line, task = form.desk.restoring, "find"
        if "box" in form.fields:
            parts = form.fields["box"].split(",")
            require(
                len(parts) == 4 and all(p.strip().isdecimal() and len(p) < LONG for p in parts), BOX
            )
            line, task, how = form.desk.looking, "cut", tuple(map(int, parts))
        asked = form.folder, form.files["photo"], form.desk.limits.pixels, how
        found, notes = await _while_there(
            request, form.desk.do(line, task, *asked, visitor=form.token)
        )
        words = _ascii([found["spread"], found["certainty"], *notes])
        return form.file(found["numbers"], {"X-Notes": words}, found["title"])

    return await _answer(request, work)


async def trust(request: Request) -> Response:
    """The map of where ``restored`` contradicts ``photo``, a PNG, of a form with both files."""

    async def work(form: Form) -> Response:
        require("restored" in form.files, "the form lacks the file restored")
        photo, restored = form.files["photo"], form.files["restored"]
        asked = form.folder, photo, form.desk.limits.pixels, restored, None
        words = form.desk.do(form.desk.restoring, "compare_trust", *asked, visitor=form.token)
        found, _ = await _while_there(request, words)
        shares = {"X-Flagged": f"{found['flagged']:.4f}", "X-Answered": f"{found['answered']:.4f}"}
        return form.file(found["map"], shares)

    return await _answer(request, work)


async def picture(request: Request, token: str, name: str) -> Response:
    """A file of a visitor's own, for who knows its name."""
    try:
        path = request.app.state.desk.visits.file(token, name)
    except InputError as error:
        return JSONResponse({"error": str(error)}, 404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "private, no-store"}
    if kind == "text/html":  # the comparison, whose own policy allows its pictures alone
        headers["Content-Security-Policy"] = (
            "sandbox allow-scripts; default-src 'none'; img-src data:; "
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
        )
    if title := request.query_params.get("download"):
        return FileResponse(path, media_type=kind, filename=title, headers=headers)
    safe = kind.startswith("image/") and "svg" not in kind
    kind = kind if safe or kind == "text/html" else "application/octet-stream"
    return FileResponse(path, media_type=kind, headers=headers)


async def health(request: Request) -> Response:
    """Whether the workers live, and how many wait."""
    desk: Desk = request.app.state.desk
    return JSONResponse({"ready": desk.ready, "waiting": desk.restoring.waiting})


@dataclass
class Form:
    """What came with a request: its files, in a folder of their own, and its fields."""

    desk: Desk
    token: str
    files: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.desk.visits.folder(self.token)

    async def read(self, request: Request) -> None:
        """Take what the request holds."""
        limit = self.desk.limits.bytes
        async with request.form(max_files=2, max_fields=40) as given:
            for key, value in given.multi_items():
                if isinstance(value, UploadFile):
                    too_large = f"a file may have {limit / 1e6:g} MB at most"
                    require((value.size or 0) <= limit, too_large)
                    called, data = value.filename or "photo", await value.read()
                    put = self.desk.visits.put
                    self.files[key] = await asyncio.to_thread(put, self.token, called, data)
                elif key == "set":
                    name, equals, text = (part.strip() for part in value.partition("="))
                    require(bool(name and equals), f"set is NAME=VALUE, not {value!r}")
                    self.settings[name] = text
                else:
                    self.fields[key] = value
        require("photo" in self.files, "the form lacks the file photo")

    def number(self, key: str, default: float | None) -> float | None:
        """A field's number."""
        try:
            return float(self.fields[key]) if key in self.fields else default
        except ValueError:
            raise InputError(f"{key} is a number, not {self.fields[key]!r}") from None

    def whole(self, key: str, default: int | None) -> int | None:
        """A field's whole number, 1 or more."""
        text = self.fields.get(key)
        if text is None:
            return default
        fits = text.strip().isdecimal() and len(text) < LONG and int(text) > 0
        require(fits, f"{key} is a whole number, 1 or more, not {text!r}")
        return int(text)

    def file(self, name: str, headers: dict[str, str], title: str | None = None) -> Response:
        """A file of the folder, which is deleted once it is sent."""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": "no-store"} | headers
        after = BackgroundTask(self.desk.visits.delete, self.token)
        path = self.desk.visits.file(self.token, name)
        return FileResponse(path, 200, headers, kind, after, filename=title or name)


async def _answer(request: Request, work: Callable[[Form], Awaitable[Response]]) -> Response:
    """What comes of a form."""
    desk: Desk = request.app.state.desk
    if desk.restoring.is_full:  # before the form is read
        return _come_again(Busy(desk.restoring.full))
    form, answer = Form(desk, desk.visits.new()), None
    try:
        await form.read(request)
        answer = await work(form)
        return answer
    except (Busy, Died) as error:
        return _come_again(error)
    except (InputError, Stopped) as error:
        status = 422 if isinstance(error, InputError) else LEFT
        return JSONResponse({"error": said(error)}, status)
    except HTTPException as error:
        return JSONResponse({"error": str(error.detail)}, error.status_code)
    except TooLarge:
        raise
    except Exception as error:
        traceback.print_exc()
        return JSONResponse({"error": said(error)}, 500)
    finally:
        if answer is None:
            await asyncio.to_thread(desk.visits.delete, form.token)


def _come_again(error: Exception) -> Response:
    return JSONResponse({"error": said(error)}, 503, {"Retry-After": AGAIN})


async def _while_there(request: Request, words: Words) -> Any:
    """The last of the words, the result, unless whoever asked has gone."""
    async with aclosing(words):
        async for word in words:
            if isinstance(word, Word) and await request.is_disconnected():
                raise Stopped("nobody waits for it")
    return word


def _ascii(notes: Iterable[str]) -> str:
    """Sentences as a header can hold them."""
    return "; ".join(notes).encode("ascii", "replace").decode()


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until it is stopped; says where.

    Raises:
        InputError: the place is taken, or cannot be listened at.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"{host}:{port} cannot be listened at: {error.strerror or error}"
        ) from None
    place = f"[{host}]" if ":" in host else host
    print(f"Deblur a photo: http://{place}:{listening.getsockname()[1]}", flush=True)
    sys.setswitchinterval(SWITCH)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=LEAVE
    )
    uvicorn.Server(config).run(sockets=[listening])
