"""Chapter 07 measured: the leaderboard, networks on the blurs of others, two architectures.

Taught in chapter 07.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ... import machine, restoration
from ...data import ImageSet, holds_pairs, open_images
from ...errors import require
from ...restoration import METHODS
from ...runs import Recipe, Run
from ..archive import Archive
from ..claims import judge
from ..rows import in_order, once, read_rows, rounded
from ..scoring import label_of, rows_of
from ..study import FINAL
from . import board
from .claims import claims
from .columns import Column, columns
from .recipes import ARCHITECTURES, CAMERA, KINDS, recipes

#: photographs by profile: of the leaderboard, and those that the networks are tried on
COUNT = {"smoke": (1, 1), "quick": (3, 3), "report": (20, 20), "full": (20, 120)}
ELSEWHERE = "gopro_scenes"  # recorded pairs that the networks are tried on, too
ENOUGH = 3  # seeds


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    At `report` and `full`, recorded pairs are scored, too. The leaderboard's rows are kept in the
    run store as they are made, see :mod:`.board`.

    Raises:
        InputError: the data are pairs, or recorded ones that are to be scored are not here.
    """
    require(not holds_pairs(data), f"chapter 07 takes sharp images; {data} holds pairs")
    final = profile in FINAL
    on_board, tried = COUNT[profile]
    test = open_images(data, "test").first(tried)
    runs = [archive.run(recipe) for recipe in wanted(profile, seeds, data)]
    new = [run for run in runs if isinstance(run, Run)]
    published = [run for run in runs if not isinstance(run, Run)]
    if not new:
        rows = read_rows(archive.rows)
    else:
        # first, for of the identity's rows the first is kept, and these say more
        rows = [row for column in columns(data, final) for row in board.score(column, on_board)]
        rows += rounded(score_networks(new, data, tried, final))
        rows += archive.score(published, protocols=board.PROTOCOLS) if published else []
    rows = in_order(once(rows))
    judged = final and data == "imagenet" and len(seeds) >= ENOUGH
    return rows, judge(claims(rows), judged), test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of the study, with all seeds."""
    return [recipe for seed in seeds for recipe in recipes(profile, seed, data)]


def score_networks(
    runs: Sequence[Run], data: str, count: int, recorded: bool, device: torch.device | str = "auto"
) -> list[dict]:
    """Rows of the UNets on the blurs of all, and of the two architectures on a camera's path.

    Args:
        count: photographs.
        recorded: whether all are tried on recorded pairs, too.
    """
    device = machine.device(device)
    listed = [(restoration.of_run(run, device), label_of(run)) for run in runs]
    slugs = [run.recipe.name.removeprefix("07/") for run in runs]
    unets = [pair for pair, slug in zip(listed, slugs, strict=True) if slug not in ARCHITECTURES]
    rows = []
    for kind in KINDS:
        tried = listed if kind == CAMERA else unets
        tried = [*tried, (METHODS["unsharp-mask"], {"method": "unsharp-mask"})]
        rows += _rows(tried, Column(data, kind), count, device)
    if recorded:
        rows += _rows(listed, Column(ELSEWHERE, "recorded"), None, device)
    return rows


def _rows(listed: Sequence, column: Column, count: int | None, device: torch.device) -> list[dict]:
    found = column.cases(count)
    return rows_of(listed, found, column.common, device, protocols=board.PROTOCOLS)
