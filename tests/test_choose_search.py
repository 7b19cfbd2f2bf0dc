"""What choosing how a kernel is looked for is tried on, and how it is scored."""

import pytest

from deblurlib import alignment, degrade, images, metrics, psf
from deblurlib.data import open_images
from deblurlib.studies.classical import choose, choose_search


@pytest.fixture(scope="module")
def pairs():
    return [*choose_search.pairs(open_images("sample", "test").first(2))]


def test_each_photograph_is_blurred_by_a_steady_and_by_a_waiting_hand(pairs):
    assert len(pairs) == 4
    for steady, waiting in zip(pairs[::2], pairs[1::2], strict=True):
        assert steady.x.shape == (1, 1, choose_search.SIDE, choose_search.SIDE)
        assert (steady.x == waiting.x).all()
        for pair in (steady, waiting):
            psf.check(pair.kernels[0])
    # each draws a path of its own; where the hand waits, light gathers
    peaks = [
        [choose_search.shaken(degrade.generator(0, i), w).blur.max().item() for i in range(20)]
        for w in (False, True)
    ]
    assert all(waiting > steady for steady, waiting in zip(*peaks, strict=True))


def test_the_true_kernel_is_worth_more_than_none_and_than_a_wrong_one(pairs):
    for pair in pairs[:2]:
        k = pair.kernels[0]
        gain, error = choose_search.score(pair, k)
        assert error == pytest.approx(0, abs=1e-6)
        none, wrong = (choose_search.score(pair, z) for z in (psf.box(1), k.flip(0)))
        assert gain > max(1, none[0], wrong[0])
        assert none[1] > 0.1


def test_the_score_is_that_of_the_best_shift_without_the_margin(pairs):
    y, x = pairs[0].y, pairs[0].x
    moved, most = y.roll((3, -2), (-2, -1)), choose_search.SHIFT
    expected = choose.aligned_psnr(y, x, most)
    assert choose.aligned_psnr(moved, x, most) == pytest.approx(expected, abs=1e-3)
    z = images.quantise(alignment.align(images.quantise(y), x, most))
    inner = (..., slice(most, -most), slice(most, -most))
    assert expected == pytest.approx(metrics.psnr(z[inner], x[inner]).item())
    assert choose.aligned_psnr(x, x, 0) == float("inf")
