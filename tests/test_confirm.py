"""What is published is current, confirmed, changed or not replayed since, and says which."""

import json
from dataclasses import replace
from unittest import mock

import nbformat
import pytest
from test_proof import LONG
from test_report import PARAMETERS, RECORD, write_chapter

from deblurlib import evaluation, models, runs, studies
from deblurlib.errors import InputError
from deblurlib.report import confirm, execute, proofs, publish, retrain, rows_proof, site, stamp
from deblurlib.runs import proof
from deblurlib.studies.rows import without_seconds

SMALL = replace(LONG, name="05/small", data="photos", steps=6, crop=8, every=3)


class Chapter:
    """A chapter of two small recipes, in place of one of the course's."""

    SCORING = {"side": 24, "border": 4}  # noqa: RUF012

    def __init__(self):
        self.lr = 1e-4

    def recipes(self, profile, seed, data):
        other = replace(SMALL, name="05/other", optimiser={"name": "adam", "lr": self.lr})
        return [replace(one, seed=seed, data=data) for one in (SMALL, other)]


TRAINS = """
from deblurlib import evaluation, report, studies
from deblurlib.data import open_images
trained = studies.train("05", profile, [seed, seed + 1], data)
rows = studies.score(trained, **studies.CHAPTERS["05"].SCORING)
report.record(chapter="05", profile=profile, seeds=[seed, seed + 1],
    data=[open_images(data, "train"), open_images(data, "test")],
    summary=evaluation.summary(rows), rows=rows)
"""


@pytest.fixture
def chapter(monkeypatch):
    made = Chapter()
    monkeypatch.setitem(studies.CHAPTERS, "05", made)
    return made


@pytest.fixture
def photos(tmp_path, save_picture, monkeypatch):
    """A data set that is there; what takes it away."""
    for split in ("train", "test"):
        for i in range(3):
            save_picture(tmp_path / "photos" / split / f"{i}.png", seed=i, height=40, width=44)
    monkeypatch.setenv("DEBLURLIB_DATA", str(tmp_path))
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path / "runs"))
    return lambda: monkeypatch.delenv("DEBLURLIB_DATA")


@pytest.fixture
def page(tmp_path, chapter, photos):
    """What was published of a chapter that trains; executed here, for a kernel knows it not."""
    notebook = write_chapter(tmp_path, PARAMETERS, TRAINS, name="05_small.ipynb")
    trained = studies.train("05", "report", [0, 1], "photos")
    rows = studies.score(trained, **chapter.SCORING)
    sets = [{"name": "photos", "n": 3, "fingerprint": "0" * 12}] * 2
    made = {"seeds": [0, 1], "data": sets, "device": "cpu", "versions": {}}
    results = {"schema": 2, "chapter": "05", "profile": "report", "claims": []}
    results |= {"stamp": made | stamp.of_run(notebook, sets, 1.0)}
    results |= {"summary": without_seconds(evaluation.summary(rows))[0]}
    copy = tmp_path / "copy.ipynb"
    nbformat.write(nbformat.read(notebook, 4), copy)
    rows, _ = without_seconds(rows)
    publish.publish(execute.Execution(notebook, copy, 1.0, None, results, rows), tmp_path)
    return lambda: confirm.published(notebook, tmp_path)


def other_code(monkeypatch, code="1" * 12):
    monkeypatch.setattr(stamp, "code_hash", lambda notebook, data: code)


def test_a_page_is_current_until_the_code_is_another_and_then_confirmed(page, monkeypatch):
    assert str(page().state) == "current"
    other_code(monkeypatch)
    assert str(page().state).startswith("not replayed since 20")
    before = page().path.read_text()
    confirmed = confirm.confirm(page())
    assert str(confirmed.state) == str(page().state) == "confirmed"
    (added,) = set(page().path.read_text().splitlines()) - set(before.splitlines())
    assert json.loads(f"{{{added.strip().rstrip(',')}}}")["confirmed"]["code"] == "1" * 12
    other_code(monkeypatch, "2" * 12)
    assert str(page().state).startswith("not replayed since 20")
    assert site.published_state(page().notebook, page().path.parents[2]).startswith("report, not")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("rate", "changed: recipe, losses, validation, weights, rates: 05/other"),
        ("crop", "changed: losses, validation, weights, batches 0, batches 1: all 2 recipes"),
        ("border", "changed: scores: all 2 recipes"),
        ("photo", "changed: data: all 2 recipes"),
        ("summary", "changed: the summary of the published rows"),
        ("gone", "changed: not published: 05/new; gone: 05/other"),
    ],
)
def test_a_change_is_named_with_the_recipes_and_the_parts_that_it_touches(
    page, chapter, monkeypatch, tmp_path, save_picture, what, expected
):
    other_code(monkeypatch)
    if what == "rate":
        chapter.lr = 2e-4
    elif what == "crop":
        cut = runs.samples.batches._cut
        monkeypatch.setattr(runs.samples.batches, "_cut", lambda h, n, *r: cut(h, n + 1, *r))
    elif what == "border":
        monkeypatch.setattr(chapter, "SCORING", {"side": 24, "border": 5}, raising=False)
    elif what == "summary":
        monkeypatch.setattr(evaluation.stats, "win_rate", lambda wins: 0.123)
    elif what == "photo":
        save_picture(tmp_path / "photos" / "train" / "1.png", seed=9, height=40, width=44)
    else:
        both = chapter.recipes
        new = [replace(SMALL, name="05/new"), SMALL]
        monkeypatch.setattr(
            chapter, "recipes", lambda *a: [both(*a)[0], replace(new[0], data=a[2], seed=a[1])]
        )
    confirm.confirm(page())
    state = str(page().state)
    assert sorted(state.replace(":", ",").split(", ")) == sorted(
        expected.replace(":", ",").split(", ")
    )
    proof_before = page().proof_path.read_bytes()
    with pytest.raises(InputError, match="its proof stays"):
        confirm.record_anew(page())
    assert page().proof_path.read_bytes() == proof_before


def test_without_its_data_a_page_is_confirmed_but_for_these(page, photos, monkeypatch):
    other_code(monkeypatch)
    confirm.confirm(page())
    before = page().path.read_bytes()
    photos()
    confirm.confirm(page())  # more was known
    assert page().path.read_bytes() == before
    other_code(monkeypatch, "2" * 12)
    confirm.confirm(page())
    assert str(page().state) == "confirmed but for the data: photos is not here"


def test_what_was_found_to_have_changed_is_not_forgotten_without_the_data(
    page, photos, monkeypatch
):
    other_code(monkeypatch)
    cut = runs.samples.batches._cut
    with monkeypatch.context() as patch:
        patch.setattr(runs.samples.batches, "_cut", lambda h, n, *r: cut(h, n + 1, *r))
        confirm.confirm(page())
    photos()
    assert confirm.confirm(page()).state.word == "changed"


def test_a_proof_is_of_what_is_published_now(page, tmp_path):
    old = json.loads(page().proof_path.read_text())
    new = {"results": page().results, "rows": [], "recipes": []}
    folder = page().path.parent
    assert proofs.still_holds(page().notebook, old, new, folder)
    for other in (
        {"results": page().results | {"profile": "full"}},
        {"results": page().results | {"chapter": "01"}},
        {"recipes": [replace(SMALL, name="05/anchor")]},
    ):
        assert not proofs.still_holds(page().notebook, old, new | other, folder)
    own = json.loads(replace(SMALL, name="05/anchor", data="sample").to_json())
    steps, parts = proof.of_recipe(runs.Recipe(**own))
    old["recipes"]["05/anchor"] = {"steps": steps, "recipe": own, "parts": parts}
    same = runs.Recipe(**own)
    for recipe, holds in ((same, True), (same.with_seed(3), True), (replace(same, steps=7), False)):
        found = proofs.still_holds(page().notebook, old, new | {"recipes": [recipe]}, folder)
        assert found == holds


def test_a_proof_recorded_anew_is_the_same(page, monkeypatch):
    before = json.loads(page().proof_path.read_text())
    other_code(monkeypatch)
    confirm.confirm(page())
    confirm.record_anew(page())
    after = json.loads(page().proof_path.read_text())
    assert after["recipes"] == before["recipes"]
    assert after["made"]["code"] == "1" * 12


def test_a_page_without_a_proof_says_so(page):
    page().proof_path.unlink()
    with pytest.raises(InputError, match="without a proof"):
        confirm.confirm(page())


def test_whole_trainings_come_out_the_same_on_this_machine(page):
    lines = retrain.retrain(page(), 2)
    assert len({(line["recipe"], line["seed"]) for line in lines}) == 2
    for line in lines:
        assert line["now"] == pytest.approx(line["published"], abs=1e-4)
        assert line["least"] <= line["now"] + 1e-4
        assert line["now"] <= line["greatest"] + 1e-4


@pytest.fixture
def rows_page(tmp_path):
    """What was published of a chapter without trainings."""
    record = RECORD
    notebook = write_chapter(tmp_path, PARAMETERS, record)
    outcome = execute.run_chapter(notebook, tmp_path / "out.ipynb", {"profile": "report"})
    publish.publish(outcome, tmp_path)
    return lambda: confirm.published(notebook, tmp_path), notebook, record


def test_rows_are_made_anew_by_executing_the_chapter(rows_page, tmp_path):
    page, _, record = rows_page
    assert str(page().state) == "current"
    write_chapter(tmp_path, PARAMETERS, "unused = 1\n" + record)
    assert str(confirm.confirm(page()).state) == "confirmed"
    write_chapter(tmp_path, PARAMETERS, record.replace("20.0 + seed", "20.1 + seed"))
    assert str(confirm.confirm(page()).state).startswith("changed: row: ")
    write_chapter(tmp_path, PARAMETERS, record.replace('"psnr": 20.0, ', '"psnr": 20.5, '))
    assert str(confirm.confirm(page()).state) == "changed: summary"
    write_chapter(tmp_path, PARAMETERS, "1 / 0\n" + record)
    with pytest.raises(InputError, match="ZeroDivisionError"):
        confirm.confirm(page())


def test_a_change_of_what_is_found_on_a_current_page_is_not_hidden(page, monkeypatch):
    with monkeypatch.context() as patch:  # of a library below, for instance
        patch.setattr(evaluation.stats, "win_rate", lambda wins: 0.123)
        assert confirm.confirm(page()).state.word == "changed"
        with pytest.raises(InputError, match="its proof stays"):
            confirm.record_anew(page())
    assert str(confirm.confirm(page()).state) == "current"


def test_code_that_is_changed_meanwhile_is_not_confirmed(page, monkeypatch):
    codes = iter(["1" * 12, "2" * 12])
    monkeypatch.setattr(stamp, "code_hash", lambda notebook, data: next(codes))
    before = page().path.read_bytes()
    with pytest.raises(InputError, match="changed meanwhile"):
        confirm.confirm(page())
    assert page().path.read_bytes() == before


@pytest.mark.parametrize("damage", ["{", "{}", '{"made": {"machine": {}}, "rows": 3}'])
def test_a_damaged_proof_is_one_sentence(page, damage):
    page().proof_path.write_text(damage)
    with pytest.raises(InputError, match=r"05_proof.json: "):
        confirm.confirm(page())


def test_a_kernel_that_does_not_start_says_nothing_of_the_page(rows_page, monkeypatch):
    page, notebook, _ = rows_page
    before = page().path.read_bytes()
    broken = execute.Execution(notebook, notebook, 1.0, "the kernel failed: RuntimeError: none")
    monkeypatch.setattr(execute, "run_chapter", lambda *a: broken)
    with pytest.raises(InputError, match="the kernel failed"):
        confirm.confirm(page())
    assert page().path.read_bytes() == before
    with pytest.raises(InputError, match="the kernel failed"):
        confirm.record_anew(page())


def test_a_tenth_of_the_rows_is_kept_and_all_their_digits():
    rows = [{"method": "m", "image": str(i), "psnr": i / 3, "seconds": 0.1} for i in range(95)]
    kept = rows_proof.some(rows)
    assert len(kept) == 10
    assert all(
        row in [{k: r[k] for k in ("method", "image", "psnr")} for r in rows] for row in kept
    )
    assert kept == rows_proof.some(rows)


def test_the_weights_that_a_page_uses_are_part_of_its_code(tmp_path, monkeypatch):
    path = write_chapter(tmp_path, PARAMETERS, RECORD)
    plain = stamp.code_hash(path, [])
    notebook = nbformat.read(path, 4)
    notebook.metadata["deblurlib"]["weights"] = ["srn"]
    nbformat.write(notebook, path)
    assert stamp.code_hash(path, []) != plain


def test_every_recipe_of_the_course_has_a_miniature():
    for chapter in studies.CHAPTERS:
        for recipe in studies.recipes(chapter, "full", data="gopro"):
            small = proof.miniature(recipe)
            model = models.build(small.model, small.model_args, 0)
            assert small.crop % model.multiple == 0
            assert small.steps <= proof.STEPS
    with mock.patch.object(proof, "SLOW", -1.0):
        assert proof.of_recipe(replace(SMALL, data="sample"))[0] == proof.FEWER_STEPS
