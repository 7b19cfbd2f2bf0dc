"""Hashes of code count what it means, not how it looks, and are equal on every Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deblurlib import fingerprint

ROOT = Path(__file__).parents[1]

CODE = '''
"""A module."""
import os
from collections.abc import *

@decorated
class A(B, metaclass=M):
    """A class."""
    field: int = 3

    async def f(self, a, /, b: int = 1, *c, d=None, **e) -> None:
        """A function."""
        async with a as b, c:
            yield await b

def g(x):
    "Only a docstring."

def h(x):
    """Head."""
    # a comment
    return [y for y in x if y > 1.5 and not -y], lambda z=...: {**x, "k": z[1:, None]}

try:
    print(f"{1 + 1!r:>{h(2)}} and {{braces}} {'nested'}" "joined", b"bytes", 1j, 10**20)
except* (OSError, ValueError) as error:
    raise RuntimeError("no") from error
match x:
    case {"a": [1, *rest], **others} | A(field=None) if (n := rest):
        del n
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    # a comment\n", ""),
        ('"""A module."""\n', ""),
        ('"""A class."""', '"""Another class."""'),
        ('"""A function."""', '"""Another\n\n        function."""'),
        ('"""Head."""', ""),
        ("field: int = 3", "field:int=3\n\n"),
        ('b"bytes"', "b'bytes'"),
    ],
)
def test_looks_do_not_count(before, after):
    assert before in CODE
    assert fingerprint.of_source(CODE.replace(before, after)) == fingerprint.of_source(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.5", "1.50001"),
        ("> 1.5", ">= 1.5"),
        ("and not", "or not"),
        ("(self, a, /", "(self, a"),
        ('"k"', '"K"'),
        ('"joined"', '"Joined"'),
        ("1:, None", ":1, None"),
        ("!r", ""),
        ("import os", "import os.path"),
        ("except*", "except"),
        ("@decorated\n", ""),
        ("metaclass=M", "M"),
    ],
)
def test_a_change_of_meaning_counts(before, after):
    assert before in CODE
    assert fingerprint.of_source(CODE.replace(before, after)) != fingerprint.of_source(CODE)


def test_values_that_look_alike_differ():
    values = ["0", "0.0", "0j", "False", "None", "...", "''", "'0'", "b'0'", "'None'", "[]", "()"]
    assert len({fingerprint.of_source(f"x = {value}") for value in values}) == len(values)


def test_a_call_that_comes_first_is_no_docstring():
    assert fingerprint.of_source("f()\nx = 1") != fingerprint.of_source("x = 1")
    assert fingerprint.of_source("f'{x}'\nx = 1") != fingerprint.of_source("x = 1")


def test_where_a_part_ends_counts():
    assert fingerprint.of_bytes(b"ab", b"c") != fingerprint.of_bytes(b"a", b"bc")
    assert fingerprint.of_bytes(b"a", b"") != fingerprint.of_bytes(b"a")


def test_blocks_have_the_hash_of_what_they_make_up():
    for blocks in ([b"sharp"], [b"s", b"", b"harp"], iter([b"shar", b"p"])):
        parts = [(1, [b"y"]), (5, blocks), (0, [])]
        assert fingerprint.of_blocks(parts) == fingerprint.of_bytes(b"y", b"sharp", b"")


def test_names_and_code_of_a_package_count_and_nothing_else(tmp_path):
    def of(files):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return fingerprint.of_package(root)

    a, b = {"a.py": "A = 1\n"}, {"part/b.py": "B = 2\n"}
    before = of(a | b)
    assert of({"notes.txt": "B = 3", "a.py": "A = 1  # one\n"} | b) == before
    renamed, moved = {"c.py": "A = 1\n"}, {"part/a.py": "A = 1\n"}
    for other in (renamed | b, moved | b, a | {"part/b.py": "B = 3\n"}, a | b | {"part/c.py": ""}):
        assert of(other) != before


def test_hashes_are_equal_on_python_3_12(tmp_path):
    python = shutil.which("python3.12")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip("no python3.12 here that runs")
    (tmp_path / "code.py").write_text(CODE)
    script = (
        "import sys, pathlib; from deblurlib.fingerprint import of_package;"
        "print(*(of_package(pathlib.Path(a)) for a in sys.argv[1:]))"
    )
    folders = [tmp_path, ROOT / "deblurlib"]
    command = [python, "-B", "-c", script, *folders]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [fingerprint.of_package(folder) for folder in folders]
