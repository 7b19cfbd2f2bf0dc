"""The ledger of claims: what the results files hold, in the README and on the site, too."""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from test_project import ROOT

from deblurlib.errors import InputError
from deblurlib.report import keys, ledger, state, verdicts


@pytest.fixture(scope="module")
def entries():
    return ledger.read(ROOT)


@pytest.fixture
def standing(monkeypatch):
    """``standing("changed")``: from now on the state of every page."""

    def set_to(word):
        monkeypatch.setattr(state.Page, "state", state.State(word))

    set_to("current")
    return set_to


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A checkout with one published page of two claims; ``small(change)`` changes its results."""
    whole = json.loads((ROOT / "reports/results/02.json").read_text("utf-8"))
    whole["claims"] = whole["claims"][:2]
    notebook = next(p for p in keys.find_pages(ROOT / "notebooks") if keys.key_of(p) == "02")
    (tmp_path / "notebooks").mkdir()
    shutil.copy(notebook, tmp_path / "notebooks")
    (tmp_path / "reports/results").mkdir(parents=True)
    monkeypatch.setattr(keys, "project_root", lambda: tmp_path)

    def write(change=lambda results: None):
        results = copy.deepcopy(whole)
        change(results)
        path = tmp_path / "reports/results/02.json"
        path.write_text(json.dumps(results), "utf-8")
        return tmp_path

    write()
    return write


def stored():
    for path in sorted((ROOT / "reports/results").glob("*.json")):
        if keys.KEY.fullmatch(path.stem):
            yield path.stem, json.loads(path.read_text("utf-8"))["claims"]


def test_it_holds_every_published_claim_once_and_unchanged(entries):
    expected = [(key, claim) for key, claims in stored() for claim in claims]
    assert len(entries) == len(expected)
    assert len({e.id for e in entries}) == len(entries)
    for entry, (key, claim) in zip(entries, expected, strict=True):
        assert entry.page.key == key
        assert {name: getattr(entry, name) for name in claim} == claim


def test_the_counts_are_those_of_the_claims_and_the_sentence_says_them(entries):
    found = Counter((e.origin, e.verdict) for e in entries)
    counts = ledger.count(entries)
    assert {(o, v): n for o in counts for v, n in counts[o].items() if n} == found
    said = [int(n) for n in re.findall(r"\d+", ledger.sentence(entries))]
    parts = [[sum(numbers.values()), *numbers.values()] for numbers in counts.values()]
    assert said == [n for part in parts for n in part]


def test_the_readme_has_the_brief_of_today(entries):
    text = (ROOT / "README.md").read_text("utf-8")
    renew = "python -m deblurlib.report.ledger renews the README's table of claims"
    assert ledger.fill_in(text, entries) == text, renew
    with pytest.raises(InputError, match="claims -->"):
        ledger.fill_in(text.replace(ledger.END, ""), entries)


@pytest.mark.parametrize(
    ("name", "pages", "ids"),
    [
        ("06", {"06", "06b"}, "06"),  # a chapter: all its pages
        ("06b", {"06b"}, "06"),  # a page, though claims 06ba and 06bb begin like it
        ("02a", {"02"}, "02a"),
        ("02e", {"02"}, "02e"),  # the parts of one
    ],
)
def test_claims_are_chosen_by_chapter_page_id_or_its_beginning(entries, name, pages, ids):
    chosen = ledger.choose(entries, name)
    assert {e.page.key for e in chosen} == pages
    if name[-1].isdigit() or name in pages:
        assert chosen == [e for e in entries if e.page.key in pages]
    else:
        assert chosen == [e for e in entries if e.id.startswith(ids)]


def test_a_number_has_one_digit_more_than_its_margin(entries):
    for e in (e for e in entries if e.measured):
        digits = -(len(f"{e.margin:f}".rstrip("0").partition(".")[2]) + 1)
        assert abs(float(e.number(e.estimate)) - e.estimate) <= 0.5 * 10**digits


# ---- the command


def test_json_is_all_that_is_printed_and_it_is_whole(command, standing, entries):
    code, out, err = command("claims", "--json=-", "--verdict", "refuted", "--origin", "source")
    shown = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    wanted = [e for e in entries if (e.verdict, e.origin) == ("refuted", "source")]
    assert [c["id"] for c in shown] == [e.id for e in wanted]
    for told, entry in zip(shown, wanted, strict=True):
        assert (told["page"], told["estimate"]) == (entry.page.key, entry.estimate)
        assert told["state"] == "current"


@pytest.mark.parametrize(
    ("word", "marked"), [("current", 0), ("confirmed", 0), ("not replayed", 2), ("changed", 2)]
)
def test_a_result_that_is_not_confirmed_is_marked(command, standing, small, word, marked):
    standing(word)
    code, out, _ = command("claims")
    assert code == 0
    assert len(re.findall(r"(confirmed|refuted|undecided) \*", out)) == marked
    assert bool(re.search(r"^\* 02: ", out, re.MULTILINE)) == bool(marked)
    page = verdicts.page(ledger.read(small()), {})
    assert len(re.findall(r"\*</b>", page)) == marked
    assert (f"code of today: {word}" in page) == bool(marked)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_its_terminal_and_shows_every_claim(
    command, standing, entries, monkeypatch, width
):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("deblurlib.cli.command.sys.stdout.isatty", lambda: True, raising=False)
    code, out, _ = command("claims")
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)  # colours
    lines = out.splitlines()
    table = [line for line in lines if line[:1] in "┏┃┡│├└"]
    assert code == 0
    assert {len(line) for line in table} <= {*range(width + 1)}
    assert all(re.search(rf"^│ {e.id} ", out, re.MULTILINE) for e in entries)
    assert lines[-1] == ledger.sentence(entries)


def test_one_claim_is_shown_with_all_that_is_known_of_it(command, standing, entries):
    entry = next(e for e in entries if len(e.tests) > 1)
    code, out, _ = command("claims", entry.id)
    text = " ".join(out.split())
    assert code == 0
    for part in (entry.quote, entry.estimand, entry.interval, entry.claimed, entry.verdict):
        assert part in text
    for part in (*entry.tests, *entry.page.data, entry.counted, entry.page.title):
        assert part in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["99"], "'99'"),
        ([""], "''"),
        (["01"], "'01'"),  # a chapter that claims nothing
        (["--verdict", "maybe"], "'maybe'"),
        (["--origin", "mine"], "'mine'"),
    ],
)
def test_what_is_not_there_is_one_sentence(command, small, words, named):
    code, out, err = command("claims", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err


def test_nothing_published_and_a_damaged_file_are_one_sentence(command, small):
    def spoil(results):
        del results["claims"][1]["verdict"]

    root = small(spoil)
    path = root / "reports/results/02.json"
    for content in (path.read_text("utf-8"), "{", "[]"):
        path.write_text(content, "utf-8")
        code, out, err = command("claims", "--json", "-")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert str(path) in err
    shutil.rmtree(root / "reports")
    code, out, err = command("claims")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "reports/results" in err


def test_it_needs_no_pytorch():
    code = "import sys; from deblurlib import cli; from deblurlib.report import keys, ledger\n"
    code += "ledger.read(keys.project_root()); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---- the site's page


def test_the_page_of_verdicts_has_every_claim_with_its_anchor(standing, entries):
    text = verdicts.page(entries, {"02": "chapters/02_x"})
    found = re.findall(r'id="claims-(\w+)" data-verdict="(\w+)" data-origin="(\w+)"', text)
    assert found == [(e.id, e.verdict, e.origin) for e in entries]
    headings = re.findall(r"^## (\w+) ", text, re.MULTILINE)
    assert headings == list(dict.fromkeys(e.page.key for e in entries))
    assert text.count("](") == text.count("](chapters/02_x)") == 1
    for block in re.findall(r"<div class=\"claim.*?</div>", text, re.DOTALL):
        assert "\n\n" not in block  # Markdown would end it there
    assert verdicts.page([], {})


def test_quotes_cannot_break_the_page(small, standing):
    def change(results):
        results["claims"][0]["quote"] = "<script>a & b"

    text = verdicts.page(ledger.read(small(change)), {})
    assert "<script>" not in text
    assert "&lt;script&gt;a &amp; b" in text
