"""Sentences of a page that depend on its numbers, and whether the numbers bear them out.

A sentence is followed by a comment, ``<!-- holds: scores['motion', 'gain'] > 0.1 -->``, which no
rendered page shows. It holds a Python expression over the tables that the page shows, each under
the name that it was put on the page with: ``NAME['row', 'column']`` is a cell, a number if it is
one (``+0.42``, ``1e-4``), else its text; a row is named by the text of its first column, and
``NAME['column']`` is the list of a column. Besides, there are comparisons, arithmetic, ``and``,
``or``, ``not``, comprehensions, parts of lists, and the functions of :data:`FUNCTIONS`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

FUNCTIONS = {f.__name__: f for f in (min, max, abs, all, any, len, sorted, sum, zip, round, range)}
PARAGRAPH = re.compile(r"\n\s*\n|(?:^|\n)\s*(?:[-*]|\d+\.)\s")  # or an item of a list
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
MARK = re.compile(r"\s*holds?\b\s*(:?)(.*)", re.DOTALL)
END_OF_SENTENCE = re.compile(r"(?<=[.!?])[*_)\"]*\s+(?=[A-Z*_`\"$(\[])")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
SHOWN = 6  # of the cells that an expression names, in the reason why it does not hold

ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn),
    *(ast.Subscript, ast.Slice, ast.Name, ast.Load, ast.Store, ast.Constant, ast.Tuple, ast.List),
    *(ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.Call),
)


@dataclass(frozen=True)
class Statement:
    """A sentence with an expression that must hold on its page."""

    cell: str  # the id of the Markdown cell
    text: str  # the sentence
    expression: str
    holds: bool
    why: str = ""  # it does not hold


@dataclass(frozen=True)
class Table:
    """A table as a page shows it; the texts of its cells."""

    name: str
    header: list[str]
    rows: list[list[str]]

    def __getitem__(self, key: object) -> object:
        if not isinstance(key, tuple):
            column = self._column(key)
            return [_value(row[column]) for row in self.rows]
        if len(key) != 2:
            raise LookupError(f"a cell is {self.name}['row', 'column'], not {self.name}{[*key]}")
        label, column = key[0], self._column(key[1])
        found = [row for row in self.rows if label in (row[0], _value(row[0]))]
        if len(found) != 1:
            fault = "no row" if not found else f"{len(found)} rows"
            raise LookupError(f"{self.name} has {fault} {label!r}")
        return _value(found[0][column])

    def _column(self, name: Any) -> int:
        if self.header.count(name) != 1:
            there_are = ", ".join(map(repr, self.header))
            raise LookupError(f"{self.name} has no column {name!r}; it has {there_are}")
        return self.header.index(name)


def statements(executed: nbformat.NotebookNode) -> list[Statement]:
    """All statements of an executed notebook or published page, in their order."""
    tables = tables_of(executed)
    return [
        Statement(cell.id, text, expression, *_judge(expression, mark, tables))
        for cell in executed.cells
        if cell.cell_type == "markdown"
        for text, mark, expression in _marked(cell.source)
    ]


def _marked(source: str) -> list[tuple[str, str, str]]:
    """Of each comment that begins as a statement: the sentence before it, ``:``, the expression."""
    found, begin, sentence = [], 0, ""
    for comment in COMMENT.finditer(source):
        before = source[begin : comment.start()].strip()
        begin = comment.end()
        if before:  # else there are several comments after one sentence
            sentence = " ".join(END_OF_SENTENCE.split(PARAGRAPH.split(before)[-1])[-1].split())
        if mark := MARK.fullmatch(comment[1]):
            found.append((sentence, mark[1], re.sub(r"\s*\n\s*", " ", mark[2]).strip()))
    return found


def _judge(expression: str, mark: str, tables: Mapping[str, Table]) -> tuple[bool, str]:
    if not mark:
        return False, "a colon is missing: <!-- holds: EXPRESSION -->"
    try:
        result = evaluate(expression, tables)
    except SyntaxError as error:
        return False, error.msg
    except Exception as error:  # whatever an expression leads to
        return False, str(error) or type(error).__name__
    if result is True:
        return True, ""
    if result is not False:
        return False, f"it is {result!r}, neither true nor false"
    return False, _cells_of(expression, tables) or "it is false"


def evaluate(expression: str, tables: Mapping[str, Table]) -> object:
    """The value of an expression over some tables.

    Raises:
        SyntaxError: it is no expression, or one of a kind that is not allowed.
        Exception: whatever it leads to, such as ``LookupError`` for a column that is not there.
    """
    tree = ast.parse(expression, mode="eval")
    for node in ast.walk(tree):
        _check(node)
    names: dict[str, Any] = {"__builtins__": {}, **tables, **FUNCTIONS}
    return eval(compile(tree, "statement", "eval"), names)


def _check(node: ast.AST) -> None:
    """Raise a :class:`SyntaxError` if a node is of a kind that is not allowed."""
    if not isinstance(node, ALLOWED) or getattr(node, "is_async", False):
        raise SyntaxError(f"{type(node).__name__} is not allowed")
    if isinstance(node, ast.Name) and node.id.startswith("_"):
        raise SyntaxError(f"the name {node.id} is not allowed")
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        if not named:
            raise SyntaxError(f"the call {ast.unparse(node)} is not allowed")


def _cells_of(expression: str, tables: Mapping[str, Table]) -> str:
    """The values of the cells that an expression names."""
    named = {}
    for node in ast.walk(ast.parse(expression, mode="eval")):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            constant = not any(isinstance(n, ast.Name) for n in ast.walk(node.slice))
            if constant and node.value.id in tables:
                text = ast.unparse(node)
                named[text] = f"{text} is {evaluate(text, tables)!r}"
    return ", ".join(list(named.values())[:SHOWN])


def tables_of(executed: nbformat.NotebookNode) -> dict[str, Table]:
    """The tables that a page shows, by their names; the folded part of a table counts."""
    tables = {}
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            artefact = output.get("metadata", {}).get("deblurlib", {}).get("artefact", "")
            text = output.get("data", {}).get("text/markdown")
            if artefact.startswith("table:") and text:
                name = artefact.removeprefix("table:")
                tables[name] = read_table(name, text)
    return tables


def read_table(name: str, text: str) -> Table:
    """A table in Markdown. Of several, those with the header of the first one are its rows, too."""
    header: list[str] = []
    rows: list[list[str]] = []
    at_head = True
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            at_head = True
            continue
        cells = [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if at_head:
            counts, at_head = cells == (header := header or cells), False
        elif counts and not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            rows.append(cells)
    return Table(name, header, [row for row in rows if len(row) == len(header)])


def _plain(cell: str) -> str:
    """A cell's text without what emphasises it."""
    return cell.replace("\\|", "|").strip().strip("*`")


def _value(text: str) -> float | str:
    number = text.replace("−", "-")
    if not NUMBER.fullmatch(number):
        return text
    return float(number) if re.search("[.eE]", number) else int(number)
