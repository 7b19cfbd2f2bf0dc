"""A proof tells a change of what is computed from a change of the machine or of the code's text."""

import contextlib
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch

from deblurlib import data, degrade, images, models, psf, runs, studies
from deblurlib.data import batches, crops
from deblurlib.data.crops import Cuts
from deblurlib.degrade import sampling
from deblurlib.errors import InputError
from deblurlib.runs import proof, provenance, signature
from deblurlib.studies import srcnn
from deblurlib.studies.scoring import scores_at_start
from deblurlib.training import players, rates

OWN = studies.find_recipe("02/gaussian", "report")
RESET = studies.find_recipe("02/reset-box-9-1-5-1e-4", "report")
SGD = studies.find_recipe("02/sgd-motion-1e-3-tenth", "report")
FAR = studies.find_recipe("02/reach-31-17", "report")
CLIPPED = replace(OWN, clip={"norm": 1e-3}, ema=0.9, schedule={"name": "cosine", "warmup": 100})
BY_NAME = {"own": OWN, "reset": RESET, "sgd": SGD, "far": FAR, "clipped": CLIPPED}


@pytest.fixture(scope="module")
def parts():
    """By name: the parts of a recipe's miniature."""
    return {name: proof.of_recipe(recipe)[1] for name, recipe in BY_NAME.items()}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_again_is_the_same_to_the_bit_whatever_the_threads(parts, name):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert proof.replay(parts[name], BY_NAME[name], 12, alike=True) == []
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def of_data(recipe):
    """The parts of a published proof that need data, here of ``sample``."""
    rest, _ = data.hold_out(data.open_images("sample", "train"), recipe.holdout)
    with proof.one_thread():
        batch = proof.of_batches(replace(recipe, crop=9), rest)
    return {"scores": scores_at_start(recipe, srcnn.SCORING), "batches 0": batch}


ELSEWHERE = """
import contextlib, json, sys, torch
from deblurlib.runs import proof, signature
from test_proof import BY_NAME, OWN, of_data
if sys.argv[1] == "2":
    proof.one_thread = contextlib.nullcontext
torch.set_num_threads(int(sys.argv[1]))
old = json.load(sys.stdin)
near = {name: proof.replay(old[name], recipe, 12, False) for name, recipe in BY_NAME.items()}
for name, recipe in BY_NAME.items():
    near[name] += signature.differences(old[name], of_data(recipe), False)
print(json.dumps([near, proof.replay(old["own"], OWN, 12, True)]))
"""


@pytest.mark.parametrize(
    ("threads", "limits"),
    [
        ("1", {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}),
        ("2", {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}),
    ],
    ids=["avx2", "sse-and-threads"],
)
def test_other_instructions_and_threads_stay_within_the_tolerance(parts, threads, limits):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, threads],
        input=json.dumps({name: parts[name] | of_data(BY_NAME[name]) for name in BY_NAME}),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=os.environ | limits,
    )
    assert done.returncode == 0, done.stderr
    near, same = json.loads(done.stdout)
    assert near == {name: [] for name in BY_NAME}
    if torch.backends.cpu.get_cpu_capability() == "AVX512":  # the limits have limited something
        assert same


def optimiser(**changed):
    make = rates.make_optimiser

    def other(model, settings):
        known = dict(settings)
        lr = known["lr"] * changed.get("factor", 1)
        return make(model, known | {k: v for k, v in changed.items() if k != "factor"} | {"lr": lr})

    return mock.patch.object(players, "make_optimiser", other)


def wrap(module, name, change):
    """A function whose result, or first argument, is changed a little."""
    function = getattr(module, name)
    return mock.patch.object(module, name, lambda *a, **k: change(function, *a, **k))


def begun_larger(build, *arguments):
    model = build(*arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 1e-4)
    return model


def cosine(t, end=0.0):
    return end + (1 - end) * (1 + math.cos(math.pi * (1 - 1e-4) * t)) / 2


CHANGES = {
    "a beta of Adam": ("own", optimiser(betas=(0.9, 0.9991))),
    "a rate by 1e-4 of itself": ("reset", optimiser(factor=1 + 1e-4)),
    "a momentum": ("sgd", optimiser(momentum=0.9001)),
    "a schedule": ("own", mock.patch.dict(rates.SCHEDULES, cosine=cosine)),
    "a blur by 1e-5": ("own", wrap(sampling, "_blur", lambda f, *a: f(*a) * (1 + 1e-5))),
    "a kernel by 1e-5": ("own", wrap(psf, "gaussian", lambda f, s, *a: f(s * (1 + 1e-5), *a))),
    "a rounding": ("own", wrap(images, "quantise", lambda f, x: f(x - 0.01 / 255))),
    "a crop": ("own", wrap(Cuts, "cut", lambda f, c, h, n, *rest: f(c, h, n + 1, *rest))),
    "an order": ("reset", wrap(crops, "_order", lambda f, seed, *rest: f(seed + 1, *rest))),
    "first weights by 1e-4": ("own", wrap(models, "build", begun_larger)),
    "what is held out": ("own", wrap(data, "hold_out", lambda f, i, share: f(i, share, 1))),
    "a clip by 1e-3": ("clipped", None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_small_change_that_matters_is_seen_on_any_machine(parts, what):
    name, change = CHANGES[what]
    recipe, old = BY_NAME[name], parts[name]
    with change or contextlib.nullcontext():
        if change is None:
            recipe = replace(recipe, clip={"norm": 1.001e-3})
        found = proof.replay(old, recipe, 12, alike=False)
    assert {"weights", "losses"} & set(found)


def test_pairs_and_many_scales_have_a_miniature():
    recipe = studies.find_recipe("05/srn", "full", data="gopro")
    recipe = replace(recipe, model_args={**recipe.model_args, "width": 2})
    before = os.environ.get("DEBLURLIB_DATA")
    first = proof.of_miniature(recipe, 4)
    assert proof.of_miniature(recipe, 4) == first
    assert os.environ.get("DEBLURLIB_DATA") == before
    assert len(first["losses"]["values"]) == 8  # of four rows: each step ends one


def test_a_miniature_goes_through_what_its_recipe_does():
    schedule = {"name": "cosine", "warmup": 200}
    how = {"precision": "bf16", "compile": "inductor", "images": 90}
    small = proof.miniature(replace(RESET, schedule=schedule, **how))
    assert (small.steps, small.reset, small.schedule["warmup"], small.images) == (12, 6, 4, 3)
    assert (small.precision, small.compile, small.seed) == ("32", None, RESET.seed)


def test_a_miniature_has_crops_that_its_model_takes_and_no_squares():
    how = {"degradation": "s2-gaussian", "boundary": "reflect", "reduce": 64, "square": True}
    recipe = runs.Recipe("04/small", "autoencoder", "sample", 9, 4, 64, **how)
    recipe = replace(recipe, model_args={"width": 4})
    small = proof.miniature(recipe)
    assert (small.crop, small.reduce, small.square) == (24, None, False)
    assert len(proof.of_miniature(recipe, 2)["losses"]["values"]) == 4


def test_the_batches_are_those_that_the_training_sees():
    recipe = replace(OWN, batch=2, steps=9, crop=8)
    sharp = data.open_images("sample", "train").first(3)
    held, seen = batches.hold(sharp, grey=1), []
    for step in (0, 1, 8):  # the first, round the end of the epoch of 3 images, the last
        draw = degrade.SETTINGS[recipe.degradation]
        margin = models.build(recipe.model, recipe.model_args, 0).margin
        pair = batches.training_batch(held, draw, step, 2, 8 + 2 * margin, recipe.seed)
        seen += [pair.y, images.centre_crop(pair.x, 8)]
    assert proof.of_batches(recipe, sharp)["hash"] == signature.of_tensors(seen)


def test_the_bits_of_one_part_are_one_part():
    one = signature.of_numbers([1.0, 2.0, None])
    near = signature.of_numbers([1.0 + 1e-7, 2.0, math.nan])
    far = signature.of_numbers([1.0, 2.001, None])
    gone = signature.of_numbers([1.0, 2.0, 3.0])
    for part, other, alike, expected in (
        ("losses", one, True, []),
        ("losses", near, False, []),
        ("losses", near, True, ["losses (by rounding)"]),
        ("losses", far, False, ["losses"]),
        ("losses", gone, False, ["losses"]),
        ("batches 0", gone, False, ["batches 0"]),
        ("rates", near, False, ["rates"]),
        ("batches 3", near, False, []),
    ):
        assert signature.differences({part: one, "more": far}, {part: other}, alike) == expected


def test_numbers_that_are_none_are_near_to_nothing():
    finite = {"a": torch.ones(3), "b": torch.zeros(2)}
    broken = finite | {"b": torch.tensor([0.0, math.nan])}
    one, two = (signature.of_weights(finite, after) for after in (finite, broken))
    assert signature.differences({"weights": one}, {"weights": two}, alike=False) == ["weights"]
    json.dumps(two, allow_nan=False)


# --- runs, and code that changes under them


LONG = runs.Recipe(
    "02/long",
    model="srcnn",
    model_args={"layers": "9-1-5", "channels": 1},
    data="sample",
    degradation="s1-box",
    steps=1000,  # fewer, and a run keeps no proof
    batch=1,
    crop=4,
    grey=1,
    every=500,
)
codes = itertools.count()


@pytest.fixture
def other_code(monkeypatch):
    """``other_code()``: from now on, the library's code is another."""

    def change():
        code = f"{next(codes):012x}"  # never the same twice: a run remembers
        monkeypatch.setattr(provenance, "package_code", lambda: code)

    return change


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    return folder, runs.train_or_load(LONG, folder=folder)


def test_a_run_stands_with_other_code_if_its_proof_does(long_run, other_code, capsys):
    folder, run = long_run
    assert runs.standing(run) == "same code"
    other_code()
    assert runs.standing(run) == "other code"
    assert runs.train_or_load(LONG, folder=folder).outcome == "hit"
    assert runs.standing(run) == "proved"
    with mock.patch.object(proof, "replay_run", side_effect=AssertionError("replayed twice")):
        runs.train_or_load(LONG, folder=folder)
    said = f"02/long, seed 0: hit, proved ({run.id})"
    assert capsys.readouterr().out.splitlines() == [said, said]


def test_a_run_whose_proof_came_out_otherwise_is_stale(long_run, other_code, capsys):
    folder, run = long_run
    other_code()
    with optimiser(betas=(0.9, 0.9991)):
        loaded = runs.train_or_load(LONG, "load", folder=folder)
        assert loaded.outcome == "stale"
        assert {"weights"} <= set(loaded.changed) <= {"losses", "losses (by rounding)", "weights"}
        runs.train_or_load(LONG, max_minutes=0, folder=folder)
    assert "weights changed" in capsys.readouterr().out
    assert runs.standing(run) == "other code"


def test_a_stopped_training_goes_on_with_other_code_if_its_proof_stands(
    tmp_path, other_code, capsys
):
    how = {"folder": tmp_path, "max_minutes": 0}
    assert runs.train_or_load(LONG, **how).folder.name == "000000001"
    other_code()
    with optimiser(betas=(0.9, 0.9991)):
        assert runs.train_or_load(LONG, **how).folder.name == "000000001"
        assert "begins again: losses" in capsys.readouterr().out
        other_code()
        assert runs.train_or_load(LONG, **how).folder.name == "000000002"


@pytest.mark.parametrize("damage", ["{", "{}"])
def test_a_damaged_proof_is_named(long_run, other_code, tmp_path, damage):
    folder, run = long_run
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / run.id / "proof.json").write_text(damage)
    other_code()
    with pytest.raises(InputError, match=f"{run.id}: a damaged run"):
        runs.train_or_load(LONG, folder=tmp_path)
