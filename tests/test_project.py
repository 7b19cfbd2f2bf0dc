"""The project's files agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from deblurlib.data import sources

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = [
    line.split(";")[0].strip()
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line.strip()
]


def package(requirement):
    return re.split(r"[\[<>=!~;\s]", requirement)[0].lower().replace("_", "-")


def test_every_dependency_is_pinned_exactly():
    pinned = {package(pin) for pin in PINS}
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", pin) for pin in PINS)
    wanted = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    assert {package(requirement) for requirement in wanted} <= pinned


def test_no_host_and_no_url_is_committed():
    for name in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name


def test_environment_yml_installs_what_make_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    assert {package(d) for d in conda} == {"python", "pip"}
    python = next(d for d in conda if d.startswith("python=")).partition("=")[2]
    assert python in ("3.11", "3.12")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    extras = re.search(r"--editable '\.\[(.*)\]'", makefile)[1]
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert {"test", "bench"} <= set(extras.split(",")) <= set(EXTRAS)


def test_the_extras_are_those_named():
    assert set(EXTRAS) == {"app", "site", "test", "bench", "batch"}


def test_every_known_data_set_is_documented():
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    for name in ("sample", *sources.KNOWN):
        assert f"`{name}`" in text


def test_every_link_in_the_pages_leads_somewhere():
    for page in [
        *ROOT.glob("*.md"),
        *(ROOT / "data").glob("*.md"),
        *(ROOT / "reports").glob("*.md"),
    ]:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)  # less code
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_names_every_chapter():
    readme = (ROOT / "README.md").read_text("utf-8")
    for notebook in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert f"notebooks/{notebook.name}" in readme


def test_the_readmes_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert blocks
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["blurred.png"]


def test_published_results_are_valid():
    import json

    from deblurlib import report
    from deblurlib.studies.rows import read_rows

    for path in sorted((ROOT / "reports" / "results").glob("[0-9][0-9].json")):
        rows = read_rows(path.with_name(f"{path.stem}_rows.csv.gz"))
        report.validate(json.loads(path.read_text("utf-8")), rows)
        assert json.loads(path.read_text("utf-8"))["profile"] in ("report", "full")


def test_modules_and_functions_are_short():
    import ast

    for path in (ROOT / "deblurlib").rglob("*.py"):
        text = path.read_text("utf-8")
        assert text.count("\n") <= 250, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                documented = ast.get_docstring(node) is not None
                begins = node.body[0].end_lineno if documented else node.lineno
                assert node.end_lineno - begins < 60, f"{path}: {node.name}"


def test_the_sets_of_images_are_not_committed():
    listed = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert listed.stdout.split() == ["data/README.md"]
