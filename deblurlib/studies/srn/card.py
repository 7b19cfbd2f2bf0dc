"""Measure the method ``srn``, and write what was measured into its model card.

::

    DEBLURLIB_DATA=... python -m deblurlib.studies.srn.card           # all of it
    DEBLURLIB_DATA=... python -m deblurlib.studies.srn.card tiles     # or some, by their names

The names are those of :data:`SCORED`, :data:`SHARP`, ``grids`` and ``tiles``. Numbers go into
``card.json`` and tables into the ``README.md`` beside it; ``docs/draw_card.py`` draws the pictures.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ... import degrade, evaluation, files, images, machine, models, perception, restoration
from ...data import holds_pairs, open_images, open_pairs
from ...errors import InputError
from ...evaluation import Case
from ...names import Protocol
from ...restoration import Method

__all__ = ["compare_tiles", "fill_in", "find_grids", "keep_sharp", "measure", "score", "tables"]

SEED = 0
PROTOCOL: Protocol = "gaussian-rgb"
QUALITY, NOISE = 60, 0.02  # of JPEG; of the range
PERIODS = (2, 4, 8)  # of grids, pixels
OUTSTANDING = 3  # a peak that photographs themselves do not have
PHOTOS = "koehler_blurry"  # wider and higher than a tile
KEPT = (
    *("n", "ssim_protocol", "win_rate", "identity_psnr", "psnr", "psnr_gain"),
    *("identity_ssim", "ssim", "seconds"),
)


@dataclass(frozen=True)
class Trial:
    """Images that the network is tried on, and what is done to them before."""

    data: str
    describes: str  # for a reader, in Markdown
    split: str | None = "test"
    degradation: str = "recorded"  # or a setting that blurs sharp images; or "none"
    spoilt: str = ""  # "jpeg" or "noise", on top
    first: int | None = None  # how many images; all by default


GOPRO = "`gopro_scenes`, test: two other scenes of GoPro, reduced to 0.6 of their size"
CLASSIC = "`classic`: Set5 and 12 images of Set14 (without numbers 6 and 9)"
#: name -> what is scored beside the identity
SCORED = {
    "gopro_scenes": Trial("gopro_scenes", GOPRO),
    "reds_small": Trial(
        "reds_small", "`reds_small`, test: one other scene of REDS, reduced to a quarter"
    ),
    "gopro_pairs": Trial(
        "gopro_pairs", "`gopro_pairs`, test: **a scene it was trained on**, other frames"
    ),
    "classic": Trial("classic", f"{CLASSIC}, blurred here by `s4-camera`", None, "s4-camera"),
    "sample": Trial(
        "sample",
        "`sample`: the bundled photographs, blurred here by `s4-camera`",
        None,
        "s4-camera",
    ),
    "levin09": Trial("levin09", "`levin09`: strong blur of a real camera, grey"),
    "gopro_scenes-jpeg": Trial(
        "gopro_scenes",
        f"`gopro_scenes`, its blurred images as JPEG of quality {QUALITY}",
        spoilt="jpeg",
    ),
    "gopro_scenes-noise": Trial(
        "gopro_scenes", f"`gopro_scenes`, its blurred images with noise of {NOISE}", spoilt="noise"
    ),
}
#: name -> sharp photographs, which should stay as they are
SHARP = {
    "classic-sharp": Trial("classic", CLASSIC, None, "none"),
    "sample-sharp": Trial("sample", "`sample`: the bundled photographs", None, "none"),
    "bsds500-sharp": Trial(
        "bsds500", "`bsds500`, test: the first 20 photographs", "test", "none", first=20
    ),
}


def cases_of(trial: Trial) -> Iterator[Case]:
    """The trial's images in order, each to be restored and what it should become."""
    if trial.degradation == "recorded":
        pairs = open_pairs(trial.data, trial.split)
        for i, case in enumerate(evaluation.cases_of_pairs(pairs)):
            yield replace(case, y=_spoil(case.y, trial.spoilt, i))
        return
    sharp = open_images(trial.data, trial.split).first(trial.first)
    if trial.degradation != "none":
        yield from evaluation.cases_of_images(sharp, trial.degradation, SEED)
        return
    for name, scene, x in zip(sharp.names, sharp.scenes, sharp, strict=True):
        yield Case(name, scene, x[None], x[None], None)


def _spoil(y: torch.Tensor, how: str, index: int) -> torch.Tensor:
    """A blurred image ``(1, 3, H, W)`` with noise, rounded to 8 bit; or as JPEG keeps it.

    Noise is drawn from the image's place in its set. JPEG has Pillow's default subsampling.
    """
    if how == "noise":
        return images.quantise(degrade.add_noise(y, NOISE, SEED, [index]))
    if how == "jpeg":
        kept = io.BytesIO()
        Image.fromarray(images.to_array(y[0])).save(kept, "JPEG", quality=QUALITY)
        return images.to_tensor(np.array(Image.open(kept)))[None]
    return y


def score(method: Method, name: str) -> dict:
    """The means of a trial of :data:`SCORED`, and each image's gain in dB."""
    trial = SCORED[name]
    rows = evaluation.evaluate([method], cases_of(trial), (PROTOCOL,))
    line = evaluation.summary(rows, PROTOCOL)[-1]
    mine, identity = (
        {r["image"]: r["psnr"] for r in rows if r["method"] == m} for m in (method.name, "identity")
    )
    gains = {image: round(psnr - identity[image], 3) for image, psnr in mine.items()}
    return _origin(name, trial, method) | {k: line[k] for k in KEPT} | {"gains": gains}


def keep_sharp(method: Method, name: str) -> dict:
    """How far a trial of :data:`SHARP` is changed: each image's PSNR of output and input."""
    trial = SHARP[name]
    rows = evaluation.evaluate([method], cases_of(trial), (PROTOCOL,))
    mine = {r["image"]: r["psnr"] for r in rows if r["method"] == method.name}
    ssims = [r[f"ssim_{PROTOCOL}"] for r in rows if r["method"] == method.name]
    means = {"psnr": _mean(mine.values()), "least": min(mine.values()), "ssim": _mean(ssims)}
    each = {image: round(psnr, 2) for image, psnr in mine.items()}
    return _origin(name, trial, method) | {"n": len(mine)} | means | {"psnrs": each}


def _origin(name: str, trial: Trial, method: Method) -> dict:
    opened = open_pairs if trial.degradation == "recorded" else open_images
    found = opened(trial.data, trial.split)
    if not holds_pairs(trial.data):
        found = found.first(trial.first)
    origin: dict[str, Any] = {"name": name, "data": found.name, "split": found.split}
    origin |= {"fingerprint": found.fingerprint, "degradation": trial.degradation}
    origin |= {"spoilt": trial.spoilt, "contaminated": method.has_seen(found.name)}
    return origin


def find_grids(method: Method, name: str) -> dict:
    """Of the bundled photographs, blurred or sharp: each one's grids, and how colours drift.

    The difference of output, rounded to 8 bit, and input is looked at, in units of 1/255.
    """
    trial = (SCORED | SHARP)[name]
    found = {}
    for case in cases_of(trial):
        difference = 255 * (images.quantise(method(case.y)) - case.y)
        found[case.image] = {
            "peaks": [round(perception.grid_peaks(difference, p).item(), 2) for p in PERIODS],
            "strengths": [
                round(perception.grid_strength(difference, p).item(), 3) for p in PERIODS
            ],
            "drift": [round(mean.item(), 2) for mean in difference.mean((0, 2, 3))],
        }
    return {"name": name, "data": trial.data, "degradation": trial.degradation, "images": found}


def compare_tiles(method: Method) -> list[dict]:
    """Of four large photographs: how well tiles and whole agree, and how much their seams show."""
    tile, overlap, _ = restoration.tiles.layout(method)
    found = open_images(PHOTOS).first(4)
    rows = []
    for name, y in zip(found.names, found, strict=True):
        if min(y.shape[-2:]) <= tile:
            raise InputError(f"{name}: not higher and wider than a tile of {tile}")
        row = {"image": name, "psnr": round(restoration.tile_difference(y, method, tile), 2)}
        down, right = (
            list(range(tile - overlap // 2, side - overlap // 2, tile - overlap))
            for side in y.shape[-2:]
        )
        for how, z in (("tiled", restoration.restore(y, method)), ("whole", method(y[None])[0])):
            row[how] = round(restoration.seam_energy(z[None], down, right).item(), 3)
        rows.append(row)
    return rows


def measure(card: dict, names: Sequence[str]) -> dict:
    """The card with what was measured, or measured anew, of some names or, without any, of all."""
    method = restoration.find_method("srn")
    every = [*SCORED, *SHARP, "grids", "tiles"]
    if unknown := set(names) - set(every):
        raise InputError(f"{min(unknown)!r} is none of {', '.join(every)}")
    parts = {"scores": (SCORED, score), "sharp": (SHARP, keep_sharp)}
    card = dict(card)
    for key, (table, function) in parts.items():
        known = {entry["name"]: entry for entry in card.get(key, [])}
        for name in table:
            if not names or name in names:
                known[name] = function(method, name)
                print(name, {k: v for k, v in known[name].items() if k in KEPT}, flush=True)
        card[key] = [known[name] for name in table if name in known]
    artefacts = dict(card.get("artefacts", {}))
    if not names or "grids" in names:
        artefacts["periods"] = PERIODS
        artefacts["grids"] = [find_grids(method, name) for name in ("sample", "sample-sharp")]
    if not names or "tiles" in names:
        artefacts["tiles"] = compare_tiles(method)
        card["tiled_psnr"] = min(row["psnr"] for row in artefacts["tiles"])
    measured = {"device": machine.device_name("cpu"), "versions": machine.versions()}
    return card | {"artefacts": artefacts, "measured_with": measured}


def tables(card: Mapping) -> dict[str, list[str]]:
    """The tables of the card for readers, in Markdown, by the name that marks their place."""
    made = {
        "scores": _table("test images|n|identity|srn|gain|SSIM identity|SSIM srn|images better", 1)
    }
    for one in card["scores"]:
        cells = [SCORED[one["name"]].describes, str(one["n"])]
        cells += [f"{one[k]:.2f}" for k in ("identity_psnr", "psnr")]
        cells += [f"{one['psnr_gain']:+.2f}"]
        cells += [f"{one[k]:.4f}" for k in ("identity_ssim", "ssim")]
        cells += [f"{one['win_rate']:.0%}"]
        made["scores"].append(_row(cells))
    made["sharp"] = _table("sharp photographs|n|mean PSNR|lowest PSNR|mean SSIM", 1)
    for one in card["sharp"]:
        cells = [SHARP[one["name"]].describes, str(one["n"]), f"{one['psnr']:.1f}"]
        made["sharp"].append(_row([*cells, f"{one['least']:.1f}", f"{one['ssim']:.4f}"]))
    periods = "|".join(f"period {p}" for p in card["artefacts"]["periods"])
    made["grids"] = _table(f"photograph||{periods}|red|green|blue", 2)
    for group in card["artefacts"]["grids"]:
        told = "sharp" if group["degradation"] == "none" else "blurred"
        for image, one in group["images"].items():
            grids = zip(one["peaks"], one["strengths"], strict=True)
            cells = [f"`{Path(image).stem}`", told, *(_peak(p, s) for p, s in grids)]
            made["grids"].append(
                _row(cells + [f"{round(mean, 1) + 0.0:+.1f}" for mean in one["drift"]])
            )
    return made


def _peak(peak: float, strength: float) -> str:
    """How far a grid stands out and, if it does, how strong it is."""
    return f"{peak:.1f}" if peak < OUTSTANDING else f"{peak:.1f} ({strength:.2f})"


def _table(header: str, words: int) -> list[str]:
    names = header.split("|")
    return [_row(names), _row([":---"] * words + ["---:"] * (len(names) - words))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fill_in(text: str, made: Mapping[str, Sequence[str]]) -> str:
    """A page with new tables between the comments ``<!-- NAME -->`` and ``<!-- NAME ends -->``."""
    for name, lines in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- {name} ends -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise InputError(f"the model card has no place for {name}: {begin} and {end}")
        text = before + "\n".join([begin, *lines, end]) + after
    return text


def _mean(values: Iterable[float]) -> float:
    counted = list(values)
    return sum(counted) / len(counted)


def main(names: Sequence[str]) -> None:
    folder = models.WEIGHTS / "srn"
    card = measure(json.loads((folder / "card.json").read_text("utf-8")), names)
    files.write_whole(folder / "card.json", json.dumps(card, indent=1) + "\n")
    page = (folder / "README.md").read_text("utf-8")
    files.write_whole(folder / "README.md", fill_in(page, tables(card)))


if __name__ == "__main__":
    main(sys.argv[1:])
