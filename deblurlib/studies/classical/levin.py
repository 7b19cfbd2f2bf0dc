"""Convert the measured blur of Levin and others into a set of pairs with kernels.

A. Levin, Y. Weiss, F. Durand, W. T. Freeman, "Understanding and evaluating blind deconvolution
algorithms", CVPR 2009: photographs of a flat scene by a shaken camera, 255 x 255 pixels, grey, and
the kernels determined beside them. ::

    python -m deblurlib.studies.classical.levin FROM FOLDER

FROM is the folder of the authors' ``.mat`` files (``x``, ``y``, ``f`` in each), or an ``.npz`` with
the arrays ``sharp``, ``blurred``, ``image_kernel`` and ``kernel1`` to ``kernel8``. The kernels as
stored are turned by 180 degrees against the convention here, and off by whole pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from ... import degrade, psf
from ...data import scenes
from ...errors import InputError
from ...files import Photo, matlab, read_bytes, unreadable, write_photo

FARTHEST = 6  # pixels that a kernel may be off
MARGIN = 35  # pixels along the border in which a kernel is not judged
LEAST = 35.0  # dB between y and the sharp image blurred by the kernel; below, it is refused

Case = tuple[str, str, np.ndarray, np.ndarray, np.ndarray]  # stem, scene, sharp, blurred, kernel


def convert(source: Path, folder: Path) -> int:
    """Write ``folder/test/{blur,sharp,kernel}`` and ``scenes.csv``; return how many pairs.

    Images are 16-bit PNG files. Nothing is written unless all of ``source`` could be read.
    """
    if (folder / "test").exists():
        raise InputError(f"{folder / 'test'}: exists already; remove it or choose another folder")
    cases = [(*case[:4], aligned(*case[2:], case[0])) for case in read(source)]
    for side in ("blur", "sharp", "kernel"):
        (folder / "test" / side).mkdir(parents=True)
    rows = []
    for stem, scene, x, y, k in cases:
        for side, image in (("sharp", x), ("blur", y)):
            pixels = np.floor(np.clip(image, 0, 1) * 65535 + 0.5).astype(np.uint16)
            write_photo(folder / "test" / side / f"{stem}.png", Photo(pixels[..., None]))
        np.save(folder / "test" / "kernel" / f"{stem}.npy", k.numpy())
        rows.append(("test", stem, scene))
    scenes.write(folder, rows)
    return len(cases)


def read(source: Path) -> Iterator[Case]:
    """The cases as they are stored, in order."""
    if source.is_dir():
        files = sorted(source.glob("*.mat"))
        if not files:
            raise InputError(f"{source}: no .mat file in it")
        for file in files:
            variables = matlab.numbers(read_bytes(file), str(file))
            if missing := {*"xyf"} - variables.keys():
                raise InputError(f"{file}: not one of Levin's files ({min(missing)} is not in it)")
            x, y, k = (np.asarray(variables[name], np.float64) for name in "xyf")
            yield file.stem, file.stem.partition("_")[0], x, y, k
        return
    try:
        with np.load(source, allow_pickle=False) as archive:
            for n, (image, kernel) in enumerate(archive["image_kernel"].tolist()):
                x, y, k = archive["sharp"][n], archive["blurred"][n], archive[f"kernel{kernel}"]
                yield f"im{image:02d}_ker{kernel:02d}", f"im{image:02d}", x, y, k
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        wrong = InputError(f"{source}: not an .npz of Levin's set ({error})")
        raise unreadable(source, error) or wrong from None


def aligned(x: np.ndarray, y: np.ndarray, stored: np.ndarray, name: str) -> torch.Tensor:
    """The kernel in convolution orientation, moved to where it explains ``y`` best.

    Raises:
        InputError: the kernel does not explain ``y``, wherever it is moved to.
    """
    sharp, blurred = (torch.from_numpy(np.asarray(z, np.float32))[None, None] for z in (x, y))
    turned = torch.from_numpy(np.asarray(stored, np.float64)[::-1, ::-1].copy())
    wide = torch.nn.functional.pad(turned / turned.sum(), [FARTHEST] * 4)
    try:
        k = psf.check(wide.float())
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    # moving the kernel moves the blurred image: one blur is enough to try all places
    y_hat = degrade.convolve(sharp, k)
    inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    offsets = range(-FARTHEST, FARTHEST + 1)
    errors = {
        (down, right): (y_hat.roll((down, right), (-2, -1)) - blurred)[inner].square().mean().item()
        for down in offsets
        for right in offsets
    }
    place = min(errors, key=lambda place: errors[place])
    if not errors[place] <= 10 ** (-LEAST / 10):
        raise InputError(f"{name}: its kernel does not lead from its sharp to its blurred image")
    moved = k.roll(place, (-2, -1))
    away = FARTHEST - max(abs(step) for step in place)  # no more zeros around it than needed
    return moved[away : len(moved) - away, away : moved.shape[1] - away].contiguous()


if __name__ == "__main__":
    print(convert(Path(sys.argv[1]), Path(sys.argv[2])), "pairs")
