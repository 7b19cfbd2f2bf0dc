"""Every method of the library on every column, in the background, column by column.

::

    python -m deblurlib.studies.which.board imagenet [COLUMN...]

scores what is not scored yet and keeps the rows in the run store, in ``.scores``; killed, the same
call goes on with the column that it was at. What is kept is used again if its first image, with the
code of today, comes out the same. Taught in chapter 07.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch

from ... import degrade, files, fingerprint, images, machine, restoration, runs
from ...errors import InputError, require
from ...evaluation import Case
from ...restoration import METHODS, Method
from ...restoration.trusting import trust
from ..rows import rounded
from ..scoring import rows_of
from .columns import COUNT, Column, columns

__all__ = ["contradiction", "methods_for", "names", "reblurred", "score"]

PROTOCOLS = ("gaussian-rgb",)
#: kinds without noise, and how many of their images, whose results are blurred again
TRUSTED, TRUSTED_COUNT = ("gaussian-wide", "motion", "shake", "defocus", "s4-camera"), 4
SAME = 0.02  # how far apart two scores of one case may be: PSNR in dB, SSIM


def names() -> list[str]:
    """The methods of the leaderboard: all that ``deblur methods`` lists."""
    return [*METHODS, *restoration.shipped()]


def methods_for(column: Column, device: torch.device | str = "cpu") -> list[Method]:
    """Those that can be tried on a column, but for the identity: all, or those without a kernel."""
    found = [restoration.find_method(name, device) for name in names() if name != "identity"]
    return [m for m in found if column.has_kernel or m.blind]


def score(
    column: Column, count: int = COUNT, say: Callable[[str], None] = lambda text: None
) -> list[dict]:
    """A column's rows, kept in the store or measured now; see :mod:`.board`."""
    path = runs.root() / ".scores" / f"{_key(column, count)}.json"
    kept = _read(path)
    if kept and _same(kept, rounded(_measured(column, islice(column.cases(count), 1)))):
        say("kept")
        return kept
    rows = rounded(_measured(column, column.cases(count)))
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, json.dumps(rows).encode())
    return rows


def _measured(column: Column, found: Iterable[Case]) -> list[dict]:
    """The rows; those of some images say what of the result contradicts the blurred image."""
    device = machine.device("auto")
    methods = methods_for(column, device)
    rows = []
    for i, case in enumerate(found):
        labels = [(m, _label(m, column.data)) for m in methods]
        new = rows_of(labels, [case], column.common, device, protocols=PROTOCOLS, **column.options)
        if column.name in TRUSTED and i < TRUSTED_COUNT:
            for row, method in zip(new, [METHODS["identity"], *methods], strict=True):
                row |= contradiction(method, case, device)
        rows += new
    return rows


def contradiction(method: Method, case: Case, device: torch.device | str = "cpu") -> dict:
    """``flagged``: the share of a restored image that contradicts ``y``; ``answered``: of how much.

    See :func:`deblurlib.restoration.trusting.trust`. ``reblurred``, where the kernel is known: the
    root mean square of ``k * x_hat - y``, in levels of 255.
    """
    kernel = None if case.kernel is None else case.kernel.to(device)
    x_hat = images.quantise(method(case.y.to(device), kernel).cpu())
    found = trust(case.y, x_hat)
    shares = {"flagged": found.flagged_share.item(), "answered": found.answered_share.item()}
    return shares | ({} if case.kernel is None else {"reblurred": reblurred(x_hat, case)})


def reblurred(x_hat: torch.Tensor, case: Case) -> float:
    """How far a restoration, blurred by a case's kernel, is from its blurred image, in levels."""
    if case.kernel is None:
        raise InputError(f"{case.image}: its kernel is not known")
    again = degrade.convolve(x_hat, case.kernel, "valid")
    seen = images.centre_crop(case.y, *again.shape[-2:])
    return 255 * (again - seen).square().mean().sqrt().item()


def _label(method: Method, data: str) -> dict:
    seen = method.has_seen(data)
    return {"method": method.name} | ({"contaminated": "yes"} if seen else {})


def _key(column: Column, count: int) -> str:
    first = next(iter(column.cases(1)))
    parts = [column.data, column.name, str(count), *names()]
    pixels = (z.mul(255).round().byte().numpy().tobytes() for z in (first.y, first.x))
    return fingerprint.of_bytes(*(part.encode() for part in parts), *pixels)


def _read(path: Path) -> list[dict] | None:
    return json.loads(files.read_bytes(path)) if path.exists() else None


def _same(kept: Sequence[Mapping], new: Sequence[Mapping]) -> bool:
    """Whether the rows of a first image are as they were, but for a quarter of the methods at most.

    Some make much of the last bits, which depend on the number of threads.
    """
    by_method = {row["method"]: row for row in kept if row["image"] == new[0]["image"]}
    if by_method.keys() != {row["method"] for row in new}:
        return False
    keys = ("psnr", f"ssim_{PROTOCOLS[0]}")
    others = sum(
        any(abs(row[key] - by_method[row["method"]][key]) > SAME for key in keys) for row in new
    )
    return others <= len(new) / 4


def main(arguments: Sequence[str]) -> None:
    require(len(arguments) >= 1, "give the photographs, then columns or none: imagenet motion")
    source, *wanted = arguments
    for column in columns(source):
        name = f"{column.data}: {column.name}"
        if wanted and not {column.name, name, column.data} & set(wanted):
            continue
        print(name, "...", flush=True)
        rows = score(column, say=print)
        print(f"{name}: {len(rows)} rows", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
