"""Whether new texts, results and figures say the same as the published ones.

Two numbers are the same if they differ by at most one unit in the last digit of the coarser one:
25.66 is 25.67 and 25.6612, but not 25.68. Whole numbers, and digits within names, dates, versions
and hashes, must be equal.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import cast
from zipfile import BadZipFile

import nbformat
import numpy as np
from PIL import Image

#: entries of a stamp that may differ between two executions with the same results
VOLATILE = ("code", "commit", "dirty", "device", "versions", "wall_seconds", "finished")
DIGITS = 6  # of the floats in rows; one that is written with fewer ends in zeros
#: a number that stands alone: not part of a word, a path, a version, a date or a range
NUMBER = re.compile(
    r"(?<![\w.])(?<![\w.][-+])([-+]?\d+(?:\.\d+)?(?:[eE][-+]\d+)?)(?![-+]?\.?\w)", re.ASCII
)
DATA_URI = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]*)")
STAMP = re.compile(r"(<summary>How this page was made: [^\n]*</summary>\n\n).*?(\n\n</details>)")


def near(old: str, new: str, digits: int = 0) -> bool:
    """Whether two numbers, as they are written, are the same.

    Args:
        digits: how many both numbers have, even if they show fewer; 0: as many as they show.
    """
    a, b = Decimal(old), Decimal(new)
    if a == b:
        return True
    whole = [text.lstrip("+-").isdigit() for text in (old, new)]
    if all(whole) or (any(whole) and not digits):
        return False
    # a 0 shows no digits, so that the other number's count
    places = [_last_place(z, digits) for z in (a, b) if z or not digits]
    return abs(a - b) <= Decimal(1).scaleb(max(places))


def _last_place(number: Decimal, digits: int) -> int:
    return number.adjusted() - digits + 1 if digits else int(number.as_tuple().exponent)


def same_text(old: str, new: str, digits: int = 0, exactly: Collection[str] = ()) -> bool:
    """Whether two texts are the same but for their numbers' last digits.

    Args:
        exactly: lines of ``new`` in which every digit counts.
    """
    if old == new:
        return True
    pairs = old.split("\n"), new.split("\n")
    return len(pairs[0]) == len(pairs[1]) and all(
        a == b or (b not in exactly and _same_line(a, b, digits))
        for a, b in zip(*pairs, strict=True)
    )


def _same_line(old: str, new: str, digits: int) -> bool:
    parts = NUMBER.split(old), NUMBER.split(new)  # words, number, words, number, ... words
    return parts[0][::2] == parts[1][::2] and all(
        near(a, b, digits) for a, b in zip(parts[0][1::2], parts[1][1::2], strict=True)
    )


def same_page(old: str, new: str, exactly: Collection[str] = ()) -> bool:
    """Whether two published pages are the same but for the stamp's sentence."""
    before, after = (STAMP.sub(r"\1\2", page) for page in (old, new))
    return same_text(before, after, exactly=exactly)


def same_notebook(old: str, new: str) -> bool:
    """Whether two published, executed notebooks are the same but for the stamp's sentence.

    Every digit counts in the cells' sources; in outputs, all but the numbers' last ones.
    """
    try:
        files = [nbformat.reads(text, as_version=4) for text in (old, new)]
        for cell in (cell for file in files for cell in file.cells):
            if cell.id == "stamp":
                cell.source = STAMP.sub(r"\1\2", cell.source)
    except (ValueError, AttributeError, nbformat.ValidationError):
        return False  # damaged: to be replaced
    return _same_node(*files)


def _same_node(old: object, new: object) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        exactly = {"source", "id"}
        return old.keys() == new.keys() and all(
            old[k] == new[k] if k in exactly else _same_node(old[k], new[k]) for k in old
        )
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same_node, old, new))
    if isinstance(old, str) and isinstance(new, str):
        return old == new or _same_html(old, new)
    return type(old) is type(new) and old == new


def _same_html(old: str, new: str) -> bool:
    """Whether texts are the same, and pictures that they hold as :func:`same_figure` says."""
    parts = [DATA_URI.split(text) for text in (old, new)]
    pictures = zip(*(map(base64.b64decode, part[1::2]) for part in parts), strict=False)
    return (
        len(parts[0]) == len(parts[1])
        and all(map(same_text, *(part[::2] for part in parts)))
        and all(same_figure(*pair) for pair in pictures)
    )


def same_rows(old: bytes, new: bytes) -> bool:
    """Whether two compressed tables are the same, unpacked."""
    try:
        before, after = (gzip.decompress(packed).decode("utf-8") for packed in (old, new))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return False
    return same_text(before, after, digits=DIGITS)


def same_results(old: str, new: str) -> bool:
    """Whether two results files say the same, whatever their stamps and confirmations say."""
    try:
        files = [json.loads(text) for text in (old, new)]
    except json.JSONDecodeError:
        return False
    if not all(isinstance(file, dict) and isinstance(file.get("stamp"), dict) for file in files):
        return False
    for file in files:
        file.pop("confirmed", None)
        file["stamp"] = {k: v for k, v in file["stamp"].items() if k not in VOLATILE}
    return same_values(*files)


def in_six_digits(old: float, new: float) -> bool:
    """Whether two numbers are the same to six digits."""
    finite = math.isfinite(old) and math.isfinite(new)
    return near(repr(old), repr(new), DIGITS) if finite else repr(old) == repr(new)


def same_values(
    old: object, new: object, close: Callable[[float, float], bool] = in_six_digits
) -> bool:
    """Whether two values of JSON are the same: strings exactly, numbers if they are close."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(same_values(old[k], new[k], close) for k in old)
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip(old, new, strict=False)
        return len(old) == len(new) and all(same_values(a, b, close) for a, b in pairs)
    if float in (type(old), type(new)) and {type(old), type(new)} <= {int, float}:
        return close(cast(float, old), cast(float, new))  # whole numbers are counts
    return type(old) is type(new) and old == new


def same_figure(old: bytes, new: bytes) -> bool:
    """Whether two images have the same size, and no channel differs by more than 1 of 255."""
    if old == new:
        return True
    try:
        pictures = [Image.open(io.BytesIO(data)).convert("RGBA") for data in (old, new)]
    except (OSError, SyntaxError, ValueError):  # Pillow's word for a broken PNG is SyntaxError
        return False
    a, b = (np.asarray(picture, np.int16) for picture in pictures)
    return a.shape == b.shape and int(np.abs(a - b).max(initial=0)) <= 1


def same_pictures(old: bytes, new: bytes) -> bool:
    """Whether two archives hold images of the same names, each the same as :func:`same_figure`."""
    try:
        files = [np.load(io.BytesIO(data), allow_pickle=False) for data in (old, new)]
        a, b = ({name: file[name].astype(np.int16) for name in file.files} for file in files)
    except (OSError, EOFError, ValueError, KeyError, zlib.error, BadZipFile):
        return False  # damaged: to be replaced
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape and np.abs(a[name] - b[name]).max(initial=0) <= 1
        for name in a
    )


def with_entry(text: str, key: str, value: object) -> str:
    """The text of a JSON object with one entry set; all else stays as it is written.

    A new entry comes first.
    """
    decoder, space = json.JSONDecoder(), re.compile(r"[\s,:]*")
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)

    def after(place: int) -> int:
        found = space.match(text, place)
        return place if found is None else found.end()

    first = at = text.index("{") + 1
    while text[at := after(at)] != "}":
        name, at = decoder.raw_decode(text, at)
        start = after(at)
        _, at = decoder.raw_decode(text, start)
        if name == key:
            return text[:start] + written + text[at:]
    comma = "," if json.loads(text) else ""
    return f"{text[:first]}\n {json.dumps(key)}: {written}{comma}{text[first:]}"
