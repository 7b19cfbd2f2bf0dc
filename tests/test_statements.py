"""Sentences that depend on numbers, and whether the tables of their page bear them out."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from deblurlib.report.statements import Statement, statements

REPORTS = Path(__file__).parents[1] / "reports"
SCORES = """\
| blur | gain, dB | p | range | verdict |
| :--- | ---: | ---: | :--- | :--- |
| `motion` | +0.42 | 1e-4 | 0.42 to 0.51 | **stands** |
| box | -1.50 | 0.04 | -2 to 0 | open |

<details><summary>2 more rows</summary>

| blur | gain, dB | p | range | verdict |
| :--- | ---: | ---: | :--- | :--- |
| a \\| b | 3 | 0.5 | 2 to 4 | open |
| 15 | −0.25 | 1.0 | -1 to 1 | open |

</details>"""


def page_of(*texts, **tables):
    """A page with a cell of text for each of ``texts``, and the tables."""

    def table(name, text):
        metadata = {"deblurlib": {"artefact": f"table:{name}"}}
        return new_output("display_data", data={"text/markdown": text}, metadata=metadata)

    outputs = [table(name, text) for name, text in ({"scores": SCORES} | tables).items()]
    cells = [new_markdown_cell(text, id=f"text-{i}") for i, text in enumerate(texts)]
    return new_notebook(cells=[*cells, new_code_cell("draw()", outputs=outputs)])


def judge(expression):
    (statement,) = statements(page_of(f"It is so. <!-- holds: {expression} -->"))
    return statement


@pytest.mark.parametrize(
    "expression",
    [
        "scores['motion', 'gain, dB'] == 0.42",
        "scores['motion', 'p'] == 0.0001 < scores['box', 'p'] <= 0.05",
        "scores['motion', 'range'] == '0.42 to 0.51' and scores['motion', 'verdict'] == 'stands'",
        "scores['gain, dB'] == [0.42, -1.5, 3, -0.25]",
        "len(scores['blur']) == 4 and scores['blur'][0] == 'motion'",
        "scores['a | b', 'gain, dB'] - 2 * scores[15, 'gain, dB'] == 3.5",
        "scores['15', 'gain, dB'] == scores[15, 'gain, dB']",
        "all(p < 1 for b, p in zip(scores['blur'], scores['p']) if b in ('box', 'a | b'))",
        "not any([abs(x) > 3 for x in scores['gain, dB']])",
        "sorted(scores['gain, dB'])[-2:] == [0.42, 3] and max(scores['p']) == 1",
        "round(sum(scores['gain, dB']) / 4, 1) == 0.4 and min(range(2, 4)) == 2",
        "+scores['box', 'p'] in [0.04] and scores['box', 'verdict'] != 'stands'",
    ],
)
def test_a_statement_that_the_tables_bear_out_holds(expression):
    assert judge(expression) == Statement("text-0", "It is so.", expression, True)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("scores['motion', 'gain, dB'] > 1", "scores['motion', 'gain, dB'] is 0.42"),
        ("all(x > 0 for x in scores['gain, dB'])", "scores['gain, dB'] is [0.42, -1.5, 3, -0.25]"),
        ("1 > 2", "it is false"),
        ("scores['motion', 'gain']", "scores has no column 'gain'; it has 'blur', 'gain, dB'"),
        ("scores['gauss', 'p'] < 1", "scores has no row 'gauss'"),
        (
            "scores['motion', 'p', 'p'] < 1",
            "a cell is scores['row', 'column'], not scores['motion', ",
        ),
        ("scores['motion', 'p']", "it is 0.0001, neither true nor false"),
        ("scores['motion', 'range'] > 0", "not supported between"),
        ("other['motion', 'p'] < 1", "name 'other' is not defined"),
        ("1 / 0 > 1", "division by zero"),
        ("1 <", "invalid syntax"),
        ("", "invalid syntax"),
    ],
)
def test_a_statement_that_does_not_hold_says_why(expression, why):
    statement = judge(expression)
    assert not statement.holds
    assert why in statement.why


@pytest.mark.parametrize(
    "expression",
    [
        "scores.header == []",
        "().__class__ == tuple",
        "__builtins__ == {}",
        "(lambda: True)()",
        "open('x') == 1",
        "[f for f in (max, min)][0](1, 2) == 2",
        "sorted([1], key=abs) == [1]",
        "max(*[1, 2]) == 2",
        "2 ** 3 == 8",
        "(x := 1) == 1",
        "f'{1}' == '1'",
        "{1} == {1}",
        "True if 1 else False",
    ],
)
def test_nothing_else_is_evaluated(expression):
    assert judge(expression).why.endswith("is not allowed")


def test_statements_are_found_behind_their_sentences():
    first = (
        "## Title\n\nNothing here. The *gain* is positive (a `b`, e.g. 0.4 dB),\nby far."
        " <!-- holds: 1 > 0 --> <!-- holds:\n 2 > 1\n and 3 > 2 --> More. <!-- a comment -->"
    )
    second = "- one. <!-- holds: 1 > 2 -->\n- Is two? Yes.\n  <!-- holds 1 > 0 -->"
    found = statements(page_of(first, "None.", second))
    sentence = "The *gain* is positive (a `b`, e.g. 0.4 dB), by far."
    assert found == [
        Statement("text-0", sentence, "1 > 0", True),
        Statement("text-0", sentence, "2 > 1 and 3 > 2", True),
        Statement("text-2", "one.", "1 > 2", False, "it is false"),
        Statement(
            "text-2", "Yes.", "1 > 0", False, "a colon is missing: <!-- holds: EXPRESSION -->"
        ),
    ]


def test_a_row_or_column_that_is_there_twice_is_ambiguous():
    table = "| a | b | b |\n| --- | --- | --- |\n| x | 1 | 2 |\n| x | 1 | 2 |"
    page = page_of("S. <!-- holds: t['x', 'a'] -->", "S. <!-- holds: t['b'] -->", t=table)
    assert [one.why for one in statements(page)] == [
        "t has 2 rows 'x'",
        "t has no column 'b'; it has 'a', 'b', 'b'",
    ]


def those_that_do_not_hold(folder):
    pages = {path.name: nbformat.read(path, 4) for path in sorted(folder.glob("*.ipynb"))}
    return {
        f"{name}: {statement.text}": statement.why
        for name, page in pages.items()
        for statement in statements(page)
        if not statement.holds
    }


def test_what_the_published_pages_say_of_their_numbers_holds(tmp_path):
    assert those_that_do_not_hold(REPORTS) == {}
    wrong = page_of("Motion loses. <!-- holds: scores['motion', 'gain, dB'] < 0 -->")
    nbformat.write(wrong, tmp_path / "01_wrong.ipynb")
    assert those_that_do_not_hold(tmp_path) == {
        "01_wrong.ipynb: Motion loses.": "scores['motion', 'gain, dB'] is 0.42"
    }
