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
    pairs = pairing.holds_pairs(name, items)
    found = data.open_pairs(source) if pairs else data.open_images(source)
    sizes = sorted(
        {tuple(found[i][1].shape[1:] if pairs else found[i].shape[1:]) for i in range(len(found))}
    )
    known = sum(found.kernel(i) is not None for i in range(len(found))) if pairs else 0
    kind = ("pairs" + (f" ({known} with kernels)" if known else "")) if pairs else "images"
    print(f"{printable(name)}: {len(found)} {kind}, {len(set(found.scenes))} scenes, all readable")
    used = (*found.blurred, *found.sharp, *found.kernels) if pairs else found.items
    names = {item.name for item in used if item is not None}
    if others := sum(item.is_image and item.name not in names for item in items):
        print(f"images beside the pairs, which were not read: {others}")
    print(f"smallest {sizes[0][1]} x {sizes[0][0]}, largest {sizes[-1][1]} x {sizes[-1][0]} pixels")
    print(f"fingerprint {found.fingerprint}; {listed or 'no'} checksums listed")
