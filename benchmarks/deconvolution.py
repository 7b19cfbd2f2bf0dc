"""Deconvolution with a known and an unknown kernel, beside scikit-image and deepinv."""

from __future__ import annotations

from collections.abc import Callable

import deepinv
import numpy as np
import torch
from skimage import restoration

from deblurlib import classical, degrade, images, machine, metrics, psf
from deblurlib.data import open_images

from . import memory, timing

ITERATIONS, SIDE = 30, 25  # plain iterations; pixels of the kernel's side
FEW, BLIND_ITERATIONS = 4, 10  # images that are restored blindly, and their iterations

TITLE = "Deconvolution"
ABOUT = (
    "Richardson-Lucy, 30 iterations, on {where}: {shape} grey crops of the sample photographs, "
    "blurred with reflection by a Gaussian of sigma 3 on 25 x 25 pixels, noise of 0.002. `zero` "
    "and `circular`: the same border for both. `reflect`: scikit-image is handed images with 12 "
    "mirrored pixels more at each side; near the border its values differ a little, so those of "
    "the middle are compared, within 0.02. `accelerated`: the {steps} steps of `accelerate=True, "
    "start=y` that reach the mean PSNR of scikit-image's result of case `reflect`, {reached:.2f} "
    "dB (the blurred images: {identity:.2f} dB; scikit-image's result with its own border: "
    "{black:.2f} dB). `blind`: 10 plain iterations from 15 x 15 ones, circular, of {few} images. "
    "deepinv: `MLEM` and `BlindRL` with `use_fft`. The most memory that a process holds which does "
    "case `zero`, libraries included: {ours} MB; with scikit-image: {theirs} MB."
)
PACKAGES = ("scikit-image", "deepinv", "numpy")
MEMORY = (
    "from benchmarks import deconvolution as d; from deblurlib import classical\n"
    "x, y, k = d.problem({count}, {side}, 'cpu')\n"
)


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time every case; ``quick``: on a few small images.

    Returns:
        what is compared, in words, and the cases' results.
    """
    count, side, seconds = (2, 64, 0) if quick else (16, 256, timing.SECONDS)
    x, y, k = problem(count, side, machine.device())
    goal = psnr(mirrored(y, k), x)
    steps = steps_to(goal, x, y, k)

    def beside(name: str, ours: Callable, package: str, theirs: Callable, **how) -> dict:
        calls = {
            timing.OURS: lambda: timing.finished(ours()),
            package: lambda: timing.finished(theirs()),
        }
        collect = how.pop("collect", torch.Tensor.cpu)
        return timing.run_case(name, calls, collect, rounds, seconds, **how)

    def lucy(boundary: str) -> Callable[[], torch.Tensor]:
        return lambda: classical.richardson_lucy(y, k, ITERATIONS, boundary)

    def reached(x_hat: torch.Tensor) -> torch.Tensor:
        return torch.tensor(min(psnr(x_hat, x), goal))

    fast, slow = (lambda: accelerated(y, k, steps)), (lambda: mirrored(y, k))
    cases = [
        beside("zero", lucy("zero"), "scikit-image", lambda: scikit(y, k)),
        beside("circular", lucy("circular"), "deepinv", mlem(y, k)),
        beside(
            "reflect",
            lucy("reflect"),
            "scikit-image",
            slow,
            collect=lambda x_hat: images.centre_crop(x_hat.cpu(), side // 2),
            tolerance=0.02,
        ),
        beside("accelerated", fast, "scikit-image", slow, collect=reached),
        beside("blind", *blind(y[:FEW])),
    ]
    program = MEMORY.format(count=count, side=side)
    about = ABOUT.format(
        where=machine.device_name(y.device),
        shape=" x ".join(map(str, y.shape)),
        steps=steps,
        reached=goal,
        identity=psnr(y, x),
        black=psnr(scikit(y, k), x),
        few=len(y[:FEW]),
        ours=memory.peak(program + "classical.richardson_lucy(y, k, 30, 'zero')"),
        theirs=memory.peak(program + "d.scikit(y, k)"),
    )
    return about, cases


def problem(
    count: int, side: int, device: torch.device | str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sharp crops and their blurred versions ``(count, 1, side, side)``, and the kernel."""
    generator = torch.Generator().manual_seed(0)
    photographs = [images.grey(x) for x in open_images("sample")]
    crops = []
    for i in range(count):
        x = photographs[i % len(photographs)]
        free = (n - side + 1 for n in x.shape[-2:])
        top, left = (int(torch.randint(n, (), generator=generator)) for n in free)
        crops.append(x[..., top : top + side, left : left + side])
    x, k = torch.stack(crops), psf.gaussian(3.0, SIDE)
    y = degrade.convolve(x, k, "reflect")
    y = (y + 0.002 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    return x.to(device), y.to(device), k.to(device)


def accelerated(y: torch.Tensor, k: torch.Tensor, steps: int) -> torch.Tensor:
    start = y.clamp(min=1e-3)
    return classical.richardson_lucy(y, k, steps, accelerate=True, start=start)


def steps_to(goal: float, x: torch.Tensor, y: torch.Tensor, k: torch.Tensor) -> int:
    """The least number of accelerated steps whose mean PSNR is ``goal`` or more."""
    return next(n for n in range(1, ITERATIONS) if psnr(accelerated(y, k, n), x) >= goal)


def scikit(y: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """scikit-image's result, image by image, with its own border."""
    arrays, kernel = y[:, 0].cpu().numpy(), k.cpu().numpy()
    restored = [
        restoration.richardson_lucy(array, kernel, ITERATIONS, clip=False) for array in arrays
    ]
    return torch.from_numpy(np.stack(restored))[:, None]


def mirrored(y: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """scikit-image's result on images that are mirrored at their border."""
    around = SIDE // 2
    wide = torch.nn.functional.pad(y, [around] * 4, mode="reflect")
    return scikit(wide, k)[..., around:-around, around:-around]


def mlem(y: torch.Tensor, k: torch.Tensor) -> Callable[[], torch.Tensor]:
    """A call of deepinv's Richardson-Lucy."""
    blur = deepinv.physics.Blur(k[None, None], padding="circular", use_fft=True, device=y.device)
    solver = deepinv.optim.MLEM(max_iter=ITERATIONS)
    return lambda: solver(y, blur)


def blind(y: torch.Tensor) -> tuple[Callable, str, Callable]:
    """Calls of our and of deepinv's blind Richardson-Lucy, its name between them."""
    ones, n = torch.ones(15, 15, device=y.device), BLIND_ITERATIONS
    solver = deepinv.optim.BlindRL(max_iter=n, kernel_size=15, use_fft=True)
    ours = lambda: classical.blind_richardson_lucy(y, ones, n, "circular", False)[0]  # noqa: E731
    return ours, "deepinv", lambda: solver(y)[0]


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    return metrics.psnr(x_hat.to(x).clamp(0, 1), x).mean().item()
