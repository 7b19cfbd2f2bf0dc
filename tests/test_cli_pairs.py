"""Sets of pairs written from videos, by the library and by the command ``deblur pairs``."""

import csv
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_video import pan, save_frames, save_video

from deblurlib import cli, data, files, images, video
from deblurlib.errors import InputError

ROOT = Path(__file__).parents[1]
CLIPS = ROOT.parent / "shared" / "data" / "clips"


def contents(folder):
    """Every file and folder under one, with what it holds."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.parametrize("average", ["light", "encoded"])
def test_what_is_written_is_read_as_a_set_of_pairs(tmp_path, average):
    frames, told = pan(12, 2), []
    source, out = save_frames(tmp_path / "clip", frames), tmp_path / "new" / "set"
    target = video.write_pairs(source, out / "train", 5, average, 3, told.append)
    assert target == out / "train" / "clip"
    assert sorted(p.name for p in out.rglob("*")) == sorted(
        ["train", "clip", "blur", "sharp", "frames.csv"]
        + 2 * ["000002.png", "000005.png", "000008.png"]
    )
    pairs = data.open_pairs(str(out), "train")
    assert pairs.scenes == ("train/clip",) * 3
    assert pairs.names == [f"train/clip/sharp/{i:06d}.png" for i in (2, 5, 8)]
    expected = list(video.pairs(iter(frames), 5, average, 3))
    assert [pair.frames for pair in told] == [pair.frames for pair in expected]
    for (y, x), pair in zip(pairs, expected, strict=True):
        assert torch.equal(y, images.quantise(pair.y))
        assert torch.equal(x, pair.x)
    with (target / "frames.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["stem", "first", "last", "average", "motion_px"]
    assert [row[:4] for row in rows[1:]] == [
        [f"{i + 2:06d}", str(i), str(i + 4), average] for i in (0, 3, 6)
    ]
    assert [float(row[4]) for row in rows[1:]] == [round(pair.motion, 2) for pair in expected]


@pytest.mark.parametrize("there", ["missing", "empty", "filled"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "uneven"}, "frame 9 has 64 x 50 pixels"),
        ({"source": "nowhere"}, "nowhere: no such file"),
        ({"window": 11}, "a window of 11 frames"),
        ({"window": 4}, "odd number of frames"),
        ({"stride": 0}, "the stride must be"),
        ({"source": "twice"}, "twice/0003.png: two files of one stem"),
        ({"average": "mean"}, "average 'mean' is neither encoded nor light"),
    ],
)
def test_an_error_leaves_nothing_behind(tmp_path, there, change, message):
    save_frames(tmp_path / "clip", pan(9))
    save_frames(tmp_path / "uneven", [*pan(9), *pan(1, height=50)])
    (save_frames(tmp_path / "twice", pan(9)) / "0003.jpg").touch()
    out = tmp_path / "out"
    if there != "missing":
        out.mkdir()
    if there == "filled":
        (out / "kept.txt").write_text("kept")
    before = contents(tmp_path)
    options = {"source": "clip", "window": 3} | change
    with pytest.raises(InputError, match=message):
        video.write_pairs(tmp_path / options.pop("source"), out, **options)
    assert contents(tmp_path) == before


def test_a_target_that_exists_is_refused_and_not_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(save_frames(tmp_path / "clip", pan(15)))
    assert video.write_pairs(".", tmp_path / "out") == tmp_path / "out" / "clip"
    expected = video.pairs(iter(pan(15)), 7, "light")
    written = data.open_pairs(str(tmp_path / "out"))
    for (y, _), pair in zip(written, expected, strict=True):
        assert torch.equal(y, images.quantise(pair.y))
    before = contents(tmp_path)
    with pytest.raises(InputError, match="out/clip: exists already"):
        video.write_pairs(tmp_path / "clip", tmp_path / "out", 5)
    assert contents(tmp_path) == before


def test_what_another_has_put_into_the_folder_meanwhile_stays(tmp_path):
    def stop(pair):
        (tmp_path / "out" / "other.txt").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        video.write_pairs(save_frames(tmp_path / "clip", pan(9)), tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "other.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_or_a_stop_leaves_nothing(tmp_path, monkeypatch, error):
    source, write, calls = save_frames(tmp_path / "clip", pan(9)), files.write_image, []

    def full(path, x):
        calls.append(path)
        if len(calls) == 3:
            raise error
        write(path, x)

    monkeypatch.setattr(files, "write_image", full)
    before = contents(tmp_path)
    with pytest.raises(type(error)):
        video.write_pairs(source, tmp_path / "out", 3)
    assert len(calls) == 3
    assert contents(tmp_path) == before


@pytest.fixture
def deblur(tmp_path, monkeypatch, capfd):
    """Run ``deblur pairs`` in a temporary folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["deblur", "pairs", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


@pytest.fixture
def deblur_process(tmp_path):
    """As ``deblur``, in a process of its own: slower, and with all that OpenCV prints."""

    def run(*arguments):
        command = [sys.executable, "-c", "from deblurlib.cli import main; main()", "pairs"]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*command, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_slow_motion_is_one_line_and_no_warning(deblur_process, tmp_path):
    save_frames(tmp_path / "clip", pan(22))
    code, out, err = deblur_process("clip", "--out", "set/train")
    assert (code, err) == (0, "")
    assert out == f"{Path('set/train/clip')}: 3 pairs of 7 frames, average of light\n"
    assert len(data.open_pairs(str(tmp_path / "set"), "train")) == 3


def test_fast_motion_is_made_all_the_same_with_a_warning_of_ghosts(deblur, tmp_path):
    save_frames(tmp_path / "clip", pan(9, 6, 96, 128))
    options = ("--window", 3, "--stride", 2, "--average", "encoded")
    code, out, err = deblur("clip", "-o", tmp_path / "set", *options)
    assert code == 0
    assert out == f"{Path('set/clip')}: 4 pairs of 3 frames, average of encoded\n"
    assert err.startswith("warning: in 4 of 4 pairs, things move more than 2 pixels from frame to")
    assert "(up to 6)" in err
    assert len(err.splitlines()) == 1
    assert len(data.open_pairs(str(tmp_path / "set"))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4"], "nowhere.mp4: no such file or folder"),
        (["clip", "--window", 4], "the window must be an odd number of frames, not 4"),
        (["clip", "--window", 3, "--stride", 0], "the stride must be 1 frame or more, not 0"),
        (["clip", "--average", "mean"], "average 'mean' is neither encoded nor light"),
        (["empty"], "empty: no frame in it that can be read"),
        (["clip"], "a window of 7 frames does not fit into 5"),
        (["clip", "--out", "has"], "has/clip: exists already; remove it or choose another folder"),
        (["clip", "--window", 3, "--out", "text.mp4"], "text.mp4"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(deblur, tmp_path, arguments, message):
    save_frames(tmp_path / "clip", pan(5))
    (tmp_path / "empty").mkdir()
    (tmp_path / "has" / "clip").mkdir(parents=True)
    (tmp_path / "text.mp4").write_text("no video")
    assert_refused(deblur, tmp_path, arguments, message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.mp4", "text.mp4: not a video that can be read"),
        ("text.avi", "text.avi: not a video that can be read"),
        ("cut.mp4", "cut.mp4: not a video that can be read"),
        ("cut.avi", "cut.avi: damaged or cut short: "),
        ("photo_001.png", "photo_001.png: a picture, not a video that can be read"),
        ("picture_001.mp4", "a picture, not a video that can be read"),
    ],
)
def test_of_a_bad_video_nothing_but_one_sentence_is_said(
    deblur_process, tmp_path, save_picture, name, message
):
    path, cut = tmp_path / name, name.startswith("cut")
    if cut:
        save_video(path, pan(60), {".mp4": "mp4v", ".avi": "MJPG"}[path.suffix])
    if "_" in name:
        for number in range(9):
            save_picture(tmp_path / f"photo_{number:03d}.png", height=48, width=64)
        path.write_bytes((tmp_path / "photo_001.png").read_bytes())
    else:
        whole = path.read_bytes() if cut else b"no video\n" * 2000
        path.write_bytes(whole[: len(whole) // 2])
    assert_refused(deblur_process, tmp_path, [name], message)


def assert_refused(deblur, tmp_path, arguments, message):
    before = contents(tmp_path)
    code, out, err = deblur(*arguments, *([] if "--out" in arguments else ["--out", "set"]))
    assert (code, out) == (2, "")
    assert err.startswith("deblur: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert contents(tmp_path) == before


@pytest.mark.skipif(not (CLIPS / "bmx_trees").is_dir(), reason="shared/data/clips is not here")
def test_a_real_clip_of_24_frames_a_second_makes_pairs_with_ghosts(deblur, tmp_path):
    code, out, err = deblur(CLIPS / "bmx_trees", "--out", "set", "--window", 5)
    assert code == 0
    assert ": 16 pairs of 5 frames" in out
    with (tmp_path / "set" / "bmx_trees" / "frames.csv").open(newline="") as file:
        motions = [float(row["motion_px"]) for row in csv.DictReader(file)]
    fast = sum(motion > 2 for motion in motions)
    assert err.startswith(f"warning: in {fast} of 16 pairs")
    assert f"(up to {max(motions):.0f})" in err
    assert round(min(motions)) < round(max(motions))
    pairs = data.open_pairs(str(tmp_path / "set"))
    assert len(pairs) == 16
    assert pairs[0][0].shape == (3, 240, 432)


def test_folders_made_on_the_way_go_again_and_a_dot_in_a_name_stays(tmp_path):
    source = save_frames(tmp_path / "fr.1", pan(8))
    with pytest.raises(InputError):
        video.write_pairs(source, tmp_path / "a/b/out", window=9)
    assert [path.name for path in tmp_path.iterdir()] == ["fr.1"]
    assert video.write_pairs(source, tmp_path / "a/b/out").name == "fr.1"
