"""The ``deblur`` command itself, and what its parts share."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from unicodedata import category

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InputError, InputWarning

if TYPE_CHECKING:
    import torch

app = typer.Typer(
    help="Deblurring, paper by paper: execute and publish chapters, train, score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

#: Unicode's kinds of signs: for control, half of a pair (a byte that is not UTF-8), ends of lines
UNPRINTED = ("Cc", "Cs", "Zl", "Zp")

DEFAULT = "srn"  # the method of ``deblur restore``

Profile = Annotated[str, typer.Option(help="smoke, quick, report or full.")]
Seed = Annotated[int, typer.Option(help="The seed of everything random.")]
Device = Annotated[
    str,
    typer.Option(
        help="cpu, cuda or cuda:1; auto: what DEBLURLIB_DEVICE says, else a GPU if there is one."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE of the method, see deblur methods NAME."),
]


def choose_device(choice: str) -> torch.device:
    """The device asked for; from here on, and in kernels that are started, "auto" means it, too."""
    from .. import machine

    device = machine.device(choice)  # raises if it is not there
    if choice != "auto":
        os.environ[machine.CHOICE] = choice
    return device


def show(table: Table) -> None:
    """Print a table; where there is no terminal whose width counts, without breaking its lines."""
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def parse_seeds(text: str) -> list[int]:
    """``"0,1,2"`` -> ``[0, 1, 2]``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"seeds are whole numbers separated by commas, not {text!r}") from None


def parse_settings(texts: list[str] | None) -> dict[str, str]:
    """``["iterations=20"]`` -> ``{"iterations": "20"}``."""
    settings = {}
    for text in texts or []:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not name or not equals or name in settings:
            why = "is set twice" if name in settings else "is not NAME=VALUE"
            raise InputError(f"--set {text}: {why}")
        settings[name] = value
    return settings


def short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(message: Warning | str, kind: type[Warning], *where, **more) -> None:
    name = "" if issubclass(kind, InputWarning) else f"{kind.__name__}: "
    print(f"deblur: {name}{printable(message)}", file=sys.stderr)


def printable(text: object) -> str:
    """A text that may hold a file's name, on one line: what would move the cursor is escaped."""
    signs = (c if category(c) not in UNPRINTED else repr(c)[1:-1] for c in str(text))
    return "".join(signs)


def main() -> None:
    """Entry point: an :class:`InputError` becomes one sentence on stderr and exit code 2.

    So does a lack of memory, of the processor or of a GPU.
    """
    warnings.showwarning = _say
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what their encoding lacks is escaped, too
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        print(f"deblur: {printable(error)}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a read-only folder, a file in the way
        told = f"deblur: {error.filename or 'a file'}: {error.strerror or error}"
        print(printable(told), file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        from ..machine import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        print("deblur: there is not enough memory for this, see --device", file=sys.stderr)
        sys.exit(2)
