"""The project's files agree with each other: packages, pages, results, lengths."""

import ast
import io
import json
import os
import re
import runpy
import subprocess
import tokenize
import tomllib
from pathlib import Path

import pytest
import yaml
from test_deconvolution import CHOSEN

from deblurlib import evaluation, models, places, report
from deblurlib.models import WEIGHTS
from deblurlib.report import site
from deblurlib.report.keys import KEY, find_pages
from deblurlib.restoration import METHODS, shipped
from deblurlib.studies.rows import read_rows

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCS = ROOT / "docs"
PAGE = (DOCS / "deconvolution.md").read_text("utf-8")
NOT_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def package(requirement):
    return re.split(r"[\[<>=!~;\s]", requirement)[0].lower().replace("_", "-")


def run_blocks(text):
    """Run a page's code; returns the names it made."""
    made = {}
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(compile(code, "page", "exec"), made)
    return made


# ---- packages


def test_every_dependency_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line.strip()]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", pin) for pin in pins)
    wanted = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    assert {package(requirement) for requirement in wanted} <= {package(pin) for pin in pins}


def test_no_host_and_no_url_is_committed():
    for name in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name


def test_environment_yml_installs_what_make_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    assert {package(d) for d in conda} == {"python", "pip"}
    assert {"python=3.11", "python=3.12"} & set(conda)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    extras = re.search(r"EXTRAS := \[(.*)\]", makefile)[1]
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert {"test", "bench"} <= set(extras.split(",")) <= set(EXTRAS)


def would_run(*words):
    """What make would do with them, outside of make and of an environment."""
    inner = ("MAKEFLAGS", "MAKELEVEL", "VENV", "VIRTUAL_ENV", "CONDA_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in inner}
    command = ["make", "--dry-run", "--always-make", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_make_install_installs_the_library_alone_and_make_test_the_extras_beside_it():
    library, tools = (would_run(target).stdout for target in ("install", "test"))
    assert "--editable '.'\n" in library
    assert "touch .venv/.installed" in library
    assert "source .venv/bin/activate" in library
    assert re.search(r"--editable '\.\[.*test.*\]'\ntouch .venv/.ready\n", tools)
    assert "/elsewhere/bin/python -m pip install" in would_run("install", "VENV=/elsewhere").stdout


def test_an_environment_that_is_not_active_is_not_installed_into():
    done = would_run("install", "VENV=")  # what "$VIRTUAL_ENV" comes to
    assert (done.returncode, done.stdout) == (2, "")
    assert "no environment is active" in done.stderr


def test_make_help_names_every_command():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.search(r"\.PHONY: (.*)", makefile)[1].split()
    named = re.findall(r'@echo "make ([a-z-]+)', makefile)
    assert sorted([*named, "help"]) == sorted(targets)


# ---- files


def test_every_known_data_set_is_documented_and_none_is_committed():
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    assert [name for name in ("sample", *places.KNOWN) if f"`{name}`" not in text] == []
    listed = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert listed.stdout.split() == ["data/README.md"]


def test_every_link_in_the_pages_leads_somewhere():
    places = ("", "data/", "reports/", "deblurlib/weights/*/")
    for page in (p for place in places for p in ROOT.glob(f"{place}*.md")):
        assert_links_lead_somewhere(page)


def assert_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)  # less code
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_model_cards_have_their_pictures_on_the_site_too(tmp_path):
    site.copy_pages(ROOT, tmp_path / "pages")
    cards = list((tmp_path / "pages").glob("*-card.md"))
    assert len(cards) == len(models.shipped_networks())
    for card in cards:
        assert_links_lead_somewhere(card)


def test_the_licences_are_that_of_the_code_and_those_of_the_weights():
    assert PROJECT["license"].split(" AND ")[0] == "MIT"
    found = {path for pattern in PROJECT["license-files"] for path in ROOT.glob(pattern)}
    networks = {WEIGHTS / name / "LICENSE" for name in models.shipped_networks()}
    assert found == {ROOT / "LICENSE", *networks}


def test_the_readme_names_every_chapter_and_its_model_beats_the_identity(
    tmp_path, monkeypatch, capsys
):
    readme = (ROOT / "README.md").read_text("utf-8")
    for notebook in find_pages(ROOT / "notebooks"):
        assert f"notebooks/{notebook.name}" in readme
    monkeypatch.chdir(tmp_path)
    made = run_blocks(readme)
    assert [path.name for path in tmp_path.iterdir()] == ["blurred.png"]
    identity, mine = evaluation.summary(made["rows"])
    assert mine["psnr_gain"] > 0.5
    assert (mine["win_rate"], mine["ssim"] > identity["ssim"]) == (1, True)
    shown = re.search(r"```text\n(method .*?)```", readme, re.DOTALL)[1]
    printed = evaluation.table(made["rows"])
    assert printed in capsys.readouterr().out
    told, made_now = ([line.split() for line in t.splitlines()] for t in (shown, printed))
    assert told[0] == made_now[0]
    for line, now in zip(told[1:], made_now[1:], strict=True):
        assert line[:2] == now[:2]
        numbers = zip(line[2:5], now[2:5], strict=True)  # on another processor it learns otherwise
        assert all(float(a) == pytest.approx(float(b), abs=0.4) for a, b in numbers)


def test_published_results_are_valid():
    for path in (ROOT / "reports" / "results").glob("*.json"):
        if not KEY.fullmatch(path.stem):
            continue
        results = json.loads(path.read_text("utf-8"))
        assert results["chapter"] == path.stem
        report.validate(results, read_rows(path.with_name(f"{path.stem}_rows.csv.gz")))
        assert results["profile"] in ("report", "full")


def test_modules_and_functions_are_short():
    # of lines, those of code are counted: no one should save on comments
    for path in (*(ROOT / "deblurlib").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")):
        text = path.read_text("utf-8")
        assert code_lines(text) < (150 if path.parent.name == "benchmarks" else 251), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                begins = docstring_lines(node)[-1:] or [node.lineno]
                assert node.end_lineno - begins[0] < 60, f"{path}: {node.name}"


def code_lines(text):
    """How many lines hold code: blank lines, comments and docstrings do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if t.type not in NOT_CODE]
    lines = {line for first, last in spans for line in range(first, last + 1)}
    return len(lines.difference(*map(docstring_lines, ast.walk(ast.parse(text)))))


def docstring_lines(node):
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        return []
    held = ast.get_docstring(node) is not None
    return list(range(node.body[0].lineno, node.body[0].end_lineno + 1)) if held else []


# ---- the page on deconvolution


def cells(line):
    return [cell.strip().strip("`") for cell in line.split("|")[1:-1]]


@pytest.fixture(scope="module")
def candidates():
    """The mean PSNR of each candidate, by its name, in the order of the table."""
    text = (DOCS / "deconvolution" / "choose.md").read_text("utf-8")
    _, _, *rows = [cells(line) for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: float(row[1]) for row in rows}


def test_the_code_on_deconvolution_runs():
    made = run_blocks(PAGE)
    assert made["x_hat"].shape == made["y"].shape
    assert made["k_hat"].shape == (1, 9, 9)
    assert made["k_hat"].sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["levin", "found"])
def test_the_tables_of_methods_hold_what_was_measured_the_identity_first(name):
    stored = (DOCS / "deconvolution" / f"{name}.json").read_text("utf-8")
    summary = json.loads(stored)["summary"]
    table = PAGE.partition(f"draw_deconvolution.py: {name} -->")[2].partition("<!--")[0]
    rows = [cells(line) for line in table.strip().splitlines()[2:]]
    assert rows[0][0] == "identity"
    for row, line in zip(rows, summary, strict=True):
        assert row[0] == line["method"]
        assert row[2] == f"{line['psnr']:.2f}"
        assert row[4] == f"{line['ssim']:.4f}"
        if row[0] != "identity":
            assert row[3] == f"{line['psnr_gain']:+.2f}"
            assert row[5] == f"{line['win_rate']:.0%}"
        if line.get("kernel_error") is not None:
            assert row[1] == f"{line['kernel_error']:.2f}"


def test_the_page_names_every_method_that_is_measured_and_no_other():
    named = {cells(line)[0] for line in PAGE.splitlines() if line.startswith("| `")}
    assert {*METHODS, *shipped()} - {"kernelnet-rl-stitched"} <= named <= {*METHODS, *shipped()}


def test_scores_in_the_text_are_among_the_candidates(candidates):
    said = re.findall(r"\b\d\d\.\d dB\b", PAGE)
    assert said
    assert set(said) <= {f"{score:.1f} dB" for score in candidates.values()}


def test_what_was_chosen_is_best_or_nearly_so(candidates):
    assert next(iter(candidates)) == "identity"
    for name, chosen in CHOSEN.items():
        best = max(score for key, score in candidates.items() if key.partition(" (")[0] == name)
        assert candidates[chosen] >= best - 0.2


def test_what_pages_take_from_the_code_is_as_it_is_now():
    pages = runpy.run_path(str(ROOT / "docs" / "write_reference.py"))["pages"]()
    assert len(pages) == 2
    for page, text in pages.items():
        assert page.read_text("utf-8") == text, f"run docs/write_reference.py: {page.name}"
