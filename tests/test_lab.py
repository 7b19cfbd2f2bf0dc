"""The copies of the notebooks that a reader works in."""

import json
import shutil
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_project import ROOT

from deblurlib import parameters
from deblurlib.cli.lab import renew


def write(path, *sources):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)


def sources(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


@pytest.fixture
def folders(tmp_path):
    """Notebooks, and the copies made of them."""
    for name in ("01_one.ipynb", "01b_two.ipynb", "solutions/01_one.ipynb"):
        write(tmp_path / "notebooks" / name, "x = 1")
    assert renew(tmp_path / "notebooks", tmp_path / "lab") == []
    return tmp_path / "notebooks", tmp_path / "lab"


def change(path, changed):
    notebook = nbformat.read(path, as_version=4)
    changed(notebook)
    nbformat.write(notebook, path)


def test_all_notebooks_and_solutions_are_copied(folders):
    notebooks, lab = folders
    seen = {
        p.relative_to(lab).as_posix() for p in lab.rglob("*.ipynb") if ".originals" not in p.parts
    }
    assert seen == {p.relative_to(notebooks).as_posix() for p in notebooks.rglob("*.ipynb")}


@pytest.mark.parametrize(
    "changed",
    [
        lambda notebook: notebook.cells[0].update(source="x = 2"),
        lambda notebook: notebook.cells.append(new_markdown_cell("mine")),
        lambda notebook: notebook.cells.pop(),
        lambda notebook: notebook.cells[0].outputs.append(new_output("stream", text="1")),
    ],
    ids=["edited", "added", "deleted", "executed"],
)
def test_a_copy_that_was_worked_in_is_never_overwritten(folders, changed):
    notebooks, lab = folders
    copy = lab / "01_one.ipynb"
    change(copy, changed)
    mine = copy.read_bytes()
    assert renew(notebooks, lab) == []
    write(notebooks / "01_one.ipynb", "x = 3")
    for _ in range(2):
        assert renew(notebooks, lab) == [copy]
    assert copy.read_bytes() == mine


def test_a_copy_that_is_no_notebook_any_more_is_kept(folders):
    notebooks, lab = folders
    (lab / "01_one.ipynb").write_text("<<<<<<< conflict")
    renew(notebooks, lab)
    assert (lab / "01_one.ipynb").read_text() == "<<<<<<< conflict"


def test_a_copy_that_was_only_opened_and_saved_is_renewed(folders):
    notebooks, lab = folders
    copy = lab / "01_one.ipynb"
    saved = json.loads(copy.read_text())
    saved["metadata"]["language_info"] = {"name": "python", "version": "3.11"}
    saved["cells"][0] |= {"execution_count": 3, "source": ["x = 1"]}
    copy.write_text(json.dumps(saved))
    write(notebooks / "01_one.ipynb", "x = 3")
    write(notebooks / "solutions/01_one.ipynb", "y = 3")
    assert renew(notebooks, lab) == []
    assert sources(copy) == ["x = 3"]
    assert sources(lab / "solutions/01_one.ipynb") == ["y = 3"]
    write(notebooks / "01_one.ipynb", "x = 4")
    renew(notebooks, lab)
    assert sources(copy) == ["x = 4"]


def test_a_copy_of_unknown_origin_is_kept_unless_it_is_the_same(folders):
    notebooks, lab = folders
    shutil.rmtree(lab / ".originals")
    write(notebooks / "01_one.ipynb", "x = 3")
    assert renew(notebooks, lab) == [lab / "01_one.ipynb"]
    write(notebooks / "01b_two.ipynb", "x = 3")
    assert renew(notebooks, lab) == [lab / "01_one.ipynb"]
    assert sources(lab / "01b_two.ipynb") == ["x = 3"]


def test_the_command_says_what_it_kept(folders, monkeypatch, command):
    notebooks, lab = folders
    monkeypatch.setattr(parameters, "NOTEBOOKS", notebooks)
    monkeypatch.chdir(lab.parent)
    write(lab / "01_one.ipynb", "mine = 1")
    write(notebooks / "01_one.ipynb", "x = 3")
    code, out, _ = command("lab", "--out", "lab")
    assert code == 0
    kept, _, place = out.splitlines()
    assert kept.startswith("lab/01_one.ipynb: kept as you left it")
    assert place.endswith("jupyter lab lab")
    monkeypatch.setattr(parameters, "NOTEBOOKS", lab.parent / "nowhere")
    code, _, err = command("lab")
    assert code == 2
    assert "no notebooks/ folder" in err


def test_make_clean_spares_the_readers_copies(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for _ in range(2):  # also where there is no build/
        done = subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for name in ("build/lab/mine.ipynb", "build/site/index.html", "build/.hidden/x"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [p.name for p in (tmp_path / "build").rglob("*")] == ["lab", "mine.ipynb"]
