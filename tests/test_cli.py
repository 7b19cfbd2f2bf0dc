"""The ``deblur`` command as a user meets it: its words, its exit codes, what it leaves behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import PARAMETERS, RECORD, write_chapter

from deblurlib.report import execute


@pytest.fixture
def deblur(tmp_path, monkeypatch, command):
    """Run the command in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLURLIB_DATA", "")
    monkeypatch.setattr(execute, "project_root", lambda: tmp_path)
    return command


def write_image(path, size=(9, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(array).save(path)


def test_help_names_the_commands():
    command = [sys.executable, "-c", "from deblurlib.cli import main; main()", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("report", "publish", "data"):
        assert name in done.stdout


def test_report_runs_every_chapter_though_one_fails(deblur, tmp_path):
    write_chapter(tmp_path, PARAMETERS, "def f():\n    raise KeyError('lost')", "f()")
    second = RECORD.replace('chapter="01"', 'chapter="02"')
    write_chapter(tmp_path, PARAMETERS, second, name="02_fine.ipynb")
    code, out, _ = deblur("report", "--no-site")
    assert code == 1
    assert "01_small.ipynb: cell 4 raised KeyError: 'lost'" in out
    assert "raise KeyError" in out  # the traceback
    assert "02_fine" in out.split("Chapters, profile quick")[1]
    assert "failed" in out
    assert "ok" in out
    made = {p.relative_to(tmp_path / "build").as_posix() for p in (tmp_path / "build").rglob("*.*")}
    assert {"results/02.json", "results/02_rows.csv.gz", "chapters/02_fine.ipynb"} <= made


def test_report_succeeds_and_writes_below_build_only(deblur, tmp_path):
    write_chapter(tmp_path, PARAMETERS, RECORD)
    before = set(tmp_path.iterdir())
    code, out, _ = deblur("report", "01", "--no-site", "--seed", 2, "-p", "profile=smoke")
    assert code == 0, out
    assert set(tmp_path.iterdir()) - before == {tmp_path / "build"}


@pytest.mark.parametrize("given", ["photos=mine", "mine/photos"])
def test_a_data_set_reaches_the_notebook_without_its_path(deblur, tmp_path, given):
    folder = tmp_path / given.partition("=")[2] if "=" in given else tmp_path / given
    for split in ("train", "test"):
        write_image(folder / split / "a.png")
    cell = RECORD + "assert test.name == 'photos' and len(test) == 1"
    write_chapter(tmp_path, PARAMETERS, cell)
    code, out, _ = deblur("report", "--no-site", "--data", given)
    assert code == 0, out
    assert str(tmp_path) not in (tmp_path / "build/chapters/01_small.ipynb").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "09"], "there is no chapter '09'; there are: 01"),
        (["report", "--profile", "huge"], "profile 'huge' is none of"),
        (["report", "-p", "epochs=3"], "01_small.ipynb has no parameter 'epochs'"),
        (["report", "-p", "epochs"], "a parameter is given as KEY=VALUE, not 'epochs'"),
        (["report", "--data", "gopro"], "the data set 'gopro' is not here: data/README.md says"),
        (["report", "--data", "x=nowhere"], "nowhere: no such file or folder"),
        (["publish", "01", "--profile", "quick"], "profile 'quick' is not for publishing"),
        (["report", "--out", "text.txt"], "text.txt"),
        (["data", "nowhere"], "'nowhere' is no data set"),
        (["data", "empty"], "empty: no image in it"),
        (["data", "text.txt"], "text.txt: a data set must be a folder, a .zip or a .npz"),
        (["data", "disguised"], "a.png: not an image file that can be read"),
        (["data", "cut"], "a.png: damaged image file"),
        (["data", "damaged.zip"], "damaged.zip: damaged, or no .zip file"),
        (["data", "lonely"], "sharp/b.png has no partner in blur/"),
        (["data", "unequal"], "blur/a.png has 7 x 9 pixels, but sharp/a.png has 7 x 11"),
        (["data", "altered"], "a.png: its checksum is wrong"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(deblur, tmp_path, arguments, message):
    write_chapter(tmp_path, PARAMETERS, RECORD)
    make_bad_data(tmp_path)
    before = set(tmp_path.rglob("*"))
    code, out, err = deblur(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("deblur: ")
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err
    assert set(tmp_path.rglob("*")) == before


def make_bad_data(folder: Path):
    (folder / "empty").mkdir()
    (folder / "text.txt").write_text("hello")
    (folder / "disguised").mkdir()
    (folder / "disguised" / "a.png").write_text("hello")
    write_image(folder / "cut" / "a.png")
    whole = (folder / "cut" / "a.png").read_bytes()
    (folder / "cut" / "a.png").write_bytes(whole[: len(whole) // 2])
    (folder / "damaged.zip").write_bytes(b"PK\x03\x04" + bytes(30))
    for name in ("sharp/a.png", "blur/a.png", "sharp/b.png"):
        write_image(folder / "lonely" / name)
    write_image(folder / "unequal" / "blur" / "a.png", size=(9, 7))
    write_image(folder / "unequal" / "sharp" / "a.png", size=(11, 7))
    write_image(folder / "altered" / "a.png")
    (folder / "altered" / "SHA256SUMS").write_text("0" * 64 + "  a.png\n")


def test_data_describes_images_and_pairs(deblur, tmp_path):
    for scene in ("a", "b"):
        for side in ("blur", "sharp"):
            write_image(tmp_path / "set" / "test" / scene / side / "1.png")
    code, out, _ = deblur("data", "pairs=set")
    assert code == 0
    assert "pairs: 2 pairs, 2 scenes, all readable" in out
    assert "9 x 7" in out
    write_image(tmp_path / "set" / "more.png")
    (tmp_path / "set/test/a/kernel").mkdir()
    (tmp_path / "set/test/a/kernel/1.txt").write_text("0.5 0 0.5")
    (tmp_path / "set/test/b/kernel").mkdir()
    Image.new("L", (3, 3), 9).save(tmp_path / "set/test/b/kernel/1.png")  # no further image
    out = deblur("data", "set")[1]
    assert "2 pairs (2 with kernels), 2 scenes" in out
    assert "images beside the pairs, which were not read: 1\n" in out
    (tmp_path / "set/test/a/kernel/1.txt").write_text("junk")
    assert deblur("data", "set")[::2] == (
        2,
        "deblur: test/a/kernel/1.txt: line 1 is not a row of numbers\n",
    )
    code, out, _ = deblur("data", "sample")
    assert code == 0
    assert "sample: 7 images, 7 scenes" in out


def test_a_full_disk_is_one_sentence(deblur, tmp_path, monkeypatch):
    write_chapter(tmp_path, PARAMETERS, RECORD)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "build/results/01.json")

    monkeypatch.setattr(execute, "run_chapter", full)
    code, _, err = deblur("report", "--no-site")
    assert code == 2
    assert err == "deblur: build/results/01.json: No space left on device\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(deblur, tmp_path):
    write_image(tmp_path / "set" / "a.png")
    (tmp_path / "set" / "a.png").chmod(0)
    code, _, err = deblur("data", "set")
    assert code == 2
    assert "a.png: cannot be read (Permission denied)" in err
