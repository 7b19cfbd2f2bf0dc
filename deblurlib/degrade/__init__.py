"""Blur and noise: the forward model ``y = k * x + n`` and what real cameras add to it.

``convolution``: one blur everywhere, and its adjoint. ``field``: a blur that varies over the image.
``exposure``: what a moving camera or a video sees, averaged. ``objects``: what moves on its own
before it. ``noise``: noise and highlights. ``jpeg``: compression. ``seeding``: the random numbers
of everything. ``sampling``: a degradation drawn for each image. ``settings``: those of the five
sources, by name. ``snapshots``: a photograph as people take it, and as it is stored. ``carrying``:
to a GPU, without waiting for it. Taught in chapter 01.
"""

from .convolution import BOUNDARIES, convolve, convolve_adjoint
from .exposure import (
    camera_shake,
    camera_shakes,
    decode_gamma,
    encode_gamma,
    expose,
    homographies,
    max_displacement,
    sweep,
    warp,
)
from .field import convolve_field, defocus_weights, grid_weights
from .jpeg import Jpeg, compress
from .noise import add_noise, add_shot_noise, boost_highlights
from .objects import Mover, sweep_objects
from .sampling import Degradation, Draw, Pair, apply, draw_each, sample
from .seeding import between, generator
from .settings import SETTINGS

__all__ = [
    "BOUNDARIES",
    "SETTINGS",
    "Degradation",
    "Draw",
    "Jpeg",
    "Mover",
    "Pair",
    "add_noise",
    "add_shot_noise",
    "apply",
    "between",
    "boost_highlights",
    "camera_shake",
    "camera_shakes",
    "compress",
    "convolve",
    "convolve_adjoint",
    "convolve_field",
    "decode_gamma",
    "defocus_weights",
    "draw_each",
    "encode_gamma",
    "expose",
    "generator",
    "grid_weights",
    "homographies",
    "max_displacement",
    "sample",
    "sweep",
    "sweep_objects",
    "warp",
]
