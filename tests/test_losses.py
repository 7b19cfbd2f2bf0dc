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


def test_all_losses_are_tested():
    assert set(LOSSES) == {"mse", "l1", "euclidean"}
