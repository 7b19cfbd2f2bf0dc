"""The networks, by name; one file for each architecture.

A model takes ``y`` ``(B, C, H, W)`` in [0, 1] and returns ``x_hat``, unclamped, of the same shape
less a ``margin`` at each side; in training mode it may return more, for a loss that knows of it. It
says how many ``channels`` it takes, of what ``multiple`` the image's sides must be, and its
``receptive_field``: the side, in pixels, of what an output pixel depends on.
"""

from .denoiser import Denoiser
from .networks import MODELS, build, load, parameter_count, save
from .shipping import WEIGHTS, load_shipped, shipped_networks, write_shipped
from .srcnn import SRCNN
from .srn import SRN
from .unet import UNet

__all__ = [
    "MODELS",
    "SRCNN",
    "SRN",
    "WEIGHTS",
    "Denoiser",
    "UNet",
    "build",
    "load",
    "load_shipped",
    "parameter_count",
    "save",
    "shipped_networks",
    "write_shipped",
]
