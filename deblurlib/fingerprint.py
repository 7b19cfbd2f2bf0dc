"""Hashes that say whether code and data are still what a result was made with."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["of_blocks", "of_bytes", "of_package", "of_source", "of_texts", "texts"]

SHORT = 12  # hex digits, enough to tell apart all runs and data sets that a person ever makes


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


@functools.cache  # parsing all of the library takes over a second, and each page asks for it
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
    return of_texts(texts(root))


def texts(root: Path) -> dict[str, str]:
    """Every Python file under a folder: its path from there, and its text."""
    files = sorted(root.rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in files}


def of_texts(texts: Mapping[str, str]) -> str:
    """A short hash of the meaning of Python files, as :func:`texts` gives them."""
    return of_bytes(*(f"{name} {of_source(text)}".encode() for name, text in texts.items()))


def _describe(node: object) -> str:
    # Written out rather than ast.dump(): that differs between Python 3.11 and 3.12, where new,
    # empty fields appear. Empty fields are left out here.
    if isinstance(node, list):
        return "[" + ",".join(_describe(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields: Iterable[tuple[str, object]] = ast.iter_fields(node)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields = [(k, _without_docstring(node.body) if k == "body" else v) for k, v in fields]
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
