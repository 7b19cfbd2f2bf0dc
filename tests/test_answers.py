"""The sentence with which a page answers its question rests on what was measured."""

import re

import pytest

from deblurlib.errors import InputError
from deblurlib.report import answers, keys

ROOT = keys.project_root()
WRITTEN, PUBLISHED = answers.read(ROOT), answers.published(ROOT)
BOTH = sorted(WRITTEN.keys() & PUBLISHED.keys())
RESULTS = {
    "chapter": "02",
    "claims": [
        {"id": "02a", "estimate": 0.26, "unit": "dB", "verdict": "confirmed"},
        {"id": "02b", "estimate": -0.0364, "unit": "SSIM", "verdict": "undecided"},
        {"id": "02c", "estimate": None, "unit": "dB", "verdict": "undecided"},
    ],
    "summary": [
        {"method": "identity", "degradation": "a, b", "psnr": 20.0},
        {"method": "net", "degradation": "a, b", "psnr": 18.5},
        {"method": "identity", "degradation": "c", "psnr": 30.0},
        {"method": "srn", "psnr": 25.0, "psnr_gain": 2.04},
    ],
}


def filled(text, **rests_on):
    return answers.fill({"answer": text, "rests_on": rests_on}, RESULTS)


def test_every_published_page_has_an_answer():
    assert [key for key in PUBLISHED if key not in WRITTEN] == []


@pytest.mark.parametrize("key", BOTH)
def test_an_answer_is_one_short_sentence_that_its_results_bear_out(key):
    answer = WRITTEN[key]
    assert answers.outlived(answer, PUBLISHED[key]) == []
    sentence = answers.fill(answer, PUBLISHED[key])
    assert len(sentence.split()) <= 30
    assert sentence.endswith(".")
    assert not re.search(r"[.!?] |[{}|<>]", sentence)


@pytest.mark.parametrize("key", BOTH)
def test_an_answer_rests_on_the_verdict_of_each_claim_whose_number_it_says(key):
    claims = {
        name for _, column, name in answers.PLACE.findall(WRITTEN[key]["answer"]) if not column
    }
    assert claims <= WRITTEN[key]["rests_on"].keys()


def test_the_readme_has_the_answers_of_today():
    readme = (ROOT / "README.md").read_text("utf-8")
    told = answers.of_pages(ROOT)
    assert answers.into_table(readme, told) == readme, "python -m deblurlib.report.answers"
    assert [key for key in told if f"\n| {key} | " not in readme] == []


def test_numbers_are_filled_in_with_their_unit_and_without_their_sign():
    assert filled("{02a}, {-02b}") == "0.3 dB, 0.036 SSIM"
    assert filled("{gain of srn}, {psnr of srn}") == "2.0 dB, 25.0 dB"
    assert filled("{-gain of net}, {psnr of identity, c}") == "1.5 dB, 30.0 dB"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{-02a}", "0.26"),
        ("{02b}", "-0.0364"),
        ("{02c}", "None"),
        ("{02x}", "no claim '02x'"),
        ("{gain of nobody}", "0 lines"),
        ("{psnr of identity}", "2 lines"),
    ],
)
def test_a_number_of_another_sign_or_of_nothing_is_refused(text, told):
    with pytest.raises(InputError, match=told):
        filled(text)


def test_a_sentence_does_not_outlive_its_verdict():
    assert filled("So.", **{"02a": "confirmed"}) == "So."
    with pytest.raises(InputError, match=r"02a: undecided when .* now confirmed"):
        filled("So.", **{"02a": "undecided"})
    with pytest.raises(InputError, match=r"02x: refuted when .* now not there"):
        filled("So.", **{"02x": "refuted"})


def test_only_rows_of_pages_with_an_answer_change():
    table = "| 02 | [A](a) | why? | old |\n| 02b | B | how? | old |\n| 07 | C | what? | to come |\n"
    table += "| x | 02 | y | z |\n"
    told = {"02": "new", "03": "lost"}
    assert answers.into_table(table, told) == table.replace("why? | old", "why? | new")
