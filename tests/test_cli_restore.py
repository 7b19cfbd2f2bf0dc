"""``deblur restore`` as a photographer meets it: good files, bad files among them, videos."""

import json
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
from test_cli_engine import assert_refused, cells
from test_evaluation import write_pairs
from test_images import claiming
from test_video import pan, save_frames, save_video

from deblurlib import restoration, runs, studies
from deblurlib.files import Photo, write_photo
from deblurlib.models import SRN, UNet
from deblurlib.restoration import METHODS, Method, of_model, restore

UNSHARP = ("--method", "unsharp-mask")


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


def test_a_file_goes_into_a_folder_that_is_made(deblur):
    array = picture("in/a.png")
    code, out, err = deblur("in/a.png", "-o", "some/where")
    assert (code, err) == (0, "")
    assert files("some") == ["where/a.png"]
    assert np.array_equal(pixels("some/where/a.png"), sharpened(array))
    first, last = out.splitlines()
    assert re.fullmatch(r"some/where/a\.png  34 x 21  \d+\.\d s", first)
    assert re.fullmatch(r"1 restored by unsharp-mask on cpu in \d+\.\d s", last)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".TIFF", ".bmp"])
def test_a_file_becomes_a_file_of_the_format_that_its_suffix_names(deblur, suffix):
    array = picture("a.png")
    code, _, err = deblur("a.png", "-o", f"b{suffix}")
    assert (code, err) == (0, "")
    assert files() == ["a.png", f"b{suffix}"]
    found = pixels(f"b{suffix}")
    if suffix == ".jpg":
        assert np.abs(found.astype(int) - sharpened(array)).mean() < 8
    else:
        assert np.array_equal(found, sharpened(array))


def test_webp_is_known_where_the_system_has_no_list_of_types(deblur, monkeypatch):
    """As in a small container: Python's own list lacked it before 3.13."""
    guess = mimetypes.guess_type

    def lacking(name, *more):
        return (None, None) if str(name).endswith(".webp") else guess(name, *more)

    monkeypatch.setattr(mimetypes, "guess_type", lacking)
    picture("a.png")
    assert deblur("a.png", "-o", "b.webp")[0] == 0
    assert files() == ["a.png", "b.webp"]


def test_an_older_output_is_replaced(deblur):
    picture("out/a.png", seed=1)
    array = picture("a.png")
    assert deblur("a.png", "-o", "out")[0] == 0
    assert np.array_equal(pixels("out/a.png"), sharpened(array))
    assert deblur("a.png", "-o", "out/a.png")[0] == 0
    assert files("out") == ["a.png"]


def test_of_a_folder_the_tree_is_kept_and_what_is_hidden_or_no_image_is_left_out(deblur):
    wanted = ["a.png", "b/c.JPG", "b/d/e.tif", "b/f.webp"]
    for number, name in enumerate(wanted):
        picture(f"in/{name}", seed=number)
    for name in (".hidden.png", ".trash/g.png", "b/.h/i.png"):
        picture(f"in/{name}")
    Path("in/notes.txt").write_text("no image")
    Path("in/trip.png").mkdir()  # a folder, whatever its name
    picture("in/trip.png/j.png")
    code, out, err = deblur("in", "-o", "out")
    assert (code, err) == (0, "")
    assert files("out") == [*wanted, "trip.png/j.png"]
    assert "5 restored by unsharp-mask" in out.splitlines()[-1]


def test_a_pattern_in_quotes_is_expanded(deblur):
    for name in ("1.png", "2.png", "2.jpg", "more/3.png"):
        picture(f"in/{name}")
    assert deblur("in/*.png", "-o", "one")[0] == 0
    assert files("one") == ["1.png", "2.png"]
    assert deblur("in/**/*.png", "-o", "all")[0] == 0
    assert files("all") == ["1.png", "2.png", "3.png"]


def test_a_name_with_the_signs_of_a_pattern_is_a_name(deblur):
    picture("[1].png")
    assert deblur("[1].png", "-o", "out")[0] == 0
    assert files("out") == ["[1].png"]


def test_files_folders_and_patterns_go_together(deblur):
    for name in ("a.png", "in/b.png", "in/c/d.png", "x/e1.png", "x/e2.png"):
        picture(name)
    code, out, _ = deblur("a.png", "in", "x/e*.png", "-o", "out")
    assert code == 0
    assert files("out") == ["a.png", "b.png", "c/d.png", "e1.png", "e2.png"]
    assert len(out.splitlines()) == 6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 1), (61, 90)])
@pytest.mark.parametrize("tile", [24, None])
def test_every_size_and_kind_comes_back(deblur, size, channels, tile):
    array = picture("a.png", *size, channels)
    options = () if tile is None else ("--tile", tile)
    assert deblur("a.png", "-o", "out", *options)[0] == 0
    found = pixels("out/a.png")
    assert np.array_equal(found.reshape(array.shape), sharpened(array))
    assert Image.open("out/a.png").mode == Image.open("a.png").mode


@pytest.mark.parametrize("make", [lambda: SRN(width=2), lambda: UNet(width=2, residual=True)])
def test_a_network_restores_a_turned_picture_of_any_size(deblur, monkeypatch, make):
    torch.manual_seed(0)
    network = of_model("net", make().eval(), "a small network")
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
    recipe = studies.find_recipe("02/box", "smoke")
    run = runs.train_or_load(recipe, folder=tmp_path / "runs")
    array = picture("a.png")
    code, out, _ = deblur("a.png", "-o", "b.png", "--method", run.id[:8])
    assert code == 0
    assert out.splitlines()[-1].startswith(f"1 restored by {run.id[:8]} on cpu")
    assert np.array_equal(pixels("b.png"), restore(array, restoration.find_method("02/box")))


@pytest.fixture
def mixed(tmp_path):
    """Good and bad inputs in one folder; returns the names of the bad ones, sorted."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "in"
    for name in ("good.png", "z/good.jpg"):
        picture(folder / name)
    picture(folder / "truncated.png", 64, 64)
    picture(folder / "truncated.jpg", 64, 64)
    picture(folder / "truncated.tif", 64, 64)
    for path in folder.glob("truncated.*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "disguised.jpg").write_text("This is no image.\n")
    (folder / "empty.png").write_bytes(b"")
    (folder / "large.png").write_bytes(claiming(20_000, 20_000))
    image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
    image.save(folder / "pages.tif", save_all=True, append_images=[image.rotate(90)])
    image.convert("F").save(folder / "float.tif")
    (folder / "broken-link.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    bad = ["broken-link.png", "disguised.jpg", "empty.png", "float.tif", "large.png", "loop.png"]
    return [*bad, "pages.tif", "truncated.jpg", "truncated.png", "truncated.tif"]


@pytest.mark.filterwarnings("error")
def test_bad_files_are_named_one_by_one_and_the_others_are_done(deblur, mixed):
    code, out, err = deblur("in", "-o", "out")
    assert code == 2
    assert_told(err, [f"in/{name}" for name in mixed])
    assert files("out") == ["good.png", "z/good.jpg"]
    assert out.splitlines()[-1].startswith("2 restored by unsharp-mask")
    assert out.endswith(f", {len(mixed)} not\n")
    for said in ("in/large.png: more pixels than the limit of 100,000,000", "holds 2 pictures"):
        assert said in err
    assert len(err.split("not an image file that can be read")) == 3


def test_nothing_is_said_beside_the_sentences_by_what_reads_the_files(tmp_path, mixed):
    """In a process of its own, where no test's runner catches warnings."""
    palette = Image.fromarray(picture(tmp_path / "x.png")).convert("P")
    palette.save(tmp_path / "in/y.png", transparency=bytes(range(256)))
    code = "from deblurlib.cli import main; main()"
    arguments = ("restore", "in", "-o", "out", "--method", "identity")
    done = run_apart(code, *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert_told(done.stderr, [f"in/{name}" for name in mixed])


def run_apart(code, *arguments, folder, **options):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    "bad", ["missing.png", "*.heic", "nothing", "text.txt", "clip.mp4", "x" * 300, "no/such/a.png"]
)
def test_what_is_not_there_is_named_and_the_others_are_done(deblur, bad):
    for name in ("a.png", "b.png"):
        picture(name)
    Path("nothing").mkdir()
    Path("text.txt").write_text("no image")
    Path("clip.mp4").write_bytes(b"\0" * 100)
    code, out, err = deblur("a.png", bad, "b.png", "-o", "out")
    assert code == 2
    assert err.startswith(f"deblur: {bad}: ")
    assert len(err.splitlines()) == 1
    assert files("out") == ["a.png", "b.png"]
    assert ", 1 not" in out.splitlines()[-1]


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


def test_of_two_inputs_of_one_name_the_first_is_done(deblur):
    first = picture("a/x.png", seed=1)
    picture("b/x.png", seed=2)
    code, out, err = deblur("a/x.png", "b", "-o", "out")
    assert code == 2
    assert_told(err, ["b/x.png"])
    assert "what a/x.png was restored to" in err
    assert np.array_equal(pixels("out/x.png"), sharpened(first))
    assert ", 1 not" in out


def test_of_two_inputs_of_one_name_the_second_is_done_if_the_first_is_bad(deblur):
    Path("a").mkdir()
    Path("a/x.png").write_text("no image")
    second = picture("b/x.png")
    code, _, err = deblur("a/x.png", "b/x.png", "-o", "out")
    assert code == 2
    assert_told(err, ["a/x.png"])
    assert np.array_equal(pixels("out/x.png"), sharpened(second))


@pytest.mark.parametrize("given", [("a.png", "b.png"), ("in",), ("*.png",), ("a.png", "missing")])
@pytest.mark.parametrize("out", ["out.jpg", "in/out.png"])
def test_several_images_do_not_fit_into_a_file(deblur, given, out):
    for name in ("a.png", "b.png", "in/c.png"):
        picture(name)
    before = files()
    assert_refused(*deblur(*given, "-o", out), f"{out}: several images need a folder to go to")
    assert files() == before


def test_an_output_that_is_a_file_in_the_way_is_named(deblur):
    picture("a.png")
    picture("in/b/c.png")
    Path("out").write_text("a file")
    code, _, err = deblur("a.png", "in", "-o", "out")
    assert code == 2
    assert len(err.splitlines()) == 2
    assert all(line.startswith("deblur: out/") for line in err.splitlines())
    assert Path("out").read_text() == "a file"


def test_a_folder_where_the_output_should_be_is_named_and_the_others_are_done(deblur):
    for name in ("in/a.png", "in/b.png"):
        picture(name)
    Path("out/a.png").mkdir(parents=True)
    code, _, err = deblur("in", "-o", "out")
    assert code == 2
    assert_told(err, ["out/a.png"])
    assert files("out") == ["b.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(deblur):
    picture("a.png")
    Path("out").mkdir(mode=0o500)
    code, _, err = deblur("a.png", "-o", "out")
    assert code == 2
    assert_told(err, ["out/a.png"])
    assert "Permission denied" in err


FULL = """
import resource
from deblurlib.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
main()
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
    done = run_apart(FULL, "restore", "in", "-o", "out", "--method", "identity", folder=tmp_path)
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("deblur: ")]
    assert_told("\n".join(told), [f"out/{name}" for name in big])
    assert "Traceback" not in done.stderr
    assert files(tmp_path / "out") == ["a.png", "small.png"]
    assert (tmp_path / "out/a.png").read_text() == "older"
    assert f", {len(big)} not" in done.stdout


MAIN = "from deblurlib.cli import main; main()"


@pytest.mark.parametrize(
    ("encoding", "japanese"),
    [("utf-8:strict", "\u65e5"), ("cp1252:strict", r"\u65e5"), ("ascii:strict", r"\u65e5")],
)
def test_a_name_that_cannot_be_printed_hinders_no_picture(
    tmp_path, monkeypatch, encoding, japanese
):
    names = ["caf\udce9.png", "line\n\x1b[2J.png", "ok.png", "\u65e5.png", "[bold]\u202f:x:.png"]
    try:
        for name in names:
            picture(tmp_path / "in" / name)
    except OSError:
        pytest.skip("this disk takes no such name")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    given = ("restore", "in", "in/none\udce9.png", "-o", "out", "--method", "identity")
    done = run_apart(MAIN, *given, folder=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "deblur: in/none\\udce9.png: no such file or folder\n",
    )
    assert sorted(os.listdir(tmp_path / "out")) == sorted(names)
    told = [line.partition("  ")[0] for line in done.stdout.splitlines()]
    narrow = "\u202f" if encoding.startswith("utf-8") else r"\u202f"
    shown = [r"caf\udce9", r"line\n\x1b[2J", "ok", japanese, f"[bold]{narrow}:x:"]
    assert sorted(told[:-1]) == sorted(f"out/{name}.png" for name in shown)
    assert told[-1].startswith("5 restored by identity")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "sharpen"], "no method 'sharpen': it is none of identity, unsharp-mask"),
        (["--tile", "23"], "a tile of unsharp-mask must be a multiple of 1 and 24 pixels or more"),
        (["--tile", "0"], "24 pixels or more, not 0"),
        (["--method", "net", "--tile", "260"], "a tile of net must be a multiple of 16"),
        (["--device", "tpu"], "the device 'tpu' is not here"),
        (["--frames", "3;4"], "frames are numbers and ranges such as 3,10-20, not '3;4'"),
        (["--frames", ""], "frames are numbers and ranges"),
        (["--frames", "-3"], "frames are numbers and ranges"),
        (["--frames", "4-"], "frames are numbers and ranges"),
        (["--frames", "1.5"], "frames are numbers and ranges"),
        (["--frames", "9" * 5000], "frames are numbers and ranges"),
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
    assert files() == ["a.png", "b.png"]
    assert not Path("out").exists()


def test_a_number_of_frames_beyond_all_memory_is_one_sentence(deblur):
    save_video("clip.avi", pan(4), "MJPG")
    code, _, err = deblur("clip.avi", "--frames", "0-99999999999999", "-o", "out")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert len(err) < 300


def test_a_method_that_needs_the_kernel_says_so_and_writes_nothing(deblur, monkeypatch):
    wiener = Method("wiener", lambda y, kernel: y, "divides", blind=False, receptive_field=1)
    monkeypatch.setitem(METHODS, "wiener", wiener)
    picture("a.png")
    code, out, err = deblur("a.png", "-o", "out", "--method", "wiener")
    assert_refused(code, out, err, "the method wiener needs the kernel: --kernel FILE")
    assert files() == ["a.png"]


def test_of_a_video_the_frames_that_are_wanted_are_restored(deblur):
    frames = pan(9)
    save_frames(Path("clip"), frames)
    code, out, err = deblur("clip", "--frames", "6,1-3,2", "-o", "out")
    assert (code, err) == (0, "")
    assert files("out") == [f"clip-{n:06d}.png" for n in (1, 2, 3, 6)]
    for n in (1, 2, 3, 6):
        assert np.array_equal(pixels(f"out/clip-{n:06d}.png"), sharpened(frames[n]))
    assert out.splitlines()[0].startswith("out/clip-000001.png  64 x 48  ")
    assert out.splitlines()[-1].startswith("4 restored by unsharp-mask")


def test_frames_are_named_after_the_folder_they_lie_in(deblur, monkeypatch):
    save_frames(Path("clip.v2"), pan(3))
    monkeypatch.chdir("clip.v2")
    assert deblur(".", "--frames", "0", "-o", "../out")[0] == 0
    assert files("../out") == ["clip.v2-000000.png"]


def test_a_video_file_is_read_like_a_folder_of_its_frames(deblur):
    save_video("my clip.avi", pan(5), "MJPG")
    kept = list(restoration.batch.video.read_frames("my clip.avi"))
    assert deblur("my clip.avi", "--frames", "0,4", "-o", "out")[0] == 0
    assert files("out") == ["my clip-000000.png", "my clip-000004.png"]
    assert np.array_equal(pixels("out/my clip-000004.png"), sharpened(kept[4]))


@pytest.mark.parametrize("wanted", ["1,5", "1,5-9", "1,7-100000"])
def test_a_frame_after_the_last_is_named_and_those_before_are_done(deblur, wanted):
    save_frames(Path("clip"), pan(5))
    code, out, err = deblur("clip", "--frames", wanted, "-o", "out")
    assert code == 2
    assert_told(err, ["clip"])
    assert re.search(r"\b(5|7)\b", err)
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


def test_an_output_in_the_way_of_frames_is_one_sentence(deblur):
    save_frames(Path("clip"), pan(2))
    Path("out").write_text("a file")
    assert_refused(*deblur("clip", "--frames", "0", "-o", "out"), "out")


def test_without_a_terminal_there_is_no_bar_and_with_one_it_follows_the_tiles(monkeypatch):
    from deblurlib.cli import photos

    with photos._bar() as show:
        assert show(0.5) is None
    shown = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("rich.progress.Progress.update", lambda *_, **more: shown.append(more))
    with photos._bar() as show:
        show(0.5)
    assert shown == [{"completed": 0.5}]


def test_the_methods_are_listed_with_their_reach_and_what_tiles_cost(command, deblur, monkeypatch):
    def listed(name, **more):
        monkeypatch.setitem(METHODS, name, Method(name, lambda y, kernel: y, "for a test", **more))
        code, out, err = command("methods")
        assert (code, err) == (0, "")
        return cells(out, name, "for a test")

    assert listed("near", receptive_field=129) == ["near", "no", "64", "equal", "for a test"]
    assert listed("far", receptive_field=131, blind=False) == [
        "far",
        "yes",
        "65",
        "not measured",
        "for a test",
    ]
    assert listed("known", receptive_field=1801, tiled_psnr=58.26)[2:4] == ["900", "58.3 dB"]
    assert listed("all")[2:4] == ["all", "not measured"]


@pytest.mark.parametrize("contaminated", [(), ("other",), ("other", "clips")])
def test_scores_on_what_a_method_was_trained_on_are_no_test(
    command, deblur, tmp_path, monkeypatch, contaminated
):
    write_pairs(tmp_path / "clips", ("z",), split="test")
    method = Method("net", lambda y, kernel: 0.9 * y, "a network", contaminated=contaminated)
    monkeypatch.setitem(METHODS, "net", method)
    code, out, err = command(
        *("evaluate", "--method", "net", "--pairs", "clips", "--json", "scores.json")
    )
    assert (code, err) == (0, "")
    is_no_test = "clips" in contaminated
    assert json.loads(Path("scores.json").read_text())["contaminated"] is is_no_test
    told = "net was trained on such images of clips: this is no test"
    assert (told in out) == is_no_test


def test_a_second_run_leaves_the_first_one_s_output_out(deblur):
    picture("in/a.png")
    for _ in range(2):
        code, out, err = deblur("in", "-o", "in/restored")
        assert (code, err) == (0, "")
        assert out.splitlines()[-1].startswith("1 restored")
        assert files("in") == ["a.png", "restored/a.png"]


def test_frames_are_not_written_among_the_frames_nor_into_a_file(deblur):
    picture("frames/frames-000000.png")
    before = Path("frames/frames-000000.png").read_bytes()
    for out in ("frames", "one.png"):
        code, _, err = deblur("frames", "--frames", "0", "-o", out)
        assert_refused(code, "", err, "the frames need a folder of their own to go to")
    assert files() == ["frames/frames-000000.png"]
    assert Path("frames/frames-000000.png").read_bytes() == before


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_where_memory_runs_out_the_others_are_done(tmp_path, error):
    def greedy(y, kernel):
        if y.shape[-1] > 40:
            raise error
        return y

    picture(tmp_path / "a.png", width=50)
    picture(tmp_path / "b.png", width=30)
    method = Method("greedy", greedy, "needs much")
    bad, good = restoration.restore_files([str(tmp_path)], tmp_path / "out", method)
    assert bad.error == f"{tmp_path / 'a.png'}: not enough memory; a smaller --tile needs less"
    assert good.error is None
    assert files(tmp_path / "out") == ["b.png"]


def test_an_unknown_suffix_is_refused_before_the_work_is_done(deblur, monkeypatch):
    picture("a.png")
    Path("a.png").rename("a.gifx")
    code, _, err = deblur("a.gifx", "-o", "out")
    assert code == 2
    assert_told(err, ["a.gifx"])
    assert "the suffix must be one of .png" in err


def test_what_is_printed_stays_on_stdout_while_a_bar_is_drawn(deblur, monkeypatch):
    picture("a.png")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, _ = deblur("a.png", "-o", "out")
    assert code == 0
    assert out.splitlines()[0].startswith("out/a.png")
