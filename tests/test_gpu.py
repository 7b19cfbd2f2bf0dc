"""What a GPU computes, beside what the processor does. ``make gpu`` runs these tests.

They need neither ``conftest.py`` nor the packages it imports. ``DEBLURLIB_TEST_DEVICE=cpu`` tries
them without a GPU, but for what only a GPU has.
"""

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin

from deblurlib import (
    alignment,
    classical,
    degrade,
    evaluation,
    images,
    machine,
    metrics,
    models,
    perception,
    psf,
    restoration,
    runs,
    training,
)
from deblurlib.data import batches, open_images
from deblurlib.errors import InputError

HERE = torch.cuda.is_available()
DEVICE = os.environ.get("DEBLURLIB_TEST_DEVICE") or ("cuda" if HERE else None)
ON_A_GPU = DEVICE is not None and DEVICE != "cpu"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE is None, reason="there is no GPU; DEBLURLIB_TEST_DEVICE=cpu tries"),
]
only_on_a_gpu = pytest.mark.skipif(not ON_A_GPU, reason="there is no GPU")


@pytest.fixture(scope="module")
def held():
    """The sample photographs on the processor and on the device."""
    sharp = open_images("sample", "train")
    return [batches.hold(sharp, device) for device in ("cpu", DEVICE)]


@pytest.fixture(scope="module")
def crops():
    """Sharp crops ``(2, 3, 96, 96)`` of photographs."""
    sharp = open_images("sample", "test")
    return torch.stack([images.centre_crop(sharp[i], 96) for i in range(2)])


def psnr(a, b):
    """Of two restorations, which may leave the range; in dB."""
    return -10 * (a.cpu() - b.cpu()).double().square().mean().log10().item()


# ---- batches


@pytest.mark.parametrize("name", degrade.SETTINGS)
def test_a_training_batch_of_each_setting_is_the_processor_s_but_for_its_noise(held, name):
    def quiet(generator):
        drawn = degrade.SETTINGS[name](generator)
        return replace(drawn, noise=0.0, photons=math.inf, quantise=False, jpeg=None)

    here, there = (
        batches.training_batch(store, quiet, 3, 16, 64, 0, device)
        for store, device in zip(held, ("cpu", DEVICE), strict=True)
    )
    assert there.y.device.type == there.x.device.type == torch.device(DEVICE).type
    for a, b in ((here.x, there.x), (here.y, there.y)):
        torch.testing.assert_close(b.cpu(), a, rtol=0, atol=5e-5)


@pytest.mark.parametrize("drawn_on", ["cpu", DEVICE])
@pytest.mark.parametrize("lies_on", ["cpu", DEVICE])
def test_noise_is_drawn_on_any_device_for_images_on_any(lies_on, drawn_on):
    x = torch.full((2, 1, 200, 200), 0.5, device=lies_on)
    y = degrade.add_noise(x, [0.1, 0.0], 0, [1, 2], drawn_on)
    assert y.device == x.device
    assert y[0].std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(y[1], x[1])
    y = degrade.add_shot_noise(x, [1000.0, math.inf], 0, [1, 2], drawn_on)
    assert y.device == x.device
    assert y[0].std().item() == pytest.approx((0.5 / 1000) ** 0.5, rel=0.05)
    assert torch.equal(y[1], x[1])


@only_on_a_gpu
@pytest.mark.parametrize("store", [0, 1])
@pytest.mark.parametrize("name", degrade.SETTINGS)
def test_a_training_batch_never_waits_for_the_gpu(held, store, name):
    draw = degrade.SETTINGS[name]
    pair_of = batches.training_batches(held[store], draw, 4, 32, 0, DEVICE)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pairs = [pair_of(step) for step in range(3)]
        told = [pair.noise for pair in pairs]
        if pairs[0].degradations[0].blur.ndim == 2:
            told += [pair.kernels for pair in pairs]
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert {t.device.type for t in told} == {"cuda"}
    for step, pair in enumerate(pairs):
        alone = batches.training_batch(held[store], draw, step, 4, 32, 0, DEVICE)
        assert torch.equal(pair.y, alone.y)
        assert torch.equal(pair.x, alone.x)


@only_on_a_gpu
def test_images_that_do_not_fit_are_carried_over_batch_by_batch(held, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 1))  # nothing is free
    carried = batches.hold(open_images("sample", "train"), DEVICE)
    assert {image.device.type for image in carried} == {"cpu"}
    draw = degrade.SETTINGS["s1-motion"]
    one, other = (batches.training_batch(s, draw, 1, 4, 32, 0, DEVICE) for s in (held[1], carried))
    assert torch.equal(one.y, other.y)
    assert torch.equal(one.x, other.x)


@pytest.mark.parametrize("name", degrade.SETTINGS)
def test_evaluation_pairs_are_the_processor_s(name):
    sharp = open_images("sample", "test").first(2)
    pairs = [
        batches.evaluation_pairs(sharp, degrade.SETTINGS[name], 0, 40, device)
        for device in ("cpu", DEVICE)
    ]
    for here, there in zip(*pairs, strict=True):
        assert here.parameters == there.parameters
        assert torch.equal(there.x.cpu(), here.x)
        level = 1 / 255 if here.degradations[0].quantise else 0  # one may round otherwise
        assert (there.y.cpu() - here.y).abs().max() <= level + 1e-5


# ---- trainings

TINY = {"model": "srn", "model_args": {"width": 4}, "loss": "mse-over-scales", "data": "sample"}
SIZES = {"steps": 10, "batch": 4, "crop": 32, "degradation": "s1-motion", "every": 5}
RIVAL = {"model": "patch", "model_args": {"width": 4, "halvings": 2}, "loss": "hinge"}
KINDS = {
    "plain": {},
    "without-tf32": {"tf32": False},
    "channels-last": {"channels_last": True},
    "bf16": {"precision": "bf16"},
    "averaged": {"ema": 0.9, "clip": {"norm": 1.0}, "reset": 4},
    "compiled": {"compile": "aot_eager"},  # without a compiler, which takes a minute
    "told-the-noise": {
        **{"model": "denoiser", "model_args": {"width": 8}, "loss": "mse"},
        **{"degradation": "noise", "grey": 1},
    },
    "told-the-kernel": {
        **{"model": "unrolled-rl", "model_args": {"width": 8, "steps": 2}, "loss": "l1"},
        **{"degradation": "known-blur", "grey": 1},
    },
    "game": {"rival": RIVAL},
    "game-in-bf16": {"rival": RIVAL, "precision": "bf16"},
    "judged-as-a-whole": {
        **{"model": "autoencoder", "model_args": {"width": 8}, "loss": "ssim-and-l1"},
        "rival": {"model": "flat", "model_args": {"width": 4, "side": 32}},
    },
    "standing": {"model": "standing", "model_args": {}, "loss": "mse"},
}


class Standing(torch.nn.Module, PyTorchModelHubMixin):
    """A convolution that sees the image, and what a trained SRN makes of it."""

    channels, multiple, margin, receptive_field = 3, 16, 0, 999

    def __init__(self, first: dict):
        super().__init__()
        self.first = models.SRN(**first)
        self.last = torch.nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, y):
        x_hat = self.first(y)
        return self.last(torch.cat([y, x_hat[0] if isinstance(x_hat, list) else x_hat], 1))


def trained(monkeypatch, folder, device, **fields):
    monkeypatch.setenv("DEBLURLIB_DEVICE", device)
    monkeypatch.setitem(models.MODELS, "standing", Standing)
    values = TINY | SIZES | fields
    if values["model"] == "standing":
        values["parts"] = {"first": runs.Recipe(name="00/first", **TINY, **SIZES)}
    return runs.train_or_load(runs.Recipe(**values), folder=folder, quiet=True)


@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_of_each_kind_of_recipe_end_as_on_the_processor(monkeypatch, tmp_path, kind):
    here, there = (
        trained(monkeypatch, tmp_path / str(i), device, name=f"00/{kind}", **KINDS[kind])
        for i, device in enumerate(("cpu", DEVICE))
    )
    assert there.env["device"].startswith(torch.device(DEVICE).type)
    apart = 0.2 if kind.startswith("told") else 0.02  # a GPU draws noise of its own
    for a, b in zip(here.history, there.history, strict=True):
        for name in set(a) - {"step", "seconds", "val_psnr"}:
            of_a_game = name in ("adversarial", "critic")  # they may be near 0
            assert b[name] == pytest.approx(a[name], rel=apart, abs=0.05 * of_a_game), name
        assert b["val_psnr"] == pytest.approx(a["val_psnr"], abs=0.05)


@only_on_a_gpu
def test_forty_steps_in_fp16_teach_more_than_half_of_them_in_float32(monkeypatch, tmp_path):
    """Not as much as all of them: the first few are skipped, until gradients fit into fp16."""
    how = {"name": "00/fp16", "every": 20}
    half = trained(monkeypatch, tmp_path / "a", "cpu", steps=20, **how)
    there = trained(monkeypatch, tmp_path / "b", DEVICE, steps=40, precision="fp16", **how)
    assert there.metrics["val_loss"] < half.metrics["val_loss"]


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    whole = trained(monkeypatch, tmp_path / "a", DEVICE, name="00/stopped")
    monkeypatch.setenv("DEBLURLIB_DEVICE", DEVICE)
    recipe, options = whole.recipe, {"folder": tmp_path / "b", "quiet": True}
    assert runs.train_or_load(recipe, max_minutes=0, **options).outcome == "stopped"
    again = runs.train_or_load(recipe, **options)
    assert again.outcome == "resumed"
    before, after = whole.model().state_dict(), again.model().state_dict()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-4)


def test_in_tiles_at_once_and_in_bf16_a_picture_is_restored_as_on_the_processor():
    srn = restoration.find_method("srn", DEVICE)
    y = open_images("sample", "test")[0][:, :160, :288]
    there = restoration.restore(y.to(DEVICE), srn, tile=256).cpu()
    here = restoration.restore(y, "srn", tile=256, device="cpu")
    torch.testing.assert_close(there, here, rtol=0, atol=1e-3)
    rounded = restoration.restore(y.to(DEVICE), srn.with_precision("bf16"), tile=256).cpu()
    assert metrics.psnr(rounded[None], there[None]).item() > 50


def test_the_gpu_asked_for_is_the_one_that_trains():
    if not ON_A_GPU:
        assert training.start_fabric(device="cpu").device == torch.device("cpu")
        return
    last = torch.cuda.device_count() - 1
    assert training.start_fabric(device=f"cuda:{last}").device == torch.device("cuda", last)
    assert training.start_fabric(device="cuda").device.type == "cuda"


@only_on_a_gpu
def test_building_a_model_leaves_the_gpu_s_random_numbers():
    before = torch.cuda.get_rng_state(DEVICE)
    models.build("srn", {"width": 4}, 7)
    assert torch.equal(torch.cuda.get_rng_state(DEVICE), before)


# ---- restoring and scoring


def test_a_photograph_is_restored_in_tiles_as_on_the_processor():
    photo = images.to_array(images.centre_crop(open_images("sample", "test")[0], 300))
    here, there = (restoration.restore(photo, "srn", device=d, tile=256) for d in ("cpu", DEVICE))
    difference = np.abs(here.astype(int) - there.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("name", [m.name for m in restoration.METHODS.values() if not m.blind])
def test_a_deconvolution_gives_what_it_gives_on_the_processor(crops, name):
    k = psf.motion(9, 30)
    y = degrade.add_noise(degrade.convolve(crops, k), 0.005, 0, [0, 1])
    method = restoration.METHODS[name]
    assert psnr(method(y.to(DEVICE), k.to(DEVICE)), method(y, k)) > 60


def test_a_blind_deconvolution_gives_what_it_gives_on_the_processor(crops):
    y = degrade.convolve(crops, psf.gaussian(1.0))
    start = torch.ones(5, 5)
    here = classical.blind_richardson_lucy(y, start)
    there = classical.blind_richardson_lucy(y.to(DEVICE), start.to(DEVICE))
    assert psnr(there[0], here[0]) > 60
    torch.testing.assert_close(there[1].cpu(), here[1], rtol=0, atol=1e-3)


def test_a_kernel_is_found_and_an_image_aligned_as_on_the_processor(crops):
    y = degrade.convolve(crops, psf.motion(7, 30))
    find = restoration.METHODS["blind-edges"].with_settings(size=11)
    (_, here), (_, there) = (find.for_image(z) for z in (y, y.to(DEVICE)))
    assert there.device.type == torch.device(DEVICE).type
    # it is looked for in many rounds, each of which takes the last one's roundings further
    assert psf.distance(there.cpu(), here).max() < 0.02
    moved = [alignment.move(z, 2.25, -3.5) for z in (crops, crops.to(DEVICE))]
    here, there = (
        alignment.align(z, x, 5) for z, x in zip(moved, (crops, crops.to(DEVICE)), strict=True)
    )
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-5)
    assert psnr(here[..., 5:-5, 5:-5], crops[..., 5:-5, 5:-5]) > 30


def test_an_evaluation_gives_the_processor_s_scores():
    test = open_images("sample", "test")
    options = {"protocols": tuple(metrics.SSIM_PROTOCOLS), "measures": tuple(evaluation.MEASURES)}
    here, there = (
        evaluation.evaluate(
            [restoration.find_method("srn", device)],
            evaluation.cases_of_images(test, "s2-gaussian", 0, side=176),
            device=device,
            **options,
        )
        for device in ("cpu", DEVICE)
    )
    for a, b in zip(here, there, strict=True):
        numbers = [{k: v for k, v in row.items() if isinstance(v, float)} for row in (a, b)]
        for row in numbers:
            assert row.pop("seconds") >= 0
        assert numbers[1] == pytest.approx(numbers[0], abs=2e-3)  # roundings to 8 bit may differ


def test_scores_and_restorations_are_the_same_where_tf32_is_allowed(crops):
    x, y = crops.to(DEVICE), degrade.convolve(crops, psf.box(5)).to(DEVICE)
    srn = restoration.find_method("srn", DEVICE)
    plug_and_play = restoration.find_method("plug-and-play")
    kernel = psf.box(5).to(DEVICE)
    many = [torch.rand(64, 64, n, n).to(DEVICE) for n in (32, 3)]  # channels enough for TF32

    def all_of_them():
        yield from (metrics.ssim(y, x, "gaussian-3d"), metrics.ssim(y, x))
        yield perception.gradient_similarity(y, x)
        yield from (srn(y), plug_and_play(y, kernel))
        yield degrade.convolve(x, kernel)

    found = []
    for allowed in (True, False):
        with machine.tf32(allowed):
            found.append([*all_of_them(), F.conv2d(*many)])
    (*scores, rounded), (*expected, exact) = found
    for a, b in zip(scores, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    if ON_A_GPU and torch.cuda.get_device_capability(DEVICE) >= (8, 0):
        assert (rounded - exact).abs().max() > 1e-4  # the flag does something here


# ---- memory


@pytest.fixture
def short_of_memory():
    """Leave so little of the GPU's memory that a photograph does not fit through the network."""
    restoration.find_method("srn", DEVICE)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    left = torch.cuda.memory_reserved(DEVICE) + 64 * 2**20
    torch.cuda.set_per_process_memory_fraction(left / total, torch.cuda.current_device())
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, torch.cuda.current_device())
    torch.cuda.empty_cache()


@only_on_a_gpu
def test_a_lack_of_memory_is_one_sentence_that_names_the_image(short_of_memory, tmp_path):
    y = torch.rand(1, 3, 1024, 1024)
    case = evaluation.Case("large.png", "large", y, y, None)
    srn = restoration.find_method("srn", DEVICE)
    with pytest.raises(InputError, match=r"srn on large\.png: not enough memory"):
        evaluation.evaluate([srn], [case], device=DEVICE)
    from deblurlib import files

    photo = tmp_path / "large.png"
    files.write_photo(photo, files.Photo(images.to_array(y[0])))
    (outcome,) = restoration.restore_files([str(photo)], restoration.Request(srn, DEVICE))
    assert outcome.error == f"{photo}: not enough memory; a smaller --tile needs less"


@only_on_a_gpu
def test_a_training_that_runs_out_of_memory_says_so(short_of_memory, monkeypatch, tmp_path):
    large = {"name": "00/large", "batch": 16, "crop": 256}
    recipe = runs.Recipe(**TINY | SIZES | large | {"model_args": {"width": 32}})
    monkeypatch.setenv("DEBLURLIB_DEVICE", DEVICE)
    with (
        pytest.raises(InputError, match="00/large: not enough memory; less"),
        machine.memory_for("00/large", "less"),
    ):
        runs.train_or_load(recipe, folder=tmp_path)
