"""Restoring several images at once, each on one thread."""

import threading

import pytest
import torch

from deblurlib import psf
from deblurlib.classical import blind_richardson_lucy, blur, discrepancy, richardson_lucy
from deblurlib.errors import InputError

HERE = threading.main_thread()


@pytest.fixture
def threads():
    """Three threads of PyTorch's, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def at_once(*batched):
    """:func:`blur.image_by_image` of what tells of the threads that work at the same time."""
    together, seen = threading.Barrier(torch.get_num_threads(), timeout=60), []

    def tell(*parts):
        together.wait()  # ends only if so many images are worked on at once
        threads = threading.current_thread(), torch.get_num_threads()
        seen.append((*threads, torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        return parts

    return blur.image_by_image(tell, *batched, side_by_side=True), seen


def of_a_new_thread():
    """How many threads PyTorch has in a thread that has just begun."""
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_images_are_worked_on_at_once_each_on_one_thread_and_come_back_in_order(threads, rand):
    y, k = rand(6, 1, 4, 5), rand(6, 3, 3)
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            (first, second), seen = at_once(y, k)
            expected = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert torch.equal(first, y)
        assert torch.equal(second, k)
        assert len({thread for thread, *_ in seen}) == threads
        assert all(thread is not HERE for thread, *_ in seen)
        assert {(n, *modes) for _, n, *modes in seen} == {(1, *expected)}
    assert torch.get_num_threads() == of_a_new_thread() == threads


def test_one_after_the_other_unless_asked_and_if_they_are_large(threads, monkeypatch, rand):
    y, seen = rand(3, 1, 4, 5), []

    def note(part):
        seen.append((threading.current_thread(), torch.get_num_threads(), len(part)))
        return (part,)

    blur.image_by_image(note, y)
    blur.image_by_image(note, y[:1], side_by_side=True)
    monkeypatch.setattr(blur, "SIDE_BY_SIDE", 19)
    assert torch.equal(blur.image_by_image(note, y, side_by_side=True)[0], y)
    assert seen == [(HERE, threads, 1)] * 7


def test_inside_a_thread_of_its_own_nothing_more_is_begun(threads, rand):
    y = rand(4, 2, 3, 3)

    def outer(part):
        here, inner = threading.current_thread(), []
        note = lambda z: (inner.append(threading.current_thread()), (z,))[1]  # noqa: E731
        again = blur.image_by_image(note, part[0], side_by_side=True)[0]
        assert inner == [here] * 2
        return (again[None],)

    assert torch.equal(blur.image_by_image(outer, y, side_by_side=True)[0], y)


def test_an_error_comes_out_as_it_is_and_threads_are_as_before(threads):
    error = InputError("the third image")

    def fail(part):
        if part.item() == 2:
            raise error
        return (part,)

    with pytest.raises(InputError) as found:
        blur.image_by_image(fail, torch.arange(5.0)[:, None], side_by_side=True)
    assert found.value is error
    assert torch.get_num_threads() == of_a_new_thread() == threads


@pytest.mark.parametrize(
    "options",
    [{}, {"tv": 0.01, "boundary": "valid"}, {"stop": discrepancy(0.08), "boundary": "zero"}],
    ids=["reflect", "tv", "stop"],
)
@pytest.mark.parametrize("accelerate", [False, True])
def test_richardson_lucy_is_the_same_to_the_bit_however_many_threads(
    threads, rand, accelerate, options
):
    # so large that PyTorch would cut up a sum over all pixels
    y, k = rand(4, 1, 191, 203), rand(4, 5, 3, seed=1)
    k = k / k.sum((1, 2), keepdim=True)
    at_once = richardson_lucy(y, k, 5, accelerate=accelerate, **options)
    alone = [
        richardson_lucy(y[i : i + 1], k[i], 5, accelerate=accelerate, **options) for i in range(4)
    ]
    assert torch.equal(at_once, torch.cat(alone))
    torch.set_num_threads(1)
    assert torch.equal(at_once, richardson_lucy(y, k, 5, accelerate=accelerate, **options))


def test_blind_richardson_lucy_is_the_same_to_the_bit_however_many_threads(threads, rand):
    y = rand(3, 1, 191, 203)
    found = blind_richardson_lucy(y, torch.ones(5, 3), 4)
    torch.set_num_threads(1)
    for ours, theirs in zip(found, blind_richardson_lucy(y, torch.ones(5, 3), 4), strict=True):
        assert torch.equal(ours, theirs)


def test_derivatives_go_through_threads(threads, rand):
    y, weights = rand(3, 1, 8, 9) + 0.1, rand(3, 1, 8, 9, seed=1)

    def gradient():
        z = y.clone().requires_grad_()
        loss = (richardson_lucy(z, psf.box(3), 4, accelerate=True) * weights).sum()
        return torch.autograd.grad(loss, z)[0]

    found = gradient()
    torch.set_num_threads(1)
    assert torch.equal(found, gradient())
    assert found.any()
