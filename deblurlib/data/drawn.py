"""A drawn scene, for pictures in which a blur has nowhere to hide. Taught in chapter 01."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from .. import images

SKY, HOUSE, GROUND, POST = (26, 34, 66), (7, 7, 10), (34, 32, 36), (110, 110, 115)
MOON, WINDOW, LAMP = (225, 220, 200), (225, 170, 80), (255, 255, 250)
SIGN, BOARD = (240, 66, 85), (18, 4, 10)


def street(height: int = 300, width: int = 300) -> torch.Tensor:
    """A street at night, with lamps, lit windows, a moon and a neon sign; always the same.

    Only the lamps are white, so that :func:`deblurlib.degrade.boost_highlights` finds them alone.

    Returns:
        ``(1, 3, height, width)`` in [0, 1], stored values.
    """
    scene = np.zeros((2 * height, 2 * width, 3), np.uint8)  # drawn twice as large, then shrunk
    scene[:] = SKY
    ground, smooth = 2 * height - 70, cv2.LINE_AA

    def block(left: int, top: int, wide: int, tall: int, colour: tuple[int, int, int]) -> None:
        cv2.rectangle(scene, (left, top), (left + wide, top + tall), colour, -1)

    cv2.circle(scene, (round(1.45 * width), 75), 30, MOON, -1, smooth)
    draw = np.random.default_rng(1)
    x = 0
    while x < 2 * width:
        wide, tall = draw.integers((90, 170), (190, 420)).tolist()
        block(x, ground - tall, wide, tall, HOUSE)
        for left in range(x + 18, x + wide - 26, 34):
            for top in range(ground - tall + 20, ground - 60, 46):
                if draw.random() < 0.4:
                    block(left, top, 15, 22, WINDOW)
        x += wide
    block(0, ground, 2 * width, 70, GROUND)
    for x in range(60, 2 * width, 210):
        block(x - 2, ground - 170, 4, 170, POST)
        cv2.circle(scene, (x, ground - 176), 8, LAMP, -1, smooth)
    block(width - 175, ground - 290, 365, 105, BOARD)
    place = (width - 150, ground - 210)
    cv2.putText(scene, "HOTEL", place, cv2.FONT_HERSHEY_DUPLEX, 3.2, SIGN, 9, smooth)
    return images.to_tensor(cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA))[None]
