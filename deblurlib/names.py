"""Names that a user types, as types; and which one a mistyped name is like. Light: no PyTorch.

Each type is a ``Literal``, so that an editor proposes the names and a type checker knows a wrong
one. What a name stands for is in the table that is named beside it. Taught in chapters 01 and 07.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, get_args

from .errors import InputError

__all__ = [
    "Average",
    "Boundary",
    "Chapter",
    "MethodName",
    "Objective",
    "Precision",
    "Profile",
    "Protocol",
    "SettingName",
    "Split",
    "closest",
    "known",
    "no_such_method",
    "unknown_name",
]

#: What a run may be sized as, from the tests' to the sources' own scale.
Profile = Literal["smoke", "quick", "report", "full"]

#: A chapter that trains: :data:`deblurlib.studies.CHAPTERS`.
Chapter = Literal["02", "03", "04", "05", "06", "07"]

#: :data:`deblurlib.restoration.METHODS`, then the networks that ship.
MethodName = Literal[
    "identity",
    "unsharp-mask",
    "inverse",
    "tikhonov",
    "wiener",
    "richardson-lucy",
    "accelerated-richardson-lucy",
    "richardson-lucy-tv",
    "plug-and-play",
    "blind-richardson-lucy",
    "blind-edges",
    "blind-richardson-lucy-gaussian",
    "kernelnet-rl",
    "kernelnet-rl-stitched",
    "srn",
    "unrolled-rl",
]

#: :data:`deblurlib.degrade.SETTINGS`: how images are blurred.
SettingName = Literal[
    "s1-gaussian",
    "s1-box",
    "s1-motion",
    "s1-motion-5",
    "s1-motion-11",
    "s1-motion-21",
    "s1-motion-31",
    "s1-gaussian-matched",
    "s1-box-matched",
    "s2-gaussian",
    "s2-gaussian-quiet",
    "s2-gaussian-noisy",
    "s2-gaussian-whole",
    "s2-gaussian-2",
    "s2-gaussian-4",
    "s3-mixture",
    "s4-camera",
    "s4-camera-light",
    "s5-gaussian",
    "s5-gaussian-uniform",
    "s5-gaussian-noisy",
    "s5-gaussian-clipped",
    "shake",
    "known-blur",
    "gaussian-narrow",
    "gaussian-wide",
    "box",
    "motion",
    "defocus",
    "defocus-4",
    "noise",
    "snapshot",
    "stored",
]

#: :data:`deblurlib.metrics.SSIM_PROTOCOLS`.
Protocol = Literal["gaussian-rgb", "uniform-rgb", "gaussian-3d", "gaussian-y", "multiscale"]

#: :data:`deblurlib.losses.OBJECTIVES`.
Objective = Literal[
    "mse",
    "l1",
    "euclidean",
    "none",
    "mse-over-scales",
    "l1-over-scales",
    "charbonnier-over-scales",
    "ssim-and-l1",
    "edges",
    "mse-and-edges",
    "sigma-of-kernel",
]

#: What is beyond an image's edge, see :func:`deblurlib.degrade.convolve`.
Boundary = Literal["reflect", "circular", "zero", "valid"]

#: Of a network's convolutions, see :meth:`deblurlib.restoration.Method.with_precision`.
Precision = Literal["32", "bf16"]

#: What is averaged of a video's frames: the values as they are stored, or light.
Average = Literal["encoded", "light"]

#: A part of a data set.
Split = Literal["train", "test"]


def known(kind: object) -> tuple[str, ...]:
    """The names of one of the types above, in order.

    >>> known(Split)
    ('train', 'test')
    """
    return get_args(kind)


def closest(given: object, names: Iterable[str]) -> str:
    """The end of a sentence: the known name that a wrong one is most like, or nothing.

    >>> closest("s1-motin", ["s1-box", "s1-motion"])
    "; did you mean 's1-motion'?"
    """
    matches = get_close_matches(str(given).lower(), list(names), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def unknown_name(what: str, given: object, names: Iterable[str]) -> InputError:
    """The error about a name that is in no table: which ones are, and which it is most like.

    >>> unknown_name("loss", "mes", ["l1", "mse"])
    InputError("loss 'mes' is none of l1, mse; did you mean 'mse'?")
    """
    names = [str(name) for name in names]
    return InputError(f"{what} {given!r} is none of {', '.join(names)}{closest(given, names)}")


def no_such_method(given: str, names: Iterable[str], no_run: str) -> InputError:
    """The error about a name that is no method's, nor a run's.

    Args:
        no_run: what is said of the runs.
    """
    names = list(names)
    like = closest(given, names)
    return InputError(f"no method {given!r}: it is none of {', '.join(names)}{like}; {no_run}")
