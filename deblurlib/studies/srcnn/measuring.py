"""Chapter 02 measured: every recipe trained and scored, every claim judged."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...data import ImageSet, open_images
from ..archive import Archive
from ..claims import judge
from ..study import FINAL
from . import super_resolution

#: test images by profile; the others score all
COUNT = {"smoke": 2, "quick": 3}


def measure(
    archive: Archive,
    profile: str,
    seeds: Sequence[int],
    data: str,
    anchor_train: str = "sample",
    anchor_test: str = "sample",
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    Args:
        anchor_train: images for the training of the outside anchor, super-resolution.
        anchor_test: images to score it on; ``"set5"`` is scored whole.
    """
    from . import SCORING, claims, recipes, scored  # of this package, which imports this module

    test = open_images(data, "test")
    trained = [archive.run(r) for seed in seeds for r in recipes(profile, seed, data)]
    rows = archive.score(scored(trained), test.first(COUNT.get(profile)), **SCORING)
    final = profile in FINAL and data != "sample" and len(seeds) > 2
    judged = judge(claims(trained, rows), final)
    with tempfile.TemporaryDirectory() as folder:
        pairs = super_resolution.make_pairs(
            open_images(anchor_train, "train"),
            open_images(anchor_test, None if anchor_test == "set5" else "test"),
            Path(folder),
        )
        run = archive.run(super_resolution.recipe(profile, seeds[0], pairs))
        anchor = archive.score([run], protocols=(), border=3)
    return rows + anchor, judged, test
