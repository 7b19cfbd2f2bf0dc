"""The site's examples, "how do I ...": executed by Sphinx-Gallery while the site is built.

``docs/conf.py`` names :func:`pictures` and :func:`place`. What an example printed and drew is kept
between builds, as long as neither it nor the library has changed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from .. import fingerprint
from .stamp import PACKAGE

#: the examples, in the order of the page: of ``examples/plot_NAME.py``, the names
ORDER = (
    *("own_kernel", "find_kernel", "trust", "video", "stack", "batch"),
    *("own_pairs", "score_results", "own_network", "read_claim"),
)
FOLDER = "gallery"  # of the pages that are made of them, below the site's sources
CODE = "code.txt"  # in it: the library that these were made with
SEEN = re.compile(r"^# (What to see: .*?)(?:\n\n|\n#\n|\n[^#])", re.MULTILINE | re.DOTALL)


def place(name: str) -> int:
    """Where a file of an example stands in the gallery: a key to sort by."""
    return ORDER.index(Path(name).stem.removeprefix("plot_"))


def pictures(block: tuple, about: Mapping, conf: Mapping) -> str:
    """The pictures that a block of an example has written, as reStructuredText.

    They are the PNG files in the folder that it runs in. What is to be seen in them, as the
    example says, is their text for those who cannot see them. The arguments are Sphinx-Gallery's.
    """
    figure_rst = import_module("sphinx_gallery.scrapers").figure_rst  # of the extra "site"
    moved = []
    for written in sorted(Path.cwd().glob("*.png")):
        moved.append(next(about["image_path_iterator"]))
        shutil.move(written, moved[-1])
    return figure_rst(moved, conf["src_dir"], seen(Path(about["src_file"]).read_text("utf-8")))


def seen(text: str) -> str:
    """What is to be seen in an example's picture, as its last such comment says; or nothing."""
    found = SEEN.findall(text)
    return " ".join(re.sub(r"\n# ?", " ", found[-1]).split()) if found else ""


def keep(source: Path, kept: Path) -> None:
    """Take the gallery's pages out of the sources of a site, before these are removed."""
    if (source / FOLDER).is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(source / FOLDER, kept)


def bring_back(kept: Path, source: Path) -> None:
    """Put pages that were kept among a site's sources again, if the library is still the same.

    Of an example that has changed itself, Sphinx-Gallery sees that.
    """
    code = fingerprint.of_package(PACKAGE)
    if kept.is_dir() and (kept / CODE).is_file() and (kept / CODE).read_text("utf-8") == code:
        shutil.move(kept, source / FOLDER)
    shutil.rmtree(kept, ignore_errors=True)
    (source / FOLDER).mkdir(exist_ok=True)
    (source / FOLDER / CODE).write_text(code, "utf-8")
