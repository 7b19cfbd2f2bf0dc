"""Chapter 06's claims: what S5 says of its two phases, and what we add.

:func:`uniform_claims` are of Phase I, a Gaussian all over the image, :func:`real_claims` of Phase
II. A PSNR is infinite where rounding left nothing of a narrow blur: such images are left out of a
claim. S5 names "a 2-tailed t-test": Welch's, of two independent samples, and the paired one stand
beside ours, of each image's mean over the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ...errors import require
from ...evaluation import MEASURES
from ..archive import AnyRun
from ..claims import Claim, validation_images

__all__ = ["both", "real_claims", "source_tests", "uniform_claims"]

LARGE = 5.0  # pixels: from this sigma on, a blur is a large one; S5's tables show 5.2 and 5.8
MARGINS = {"psnr": (0.1, "dB"), "ssim_gaussian-rgb": (0.005, "SSIM")}
MARGINS |= {"kernel_error": (0.05, "relative squared error")}
MARGINS |= {name: (measure.margin, measure.unit) for name, measure in MEASURES.items()}
WORDS = {
    "psnr": "PSNR",
    "ssim_gaussian-rgb": "SSIM",
    "kernel_error": "kernel error",
    "blur_effect": "blur effect",
    "gradient_similarity": "gradient similarity",
}
BEST = "The CNN + RL achieved the best results for both SSIM and PSNR"
SAME = "SSIM differences as not statistically significant"
KERNEL = "the CNN is substantially better at recovering a kernel than blind deblur"
EYE = (
    "Subjectively, we believe it recovers an image that looks less blurry to the human eye "
    "especially for large sigma values"
)
LOWER = "At a large sigma the UNet's PSNR is lower than the guess's"
OTHERS = "The skip that S5 gives its GAN's generator helps its UNets, too"
SKIP = "learning the difference between the input and output can be easier"
BELOW = "the blur to sharp baseline is actually quite high in regard to SSIM and PSNR"
EPOCHS = "the performance continued to improve with additional training"
FOOLED = "it tended to produce image artifacts that fooled the discriminator"
STOP = "Richardson-Lucy's iterations are its regulariser"
BRIDGE = "A bridge between the two kinds beats both of its ends"
FIXED = "A skip from input to output lifts the network above doing nothing"
BLANK = "The row that S5 left blank stays below doing nothing"
EDGES = "A prior on edges finds a shaken camera's kernel better than likelihood alone"
OURS = (LOWER, OTHERS, STOP, BRIDGE, FIXED, BLANK, EDGES)  # the others are quoted from S5
S5, NOISY, REAL, MEASURED = "s5-gaussian", "s5-gaussian-noisy", "recorded", "measured"
BLIND = "blind-richardson-lucy-gaussian"  # from S5's sigma of 1
NARROW = f"{BLIND}, 0.5"  # from the sigma that was best on images kept back
PLAIN, STOPPED = "accelerated-richardson-lucy", "accelerated-richardson-lucy, ten times as many"
#: id, sentence, measure, degradation, the two methods, what they are, sign
UNIFORM = (
    ("06aa", BEST, "psnr", S5, "guess", BLIND, "CNN + RL less blind RL", 1),
    ("06ab", BEST, "ssim_gaussian-rgb", S5, "guess", BLIND, "CNN + RL less blind RL", 1),
    ("06ac", BEST, "psnr", S5, "guess", "blind-unet", "CNN + RL less UNet", 1),
    ("06ad", BEST, "ssim_gaussian-rgb", S5, "guess", "blind-unet", "CNN + RL less UNet", 1),
    ("06ae", BEST, "psnr", S5, "guess", NARROW, "CNN + RL less blind RL from our start", 1),
    ("06ba", SAME, "ssim_gaussian-rgb", S5, "guess", BLIND, "CNN + RL less blind RL", 0),
    ("06bb", SAME, "ssim_gaussian-rgb", S5, "guess", "blind-unet", "CNN + RL less UNet", 0),
    ("06c", KERNEL, "kernel_error", S5, "guess", BLIND, "the CNN's less blind RL's", -1),
    (
        "06hb",
        OTHERS,
        "psnr",
        S5,
        "blind-unet-residual",
        "blind-unet",
        "with a skip less without",
        1,
    ),
    ("06i", STOP, "psnr", NOISY, PLAIN, STOPPED, "stopped less ten times as many, with noise", 1),
    ("06ka", BRIDGE, "psnr", S5, "guess, unrolled-rl", "guess", "CNN + bridge less CNN + RL", 1),
    (
        *("06kb", BRIDGE, "psnr", S5, "guess, unrolled-rl", "blind-unet-residual"),
        "CNN + bridge less UNet with a skip",
        1,
    ),
)
#: the same, on the images of a large sigma alone
LARGE_BLUR = (
    ("06da", EYE, "blur_effect", S5, "blind-unet", "guess", "UNet less CNN + RL, large sigma", -1),
    ("06db", LOWER, "psnr", S5, "blind-unet", "guess", "UNet less CNN + RL, large sigma", -1),
)
OF_REAL = (
    ("06ea", BELOW, "psnr", REAL, "real-unet", "identity", "UNet less the blurred image", -1),
    ("06eb", BELOW, "psnr", REAL, "real-gan", "identity", "GAN less the blurred image", -1),
    (
        *("06gb", FOOLED, "gradient_similarity", REAL, "real-gan", "real-unet-residual"),
        "GAN less UNet with a skip",
        -1,
    ),
    (
        "06ha",
        OTHERS,
        "psnr",
        REAL,
        "real-unet-residual",
        "real-unet",
        "with a skip less without",
        1,
    ),
    ("06hc", SKIP, "psnr", REAL, "real-gan", "real-gan-plain", "GAN with a skip less without", 1),
    (
        "06j",
        FIXED,
        "psnr",
        REAL,
        "real-unet-residual",
        "identity",
        "with a skip less the blurred image",
        1,
    ),
    (
        "06m",
        BLANK,
        "psnr",
        REAL,
        "guess, stitched",
        "identity",
        "stitched less the blurred image",
        -1,
    ),
)
#: methods without a training, on Levin's kernels, after the best shift
OF_LEVIN = (
    "06l",
    EDGES,
    "psnr",
    MEASURED,
    "blind-edges",
    BLIND,
    "blind-edges less blind RL, after the best shift",
    1,
)

#: (method, degradation) -> (seed, image) -> its row
Table = Mapping[tuple[str, str], Mapping[tuple, Mapping]]


def uniform_claims(rows: Sequence[Mapping]) -> list[Claim]:
    """The claims of Phase I, of its rows; those of a large sigma if any image has one."""
    table = by_method(rows)
    listed = [_claim(table, *claim) for claim in UNIFORM]
    large = [r for r in rows if r["degradation"] == S5 and r.get("sigma", 0.0) >= LARGE]
    if large:
        listed += [_claim(by_method(large), *claim) for claim in LARGE_BLUR]
    return sorted(listed, key=lambda claim: claim.id)


def real_claims(trained: Sequence[AnyRun], rows: Sequence[Mapping]) -> list[Claim]:
    """The claims of Phase II.

    Args:
        trained: the page's runs: of the adversarial ones, the histories are judged.
        rows: those of reduced pairs, of the networks' own set and of the scene that none has seen,
            are ``recorded``, or of the setting that stands for such pairs; of Levin's,
            ``measured``, there may be none.
    """
    table = by_method(rows)
    own = next(r.recipe.degradation or REAL for r in trained if r.recipe.name != "06/guess")
    listed = [
        _claim(table, *(id_, quote, key, own, one, other, what, sign))
        for id_, quote, key, _, one, other, what, sign in OF_REAL
    ]
    if any(row["degradation"] == MEASURED for row in rows):
        listed.append(_claim(table, *OF_LEVIN))
    return sorted([*listed, *_of_histories(trained)], key=lambda claim: claim.id)


def by_method(rows: Sequence[Mapping]) -> Table:
    """The rows by method, without the chapter, and degradation; then by seed and image."""
    table: dict[tuple[str, str], dict[tuple, Mapping]] = {}
    for row in rows:
        where = row["method"].removeprefix("06/"), row["degradation"]
        image = f"{row['data']}/{row['channels']}/{row['image']}"  # grey ones are others
        table.setdefault(where, {})[row.get("seed"), image] = row
    return table


def both(
    table: Table, degradation: str, key: str, first: str, second: str
) -> dict[tuple, tuple[float, float]]:
    """Both methods' scores, for each seed and image that both have.

    A method without a training is compared with each training of the other. Left out are the images
    of which a score is missing or not finite, of any seed.
    """
    one, other = (table.get((method, degradation), {}) for method in (first, second))
    trained = [seeds for rows in (one, other) if (seeds := {seed for seed, _ in rows} - {None})]
    shared = sorted(set.intersection(*trained)) if trained else [None]
    found = {}
    for seed in shared:
        of_one, of_other = (_of_seed(rows, seed) for rows in (one, other))
        for image in of_one.keys() & of_other.keys():
            found[seed, image] = _score(of_one[image], key), _score(of_other[image], key)
    lost = {image for (_, image), pair in found.items() if not all(map(math.isfinite, pair))}
    return {place: found[place] for place in sorted(found, key=str) if place[1] not in lost}


def _score(row: Mapping, key: str) -> float:
    """A row's score; not a number where there is none, as SSIM of an image that is too small."""
    return math.nan if row.get(key) is None else row[key]


def _of_seed(rows: Mapping[tuple, Mapping], seed: int | None) -> dict[str, Mapping]:
    """By image, the rows of a seed or, of a method without a training, all."""
    return {image: row for (own, image), row in rows.items() if own in (seed, None)}


def source_tests(pairs: Mapping[tuple, tuple[float, float]]) -> dict[str, float]:
    """The p-values of S5's kind of test, of the mean scores of each image: unpaired, and paired."""
    by_image: dict[str, list[tuple[float, float]]] = {}
    for (_, image), pair in pairs.items():
        by_image.setdefault(image, []).append(pair)
    first, second = np.array([np.mean(found, 0) for found in by_image.values()]).T
    if len(first) < 2:
        return {}
    welch, paired = stats.ttest_ind(first, second, equal_var=False), stats.ttest_rel(first, second)
    return {"Welch's t": float(welch.pvalue), "paired t": float(paired.pvalue)}


def _claim(
    table: Table,
    id_: str,
    quote: str,
    key: str,
    degradation: str,
    first: str,
    second: str,
    what: str,
    sign: int,
) -> Claim:
    found = both(table, degradation, key, first, second)
    require(bool(found), f"claim {id_}: no image has both scores ({what})")
    scene_of = {image: row["scene"] for (_, image), row in table[first, degradation].items()}
    seeds, images = zip(*found, strict=True)
    margin, unit = MARGINS[key]
    return Claim(
        id_,
        quote,
        f"{WORDS[key]}: {what}",
        [one - other for one, other in found.values()],
        seeds,
        sign,
        unit,
        margin,
        [scene_of[image] for image in images],
        origin="ours" if quote in OURS else "source",
        tests=source_tests(found) if quote in (BEST, SAME) else {},
    )


def _of_histories(trained: Sequence[AnyRun]) -> list[Claim]:
    """Whether the critic's network improves, and whether the critic is fooled; by seed."""
    runs = sorted(
        (r for r in trained if r.recipe.name == "06/real-gan"), key=lambda r: r.recipe.seed
    )
    psnrs = [[row["val_psnr"] for row in run.history] for run in runs]
    right = [[row["critic_accuracy"] for row in run.history] for run in runs]
    common: dict[str, Any] = {"seeds": [run.recipe.seed for run in runs]}
    common["n_images"] = validation_images(runs[0])
    later = min(4, len(psnrs[0])) - 1  # a smoke's history is shorter
    risen = [values[later] - values[later // 2] for values in psnrs]
    fooled = [float(np.nanmean(values[len(values) // 2 :])) - 0.5 for values in right]
    what = "how often the critic is right, in the second half of the training, less a half"
    return [
        Claim(
            "06f",
            EPOCHS,
            "validation PSNR: GAN, after 4 epochs less after 2",
            risen,
            sign=1,
            **common,
        ),
        Claim("06ga", FOOLED, what, fooled, sign=0, unit="share", margin=0.1, **common),
    ]
