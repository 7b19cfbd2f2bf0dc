"""Score methods on sets of pairs, the identity always among them. Taught in chapter 01."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from . import alignment, files, images, machine, metrics, perception, stats
from .data import ImageSet, PairSet, batches
from .degrade import SETTINGS
from .errors import InputError, require
from .names import Protocol, SettingName, unknown_name
from .restoration import METHODS, Method

__all__ = [
    "CASE",
    "Case",
    "case_of",
    "cases_of_images",
    "cases_of_pairs",
    "evaluate",
    "score_results",
    "summary",
    "table",
]

MEASURES = {**perception.MEASURES, **perception.PROBES}
#: Columns that say what a row was scored on: ``draw`` is the seed of the degradation.
CASE = ("data", "channels", "degradation", "draw", "image")
SAME = 1e-3  # how far apart two scores of one case by the identity may be, in dB or as SSIM

#: A method's scores of an image, by name: text and numbers, ``None`` where there is none.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """An image to restore, what it should become, and what is known of it."""

    image: str  # its name
    scene: str
    y: torch.Tensor  # (1, C, H, W)
    x: torch.Tensor
    kernel: torch.Tensor | None  # (h, w)


def cases_of_pairs(pairs: PairSet, grey: int = 0) -> Iterator[Case]:
    """The cases of recorded pairs; made grey, of that many channels, and rounded to 8 bit."""
    for i, name in enumerate(pairs.names):
        y, x = (images.quantise(images.grey(z, grey)) if grey else z for z in pairs[i])
        yield Case(name, pairs.scenes[i], y[None], x[None], pairs.kernel(i))


def cases_of_images(
    sharp: ImageSet, degradation: SettingName | str, seed: int, **options: Any
) -> Iterator[Case]:
    """The cases of sharp images and a setting's blur, noise and rounding.

    Args:
        degradation: a key of :data:`deblurlib.degrade.SETTINGS`.
        seed, options: see :func:`deblurlib.data.batches.evaluation_pairs`.
    """
    if degradation not in SETTINGS:
        raise unknown_name("degradation", degradation, SETTINGS)
    pairs = batches.evaluation_pairs(sharp, SETTINGS[degradation], seed, **options)
    for name, scene, pair in zip(sharp.names, sharp.scenes, pairs, strict=True):
        kernel = pair.kernels[0] if pair.degradations[0].blur.ndim == 2 else None
        yield Case(name, scene, pair.y, pair.x, kernel)


def evaluate(
    methods: Sequence[Method],
    cases: Iterable[Case],
    protocols: Sequence[Protocol] = ("gaussian-rgb",),
    device: torch.device | str = "cpu",
    measures: Sequence[str] = (),
    border: int = 0,
    align: int = 0,
) -> list[dict[str, Any]]:
    """Score methods on cases: a row an image and method, the identity's first.

    What a method returns is clamped and rounded to 8 bit before it is scored, as in a file.

    Args:
        device: see :func:`deblurlib.machine.device`; the methods' models must be there.
        protocols: of SSIM; ``None`` stands where an image is too small, or grey where colour is
            needed.
        measures: of :data:`deblurlib.perception.MEASURES` and :data:`deblurlib.perception.PROBES`.
        border: pixels along each side that are restored but not scored; methods that invent what
            lies beyond the edge are compared where they need not.
        align: pixels by which a result, the identity's as well, may be moved to where it fits best
            before it is scored, see :func:`deblurlib.alignment.align`; with as many pixels along
            each side that are not scored, or ``border`` if that is more. 0: as it is.

    Returns:
        rows with ``method``, ``image``, ``scene``, ``psnr`` (infinite for a perfect restoration),
        ``ssim_<protocol>``, the measures and ``seconds``, the time of the restoration alone.

    Raises:
        InputError: nothing to evaluate, an unknown name, a result of another size, too little
            memory.
    """
    _check_names(protocols, measures)
    identity = METHODS["identity"]
    methods = [identity, *(m for m in methods if m.name != identity.name)]
    names = [m.name for m in methods]
    if len(set(names)) < len(names):
        raise InputError(f"two methods have one name among {', '.join(names)}")
    device = machine.device(device)
    rows = []
    for number, case in enumerate(cases):
        y, x = case.y.to(device), case.x.to(device)
        kernel = None if case.kernel is None else case.kernel.to(device)
        for method in methods:
            with machine.memory_for(f"{method.name} on {case.image}", "a smaller image needs less"):
                if number == 0 and device.type == "cuda":
                    _timed(method, y, kernel, x)  # the first call prepares; it is not timed
                x_hat, seconds = _timed(method, y, kernel, x)
                if x_hat.shape != x.shape:
                    raise InputError(
                        f"{method.name} made {tuple(x_hat.shape)} of {case.image}; the sharp image "
                        f"is {tuple(x.shape)}"
                    )
                scores = _scores(x_hat, x, protocols, measures, border, align)
            row = {"method": method.name, "image": case.image, "scene": case.scene}
            rows.append(row | scores | {"seconds": seconds})
    if not rows:
        why = "there is nothing to evaluate on (cases that were gone through once are used up:"
        raise InputError(f"{why} keep them in a list)")
    return rows


def score_results(
    name: str,
    folder: str | os.PathLike[str],
    cases: Iterable[Case],
    protocols: Sequence[Protocol] = ("gaussian-rgb",),
    measures: Sequence[str] = (),
    border: int = 0,
    align: int = 0,
) -> list[dict[str, Any]]:
    """Score what another program has restored: rows to add to those of :func:`evaluate`.

    ``table(evaluate([mine], cases) + score_results("theirs", folder, cases))`` has both, and the
    identity first. They are comparable if the program was given the cases' ``y``, and the other
    arguments are the same in both calls. Taught in chapter 01.

    Args:
        name: to call the program by.
        folder: one picture for each case, of the stem of its image: ``chelsea.png`` is what was
            made of ``test/chelsea.png``. Of a grey case it is grey.
        protocols, measures, border, align: see :func:`evaluate`.

    Returns:
        rows as :func:`evaluate` returns them, of which ``seconds`` is ``None``.

    Raises:
        InputError: a case has no file or two, or one of another size; or as of :func:`evaluate`.
    """
    _check_names(protocols, measures)
    require(name != "identity", "identity is the name of doing nothing")
    cases = list(cases)
    files_of: dict[str, list[Path]] = {}
    for file in sorted(Path(folder).iterdir()) if Path(folder).is_dir() else ():
        if file.suffix.lower() in files.SUFFIXES:
            files_of.setdefault(file.stem, []).append(file)
    rows: list[dict[str, Any]] = []
    for case in cases:
        stem = PurePosixPath(case.image).stem
        found = files_of.get(stem, [])
        said = " and ".join(file.name for file in found) or "no picture"
        require(len(found) == 1, f"{folder}: {said} for {case.image}; one of the stem {stem}")
        x_hat = files.read_image(found[0])[None]
        x_hat = x_hat[:, :1] if case.x.shape[1] == 1 else x_hat
        have, wanted = (f"{z.shape[-1]} x {z.shape[-2]}" for z in (x_hat, case.x))
        require(have == wanted, f"{found[0]}: {have} pixels; the sharp image has {wanted}")
        row = {"method": name, "image": case.image, "scene": case.scene, "seconds": None}
        rows.append(row | _scores(x_hat, case.x, protocols, measures, border, align))
    require(len(rows) > 0, "there is nothing to evaluate on")
    return rows


def _check_names(protocols: Sequence[str], measures: Sequence[str]) -> None:
    """Raise an :class:`InputError` unless scores of these names are known."""
    for kind, known, names in (
        ("SSIM protocol", metrics.SSIM_PROTOCOLS, protocols),
        ("measure", MEASURES, measures),
    ):
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)


def summary(rows: Sequence[Row], protocol: Protocol = "gaussian-rgb") -> list[dict[str, Any]]:
    """One row a method, the identity's first: means over rows, beside the identity's.

    Each row is compared with the identity's of its own case, see :data:`CASE`, and both means are
    over the same images.

    ``psnr`` and ``identity_psnr`` are over the images where both are finite, and ``psnr_gain`` is
    the first less the second; ``perfect`` counts the method's infinite ones, ``identity_perfect``
    the identity's. ``ssim`` and ``identity_ssim`` are over the images where there are both. A
    method that returned something that is not a number once has no mean. ``win_rate`` is the share
    of images on which the method has the higher PSNR. ``seconds`` is of one image.

    Raises:
        InputError: a row's case has none of the identity, or two that differ.
    """
    key = f"ssim_{protocol}"
    base = _identities(rows, key)
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row["method"], []).append(row)
    lines = []
    for name, scored in by_method.items():
        identities = [_beside(row, base) for row in scored]
        pairs = [(a["psnr"], b["psnr"]) for a, b in zip(scored, identities, strict=True)]
        finite = [(a, b) for a, b in pairs if not (math.isinf(a) or math.isinf(b))]
        both = [(a.get(key), b.get(key)) for a, b in zip(scored, identities, strict=True)]
        ssims = [(a, b) for a, b in both if a is not None and b is not None]
        line: dict[str, Any] = {"method": name, "n": len(scored)}
        line |= {"psnr": _mean(a for a, _ in finite), "ssim": _mean(a for a, _ in ssims)}
        line["identity_psnr"] = _mean(b for _, b in finite)
        line["identity_ssim"] = _mean(b for _, b in ssims)
        line["psnr_gain"] = _mean(a - b for a, b in finite)
        line["win_rate"] = stats.win_rate([float(a > b) for a, b in pairs])
        line["perfect"] = sum(a == math.inf for a, _ in pairs)
        line["identity_perfect"] = sum(b == math.inf for _, b in pairs)
        line["seconds"] = _mean(r["seconds"] for r in scored if r.get("seconds") is not None)
        lines.append(line | {"ssim_protocol": protocol})
    return lines


def table(rows: Sequence[Row], protocol: Protocol = "gaussian-rgb") -> str:
    """The :func:`summary` of rows as plain text, for a terminal: a line a method, identity first.

    Means of PSNR in dB and of SSIM, what the method gains over the identity in dB, and the share of
    images on which it has the higher PSNR. ``-`` stands where there is no mean. Where a score is
    infinite, a last line says how many of whose are left out. Taught in chapter 01.

    Args:
        rows: of :func:`evaluate`, or of several calls together.
        protocol: of SSIM; one that the rows have.

    Raises:
        InputError: see :func:`summary`.
    """
    lines = [("method", "n", "PSNR, dB", f"SSIM {protocol}", "gain, dB", "win rate")]
    perfect = []
    for line in summary(rows, protocol):
        means = (_text(line["psnr"], ".2f"), _text(line["ssim"], ".4f"))
        cells = (str(line["method"]), str(line["n"]), *means)
        if line["method"] == "identity":
            lines.append((*cells, "", ""))
        else:
            lines.append((*cells, _text(line["psnr_gain"], "+.2f"), f"{line['win_rate']:.0%}"))
        if line["perfect"]:
            perfect.append(f"{line['method']} on {line['perfect']} of {line['n']}")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip()
        for first, *others in lines
    ]
    if perfect:
        text.append(f"without the images that are perfect: {', '.join(perfect)}")
    return "\n".join(text)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _identities(rows: Sequence[Row], key: str) -> dict[tuple[Any, ...], Row]:
    """The identity's row of each case, by the case; a second one must say the same."""
    identities: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row["method"] != "identity":
            continue
        other = identities.setdefault(case_of(row), row)
        if not all(_alike(row.get(k), other.get(k)) for k in ("psnr", key)):
            raise InputError(
                f"the identity has two scores on {_words(row)}: where they are of different "
                f"images, the rows must say so in one of {', '.join(CASE)}"
            )
    return identities


def _alike(a: float | None, b: float | None) -> bool:
    """Whether two scores may be of the same image: as close as those of two machines."""
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= SAME


def _beside(row: Row, base: Mapping[tuple[Any, ...], Row]) -> Row:
    """The identity's row of the same case."""
    identity = base.get(case_of(row))
    if identity is None:
        raise InputError(f"{row['method']} is scored on {_words(row)}, the identity is not")
    return identity


def _words(row: Row) -> str:
    said = (f"{column} {row[column]}" for column in CASE if row.get(column) is not None)
    return ", ".join(said) or "an image without a name"


def case_of(row: Row) -> tuple[Any, ...]:
    """What a row was scored on: its values of :data:`CASE`, ``None`` where it has none."""
    return tuple(row.get(column) for column in CASE)


def _timed(
    method: Method, y: torch.Tensor, kernel: torch.Tensor | None, x: torch.Tensor
) -> tuple[torch.Tensor, float]:
    _finish(y.device)
    started = time.perf_counter()
    x_hat = method(y, kernel, x if method.oracle else None)
    _finish(y.device)
    return x_hat, time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _scores(
    x_hat: torch.Tensor,
    x: torch.Tensor,
    protocols: Sequence[Protocol],
    measures: Sequence[str],
    border: int,
    align: int,
) -> dict[str, float | None]:
    border = max(border, align) if align else border
    if not 0 <= 2 * border < min(x.shape[-2:]):
        raise InputError(f"a border of {border} leaves nothing of {tuple(x.shape[-2:])} pixels")
    inner = (..., slice(border, x.shape[-2] - border), slice(border, x.shape[-1] - border))
    if align:
        x_hat = alignment.align(images.quantise(x_hat), x, align)  # of what a file would hold
    x_hat, x = images.quantise(x_hat[inner]), x[inner]
    scores: dict[str, float | None] = {"psnr": metrics.psnr(x_hat, x).item()}
    scores |= {f"ssim_{p}": _ssim(x_hat, x, p) for p in protocols}
    return scores | {m: MEASURES[m].function(x_hat, x).item() for m in measures}


def _ssim(x_hat: torch.Tensor, x: torch.Tensor, protocol: Protocol) -> float | None:
    needed = metrics.SSIM_PROTOCOLS[protocol]
    if min(x.shape[-2:]) < needed.least_size or (needed.colour == "luma" and x.shape[1] != 3):
        return None
    return metrics.ssim(x_hat, x, protocol).item()


def _mean(values: Iterable[float]) -> float | None:
    """The mean, or ``None`` if there are no values or one is not a number."""
    counted = list(values)
    mean = sum(counted) / len(counted) if counted else math.nan
    return None if math.isnan(mean) else mean
