"""What a restoration did to a photograph: before and after as one picture, and as a page.

The picture has both photographs side by side and the same detail of both, enlarged. The page, one
file that opens without a network, has a slider between them. Taught in chapter 05.
"""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import InputError
from ..files import Photo, write_whole
from .finding import COMPARED

TEMPLATE = Path(__file__).with_name("comparison.html")
PAGE_SIDE = 4096  # longest side of a picture on the page, pixels
PICTURE_QUALITY, PAGE_QUALITY = 90, 92  # of the JPEGs
#: of the detail: its side is the shorter side by this, but neither less nor more, pixels
SHARE, LEAST, MOST = 3, 32, 240
CELLS = 8  # about how many steps of the search for the detail make up its side
BAND = 2**22  # about how many pixels are compared at a time
#: of the picture, pixels: between its parts, and around each photograph, for the frame
GAP, FRAME = 20, 4
#: what the photographs fit into, and a detail: 2000 pixels wide in all
WIDE_BOX, TALL_BOX, TALL_DETAIL = (962, 962), (708, 1036), 480
NARROWEST, LARGEST_FACTOR = 240, 8  # of a part, for its words; of a detail
PAPER, INK = "white", "#202020"


@dataclass(frozen=True)
class Place:
    """Where the detail is, pixels of the upright photograph."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """What pixels ``(H, W, 3)`` hold there."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def comparison_paths(target: Path) -> tuple[Path, Path]:
    """Where the picture and the page of a result go."""
    named = f"{target.stem}{COMPARED}"
    return target.with_name(f"{named}.jpg"), target.with_name(f"{named}.html")


def write_comparison(target: Path, before: Photo, after: Photo, method: str) -> tuple[Path, Path]:
    """Write ``TARGET_compare.jpg`` and ``TARGET_compare.html``, TARGET without its suffix.

    Both show the photographs upright, in 8 bits, on white where they are transparent, and their
    JPEGs carry the colour profile of ``before`` where it is one of their colours (a grey
    profile for grey photographs). Files that are there are replaced. No EXIF is copied, so no
    place and no camera. For the detail, see :func:`find_detail`. On the page, pictures of more
    than 4096 pixels on the longer side are reduced to that, and it says so.

    Beside the photographs, this needs memory for both once more, upright and in 8 bits.

    Args:
        target: the restored picture; it need not exist, but its folder.
        before, after: of equal size, ``(H, W, C)``, uint8 or uint16.
        method: what restored it, in words for people.

    Returns:
        the picture and the page.

    Raises:
        InputError: unlike sizes, or a file cannot be written.
    """
    target = Path(target)
    grey = max(before.pixels.shape[-1], after.pixels.shape[-1]) < 3
    pair = [as_shown(before), as_shown(after)]
    if pair[0].shape != pair[1].shape:
        sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in pair)
        raise InputError(f"{target}: photographs of {sizes} pixels cannot be compared")
    fits = before.profile[16:20] == (b"GRAY" if grey else b"RGB ")  # the header's colour space
    profile = before.profile if fits else b""
    picture, page = comparison_paths(target)
    try:
        drawn = _draw(pair, find_detail(*pair), _plain(method))
        data = _encode(drawn, PICTURE_QUALITY, grey, profile)
        text = _page(pair, _plain(target.name), _plain(method), grey, profile)
    except (ValueError, OSError) as error:  # of Pillow: what a JPEG cannot hold
        raise InputError(f"{picture}: cannot be written ({error})") from None
    write_whole(picture, data)
    write_whole(page, text)
    return picture, page


def find_detail(before: np.ndarray, after: np.ndarray) -> Place:
    """The square in which two pictures differ most: in the mean of their absolute differences.

    Its side is a third of the shorter side, but 32 to 240 pixels, and no more than the picture has.
    It keeps a quarter of its side away from the border, where methods err, if the picture is large
    enough for that. It is found to an eighth of its side; of equals, the one nearest to the middle
    is taken.

    Args:
        before, after: ``(H, W, 3)``, uint8, of equal size.
    """
    size = before.shape[:2]
    side = min(max(min(size) // SHARE, LEAST), MOST)
    square = [min(side, n) for n in size]
    steps = [max(1, n // CELLS) for n in square]
    down, across = (n // step for n, step in zip(square, steps, strict=True))
    upto = cv2.integral(_differences(before, after, *steps))
    sums = upto[down:, across:] - upto[:-down, across:] - upto[down:, :-across]
    sums += upto[:-down, :-across]

    # the first row and column of each sum, and how far they are from the middle
    starts, away = [], []
    for axis, (n, inner, step) in enumerate(zip(size, square, steps, strict=True)):
        starts.append(np.minimum(np.arange(sums.shape[axis]) * step, n - inner))
        away.append(np.abs(starts[axis] - (n - inner) / 2))
        inside = away[axis] <= max((n - inner) / 2 - side // 4, away[axis].min())
        np.moveaxis(sums, axis, 0)[~inside] = -1
    rows, columns = np.nonzero(sums == sums.max())
    best = np.argmin(np.hypot(away[0][rows], away[1][columns]))
    return Place(int(starts[0][rows[best]]), int(starts[1][columns[best]]), *square)


def _differences(before: np.ndarray, after: np.ndarray, down: int, across: int) -> np.ndarray:
    """Sums of the absolute differences, of cells of ``down`` x ``across`` pixels."""
    rows, columns = before.shape[0] // down, before.shape[1] // across
    sums = np.empty((rows, columns))
    many = max(1, BAND // before[:down].size)
    for row in range(0, rows, many):
        part = slice(row * down, min(row + many, rows) * down), slice(columns * across)
        apart = cv2.absdiff(before[part], after[part])
        sums[row : row + many] = apart.reshape(-1, down, columns, 3 * across).sum((1, 3), np.int64)
    return sums


def as_shown(photo: Photo) -> np.ndarray:
    """RGB ``(H, W, 3)`` of 8 bits, upright, on white."""
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257).reshape(pixels.shape)
    if pixels.shape[-1] in (2, 4):  # what cannot be seen is not shown
        seen = pixels[..., -1:] / np.float32(255)
        mixed = pixels[..., :-1] * seen + 255 * (1 - seen)
        pixels = np.concatenate([np.rint(mixed).astype(np.uint8), pixels[..., -1:]], -1)
    return replace(photo, pixels=pixels).upright()


def _plain(text: str) -> str:
    """A name on one line: what cannot be printed, or is no text, is written as its escape."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def within(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels ``(H, W, 3)`` reduced, by area, to what fits into a box."""
    factor = max(pixels.shape[1] / width, pixels.shape[0] / height)
    if factor <= 1:
        return pixels
    size = [max(1, int(n / factor + 0.5)) for n in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _encode(pixels: np.ndarray, quality: int, grey: bool, profile: bytes) -> bytes:
    """A JPEG with all its colour, or of one channel."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0, icc_profile=profile or None)
    return file.getvalue()


# ---- the picture


def _draw(pair: list[np.ndarray], place: Place, method: str) -> np.ndarray:
    """Both photographs side by side, and the details below or, of tall ones, on the right.

    Details are enlarged by repeating pixels, for a smooth enlargement would show some that are not
    there.
    """
    height, width = pair[0].shape[:2]
    tall = height > max(width, TALL_DETAIL)
    shown = [within(pixels, *(TALL_BOX if tall else WIDE_BOX)) for pixels in pair]
    column = max(shown[0].shape[1], NARROWEST)
    room = TALL_DETAIL if tall else column
    factor = min(room // max(place.height, place.width), LARGEST_FACTOR)
    details = [place.of(pixels).repeat(factor, 0).repeat(factor, 1) for pixels in pair]

    scale = shown[0].shape[1] / width, shown[0].shape[0] / height
    much = f"enlarged {factor} times" if factor > 1 else "actual pixels"
    high = min(max((2 * column + tall * room) // 64, 16), 30)
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(size=high))
    before, after = (
        _labelled(_framed(pixels, place, scale), words, font, column)
        for pixels, words in zip(shown, ("before", f"after: {method}"), strict=True)
    )
    column = max(details[0].shape[1], NARROWEST) if tall else column
    first, second = (
        _labelled(_framed(pixels), f"{words}, {much}", font, column)
        for pixels, words in zip(details, ("before", "after"), strict=True)
    )
    if tall:
        drawn = _joined([before, after, _joined([first, second], 0)], 1)
    else:
        drawn = _joined([_joined([before, after], 1), _joined([first, second], 1)], 0)
    return np.pad(drawn, [(GAP, GAP), (GAP, GAP), (0, 0)], constant_values=255)


def _framed(
    pixels: np.ndarray, place: Place | None = None, scale: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """A picture with a margin and, of a reduced one, a frame around a place of the whole."""
    around = [(FRAME, FRAME), (FRAME, FRAME), (0, 0)]
    image = Image.fromarray(np.pad(pixels, around, constant_values=255))
    if place is not None:
        x, y = round(place.left * scale[0]), round(place.top * scale[1])
        right = round((place.left + place.width) * scale[0]) + 2 * FRAME - 1
        bottom = round((place.top + place.height) * scale[1]) + 2 * FRAME - 1
        pen = ImageDraw.Draw(image)
        pen.rectangle((x, y, right, bottom), outline=INK, width=FRAME)
        pen.rectangle((x + 1, y + 1, right - 1, bottom - 1), outline=PAPER, width=FRAME // 2)
    return np.asarray(image)


def _labelled(
    pixels: np.ndarray, words: str, font: ImageFont.FreeTypeFont, width: int
) -> np.ndarray:
    """A picture with words above it, cut to ``width`` pixels, as wide as that at least."""
    while font.getlength(words) > width:
        words = words.rstrip("…")[:-1] + "…"
    line = sum(font.getmetrics()) + FRAME
    image = Image.new("RGB", (width + 2 * FRAME, line + pixels.shape[0]), PAPER)
    ImageDraw.Draw(image).text((FRAME, 0), words, INK, font)
    image.paste(Image.fromarray(pixels), (0, line))
    return np.asarray(image)


def _joined(parts: list[np.ndarray], axis: int) -> np.ndarray:
    """Pictures one below the other (0) or side by side (1), with gaps."""
    longest = max(part.shape[1 - axis] for part in parts)
    padded = []
    for i, part in enumerate(parts):
        ends = [(0, 0), (0, 0), (0, 0)]
        ends[axis] = (GAP if i else 0, 0)
        ends[1 - axis] = (0, longest - part.shape[1 - axis])
        padded.append(np.pad(part, ends, constant_values=255))
    return np.concatenate(padded, axis)


# ---- the page


def _page(pair: list[np.ndarray], name: str, method: str, grey: bool, profile: bytes) -> str:
    """The page, with both pictures in it."""
    height, width = pair[0].shape[:2]
    shown = [within(pixels, PAGE_SIDE, PAGE_SIDE) for pixels in pair]
    rows, columns = shown[0].shape[:2]
    size = f"{width} x {height} pixels"
    if (rows, columns) != (height, width):
        size += f", reduced to {columns} x {rows} on this page"
    codes = [_encode(pixels, PAGE_QUALITY, grey, profile) for pixels in shown]
    before, after = ("data:image/jpeg;base64," + base64.b64encode(c).decode() for c in codes)
    words = {"name": html.escape(name), "method": html.escape(method), "size": size}
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        words, width=columns, height=rows, before=before, after=after
    )
