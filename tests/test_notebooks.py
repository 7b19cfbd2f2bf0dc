"""The notebooks: their form (from their JSON alone), their execution, their exercises."""

import ast
import builtins
import copy
import dis
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell

from deblurlib.report import execute

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
LONGEST_CELL = 30
LONGEST_SETUP = 12
FORBIDDEN = {
    "a shell command or magic": r"^\s*[!%]",
    "an absolute path": r"[\"'](/[a-z]+/|[A-Z]:\\\\)",
    "the module search path": r"sys\.path",
    "a wildcard import": r"import \*",
    "another host": r"https?://",
    "an environment's name": r"google\.colab",
}
every_notebook = pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda p: p.stem)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tree(path):
    """All code of a notebook, parsed."""
    return ast.parse("\n".join(cell.source for cell in code_cells(path)))


def exercises(path):
    """The cells tagged ``exercise-N``, by N."""
    return {
        tag.removeprefix("exercise-"): cell
        for cell in code_cells(path)
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("exercise-")
    }


def test_there_are_chapters_and_a_solution_to_each():
    assert CHAPTERS
    assert [path.name for path in CHAPTERS] == [path.name for path in SOLUTIONS]


@every_notebook
def test_is_valid_and_stripped(path):
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in code_cells(path):
        assert not cell.outputs, f"cell {cell.id} has outputs: run nbstripout --keep-id"
        assert cell.execution_count is None, f"cell {cell.id} has an execution count"
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "deblurlib"}


@every_notebook
def test_code_is_short_and_portable(path):
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        assert len(lines) <= LONGEST_CELL, f"cell {cell.id} has {len(lines)} lines"
        for line in lines:
            for what, pattern in FORBIDDEN.items():
                assert not re.search(pattern, line), f"cell {cell.id} has {what}: {line}"
        # what drawing returns holds an address in memory, which nbval takes for a change
        last = ast.parse(cell.source).body[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            called = ast.unparse(last.value.func)
            assert not called.startswith("ax"), f"cell {cell.id} ends in {called}(...)"


@every_chapter
def test_has_one_cell_of_plain_parameters(path):
    (cell,) = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    values = {}
    for statement in ast.parse(cell.source).body:
        (target,) = statement.targets
        values[target.id] = ast.literal_eval(statement.value)
    assert values["profile"] == "quick"
    assert values["data"] == "sample"
    assert isinstance(values["seed"], int)
    assert set(papermill.inspect_notebook(str(path))) == set(values), "papermill reads it otherwise"


@every_chapter
def test_has_the_form_of_a_chapter(path):
    notebook = read(path)
    about = notebook.metadata["deblurlib"]
    assert about["title"]
    assert about["question"].endswith("?")
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.startswith(f"# {path.name[:2]} · {about['title']}")
    for heading in ("The result first", "Where it breaks", "Claims", "Exercises", "Takeaways"):
        assert f"\n## {heading}" in text, heading
    assert text.count("**Predict first.**") == text.count("<details>") >= 3
    assert len(code_cells(path)[1].source.splitlines()) <= LONGEST_SETUP


@every_chapter
def test_every_emitted_name_and_no_other_is_promised(path):
    named = set()
    for node in ast.walk(tree(path)):
        function = getattr(getattr(node, "func", None), "attr", "")
        if function in ("emit", "table"):
            kind = "figure" if function == "emit" else "table"
            named.add(f"{kind}:{ast.literal_eval(node.args[1])}")
    promised = set(read(path).metadata["deblurlib"]["artefacts"])
    assert "results" in promised
    assert named == {name for name in promised if ":" in name}
    assert any(name.startswith("figure:") for name in named)


@every_chapter
def test_the_networks_that_ship_and_are_used_are_promised(path):
    # they are part of the page's code, see report.stamp.code_hash
    shipped = {folder.name for folder in (ROOT / "deblurlib" / "weights").iterdir()}
    named = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)}
    assert named & shipped <= set(read(path).metadata["deblurlib"].get("weights", []))


@every_chapter
def test_every_exercise_has_a_solution(path):
    stubs, solutions = exercises(path), exercises(path.parent / "solutions" / path.name)
    assert stubs
    assert stubs.keys() == solutions.keys()
    for name, cell in stubs.items():
        (function,) = ast.parse(cell.source).body
        (solution,) = ast.parse(solutions[name].source).body
        assert ast.unparse(function.args) == ast.unparse(solution.args)
        assert function.name == solution.name
        assert ast.unparse(function.body[-1]) == "return None"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_a_notebook_of_solutions_runs_and_needs_no_names_of_its_chapter(path):
    made = {}
    exec(compile(tree(path), path.name, "exec"), made)
    for cell in exercises(path).values():
        function = made[ast.parse(cell.source).body[0].name]
        used = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
        assert used <= {*made, *vars(builtins)}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Each chapter once executed by papermill with ``smoke``, with its own, empty run store."""
    cache = {}

    def run(path):
        if path not in cache:
            folder = tmp_path_factory.mktemp(path.stem)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DEBLURLIB_RUNS", str(folder / "runs"))
                made = folder / path.name
                cache[path] = execute.run_chapter(path, made, {"profile": "smoke"})
        return cache[path]

    return run


@pytest.mark.notebook
@every_chapter
def test_chapter_runs_and_holds_what_it_promises(executed, path):
    outcome = executed(path)
    assert outcome.error is None
    assert outcome.results["profile"] == "smoke"
    assert {row["method"] for row in outcome.rows} >= {"identity"}


@pytest.mark.notebook
@every_chapter
def test_chapter_prints_the_same_again_and_its_checks_tell_a_stub_from_a_solution(
    executed, path, tmp_path, monkeypatch
):
    # One execution for both, by strict nbval: all cells of the executed copy must give the same
    # text as before; and after each check of a stub, the solution takes the stub's place and the
    # same check must say that it is correct.
    notebook = read(executed(path).copy)
    compared = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(compared) >= 5, "a comparison of nothing cannot fail"
    for number, solution in exercises(path.parent / "solutions" / path.name).items():
        stub = next(c for c in notebook.cells if f"exercise-{number}" in c.metadata.get("tags", []))
        place = notebook.cells.index(stub) + 1
        check = notebook.cells[place]
        (printed,) = check.outputs
        assert printed.text == f"exercise {number}: not done yet\n"
        assert not {"nbval-ignore-output", "nbval-skip"} & set(check.metadata.get("tags", []))
        again = copy.deepcopy(check)
        again.outputs[0].text = f"exercise {number}: correct\n"
        again.id = f"solved-{number}"
        notebook.cells[place + 1 : place + 1] = [new_code_cell(solution.source), again]
    solved = tmp_path / path.name
    nbformat.write(notebook, solved)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-c", "/dev/null", "--rootdir", str(tmp_path), str(solved)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
