"""Restoring with the shipped network: in tiles, in one piece, from file to file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from deblurlib import files, images, machine, models, psf, restoration
from deblurlib.data import open_images

from . import timing

TITLE = "Restoring"
ABOUT = (
    "The shipped network `srn` ({parameters} parameters) on {where}: `restore` in tiles of {tile} "
    "pixels (ours), and the bare network on the whole photograph at once; the values differ a "
    "little, for the network reaches further than the tiles overlap. A photograph of 4000 x 3000 "
    "has {work:.1f} million pixels in all its tiles together. Per pixel the bare network needs "
    "{operations:.2f} million multiplications and additions; it ran at {rate:.0f} billion a "
    "second, {share:.0%} of what a product of two large matrices reaches here. On a processor, "
    "ours needs fewer, with Winograd's convolutions (`models.lighten`); the squares are restored "
    "in one piece, with and without them. As processes of "
    "their own, from JPEG to JPEG, `deblur restore` took, in seconds, and used at its peak, in MB, "
    "PyTorch included (these processes count as others below):\n\n"
    "| method | {titles} | memory |\n| :--- | {rule}---: |\n"
)
PACKAGES = ()
#: photographs of 0.9 and 12 megapixels, the second also reduced: height, width, options
PHOTOS = {
    "1280 x 720": (720, 1280),
    "4000 x 3000, `--size 1600`": (3000, 4000, "--size", "1600"),
    "4000 x 3000": (3000, 4000),
}
METHODS = ("srn", "blind-edges", restoration.WITH_KERNEL, "unsharp-mask")
SIDES = (256, 768)  # of squares, pixels
TOLERANCE = 0.1  # between tiles and whole; on average it is far less
#: VmHWM, for ru_maxrss begins with what the process had that started this one
PEAK = (
    "import re, sys; from pathlib import Path; from deblurlib.cli import main\n"
    "sys.argv[0] = 'deblur'\n"
    "try: main()\n"
    "finally: print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
)


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time the network in tiles and on the whole; ``quick``: on a small picture.

    Returns:
        what is compared, in words, and the cases' results.
    """
    height, width, tile = (176, 320, 256) if quick else (720, 1280, restoration.TILE)
    device = machine.device()
    method = restoration.find_method("srn", device)
    model = models.load("srn", models.WEIGHTS / "srn").to(device)
    x = F.interpolate(open_images("sample", "test")[2][None], (height, width), mode="bilinear")
    y = F.avg_pool2d(x, 5, 1, 2).to(device)
    calls = {
        timing.OURS: lambda: timing.finished(restoration.restore(y[0], method, tile=tile)),
        "whole": lambda: timing.finished(restoration.apply_model(model, y)[0].clamp(0, 1)),
    }
    seconds = 0 if quick else timing.SECONDS
    case = timing.run_case(
        f"{height} x {width}", calls, lambda values: values.cpu(), rounds, seconds, TOLERANCE
    )
    cases = [case, *(one_piece(model, y, side, rounds, quick) for side in SIDES)]
    with FlopCounterMode(display=False) as counter:
        calls["whole"]()
    rate = counter.get_total_flops() / (case["contenders"]["whole"]["ms"] / 1000)
    about = ABOUT.format(
        parameters=f"{models.parameter_count(model):,}",
        where=machine.device_name(device),
        tile=tile,
        work=restoration.tiles.work((3000, 4000), method) / 1e6,
        operations=counter.get_total_flops() / 1e6 / (height * width),
        rate=rate / 1e9,
        share=rate / matrix_rate(device, 256 if quick else 4096),
        titles=" | ".join(PHOTOS),
        rule="---: | " * len(PHOTOS),
    )
    rows = [row(name, images.to_array(y[0].cpu()), device, quick) for name in METHODS]
    return about + "\n".join(rows), cases


def one_piece(model: torch.nn.Module, y: torch.Tensor, side: int, rounds: int, quick: bool) -> dict:
    """Time a square with and without Winograd's convolutions; ``quick``: an eighth of its side."""
    height = width = side // 8 if quick else side
    square = F.interpolate(y, (height, width), mode="bilinear")
    light = models.lighten(model)
    calls = {
        timing.OURS: lambda: timing.finished(restoration.apply_model(light, square)),
        "plain": lambda: timing.finished(restoration.apply_model(model, square)),
    }
    seconds = 0 if quick else timing.SECONDS
    return timing.run_case(
        f"{height} x {width}", calls, lambda values: values.cpu(), rounds, seconds
    )


def row(method: str, pixels: np.ndarray, device: torch.device, quick: bool) -> str:
    """A method's times for :data:`PHOTOS` as a line; ``quick``: only the first, small."""
    cells, peaks, less = [], [], 10 if quick else 1
    for height, width, *options in list(PHOTOS.values())[: 1 if quick else None]:
        if options and not restoration.find_method(method).blind:
            cells.append("")  # a kernel is of the photograph as it is
            continue
        photo = np.resize(pixels, (height // less, width // less, 3))
        seconds, peak = restored(photo, method, device, options)
        cells.append(f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}")
        peaks.append(peak)
    cells += [""] * (len(PHOTOS) - len(cells))
    return f"| `{method}` | {' | '.join(cells)} | {max(peaks)} |"


def restored(
    pixels: np.ndarray, method: str, device: torch.device, options: list[str]
) -> tuple[float, int]:
    """Seconds and peak memory, MB, of a process that restores a JPEG file."""
    with tempfile.TemporaryDirectory() as folder:
        photo, out, kernel = (Path(folder, name) for name in ("photo.jpg", "out.jpg", "k.npy"))
        files.write_photo(photo, files.Photo(pixels))
        args = ["restore", str(photo), "-o", str(out), "--method", method, "--device", str(device)]
        if not restoration.find_method(method).blind:
            np.save(kernel, psf.shake(torch.Generator().manual_seed(0), 20, 25).numpy())
            args += ["--kernel", str(kernel)]
        args += [*options, "--even-if-sharp"]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", PEAK, *args], capture_output=True, check=True)
        return time.perf_counter() - began, int(done.stdout.split()[-1]) // 1024


def matrix_rate(device: torch.device, side: int) -> float:
    """Multiplications and additions a second in a product of two large matrices: the limit."""
    a = torch.rand(side, side, device=device)
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        timing.finished(a @ a)
        rates.append(2 * side**3 / (time.perf_counter() - began))
    return max(rates)
