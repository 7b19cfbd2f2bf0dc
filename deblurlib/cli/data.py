"""``deblur data``: what is in a data set, or wrong with it."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import places
from ..progress import counted
from .command import DATA, STDOUT, JsonLines, app, check_json, printable, propose_data, write_json


@app.command("data", rich_help_panel=DATA)
def describe_data(
    source: Annotated[
        str,
        typer.Argument(
            help="sample, a set's name, a path, or NAME=PATH.", autocompletion=propose_data
        ),
    ],
    json_file: JsonLines = None,
) -> None:
    """Read every image of a data set; say what is in it, or what is wrong with it."""
    check_json(json_file)
    if source != "sample" and source not in places.MIXTURES:
        places.locate(source)  # raises before PyTorch is loaded
    from .. import data
    from ..data import contents, pairing, sources

    name, items = sources.open_source(source)
    listed = contents.verify(items)
    paired = pairing.holds_pairs(name, items)
    dataset = data.open_pairs(source) if paired else data.open_images(source)
    sizes = sorted(
        {
            tuple(dataset[i][1].shape[1:] if paired else dataset[i].shape[1:])
            for i in counted(range(len(dataset)), "reading", len(dataset))
        }
    )
    kernels = sum(dataset.kernel(i) is not None for i in range(len(dataset))) if paired else 0
    used = (*dataset.blurred, *dataset.sharp, *dataset.kernels) if paired else dataset.items
    within = {item.name for item in used if item is not None}
    others = sum(item.is_image and item.name not in within for item in items)
    if json_file is not None:
        told = {"name": name, "kind": "pairs" if paired else "images", "n": len(dataset)}
        told |= {"kernels": kernels, "scenes": len(set(dataset.scenes)), "not_read": others}
        told |= {"smallest": sizes[0][::-1], "largest": sizes[-1][::-1]}
        told |= {"fingerprint": dataset.fingerprint, "checksums": listed or 0}
        write_json(json_file, [told])
    if json_file == STDOUT:
        return
    kind = ("pairs" + (f" ({kernels} with kernels)" if kernels else "")) if paired else "images"
    print(
        f"{printable(name)}: {len(dataset)} {kind}, {len(set(dataset.scenes))} scenes, all readable"
    )
    if others:
        print(f"images beside the pairs, which were not read: {others}")
    print(f"smallest {sizes[0][1]} x {sizes[0][0]}, largest {sizes[-1][1]} x {sizes[-1][0]} pixels")
    print(f"fingerprint {dataset.fingerprint}; {listed or 'no'} checksums listed")
