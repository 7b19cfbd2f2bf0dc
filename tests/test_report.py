"""Executing, checking, stamping, rendering, publishing and confirming a small chapter."""

import base64
import copy as copying
import functools
import io
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from deblurlib import fingerprint, report
from deblurlib.errors import InputError
from deblurlib.perception import MEASURES
from deblurlib.report import confirm, execute, pages, publish, results, rows_proof, stamp
from deblurlib.report.state import published as page_of
from deblurlib.studies.rows import from_csv, pack, read_rows, to_csv

PARAMETERS = 'profile = "quick"\nseed = 0\ndata = "sample"'
RECORD = """
from deblurlib import report
from deblurlib.data import open_images
test = open_images(data, "test")
rows = [
    {"method": m, "data": "sample", "channels": "rgb", "degradation": "none", "draw": seed,
     "image": image, "psnr": 20.0 + seed, "seconds": seconds}
    for m in ("identity", "other") for image, seconds in (("a", 1.0), ("b", 2.0), ("c", 6.0))
]
summary = [{"method": m, "n": 1, "psnr": 20.0, "seconds": 3.0, "perfect": 0, "identity_perfect": 0}
           for m in ("identity", "other")]
report.record(chapter="01", profile=profile, seeds=[seed], data=[test], summary=summary, rows=rows)
"""
HERE = """
from pathlib import Path
assert not list(Path.cwd().iterdir())
Path("x").touch()
print("a", flush=True)
print("b", flush=True)
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


@pytest.fixture(scope="module", autouse=True)
def library_hashed_once():
    """The library does not change meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "of_package", functools.cache(fingerprint.of_package))
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A chapter's execution, in an empty folder that it leaves empty."""
    folder, here = (tmp_path_factory.mktemp(name) for name in ("good", "here"))
    cells = (PARAMETERS, RECORD, HERE, FIGURE)
    path = write_chapter(folder, *cells, artefacts=("results", "figure:result"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        done = execute.run_chapter(path, folder / "out.ipynb", {"profile": "report", "seed": 3})
    assert not list(here.iterdir())
    return done


# --- executed


def test_a_good_chapter_gives_its_results_and_a_stamp(good):
    assert good.error is None
    assert good.results["profile"] == "report"
    assert good.rows[0]["psnr"] == 23.0
    assert not {"rows", "timings"} & good.results.keys()
    made = good.results["stamp"]
    medians = {"identity": 2.0, "other": 2.0}
    assert good.timings == {"machine": made["device"], "seconds": medians}
    assert not any("seconds" in row for row in (*good.rows, *good.results["summary"]))
    assert {*good.results["summary"][1]} == {"method", "n", "psnr", "perfect"}
    assert made["seeds"] == [3]
    assert (made["data"][0]["name"], made["data"][0]["n"]) == ("sample", 3)
    assert made["versions"]["torch"]
    page = nbformat.read(good.copy, as_version=4)
    assert page.cells[1].metadata.tags == ["stamp"]
    for word in (made["code"], made["device"], "`report`", made["data"][0]["fingerprint"]):
        assert word in page.cells[1].source
    assert page.metadata.deblurlib.stamp == made
    assert [output.text for output in page.cells[-2].outputs] == ["a\nb\n"]
    assert str(good.copy.parent) not in good.copy.read_text("utf-8")


def test_the_stamp_knows_code_data_and_weights_from_text(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "of_package", lambda package: "a")
    data = [{"name": "sample", "n": 3, "fingerprint": "0" * 12}]
    path = write_chapter(tmp_path, PARAMETERS, RECORD)
    plain = stamp.code_hash(path, data)
    other_data = stamp.code_hash(path, [data[0] | {"fingerprint": "1" * 12}])
    notebook = nbformat.read(path, 4)
    notebook.metadata["deblurlib"]["weights"] = ["srn"]
    nbformat.write(notebook, path)
    with_weights = stamp.code_hash(path, data)
    write_chapter(tmp_path, PARAMETERS, "# why\n" + RECORD)
    assert stamp.code_hash(path, data) == plain
    monkeypatch.setattr(fingerprint, "of_package", lambda package: "b")
    other_library = stamp.code_hash(path, data)
    write_chapter(tmp_path, PARAMETERS, RECORD.replace("20.0 + seed", "20.0 - seed"))
    other_code = stamp.code_hash(path, data)
    assert len({plain, other_data, with_weights, other_library, other_code}) == 5


def test_unknown_parameters_and_profiles_are_errors(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, RECORD)
    for given, message in (({"epochs": 3}, "no parameter 'epochs'"), ({"profile": "x"}, "'x'")):
        with pytest.raises(InputError, match=message):
            execute.run_chapter(path, tmp_path / "out.ipynb", given)
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("parameters", [{}, {"seed": 1}])  # for these, papermill adds a cell
def test_a_failing_cell_is_reported_by_its_number_with_its_traceback(tmp_path, parameters):
    path = write_chapter(tmp_path, PARAMETERS, "def f():\n    return 1 / 0", "f()")
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", parameters)
    first, *rest = outcome.error.split("\n")
    assert first.startswith("cell 4 raised ZeroDivisionError: division by zero")
    assert any("return 1 / 0" in line for line in rest)
    page = nbformat.read(outcome.copy, as_version=4)
    assert "This run failed" in page.cells[1].source


def test_what_is_printed_in_pieces_is_one_output_and_nothing_else_is_joined():
    def outputs(*parts):
        return [new_output("stream", name=n, text=t) for n, t in parts]

    figure = new_output("display_data", data={"text/plain": "c"})
    pieces = outputs(("stdout", "a\n"), ("stdout", "b"), ("stderr", "b"), ("stderr", "\n"))
    pieces += [figure, *outputs(("stdout", "d"), ("stdout", "e\n"))]
    executed = new_notebook(cells=[new_code_cell(outputs=pieces), new_markdown_cell("text")])
    execute.join_streams(executed)
    whole = [*outputs(("stdout", "a\nb"), ("stderr", "b\n")), figure, *outputs(("stdout", "de\n"))]
    assert executed.cells[0].outputs == whole
    nbformat.validate(executed)


def test_a_kernel_that_dies_is_reported(tmp_path):
    path = write_chapter(tmp_path, PARAMETERS, "import os; os._exit(1)")
    outcome = execute.run_chapter(path, tmp_path / "out.ipynb", {})
    assert "kernel" in outcome.error


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([], ["01_a", "01b_a", "02_b"]),
        (["01"], ["01_a", "01b_a"]),
        (["01b", "02"], ["01b_a", "02_b"]),
        (["02", "01", "01b"], ["01_a", "01b_a", "02_b"]),
        (["1b", "2"], ["01b_a", "02_b"]),
    ],
)
def test_two_digits_name_all_pages_of_a_chapter_and_a_key_with_a_letter_one(
    tmp_path, named, expected
):
    (tmp_path / "notebooks").mkdir()
    for name in ("02_b", "01b_a", "01_a", "1_draft", "01bc_draft", "notes_01"):
        (tmp_path / "notebooks" / f"{name}.ipynb").touch()
    assert [path.stem for path in execute.find_chapters(named, tmp_path)] == expected
    for other in ("03", "01c", "02b", "01bc"):
        with pytest.raises(InputError, match=f"no chapter '{other}'; there are: 01, 01b, 02"):
            execute.find_chapters([*named, other], tmp_path)


def promise(page):
    page.metadata.deblurlib.artefacts += ["figure:other"]


def record_as(chapter):
    def change(page):
        for output in page.cells[3].outputs:
            output.data[results.MIME]["chapter"] = chapter

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (promise, "promised, but not produced: figure:other"),
        (record_as("02"), "the recorded results are of chapter 02"),
        (record_as("01b"), "the recorded results are of chapter 01b"),
        (record_as("first"), "the recorded results are not valid: chapter: 'first'"),
        (lambda page: None, None),
    ],
)
def test_a_broken_promise_and_wrong_results_are_failures(
    good, tmp_path, monkeypatch, change, message
):
    def executed_so(notebook, copy, **options):
        page = nbformat.read(good.copy, as_version=4)
        del page.cells[1]  # the stamp
        change(page)
        nbformat.write(page, copy)

    monkeypatch.setattr(execute.papermill, "execute_notebook", executed_so)
    outcome = execute.run_chapter(good.notebook, tmp_path / "out.ipynb", {})
    assert outcome.error is message is None or outcome.error.startswith(message)


# --- the form of results


def valid():
    """A results file and its rows, as small as can be."""
    made = {"code": "0" * 12, "commit": None, "dirty": None, "device": "cpu", "versions": {}}
    made |= {"seeds": [0], "wall_seconds": 1.0, "finished": "2026-01-01T00:00:00+00:00"}
    made |= {"data": [{"name": "bsds500", "n": 2, "fingerprint": "0" * 12}]}
    claim = {"id": "01a", "origin": "ours", "quote": "It helps.", "estimand": "mean gain"}
    claim |= {"unit": "dB", "margin": 0.1, "estimate": 0.5, "lo": 0.3, "hi": 0.7}
    claim |= {"n_seeds": 5, "n_images": 2, "n_scenes": 2, "verdict": "confirmed"}
    summary = [{"method": "identity", "n": 2, "psnr": 20.0}]
    row = {"method": "identity", "data": "d", "channels": "rgb", "degradation": "g", "draw": 0}
    file = {"schema": 2, "chapter": "01", "profile": "report", "stamp": made}
    return file | {"summary": summary, "claims": [claim]}, [row | {"image": "i", "psnr": 20.0}]


CONFIRMED = {"code": "f" * 12, "commit": None, "date": "2026-01-02"}


def test_a_valid_file_passes():
    file, rows = valid()
    assert report.validate(file, rows) is None
    assert report.validate(file | {"chapter": "01b"}, rows) is None
    one = rows[0] | {"method": "02/a", "run": "r", "seed": 1}
    report.validate(file | {"confirmed": CONFIRMED}, [*rows, one, one | {"seed": 2}])
    report.validate(file | {"confirmed": CONFIRMED | {"missing": ["a"], "changed": []}}, rows)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda file, rows: file.pop("claims"), "claims"),
        (lambda file, rows: file.update(profile="huge"), "profile: 'huge'"),
        (lambda file, rows: file.update(chapter="01bc"), "chapter: '01bc'"),
        (lambda file, rows: file["summary"][0].update(method="unet"), "identity .* is missing"),
        (lambda file, rows: file["claims"][0].update(margin=-1), "claims/0/margin"),
        (lambda file, rows: file["claims"][0].update(n_seeds=2), "01a: two seeds are too few"),
        (lambda file, rows: file.update(profile="smoke"), "01a: no verdict"),
        (lambda file, rows: file.update(profile="quick"), "01a: no verdict"),
        (lambda file, rows: file["stamp"]["data"][0].update(name="sample"), "01a: no verdict"),
        (lambda file, rows: rows[0].update(psnr=""), "line 1: no 'psnr'"),
        (lambda file, rows: rows[0].update(seconds=0.1), "line 1: unknown column 'seconds'"),
        (lambda file, rows: rows[0].update(channels="d, grey"), "line 1: channels"),
        (lambda file, rows: rows.append(dict(rows[0])), "the identity is twice there for i"),
        (lambda file, rows: rows.append(rows[0] | {"image": "j", "method": "unet"}), "for j"),
        (lambda file, rows: rows.append(rows[0] | {"draw": 1, "method": "unet"}), "missing for i"),
        (lambda file, rows: rows.append(rows[0] | {"channels": "grey", "method": "a"}), "missing"),
        (lambda file, rows: file["summary"][0].update(seconds=1.0), "summary/0"),
        (lambda file, rows: file.update(schema=1), "schema: 2"),
        (lambda file, rows: file.update(confirmed=CONFIRMED | {"code": "main"}), "confirmed/code"),
        (lambda file, rows: file.update(confirmed=CONFIRMED | {"by": "me"}), "confirmed"),
    ],
)
def test_an_invalid_file_is_refused(break_it, message):
    file, rows = copying.deepcopy(valid())
    break_it(file, rows)
    with pytest.raises(InputError, match=message):
        report.validate(file, rows)


def test_rows_become_csv_in_a_fixed_order_without_empty_columns():
    _, (row,) = valid()
    header, line = to_csv([row | {"psnr": 1 / 3, "scene": "i"}]).splitlines()
    assert header == "method,data,channels,degradation,draw,image,psnr"
    assert line == "identity,d,rgb,g,0,i,0.333333"
    one = row | {"run": "r", "seed": 7, "scene": "s", "ssim_gaussian-rgb": 0.5, "psnr": None}
    header, *lines = to_csv([one, row]).splitlines()
    columns = "method,run,seed,data,channels,degradation,draw,scene,image,psnr,ssim_gaussian-rgb"
    assert header == columns
    assert lines == ["identity,,,d,rgb,g,0,,i,20,", "identity,r,7,d,rgb,g,0,s,i,,0.5"]


def rounded(row):
    return {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}


def test_rows_are_read_as_they_were_to_six_digits(tmp_path):
    scored = {name: number / 7 for number, name in enumerate(MEASURES)}
    file, (first,) = valid()
    first["degradation"] = 'a "line", 30°'
    other = {k: v for k, v in first.items() if k != "draw"} | {"degradation": "recorded"}
    network = {"method": "02/a", "run": "0123456789e4", "seed": 0, "ssim_gaussian-y": None}
    network |= {"sigma": 1 / 3, "kernel_error": 0.0}
    rows = [first, first | network, other | {"scene": "s", "psnr": float("inf")} | scored]
    assert to_csv(rows) == to_csv(rows[::-1])  # in whatever order they come
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(pack(to_csv(rows)))
    assert path.read_bytes()[4:8] == bytes(4)  # gzip's time stamp
    found = read_rows(path)
    report.validate(file, found)
    assert found == from_csv(to_csv(found))
    for row, one in zip(found, rows, strict=True):
        expected = {"scene": one["image"]} | {k: v for k, v in one.items() if v is not None}
        assert rounded(row) == rounded(expected)
        assert {k: type(v) for k, v in row.items()} == {k: type(v) for k, v in expected.items()}


# --- published

PAGE, NOTEBOOK = "reports/01_small.md", "reports/01_small.ipynb"
RESULTS, PROOF, ROWS, TIMES = (
    f"reports/results/01{end}" for end in (".json", "_proof.json", "_rows.csv.gz", "_timings.json")
)
PUBLISHED = ["figures/01_result.png", NOTEBOOK, PAGE, RESULTS, PROOF, ROWS, TIMES]


def files_of(root):
    """Every file below a folder, with its content and when it was written."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {p.relative_to(root).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def changed(before, root):
    after = files_of(root)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_publishing_writes_page_results_and_figures(good, tmp_path):
    others = {f"figures/{key}_other.png" for key in ("02", "01b")} | {"reports/01b_other.ipynb"}
    others |= {f"reports/results/{key}_proof.json" for key in ("02", "01b")}
    for name in ("figures/01_old.png", "figures/01_old.svg", "reports/01_old.ipynb", *others):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    written = publish.publish(good, tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == PUBLISHED
    assert files_of(tmp_path).keys() == {*PUBLISHED, *others}
    page = (tmp_path / PAGE).read_text("utf-8")
    assert "![a grey square](../figures/01_result.png)" in page
    assert "How this page was made" in page
    assert "injected" not in page
    file = json.loads((tmp_path / RESULTS).read_text("utf-8"))
    report.validate(file, read_rows(tmp_path / ROWS))
    assert "confirmed" not in file
    assert json.loads((tmp_path / TIMES).read_text("utf-8")) == good.timings


def again(good, tmp_path, *, stamp=None, page=None, rows=None, results=None):
    """The same execution once more, at another time and place, with some of it changed."""
    other = {"code": "b" * 12, "commit": "c" * 12, "dirty": True, "wall_seconds": 9.9}
    other |= {"finished": "2031-02-03T04:05:06+00:00"} | (stamp or {})
    found = copying.deepcopy(good.results) | (results or {})
    found["stamp"] |= other
    executed = nbformat.read(good.copy, as_version=4)
    executed.cells[1].source = executed.cells[1].source.replace(good.results["stamp"]["code"], "b")
    if page is not None:
        page(executed)
    copy = tmp_path / "again.ipynb"
    nbformat.write(executed, copy)
    timed = good.timings | {"seconds": {"identity": 5.0, "other": 5.0}}
    return replace(good, copy=copy, results=found, rows=rows or good.rows, timings=timed)


@pytest.fixture
def published(good, tmp_path):
    """The folder into which the chapter was published."""
    root = tmp_path / "root"
    root.mkdir()
    publish.publish(good, root)
    return root


def test_a_publication_that_comes_to_the_same_writes_only_who_confirmed_it(
    good, published, tmp_path
):
    before = files_of(published)
    for code, commit in (("b" * 12, "c" * 12), ("d" * 12, None)):
        same = again(good, tmp_path, stamp={"code": code, "commit": commit})
        assert publish.publish(same, published) == [published / RESULTS]
        assert changed(before, published) == {RESULTS}
        text = (published / RESULTS).read_text("utf-8")
        found = json.loads(text)["confirmed"]
        assert found == {"code": code, "commit": commit, "date": "2031-02-03"}
        (line,) = [line for line in text.splitlines(keepends=True) if "confirmed" in line]
        assert text.replace(line, "") == before[RESULTS][0].decode("utf-8")
        report.validate(json.loads(text), good.rows)
    before = files_of(published)
    assert publish.publish(same, published) == []
    assert changed(before, published) == set()


def with_psnr(by):
    return lambda rows: [row | {"psnr": row["psnr"] + by} for row in rows]


def repaint(by):
    def change(executed):
        (output,) = executed.cells[-1].outputs
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))))
        buffer = io.BytesIO()
        Image.fromarray(picture - np.uint8(by) * (picture > 9)).save(buffer, "png")
        output.data["image/png"] = base64.b64encode(buffer.getvalue()).decode()

    return change


NUMBERS = {PAGE, NOTEBOOK, ROWS, TIMES, PROOF}
CHANGES = {
    "a number that an author wrote": (
        {"page": lambda nb: nb.cells[-1].update(source=FIGURE.replace("0.5", "0.6"))},
        {PAGE, NOTEBOOK},
    ),
    "the last digits of rows": ({"rows": with_psnr(9e-5)}, {PROOF}),  # it has all digits
    "rows": ({"rows": with_psnr(3e-4)}, NUMBERS),
    "a row": ({"rows": lambda rows: rows[:-1]}, NUMBERS),
    "the machine": ({"stamp": {"device": "another", "versions": {"torch": "9"}}}, set()),
    "the summary": (
        {"results": {"summary": [{"method": "identity", "n": 3}]}},
        {PAGE, NOTEBOOK, TIMES},
    ),
    "a shade": ({"page": repaint(1)}, set()),
    "a figure": ({"page": repaint(2)}, {"figures/01_result.png"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_only_what_says_something_else_is_written(good, published, tmp_path, what):
    options, expected = CHANGES[what]
    options = {k: v(good.rows) if k == "rows" else v for k, v in options.items()}
    before = files_of(published)
    written = publish.publish(again(good, tmp_path, **options), published)
    assert {path.relative_to(published).as_posix() for path in written} == expected | {RESULTS}
    assert changed(before, published) == expected | {RESULTS}
    confirmed = "confirmed" in json.loads((published / RESULTS).read_text("utf-8"))
    assert confirmed == (TIMES not in expected)


def test_timings_that_are_not_there_are_written_and_those_of_nothing_go(good, published, tmp_path):
    (published / TIMES).unlink()
    publish.publish(again(good, tmp_path), published)
    assert json.loads((published / TIMES).read_text("utf-8"))["seconds"]["other"] == 5.0
    publish.publish(replace(good, timings={}), published)
    assert not (published / TIMES).exists()


def test_a_publication_that_fails_leaves_what_was_there(good, published, tmp_path):
    before = files_of(published)
    broken = again(good, tmp_path, results={"summary": [{"psnr": float("nan")}]})
    with pytest.raises(ValueError, match="JSON"):
        publish.publish(broken, published)
    assert changed(before, published) == set()


def test_publishing_refuses_small_profiles_and_failed_runs(good, tmp_path):
    for profile in ("smoke", "quick"):
        with pytest.raises(InputError, match=profile):
            publish.check_profile(profile)
        small = replace(good, results=good.results | {"profile": profile})
        with pytest.raises(InputError, match=profile):
            publish.publish(small, tmp_path)
    with pytest.raises(InputError, match=r"not published: cell 3 raised X$"):
        publish.publish(replace(good, error="cell 3 raised X\ntrace"), tmp_path)
    with pytest.raises(InputError, match="no results"):
        publish.publish(replace(good, results=None), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_publishing_into_a_read_only_folder_leaves_it_alone(good, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission"):
        publish.publish(good, tmp_path)
    assert not list(tmp_path.iterdir())


def display(kind, content, artefact, **about):
    metadata = {kind: about, "deblurlib": {"artefact": artefact}}
    data = {kind: content, "text/plain": "[it]"}
    return new_output("display_data", data=data, metadata=metadata)


def test_tags_fold_code_and_outcomes_of_a_published_page_and_nothing_else(tmp_path):
    def one(name, *tags):
        printed = new_output("stream", name="stdout", text=f"{name} is seen")
        return new_code_cell(f"{name}()", outputs=[printed], metadata={"tags": tags})

    cells = [one("a", "hide-input"), one("b", "outcome"), one("c", "hide-input", "outcome")]
    cells += [new_code_cell("none()", metadata={"tags": ["outcome"]}), one("d")]
    cells += [one("e", "hide-input", "remove-cell")]
    page = pages.to_markdown(pages.to_store(new_notebook(cells=cells), "01", tmp_path), "01")
    begun, ended, code = "<details><summary>", "\n\n</details>\n", "```python\n{}()\n```"
    blocks = [
        f"{begun}Code</summary>\n\n{code.format('a')}{ended}",
        "    a is seen",
        code.format("b"),
        f"{begun}Show the outcome</summary>\n\n    b is seen{ended}",
        f"{begun}Code</summary>\n\n{code.format('c')}{ended}",
        f"{begun}Show the outcome</summary>\n\n    c is seen{ended}",
        code.format("none"),
        code.format("d"),
        "    d is seen",
    ]
    assert page.split() == "\n".join(blocks).split()
    assert [page.count(block.strip("\n")) for block in blocks] == [1] * len(blocks)


def test_a_drawing_and_an_explorer_are_published_with_their_descriptions(tmp_path):
    drawing, book = "<svg>é</svg>", display("image/png", "AAAA", "explorer", alt="a strip")
    book.data |= {"text/html": "<p>flip", pages.NOT_STORED[-1]: {}}
    outputs = [display("image/svg+xml", drawing, "figure:net", alt="three layers"), book]
    page = pages.to_store(new_notebook(cells=[new_code_cell(outputs=outputs)]), "01b", tmp_path)
    assert (tmp_path / "01b_net.svg").read_text("utf-8") == drawing
    assert (tmp_path / "01b_explorer.png").read_bytes() == bytes(3)
    kinds = [set(output.data) for output in page.cells[0].outputs]
    assert kinds == [{"text/plain"}, {"text/plain", "text/html"}]
    text = pages.to_markdown(page, "01b")
    assert "![three layers](../figures/01b_net.svg)" in text
    assert "![a strip](../figures/01b_explorer.png)\n\n*Some of the explorer's positions" in text
    unnamed = new_notebook(cells=[new_code_cell(outputs=[display("image/png", "AAAA", "")])])
    with pytest.raises(InputError, match="without name and alt"):
        pages.to_store(unnamed, "01b", tmp_path)


def test_a_published_page_is_the_executed_notebook_without_pictures_counts_and_times(
    good, published, tmp_path
):
    assert pages.published_page(good.notebook, tmp_path) is None
    page, executed = pages.published_page(good.notebook, published), nbformat.read(good.copy, 4)
    nbformat.validate(page)
    kept = [cell for cell in executed.cells if "injected" not in str(cell.metadata)]
    assert [cell.source for cell in page.cells] == [cell.source for cell in kept]
    figure = page.cells[-1].outputs[0]
    assert pages.figure_of(figure, "01") == ("01_result.png", "a grey square")
    assert set(figure.data) == {"text/plain"}
    assert "image/png" in executed.cells[-1].outputs[0].data
    (recorded,) = page.cells[3].outputs
    assert recorded.data == {"text/plain": "[results: 6 rows, 2 summaries, 0 claims]"}
    executed.cells[-1].update(execution_count=99, metadata={"execution": {"iopub": "later"}})
    executed.metadata["widgets"] = {"state": {}}
    nbformat.write(pages.to_store(executed, "01", tmp_path), tmp_path / "again.ipynb")
    assert (tmp_path / "again.ipynb").read_bytes() == (published / NOTEBOOK).read_bytes()
    (published / NOTEBOOK).write_text("{")
    with pytest.raises(InputError, match=r"01_small.ipynb: cannot be read"):
        pages.published_page(good.notebook, published)


def test_a_drawing_is_the_same_but_for_last_digits(good, published, tmp_path):
    def draw(y):
        output = display("image/svg+xml", f'<svg><path d="M 1 {y}"/></svg>', "figure:net", alt="a")
        return lambda executed: executed.cells[-1].outputs.append(output)

    publish.publish(again(good, tmp_path, page=draw("1.25")), published)
    before = files_of(published)
    assert "figures/01_net.svg" in before
    publish.publish(again(good, tmp_path, page=draw("1.26")), published)
    assert changed(before, published) == set()
    publish.publish(again(good, tmp_path, page=draw("1.28")), published)
    assert changed(before, published) == {"figures/01_net.svg"}


def test_a_page_with_a_sentence_that_its_numbers_contradict_is_not_published(
    good, published, tmp_path, notebook
):
    before = files_of(published)
    text = new_markdown_cell("It gains. <!-- holds: 1 > 2 -->")
    sentence = "page 01 is not published: 'It gains.' does not hold (1 > 2: it is false)"
    with pytest.raises(InputError, match=re.escape(sentence)):
        publish.publish(again(good, tmp_path, page=lambda nb: nb.cells.append(text)), published)
    change_text(notebook, text)
    with pytest.raises(InputError, match=re.escape(sentence)):
        publish.replace_text(notebook, published)
    assert changed(before, published) == set()


# --- a text, and a page, published without results


def change_text(notebook, *more, **sources):
    """Change a notebook: the sources of its cells, by their numbers; cells that it gets besides."""
    changed = nbformat.read(notebook, 4)
    for number, source in sources.items():
        changed.cells[int(number[1:])].source = source
    changed.cells += more
    nbformat.write(changed, notebook)


@pytest.fixture
def notebook(good, tmp_path):
    """A copy of the published notebook, to be changed."""
    return Path(shutil.copy(good.notebook, tmp_path))


def test_a_text_is_renewed_without_an_execution(good, published, tmp_path, notebook):
    before = files_of(published)
    assert publish.replace_text(notebook, published) == []
    code = nbformat.read(notebook, 4).cells[-1].source
    change_text(notebook, new_markdown_cell("1.5, at the end"), _0="# New", _4=f"{code}  # why")
    publish.replace_text(notebook, published)
    assert changed(before, published) == {PAGE, NOTEBOOK}
    page = pages.published_page(notebook, published)
    for text in ((published / PAGE).read_text("utf-8"), "\n\n".join(c.source for c in page.cells)):
        assert text.startswith("# New\n\n<details><summary>How this page was made")
        assert "1.5, at the end" in text
        assert "# why" in text
    assert "![a grey square](../figures/01_result.png)" in (published / PAGE).read_text("utf-8")

    def same_text(executed):
        for cell, other in zip(executed.cells[-1:], page.cells[-2:], strict=False):
            cell.source = other.source
        executed.cells[0].source = "# New"
        executed.cells.append(page.cells[-1])

    before = files_of(published)
    publish.publish(again(good, tmp_path, page=same_text), published)
    assert changed(before, published) == {RESULTS}  # as if it had been executed with this text
    change_text(notebook, _5="1.6, at the end")
    assert len(publish.replace_text(notebook, published)) == 2


def test_a_text_is_not_renewed_where_code_is_another_or_nothing_is_published(
    published, tmp_path, notebook
):
    before, whole = files_of(published), notebook.read_text("utf-8")
    for more, sources in (([], {"_4": "1"}), ([new_code_cell("1")], {})):
        notebook.write_text(whole, "utf-8")
        change_text(notebook, *more, **sources)
        with pytest.raises(InputError, match="page 01: its code is not that of the published page"):
            publish.replace_text(notebook, published)
    notebook.write_text(whole.replace('"figure:result"', '"figure:new"'), "utf-8")
    with pytest.raises(InputError, match="promised, but not produced: figure:new"):
        publish.replace_text(notebook, published)
    with pytest.raises(InputError, match="no executed page 01 is published"):
        publish.replace_text(notebook, tmp_path / "empty")
    assert changed(before, published) == set()


def test_a_page_whose_study_was_loaded_is_published_without_results(good, published, tmp_path):
    archive = {"history": "run,recipe\n"}
    loaded = again(good, tmp_path, page=repaint(2), rows=good.rows[:1], results={"summary": []})
    loaded = replace(loaded, measured=False, archive=archive)
    before = files_of(published)
    publish.publish(loaded, published)
    history = "reports/results/01_history.csv.gz"
    page = {PAGE, NOTEBOOK, "figures/01_result.png"}
    assert changed(before, published) == {history, *page}
    text = (published / PAGE).read_text("utf-8")
    made = good.results["stamp"]
    assert f"published on {made['finished'][:10]} under code {made['code']}" in text
    assert "The page was drawn on 2031-02-03" in text
    before = files_of(published)
    assert publish.publish(loaded, published) == []
    results = json.loads((published / RESULTS).read_text("utf-8"))
    (published / RESULTS).write_text(json.dumps(results | {"profile": "full"}), "utf-8")
    with pytest.raises(InputError, match="'report', but its results are of 'full'"):
        publish.publish(loaded, published)
    (published / RESULTS).unlink()
    with pytest.raises(InputError, match="it loads results, and there are none"):
        publish.publish(loaded, published)
    assert changed(before, published) == {RESULTS}


def test_whether_all_was_measured_is_recorded_beside_the_results(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **more: shown.append(bundle))
    about = {"chapter": "01b", "profile": "smoke", "seeds": [0], "data": [], "summary": []}
    report.record(**about, rows=[])
    report.record(**about, rows=[], measured=False)
    for bundle, measured in zip(shown, (True, False), strict=True):
        outputs = [new_output("display_data", data=bundle)]
        found = execute.find_results(new_notebook(cells=[new_code_cell(outputs=outputs)]))
        assert "measured" not in found[0]
        assert found[1]["measured"] is measured


# --- confirmed; a chapter that trains nothing is proved by rows, see test_published for the others


@pytest.fixture
def confirmed(good, published, monkeypatch):
    """``confirmed(outcome)``: the page's state, by an execution that ends so; or a real one."""
    monkeypatch.setattr(stamp, "code_hash", lambda notebook, data: "1" * 12)

    def state(outcome=None):
        if outcome is not None:
            monkeypatch.setattr(execute, "run_chapter", lambda *a: outcome)
        return str(confirm.confirm(page_of(good.notebook, published)).state)

    return state


def test_rows_are_made_anew_by_executing_the_chapter(good, confirmed):
    assert confirmed() == "confirmed"
    assert confirmed(replace(good, rows=with_psnr(0.01)(good.rows))).startswith("changed: row: ")
    assert confirmed(replace(good, rows=good.rows[1:])).startswith("changed: ")
    other_summary = copying.deepcopy(good.results)
    other_summary["summary"][0]["psnr"] += 0.5
    assert confirmed(replace(good, results=other_summary)) == "changed: summary"
    assert confirmed(good) == "confirmed"


def test_on_another_kind_of_machine_rounding_is_no_change(good, published, confirmed):
    made = json.loads((published / PROOF).read_text("utf-8"))
    made["made"]["machine"] = {}
    (published / PROOF).write_text(json.dumps(made), "utf-8")
    assert confirmed(replace(good, rows=with_psnr(0.01)(good.rows))) == "confirmed"
    assert confirmed(replace(good, rows=with_psnr(0.1)(good.rows))).startswith("changed: row: ")


@pytest.mark.parametrize("error", ["cell 3 raised X", "the kernel failed: RuntimeError: none"])
def test_an_execution_that_fails_says_nothing_of_the_page(good, published, monkeypatch, error):
    page = page_of(good.notebook, published)
    before = files_of(published)
    monkeypatch.setattr(execute, "run_chapter", lambda *a: replace(good, error=error))
    for act in (confirm.confirm, confirm.record_anew):
        with pytest.raises(InputError, match=error):
            act(page)
    assert changed(before, published) == set()


def test_a_tenth_of_the_rows_is_kept_and_all_their_digits():
    rows = [{"method": "m", "image": str(i), "psnr": i / 3, "seconds": 0.1} for i in range(95)]
    kept = rows_proof.some(rows)
    assert len(kept) == 10
    whole = [{k: r[k] for k in ("method", "image", "psnr")} for r in rows]
    assert all(row in whole for row in kept)
    assert kept == rows_proof.some(rows)
