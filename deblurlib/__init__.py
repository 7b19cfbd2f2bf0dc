"""deblurlib: the small library under the course *Deblurring, paper by paper*.

One alphabet everywhere: ``x`` sharp image, ``y`` blurred image, ``k`` kernel, ``x_hat`` restored
image, ``sigma`` a Gaussian's standard deviation; ``y = k * x + n``. Images are float32 tensors
``(B, C, H, W)`` in [0, 1]. Its modules are loaded when they are first used: ``from deblurlib import
psf`` and ``deblurlib.psf`` both do. Only to restore a picture, ``deblurlib.restore`` is enough: see
:func:`deblurlib.restoration.restore`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import alignment as alignment
    from . import classical as classical
    from . import data as data
    from . import degrade as degrade
    from . import edges as edges
    from . import errors as errors
    from . import evaluation as evaluation
    from . import files as files
    from . import images as images
    from . import losses as losses
    from . import machine as machine
    from . import metrics as metrics
    from . import models as models
    from . import names as names
    from . import perception as perception
    from . import psf as psf
    from . import restoration as restoration
    from . import runs as runs
    from . import sharpness as sharpness
    from . import stats as stats
    from . import studies as studies
    from . import training as training
    from . import values as values
    from . import video as video
    from .restoration import restore as restore

__version__ = "0.1.0"
__all__ = [
    "alignment",
    "classical",
    "data",
    "degrade",
    "edges",
    "errors",
    "evaluation",
    "files",
    "images",
    "losses",
    "machine",
    "metrics",
    "models",
    "names",
    "perception",
    "psf",
    "restoration",
    "restore",
    "runs",
    "sharpness",
    "stats",
    "studies",
    "training",
    "values",
    "video",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "restore":
        return import_module(".restoration", __name__).restore
    return import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
