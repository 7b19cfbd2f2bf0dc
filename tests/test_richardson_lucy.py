"""Richardson-Lucy deconvolution, and when it stops."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from skimage import restoration

from deblurlib import psf
from deblurlib.classical import discrepancy, estimate_noise, make_periodic, settled, unsaturated
from deblurlib.classical import richardson_lucy as deconvolve
from deblurlib.classical.richardson_lucy import _iterate, _prepare, ahead
from deblurlib.degrade import BOUNDARIES, convolve
from deblurlib.errors import InputError

ALL = (*BOUNDARIES, "taper", "liu-jia")


def skewed(height, width):
    """A kernel without any symmetry."""
    k = torch.arange(1.0, height * width + 1, dtype=torch.float64).view(height, width)
    return k / k.sum()


def blurred(rand, boundary="reflect"):
    return convolve(rand(1, 2, 24, 25).double() ** 4, skewed(5, 3), boundary)


over_all = pytest.mark.parametrize("boundary", ALL)


def test_with_blackness_around_it_is_that_of_scikit_image(rand):
    y, k = blurred(rand, "zero"), skewed(5, 3)
    for n in (0, 1, 10):
        theirs = [restoration.richardson_lucy(c, k.numpy(), n, clip=False) for c in y[0].numpy()]
        np.testing.assert_allclose(deconvolve(y, k, n, "zero")[0], theirs, rtol=0, atol=1e-5)


def total_variation(x):
    down, right = torch.diff(x[..., :-1], dim=-2), torch.diff(x[..., :-1, :], dim=-1)
    ends = torch.diff(x[..., -1]).abs().sum() + torch.diff(x[..., -1, :]).abs().sum()
    return (down.square() + right.square()).clamp(min=1e-24).sqrt().sum() + ends


def reference(y, k, n, boundary, x, weights, damping=0.0, tv=0.0, accelerate=False):
    """Every option by the formulas of its paper, with a matrix for the blur; ``(C, H, W)``."""
    if boundary == "valid":
        x = np.pad(x, [(0, 0), *((side // 2,) * 2 for side in k.shape)], "reflect")
    shape, size = x.shape, x[0].size
    x, y, weights = (z.reshape(len(z), -1) for z in (x, y, weights / weights.max()))
    units = torch.eye(size, dtype=torch.float64).view(-1, 1, *shape[1:])
    matrix = convolve(units, k, boundary).flatten(1).numpy()
    share = weights @ matrix.T + (1 - matrix.sum(1) if boundary == "zero" else 0)
    images, changes = [x], []
    for _ in range(n):
        point = images[-1]
        if accelerate and len(changes) > 1:
            alike = (changes[-1] * changes[-2]).sum() / (changes[-2] ** 2).sum()
            point = np.maximum(point + np.clip(alike, 0, 1) * (point - images[-2]), 0)
        predicted = point @ matrix
        ratio = y / predicted
        if damping:
            u = np.minimum(2 / damping**2 * (y * np.log(ratio) - y + predicted), 1)
            ratio = 1 + u**9 * (10 - 9 * u) * (y - predicted) / predicted
        new = point * ((weights * ratio) @ matrix.T) / share
        if tv:
            at = torch.tensor(point).view(shape).requires_grad_()
            (slope,) = torch.autograd.grad(total_variation(at), at)
            new = new / (1 + tv * slope.numpy().reshape(len(x), -1))
        images.append(new)
        changes.append(new - point)
    return images[-1].reshape(shape)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize(("damping", "tv"), [(0, 0), (1.5, 0), (0, 0.02), (0.8, 0.01)])
def test_every_option_agrees_with_numpy_and_a_batch_with_its_images_alone(
    rand, boundary, accelerate, damping, tv
):
    k = torch.stack([skewed(3, 5), skewed(3, 5).flip(0)])
    options = {"accelerate": accelerate, "damping": damping, "tv": tv}
    y, weights, start = (rand(2, 2, 6, 7, seed=i).double() + 0.01 for i in range(3))
    found = deconvolve(y, k, 7, boundary, weights=weights, start=start, **options)
    for i in range(2):
        given = {"weights": weights[i : i + 1], "start": start[i : i + 1], **options}
        assert torch.equal(deconvolve(y[i : i + 1], k[i], 7, boundary, **given)[0], found[i])
        given = (z[i].numpy() for z in (start, weights))
        theirs = reference(y[i].numpy(), k[i], 7, boundary, *given, **options)
        theirs = theirs[:, 1:-1, 2:-2] if boundary == "valid" else theirs
        np.testing.assert_allclose(found[i], theirs, rtol=1e-6)


def whole(y, k, n, boundary, weights=None, accelerate=False):
    """The likelihood, the flux, what it should be, and ``x`` with all that its boundary adds."""
    blur, y, weights, x = _prepare(y, k, boundary, weights, None)
    x = _iterate(blur, y, weights, x, n, accelerate, 0.0, 0.0, None, y.shape[-2:])
    outside = (1 - blur.adjoint(torch.ones_like(y))) * x if boundary == "zero" else torch.zeros(1)
    predicted = blur(x)
    likelihood = (weights * (y * predicted.log() - predicted)).sum() - outside.sum()
    flux = (weights * predicted).sum() + outside.sum()
    return likelihood, flux, (weights * y).sum(), x


@over_all
@pytest.mark.parametrize("weighted", [False, True])
def test_the_likelihood_only_rises_and_the_flux_stays(rand, boundary, weighted):
    y, k = rand(1, 2, 12, 11).double(), skewed(5, 3)[None]
    weights = rand(1, 2, 12, 11, seed=1).double() + 0.1 if weighted else None
    *found, last = [whole(y, k, n, boundary, weights) for n in (*range(1, 9), 30)]
    assert all(later[0] > earlier[0] for earlier, later in pairwise(found))
    assert whole(y, k, 12, boundary, weights, accelerate=True)[0] >= last[0]
    for _, flux, expected, x in found:
        torch.testing.assert_close(flux, expected)
        assert x.min() >= 0


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
def test_flat_starts_of_any_height_lead_to_the_same(rand, boundary):
    y, k = rand(1, 2, 9, 8).double() + 0.1, skewed(5, 3)
    found = deconvolve(y, k, 5, boundary)
    for start in (torch.full_like(y, height) for height in (0.5, 1e-3, 7)):
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


def test_damping_stops_what_lies_below_its_threshold_and_total_variation_is_made_less(rand):
    k, x = skewed(5, 3), rand(1, 1, 16, 17).double() + 0.5
    y = convolve(x, k) + 0.02 * (rand(1, 1, 16, 17, seed=1) - 0.5)
    damped, plain = (deconvolve(y, k, 9, start=x, damping=t) for t in (0.1, 0))
    assert (damped - x).abs().max() < 1e-5 < 1e-2 < (plain - x).abs().max()
    assert total_variation(deconvolve(y, k, 9, start=x, tv=0.02)) < 0.9 * total_variation(plain)


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
    monkeypatch.setitem(deconvolve.__globals__, "image_by_image", lambda f, *batched: f(*batched))
    found = deconvolve(y, k, 15, "reflect", accelerate, stop=stop)  # as on a GPU
    torch.testing.assert_close(found, torch.cat(expected))
    times = iter(range(4))
    found = deconvolve(y, k, 4, stop=lambda *_: torch.arange(3) == next(times))  # but once each
    for i in range(3):
        torch.testing.assert_close(found[i], deconvolve(y, k, i)[i])


def test_masked_pixels_do_not_make_the_residual_look_small(rand):
    y = blurred(rand)
    y += 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    weights = (torch.arange(25) < 4).float().expand_as(y)
    x_hat = deconvolve(y, skewed(5, 3), 60, weights=weights, stop=discrepancy(0.05))
    residual = (convolve(x_hat, skewed(5, 3)) - y.clamp(min=0))[..., :4]
    assert residual.square().mean().sqrt() <= 0.0501


@pytest.mark.parametrize("size", [(64, 64), (63, 61)])
def test_the_noise_is_estimated_from_it_alone(size):
    noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    sigma, ramp = torch.tensor([0.01, 0.2]), torch.arange(size[0])[:, None] / 9
    found = estimate_noise(noise * sigma[:, None, None, None] + ramp + torch.arange(size[1]) / 7)
    torch.testing.assert_close(found, sigma, rtol=0.05, atol=0)
    assert estimate_noise(noise[..., :1]).tolist() == [0, 0]
    assert estimate_noise(noise[..., :1, :]).tolist() == [0, 0]


def test_masking_what_is_clipped_helps_around_lamps(rand):
    x, k = convolve(rand(1, 1, 40, 40) * 0.3, psf.gaussian(1.5)), psf.disk(3)
    x[..., 10:13, 10] = x[..., 30, 25:27] = 20
    y = convolve(x, k).clamp(max=1)
    assert torch.equal(unsaturated(y), (y < 0.99).float())
    assert unsaturated(torch.tensor([0.49, 0.5, 0.51]), 0.5).tolist() == [1, 0, 0]
    far = torch.nn.functional.max_pool2d(x, 5, 1, 2) < 1
    plain, masked = (
        (deconvolve(y, k, 30, weights=w) - x)[far].norm() for w in (None, unsaturated(y))
    )
    assert masked < 0.7 * plain


@over_all
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3)])
def test_any_size_and_type_comes_back(rand, boundary, size):
    for dtype in (torch.float16, torch.float32, torch.float64):
        y = (rand(1, 3, *size) + 0.1).to(dtype)
        x_hat = deconvolve(y, skewed(5, 7), 4, boundary, accelerate=True)
        assert (x_hat.shape, x_hat.dtype) == (y.shape, dtype)
        assert x_hat.isfinite().all()
        torch.testing.assert_close(deconvolve(y, psf.box(1), 4, boundary), y)


Y, K = torch.full((2, 3, 6, 5), 0.5), psf.box(3)
BAD = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        *[(lambda v=v: deconvolve(Y + v, K, 1), "holds NaN or infinite values") for v in BAD],
        *[(lambda v=v: deconvolve(Y, K, 1, damping=v), "damping must be 0") for v in (-1, *BAD)],
        *[(lambda v=v: deconvolve(Y, K, 1, tv=v), "less than 0.25") for v in (-1, 0.25, *BAD)],
        *[(lambda v=v: deconvolve(Y, K, 1, weights=Y * v), "weights must") for v in (-1, *BAD)],
        *[(lambda v=v: deconvolve(Y, K, 1, start=Y * v), "start must be 0") for v in (-1, *BAD)],
        *[(lambda v=v: discrepancy(v), "sigma must be 0 or more") for v in (-1, *BAD)],
        (lambda: discrepancy(1, -1), "factor must be 0 or more"),
        *[(lambda v=v: settled(v), "tolerance must be more than 0") for v in (0, *BAD)],
        (lambda: deconvolve(Y, K, 1, weights=Y[:1]), r"weights .* \(2, 3, 6, 5\) of the images"),
        (lambda: deconvolve(Y, K, -1), "iterations must be 0 or more, not -1"),
        (lambda: deconvolve(Y, K, 1, "mirror"), "'mirror' is none of reflect, circular, zero"),
        (lambda: deconvolve(Y, -K, 1), "the kernel: holds negative values"),
    ],
)
def test_wrong_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()


@pytest.mark.parametrize("boundary", ["reflect", "zero", "valid"])
def test_only_the_ratios_of_weights_count(rand, boundary):
    y, weights = rand(1, 2, 12, 13), rand(1, 2, 12, 13, seed=1)
    once = deconvolve(y, K, 5, boundary, weights=weights)
    torch.testing.assert_close(deconvolve(y, K, 5, boundary, weights=1e-5 * weights), once)


def test_what_a_boundary_adds_is_no_measurement_to_stop_by(rand):
    y, seen = rand(1, 2, 12, 13), []
    for boundary in ("liu-jia", "taper", "valid"):
        stop = lambda residual, x, previous: seen.append(residual) or torch.tensor([True])  # noqa: E731
        deconvolve(y, K, 5, boundary, stop=stop)
        assert seen[-1].shape == y.shape


def test_the_given_image_is_never_the_result(rand):
    y = rand(1, 2, 12, 13)
    for boundary in ("reflect", "circular", "valid"):
        assert torch.equal(found := deconvolve(y, K, 0, boundary, start=y), y)
        assert found.untyped_storage().data_ptr() != y.untyped_storage().data_ptr()


def test_a_pixel_that_counts_for_little_is_still_restored(rand):
    y, weights = rand(1, 1, 12, 30), torch.ones(1, 1, 12, 30)
    weights[..., 15:] = 3e-4
    once, found = deconvolve(y, K, 5), deconvolve(y, K, 5, weights=weights)
    torch.testing.assert_close(found[..., 27:], once[..., 27:], rtol=0, atol=0.01)


def test_a_rule_for_several_images_takes_one_number():
    with pytest.raises(InputError, match="sigma must be one number"):
        discrepancy(torch.tensor([0.1, 0.2]))
