"""What is published of a chapter's runs stands in for the store, without a training."""

import itertools
from dataclasses import replace
from unittest import mock

import pytest
import torch
from test_confirm import SMALL, Chapter, chapter, photos  # noqa: F401  (fixtures)
from test_proof import optimiser

from deblurlib import data, evaluation, metrics, restoration, runs, studies
from deblurlib.errors import InputError
from deblurlib.report import proofs, publish, results
from deblurlib.runs import Run
from deblurlib.studies import Archive, claims, rows
from deblurlib.studies.archive import PublishedRun

OWN = replace(SMALL, name="05/anchor", steps=4, every=2)  # of the chapter, not of its study


def draw(run):
    test = data.open_images("photos", "test")
    case = next(studies.cases(run.recipe, test, 24))
    return [case.y, restoration.apply_model(run.model(), case.y), case.x]


def ask(archive):
    """What a chapter asks for: runs, pictures, scores, weights."""
    trained = studies.train("05", "report", [0, 1], "photos", get=archive.run)
    anchor = archive.run(OWN)
    pictures = [archive.picture(run, "a", lambda run=run: draw(run)) for run in trained[:2]]
    archive.keep_weights(anchor)
    scored = archive.score([*trained, anchor], **studies.CHAPTERS["05"].SCORING)
    return trained, anchor, pictures, scored


def of_what(row):
    return row.get("run", ""), *evaluation.case_of(row)


@pytest.fixture
def published(tmp_path, chapter, photos, capsys):  # noqa: F811
    """What a chapter was given when it was published; then its store is another, and empty."""
    archive = Archive("05", tmp_path)
    given = ask(archive)
    kept = results._as_text(archive)
    reports = tmp_path / "reports"
    (reports / "results").mkdir(parents=True)
    results.write_archive(reports, "05", kept)
    found, _ = rows.without_seconds(given[-1])
    (reports / "results" / "05_rows.csv.gz").write_bytes(rows.pack(rows.to_csv(found)))
    sets = [{"name": "photos", "fingerprint": "0" * 12}]
    about = {"chapter": "05", "profile": "report", "stamp": {"seeds": [0, 1], "data": sets}}
    more = [runs.Recipe.from_json(text) for text in kept["recipes"]]
    with mock.patch("deblurlib.report.stamp.code_hash", return_value="0" * 12):
        made = proofs.make(None, about, more=more)
    assert list(made["recipes"]) == ["05/small", "05/other", "05/anchor"]
    (reports / "results" / "05_proof.json").write_text(proofs.to_text(made), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_RUNS", str(tmp_path / "empty"))
        yield given, made
    assert capsys.readouterr().out == ""  # a page does not tell where a run came from


def test_a_chapter_is_rendered_anew_without_a_training(published, tmp_path):
    (trained, anchor, pictures, scored), _ = published
    archive = Archive("05", tmp_path)
    with mock.patch.object(runs, "train_or_load", side_effect=AssertionError("it trains")):
        again, other, shown, rescored = ask(archive)
    assert all(isinstance(run, PublishedRun) for run in [*again, other])
    for one, two in zip([*trained, anchor], [*again, other], strict=True):
        assert one.id == two.id
        numbers = {k: v for k, v in one.metrics.items() if k in two.metrics}
        assert numbers.pop("ending") == two.metrics["ending"] == "done"
        assert {k: two.metrics[k] for k in numbers} == pytest.approx(numbers, rel=1e-8)
        for a, b in zip(one.history, two.history, strict=True):
            assert b == pytest.approx({k: v for k, v in a.items() if k != "seconds"}, rel=1e-8)
    for name, losses in claims.losses(trained).items():
        assert claims.losses(again)[name] == pytest.approx(losses, rel=1e-8)
    for a, b in zip(itertools.chain(*pictures), itertools.chain(*shown), strict=True):
        assert torch.equal(a, b)
    assert rescored == rows.from_csv(rows.to_csv(rows.without_seconds(scored)[0]))
    assert [of_what(row) for row in rescored] == [of_what(row) for row in scored]
    same = {k: v.half() for k, v in anchor.model().state_dict().items()}
    for key, value in other.model().state_dict().items():
        assert torch.equal(value, same[key].float())
    with pytest.raises(InputError, match=r"not published; deblur train 05/small --seed 0"):
        again[0].model()


def test_a_publication_of_what_is_published_says_the_same(published, tmp_path):
    archive = Archive("05", tmp_path)
    ask(archive)
    second = tmp_path / "second"
    (second / "results").mkdir(parents=True)
    results.write_archive(second, "05", results._as_text(archive))
    files = sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert [path.name for path in files] == [
        *("05_history.csv.gz", "05_pictures.npz", "config.json", "model.safetensors"),
    ]
    for path in files:
        assert publish._is_same(tmp_path / "reports" / path, second / path, ())


def test_the_store_comes_first_and_what_has_changed_is_trained(published, tmp_path, capsys):
    archive = Archive("05", tmp_path)
    with optimiser(betas=(0.9, 0.9991)):
        run = archive.run(replace(SMALL, seed=1))
    assert isinstance(run, Run)
    again = Archive("05", tmp_path).run(replace(SMALL, seed=1))
    assert isinstance(again, Run)
    assert isinstance(Archive("05", tmp_path).run(SMALL), PublishedRun)
    assert isinstance(Archive("05", tmp_path).run(replace(SMALL, steps=5)), Run)


def test_proofs_of_recipes_of_a_chapters_own_are_replayed(published, tmp_path):
    _, made = published
    assert proofs.replay(None, made, tmp_path) == ([], [])
    with optimiser(betas=(0.9, 0.9991)):
        changed, _ = proofs.replay(None, made, tmp_path)
    assert changed
    assert all("all 3 recipes" in line for line in changed)
    made["made"]["machine"] = {}
    assert proofs.replay(None, made, tmp_path) == ([], [])


def test_rows_are_given_only_if_they_would_be_scored_so_today(published, tmp_path):
    asked = studies.CHAPTERS["05"].SCORING
    archive = Archive("05", tmp_path)
    run = archive.run(SMALL)
    with pytest.raises(InputError, match="05/small was published with"):
        archive.score([run], **asked | {"border": 3})
    psnr = metrics.psnr
    with mock.patch.object(metrics, "psnr", lambda *a, **k: psnr(*a, **k) + 1):
        assert isinstance(Archive("05", tmp_path).run(SMALL), Run)


def test_the_beginning_of_a_published_run_may_be_published_too(published, tmp_path):
    history = tmp_path / "reports" / "results" / "05_history.csv.gz"
    begun = replace(SMALL, steps=3)
    archive = Archive("05", tmp_path)
    run = archive.run(begun)  # trained now
    history.write_bytes(rows.pack(results._as_text(archive)["history"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURLIB_RUNS", str(tmp_path / "another"))
        again = Archive("05", tmp_path).run(begun)
    assert isinstance(again, PublishedRun)
    assert again.id == run.id


@pytest.mark.parametrize("name", ["05_history.csv.gz", "05_pictures.npz", "05_proof.json"])
@pytest.mark.parametrize("keep", [10, 30])
def test_what_is_damaged_is_one_sentence(published, tmp_path, name, keep):
    path = tmp_path / "reports" / "results" / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="a damaged file of chapter 05"):
        Archive("05", tmp_path)


def test_without_anything_published_an_archive_trains(tmp_path, chapter, photos):  # noqa: F811
    assert isinstance(Archive("05", tmp_path).run(SMALL), Run)
