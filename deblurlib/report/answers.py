"""What each page answers to its question, in one sentence filled in from its results.

``docs/answers.json`` holds a sentence a page, with places for numbers, and the verdicts that it
rests on. A place is one of

- ``{02c}``: a claim's estimate with its unit;
- ``{gain of METHOD}``, ``{psnr of METHOD, DEGRADATION}``: of a line of the results' summary, in dB;
  with the degradation where the method has several lines; a gain is over the identity there.

Numbers are shown without a sign, for the words around them say which it is: a place of a number
below zero begins with a minus, ``{-04e}``. ::

    python -m deblurlib.report.answers   # write the sentences into the README's table
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from . import keys

PLACE = re.compile(r"\{(-?)(?:(psnr|gain) of )?([^{}]+)\}")
#: of the README's table: a page's row, whose last cell is its answer
ROW = re.compile(rf"^(\| ({keys.KEY.pattern}) \|.*\|) [^|\n]+ \|$", re.MULTILINE)
DECIMALS = {"dB": 1}
FINE = 3  # decimals of every other unit


def read(root: Path) -> dict[str, dict]:
    """Page's key -> its ``answer`` and the verdicts that it ``rests_on``, as written by hand."""
    return json.loads((root / "docs" / "answers.json").read_text("utf-8"))


def published(root: Path) -> dict[str, dict]:
    """Page's key -> its results, of all that are published."""
    paths = sorted((root / "reports" / "results").glob("*.json"))
    return {p.stem: json.loads(p.read_text("utf-8")) for p in paths if keys.KEY.fullmatch(p.stem)}


def outlived(answer: Mapping, results: Mapping) -> list[str]:
    """What an answer rests on and the results do not say (any more), a line each."""
    found = {claim["id"]: claim["verdict"] for claim in results["claims"]}
    return [
        f"{claim}: {verdict} when the answer was written, now {found.get(claim, 'not there')}"
        for claim, verdict in answer["rests_on"].items()
        if found.get(claim) != verdict
    ]


def fill(answer: Mapping, results: Mapping) -> str:
    """The sentence, with its numbers.

    Raises:
        InputError: a number is not in the results or has another sign, or a verdict has changed.
    """
    if gone := outlived(answer, results):
        raise InputError(f"{results['chapter']}: {'; '.join(gone)}")

    def number(place: re.Match) -> str:
        minus, column, name = place.groups()
        value, unit = _of_summary(column, name, results) if column else _of_claim(name, results)
        if value is None or (value < 0) != bool(minus):
            raise InputError(f"{results['chapter']}: {place[0]} is {value}")
        return f"{abs(value):.{DECIMALS.get(unit, FINE)}f} {unit}"

    return PLACE.sub(number, answer["answer"])


def of_pages(root: Path) -> dict[str, str]:
    """Page's key -> its sentence, of the published pages whose results bear theirs out."""
    written, told = read(root), {}
    for key, results in published(root).items():
        try:
            told[key] = fill(written[key], results)
        except (InputError, KeyError):  # the page says by itself what it found
            continue
    return told


def into_table(text: str, told: Mapping[str, str]) -> str:
    """The README with each published page's answer in the last cell of its row."""
    return ROW.sub(lambda row: f"{row[1]} {told[row[2]]} |" if row[2] in told else row[0], text)


def _of_claim(name: str, results: Mapping) -> tuple[float | None, str]:
    """A claim's estimate and unit."""
    for claim in results["claims"]:
        if claim["id"] == name:
            return claim["estimate"], claim["unit"]
    raise InputError(f"{results['chapter']}: there is no claim {name!r}")


def _of_summary(column: str, name: str, results: Mapping) -> tuple[float, str]:
    """A method's PSNR or its gain, in dB."""
    lines = results["summary"]
    found = [one for one in lines if name in (one["method"], _full_name(one))]
    if len(found) != 1:
        raise InputError(f"{results['chapter']}: {len(found)} lines of the summary are {name!r}")
    (line,) = found
    if column == "psnr":
        return line["psnr"], "dB"
    if "psnr_gain" in line:
        return line["psnr_gain"], "dB"
    identity, _ = _of_summary("psnr", _full_name(line | {"method": "identity"}), results)
    return line["psnr"] - identity, "dB"


def _full_name(line: Mapping) -> str:
    return f"{line['method']}, {line.get('degradation')}"


def main() -> None:
    root = keys.project_root()
    text = (root / "README.md").read_text("utf-8")
    write_whole(root / "README.md", into_table(text, of_pages(root)))


if __name__ == "__main__":
    main()
