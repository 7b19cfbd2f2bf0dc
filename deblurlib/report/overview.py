"""What the site says of all chapters together: the start page's cards, the table of results."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .keys import key_of

#: kind of file that a chapter's page hands out -> its place in the repository
FILES = {
    "notebook": "notebooks/{name}.ipynb",
    "solutions": "notebooks/solutions/{name}.ipynb",
    "page in Markdown": "reports/{name}.md",
    "summary (JSON)": "reports/results/{key}.json",
    "every score (CSV)": "reports/results/{key}_rows.csv.gz",
}
STATES = {
    "published": "published",
    "changed": "withdrawn: to be measured again",
    "run": "your run; not published yet",
    "": "not published yet",
}
PAPER = 250  # from this grey level on, a figure is empty
CARD_WIDTH = 720  # pixels, of a card's picture: twice what it is shown in
# of the README's table: a chapter without a notebook
TO_COME = re.compile(r"^\| (\d\d) \| ([^|\n]+) \| ([^|\n]+) \| to come \|$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """What the start page and the page of results say of one page of a chapter."""

    key: str
    title: str
    question: str
    state: str  # one of STATES
    picture: str | None = None  # its address, from the site's root
    files: Mapping[str, str] | None = None  # kind -> address, from the site's root
    page: str | None = None  # the document's name in the site
    run: str | None = None
    answer: str | None = None  # in a sentence, if its results bear it out


def copy_files(notebook: Path, root: Path, static: Path) -> dict[str, str]:
    """Copy what a page hands out into the site; returns kind -> address, from the site's root."""
    files = {}
    for kind, place in FILES.items():
        path = place.format(name=notebook.stem, key=key_of(notebook))
        if (root / path).exists():
            (static / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, static / path)
            files[kind] = f"{static.name}/{path}"
    return files


def thumbnail(key: str, artefacts: Iterable[str], figures: Path) -> str | None:
    """Write a card's picture, of its page's result, else its first figure; returns its address."""
    names = [name.removeprefix("figure:") for name in artefacts if name.startswith("figure:")]
    for name in ("result", *names):
        if (figures / f"{key}_{name}.png").exists():
            target = figures.parent / "cards" / f"{key}.jpg"
            target.parent.mkdir(exist_ok=True)
            row = first_row(Image.open(figures / f"{key}_{name}.png").convert("RGB"))
            row.thumbnail((CARD_WIDTH, CARD_WIDTH))
            row.save(target, quality=85, optimize=True)
            return f"{figures.parent.name}/{target.parent.name}/{target.name}"
    return None


def first_row(figure: Image.Image) -> Image.Image:
    """The uppermost row of a figure's pictures, without titles; the whole if there is no such."""
    drawn = np.asarray(figure.convert("L")) < PAPER
    edges = np.flatnonzero(np.diff(drawn.any(1), prepend=False, append=False))
    for top, bottom in edges.reshape(-1, 2):
        if bottom - top > figure.width / 8:  # a title is lower
            across = np.flatnonzero(drawn[top:bottom].any(0))
            return figure.crop((across[0], top, across[-1] + 1, bottom))
    return figure


def links_of(files: Mapping[str, str]) -> str:
    """The line of a chapter's page that links to its files, as HTML."""
    links = (f'<a href="../{address}" download>{kind}</a>' for kind, address in files.items())
    return f'<p class="downloads">Download: {" · ".join(links)}</p>'


def withdrawn(title: str, key: str, state: object, run: str | None) -> str:
    """The page of a chapter whose published numbers the code of today does not lead to."""
    text = f"# {key} · {title}\n\n"
    text += "This chapter was published, but the code of today does not lead to its numbers any "
    text += f"more ({state}). Until it is published anew, it is not shown here."
    return text + (f" [Your run](../{run}.ipynb) is.\n" if run else "\n")


def cards(pages: Sequence[Chapter], root: Path) -> str:
    """The start page's chapters as HTML: one card a page, also of chapters to come."""
    readme = (root / "README.md").read_text("utf-8")
    made = {number: _card_to_come(number, *about) for number, *about in TO_COME.findall(readme)}
    made |= {page.key: _card(page) for page in pages}
    inner = "\n".join(made[key] for key in sorted(made))
    return f'<div class="cards">\n{inner}\n</div>\n'


def _card(page: Chapter) -> str:
    picture = f'<img src="{page.picture}" alt="" loading="lazy">' if page.picture else ""
    lines = [
        f'<p class="number">Chapter {page.key}</p><h3>{_link(page)}</h3>',
        f'<p class="question">{html.escape(page.question)}</p>',
    ]
    if page.answer:
        lines.append(f'<p class="answer">{html.escape(page.answer)}</p>')
    if page.state != "published":
        lines.append(f'<p class="state">{STATES[page.state]}</p>')
    return f'<div class="chapter">{picture}{"".join(lines)}</div>'


def _card_to_come(number: str, title: str, question: str) -> str:
    text = f'<p class="number">Chapter {number}</p><h3>{html.escape(title.strip())}</h3>'
    text += f'<p class="question">{html.escape(question.strip())}</p>'
    text += '<p class="state">to come</p>'
    return f'<div class="chapter to-come">{text}</div>'


def _link(page: Chapter) -> str:
    title = html.escape(page.title)
    return f'<a href="{page.page}.html">{title}</a>' if page.page else title


def published(pages: Sequence[Chapter]) -> str:
    """The table of all chapters' files, in Markdown."""
    lines = ["| page | state | files |", "| :--- | :--- | :--- |"]
    for page in pages:
        title = f"{page.key} {page.title}"
        title = f"[{title}]({page.page})" if page.page else title
        files = (page.files or {}).items()
        links = (f'<a href="{place}" download>{kind}</a>' for kind, place in files)
        lines.append(f"| {title} | {STATES[page.state]} | {', '.join(links)} |")
    return "\n".join(lines) + "\n"
