"""deblurlib: the small library under the course *Deblurring, paper by paper*.

One alphabet everywhere: ``x`` sharp image, ``y`` blurred image, ``k`` kernel, ``x_hat`` restored
image, ``sigma`` a Gaussian's standard deviation; ``y = k * x + n``. Images are float32 tensors
``(B, C, H, W)`` in [0, 1]. Import the modules you need, for instance
``from deblurlib import psf, degrade, metrics``. Only to restore a picture, ``deblurlib.restore`` is
enough: see :func:`deblurlib.restoration.restore`.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "restore":  # on demand, for it needs PyTorch, and most imports do not need it
        from .restoration import restore

        return restore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
