"""Turn a run of ``06/denoiser`` or of ``06/kernelnet`` into what a method uses.

::

    python -m deblurlib.studies.classical.ship RUN bsds500=PATH

The denoiser is that of ``plug-and-play``; the other network is the method ``kernelnet-rl``, of
which the cards and the licence are written, too: see :mod:`.guessing`. A run of
``06/unrolled`` is shipped by :mod:`.ship_unrolled`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

import torch

from ... import degrade, images, metrics, models, runs
from ...data import ImageSet, open_images
from ...errors import InputError
from ...restoration import deconvolution
from ...runs import Run
from . import guessing

LEVELS = (15, 25, 50)  # of 255: the noise that denoisers are commonly scored at
SEED = 0


def ship(run: Run, test: ImageSet, folder: Path | None = None) -> dict:
    """Write ``config.json``, ``model.safetensors`` and ``card.json``; return the card.

    Args:
        run: a complete run of ``06/denoiser``.
        test: photographs that it is scored on, made grey.
        folder: where to write; by default where ``plug-and-play`` looks.
    """
    model = cast(models.Denoiser, run.model().eval())
    card = run.origin | {
        "scored_on": {"name": test.name, "split": test.split, "fingerprint": test.fingerprint},
        "scores": [score(model, test, level) for level in LEVELS],
    }
    return models.write_shipped(model, card, folder or models.WEIGHTS / deconvolution.DENOISER)


@torch.inference_mode()
def score(model: models.Denoiser, test: ImageSet, level: int) -> dict:
    """Mean PSNR of grey images with noise of ``level / 255``, not clipped, and denoised."""
    rows = []
    for i, key in enumerate(test.keys):
        x = images.quantise(images.grey(test[i]))[None]
        x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
        y = degrade.add_noise(x, level / 255, SEED, [key])
        x_hat = images.quantise(model(y, level / 255))
        rows.append([metrics.psnr(z, x).item() for z in (y, x_hat)])
    identity, psnr = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return {"sigma": level, "n": len(rows), "identity_psnr": identity, "psnr": psnr}


SHIPS = {"06/denoiser": ship, "06/kernelnet": guessing.ship}


def main() -> None:
    """Ship the run that is named, scored on the test part of the set that is named."""
    run = runs.find(runs.root(), sys.argv[1])
    if run.recipe.name not in SHIPS:
        raise InputError(
            f"{run.recipe.name} is none of {', '.join(SHIPS)}, which this command ships; "
            "06/unrolled is shipped by ship_unrolled"
        )
    card = SHIPS[run.recipe.name](run, open_images(sys.argv[2], "test"))
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
