"""Time the method ``srn`` on this machine, and write it into its model card.

::

    python -m deblurlib.studies.srn.speed

replaces in ``card.json`` what was measured on the same device, a GPU where there is one, and keeps
what others took.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from ... import files, machine, models, restoration
from ...names import Precision
from ...restoration import Method

__all__ = ["speeds", "with_speeds"]

FRAME = 720, 1280  # pixels: S4 has a running time for such an image
ROUNDS = 5
KEY = "speed"


def speeds(method: Method) -> list[dict]:
    """The median time that a frame of :data:`FRAME` takes on the method's device, in seconds."""
    y = torch.rand(3, *FRAME, generator=torch.Generator().manual_seed(0)).to(method.device)
    rows = []
    device = method.device or torch.device("cpu")
    computed: list[Precision] = ["32", "bf16"] if machine.computes_bf16(device) else ["32"]
    for precision in computed:
        timed, taken = method.with_precision(precision), []
        for _ in range(1 + ROUNDS):  # the first one is not counted
            began = time.perf_counter()
            restoration.restore(y, timed).cpu()  # waits for a GPU
            taken.append(time.perf_counter() - began)
        row: dict[str, Any] = {"device": machine.device_name(device), "precision": precision}
        median = float(f"{statistics.median(taken[1:]):.3g}")
        rows.append(row | {"frame": list(FRAME), "seconds": median})
    return rows


def with_speeds(card: Mapping, now: list[dict]) -> dict:
    """The card with what was measured on a device now, in the place of its own earlier rows."""
    devices = {row["device"] for row in now}
    kept = [row for row in card.get(KEY, []) if row["device"] not in devices]
    return {**card, KEY: sorted(kept + now, key=lambda row: (row["device"], row["precision"]))}


def main() -> None:
    path = models.WEIGHTS / "srn" / "card.json"
    now = speeds(restoration.find_method("srn", "auto"))
    print(*now, sep="\n")
    card = with_speeds(json.loads(path.read_text("utf-8")), now)
    files.write_whole(path, json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
