"""Turn a run of ``06/unrolled`` into the method ``unrolled-rl``.

::

    python -m deblurlib.studies.classical.ship_unrolled RUN bsds500=PATH [PHOTO...]

writes the weights, ``card.json``, ``LICENSE`` and the tables of ``README.md``, the model card. The
photographs, wider and higher than a tile, tell how well restoring in tiles agrees with restoring
the whole.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ... import files, models, psf, restoration, runs
from ...data import ImageSet, batches, open_images
from ...degrade import SETTINGS
from ...errors import require
from ...runs import Run
from ..srn.card import fill_in
from . import bridge, guessing

NAME = "unrolled-rl"  # of the method, its folder, and the model
DESCRIBES = "Richardson-Lucy with learned corrections, for a kernel that is known"
LICENCE = "research and education; see LICENSE"
TOLD = ("true kernel", "wrong kernel")  # see :data:`deblurlib.studies.classical.bridge.KERNELS`
BESIDE = ("identity", "richardson-lucy-tv", "plug-and-play")
SEED, SIDE = 0, 224  # of the degradations; of the middles of photographs that are scored, pixels
KINDS = ("all", "camera shake", "Gaussian")


def ship(
    run: Run, test: ImageSet, photos: Sequence[torch.Tensor] = (), folder: Path | None = None
) -> dict:
    """Write the network's files and the tables of its model card; return the card.

    The licence names what the run learnt from, see :func:`.guessing.licence`.

    Args:
        run: a complete run of ``06/unrolled``.
        test: photographs that it is scored on, blurred by ``known-blur``.
        photos: ``(C, H, W)``, on which tiles are compared with the whole; without any, how well
            they agree is not known.
        folder: where to write, and where ``README.md`` is; by default where the method looks.

    Raises:
        InputError: the run is of another model; the model card lacks the place of a table.
    """
    what = run.recipe.model
    require(what == NAME, f"the run {run.id} is of the model {what}, not of {NAME}")
    folder = folder or models.WEIGHTS / NAME
    model = run.model().eval()
    method = restoration.of_model(NAME, model, DESCRIBES)
    card = {"describes": DESCRIBES, **run.origin, "contaminated": []}
    card |= {"tiled_psnr": tiled(method, photos), "licence": LICENCE}
    card |= {"parameters": models.parameter_count(model)}
    card |= {
        "scored_on": {"name": test.name, "split": test.split, "fingerprint": test.fingerprint},
        "scores": score(method, test),
    }
    licence = guessing.licence(run.origin["made_with"]["data"]["name"])
    page = fill_in((folder / "README.md").read_text("utf-8"), tables(card))
    card = models.write_shipped(model, card, folder)
    files.write_whole(folder / "README.md", page)
    files.write_whole(folder / "LICENSE", licence)
    return card


def score(method: restoration.Method, test: ImageSet) -> list[dict]:
    """Mean PSNR in dB, see ``bridge.means``, by method and by the kernel that it is told."""
    pairs = [*batches.evaluation_pairs(test, SETTINGS["known-blur"], SEED, most=SIDE + 24)]
    known = {name: [bridge.KERNELS[name](pair) for pair in pairs] for name in TOLD}
    rows = []
    for one in (*map(restoration.find_method, BESIDE), method):
        for kernel, psnrs in bridge.means(one, pairs, known).items():
            row = {"method": one.name, "kernel": kernel, "n": len(pairs)}
            rows.append(row | {"psnr": dict(zip(KINDS, psnrs, strict=True))})
    return rows


def tiled(method: restoration.Method, photos: Sequence[torch.Tensor]) -> float | None:
    """The least PSNR in dB between photographs restored in tiles and in one piece."""
    kernel = psf.shake(torch.Generator().manual_seed(0), 20, 25)  # that of the other methods
    found = [restoration.tile_difference(y, method, restoration.TILE, kernel) for y in photos]
    return round(min(found), 2) if found else None


def tables(card: Mapping) -> dict[str, list[str]]:
    """The tables of the model card, in Markdown, by the name that marks their place."""
    kernels = list(dict.fromkeys(row["kernel"] for row in card["scores"]))
    columns = [f"{kernel}, {kind}" for kernel in kernels for kind in KINDS]
    scores = [f"| method | {' | '.join(columns)} |", f"| :--- |{' ---: |' * len(columns)}"]
    for name in dict.fromkeys(row["method"] for row in card["scores"]):
        own = [row["psnr"] for row in card["scores"] if row["method"] == name]
        cells = [f"{psnrs[kind]:.2f}" for psnrs in own for kind in KINDS]
        scores.append(f"| `{name}` | {' | '.join(cells)} |")
    recipe, made, training = card["recipe"], card["made_with"], card["training"]
    tile = card["tiled_psnr"]
    facts = {
        "parameters": f"{card['parameters']:,}",
        "arguments": ", ".join(f"{k}={v}" for k, v in recipe["model_args"].items()),
        "photographs": "`{name}`, train, fingerprint `{fingerprint}`".format(**made["data"]),
        "steps, batch, crop": f"{recipe['steps']:,}, {recipe['batch']}, {recipe['crop']} pixels",
        "seed": f"{recipe['seed']}",
        "device": made["device"],
        "time": f"{training['seconds'] / 60:.0f} minutes",
        "PSNR on validation crops": f"{training['val_psnr']:.2f} dB; identity "
        f"{training['val_psnr_identity']:.2f} dB",
        "photographs scored on": f"{card['scores'][0]['n']}, `{card['scored_on']['name']}`, "
        f"{card['scored_on']['split']}, fingerprint `{card['scored_on']['fingerprint']}`",
        "in tiles, against the whole": "not measured" if tile is None else f"{tile:.1f} dB",
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    return {"scores": scores, "training": ["| | |", "| :--- | :--- |", *rows]}


def main(arguments: Sequence[str]) -> None:
    require(len(arguments) >= 2, "give a run and the photographs: RUN bsds500=PATH [PHOTO...]")
    name, source, *photos = arguments
    run = runs.find(runs.root(), name)
    card = ship(run, open_images(source, "test"), [files.read_image(path) for path in photos])
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
