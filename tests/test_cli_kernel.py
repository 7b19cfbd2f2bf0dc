"""``deblur kernel``, and ``deblur restore`` by a method that finds the kernel."""

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import test_cli_restore
import torch
from PIL import Image
from test_cli_engine import assert_refused
from test_cli_restore import files, picture, pixels
from test_cli_restore_options import contents
from test_streaks import night
from test_video import pan, save_video

from deblurlib import classical, degrade, images, models, psf, restoration
from deblurlib.data import open_images
from deblurlib.files import (
    Photo,
    png,
    read_kernel,
    read_photo,
    write_image,
    write_kernel,
    write_photo,
)
from deblurlib.restoration import METHODS, restore

deblur = test_cli_restore.deblur  # the fixture
FOUND = ["a_kernel.npy", "a_kernel.png"]
BLIND = ("--method", "blind-edges", "--set", "size=9", "--set", "iterations=3")


@pytest.fixture
def kernel(tmp_path, monkeypatch, command):
    """``kernel("a.png")`` in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code, out, err = command("kernel", *arguments)
        assert "Traceback" not in out + err
        return code, out, err

    return run


def blurred(path, k=None):
    """A photograph that a motion has blurred; returns it as the file holds it."""
    x = images.centre_crop(open_images("sample", "test")[2], 96, 120)[None]
    k = psf.motion(7, 30, 9) if k is None else k
    write_image(path, degrade.convolve(x, k)[0])
    return images.to_tensor(pixels(path))[None]


# ---- the command


def test_a_kernel_is_found_and_written_beside_the_photograph(kernel):
    y = blurred("a.png")
    code, out, err = kernel("a.png", "--size", 9)
    assert (code, err) == (0, "")
    assert files() == ["a.png", *FOUND]
    k, gain = (found[0] for found in classical.find_kernel(y, 9))
    assert torch.equal(read_kernel("a_kernel.npy"), k)
    paths, spread, sure, use = out.splitlines()
    assert use == f"  to use it: deblur restore a.png --kernel {FOUND[0]}"
    assert paths == ", ".join(FOUND)
    along, across, angle = psf.extent(k)
    assert f"9 x 9 pixels; its light spreads by {along:.1f} pixels, at {angle:.0f} degr" in spread
    assert f"and by {across:.1f} across (standard deviations)" in spread
    assert gain > 0
    assert sure == f"  with it, the edges become fewer and steeper by {gain:.0%}"


def test_where_no_blur_is_found_both_commands_say_so(kernel, command, monkeypatch):
    picture("a.png", 40, 50)
    delta = psf.gaussian(0, 9)[None]
    monkeypatch.setattr(classical, "find_kernel", lambda y, size: (delta, torch.tensor([0.0])))
    code, out, _ = kernel("a.png", "--size", 9)
    assert code == 0
    assert "  no blur was found: no kernel makes the edges fewer and steeper; there may be" in out
    assert "spreads by 0.0 pixels (standard deviations)" in out  # which has no direction
    code, _, err = command("restore", "a.png", *BLIND)
    told = "hardly a blur was found in it, or none: it may be sharp already"
    assert (code, err) == (0, f"deblur: a.png: {told}\n")


def test_of_a_network_that_guesses_next_to_no_blur_it_is_said_too(deblur, monkeypatch):
    for sigma, said in ((0.2, True), (0.9, True), (1.2, False)):
        guess = psf.gaussian(sigma, 9)[None]
        monkeypatch.setattr(models.KernelNet, "kernel", lambda self, y, guess=guess: guess)
        picture("a.png", 40, 50)
        code, _, err = deblur("a.png", "--method", "kernelnet-rl", "--overwrite")
        assert code == 0
        assert ("a.png: hardly a blur was found in it, or none" in err) is said


@pytest.mark.parametrize(
    ("angle", "said"), [(-0.3, "0"), (0.3, "0"), (-89.8, "90"), (89.8, "90"), (-45, "-45")]
)
def test_a_direction_is_a_whole_number_of_one_sign(kernel, monkeypatch, angle, said):
    picture("a.png", 40, 50)
    found = psf.motion(9, angle)[None], torch.tensor([0.1])
    monkeypatch.setattr(classical, "find_kernel", lambda y, size: found)
    assert f" at {said} degrees" in kernel("a.png", "--size", 9)[1]


def test_a_16_bit_grey_picture_with_alpha_is_looked_at_without_it(kernel):
    grey = images.luma(blurred("a.png"))[0, 0]
    alpha = torch.linspace(0, 1, grey.shape[1]).expand_as(grey)
    deep = (torch.stack([grey, alpha], -1) * 65535).round().numpy().astype(np.uint16)
    write_photo("a.png", Photo(deep))
    assert kernel("a.png", "--size", 9)[0] == 0
    y = images.to_tensor(deep[..., :1])[None]
    assert torch.equal(read_kernel("a_kernel.npy"), classical.find_kernel(y, 9)[0][0])


@pytest.mark.parametrize(
    ("given", "out"), [("a.png", "a.npy"), ("a.png", "link.npy"), ("link.png", "a.npy")]
)
def test_the_photograph_is_never_replaced_by_its_kernel(kernel, given, out):
    picture("a.png", 40, 50)
    os.symlink("a.png", "link.png")
    before = contents()
    refused = kernel(given, "--size", 9, "-o", out, "--overwrite")
    assert_refused(*refused, "png would be written over; choose another folder with -o")
    assert contents() == before


def test_a_lack_of_memory_while_the_kernel_is_looked_for_says_what_helps(deblur, monkeypatch):
    def lacks(*_):
        raise MemoryError

    monkeypatch.setattr(classical, "find_kernel", lacks)
    picture("a.png", 40, 50)
    assert_refused(*deblur("a.png", *BLIND), "a.png: not enough memory; --size needs less")
    assert files() == ["a.png"]


def test_the_time_that_is_told_never_goes_back(tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(restoration.batch.time, "perf_counter", lambda: float(next(clock)))
    photo, steps = tmp_path / "a.png", []
    picture(photo, 40, 50)

    def finds(y, **_):
        restoration.batch.time.perf_counter()
        return psf.gaussian(2.0, 9)[None]

    method = replace(METHODS["blind-edges"].with_settings(iterations=1), find_kernel=finds)
    list(restoration.restore_files(photo, restoration.Request(method), watch=steps.append))
    seconds = [step.seconds for step in steps]
    assert len(seconds) > 1
    assert seconds == sorted(set(seconds))
    assert seconds[1] - seconds[0] > 1  # the search is part of it


@pytest.mark.parametrize("suffix", [".npy", ".png"])
@pytest.mark.parametrize("k", [psf.shake(torch.Generator().manual_seed(1), 20), psf.box(3)])
def test_both_files_are_the_kernel_for_restoring_and_the_picture_can_be_seen(
    deblur, recwarn, k, suffix
):
    numbers, shown = write_kernel("k", k)
    assert [str(numbers), str(shown)] == ["k.npy", "k.png"]
    again = read_kernel(f"k{suffix}")
    assert again.shape == k.shape
    assert (again - k).abs().max() < 1e-6
    assert not recwarn.list
    side = k.shape[-1]
    with Image.open("k.png") as image:
        drawn = np.asarray(image).astype(float) / 65535
    assert drawn.shape == 2 * (400 // side * side,)
    assert (drawn.min(), drawn.max()) == (0 if k.min() == 0 else 1, 1)
    picture("a.png", 40, 50)
    assert deblur("a.png", "--kernel", f"k{suffix}", "--method", "wiener")[0] == 0


def test_a_picture_of_a_kernel_that_was_edited_since_is_taken_as_it_is(tmp_path):
    _, shown = write_kernel(tmp_path / "k.npy", psf.gaussian(1.0))
    whole = pixels(shown).astype(np.uint16)
    whole[0, 0] += 9  # one pixel of those that were repeated
    file = io.BytesIO()
    png.write_deep(file, whole[..., None], b"", b"")
    texts = [png.content(c) for name, c in png.split(shown.read_bytes())[0] if name == b"tEXt"]
    shown.write_bytes(png.insert(file.getvalue(), {b"tEXt": texts[0]}))
    with pytest.warns(UserWarning, match="its sum was"):
        assert min(read_kernel(shown).shape) >= min(whole.shape)


def test_of_a_lamp_the_streak_is_cut_in_the_upright_picture(kernel):
    k = psf.shake(torch.Generator().manual_seed(4), 20, 31)
    upright = images.to_array(night(k, [(40, 70, 0.8 / k.max())]))
    stored = {1: upright, 6: np.rot90(upright), 3: upright[::-1, ::-1], 5: upright.swapaxes(0, 1)}
    turned = {1: lambda k: k, 6: np.rot90, 3: lambda k: k[::-1, ::-1], 5: np.transpose}
    for turn, array in stored.items():
        exif = Image.Exif()
        exif[0x0112] = turn
        Image.fromarray(array).save("a.png", exif=exif)
        assert np.array_equal(read_photo("a.png").upright(), upright)
        code, out, err = kernel("a.png", "--from-point", "70,41", "--overwrite")
        assert (code, err) == (0, "")
        assert out.splitlines()[2] == "  the streak at 70,41"
        assert ("before a viewer turns the picture" in out) is (turn != 1)
        found = read_kernel("a_kernel.npy").numpy()  # of the pixels as they are restored
        assert np.abs(found - turned[turn](k.numpy())).sum() < 0.1


def test_a_clipped_streak_gives_a_kernel_and_a_warning(kernel):
    k = psf.motion(9, 20)
    write_image("a.png", night(k, [(40, 70, 3 / k.max())]))
    code, _, err = kernel("a.png", "--from-point", "70,40")
    assert (code, files()) == (0, ["a.png", *FOUND])
    cure = "its streak is clipped, so the kernel is wrong; take a fainter one"
    assert err == f"deblur: the point 70,40: {cure}\n"


@pytest.mark.parametrize(
    ("out", "made"),
    [
        ("k.npy", ["k.npy", "k.png"]),
        ("new/k.png", ["new/k.npy", "new/k.png"]),
        ("there", ["there/a_kernel.npy", "there/a_kernel.png"]),
        ("new/", ["new/a_kernel.npy", "new/a_kernel.png"]),
    ],
)
def test_it_goes_where_it_is_said(kernel, out, made):
    blurred("a.png")
    Path("there").mkdir()
    assert kernel("a.png", "--size", 5, "-o", out)[0] == 0
    assert files() == sorted(["a.png", *made])
    before = contents()
    assert_refused(*kernel("a.png", "-o", out), f"{made[0]}: exists; --overwrite replaces it")
    assert contents() == before
    assert kernel("a.png", "--size", 3, "-o", out, "--overwrite")[0] == 0
    assert contents() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "--size", "30"], "--size must be odd and 3 or more, not 30"),
        (["a.png", "--size", "51"], "a.png: a kernel of 51 pixels needs a larger image than"),
        (["b.png"], "b.png: no such file"),
        (["a.txt"], "a.txt: not an image file that can be read"),
        (["a.png", "-o", "k.mat"], "k.mat: a kernel goes to NAME.npy, with NAME.png beside it"),
        (["a.png", "--from-point", "3"], "a point is two whole numbers such as 120,80, not '3'"),
        (["a.png", "--from-point", "-3,4"], "a point is two whole numbers"),
        (["a.png", "--from-point", "50,4"], "the point 50,4 is outside of the picture of 50 x 40"),
        (["a.png", "--from-point", "25,20"], "the point 25,20: nothing there is brighter than"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_made(kernel, arguments, message):
    Image.new("RGB", (50, 40), "#303030").save("a.png")
    Path("a.txt").write_text("none")
    before = contents()
    assert_refused(*kernel(*arguments), message)
    assert contents() == before


# ---- restoring


def test_restoring_writes_the_kernel_that_it_found_beside_each_result(deblur):
    Path("in").mkdir()
    y = blurred("in/a.png")
    code, out, err = deblur("in", *BLIND)
    assert (code, err) == (0, "")
    made = [f"a_kernel{suffix}" for suffix in (".npy", ".png")]
    assert files("in_deblurred") == ["a.png", *made]
    told = f"  its kernel: {', '.join(f'in_deblurred/{name}' for name in made)}"
    assert out.splitlines()[1] == told
    k, _ = classical.find_kernel(y, 9)
    assert torch.equal(read_kernel("in_deblurred/a_kernel.npy"), k[0])
    method = METHODS["blind-edges"].with_settings(size=9, iterations=3)
    assert np.array_equal(pixels("in_deblurred/a.png"), restore(pixels("in/a.png"), method))
    # the kernel's picture is none to be restored, wherever it is from
    assert deblur("in_deblurred", "-o", "more")[0] == 0
    assert files("more") == ["a.png"]
    assert told in deblur("in", *BLIND, "--overwrite", "--dry-run")[1]
    # one that is there is not replaced unasked
    Path("in_deblurred/a.png").unlink()
    before = contents()
    assert "in_deblurred/a_kernel.npy: exists; --overwrite" in deblur("in", *BLIND)[2]
    assert contents() == before
    # nor is one written over that of another picture
    picture("in/a.jpg", 40, 50)
    err = deblur("in", *BLIND, "-o", "out")[2]
    assert "in/a.png: a_kernel.npy would be written over what in/a.jpg was restored to" in err


def test_a_kernel_that_cannot_be_written_is_told_and_the_result_counts(deblur, monkeypatch):
    def fail(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoration.batch, "write_kernel", fail)
    blurred("a.png")
    code, _, err = deblur("a.png", *BLIND)
    assert (code, files()) == (2, ["a.png", "a_deblurred.png"])
    assert "a_deblurred.png is there, but" in err


def test_of_a_video_no_kernel_is_found_and_of_its_frames_one_each(deblur):
    save_video("clip.avi", pan(3), "MJPG")
    code, _, err = deblur("clip.avi", *BLIND)
    assert (code, files()) == (2, ["clip.avi"])
    assert re.fullmatch(r"deblur: clip\.avi: blind-edges finds the blur of one picture, .*\n", err)
    assert deblur("clip.avi", *BLIND, "--frames", "0,2")[0] == 0
    names = [f"clip-{n:06d}{end}" for n in (0, 2) for end in (".png", "_kernel.npy", "_kernel.png")]
    assert files("clip_deblurred") == sorted(names)


def test_what_cannot_be_used_is_one_sentence(deblur, command):
    picture("a.png", 40, 50)
    np.save("k.npy", np.ones((1, 1)))
    even = ("--method", "blind-edges", "--set", "size=30")
    assert_refused(*deblur("a.png", *even), "size must be an odd number, 3 to 99, not 30")
    assert_refused(*deblur("a.png", *BLIND, "--kernel", "k.npy"), "has no use for a kernel")
    assert "needs a larger image than 50 x 40" in command("kernel", "a.png", "--size", "41")[2]
    assert not os.path.lexists("a_deblurred.png")
    _, out, _ = command("methods")
    (row,) = [line for line in out.splitlines() if " blind-edges " in line]
    assert " found " in row
    assert "needs the kernel: no, it finds it" in command("methods", "blind-edges")[1]
