"""Deconvolution without learning: from a kernel that is known, or found on the way.

``linear``: by dividing Fourier transforms. ``richardson_lucy``: by repeated multiplication.
``blind``: the kernel, too; ``finding``: the kernel, from edges. ``splitting``: with a denoiser.
``boundaries``: what lies beyond the image. ``stopping``: when to end, and what does not count.
``blur``: the operator that they share.

Images are tensors of floats or NumPy arrays, see :func:`deblurlib.values.as_batch`, kernels what
:func:`deblurlib.psf.as_kernel` takes; what is returned are tensors. Taught in chapter 06.
"""

from .blind import blind_richardson_lucy
from .boundaries import PERIODIC, extend_smoothly, make_periodic, taper
from .finding import Search, find_kernel
from .linear import PENALTIES, inverse, tikhonov, wiener
from .richardson_lucy import richardson_lucy
from .splitting import half_quadratic_splitting
from .stopping import discrepancy, estimate_noise, settled, unsaturated

__all__ = [
    "PENALTIES",
    "PERIODIC",
    "Search",
    "blind_richardson_lucy",
    "discrepancy",
    "estimate_noise",
    "extend_smoothly",
    "find_kernel",
    "half_quadratic_splitting",
    "inverse",
    "make_periodic",
    "richardson_lucy",
    "settled",
    "taper",
    "tikhonov",
    "unsaturated",
    "wiener",
]
