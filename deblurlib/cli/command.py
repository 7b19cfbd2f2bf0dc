"""The ``deblur`` command itself, and what its parts share."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO
from unicodedata import category as category_of

import typer
from rich.console import Console
from rich.table import Table

from .. import __version__, names, places, progress
from ..errors import EXTRAS, InputError, InputWarning, not_installed

if TYPE_CHECKING:
    import torch

#: Unicode's kinds of signs: for control, half of a pair (a byte that is not UTF-8), ends of lines
UNPRINTED = ("Cc", "Cs", "Zl", "Zp")

DEFAULT = "srn"  # the method of ``deblur restore``
#: Exit codes, beside 0: it was done, and something did not come out; what was given is wrong; who
#: started it stopped it.
FAILED, WRONG, STOPPED = 1, 2, 130
STDOUT = "-"  # as a file's name

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing of what is being done; results and errors remain."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Say what it is done with; and of an error, where it arose."
    ),
]
#: How the commands are grouped in the help.
PHOTOS, DATA, TRAINING, COURSE = "Photos and videos", "Data", "Train and score", "The course"
AS_ID = re.compile("[0-9a-f]+")  # the beginning of a run's


class Told:
    """How much is said: all commands have the options, before or after their name."""

    quiet = False
    verbose = False


class App(typer.Typer):
    """A group of commands, each with the two options that say how much is said."""

    def command(self, name: str | None = None, **options: Any) -> Callable:
        add = super().command(name, **options)

        def added(function: Callable) -> Callable:
            add(_with_telling(function))
            return function

        return added


def _with_telling(function: Callable) -> Callable:
    """A command's function that takes ``quiet`` and ``verbose``, too, and tells of Ctrl-C."""
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def told(*, quiet: bool, verbose: bool, **options: object) -> None:
        tell(Told.quiet or quiet, Told.verbose or verbose)
        try:
            function(**options)
        except KeyboardInterrupt:
            print("deblur: stopped", file=sys.stderr)
            raise typer.Exit(STOPPED) from None

    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter("quiet", kind, default=False, annotation=Quiet),
        inspect.Parameter("verbose", kind, default=False, annotation=Verbose),
    ]
    whole = signature.replace(parameters=[*signature.parameters.values(), *added])
    vars(told)["__signature__"] = whole
    told.__annotations__ = {p.name: p.annotation for p in whole.parameters.values()}
    del vars(told)["__wrapped__"]  # its annotations are other ones
    return told


def tell(quiet: bool, verbose: bool) -> None:
    """Set how much is said from here on."""
    Told.quiet, Told.verbose = quiet, verbose
    progress.shown = not quiet


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"deblur {__version__}")
        raise typer.Exit


app = App(
    help="Deblurring, paper by paper: restore photos, execute and publish chapters, train, score.",
    epilog="Exit codes: 0 done; 1 something did not come out; 2 what was given is wrong; "
    "130 stopped by you. docs/command.md has all commands on a page.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def of_all(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_tell_version),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    tell(quiet, verbose)


def _proposing(given: Iterable[str]) -> Callable[[str], list[str]]:
    return lambda incomplete: [name for name in given if name.startswith(incomplete)]


Profile = Annotated[
    str,
    typer.Option(
        help="smoke, quick, report or full.",
        autocompletion=_proposing(names.known(names.Profile)),
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The seed of everything random.")]
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
JsonLines = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write it there as JSON, an object a line; -: to stdout, and nothing else there.",
    ),
]
propose_methods = _proposing(names.known(names.MethodName))
propose_settings = _proposing(names.known(names.SettingName))
propose_protocols = _proposing(names.known(names.Protocol))
propose_data = _proposing(["sample", *places.KNOWN])


def choose_device(choice: str) -> torch.device:
    """The device asked for; from here on, and in kernels that are started, "auto" means it, too."""
    from .. import machine

    device = machine.device(choice)  # raises if it is not there
    if choice != "auto":
        os.environ[machine.CHOICE] = choice
    if Told.verbose:
        versions = ", ".join(f"{name} {number}" for name, number in machine.versions().items())
        print(f"deblur: {machine.device_name(device)}; {versions}", file=sys.stderr)
    return device


def check_method(name: str) -> None:
    """Refuse what is no method's name and cannot be a run's, before PyTorch is loaded."""
    if "torch" in sys.modules:  # it is no longer early, and who loaded it may have more methods
        return
    known = names.known(names.MethodName)
    if name not in known and not AS_ID.fullmatch(name) and "/" not in name:
        raise names.no_such_method(name, known, "a run is named by its id or by NN/SLUG")


def check_profile(name: str) -> None:
    """Refuse an unknown profile, before PyTorch is loaded."""
    if name not in names.known(names.Profile):
        raise names.unknown_name("profile", name, names.known(names.Profile))


def as_chapter(name: str) -> str:
    """A chapter, or a recipe of one, by its two digits: ``"2"`` and ``"02b"`` mean ``"02"``.

    What trains nothing is refused, before PyTorch is loaded.
    """
    chapter, slash, rest = name.partition("/")
    known = names.known(names.Chapter)
    meant = re.sub(r"^(\d)(b?)$", r"0\1\2", chapter)
    meant = meant if slash else re.sub("^(..)b$", r"\1", meant)
    if meant not in known:
        raise InputError(f"chapter {chapter!r} trains nothing; these do: {', '.join(known)}")
    return meant + slash + rest


def check_files(given: Iterable[str | os.PathLike[str]], what: str = "file") -> None:
    """An error about the first of some files that is not there, before PyTorch is loaded."""
    for path in given:
        if not os.path.lexists(path):
            raise InputError(f"{path}: no such {what}")


def check_json(target: str | None) -> None:
    """An error before the work is done where its results cannot be written."""
    if target in (None, STDOUT):
        return
    path = Path(target)
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{target}: is a folder, or in one that is not there")


def write_json(target: str, records: Iterable[Mapping[str, object]]) -> None:
    """Write objects as JSON, one a line: to stdout as they come, to a file whole or not at all."""
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if target == STDOUT:
        for line in lines:
            print(line, end="", flush=True)
        return
    text = "".join(lines)
    from ..files import write_whole  # loads PyTorch

    write_whole(target, text)


def show(table: Table) -> None:
    """Print a table; where there is no terminal whose width counts, without breaking its lines."""
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def say(text: str) -> None:
    """Print what was done, unless nobody wants to know."""
    if not Told.quiet:
        print(text)


def note(text: str) -> None:
    """A word on stderr that is no error, unless nobody wants to know."""
    if not Told.quiet:
        print(f"deblur: {text}", file=sys.stderr)


def parse_seeds(text: str) -> list[int]:
    """``"0,1,2"`` -> ``[0, 1, 2]``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"seeds are whole numbers separated by commas, not {text!r}") from None


def parse_settings(texts: list[str] | None) -> dict[str, str]:
    """``["iterations=20"]`` -> ``{"iterations": "20"}``."""
    settings: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not name or not equals or name in settings:
            why = "is set twice" if name in settings else "is not NAME=VALUE"
            raise InputError(f"--set {text}: {why}")
        settings[name] = value
    return settings


def short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    name = "" if issubclass(category, InputWarning) else f"{category.__name__}: "
    print(f"deblur: {name}{printable(message)}", file=sys.stderr)


def printable(text: object) -> str:
    """A text that may hold a file's name, on one line: what would move the cursor is escaped."""
    signs = (c if category_of(c) not in UNPRINTED else repr(c)[1:-1] for c in str(text))
    return "".join(signs)


def main() -> None:
    """Entry point: an :class:`InputError` becomes one sentence on stderr and exit code 2.

    So does a lack of memory, of the processor or of a GPU. With ``--verbose``, the traceback
    stands above it.
    """
    warnings.showwarning = _say
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what their encoding lacks is escaped, too
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (InputError, OSError, MemoryError, RuntimeError, ModuleNotFoundError) as error:
        told = _told(error)
        if told is None:
            raise
        if Told.verbose:
            traceback.print_exc()
        print(f"deblur: {printable(told)}", file=sys.stderr)
        sys.exit(WRONG)


def _told(error: Exception) -> str | None:
    """The sentence about an error of which the user can do something; ``None`` of any other."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        return str(not_installed(f"deblur {name}", package)) if package in EXTRAS else None
    if isinstance(error, OSError):  # a full disk, a read-only folder, a file in the way
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    from ..machine import is_out_of_memory

    return "there is not enough memory for this, see --device" if is_out_of_memory(error) else None
