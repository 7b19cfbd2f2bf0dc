"""The network that guesses a kernel: what it sees, learns and restores, patch by patch, too."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from deblurlib import (
    classical,
    degrade,
    images,
    losses,
    metrics,
    models,
    psf,
    restoration,
    runs,
    studies,
    training,
)
from deblurlib.data import batches, open_images
from deblurlib.errors import InputError
from deblurlib.models import KernelNet, kernelnet
from deblurlib.restoration import deconvolution, find_method, guess_and_restore, patches, shipped
from deblurlib.restoration.lookup import KERNELNET, STITCHED
from deblurlib.runs import inputs
from deblurlib.studies.classical import guessing, ship

RECIPE = studies.find_recipe("06/kernelnet", "smoke")


def small(seed=0, **arguments):
    return models.build("kernelnet", {"width": 4, "hidden": 8, **arguments}, seed).eval()


def photo(height, width, number=2):
    return images.grey(images.centre_crop(open_images("sample")[number], height, width))[None]


class Knowing(KernelNet):
    """Guesses what it is told to."""

    def guess(self, y):
        return torch.tensor(self.told).expand(len(y))


def knowing(*told, **arguments):
    model = Knowing(width=1, hidden=1, **arguments)
    model.told = [float(sigma) for sigma in told]
    return model


# --- what it sees


@torch.no_grad()
def test_brightness_and_contrast_do_not_matter_and_images_do_not_meet(rand):
    model, y = small().double(), rand(3, 1, 40, 51).double()
    whole = model(y)
    assert len(set(whole.tolist())) == 3
    assert ((whole > 0) & (whole < kernelnet.WIDEST)).all()
    torch.testing.assert_close(model(0.2 * y + 0.6), whole, rtol=1e-5, atol=0)
    torch.testing.assert_close(model(y[1:2]), whole[1:2])


@torch.no_grad()
def test_it_takes_images_from_its_least_side_on_and_only_grey_ones(rand):
    model = small()
    assert model.least == model.receptive_field == 31
    seen = []
    model.convolutions[-1].register_forward_hook(lambda *of: seen.append(of[-1].shape[-2:]))
    model(rand(1, 1, 31, 31))
    model(rand(1, 1, 38, 39))
    assert seen == [(1, 1), (1, 2)]  # the next response is 8 pixels on
    for shape in ((1, 1, 30, 50), (1, 3, 50, 50)):
        with pytest.raises(InputError, match=r"grey images of 31 x 31 pixels or more, not \(1, "):
            model(rand(*shape))


def test_it_has_s5s_three_convolutions_and_three_dense_layers():
    model = KernelNet()
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    layers = [part for part in model.modules() if isinstance(part, kinds)]
    assert [type(layer) for layer in layers] == [kinds[0]] * 3 + [kinds[1]] * 3
    assert [layer.kernel_size for layer in layers[:3]] == [(7, 7), (5, 5), (5, 5)]
    assert (model.window, model.iterations) == (61, 20)


def test_a_flat_image_has_a_guess_and_a_gradient(rand):
    model = small().train()
    y = torch.cat([torch.full((1, 1, 40, 40), 0.5), rand(1, 1, 40, 40)])
    model(y).sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@torch.no_grad()
def test_of_a_colour_image_the_mean_of_the_channels_is_looked_at(rand):
    model, y = small(), rand(2, 3, 40, 44)
    assert torch.equal(model.guess(y), model(y.mean(1, keepdim=True)))
    assert model.guess(y[..., :30]).tolist() == [0, 0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.guess(y), model.guess(y.float()))
        assert model.guess(y).dtype == torch.float32
    for part in (y, y[..., :30]):
        assert torch.equal(model.guess(part.half()), model.guess(part.half().float()))
    assert model.restore(y.half()).dtype == torch.float16


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"width": 0}, "width and hidden are 1 or more"),
        ({"window": 60}, "odd, not 60"),
        ({"iterations": -1}, "0 or more, not -1"),
    ],
)
def test_arguments_that_cannot_be_are_named(arguments, named):
    with pytest.raises(InputError, match=named):
        small(**arguments)


# --- the kernel, and what is done with it


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.3, 10.0])
def test_a_kernel_is_the_gaussian_whose_light_deviates_as_guessed(sigma):
    k = psf.gaussian(sigma, 61)
    found = kernelnet.gaussians(psf.deviation(k)[None], 61)[0]
    torch.testing.assert_close(found, k, rtol=1e-3, atol=1e-6)


def test_the_widest_guess_fits_into_the_window_and_none_is_a_point():
    widths = torch.tensor([0.0, 0.2, 5.0, kernelnet.WIDEST])
    k = knowing(*widths.tolist()).kernel(torch.zeros(4, 3, 40, 40))
    assert k.shape == (4, 61, 61)
    psf.check(k)
    torch.testing.assert_close(psf.deviation(k), widths, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(k[0], psf.gaussian(0, 61))


def test_restoring_is_accelerated_richardson_lucy_with_the_guess(rand):
    y = rand(3, 3, 36, 40)
    model = knowing(1.5, 0.2, 3.0, iterations=7)
    x_hat, k = model.restore(y, psf.box(3)), model.kernel(y)
    expected = deconvolution.fast_richardson_lucy(y, k, 7)
    torch.testing.assert_close(x_hat[::2], expected[::2])
    assert torch.equal(x_hat[1], y[1])  # is hardly blurred
    assert (x_hat[0] - y[0]).abs().mean() > 0.01


def test_one_kernel_may_be_given_for_all_images(rand):
    y, k, model = rand(3, 3, 36, 40), psf.gaussian(1.5, 9), small(iterations=3)
    x_hat = model.deconvolve(y, k.expand(3, -1, -1))
    for one in (k, k[None]):
        torch.testing.assert_close(model.deconvolve(y, one), x_hat)


def test_the_right_guess_restores_and_a_wrong_one_less():
    x = photo(180, 200)
    pair = degrade.apply(x, [degrade.Degradation(psf.gaussian(2.0, 61))], 0, [0])
    before = metrics.psnr(pair.y, pair.x).item()
    gains = [
        metrics.psnr(knowing(s).restore(pair.y).clamp(0, 1), pair.x).item() - before
        for s in (1.0, 2.0, 3.0)
    ]
    assert gains[1] > 1
    assert gains[1] > max(gains[0], gains[2]) + 0.5


def test_it_assumes_what_it_is_trained_on_that_the_blur_went_over_the_borders():
    # blur, then rounding, then the crop
    assert RECIPE.boundary == "valid"
    drawn = degrade.SETTINGS[RECIPE.degradation](degrade.generator(0, 0))
    assert (drawn.quantise, drawn.noise, drawn.jpeg) == (True, 0, None)
    x, k = photo(200, 220, 3), psf.gaussian(3.0, 61)
    inner = x[..., 30:-30, 30:-30]

    def psnr(x_hat):
        return metrics.psnr(x_hat.clamp(0, 1), inner).item()

    y = images.quantise(degrade.convolve(x, k, "valid"))
    restored = psnr(knowing(3.0).deconvolve(y, k))
    for boundary in ("circular", "zero"):  # what else may be assumed
        other = classical.richardson_lucy(y, k, 20, boundary, True, start=y.clamp(min=0.01))
        assert restored > psnr(other) + 0.5
    cut_first = images.quantise(degrade.convolve(inner, k, "circular"))
    assert restored > psnr(knowing(3.0).deconvolve(cut_first, k)) + 0.5


# --- what it is trained for


def test_the_target_is_the_deviation_of_the_pair_s_kernels():
    objective = losses.objective("sigma-of-kernel", {})
    kernels = [psf.gaussian(1.5, 61), psf.gaussian(4.0, 61), psf.gaussian(9.0, 61)]
    x = torch.zeros(3, 1, 90, 90)
    pair = degrade.apply(x, [degrade.Degradation(k) for k in kernels], 0, [0, 1, 2])
    target = objective.target(pair)
    torch.testing.assert_close(target[:2], torch.tensor([1.5, 4.0]), rtol=1e-3, atol=0)
    assert objective(target, pair) == 0
    near, far = (objective(target * f, pair).item() for f in (1.1, 1.3))
    assert 0 < near < far
    measure = objective.measures["val_sigma_error"]
    assert measure(target + torch.tensor([0.3, -0.6, 0.0]), target) == pytest.approx(0.3)


def test_errors_of_wide_blurs_count_by_their_ratio_and_those_of_next_to_none_do_not():
    loss = losses.objective("sigma-of-kernel", {}).loss

    def at(guess, true):
        return loss(torch.tensor([guess]), torch.tensor([true])).item()

    assert at(2.0, 1.0) == pytest.approx(math.log(2.3 / 1.3) ** 2, rel=1e-5)
    assert at(8.8, 8.0) == pytest.approx(at(4.4, 4.0), rel=0.1)
    assert at(1.1, 0.3) > 20 * at(8.8, 8.0)  # as many pixels
    assert at(0.1, 0.05) < 0.1 * at(2.0, 1.0)  # twice as much


def test_of_recorded_pairs_there_is_no_target(rand):
    pair = degrade.Pair(rand(1, 1, 40, 40), rand(1, 1, 40, 40), ())
    with pytest.raises(InputError, match="kernels are not known"):
        losses.objective("sigma-of-kernel", {}).target(pair)


def test_a_few_steps_teach_it_more_than_one_guess_for_all():
    recipe = replace(RECIPE, batch=12, crop=64)
    held = batches.hold(open_images("sample", "train"), grey=1)
    draw = inputs.make_batches(recipe, held, margin=0)
    model, objective = small(width=8).train(), recipe.objective
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(60):
        pair = draw(step)
        optimiser.zero_grad()
        objective(training.predict(model, pair), pair).backward()
        optimiser.step()
    with torch.no_grad():
        pairs = [draw(step) for step in range(100, 106)]
        targets = torch.cat([objective.target(pair) for pair in pairs])
        guesses = torch.cat([model(pair.y) for pair in pairs])
    best = ((targets + losses.NARROW).log().mean().exp() - losses.NARROW).expand(len(targets))
    assert objective.loss(guesses, targets) < 0.7 * objective.loss(best, targets)


def test_a_training_notes_the_guess_s_error_and_the_psnr_of_what_is_restored(run):
    last = run.history[-1]
    assert 0 < last["val_sigma_error"] < kernelnet.WIDEST
    assert math.isfinite(last["val_psnr"])
    assert math.isfinite(run.metrics["val_psnr_identity"])
    assert run.recipe.restores


# --- patch by patch


@pytest.mark.parametrize("size", [(1, 1), (128, 129), (200, 300), (65, 128)])
def test_patches_cover_any_size_and_each_has_its_own_kernel(rand, size):
    y, found, given = rand(2, 3, *size), [], []

    def find(part):
        found.append(part)
        return torch.stack([psf.gaussian(0, 3) if z.mean() < 0.5 else psf.box(3) for z in part])

    def restore(part, k):
        given.append((part, k))
        return part

    x_hat = guess_and_restore(y, find, restore)
    torch.testing.assert_close(x_hat, y)
    assert max(max(part.shape[-2:]) for part in found) <= patches.PATCH
    assert len(given) == 2 * len(found)
    assert len(found) == math.prod(1 if n <= 128 else math.ceil((n - 64) / 64) for n in size)
    for i, (part, k) in enumerate(given):
        image, place = divmod(i, len(found))
        assert torch.equal(part, found[place][image : image + 1])
        assert k.sum() == pytest.approx(1)
        assert torch.equal(k, psf.gaussian(0, 3) if part.mean() < 0.5 else psf.box(3))


def test_every_size_is_cut_into_patches_of_no_more_than_is_asked_for():
    for patch, overlap in ((128, 64), (128, 0), (16, 8), (10, 3), (1, 0)):
        for length in range(1, 40 * patch, max(1, patch // 5)):
            count = max(1, math.ceil((length - overlap) / (patch - overlap)))
            spans, _ = patches.grid_spans((length, 1), (count, 1), overlap)
            assert max(span.stop - span.start for span in spans) <= patch


@pytest.mark.parametrize(("patch", "overlap"), [(128, 65), (128, -1), (0, 0)])
def test_patches_that_cannot_be_are_named(rand, patch, overlap):
    with pytest.raises(InputError, match="patches"):
        guess_and_restore(rand(1, 1, 9, 9), small().kernel, lambda y, k: y, patch, overlap)


def test_the_method_cuts_the_patches_that_it_is_told(rand):
    model, y = small(), rand(2, 3, 90, 70)
    method = restoration.stitched(model, "mine", 48, 8)
    x_hat = method(y)
    assert (method.name, method.blind, method.float32) == ("mine", True, True)
    assert torch.equal(x_hat, guess_and_restore(y, model.kernel, model.deconvolve, 48, 8))
    assert not torch.equal(x_hat, guess_and_restore(y, model.kernel, model.deconvolve))
    assert torch.equal(
        restoration.stitched(model)(y), guess_and_restore(y, model.kernel, model.deconvolve)
    )
    assert patches.grid_for((90, 70), 48, 8) == (3, 2)
    with pytest.raises(InputError, match="patches of 48 pixels cannot overlap by 25"):
        restoration.stitched(model, "mine", 48, 25)(y)


def two_kernels(weighted):
    """A photograph with one blur on its left and another on its right, and its kernels."""
    x = photo(158, 286)
    kernels = torch.stack([psf.gaussian(1.0, 31), psf.gaussian(3.0, 31)])
    side = torch.arange(286) < 143
    weights = torch.stack([side, ~side]).float().expand(158, 2, 286).transpose(0, 1)
    if weighted == "result":
        weights = weights[..., 15:-15, 15:-15]
    y = degrade.convolve_field(x, kernels, weights, weighted, "valid")
    return y, x[..., 15:-15, 15:-15], kernels[None]


def test_stitching_undoes_a_blur_whose_results_have_kernels_and_not_one_whose_sources_have():
    near = (..., slice(128 - 12, 128 + 12))  # of where the blur changes
    error = {}
    for weighted in degrade.field.WEIGHTED:
        y, x, kernels = two_kernels(weighted)
        model = knowing(0)
        x_hat = restoration.restore_patches(y, kernels, model.deconvolve, overlap=0)
        error[weighted] = [(z - x)[near].square().mean().item() for z in (y, x_hat)]
        wrong = restoration.restore_patches(y, kernels.flip(1), model.deconvolve, overlap=0)
        error[weighted].append((wrong - x)[near].square().mean().item())
    before, stitched, wrong = error["result"]
    assert stitched < 0.7 * before
    assert stitched < 0.5 * wrong
    assert error["source"][1] > 3 * stitched
    assert error["source"][1] > error["source"][0]  # worse than doing nothing
    # far from it both are the same blur
    far = [two_kernels(weighted)[0][..., :100] for weighted in degrade.field.WEIGHTED]
    torch.testing.assert_close(*far)


# --- how it ships


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return runs.train_or_load(RECIPE, folder=folder)


@pytest.fixture
def shipping(tmp_path, monkeypatch, run):
    """The folder to which a run has shipped, as if it came with the library; and its card."""
    monkeypatch.setattr(models.shipping, "WEIGHTS", tmp_path / "weights")
    folder = tmp_path / "weights" / KERNELNET
    return folder, guessing.ship(run, open_images("sample", "test").first(2), folder, draws=1)


def test_a_run_ships_with_its_cards_and_is_two_methods(shipping, run, rand):
    folder, card = shipping
    assert json.loads((folder / "card.json").read_text("utf-8")) == json.loads(json.dumps(card))
    weights = (folder / "model.safetensors").read_bytes()
    assert card["weights"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert shipped() == [KERNELNET, STITCHED]
    whole, stitched = (find_method(name) for name in shipped())
    assert (whole.name, stitched.name) == (KERNELNET, STITCHED)
    for method in (whole, stitched):
        assert (method.blind, method.receptive_field, method.tiled_psnr) == (True, None, None)
        with pytest.raises(InputError, match=f"{method.name} computes in float32 alone"):
            method.with_precision("bf16")
    y, model = rand(2, 3, 140, 150), run.model().eval()
    torch.testing.assert_close(whole(y), model.restore(y), rtol=0, atol=5e-3)
    expected = guess_and_restore(y, model.kernel, model.deconvolve)
    torch.testing.assert_close(stitched(y), expected, rtol=0, atol=5e-3)
    assert (stitched(y) - whole(y)).abs().max() > 0.05
    for method in (whole, stitched):
        for shape in ((3, 1, 1), (1, 7, 40), (3, 33, 50)):
            x_hat = restoration.restore(rand(*shape), method)
            assert x_hat.shape == shape
            assert x_hat.isfinite().all()


def test_the_card_for_readers_says_what_the_card_for_the_code_says(shipping):
    folder, card = shipping
    check_cards(folder, card)
    (folder / "model.safetensors").write_bytes(b"half")
    models.shipping._load.cache_clear()
    with pytest.raises(InputError, match=f"{KERNELNET}: damaged; install the library again"):
        find_method(STITCHED)


def check_cards(folder, card):
    text = (folder / "README.md").read_text("utf-8")
    assert sum(one["n"] for one in card["scores"]) >= 2
    for one in card["scores"]:
        row = ("" if one[name] is None else f"{one[name]:.2f}" for name in guessing.PSNRS)
        assert f"| {one['kernel_error']:.3f} | {' | '.join(row)} |" in text
        assert f"| {one['sigma'][0]} to {one['sigma'][1]} | {one['n']} |" in text
    assert f"{card['parameters']:,} parameters" in text
    assert f"{card['recipe']['steps']:,} steps" in text
    data = card["made_with"]["data"]["name"]
    assert f"`{data}`, train" in text
    licence = (folder / "LICENSE").read_text("utf-8")
    assert f"- {data} (train): " in licence
    assert "not these weights" in licence


def test_the_weights_that_ship_have_their_cards_and_do_some_good():
    folder = models.WEIGHTS / KERNELNET
    card = json.loads((folder / "card.json").read_text("utf-8"))
    check_cards(folder, card)
    model, _ = models.load_shipped(KERNELNET)
    rows = [guessing.score(model, p) for p in guessing.pairs(open_images("sample", "test"), 1)]
    assert np.mean([row["psnr"] - row["identity_psnr"] for row in rows]) > 0.3


def test_scores_are_means_of_those_whose_sigmas_lie_together_and_perfect_ones_are_counted():
    scored = ((0.5, 1), (9, 2), (8, 4), (8.5, 6), (3, math.inf))
    names = (*guessing.ERRORS, *guessing.PSNRS)
    rows = [dict.fromkeys(names, value) | {"sigma": sigma} for sigma, value in scored]
    rows[3]["identity_psnr"] = math.inf
    low, middle, high = guessing.by_width(rows)
    assert (low["sigma"], low["n"], low["psnr"]) == ([0, 1], 1, 1)
    assert (high["sigma"], high["n"], high["perfect"]) == ([8, 10], 3, 1)
    assert (high["kernel_error"], high["psnr"], high["identity_psnr"]) == (4, 3, 3)
    assert (middle["n"], middle["perfect"], middle["psnr"]) == (1, 1, None)


def test_a_score_holds_the_guess_beside_the_truth():
    (pair,) = guessing.pairs(open_images("sample", "test").first(1), 1)
    sigma = psf.deviation(pair.kernels).item()
    right = guessing.score(knowing(sigma), pair)
    assert right["sigma_error"] == pytest.approx(0, abs=1e-3)
    assert right["kernel_error"] == pytest.approx(0, abs=1e-5)
    assert right["psnr"] == pytest.approx(right["known_psnr"], abs=0.05)
    assert right["psnr"] > right["identity_psnr"]
    wrong = guessing.score(knowing(sigma / 2), pair)
    assert wrong["sigma_error"] == pytest.approx(sigma / 2, rel=1e-3)
    assert wrong["kernel_error"] > 0.5
    assert wrong["known_psnr"] == right["known_psnr"] > wrong["psnr"]


def test_only_what_can_be_shipped_is(monkeypatch, tmp_path):
    store = tmp_path / "runs"
    monkeypatch.setenv("DEBLURLIB_RUNS", str(store))
    run = runs.train_or_load(studies.find_recipe("02/box", "smoke"))
    monkeypatch.setattr("sys.argv", ["ship", run.id, "sample"])
    with pytest.raises(
        InputError,
        match=r"02/box is none of 06/denoiser, 06/kernelnet,.* 06/unrolled is shipped by ship_un",
    ):
        ship.main()
