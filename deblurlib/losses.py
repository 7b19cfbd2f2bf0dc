"""What trainings minimise: functions of a model's output and of the pair that it was made from.

An :class:`Objective` compares the output with its *target*: the sharp image, in most cases. An
:class:`Adversarial` loss plays a network against a critic, which tells restorations from images.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from . import edges, images, metrics, names, psf
from .degrade import Pair
from .errors import InputError, require

__all__ = [
    "ADVERSARIAL",
    "OBJECTIVES",
    "Adversarial",
    "Objective",
    "balanced_cross_entropy",
    "charbonnier_over_scales",
    "edges_of_sharp",
    "euclidean",
    "first",
    "image_and_edges",
    "mse_and_variation",
    "mse_over_scales",
    "objective",
    "sharp",
    "ssim_and_l1",
    "total_variation",
]

NARROW = 0.3  # standard deviation of a blur that hardly shows, pixels
Output = torch.Tensor | Sequence[torch.Tensor]  # of a model: one tensor, or several


def sharp(pair: Pair) -> torch.Tensor:
    """The target of a network that restores: the sharp images, ``(B, C, H, W)``."""
    return pair.x


def first(output: Output) -> torch.Tensor:
    """Of several outputs the first: of those at several scales, the finest."""
    return output if isinstance(output, torch.Tensor) else output[0]


@dataclass(frozen=True)
class Objective:
    """A loss of a model's output: ``objective(output, pair)``, the mean over the batch, ``()``."""

    loss: Callable[..., torch.Tensor]  # (output, target) -> one number
    target: Callable[[Pair], Output] = sharp  # what the output should be
    shown: Callable[[Output], torch.Tensor] = first  # what a critic is shown of the output
    least: int = 1  # pixels of a side that it takes
    #: further measures of an output, by name: (output, target) -> a number; for validation alone
    measures: Mapping[str, Callable[..., float]] = field(default_factory=dict)

    def __call__(self, output: Output, pair: Pair) -> torch.Tensor:
        return self.loss(output, self.target(pair))


@dataclass(frozen=True)
class Adversarial:
    """A loss for each of two players, from what a critic says: logits, high for what is real."""

    #: the critic's: (its logits of targets, of outputs) -> one number
    tell: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    #: the other network's: (the critic's logits of its outputs) -> one number
    fool: Callable[[torch.Tensor], torch.Tensor]


def euclidean(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Half the sum of squared differences over an image: Caffe's, and so SRCNN's own, loss.

    ``x_hat`` and ``x`` are ``(B, C, H, W)``; the mean over the batch, ``()``.
    """
    return F.mse_loss(x_hat, x, reduction="sum") / (2 * len(x))


def mse_over_scales(x_hat: Output, x: torch.Tensor) -> torch.Tensor:
    """The sum of each scale's mean squared error, ``x`` halved by averaging 2 x 2 pixels.

    SRN's loss, with all its weights 1. It takes a list of ``x_hat``, one a scale, the finest first;
    a single ``x_hat``, ``(B, C, H, W)`` as ``x``, is the finest scale alone. One number, ``()``.
    """
    return _over_scales(x_hat, x, F.mse_loss)


def _over_scales(
    x_hat: Output, x: torch.Tensor, error: Callable[..., torch.Tensor]
) -> torch.Tensor:
    x_hats = [x_hat] if isinstance(x_hat, torch.Tensor) else x_hat
    targets = _halved(x, len(x_hats))
    finest, *others = (error(*one) for one in zip(x_hats, targets, strict=True))
    return sum(others, finest)


def mse_and_variation(variation: float = 0.0) -> Objective:
    """:func:`mse_over_scales`, plus ``variation`` times :func:`total_variation` of the finest.

    S4's text says that it tried one, and gives no weight.
    """
    require(variation >= 0, f"the weight of the variation must be 0 or more, not {variation}")
    return Objective(partial(_mse_and_variation, variation=variation))


def _mse_and_variation(x_hat: Output, x: torch.Tensor, variation: float) -> torch.Tensor:
    loss = mse_over_scales(x_hat, x)
    return loss + variation * total_variation(first(x_hat)) if variation else loss


def total_variation(x: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference of neighbours in a row, plus that of neighbours in a column.

    Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms", 1992, in
    its form that treats the two directions apart. ``x`` is ``(..., H, W)``; one number, ``()``.
    """
    return x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean()


def charbonnier_over_scales(
    eps: float = 1e-3, weight: float = 0.6, spectrum: float = 0.03
) -> Objective:
    """Charbonnier's loss at each scale, and the spectrum's difference at the finest.

    ``sqrt(d^2 + eps^2)`` is nearly the absolute difference, but smooth at 0 (Charbonnier,
    Blanc-Feraud, Aubert and Barlaud, "Two deterministic half-quadratic regularization algorithms
    for computed imaging", ICIP 1994). The mean absolute difference of the Fourier transforms asks
    for detail, which is small in pixels: Cho, Ji, Hong, Jung and Ko, "Rethinking coarse-to-fine
    approach in single image deblurring", ICCV 2021, section 3.4.

    Args:
        weight: of each scale, relative to the next finer one.
        spectrum: weight of the transforms' difference; they are orthonormal, of real and imaginary
            parts.
    """
    require(eps > 0 and weight >= 0 and spectrum >= 0, "eps is more than 0, weights are 0 or more")
    how = partial(_charbonnier_over_scales, eps=eps, weight=weight, spectrum=spectrum)
    return Objective(how)


def _charbonnier_over_scales(
    x_hat: Output, x: torch.Tensor, eps: float, weight: float, spectrum: float
) -> torch.Tensor:
    x_hats = [x_hat] if isinstance(x_hat, torch.Tensor) else x_hat
    total = x.new_zeros(())
    for i, (at_scale, target) in enumerate(zip(x_hats, _halved(x, len(x_hats)), strict=True)):
        total = total + weight**i * ((at_scale - target).square() + eps**2).sqrt().mean()
    waves, wanted = (torch.fft.rfft2(z.float(), norm="ortho") for z in (x_hats[0], x))
    return total + spectrum * torch.view_as_real(waves - wanted).abs().mean()


def _halved(x: torch.Tensor, count: int) -> list[torch.Tensor]:
    """``x`` at ``count`` scales, the finest first, each halved by averaging 2 x 2 pixels."""
    scales = [x]
    for _ in range(count - 1):
        scales.append(F.avg_pool2d(scales[-1], 2))
    return scales


def balanced_cross_entropy(logits: Output, edge_map: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of an edge map, and of each side output: summed, each with a weight of 1.

    An image's edges weigh together as much as the rest of it, though they are few: Xie and Tu,
    "Holistically-nested edge detection", 2015, equation 2. Theirs is a sum over pixels, ours a
    mean.

    Args:
        logits: maps ``(B, 1, H, W)``, one or several.
        edge_map: 1 on an edge, 0 elsewhere; ``(B, 1, H, W)``.
    """
    share = edge_map.mean((1, 2, 3), keepdim=True)  # of edges: beta is 1 - share
    weight = torch.where(edge_map > 0.5, 1 - share, share)
    maps = [logits] if isinstance(logits, torch.Tensor) else logits
    fused, *others = (F.binary_cross_entropy_with_logits(z, edge_map, weight) for z in maps)
    return sum(others, fused)


def edges_of_sharp(**canny: Any) -> Objective:
    """The objective of an EdgeNet: Canny's edges of the sharp image, see :func:`edges.canny`.

    A critic is shown the fused map as probabilities, beside Canny's.
    """
    edges.check(**canny)
    return Objective(
        balanced_cross_entropy,
        target=partial(_edges_of, **canny),
        shown=_probabilities,
        measures={"val_f": _f_score},
    )


def image_and_edges(weight: float = 0.1, **canny: Any) -> Objective:
    """The objective of two networks in one: of the image, and ``weight`` times that of its edges.

    It takes the image and the edges' logits; of an image alone it is the mean squared error.
    """
    edges.check(**canny)
    return Objective(partial(_image_and_edges, weight=weight, **canny))


def _image_and_edges(output: Output, x: torch.Tensor, weight: float, **canny: Any) -> torch.Tensor:
    loss = F.mse_loss(first(output), x)
    if isinstance(output, torch.Tensor):
        return loss
    return loss + weight * balanced_cross_entropy(output[1:], edges.canny(x, **canny))


def ssim_and_l1(ssim: float = 1.0, l1: float = 0.0, values: str = "unit") -> Objective:
    """``ssim`` times 1 - SSIM, plus ``l1`` times the mean absolute error; each is noted apart, too.

    SSIM is the protocol ``gaussian-rgb`` of :mod:`deblurlib.metrics`; S3 has 1 - SSIM alone.

    Args:
        values: ``"unit"``, or ``"imagenet"`` as S3 has it: SSIM and L1 of standardised values, for
            which SSIM's constants are not made; see :func:`deblurlib.images.standardise`.
    """
    require(min(ssim, l1) >= 0 and ssim + l1 > 0, "weights are 0 or more, and not both are 0")
    if values not in ("unit", "imagenet"):
        raise InputError(f"values {values!r} is none of unit, imagenet")

    return Objective(
        partial(_ssim_and_l1, ssim=ssim, l1=l1, standardise=values == "imagenet"),
        least=metrics.SSIM_PROTOCOLS["gaussian-rgb"].least_size,
        measures={"val_ssim": _mean_ssim, "val_l1": _mean_l1},
    )


def _ssim_and_l1(
    x_hat: torch.Tensor, x: torch.Tensor, ssim: float, l1: float, standardise: bool
) -> torch.Tensor:
    if standardise:
        x_hat, x = images.standardise(x_hat), images.standardise(x)
    loss = l1 * F.l1_loss(x_hat, x) if l1 else x.new_zeros(())
    return loss + ssim * (1 - metrics.ssim_unchecked(x_hat, x).mean()) if ssim else loss


def _mean_ssim(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    return metrics.ssim_unchecked(x_hat, x).mean().item()


def _mean_l1(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    return F.l1_loss(x_hat, x).item()


def _none(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return x_hat.new_zeros(())


def _sigma_of_kernel(pair: Pair) -> torch.Tensor:
    return psf.deviation(pair.kernels)


def _log_error(sigma_hat: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The squared difference of ``log(sigma + 0.3)``: of wide blurs, the relative error counts.

    Below 0.3 pixels a blur is next to none, and how little of it there is does not matter.
    """
    return ((sigma_hat + NARROW).log() - (sigma + NARROW).log()).square().mean()


def _mean_pixels_off(sigma_hat: torch.Tensor, sigma: torch.Tensor) -> float:
    return (sigma_hat - sigma).abs().mean().item()


def _edges_of(pair: Pair, **canny: Any) -> torch.Tensor:
    return edges.canny(pair.x, **canny)


def _probabilities(output: Output) -> torch.Tensor:
    return torch.sigmoid(first(output))


def _f_score(output: Output, edge_map: torch.Tensor) -> float:
    return edges.best_f_score(_probabilities(output), edge_map)


def _tell_by_logistic(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _fool_by_logistic(fake: torch.Tensor) -> torch.Tensor:
    return F.softplus(-fake).mean()


def _tell_by_hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _fool_by_hinge(fake: torch.Tensor) -> torch.Tensor:
    return -fake.mean()


def _tell_by_squares(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _fool_by_squares(fake: torch.Tensor) -> torch.Tensor:
    return (fake - 1).square().mean() / 2


#: name -> objective, or a function that makes one of a recipe's ``loss_args``. ``mse`` is the
#: sources' (S1, S2, S4); ``l1`` what later networks use; ``none`` is of a network that learns from
#: its critic alone, as S5's.
OBJECTIVES: dict[str, Any] = {
    "mse": Objective(F.mse_loss),
    "l1": Objective(F.l1_loss),
    "euclidean": Objective(euclidean),
    "none": Objective(_none),
    "mse-over-scales": mse_and_variation,
    "l1-over-scales": Objective(partial(_over_scales, error=F.l1_loss)),
    "charbonnier-over-scales": charbonnier_over_scales,
    "ssim-and-l1": ssim_and_l1,
    "edges": edges_of_sharp,
    "mse-and-edges": image_and_edges,
    "sigma-of-kernel": Objective(
        _log_error, target=_sigma_of_kernel, measures={"val_sigma_error": _mean_pixels_off}
    ),
}

#: name -> adversarial loss. ``non-saturating``: Goodfellow et al., "Generative adversarial nets",
#: 2014, section 3: binary cross-entropy, and the generator maximises log D(G(z)). ``hinge``: Miyato
#: et al., "Spectral normalization for generative adversarial networks", 2018, equations 16 and 17.
#: ``least-squares``: Mao et al., "Least squares generative adversarial networks", 2017, equation 9.
ADVERSARIAL: dict[str, Adversarial] = {
    "non-saturating": Adversarial(_tell_by_logistic, _fool_by_logistic),
    "hinge": Adversarial(_tell_by_hinge, _fool_by_hinge),
    "least-squares": Adversarial(_tell_by_squares, _fool_by_squares),
}


def objective(name: names.Objective | str, arguments: Mapping[str, Any]) -> Objective:
    """An objective of :data:`OBJECTIVES`, with its arguments.

    Raises:
        InputError: it has no such argument, or that may not be.
    """
    made = OBJECTIVES[name]
    if isinstance(made, Objective):
        if arguments:
            raise InputError(f"the loss {name} has no argument {min(arguments)!r}; it has none")
        return made
    known = list(inspect.signature(made).parameters)
    if "canny" in known:  # stands for all of Canny's
        known[known.index("canny") :] = edges.CANNY
    if unknown := sorted(set(arguments) - set(known)):
        raise InputError(
            f"the loss {name} has no argument {unknown[0]!r}; it has {', '.join(known)}"
        )
    return made(**arguments)
