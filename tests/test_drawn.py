"""The drawn street."""

import torch

from deblurlib import degrade
from deblurlib.data import street


def test_a_street_is_always_the_same_image():
    scene = street(200, 260)
    assert scene.shape == (1, 3, 200, 260)
    assert 0 <= scene.min() < 0.05
    assert scene.max() == 1
    assert torch.equal(scene, street(200, 260))


def test_only_its_lamps_may_have_been_brighter_than_white():
    scene = degrade.decode_gamma(street())
    brighter = (degrade.boost_highlights(scene, 20.0) > 1.5).any(1)[0]
    columns = brighter.any(0).nonzero()[:, 0]
    lamps = [30, 135, 240]  # px from the left
    assert brighter.any()
    assert all(min(abs(column - lamp) for lamp in lamps) <= 5 for column in columns)
