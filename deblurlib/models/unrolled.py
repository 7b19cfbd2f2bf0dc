"""Richardson-Lucy deconvolution with a small network after every few iterations.

What an algorithm does in a fixed number of steps is a network whose layers are known, and what
each step lacks can be learned from pairs: "unrolling" (Gregor and LeCun, "Learning fast
approximations of sparse coding", ICML 2010). Here the blur that is known stays as it is, and what
is learned is what images look like, as in Zhang, Zuo, Gu, Zhang, "Learning deep CNN denoiser prior
for image restoration", CVPR 2017, where it is a denoiser trained by itself; here all is trained
through the iterations, end to end. The architecture is ours. Taught in chapter 06.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from .. import classical, psf
from ..classical.blur import Blur, checked, image_by_image
from ..classical.richardson_lucy import LEAST, ahead, correction, sensitivity
from ..degrade.convolution import extend
from ..errors import InputError, require
from ..images import ROUNDING

__all__ = ["disturbed"]

KEPT = 0.1  # the least share of a pixel that a correction leaves: what is 0 once would stay 0
LOUDER = 20  # times the noise is shown to a correction, to be of the size of what else it sees


class UnrolledRichardsonLucy(nn.Module, PyTorchModelHubMixin):
    """Accelerated Richardson-Lucy from ``y``, its surroundings unknown, corrected after each step.

    A step is some iterations of :func:`deblurlib.classical.richardson_lucy` with the boundary
    ``"valid"``, and a correction: a few layers without biases see how the image differs from
    ``y`` and from what it was before the step, ``y`` less its mean, and the noise that ``y`` seems
    to have, and add something. How far ahead the acceleration of Biggs and Andrews looks is
    multiplied by a number that is learned for each step. With corrections of 0, as they nearly are
    at first, it is exactly that algorithm. Each channel is an image of its own.

    Args:
        steps: 1 or more.
        iterations: of Richardson-Lucy, in each step.
        width: channels of a correction's hidden layers.
        depth: of a correction, layers of 3 x 3 convolutions; 2 or more.
        shared: whether all steps have the same correction.
        kernel_error: how wrong, at most, the kernels are made that it is shown in training mode;
            see :func:`disturbed`. 0: not at all.
    """

    channels = 1  # of the image; see :meth:`forward` for more
    takes = ("y", "kernels")  # what a training and a validation hand it, of a pair
    blind = False  # it is no method without a kernel
    multiple = 1  # of the sides of an image
    margin = 0  # pixels lost at each side
    receptive_field = None  # all: the noise and the acceleration are those of the whole image

    def __init__(
        self,
        steps: int = 6,
        iterations: int = 3,
        width: int = 32,
        depth: int = 4,
        shared: bool = False,
        kernel_error: float = 0.0,
    ):
        super().__init__()
        least = min(steps, iterations, width)
        require(least >= 1, f"steps, iterations and width must be 1 or more, not {least}")
        require(depth >= 2, f"the depth must be 2 or more, not {depth}")
        require(0 <= kernel_error <= 1, f"kernel_error must be in 0..1, not {kernel_error}")
        self.steps, self.iterations, self.kernel_error = steps, iterations, kernel_error
        self.corrections = nn.ModuleList(
            _correction(width, depth) for _ in range(1 if shared else steps)
        )
        self.further = nn.Parameter(torch.zeros(steps))  # than Biggs and Andrews; 0: as far

    def forward(self, y: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``, of any size; nothing waits for a GPU.

        Args:
            y: values below 0 count as 0.
            kernel: one for all, ``(h, w)``, or one for each image, ``(B, h, w)``; the sides odd,
                the sum 1.
        """
        k = kernel.to(y).expand(len(y), *kernel.shape[-2:])
        if self.training and self.kernel_error > 0:
            k = disturbed(k, self.kernel_error)
        grey = y.flatten(0, 1)[:, None].clamp(min=0)
        size = grey.shape[-2:]
        blur = Blur(k.repeat_interleave(y.shape[1], 0), size, "valid")
        x = self._restored(grey, blur)[..., blur.top :, blur.left :]
        return x[..., : size[0], : size[1]].reshape(y.shape)

    def _restored(self, y: torch.Tensor, blur: Blur) -> torch.Tensor:
        """The image and its surroundings, of images of one channel."""
        shares = sensitivity(blur, torch.ones_like(y))
        around = extend(y, blur.top, blur.left, "reflect")
        noise = classical.estimate_noise(y).clamp(min=ROUNDING)[:, None, None, None]
        noise, mean = LOUDER * noise.expand(around.shape), y.mean((1, 2, 3), keepdim=True)
        x = extend(y.clamp(min=ROUNDING), blur.top, blur.left, "reflect")
        previous, change, before = x, None, None
        for i in range(self.steps):
            begun = x
            for _ in range(self.iterations):
                point = x
                # how far ahead is a number: no gradient divides by 0 there
                if change is not None and before is not None:
                    point = ahead(x, previous, change.detach(), before.detach())
                    point = torch.lerp(x, point, 1 + self.further[i]).clamp(min=0)
                predicted = blur(point).clamp(min=LEAST)
                new = point * correction(blur, y / predicted, *shares)
                change, before = new - point, change
                previous, x = x, new
            layers = self.corrections[i % len(self.corrections)]
            added = layers(torch.cat([x - around, x - begun, around - mean, noise], 1))
            corrected = torch.maximum(x + added.to(x), KEPT * x)
            previous = previous + (corrected - x)  # a correction is no direction to go on in
            x = corrected
        return x

    def restore(self, y: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
        """Restore ``y`` ``(B, C, H, W)``, of any size, each image on its own.

        Args:
            kernel: ``(h, w)``, or one for each image, ``(B, h, w)``; see
                :func:`deblurlib.psf.as_kernel`.

        Raises:
            InputError: there is no kernel, or it is none; ``y`` is empty or holds NaN.
        """
        if kernel is None:
            raise InputError("unrolled-rl needs the kernel, and none is known")
        full, k = checked(y, psf.as_kernel(kernel))
        return image_by_image(lambda y, k: (self(y, k),), full, k)[0].to(y.dtype)


def _correction(width: int, depth: int) -> nn.Sequential:
    sides = [4, *[width] * (depth - 1), 1]
    layers: list[nn.Module] = []
    for i in range(depth):
        convolution = nn.Conv2d(sides[i], sides[i + 1], 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU()]
    with torch.no_grad():
        convolution.weight.mul_(0.001)  # it begins by adding next to nothing
    return nn.Sequential(*layers[:-1])


def disturbed(k: torch.Tensor, most: float) -> torch.Tensor:
    """Kernels as wrong as if they had been estimated, drawn from torch's generator.

    Each is a little wider, and its values are off at random, by a strength between 0 and ``most``,
    which is drawn for each. Their centres of light stay where they are, for an image restored with
    a shifted kernel would be a shifted image; but for what is cut off at 0.

    Args:
        k: ``(B, h, w)``, sides odd.
        most: in [0, 1]. A strength of 1 is the mean over 3 x 3 pixels with the weights 1 2 1, and
            a relative error with a standard deviation of 1.
    """
    strength = most * torch.rand(len(k), 1, 1, dtype=k.dtype, device=k.device)
    soft = F.avg_pool2d(F.avg_pool2d(F.pad(k, (1, 1, 1, 1))[:, None], 2, 1), 2, 1)[:, 0]
    k = torch.lerp(k, soft, strength)
    error = torch.randn(k.shape, dtype=k.dtype, device=k.device)
    k = (k * (1 + strength * _without_plane(error, k))).clamp(min=0)
    return k / k.sum((-2, -1), keepdim=True).clamp(min=torch.finfo(k.dtype).tiny)


def _without_plane(z: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``z`` less the plane that is nearest to it, so that ``weights * z`` has no sum or shift."""

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (weights * values).sum((-2, -1), keepdim=True)

    weights = weights / weights.sum((-2, -1), keepdim=True)
    down, right = (
        torch.arange(side, dtype=z.dtype, device=z.device) - side // 2 for side in z.shape[-2:]
    )
    plane: list[torch.Tensor] = []
    for part in (torch.ones_like(z), down[:, None].expand(z.shape), right.expand(z.shape)):
        for other in plane:  # at right angles to each other, after Gram and Schmidt
            part = part - mean(part * other) * other
        length = mean(part.square())
        plane.append(part / length.clamp(min=1e-6).sqrt())
    for part in plane:
        z = z - mean(z * part) * part
    return z
