"""The site's pages on the library: what each module offers, as its ``__all__`` says.

A page, ``docs/api/NAME.md``, holds a title and an example; when Sphinx reads it, what is made here
is added. A package's page has its own names, then those of its modules that have an ``__all__``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import deblurlib

BLOCK = "```{{eval-rst}}\n{}\n```\n"
SHORTEST = 60  # letters of a value that is shown on a page


def page(name: str) -> str:
    """What a module of the library offers, in MyST's Markdown: a table, then each in full.

    Args:
        name: of the module, ``"psf"``; of a package, its modules come below headings of their own.
    """
    parts = []
    for number, (module, names) in enumerate(offered(name)):
        if number:
            parts.append(f"## {module.__name__.removeprefix('deblurlib.')}\n")
        # a package may offer a function of a module's name, such as studies.srn.recipes
        index = "\n   :no-index:" if number else ""
        parts.append(BLOCK.format(f".. automodule:: {module.__name__}{index}"))
        parts.append(BLOCK.format(_table(module, names)))
        parts.append(BLOCK.format("\n\n".join(_entry(module, each) for each in names)))
    return "\n".join(parts)


def offered(name: str) -> Iterator[tuple[ModuleType, list[str]]]:
    """Modules and what they offer: that of the name, and those in it that have an ``__all__``.

    What a package offers under its own name is not said of its modules again, and modules that it
    names are not among its names.
    """
    top = importlib.import_module(f"deblurlib.{name}")
    known: set[int] = set()
    inner = pkgutil.walk_packages(getattr(top, "__path__", []), f"{top.__name__}.")
    for module in (top, *(importlib.import_module(found.name) for found in inner)):
        pairs = [(n, getattr(module, n)) for n in getattr(module, "__all__", ())]
        names = [n for n, value in pairs if not inspect.ismodule(value) and id(value) not in known]
        known |= {id(value) for _, value in pairs if _is_documented(value)}
        if names or module is top:
            yield module, names


def _is_documented(value: Any) -> bool:
    """Whether it carries its own docstring, as functions and classes do, and data does not."""
    return inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value))


def described(module: ModuleType, name: str) -> str:
    """What is said of a name: its docstring; of data, the comment above it or behind it."""
    value = getattr(module, name)
    if _is_documented(value):
        return inspect.getdoc(value) or ""
    for node in ast.parse(Path(str(module.__file__)).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and name in {a.asname or a.name for a in node.names}:
            return described(_imported(module, node), name)
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(node, ast.Assign | ast.AnnAssign) and getattr(targets[0], "id", "") == name:
            return _comment(module, node)
    return ""


def fields(kind: type) -> dict[str, str]:
    """Of a class that is declared by its fields: each field, and the comment behind it.

    >>> from deblurlib.evaluation import Case
    >>> fields(Case)["image"]
    'its name'
    """
    if not hasattr(kind, "__dataclass_fields__") and not hasattr(kind, "_fields"):
        return {}
    module = importlib.import_module(kind.__module__)
    tree = ast.parse(inspect.getsource(kind))
    ast.increment_lineno(tree, inspect.getsourcelines(kind)[1] - 1)
    declared = [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    comments = {ast.unparse(n.target): _comment(module, n) for n in declared}
    return {name: comment for name, comment in comments.items() if comment}


def _imported(module: ModuleType, node: ast.ImportFrom) -> ModuleType:
    package = (module.__package__ or "").split(".")
    base = package[: len(package) + 1 - node.level] if node.level else []
    return importlib.import_module(".".join([*base, *filter(None, [node.module])]))


def _comment(module: ModuleType, node: ast.stmt) -> str:
    """The comment above a statement, of lines that begin with ``#:``, or that behind it."""
    lines = Path(str(module.__file__)).read_text("utf-8").splitlines()
    above: list[str] = []
    for line in map(str.strip, reversed(lines[: node.lineno - 1])):
        if not line.startswith("#:"):
            break
        above.insert(0, line[2:].strip())
    # columns are counted in bytes
    last = lines[(node.end_lineno or node.lineno) - 1].encode()
    behind = last[node.end_col_offset :].decode()
    return " ".join(above) or behind.partition("#")[2].strip()


def _table(module: ModuleType, names: list[str]) -> str:
    """The names, each with the first sentence of what is said of it."""
    lines = [f".. py:currentmodule:: {module.__name__}", ""]
    lines += [".. list-table::", "   :class: offered", "   :widths: auto", ""] if names else []
    for name in names:
        first = " ".join(described(module, name).split("\n\n")[0].split())
        sentence = re.split(r"(?<=[.:])\s(?=[A-Z`*])", first)[0].rstrip(":")
        lines += [f"   * - :py:obj:`{name} <{module.__name__}.{name}>`", f"     - {sentence}"]
    return "\n".join(lines)


def _entry(module: ModuleType, name: str) -> str:
    value, full = getattr(module, name), f"{module.__name__}.{name}"
    if inspect.isclass(value):
        return f".. autoclass:: {full}\n   :members:"
    if _is_documented(value):
        return f".. autofunction:: {full}"
    shown = repr(value)
    lines = [f".. py:data:: {name}", f"   :module: {module.__name__}"]
    tells = len(shown) <= SHORTEST and " at 0x" not in shown and not isinstance(value, Path)
    lines += [f"   :value: {shown}"] if tells else []
    return "\n".join([*lines, "", f"   {described(module, name)}"])


def home(target: str) -> list[str]:
    """Where a name may be documented that is defined in a module's file: from near to far.

    >>> home("deblurlib.restoration.methods.Method.title")
    ['deblurlib.restoration.Method.title', 'deblurlib.restoration.title']
    """
    parts = target.split(".")
    if parts[0] != deblurlib.__name__:
        return []
    return [".".join(parts[:2] + parts[n:]) for n in range(3, len(parts))]
