"""What the site says of all chapters together: the start page's cards, the table of results."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from .keys import chapter_of, key_of

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
    """The address of a chapter's picture: of its result, else of its first figure."""
    names = [name.removeprefix("figure:") for name in artefacts if name.startswith("figure:")]
    for name in ("result", *names):
        if (figures / f"{key}_{name}.png").exists():
            return f"{figures.parent.name}/{figures.name}/{key}_{name}.png"
    return None


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
    """The start page's chapters as HTML: one card a chapter, also of those to come."""
    readme = (root / "README.md").read_text("utf-8")
    made = {number: _card_to_come(number, *about) for number, *about in TO_COME.findall(readme)}
    for number, group in groupby(pages, lambda page: chapter_of(page.key)):
        made[number] = _card(number, *group)
    inner = "\n".join(made[number] for number in sorted(made))
    return f'<div class="cards">\n{inner}\n</div>\n'


def _card(number: str, first: Chapter, *more: Chapter) -> str:
    picture = f'<img src="{first.picture}" alt="" loading="lazy">' if first.picture else ""
    lines = [
        f'<p class="number">Chapter {number}</p><h3>{_link(first)}</h3>',
        f"<p>{html.escape(first.question)}</p>",
        *(f"<p>Its second half: {_link(page)}</p>" for page in more),
        f'<p class="state">{STATES[first.state]}</p>',
    ]
    return f'<div class="chapter">{picture}{"".join(lines)}</div>'


def _card_to_come(number: str, title: str, question: str) -> str:
    text = f'<p class="number">Chapter {number}</p><h3>{html.escape(title.strip())}</h3>'
    text += f'<p>{html.escape(question.strip())}</p><p class="state">to come</p>'
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
        links = (f'<a href="{place}" download>{kind}</a>' for kind, place in page.files.items())
        lines.append(f"| {title} | {STATES[page.state]} | {', '.join(links)} |")
    return "\n".join(lines) + "\n"
