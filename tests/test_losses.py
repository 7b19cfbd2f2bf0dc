"""Losses, beside numpy's."""

import numpy as np
import pytest
import torch

from deblurlib.losses import LOSSES


@pytest.mark.parametrize(
    ("name", "numpys"),
    [("mse", lambda d: np.mean(d**2)), ("l1", lambda d: np.mean(np.abs(d)))],
)
def test_losses_are_means_over_everything(rand, name, numpys):
    x_hat, x = rand(3, 2, 5, 4), rand(3, 2, 5, 4, seed=1)
    expected = numpys((x_hat - x).double().numpy())
    assert LOSSES[name](x_hat, x).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1, 7, 4), (3, 2, 5, 4), (4, 3, 6, 6)])
def test_euclidean_is_half_the_squared_error_of_an_image(rand, size):
    x_hat, x = rand(*size), rand(*size, seed=1)
    errors = [0.5 * np.sum((a - b).double().numpy() ** 2) for a, b in zip(x_hat, x, strict=True)]
    assert LOSSES["euclidean"](x_hat, x).item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_the_gradient_of_euclidean_is_the_difference(rand):
    x_hat, x = rand(2, 3, 4, 5).requires_grad_(), rand(2, 3, 4, 5, seed=1)
    LOSSES["euclidean"](x_hat, x).backward()
    torch.testing.assert_close(x_hat.grad, (x_hat.detach() - x) / 2)


over_scales = LOSSES["mse-over-scales"]


def test_over_scales_one_image_has_its_mean_squared_error(rand):
    x_hat, x = rand(2, 3, 8, 12), rand(2, 3, 8, 12, seed=1)
    for given in (x_hat, [x_hat]):
        assert torch.equal(over_scales(given, x), LOSSES["mse"](x_hat, x))


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_over_scales_the_mean_squared_errors_are_summed_each_to_x_halved_again(rand, scales):
    x = rand(2, 3, 8, 16)
    x_hats = [rand(2, 3, 8 >> k, 16 >> k, seed=1 + k) for k in range(scales)]
    expected, halved = 0, x.double().numpy()
    for x_hat in x_hats:
        expected += np.mean((x_hat.double().numpy() - halved) ** 2)
        b, c, h, w = halved.shape
        halved = halved.reshape(b, c, h // 2, 2, w // 2, 2).mean((3, 5))
    for given in (x_hats, tuple(x_hats)):
        assert over_scales(given, x).item() == pytest.approx(expected, rel=1e-6)


def test_over_scales_nothing_is_lost_where_every_scale_is_right(rand):
    x = rand(1, 3, 8, 8)
    pyramid = [x, *(torch.nn.functional.avg_pool2d(x, side) for side in (2, 4))]
    assert over_scales(pyramid, x).item() == pytest.approx(0, abs=1e-12)
    for k in range(3):
        wrong = [z + 0.5 * (k == i) for i, z in enumerate(pyramid)]
        assert over_scales(wrong, x).item() == pytest.approx(0.25, rel=1e-5)  # all weights are 1


def test_over_scales_the_gradient_of_each_is_that_of_its_own_mean(rand):
    x = rand(2, 3, 8, 8)
    x_hats = [rand(2, 3, side, side, seed=side).requires_grad_() for side in (8, 4, 2)]
    over_scales(x_hats, x).backward()
    for x_hat, side in zip(x_hats, (1, 2, 4), strict=True):
        wanted = torch.nn.functional.avg_pool2d(x, side)
        expected = 2 * (x_hat.detach() - wanted) / x_hat.numel()
        torch.testing.assert_close(x_hat.grad, expected)
        assert x_hat.grad.any()


def test_all_losses_are_tested():
    assert set(LOSSES) == {"mse", "l1", "euclidean", "mse-over-scales"}
