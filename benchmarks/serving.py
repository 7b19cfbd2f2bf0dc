"""The web app under load: requests over HTTP beside the bare restoration of the same files."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from deblurlib import images, machine, restoration

from . import timing

TITLE = "The web app"
ABOUT = (
    "`deblur app` on {where}, as a process of its own with a worker for the restorations: PNG "
    "files of noise sent as forms to `POST /restore`, some at once, each restored and sent back "
    "(ours), and as many restored from file to file by `restoration.restore_files` in one process "
    "(bare), which neither sends nor receives anything; the times are those of a batch, the "
    "values equal but for one level of 255. Client, server and worker share the cores. From the "
    "start of the command to its first answer, by `srn`: {start:.0f} s. A crowd:\n\n"
    "| | requests | at once | requests/s | 95 % within |\n| :--- | ---: | ---: | ---: | ---: |\n"
)
PACKAGES = ("gradio", "fastapi", "uvicorn")
BOUNDARY = b"a-boundary-of-forms"
LEVEL = 1.01 / 255  # a worker with other threads may round a value otherwise
START, PAUSE = 120.0, 0.2  # seconds: until it is ready, at most; before who was refused asks again
#: case -> side of the pictures, method, requests of a batch, of a crowd, and how many at once
CASES = {
    "64 x 64, unsharp-mask": (64, "unsharp-mask", 100, 1000, 15),
    "128 x 128, srn": (128, "srn", 4, 20, 4),
}
ON_GPU = {"512 x 512, srn": (512, "srn", 8, 40, 8)}


@dataclass(frozen=True)
class Crowd:
    """What came of many requests at once."""

    answers: Counter  # status -> how many
    seconds: float  # for all
    each: list[float]  # seconds of those that were answered, sorted
    content: bytes  # of the last that was

    @property
    def p95(self) -> float:
        """Seconds within which 95 % were answered."""
        return self.each[int(0.95 * len(self.each))]


@contextmanager
def served(*options: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """``deblur app`` on a free port of this machine, ready: the port, and the process."""
    command = [sys.executable, "-m", "deblurlib", "app", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r":(\d+)$", process.stdout.readline().strip())[1])
            end = time.monotonic() + START
            while b"true" not in _asked(f"http://127.0.0.1:{port}/health"):
                if time.monotonic() > end:
                    raise TimeoutError("the app did not become ready")
                time.sleep(PAUSE)
            yield port, process
        finally:
            process.terminate()
            process.wait(30)


def _asked(url: str) -> bytes:
    try:
        return urllib.request.urlopen(url, timeout=5).read()
    except OSError:  # it does not listen yet
        return b""


def form(picture: bytes, **fields: str) -> bytes:
    """A request with a photo and fields, as bytes."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    parts.append(
        b'Content-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n' + picture
    )
    body = b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    body += b"--" + BOUNDARY + b"--\r\n"
    head = f"POST /restore HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n\r\n"
    return head.encode() + body


async def crowd(port: int, request: bytes, count: int, together: int) -> Crowd:
    """Send a request so often, so many at once; who is told to come again does so."""
    answers, each, contents, todo = Counter(), [], [b""], iter(range(count))

    async def visitor() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in todo:
            began, status = time.perf_counter(), 503
            while status == 503:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
                contents[0], status = await reader.readexactly(length), int(head.split()[1])
                answers[status] += 1
                if status == 503:
                    await asyncio.sleep(PAUSE)
            each.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(visitor() for _ in range(together)))
    return Crowd(answers, time.perf_counter() - began, sorted(each), contents[0])


def picture(side: int) -> bytes:
    """A PNG file of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time batches of requests and of bare restorations; ``quick``: a few."""
    gpu = machine.device().type == "cuda"
    cases, rows, less = [], [], 10 if quick else 1
    began = time.perf_counter()
    with served() as (port, _), tempfile.TemporaryDirectory() as folder:
        first = form(picture(64), method="srn", even_if_sharp="1")
        asyncio.run(crowd(port, first, 1, 1))
        start = time.perf_counter() - began
        for name, (side, method, batch, many, together) in (
            CASES | (ON_GPU if gpu else {})
        ).items():
            request = form(picture(side), method=method, even_if_sharp="1")
            batch, many = max(batch // less, 1), max(many // less, 1)
            file = Path(folder, f"{side}.png")
            file.write_bytes(picture(side))
            chosen = restoration.find_method(method, machine.device())
            bare = restoration.Request(chosen, machine.device(), existing="overwrite")
            calls = {
                timing.OURS: lambda r=request, n=batch, at=together: (
                    asyncio.run(crowd(port, r, n, at)).content
                ),
                "bare": lambda f=file, b=bare, n=batch: [
                    next(restoration.restore_files([f], b)).target for _ in range(n)
                ][-1].read_bytes(),
            }
            seconds = 0 if quick else timing.SECONDS
            cases.append(timing.run_case(name, calls, _pixels, rounds, seconds, LEVEL))
            came = asyncio.run(crowd(port, request, many, together))
            told = f"| {name} | {many} | {together} | {many / came.seconds:.1f} |"
            rows.append(f"{told} {came.p95:.2f} s |")
    about = ABOUT.format(where=machine.device_name(machine.device()), start=start)
    return about + "\n".join(rows), cases


def _pixels(data: bytes) -> torch.Tensor:
    return images.to_tensor(np.asarray(Image.open(io.BytesIO(data))))
