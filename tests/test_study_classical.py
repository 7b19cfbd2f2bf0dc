"""Chapter 06: its recipes and what they compare, what it scores, its claims on drawn scores."""

import math
from dataclasses import asdict, replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from sets import write_pairs, write_set
from test_claims import assert_valid
from torch import nn

from deblurlib import classical, data, degrade, evaluation, images, models, psf, restoration, runs
from deblurlib.data import batches
from deblurlib.degrade import SETTINGS
from deblurlib.errors import InputError
from deblurlib.models import KernelNet
from deblurlib.restoration import METHODS
from deblurlib.studies import PROFILES, recipes, score
from deblurlib.studies.claims import judge
from deblurlib.studies.classical import choose_uniform, claims, field, real, uniform
from deblurlib.studies.classical.claims import (
    BLIND,
    NARROW,
    NOISY,
    PLAIN,
    S5,
    STOPPED,
    real_claims,
    source_tests,
    uniform_claims,
)
from deblurlib.studies.rows import once, pack, to_csv

#: what each arm of the study differs in from the one that it is compared with
ARMS = {
    ("blind-unet", "blind-unet-residual"): {"model_args"},
    ("real-unet", "real-unet-residual"): {"model_args"},
    ("real-gan-plain", "real-gan"): {"model_args"},
    ("real-gan", "real-gan-pixel"): {"loss", "loss_args"},
}


def by_slug(profile, source="sample", seed=0):
    return {r.name.removeprefix("06/"): r for r in recipes("06", profile, seed, source)}


def different(one, other):
    """The fields, but for the name, in which two recipes or two networks differ."""
    a, b = (each if isinstance(each, dict) else asdict(each) for each in (one, other))
    return {key for key in a if a[key] != b[key]} - {"name"}


# --- recipes


@pytest.mark.parametrize("profile", PROFILES)
def test_an_arm_differs_from_another_in_what_its_name_says(profile):
    found = by_slug(profile)
    for (first, second), expected in ARMS.items():
        one, other = found[first], found[second]
        assert different(one, other) == expected, second
        if expected == {"model_args"}:
            assert different(one.model_args, other.model_args) == {"residual"}
            assert (one.model_args["residual"], other.model_args["residual"]) == (False, True)
    pixel, rival = found["real-gan-pixel"], found["real-gan"].rival
    assert (found["real-gan"].loss, rival.weight) == ("none", 1.0)
    y, x = torch.zeros(1, 3, 12, 12), torch.full((1, 3, 12, 12), 0.25)
    loss = pixel.objective(y, degrade.Pair(y, x, ()))
    assert loss.item() == pytest.approx(100 * 0.25)  # of the mean absolute error alone
    guess, shipped = found["guess"], found["kernelnet"]
    beside = {"degradation", "steps", "batch", "crop", "every"}
    assert "degradation" in different(guess, shipped) <= beside


def test_of_pairs_there_are_phase_ii_and_the_guess_on_images_and_of_images_all(tmp_path):
    pairs = f"clips={write_pairs(tmp_path / 'clips', split='train')}"
    for profile in PROFILES:
        made, recorded = by_slug(profile, "photos", 3), by_slug(profile, pairs, 3)
        assert list(recorded) == ["guess", *(slug for slug in made if slug.startswith("real-"))]
        assert made.keys() >= {"guess", "blind-unet", "denoiser", "kernelnet", "unrolled", "unet"}
        assert {r.data for r in made.values()} == {"photos"}
        assert {r.seed for r in (*made.values(), *recorded.values())} == {3}
        assert recorded["guess"] == replace(made["guess"], data="imagenet")
        for slug in recorded.keys() - {"guess"}:
            assert (recorded[slug].degradation, recorded[slug].reduce) == (None, 142)
            own = {"data": "photos", "degradation": "s4-camera"}
            assert replace(recorded[slug], **own) == made[slug]


def test_the_critic_is_s5s_six_convolutions_with_leaky_relus_and_batch_normalisation():
    for slug in ("real-gan", "real-gan-plain", "real-gan-pixel"):
        rival = by_slug("report")[slug].rival
        critic = models.build_discriminator(rival.model, rival.model_args, 0)
        parts = [part for part in critic.modules() if not list(part.children())]
        convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
        normalised = [part.num_features for part in parts if isinstance(part, nn.BatchNorm2d)]
        assert normalised == [c.out_channels for c in convolutions[1:5]]
        assert len(convolutions) == 6
        assert not any(hasattr(c, "parametrizations") for c in convolutions)
        assert rival.accuracy


def test_s5s_networks_learn_from_its_own_sigmas_and_what_it_leaves_open_is_ours():
    found = by_slug("report")
    guess, blind = found["guess"], found["blind-unet"]
    for one in (guess, blind, found["blind-unet-residual"]):
        assert (one.degradation, one.boundary, one.steps) == ("s5-gaussian", "valid", 2_000)
    assert (guess.loss, guess.grey, guess.model_args) == ("sigma-of-kernel", 1, {})
    for one in (blind, found["real-unet"]):
        assert (one.loss, one.model_args) == ("l1", {"width": 16, "residual": False})
    gan = found["real-gan"]
    assert (gan.rival.loss, gan.rival.turns) == ("non-saturating", ("model", "critic"))
    assert (
        gan.optimiser
        == gan.rival.optimiser
        == {
            "name": "adam",
            "lr": 2e-4,
            "betas": [0.5, 0.999],
        }
    )
    assert (gan.steps, gan.batch, gan.interval) == (1_200, 8, 150)


def test_blind_richardson_lucy_begins_as_s5_says_and_stops_after_three_iterations(rand):
    y = rand(1, 3, 20, 22)
    by_label = {label["method"]: method for method, label in uniform.classical_methods()}
    for label, start in ((BLIND, psf.gaussian(1.0)), ("blind-richardson-lucy", psf.box(5))):
        expected, _ = classical.blind_richardson_lucy(y, start, 3, "reflect", True)
        torch.testing.assert_close(by_label[label](y), expected, rtol=1e-4, atol=1e-4)


def test_most_arms_have_all_seeds_two_have_three_and_a_page_trains_its_own():
    seeds = {}
    for recipe in real.wanted("report", [*range(5)], "sample"):
        seeds.setdefault(recipe.name.removeprefix("06/"), []).append(recipe.seed)
    for slug, found in seeds.items():
        assert found == ([0, 1, 2] if slug in real.FEWER else [0, 1, 2, 3, 4]), slug
    assert seeds.keys() == {"guess"} | {s for s in by_slug("report") if s.startswith("real-")}
    found = [(r.name, r.seed) for r in uniform.wanted("report", [4, 5], "sample")]
    assert found == [(f"06/{arm}", seed) for seed in (4, 5) for arm in uniform.ARMS]


# --- what is measured


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photographs, recorded pairs, and runs of both."""
    folder = tmp_path_factory.mktemp("world")
    write_set(folder / "photos", ["train/a.png", "train/b.png"], 156, 156)
    write_set(folder / "photos" / "test", ["p.png", "q.png"], 90, 84)
    write_pairs(folder / "clips", ("a", "b"), split="train", size=(145, 150))
    write_pairs(folder / "clips", ("c",), split="test", size=(145, 150))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_DATA", str(folder))
        for module in (uniform, real):
            patch.setattr(module, "SCORING", {"protocols": ()})

        def trained(slug, source, seed=0):
            recipe = replace(by_slug("smoke", source, seed)[slug], precision="32")
            return runs.train_or_load(recipe, folder=folder / "runs", quiet=True)

        uniformly = [trained("guess", "photos", seed) for seed in (0, 1)]
        uniformly.append(trained("blind-unet", "photos"))
        recorded = [trained(slug, "clips") for slug in ("real-gan", "real-unet")]
        test = data.open_images("photos", "test")
        yield SimpleNamespace(uniform=uniformly, real=recorded, test=test, folder=folder)


def test_a_critic_alone_trains_on_reduced_pairs_and_is_scored_on_them(world):
    gan, unet = world.real
    assert all(row["loss"] == 0 and row["adversarial"] > 0 for row in gan.history)
    assert 0 <= gan.history[-1]["critic_accuracy"] <= 1
    start = models.build(gan.recipe.model, gan.recipe.arguments, 0).state_dict()
    moved = gan.model().state_dict()
    assert any(not torch.equal(start[key], moved[key]) for key in start)
    rows = score([gan, unet], protocols=())
    assert {(r["data"], r["degradation"]) for r in rows} == {("clips-142", "recorded")}
    assert len(rows) == 3 * 2
    pairs = data.open_pairs("clips", "test")
    for row, (y, x) in zip([r for r in rows if r["method"] == "identity"], pairs, strict=True):
        y, x = (images.reduce(z[None], 142).double() for z in (y, x))
        assert x.shape[-2:] == (142, 147)
        assert row["psnr"] == pytest.approx(-10 * math.log10((y - x).square().mean()), abs=1e-4)


def test_sigmas_are_those_that_the_images_are_blurred_with(world):
    for setting in (S5, NOISY, uniform.UNIFORM, uniform.CLIPPED, uniform.MIRRORED):
        draw = SETTINGS[setting.removesuffix(", reflect")]
        pairs = batches.evaluation_pairs(world.test, draw, 0)
        drawn = [pair.degradations[0].parameters["sigma"] for pair in pairs]
        assert uniform.sigmas_of(world.test, setting) == dict(
            zip(world.test.names, drawn, strict=True)
        )
    assert uniform.sigmas_of(world.test, S5) != uniform.sigmas_of(world.test, uniform.UNIFORM)


def test_mirrored_images_keep_their_size_and_the_others_lose_the_kernel_s_reach(world):
    for setting, lost in ((S5, 60), (NOISY, 60), (uniform.MIRRORED, 0)):
        found = [*uniform.cases(world.test, setting)]
        assert [case.image for case in found] == world.test.names
        for case, x in zip(found, world.test, strict=True):
            assert case.y.shape[1:] == case.x.shape[1:] == (3, 90 - lost, 84 - lost)
            assert torch.equal(case.x[0], images.centre_crop(x, 90 - lost, 84 - lost))
    case = found[0]
    y = degrade.convolve(case.x, case.kernel, "reflect")
    torch.testing.assert_close(case.y, y, rtol=0, atol=0.51 / 255)


def test_a_guess_is_handed_to_another_method_as_if_its_kernel_were_known(world, rand):
    run, y = world.uniform[0], rand(2, 3, 44, 51)
    kernels = run.model().kernel(y)
    for name in uniform.AFTER_GUESS:
        method = uniform.handed_to(run, name)
        other = restoration.find_method(name)
        assert (method.blind, other.blind) == (True, False)
        torch.testing.assert_close(method(y), other(y, kernels))
        assert (method(y) - other(y, psf.gaussian(4.0))).abs().max() > 1e-3


def test_one_kernel_for_all_images_is_handed_over_without_a_look_at_them(rand):
    method, y = uniform.always(1.5), rand(2, 3, 30, 33)
    assert method.blind
    torch.testing.assert_close(method(y), METHODS[PLAIN](y, psf.gaussian(1.5)))
    (used,) = (m for m, label in uniform.classical_methods() if label["method"] == uniform.ALWAYS)
    torch.testing.assert_close(used(y), METHODS[PLAIN](y, psf.gaussian(1.0)))


def test_the_error_of_a_kernel_is_its_distance_from_the_one_that_blurred(world):
    guess, net = world.uniform[0], world.uniform[2]
    errors = uniform.kernel_errors([guess, net], world.test)
    expected = {("identity", None), (guess.recipe.name, guess.id)}
    expected |= {(label, None) for label in (*uniform.BLINDLY, uniform.ALWAYS)}
    assert errors.keys() == {(*who, name) for who in expected for name in world.test.names}
    starts = {"blind-richardson-lucy": torch.ones(5, 5)}
    starts |= {BLIND: psf.gaussian(1.0), NARROW: psf.gaussian(0.5)}
    for case in uniform.cases(world.test, S5):
        k = case.kernel.double()
        point = (1 + k.square().sum() - 2 * k.max()) / k.square().sum()
        found = guess.model().kernel(case.y)[0]
        assert errors["identity", None, case.image] == pytest.approx(point.item(), rel=1e-5)
        alike = {("06/guess", guess.id): psf.distance(found, case.kernel)}
        alike[uniform.ALWAYS, None] = psf.distance(psf.gaussian(1.0), case.kernel)
        for label, start in starts.items():
            _, found = classical.blind_richardson_lucy(case.y, start, 3)
            alike[label, None] = psf.distance(found[0], case.kernel)
        for who, value in alike.items():
            assert errors[*who, case.image] == value.item(), who


def test_the_kernel_that_is_scored_is_that_of_the_method_that_restores(monkeypatch, rand):
    y, asked = rand(1, 3, 20, 22), []
    restore = classical.blind_richardson_lucy

    def noting(y, start, iterations):
        asked.append((start, iterations))
        return restore(y, start, iterations)

    monkeypatch.setattr(classical, "blind_richardson_lucy", noting)
    by_label = {label["method"]: method for method, label in uniform.classical_methods()}
    for label, (name, values) in uniform.BLINDLY.items():
        asked.clear()
        by_label[label](y)
        uniform.blind_kernel(name, **values)(y)
        (one, iterations), (other, as_many) = asked
        assert torch.equal(one, other)
        assert iterations == as_many


def test_rows_get_their_sigma_and_in_s5s_setting_the_error_of_their_kernel(world):
    guess, first = world.uniform[0], world.test.first(1)
    (image,) = first.names
    row = {"data": "photos", "channels": "rgb", "draw": 0, "image": image, "psnr": 20.0}
    own = {"method": "06/guess", "run": guess.id, "seed": 0, "degradation": S5}
    settings = [S5, uniform.UNIFORM, uniform.MIRRORED]
    rows = [row | {"method": "identity", "degradation": setting} for setting in settings]
    rows += [row | own, row | own | {"method": "06/guess, unrolled-rl"}]
    rows += [row | own | {"sigma": 9.0, "kernel_error": 0.5}]
    found = uniform.with_kernels(rows, [guess], first)
    assert [one.items() >= row.items() for one, row in zip(found, rows, strict=True)] == [True] * 6
    for one, setting in zip(found, settings, strict=False):
        sigma = uniform.sigmas_of(first, setting)[image]
        assert one["sigma"] == pytest.approx(sigma, rel=1e-5)
    errors = [one.get("kernel_error") for one in found]
    expected = uniform.kernel_errors([guess], first)
    assert errors[0] == pytest.approx(expected["identity", None, image], rel=1e-5)
    assert errors[3] == pytest.approx(expected["06/guess", guess.id, image], rel=1e-5)
    assert errors[1:3] + errors[4:] == [None, None, None, 0.5]


def test_methods_without_a_training_are_scored_in_every_setting_on_fewer_images(monkeypatch, world):
    monkeypatch.setattr(uniform, "AROUND", 1)
    rows = uniform.score_classical(world.test, "cpu")
    around = [NOISY, uniform.UNIFORM, uniform.CLIPPED, uniform.MIRRORED]
    methods = {"identity", *uniform.CLASSICAL, *uniform.BLINDLY, uniform.ALWAYS}
    count = {}
    for row in rows:
        place = row["method"], row["degradation"]
        count[place] = count.get(place, 0) + 1
        assert (row["data"], row["channels"], row["draw"]) == ("photos", "rgb", 0)
    expected = {(m, s): 1 + (s == S5) for m in methods for s in (S5, *around)}
    assert count == expected | {(STOPPED, NOISY): 1}
    (case,) = uniform.cases(world.test.first(1), NOISY)
    for label, times in ((PLAIN, 1), (STOPPED, 10)):
        x_hat = METHODS[PLAIN].with_settings(iterations=20 * times)(case.y, case.kernel)
        mse = (images.quantise(x_hat.clamp(0, 1)) - case.x).double().square().mean()
        (row,) = (r for r in rows if (r["method"], r["degradation"]) == (label, NOISY))
        assert row["psnr"] == pytest.approx(-10 * math.log10(mse), abs=1e-4)


def test_networks_are_scored_around_s5s_setting_with_the_first_seed_and_bridged_with_all(
    monkeypatch, world
):
    monkeypatch.setattr(uniform, "AROUND", 1)
    rows = uniform.score_networks(world.uniform, world.test, "cpu")
    own = [r for r in rows if r["method"] != "identity"]
    around = {NOISY, uniform.UNIFORM, uniform.CLIPPED, uniform.MIRRORED}
    expected = {(name, 0, s) for name in ("06/guess", "06/blind-unet") for s in around}
    bridged = {(f"06/guess, {name}", s, S5) for name in uniform.AFTER_GUESS for s in (0, 1)}
    whole = [r for r in own if (r["method"], r["degradation"]) == ("06/guess", S5)]
    assert sorted((r["seed"], r["image"]) for r in whole) == [
        (seed, name) for seed in (0, 1) for name in world.test.names
    ]
    assert {r["channels"] for r in rows} == {"rgb"}  # though it is trained on grey images
    own = [r for r in own if r not in whole]
    assert {(r["method"], r["seed"], r["degradation"]) for r in own} == expected | bridged
    assert len(own) == len(expected | bridged)
    assert {r["run"] for r in own} == {run.id for run in world.uniform}
    assert uniform.score_networks([], world.test) == []
    # one run under three names, and another run under one of them, are kept apart
    kept = once(rows + rows[::-1])
    assert [r for r in kept if "run" in r and r not in whole] == own
    cases = [evaluation.case_of(r) for r in kept if r["method"] == "identity"]
    assert len(cases) == len(set(cases)) == 6


def test_a_study_s_rows_are_of_coloured_images_whatever_a_network_was_trained_on(
    monkeypatch, world
):
    by_seed, asked = {(r.recipe.name, r.recipe.seed): r for r in world.uniform}, []
    archive = SimpleNamespace(
        run=lambda recipe: by_seed[recipe.name, recipe.seed],
        score=lambda some, test, **how: asked.extend(some) or score(some, test, **how),
    )
    monkeypatch.setattr(uniform, "wanted", lambda *of: [run.recipe for run in world.uniform])
    monkeypatch.setattr(uniform, "open_images", lambda *of: world.test)
    monkeypatch.setattr(uniform, "score_classical", lambda test: [])
    monkeypatch.setattr(uniform, "uniform_claims", lambda rows: [])
    rows, _, _ = uniform.measure(archive, "smoke", [0, 1], "photos")
    assert [run.recipe.name for run in asked] == ["06/blind-unet"]
    assert {r["channels"] for r in rows} == {"rgb"}
    found = [
        (r["seed"], r["image"]) for r in rows if (r["method"], r["degradation"]) == ("06/guess", S5)
    ]
    assert sorted(found) == [(seed, name) for seed in (0, 1) for name in world.test.names]


# --- a blur that varies and is known

over_fields = pytest.mark.parametrize(
    ("weighted", "change"), [(w, c) for w in field.WEIGHTED for c in field.CHANGES]
)


@over_fields
def test_a_field_of_equal_nodes_is_one_blur(rand, weighted, change):
    x = rand(1, 3, 70, 83)
    y, inner = field.blurred(x, torch.full((3, 4), 1.7), weighted, change)
    expected = degrade.convolve(x, psf.gaussian(1.7, field.SIZE), "valid")
    torch.testing.assert_close(y, expected, rtol=0, atol=0.51 / 255)
    assert torch.equal(y, images.quantise(y))
    assert torch.equal(inner, x[..., 12:-12, 12:-12])


@over_fields
def test_far_from_where_a_field_changes_it_is_the_node_s_own_blur(rand, weighted, change):
    x, nodes = rand(1, 1, 40, 120), torch.tensor([[0.8, 3.0]])
    y, _ = field.blurred(x, nodes, weighted, change)
    assert y.shape == (1, 1, 16, 96)
    for sigma, side in ((0.8, slice(0, 36)), (3.0, slice(60, 96))):
        plain = degrade.convolve(x, psf.gaussian(sigma, field.SIZE), "valid")
        error = (y - plain)[..., side].abs().max()
        assert (error < 0.51 / 255) == (change == "abrupt")


@pytest.mark.parametrize("change", field.CHANGES)
def test_weights_sum_to_1_and_are_abrupt_half_way_between_nodes(rand, change):
    nodes = rand(3, 4)
    weights = field.weights_of((21, 31), nodes, change)
    assert weights.shape == (12, 21, 31)
    torch.testing.assert_close(weights.sum(0), torch.ones(21, 31))
    mixed = torch.einsum("n,nhw->hw", nodes.flatten(), weights)
    torch.testing.assert_close(mixed[::10, ::10], nodes)  # at the nodes
    for column, near in ((3, nodes[0, 0]), (7, nodes[0, 1])):
        linear = torch.lerp(*nodes[0, :2], column / 10)
        expected = near if change == "abrupt" else linear
        assert mixed[0, column].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_patch_has_the_kernel_of_its_middle(rand):
    nodes, size = field.sigmas(7), (200, 300)
    steps = [np.arange(n) * (side - 1) / (n - 1) for n, side in zip((3, 4), size, strict=True)]
    for overlap in (64, 0):
        rows, columns = restoration.patches.grid_spans(size, (3, 4), overlap)
        found = {c: field.local_kernels(nodes, size, overlap, c) for c in field.CHANGES}
        for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
            middle = (row.start + row.stop) // 2, (column.start + column.stop) // 2
            near = [np.abs(s - m).argmin() for s, m in zip(steps, middle, strict=True)]
            own = psf.gaussian(nodes[*near].item(), field.SIZE)
            torch.testing.assert_close(found["abrupt"][i, j], own)
            down, across = (
                [np.interp(m, s, one) for one in np.eye(len(s))]
                for s, m in zip(steps, middle, strict=True)
            )
            mixture = sum(
                down[r] * across[c] * psf.gaussian(nodes[r, c].item(), field.SIZE)
                for r, c in np.ndindex(3, 4)
            )
            torch.testing.assert_close(found["gradual"][i, j], mixture.float(), atol=1e-5, rtol=0)


class Knowing(KernelNet):
    """Guesses one sigma for all."""

    def guess(self, y):
        return torch.full((len(y),), 3.0)


def test_true_kernels_undo_a_field_and_wrong_ones_do_not():
    x = images.centre_crop(data.open_images("sample")[2], 160, 184)[None]
    nodes = torch.full((3, 4), 1.5)
    y, x = field.blurred(x, nodes, "result")
    methods = field.methods(Knowing(width=1, hidden=1), nodes, "gradual")
    mse = {m.name: (m(y).clamp(0, 1) - x).square().mean().item() for m in methods}
    before = (y - x).square().mean().item()
    assert list(mse) == [
        *("true kernels, stitched", "true kernels, side by side"),
        *("guessed kernels, stitched", "one guessed kernel"),
    ]
    true, beside, guessed, one = mse.values()
    assert max(true, beside) < 0.7 * before
    assert min(guessed, one) > before


def test_all_fields_have_the_images_and_sigmas_of_their_keys(world, monkeypatch):
    monkeypatch.setattr(field, "LARGEST", (80, 100))
    pairs = data.open_pairs("clips", "test")
    for sharp in (world.test, pairs):
        found = [*field.cases(sharp, "source", "abrupt")]
        again = [*field.cases(sharp, "result", "gradual")]
        assert [case.image for case, _ in found] == sharp.names
        for i, ((case, nodes), (other, same)) in enumerate(zip(found, again, strict=True)):
            whole = sharp[i][1] if sharp is pairs else sharp[i]
            assert torch.equal(nodes, same)
            assert torch.equal(case.x, other.x)
            width = min(100, whole.shape[-1]) - 24
            assert torch.equal(case.x[0], images.centre_crop(whole, 56, width))
            assert not torch.equal(case.y, other.y)
            assert case.kernel is None
            assert nodes.shape == (3, 4)
            assert (nodes.min() >= 0.5) & (nodes.max() <= 4)
        assert not torch.equal(found[0][1], found[1][1])


def test_a_known_field_is_scored_by_kind_with_all_that_is_compared(world, monkeypatch):
    monkeypatch.setattr(field, "LARGEST", (60, 64))
    monkeypatch.setattr(real, "IN_FIELD", 1)
    rows = real.score_field(world.uniform[0], world.test)
    kinds = {f"{c} field, by {w}" for c in ("gradual", "abrupt") for w in ("result", "source")}
    assert {r["degradation"] for r in rows} == kinds
    assert len(rows) == 4 * 5
    assert {r["image"] for r in rows} == {world.test.names[0]}
    assert len({r["method"] for r in rows}) == 5


# --- real pairs


def test_on_reduced_pairs_and_beyond_what_is_scored_and_under_which_names(world, monkeypatch):
    asked = []

    def named(name, device):
        asked.append(name)
        return replace(METHODS["unsharp-mask"], name=name, contaminated=("clips",))

    monkeypatch.setattr(real.restoration, "find_method", named)
    guess, networks = world.uniform[0], world.real
    rows = real.score_reduced(networks, [guess], networks[0].recipe)
    made = {"identity", "06/guess, stitched", "06/guess, whole", "srn", "unsharp-mask"}
    assert {(r["method"], r["data"], r["degradation"]) for r in rows} == {
        (m, "clips-142", "recorded") for m in made
    }
    assert len(rows) == 2 * len(made)
    monkeypatch.setattr(real, "ELSEWHERE", "other")
    monkeypatch.setattr(real, "LEVIN", "other")
    monkeypatch.setattr(real, "OTHERS", {"clips": ("test",)})
    write_pairs(world.folder / "other", ("z",), kernels=(0, 1), size=(60, 64))
    monkeypatch.setattr(real, "REDUCED", 48)
    later = SimpleNamespace(**{"id": "later", "model": networks[1].model})
    later.recipe = networks[1].recipe.with_seed(1)
    rows = real.score_beyond([*networks, later], [guess], "clips")
    found = {(r["method"], r.get("seed"), r["data"], r["degradation"]) for r in rows}
    nets = {("06/real-gan", 0), ("06/real-unet", 0), ("06/guess, stitched", 0), ("identity", None)}
    all_nets = nets | {("06/real-unet", 1)}
    expected = {(*net, f"{d}-48", "recorded") for net in all_nets for d in ("other", "clips")}
    expected |= {(*net, d, real.FULL_SIZE) for net in nets for d in ("clips", "other")}
    expected.add(("srn", None, "other", real.FULL_SIZE))  # it has seen the others
    expected |= {(m, None, "other", "measured") for m in ("identity", *real.ON_LEVIN)}
    assert found == expected
    assert {r["channels"] for r in rows if r["degradation"] == "measured"} == {"grey"}
    assert asked[-4:] == list(real.ON_LEVIN)
    # of published networks there are rows; what is not trained here is scored anew
    untrained, again = (
        {(r["method"], evaluation.case_of(r)): r["psnr"] for r in some if "run" not in r}
        for some in (rows, real.score_beyond([], [], "clips"))
    )
    assert again == untrained


def test_of_a_published_guess_the_known_field_s_rows_are_those_published(
    world, monkeypatch, tmp_path
):
    row = {"method": "one guessed kernel", "data": "clips", "channels": "rgb", "draw": 0}
    row |= {"image": "a.png", "scene": "a.png", "psnr": 20.0}
    listed = [row | {"degradation": setting} for setting in (*real.FIELDS, "recorded")]
    (tmp_path / "rows.csv.gz").write_bytes(pack(to_csv(listed)))
    archive = SimpleNamespace(
        run=lambda recipe: SimpleNamespace(recipe=recipe),
        score=lambda *of, **how: [],
        rows=tmp_path / "rows.csv.gz",
    )
    monkeypatch.setattr(real, "score_reduced", lambda *of: [])
    monkeypatch.setattr(real, "real_claims", lambda *of: [])
    rows, _, _ = real.measure(archive, "smoke", [0], "clips")
    assert sorted(r["degradation"] for r in rows) == sorted(real.FIELDS)
    assert rows[0] in listed


def test_pairs_that_are_not_here_are_named_before_anything_is_trained(world):
    with pytest.raises(InputError, match=r"chapter 06 scores the pairs of gopro_pairs: data/READ"):
        real.measure(SimpleNamespace(), "report", [0], "clips")


# --- claims

SIGMAS = [0.1, 1.0, 3.0, 5.0, 7.0, 9.0]  # of the images
WORTH = {
    "psnr": {
        **{"guess": 30.0, "blind-unet": 28.0, "blind-unet-residual": 28.5, BLIND: 29.0},
        **{NARROW: 30.02, "guess, unrolled-rl": 31.0, PLAIN: 33.0, STOPPED: 25.0},
    },
    "ssim_gaussian-rgb": {"guess": 0.9, "blind-unet": 0.8, BLIND: 0.901},
    "kernel_error": {"guess": 0.1, BLIND: 0.7},
    "blur_effect": {"guess": 0.4, "blind-unet": 0.5},
}
UNTRAINED = (BLIND, NARROW, PLAIN, STOPPED, "identity", "blind-edges")


def drawn_rows(worth, degradations, seeds=range(3), data="imagenet"):
    """Rows in which a score is what a method is worth, an image's own level, and chance."""
    chance, rows = np.random.default_rng(0), []
    for method in {m: None for scores in worth.values() for m in scores}:
        for seed in [None] if method in UNTRAINED else seeds:
            labels = {"method": method}
            if seed is not None:
                labels = {"method": f"06/{method}", "run": f"{method}-{seed}", "seed": seed}
            for degradation in degradations:
                labels |= {"data": data, "channels": "rgb", "degradation": degradation, "draw": 0}
                for i, sigma in enumerate(SIGMAS):
                    scores = {
                        key: by_name[method] + 0.01 * i + chance.normal(0, 1e-4)
                        for key, by_name in worth.items()
                        if method in by_name
                    }
                    place = {"image": f"{i}.png", "scene": f"s{i}", "sigma": sigma}
                    rows.append(labels | place | scores)
    return rows


def judged(found):
    return {claim["id"]: claim for claim in judge(found, final=True)}


def test_claims_of_phase_i_are_what_was_put_into_the_scores():
    found = judged(uniform_claims(drawn_rows(WORTH, [S5, NOISY])))
    expected = {
        "06aa": (1.0, "confirmed"),
        "06ab": (-0.001, "refuted"),
        "06ac": (2.0, "confirmed"),
        "06ad": (0.1, "confirmed"),
        "06ae": (-0.02, "refuted"),
        "06ba": (-0.001, "confirmed"),  # no difference is claimed
        "06bb": (0.1, "refuted"),
        "06c": (-0.6, "confirmed"),
        "06da": (0.1, "refuted"),
        "06db": (-2.0, "confirmed"),
        "06hb": (0.5, "confirmed"),
        "06i": (8.0, "confirmed"),
        "06ka": (1.0, "confirmed"),
        "06kb": (2.5, "confirmed"),
    }
    assert list(found) == list(expected)  # in order
    for id_, (estimate, verdict) in expected.items():
        assert found[id_]["estimate"] == pytest.approx(estimate, abs=1e-3), id_
        assert found[id_]["verdict"] == verdict, id_
    seeds = {id_: claim["n_seeds"] for id_, claim in found.items()}
    assert seeds == dict.fromkeys(expected, 3) | {"06i": 0}
    few = {id_ for id_, claim in found.items() if claim["n_images"] == 3}
    assert few == {"06da", "06db"}  # of a sigma of 5 or more
    assert {i for i, c in found.items() if c["origin"] == "ours"} == {
        "06db",
        "06hb",
        "06i",
        "06ka",
        "06kb",
    }
    tested = {i for i, c in found.items() if "Welch's t" in c["tests"]}
    assert tested == {"06aa", "06ab", "06ac", "06ad", "06ae", "06ba", "06bb"}
    assert_valid([*found.values()], "report")


def test_of_no_image_with_a_large_sigma_nothing_is_said_of_such():
    rows = [r for r in drawn_rows(WORTH, [S5, NOISY]) if r["sigma"] < 5 or r["degradation"] != S5]
    assert not {"06da", "06db"} & {claim.id for claim in uniform_claims(rows)}


def test_a_method_without_a_training_is_compared_with_each_seed():
    rows = drawn_rows(WORTH, [S5, NOISY])
    (claim,) = (c for c in uniform_claims(rows) if c.id == "06aa")
    scores = {
        (r["method"], r.get("seed"), r["image"]): r["psnr"] for r in rows if r["degradation"] == S5
    }
    assert len(claim.values) == 3 * 6
    for value, seed, scene in zip(claim.values, claim.seeds, claim.scenes, strict=True):
        image = f"{scene.removeprefix('s')}.png"
        assert value == scores["06/guess", seed, image] - scores[BLIND, None, image]


def test_an_image_with_an_infinite_psnr_is_left_out_of_both_methods_and_of_all_seeds():
    rows = drawn_rows(WORTH, [S5, NOISY])
    plain = {claim.id: claim for claim in uniform_claims(rows)}
    for row in rows:
        if (row["method"], row.get("seed"), row["image"]) == ("06/guess", 1, "0.png"):
            row["psnr"] = math.inf
    found = {claim.id: claim for claim in uniform_claims(rows)}
    of_guess = {"06aa", "06ac", "06ae", "06ka"}
    for id_, claim in found.items():
        if id_ in of_guess:
            assert set(claim.scenes) == {f"s{i}" for i in range(1, 6)}
            before = zip(plain[id_].values, plain[id_].scenes, strict=True)
            kept = [value for value, scene in before if scene != "s0"]
            assert claim.values == kept
            assert len(kept) == 15
        else:
            assert claim == plain[id_]


def test_scores_of_grey_images_are_not_compared_with_those_of_coloured_ones():
    rows = drawn_rows(WORTH, [S5, NOISY])
    grey = [r | {"channels": "grey", "psnr": 99.0} for r in rows if r["method"] == "06/guess"]
    assert uniform_claims([*grey, *rows, *grey]) == uniform_claims(rows)
    others = [r for r in rows if r["method"] != "06/guess"]
    with pytest.raises(InputError, match="claim 06aa: no image has both scores"):
        uniform_claims([*grey, *others])


@pytest.mark.parametrize("lacking", ["missing", None])
def test_an_image_that_is_too_small_for_a_score_is_left_out_of_it(lacking):
    rows = drawn_rows(WORTH, [S5, NOISY])
    for row in (r for r in rows if r["image"] == "2.png"):
        if row.pop("ssim_gaussian-rgb", None) and lacking is None:
            row["ssim_gaussian-rgb"] = None
    counts = {claim.id: len(set(claim.scenes)) for claim in uniform_claims(rows)}
    of_ssim = dict.fromkeys(("06ab", "06ad", "06ba", "06bb"), 5)
    assert counts == dict.fromkeys(counts, 6) | {"06da": 3, "06db": 3} | of_ssim


def test_a_source_s_tests_are_scipys_on_the_mean_of_each_image():
    table = np.random.default_rng(1).normal(0, 1, (2, 3, 8)) + np.arange(8)  # method, seed, image
    table[0] += 0.8
    pairs = {(s, f"{i}"): (*table[:, s, i],) for s in range(3) for i in range(8)}
    first, second = table.mean(1)
    found = source_tests(pairs)
    welch = scipy.stats.ttest_ind(first, second, equal_var=False).pvalue
    assert found == pytest.approx(
        {"Welch's t": welch, "paired t": scipy.stats.ttest_1samp(first - second, 0).pvalue}
    )
    assert source_tests({key: pair for key, pair in pairs.items() if key[1] == "3"}) == {}


REAL_WORTH = {
    "psnr": {
        **{"identity": 26.0, "real-unet": 24.0, "real-unet-residual": 26.05, "real-gan": 25.0},
        **{"real-gan-plain": 22.0, "guess, stitched": 25.5},
    },
    "gradient_similarity": {"real-gan": 0.8, "real-unet-residual": 0.9},
}
LEVIN_WORTH = {"psnr": {"blind-edges": 30.0, BLIND: 24.0}}


def drawn_runs(seeds=range(3), recorded=True):
    """Runs whose histories hold what is said of them, and a little chance."""
    found, chance = [], np.random.default_rng(0)
    own = None if recorded else "s4-camera"
    for slug in ("guess", "real-unet", "real-gan"):
        for seed in reversed(seeds):
            recipe = by_slug("smoke", "photos", seed)[slug]
            recipe = recipe if slug == "guess" else replace(recipe, degradation=own)
            found.append(drawn_run(recipe, chance))
    return found


def drawn_run(recipe, chance):
    psnr = np.array([20.0, 21.0, 21.5, 21.7, 30.0, 30.0]) + chance.normal(0, 1e-3, 6)
    right = np.array([1.0, 1.0, 1.0, 0.7, math.nan, 0.5]) + chance.normal(0, 1e-3)
    pairs = zip(psnr, right, strict=True)
    history = [{"val_psnr": p, "critic_accuracy": a} for p, a in pairs]
    return SimpleNamespace(recipe=recipe, history=history)


@pytest.mark.parametrize("recorded", [True, False])
def test_claims_of_phase_ii_are_what_was_put_into_scores_and_histories(monkeypatch, recorded):
    monkeypatch.setattr(claims, "validation_images", lambda run: 40)
    trained = drawn_runs(recorded=recorded)
    rows = drawn_rows(REAL_WORTH, ["recorded" if recorded else "s4-camera", real.FULL_SIZE])
    for row in rows:  # which no claim is of
        row["psnr"] += 100.0 * (row["degradation"] == real.FULL_SIZE)
    found = judged(real_claims(trained, rows + drawn_rows(LEVIN_WORTH, ["measured"], data="l")))
    expected = {
        "06ea": (-2.0, "confirmed"),
        "06eb": (-1.0, "confirmed"),
        "06f": (0.7, "confirmed"),
        "06ga": (0.1, "undecided"),  # at the margin
        "06gb": (-0.1, "confirmed"),
        "06ha": (2.05, "confirmed"),
        "06hc": (3.0, "confirmed"),
        "06j": (0.05, "refuted"),
        "06l": (6.0, "confirmed"),
        "06m": (-0.5, "confirmed"),
    }
    assert list(found) == list(expected)
    for id_, (estimate, verdict) in expected.items():
        assert found[id_]["estimate"] == pytest.approx(estimate, abs=2e-3), id_
        assert found[id_]["verdict"] == verdict, id_
    counts = {id_: (c["n_seeds"], c["n_images"]) for id_, c in found.items()}
    assert counts == dict.fromkeys(found, (3, 6)) | {
        **dict.fromkeys(("06f", "06ga"), (3, 40)),
        "06l": (0, 6),
    }
    assert {i for i, c in found.items() if c["origin"] == "ours"} == {"06ha", "06j", "06l", "06m"}
    assert_valid([*found.values()], "report")
    without = real_claims(trained, rows)
    assert {claim.id for claim in without} == found.keys() - {"06l"}


def test_a_seed_that_one_arm_lacks_is_left_out_and_an_arm_without_scores_is_named(monkeypatch):
    monkeypatch.setattr(claims, "validation_images", lambda run: 40)
    rows = drawn_rows(REAL_WORTH, ["recorded"], range(5))
    fewer = [r for r in rows if r["method"] != "06/real-gan-plain" or r["seed"] < 3]
    found = {claim.id: claim.n_seeds for claim in real_claims(drawn_runs(range(5)), fewer)}
    assert found == dict.fromkeys(found, 5) | {"06hc": 3}
    none = [r for r in rows if r["method"] != "06/real-gan-plain"]
    with pytest.raises(InputError, match=r"claim 06hc: no image has both scores \(GAN with a skip"):
        real_claims(drawn_runs(), none)


def test_both_pages_claims_have_ids_of_their_own():
    listed = [*claims.UNIFORM, *claims.LARGE_BLUR, *claims.OF_REAL, claims.OF_LEVIN]
    ids = [claim[0] for claim in listed]
    assert len({*ids, "06f", "06ga"}) == len(ids) + 2


@pytest.mark.parametrize(
    ("profile", "source", "seeds", "final"),
    [
        ("report", "imagenet", 3, True),
        ("report", "imagenet", 2, False),
        ("report", "photos", 3, False),
        ("quick", "imagenet", 3, False),
    ],
)
def test_verdicts_are_of_the_final_study_alone(monkeypatch, world, profile, source, seeds, final):
    drawn = drawn_rows(WORTH, [S5, NOISY], range(seeds))
    run = SimpleNamespace
    archive = run(run=lambda recipe: run(recipe=recipe, id=""), score=lambda *of, **how: [*drawn])
    monkeypatch.setattr(uniform, "open_images", lambda *of: world.test)
    monkeypatch.setattr(uniform, "score_classical", lambda test: [])
    monkeypatch.setattr(uniform, "with_kernels", lambda rows, runs, test: rows)
    rows, found, test = uniform.measure(archive, profile, list(range(seeds)), source)
    assert test.names == world.test.names
    assert len(rows) == len(drawn)
    assert {c["verdict"] is None for c in found} == {not final}
    assert_valid(found, profile)


@pytest.mark.parametrize(
    ("profile", "source", "seeds", "final"),
    [
        ("report", "gopro_scenes", 3, True),
        ("report", "gopro_scenes", 2, False),
        ("report", "clips", 3, False),
        ("quick", "gopro_scenes", 3, False),
    ],
)
def test_of_real_pairs_too(monkeypatch, world, profile, source, seeds, final):
    chance, drawn = np.random.default_rng(0), drawn_rows(REAL_WORTH, ["recorded"], range(seeds))
    archive = SimpleNamespace(
        run=lambda recipe: drawn_run(recipe, chance), score=lambda *of, **how: [*drawn], rows=None
    )
    monkeypatch.setattr(claims, "validation_images", lambda run: 40)
    monkeypatch.setattr(real.places, "is_here", lambda source: True)
    monkeypatch.setattr(real, "holds_pairs", lambda source: True)
    monkeypatch.setitem(real.recipes.__globals__, "holds_pairs", lambda source: True)
    monkeypatch.setattr(real, "read_rows", lambda path: [])
    monkeypatch.setattr(real, "open_pairs", lambda *of: world.test)
    for name in ("score_reduced", "score_beyond"):
        monkeypatch.setattr(real, name, lambda *of: [])
    rows, found, _ = real.measure(archive, profile, list(range(seeds)), source)
    assert len(rows) == len(drawn)
    assert {c["verdict"] is None for c in found} == {not final}
    assert_valid(found, profile)


# --- what was chosen


def test_what_is_chosen_among_is_compared_on_images_whose_scores_are_all_finite(rand):
    found = [method.title for method in choose_uniform.candidates()]
    assert len(found) == len(set(found)) == 4 * 2 + 3 * 2 + 3 + 5 + 2 * 2
    x = images.quantise(rand(3, 1, 3, 9, 9))
    y = [images.quantise(0.9 * x[0]), x[1], images.quantise(0.8 * x[2])]
    made = [evaluation.Case(f"{i}", f"{i}", y[i], x[i], None) for i in range(3)]
    means = choose_uniform.means([replace(METHODS["identity"], name="same")], made)
    psnrs = [-10 * math.log10((y[i] - x[i]).double().square().mean()) for i in (0, 2)]
    assert means["identity"] == pytest.approx(np.mean(psnrs), abs=1e-4)
    assert len(means) == 2
    with pytest.raises(InputError, match="no image has finite scores only"):
        choose_uniform.means([], made[1:2])
    with pytest.raises(InputError, match="give images, or pairs and a run"):
        choose_uniform.main([])
