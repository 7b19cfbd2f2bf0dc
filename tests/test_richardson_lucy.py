"""Richardson-Lucy deconvolution with a known kernel and a blind one, and when it stops."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from skimage import restoration

from deblurlib import psf
from deblurlib.classical import (
    blind_richardson_lucy,
    discrepancy,
    estimate_noise,
    make_periodic,
    settled,
    unsaturated,
)
from deblurlib.classical import richardson_lucy as deconvolve
from deblurlib.classical.blur import Blur
from deblurlib.classical.richardson_lucy import ahead
from deblurlib.degrade import BOUNDARIES, convolve, convolve_adjoint
from deblurlib.errors import InputError

ALL = (*BOUNDARIES, "taper", "liu-jia")

over_all = pytest.mark.parametrize("boundary", ALL)
over_blind = pytest.mark.parametrize("boundary", ["reflect", "circular"])


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width) ** 2
    return k / k.sum()


def as_on_a_gpu(monkeypatch, function):
    """Let ``function`` treat a batch as a whole."""
    whole = lambda run, *batched, **how: run(*batched)  # noqa: E731
    monkeypatch.setitem(function.__globals__, "image_by_image", whole)


ONE_EACH = torch.stack([skewed(3, 5), skewed(3, 5).flip(0)])
KERNELS = [psf.box(1).double(), skewed(1, 9), skewed(5, 3), skewed(13, 11), ONE_EACH]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("k", KERNELS, ids=["delta", "row", "skewed", "large", "one-each"])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (7, 16)])
def test_a_blur_and_its_adjoints_are_those_of_degrade(rand, boundary, k, size):
    k = k.expand(2, *k.shape[-2:])
    more = (k.shape[-2] - 1, k.shape[-1] - 1) if boundary == "valid" else (0, 0)
    x, z = rand(2, 3, size[0] + more[0], size[1] + more[1]).double(), rand(2, 3, *size).double()
    blur = Blur(k.flip(1, 2), size, boundary)
    torch.testing.assert_close(blur(x), convolve(x, k.flip(1, 2), boundary))
    blur.change_kernel(k)
    torch.testing.assert_close(blur(x), convolve(x, k, boundary))
    torch.testing.assert_close(blur.adjoint(z), convolve_adjoint(z, k, boundary))
    other = rand(*k.shape, seed=1).double()
    forward = (convolve(x, other, boundary) * z).sum((1, 2, 3))
    backward = (other * blur.adjoint_in_kernel(x, z)).sum((1, 2))
    torch.testing.assert_close(forward, backward)


def test_with_blackness_around_it_is_that_of_scikit_image(rand):
    k = skewed(5, 3)
    y = convolve(rand(1, 2, 24, 25).double() ** 4, k, "zero")
    for n in (0, 1, 10):
        theirs = [restoration.richardson_lucy(c, k.numpy(), n, clip=False) for c in y[0].numpy()]
        np.testing.assert_allclose(deconvolve(y, k, n, "zero")[0], theirs, rtol=0, atol=1e-5)


def total_variation(x):
    down, right = torch.diff(x[..., :-1], dim=-2), torch.diff(x[..., :-1, :], dim=-1)
    ends = torch.diff(x[..., -1]).abs().sum() + torch.diff(x[..., -1, :]).abs().sum()
    return (down.square() + right.square()).clamp(min=1e-24).sqrt().sum() + ends


def damped_ratio(y, predicted, damping):
    if damping == 0:
        return y / predicted
    u = (2 / damping**2 * (y * (y / predicted).log() - y + predicted)).clamp(max=1)
    return 1 + u**9 * (10 - 9 * u) * (y / predicted - 1)


def extrapolated(states, changes):
    """Biggs and Andrews' next point."""
    if len(changes) < 2:
        return states[-1]
    alike = (changes[-1] * changes[-2]).sum() / changes[-2].square().sum()
    return (states[-1] + alike.clamp(0, 1) * (states[-1] - states[-2])).clamp(min=0)


def reference(y, k, n, boundary, x, weights, accelerate, damping, tv):
    """Every option by the formulas of its paper, with a matrix for the blur; ``(C, H, W)``."""
    if boundary == "valid":
        around = [(0, 0), *((side // 2,) * 2 for side in k.shape)]
        x = torch.from_numpy(np.pad(x.numpy(), around, "reflect"))
    shape, size = x.shape, x[0].numel()
    x, y, weights = (z.flatten(1) for z in (x, y, weights / weights.max()))
    units = torch.eye(size, dtype=torch.float64).view(-1, 1, *shape[1:])
    matrix = convolve(units, k, boundary).flatten(1)
    share = weights @ matrix.T + (1 - matrix.sum(1) if boundary == "zero" else 0)
    images, changes = [x], []
    for _ in range(n):
        point = extrapolated(images, changes) if accelerate else images[-1]
        ratio = damped_ratio(y, point @ matrix, damping)
        new = point * ((weights * ratio) @ matrix.T) / share
        if tv:
            at = point.view(shape).clone().requires_grad_()
            (slope,) = torch.autograd.grad(total_variation(at), at)
            new = new / (1 + tv * slope.view_as(new))
        images.append(new)
        changes.append(new - point)
    return images[-1].reshape(shape)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize(("damping", "tv"), [(0, 0), (1.5, 0), (0.8, 0.01)])
def test_every_option_agrees_with_a_matrix_and_a_batch_with_its_images_alone(
    rand, boundary, accelerate, damping, tv
):
    k = torch.stack([skewed(3, 5), skewed(3, 5).flip(0)])
    options = {"accelerate": accelerate, "damping": damping, "tv": tv}
    y, weights, start = (rand(2, 2, 6, 7, seed=i).double() + 0.01 for i in range(3))
    found = deconvolve(y, k, 7, boundary, weights=weights, start=start, **options)
    for i in range(2):
        given = {"weights": weights[i : i + 1], "start": start[i : i + 1], **options}
        assert torch.equal(deconvolve(y[i : i + 1], k[i], 7, boundary, **given)[0], found[i])
        theirs = reference(y[i], k[i], 7, boundary, start[i], weights[i], **options)
        theirs = theirs[:, 1:-1, 2:-2] if boundary == "valid" else theirs
        torch.testing.assert_close(found[i], theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
def test_the_likelihood_only_rises_and_the_flux_stays(rand, boundary):
    y, k = rand(1, 2, 12, 11).double(), skewed(5, 3)
    likelihoods = []
    for n in range(1, 9):
        x = deconvolve(y, k, n, boundary)
        predicted, lost = convolve(x, k, boundary), 0
        if boundary == "zero":  # what falls beyond the border was seen to be black
            lost = ((1 - convolve_adjoint(torch.ones_like(y), k, boundary)) * x).sum()
        likelihoods.append((y * predicted.log() - predicted).sum() - lost)
        torch.testing.assert_close(predicted.sum() + lost, y.sum())
    assert all(later > earlier for earlier, later in pairwise(likelihoods))


def test_acceleration_goes_no_further_than_the_last_step_and_not_back(rand):
    x, change = rand(2, 1, 3, 4) + 1, rand(2, 1, 3, 4, seed=1)
    for factor, step in ((3, 1), (-1, 0), (0.25, 0.25)):
        torch.testing.assert_close(ahead(x, x - 1, factor * change, change), x + step)


@over_all
@pytest.mark.parametrize("options", [{}, {"accelerate": True, "damping": 0.1, "tv": 0.1}])
def test_black_pixels_do_no_harm_and_negative_ones_count_as_black(rand, boundary, options):
    y = torch.cat([rand(1, 1, 20, 24) - 0.5, -rand(1, 1, 20, 24), torch.zeros(1, 1, 20, 24)])
    y[..., 5:] = 0
    x_hat = deconvolve(y, skewed(5, 3), 20, boundary, **options)
    assert x_hat.min() >= 0  # and no NaN
    assert x_hat[1:].max() < 1e-4
    assert torch.equal(x_hat, deconvolve(y.clamp(min=0), skewed(5, 3), 20, boundary, **options))


@over_all
def test_flat_starts_of_any_height_lead_to_the_same_and_black_ones_stay_black(rand, boundary):
    y, k = rand(1, 2, 9, 8).double() + 0.1, skewed(5, 3)
    found = deconvolve(y, k, 5, boundary)
    for height in (0.5, 1e-3, 7):
        start = torch.full_like(y, height)
        torch.testing.assert_close(deconvolve(y, k, 5, boundary, start=start), found)
    start = (y > 0.4).to(y)
    torch.testing.assert_close(deconvolve(y, k, 0, boundary, start=start), start)
    assert deconvolve(y, k, 5, boundary, start=start)[y <= 0.4].max() < 1e-9


@over_all
def test_pixels_that_weigh_nothing_may_have_any_value(rand, boundary):
    y, k = rand(1, 2, 24, 21), skewed(5, 3)
    weights, other = torch.ones_like(y), y.clone()
    weights[..., 9:13, 10:12], other[..., 9:13, 10:12] = 0, 1000
    for options in ({"stop": discrepancy(0.265)}, {"accelerate": True, "damping": 0.1, "tv": 0.01}):
        found = deconvolve(y, k, 5, boundary, weights=weights, **options)
        assert torch.equal(deconvolve(other, k, 5, boundary, weights=weights, **options), found)


def test_what_no_pixel_shows_stays_as_it_began(rand):
    y, start = rand(1, 1, 12, 20), rand(1, 1, 12, 20, seed=1)
    weights = (torch.arange(20) >= 10).float().expand(1, 1, 12, 20)
    x_hat = deconvolve(y, skewed(5, 3), 5, start=start, weights=weights)
    assert torch.equal(x_hat[..., :9], start[..., :9])
    assert (x_hat[..., 10:] - start[..., 10:]).abs().min() > 1e-4


@pytest.mark.parametrize("boundary", ["reflect", "zero", "valid"])
def test_only_the_ratios_of_weights_count(rand, boundary):
    y, weights = rand(1, 2, 12, 13), rand(1, 2, 12, 13, seed=1)
    once = deconvolve(y, psf.box(3), 5, boundary, weights=weights)
    again = deconvolve(y, psf.box(3), 5, boundary, weights=1e-5 * weights)
    torch.testing.assert_close(again, once)


def test_a_pixel_that_counts_for_little_is_still_restored(rand):
    y, weights = rand(1, 1, 12, 30), torch.ones(1, 1, 12, 30)
    weights[..., 15:] = 3e-4
    once, found = (deconvolve(y, psf.box(3), 5, weights=w) for w in (None, weights))
    torch.testing.assert_close(found[..., 27:], once[..., 27:], rtol=0, atol=0.01)


@pytest.mark.parametrize("boundary", ["taper", "liu-jia"])
def test_taper_and_liu_jia_are_circular_on_what_they_make(rand, boundary):
    y, start, weights = (rand(1, 2, 9, 8, seed=i) for i in range(3))
    k = skewed(5, 3).float()
    wide = make_periodic(y, k[None], boundary)
    more = (0, wide.shape[-1] - 8, 0, wide.shape[-2] - 9)
    starts = make_periodic(start, k[None], "liu-jia") if boundary == "liu-jia" else start
    padded = torch.nn.functional.pad(weights / weights.max(), more, value=1.0)
    found = deconvolve(y, k, 4, boundary, True, weights=weights, start=start)
    whole = deconvolve(wide, k, 4, "circular", True, weights=padded, start=starts)
    torch.testing.assert_close(found, whole[..., :9, :8])


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("rule", ["discrepancy", "settled"])
def test_each_image_stops_on_its_own_and_when_it_should(monkeypatch, rand, accelerate, rule):
    k, powers = skewed(5, 3), ((0, 1, 0.5), (1, 3, 1.5), (2, 4, 2.5))
    x = torch.cat([rand(1, 2, 16, 17, seed=i).double() ** a * b for i, a, b in powers])
    y = convolve(x, k)
    limit, expected, counts = (0.05 if rule == "discrepancy" else 0.06), [], []
    stop = discrepancy(limit / 2, 2) if rule == "discrepancy" else settled(limit)
    for z in y.split(1):
        images = [deconvolve(z, k, n, accelerate=accelerate) for n in range(16)]
        changes = [(a - b).norm() / b.norm() for b, a in pairwise(images)]
        residuals = [(convolve(x, k) - z).square().mean().sqrt() for x in images]
        measures = residuals if rule == "discrepancy" else [9, *changes]
        counts.append([m <= limit for m in measures].index(True))
        expected.append(images[counts[-1]])
    assert 0 < min(counts) < max(counts) < 15, counts
    assert torch.equal(deconvolve(y, k, 15, "reflect", accelerate, stop=stop), torch.cat(expected))
    as_on_a_gpu(monkeypatch, deconvolve)
    found = deconvolve(y, k, 15, "reflect", accelerate, stop=stop)
    torch.testing.assert_close(found, torch.cat(expected))
    times = iter(range(4))
    found = deconvolve(y, k, 4, stop=lambda *_: torch.arange(3) == next(times))  # but once each
    for i in range(3):
        torch.testing.assert_close(found[i], deconvolve(y, k, i)[i])


def test_masked_pixels_do_not_make_the_residual_look_small(rand):
    y = convolve(rand(1, 2, 24, 25).double() ** 4, skewed(5, 3))
    y += 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    weights = (torch.arange(25) < 4).float().expand_as(y)
    x_hat = deconvolve(y, skewed(5, 3), 60, weights=weights, stop=discrepancy(0.05))
    residual = (convolve(x_hat, skewed(5, 3)) - y.clamp(min=0))[..., :4]
    assert residual.square().mean().sqrt() <= 0.0501


def test_what_a_boundary_adds_is_no_measurement_to_stop_by(rand):
    y, seen = rand(1, 2, 12, 13), []

    def stop(residual, x, previous):
        seen.append(residual)
        return torch.tensor([True])

    for boundary in ("liu-jia", "taper", "valid"):
        deconvolve(y, psf.box(3), 5, boundary, stop=stop)
        assert seen[-1].shape == y.shape


def test_the_given_image_is_never_the_result(rand):
    y = rand(1, 2, 12, 13)
    for boundary in ("reflect", "circular", "valid"):
        assert torch.equal(found := deconvolve(y, psf.box(3), 0, boundary, start=y), y)
        assert found.untyped_storage().data_ptr() != y.untyped_storage().data_ptr()


@pytest.mark.parametrize("size", [(64, 64), (63, 61)])
def test_the_noise_is_estimated_from_it_alone(size):
    noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    sigma, ramp = torch.tensor([0.01, 0.2]), torch.arange(size[0])[:, None] / 9
    found = estimate_noise(noise * sigma[:, None, None, None] + ramp + torch.arange(size[1]) / 7)
    torch.testing.assert_close(found, sigma, rtol=0.05, atol=0)
    assert estimate_noise(noise[..., :1]).tolist() == [0, 0]
    assert estimate_noise(noise[..., :1, :]).tolist() == [0, 0]


def test_what_is_clipped_does_not_count(rand):
    y = rand(1, 1, 8, 9) * 1.1
    assert torch.equal(unsaturated(y), (y < 0.99).float())
    assert unsaturated(torch.tensor([0.49, 0.5, 0.51]), 0.5).tolist() == [1, 0, 0]


@over_all
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3)])
def test_any_size_and_type_comes_back(rand, boundary, size):
    for dtype in (torch.float16, torch.float32, torch.float64):
        y = (rand(1, 3, *size) + 0.1).to(dtype)
        x_hat = deconvolve(y, skewed(5, 7), 4, boundary, accelerate=True)
        assert (x_hat.shape, x_hat.dtype) == (y.shape, dtype)
        assert x_hat.isfinite().all()
        torch.testing.assert_close(deconvolve(y, psf.box(1), 4, boundary), y)


def stars(rand, *shape):
    """Points of light on a dim background, blurred."""
    return convolve(rand(*shape).double() ** 20 + 0.01, skewed(3, 5))


@over_blind
def test_kernels_stay_kernels_of_their_size_and_zero_where_they_began_so(rand, boundary):
    y, start = stars(rand, 2, 3, 16, 17), (rand(2, 5, 7) > 0.3).double()
    x_hat, k = blind_richardson_lucy(y, start, 8, boundary)
    assert k.shape == start.shape
    assert k.min() >= 0
    assert k[start == 0].eq(0).all()
    torch.testing.assert_close(k.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    shared = blind_richardson_lucy(y, start[0], 8, boundary)
    assert torch.equal(shared[1][0], k[0])
    assert torch.equal(shared[0][0], x_hat[0])


def gain_of_kernel(k, x, ratio, weights, boundary):
    """The adjoint of ``k -> A x`` of a ratio, by differentiation, over that of the weights."""
    k = k.clone().requires_grad_()
    y = convolve(x, k, boundary)
    of = [torch.autograd.grad((y * z).sum(), k, retain_graph=True)[0] for z in (ratio, weights)]
    return of[0] / of[1]


@over_blind
@pytest.mark.parametrize(
    ("accelerate", "inner", "damping"), [(False, 1, 0), (True, 1, 0), (False, 2, 0.3), (True, 2, 1)]
)
def test_blind_steps_agree_with_those_by_differentiation(
    rand, boundary, accelerate, inner, damping
):
    y, weights = stars(rand, 1, 2, 9, 8), rand(1, 2, 9, 8, seed=1).double()
    start = torch.ones(3, 5, dtype=torch.float64)
    xs, ks, of_x, of_k = [y], [start / 15], [], []
    for _ in range(6):
        x, k = xs[-1], ks[-1]
        if accelerate:
            x, k = extrapolated(xs, of_x), extrapolated(ks, of_k)
            k = k / k.sum()
        k_new, x_new = k, x
        for _ in range(inner):
            ratio = weights * damped_ratio(y, convolve(x, k_new, boundary), damping)
            k_new = k_new * gain_of_kernel(k_new, x, ratio, weights, boundary)
            k_new = k_new / k_new.sum()
        share = convolve_adjoint(weights, k_new, boundary)
        for _ in range(inner):
            ratio = weights * damped_ratio(y, convolve(x_new, k_new, boundary), damping)
            x_new = x_new * convolve_adjoint(ratio, k_new, boundary) / share
        xs.append(x_new)
        ks.append(k_new)
        of_x.append(x_new - x)
        of_k.append(k_new - k)
    options = {"inner": inner, "damping": damping, "weights": weights}
    x_hat, k_hat = blind_richardson_lucy(y, start, 6, boundary, accelerate, **options)
    torch.testing.assert_close(k_hat[0], ks[-1], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(x_hat, xs[-1], rtol=1e-6, atol=1e-9)


@over_blind
def test_no_blind_iteration_gives_the_image_and_the_start(rand, boundary):
    y, start = rand(2, 3, 8, 9) - 0.1, rand(2, 3, 5)
    x_hat, k = blind_richardson_lucy(y, start, 0, boundary)
    assert torch.equal(x_hat, y.clamp(min=0))
    torch.testing.assert_close(k, start / start.sum((1, 2), keepdim=True))
    usual = blind_richardson_lucy(y, start)[1]
    assert torch.equal(usual, blind_richardson_lucy(y, start, 10, "reflect", True)[1])


@over_blind
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
            assert not x_hat[2].any()  # a black image tells nothing of its kernel
            torch.testing.assert_close(k[2], torch.full((3, 5), 1 / 15))


def test_a_blind_batch_equals_its_images_one_by_one_to_the_bit(monkeypatch, rand):
    y, k, weights = rand(3, 3, 9, 14), rand(3, 3, 5, seed=1), rand(3, 3, 9, 14, seed=2)

    def restored(part):
        return blind_richardson_lucy(y[part], k[part], 5, weights=weights[part], damping=0.1)

    together = restored(slice(3))
    for i in range(3):
        for one, whole in zip(restored(slice(i, i + 1)), together, strict=True):
            assert torch.equal(one[0], whole[i])
    as_on_a_gpu(monkeypatch, blind_richardson_lucy)
    for ours, theirs in zip(restored(slice(3)), together, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float64])
def test_a_first_kernel_of_any_type_is_scaled(dtype):
    _, k = blind_richardson_lucy(Y, ONES.to(dtype), 0)
    torch.testing.assert_close(k, torch.full_like(k, 1 / 9))
    assert k.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


Y, K, ONES = torch.full((2, 3, 6, 5), 0.5), psf.box(3), torch.ones(3, 3)
NAN, INF = torch.nan, torch.inf


def known(y=Y, k=K, iterations=1, boundary="reflect", **more):
    return deconvolve(y, k, iterations, boundary, **more)


def blind(y=Y, start=ONES, iterations=2, boundary="reflect", **more):
    return blind_richardson_lucy(y, start, iterations, boundary, **more)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: known(Y + NAN), "holds NaN or infinite values"),
        (lambda: known(k=-K), "negative values"),
        (lambda: known(boundary="mirror"), "'mirror' is none of reflect, circular, zero"),
        (lambda: known(iterations=-1), "iterations must be 0 or more, not -1"),
        *[(lambda v=v: known(damping=v), "damping must be 0") for v in (-1, NAN, INF)],
        *[(lambda v=v: known(tv=v), "less than 0.25") for v in (-1, 0.25, NAN)],
        *[(lambda v=v: known(weights=Y * v), "weights must") for v in (-1, NAN, INF)],
        (lambda: known(weights=Y[:1]), r"weights .* \(2, 3, 6, 5\) of the images"),
        (lambda: known(start=-Y), "start must be 0"),
        *[(lambda v=v: discrepancy(v), "sigma must be 0 or more") for v in (-1, NAN, INF)],
        (lambda: discrepancy(1, -1), "factor must be 0 or more"),
        # a rule for several images takes one number
        (lambda: discrepancy(torch.tensor([0.1, 0.2])), "sigma must be one number"),
        *[(lambda v=v: settled(v), "tolerance must be more than 0") for v in (0, NAN, INF)],
        (lambda: blind(Y[0]), r"not \(3, 6, 5\)"),
        *[(lambda v=v: blind(start=ONES * v), "positive, finite") for v in (0, NAN, INF)],
        (lambda: blind(start=ONES[None, None]), r"\(h, w\) or \(B, h, w\), not \(1, 1, 3, 3\)"),
        (lambda: blind(start=ONES - 2 * torch.eye(3)), "negative values"),
        (lambda: blind(start=ONES.expand(3, 3, 3)), "3 kernels were given for 2 images"),
        (lambda: blind(iterations=-1), "not -1, 1"),
        (lambda: blind(inner=0), "not 2, 0"),
        (lambda: blind(boundary="zero"), "boundary 'zero' is neither reflect nor circular"),
        *[(lambda v=v: blind(damping=v), "damping must be 0 or more") for v in (-1, NAN, INF)],
        (lambda: blind(weights=-Y), "weights must be 0 or more"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
