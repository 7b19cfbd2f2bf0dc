"""Hashes that say whether code and data are still what a result was made with."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path

SHORT = 12  # hex digits; enough to tell apart all that one person ever makes


def of_bytes(*parts: bytes) -> str:
    """A short hash of some bytes; where one part ends and the next begins counts."""
    return of_blocks((len(part), (part,)) for part in parts)


def of_blocks(parts: Iterable[tuple[int, Iterable[bytes]]]) -> str:
    """The same hash as of :func:`of_bytes`, of parts that need not be in memory as a whole.

    Args:
        parts: of each, its size in bytes and its content, in blocks of any size.
    """
    digest = hashlib.sha256()
    for size, blocks in parts:
        digest.update(size.to_bytes(8, "big"))
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()[:SHORT]


def of_source(source: str) -> str:
    """A short hash of what Python code means: comments, docstrings and layout do not count.

    >>> of_source("x = 1  # one") == of_source("x  =  1")
    True
    >>> of_source("x = 1") == of_source("x = 2")
    False
    """
    return of_bytes(_describe(ast.parse(source)).encode())


def of_package(root: Path) -> str:
    """A short hash of the meaning of every Python file under a folder."""
    files = sorted(root.rglob("*.py"))
    return of_bytes(
        *(
            f"{path.relative_to(root).as_posix()} {of_source(path.read_text('utf-8'))}".encode()
            for path in files
        )
    )


def of_definitions(*roots: Callable, without: Collection[str] = ()) -> dict[str, str]:
    """A hash of every definition that some functions and classes of a package use, and of theirs.

    A definition is a function, a class or an assignment at the top of a module. What they use is
    read off the names in their code, so a few more than needed may be found, such as what only an
    annotation mentions. What other packages define is left out.

    Args:
        without: names to leave out, and what only they use: tables of which the roots are entries.

    Returns:
        ``"package.module:name"`` -> hash, sorted.
    """
    package = roots[0].__module__.split(".")[0]
    todo = [(root.__module__, root.__qualname__.split(".")[0]) for root in roots]
    seen, found = set(), {}
    while todo:
        module, name = todo.pop()
        if (module, name) in seen or name in without or module.split(".")[0] != package:
            continue
        seen.add((module, name))
        defined, imported = _top_level(module)
        if name in imported:
            todo.append(imported[name])
        for node in defined.get(name, ()):
            key = f"{module}:{name}"
            found[key] = of_bytes(found.get(key, "").encode(), _describe(node).encode())
            todo += [(module, used) for used in _names(node)]
            for base, *rest in _chains(node):
                inside = imported.get(base, ())
                todo += [(".".join([*inside, *rest[:i]]), rest[i]) for i in range(len(rest))]
    return dict(sorted(found.items()))


@cache
def _top_level(module: str) -> tuple[dict[str, list[ast.stmt]], dict[str, tuple[str, str]]]:
    """A module's definitions by name, and what its imported names stand for: (module, name)."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name in a module that is no package
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return {}, {}  # a name in a module: it is found as such, too
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    package = module.split(".") if spec.submodule_search_locations else module.split(".")[:-1]
    defined: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {name for target in filter(None, targets) for name in _names(target)}
        for name in filter(None, {getattr(node, "name", None), *names}):
            defined.setdefault(name, []).append(node)
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            imported |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
    return defined, imported


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _chains(node: ast.AST) -> set[tuple[str, ...]]:
    """The ``a.b`` and ``a.b.c`` in some code, as tuples of names."""
    found = set()
    for part in ast.walk(node):
        chain = []
        while isinstance(part, ast.Attribute):
            chain.insert(0, part.attr)
            part = part.value
        if chain and isinstance(part, ast.Name):
            found.add((part.id, *chain))
    return found


def _describe(node: object) -> str:
    # Written out rather than ast.dump(): that differs between Python 3.11 and 3.12, where new,
    # empty fields appear. Empty fields are left out here.
    if isinstance(node, list):
        return "[" + ",".join(_describe(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields: Iterable[tuple[str, object]] = ast.iter_fields(node)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields = [(k, _without_docstring(v) if k == "body" else v) for k, v in fields]
    if isinstance(node, ast.JoinedStr):  # Python 3.12 adds empty strings to a nested format
        fields = [("values", [v for v in node.values if getattr(v, "value", None) != ""])]
    described = (f"{k}={_describe(v)}" for k, v in fields if v not in (None, []))
    return f"{type(node).__name__}({','.join(described)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(
        getattr(first.value, "value", None), str
    )
    return body[1:] if is_docstring else body
