"""Claims, and what a measurement says of them. Taught in chapter 02."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import data, stats
from ..errors import InputError, require
from ..runs.inputs import open_training_images
from ..stats import Interval
from .archive import AnyRun

__all__ = ["Claim", "decibels", "judge", "losses", "scores", "validation_images"]

LEVEL = 0.05  # of Holm's adjusted p-values
ENOUGH_SEEDS = 5  # of 3 or 4 seeds, each must agree on its own


@dataclass(frozen=True)
class Claim:
    """A sentence that can be measured, and its measurements: one value a seed and scene.

    ``sign`` is what is claimed of the mean: 1, that it is larger than ``margin``; -1, that it is
    smaller than ``-margin``; 0, that it lies between the two.
    """

    id: str
    quote: str
    estimand: str  # what the values are, in words
    values: Sequence[float]
    seeds: Sequence[Hashable]  # of each value; None: of methods that nothing was trained for
    sign: int
    unit: str = "dB"
    margin: float = 0.1
    scenes: Sequence[Hashable] = ()  # of each value; none: the values are of the validation images
    n_images: int = 0  # where there are no scenes: how many validation images
    origin: str = "source"  # or "ours"
    tests: Mapping[str, float] = field(default_factory=dict)  # p-values of a source's own tests

    @property
    def interval(self) -> Interval | None:
        """The confidence interval of the mean; ``None`` if seeds or scenes are too few."""
        if len(set(self.scenes)) > 1:
            return stats.bootstrap(self.values, self.seeds, self.scenes)
        if len(self.values) > 1 and not self.scenes:
            return stats.over_seeds(self.values, self.n_images)
        return None

    @property
    def n_seeds(self) -> int:
        """How many trainings the values come from."""
        return len(set(self.seeds) - {None})

    @property
    def boundary(self) -> float:
        """The value next to the estimate that separates the verdicts."""
        return float(self.margin * (self.sign or np.sign(np.mean(self.values)) or 1))

    @property
    def by_seed(self) -> list[float]:
        """The mean of each seed's values."""
        values, seeds = np.asarray(self.values, float), np.asarray(self.seeds).astype(str)
        return [float(values[seeds == seed].mean()) for seed in np.unique(seeds)]

    def verdict(self, p_adjusted: float) -> str:
        """``confirmed``, ``refuted`` or ``undecided``.

        It is decided only if the interval lies on one side of the margin, also after Holm's
        adjustment, and, of three or four seeds, if each seed's own mean does. Of one or two seeds
        nothing is decided; of methods without a training the scenes alone decide.
        """
        interval = self.interval
        if interval is None or self.n_seeds in (1, 2) or p_adjusted >= LEVEL:
            return "undecided"
        overall = self._judge(interval)
        by_seed = [self._judge(Interval(m, m, m, 1, 1, 1)) for m in self.by_seed]
        agree = self.n_seeds >= ENOUGH_SEEDS or set(by_seed) == {overall}
        return overall if agree else "undecided"

    def _judge(self, interval: Interval) -> str:
        if self.sign == 0:
            return stats.equivalent(interval, self.margin)
        return stats.differs(interval, self.margin, self.sign)


def judge(claims: Sequence[Claim], final: bool) -> list[dict]:
    """The claims as a results file holds them, see :func:`deblurlib.report.record`.

    Args:
        claims: all of a chapter, for Holm's adjustment counts them.
        final: give intervals and verdicts; else estimates only, as for ``quick`` and ``sample``.
    """
    intervals = [claim.interval if final else None for claim in claims]
    p = [
        1.0 if i is None else i.p_value(c.boundary) for c, i in zip(claims, intervals, strict=True)
    ]
    rows = []
    for claim, interval, raw, adjusted in zip(claims, intervals, p, stats.holm(p), strict=True):
        row = {key: getattr(claim, key) for key in ("id", "origin", "quote", "estimand")}
        row |= {"unit": claim.unit, "margin": claim.margin, "sign": claim.sign}
        # of scenes with unequally many images, as the interval has it: each scene counts alike
        row["estimate"] = interval.estimate if interval else float(np.mean(claim.values))
        row |= {"lo": interval and interval.lo, "hi": interval and interval.hi}
        if interval is not None:
            row |= {"tests": {"t at the margin": raw, **claim.tests}, "p_adjusted": adjusted}
        images = len(set(claim.scenes)) or claim.n_images
        row |= {"n_seeds": claim.n_seeds, "n_images": images, "n_scenes": images}
        rows.append(row | {"verdict": claim.verdict(adjusted) if final else None})
    return rows


def losses(trained: Sequence[AnyRun]) -> dict[str, np.ndarray]:
    """Validation losses (seeds, epochs) of each recipe, by its name without the chapter.

    A run that diverged has none (NaN) from then on.
    """
    losses_of: dict[str, list[list[float]]] = {}
    for run in sorted(trained, key=lambda run: run.recipe.seed):
        values = [row["val_loss"] for row in run.history]
        values += [math.nan] * (-(-run.recipe.steps // run.recipe.interval) - len(values))
        losses_of.setdefault(run.recipe.name.partition("/")[2], []).append(values)
    return {name: np.array(values) for name, values in losses_of.items()}


def scores(rows: Sequence[Mapping], key: str = "psnr") -> dict[tuple[str, str], np.ndarray]:
    """Tables of scores (seeds, images), by the method's name without the chapter and degradation.

    Those of the identity, which has no seed, are (1, images). ``, grey`` is added to the
    degradation of grey images. Both axes are in order: seeds and images are the same in all tables.

    Raises:
        InputError: a method lacks an image, or a seed, that others have, or has one twice.
    """
    tables: dict[tuple[str, str], dict[tuple, float]] = {}
    for row in rows:
        blur = row["degradation"] + (", grey" if row["channels"] == "grey" else "")
        where = (row["method"].partition("/")[2] or row["method"], blur)
        place = (row.get("seed"), row["image"])
        cells = tables.setdefault(where, {})
        require(place not in cells, f"{where[0]} on {where[1]}: two scores of {_words(*place)}")
        cells[place] = row[key]
    images = sorted({row["image"] for row in rows})
    seeds = sorted({seed for cells in tables.values() for seed, _ in cells if seed is not None})
    return {where: _table(where, cells, seeds, images) for where, cells in tables.items()}


def _table(
    where: tuple[str, str],
    cells: Mapping[tuple, float],
    seeds: Sequence[int],
    images: Sequence[str],
) -> np.ndarray:
    """One method's scores on one degradation, none missing."""
    own_seeds = [None] if all(seed is None for seed, _ in cells) else seeds
    missing = [
        (seed, image) for seed in own_seeds for image in images if (seed, image) not in cells
    ]
    if missing:
        rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        lacking = f"no score of {_words(*missing[0])}{rest}, which others have"
        raise InputError(f"{where[0]} on {where[1]}: {lacking}")
    require(
        len(cells) == len(own_seeds) * len(images),
        f"{where[0]} on {where[1]}: scores without a seed",
    )
    return np.array([[cells[seed, image] for image in images] for seed in own_seeds])


def _words(seed: int | None, image: str) -> str:
    return image if seed is None else f"{image} with seed {seed}"


def decibels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how many dB the loss ``second`` is lower than the loss ``first``."""
    return 10 * np.log10(first / second)


def validation_images(run: AnyRun) -> int:
    """The number of images that a run is validated on."""
    return len(data.hold_out(open_training_images(run.recipe), run.recipe.holdout)[1])
