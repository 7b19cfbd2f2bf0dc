"""Chapter 02: SRCNN's learning rates, depth and reach, on S1's three blurs.

What is compared, over which runs, in which unit and beyond which margin was fixed before the runs
of the report were scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...runs import Run
from ..claims import Claim, losses, scores, validation_images
from . import on_losses, on_scores
from .on_scores import LOOKS, best_rate, grey
from .recipes import BLURS, LENGTHS, MODELS, RATES, REACHES, ended, is_scored, recipes

__all__ = [
    "BLURS",
    "LENGTHS",
    "LOOKS",
    "MODELS",
    "RATES",
    "REACHES",
    "best_rate",
    "claims",
    "ended",
    "grey",
    "is_scored",
    "recipes",
]


def claims(trained: Sequence[Run], rows: Sequence[Mapping]) -> list[Claim]:
    """All claims of the chapter, with their measurements.

    Args:
        trained: runs of all its recipes, for some seeds.
        rows: of :func:`deblurlib.studies.score`, with the measure :data:`LOOKS`.
    """
    seeds = sorted({run.recipe.seed for run in trained})
    held = losses(trained)
    n_images = validation_images(trained[0])
    made = [Claim(**one, seeds=seeds, n_images=n_images) for one in on_losses.values(held)]
    psnr, looks = scores(rows), scores(rows, LOOKS)
    images = sorted({row["image"] for row in rows})
    each = {"seeds": np.repeat(seeds, len(images)).tolist(), "scenes": images * len(seeds)}
    for one in on_scores.values(held, psnr, looks):
        made.append(Claim(**one | {"values": one["values"].ravel()} | each))
    return sorted(made, key=lambda claim: claim.id)
