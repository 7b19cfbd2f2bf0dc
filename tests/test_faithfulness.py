"""The page on faithfulness: each of its lines is whole, and names tests that there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faithfulness.md").read_text("utf-8")
HEADER = ["what", "the source or paper says", "the released code does", "we do", "pinned by"]
SECTIONS = {
    "Blur",
    "SRCNN, S1",
    "EdgeNet and DeblurNet, S2",
    "Autoencoder and critic, S3",
    "SRN, S4",
    "Guess, UNet, GAN and blind Richardson-Lucy, S5",
    "NAFNet, chapter 07",
    "Scores",
}
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
COUNT = re.compile(r"\b(?:[1-9]\d{1,2},\d{3}|[1-9]\d{0,2}(?:,\d{3}){2,})\b")  # 10,000 or more


@cache
def known_tests(name):
    """The source of each test in a file, by the test's name; none if there is no such file."""
    path = TESTS / name
    text = path.read_text("utf-8") if path.exists() else ""
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {
        node.name: "\n".join(map(ast.unparse, [*node.decorator_list, *node.body]))
        for node in found
        if node.name.startswith("test_")
    }


def rows_of(section):
    """The cells of each line of a section's table, its header first."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def faults_of(page):
    """What is wrong with a page, a sentence each."""
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    titles = [section.partition("\n")[0] for section in sections]
    faults = [f"{title!r} is no section" for title in titles if title not in SECTIONS]
    faults += [f"there is no section {title!r}" for title in SECTIONS.difference(titles)]
    for title, section in zip(titles, sections, strict=True):
        header, _, *rows = rows_of(section) or [[], []]
        if header != HEADER or not rows:
            faults.append(f"{title}: no table of {', '.join(HEADER)}")
        faults += [f"{title}, {row[0]}: {fault}" for row in rows for fault in faults_in(row)]
    return faults


def faults_in(row):
    if len(row) != len(HEADER) or not all(row):
        yield "a cell is empty, missing, or one too many"
        return
    *_, ours, pinned = row
    if TEST.sub("", pinned).strip() or not TEST.search(pinned):
        yield "what pins it is no list of tests"
    sources = ""
    for name, test in TEST.findall(pinned):
        if test not in known_tests(name):
            yield f"there is no test {name}::{test}"
        sources += known_tests(name).get(test, "")
    for count in COUNT.findall(ours):
        if not re.search(rf"\b{count.replace(',', '')}\b", sources.replace("_", "")):
            yield f"its tests know of no {count}"


def test_every_line_is_whole_and_names_tests_that_there_are():
    assert faults_of(PAGE) == []


FIRST = re.search(r"`test_sampling\.py::test_s1_is_that_of_pillow`", PAGE)[0]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (FIRST, "", "a cell is empty"),
        (FIRST, "pillow", "no list of tests"),
        (FIRST, f"{FIRST} and others", "no list of tests"),
        (FIRST, "`test_sampling.py::test_s1_is_that_of_opencv`", "no test test_sampling.py::"),
        (FIRST, "`test_blurs.py::test_s1_is_that_of_pillow`", "no test test_blurs.py::"),
        ("| two filters, no sizes |", "| |", "a cell is empty"),
        ("| two filters, no sizes |", "|", "a cell is empty, missing"),
        ("| pinned by |", "| test |", "no table of what"),
        ("## Blur", "## Blurs", "'Blurs' is no section"),
        ("## Scores", "## Blur", "no section 'Scores'"),
        ("both to the digit; 8,061,411", "both to the digit; 8,061,412", "no 8,061,412"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(old, new, fault):
    assert old in PAGE
    assert any(fault in found for found in faults_of(PAGE.replace(old, new, 1)))
