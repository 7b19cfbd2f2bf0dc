"""The form of a chapter's page, read from its notebook alone; each function asserts one rule."""

import ast
import re
from collections import Counter

import nbformat

LONGEST_VISIBLE = 12
LONGEST_FOLDED = 30
MOST_WORDS = 3500
MOST_FIGURES = 10
MOST_IDEAS = 5
KEY = re.compile(r"\d\d[a-z]?")
PREDICTION = "**Predict first.**"
CHOICE = re.compile(
    r'<details class="choice" name="([^"]+)"><summary>(.+?)</summary>\n\n(.+?)\n\n</details>', re.S
)
FOLDED = '<details class="{}">\\s*<summary>.+?</summary>(.*?)</details>'


def key_of(path):
    """``"01b"``, of ``01b_undoing_blur.ipynb``."""
    return path.name.partition("_")[0]


def read(path):
    return nbformat.read(path, as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text_of(path):
    """All Markdown, without comments, blocks of code and formulas."""
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    text = re.sub(r"<!--.*?-->|^```.*?^```", "", "\n\n".join(cells), flags=re.S | re.M)
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.S)


def exercises(path):
    """The cells tagged ``exercise-N``, by N."""
    return {
        tag.removeprefix("exercise-"): cell
        for cell in code_cells(path)
        for tag in tags(cell)
        if tag.startswith("exercise-")
    }


def calls(cell, name):
    """The calls of a function (``"plots.emit"``) in a cell."""
    nodes = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)]
    return [node for node in nodes if ast.unparse(node.func) == name]


def assert_short(path):
    """Code in view can be taken in at a glance; plumbing, drawing and checks are folded."""
    for cell in code_cells(path):
        lines = len(cell.source.splitlines())
        most = LONGEST_FOLDED if "hide-input" in tags(cell) else LONGEST_VISIBLE
        assert "parameters" in tags(cell) or lines <= most, f"cell {cell.id} has {lines} lines"


def assert_folded(path):
    """What a rendered page folds, JupyterLab folds, too."""
    for tag, name in (("hide-input", "source_hidden"), ("outcome", "outputs_hidden")):
        for cell in code_cells(path):
            folded = cell.metadata.get("jupyter", {}).get(name, False)
            assert folded == (tag in tags(cell)), f"cell {cell.id}: {tag}, {name} {folded}"


def assert_within_limits(path):
    words = len(re.sub(r"<[^>]*>", "", text_of(path)).split())
    assert words <= MOST_WORDS, f"{words} words"
    promised = read(path).metadata["deblurlib"]["artefacts"]
    figures = [name for name in promised if name.startswith("figure:")]
    assert len(figures) <= MOST_FIGURES, f"{len(figures)} figures"
    ideas = re.findall(r"(?m)^## Idea", text_of(path))
    assert 1 <= len(ideas) <= MOST_IDEAS, f"{len(ideas)} ideas"


def assert_begins_with_a_picture(path):
    """First the parameters, then the setup, which checks them, then a picture."""
    first, setup, picture = code_cells(path)[:3]
    assert "parameters" in tags(first)
    found = calls(setup, "parameters.check")
    assert len(found) == 1, f"cell {setup.id} does not check the parameters"
    call = found[0]
    assert ast.unparse(call) == f"parameters.check({key_of(path)!r}, globals())"
    imported = [n for n in ast.parse(setup.source).body if n.lineno < call.lineno]
    assert [ast.unparse(n) for n in imported] == ["from deblurlib import parameters"]
    assert "hide-input" in tags(picture), f"cell {picture.id} is in view"
    assert calls(picture, "plots.emit"), f"cell {picture.id} emits no figure"


def assert_predictions_are_choices(path):
    """Three answers to each, one right; the outcome stands, folded, before the next question."""
    used = Counter()
    pending = None
    for cell in read(path).cells:
        if cell.cell_type == "code":
            pending = None if "outcome" in tags(cell) else pending
            continue
        before, *questions = cell.source.split(PREDICTION)
        assert '<details class="choice"' not in before, f"cell {cell.id}: a choice of nothing"
        for question in questions:
            assert pending is None, f"cell {pending}: no outcome before the next question"
            pending = cell.id
            choices = CHOICE.findall(question)
            assert len(choices) == question.count('class="choice"') == 3, (
                f"cell {cell.id}: {len(choices)} choices"
            )
            right = [reason for *_, reason in choices if reason.startswith("**Yes.**")]
            told = [re.match(r"\*\*(Yes|No|Nearly)\.\*\*", reason) for *_, reason in choices]
            assert len(right) == 1, f"cell {cell.id}: {len(right)} right answers"
            assert all(told), f"cell {cell.id}: a reason begins with Yes, No or Nearly"
            (name,) = {name for name, *_ in choices}
            assert name.startswith(f"{key_of(path)}-"), f"cell {cell.id}: named {name}"
            used[name] += 1
    assert pending is None, f"cell {pending}: no outcome"
    assert used, "no prediction"
    assert set(used.values()) == {1}, f"names used twice: {used}"


def assert_exercises_are_whole(path, solutions):
    """After each stub its check, and then its hints and its solution, folded."""
    cells = read(path).cells
    solved = exercises(solutions)
    stubs = exercises(path)
    assert stubs, "no exercise"
    assert stubs.keys() == solved.keys()
    for number, stub in stubs.items():
        (function,) = ast.parse(stub.source).body
        (solution,) = ast.parse(solved[number].source).body
        assert ast.unparse(function.args) == ast.unparse(solution.args), f"exercise {number}"
        assert function.name == solution.name, f"exercise {number}"
        assert ast.unparse(function.body[-1]) == "return None", f"exercise {number}"
        place = [cell.id for cell in cells].index(stub.id)
        check, after = cells[place + 1 : place + 3]
        (call,) = calls(check, "exercises.check")
        assert ast.literal_eval(call.args[0]) == int(number), f"exercise {number}"
        assert ast.unparse(call.args[1]) == function.name, f"exercise {number}"
        assert after.cell_type == "markdown", f"exercise {number}: no hints after its check"
        assert re.search(FOLDED.format("hint"), after.source, re.S), f"exercise {number}: no hint"
        (shown,) = re.findall(FOLDED.format("solution"), after.source, re.S)
        (code,) = re.findall(r"```python\n(.*?)```", shown, re.S)
        same = ast.dump(ast.parse(code)) == ast.dump(ast.parse(solved[number].source))
        assert same, f"exercise {number}: the solution on the page is another"
