"""A whole video restored into a video: what is kept, who writes it, what bad input gets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import test_cli_restore
from test_cli_restore import assert_told, files
from test_video import box, change, pan, save_frames, save_video, split

from deblurlib import psf, restoration, video
from deblurlib.cli import watching
from deblurlib.errors import InputError
from deblurlib.restoration import METHODS, Request, Step, restore, restore_files
from deblurlib.video import mp4, writing

deblur = test_cli_restore.deblur  # the fixture
#: a program in the place of ffmpeg: it notes how it is called and keeps the frames as they come
STAND_IN = """#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "calls"), "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "-encoders" in sys.argv:
    print(" V....D {encoder} an encoder")
elif "-map" in sys.argv and "pipe:0" not in sys.argv:
    sys.exit({no_sound})
else:
    frames = sys.stdin.buffer.read({most})
    if {most} > 0:
        sys.stderr.write("frames: No space left on device\\nConversion failed!\\n")
        sys.exit(1)
    with open(sys.argv[-1].removeprefix("file:"), "wb") as file:
        file.write(frames)
"""


@pytest.fixture
def without_ffmpeg(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("nothing")))


@pytest.fixture
def stand_in(monkeypatch, tmp_path_factory):
    """``stand_in(no_sound=1)``: put it on the path, alone; returns how it was called, so far."""

    def put(encoder="libx264", no_sound=0, most=-1):
        folder = tmp_path_factory.mktemp("bin")
        program = folder / "ffmpeg"
        words = {"encoder": encoder, "no_sound": no_sound, "most": most}
        program.write_text(STAND_IN.format(python=sys.executable, **words))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

        def calls():
            return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]

        return calls

    return put


def with_sound(path):
    """Make a video file say of its track of frames that another one, of sound, stands beside it."""
    *first, (kind, tables) = split(path.read_bytes())
    (track,) = (content for name, content in split(tables) if name == b"trak")
    track = change(track, "mdia/hdlr", lambda c: c[:8] + b"soun" + c[12:])
    whole = box(kind, tables + box(b"trak", track))
    path.write_bytes(b"".join(box(*one) for one in first) + whole)
    return path


def rate(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    return capture.get(cv2.CAP_PROP_FPS)


# ---- what comes out


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_every_frame_is_restored_in_order_and_rate_and_size_stay(deblur, without_ffmpeg, suffix):
    save_video(Path("clip.avi"), pan(12, 2, coarse=4), "MJPG")
    code, out, err = deblur("clip.avi", "-o", f"some/out{suffix}")
    assert (code, err) == (0, "")
    assert files() == ["clip.avi", f"some/out{suffix}"]
    assert out.splitlines()[0].startswith(f"some/out{suffix}  64 x 48, 12 frames  ")
    assert out.splitlines()[1].startswith("1 restored by unsharp-mask on cpu in ")
    wanted = [
        restore(frame, METHODS["unsharp-mask"]).astype(float)
        for frame in video.read_frames("clip.avi")
    ]
    made = list(video.read_frames(f"some/out{suffix}"))
    assert (len(made), rate(f"some/out{suffix}")) == (12, 25)
    for number, frame in enumerate(made):
        errors = [np.abs(frame - one).mean() for one in wanted]
        assert errors[number] == min(errors) < 8


def test_a_video_lies_beside_its_source_and_a_pattern_for_videos_means_them(deblur, without_ffmpeg):
    for name in ("a.mp4", "b.AVI", "c.wmv"):
        save_video(Path("made.avi"), pan(3), "MJPG").rename(name)
    assert deblur("a.mp4", "b.AVI", "c.wmv")[0] == 0
    made = ["a_deblurred.mp4", "b_deblurred.AVI", "c_deblurred.mp4"]
    assert files() == sorted(["a.mp4", "b.AVI", "c.wmv", *made])
    code, out, _ = deblur("*.mp4", "-o", "out")
    assert (code, files("out")) == (0, ["a.mp4"])
    assert out.endswith("; passed over: 2 from an earlier run\n")
    code, _, _ = deblur("*.*", "-o", "all")  # hours of work want to be asked for
    assert (code, files("all")) == (2, [])


def test_a_larger_video_is_reduced_to_even_sides_and_the_strength_counts(deblur, without_ffmpeg):
    save_video(Path("a.mp4"), pan(3, height=50), "mp4v")
    before = np.stack(list(video.read_frames("a.mp4"))).astype(float)
    for size, wanted in ((32, (32, 24)), (33, (32, 26)), (1000, (64, 50))):
        out = f"{size}.avi"
        assert deblur("a.mp4", "--size", size, "--strength", 0, "-o", out)[0] == 0
        assert video.examine(out).size == wanted
    assert np.abs(np.stack(list(video.read_frames("1000.avi"))) - before).mean() < 3


def test_a_kernel_and_tiles_reach_the_frames_and_no_more_than_one_is_held(tmp_path, monkeypatch):
    save_video(tmp_path / "a.avi", pan(5), "MJPG")
    seen = []

    def noted(pixels, method, kernel, device, tile, tell):
        seen.append((pixels.shape, method, kernel, tile))
        tell(1.0)
        return pixels

    monkeypatch.setattr(restoration.videos, "restore", noted)

    def written(path, frames, size, rate, source):
        for number, _ in enumerate(frames, 1):
            assert len(seen) == number  # none ahead of what is asked for
        return ()

    monkeypatch.setattr(video, "write_video", written)
    steps = []
    k = psf.gaussian(1.0)
    request = Request(METHODS["wiener"], tile=512, kernel=k)
    (outcome,) = restore_files(tmp_path / "a.avi", request, tmp_path / "b.avi", steps.append)
    assert (outcome.error, outcome.frames) == (None, 5)
    assert seen == [((48, 64, 3), METHODS["wiener"], k, 512)] * 5
    assert [(s.share, s.frames, s.picture) for s in steps] == [
        (i / 5, 5, "a.avi") for i in (0, 1, 2, 3, 4, 5)
    ]


def test_how_long_a_video_takes_is_said_of_each_and_as_soon_as_a_part_is_done(capfd):
    with watching.watching(Request(METHODS["identity"])) as watch:
        for name, number in (("a.mp4", 1), ("b.mp4", 2)):
            for share in (0, 0.01, 0.02):
                watch(Step(name, number, 2, (1280, 720), share, 600 * share, 289))
    lines = [line for line in capfd.readouterr().err.splitlines() if "megapixels" in line]
    told = "289 frames of 0.922 megapixels: about 10 minutes on this processor"
    assert lines == [f"a.mp4: {told}", f"b.mp4: {told}"]


# ---- results that are there, and trials


def test_a_video_that_is_there_stays_unless_it_is_said(deblur, without_ffmpeg):
    save_video(Path("a.avi"), pan(3), "MJPG")
    Path("b.avi").write_text("mine")
    code, out, err = deblur("a.avi", "-o", "b.avi")
    assert (code, err.count("exists; --overwrite replaces it")) == (2, 1)
    code, out, err = deblur("a.avi", "-o", "b.avi", "--skip-existing")
    assert (code, err, out.splitlines()[0]) == (0, "", "b.avi  exists: skipped")
    code, out, err = deblur("a.avi", "-o", "b.avi", "--overwrite", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "b.avi  64 x 48, 3 frames  of a.avi"
    assert Path("b.avi").read_text() == "mine"
    assert deblur("a.avi", "-o", "b.avi", "--overwrite")[0] == 0
    assert len(list(video.read_frames("b.avi"))) == 3
    code, _, err = deblur("a.avi", "-o", "a.avi", "--overwrite")
    assert (code, err.count("would be written over")) == (2, 1)


# ---- sound, and the program that knows it


def test_without_the_program_the_sound_is_missed_where_there_was_one(deblur, without_ffmpeg):
    for name in ("mute.mp4", "loud.mp4"):
        save_video(Path(name), pan(3), "mp4v")
    with_sound(Path("loud.mp4"))
    assert (mp4.has_sound("mute.mp4"), mp4.has_sound("loud.mp4")) == (False, True)
    assert not mp4.has_sound(__file__)
    _, out, _ = deblur("mute.mp4", "loud.mp4", "-o", "out")
    assert [line.endswith("  without sound") for line in out.splitlines()] == [False, True, False]


@pytest.mark.parametrize(
    ("encoder", "wanted"),
    [("libx264", ["-c:v", "libx264", "-crf", "16"]), ("mpeg2", ["-c:v", "mpeg4", "-q:v", "2"])],
)
def test_the_program_is_piped_the_frames_and_told_to_copy_the_sound(
    deblur, stand_in, encoder, wanted
):
    save_video(Path("a.avi"), pan(3), "MJPG")
    calls = stand_in(encoder)
    code, _, err = deblur("a.avi", "-o", "b.mkv", "--method", "identity")
    assert (code, err) == (0, "")
    assert files() == ["a.avi", "b.mkv"]
    assert Path("b.mkv").read_bytes() == b"".join(f.tobytes() for f in video.read_frames("a.avi"))
    command = " ".join(calls()[-1])
    here = Path.cwd()
    assert "-f rawvideo -pix_fmt rgb24 -s 64x48 -framerate 25 -i pipe:0" in command
    assert f"-i file:{here}/a.avi -map 0:v -map 1:a -c:a copy" in command
    assert " ".join(wanted) in command
    assert f"-f matroska file:{here}/.deblur." in command


def test_of_a_video_without_sound_none_is_asked_for_and_what_cannot_be_read_is_missed(
    deblur, stand_in
):
    save_video(Path("a.avi"), pan(3), "MJPG")
    with_sound(save_video(Path("unreadable.mp4"), pan(3), "mp4v"))
    calls = stand_in(no_sound=1)
    _, out, _ = deblur("a.avi", "unreadable.mp4", "-o", "out")
    assert [line.endswith("  without sound") for line in out.splitlines()] == [False, True, False]
    assert not any("1:a" in call for call in calls())


def test_rates_are_passed_on_exactly(tmp_path, stand_in):
    stand_in()
    for given, told in ((30000 / 1001, "30000/1001"), (23.976023976, "24000/1001"), (12.5, "25/2")):
        command = writing.ffmpeg_command(shutil.which("ffmpeg"), tmp_path / "a.mp4", (2, 2), given)
        assert command[command.index("-framerate") + 1] == told


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
def test_the_real_program_keeps_sound_colours_and_how_the_video_stands(deblur):
    def ffmpeg(*arguments):
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)

    picture = ["-f", "lavfi", "-i", "color=c=#c03020:size=64x48:rate=30000/1001:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=duration=1"]
    colours = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p"]
    ffmpeg(*picture, *tone, *colours, "a.mp4")
    ffmpeg("-i", "a.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90", "turned.mp4")
    ffmpeg(*picture, *tone, "-c:a", "pcm_s16le", "pcm.avi")
    for name in ("a.mp4", "turned.mp4"):
        code, _, err = deblur(name, "-o", f"out/{name}", "--method", "identity")
        assert (code, err) == (0, "")
        before, after = video.examine(name), video.examine(f"out/{name}")
        assert before == after
        assert after.rate == pytest.approx(30000 / 1001)
        assert mp4.has_sound(f"out/{name}")
        frames = (next(video.read_frames(place)) for place in (name, f"out/{name}"))
        assert np.abs(next(frames).astype(int) - next(frames)).max() <= 3
    assert deblur("pcm.avi", "-o", "out/pcm.mp4")[0] == 0  # which an MP4 cannot hold as it is
    assert mp4.has_sound("out/pcm.mp4")


# ---- what cannot be


def test_what_no_video_can_be_made_of_is_one_sentence_each(deblur, without_ffmpeg):
    save_frames(Path("frames"), pan(2))
    whole = save_video(Path("cut.avi"), pan(60), "MJPG").read_bytes()
    Path("cut.avi").write_bytes(whole[: len(whole) // 2])
    Path("empty.mp4").write_bytes(b"")
    Path("picture.mp4").write_bytes(Path("frames/0000.png").read_bytes())
    save_video(Path("good.avi"), pan(3), "MJPG")
    bad = ["cut.avi", "empty.mp4", "picture.mp4"]
    code, _, err = deblur(*bad, "good.avi", "-o", "out")
    assert code == 2
    # FFmpeg has its say, too, where a test before this one let it
    assert_told("\n".join(one for one in err.splitlines() if one.startswith("deblur: ")), bad)
    assert files("out") == ["good.avi"]
    for arguments, words in (
        (["good.avi", "-o", "a.gif"], "a.gif: no video can be written there; the suffix must be"),
        (["good.avi", "--compare"], "good.avi: --compare is for pictures; --frames 0 --compare"),
        (["good.avi", "--trust"], "good.avi: --trust is for pictures; --frames 0 --trust"),
        (["frames", "-o", "a.mp4"], "a.mp4: several images need a folder to go to, not a file"),
        (["frames/0000.png", "-o", "a.mp4"], "a.mp4: cannot be written; the suffix must be"),
    ):
        code, _, err = deblur(*arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"deblur: {words}")
    assert not [name for name in files() if name.startswith("a.")]


def test_an_odd_side_is_named_with_its_cure(deblur, monkeypatch, without_ffmpeg):
    save_video(Path("a.avi"), pan(3), "MJPG")
    clip = video.Clip((63, 47), 3, 25.0, True)
    monkeypatch.setattr(video, "examine", lambda path: clip)
    code, _, err = deblur("a.avi")
    told = (
        "a.avi: frames of 63 x 47 pixels, and a video needs even sides; --size 62 makes them even"
    )
    assert (code, err) == (2, f"deblur: {told}\n")
    assert deblur("a.avi", "--size", 62)[0] == 0
    assert video.check_video("b.mp4", (2, 2)) is None
    with pytest.raises(InputError, match="needs even sides, not 63 x 48 pixels"):
        video.check_video("b.mp4", (63, 48))


def test_who_stops_it_finds_nothing_half_written(deblur, monkeypatch, stand_in):
    save_video(Path("a.avi"), pan(5), "MJPG")
    for program in (None, stand_in):
        monkeypatch.setenv("PATH", "/nowhere") if program is None else program()
        left = [3]

        def stop(pixels, *given, left=left):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return pixels

        monkeypatch.setattr(restoration.videos, "restore", stop)
        code, _, err = deblur("a.avi", "-o", "new/b.avi")
        assert code == 130
        assert err == "deblur: stopped; nothing was written\n"
        assert os.listdir() == ["a.avi"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(deblur, stand_in):
    save_video(Path("a.avi"), pan(30), "MJPG")
    stand_in(most=20_000)
    code, _, err = deblur("a.avi", "-o", "out/b.mp4")
    wanted = "out/b.mp4: cannot be written (ffmpeg: frames: No space left on device)"
    assert (code, err) == (2, f"deblur: {wanted}\n")
    assert os.listdir() == ["a.avi"]
    # OpenCV's writer says nothing of it
    code = """
import resource, signal, sys
from deblurlib.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
main()
"""
    command = [sys.executable, "-c", code, "restore", "a.avi", "-o", "b.mp4", "--method"]
    env = os.environ | {"PATH": "/nowhere"}
    done = subprocess.run([*command, "identity"], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "deblur: b.mp4: cannot be written (not all frames were written; the disk may be full)\n"
    )
    assert os.listdir() == ["a.avi"]
