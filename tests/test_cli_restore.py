"""``deblur restore`` as a photographer meets it: good files, bad files among them, videos."""

import mimetypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli_engine import assert_refused
from test_images import claiming
from test_video import pan, save_frames, save_video

from deblurlib import restoration, runs, studies, video
from deblurlib.files import Photo, write_photo
from deblurlib.models import SRN
from deblurlib.progress import progress_bar
from deblurlib.restoration import METHODS, Method, Request, of_model, restore, restore_files

UNSHARP = ("--method", "unsharp-mask")
MAIN = "from deblurlib.cli import main; main()"


@pytest.fixture
def deblur(tmp_path, monkeypatch, command):
    """``deblur("in", "-o", "out")``: restore in a folder of its own; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))

    def run(*arguments):
        code, out, err = command(
            "restore", *(UNSHARP if "--method" not in arguments else ()), *arguments
        )
        assert "Traceback" not in out + err
        return code, out, err

    return run


def run_apart(code, folder):
    """Restore ``in`` into ``out``, in a process of its own."""
    command = [sys.executable, "-c", code, "restore", "in", "-o", "out", "--method", "identity"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def picture(path, height=21, width=34, channels=3, seed=0, **options):
    """A small picture, with its folder; returns its pixels."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    Image.fromarray(array[..., 0] if channels == 1 else array).save(path, **options)
    return array


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def sharpened(array):
    return restore(array, METHODS["unsharp-mask"])


def files(folder="."):
    """All files below a folder, hidden ones too."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def assert_told(err, names):
    """One line for each bad one, in that order, that begins with its name."""
    lines = err.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == [str(n) for n in names]
    assert all(line.startswith("deblur: ") and len(line) < 300 for line in lines)


# ---- where it goes


def test_a_file_goes_into_a_folder_that_is_made(deblur):
    for options in ((), ("--overwrite",)):
        array = picture("in/a.png", seed=len(options))
        code, out, err = deblur("in/a.png", "-o", "some/where", *options)
        assert (code, err) == (0, "")
        assert files("some") == ["where/a.png"]
        assert np.array_equal(pixels("some/where/a.png"), sharpened(array))
    first, last = out.splitlines()
    assert re.fullmatch(r"some/where/a\.png  34 x 21  \d+\.\d s", first)
    assert re.fullmatch(r"1 restored by unsharp-mask on cpu in \d+\.\d s", last)


@pytest.mark.parametrize("suffix", [".webp", ".TIFF"])
def test_a_file_becomes_a_file_of_the_format_that_its_suffix_names(deblur, monkeypatch, suffix):
    # as in a small container, whose system has no list of types
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: (None, None))
    array = picture("a.png")
    assert deblur("a.png", "-o", f"b{suffix}")[0] == 0
    assert files() == ["a.png", f"b{suffix}"]
    assert np.array_equal(pixels(f"b{suffix}"), sharpened(array))


def test_of_a_folder_the_tree_is_kept_and_what_is_hidden_or_no_image_is_left_out(deblur):
    wanted = ["a.png", "b/c.JPG", "b/d/e.tif", "b/f.webp", "trip.png/j.png"]
    for name in (*wanted, ".hidden.png", ".trash/g.png", "b/.h/i.png"):
        picture(f"in/{name}")  # a folder may be called trip.png
    Path("in/notes.txt").write_text("no image")
    Path("in/link").symlink_to("b")
    code, out, err = deblur("in", "-o", "out")
    assert (code, err) == (0, "")
    assert files("out") == wanted
    assert out.splitlines()[-1].startswith("5 restored by unsharp-mask")
    assert out.splitlines()[-1].endswith("s; passed over: 1 linked folder, 1 .txt")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["in/*.png"], ["1.png", "2.png"]),
        (["in/**/*.png"], ["1.png", "2.png", "3.png"]),
        (["[1].png"], ["[1].png"]),
        (["[1].png", "more", "in/2*"], ["2.jpg", "2.png", "[1].png", "b/c.png"]),
    ],
)
def test_files_folders_and_patterns_go_together(deblur, given, wanted):
    for name in ("in/1.png", "in/2.png", "in/2.jpg", "in/deep/3.png", "[1].png", "more/b/c.png"):
        picture(name)
    code, out, _ = deblur(*given, "-o", "out")
    assert code == 0
    assert files("out") == wanted
    assert len(out.splitlines()) == len(wanted) + 1


def test_a_second_run_leaves_the_first_one_s_output_out(deblur):
    picture("in/a.png")
    for _ in range(2):
        code, out, err = deblur("in", "-o", "in/restored", "--overwrite")
        assert (code, err) == (0, "")
        assert out.splitlines()[-1].startswith("1 restored")
        assert files("in") == ["a.png", "restored/a.png"]


# ---- what is restored


@pytest.mark.parametrize(
    ("size", "channels"), [((1, 1), 1), ((1, 50), 2), ((37, 1), 3), ((61, 90), 4)]
)
@pytest.mark.parametrize("options", [("--tile", 24), ()])
def test_every_size_and_kind_comes_back(deblur, size, channels, options):
    array = picture("a.png", *size, channels)
    assert deblur("a.png", "-o", "out", *options)[0] == 0
    assert np.array_equal(pixels("out/a.png").reshape(array.shape), sharpened(array))
    assert Image.open("out/a.png").mode == Image.open("a.png").mode


def test_a_network_restores_a_turned_picture_of_any_size(deblur, monkeypatch):
    torch.manual_seed(0)
    network = of_model("net", SRN(width=2).eval(), "a small network")
    monkeypatch.setitem(METHODS, "net", network)
    exif = Image.Exif()
    exif[0x0112] = 6
    array = picture("in/a.png", 275, 300, exif=exif)
    picture("in/b.png", 1, 3, 1)
    code, _, err = deblur("in", "-o", "out", "--method", "net", "--tile", 256)
    assert (code, err) == (0, "")
    assert np.array_equal(pixels("out/a.png"), restore(array, network, tile=256))
    assert Image.open("out/a.png").getexif()[0x0112] == 6
    assert pixels("out/b.png").shape == (1, 3)


def test_a_run_is_a_method_too(deblur, tmp_path):
    run = runs.train_or_load(studies.find_recipe("02/box", "smoke"), folder=tmp_path / "runs")
    array = picture("a.png")
    code, out, _ = deblur("a.png", "-o", "b.png", "--method", run.id[:8])
    assert code == 0
    assert out.splitlines()[-1].startswith(f"1 restored by {run.id[:8]} on cpu")
    assert np.array_equal(pixels("b.png"), restore(array, restoration.find_method("02/box")))


# ---- bad files among good ones


def test_bad_files_are_named_one_by_one_the_others_are_done_and_nothing_else_is_said(tmp_path):
    """In a process of its own, where no test's runner catches warnings."""
    folder = tmp_path / "in"
    for name in ("good.png", "z/good.jpg"):
        array = picture(folder / name)
    palette = Image.fromarray(array).convert("P")
    palette.save(folder / "palette.png", transparency=bytes(range(256)))  # Pillow warns of it
    for suffix in ("png", "jpg", "tif"):
        path = folder / f"truncated.{suffix}"
        picture(path, 64, 64)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "disguised.jpg").write_text("This is no image.\n")
    (folder / "empty.png").write_bytes(b"")
    (folder / "large.png").write_bytes(claiming(20_000, 20_000))
    image = Image.fromarray(picture(folder / "z/good.jpg", 9, 9))
    image.save(folder / "moving.png", save_all=True, append_images=[image.rotate(90)])
    image.save(folder / "pages.tif", save_all=True, append_images=[image.crop((0, 0, 5, 5))])
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(folder / "nan.tif")
    (folder / "broken-link.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    bad = ["broken-link.png", "disguised.jpg", "empty.png", "large.png", "loop.png", "moving.png"]
    bad += ["nan.tif", "pages.tif", "truncated.jpg", "truncated.png", "truncated.tif"]

    done = run_apart(MAIN, tmp_path)
    assert done.returncode == 2
    assert_told(done.stderr, [f"in/{name}" for name in bad])
    for said in ("in/large.png: more pixels than the limit of 100,000,000", "holds 2 pictures"):
        assert said in done.stderr
    assert done.stderr.count("not an image file that can be read") == 2
    assert files(tmp_path / "out") == ["good.png", "palette.png", "z/good.jpg"]
    last = done.stdout.splitlines()[-1]
    assert last.startswith("3 restored by identity")
    assert last.endswith(f", {len(bad)} not")


def test_what_is_not_there_is_named_and_the_others_are_done(deblur):
    for name in ("a.png", "b.png"):
        picture(name)
    Path("nothing").mkdir()
    Path("text.txt").write_text("no image")
    Path("clip.mp4").write_bytes(b"no video\n" * 100)
    bad = ["missing.png", "*.heic", "nothing", "text.txt", "clip.mp4", "x" * 260]
    code, out, err = deblur("a.png", *bad, "b.png", "-o", "out")
    assert code == 2
    assert_told(err, bad)
    assert err.splitlines()[4].endswith("clip.mp4: not a video that can be read")
    assert files("out") == ["a.png", "b.png"]
    assert ", 6 not" in out.splitlines()[-1]


def test_an_output_onto_its_own_input_is_refused(deblur):
    picture("in/a.png")
    before = Path("in/a.png").read_bytes()
    Path("same").symlink_to("in")
    for out in ("in", "in/a.png", "same", "in/../in"):
        code, _, err = deblur("in/a.png", "-o", out)
        assert code == 2
        assert_told(err, ["in/a.png"])
        assert "would be written over" in err
    assert Path("in/a.png").read_bytes() == before
    assert files("in") == ["a.png"]


@pytest.mark.parametrize("order", [("a/x.png", "b/x.png"), ("b/x.png", "a/x.png")])
def test_no_input_is_written_over_by_what_another_is_restored_to(deblur, order):
    for name in order:
        picture(name, seed=ord(name[0]))
    before = {name: Path(name).read_bytes() for name in order}
    code, _, err = deblur(*order, "-o", "b")
    assert code == 2
    assert "would be written over" in err
    assert {name: Path(name).read_bytes() for name in order} == before


@pytest.mark.parametrize("first_is_good", [True, False])
def test_of_two_inputs_of_one_name_the_first_good_one_is_done(deblur, first_is_good):
    first, second = picture("a/x.png", seed=1), picture("b/x.png", seed=2)
    if not first_is_good:
        Path("a/x.png").write_text("no image")
    code, out, err = deblur("a/x.png", "b", "-o", "out")
    assert code == 2
    assert_told(err, ["b/x.png" if first_is_good else "a/x.png"])
    assert ("what a/x.png was restored to" in err) == first_is_good
    assert np.array_equal(pixels("out/x.png"), sharpened(first if first_is_good else second))
    assert ", 1 not" in out


@pytest.mark.parametrize("given", [("a.png", "b.png"), ("in",), ("*.png",), ("a.png", "missing")])
def test_several_images_do_not_fit_into_a_file(deblur, given):
    for name in ("a.png", "b.png", "in/c.png"):
        picture(name)
    before = files()
    assert_refused(*deblur(*given, "-o", "in/out.jpg"), "in/out.jpg: several images need a folder")
    assert files() == before


@pytest.mark.parametrize("way", ["a file", "a folder", "no permission"])
def test_an_output_that_cannot_be_written_is_named_and_the_others_are_done(deblur, way):
    if way == "no permission" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    picture("in/a.png")
    picture("in/b/c.png")
    Path("out/b").mkdir(parents=True)
    if way == "a file":
        Path("out/b").rmdir()
        Path("out/b").write_text(way)
    elif way == "a folder":
        Path("out/b/c.png").mkdir()
    else:
        Path("out/b").chmod(0o500)
    code, _, err = deblur("in", "-o", "out")
    assert code == 2
    assert_told(err, ["out/b/c.png"])
    assert files("out") == ["a.png", *(["b"] if way == "a file" else [])]
    assert way != "a file" or Path("out/b").read_text() == way


FULL = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
{MAIN}
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux's limits")
def test_a_full_disk_leaves_nothing_half_written_and_what_fits_is_done(tmp_path):
    big = ["a.png", "b.jpg", "c.webp", "d.tif", "e.bmp"]
    for name in big:
        picture(tmp_path / f"in/{name}", 150, 150)
    deep = np.random.default_rng(0).integers(0, 65536, (90, 90, 3), np.uint16)
    for name in ("f.png", "g.tif"):
        write_photo(tmp_path / "in" / name, Photo(deep))
        big.append(name)
    picture(tmp_path / "in/small.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").write_text("older")
    done = run_apart(FULL, tmp_path)
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("deblur: ")]
    assert_told("\n".join(told), [f"out/{name}" for name in big])
    assert "Traceback" not in done.stderr
    assert files(tmp_path / "out") == ["a.png", "small.png"]
    assert (tmp_path / "out/a.png").read_text() == "older"
    assert f", {len(big)} not" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_cannot_be_printed_hinders_no_picture(tmp_path, monkeypatch, encoding):
    names = ["caf\udce9.png", "line\n\x1b[2J.png", "ok.png", "\u65e5.png", "[bold]\u202f:x:.png"]
    try:
        for name in names:
            picture(tmp_path / "in" / name)
        (tmp_path / "in" / "bad\udce9.png").write_text("no image")
    except OSError:
        pytest.skip("this disk takes no such name")
    monkeypatch.setenv("PYTHONIOENCODING", f"{encoding}:strict")
    done = run_apart(MAIN, tmp_path)
    assert done.returncode == 2
    assert_told(done.stderr, ["in/bad\\udce9.png"])
    assert sorted(os.listdir(tmp_path / "out")) == sorted(names)
    told = [line.partition("  ")[0] for line in done.stdout.splitlines()]
    wide = "\u65e5", "[bold]\u202f:x:"
    if encoding == "ascii":
        wide = r"\u65e5", r"[bold]\u202f:x:"
    shown = [r"caf\udce9", r"line\n\x1b[2J", "ok", *wide]
    assert sorted(told[:-1]) == sorted(f"out/{name}.png" for name in shown)
    assert told[-1].startswith("5 restored by identity")


#: of the processor, PyTorch only says it in words
SHORT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    RuntimeError("CUDA error: out of memory"),
]


@pytest.mark.parametrize("error", SHORT_OF_MEMORY)
def test_where_memory_runs_out_the_others_are_done(tmp_path, error):
    def greedy(y, kernel):
        if y.shape[-1] > 40:
            raise error
        return y

    picture(tmp_path / "a.png", width=50)
    picture(tmp_path / "b.png", width=30)
    method = Method("greedy", greedy, "needs much")
    bad, good = restore_files([str(tmp_path)], Request(method), tmp_path / "out")
    assert bad.error == f"{tmp_path / 'a.png'}: not enough memory; a smaller --tile needs less"
    assert good.error is None
    assert files(tmp_path / "out") == ["b.png"]


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory(tmp_path):
    def broken(y, kernel):
        raise RuntimeError("shapes cannot be multiplied")

    picture(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match="multiplied"):
        list(restore_files([str(tmp_path)], Request(Method("m", broken, "")), tmp_path / "out"))


def test_an_unknown_suffix_is_refused_before_the_work_is_done(deblur, monkeypatch):
    monkeypatch.setattr(restoration.batch, "restore", pytest.fail)
    picture("a.png")
    Path("a.png").rename("a.gifx")
    code, _, err = deblur("a.gifx", "-o", "out")
    assert code == 2
    assert_told(err, ["a.gifx"])
    assert "the suffix must be one of .png" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "sharpen"], "no method 'sharpen': it is none of identity, unsharp-mask"),
        (["--method", "wiener"], "the method wiener needs the kernel: --kernel FILE"),
        (["--kernel", "b.png"], "the method unsharp-mask has no use for a kernel"),
        (["--tile", "23"], "a tile of unsharp-mask must be a multiple of 1 and 24 pixels or more"),
        (["--method", "net", "--tile", "260"], "a tile of net must be a multiple of 16"),
        (["--device", "tpu"], "device tpu is none of auto, cpu, cuda"),
        (["--frames", "3;4"], "frames are numbers and ranges such as 3,10-20, not '3;4'"),
        (["--frames", ""], "frames are numbers and ranges"),
        (["--frames", "-3"], "frames are numbers and ranges"),
        (["--frames", "4-"], "frames are numbers and ranges"),
        (["--frames", "9" * 5000], "frames are numbers and ranges"),
        (["--frames", "0-99999999"], "no video has a frame 99999999"),
        (["--frames", "5-3"], "the range 5-3 of frames is empty"),
        (["b.png", "--frames", "1"], "--frames needs one video, or one folder of frames"),
    ],
)
def test_what_was_asked_wrongly_is_one_sentence_and_nothing_is_made(
    deblur, monkeypatch, arguments, message
):
    monkeypatch.setitem(METHODS, "net", of_model("net", SRN(width=2).eval(), "a network"))
    for name in ("a.png", "b.png"):
        picture(name)
    assert_refused(*deblur("a.png", "-o", "out", *arguments), message)
    assert sorted(os.listdir()) == ["a.png", "b.png"]


# ---- frames of a video


def test_of_a_video_the_frames_that_are_wanted_are_restored(deblur, monkeypatch):
    frames = pan(9)
    monkeypatch.chdir(save_frames(Path("clip.v2"), frames))  # its name is not in what is given
    code, out, err = deblur(".", "--frames", "6,1-3,2", "-o", "../out")
    assert (code, err) == (0, "")
    assert files("../out") == [f"clip.v2-{n:06d}.png" for n in (1, 2, 3, 6)]
    for n in (1, 2, 3, 6):
        assert np.array_equal(pixels(f"../out/clip.v2-{n:06d}.png"), sharpened(frames[n]))
    assert out.splitlines()[0].startswith("../out/clip.v2-000001.png  64 x 48  ")
    assert out.splitlines()[-1].startswith("4 restored by unsharp-mask")


def test_a_video_file_is_read_like_a_folder_of_its_frames(deblur):
    save_video("my clip.avi", pan(5), "MJPG")
    kept = list(video.read_frames("my clip.avi"))
    assert deblur("my clip.avi", "--frames", "0,4", "-o", "out")[0] == 0
    assert files("out") == ["my clip-000000.png", "my clip-000004.png"]
    assert np.array_equal(pixels("out/my clip-000004.png"), sharpened(kept[4]))


@pytest.mark.parametrize(("wanted", "first"), [("1,5-9", 5), ("1,7-100000", 7)])
def test_a_frame_after_the_last_is_named_and_those_before_are_done(deblur, wanted, first):
    save_frames(Path("clip"), pan(5))
    code, out, err = deblur("clip", "--frames", wanted, "-o", "out")
    assert code == 2
    assert_told(err, ["clip"])
    assert f"no frame {first}; its last one is 4" in err
    assert files("out") == ["clip-000001.png"]
    assert out.splitlines()[-1].startswith("1 restored by")


@pytest.mark.parametrize("source", ["text.mp4", "nowhere.mp4", "empty"])
def test_a_video_that_is_none_is_one_sentence(deblur, source):
    Path("text.mp4").write_text("no video\n" * 1000)
    Path("empty").mkdir()
    code, out, err = deblur(source, "--frames", "0", "-o", "out")
    assert (code, out) == (2, "")
    # FFmpeg has its say unless it was told not to before its first video
    assert_told("\n".join(line for line in err.splitlines() if "moov" not in line), [source])
    assert not Path("out").exists()


def test_frames_are_not_written_among_the_frames_nor_into_or_over_a_file(deblur):
    save_frames(Path("clip"), pan(2))
    Path("file").write_text("a file")
    before = {name: Path(name).read_bytes() for name in files()}
    for out in ("clip", "one.png"):
        refused = deblur("clip", "--frames", "0", "-o", out)
        assert_refused(*refused, "the frames need a folder of their own to go to")
    assert_refused(*deblur("clip", "--frames", "0", "-o", "file"), "file")
    assert {name: Path(name).read_bytes() for name in files()} == before


# ---- the bar


def test_without_a_terminal_there_is_no_bar_and_with_one_it_follows_the_tiles(monkeypatch):
    shown = []
    monkeypatch.setattr("rich.progress.Progress.update", lambda *_, **more: shown.append(more))
    for on_a_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda on=on_a_terminal: on, raising=False)
        with progress_bar("restoring") as show:
            show(0.5)
    assert shown == [{"completed": 0.5}]


def test_what_is_printed_stays_on_stdout_while_a_bar_is_drawn(deblur, monkeypatch):
    picture("a.png")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, _ = deblur("a.png", "-o", "out")
    assert code == 0
    assert out.splitlines()[0].startswith("out/a.png")
