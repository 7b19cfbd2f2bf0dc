"""What a notebook's parameters may be, and how it says so, in real kernels, too."""

import subprocess
import sys

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from deblurlib import parameters
from deblurlib.errors import InputError

PLAIN = 'profile = "quick"\nseed = 0\ndata = "sample"\nn_seeds = 1\nrate = 0.5'
SETUP = "from deblurlib import parameters\nfrom pathlib import Path\n"
NAMED = "parameters.NOTEBOOKS = Path({!r})\nparameters.check('09', globals())"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of one notebook, whose key is 09."""
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path)
    monkeypatch.setenv("DEBLURLIB_DATA", "")
    write(tmp_path / "09_small.ipynb", PLAIN, SETUP + NAMED.format(str(tmp_path)), "test = 3")
    return tmp_path


def write(path, first, *cells):
    """A notebook, its first cell tagged ``parameters``."""
    cells = [new_code_cell(source) for source in (first, *cells)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def values(**changed):
    made = {}
    exec(PLAIN, made)
    return made | changed


def refusal(namespace):
    with pytest.raises(InputError) as error:
        parameters.check("09", namespace)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("profile", "reprot", ["'reprot'", "smoke, quick, report, full", "mean 'report'"]),
        ("profile", 3, ["profile 3", "smoke, quick, report, full"]),
        ("seed", "zero", ["seed", "whole number", "'zero'"]),
        ("seed", 1.5, ["seed", "whole number", "1.5"]),
        ("seed", True, ["seed", "whole number", "True"]),
        ("seed", -1, ["seed", "0 or more", "-1"]),
        ("n_seeds", 0, ["n_seeds", "1 or more", "not 0"]),
        ("rate", "fast", ["rate", "a number", "'fast'"]),
        ("data", 3, ["data", "text", "not 3"]),
        ("data", "anime-face", ["'anime-face'", "neither sample", "mean 'anime-faces'"]),
        ("data", "no/such/folder", ["no/such/folder: no such file or folder"]),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_can(folder, name, value, words):
    said = refusal(values(**{name: value}))
    assert [word for word in words if word not in said] == []


def test_what_can_be_used_passes(folder, monkeypatch):
    (folder / "mine").mkdir()
    monkeypatch.setenv("DEBLURLIB_DATA", f"named={folder / 'mine'}")
    for data in ("sample", "gopro", "named", str(folder / "mine"), f"new={folder / 'mine'}"):
        parameters.check("09", values(data=data, rate=1, profile="full", seed=7))
    assert "did you mean 'named'?" in refusal(values(data="name"))


def test_a_name_that_the_notebook_lacks_is_told_from_what_it_defines(folder):
    setup = SETUP + NAMED
    executed = ["", "x = 3", PLAIN, "# Parameters\nprofil = 'report'\n", setup, "seeds = [0]"]
    said = refusal(values(In=executed, profil="report", x=3, test=4))
    assert "no parameter 'profil'" in said
    assert "did you mean 'profile'?" in said
    assert said.endswith("did you mean 'profile'?")
    assert "'sed'" in refusal(values(In=[PLAIN + "\nsed = 3"]))  # by hand
    mended = [*executed[:-1], "# Parameters\nprofile = 'report'\n", setup]
    parameters.check("09", values(In=mended, profil="report"))
    parameters.check("09", values(In=[*executed, PLAIN, setup], profil="report"))


def test_a_parameter_that_is_missing_is_named(folder):
    namespace = values(In=[PLAIN])
    del namespace["data"]
    assert "needs its parameter 'data'" in refusal(namespace)


def test_without_the_notebook_the_values_are_checked_alone(folder):
    given = {"In": ["profile = 'smoke'\nmore = 1"], "profile": "smoke", "more": 1}
    parameters.check("77", given)
    with pytest.raises(InputError, match="page 77: seed must be a whole number"):
        parameters.check("77", given | {"seed": "x"})


def test_the_check_loads_nothing_heavy():
    command = [sys.executable, "-c", "import sys, deblurlib.parameters; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "PIL", "IPython", "deblurlib.data"} & set(loaded)


@pytest.mark.notebook
def test_papermill_ends_with_the_sentence_and_an_exit_code(folder):
    command = [sys.executable, "-m", "papermill", str(folder / "09_small.ipynb")]
    command += [str(folder / "out.ipynb"), "-p", "profil", "report", "--cwd", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no parameter 'profil'" in done.stderr
    assert "did you mean 'profile'?" in done.stderr
    cells = nbformat.read(folder / "out.ipynb", as_version=4).cells
    (error,) = [o for c in cells for o in c.get("outputs", []) if o.output_type == "error"]
    (line,) = error.traceback  # one sentence, no traceback
    assert line.startswith("InputError: page 09 has no parameter 'profil'")


@pytest.mark.notebook
def test_a_notebook_runs_with_other_parameters_and_twice_in_one_kernel(folder):
    made = folder / "out.ipynb"
    papermill.execute_notebook(
        str(folder / "09_small.ipynb"), str(made), {"seed": 3}, cwd=folder, progress_bar=False
    )
    executed = nbformat.read(made, as_version=4)
    assert executed.cells[1].source.startswith(parameters.INJECTED)
    executed.cells = [new_code_cell(cell.source) for cell in executed.cells * 2]
    NotebookClient(executed, resources={"metadata": {"path": str(folder)}}).execute()
