"""Chapter 04's claims: what S3 says of its network, its loss and its schedule, and what we add.

All trainings count, also those that are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...evaluation import MEASURES
from ...runs import Run
from ..archive import AnyRun
from ..claims import Claim, validation_images

#: a training is lost if it ends so many dB below doing nothing, on the validation images
LOST = 10.0
MARGINS = {"psnr": (0.1, "dB"), "ssim_gaussian-rgb": (0.005, "SSIM")}
MARGINS |= {name: (measure.margin, measure.unit) for name, measure in MEASURES.items()}
WORDS = {
    "psnr": "PSNR",
    "ssim_gaussian-rgb": "SSIM",
    "gradient_similarity": "gradient similarity",
    "spectrum_distance": "log-spectral distance",
    "checkerboard": "checkerboard's strength",
    "colour_drift": "drift of the colours",
}
MORE = "more training would result in better results"
WINNING = (
    "inorder to prevent our descriminator getting more powerful than our generator, for every "
    "descriminator training iteration the generator is trained 3 times"
)
STRUCTURE = "SSIM loss is being used to preserve structural similarity of images"
SKIPS = "Fully Convolutional Auto encoder network containing skip connections at multiple level"
#: id, sentence, measure, the two recipes, what they are, sign; a sentence that is no quote is ours
OF_SCORES = (
    ("04aa", MORE, "psnr", "fourfold", "double", "trained four times as long less twice", 1),
    ("04ab", MORE, "ssim_gaussian-rgb", "fourfold", "double", "the same", 1),
    ("04ac", MORE, "psnr", "fourfold", "half", "trained four times as long less half as long", 1),
    (
        "04bc",
        "Three to one restores better than one to one",
        "ssim_gaussian-rgb",
        "source",
        "one-to-one",
        "three updates to one of the critic less one to one",
        1,
    ),
    (
        "04ca",
        STRUCTURE,
        "ssim_gaussian-rgb",
        "source",
        "l1-adversarial",
        "1 - SSIM and a critic less L1 and a critic",
        1,
    ),
    ("04cb", STRUCTURE, "ssim_gaussian-rgb", "ssim", "l1", "the same without a critic", 1),
    ("04cc", STRUCTURE, "gradient_similarity", "ssim", "l1", "the same without a critic", 1),
    ("04da", SKIPS, "psnr", "source", "no-skips", "four skip connections less none", 1),
    ("04db", SKIPS, "psnr", "source", "first-skip", "four skip connections less the first", 1),
    ("04dc", SKIPS, "psnr", "ssim", "ssim-no-skips", "four less none, without a critic", 1),
    ("04dd", SKIPS, "psnr", "ssim", "ssim-first-skip", "four less one, without a critic", 1),
    (
        "04e",
        "The critic costs PSNR",
        "psnr",
        "source",
        "ssim",
        "1 - SSIM and a critic less 1 - SSIM alone",
        -1,
    ),
    (
        "04f",
        "The critic brings the spectrum nearer to that of sharp images",
        "spectrum_distance",
        "source",
        "ssim",
        "1 - SSIM and a critic less 1 - SSIM alone",
        -1,
    ),
    (
        "04g",
        "A deconvolution leaves a checkerboard",
        "checkerboard",
        "deconvolution",
        "resize",
        "transposed convolutions of 4 x 4 less repeated pixels and a convolution, with a critic",
        1,
    ),
    (
        "04h",
        "A deconvolution leaves a checkerboard",
        "checkerboard",
        "ssim-deconvolution",
        "ssim-resize",
        "the same without a critic",
        1,
    ),
    (
        "04i",
        "ImageNet's values cost something, if the output is not bounded",
        "psnr",
        "unbounded",
        "imagenet",
        "values of images less values standardised by ImageNet's",
        1,
    ),
    (
        "04j",
        "L1 beside 1 - SSIM holds the colours",
        "colour_drift",
        "ssim",
        "l1-ssim",
        "1 - SSIM alone less 1 - SSIM and L1",
        1,
    ),
)


def claims(trained: Sequence[AnyRun], rows: Sequence[Mapping]) -> list[Claim]:
    """All claims, with their measurements.

    Args:
        trained: the chapter's runs, of which the critics are judged by their histories.
        rows: as of :func:`deblurlib.studies.score`.
    """
    scored: dict[str, dict[tuple, Mapping]] = {}
    for row in rows:
        name = row["method"].partition("/")[2] or row["method"]
        scored.setdefault(name, {})[row.get("seed"), row["image"]] = row
    listed = [_of_scores(scored, *claim) for claim in OF_SCORES]
    return sorted([*listed, *_of_critics(trained)], key=lambda claim: claim.id)


def _of_scores(
    scored: Mapping[str, Mapping[tuple, Mapping]],
    id_: str,
    quote: str,
    key: str,
    first: str,
    second: str,
    what: str,
    sign: int,
) -> Claim:
    margin, unit = MARGINS[key]
    shared = sorted(scored[first].keys() & scored[second].keys())
    seeds, images = zip(*shared, strict=True)
    return Claim(
        id_,
        quote,
        f"{WORDS[key]}: {what}",
        [scored[first][place][key] - scored[second][place][key] for place in shared],
        seeds,
        sign,
        unit,
        margin,
        images,
        origin="source" if quote in (MORE, STRUCTURE, SKIPS) else "ours",
    )


def _of_critics(trained: Sequence[AnyRun]) -> list[Claim]:
    """Whether the critic wins, by how often it is right in the second half of a training."""
    right = accuracies(trained)
    n_images = validation_images(next(r for r in trained if r.recipe.name == "04/source"))
    what = "how often the critic is right, in the second half of the training"
    common: dict[str, Any] = {"sign": 1, "unit": "share", "margin": 0.05, "n_images": n_images}
    seeds = sorted(right["source"].keys() & right["one-to-one"].keys())
    less = [right["one-to-one"][seed] - right["source"][seed] for seed in seeds]
    above = [right["source"][seed] - 0.5 for seed in seeds]
    return [
        Claim(
            "04ba", WINNING, f"{what}: one to one less three to one", less, seeds=seeds, **common
        ),
        Claim(
            "04bb",
            WINNING,
            f"{what}: three to one, less a half",
            above,
            seeds=seeds,
            **common | {"sign": -1},
        ),
    ]


def accuracies(trained: Sequence[AnyRun]) -> dict[str, dict[int, float]]:
    """How often each critic is right in the second half of its training, by recipe and seed."""
    right: dict[str, dict[int, float]] = {}
    for run in trained:
        values = [row["critic_accuracy"] for row in run.history if "critic_accuracy" in row]
        if values:
            half = values[len(values) // 2 :]
            name = run.recipe.name.partition("/")[2]
            right.setdefault(name, {})[run.recipe.seed] = float(np.nanmean(half))
    return right


def is_lost(run: Run) -> bool:
    """Whether a training is lost, see :data:`LOST`; one that diverged is."""
    if run.metrics["ending"] != "done":
        return True
    last = run.history[-1]["val_psnr"]
    return not last > run.metrics["val_psnr_identity"] - LOST
