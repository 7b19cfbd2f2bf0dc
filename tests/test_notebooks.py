"""The notebooks: their form (from their JSON alone), their execution, their exercises."""

import ast
import re
from pathlib import Path

import nbformat
import papermill
import pytest

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


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tagged(path, prefix):
    return {
        tag: cell
        for cell in code_cells(path)
        for tag in cell.metadata.get("tags", [])
        if tag.startswith(prefix)
    }


every_notebook = pytest.mark.parametrize("path", CHAPTERS + SOLUTIONS, ids=lambda p: p.stem)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def test_there_are_chapters():
    assert CHAPTERS


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
    inferred = papermill.inspect_notebook(str(path))
    assert set(inferred) == set(values), "papermill reads the cell otherwise"


@every_chapter
def test_has_the_form_of_a_chapter(path):
    notebook = read(path)
    about = notebook.metadata["deblurlib"]
    assert about["title"]
    assert about["question"].endswith("?")
    assert "results" in about["artefacts"]
    assert any(name.startswith("figure:") for name in about["artefacts"])
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.startswith(f"# {path.name[:2]} · {about['title']}")
    for heading in ("The result first", "Where it breaks", "Claims", "Exercises", "Takeaways"):
        assert f"\n## {heading}" in text, heading
    assert text.count("**Predict first.**") == text.count("<details>") >= 3
    setup = code_cells(path)[1]
    assert len(setup.source.splitlines()) <= LONGEST_SETUP


@every_chapter
def test_every_emitted_name_is_promised(path):
    source = "\n".join(cell.source for cell in code_cells(path))
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = set()
    for call in calls:
        function = getattr(call.func, "attr", "")
        if function in ("emit", "table"):
            kind = "figure" if function == "emit" else "table"
            named.add(f"{kind}:{ast.literal_eval(call.args[1])}")
    promised = set(read(path).metadata["deblurlib"]["artefacts"])
    assert named == {name for name in promised if ":" in name}


@every_chapter
def test_the_networks_that_ship_and_are_used_are_promised(path):
    # they are part of the page's code, see report.stamp.code_hash
    shipped = {folder.name for folder in (ROOT / "deblurlib" / "weights").iterdir()}
    nodes = ast.walk(ast.parse("\n".join(cell.source for cell in code_cells(path))))
    named = {node.value for node in nodes if isinstance(node, ast.Constant)} & shipped
    assert named <= set(read(path).metadata["deblurlib"].get("weights", []))


@every_notebook
def test_no_cell_ends_in_what_drawing_returns(path):
    # its text holds an address in memory, which the strict comparison takes for a change
    for cell in code_cells(path):
        last = ast.parse(cell.source).body[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            called = ast.unparse(last.value.func)
            assert not re.search(r"^ax", called), f"cell {cell.id} ends in {called}(...)"


@every_chapter
def test_every_exercise_has_a_solution(path):
    stubs = tagged(path, "exercise-")
    solutions = tagged(path.parent / "solutions" / path.name, "exercise-")
    assert stubs
    assert stubs.keys() == solutions.keys()
    for name, cell in stubs.items():
        (function,) = ast.parse(cell.source).body
        (solution,) = ast.parse(solutions[name].source).body
        assert ast.unparse(function.args) == ast.unparse(solution.args)
        assert function.name == solution.name
        assert ast.unparse(function.body[-1]) == "return None"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Each chapter once executed by papermill with ``smoke``, with its own, empty run store."""
    cache = {}

    def run(path):
        if path not in cache:
            folder = tmp_path_factory.mktemp(path.stem)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DEBLURLIB_RUNS", str(folder / "runs"))
                copy = folder / path.name
                cache[path] = execute.run_chapter(path, copy, {"profile": "smoke"})
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
def test_chapter_prints_the_same_again(executed, path, tmp_path, monkeypatch):
    # strict nbval: a second execution must give the same text as the first
    import subprocess
    import sys

    copy = executed(path).copy
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", str(copy)]
    done = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    compared = sum(bool(cell.outputs) for cell in code_cells(copy))
    assert compared >= 5, "a comparison of nothing cannot fail"


@pytest.mark.notebook
@every_chapter
def test_exercise_checks_tell_a_stub_from_a_solution(executed, path, tmp_path):
    names = sorted(tagged(path, "exercise-"))
    numbers = [name.removeprefix("exercise-") for name in names]
    stub_text = printed(executed(path).copy)
    for number in numbers:
        assert f"exercise {number}: not done yet" in stub_text

    solutions = tagged(path.parent / "solutions" / path.name, "exercise-")
    notebook = read(path)
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if tag in solutions:
                cell.source = solutions[tag].source
    solved = tmp_path / path.name
    nbformat.write(notebook, solved)
    outcome = execute.run_chapter(solved, tmp_path / "out.ipynb", {"profile": "smoke"})
    assert outcome.error is None
    for number in numbers:
        assert f"exercise {number}: correct" in printed(outcome.copy)


def printed(path):
    # what a cell prints may be stored in pieces, when it takes long
    cells = code_cells(path)
    return "\n".join("".join(o.get("text", "") for o in cell.outputs) for cell in cells)


@pytest.mark.notebook
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_solutions_run(path, tmp_path):
    papermill.execute_notebook(str(path), str(tmp_path / "out.ipynb"), progress_bar=False)
    assert (tmp_path / "out.ipynb").exists()
