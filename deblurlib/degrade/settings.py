"""The degradations of the five sources, by name: what their texts and code say, made exactly.

S1 to S5 are named in ``SOURCES.md``. Where a source is silent, the choice is ours and said to be.
Taught in chapter 01.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from .. import psf
from ..names import Average
from . import kinds
from .exposure import camera_shakes, homographies
from .sampling import Degradation, Draw
from .seeding import between
from .snapshots import snapshot, snapshots, stored

__all__ = [
    "SETTINGS",
    "known_blur",
    "noise",
    "s1_box",
    "s1_box_matched",
    "s1_gaussian",
    "s1_gaussian_matched",
    "s1_motion",
    "s1_motion_5",
    "s1_motion_11",
    "s1_motion_21",
    "s1_motion_31",
    "s2_gaussian",
    "s2_gaussian_2",
    "s2_gaussian_4",
    "s2_gaussian_noisy",
    "s2_gaussian_quiet",
    "s2_gaussian_whole",
    "s3_mixture",
    "s4_camera",
    "s4_camera_light",
    "s5_gaussian",
    "s5_gaussian_clipped",
    "s5_gaussian_noisy",
    "s5_gaussian_uniform",
    "shake",
]


def _one_for_all(draw: Draw) -> Draw:
    """A setting that does not draw anything: one degradation will do for all images of a batch."""
    _together(draw, lambda generators: [draw(generators[0])] * len(generators))
    return draw


def _together(draw: Draw, many: Callable[[Sequence[torch.Generator]], list[Degradation]]) -> None:
    """Say how a setting draws many: see :func:`deblurlib.degrade.sampling.draw_each`."""
    vars(draw)["many"] = many


@_one_for_all
def s1_gaussian(generator: torch.Generator) -> Degradation:
    """S1: Pillow's ``GaussianBlur(3)``, whose radius is the standard deviation, in pixels.

    So says the stored version of its script that blurs the grey images; another has 5.
    """
    return Degradation(psf.gaussian(3.0), {"sigma": 3.0})


@_one_for_all
def s1_box(generator: torch.Generator) -> Degradation:
    """S1: Pillow's ``BoxBlur(3)``, the mean of 7 x 7 pixels."""
    return Degradation(psf.box(7), {"size": 7})


@_one_for_all
def s1_motion(generator: torch.Generator) -> Degradation:
    """S1: a horizontal line of 15 equal taps."""
    return Degradation(psf.motion(15), {"length": 15, "angle": 0})


@_one_for_all
def s1_motion_5(generator: torch.Generator) -> Degradation:
    """As S1's motion, of 5 taps; so are those below: chapter 02 asks how far a network sees."""
    return Degradation(psf.motion(5), {"length": 5, "angle": 0})


@_one_for_all
def s1_motion_11(generator: torch.Generator) -> Degradation:
    """11 taps."""
    return Degradation(psf.motion(11), {"length": 11, "angle": 0})


@_one_for_all
def s1_motion_21(generator: torch.Generator) -> Degradation:
    """21 taps."""
    return Degradation(psf.motion(21), {"length": 21, "angle": 0})


@_one_for_all
def s1_motion_31(generator: torch.Generator) -> Degradation:
    """31 taps."""
    return Degradation(psf.motion(31), {"length": 31, "angle": 0})


@_one_for_all
def s1_gaussian_matched(generator: torch.Generator) -> Degradation:
    """As S1's Gaussian, but so wide that it costs as much PSNR as S1's motion.

    Measured on 250 grey anime faces of the training split: 19.70 dB for both, 19.68 for the box
    of 11 x 11 below.
    """
    return Degradation(psf.gaussian(3.86), {"sigma": 3.86})


@_one_for_all
def s1_box_matched(generator: torch.Generator) -> Degradation:
    """As S1's box, but so wide that it costs as much PSNR as S1's motion."""
    return Degradation(psf.box(11), {"size": 11})


def s2_gaussian(generator: torch.Generator) -> Degradation:
    """S2: OpenCV's ``GaussianBlur(x, (5, 5), sigma)``, sigma uniform in [1, 4]; noise of 0.02.

    A window of 5 pixels holds little of a sigma above 2: the kernel is then nearly a box. Values
    are not clipped.
    """
    sigma = between(generator, 1.0, 4.0)
    return Degradation(psf.gaussian(sigma, 5), {"sigma": sigma}, noise=0.02, quantise=False)


def s2_gaussian_quiet(generator: torch.Generator) -> Degradation:
    """As S2's, without noise; so are those below: chapter 03 asks what of S2's blur matters."""
    return replace(s2_gaussian(generator), noise=0.0)


def s2_gaussian_noisy(generator: torch.Generator) -> Degradation:
    """Noise of 0.05."""
    return replace(s2_gaussian(generator), noise=0.05)


def s2_gaussian_whole(generator: torch.Generator) -> Degradation:
    """The same sigmas in a window that holds three of the largest."""
    return _wider(generator, 1, 25)


def s2_gaussian_2(generator: torch.Generator) -> Degradation:
    """Twice as wide, window and all, for images of twice the side."""
    return _wider(generator, 2, 9)


def s2_gaussian_4(generator: torch.Generator) -> Degradation:
    """Four times as wide."""
    return _wider(generator, 4, 17)


def s3_mixture(generator: torch.Generator) -> Degradation:
    """S3: Gaussian blur for one half of the images, motion blur for the other; all else is ours.

    S3 gives no sizes. Ours, for faces of 64 pixels: sigma uniform in [0.5, 2], length in [3, 9],
    any angle.
    """
    if between(generator, 0.0, 1.0) < 0.5:
        sigma = between(generator, 0.5, 2.0)
        return Degradation(psf.gaussian(sigma, 13), {"sigma": sigma})
    length, angle = between(generator, 3.0, 9.0), between(generator, 0.0, 180.0)
    return Degradation(psf.motion(length, angle, 13), {"length": length, "angle": angle})


def s4_camera(generator: torch.Generator) -> Degradation:
    """In the place of S4's GoPro frames where there are none: a hand-held camera's path, ours.

    The centre wanders 8 to 24 pixels, the camera rolls by up to 1 degree. Stored values are
    averaged, as in the ``blur`` folders that the scale-recurrent network was trained on.
    """
    return _cameras([generator], "encoded")[0]


def s4_camera_light(generator: torch.Generator) -> Degradation:
    """As ``s4-camera``, with light averaged, as in the ``blur_gamma`` folders."""
    return _cameras([generator], "light")[0]


def s5_gaussian(generator: torch.Generator) -> Degradation:
    """S5: a Gaussian with sigma = abs(N(0, 5)); its window is not given, 61 pixels is ours.

    The window holds three sigma up to 10; the larger ones, 4.6 %, are cut off by it.
    """
    sigma = abs(5.0 * torch.randn((), generator=generator).item())
    return Degradation(psf.gaussian(sigma, 61), {"sigma": sigma})


def s5_gaussian_uniform(generator: torch.Generator) -> Degradation:
    """As S5's, but sigma uniform in [0, 10]: of S5's own, few are wide, and many hardly a blur."""
    sigma = between(generator, 0.0, 10.0)
    return Degradation(psf.gaussian(sigma, 61), {"sigma": sigma})


def s5_gaussian_noisy(generator: torch.Generator) -> Degradation:
    """As S5's, with noise of 0.01: S5 writes it into its equation, and not into its images."""
    return replace(s5_gaussian(generator), noise=0.01)


def s5_gaussian_clipped(generator: torch.Generator) -> Degradation:
    """As S5's, of lamps that were up to four times as bright as white, and are cut off at it."""
    return replace(s5_gaussian(generator), highlights=4.0)


def shake(generator: torch.Generator) -> Degradation:
    """Camera shake as one kernel, 8 to 24 pixels long, after Boracchi and Foi; in no source."""
    return _shakes([generator])[0]


def known_blur(generator: torch.Generator) -> Degradation:
    """What deconvolution with a known kernel is chosen and trained on; in no source.

    A shaken camera's kernel, 8 to 24 pixels long, or a Gaussian with a sigma uniform in [1, 4],
    equally likely, in a window of 25 pixels; noise from 0.001 to 0.02, its logarithm uniform.
    """
    return _known_blurs([generator])[0]


def noise(generator: torch.Generator) -> Degradation:
    """Noise alone, of a standard deviation uniform in [0, 0.2], not clipped; in no source."""
    sigma = between(generator, 0.0, 0.2)
    return Degradation(torch.ones(1, 1), {"noise": sigma}, noise=sigma, quantise=False)


#: name -> the function that draws it.
SETTINGS: dict[str, Draw] = {
    "s1-gaussian": s1_gaussian,
    "s1-box": s1_box,
    "s1-motion": s1_motion,
    "s1-motion-5": s1_motion_5,
    "s1-motion-11": s1_motion_11,
    "s1-motion-21": s1_motion_21,
    "s1-motion-31": s1_motion_31,
    "s1-gaussian-matched": s1_gaussian_matched,
    "s1-box-matched": s1_box_matched,
    "s2-gaussian": s2_gaussian,
    "s2-gaussian-quiet": s2_gaussian_quiet,
    "s2-gaussian-noisy": s2_gaussian_noisy,
    "s2-gaussian-whole": s2_gaussian_whole,
    "s2-gaussian-2": s2_gaussian_2,
    "s2-gaussian-4": s2_gaussian_4,
    "s3-mixture": s3_mixture,
    "s4-camera": s4_camera,
    "s4-camera-light": s4_camera_light,
    "s5-gaussian": s5_gaussian,
    "s5-gaussian-uniform": s5_gaussian_uniform,
    "s5-gaussian-noisy": s5_gaussian_noisy,
    "s5-gaussian-clipped": s5_gaussian_clipped,
    "shake": shake,
    "known-blur": known_blur,
    "gaussian-narrow": kinds.gaussian_narrow,
    "gaussian-wide": kinds.gaussian_wide,
    "box": kinds.box,
    "motion": kinds.motion,
    "defocus": kinds.defocus,
    "defocus-4": _one_for_all(kinds.defocus_4),
    "noise": noise,
    "snapshot": snapshot,
    "stored": stored,
}


def _wider(generator: torch.Generator, times: float, window: int) -> Degradation:
    """S2's Gaussian with another window, and sigma so many times as large."""
    narrow = s2_gaussian(generator)
    sigma = times * narrow.parameters["sigma"]
    return replace(narrow, blur=psf.gaussian(sigma, window), parameters={"sigma": sigma})


def _shakes(generators: Sequence[torch.Generator]) -> list[Degradation]:
    lengths = [between(g, 8.0, 24.0) for g in generators]
    paths = psf.trajectories(generators, lengths)
    return [
        Degradation(psf.from_path(path, 25), {"length": length})
        for path, length in zip(paths, lengths, strict=True)
    ]


def _known_blurs(generators: Sequence[torch.Generator]) -> list[Degradation]:
    drawn = [torch.rand(3, generator=g).tolist() for g in generators]
    shaken = [
        (g, 8 + 16 * width)
        for g, (kind, width, _) in zip(generators, drawn, strict=True)
        if kind < 0.5
    ]
    paths = iter(psf.trajectories([g for g, _ in shaken], [s for _, s in shaken]) if shaken else ())
    degradations = []
    for kind, width, strength in drawn:
        sigma = math.exp(math.log(0.001) + strength * math.log(20))
        if kind < 0.5:
            k, made_from = psf.from_path(next(paths), 25), {"length": 8 + 16 * width}
        else:
            k, made_from = psf.gaussian(1 + 3 * width, 25), {"sigma": 1 + 3 * width}
        degradations.append(Degradation(k, made_from | {"noise": sigma}, noise=sigma))
    return degradations


def _cameras(generators: Sequence[torch.Generator], average: Average) -> list[Degradation]:
    drawn = [(between(g, 8.0, 24.0), between(g, 0.0, 1.0)) for g in generators]
    lengths, rolls = zip(*drawn, strict=True)
    paths = camera_shakes(generators, lengths, rolls)
    return [
        Degradation(path, {"length": length, "roll": roll}, average, margin=CAMERA_MARGIN)
        for path, (length, roll) in zip(homographies(paths, 1000.0), drawn, strict=True)
    ]


# Their walks take a loop of 2,000 steps, however many they are.
_together(shake, _shakes)
_together(known_blur, _known_blurs)
_together(s4_camera, partial(_cameras, average="encoded"))
_together(s4_camera_light, partial(_cameras, average="light"))
_together(snapshot, snapshots)

CAMERA_MARGIN = 20  # pixels; enough for images of up to 512 pixels a side
