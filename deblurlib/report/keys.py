"""Pages' keys: what stands before the first underscore of a notebook's name, ``01`` or ``01b``.

A chapter is two digits. A letter behind them tells its further pages from its first one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError

KEY = re.compile(r"[0-9]{2}[a-z]?")


def project_root() -> Path:
    """The folder that holds ``notebooks/``: the checkout this package was installed from."""
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / "notebooks").is_dir():
            return root
    raise InputError("no notebooks/ folder: install the project from a checkout (pip install -e .)")


def key_of(path: Path) -> str:
    """The key of a notebook or page, from its name."""
    return path.name.partition("_")[0]


def chapter_of(key: str) -> str:
    """The two digits of the chapter that a page belongs to; its recipes are named by them."""
    return key[:2]


def find_pages(folder: Path, ending: str = ".ipynb") -> list[Path]:
    """The files of a folder whose names begin with a key and an underscore, in the keys' order."""
    found = (path for path in folder.glob(f"*_*{ending}") if KEY.fullmatch(key_of(path)))
    return sorted(found, key=lambda path: (key_of(path), path.name))


def choose(named: Sequence[str], notebooks: Sequence[Path]) -> list[Path]:
    """Those of some notebooks that are named, by a chapter's two digits or by a page's key; or all.

    ``"1"`` means ``"01"``.

    Raises:
        InputError: there is none of that name.
    """
    keys = {key_of(path) for path in notebooks}
    named = [f"0{name}" if re.fullmatch(r"\d[a-z]?", name) else name for name in named]
    for name in named:
        if name not in keys | {chapter_of(key) for key in keys}:
            available = ", ".join(sorted(keys))
            raise InputError(f"there is no chapter {name!r}; there are: {available}")
    if not named:
        return list(notebooks)
    return [path for path in notebooks if {key_of(path), chapter_of(key_of(path))} & set(named)]
