"""What is published of a chapter that trains: it is confirmed, and stands in for the store."""

import functools
import itertools
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import nbformat
import pytest
import torch
from standing import Standing
from test_report import PARAMETERS, changed, files_of, write_chapter

from deblurlib import data, evaluation, fingerprint, metrics, models, restoration, runs, studies
from deblurlib.data.crops import Cuts
from deblurlib.errors import InputError
from deblurlib.report import confirm, execute, proofs, publish, results, retrain, stamp
from deblurlib.report.state import published as page_of
from deblurlib.runs import Run, proof
from deblurlib.studies import Archive, claims, rows
from deblurlib.studies.archive import PublishedRun
from deblurlib.training import players, rates

SMALL = runs.Recipe(
    "05/small",
    model="srcnn",
    model_args={"layers": "9-1-5", "channels": 1},
    data="photos",
    degradation="s1-box",
    steps=6,
    batch=1,
    crop=8,
    grey=1,
    every=3,
)
FIRST = replace(SMALL, name="05/first", steps=2, every=1)
with mock.patch.dict(models.MODELS, standing=Standing):
    OWN = replace(  # of the chapter, not of its study
        SMALL,
        name="05/anchor",
        steps=4,
        every=2,
        model="standing",
        model_args={"channels": 1},
        parts={"first": FIRST},
    )
RIVAL = runs.Rival("patch", {"channels": 1, "width": 2, "halvings": 0}, loss="hinge")
KEY = "05b"  # of the page; its chapter, which the recipes belong to, is 05
RESULTS = f"reports/results/{KEY}"


class Chapter:
    """A chapter of two small recipes, in place of one of the course's."""

    def __init__(self):
        self.lr = 1e-4
        self.names = ["05/small", "05/other"]
        self.SCORING = {"side": 24, "border": 4}

    def recipes(self, profile, seed, data):
        adam = {"name": "adam", "lr": self.lr}
        other = replace(SMALL, name=self.names[1], optimiser=adam, rival=RIVAL)
        small = replace(SMALL, name=self.names[0])
        return [replace(one, seed=seed, data=data) for one in (small, other)]


def draw(run):
    test = data.open_images("photos", "test")
    case = next(studies.cases(run.recipe, test, 24))
    return [case.y, restoration.apply_model(run.model(), case.y), case.x]


def ask(archive):
    """What a chapter asks for: runs, pictures, weights, scores."""
    trained = studies.train("05", "report", [0, 1], "photos", get=archive.run)
    anchor = archive.run(OWN)
    pictures = [archive.picture(run, "a", lambda run=run: draw(run)) for run in trained[:2]]
    archive.keep_weights(anchor)
    scored = archive.score([*trained, anchor], **studies.CHAPTERS["05"].SCORING)
    return trained, anchor, pictures, scored


def executed(root, archive, scored):
    """How the execution of the chapter ends; here, for a kernel does not know the chapter."""
    notebook = root / "notebooks" / "05b_small.ipynb"
    sets = [{"name": "photos", "n": 3, "fingerprint": "0" * 12}] * 2
    made = {"seeds": [0, 1], "data": sets, "device": "cpu", "versions": {}}
    file = {"schema": 2, "chapter": KEY, "profile": "report", "claims": []}
    file |= {"stamp": made | stamp.of_run(notebook, sets, 1.0)}
    file |= {"summary": rows.without_seconds(evaluation.summary(scored))[0]}
    copy = root / "copy.ipynb"
    nbformat.write(nbformat.read(notebook, 4), copy)
    found, _ = rows.without_seconds(scored)
    kept = results._as_text(archive)
    return execute.Execution(notebook, copy, 1.0, None, file, found, archive=kept)


@pytest.fixture(scope="module", autouse=True)
def standing():
    with mock.patch.dict(models.MODELS, standing=Standing):
        yield


@pytest.fixture(scope="module")
def origin(tmp_path_factory, save_picture):
    """A folder with data, a notebook, its runs and all that is published of it; what it was given.

    The library does not change meanwhile: it is hashed once.
    """
    folder = tmp_path_factory.mktemp("origin")
    for split, i in itertools.product(("train", "test"), range(3)):
        save_picture(folder / "photos" / split / f"{i}.png", seed=i, height=40, width=44)
    write_chapter(folder, PARAMETERS, "trains = True", name="05b_small.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "of_package", functools.cache(fingerprint.of_package))
        with patch.context() as inner:
            inner.setitem(studies.CHAPTERS, "05", Chapter())
            inner.setenv("DEBLURLIB_DATA", str(folder))
            inner.setenv("DEBLURLIB_RUNS", str(folder / "runs"))
            archive = Archive(KEY, folder)
            given = ask(archive)
            publish.publish(executed(folder, archive, given[-1]), folder)
        yield folder, given


@pytest.fixture
def world(origin, tmp_path, monkeypatch):
    """A copy of it all, to be changed."""
    root = tmp_path / "root"
    shutil.copytree(origin[0], root)
    chapter = Chapter()
    monkeypatch.setitem(studies.CHAPTERS, "05", chapter)
    monkeypatch.setenv("DEBLURLIB_DATA", str(root))
    monkeypatch.setenv("DEBLURLIB_RUNS", str(root / "runs"))
    return SimpleNamespace(root=root, chapter=chapter, given=origin[1])


@pytest.fixture
def page(world):
    return lambda: page_of(world.root / "notebooks" / "05b_small.ipynb", world.root)


@pytest.fixture
def away(world, monkeypatch):
    """The same where the store is empty."""
    monkeypatch.setenv("DEBLURLIB_RUNS", str(world.root / "empty"))
    return world


def other_code(monkeypatch, code="1" * 12):
    monkeypatch.setattr(stamp, "code_hash", lambda notebook, data: code)


def other_cut(patch):
    cut, choose = Cuts.cut, Cuts.choose
    patch.setattr(Cuts, "cut", lambda self, h, n, *r: cut(self, h, n + 1, *r))
    patch.setattr(Cuts, "choose", lambda self, n, count: choose(self, n + 1, count))


def other_optimiser(patch):
    make = rates.make_optimiser
    betas = {"betas": (0.9, 0.9991)}
    patch.setattr(players, "make_optimiser", lambda model, s: make(model, dict(s) | betas))


def other_summary(patch):
    patch.setattr(evaluation.stats, "win_rate", lambda wins: 0.123)


def other_photo(world, split):
    photos = world.root / "photos" / split
    shutil.copy(photos / "0.png", photos / "1.png")


# --- confirmed


def test_a_page_is_current_until_the_code_is_another_and_then_confirmed(page, world, monkeypatch):
    assert str(page().state) == "current"
    made = page().results["stamp"]
    origin = f"under code {made['code']}, {'commit ' + made['commit'] if made['commit'] else 'no'}"
    published = f"Published on {made['finished'][:10]} {origin}"
    assert page().sentence.startswith(published)
    assert "confirmed" not in page().sentence
    other_code(monkeypatch)
    assert str(page().state).startswith("not replayed since 20")
    later = "The code has changed since; `make confirm` replays it."
    assert page().sentence.endswith(f". {later}")
    before = page().path.read_text()
    confirmed = confirm.confirm(page())
    assert str(confirmed.state) == str(page().state) == "confirmed"
    (added,) = set(page().path.read_text().splitlines()) - set(before.splitlines())
    entry = json.loads(f"{{{added.strip().rstrip(',')}}}")["confirmed"]
    assert entry["code"] == "1" * 12
    once = f"; confirmed on {entry['date']} under code {'1' * 12}."
    assert page().sentence.startswith(published)
    assert page().sentence.endswith(once)
    other_code(monkeypatch, "2" * 12)
    assert str(page().state).startswith("not replayed since 20")
    assert page().sentence.endswith(f"{once} {later}")


def words(state):
    return sorted(re.split("[:;,] ", str(state)))


CHANGES = {
    "changed: recipe, losses, validation, weights, weights of the critic, rates: 05/other": (
        lambda world, patch: setattr(world.chapter, "lr", 2e-4)
    ),
    "changed: losses, validation, weights, batches 0, batches 1: 05/small; "
    "losses, validation, weights, weights of the critic, batches 0, batches 1: 05/other; "
    "losses, validation, weights: 05/first, 05/anchor": lambda world, patch: other_cut(patch),
    "changed: scores: 05/small, 05/other": (
        lambda world, patch: world.chapter.SCORING.update(border=5)
    ),
    "changed: data: 05/small, 05/other": lambda world, patch: other_photo(world, "train"),
    "changed: test data: 05/small, 05/other": lambda world, patch: other_photo(world, "test"),
    "changed: the summary of the published rows": lambda world, patch: other_summary(patch),
    "changed: not published: 05/new; gone: 05/other": (
        lambda world, patch: world.chapter.names.__setitem__(1, "05/new")
    ),
}


@pytest.mark.parametrize("expected", CHANGES)
def test_a_change_is_named_with_the_recipes_and_the_parts_that_it_touches(
    page, world, monkeypatch, expected
):
    other_code(monkeypatch)
    CHANGES[expected](world, monkeypatch)
    confirm.confirm(page())
    assert words(page().state) == words(expected)
    assert f"other numbers came out: {page().state.changed[0]}" in page().sentence
    proof_before = page().proof_path.read_bytes()
    with pytest.raises(InputError, match="its proof stays"):
        confirm.record_anew(page())
    assert page().proof_path.read_bytes() == proof_before


def test_a_change_of_all_recipes_is_said_of_all(page, monkeypatch):
    other_code(monkeypatch)
    other_optimiser(monkeypatch)
    state = confirm.confirm(page()).state
    assert state.word == "changed"
    small, other, rest = "05/small", "05/other", "05/anchor, 05/first"
    assert [line.split(": ")[-1] for line in state.changed] == [f"{small}, {rest}", other]


def test_on_another_kind_of_machine_rounding_is_no_change(page, monkeypatch):
    made = json.loads(page().proof_path.read_text())
    made["made"]["machine"] = {}
    page().proof_path.write_text(proofs.to_text(made))
    other_code(monkeypatch)
    assert str(confirm.confirm(page()).state) == "confirmed"


def test_without_its_data_a_page_is_confirmed_but_for_these(page, monkeypatch):
    other_code(monkeypatch)
    confirm.confirm(page())
    before = page().path.read_bytes()
    monkeypatch.delenv("DEBLURLIB_DATA")
    confirm.confirm(page())  # more was known
    assert page().path.read_bytes() == before
    other_code(monkeypatch, "2" * 12)
    confirm.confirm(page())
    assert str(page().state) == "confirmed but for the data: photos is not here"
    assert page().sentence.endswith(f"code {'2' * 12} but for the data: photos is not here.")


def test_what_was_found_to_have_changed_is_not_forgotten_without_the_data(page, monkeypatch):
    other_code(monkeypatch)
    with monkeypatch.context() as patch:
        other_cut(patch)
        confirm.confirm(page())
    monkeypatch.delenv("DEBLURLIB_DATA")
    assert confirm.confirm(page()).state.word == "changed"


def test_a_change_of_what_is_found_on_a_current_page_is_not_hidden(page, monkeypatch):
    with monkeypatch.context() as patch:  # of a library below, for instance
        other_summary(patch)
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


def test_a_proof_recorded_anew_is_the_same(page, monkeypatch):
    before = json.loads(page().proof_path.read_text())
    other_code(monkeypatch)
    confirm.confirm(page())
    confirm.record_anew(page())
    after = json.loads(page().proof_path.read_text())
    assert after["recipes"] == before["recipes"]
    assert list(after["recipes"]) == ["05/small", "05/other", "05/anchor", "05/first"]
    assert after["made"]["code"] == "1" * 12


def test_a_page_without_a_proof_or_with_a_damaged_one_says_so(page):
    for damage in ("{", "{}", '{"made": {"machine": {}}, "rows": 3}'):
        page().proof_path.write_text(damage)
        with pytest.raises(InputError, match=r"05b_proof.json: "):
            confirm.confirm(page())
    page().proof_path.unlink()
    with pytest.raises(InputError, match="without a proof"):
        confirm.confirm(page())


def test_a_proof_is_of_what_is_published_now(page):
    old = json.loads(page().proof_path.read_text())
    new = {"results": page().results, "rows": [], "recipes": [SMALL, OWN.with_seed(3)]}

    def holds(**other):
        return proofs.still_holds(page().notebook, old, new | other, page().path.parent)

    assert holds()
    assert not holds(results=page().results | {"profile": "full"})
    assert not holds(results=page().results | {"chapter": "01"})
    assert not holds(recipes=[replace(OWN, name="05/more")])
    assert not holds(recipes=[replace(OWN, steps=7)])


def test_whole_trainings_come_out_the_same_on_this_machine(page):
    path = page().path.with_name("05b_rows.csv.gz")
    listed = rows.read_rows(path)  # of the same images, blurred otherwise, and of others
    listed += [r | {"degradation": "shake", "psnr": r["psnr"] + 9} for r in listed]
    listed += [r | {"data": "elsewhere", "image": "other", "psnr": 99.0} for r in listed[:9]]
    path.write_bytes(rows.pack(rows.to_csv(listed)))
    lines = retrain.retrain(page(), 2)
    assert len({(line["recipe"], line["seed"]) for line in lines}) == 2
    for line in lines:
        assert line["now"] == pytest.approx(line["published"], abs=1e-4)
        assert line["least"] <= line["now"] + 1e-4
        assert line["now"] <= line["greatest"] + 1e-4
        assert line["lo"] < line["least"] <= line["greatest"] < line["hi"]


def test_every_recipe_of_the_course_has_a_miniature():
    for chapter in studies.CHAPTERS:
        for recipe in studies.recipes(chapter, "full", data="gopro"):
            small = proof.miniature(recipe)
            model = models.build(small.model, small.arguments, 0)
            assert small.crop % model.multiple == 0
            assert small.steps <= proof.STEPS
    with mock.patch.object(proof, "SLOW", -1.0):
        assert proof.of_recipe(replace(SMALL, data="sample"))[0] == proof.FEWER_STEPS


# --- in place of the store


def of_what(row):
    return row.get("run", ""), *evaluation.case_of(row)


def test_a_chapter_is_rendered_anew_without_a_training(away, capsys):
    trained, anchor, pictures, scored = away.given
    archive = Archive(KEY, away.root)
    with mock.patch.object(runs, "train_or_load", side_effect=AssertionError("it trains")):
        again, other, shown, rescored = ask(archive)
    assert capsys.readouterr().out == ""  # a page does not tell where a run came from
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


def test_a_publication_of_what_is_published_comes_to_the_same(away):
    for end in ("_history.csv.gz", "_pictures.npz"):
        assert (away.root / f"{RESULTS}{end}").exists()
    archive = Archive(KEY, away.root)
    scored = ask(archive)[-1]
    before = files_of(away.root / "reports")
    publish.publish(executed(away.root, archive, scored), away.root)
    assert changed(before, away.root / "reports") == {"results/05b.json"}  # who confirmed it


def test_the_store_comes_first_and_what_has_changed_is_trained(away, monkeypatch):
    def outcome(recipe):
        return type(Archive(KEY, away.root).run(recipe))

    with monkeypatch.context() as patch:
        other_optimiser(patch)
        assert outcome(SMALL.with_seed(1)) is Run
    assert outcome(SMALL.with_seed(1)) is Run
    assert outcome(SMALL) is PublishedRun
    assert outcome(replace(SMALL, steps=5)) is Run
    psnr = metrics.psnr
    assert outcome(OWN) is PublishedRun
    path = away.root / f"{RESULTS}_proof.json"
    changed_proof = json.loads(path.read_text())
    weights = changed_proof["recipes"]["05/first"]["parts"]["weights"]
    weights |= {"hash": "0" * 12, "values": [2 * v for v in weights["values"]]}
    path.write_text(json.dumps(changed_proof))
    assert outcome(OWN) is Run  # it stands on what would come out otherwise
    monkeypatch.setattr(metrics, "psnr", lambda *a, **k: psnr(*a, **k) + 1)
    assert outcome(SMALL) is Run


def test_rows_are_given_only_if_they_are_scored_as_asked(away):
    archive = Archive(KEY, away.root)
    run = archive.run(SMALL)
    with pytest.raises(InputError, match="05/small was published with"):
        archive.score([run], side=24, border=3)
    one = data.open_images("photos", "test").first(1)
    assert {row["image"] for row in archive.score([run], one, side=24, border=4)} == {*one.names}


def test_the_beginning_of_a_published_run_may_be_published_too(away, monkeypatch):
    begun = replace(SMALL, steps=3)
    archive = Archive(KEY, away.root)
    run = archive.run(begun)  # trained now
    history = away.root / f"{RESULTS}_history.csv.gz"
    history.write_bytes(rows.pack(results._as_text(archive)["history"]))
    monkeypatch.setenv("DEBLURLIB_RUNS", str(away.root / "another"))
    again = Archive(KEY, away.root).run(begun)
    assert isinstance(again, PublishedRun)
    assert again.id == run.id


@pytest.mark.parametrize("name", ["_history.csv.gz", "_pictures.npz", "_proof.json"])
def test_what_is_damaged_is_one_sentence(away, name):
    path = away.root / f"{RESULTS}{name}"
    whole = path.read_bytes()
    for keep in (10, 30):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError, match="a damaged file of chapter 05b"):
            Archive(KEY, away.root)


def test_damaged_weights_are_one_sentence(away):
    run = Archive(KEY, away.root).run(OWN)
    path = run.weights / "model.safetensors"
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InputError, match="damaged"):
        run.model()


def test_weights_that_are_too_large_are_not_published(away, monkeypatch):
    monkeypatch.setattr(results, "LARGEST_WEIGHTS", 100)
    with pytest.raises(InputError, match="bytes of weights"):
        results.write_archive(away.root, KEY, {"weights": {"a/model.safetensors": "A" * 200}})


def test_without_anything_published_an_archive_trains(away):
    assert isinstance(Archive(KEY, away.root / "elsewhere").run(SMALL), Run)
