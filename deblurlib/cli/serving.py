"""``deblur app``: the web app."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ..errors import EXTRAS, not_installed, require
from .command import PHOTOS, Device, app, choose_device

LOCAL = ("127.0.0.1", "localhost", "::1")
PASSWORD = "DEBLURLIB_APP_PASSWORD"


@app.command("app", rich_help_panel=PHOTOS)
def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0: whoever reaches this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: one that is free.")] = 7860,
    root_path: Annotated[
        str, typer.Option(help="The path at which a proxy shows it, such as /deblur.")
    ] = "",
    megabytes: Annotated[float, typer.Option(help="Of a file, at most.")] = 20,
    megapixels: Annotated[float, typer.Option(help="Of a picture, at most.")] = 25,
    waiting: Annotated[int, typer.Option(help="How many pictures may wait.")] = 20,
    minutes: Annotated[float, typer.Option(help="After which a picture is deleted.")] = 60,
    device: Device = "auto",
) -> None:
    """Serve a page on which photos are restored in a browser, and the same over HTTP.

    It listens to this machine alone, unless --host says otherwise. If the environment variable
    DEBLURLIB_APP_PASSWORD is set, the user deblur with that password may come in, and nobody else.
    """
    limits = (0 < megabytes <= 2000, 0 < megapixels <= 100, 1 <= waiting <= 1000, minutes > 0)
    require(all(limits), "limits are more than 0, at most 2000 MB, 100 megapixels, 1000 waiting")
    require(0 <= port < 65536, f"--port is 0 to 65535, not {port}")
    choose_device(device)
    try:
        from ..app import server
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        raise not_installed("the app", error.name) from None
    from ..app.desk import Limits

    password = os.environ.get(PASSWORD) or None
    if host not in LOCAL and password is None:
        print(f"deblur: whoever reaches {host} may use it: {PASSWORD} sets a password", flush=True)
    asked = Limits(
        bytes=round(megabytes * 1e6),
        pixels=round(megapixels * 1e6),
        waiting=waiting,
        keep=minutes * 60,
    )
    server.serve(server.build(asked, password, root_path), host, port)
