"""Chapter 02's claims on the loss of the validation images, S1's measure.

An ``average`` loss is the mean over all epochs, as S1 calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from ..claims import decibels
from .recipes import BLURS, MODELS, RATES


def values(loss_of: Mapping[str, np.ndarray]) -> list[dict]:
    """The fields of the claims; each has one number a seed as its ``values``.

    Args:
        loss_of: as of :func:`deblurlib.studies.claims.losses`.
    """
    return [
        *_of_rates(loss_of),
        *_of_models(loss_of),
        *_of_blurs(loss_of),
        *_of_optimisers(loss_of),
    ]


def _apart(loss_of: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """By how many dB the second recipe's average loss is lower: (seeds,), the mean over pairs."""
    return np.mean([decibels(loss_of[a].mean(1), loss_of[b].mean(1)) for a, b in pairs], axis=0)


def _of_rates(loss_of: Mapping[str, np.ndarray]) -> list[dict]:
    settings = [f"reset-{b}-{m}-" for b, m in product(BLURS, MODELS)]
    late = []
    for name in settings:
        loss = loss_of[name + "5e-5"]
        quarter = max(1, loss.shape[1] // 4)
        last, before = loss[:, -quarter:], loss[:, -2 * quarter : -quarter]
        late.append(decibels(before.mean(1), last.mean(1)))
    return [
        {
            "id": "02a",
            "quote": "the average and overall validation losses of learning rate 10^-4 is much "
            "lower than those of learning rate 5 * 10^-5",
            "estimand": "average loss at 5e-5 over that at 1e-4; mean over 3 blurs and 3 models",
            "values": _apart(loss_of, [(n + "5e-5", n + "1e-4") for n in settings]),
            "sign": 1,
        },
        {
            "id": "02b",
            "quote": "the losses on the plots of learning rate 5 * 10^-5 appear to have converged",
            "estimand": "loss at 5e-5 in the third quarter of the epochs over that in the last; "
            "mean over 3 blurs and 3 models",
            "values": np.mean(late, axis=0),
            "sign": 0,
        },
    ]


def _of_models(loss_of: Mapping[str, np.ndarray]) -> list[dict]:
    def versus(first: str, second: str, blurs: Sequence[str] = BLURS) -> np.ndarray:
        at = product(blurs, RATES)
        return _apart(
            loss_of, [(f"reset-{b}-{first}-{r}", f"reset-{b}-{second}-{r}") for b, r in at]
        )

    return [
        {
            "id": "02c",
            "quote": "Model 3 performs worse, with much higher loss compared to the other two",
            "estimand": "average loss of 9-1-1-1-5 over that of 9-1-5; mean over 3 blurs, 2 rates",
            "values": versus("9-1-1-1-5", "9-1-5"),
            "sign": 1,
        },
        {
            "id": "02d",
            "quote": "Model 1 and Model 2 have close overall and average validation losses",
            "estimand": "average loss of 9-1-5 over that of 9-3-1-5; mean over 3 blurs, 2 rates",
            "values": versus("9-1-5", "9-3-1-5"),
            "sign": 0,
        },
        {
            "id": "02ea",
            "quote": "despite not having much lower loss than the others",
            "estimand": "average loss of 9-1-5 over that of 9-3-1-5 on motion; mean over 2 rates",
            "values": versus("9-1-5", "9-3-1-5", ["motion"]),
            "sign": 0,
        },
    ]


def _of_blurs(loss_of: Mapping[str, np.ndarray]) -> list[dict]:
    def versus(first: str, second: str) -> np.ndarray:
        at = product(MODELS, RATES)
        return _apart(
            loss_of, [(f"reset-{first}-{m}-{r}", f"reset-{second}-{m}-{r}") for m, r in at]
        )

    return [
        {
            "id": "02fa",
            "quote": "the overall loss of Motion Deblurring is much higher than the other two",
            "estimand": "average loss on motion over that on Gaussian and on box; mean over these, "
            "3 models and 2 rates",
            "values": (versus("motion", "gaussian") + versus("motion", "box")) / 2,
            "sign": 1,
        },
        {
            "id": "02fb",
            "quote": "the overall loss of Gaussian Deblurring and Box Filter Deblurring are quite "
            "close to each other",
            "estimand": "average loss on Gaussian over that on box; mean over 3 models and 2 rates",
            "values": versus("gaussian", "box"),
            "sign": 0,
        },
    ]


def _of_optimisers(loss_of: Mapping[str, np.ndarray]) -> list[dict]:
    kept = [f"{b}-{m}-{r}" for b, m, r in product(BLURS, MODELS, RATES)]
    shared = loss_of[f"kept-{kept[0]}"].shape[1]
    both = {n: loss[:, :shared] for n, loss in loss_of.items() if n.startswith(("reset-", "kept-"))}
    return [
        {
            "id": "02i",
            "origin": "ours",
            "quote": "With Adam, a tenth of the rate in the last layer lowers the loss",
            "estimand": "average loss of 9-1-5 at 1e-4 with one rate over that with a tenth of it "
            "in the last layer; mean over 3 blurs",
            "values": _apart(loss_of, [(f"kept-{b}-9-1-5-1e-4", f"last-{b}-tenth") for b in BLURS]),
            "sign": 1,
        },
        {
            "id": "02l",
            "origin": "ours",
            "quote": "An optimiser that begins anew each epoch makes the loss higher",
            "estimand": "average loss with the reset over that without, in the same epochs; mean "
            "over 3 blurs, 3 models and 2 rates",
            "values": _apart(both, [(f"reset-{n}", f"kept-{n}") for n in kept]),
            "sign": 1,
        },
    ]
