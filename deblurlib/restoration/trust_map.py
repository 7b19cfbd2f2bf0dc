"""Where a restored photograph contradicts the one it was made from, as a picture.

Taught in chapter 05.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .. import images
from ..errors import InputError
from ..files import Photo, write_whole
from .comparison import INK, NARROWEST, PAPER, as_shown, within
from .finding import MAPPED
from .trusting import trust

SIDE = 2000  # longest side of the map, pixels
TINT, COVER = (213, 94, 0), 0.7  # vermilion, which all eyes tell from grey; how opaque it is
DIMMED, STRIPE, EVERY = 0.45, 2, 10  # of places without an answer; pixels of their hatching
GAP = 8  # pixels, of the legend


@dataclass(frozen=True)
class TrustMap:
    """A map that was written, and what it shows."""

    path: Path
    flagged: float  # share of what has an answer that contradicts the photograph
    answered: float  # share of the picture that has an answer


def trust_path(target: Path) -> Path:
    """Where the map of a result goes."""
    return target.with_name(f"{target.stem}{MAPPED}.png")


def write_trust(target: Path, before: Photo, after: Photo) -> TrustMap:
    """Write ``TARGET_trust.png``, TARGET without its suffix: what
    :func:`deblurlib.restoration.trust` finds.

    The restored photograph in grey, upright; vermilion where it contradicts ``before``, hatched
    where there is no answer, and a legend that says so. They are compared in 8 bits, on white where
    they are transparent. A map of more than 2000 pixels on the longer side is reduced to that; a
    pixel of it is marked if any is that it stands for. A file that is there is replaced.

    Args:
        target: the restored picture; it need not exist, but its folder.
        before, after: of equal size, ``(H, W, C)``, uint8 or uint16.

    Raises:
        InputError: unlike sizes, or the file cannot be written.
    """
    target = Path(target)
    pair = [as_shown(before), as_shown(after)]
    if pair[0].shape != pair[1].shape:
        sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in pair)
        raise InputError(f"{target}: photographs of {sizes} pixels cannot be compared")
    y, x_hat = (pixels.transpose(2, 0, 1)[None] for pixels in pair)
    found = trust(y, x_hat)
    flagged = found.flagged[0, 0].numpy()
    answered = ~found.disagreement[0, 0].isnan().numpy()
    shares = found.flagged_share.item(), found.answered_share.item()
    path = trust_path(target)
    data = io.BytesIO()
    Image.fromarray(draw(pair[1], flagged, answered, *shares)).save(data, "PNG")
    write_whole(path, data.getvalue())
    return TrustMap(path, *shares)


def draw(
    restored: np.ndarray, flagged: np.ndarray, answered: np.ndarray, share: float, known: float
) -> np.ndarray:
    """The map with its legend, ``(h, w, 3)``, uint8.

    Args:
        restored: ``(H, W, 3)``, uint8.
        flagged, answered: ``(H, W)``, bool.
        share, known: what the legend says of these two.
    """
    shown = within(restored, SIDE, SIDE)
    size = shown.shape[1::-1]
    # an area's mean is more than 0 if anything in it is flagged
    tinted = cv2.resize(flagged.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    unknown = cv2.resize(answered.astype(np.float32), size, interpolation=cv2.INTER_AREA) < 0.5
    grey = images.grey(images.to_tensor(shown))[0].numpy() * 255
    pixels = np.repeat(grey[..., None], 3, -1)
    pixels = _hatched(pixels, unknown & ~tinted)
    pixels[tinted] = (1 - COVER) * pixels[tinted] + COVER * np.array(TINT, np.float32)
    pixels = np.rint(pixels).astype(np.uint8)
    beside = max(NARROWEST - size[0], 0)
    pixels = np.pad(pixels, [(0, 0), (0, beside), (0, 0)], constant_values=255)
    return np.concatenate([pixels, _legend(pixels.shape[1], share, known)])


def _hatched(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Dimmed, with light stripes from the lower left to the upper right."""
    down, right = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    stripes = where & ((down + right) % EVERY < STRIPE)
    pixels = np.where(where[..., None], DIMMED * pixels, pixels)
    return np.where(stripes[..., None], 0.5 * pixels + 90, pixels)


def _legend(width: int, share: float, known: float) -> np.ndarray:
    """What the marks mean, in words."""
    box = min(max(width // 50, 14), 24)
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(size=box))
    line = sum(font.getmetrics())
    plain = np.full((box, box, 3), 128.0, np.float32)
    hatch = Image.fromarray(_hatched(plain, np.ones((box, box), bool)).astype(np.uint8))
    grey = Image.new("RGB", (box, box), "#a0a0a0")
    tint = Image.new("RGB", (box, box), TINT)
    marks = (
        (tint, f"contradicts the photograph: {share:.1%} of what could be checked"),
        (hatch, f"cannot be checked, flat or at the edge: {1 - known:.0%} of the picture"),
        (grey, "agrees with it, which proves nothing"),
    )
    room = max(width - 3 * GAP - box, 1)
    lines = [(mark, _wrapped(words, font, room)) for mark, words in marks]
    height = sum(len(text) * line + GAP for _, text in lines) + GAP
    image = Image.new("RGB", (width, height), PAPER)
    pen, top = ImageDraw.Draw(image), GAP
    for mark, text in lines:
        image.paste(mark, (GAP, top + (line - box) // 2))
        for words in text:
            pen.text((2 * GAP + box, top), words, INK, font)
            top += line
        top += GAP
    return np.asarray(image)


def _wrapped(words: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Words on lines of at most ``width`` pixels, but for single words that are longer."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
