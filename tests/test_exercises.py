"""What the checks of exercises say of the answers that readers give."""

import numpy as np
import pytest
import torch

from deblurlib import exercises
from deblurlib.exercises import Wrong, number, require, tensor


@pytest.fixture
def said(capsys, monkeypatch):
    """``said(answer, check)``: the line that is printed; ``said.drawn`` is what was displayed."""

    def run(answer, check_function):
        exercises.check(1, answer, check_function)
        return capsys.readouterr().out

    def display(bundle, **more):
        run.drawn.append(bundle)

    run.drawn = []
    monkeypatch.setattr("IPython.display.display", display)
    return run


def check_stripes(answer):
    for length in (7, 9):
        image = tensor(answer(length, 20, width=64), (20, 64), low=-0.2, high=0.2)
    require(image.max() > 0, "all is dark", {"yours": image + 0.5})
    return {"yours": image + 0.5, "wanted": image + 0.5}


def stripes(length, height, width):
    return torch.full((height, width), 0.1)


CALLED = "when called with length = 7, height = 20, width = 64\n"


def test_a_stub_is_not_done_and_an_answer_is_correct_with_its_pictures(said):
    assert said(lambda length, height, width: None, check_stripes) == "exercise 1: not done yet\n"
    assert said.drawn == []
    assert said(stripes, check_stripes) == "exercise 1: correct\n"
    (drawn,) = said.drawn
    assert drawn["image/png"]
    assert drawn["text/plain"] == "[your answer: yours, wanted]"


def test_a_wrong_answer_is_drawn_if_the_check_says_so(said):
    line = said(lambda *a, width: torch.zeros(20, 64), check_stripes)
    assert line == "exercise 1: all is dark\n"
    assert said.drawn[0]["text/plain"] == "[your answer: yours]"


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (np.zeros((20, 64)), "a NumPy array of shape (20, 64), float64"),
        (torch.zeros(64, 20), "a tensor of shape (64, 20), float32"),
        (torch.zeros(20, 64, dtype=torch.int64), "a tensor of shape (20, 64), int64"),
        ([0.5, 0.5], "the list [0.5, 0.5]"),
        ([0.5] * 64, "a list of length 64"),
        (3, "3"),
        ("stripes", "the str 'stripes'"),
    ],
)
def test_what_came_is_said_beside_what_was_wanted(said, returned, words):
    line = said(lambda length, height, width: returned, check_stripes)
    wanted = "wanted: a tensor of shape (20, 64), floating point"
    assert line == f"exercise 1: your function returned {words}; {wanted}, {CALLED}"


def test_values_out_of_range_or_not_finite_are_said():
    with pytest.raises(Wrong, match=r"from -1 to 0.5; wanted: values from -0.2 to 0.2"):
        tensor(torch.tensor([-1, 0.5]), low=-0.2, high=0.2)
    with pytest.raises(Wrong, match=r"inf; wanted: a whole number$"):
        number(float("inf"), whole=True)
    with pytest.raises(Wrong, match="with NaN or infinity in it"):
        tensor(torch.tensor([float("nan")]))


def test_a_tensor_that_can_be_converted_is():
    for dtype in (torch.float64, torch.float16, torch.float32):
        assert tensor(torch.ones(3, 4, dtype=dtype), (None, 4)).dtype == torch.float32
    assert tensor(torch.ones(3, dtype=torch.uint8), kind="int", low=1).dtype == torch.uint8


def test_numbers_of_every_make_are_taken_and_others_named():
    for value in (7, 7.0, np.float32(7), np.int64(7), torch.tensor(7), torch.tensor(7.0).double()):
        found = number(value, low=7, high=7, whole=True)
        assert (found, type(found)) == (7, int)
    wanted = r"; wanted: a whole number from 0 to 9"
    for value, came in (
        (7.5, "7.5"),
        (-1, "-1"),
        (True, "True"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("7", "the str '7'"),
        (torch.ones(1), r"a tensor of shape \(1,\), float32"),
        (np.ones(2), r"a NumPy array of shape \(2,\), float64"),
    ):
        with pytest.raises(Wrong, match=f"it is {came}{wanted}$"):
            number(value, 0, 9, whole=True, what="it is")


def test_what_the_answer_raises_is_named_with_its_line_and_arguments(said):
    def broken(length, height, width):
        rows = torch.zeros(height, 3)
        return rows + torch.zeros(length)

    line = said(broken, check_stripes)
    assert line.startswith("exercise 1: your function raised RuntimeError: The size of tensor a")
    assert line.endswith(f", in the line `return rows + torch.zeros(length)`, {CALLED}")
    line = said(lambda length: length, check_stripes)
    assert "your function raised TypeError" in line
    assert line.endswith("when called with 1 = 7, 2 = 20, width = 64\n")


def test_none_after_an_answer_is_no_stub(said):
    line = said(
        lambda length, height, width: stripes(7, 20, 64) if length == 7 else None, check_stripes
    )
    assert "your function returned None, when called with length = 9" in line


def test_an_answer_that_the_check_trips_over_is_described(said):
    line = said(lambda x: "text", lambda answer: answer([1, 2]) + 1)
    assert "returned the str 'text' when called with x = the list [1, 2]" in line
    assert "TypeError" in line


def test_an_answer_that_is_no_function_is_named(said):
    assert said(3, check_stripes) == "exercise 1: the function that you were given is now 3\n"


def test_a_broken_check_is_not_the_readers_fault(said):
    with pytest.raises(ZeroDivisionError):
        said(stripes, lambda answer: 1 / 0)
