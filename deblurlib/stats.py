"""How sure a measured difference is: intervals over seeds and scenes, tests, verdicts.

The units that are resampled are training seeds and scenes (an unrelated image is its own scene),
never pixels, and never the pooled images of several seeds, which are not independent.
Taught in chapter 01; used by every claim.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from .errors import InputError

__all__ = [
    "Interval",
    "bootstrap",
    "differs",
    "equivalent",
    "holm",
    "over_seeds",
    "p_values",
    "standard_error",
    "win_rate",
]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, in the unit of the values."""

    estimate: float
    lo: float
    hi: float
    n_seeds: int
    n_scenes: int
    n_images: int  # distinct images; each is scored once a seed
    freedom: float = float("inf")  # degrees of freedom of the interval's t
    confidence: float = 0.95

    def p_value(self, value: float) -> float:
        """Two-sided, of the mean being ``value``: below 0.05 where a 95 % interval excludes it."""
        spread = (self.hi - self.estimate) / _t(self.confidence, self.freedom)
        if spread == 0:
            return float(self.estimate == value)
        return float(2 * stdtr(self.freedom, -abs(self.estimate - value) / spread))


def bootstrap(
    values: Sequence[float],
    seeds: Sequence[Hashable],
    scenes: Sequence[Hashable],
    confidence: float = 0.95,
) -> Interval:
    """Interval of a mean as a bootstrap gives it that resamples seeds and scenes.

    The mean is over images within a scene, then over scenes and seeds. Seeds and scenes are
    crossed, and resampled independently (Owen 2007, "The pigeonhole bootstrap"). Percentiles of
    so few seeds would be far too narrow, so the interval is the bootstrap's standard error, each
    factor's spread widened by sqrt(n / (n - 1)), times Student's t with Satterthwaite's degrees of
    freedom. Of a mean, that standard error is known without drawing: see :func:`standard_error`.
    With one seed (a method without training) only scenes are resampled.

    Args:
        values: one number an image and seed, for instance a gain in dB.
        seeds, scenes: of each value, in the same order.

    Raises:
        InputError: fewer than two scenes, values that are not finite, seeds that did not score
            equally many images of the same scenes.
    """
    table, n_images = _cell_means(values, seeds, scenes)
    n_seeds, n_scenes = table.shape
    if n_scenes < 2:
        raise InputError("an interval needs at least two scenes: one scene says nothing of others")
    freedom = _degrees_of_freedom(table)
    half_width = _t(confidence, freedom) * standard_error(table)
    mean = float(table.mean())
    size = (n_seeds, n_scenes, n_images)
    return Interval(mean, mean - half_width, mean + half_width, *size, freedom, confidence)


def standard_error(table: np.ndarray) -> float:
    """The standard error of a table's mean whose rows and columns are resampled independently.

    The variance of the mean is that of the rows' means, that of the columns' means, and what is
    left of the cells without both: an axis's weights in a resample have the covariance
    ``(1{i = j} - 1 / n) / (n * (n - 1))``, and those of the two axes are multiplied.

    Args:
        table: ``(seeds, scenes)``; an axis of one is not resampled.
    """
    rest = table - table.mean(0, keepdims=True) - table.mean(1, keepdims=True) + table.mean()
    rows, columns = table.shape
    variance = 0.0
    if rows > 1:
        variance += table.mean(1).var(ddof=1) / rows
    if columns > 1:
        variance += table.mean(0).var(ddof=1) / columns
    if rows > 1 and columns > 1:
        variance += (rest**2).sum() / (rows * (rows - 1) * columns * (columns - 1))
    return float(np.sqrt(variance))


def over_seeds(values: Sequence[float], n_images: int) -> Interval:
    """95 % interval of the mean of one number a seed, such as a validation loss, by Student's t.

    It says how another training would come out on the *same* ``n_images`` images.

    Raises:
        InputError: fewer than two seeds, or values that are not finite.
    """
    numbers = np.asarray(values, float)
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise InputError("an interval over seeds needs at least two finite values, one a seed")
    n, mean = len(numbers), float(numbers.mean())
    half_width = float(_t(0.95, n - 1) * numbers.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half_width, mean + half_width, n, n_images, n_images, n - 1)


def _t(confidence: float, freedom: float) -> float:
    """Student's t: how many standard errors an interval is wide to each side."""
    return float(stdtrit(freedom, (1 + confidence) / 2))


def _degrees_of_freedom(table: np.ndarray) -> float:
    """Satterthwaite's, of the mean's variance: mean squares between seeds and between scenes."""
    total, freedom = 0.0, 0.0
    for axis in (0, 1):
        n = table.shape[axis]
        if n > 1:
            means = table.mean(1 - axis)
            mean_square = table.shape[1 - axis] * means.var(ddof=1)
            total += mean_square
            freedom += mean_square**2 / (n - 1)
    return total**2 / freedom if freedom > 0 else max(table.size - 1, 1)


def _cell_means(
    values: Sequence[float], seeds: Sequence[Hashable], scenes: Sequence[Hashable]
) -> tuple[np.ndarray, int]:
    """The mean of each (seed, scene) cell, and the number of images a seed scored."""
    numbers = np.asarray(values, float)
    if not len(numbers) == len(seeds) == len(scenes) or len(numbers) == 0:
        raise InputError(
            f"{len(numbers)} values, {len(seeds)} seeds and {len(scenes)} scenes do not match"
        )
    if not np.isfinite(numbers).all():
        raise InputError("values must be finite; report infinite scores apart")
    seed_names, seed_at = np.unique(np.asarray(seeds).astype(str), return_inverse=True)
    scene_names, scene_at = np.unique(np.asarray(scenes).astype(str), return_inverse=True)
    counts = np.zeros((len(seed_names), len(scene_names)), int)
    sums = np.zeros(counts.shape)
    np.add.at(counts, (seed_at, scene_at), 1)
    np.add.at(sums, (seed_at, scene_at), numbers)
    if (counts != counts[0]).any():
        raise InputError("every seed must have scored equally many images of the same scenes")
    return sums / counts, int(counts[0].sum())


def differs(interval: Interval, margin: float, expected: int = 1) -> str:
    """Verdict on "the difference is larger than the margin": confirmed, refuted or undecided.

    Refuted means that the interval lies wholly below the margin: the difference is too small to
    count, or has the other sign; the interval says which.

    Args:
        interval: of the difference.
        margin: what counts as a difference at all, 0 or more, fixed before the run.
        expected: the claimed sign, 1 or -1.

    >>> differs(Interval(0.5, 0.3, 0.7, 5, 50, 50), margin=0.1)
    'confirmed'
    >>> differs(Interval(0.1, -0.2, 0.4, 5, 50, 50), margin=0.1)
    'undecided'
    """
    _check_margin(margin)
    lo, hi = (interval.lo, interval.hi) if expected > 0 else (-interval.hi, -interval.lo)
    if lo > margin:
        return "confirmed"
    return "refuted" if hi < margin else "undecided"


def equivalent(interval: Interval, margin: float) -> str:
    """Verdict on "there is no difference": confirmed if the interval lies inside the margin.

    >>> equivalent(Interval(0.01, -0.03, 0.05, 5, 50, 50), margin=0.1)
    'confirmed'
    """
    _check_margin(margin)
    if -margin < interval.lo and interval.hi < margin:
        return "confirmed"
    return "refuted" if interval.lo > margin or interval.hi < -margin else "undecided"


def _check_margin(margin: float) -> None:
    if margin < 0:
        raise InputError(f"a margin must be 0 or more, not {margin}")


def p_values(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Two-sided p-values of the tests that papers name, by scipy.

    ``welch`` treats the two as unpaired, ``paired_t`` and ``wilcoxon`` as pairs. They assume
    independent units: give one value a scene (or a seed), not one a pixel or crop. Equal values
    throughout give 1.
    """
    one, other = np.asarray(first, float), np.asarray(second, float)
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        raise InputError("tests need two equally long lists of at least two values")
    if np.array_equal(one, other):
        return {"welch": 1.0, "paired_t": 1.0, "wilcoxon": 1.0}
    from scipy import stats as scipy_stats  # here, for it would be a second of every import

    return {
        "welch": float(scipy_stats.ttest_ind(first, second, equal_var=False).pvalue),
        "paired_t": float(scipy_stats.ttest_rel(first, second).pvalue),
        "wilcoxon": float(scipy_stats.wilcoxon(first, second).pvalue),
    }


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of several p-values (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, float)
    if ((given < 0) | (given > 1) | np.isnan(given)).any():
        raise InputError("p-values must lie in [0, 1]")
    order, n = np.argsort(given), len(given)
    stepped = np.maximum.accumulate(given[order] * (n - np.arange(n)))
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def win_rate(gains: Sequence[float]) -> float:
    """Share of the gains that are above 0; a tie is not a win.

    >>> win_rate([0.3, -0.1, 0.0, 0.2])
    0.5
    """
    if len(gains) == 0:
        raise InputError("a win rate needs at least one gain")
    return float((np.asarray(gains) > 0).mean())
