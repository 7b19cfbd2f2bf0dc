"""The networks, by name; one file for each architecture.

A model takes ``y`` ``(B, C, H, W)`` in [0, 1] and returns ``x_hat``, unclamped, of the same shape
less a ``margin`` at each side; in training mode it may return more, for a loss that knows of it. It
says how many ``channels`` it takes, of what ``multiple`` the image's sides must be, and its
``receptive_field``: the side, in pixels, of what an output pixel depends on. One that cannot take
small images says the ``least`` side.

A model that takes more than ``y`` says what in ``takes``: names of fields of a
:class:`deblurlib.degrade.Pair`, such as ``("y", "noise")``. It must also have a method
``restore(y, kernel)``, for images of any size; so must one whose output is no image, if it is to be
a method. The kernel is ``None``, unless the model says that it is not ``blind``. One that finds a
kernel also has ``kernel(y)``, which gives those of images, ``(B, h, w)``, and ``deconvolve(y,
kernels)``: of a large image the kernel is found once, and the image then restored in tiles.

:data:`DISCRIMINATORS` are trained beside a model, to tell its images from real ones. They say how
many ``channels`` they take, and the ``least`` side of an image.
"""

from .autoencoder import Autoencoder
from .denoiser import Denoiser
from .discriminators import FlatDiscriminator, PatchDiscriminator
from .edge import DeblurNet, EdgeNet
from .kernelnet import KernelNet
from .nafnet import NAFNet
from .networks import (
    DISCRIMINATORS,
    MODELS,
    build,
    build_discriminator,
    load,
    multiplications,
    parameter_count,
    save,
)
from .shipping import WEIGHTS, load_shipped, shipped_networks, write_shipped
from .srcnn import SRCNN
from .srn import SRN
from .unet import UNet
from .unrolled import UnrolledRichardsonLucy
from .winograd import lighten

__all__ = [
    "DISCRIMINATORS",
    "MODELS",
    "SRCNN",
    "SRN",
    "WEIGHTS",
    "Autoencoder",
    "DeblurNet",
    "Denoiser",
    "EdgeNet",
    "FlatDiscriminator",
    "KernelNet",
    "NAFNet",
    "PatchDiscriminator",
    "UNet",
    "UnrolledRichardsonLucy",
    "build",
    "build_discriminator",
    "lighten",
    "load",
    "load_shipped",
    "multiplications",
    "parameter_count",
    "save",
    "shipped_networks",
    "write_shipped",
]
