"""``deblur restore``: where results go if nobody says, what is left alone, and what can be set."""

import os
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import test_cli_restore
import torch
from PIL import Image
from test_cli_engine import assert_refused
from test_cli_restore import files, picture, pixels, sharpened
from test_comparison import Page
from test_video import pan, save_frames, save_video

from deblurlib import machine, models, restoration
from deblurlib.cli import watching
from deblurlib.errors import InputError, InputWarning
from deblurlib.files import Photo, read_photo, write_photo
from deblurlib.restoration import METHODS, WITH_KERNEL, Request, Step, find_method, restore, tiles

deblur = test_cli_restore.deblur  # the fixture


def contents():
    """All files here, and what they hold."""
    return {name: Path(name).read_bytes() for name in files()}


def test_without_an_output_a_result_lies_beside_what_it_was_made_of(deblur):
    arrays = {name: picture(name) for name in ("a.png", "b.TIF", "in/c.png", "in/d/e.png")}
    assert deblur("a.png", "*.TIF", "in", "--strength", 1)[0] == 0
    made = ["a_deblurred.png", "b_deblurred.TIF", "in_deblurred/c.png", "in_deblurred/d/e.png"]
    assert files() == sorted([*arrays, *made])
    for name, array in zip(made, arrays.values(), strict=True):
        assert np.array_equal(pixels(name), sharpened(array))


@pytest.mark.parametrize("given", [".", "*.png", "shell"])
def test_results_of_an_earlier_run_are_no_pictures_to_restore(deblur, given):
    for name in ("a.png", "lone_deblurred.png"):  # of the second there is no original
        picture(name)
    assert deblur("a.png", "--compare")[0] == 0
    assert deblur("lone_deblurred.png")[0] == 0
    names = sorted(str(p) for p in Path().glob("*.png")) if given == "shell" else [given]
    code, out, err = deblur(*names, "-o", "out")
    assert (code, err) == (0, "")
    assert files("out") == ["a.png", "lone_deblurred.png"]
    count = 4 if given == "." else 2  # the comparison is no .png
    assert out.splitlines()[-1].endswith(f"; passed over: {count} from an earlier run")
    # one that is asked for by its name alone is restored
    assert deblur("a_deblurred.png")[1].startswith("a_deblurred_deblurred.png  ")


def test_a_result_of_a_folder_is_not_restored_with_the_folders_above(deblur, monkeypatch):
    picture("top/in/a.png")
    assert deblur("top/in")[0] == 0
    assert deblur("top", "-o", "out")[0] == 0
    assert files("out") == ["in/a.png"]
    monkeypatch.chdir("top/in")
    code, out, _ = deblur(".", "--overwrite")
    assert code == 0
    assert out.splitlines()[0].partition("  ")[0] == str(Path.cwd().parent / "in_deblurred/a.png")


@pytest.mark.parametrize("more", [(), ("-o", "out"), ("-o", "b.jpg")])
def test_a_result_that_is_there_stays_unless_it_is_said(deblur, more):
    picture("a.png")
    assert deblur("a.png", *more, "--method", "identity")[0] == 0
    before = contents()
    code, _, err = deblur("a.png", *more)
    assert code == 2
    assert re.fullmatch(
        r"deblur: \S+: exists; --overwrite replaces it, --skip-existing leaves it\n", err
    )
    code, out, err = deblur("a.png", *more, "--skip-existing")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith("  exists: skipped")
    assert out.splitlines()[1].endswith(", 1 skipped")
    assert contents() == before
    assert deblur("a.png", *more, "--overwrite")[0] == 0
    assert contents() != before
    assert contents().keys() == before.keys()


def test_what_is_skipped_stops_no_other_and_a_comparison_is_not_replaced(deblur):
    for name in ("a.png", "b.png"):
        picture(f"in/{name}")
    picture("out/a.png", seed=1)
    Path("out/b_compare.jpg").write_text("mine")
    before = contents()
    code, _, err = deblur("in", "-o", "out", "--skip-existing", "--compare")
    assert code == 2
    assert "out/b_compare.jpg: exists" in err
    assert contents() == before
    assert deblur("in", "-o", "out", "--skip-existing")[0] == 0
    assert contents().keys() == before.keys() | {"out/b.png"}


def test_a_dry_run_finds_the_same_faults_and_writes_nothing(deblur):
    for name in ("a.png", "b/c.jpg", "x.png"):
        picture(f"in/{name}")
    Path("in/bad.png").write_text("no image")
    picture("out/x.png")
    before = contents()
    planned = deblur("in", "-o", "out", "--dry-run", "--size", 20)
    assert contents() == before
    done = deblur("in", "-o", "out", "--size", 20)
    assert planned[0] == done[0] == 2
    assert planned[2] == done[2]
    assert "2 would be restored by unsharp-mask on cpu, 2 not" in planned[1]
    told = [out.splitlines()[0].partition("  ")[0] for _, out, _ in (planned, done)]
    assert told == ["out/a.png"] * 2
    assert files("out") == ["a.png", "b/c.jpg", "x.png"]


@pytest.mark.parametrize("way", ["a file", "no folder in the way"])
def test_a_place_that_takes_no_file_is_found_before_the_work(deblur, monkeypatch, way):
    picture("a.png")
    Path("out").write_text(way)
    monkeypatch.setattr(restoration.batch, "restore", pytest.fail)
    for options in ((), ("--dry-run",)):
        code, _, err = deblur("a.png", "-o", "out/deep/b.png", *options)
        assert code == 2
        assert "out is no folder" in err


def test_a_name_that_is_empty_is_no_folder_and_one_named_twice_is_done_once(deblur):
    picture("a.png")
    assert deblur("", "--method", "identity")[0] == 2
    code, out, err = deblur("a.png", "*.png", "-o", "out")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("1 restored")


def test_a_pattern_matches_names_in_any_case_and_heic_is_named(deblur):
    picture("in/IMG_1.JPG")
    Path("in/IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert deblur("in/img*.jpg", "-o", "out")[0] == 0
    assert files("out") == ["IMG_1.JPG"]
    for given in ("in/IMG_2.HEIC", "in/IMG_3.jpg"):
        Path("in/IMG_3.jpg").write_bytes(Path("in/IMG_2.HEIC").read_bytes())
        code, _, err = deblur(given)
        assert code == 2
        assert (
            err == f"deblur: {given}: HEIC or AVIF cannot be read; save it as JPEG or PNG first\n"
        )


def test_who_stops_it_is_told_how_it_goes_on(deblur, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(restoration.batch, "restore", stop)
    picture("a.png")
    code, _, err = deblur("a.png")
    assert code == 130
    assert err == "deblur: stopped; nothing was written\n"
    assert files() == ["a.png"]
    picture("b.png")
    photos, whole = iter([0]), restore
    monkeypatch.setattr(
        restoration.batch, "restore", lambda *given: whole(*given) if [*photos] else stop()
    )
    code, _, err = deblur("a.png", "b.png", "-o", "out")
    assert code == 130
    assert err == "deblur: stopped; with --skip-existing the same command goes on\n"
    assert files() == ["a.png", "b.png", "out/a.png"]


def test_what_deblur_suggest_names_is_an_earlier_result(deblur):
    for name in ("a.png", "a_deblurred_blind-edges.png", "a_deblurred_small.png"):
        picture(name)
    code, out, _ = deblur(".", "-o", "out")
    assert (code, files("out")) == (0, ["a.png"])
    assert "passed over: 2 from an earlier run" in out


def test_a_folder_above_may_take_the_results(deblur):
    picture("sub/a.png")
    assert deblur("sub", "-o", ".")[0] == 0
    assert files() == ["a.png", "sub/a.png"]


def test_in_python_paths_may_be_given_in_every_form(tmp_path):
    picture(tmp_path / "a.png")
    request = Request(METHODS["identity"], existing="overwrite")
    for given in (str(tmp_path / "a.png"), tmp_path / "a.png", [tmp_path / "a.png"]):
        (outcome,) = restoration.restore_files(given, request, str(tmp_path / "out"))
        assert (outcome.error, outcome.target) == (None, tmp_path / "out" / "a.png")
    with pytest.raises(InputError, match="existing 'Skip' is none of refuse, overwrite, skip"):
        Request(METHODS["identity"], existing="Skip")


# ---- smaller copies


def test_what_cannot_be_seen_does_not_shine_through_a_smaller_copy(deblur):
    array = np.zeros((2, 2, 4), np.uint8)
    array[0, 0] = 255
    Image.fromarray(array).save("a.png")
    assert deblur("a.png", "--size", 1, "--method", "identity", "-o", "b.png")[0] == 0
    assert pixels("b.png").tolist() == [[[255, 255, 255, 64]]]


def test_a_damaged_word_on_the_size_hinders_no_smaller_copy(deblur):
    write_photo("a.png", Photo(picture("x.png"), words={b"pHYs": b"0123456789"}))
    assert deblur("a.png", "--size", 10)[0] == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_smaller_copy_is_restored_and_what_the_file_says_of_its_size_fits(deblur, name, deep):
    kind = np.uint16 if deep else np.uint8
    array = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (40, 60, 3), kind)
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA002: 60, 0xA003: 40})
    words = {b"pHYs": bytes.fromhex("00000be0 00000be0 01")}
    write_photo(name, Photo(array, exif.tobytes(), b"", words, (300.0, 150.0, 2)))
    code, out, err = deblur(name, "--size", 30, "-o", f"out/{name}")
    assert (code, err) == (0, "")
    assert f"out/{name}  30 x 20, reduced from 60 x 40  " in out
    small = read_photo(f"out/{name}")
    assert small.pixels.shape == (20, 30, 3)
    before = read_photo(name)
    assert small.pixels.dtype == before.pixels.dtype
    about = Image.Exif()
    about.load(small.exif or None)
    if name != "a.tif":  # which keeps of EXIF what is in words
        assert dict(about.get_ifd(0x8769)) == {0xA002: 30, 0xA003: 20}
    else:
        assert [float(n) for n in small.resolution] == [150, 75, 2]
    if name == "a.png":
        assert small.words[b"pHYs"] == bytes.fromhex("000005f0 000005f0 01")
    # no copy is larger than its original
    deblur(name, "--size", 500, "-o", f"same/{name}")
    assert read_photo(f"same/{name}").pixels.shape == (40, 60, 3)


def test_a_smaller_copy_holds_the_means_of_the_large_one_s_areas(deblur):
    array = picture("a.png", 40, 60)
    deblur("a.png", "--size", 15, "--method", "identity", "-o", "b.png")
    means = array.reshape(10, 4, 15, 4, 3).mean((1, 3))
    assert np.abs(pixels("b.png") - means).max() <= 0.51


# ---- the method, its settings, its strength


def test_settings_are_those_of_the_method_and_may_be_given_as_text_or_numbers(deblur, rand):
    array = picture("a.png")
    assert deblur("a.png", "-o", "b.png", "--set", "amount=3", "--set", "sigma=0.5")[0] == 0
    changed = METHODS["unsharp-mask"].with_settings(amount="3", sigma=0.5)
    assert changed.with_strength(0.5).title == "unsharp-mask, sigma=0.5, amount=3.0, strength 0.5"
    assert np.array_equal(pixels("b.png"), restore(array, changed))
    assert not np.array_equal(pixels("b.png"), sharpened(array))
    # what was measured with other settings is not claimed of these
    assert changed.receptive_field is None
    assert METHODS["richardson-lucy"].with_settings(iterations=9).tiled_psnr is None
    assert METHODS["unsharp-mask"].with_settings(amount=2).receptive_field == 13
    assert METHODS["unsharp-mask"].with_settings(amount=1.0) == METHODS["unsharp-mask"]
    y, k = rand(1, 3, 64, 64), torch.full((3, 3), 1 / 9)
    for method in METHODS.values():
        for name, setting in method.settings.items():
            if not setting.choices:
                other = min(2 * setting.value + 1, setting.most)
                value = type(setting.value)(other)
                assert not torch.equal(method.with_settings(**{name: value})(y, k), method(y, k))


def test_half_the_strength_is_half_way(deblur, rand):
    y = rand(1, 3, 20, 30)
    method = METHODS["unsharp-mask"]
    half, full = method.with_strength(0.5)(y), method(y).clamp(0, 1)
    torch.testing.assert_close(half, (y + full) / 2)
    array = picture("a.png")
    assert deblur("a.png", "-o", "b.png", "--strength", 0)[0] == 0
    assert np.array_equal(pixels("b.png"), array)


def test_in_bf16_a_network_rounds_what_it_adds_and_not_the_picture(deblur, rand, monkeypatch):
    monkeypatch.setattr(machine, "computes_bf16", lambda device: True)
    torch.manual_seed(0)
    srn = models.SRN(width=4, scales=1, residual=True).eval()
    torch.nn.init.normal_(srn.outblock[-1].weight, std=0.02)
    method = restoration.of_model("net", srn, "a small network")
    y = rand(1, 3, 32, 48)
    exact, rounded = method(y), method.with_precision("bf16")(y)
    assert rounded.dtype == torch.float32
    change = (exact - y).abs().mean()
    assert 0 < (rounded - exact).abs().mean() < 0.02 * change
    torch.nn.init.zeros_(srn.outblock[-1].weight)  # it adds nothing
    assert torch.equal(method.with_precision("bf16")(y), y)
    assert method.with_precision("32") is method
    monkeypatch.setattr(machine, "computes_bf16", lambda device: False)
    with pytest.warns(InputWarning, match="many times as long"):
        method.with_precision("bf16")
    picture("a.png")
    for wrong, why in (("16", "'16' is none of 32, bf16"), ("bf16", "is no network")):
        code, _, err = deblur("a.png", "--precision", wrong)
        assert (code, why in err, files()) == (2, True, ["a.png"])


def test_for_a_kernel_the_method_that_was_best_is_taken_and_named(deblur, command):
    array = picture("a.png")
    k = torch.full((3, 3), 1 / 9)
    np.save("k.npy", k.numpy())
    code, out, err = command("restore", "a.png", "--kernel", "k.npy")
    assert code == 0
    assert err.startswith(f"deblur: a kernel is given, and used by {WITH_KERNEL}, the best")
    assert out.splitlines()[-1].startswith(f"1 restored by {WITH_KERNEL} on cpu")
    assert np.array_equal(pixels("a_deblurred.png"), restore(array, WITH_KERNEL, k))


def test_a_method_is_shown_with_its_settings(command):
    for name in METHODS:
        code, out, _ = command("methods", name)
        assert code == 0
        for setting, about in METHODS[name].settings.items():
            (row,) = [line for line in out.splitlines() if line.startswith(f"│ {setting} ")]
            assert f" {about.value} " in row
    assert_refused(*command("methods", "wiener", "--runs"), "give either a method's name or --runs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "iterations=20"], "unsharp-mask has no setting 'iterations'; it has sigma"),
        (["--method", "identity", "--set", "a=1"], "identity has no setting 'a'; it has none"),
        (["--set", "amount"], "--set amount: is not NAME=VALUE"),
        (["--set", "amount=1", "--set", "amount=2"], "--set amount=2: is set twice"),
        (["--set", "amount=much"], "amount must be a number, 0 or more, not 'much'"),
        (["--set", "amount=nan"], "amount must be a number, 0 or more, not nan"),
        (["--set", "amount=inf"], "amount must be a number, 0 or more, not inf"),
        (["--set", "amount=-1"], "amount must be a number, 0 or more, not -1"),
        (["--method", "blind-richardson-lucy", "--set", "size=3.5"], "size must be a whole number"),
        (["--method", "blind-richardson-lucy", "--set", "size=1"], "number, 3 to 99, not 1"),
        (["--strength", "1.5"], "the strength must be a number in 0..1, not 1.5"),
        (["--strength", "nan"], "the strength must be a number in 0..1, not nan"),
        (["--size", "0"], "--size needs 1 pixel or more, not 0"),
        (["--size", "9", "--kernel", "k.npy"], "--size and --kernel exclude each other"),
        (["--overwrite", "--skip-existing"], "--overwrite and --skip-existing exclude each other"),
    ],
)
def test_what_cannot_be_set_is_one_sentence_and_nothing_is_made(deblur, arguments, message):
    picture("a.png")
    assert_refused(*deblur("a.png", "-o", "out", *arguments), message)
    assert files() == ["a.png"]


def test_words_are_set_among_those_that_there_are(rand):
    tikhonov, y = find_method("tikhonov"), rand(1, 1, 20, 20)
    k = torch.full((3, 3), 1 / 9)
    assert not torch.equal(tikhonov.with_settings(penalty="laplacian")(y, k), tikhonov(y, k))
    with pytest.raises(ValueError, match="penalty 'slope' is none of values, gradient, laplacian"):
        tikhonov.with_settings(penalty="slope")
    with pytest.raises(
        ValueError, match=r"iterations must be a whole number, 1 to 10000, not 2\.5"
    ):
        find_method("richardson-lucy").with_settings(iterations=2.5)


# ---- how long, and how far


def step(share, seconds, size=(4000, 3000), number=1, count=1):
    return Step("holiday.jpg", number, count, size, share, seconds)


def test_the_time_of_all_is_told_from_that_of_the_first_part():
    request = Request(METHODS["unsharp-mask"])
    told = watching.announcement(step(0.1, 36), request)
    works = [tiles.work(size, request.method) for size in ((1200, 1600), (3000, 4000))]
    small = watching.about(360 * works[0] / works[1])
    assert told == (
        "holiday.jpg: 12 megapixels: about 6 minutes on this processor; "
        f"--size 1600 takes {small}, for longer blur"
    )
    assert watching.announcement(step(0.5, 10, (900, 800)), request) == (
        "holiday.jpg: 0.72 megapixels: about 20 s on this processor"
    )
    many = watching.announcement(step(0.1, 36, (900, 800), 3, 22), request)
    assert many.endswith("about 6 minutes on this processor; 20 like it: about 2 hours")
    whole = watching.announcement(step(1, 9, (900, 800), 1, 21), request)
    assert whole.endswith("about 9 s on this processor; 20 more like it: about 3 minutes")
    assert "this GPU" in watching.announcement(step(0.1, 36), Request(METHODS["identity"], "cuda"))
    with_kernel = Request(METHODS["wiener"], kernel=torch.ones(1, 1))
    assert "--size" not in watching.announcement(step(0.1, 36), with_kernel)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (9, "9 s"), (42, "40 s"), (100, "2 minutes"), (5000, "83 minutes")],
)
def test_times_are_as_exact_as_they_are_known(seconds, words):
    assert watching.about(seconds) == f"about {words}"


def test_where_there_is_no_terminal_a_line_is_said_now_and_then(monkeypatch, capfd):
    said, told = [], threading.Event()

    def line(*given):
        said.append(given[0])
        told.set()
        return "a line"

    monkeypatch.setattr(watching, "line", line)
    monkeypatch.setattr(watching, "EVERY", 0.01)
    request = Request(METHODS["identity"])
    with watching.watching(request) as watch:
        for one in (step(0, 0), step(0.25, 20), step(0.5, 40)):
            watch(one)
            told.clear()
            assert told.wait(60)  # also while nothing happens
        watch(step(1, 80))
    assert {one.share for one in said} == {0, 0.25, 0.5}
    lines = capfd.readouterr().err.splitlines()
    assert lines.count(watching.announcement(step(0.25, 20), request)) == 1
    assert set(lines) == {"a line", watching.announcement(step(0.25, 20), request)}


def test_a_line_says_where_the_work_is_and_how_long_it_still_takes():
    assert watching.line(step(0, 0)) == "holiday.jpg: begun"
    assert watching.line(step(0.25, 20)) == "holiday.jpg: 25%, about 60 s left"
    assert watching.line(step(0.25, 20), 20) == "holiday.jpg: 25%, about 40 s left"


def test_what_is_soon_done_is_not_talked_about(deblur):
    picture("a.png", 300, 300)
    code, _, err = deblur("a.png", "--tile", 64)
    assert (code, err) == (0, "")


def test_on_a_terminal_a_bar_follows_the_tiles(monkeypatch):
    shown = []
    monkeypatch.setattr("rich.progress.Progress.update", lambda *_, **more: shown.append(more))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with watching.watching(Request(METHODS["identity"])) as watch:
        watch(step(0.5, 4, number=2, count=3))
    assert shown == [
        {"completed": 0.5, "description": "holiday.jpg (2 of 3)", "left": "about 4 s left"}
    ]


def test_steps_tell_the_picture_and_its_share_by_area(deblur):
    from deblurlib.restoration import restore_files

    picture("in/a.png", 61, 90)
    picture("in/b.png", 10, 10)
    Path("in/c.png").write_text("no image")
    steps = []
    request = Request(METHODS["unsharp-mask"], tile=24)
    list(restore_files(["in"], request, Path("out"), steps.append))
    assert {(s.picture, s.number, s.count, s.size) for s in steps} == {
        ("a.png", 1, 3, (90, 61)),
        ("b.png", 2, 3, (10, 10)),
    }
    shares = [s.share for s in steps if s.number == 1]
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0, 1)
    first = 24 * 24 / tiles.work((61, 90), request.method, 24)
    assert shares[1] == pytest.approx(first)


# ---- before and after


def test_a_comparison_is_written_beside_each_result(deblur):
    picture("in/a.png", 60, 80)
    code, out, _ = deblur("in", "--compare")
    assert code == 0
    told = ", ".join(f"in_deblurred/a_compare.{kind}" for kind in ("jpg", "html"))
    assert out.splitlines()[1] == f"  before and after: {told}"
    names = ["a.png", "a_compare.html", "a_compare.jpg"]
    assert files("in_deblurred") == names
    shown = Page(Path("in_deblurred/a_compare.html")).pictures()
    shown = [np.asarray(one).astype(int) for one in shown]
    names = ("in/a.png", "in_deblurred/a.png")
    near = [[np.abs(one - pixels(name)).mean() for name in names] for one in shown]
    assert [line.index(min(line)) for line in near] == [0, 1]
    # what a comparison was, is none to be restored
    assert deblur("in_deblurred", "-o", "more")[0] == 0
    assert files("more") == ["a.png"]
    # nor is one written over that of another picture
    picture("in/a.jpg", 60, 80)
    code, _, err = deblur("in", "-o", "out", "--compare", "--overwrite")
    assert code == 2
    told = "in/a.png: a_compare.jpg would be written over what in/a.jpg was restored to"
    assert err == f"deblur: {told}\n"


def test_a_result_whose_comparison_fails_is_there_and_counts(deblur, monkeypatch):
    def fail(*given):
        raise InputError("no comparison")

    monkeypatch.setattr(restoration.batch, "write_comparison", fail)
    for name in ("a/x.png", "b/x.png"):
        picture(name)
    code, _, err = deblur("a/x.png", "b/x.png", "-o", "out", "--compare")
    assert code == 2
    assert "out/x.png is there, but no comparison" in err
    assert "b/x.png: would be written over" in err
    assert files("out") == ["x.png"]


def test_a_map_of_trust_is_written_beside_each_result_and_told(deblur, monkeypatch):
    picture("in/a.png", 90, 96)
    code, out, _ = deblur("in", "--trust", "--compare")
    assert code == 0
    _, compared, told = out.splitlines()[:3]
    assert "a_compare.jpg" in compared
    assert re.fullmatch(
        r"  0\.0% of the \d+% that could be checked contradict the picture: "
        r"in_deblurred/a_trust\.png",
        told,
    )
    assert "a_trust.png" in files("in_deblurred")
    assert (
        "  a map of trust: out/a_trust.png" in deblur("in", "-o", "out", "--trust", "--dry-run")[1]
    )
    # a map is none to be restored, whatever the case of its picture's suffix
    picture("far/IMG.JPG", 90, 96)
    assert deblur("far/IMG.JPG", "--trust")[0] == 0
    assert "; passed over: 2 from an earlier run" in deblur("far", "-o", "again")[1]
    # one that is there is not replaced unasked
    assert deblur("in_deblurred", "-o", "more")[0] == 0
    assert files("more") == ["a.png"]
    Path("in_deblurred/a.png").unlink()
    assert "in_deblurred/a_trust.png: exists" in deblur("in", "--trust")[2]

    def fail(*given):
        raise InputError("no map")

    monkeypatch.setattr(restoration.batch, "write_trust", fail)
    code, _, err = deblur("in", "-o", "out", "--trust")
    assert (code, files("out")) == (2, ["a.png"])
    assert "out/a.png is there, but no map" in err

    def fill(*given):
        raise MemoryError

    monkeypatch.setattr(restoration.batch, "write_trust", fill)
    code, _, err = deblur("in", "-o", "full", "--trust")
    assert (code, files("full")) == (2, ["a.png"])
    assert "full/a.png is there, but there was not enough memory" in err


def test_frames_go_into_a_folder_beside_the_video(deblur):
    save_video("clip.avi", pan(3), "MJPG")
    save_frames(Path("frames"), pan(3))
    for source in ("clip.avi", "frames"):
        assert deblur(source, "--frames", "0,2")[0] == 0
    assert deblur("clip.avi", "--frames", "2", "--skip-existing")[0] == 0
    assert deblur("clip.avi", "--frames", "1", "--dry-run")[0] == 0
    assert deblur("clip.avi", "--frames", "2")[0] == 2
    assert files("clip_deblurred") == ["clip-000000.png", "clip-000002.png"]
    assert files("frames_deblurred") == ["frames-000000.png", "frames-000002.png"]
    assert not os.path.exists("clip_deblurred.avi")
