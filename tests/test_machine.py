"""The machine's part: which device, which rounding, how much memory."""

import pytest
import torch

from deblurlib import machine, models
from deblurlib.errors import InputError


@pytest.fixture
def gpus(monkeypatch):
    """``gpus(2)``: as if there were two GPUs, and no environment variable."""

    def pretend(count, asked=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("DEBLURLIB_DEVICE", raising=False)
        if asked is not None:
            monkeypatch.setenv("DEBLURLIB_DEVICE", asked)

    return pretend


@pytest.mark.parametrize(
    ("count", "asked", "choice", "expected"),
    [
        (0, None, "auto", "cpu"),
        (2, None, "auto", "cuda"),
        (2, None, None, "cuda"),
        (2, "cuda:1", "auto", "cuda:1"),
        (2, "cpu", None, "cpu"),
        (2, "cuda:1", "cpu", "cpu"),
        (2, "auto", "auto", "cuda"),
        (2, "", "auto", "cuda"),
        (2, None, torch.device("cuda", 1), "cuda:1"),
        (0, None, torch.device("meta"), "meta"),
    ],
)
def test_auto_is_what_the_variable_says_else_a_gpu_if_there_is_one(
    gpus, count, asked, choice, expected
):
    gpus(count, asked)
    assert machine.device(choice) == torch.device(expected)


@pytest.mark.parametrize(
    ("count", "asked", "choice", "message"),
    [
        (2, None, "cuda:2", "device cuda:2: there are 2 GPUs, counted from cuda:0"),
        (1, None, "cuda:1", "device cuda:1: there is 1 GPU, cuda:0"),
        (0, None, "cuda:0", "device cuda:0: no GPU is to be seen here; cpu works"),
        (0, "cuda", "auto", "device DEBLURLIB_DEVICE=cuda: no GPU is to be seen here; cpu works"),
        *(
            (2, None, name, f"device {name} is none of auto, cpu, cuda, cuda:0, cuda:1 ...")
            for name in ("mps", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "cuda:1:2")
        ),
    ],
)
def test_what_is_no_device_here_is_one_sentence(gpus, count, asked, choice, message):
    gpus(count, asked)
    with pytest.raises(InputError) as error:
        machine.device(choice)
    assert str(error.value) == message


def rules():
    """How float32 products are computed, by the new flags and by those of the old ones that say."""
    found = [place.fp32_precision for place in machine._float32_places()]
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    for ask in (
        lambda: cudnn.allow_tf32,
        lambda: cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision,
    ):
        try:
            found.append(ask())
        except RuntimeError:  # PyTorch's, where old and new disagree
            found.append("refused")
    return found


def by_old_flags():
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("medium")


def by_new_flags():
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def by_both():
    by_old_flags()
    by_new_flags()
    torch.backends.cudnn.conv.fp32_precision = "tf32"


@pytest.mark.parametrize("set_before", [lambda: None, by_old_flags, by_new_flags, by_both])
def test_tf32_is_as_asked_and_afterwards_as_it_was_set(set_before):
    initial = machine._float32_rules()
    try:
        set_before()
        before = rules()
        for allowed, name, level in ((False, "ieee", "highest"), (True, "tf32", "high")):
            with machine.tf32(allowed):
                # all agree, so that what reads an old flag, as torch.compile does, is told
                assert rules() == [name, name, name, "ieee", allowed, allowed, level]
            assert rules() == before
    finally:
        machine._set_float32_rules(initial)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_a_lack_of_memory_is_one_sentence(error):
    with pytest.raises(InputError) as told, machine.memory_for("a photo", "less needs less"):
        raise error
    assert str(told.value) == "a photo: not enough memory; less needs less"


def test_another_error_is_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="sizes differ"), machine.memory_for("a", "b"):
        raise RuntimeError("sizes differ")


def test_building_a_model_leaves_the_random_numbers_of_all_devices(monkeypatch):
    reseeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    before = torch.get_rng_state()
    models.build("unet", {"width": 4}, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert reseeded == []
