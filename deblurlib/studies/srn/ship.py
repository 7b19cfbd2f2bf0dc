"""Turn a run into the method ``srn``: its weights, and a card that says what they are.

::

    deblur evaluate --method RUN --pairs SET --json scores.json     # for each set
    python -m deblurlib.studies.srn.ship RUN --photos PHOTO... --scores scores.json...
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ... import files, models, restoration, runs
from ...errors import InputError
from ...runs import Run

DESCRIBES = "small scale-recurrent network, for camera shake and moving things"
#: Sets on which a score of it is no test. gopro_scenes and gopro_patches, which it learns from,
#: were cut out of GoPro's official test set; gopro_pairs is one scene, trained on and tested on.
CONTAMINATED = ("gopro", "gopro-gamma", "gopro_pairs", "gopro_patches", "motion-mixture")
KEPT = ("data", "split", "fingerprint", "degradation", "seed", "n", "ssim_protocol", "win_rate")
KEPT += ("identity_psnr", "psnr", "psnr_gain", "identity_ssim", "ssim")


def ship(
    run: Run,
    photos: Sequence[Path],
    scores: Sequence[dict],
    folder: Path | None = None,
) -> dict:
    """Write ``config.json``, ``model.safetensors`` and ``card.json``; return the card.

    Args:
        run: a complete run.
        photos: photographs higher and wider than a tile; the least agreement between restoring
            them in tiles and whole goes into the card.
        scores: what ``deblur evaluate --json`` wrote of the run.
        folder: where to write; by default where ``srn`` is looked for.
    """
    method = restoration.of_run(run)
    agreements = []
    for photo in photos:
        y = files.read_image(photo)
        if min(y.shape[-2:]) <= restoration.TILE:
            raise InputError(f"{photo}: not higher and wider than a tile of {restoration.TILE}")
        agreements.append(restoration.tile_difference(y, method, restoration.TILE))
    card = run.origin | {
        "describes": DESCRIBES,
        "contaminated": CONTAMINATED,
        "tiled_psnr": round(min(agreements), 2),
        "scores": [{k: score[k] for k in KEPT} for score in scores],
    }
    models.write_shipped(run.model(), card, folder or models.WEIGHTS / "srn")
    return card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--photos", nargs="+", type=Path, required=True)
    parser.add_argument("--scores", nargs="+", type=Path, required=True)
    options = parser.parse_args()
    scores = [json.loads(path.read_text("utf-8")) for path in options.scores]
    print(json.dumps(ship(runs.find(runs.root(), options.run), options.photos, scores), indent=1))


if __name__ == "__main__":
    main()
