"""What the command says, to whom, and how soon: version, help, JSON, quiet, bars, early errors."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deblurlib import __version__, cli, names, restoration
from deblurlib.cli import command as shared

#: runs the command and says at the end whether PyTorch was loaded
WATCHED = """
import sys
from deblurlib import cli
sys.argv = ["deblur", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as end:
    print("PYTORCH" if "torch" in sys.modules else "LIGHT", end.code, file=sys.stderr)
"""


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def photo(save_picture, tmp_path):
    path = tmp_path / "photo.png"
    save_picture(path, 0, 40, 50)
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], __version__),
        (["restore", "-h"], "Restore pictures"),
        (["restore", "nothing.jpg"], "nothing.jpg: no such file or folder"),
        (["restore", "nothing.jpg", "--method", "srm"], "did you mean 'srn'"),
        (["restor", "photo.jpg"], "restore"),
        (["evaluate", "--method", "srn", "--images", "sample", "--degradation", "shak"], "'shake'"),
        (["evaluate", "--method", "srn", "--pairs", "nowhere"], "'nowhere' is no data set"),
        (["train", "02/motion", "--profile", "smok"], "did you mean 'smoke'"),
        (["train", "22/motion"], "chapter '22' trains nothing"),
        (["recipes", "02", "--data", "nowhere"], "'nowhere' is no data set"),
        (["data", "anime-face"], "did you mean 'anime-faces'"),
        (["pairs", "nothing.mp4", "-o", "x"], "nothing.mp4: no such file or folder"),
        (["kernel", "nothing.jpg"], "nothing.jpg: no such file"),
        (["claims", "02a"], "02a"),
    ],
)
def test_help_and_errors_come_before_pytorch_is_loaded(arguments, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    word, code = done.stderr.split()[-2:]
    right = arguments[0] in ("--version", "claims") or "-h" in arguments
    assert (word, code) == ("LIGHT", "0" if right else "2"), done.stderr
    assert said in done.stdout + done.stderr


def test_every_command_takes_both_words_on_how_much_is_said_before_and_after(command, photo):
    out = photo.with_name("out.png")
    restore = ("restore", photo, "-o", out, "--method", "unsharp-mask", "--overwrite")
    assert command(*restore)[1]
    for quiet in (("-q", *restore), (*restore, "--quiet")):
        assert command(*quiet) == (0, "", "")
    assert "torch" in command(*restore, "-v")[2]
    code, _, err = command("-v", "train", "02/nothing")
    assert (code, "Traceback" in err, err.splitlines()[-1][:7]) == (2, True, "deblur:")


def test_restore_tells_a_program_what_came_of_each_file(command, photo, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    options = ("--method", "unsharp-mask", "--overwrite", "--json")
    code, out, err = command("restore", photo, bad, "-o", tmp_path / "out", *options, "-")
    done, failed = lines(out)
    assert (code, done["state"], failed["state"]) == (2, "done", "failed")
    assert (done["size"], done["result"]) == ([50, 40], str(tmp_path / "out" / "photo.png"))
    assert failed["error"] in err
    code, out, _ = command("restore", photo, "-o", tmp_path / "out", *options, tmp_path / "o.jsonl")
    assert (code, "photo.png" in out) == (0, True)  # a reader is told, too
    (told,) = lines((tmp_path / "o.jsonl").read_text("utf-8"))
    assert told["source"] == str(photo)


def test_what_is_listed_is_an_object_a_line(command, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    shown = lines(command("methods", "--json", "-")[1])
    assert [m["name"] for m in shown] == list(names.known(names.MethodName))
    (one,) = lines(command("methods", "wiener", "--json", "-")[1])
    assert one["kernel"] == "needed"
    assert one["settings"]["factor"]["value"] == 1
    assert one["seconds_per_megapixel"] > 0
    (told,) = lines(command("data", "sample", "--json", "-")[1])
    assert (told["kind"], told["n"], told["smallest"]) == ("images", 7, [451, 300])
    recipe = lines(command("recipes", "02", "--json", "-")[1])[0]
    assert recipe["name"].startswith("02/")
    assert lines(command("runs", "list", "--json", "-")[1]) == []
    train = ("train", recipe["name"], "--profile", "smoke")
    assert command(*train)[0] == 0
    (run,) = lines(command("runs", "list", "--json", "-")[1])
    assert (run["recipe"]["name"], run["state"]) == (recipe["name"], "complete, same code")
    assert run["metrics"]["val_psnr"] > 0
    code, _, err = command("runs", "list", "--json", tmp_path / "nowhere" / "x.jsonl")
    assert (code, "is a folder, or in one that is not there" in err) == (2, True)


def test_recipes_are_listed_and_one_is_shown_whole(command):
    _, out, _ = command("recipes", "03")
    assert "03/predicted" in out
    assert "03/edges" in out
    assert "02/" not in out
    recipe = json.loads(command("recipes", "03/predicted", "--profile", "report")[1])
    assert recipe["name"] == "03/predicted"
    assert recipe["parts"]


def test_ctrl_c_is_one_word_and_a_code_of_its_own(command, monkeypatch, photo):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(restoration, "suggest", interrupted)
    assert command("suggest", photo) == (130, "", "deblur: stopped\n")


def test_names_are_proposed_for_completion():
    assert "srn" in shared.propose_methods("s")
    assert "wiener" not in shared.propose_methods("s")
    told = CliRunner().invoke(cli.app, ["--show-completion"], prog_name="deblur")
    assert "_DEBLUR_COMPLETE" in told.output or "shell" in told.output.lower()
