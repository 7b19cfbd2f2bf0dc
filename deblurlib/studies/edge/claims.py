"""Chapter 03's claims: what S2 says of its two models, and what the controls say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ..archive import AnyRun
from ..claims import Claim, validation_images
from .recipes import CRITICS

F_MARGIN = 0.01  # of an edge map's F-score
#: a training of edges is lost if it ends so far below that without a critic, or is not finite
LOST = 0.1
#: S2's last suggestion, which needs a set that was not at hand: it is counted, and stays open
CIFAR_100 = {
    "id": "03e",
    "origin": "source",
    "quote": "One can try to explore this model on CIFAR100 to compare the results",
    "estimand": "PSNR of DeblurNet with predicted edges less that of the UNet, on CIFAR-100, less "
    "the same on CIFAR-10",
    "unit": "dB",
    "margin": 0.1,
    "sign": 0,
    "estimate": None,
    "lo": None,
    "hi": None,
    "n_seeds": 0,
    "n_images": 0,
    "n_scenes": 0,
}


def claims(trained: Sequence[AnyRun], rows: Sequence[Mapping]) -> list[Claim]:
    """All claims that were measured, with their measurements.

    Args:
        trained: the chapter's runs, of which the trainings of edges are judged by their histories.
        rows: as of :func:`deblurlib.studies.score`.
    """
    measured = [Claim(**fields) for fields in [*_of_scores(rows), *_of_edges(trained)]]
    return sorted(measured, key=lambda claim: claim.id)


def _of_scores(rows: Sequence[Mapping]) -> list[dict]:
    """The claims on the PSNR of test images."""
    psnr: dict[str, dict[tuple, float]] = {}
    for row in rows:
        name = row["method"].partition("/")[2] or row["method"]
        psnr.setdefault(name, {})[row.get("seed"), row["image"]] = row["psnr"]
    gain = partial(_less, psnr)
    return [
        *_of_the_models(gain),
        *_of_the_settings(gain),
        *_of_the_controls(gain),
    ]


def _less(psnr: Mapping[str, Mapping], *names: str) -> dict[str, list]:
    """The first's PSNR less the second's; less, of four, the third's less the fourth's.

    As fields of a claim: one value for each seed and image that all of them have.
    """
    shared = sorted(set.intersection(*(set(psnr[name]) for name in names)))
    signs = (1, -1, -1, 1)
    values = [
        sum(sign * psnr[name][place] for sign, name in zip(signs, names, strict=False))
        for place in shared
    ]
    seeds, images = zip(*shared, strict=True)
    return {"values": values, "seeds": list(seeds), "scenes": list(images)}


def _of_the_models(gain: Callable[..., dict]) -> list[dict]:
    quote = "I designed two main models, which the latter performed the best"
    return [
        {
            "id": "03aa",
            "quote": quote,
            "estimand": "PSNR of DeblurNet with predicted edges less that of a UNet with as many "
            "parameters as DeblurNet",
            "sign": 1,
            **gain("predicted", "unet"),
        },
        {
            "id": "03ab",
            "quote": quote,
            "estimand": "the same, the UNet with the parameters of DeblurNet and EdgeNet together",
            "sign": 1,
            **gain("predicted", "unet-wide"),
        },
        {
            "id": "03ac",
            "origin": "ours",
            "quote": "The second model is still the better one if the first, too, adds its output "
            "to its input",
            "estimand": "the same, and the UNet's output is added to its input",
            "sign": 1,
            **gain("predicted", "unet-residual"),
        },
    ]


def _of_the_settings(gain: Callable[..., dict]) -> list[dict]:
    quote = (
        "DeblurNet + EdgeNet can score better results on high resolution images with alot of "
        "artifacts"
    )
    what = "what predicted edges add to DeblurNet, in PSNR, at 128 pixels a side less that at 32"
    listed = [
        {
            "id": f"03b{letter}",
            "quote": quote,
            "estimand": f"{what}; the blur is {how}",
            "sign": 1,
            **gain(f"{at}predicted", f"{at}deblurnet", "32-predicted", "32-deblurnet"),
        }
        for letter, at, how in (
            ("a", "128-", "as wide in pixels"),
            ("b", "128-scaled-", "as wide for the image"),
        )
    ]
    return [
        *listed,
        {
            "id": "03d",
            "quote": "Due to the random nature of gaussian noises it is a hard task to deblur "
            "images while preserving local features of the original image",
            "estimand": "PSNR of DeblurNet trained and tested without noise less that with noise "
            "of 0.02",
            "sign": 1,
            **gain("quiet-deblurnet", "deblurnet"),
        },
        {
            "id": "03k",
            "origin": "ours",
            "quote": "Predicted edges help more where the window does not cut the Gaussian off",
            "estimand": "what predicted edges add to DeblurNet, in PSNR, with a window of 25 "
            "pixels less that with one of 5",
            "sign": 1,
            **gain("whole-predicted", "whole-deblurnet", "predicted", "deblurnet"),
        },
    ]


def _of_the_controls(gain: Callable[..., dict]) -> list[dict]:
    controls = (
        ("03f", "A predicted edge map helps DeblurNet", "predicted", "zero", "zeros in its place"),
        (
            "03g",
            "Predicted edges carry more than Canny's of the blurred image",
            "predicted",
            "blurred",
            "Canny's edges of the blurred image",
        ),
        (
            "03h",
            "Edges beat capacity",
            "predicted",
            "wider",
            "no edges and the parameters of both networks",
        ),
        (
            "03i",
            "Trained together, the two networks need to be told of edges",
            "joint",
            "unsupervised",
            "the same networks trained without a loss of edges",
        ),
        (
            "03j",
            "The edges of the sharp image, if they were known, would help",
            "sharp",
            "zero",
            "zeros in their place",
        ),
    )
    labels = {"predicted": "predicted edges", "joint": "an EdgeNet trained with it"}
    labels |= {"sharp": "Canny's edges of the sharp image"}
    return [
        {
            "id": id_,
            "origin": "ours",
            "quote": quote,
            "estimand": f"PSNR of DeblurNet with {labels[first]} less that with {what}",
            "sign": 1,
            **gain(first, second),
        }
        for id_, quote, first, second, what in controls
    ]


def _of_edges(trained: Sequence[AnyRun]) -> list[dict]:
    """The claims on EdgeNets with a critic: on the validation images, by their histories."""
    curves = f_scores(trained)
    plain = curves["edges"]
    n_images = validation_images(next(r for r in trained if r.recipe.name == "03/edges"))
    seeds = sorted({run.recipe.seed for run in trained if _slug(run) == "edges"})
    common = {"unit": "F", "margin": F_MARGIN, "sign": 1, "n_images": n_images, "seeds": seeds}
    listed = []
    # the last was added when the histories of the first two were known
    for letters, slug in (
        ("ac", "adversarial-edges"),
        ("bd", "strong-edges"),
        ("ef", "weak-edges"),
    ):
        curve, weight = curves[slug], CRITICS[slug][0]
        listed += [
            {
                "id": f"03c{letters[0]}",
                "quote": "I developed the gan edgeNet but the result was not good",
                "estimand": "F-score of the edges without a critic less that with one, of weight "
                f"{weight}; validation images, at the end",
                "values": plain[:, -1] - curve[:, -1],
                **common,
            },
            {
                "id": f"03c{letters[1]}",
                "quote": "the training was not stable enough",
                "estimand": "by how much the F-score varies in the second half of the training, "
                f"one standard deviation: with a critic of weight {weight} less without",
                "values": unsteadiness(curve) - unsteadiness(plain),
                **common,
            },
        ]
    return listed


def f_scores(trained: Sequence[AnyRun]) -> dict[str, np.ndarray]:
    """F-scores of predicted edges over the training (seeds, rows), by the recipe's own name.

    A training that ended early has 0 from then on.
    """
    curves: dict[str, list[list[float]]] = {}
    for run in sorted(trained, key=lambda run: run.recipe.seed):
        if run.recipe.model != "edgenet":
            continue
        values = [row["val_f"] for row in run.history]
        values += [0.0] * (-(-run.recipe.steps // run.recipe.interval) - len(values))
        curves.setdefault(_slug(run), []).append(values)
    return {name: np.array(values) for name, values in curves.items()}


def unsteadiness(curves: np.ndarray) -> np.ndarray:
    """The standard deviation of each seed's second half: ``(seeds, rows)`` to ``(seeds,)``."""
    return curves[:, curves.shape[1] // 2 :].std(1)


def lost(curves: Mapping[str, np.ndarray], slug: str) -> float:
    """The share of an EdgeNet's trainings that are lost, see :data:`LOST`."""
    ends = curves[slug][:, -1]
    return float((ends < curves["edges"][: len(ends), -1] - LOST).mean())


def _slug(run: AnyRun) -> str:
    return run.recipe.name.partition("/")[2]
