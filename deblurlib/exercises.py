"""The checks of a notebook's exercises: what came, what was wanted, and the reader's own picture.

A check is a function that calls the reader's answer and raises :class:`Wrong`, mostly by way of
:func:`tensor`, :func:`number` and :func:`require`, at the first thing that is not as it should be::

    def check_mean(answer):
        mean = exercises.number(answer([1.0, 2.0]), low=0)
        exercises.require(mean == 1.5, f"the mean of 1 and 2 is not {mean}")

    exercises.check(1, mean_of, check_mean)
"""

from __future__ import annotations

import base64
import inspect
import linecache
import math
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch

from . import plots

__all__ = ["Wrong", "check", "describe", "number", "require", "tensor"]

#: What a tensor may hold, and which types that is. ``"float"`` is handed on as float32.
KINDS = {
    "float": (torch.float32, torch.float64, torch.float16, torch.bfloat16),
    "int": (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    "bool": (torch.bool,),
    "complex": (torch.complex64, torch.complex128),
}
WORDS = {
    "float": "floating point",
    "int": "whole numbers",
    "bool": "True and False",
    "complex": "complex numbers",
}
RETURNED = "your function returned"
LONGEST = 60  # signs of a value that a message quotes


class Wrong(Exception):
    """An answer is not what was wanted; the message says what came, and what was wanted.

    Args:
        pictures: of the answer, caption -> image, drawn below the message.
        of_last_call: the message is about what the answer returned when it was last called.
    """

    def __init__(
        self,
        message: str,
        pictures: Mapping[str, torch.Tensor] | None = None,
        of_last_call: bool = False,
    ) -> None:
        super().__init__(message)
        self.pictures = pictures
        self.of_last_call = of_last_call


class NotDone(Exception):
    """The answer is the stub: it returned ``None`` when it was first called."""


def check(
    number: int | str,
    answer: Callable,
    check_function: Callable[[Callable], Mapping[str, torch.Tensor] | None],
) -> None:
    """Print ``exercise N:`` and ``not done yet``, ``correct``, or what came and what was wanted.

    Args:
        answer: the function that the reader has written.
        check_function: calls what it is given as it would the answer, and raises :class:`Wrong`
            where it finds a fault. It may return pictures of the answer, caption -> image
            ``(3 or 1, H, W)`` or ``(H, W)`` in [0, 1], which are drawn below the line.
    """
    watched = _Watched(answer)
    pictures = None
    try:
        if not callable(answer):
            raise Wrong(f"the function that you were given is now {describe(answer)}")
        pictures = check_function(watched)
        said = "correct"
    except NotDone:
        said = "not done yet"
    except Wrong as fault:
        said, pictures = str(fault), fault.pictures
        if fault.of_last_call and watched.call:
            said += f", when called with {watched.call}"
    except Exception as error:  # of the check, which cannot use what the answer returned
        if not watched.call:
            raise
        said = (
            f"your function returned {describe(watched.returned)} when called with "
            f"{watched.call}; with that the check failed: {type(error).__name__}: {error}"
        )
    print(f"exercise {number}: {said}")
    if pictures:
        _draw(pictures)


def tensor(
    value: object,
    shape: tuple[int | None, ...] | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    kind: str = "float",
    what: str = RETURNED,
) -> torch.Tensor:
    """The value, if it is a tensor as wanted; of floating point of any precision, as float32.

    Args:
        shape: ``None`` in it allows any size, ``None`` for all of it any shape.
        low, high: the least and the greatest value that is allowed.
        kind: one of :data:`KINDS`.
        what: begins the message, for a part of what was returned: ``"its second part is"``.

    Raises:
        Wrong: it is something else, or holds NaN or infinity.
    """
    sizes = "" if shape is None else f" of shape {_shape(shape)}"
    wanted = f"a tensor{sizes}, {WORDS[kind]}"
    if not torch.is_tensor(value) or value.dtype not in KINDS[kind] or not _fits(value, shape):
        _refuse(what, value, wanted)
    if kind == "float":
        value = value.float()
    if kind in ("float", "complex") and not value.isfinite().all():
        _refuse(what, value, wanted, " with NaN or infinity in it")
    if kind in ("float", "int") and value.numel():
        least, most = value.min().item(), value.max().item()
        if least < low or most > high:
            holding = f" with values from {least:.4g} to {most:.4g}"
            _refuse(what, value, f"values {_range(low, high)}", holding)
    return value


def number(
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    whole: bool = False,
    what: str = RETURNED,
) -> float:
    """The value, if it is a number as wanted: Python's, NumPy's, or a tensor without axes.

    Args:
        low, high: the least and the greatest that is allowed.
        whole: it must be a whole number; it is returned as an int.
        what: as of :func:`tensor`.

    Raises:
        Wrong: it is something else, or NaN.
    """
    wanted = f"a {'whole ' if whole else ''}number {_range(low, high)}".rstrip()
    held: Any = value
    found = held.item() if _has_no_axes(value) else held
    if isinstance(found, bool) or not isinstance(found, int | float):
        _refuse(what, value, wanted)
    if not low <= found <= high or (whole and found % 1 != 0):  # of NaN no comparison holds
        _refuse(what, value, wanted)
    return int(found) if whole else float(found)


def require(
    condition: object, message: str, pictures: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Raise :class:`Wrong` with this message, and these pictures, unless the condition holds."""
    if not condition:
        raise Wrong(message, pictures)


def describe(value: object) -> str:
    """A value in words: short ones as they are written, others by type, shape and kind.

    >>> describe(torch.zeros(2, 3)), describe(np.zeros(4)), describe([1, 2])
    ('a tensor of shape (2, 3), float32', 'a NumPy array of shape (4,), float64', 'the list [1, 2]')
    """
    if isinstance(value, bool | int | float | type(None)):
        return repr(value)
    if torch.is_tensor(value) or isinstance(value, np.ndarray | np.generic):
        what = "tensor" if torch.is_tensor(value) else "NumPy array"
        dtype = str(value.dtype).removeprefix("torch.")
        if not value.shape:
            return f"a {what} without axes, {dtype}, {value.item()}"
        return f"a {what} of shape {_shape(value.shape)}, {dtype}"
    name, text = type(value).__name__, repr(value)
    if len(text) <= LONGEST and isinstance(value, str | list | tuple | dict | set):
        return f"the {name} {text}"
    size = f" of length {len(value)}" if hasattr(value, "__len__") else ""
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}{size}"


class _Watched:
    """A reader's function, which notes how it was called, and says so where it fails."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.call = ""  # the arguments of the last call
        self.returned: object = None
        self.calls = 0

    def __call__(self, *arguments: object, **named: object) -> object:
        self.call = _in_words(self.function, arguments, named)  # now: the call may change them
        try:
            self.returned = self.function(*arguments, **named)
        except Exception as error:
            raise Wrong(
                f"your function raised {type(error).__name__}: {error}{_place(error)}",
                of_last_call=True,
            ) from error
        self.calls += 1
        if self.returned is None:
            if self.calls == 1:
                raise NotDone
            raise Wrong("your function returned None", of_last_call=True)
        return self.returned


def _in_words(function: Callable, arguments: tuple, named: Mapping[str, object]) -> str:
    try:
        given: Mapping[Any, Any] = inspect.signature(function).bind(*arguments, **named).arguments
    except (TypeError, ValueError):  # it takes other arguments; the call will say so
        given = dict(enumerate(arguments, 1)) | dict(named)
    return ", ".join(f"{name} = {describe(value)}" for name, value in given.items()) or "nothing"


def _place(error: Exception) -> str:
    """The line of the reader's own code that an error came from, or nothing."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    if not own:  # it could not be called
        return ""
    mine = [frame for frame in own if frame.filename == own[0].filename][-1]
    line = (mine.line or linecache.getline(mine.filename, mine.lineno or 0)).strip()
    return f", in the line `{line}`" if line else ""


def _refuse(what: str, value: object, wanted: str, holding: str = "") -> NoReturn:
    raise Wrong(f"{what} {describe(value)}{holding}; wanted: {wanted}", of_last_call=True)


def _has_no_axes(value: object) -> bool:
    return (
        torch.is_tensor(value) or isinstance(value, np.ndarray | np.generic)
    ) and not value.shape


def _fits(value: torch.Tensor, shape: tuple[int | None, ...] | None) -> bool:
    return shape is None or (
        value.ndim == len(shape)
        and all(size in (None, own) for size, own in zip(shape, value.shape, strict=True))
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f"of {low:g} or more"
    return f"of {high:g} or less" if math.isinf(low) else f"from {low:g} to {high:g}"


def _draw(pictures: Mapping[str, torch.Tensor]) -> None:
    from IPython.display import display  # only a notebook needs it

    columns = min(4, max(2, len(pictures)))  # one alone would be as wide as the page
    figure = plots.show(pictures, columns)
    shown = base64.b64encode(plots.png(figure)).decode()
    text = f"[your answer: {', '.join(pictures)}]"
    display(
        {"image/png": shown, "text/plain": text}, raw=True, metadata={"image/png": {"alt": text}}
    )
