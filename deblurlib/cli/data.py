"""``deblur data``: what is in a data set, or wrong with it."""

from __future__ import annotations

from typing import Annotated

import typer

from .command import app, printable


@app.command(name="data")
def describe_data(
    source: Annotated[str, typer.Argument(help="sample, a set's name, a path, or NAME=PATH.")],
) -> None:
    """Read every image of a data set; say what is in it, or what is wrong with it."""
    from .. import data
    from ..data import contents, pairing, sources

    name, items = sources.open_source(source)
    listed = contents.verify(items)
    paired = pairing.holds_pairs(name, items)
    dataset = data.open_pairs(source) if paired else data.open_images(source)
    sizes = sorted(
        {
            tuple(dataset[i][1].shape[1:] if paired else dataset[i].shape[1:])
            for i in range(len(dataset))
        }
    )
    kernels = sum(dataset.kernel(i) is not None for i in range(len(dataset))) if paired else 0
    kind = ("pairs" + (f" ({kernels} with kernels)" if kernels else "")) if paired else "images"
    print(
        f"{printable(name)}: {len(dataset)} {kind}, {len(set(dataset.scenes))} scenes, all readable"
    )
    used = (*dataset.blurred, *dataset.sharp, *dataset.kernels) if paired else dataset.items
    names = {item.name for item in used if item is not None}
    if others := sum(item.is_image and item.name not in names for item in items):
        print(f"images beside the pairs, which were not read: {others}")
    print(f"smallest {sizes[0][1]} x {sizes[0][0]}, largest {sizes[-1][1]} x {sizes[-1][0]} pixels")
    print(f"fingerprint {dataset.fingerprint}; {listed or 'no'} checksums listed")
