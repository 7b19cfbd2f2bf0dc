"""What counts as the same when a chapter is published again: numbers, texts, results, figures."""

import base64
import io
import json
from decimal import Decimal

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from deblurlib.report import sameness
from deblurlib.studies.rows import pack, to_csv


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("25.66", "25.67", True),
        ("25.66", "25.68", False),
        ("25.66", "25.6699", True),
        ("0.341316", "0.3413161217", True),
        ("0.341315", "0.3413161217", False),
        ("-0.01", "0.00", True),
        ("+0.50", "0.5", True),
        ("-0.25", "0.25", False),
        ("9.99e-05", "1.00e-04", True),
        ("1.5e-07", "1.5e-06", False),
        ("20", "21", False),
        ("20", "20.4", False),  # a whole number is a count
        ("-1", "1", False),
    ],
)
def test_numbers_are_the_same_within_a_unit_of_the_coarser_ones_last_digit(one, other, expected):
    for around in ("{}", "gain {} dB", "| {} |", "a,{},b", "({})", "x = {}.", "{}%"):
        texts = [around.format(number) for number in (one, other)]
        assert sameness.same_text(*texts) is expected
        assert sameness.same_text(*texts[::-1]) is expected


@settings(max_examples=40)
@given(st.decimals(-1000, 1000, places=4, allow_nan=False), st.integers(-3, 3), st.integers(1, 4))
def test_a_number_is_the_same_as_itself_a_few_units_on_if_they_are_not_more_than_one(
    x, units, places
):
    coarse = f"{x:.{places}f}"
    moved = Decimal(coarse) + Decimal(units).scaleb(-places)
    expected = abs(units) <= 1
    assert sameness.same_text(coarse, f"{moved:.{places}f}") is expected
    assert sameness.same_text(f"{moved:.{places}f}" + "00", coarse) is expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("run 1234567890e1", "run 1234567891e1"),
        ("run 0.5e1f", "run 0.6e1f"),
        ("version 2.15.0", "version 2.15.1"),
        ("version 2.1.5", "version 2.2.5"),
        ("on 2026-11-22", "on 2026-11-23"),
        ("at 00:21:15.1", "at 00:21:16.1"),
        ("noise-0.5", "noise-0.6"),
        ("figures/01_2.5.png", "figures/01_2.6.png"),
        ("a_0.5", "a_0.6"),
        ("cost 0.5 dB", "costs 0.5 dB"),
        ("0.5", "0.5 0.5"),
        ("0.5", "0.5\n"),
        ("nan", "0.5"),
        ("0.5", ""),
    ],
)
def test_words_names_and_hashes_are_the_same_only_if_they_are_equal(one, other):
    assert not sameness.same_text(one, other)
    assert not sameness.same_text(other, one)
    assert sameness.same_text(one, one)


def test_lines_that_an_author_wrote_are_compared_exactly():
    old, new = "noise = 0.02\n25.66 dB\n", "noise = 0.03\n25.67 dB\n"
    assert sameness.same_text(old, new)
    assert not sameness.same_text(old, new, exactly={"noise = 0.03"})
    assert sameness.same_text(old, old.replace("25.66", "25.67"), exactly={"noise = 0.02"})


def test_next_to_a_nought_of_known_digits_the_other_numbers_count():
    assert not sameness.near("0.0", "0.0000004", 6)
    assert sameness.near("0.0", "-0.0", 6)
    assert sameness.near("0.0", "0.0000004")


def page(sentence, more="25.66 dB"):
    head = "<details><summary>How this page was made: profile report, data a</summary>"
    return f"# 01\n\n{head}\n\n{sentence}\n\n</details>\n\n{more}\n"


def test_a_page_is_the_same_whatever_its_stamp_says():
    one = page("Profile `report`; 12 s; finished 2026. Code 0123, commit a.")
    other = page("Profile `report`; 99 s; finished 2027. Code 4567, no commit.", "25.67 dB")
    assert sameness.same_page(one, other)
    assert not sameness.same_page(one, page("", "25.69 dB"))
    assert not sameness.same_page(one, other.replace("data a", "data b"))
    assert not sameness.same_page(one, other.replace("# 01", "# 02"))


def table(psnr, seed=0):
    row = {"method": "a", "run": "0123456789e4", "seed": seed, "data": "d", "channels": "rgb"}
    row |= {"degradation": "g", "draw": 0, "image": "1.png", "psnr": psnr}
    return pack(to_csv([row]))


def test_packed_rows_are_compared_unpacked_to_six_digits():
    assert sameness.same_rows(table(25.66), table(25.66 + 1e-4))
    assert not sameness.same_rows(table(25.66), table(25.66 + 2e-4))
    assert sameness.same_rows(table(20.0), table(20.0001))
    assert not sameness.same_rows(table(20.0), table(20.1))  # written as 20
    assert not sameness.same_rows(table(0.5), table(0.6))  # six digits, though one is written
    assert not sameness.same_rows(table(25.0), table(25.0, seed=1))
    for damaged in (b"cut", table(25.0)[:-9], table(25.0)[:20]):
        assert not sameness.same_rows(damaged, table(25.0))
    other = bytearray(table(25.0))
    other[4:8] = b"when"  # gzip's time stamp
    assert sameness.same_rows(bytes(other), table(25.0))


def a_file():
    stamp = {"code": "a", "commit": "b", "dirty": False, "wall_seconds": 1.0, "finished": "now"}
    stamp |= {"device": "cpu", "seeds": [0], "versions": {"torch": "2.15.0"}}
    claim = {"id": "01a", "margin": 0.1, "estimate": 0.3413161217752781, "n": 1, "verdict": None}
    return {"schema": 2, "stamp": stamp, "claims": [claim]}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        *((("stamp", key), "other", True) for key in sameness.VOLATILE),
        (("confirmed",), {"code": "c"}, True),
        (("claims", 0, "estimate"), 0.3413161217752791, True),
        (("claims", 0, "margin"), 0.10000000000000002, True),
        (("claims", 0, "margin"), 0.2, False),  # written with one digit, but known to more
        (("claims", 0, "n"), 4, False),
        (("claims", 0, "n"), True, False),
        (("claims", 0, "verdict"), "confirmed", False),
        (("claims", 0, "estimate"), float("nan"), False),
        (("claims", 0, "more"), None, False),
        (("claims",), [], False),
        (("stamp", "seeds"), [1], False),
        (("schema",), 1, False),
    ],
)
def test_results_are_the_same_if_all_but_where_they_come_from_is(path, value, expected):
    file = a_file()
    *parents, last = path
    inner = file
    for step in parents:
        inner = inner[step]
    inner[last] = value
    old, new = json.dumps(a_file(), indent=1, sort_keys=True), json.dumps(file)
    assert sameness.same_results(old, new) is expected
    assert sameness.same_results(new, old) is expected


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"stamp": 1}'])
def test_what_is_no_results_file_is_not_the_same(text):
    assert not sameness.same_results(text, json.dumps(a_file()))


def png(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png", **options)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("same", "packed"),
    [(sameness.same_figure, png), (sameness.same_pictures, lambda array: npz(one=array))],
)
def test_figures_and_pictures_are_the_same_if_no_channel_differs_by_more_than_1(rand, same, packed):
    one = (rand(9, 7, 4) * 200).byte().numpy()
    for channel in range(4):
        for by, expected in ((1, True), (2, False), (255, False)):
            other = one.copy()
            other[3, 2, channel] = min(int(one[3, 2, channel]) + by, 255)
            assert same(packed(one), packed(other)) is expected
            assert same(packed(other), packed(one)) is expected
    assert not same(packed(one), packed(one[:-1]))
    assert not same(packed(one), packed(one.swapaxes(0, 1)))


def test_figures_are_compared_unpacked_and_pictures_by_their_names(rand):
    one = (rand(9, 7, 4) * 200).byte().numpy()
    assert sameness.same_figure(png(one), png(one, compress_level=0))
    for damaged in (png(one)[:50], b""):
        assert not sameness.same_figure(damaged, png(one))
    assert sameness.same_pictures(npz(a=one, b=one), npz(b=one, a=one))
    assert not sameness.same_pictures(npz(a=one), npz(b=one))
    assert not sameness.same_pictures(npz(a=one, b=one), npz(a=one))
    for damaged in (b"", b"PK\x03\x04", npz(a=one)[:-30]):
        assert not sameness.same_pictures(damaged, npz(a=one))


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=30)
@given(
    st.dictionaries(st.text(), values),
    st.sampled_from([None, 1]),
    st.sampled_from(["confirmed", "a\n"]),
    values,
    values,
)
def test_an_entry_is_set_and_all_else_stays_as_it_is_written(file, indent, key, first, second):
    file.pop(key, None)
    text = json.dumps(file, indent=indent, ensure_ascii=False)
    once = sameness.with_entry(text, key, first)
    twice = sameness.with_entry(once, key, second)
    assert json.loads(once) == {key: first} | file
    assert json.loads(twice) == {key: second} | file
    assert once.endswith(text.partition("{")[2])
    assert twice.endswith(text.partition("{")[2])
    assert sameness.with_entry(twice, key, first) == once
    last = json.dumps(file | {key: first}, indent=indent)
    assert json.loads(sameness.with_entry(last, key, second)) == file | {key: second}


def notebook(printed="25.66 dB", source="x = 1.5", shade=0, made="on Monday"):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 100 + shade, np.uint8)).save(buffer, "png")
    book = base64.b64encode(buffer.getvalue()).decode()
    html = f'<img src="data:image/png;base64,{book}"> {printed}'
    output = new_output("display_data", data={"text/html": html, "text/plain": printed})
    stamp = f"<summary>How this page was made: so</summary>\n\n{made}\n\n</details>"
    cells = [
        new_markdown_cell(stamp, id="stamp"),
        new_code_cell(source, id="a", outputs=[output]),
    ]
    return nbformat.writes(new_notebook(cells=cells))


def test_executed_notebooks_are_the_same_but_for_last_digits_shades_and_when_they_were_made():
    for other in ({"printed": "25.67 dB"}, {"shade": 1}, {"made": "on Tuesday"}):
        assert sameness.same_notebook(notebook(), notebook(**other))
    for other in ({"printed": "25.68 dB"}, {"shade": 2}, {"source": "x = 1.6"}):
        assert not sameness.same_notebook(notebook(), notebook(**other))
    for damaged in ("{", "{}", notebook().replace("display_data", "stream"), "[]"):
        assert not sameness.same_notebook(damaged, notebook())
    without = nbformat.reads(notebook(), 4)
    without.cells[1].outputs = []
    assert not sameness.same_notebook(notebook(), nbformat.writes(without))
