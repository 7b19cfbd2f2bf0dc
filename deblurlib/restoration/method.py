"""What a method is: a function from a blurred image, and maybe its kernel, to a restored one.

Taught in chapters 01 (what it may know) and 07.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import torch

from .. import machine, runs
from ..errors import InputError, InputWarning, require
from ..names import Precision, closest
from ..psf import as_kernel
from ..values import Array, as_batch, check_restorable
from .settings import Setting
from .telling import telling_part


@dataclass(frozen=True)
class Method:
    """A way to restore: ``method(y, kernel)`` with ``y`` ``(B, C, H, W)`` gives ``x_hat``."""

    name: str
    function: Callable[..., torch.Tensor]  # of y, the kernel or None, and the settings by name
    describes: str  # one line for a reader
    blind: bool = True  # it needs no kernel, and is given none
    #: of y and all settings by name: the kernels ``(B, h, w)`` that ``function`` is given instead
    find_kernel: Callable[..., torch.Tensor] | None = None
    run: runs.Run | None = None  # the run that it comes from
    #: side of the square of input pixels that an output pixel depends on; None: it may on all
    receptive_field: int | None = None
    device: torch.device | None = None  # where its model is; None: it has none
    oracle: bool = False  # it is shown the sharp image, too: a yardstick, no method to be had
    float32: bool = False  # its network computes in float32, whatever precision is asked for
    multiple: int = 1  # tiles of an image begin at multiples of it
    contaminated: tuple[str, ...] = ()  # sets whose test images it has been trained on
    #: dB between an image restored in tiles and in one piece, where that was measured
    tiled_psnr: float | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)  # what may be set otherwise
    notes: tuple[str, ...] = ()  # what was set otherwise

    @property
    def title(self) -> str:
        """The name, and what was set otherwise: ``"unsharp-mask, amount=2, strength 0.5"``."""
        return ", ".join([self.name, *self.notes])

    @property
    def about_kernel(self) -> str:
        """What it does about the kernel, in a word: ``"needed"``, ``"found"`` or nothing."""
        if self.find_kernel is not None:
            return "found"
        return "" if self.blind else "needed"

    @overload
    def __call__(
        self, y: torch.Tensor, kernel: Array | None = None, sharp: torch.Tensor | None = None
    ) -> torch.Tensor: ...

    @overload
    def __call__(
        self, y: np.ndarray, kernel: Array | None = None, sharp: np.ndarray | None = None
    ) -> np.ndarray: ...

    def __call__(
        self,
        y: Array,
        kernel: Array | None = None,
        sharp: Any = None,  # of the type of ``y``
    ) -> Array:
        """Restore images, on a GPU in true float32, so that it restores as a processor does.

        Args:
            y: ``(B, C, H, W)``: a tensor or an array of floats in [0, 1], or of uint8 or uint16,
                which are scaled to that. Whether a tensor's floats are in that range is not looked
                at, for that waits for a GPU; :func:`deblurlib.restore` looks.
            kernel: ``(h, w)``, or one for each image, ``(B, h, w)``; see
                :func:`deblurlib.psf.as_kernel`.
            sharp: the sharp images, of the same kind as ``y``, for an :attr:`oracle` alone.

        Returns:
            ``x_hat``, not clipped; of an array, an array of float32.

        Raises:
            InputError: the method needs a kernel, or the sharp image, and gets none; no kernel; no
                such array.
        """
        if self.oracle and sharp is None:
            raise InputError(f"{self.name} is shown the sharp image, and restores nothing without")
        if kernel is None and not self.blind:
            raise InputError(f"the method {self.name} needs the kernel, and none is known")
        batch = as_batch(y)
        kernel = as_kernel(kernel) if isinstance(kernel, np.ndarray) else kernel
        if not isinstance(y, np.ndarray):
            return self._restored(batch, kernel, sharp)
        check_restorable(batch)
        batch = batch.to(self.device or "cpu", torch.float32)
        kernel = None if kernel is None else kernel.to(batch.device)
        sharp = as_batch(sharp).to(batch) if self.oracle else None
        return self._restored(batch, kernel, sharp).detach().float().cpu().numpy()

    def has_seen(self, name: str) -> bool:
        """Whether a data set is among the :attr:`contaminated`, however its name is written.

        Case, blanks, ``-`` and ``_`` do not count: ``Sun-Hays 80`` is ``sunhays80``.
        """
        return _plain(name) in map(_plain, self.contaminated)

    def _restored(
        self, y: torch.Tensor, kernel: torch.Tensor | None, sharp: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.find_kernel is not None:
            known, kernel = self.for_image(y)
            return known._restored(y, kernel)
        values = self._values() | ({"sharp": sharp} if self.oracle else {})
        with machine.tf32(False):
            return self.function(y, None if self.blind else kernel, **values)

    def _values(self) -> dict[str, int | float | str]:
        return {name: setting.value for name, setting in self.settings.items()}

    def for_image(
        self, y: torch.Tensor, kernel: torch.Tensor | None = None
    ) -> tuple[Method, torch.Tensor | None]:
        """What restores images, or any part of them, and the kernel that it needs for that.

        Of a method that finds the kernel, it is found here, once, in the part of each image that
        tells most of it (:func:`deblurlib.restoration.telling.telling_part`), and the method that
        comes back needs a kernel. Any other method comes back as it is. Taught in chapter 06.

        Args:
            y: ``(B, C, H, W)``, floats about in [0, 1].
            kernel: what is known of it; a method that finds the kernel makes no use of it.

        Returns:
            the method and the kernels, ``(B, h, w)`` if they were found, else ``kernel``.
        """
        if self.find_kernel is None:
            return self, kernel
        with machine.tf32(False), torch.no_grad():
            found = self.find_kernel(telling_part(y), **self._values())
        return replace(self, blind=False, find_kernel=None), found

    def with_settings(self, /, **values: float | str) -> Method:
        """The method with other values of some of its settings, such as ``iterations=20``.

        How well tiles agree with the whole is then not known, and neither is its receptive field,
        if it depends on them.

        Args:
            values: numbers, or text that says them.

        Raises:
            InputError: the method has no such setting, or it may not be that.
        """
        settings = dict(self.settings)
        for name, value in values.items():
            if name not in settings:
                has = f"it has {', '.join(settings)}" if settings else "it has none"
                like = closest(name, settings)
                raise InputError(f"the method {self.name} has no setting {name!r}; {has}{like}")
            settings[name] = settings[name].with_value(name, value)
        changed = [name for name in settings if settings[name] != self.settings[name]]
        if not changed:
            return self
        notes = (*self.notes, *(f"{name}={settings[name].value}" for name in changed))
        reaches = any(settings[name].reaches for name in changed)
        known = None if reaches else self.receptive_field
        return replace(self, settings=settings, notes=notes, receptive_field=known, tiled_psnr=None)

    def with_strength(self, strength: float) -> Method:
        """The method, of whose change to the image a share is made: 0 gives ``y``, 1 all of it.

        Below 1, what is mixed with ``y`` is ``x_hat`` clipped to [0, 1], as a file would hold it.

        Raises:
            InputError: the strength is not in [0, 1].
        """
        fits = isinstance(strength, int | float) and 0 <= strength <= 1
        require(fits, f"the strength must be a number in 0..1, not {strength}")
        if strength == 1:
            return self

        def weaker(y: torch.Tensor, kernel: torch.Tensor | None, **settings: Any) -> torch.Tensor:
            return torch.lerp(y, self.function(y, kernel, **settings).clamp(0, 1), strength)

        return replace(self, function=weaker, notes=(*self.notes, f"strength {strength:g}"))

    def with_precision(self, precision: Precision) -> Method:
        """The method with its convolutions in ``"32"``, as it is, or in ``"bf16"``.

        bfloat16 takes less time on a GPU, and on a processor with arithmetic for it; others take
        many times as long, and a warning says so. Of a network that learns the difference, as
        ``srn`` does, what it adds to ``y`` is rounded, and ``y`` is not; of others the picture is,
        to steps of 1/256 where it is bright. How well tiles agree is then not known.

        Raises:
            InputError: no such precision, or the method is no network, or one that computes in
                float32 whatever is asked for.
        """
        require(precision in ("32", "bf16"), f"precision {precision!r} is none of 32, bf16")
        if precision == "32":
            return self
        device = self.device
        if device is None:
            raise InputError(f"the method {self.name} is no network: it has no precision")
        require(not self.float32, f"the method {self.name} computes in float32 alone")
        if not machine.computes_bf16(device):
            why = "this processor has no arithmetic for bf16, which takes many times as long on it"
            warnings.warn(why, InputWarning, stacklevel=2)

        def rounded(y: torch.Tensor, kernel: torch.Tensor | None, **settings: Any) -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16):
                return self.function(y, kernel, **settings)

        notes = (*self.notes, precision)
        return replace(self, function=rounded, notes=notes, tiled_psnr=None)


def _plain(name: str) -> str:
    return re.sub(r"[-_\s]", "", name).casefold()
