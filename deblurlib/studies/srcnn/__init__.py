"""Chapter 02: SRCNN's learning rates, depth and receptive field, on S1's three blurs.

What is compared, over which runs, in which unit and beyond which margin was fixed before the runs
of the report were scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...perception import MEASURES
from ..archive import AnyRun
from ..claims import Claim, losses, scores, validation_images
from . import on_losses, on_scores
from .measuring import measure
from .on_scores import best_rate, grey
from .recipes import (
    BLURS,
    LENGTHS,
    MODELS,
    RATES,
    RECEPTIVE_FIELDS,
    SHALLOW,
    recipes,
)

__all__ = [
    "BLURS",
    "LENGTHS",
    "MODELS",
    "RATES",
    "RECEPTIVE_FIELDS",
    "SCORING",
    "SHALLOW",
    "claims",
    "grey",
    "measure",
    "recipes",
    "scored",
]

#: How the chapter scores, see :func:`deblurlib.studies.score`. Of a middle of 84 pixels, the
#: interior of 64 is scored, which every network sees whole.
SCORING: dict[str, Any] = {
    "side": 84,
    "protocols": ("gaussian-rgb",),
    "measures": tuple(MEASURES),
    "border": 10,
}


def scored(trained: Sequence[AnyRun]) -> list[AnyRun]:
    """The runs to score on the test images; for all others, their validation losses are enough.

    Of the trainings with SGD, those at the rates with the lowest validation losses are scored.
    """
    loss_of = losses(trained)
    chosen = [f"sgd-motion-{best_rate(loss_of, which)}-{which}" for which in ("same", "tenth")]

    def counts(name: str) -> bool:
        return name in chosen or name.partition("-")[0] not in ("kept", "last", "sgd")

    return [run for run in trained if counts(run.recipe.name.partition("/")[2])]


def claims(trained: Sequence[AnyRun], rows: Sequence[Mapping]) -> list[Claim]:
    """All claims of the chapter, with their measurements.

    Args:
        trained: runs of all its recipes, for some seeds.
        rows: as of :func:`deblurlib.studies.score`, with the options :data:`SCORING`.
    """
    seeds = sorted({run.recipe.seed for run in trained})
    loss_of = losses(trained)
    n_images = validation_images(trained[0])
    measured = [
        Claim(**fields, seeds=seeds, n_images=n_images) for fields in on_losses.values(loss_of)
    ]
    psnr, looks = scores(rows), {name: scores(rows, name) for name in MEASURES}
    images = sorted({row["image"] for row in rows})
    each = {"seeds": np.repeat(seeds, len(images)).tolist(), "scenes": images * len(seeds)}
    for fields in on_scores.values(loss_of, psnr, looks):
        measured.append(Claim(**fields | {"values": fields["values"].ravel()} | each))
    return sorted(measured, key=lambda claim: claim.id)
