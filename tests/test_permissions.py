"""Who may read and write what: files of the mode that the umask says, stores of other people."""

import ctypes
import os
import shutil
import sys

import pytest
import torch
from test_runs import RECIPE
from test_video import pan, save_frames

from deblurlib import data, files, models, restoration, runs, video
from deblurlib.errors import InputError
from deblurlib.models import shipping
from deblurlib.runs import provenance, store, train
from deblurlib.runs.run import read_history, read_state
from deblurlib.studies.archive import PublishedRun

OVERRIDE = 0b110  # of Linux's capabilities: to read and to write whatever the modes say
BARRED = r"cannot be read \(Permission denied\)$"


@pytest.fixture
def bound():
    """Call it, and the modes of files count for this thread, though it be root's."""
    if os.name != "posix" or (os.geteuid() == 0 and sys.platform != "linux"):
        pytest.skip("modes do not count here")
    if os.geteuid() != 0:
        yield lambda: None
        return
    libc = ctypes.CDLL(None)
    header, before = (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0

    def bind():
        less = (ctypes.c_uint32 * 6)(*before)
        less[0] &= ~OVERRIDE
        assert libc.capset(header, less) == 0

    yield bind
    assert libc.capset(header, before) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a complete run and one that was stopped."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "PROVED_STEPS", 1)
        runs.train_or_load(RECIPE, folder=folder)
    runs.train_or_load(RECIPE.with_seed(1), folder=folder, max_minutes=0)
    return folder


@pytest.fixture
def shared(made, tmp_path):
    """A copy of it, and its two runs; in the end all of it may be removed."""
    folder = tmp_path / "runs"
    shutil.copytree(made, folder)
    yield folder, *runs.listed(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)


def close(folder):
    """Make a folder and all that is in it one that may only be read."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(path.stat().st_mode & 0o555)


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_the_umask_says_the_mode_of_all_that_is_written(tmp_path, umask):
    frames = save_frames(tmp_path / "clip", pan(3))
    before = os.umask(umask)
    try:
        runs.train_or_load(RECIPE, folder=tmp_path / "out" / "runs")
        runs.train_or_load(RECIPE.with_seed(1), folder=tmp_path / "out" / "runs", max_minutes=0)
        video.write_pairs(frames, tmp_path / "out" / "set", 3)
    finally:
        os.umask(before)
    found = list((tmp_path / "out").rglob("*"))
    assert {path.name for path in found} >= {"model.safetensors", "state.safetensors", "blur"}
    for path in found:
        everything = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == everything & ~umask, path


@pytest.mark.parametrize("locks", [0o555, 0o777])
def test_a_hit_needs_no_right_to_write(shared, bound, capsys, monkeypatch, locks):
    folder, run, stopped = shared
    shutil.copytree(stopped.folder, store.checkpoint_folder(folder, run.id, 2))  # tidy would go
    monkeypatch.setattr(provenance, "package_code", lambda: "another")
    close(folder)
    for path in (folder / ".locks", *(folder / ".locks").iterdir()):
        path.chmod(locks)
    bound()
    found = runs.train_or_load(RECIPE, folder=folder)
    assert (found.outcome, found.id) == ("hit", run.id)
    assert f"hit, proved ({run.id})" in capsys.readouterr().out
    assert found.model() is not None
    with pytest.raises(InputError, match=r"cannot be written \(.*Permission denied"):
        runs.train_or_load(RECIPE.with_seed(1), folder=folder)


@pytest.mark.parametrize("mode", [0o444, 0])
def test_whether_a_run_is_trained_now_is_seen_by_who_may_only_read(shared, bound, mode):
    folder, run, _ = shared
    bound()
    with store.lock(folder, run.id):
        (folder / ".locks" / f"{run.id}.lock").chmod(mode)
        assert runs.is_training(folder, run.id) is (mode != 0)
    assert not runs.is_training(folder, run.id)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("recipe.json", lambda run: run.recipe),
        ("env.json", lambda run: run.env),
        ("metrics.json", lambda run: run.metrics),
        ("history.csv", lambda run: run.history),
        ("history.csv", lambda run: read_history(run.folder)),
        ("state.safetensors", lambda run: read_state(run.folder)),
        ("config.json", lambda run: run.model()),
        ("model.safetensors", lambda run: run.model()),
        ("", lambda run: run.recipe),
    ],
)
def test_a_file_that_may_not_be_read_is_not_damaged(shared, bound, name, read):
    folder, run, stopped = shared
    assert run.trouble == ""
    (run.folder / name).chmod(0)
    bound()
    with pytest.raises(InputError, match=f"{name}.*: {BARRED}"):
        read(run)
    assert run.trouble == "not readable"
    assert [r.id for r in runs.listed(folder)] == [run.id, stopped.id]
    known = name not in ("", "recipe.json", "env.json")
    assert run.title == ("02/small, sample, seed 0, 4 steps" if known else "not readable")


def test_a_checkpoint_that_may_not_be_read_is_listed_and_not_trained_over(shared, bound):
    folder, run, stopped = shared
    stopped.folder.parent.chmod(0)
    bound()
    assert [(r.id, r.trouble) for r in runs.listed(folder)] == [
        (run.id, ""),
        (stopped.id, "not readable"),
    ]
    with pytest.raises(InputError, match=f"{stopped.id}: {BARRED}"):
        runs.train_or_load(RECIPE.with_seed(1), folder=folder)


def test_shipped_and_published_weights_that_may_not_be_read_are_not_damaged(
    shared, bound, monkeypatch
):
    _, run, _ = shared
    shipped = run.folder.with_name("weights") / "srn"
    shutil.copytree(models.WEIGHTS / "srn", shipped)
    weights = [folder / "model.safetensors" for folder in (shipped, run.folder)]
    for path in weights:
        path.chmod(0)
    monkeypatch.setattr(shipping, "WEIGHTS", shipped.parent)
    bound()
    with pytest.raises(InputError, match=f"{weights[0]}: {BARRED}"):
        restoration.find_method("srn")
    with pytest.raises(InputError, match=f"{weights[1]}: {BARRED}"):
        PublishedRun(run.id, run.recipe, [], {}, run.folder).model()


def test_runs_that_may_not_be_read_are_listed_beside_the_others(
    shared, bound, command, monkeypatch
):
    folder, run, stopped = shared
    monkeypatch.setenv("DEBLURLIB_RUNS", str(folder))
    (run.folder / "model.safetensors").chmod(0)
    (stopped.folder / "recipe.json").chmod(0)
    bound()
    code, out, _ = command("runs", "list")
    lines = {line.split()[1]: line for line in out.splitlines() if "not readable" in line}
    assert (code, lines.keys()) == (0, {run.id, stopped.id})
    assert RECIPE.name in lines[run.id]
    code, out, _ = command("runs", "show", RECIPE.name)
    assert (code, out.splitlines()[0]) == (0, f"{run.folder}: not readable")
    code, out, err = command("runs", "show", stopped.id)
    assert (code, out) == (2, "")
    assert "recipe.json: cannot be read" in err
    code, out, _ = command("methods", "--runs")
    assert code == 0
    assert run.id not in out


@pytest.mark.parametrize(
    ("barred", "call"),
    [
        (".", runs.listed),
        ("train", lambda folder: data.open_images(str(folder)).fingerprint),
        ("train/b.png", lambda folder: data.open_images(str(folder)).fingerprint),
        ("set.zip", lambda folder: data.open_images(str(folder / "set.zip"))),
    ],
)
def test_what_may_not_be_read_is_not_passed_over_and_not_called_damaged(
    tmp_path, bound, barred, call
):
    folder = tmp_path / "set"
    for name in ("a.png", "train/b.png", "train/c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_image(folder / name, torch.zeros(1, 8, 8))
    (folder / "set.zip").write_bytes(b"PK")
    (folder / barred).chmod(0)
    bound()
    with pytest.raises(InputError, match=rf"{(folder / barred)}: {BARRED}"):
        call(folder)
    (folder / barred).chmod(0o700)
