"""What chapter 07 claims; all of it is ours, and was fixed before anything was scored.

But for 07i, which was added when 07h had found next to nothing flagged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

from ..claims import Claim
from ..classical.claims import Table, both, by_method
from .columns import CAMERA
from .recipes import KINDS

OWN = "a network that is trained on one blur takes it away"
OTHERS = "on a blur that it was not shown, it does harm"
KNOWN = "who knows the kernel beats a network that does not"
EDGES = "a kernel that is found beats a network that looks for none"
FOCUS = "a network for motion leaves what is out of focus as it is"
LATER = "four years of architecture show in a small budget of time, too"
TRUST = "where more of a restoration contradicts the photograph, less is restored"
AGAIN = "with the kernel known, what blurred again misses the photograph by more restores less"
FEWEST = 5  # methods of which ranks are compared


def claims(rows: Sequence[Mapping]) -> list[Claim]:
    """The chapter's claims, of its rows; those for which there are none are left out."""
    table = by_method(rows)
    own = [("07/on-" + kind, kind) for kind in KINDS]
    others = [("07/on-" + a, b) for a in KINDS for b in KINDS if a != b]
    found = [
        _of_cells(table, "07a", OWN, "six UNets, each on its own blur, less the identity", own, 1),
        _of_cells(
            table, "07b", OTHERS, "the same on the other five, less the identity", others, -1
        ),
        _between(table, "07c", KNOWN, "shake", "richardson-lucy-tv", "srn", 1),
        _between(table, "07d", KNOWN, "shake, noise 0.01", "richardson-lucy-tv", "srn", 1),
        _between(table, "07e", EDGES, "shake", "blind-edges", "srn", 1),
        _between(table, "07f", FOCUS, "defocus", "srn", "identity", 0),
        _between(table, "07g", LATER, CAMERA, "07/nafnet", "07/small-srn", 1),
        _of_trust(rows, "07h", TRUST, "flagged", "the flagged share"),
        _of_trust(rows, "07i", AGAIN, "reblurred", "what blurring again leaves"),
    ]
    return [claim for claim in found if claim is not None]


def _of_cells(
    table: Table, id_: str, quote: str, what: str, cells: Sequence[tuple[str, str]], sign: int
) -> Claim | None:
    """The mean gain over cells of the matrix, a method and a blur each; by seed and image."""
    gains: dict[tuple, list[float]] = {}
    for method, kind in cells:
        for place, (one, nothing) in both(table, kind, "psnr", method, "identity").items():
            gains.setdefault(place, []).append(one - nothing)
    whole = {place: float(np.mean(v)) for place, v in gains.items() if len(v) == len(cells)}
    return _claim(id_, quote, f"PSNR: {what}", whole, sign) if whole else None


def _between(
    table: Table, id_: str, quote: str, degradation: str, first: str, second: str, sign: int
) -> Claim | None:
    found = both(table, degradation, "psnr", first, second)
    names = [name.removeprefix("07/") for name in (first, second)]
    what = f"PSNR on {degradation}: {names[0]} less {names[1]}"
    values = {place: one - other for place, (one, other) in found.items()}
    return _claim(id_, quote, what, values, sign) if values else None


def _of_trust(
    rows: Sequence[Mapping], id_: str, quote: str, measure: str, what: str
) -> Claim | None:
    """The rank correlation of a measure and PSNR over methods, of each image and blur."""
    cases: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        if row.get(measure) is not None:
            place = row["degradation"], row["image"]
            cases.setdefault(place, []).append((row[measure], row["psnr"]))
    values = {place: correlation(pairs) for place, pairs in cases.items()}
    known = {place: value for place, value in values.items() if math.isfinite(value)}
    what = f"rank correlation of {what} and PSNR over methods"
    return _claim(id_, quote, what, known, -1, "correlation") if known else None


def correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, from -1 to 1; 0 if all of a measure are alike, for then it tells nothing.

    Not a number of fewer than five.
    """
    first, second = np.array(pairs).T
    if len(pairs) < FEWEST:
        return math.nan
    if not (np.ptp(first) and np.ptp(second)):
        return 0.0
    return float(spearmanr(first, second).statistic)


def _claim(
    id_: str, quote: str, what: str, values: Mapping[tuple, float], sign: int, unit: str = "dB"
) -> Claim:
    """A claim of values by seed, or blur, and image, which is its own scene."""
    first, images = zip(*values, strict=True)
    seeds = [place if isinstance(place, int) else None for place in first]
    numbers = [float(value) for value in values.values()]
    return Claim(id_, quote, what, numbers, seeds, sign, unit, 0.1, images, origin="ours")
