"""The app, served on this machine alone for the tests, and forms sent to it."""

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import httpx
import uvicorn

from deblurlib.app import server
from deblurlib.app.desk import Limits

START = 90.0  # seconds until it is ready, at most


@contextlib.contextmanager
def serving(password=None, **limits):
    """The app in a thread: its ``url``, its ``desk``, and ``post`` for forms."""
    app = server.build(Limits(**limits), password)
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    desk, url = app.state.desk, f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        wait_until(lambda: desk.rates, START)
        with httpx.Client(base_url=url, timeout=120) as client:
            yield SimpleNamespace(url=url, desk=desk, client=client, post=poster(client))
    finally:
        running.should_exit = True
        thread.join(20)


def poster(client):
    """``post("restore", path, method="srn", kernel=path)``: a form with a photo; its answer."""

    def post(task, photo, **fields):
        files = {"photo": (photo.name, photo.read_bytes())}
        for name in ("kernel", "restored"):
            if name in fields:
                path = fields.pop(name)
                files[name] = (path.name, path.read_bytes())
        return client.post(f"/{task}", files=files, data=fields)

    return post


def wait_until(true, seconds):
    """Wait for something, but not for ever."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)
