"""The blur that iterations repeat, and one that is not known."""

import numpy as np
import pytest
import torch

from deblurlib import psf
from deblurlib.classical import blind_richardson_lucy, richardson_lucy
from deblurlib.classical.blur import Blur
from deblurlib.degrade import BOUNDARIES, convolve, convolve_adjoint
from deblurlib.errors import InputError


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width) ** 2
    return k / k.sum()


def stars(rand, *shape, seed=0):
    """Points of light on a dim background, blurred."""
    x = rand(*shape, seed=seed).double() ** 20 + 0.01
    return x, convolve(x, skewed(3, 5))


def likelihood(y, x, k, boundary):
    predicted = convolve(x, k, boundary)
    return (y * predicted.log() - predicted).sum()


over_boundaries = pytest.mark.parametrize("boundary", ["reflect", "circular"])


KERNELS = [psf.box(1), skewed(1, 9), skewed(5, 3), skewed(13, 11), psf.stack([skewed(3, 5)] * 2)]
KERNELS[-1][1] = skewed(3, 5).flip(0)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("k", KERNELS, ids=["delta", "row", "skewed", "large", "one-each"])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (7, 16), (16, 13)])
def test_a_blur_and_its_adjoints_are_those_of_degrade(rand, boundary, k, size):
    k = k.double().expand(2, *k.shape[-2:])
    more = (k.shape[-2] - 1, k.shape[-1] - 1) if boundary == "valid" else (0, 0)
    x, z = rand(2, 3, size[0] + more[0], size[1] + more[1]).double(), rand(2, 3, *size).double()
    blur = Blur(k.flip(1, 2), size, boundary)
    torch.testing.assert_close(blur(x), convolve(x, k.flip(1, 2), boundary))
    blur.change_kernel(k)
    torch.testing.assert_close(blur(x), convolve(x, k, boundary))
    torch.testing.assert_close(blur.adjoint(z), convolve_adjoint(z, k, boundary))
    torch.testing.assert_close((blur(x) * z).sum(), (x * blur.adjoint(z)).sum())
    other = rand(*k.shape, seed=1).double()
    forward = (convolve(x, other, boundary) * z).sum((1, 2, 3))
    backward = (other * blur.adjoint_in_kernel(x, z)).sum((1, 2))
    torch.testing.assert_close(forward, backward)


@over_boundaries
@pytest.mark.parametrize("options", [{}, {"accelerate": False, "inner": 3, "damping": 0.1}])
def test_kernels_stay_kernels_of_their_size_and_zero_where_they_began_so(rand, boundary, options):
    _, y = stars(rand, 2, 3, 16, 17)
    start = (rand(2, 5, 7) > 0.3).double()
    x_hat, k = blind_richardson_lucy(y, start, 8, boundary, **options)
    assert k.shape == start.shape
    assert k.min() >= 0
    assert k[start == 0].eq(0).all()
    torch.testing.assert_close(k.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    assert x_hat.min() >= 0
    assert (k - start / start.sum((1, 2), keepdim=True)).abs().max() > 0.02
    shared = blind_richardson_lucy(y, start[0], 8, boundary, **options)
    assert torch.equal(shared[1][0], k[0])
    assert torch.equal(shared[0][0], x_hat[0])


@over_boundaries
@pytest.mark.parametrize("inner", [1, 3])
def test_each_plain_iteration_raises_the_likelihood(rand, boundary, inner):
    _, y = stars(rand, 1, 2, 16, 17)
    start, found = torch.ones(3, 5), []
    for n in range(1, 12):
        x_hat, k = blind_richardson_lucy(y, start, n, boundary, False, inner=inner)
        found.append(likelihood(y, x_hat, k, boundary))
    assert np.diff(found).min() > 0
    assert found[-1] < likelihood(y, y, psf.box(1), boundary)  # which explains y best


def gain_of_kernel(k, x, ratio, weights, boundary):
    """The adjoint of ``k -> A x`` of a ratio, by differentiation, over that of the weights."""
    k = k.clone().requires_grad_()
    y = convolve(x, k, boundary)
    of = [torch.autograd.grad((y * z).sum(), k, retain_graph=True)[0] for z in (ratio, weights)]
    return of[0] / of[1]


def damped(y, predicted, t):
    if t == 0:
        return y / predicted
    u = (2 / t**2 * (y * (y / predicted).log() - y + predicted)).clamp(max=1)
    return 1 + u**9 * (10 - 9 * u) * (y / predicted - 1)


def extrapolated(states, changes):
    if len(changes) < 2:
        return states[-1]
    step = (changes[-1] * changes[-2]).sum() / changes[-2].square().sum()
    return (states[-1] + step.clamp(0, 1) * (states[-1] - states[-2])).clamp(min=0)


@over_boundaries
@pytest.mark.parametrize(
    ("accelerate", "inner", "damping"), [(False, 1, 0), (True, 1, 0), (False, 2, 0.3), (True, 2, 1)]
)
def test_it_agrees_with_steps_by_differentiation(rand, boundary, accelerate, inner, damping):
    y, weights = stars(rand, 1, 2, 9, 8)[1], rand(1, 2, 9, 8, seed=1).double()
    start = torch.ones(3, 5, dtype=torch.float64)
    xs, ks, of_x, of_k = [y], [start / 15], [], []
    for _ in range(6):
        x, k = xs[-1], ks[-1]
        if accelerate:
            x, k = extrapolated(xs, of_x), extrapolated(ks, of_k)
            k = k / k.sum()
        k_new, x_new = k, x
        for _ in range(inner):
            ratio = weights * damped(y, convolve(x, k_new, boundary), damping)
            k_new = k_new * gain_of_kernel(k_new, x, ratio, weights, boundary)
            k_new = k_new / k_new.sum()
        for _ in range(inner):
            ratio = weights * damped(y, convolve(x_new, k_new, boundary), damping)
            share = convolve_adjoint(weights, k_new, boundary)
            x_new = x_new * convolve_adjoint(ratio, k_new, boundary) / share
        xs.append(x_new)
        ks.append(k_new)
        of_x.append(x_new - x)
        of_k.append(k_new - k)
    options = {"inner": inner, "damping": damping, "weights": weights}
    x_hat, k_hat = blind_richardson_lucy(y, start, 6, boundary, accelerate, **options)
    torch.testing.assert_close(k_hat[0], ks[-1], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(x_hat, xs[-1], rtol=1e-6, atol=1e-9)


@over_boundaries
def test_steps_on_the_kernel_alone_find_it_where_the_image_is_known(rand, boundary):
    x, _ = stars(rand, 1, 1, 24, 23)
    y = convolve(x, skewed(3, 5), boundary)
    k = torch.full((1, 3, 5), 1 / 15, dtype=torch.float64)
    blur = Blur(k, (24, 23), boundary)
    for _ in range(200):
        blur.change_kernel(k)
        k = k * blur.adjoint_in_kernel(x, y / blur(x))
        k = k / k.sum()
    assert (k[0] - skewed(3, 5)).abs().sum() < 0.2 * (1 / 15 - skewed(3, 5)).abs().sum()


@over_boundaries
def test_channels_share_a_kernel(rand, boundary):
    _, y = stars(rand, 1, 1, 16, 17)
    x_hat, k = blind_richardson_lucy(y, torch.ones(3, 5), 5, boundary)
    colour, of_colour = blind_richardson_lucy(y.expand(1, 3, 16, 17), torch.ones(3, 5), 5, boundary)
    torch.testing.assert_close(of_colour, k)
    torch.testing.assert_close(colour, x_hat.expand(1, 3, 16, 17))


@over_boundaries
@pytest.mark.parametrize("turn", [lambda z: z.flip(-1), lambda z: z.flip(-2), lambda z: z.mT])
def test_a_turned_image_is_the_same_problem(rand, boundary, turn):
    _, y = stars(rand, 1, 2, 16, 17)
    x_hat, k = blind_richardson_lucy(y, skewed(3, 5), 6, boundary)
    turned, of_turned = blind_richardson_lucy(turn(y), turn(skewed(3, 5)), 6, boundary)
    torch.testing.assert_close(turned, turn(x_hat))
    torch.testing.assert_close(of_turned, turn(k))


@pytest.mark.parametrize("accelerate", [False, True])
def test_without_room_for_a_blur_it_is_plain_richardson_lucy(rand, accelerate):
    y = rand(2, 3, 8, 9) - 0.1
    x_hat, k = blind_richardson_lucy(y, torch.full((1, 1), 7.0), 5, accelerate=accelerate)
    assert torch.equal(k, torch.ones(2, 1, 1))
    start = y.clamp(min=0)
    expected = richardson_lucy(y, psf.box(1), 5, accelerate=accelerate, start=start)
    torch.testing.assert_close(x_hat, expected)


@over_boundaries
def test_no_iteration_gives_the_image_and_the_start(rand, boundary):
    y, start = rand(2, 3, 8, 9) - 0.1, rand(2, 3, 5)
    x_hat, k = blind_richardson_lucy(y, start, 0, boundary)
    assert torch.equal(x_hat, y.clamp(min=0))
    torch.testing.assert_close(k, start / start.sum((1, 2), keepdim=True))
    usual = blind_richardson_lucy(y, start)[1]
    assert torch.equal(usual, blind_richardson_lucy(y, start, 10, "reflect", True)[1])


@over_boundaries
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (12, 9)])
def test_black_images_and_weights_of_nothing_give_finite_numbers(rand, boundary, size):
    y = torch.cat([torch.zeros(1, 1, *size), rand(1, 1, *size) - 0.5, -rand(1, 1, *size)])
    y[0, 0, 0, 0] = 1
    for weights in (None, torch.zeros_like(y)):
        for dtype in (torch.float16, torch.float32, torch.float64):
            x_hat, k = blind_richardson_lucy(
                y.to(dtype), torch.ones(3, 5), 5, boundary, weights=weights, damping=0.1
            )
            assert (x_hat.dtype, x_hat.shape, k.dtype) == (dtype, y.shape, torch.float32)
            assert x_hat.min() >= 0  # and no NaN
            assert k.min() >= 0


def test_a_batch_equals_its_images_one_by_one_to_the_bit(monkeypatch, rand):
    y, k, weights = rand(3, 3, 9, 14), rand(3, 3, 5, seed=1), rand(3, 3, 9, 14, seed=2)

    def blind(part):
        return blind_richardson_lucy(y[part], k[part], 5, weights=weights[part], damping=0.1)

    together = blind(slice(3))
    for i in range(3):
        for one, all in zip(blind(slice(i, i + 1)), together, strict=True):
            assert torch.equal(one[0], all[i])
    globals_of = blind_richardson_lucy.__globals__
    monkeypatch.setitem(globals_of, "image_by_image", lambda f, *batched: f(*batched))
    for ours, theirs in zip(blind(slice(3)), together, strict=True):  # as on a GPU
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


Y, ONES = torch.full((2, 3, 6, 5), 0.5), torch.ones(3, 3)
BAD = [torch.nan, torch.inf, -torch.inf]


def blind(y=Y, start=ONES, iterations=2, boundary="reflect", **more):
    return blind_richardson_lucy(y, start, iterations, boundary, **more)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        *[(lambda v=v: blind(start=ONES * v), "positive, finite sums") for v in (0, *BAD)],
        *[(lambda v=v: blind(damping=v), "damping must be 0 or more") for v in (-1, *BAD)],
        *[(lambda v=v: blind(weights=Y * v), "weights must be 0 or more") for v in (-1, *BAD)],
        *[(lambda v=v: blind(Y + v), "holds NaN or infinite values") for v in BAD],
        (lambda: blind(Y[0]), r"not \(3, 6, 5\)"),
        (lambda: blind(start=ONES[None, None]), r"\(h, w\) or \(B, h, w\), not \(1, 1, 3, 3\)"),
        (lambda: blind(start=ONES - 2 * torch.eye(3)), "negative values"),
        (lambda: blind(start=ONES.expand(3, 3, 3)), "3 kernels were given for 2 images"),
        (lambda: blind(iterations=-1), "iterations are 0 or more, inner 1 or more, not -1, 1"),
        (lambda: blind(inner=0), "iterations are 0 or more, inner 1 or more, not 2, 0"),
        (lambda: blind(boundary="zero"), "boundary 'zero' is neither reflect nor circular"),
        (lambda: blind(weights=Y[:1]), r"weights .* of the shape \(2, 3, 6, 5\)"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float64])
def test_a_first_kernel_of_any_type_is_scaled(dtype):
    _, k = blind(start=ONES.to(dtype), iterations=0)
    torch.testing.assert_close(k, torch.full_like(k, 1 / 9))
    assert k.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("accelerate", [False, True])
def test_a_black_image_tells_nothing_of_its_kernel(accelerate):
    x, k = blind_richardson_lucy(torch.zeros(1, 3, 9, 8), ONES, 5, accelerate=accelerate)
    assert not x.any()
    torch.testing.assert_close(k[0], ONES / 9)
