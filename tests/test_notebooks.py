"""The notebooks: their form (from their JSON alone), their execution, their exercises."""

import ast
import builtins
import copy
import dis
import re
import subprocess
import sys
from pathlib import Path

import form
import nbformat
import papermill
import pytest
from form import code_cells, exercises, read
from nbformat.v4 import new_code_cell

from deblurlib.report import execute

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
CHAPTERS = sorted({path.name[:2] for path in PAGES})
FORBIDDEN = {
    "a shell command or magic": r"^\s*[!%]",
    "an absolute path": r"[\"'](/[a-z]+/|[A-Z]:\\\\)",
    "the module search path": r"sys\.path",
    "a wildcard import": r"import \*",
    "another host": r"https?://",
    "an environment's name": r"google\.colab",
}
every_notebook = pytest.mark.parametrize("path", PAGES + SOLUTIONS, ids=lambda p: p.stem)
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)


def tree(path):
    """All code of a notebook, parsed."""
    return ast.parse("\n".join(cell.source for cell in code_cells(path)))


def solutions_of(path):
    return path.parent / "solutions" / path.name


def test_there_are_pages_each_of_a_key_of_its_own_and_a_solution_to_each():
    assert PAGES
    keys = [form.key_of(path) for path in PAGES]
    assert all(form.KEY.fullmatch(key) for key in keys)
    assert len(set(keys)) == len(keys)
    assert [path.name for path in PAGES] == [path.name for path in SOLUTIONS]


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
def test_code_is_portable(path):
    for cell in code_cells(path):
        for line in cell.source.splitlines():
            for what, pattern in FORBIDDEN.items():
                assert not re.search(pattern, line), f"cell {cell.id} has {what}: {line}"
        # what drawing returns holds an address in memory, which nbval takes for a change
        last = ast.parse(cell.source).body[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            called = ast.unparse(last.value.func)
            assert not called.startswith("ax"), f"cell {cell.id} ends in {called}(...)"


@every_page
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


@every_page
def test_says_what_it_is_about(path):
    about = read(path).metadata["deblurlib"]
    assert about["title"]
    assert about["question"].endswith("?")
    assert form.text_of(path).startswith(f"# {form.key_of(path)} · {about['title']}")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_where_it_breaks_what_is_claimed_and_what_remains(chapter):
    text = "\n".join(form.text_of(path) for path in PAGES if path.name.startswith(chapter))
    for heading in ("Where it breaks", "Claims", "Takeaways"):
        assert f"\n## {heading}" in text, heading


@every_page
def test_code_is_short(path):
    form.assert_short(path)


@every_page
def test_what_is_folded_on_the_site_is_folded_in_jupyterlab_too(path):
    form.assert_folded(path)


@every_page
def test_is_a_sitting_long(path):
    form.assert_within_limits(path)


@every_page
def test_begins_with_a_picture(path):
    form.assert_begins_with_a_picture(path)


@every_page
def test_predictions_are_choices_and_their_outcomes_follow(path):
    form.assert_predictions_are_choices(path)


@every_page
def test_every_exercise_has_its_check_hints_and_solution(path):
    form.assert_exercises_are_whole(path, solutions_of(path))


@every_page
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


@every_page
def test_the_networks_that_ship_and_are_used_are_promised(path):
    # they are part of the page's code, see report.stamp.code_hash
    shipped = {folder.name for folder in (ROOT / "deblurlib" / "weights").iterdir()}
    named = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)}
    assert named & shipped <= set(read(path).metadata["deblurlib"].get("weights", []))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_a_notebook_of_solutions_runs_and_needs_no_names_of_its_chapter(path):
    made = {}
    exec(compile(tree(path), path.name, "exec"), made)
    for cell in exercises(path).values():
        function = made[ast.parse(cell.source).body[0].name]
        used = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
        assert used <= {*made, *vars(builtins)}


CAUGHT = """
from IPython.utils.capture import capture_output
with capture_output() as caught:
    exec({!r}, globals())
print(caught.stdout, end="")"""


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
@every_page
def test_chapter_runs_and_holds_what_it_promises(executed, path):
    outcome = executed(path)
    assert outcome.error is None
    assert outcome.results["profile"] == "smoke"
    assert {row["method"] for row in outcome.rows} >= {"identity"}


@pytest.mark.notebook
@every_page
def test_chapter_prints_the_same_again_and_its_checks_tell_a_stub_from_a_solution(
    executed, path, tmp_path, monkeypatch
):
    # One execution for both, by strict nbval: all cells of the executed copy must give the same
    # text as before; and after each check of a stub, the solution takes the stub's place and the
    # same check must say that it is correct.
    notebook = read(executed(path).copy)
    compared = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(compared) >= 5, "a comparison of nothing cannot fail"
    for number, solution in exercises(solutions_of(path)).items():
        stub = next(c for c in notebook.cells if f"exercise-{number}" in c.metadata.get("tags", []))
        place = notebook.cells.index(stub) + 1
        check = notebook.cells[place]
        (printed,) = check.outputs
        assert printed.text == f"exercise {number}: not done yet\n"
        assert not {"nbval-ignore-output", "nbval-skip"} & set(check.metadata.get("tags", []))
        again = copy.deepcopy(check)
        # pictures of the answer, which a solved check may draw, are caught: a stub has none
        again.source = CAUGHT.format(check.source)
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
