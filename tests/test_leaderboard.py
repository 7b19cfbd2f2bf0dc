"""The site's leaderboard: what it accepts, and what a reader chooses, sorts and filters."""

import json
import shutil
from pathlib import Path

import pytest
from browsing import NEEDS_BROWSER, chromium  # noqa: F401
from playwright.sync_api import expect

from deblurlib.errors import InputError
from deblurlib.report import leaderboard

STATIC = Path(__file__).resolve().parents[1] / "docs" / "_static"
GAINS = {"identity": 0.0, "srn": 1.0, "blind-edges": -0.5, "wiener": 2.0}
KERNELS = {"blind-edges": "found", "wiener": "needed"}
CASES = [("own", blur, noise) for blur in ("box", "shake") for noise in (0, 0.01)]
CASES += [("street", "recorded", None)]


def line(method, case, **other):
    gain = GAINS[method] * (2 if case[1] == "shake" else 1)
    about = dict(zip(("data", "degradation", "noise"), case, strict=True))
    scores = {"psnr": 25 + gain, "psnr_gain": gain, "lo": gain - 0.2, "hi": gain + 0.2}
    scores |= {"ssim": 0.8, "win_rate": 0.5, "n": 20, "group": 1}
    seen = method == "srn" and case[0] == "street"
    kernel = KERNELS.get(method, "")
    return {"method": method, **about, **scores, "kernel": kernel, "contaminated": seen} | other


def all_lines():
    return [line(method, case) for case in CASES for method in GAINS]


def cost(method, seconds, side=768):
    return {
        "method": method,
        "side": side,
        "seconds_per_megapixel": seconds,
        "memory_mb_per_megapixel": 30,
        "parameters": 7,
    }


def write(root, cases=(), timings=None):
    for path, content in (
        (leaderboard.COST, cases and {"cases": list(cases), "machine": {}}),
        (leaderboard.TIMINGS, timings),
    ):
        if content:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(json.dumps(content), "utf-8")
    return root


def data_of(page):
    text = page.partition('id="board-data">')[2].partition("</script>")[0]
    return json.loads(text)


def test_without_published_rows_the_page_says_so(tmp_path):
    assert leaderboard.read_lines(tmp_path) is None
    assert "board-data" not in leaderboard.page(None, tmp_path)


def test_damaged_rows_are_refused_by_name(tmp_path):
    path = tmp_path / leaderboard.ROWS
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no gzip")
    with pytest.raises(InputError, match=path.name):
        leaderboard.read_lines(tmp_path)


def test_the_page_holds_every_line_as_a_row_and_as_data(tmp_path):
    evil = "</script><b>"
    lines = [*all_lines(), line("srn", CASES[0]) | {"method": evil, "lo": None, "hi": None}]
    page = leaderboard.page(lines, tmp_path)
    assert page.count("<tr>") == len(lines) + 1
    assert [entry["method"] for entry in data_of(page)["lines"]] == [r["method"] for r in lines]
    assert evil not in page
    marked = [row for row in page.split("<tr>") if "trained on" in row]
    assert len(marked) == sum(entry["contaminated"] for entry in lines)


def test_costs_are_those_of_the_largest_picture_else_of_the_study(tmp_path):
    cases = [cost("srn", 5), cost("srn", 9, side=256)]
    timings = {"machine": "m", "seconds": {"srn": 0.1, "wiener": 0.2}}
    costs = data_of(leaderboard.page(all_lines(), write(tmp_path, cases, timings)))["costs"]
    assert costs["srn"]["seconds_per_megapixel"] == 5
    assert costs["wiener"] == {"seconds_per_picture": 0.2}


@pytest.mark.parametrize("place", ["TIMINGS", "COST"])
@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cases": [{}], "seconds": {"srn": null}}'])
def test_other_bad_files_are_refused_by_name(tmp_path, place, text):
    path = tmp_path / getattr(leaderboard, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=path.name):
        leaderboard.page(all_lines(), tmp_path)


# ---- in a browser


@pytest.fixture
def board(chromium, tmp_path):  # noqa: F811
    """``board(hash)``: the page opened from the disk; a section around it is as Sphinx makes it."""
    cases = [cost("identity", 0.1), cost("wiener", 10), cost("blind-edges", 9)]
    lines = [
        line | {"lo": None, "hi": None} if line["data"] == "street" else line
        for line in all_lines()
    ]
    text = leaderboard.page(lines, write(tmp_path, cases))
    shutil.copytree(STATIC, tmp_path / "_static")
    file = tmp_path / "leaderboard.html"
    file.write_text(f'<meta charset="utf-8"><section id="leaderboard">{text}</section>', "utf-8")
    page, errors = chromium.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(lambda url: not url.startswith("file:"), lambda route: route.abort())

    def visit(state=""):
        page.goto("about:blank")
        page.goto(file.as_uri() + state)
        return page

    yield visit
    page.close()
    assert errors == []


def shown(page):
    names = page.locator("#board tbody th").evaluate_all(
        "cells => cells.map(cell => cell.firstChild.textContent)"
    )
    gains = page.locator("#board tbody td:nth-child(3)").all_inner_texts()
    return dict(zip(names, gains, strict=True))


@NEEDS_BROWSER[1]
@pytest.mark.browser
def test_it_begins_with_blind_methods_on_all_blurs_and_a_link_holds_a_choice(board):
    page = board()
    assert list(shown(page)) == ["srn", "identity", "blind-edges"]
    assert shown(page)["srn"].startswith("+1.50 (+1.00 to +2.00)")  # mean, least and most
    page.get_by_label("I know of the blur").select_option("kernel")
    page.get_by_label("Blur", exact=True).select_option("shake")
    assert shown(page)["wiener"].startswith("+4.00 (+3.80 to +4.20)")
    address = page.url.partition("#")[2]
    chosen = shown(page)
    assert shown(board(f"#{address}")) == chosen
    assert list(shown(board("#data=no&sort=no&noise=x"))) == ["srn", "identity", "blind-edges"]


@NEEDS_BROWSER[1]
@pytest.mark.browser
def test_headers_sort_by_the_keyboard_and_say_so_and_numbers_are_no_words(board):
    page = board("#know=kernel")
    header = page.get_by_role("columnheader", name="s/Mpx")
    header.get_by_role("button").press("Enter")
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert list(shown(page)) == ["identity", "blind-edges", "wiener", "srn"]
    header.get_by_role("button").press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    assert list(shown(page)) == ["wiener", "blind-edges", "identity", "srn"]  # unknown: last
    assert page.locator("[aria-sort]").count() == 1


@NEEDS_BROWSER[1]
@pytest.mark.browser
def test_a_filter_leaves_the_identity_and_a_contaminated_row_is_marked_and_explained(board):
    page = board("#data=street")
    row = page.get_by_role("row", name="srn")
    expect(row).to_contain_text("trained on these")
    expect(page.locator(".board-note")).to_contain_text("Trained on these")
    page.get_by_label("Method", exact=True).press_sequentially("EDGES")
    assert set(shown(page)) == {"identity", "blind-edges"}
    expect(page.locator(".board-note")).not_to_contain_text("Trained on these")
    page.get_by_label("Pictures").select_option("own")
    assert set(shown(page)) == {"identity", "blind-edges"}
