"""``deblur report``, ``publish``, ``data`` and ``pairs`` as a user meets them.

Their words, their exit codes, what they leave behind; and the sets ``video.write_pairs`` makes.
"""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_report import PARAMETERS, RECORD, write_chapter
from test_video import pan, save_frames, save_video

from deblurlib import data, files, images, video
from deblurlib.errors import InputError
from deblurlib.report import execute, keys, publish


@pytest.fixture
def deblur(tmp_path, monkeypatch, command):
    """Run the command in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLURLIB_DATA", "")
    monkeypatch.setattr(keys, "project_root", lambda: tmp_path)
    return command


def write_image(path, size=(9, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(array).save(path)


def contents(folder):
    """Every file and folder under one, with what it holds."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def assert_refused(deblur, tmp_path, arguments, message):
    """One sentence, exit code 2, and nothing is written."""
    before = contents(tmp_path)
    code, out, err = deblur(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("deblur: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert contents(tmp_path) == before


def test_help_names_the_commands(deblur):
    code, out, _ = deblur("--help")
    assert code == 0
    assert [name for name in ("report", "publish", "data") if name not in out] == []


# ---- report, publish


def test_report_runs_every_chapter_though_one_fails(deblur, tmp_path):
    for split in ("train", "test"):
        write_image(tmp_path / "mine/photos" / split / "a.png")
    write_chapter(tmp_path, PARAMETERS, "def f():\n    raise KeyError('lost')", "f()")
    second = RECORD.replace('chapter="01"', 'chapter="02"')
    second += "assert test.name == 'photos' and len(test) == 1"
    write_chapter(tmp_path, PARAMETERS, second, name="02_fine.ipynb")
    before = set(tmp_path.iterdir())
    options = ("--seed", 2, "-p", "profile=smoke", "--data", "mine/photos")
    code, out, _ = deblur("report", "--no-site", *options)
    assert code == 1
    assert "01_small.ipynb: cell 4 raised KeyError: 'lost'" in out
    assert "raise KeyError" in out  # the traceback
    failed, fine = [line for line in out.splitlines() if line.startswith("│ 0")]
    assert "failed" in failed
    assert "02_fine" in fine
    assert "ok" in fine
    assert set(tmp_path.iterdir()) - before == {tmp_path / "build"}
    made = tmp_path / "build"
    assert (made / "results" / "02_rows.csv.gz").exists()
    results = json.loads((made / "results" / "02.json").read_text("utf-8"))
    assert (results["profile"], results["stamp"]["seeds"]) == ("smoke", [2])
    assert str(tmp_path) not in (made / "chapters" / "02_fine.ipynb").read_text("utf-8")


def test_report_succeeds_where_no_chapter_fails(deblur, tmp_path):
    write_chapter(tmp_path, PARAMETERS, artefacts=())
    write_chapter(tmp_path, PARAMETERS, "1 / 0", name="02_failing.ipynb")
    code, out, _ = deblur("report", "01", "--no-site")
    assert code == 0, out


def test_publish_takes_the_pages_of_a_chapter_one_after_the_other(deblur, tmp_path, monkeypatch):
    done = []

    def executed(notebook, copy, parameters):
        done.append(("executed", notebook.stem))
        return execute.Execution(notebook, copy, 0.0)

    def publishes(what):
        return lambda page, root: done.append((what, getattr(page, "chapter", page))) or [root]

    for name in ("01_small", "01b_more", "02_other"):
        write_chapter(tmp_path, PARAMETERS, name=f"{name}.ipynb")
    monkeypatch.setattr(execute, "run_chapter", executed)
    monkeypatch.setattr(publish, "publish", publishes("published"))
    monkeypatch.setattr(publish, "replace_text", publishes("text"))
    assert deblur("publish", "01")[0] == 0
    first, second = ("01_small", "01"), ("01b_more", "01b")
    steps = ("executed", "published")
    assert done == [*zip(steps, first, strict=True), *zip(steps, second, strict=True)]
    done.clear()
    assert deblur("publish", "01b", "--text")[0] == 0
    assert done == [("text", tmp_path / "notebooks" / "01b_more.ipynb")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["publish", "01", "--text"], "no executed page 01 is published"),
        (["report", "09"], "there is no chapter '09'; there are: 01"),
        (["report", "--profile", "huge"], "profile 'huge' is none of"),
        (["report", "-p", "epochs=3"], "01_small.ipynb has no parameter 'epochs'"),
        (["report", "-p", "epochs"], "a parameter is given as KEY=VALUE, not 'epochs'"),
        (["report", "--data", "gopro"], "the data set 'gopro' is not here"),
        (["publish", "01", "--profile", "quick"], "profile 'quick' is not for publishing"),
        (["report", "--out", "text.txt"], "text.txt"),
        (["data", "empty"], "empty: no image in it"),
        (["data", "cut"], "a.png: damaged image file"),
        (["data", "altered"], "a.png: its checksum is wrong"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(deblur, tmp_path, arguments, message):
    write_chapter(tmp_path, PARAMETERS, RECORD)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    for name in ("altered", "cut"):
        write_image(tmp_path / name / "a.png")
    (tmp_path / "altered/SHA256SUMS").write_text("0" * 64 + "  a.png\n")
    whole = (tmp_path / "cut/a.png").read_bytes()
    (tmp_path / "cut/a.png").write_bytes(whole[: len(whole) // 2])
    assert_refused(deblur, tmp_path, arguments, message)


def test_a_full_disk_is_one_sentence(deblur, tmp_path, monkeypatch):
    write_chapter(tmp_path, PARAMETERS, RECORD)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "build/results/01.json")

    monkeypatch.setattr(execute, "run_chapter", full)
    code, _, err = deblur("report", "--no-site")
    assert (code, err) == (2, "deblur: build/results/01.json: No space left on device\n")


# ---- data


def test_data_describes_images_and_pairs(deblur, tmp_path):
    for scene in ("a", "b"):
        for side in ("blur", "sharp"):
            write_image(tmp_path / "set" / "test" / scene / side / "1.png")
    code, out, _ = deblur("data", "pairs=set")
    assert code == 0
    assert "pairs: 2 pairs, 2 scenes, all readable" in out
    assert "9 x 7" in out
    write_image(tmp_path / "set/more.png")
    for scene in ("a", "b"):
        (tmp_path / "set/test" / scene / "kernel").mkdir()
    (tmp_path / "set/test/a/kernel/1.txt").write_text("0.5 0 0.5")
    Image.new("L", (3, 3), 9).save(tmp_path / "set/test/b/kernel/1.png")  # no further image
    _, out, err = deblur("data", "set")
    assert err.startswith("deblur: test/b/kernel/1.png: its sum was ")
    assert "2 pairs (2 with kernels), 2 scenes" in out
    assert "images beside the pairs, which were not read: 1\n" in out
    (tmp_path / "set/test/a/kernel/1.txt").write_text("junk")
    assert_refused(deblur, tmp_path, ["data", "set"], "a/kernel/1.txt: line 1 is not a row of")
    assert "sample: 7 images, 7 scenes" in deblur("data", "sample")[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(deblur, tmp_path):
    write_image(tmp_path / "set/a.png")
    (tmp_path / "set/a.png").chmod(0)
    code, _, err = deblur("data", "set")
    assert code == 2
    assert "a.png: cannot be read (Permission denied)" in err


# ---- pairs of a video


@pytest.mark.parametrize("average", ["light", "encoded"])
def test_what_is_written_is_read_as_a_set_of_pairs_and_not_written_over(
    tmp_path, monkeypatch, average
):
    frames, told, out = pan(12, 2), [], tmp_path / "new" / "set"
    monkeypatch.chdir(save_frames(tmp_path / "cl.1", frames))  # the dot stays
    target = video.write_pairs(".", out / "train", 5, average, 3, told.append)
    assert target == out / "train" / "cl.1"
    pairs = data.open_pairs(str(out), "train")
    assert pairs.scenes == ("train/cl.1",) * 3
    assert pairs.names == [f"train/cl.1/sharp/{i:06d}.png" for i in (2, 5, 8)]
    assert len([p for p in out.rglob("*") if p.is_file()]) == 7  # with frames.csv
    expected = list(video.pairs(iter(frames), 5, average, 3))
    assert [pair.frames for pair in told] == [pair.frames for pair in expected]
    for (y, x), pair in zip(pairs, expected, strict=True):
        assert torch.equal(y, images.quantise(pair.y))
        assert torch.equal(x, pair.x)
    with (target / "frames.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["stem", "first", "last", "average", "motion_px"]
    assert [row[:4] for row in rows] == [
        [f"{i + 2:06d}", str(i), str(i + 4), average] for i in (0, 3, 6)
    ]
    assert [float(row[4]) for row in rows] == [round(pair.motion, 2) for pair in expected]

    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"train/cl\.1: exists already"):
        video.write_pairs(tmp_path / "cl.1", out / "train", 7)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("there", ["nothing", "a folder", "a file"])
@pytest.mark.parametrize("error", [InputError, OSError, KeyboardInterrupt])
def test_what_stops_it_leaves_nothing_behind(tmp_path, monkeypatch, there, error):
    uneven = pan(1, height=50) if error is InputError else []
    source = save_frames(tmp_path / "clip", [*pan(9), *uneven])
    out, write, calls = tmp_path / "out", files.write_image, []
    if there != "nothing":
        out.mkdir()
    if there == "a file":
        (out / "kept.txt").write_text("kept")

    def write_some(path, x):
        calls.append(path)
        if len(calls) == 3 and error is not InputError:
            raise error
        write(path, x)

    monkeypatch.setattr(files, "write_image", write_some)
    before = contents(tmp_path)
    with pytest.raises(error):
        video.write_pairs(source, out / "a" / "b" if there == "nothing" else out, 3)
    assert len(calls) >= 3
    assert contents(tmp_path) == before


def test_what_another_has_put_into_the_folder_meanwhile_stays(tmp_path):
    def stop(pair):
        (tmp_path / "out" / "other.txt").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        video.write_pairs(save_frames(tmp_path / "clip", pan(9)), tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "other.txt"]


def test_fast_motion_is_made_all_the_same_with_a_warning_of_ghosts(deblur, tmp_path):
    moved = pan(25, 1, 96, 128)
    frames = [moved[i] for i in (0, 1, 2, 3, 4, 8, 12, 18, 24)]  # steps of 1, 4 and 6 pixels
    save_frames(tmp_path / "clip", frames)
    options = ("--window", 3, "--stride", 2, "--average", "encoded")
    code, out, err = deblur("pairs", "clip", "-o", tmp_path / "set", *options)
    assert code == 0
    assert out == f"{Path('set/clip')}: 4 pairs of 3 frames, average of encoded\n"
    assert err.startswith("warning: in 2 of 4 pairs, things move more than 2 pixels")
    assert "(up to 6)" in err
    assert len(err.splitlines()) == 1
    assert len(data.open_pairs(str(tmp_path / "set"))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4"], "nowhere.mp4: no such file or folder"),
        (["clip", "--average", "mean"], "average 'mean' is none of "),
        (["clip"], "a window of 7 frames does not fit into 5"),
        (["clip", "--window", 3, "--out", "text.mp4"], "text.mp4"),
    ],
)
def test_what_makes_no_pairs_is_one_sentence_and_no_file(deblur, tmp_path, arguments, message):
    save_frames(tmp_path / "clip", pan(5))
    (tmp_path / "text.mp4").write_text("no video")
    out = () if "--out" in arguments else ("--out", "set")
    assert_refused(deblur, tmp_path, ["pairs", *arguments, *out], message)


APART = """
import sys
from deblurlib.cli import main
for name in sys.argv[1:]:
    sys.argv = ["deblur", "pairs", name, "--out", "set"]
    try:
        main()
    except SystemExit as stop:
        print(name, stop.code)
"""


def test_of_videos_bad_and_good_one_sentence_is_said(tmp_path, save_picture):
    """In a process of its own, with all that OpenCV prints from its first video on."""
    said = {
        "text.avi": "text.avi: not a video that can be read",
        "cut.mp4": "cut.mp4: not a video that can be read",
        "cut.avi": "cut.avi: damaged or cut short: ",
        "photo_001.png": "photo_001.png: a picture, not a video",
        "picture_001.mp4": "picture_001.mp4: a picture, not a video",
    }
    (tmp_path / "text.avi").write_bytes(b"no video\n" * 1000)
    for name, code in (("cut.mp4", "mp4v"), ("cut.avi", "MJPG")):
        path = save_video(tmp_path / name, pan(60), code)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for number in range(9):
        save_picture(tmp_path / f"photo_{number:03d}.png", height=48, width=64)
    shutil.copy(tmp_path / "photo_001.png", tmp_path / "picture_001.mp4")
    save_frames(tmp_path / "clip", pan(22))
    before = set(tmp_path.iterdir())
    command = [sys.executable, "-c", APART, *said, "clip"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    for line, message in zip(done.stderr.splitlines(), said.values(), strict=True):
        assert line.startswith("deblur: ")
        assert message in line
    *codes, line, last = done.stdout.splitlines()
    assert codes == [f"{name} 2" for name in said]
    assert line == f"{Path('set/clip')}: 3 pairs of 7 frames, average of light"
    assert last == "clip 0"
    assert set(tmp_path.iterdir()) - before == {tmp_path / "set"}
    assert len(data.open_pairs(str(tmp_path / "set"))) == 3


def test_one_chapter_at_a_time_is_trained_from_the_beginning(deblur, monkeypatch):
    monkeypatch.setattr(execute, "find_chapters", lambda *_: ["01", "02"])
    monkeypatch.setattr("deblurlib.report.state.published", lambda *_: object())
    code, _, err = deblur("confirm", "--whole", "1")
    assert code == 2
    assert "one published chapter" in err
