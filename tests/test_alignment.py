"""A shift that a score does not count: found exactly, and nothing else is changed."""

import json
from pathlib import Path

import pytest
import torch
from scipy import ndimage
from sets import write_pairs
from test_cli_engine import assert_refused

from deblurlib import images, metrics
from deblurlib.alignment import align, move
from deblurlib.data import open_images
from deblurlib.errors import InputError
from deblurlib.evaluation import Case, evaluate
from deblurlib.restoration import METHODS, Method

N = 5


@pytest.fixture(scope="module")
def sharp():
    return open_images("sample", "test")[0][None, :, 40:140, 50:170]


def inner(z, border=N):
    return z[..., border:-border, border:-border]


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 5)])
def test_a_whole_shift_is_found_and_taken_back_to_the_bit(sharp, shift):
    moved = sharp.roll(shift, (-2, -1))
    assert torch.equal(inner(align(moved, sharp, N)), inner(sharp))


@pytest.mark.parametrize("shift", [(0.25, 0.5), (-2.75, 4.25)])
def test_quarters_of_a_pixel_agree_with_scipy_and_are_taken_back(sharp, shift):
    # a spline of SciPy's, of high order, moves a smooth image as waves do
    smooth = torch.from_numpy(ndimage.gaussian_filter(sharp.double().numpy(), (0, 0, 1.5, 1.5)))
    other = torch.from_numpy(ndimage.shift(smooth.numpy(), (0, 0, *shift), order=5, mode="mirror"))
    assert (inner(move(smooth, *shift) - other)).abs().max() < 1 / 255
    assert (inner(align(other, smooth, N)) - inner(smooth)).abs().max() < 1 / 255
    # the fit is no better a little further
    errors = {
        d: inner(move(other, -shift[0] + d, -shift[1]) - smooth).square().sum()
        for d in (-0.25, 0.25)
    }
    assert inner(align(other, smooth, N) - smooth).square().sum() < min(errors.values())


def test_a_shift_that_is_too_far_is_not_made_and_each_image_has_its_own(sharp):
    moved = torch.cat([sharp.roll(2, -1), sharp.roll(-1, -2), sharp.roll(9, -1)])
    aligned = align(moved, sharp.expand(3, -1, -1, -1), N)
    equal = [torch.equal(inner(one), inner(sharp)[0]) for one in aligned]
    assert equal == [True, True, False]
    assert align(moved, moved, 0) is moved
    for most in (-1, 50):
        with pytest.raises(InputError, match=f"shifts of up to {most} pixels leave nothing"):
            align(sharp, sharp, most)


def scores(y, x, **more):
    """The identity's row, and that of a method which moves the image."""
    method = Method("mover", lambda y, kernel: move(y, 2, -3), "moves it")
    rows = evaluate([method], [Case("a", "a", y, x, None)], **more)
    return [{k: v for k, v in row.items() if k not in ("seconds", "method")} for row in rows]


def test_a_method_and_the_identity_score_as_if_nothing_had_moved(sharp):
    x = images.quantise(sharp)
    y = images.quantise(x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
    still, moved = scores(y, x, align=N)
    assert moved == still == scores(y.roll((3, 1), (-2, -1)), x, align=N)[0]
    # as many pixels are left out as it may move, and more where that is wanted
    assert still == scores(y, x, border=N)[0]
    assert scores(y, x, align=N, border=9) == [scores(y, x, border=9)[0]] * 2
    unaligned = scores(y, x)
    assert unaligned == scores(y, x, align=0)
    assert unaligned[1]["psnr"] < unaligned[0]["psnr"] - 3
    assert unaligned[0]["psnr"] == metrics.psnr(y, x).item()


def test_the_command_says_that_it_aligned(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    write_pairs(Path("pairs"), ("z",), range(2), "test")
    call = ("evaluate", "--method", "mover", "--pairs", "pairs", "--json", "s.json")
    mover = Method("mover", lambda y, kernel: move(y, 2, -3), "moves it")
    monkeypatch.setitem(METHODS, "mover", mover)
    found = {}
    for most in (0, 3):
        code, out, err = command(*call, *(("--align", most) if most else ()))
        assert (code, err) == (0, "")
        assert ("after the best shift of up to 3 pixels" in out) is (most == 3)
        found[most] = json.loads(Path("s.json").read_text())
        assert found[most]["align"] == most
    assert found[3]["psnr"] == found[3]["identity_psnr"]
    assert found[0]["psnr"] < found[0]["identity_psnr"] != found[3]["identity_psnr"]
    assert_refused(*command(*call, "--align", -1), "--align needs 0 pixels or more, not -1")
