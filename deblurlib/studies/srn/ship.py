"""Turn a run into the method ``srn``: its weights, and a card that says what they are.

::

    python -m deblurlib.studies.srn.ship RUN PHOTO...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ... import images, models, restoration, runs
from ...runs import Run

DESCRIBES = "scale-recurrent network, trained here on camera shake and scene motion"
#: the training has pictures of these sets' test parts: gopro_scenes and gopro_patches, which it
#: learnt from, were cut out of GoPro's official test set; gopro_pairs is one scene, train and test
CONTAMINATED = ("gopro", "gopro-gamma", "gopro_pairs", "gopro_patches", "motion-mixture")


def ship(run: Run, photos: list[Path], folder: Path = restoration.WEIGHTS / "srn") -> dict:
    """Write ``config.json``, ``model.safetensors`` and ``card.json``; return the card.

    Args:
        run: complete.
        photos: larger than a tile; restored in tiles and whole, they tell the least agreement.
    """
    method = restoration.find_method(run.id)
    least = min(
        restoration.tile_difference(images.read(photo), method, restoration.TILE)
        for photo in photos
    )
    card = {
        "describes": DESCRIBES,
        "model": run.recipe.model,
        "contaminated": CONTAMINATED,
        "tiled_psnr": round(least, 2),
        "run": run.id,
        "recipe": json.loads(run.recipe.to_json()),
        "made_with": {k: run.env[k] for k in ("data", "device", "versions")},
        "validation": run.metrics,
    }
    folder.mkdir(parents=True, exist_ok=True)
    models.save(run.model(), folder)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    return card


if __name__ == "__main__":
    found = runs.find(runs.root(), sys.argv[1])
    print(json.dumps(ship(found, [Path(p) for p in sys.argv[2:]]), indent=1))
