"""Measure what restoring in tiles costs the classical methods, which see the whole image.

::

    python -m deblurlib.studies.classical.tiled PHOTO...
"""

from __future__ import annotations

import sys

import torch

from ... import files, psf, restoration


def main() -> None:
    """Print, for each method, the least PSNR between tiled and whole over the photographs."""
    kernel = psf.shake(torch.Generator().manual_seed(0), 20, 25)
    photos = [files.read_image(path) for path in sys.argv[1:]]
    for method in restoration.METHODS.values():
        if method.receptive_field is None:
            k = None if method.blind else kernel
            scores = (restoration.tile_difference(y, method, restoration.TILE, k) for y in photos)
            print(f"{method.name}: {min(scores):.1f} dB", flush=True)


if __name__ == "__main__":
    main()
