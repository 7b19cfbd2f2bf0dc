"""Edges: Canny's beside one written with scipy, how well two maps agree, and losses of edges."""

import math
from itertools import chain, pairwise

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from sklearn.metrics import f1_score

from deblurlib import edges, images, losses
from deblurlib.degrade import Pair
from deblurlib.errors import InputError


@pytest.fixture(scope="module")
def pictures(rand):
    """Shapes and soft noise, so that there are edges of all directions and strengths."""
    x = F.interpolate(rand(3, 3, 8, 8), (40, 48), mode="bicubic", antialias=False)
    x = x + 0.4 * (F.interpolate(rand(3, 1, 5, 6, seed=1), (40, 48)) > 0.5)
    return images.quantise(x)


def canny_by_hand(picture, low, high):
    """Canny on uint8 ``(H, W)``: Sobel, the sum of absolute values, thinning, hysteresis."""
    z = picture.astype(int)
    dx, dy = (ndimage.sobel(z, axis, mode="nearest") for axis in (1, 0))
    size = np.abs(dx) + np.abs(dy)
    around = np.pad(size, 1)

    def beside(down, right):
        height, width = size.shape
        return around[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    level = np.abs(dy) < np.tan(np.pi / 8) * np.abs(dx)
    upright = np.abs(dy) > np.tan(3 * np.pi / 8) * np.abs(dx)
    falling = (dx < 0) == (dy < 0)
    thin = np.select(
        [level, upright, falling],
        [
            (size > beside(0, -1)) & (size >= beside(0, 1)),
            (size > beside(-1, 0)) & (size >= beside(1, 0)),
            (size > beside(-1, -1)) & (size > beside(1, 1)),
        ],
        (size > beside(-1, 1)) & (size > beside(1, -1)),
    )
    parts, _ = ndimage.label(thin & (size > low), np.ones((3, 3)))
    begun = np.unique(parts[thin & (size > high)])
    return np.isin(parts, begun[begun > 0]).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), [(100, 200), (30, 300), (0, 0), (150, 150)])
def test_cannys_edges_are_those_of_one_written_with_scipy(pictures, low, high):
    x = pictures[:, :1]
    found = edges.canny(x, low, high, smoothing=0)
    assert found.shape == (3, 1, 40, 48)
    assert found.dtype == torch.float32
    for map_, picture in zip(found, x, strict=True):
        expected = canny_by_hand(images.to_array(picture)[..., 0], low, high)
        assert np.array_equal(map_[0].numpy(), expected)
        assert 0.01 < expected.mean() < 0.6


@pytest.mark.parametrize("grey", edges.GREYS)
@pytest.mark.parametrize("smoothing", [0.0, 1.0, 2.0])
def test_colours_are_made_grey_and_smoothed_first(pictures, grey, smoothing):
    found = edges.canny(pictures, smoothing=smoothing, grey=grey)
    for map_, picture in zip(found, pictures, strict=True):
        array = images.to_array(picture)
        if grey == "luma":
            array = cv2.cvtColor(array, cv2.COLOR_RGB2GRAY)
        else:
            array = np.round(array.mean(-1)).astype(np.uint8)
        if smoothing:
            soft = ndimage.gaussian_filter(array.astype(float), smoothing, mode="mirror")
            array = cv2.GaussianBlur(array, (0, 0), smoothing)
            assert np.abs(array - soft).max() < 2
        expected = torch.from_numpy(cv2.Canny(array, 100, 200) > 0)[None, None].float()
        # OpenCV's grey is made of whole numbers, and here and there a level off
        assert edges.f_score(map_[None], expected) >= (0.97 if grey == "luma" else 1)


def test_a_higher_threshold_leaves_fewer_edges_and_finds_no_new_ones(pictures):
    ways = [(50, 100), (50, 200), (120, 200), (200, 200), (200, 400)]
    maps = [edges.canny(pictures, *way) for way in ways]
    for more, fewer in pairwise(maps):
        assert (fewer <= more).all()
        assert fewer.sum() < more.sum()


def test_of_mirrored_images_the_edges_are_mirrored_to_a_pixel(pictures):
    found, mirrored = edges.canny(pictures), edges.canny(pictures.flip(-1)).flip(-1)
    assert edges.f_score(mirrored, found, tolerance=1) > 0.98  # of equals, thinning takes one side


def test_an_edge_lies_beside_a_step_and_what_is_beyond_white_is_clipped():
    step = torch.zeros(1, 1, 9, 9)
    step[..., 5:] = 1
    found = edges.canny(step)
    (columns,) = {tuple(row.nonzero()[:, 0].tolist()) for row in found[0, 0]}
    assert columns in ((4,), (5,))
    for beyond in (step * 256 / 255, step - (1 - step) / 255):  # as 8 bits, black, and white
        assert torch.equal(edges.canny(beyond), found)
    assert not edges.canny(step + 1).any()


def test_what_is_an_edge_if_nothing_else_is_said(pictures):
    own = {"low": 100, "high": 200, "smoothing": 1, "grey": "luma"}  # the thresholds are S2's
    assert own == edges.CANNY
    assert torch.equal(edges.canny(pictures), edges.canny(pictures, **own))


@pytest.mark.parametrize(
    ("shape", "given", "named"),
    [
        ((3, 8, 8), {}, r"not \(3, 8, 8\)"),
        ((1, 2, 8, 8), {}, r"not \(1, 2, 8, 8\)"),
        ((1, 3, 8, 8), {"low": 9, "high": 3}, "0 <= low <= high, not 9 and 3"),
        ((1, 3, 8, 8), {"low": -1}, "not -1 and 200"),
        ((1, 3, 8, 8), {"smoothing": -0.5}, "0 or more, not -0.5"),
        ((1, 3, 8, 8), {"grey": "red"}, "'red' is none of luma, mean"),
    ],
)
def test_what_has_no_edges_is_named(shape, given, named):
    with pytest.raises(InputError, match=named):
        edges.canny(torch.zeros(shape), **given)


# --- how well two maps agree


def test_f_score_is_that_of_scikit_learn_over_all_pixels_of_all_images(rand):
    found, wanted = rand(4, 1, 9, 11), (rand(4, 1, 9, 11, seed=1) > 0.8).float()
    flat = wanted.flatten().numpy()
    each = {t: f1_score(flat, (found > t).flatten().numpy()) for t in edges.THRESHOLDS}
    for threshold in (0.25, 0.5, 0.9):
        score = f1_score(flat, (found > threshold).flatten().numpy())
        assert edges.f_score(found, wanted, threshold) == pytest.approx(score, abs=1e-6)
    assert edges.best_f_score(found, wanted) == pytest.approx(max(each.values()), abs=1e-6)


def test_f_scores_of_maps_that_are_all_nothing_right_or_beside(rand):
    wanted = (rand(2, 1, 12, 12) > 0.9).float()
    share = wanted.mean().item()
    assert edges.f_score(wanted, wanted) == 1
    assert edges.f_score(torch.ones_like(wanted), wanted) == pytest.approx(2 * share / (1 + share))
    for nothing in (edges.f_score(wanted * 0, wanted), edges.f_score(wanted, wanted * 0)):
        assert nothing == 0
    line = torch.zeros(1, 1, 12, 12)
    line[..., 5] = 1
    for off in range(4):
        scores = [edges.f_score(line.roll(off, -1), line, tolerance=t) for t in range(4)]
        assert scores == [float(tolerance >= off) for tolerance in range(4)]
    with pytest.raises(InputError, match="do not compare"):
        edges.f_score(line, line[..., 1:])


# --- losses of edges


def balanced_by_hand(logits, edge_map):
    """Every pixel by itself: edges weigh the share of the rest, the rest that of the edges."""
    total = 0.0
    for z, e in zip(logits[:, 0].tolist(), edge_map[:, 0].tolist(), strict=True):
        pixels = [*zip(chain(*z), chain(*e), strict=True)]
        beta = sum(b == 0 for _, b in pixels) / len(pixels)
        for a, b in pixels:
            p = 1 / (1 + math.exp(-a))
            total -= (beta * math.log(p) if b else (1 - beta) * math.log(1 - p)) / len(pixels)
    return total / len(logits)


def test_the_balanced_cross_entropy_is_that_of_a_loop_over_pixels(rand):
    edge_map = (rand(3, 1, 6, 7) > 0.8).float()
    edge_map[2] = 0  # an image without an edge has nothing to say
    maps = [3 * rand(3, 1, 6, 7, seed=seed) - 1.5 for seed in (1, 2)]
    each = [balanced_by_hand(z, edge_map) for z in maps]
    for z, wanted in zip(maps, each, strict=True):
        assert losses.balanced_cross_entropy(z, edge_map).item() == pytest.approx(wanted, rel=1e-5)
    assert losses.balanced_cross_entropy(maps, edge_map).item() == pytest.approx(
        sum(each), rel=1e-5
    )
    assert losses.balanced_cross_entropy(maps[0][2:], edge_map[2:]) == 0


@pytest.mark.parametrize("count", [1, 5, 20])
def test_an_images_edges_weigh_as_much_as_all_the_rest(count):
    edge_map = torch.zeros(1, 1, 5, 8)
    edge_map.flatten()[:count] = 1
    z = torch.zeros(1, 1, 5, 8, requires_grad=True)
    losses.balanced_cross_entropy(z, edge_map).backward()
    on, off = (z.grad * edge_map).sum().item(), (z.grad * (1 - edge_map)).sum().item()
    assert on == pytest.approx(-off, rel=1e-5)
    assert off > 0


def test_the_objectives_of_edges_take_cannys_of_the_sharp_image(pictures, rand):
    y, own = rand(3, 3, 40, 48), {"low": 60, "high": 120, "grey": "mean"}
    pair, edge_map = Pair(y, pictures, ()), edges.canny(pictures, **own)
    output = [rand(3, 1, 40, 48, seed=seed) for seed in (1, 2)]
    objective = losses.objective("edges", own)
    assert torch.equal(objective.target(pair), edge_map)
    assert objective(output, pair) == losses.balanced_cross_entropy(output, edge_map)
    assert torch.equal(objective.shown(output), torch.sigmoid(output[0]))
    found = torch.sigmoid(output[0])
    measured = {name: f(output, edge_map) for name, f in objective.measures.items()}
    assert measured == {"val_f": edges.best_f_score(found, edge_map)}
    both = losses.objective("mse-and-edges", {"weight": 0.3, **own})
    whole = F.mse_loss(y, pictures) + 0.3 * losses.balanced_cross_entropy(output, edge_map)
    assert both([y, *output], pair) == pytest.approx(whole)
    assert both(y, pair) == losses.OBJECTIVES["mse"](y, pair)
    assert torch.equal(both.target(pair), pictures)


def test_a_notebooks_own_loss_may_have_arguments(monkeypatch):
    def made(power=2.0):
        return losses.Objective(lambda z, x: (z - x).abs().pow(power).mean())

    monkeypatch.setitem(losses.OBJECTIVES, "mine", made)
    pair = Pair(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5), ())
    assert losses.objective("mine", {"power": 3})(pair.y, pair) == 0.125
    with pytest.raises(InputError, match="the loss mine has no argument 'low'; it has power"):
        losses.objective("mine", {"low": 3})
