"""Chapter 05's claims: what S4 says of its network's parts and of its loss, and what we add.

All are judged on photographs that a camera's path blurred here. What was not run stays undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import require
from ..claims import Claim
from .recipes import ENCODED, LIGHT

SCALES = (
    "We adopt a novel recurrent structure across multiple scales in the coarse-to-fine strategy"
)
CELL = "We choose ConvLSTM since it performs better in our experiments"
LOSS = (
    "We have also tried total variation and adversarial loss. But we notice that L2-norm is good "
    "enough"
)
BLOCKS = "directly using the encoder-decoder network is not the best choice for our task"
SIZES = "images of arbitrary size can be fed in it as input"
REMEMBERS = "A recurrent state is worth something: ConvLSTM beats none"
ABSOLUTE = "Absolute errors beat squared ones"
BLUR = "The way in which blur was averaged must be that of the training"
RANKS = "A part is worth as much to a network of the published width"
OURS = (REMEMBERS, ABSOLUTE, BLUR, RANKS)  # the others are quoted from S4
#: id, sentence, the two recipes, what they are, sign
OF_SCORES = (
    ("05a", SCALES, "whole", "one-scale", "three scales less one", 1),
    ("05ba", CELL, "whole", "rnn", "ConvLSTM less the plain recurrent cell", 1),
    ("05bb", CELL, "whole", "gru", "ConvLSTM less the gated recurrent unit", 1),
    (
        "05ca",
        LOSS,
        "total-variation",
        "whole",
        "with total variation, of a weight of 0.001, less without",
        0,
    ),
    ("05cb", LOSS, "adversarial", "whole", "with a critic, of a weight of 0.001, less without", 0),
    (
        "05d",
        BLOCKS,
        "whole",
        "plain",
        "residual blocks less as many plain layers, a ReLU after each",
        1,
    ),
    ("05f", REMEMBERS, "whole", "no-recurrence", "ConvLSTM less no such layer", 1),
    ("05i", ABSOLUTE, "l1", "whole", "L1 less L2, at all scales", 1),
)
#: id, sentence, what would be compared, sign: the recipes are there, but no study has trained them
NOT_RUN = (
    ("05j", "we use large convolution kernels of size 5×5", "kernels of 5 less kernels of 3", 1),
    ("05k", "all kernel sizes are set to 5", "S4's text less the SRN's released code", 1),
    (
        "05l",
        "We use bilinear interpolation for all our experiments for its sufficiency and simplicity",
        "scales enlarged by learned layers less bilinear",
        0,
    ),
)
#: (recipe, data, setting) -> (seed, image) -> PSNR
Scores = Mapping[tuple[str, str, str], Mapping[tuple, float]]


def claims(rows: Sequence[Mapping], data: str) -> list[Claim]:
    """All claims that were measured.

    Args:
        rows: as of :func:`deblurlib.studies.score`, and of
            :func:`deblurlib.studies.srn.measuring.score_beyond`.
        data: what the rows call the test photographs.

    Raises:
        InputError: the rows lack all that a claim is about.
    """
    scored: dict[tuple[str, str, str], dict[tuple, float]] = {}
    for row in rows:
        name = row["method"].partition("/")[2] or row["method"]
        where = scored.setdefault((name, row["data"], row["degradation"]), {})
        where[row.get("seed"), row["image"]] = row["psnr"]
    listed = [
        _claim(
            id_, quote, what, sign, _less(scored, (first, data, ENCODED), (second, data, ENCODED))
        )
        for id_, quote, first, second, what, sign in OF_SCORES
    ]
    return sorted([*listed, *_of_blur(scored, data), *_others(scored, data)], key=lambda c: c.id)


def not_run() -> list[dict]:
    """The claims that a reader with a GPU can measure: their recipes are there, no training is."""
    nothing = dict.fromkeys(("estimate", "lo", "hi"))
    nothing |= dict.fromkeys(("n_seeds", "n_images", "n_scenes"), 0)
    return [
        {"id": id_, "origin": "source", "quote": quote, "estimand": f"PSNR: {what}"}
        | {"unit": "dB", "margin": 0.1, "sign": sign}
        | nothing
        for id_, quote, what, sign in NOT_RUN
    ]


def _of_blur(scored: Scores, data: str) -> list[Claim]:
    """Trained on one kind of average and tried on the other."""
    there = {"whole": ENCODED, "light": LIGHT}
    listed = []
    for id_, own, other in (("05ga", "whole", "light"), ("05gb", "light", "whole")):
        kind = "stored values" if there[own] == ENCODED else "light"
        what = f"on averages of {kind}, trained on such averages less trained on the others"
        values = _less(scored, (own, data, there[own]), (other, data, there[own]))
        listed.append(_claim(id_, BLUR, what, 1, values))
    return listed


def _others(scored: Scores, data: str) -> list[Claim]:
    """Of images of any size, and of what a part is worth to a wider network."""
    whole = "whole", data, ENCODED
    gains = {
        label: _gain(scored, ("whole", label, ENCODED), ("identity", label, ENCODED))
        for label in (data, f"{data}-cut")
    }
    cut = gains[f"{data}-cut"]
    any_size = {place: gain - cut[place] for place, gain in gains[data].items() if place in cut}
    what = "the gain on whole photographs less that on the same, cut to multiples of 16 pixels"
    listed = [_claim("05e", SIZES, what, 0, any_size)]
    for id_, slug, words in (("05ha", "one-scale", "one scale"), ("05hb", "no-recurrence", "none")):
        wide = _less(scored, ("wide", data, ENCODED), (f"wide-{slug}", data, ENCODED))
        small = _less(scored, whole, (slug, data, ENCODED))
        shared = {place: wide[place] - small[place] for place in wide.keys() & small.keys()}
        what = f"the whole network less {words}, at twice the width, less the same at the usual one"
        listed.append(_claim(id_, RANKS, what, 0, shared))
    return listed


def _less(scored: Scores, first: tuple, second: tuple) -> dict[tuple, float]:
    """By how many dB the first is better, for each seed and image that both have."""
    one, other = scored.get(first, {}), scored.get(second, {})
    return {place: one[place] - other[place] for place in one.keys() & other.keys()}


def _gain(scored: Scores, method: tuple, identity: tuple) -> dict[tuple, float]:
    return {
        (seed, image): psnr - scored[identity][None, image]
        for (seed, image), psnr in scored.get(method, {}).items()
    }


def _claim(id_: str, quote: str, what: str, sign: int, values: Mapping[tuple, float]) -> Claim:
    require(bool(values), f"claim {id_}: nothing has both scores ({what})")
    places = sorted(values)
    seeds, images = zip(*places, strict=True)
    return Claim(
        id_,
        quote,
        f"PSNR: {what}",
        [values[place] for place in places],
        seeds,
        sign,
        scenes=images,
        origin="ours" if quote in OURS else "source",
    )
