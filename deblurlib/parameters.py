"""A notebook's parameters: what it takes, and whether what came is possible.

Each notebook calls :func:`check` before it imports anything else, so that a slip in
``papermill -p profil report`` is told in the first second and not after the experiment. Light: of
Python's own library only.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import places
from .errors import InputError
from .names import Profile, closest, known

__all__ = ["PROFILES", "check", "check_given", "of_notebook"]

#: What a run may be sized as, from the tests' to the sources' own scale.
PROFILES = known(Profile)
#: What every notebook takes; known also where a package is installed without its notebooks.
COMMON = {"profile": "quick", "seed": 0, "data": "sample"}
INJECTED = "# Parameters"  # how papermill begins the cell that it puts in
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def check(key: str, namespace: Mapping[str, Any]) -> None:
    """Refuse, in one sentence, parameters that the notebook does not have or cannot use.

    Whatever gave them: papermill, ``deblur report``, nbval, or a hand that edited the cell. The
    kernel's record of what it has executed tells parameters from all other names, so a notebook
    may be run again in the same kernel.

    Args:
        key: of the notebook, what stands before the first underscore of its name: ``"01b"``.
        namespace: the notebook's ``globals()``.

    Raises:
        InputError: a name that the notebook does not have, or one that it lacks; a value of
            another type than the default's; an unknown profile or data set; a negative seed; a
            number of something (``n_...``) below 1.
    """
    found = sorted(NOTEBOOKS.glob(f"{key}_*.ipynb"))
    own = of_notebook(found[0]) if found else COMMON
    given = {name: namespace[name] for name in own if name in namespace}
    if found:  # else nobody knows which more it has
        more = _given(namespace.get("In", ()), own)
        given |= {name: None for name in more if name not in own}
    check_given(f"page {key}", own, given)
    for name in own:
        if found and name not in given:
            raise InputError(f"page {key} needs its parameter {name!r}, which is not set")


def of_notebook(path: Path) -> dict[str, object]:
    """The parameters of a notebook, and their defaults: what its cell of that tag assigns."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            return _assigned("".join(cell["source"]))
    return {}


def check_given(page: str, own: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Compare what is given with a notebook's own parameters and their defaults.

    Args:
        page: how a message calls the notebook.

    Raises:
        InputError: as :func:`check`.
    """
    for name in given:
        if name not in own:
            known = ", ".join(own)
            raise InputError(
                f"{page} has no parameter {name!r}; it has {known}{closest(name, own)}"
            )
    for name, value in given.items():
        if fault := _fault(name, value, own[name]):
            raise InputError(f"{page}: {fault}")


def _fault(name: str, value: object, default: object) -> str | None:
    """What is wrong with a value, in words; ``None`` if nothing is."""
    if name == "profile" and value not in PROFILES:
        return f"profile {value!r} is none of {', '.join(PROFILES)}{closest(value, PROFILES)}"
    if not _is_like(value, default):
        return f"{name} must be {KINDS[type(default)]}, as {default!r} is, not {value!r}"
    if name == "seed" and isinstance(value, int) and value < 0:
        return f"seed must be 0 or more, not {value}"
    if name.startswith("n_") and isinstance(value, int | float) and value < 1:
        return f"{name} must be 1 or more, not {value}"
    if default == COMMON["data"] and isinstance(value, str):
        try:
            if value not in (default, *places.KNOWN):
                places.locate(value)
        except InputError as error:
            return f"{name}: {error}"
    return None


def _is_like(value: object, default: object) -> bool:
    """Whether a value is of its default's type; to Python True is a whole number, here it isn't."""
    if type(default) not in KINDS or type(value) is type(default):
        return True
    return type(default) is float and type(value) is int


def _given(executed: Sequence[str], own: Mapping[str, object]) -> Iterator[str]:
    """The names that were set as parameters last: in the notebook's own cell, and by papermill.

    Args:
        executed: the source of every cell that the kernel has executed, the last one last.
    """
    found_injected = False
    for source in reversed(executed):
        if source.startswith(INJECTED):
            if not found_injected:  # one before it was corrected since
                yield from _assigned(source)
            found_injected = True
        elif own.keys() & (names := _assigned(source)).keys():
            yield from names
            return


def _assigned(source: str) -> dict[str, object]:
    """What a cell of plain assignments of plain values assigns; of any other cell, nothing."""
    assigned = {}
    try:
        for statement in ast.parse(source).body:
            match statement:
                case ast.Assign([ast.Name(name), *_], value):
                    assigned[name] = ast.literal_eval(value)
                case _:
                    return {}
    except (SyntaxError, ValueError):
        return {}
    return assigned
