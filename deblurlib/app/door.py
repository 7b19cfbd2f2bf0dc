"""Asked first of every request: the password, how much it holds, and which routes are closed."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

from fastapi.responses import JSONResponse

MORE = 1_000_000  # bytes of a request beside its files
#: what pages may load: nothing from another machine. Gradio's templates are compiled in the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
SMALL = 200_000  # bytes of a request without files
FORMS = ("/restore", "/kernel", "/trust", "/gradio_api/upload")  # requests with files
#: Further routes that are open; Gradio has others, some of which fetch, or keep files for ever.
OPEN = (
    *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/health"),
    *("/gradio_api/info", "/gradio_api/config", "/gradio_api/queue/join", "/gradio_api/queue/data"),
    *("/gradio_api/upload_progress", "/gradio_api/reset", "/gradio_api/cancel"),
    *("/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/theme.css"),
)
BELOW = (
    *("/pictures/", "/assets/", "/static/", "/svelte/", "/gradio_api/file=/"),
    *("/gradio_api/run/", "/gradio_api/call/", "/gradio_api/heartbeat/"),
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


class TooLarge(Exception):
    """A request holds more than it may."""


class Door:
    """Asked first of all: the password, how much a request holds, and which routes are closed."""

    def __init__(self, app: Callable, limit: int, password: str | None):
        self.app, self.limit, self.password = app, limit, password

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """One request."""
        if scope["type"] != "http":
            await (self.app(scope, receive, send) if scope["type"] == "lifespan" else _shut(send))
            return
        headers = dict(scope["headers"])
        if not self._may(headers.get(b"authorization", b"")):
            asked = {"WWW-Authenticate": 'Basic realm="deblur"'}
            await JSONResponse({"error": "a password is asked for"}, 401, asked)(
                scope, receive, send
            )
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path not in (*FORMS, *OPEN) and not path.startswith(BELOW):
            await JSONResponse({"error": "there is no such page"}, 404)(scope, receive, send)
            return
        limit = self.limit if path in FORMS else SMALL
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 15 or int(length) > limit:
            await self._too_large()(scope, receive, send)
            return
        await self._counted(limit, scope, receive, send)

    def _may(self, given: bytes) -> bool:
        if self.password is None:
            return True
        expected = base64.b64encode(f"deblur:{self.password}".encode())
        return secrets.compare_digest(given.removeprefix(b"Basic "), expected)

    async def _counted(self, limit: int, scope: dict, receive: Callable, send: Callable) -> None:
        """The request, refused where it holds more than it said, or said nothing."""
        taken, started = 0, False

        async def counting() -> dict:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise TooLarge
            return message

        async def told(message: dict) -> None:
            nonlocal started
            if taken > limit and not started:
                return  # what the app makes of it: it is told below
            if message["type"] == "http.response.start":
                started = True
                have = {name.lower() for name, _ in message.get("headers", [])}
                more = [pair for pair in HEADERS if pair[0] not in have]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        try:
            await self.app(scope, counting, told)
        except TooLarge:
            pass
        finally:
            if taken > limit and not started:
                await self._too_large()(scope, receive, send)

    def _too_large(self) -> JSONResponse:
        files = (self.limit - MORE) / 1e6
        return JSONResponse({"error": f"files may have {files:g} MB at most"}, 413)


async def _shut(send: Callable) -> None:
    await send({"type": "websocket.close", "code": 1000})
