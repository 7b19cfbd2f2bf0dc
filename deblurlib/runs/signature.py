"""Signatures: a hash of all bits of some numbers, and a few values in which a change shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from .. import fingerprint

__all__ = ["differences", "of_numbers", "of_tensors", "of_weights"]

#: How far apart two kinds of machine may bring a number, as a share of it or, of weights, of the
#: way that all of them went. Measured: instruction sets and threads move weights by up to 2.4e-6,
#: the smallest change that matters (Adam's beta of 0.999 made 0.9991) by 1.1e-5. What is rounded
#: to 8 bit may differ by some pixels; of the measures of looks, which take logarithms and
#: quotients, rounding has moved one by 1.9e-4.
TOLERANCES = {"weights": 7e-6, "losses": 7e-6, "rates": 1e-9}
TOLERANCES |= {"validation": 1e-4, "batches": 1e-4, "scores": 1e-3}
PROJECTIONS = 4

Signature = dict[str, Any]  # "hash": of all bits; "values": a few in which a change shows


def of_weights(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> Signature:
    """The signature of the weights before and after a training, and of the way between them.

    The first value, to which the others are compared, is the way's length. Then its projection on
    the direction in which all weights grow, and on random ones; then the same of where it began.
    Where a gradient is nearly 0, rounding may turn Adam's first step of that one weight round, by
    twice the rate; a single weight must therefore not count for more than its share.
    """
    names = sorted(before)
    start, end = (torch.cat([w[n].double().flatten() for n in names]) for w in (before, after))
    generator = torch.Generator().manual_seed(0)
    directions = [torch.ones(len(start), dtype=torch.float64)]
    for _ in range(PROJECTIONS):
        signs = torch.randint(0, 2, (len(start),), generator=generator)
        directions.append(signs.double() * 2 - 1)
    values = []
    for vector in (end - start, start):
        values += [vector.norm(), *(d @ vector / math.sqrt(len(d)) for d in directions)]
    return {
        "hash": of_tensors([*(before[n] for n in names), *(after[n] for n in names)]),
        "values": [shortened(v.item()) for v in values],
    }


def of_numbers(values: Sequence[float | None]) -> Signature:
    """The signature of some numbers; one that is not finite counts as ``None``."""
    finite = [None if v is None or not math.isfinite(v) else float(v) for v in values]
    return {
        "hash": fingerprint.of_bytes(repr(finite).encode()),
        "values": [shortened(v) for v in finite],
    }


def of_tensors(tensors: Iterable[torch.Tensor]) -> str:
    """A hash of all bits of some tensors, in order."""
    arrays = [t.detach().cpu().contiguous().numpy() for t in tensors]
    return fingerprint.of_bytes(*(p for a in arrays for p in (str(a.shape).encode(), a.tobytes())))


def shortened(value: float | None) -> float | None:
    """The value to nine digits, more than any tolerance needs; ``None`` if it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.9g}")


def is_whole(signatures: object) -> bool:
    """Whether this has the form of signatures by name; the content of a damaged file has not."""
    return isinstance(signatures, Mapping) and all(
        isinstance(signature, Mapping)
        and isinstance(signature.get("values"), list)
        and "hash" in signature
        for signature in signatures.values()
    )


def differences(
    old: Mapping[str, Signature], new: Mapping[str, Signature], alike: bool
) -> list[str]:
    """The names of the parts of ``new`` that differ from ``old``, or are missing there.

    Args:
        alike: whether both come from one kind of machine, see :func:`deblurlib.machine.arithmetic`.
    """
    changed = []
    for name in sorted(new):
        if name not in old:
            changed.append(f"{name} (not in the proof)")
            continue
        if old[name]["hash"] == new[name]["hash"]:
            continue
        near = _near(old[name]["values"], new[name]["values"], name)
        if alike or not near:
            changed.append(f"{name} (by rounding)" if near else name)
    return changed


def _near(old: Sequence[float | None], new: Sequence[float | None], part: str) -> bool:
    if len(old) != len(new):
        return False
    sizes = [abs(v) for v in old if v is not None]
    # the first of weights is the way's length, the largest of batches a root of mean squares
    scales = {"weights": sizes[:1], "batches": [max(sizes, default=0.0)]}
    for a, b in zip(old, new, strict=True):
        if a is None and b is None:
            continue
        if a is None or b is None:
            return False
        kind = part.split()[0]
        (scale,) = scales.get(kind, [abs(a)])
        if not abs(a - b) <= TOLERANCES[kind] * scale:
            return False
    return True
