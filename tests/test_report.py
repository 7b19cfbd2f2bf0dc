"""Executing, checking, stamping, rendering and publishing small chapters made for the purpose."""

import copy as copying
import json
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from deblurlib import report
from deblurlib.errors import InputError
from deblurlib.perception import MEASURES
from deblurlib.report import execute, publish, results, site, stamp

PARAMETERS = 'profile = "quick"\nseed = 0\ndata = "sample"'
RECORD = """
from deblurlib import report
from deblurlib.data import open_images
test = open_images(data, "test")
rows = [
    {"method": m, "seed": seed, "data": "sample", "degradation": "none", "scene": "a", "image": "a",
     "psnr": 20.0 + seed}
    for m in ("identity", "other")
]
summary = [{"method": m, "n": 1, "psnr": 20.0} for m in ("identity", "other")]
report.record(chapter="01", profile=profile, seeds=[seed], data=[test], summary=summary, rows=rows)
"""
FIGURE = """
import torch
from deblurlib import plots
plots.emit(plots.show({"grey": torch.full((8, 8), 0.5)}), "result", "a grey square")
"""


def write_chapter(folder, *cells, artefacts=("results",), name="01_small.ipynb"):
    code = [new_code_cell(cell) for cell in cells]
    notebook = new_notebook(cells=[new_markdown_cell("# 01 · Small"), *code])
    notebook.cells[1].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["deblurlib"] = {
        "title": "Small",
        "question": "Does it run?",
        "artefacts": list(artefacts),
    }
    path = folder / "notebooks" / name
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    path = write_chapter(folder, PARAMETERS, RECORD, FIGURE, artefacts=("results", "figure:result"))
    return execute.run_chapter(path, folder / "out.ipynb", {"profile": "report", "seed": 3})


def test_a_good_chapter_gives_its_results_and_a_stamp(good):
    assert good.error is None
    assert good.results["profile"] == "report"
    assert good.rows[0]["psnr"] == 23.0
    assert "rows" not in good.results
    made = good.results["stamp"]
    assert made["seeds"] == [3]
    assert made["data"][0]["name"] == "sample"
    assert made["data"][0]["n"] == 3
    assert made["versions"]["torch"]
    page = nbformat.read(good.copy, as_version=4)
    assert page.cells[1].metadata.tags == ["stamp"]
    for word in (made["code"], made["device"], "`report`", made["data"][0]["fingerprint"]):
        assert word in page.cells[1].source
    assert page.metadata.deblurlib.stamp == made
    assert str(good.copy.parent) not in good.copy.read_text("utf-8")


def test_the_stamp_knows_code_from_text(tmp_path):
    data = [{"name": "sample", "n": 3, "fingerprint": "0" * 12}]
    plain = stamp.code_hash(write_chapter(tmp_path, PARAMETERS, RECORD), data)
    commented = write_chapter(tmp_path, PARAMETERS, "# why\n" + RECORD)
    assert stamp.code_hash(commented, data) == plain
    changed = write_chapter(tmp_path, PARAMETERS, RECORD.replace("20.0 + seed", "20.0 - seed"))
    assert stamp.code_hash(changed, data) != plain
    other_data = [{"name": "sample", "n": 3, "fingerprint": "1" * 12}]
    assert stamp.code_hash(changed, other_data) != stamp.code_hash(changed, data)


def test_unknown_parameters_and_profiles_are_errors(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, RECORD)
    with pytest.raises(InputError, match=r"no parameter 'epochs'; it has profile, seed, data"):
        execute.run_chapter(path, tmp_path / "out.ipynb", {"epochs": 3})
    with pytest.raises(InputError, match="profile 'huge' is none of smoke, quick, report, full"):
        execute.run_chapter(path, tmp_path / "out.ipynb", {"profile": "huge"})
    assert not (tmp_path / "out.ipynb").exists()


def test_a_failing_cell_is_reported_with_its_traceback(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, "def f():\n    return 1 / 0", "f()")
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {})
    first, *rest = outcome.error.split("\n")
    assert first.startswith("cell 4 raised ZeroDivisionError: division by zero")
    assert any("return 1 / 0" in line for line in rest)
    page = nbformat.read(outcome.copy, as_version=4)
    assert "This run failed" in page.cells[1].source


def test_the_cell_number_counts_the_source_notebook(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, "1 / 0")
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {"seed": 1})
    assert outcome.error.startswith("cell 3 ")


def test_a_kernel_that_dies_is_reported(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, "import os; os._exit(1)")
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {})
    assert "kernel" in outcome.error


def test_a_broken_promise_is_a_failure(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, RECORD, artefacts=("results", "figure:result"))
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {})
    assert outcome.error == "promised, but not produced: figure:result"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('chapter="02"', "the recorded results are of chapter 02"),
        ('chapter="first"', "the recorded results are not valid: chapter: 'first'"),
    ],
)
def test_wrong_results_are_a_failure(tmp_path, change, message):
    path = write_chapter(tmp_path, PARAMETERS, RECORD.replace('chapter="01"', change))
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {})
    assert outcome.error.startswith(message)


def test_the_working_directory_never_matters(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    cell = "from pathlib import Path\nassert not list(Path.cwd().iterdir())\nPath('x').touch()"
    path = write_chapter(tmp_path, PARAMETERS, RECORD, cell)
    assert execute.run_chapter(path, tmp_path / "out.ipynb", {}).error is None
    assert not list(here.iterdir())


def valid():
    """A results file and its rows, as small as can be."""
    made = {
        "code": "0" * 12,
        "commit": None,
        "dirty": None,
        "device": "cpu",
        "versions": {},
        "seeds": [0],
        "wall_seconds": 1.0,
        "finished": "2026-01-01T00:00:00+00:00",
        "data": [{"name": "bsds500", "n": 2, "fingerprint": "0" * 12}],
    }
    claim = {
        "id": "01a",
        "origin": "ours",
        "quote": "It helps.",
        "estimand": "mean gain",
        "unit": "dB",
        "margin": 0.1,
        "estimate": 0.5,
        "lo": 0.3,
        "hi": 0.7,
        "n_seeds": 5,
        "n_images": 2,
        "n_scenes": 2,
        "verdict": "confirmed",
    }
    summary = [{"method": "identity", "n": 2, "psnr": 20.0}]
    row = {"method": "identity", "seed": 0, "data": "d", "degradation": "g", "scene": "s"}
    file = {"schema": 1, "chapter": "01", "profile": "report", "stamp": made}
    return file | {"summary": summary, "claims": [claim]}, [row | {"image": "i", "psnr": 20.0}]


def test_a_valid_file_passes():
    assert report.validate(*valid()) is None


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda file, rows: file.pop("claims"), "claims"),
        (lambda file, rows: file.update(profile="huge"), "profile: 'huge' is not one of"),
        (lambda file, rows: file.update(extra=1), "extra"),
        (lambda file, rows: file["stamp"].pop("seeds"), "stamp: 'seeds' is a required"),
        (lambda file, rows: file["summary"][0].update(method="unet"), "identity .* is missing"),
        (lambda file, rows: file["claims"][0].update(verdict="proved"), "claims/0/verdict"),
        (lambda file, rows: file["claims"][0].update(margin=-1), "claims/0/margin"),
        (lambda file, rows: file["claims"][0].update(n_seeds=2), "01a: two seeds are too few"),
        (lambda file, rows: file.update(profile="quick"), "01a: no verdict"),
        (lambda file, rows: file["stamp"]["data"][0].update(name="sample"), "01a: no verdict"),
        (lambda file, rows: rows[0].update(psnr=""), "line 1: no 'psnr'"),
        (lambda file, rows: rows[0].update(lpips=0.1), "line 1: unknown column 'lpips'"),
        (lambda file, rows: rows.append(rows[0] | {"image": "j", "method": "unet"}), "for j"),
    ],
)
def test_an_invalid_file_is_refused(break_it, message):
    file, rows = copying.deepcopy(valid())
    break_it(file, rows)
    with pytest.raises(InputError, match=message):
        report.validate(file, rows)


def test_rows_become_csv_in_a_fixed_order():
    _, rows = valid()
    header, line = results.to_csv([rows[0] | {"psnr": 1 / 3}]).splitlines()
    assert header.startswith("method,recipe,run,seed,data,degradation,scene,image,psnr,ssim_")
    assert header.endswith(",seconds")
    assert line.startswith("identity,,,0,d,g,s,i,0.333333,")


def test_measures_are_columns_of_their_own():
    file, rows = valid()
    scored = {name: number / 8 for number, name in enumerate(MEASURES)}
    assert len(scored) == 3
    report.validate(file, [rows[0] | scored])
    header, line = (text.split(",") for text in results.to_csv([rows[0] | scored]).splitlines())
    found = dict(zip(header, line, strict=True))
    assert [float(found[name]) for name in MEASURES] == [0, 0.125, 0.25]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty folder in the place of the checkout."""
    module = tmp_path / "deblurlib" / "report" / "results.py"
    monkeypatch.setattr(results, "__file__", str(module))
    return tmp_path


def test_a_chapter_without_results_has_no_published_verdicts(checkout):
    assert results.published_verdicts("01") == {}


def test_published_verdicts_are_those_of_the_results_file(checkout):
    file, _ = copying.deepcopy(valid())
    (claim,) = file["claims"]
    file["claims"] += [claim | {"id": "01b", "verdict": None}]
    file["claims"] += [claim | {"id": "01c", "verdict": "undecided"}]
    folder = checkout / "reports" / "results"
    folder.mkdir(parents=True)
    (folder / "01.json").write_text(json.dumps(file), "utf-8")
    assert results.published_verdicts("01") == {"01a": "confirmed", "01c": "undecided"}
    assert results.published_verdicts("02") == {}


def test_publishing_writes_page_results_and_figures(good, tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "01_old.png").touch()
    (figures / "02_other.png").touch()
    written = publish.publish(good, tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in written)
    assert names == [
        "figures/01_result.png",
        "reports/01_small.md",
        "reports/results/01.json",
        "reports/results/01_rows.csv",
    ]
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["01.json", "01_result.png", "01_rows.csv", "01_small.md", "02_other.png"]
    page = (tmp_path / "reports" / "01_small.md").read_text("utf-8")
    assert "![a grey square](../figures/01_result.png)" in page
    assert "How this page was made" in page
    assert "injected" not in page
    file = json.loads((tmp_path / "reports" / "results" / "01.json").read_text("utf-8"))
    report.validate(file, good.rows)


def test_code_tagged_so_is_folded_on_a_published_page_and_its_outputs_are_not(tmp_path):
    printed = nbformat.v4.new_output("stream", name="stdout", text="seen")
    drawn = new_code_cell("draw()", outputs=[printed], metadata={"tags": ["hide-input"]})
    page = publish.render(new_notebook(cells=[drawn, new_code_cell("shown()")]), "01", tmp_path)
    fold = "<details><summary>Code</summary>\n\n```python\ndraw()\n```\n\n</details>"
    assert page.count("draw()") == 1
    before, _, after = page.partition(fold)
    assert before == ""
    assert "    seen" in after
    assert "shown()" in after
    assert "<details>" not in after


def test_publishing_refuses_small_profiles_and_failed_runs(good, tmp_path):
    for profile in ("smoke", "quick"):
        with pytest.raises(InputError, match=f"'{profile}' is not for publishing"):
            publish.check_profile(profile)
    failed = execute.Outcome(good.notebook, good.copy, 1.0, error="cell 3 raised X\ntrace")
    with pytest.raises(InputError, match="chapter 01 is not published: cell 3 raised X"):
        publish.publish(failed, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_publishing_into_a_read_only_folder_leaves_it_alone(good, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission"):
        publish.publish(good, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_page_has_descriptions_and_static_explorers():
    bundle = {"text/html": "<p>", site.WIDGET_VIEW: {}, "text/plain": "[explorer: why?]"}
    outputs = [
        nbformat.v4.new_output(
            "display_data",
            data={"image/png": "", "text/plain": ""},
            metadata={"image/png": {"alt": "a cat"}},
        ),
        nbformat.v4.new_output("display_data", data=bundle),
    ]
    injected = new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]})
    page = site.for_reading(new_notebook(cells=[injected, new_code_cell("", outputs=outputs)]))
    (cell,) = page.cells
    assert cell.metadata.mystnb.image.alt == "a cat"
    assert site.WIDGET_VIEW not in cell.outputs[1].data
    assert "text/html" in cell.outputs[1].data


def test_the_chapter_table_says_what_failed(good, tmp_path):
    failed = execute.Outcome(good.notebook, good.copy, 1.0, error="cell 3 raised X")
    table = site.chapter_table([good, failed], tmp_path)
    assert "| Does it run? | failed | not yet |" in table
    assert f"| Does it run? | {good.seconds:.0f} s | not yet |" in table


def test_published_results_of_other_code_are_called_stale(good, tmp_path):
    publish.publish(good, tmp_path)
    results = tmp_path / "reports" / "results"
    assert site.published_state(good.notebook, results) == "report, current"
    file = json.loads((results / "01.json").read_text("utf-8"))
    file["stamp"]["code"] = "0" * 12
    (results / "01.json").write_text(json.dumps(file), "utf-8")
    assert site.published_state(good.notebook, results).startswith("report, stale")
