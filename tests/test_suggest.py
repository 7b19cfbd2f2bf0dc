"""``deblur suggest``: what a photograph looks like, and which commands to try on it."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from deblurlib import degrade, images, psf, restoration
from deblurlib.data import open_images
from deblurlib.files import Photo, write_image
from deblurlib.restoration import Look, suggest, suggesting

LINE = Look((900, 600), 1, 3.0, 1.0, 4.0, 0.6, 30.0, 0.1, 0.001)
SPOT = replace(LINE, widest=3.0, mean=2.5, along=2.0, across=1.9, filled=0.9)
NONE = replace(SPOT, along=0.0, across=0.0, angle=0.0, filled=0.0)


def middle(number):
    """Of a photograph, ``(1, 3, 260, 260)``."""
    return images.centre_crop(open_images("sample", "test")[number], 260)[None]


@pytest.fixture(scope="module")
def sharp():
    return middle(2)


@pytest.fixture(scope="module")
def detailed():
    """One with edges in all directions, some of them not quite sharp."""
    return middle(0)


def blurred(x, k):
    return images.to_array(images.quantise(degrade.convolve(x, k))[0])


def programs(found):
    """The commands of a suggestion, as lists of words."""
    return [shlex.split(command) for command, _ in found.commands]


# ---- what is seen


def test_motion_is_told_from_a_lens_out_of_focus_and_its_direction_is_found(detailed):
    moved = suggest(Photo(blurred(detailed, psf.motion(13, 30))), "photo.png")
    assert moved.verdict == "moved"
    assert moved.look.angle == pytest.approx(30, abs=10)
    assert suggest(Photo(blurred(detailed, psf.disk(4))), "photo.png").verdict == "out of focus"


def test_a_sharp_photograph_is_left_alone(sharp):
    found = suggest(Photo(images.to_array(sharp[0])), "photo.png")
    assert (found.verdict, found.commands) == ("sharp", ())


def test_noise_is_measured_whether_the_picture_is_blurred_or_not(sharp):
    for k in (torch.ones(1, 1), psf.disk(4)):
        y = degrade.add_noise(degrade.convolve(sharp, k), 0.03, 0, [0])
        noise = suggesting.noise_of(images.to_array(images.quantise(y)[0]))
        assert noise == pytest.approx(0.03, rel=0.15)


def test_of_a_large_photograph_a_smaller_copy_is_looked_at(detailed, monkeypatch):
    monkeypatch.setattr(suggesting, "LARGE", 200)
    monkeypatch.setattr(suggesting, "_kernel", lambda part: {"along": part.shape[-1]})
    look = suggesting.look_at(blurred(detailed, psf.disk(7)))
    assert (look.size, look.times, look.along) == ((260, 260), 2, 130)


@pytest.mark.parametrize("shape", [(1, 1), (9, 40, 2), (40, 50), (30, 60, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_and_kind_gets_a_verdict(shape, kind):
    found = suggest(Photo(np.full(shape, 99, kind)), "photo.png")
    assert found.verdict == "unclear"  # there is nothing to see


def test_alpha_is_not_looked_at(detailed, monkeypatch):
    monkeypatch.setattr(suggesting, "_kernel", lambda part: {"along": float(part.sum())})
    y = blurred(detailed[..., :80, :80], psf.motion(13, 30))
    alpha = np.random.default_rng(0).integers(0, 256, (*y.shape[:2], 1), np.uint8)
    with_alpha = suggesting.look_at(np.concatenate([y, alpha], -1))
    assert with_alpha == suggesting.look_at(y)


# ---- the verdict


def test_clues_that_contradict_each_other_and_none_are_unclear():
    assert suggesting.judge(SPOT) == "out of focus"
    assert suggesting.judge(replace(SPOT, widest=5.0)) == "unclear"
    assert suggesting.judge(replace(SPOT, filled=0.2)) == "unclear"
    assert suggesting.judge(NONE) == "unclear"
    assert suggesting.judge(replace(NONE, widest=5.0)) == "moved"
    assert suggesting.judge(LINE) == "moved"


def test_noise_takes_the_word_from_the_edges_and_not_from_the_kernel():
    noisy = {"noise": 0.03}
    assert suggesting.judge(replace(NONE, widest=5.0, **noisy)) == "unclear"
    assert suggesting.judge(replace(LINE, **noisy)) == "moved"
    assert suggesting.judge(replace(NONE, widest=0.8, mean=0.0, **noisy)) == "noisy"


# ---- the commands


@pytest.mark.parametrize("look", [LINE, SPOT, NONE, replace(LINE, times=4, size=(4000, 3000))])
def test_every_command_is_one_and_can_follow_the_others(look, sharp, command, tmp_path):
    path = tmp_path / "a photo.png"
    write_image(path, sharp[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suggesting, "look_at", lambda pixels: look)
        tried = programs(suggest(Photo(images.to_array(sharp[0])), str(path)))
    targets = set()
    for program, *words in tried:
        code, out, err = command(*words, "--dry-run", "--even-if-sharp")
        assert (program, code) == ("deblur", 0), err
        targets.add(out.split("  ")[0])
    assert len(targets) == len(tried) > 1


def test_of_long_blur_a_copy_is_proposed_in_which_it_is_short():
    look = replace(LINE, times=4, size=(4000, 3000))
    side = suggesting.smaller_side(look)
    length = suggesting.LINE * look.along * look.times
    assert 0.7 * suggesting.REACH < length * side / 4000 <= suggesting.REACH
    assert suggesting.smaller_side(LINE) is None


# ---- the command


def test_json_stands_alone_and_what_cannot_be_read_ends_with_2(command, tmp_path, sharp):
    photo, bad = tmp_path / "photo.png", tmp_path / "bad.jpg"
    write_image(photo, sharp[0])
    bad.write_text("no picture")
    code, out, err = command("suggest", bad, photo, "--json", "-")
    told = json.loads(out)
    assert (code, told["photo"], told["verdict"]) == (2, str(photo), "sharp")
    assert err.startswith(f"deblur: {bad}: ")
    assert len(err.splitlines()) == 1
    code, out, err = command("suggest", photo)
    assert (code, err) == (0, "")
    assert "a guess" in out
    assert sorted(tmp_path.iterdir()) == [bad, photo]


def test_it_is_a_function_of_the_library():
    assert restoration.suggest is suggest
